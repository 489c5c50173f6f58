#include "bus/publisher.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "bus/bus_internal.h"

enum {
    WRITE_DEADLINE_MS = 10000, /* a frozen server must not freeze us */
    INBOX_MAX = 96,
    API_CLUSTER_NOT_AVAILABLE = 10008,
    API_NOT_ENABLED_FOR_ACCOUNT = 10039,
    API_NOT_ENABLED = 10076,
};

struct publisher {
    struct bus *bus;
    natsConnection *link;
    natsSubscription *acks;
    char inbox[INBOX_MAX]; /* with the dot before the tag */
    size_t inbox_len;
    size_t window, in_flight;
    publisher_ack_handler *on_ack;
    void *context;
    struct buf text; /* NUL-terminated header names and values */
};

static void close_link(struct publisher *publisher)
{
    natsSubscription_Destroy(publisher->acks);
    publisher->acks = NULL;
    if (publisher->link)
        natsConnection_Close(publisher->link);
    natsConnection_Destroy(publisher->link);
    publisher->link = NULL;
    publisher->in_flight = 0;
}

/* The bus has its connection already and never looks at its options again. */
static natsStatus set_link_options(natsOptions *o)
{
    natsStatus s = natsOptions_SetAllowReconnect(o, false);
    if (s == NATS_OK)
        s = natsOptions_SetRetryOnFailedConnect(o, false, NULL, NULL);
    if (s == NATS_OK)
        s = natsOptions_SetDisconnectedCB(o, NULL, NULL);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectedCB(o, NULL, NULL);
    if (s == NATS_OK)
        s = natsOptions_SetClosedCB(o, NULL, NULL);
    if (s == NATS_OK)
        s = natsOptions_SetWriteDeadline(o, WRITE_DEADLINE_MS);
    return s;
}

int publisher_reopen(struct publisher *publisher, struct error *err)
{
    close_link(publisher);
    natsInbox *inbox = NULL;
    natsStatus s = set_link_options(publisher->bus->options);
    if (s == NATS_OK)
        s = natsConnection_Connect(&publisher->link, publisher->bus->options);
    if (s == NATS_OK)
        s = natsInbox_Create(&inbox);
    if (s == NATS_OK) {
        char wildcard[INBOX_MAX + 1];
        int len = snprintf(publisher->inbox, sizeof publisher->inbox, "%s.", inbox);
        publisher->inbox_len = (size_t)len;
        (void)snprintf(wildcard, sizeof wildcard, "%s*", publisher->inbox);
        s = natsConnection_SubscribeSync(&publisher->acks, publisher->link, wildcard);
    }
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(publisher->acks, -1, -1);
    natsInbox_Destroy(inbox);
    if (s == NATS_OK)
        return 0;
    close_link(publisher);
    return bus_error(publisher->bus, s, "cannot connect to NATS to publish", err);
}

int publisher_new(struct bus *bus, size_t window, publisher_ack_handler *on_ack, void *context,
                  struct publisher **ret, struct error *err)
{
    struct publisher *publisher = xcalloc(1, sizeof *publisher);
    *publisher =
        (struct publisher){.bus = bus, .window = window, .on_ack = on_ack, .context = context};
    if (publisher_reopen(publisher, err) < 0) {
        publisher_free(publisher);
        return -1;
    }
    *ret = publisher;
    return 0;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    close_link(publisher);
    buf_done(&publisher->text);
    free(publisher);
}

/* --- acknowledgements ------------------------------------------------------------------------- */

/* The bytes behind `key` in the server's compact JSON; absent when it is not there. */
static struct slice after(struct slice json, struct slice key)
{
    const char *at = json.len ? memmem(json.ptr, json.len, key.ptr, key.len) : NULL;
    return at ? slice_from(json, (size_t)(at - json.ptr) + key.len) : SLICE_ABSENT;
}

static struct slice text_after(struct slice json, struct slice key)
{
    struct slice rest = after(json, key), text = SLICE_ABSENT;
    (void)slice_cut(&rest, '"', &text);
    return text;
}

static uint64_t number_at(struct slice digits)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len && digits.ptr[i] >= '0' && digits.ptr[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(digits.ptr[i] - '0');
    return value;
}

static struct slice until_comma(struct slice rest)
{
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != ',' && rest.ptr[len] != '}')
        len++;
    return slice_present(rest) ? (struct slice){rest.ptr, len} : SLICE_ABSENT;
}

static void handle_ack(struct publisher *publisher, natsMsg *msg)
{
    char description[256];
    struct slice subject = slice_of(natsMsg_GetSubject(msg));
    struct slice body = {natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)};
    struct publisher_ack ack = {
        .tag = number_at(slice_from(subject, publisher->inbox_len)),
        .stream = text_after(body, SLICE("\"stream\":\"")),
        .seq = number_at(after(body, SLICE("\"seq\":"))),
        .duplicate = slice_eq(slice_trim(until_comma(after(body, SLICE("\"duplicate\":")))),
                              SLICE("true")), /* the server writes a blank before it */
        .body = body,
    };
    if (natsMsgHeader_Get(msg, "Nats-Service-Error", &ack.service_error) != NATS_OK)
        ack.service_error = NULL;
    if (natsMsg_IsNoResponders(msg)) {
        ack.no_stream = true;
        ack.error = "no stream takes this subject";
    } else if (slice_present(after(body, SLICE("\"error\":{")))) {
        struct slice text = text_after(body, SLICE("\"description\":\""));
        (void)snprintf(description, sizeof description, "%.*s", SLICE_ARG(text));
        uint64_t code = number_at(after(body, SLICE("\"err_code\":")));
        ack.transient = code == API_CLUSTER_NOT_AVAILABLE || code == API_NOT_ENABLED_FOR_ACCOUNT ||
                        code == API_NOT_ENABLED;
        ack.error = description;
    } else if (!slice_present(ack.stream)) {
        ack.error = "the answer is no acknowledgement";
    }
    if (publisher->in_flight)
        publisher->in_flight--;
    publisher->on_ack(publisher->context, &ack);
}

/* Takes one acknowledgement, waiting up to wait_ms. 1: took one, 0: none came, -1: the link broke.
 */
static int take_ack(struct publisher *publisher, int64_t wait_ms, struct error *err)
{
    natsMsg *msg = NULL;
    if (!publisher->acks)
        return error_set(err, EXIT_CODE_UNREACHABLE, "the link to NATS is down (%s)",
                         publisher->bus->place);
    natsStatus s = natsSubscription_NextMsg(&msg, publisher->acks, wait_ms);
    if (s == NATS_TIMEOUT && !natsConnection_IsClosed(publisher->link))
        return 0;
    if (s == NATS_NO_RESPONDERS) /* the library does not say to which message */
        return error_set(err, EXIT_CODE_UNREACHABLE, "nobody takes what is sent (%s)",
                         publisher->bus->place);
    if (s != NATS_OK)
        return bus_error(publisher->bus, s == NATS_TIMEOUT ? NATS_CONNECTION_CLOSED : s,
                         "waiting for acknowledgements", err);
    handle_ack(publisher, msg);
    natsMsg_Destroy(msg);
    return 1;
}

static int take_arrived(struct publisher *publisher, struct error *err)
{
    int waiting = 0;
    if (publisher->acks && natsSubscription_GetPending(publisher->acks, &waiting, NULL) != NATS_OK)
        waiting = 0;
    for (; waiting > 0; waiting--) {
        if (take_ack(publisher, 1, err) < 0)
            return -1;
    }
    return 0;
}

int publisher_poll(struct publisher *publisher, int wait_ms, struct error *err)
{
    if (wait_ms > 0 && take_ack(publisher, wait_ms, err) < 0)
        return -1;
    return take_arrived(publisher, err);
}

static int take_until(struct publisher *publisher, size_t in_flight_max, int timeout_ms,
                      struct error *err)
{
    while (publisher->in_flight > in_flight_max) {
        int took = take_ack(publisher, timeout_ms, err);
        if (took == 0)
            return error_set(err, EXIT_CODE_UNREACHABLE,
                             "no acknowledgement within %d ms, %zu messages in flight (%s)",
                             timeout_ms, publisher->in_flight, publisher->bus->place);
        if (took < 0 || take_arrived(publisher, err) < 0)
            return -1;
    }
    return 0;
}

int publisher_wait(struct publisher *publisher, int timeout_ms, struct error *err)
{
    return take_until(publisher, 0, timeout_ms, err);
}

size_t publisher_in_flight(const struct publisher *publisher)
{
    return publisher->in_flight;
}

/* --- sending ---------------------------------------------------------------------------------- */

static natsStatus add_headers(struct publisher *publisher, natsMsg *msg,
                              const struct bus_header *headers, size_t count)
{
    struct buf *text = &publisher->text;
    natsStatus s = NATS_OK;
    for (size_t i = 0; i < count && s == NATS_OK; i++) {
        buf_reset(text);
        buf_add_slice(text, headers[i].name);
        buf_add_char(text, 0);
        buf_add_slice(text, headers[i].value);
        buf_add_char(text, 0);
        s = natsMsgHeader_Add(msg, text->ptr, text->ptr + headers[i].name.len + 1);
    }
    return s;
}

int publisher_send(struct publisher *publisher, uint64_t tag, struct slice subject,
                   const struct bus_header *headers, size_t header_count, struct slice payload,
                   int timeout_ms, struct error *err)
{
    char name[PUBLISHER_SUBJECT_MAX], reply[INBOX_MAX + 24];
    if (subject.len >= sizeof name)
        return error_set(err, EXIT_CODE_USAGE, "the subject is longer than %d bytes: %.80s...",
                         PUBLISHER_SUBJECT_MAX, subject.ptr);
    if (!publisher->link)
        return error_set(err, EXIT_CODE_UNREACHABLE, "the link to NATS is down (%s)",
                         publisher->bus->place);
    if (take_until(publisher, publisher->window - 1, timeout_ms, err) < 0)
        return -1;
    memcpy(name, subject.ptr, subject.len);
    name[subject.len] = 0;
    (void)snprintf(reply, sizeof reply, "%s%" PRIu64, publisher->inbox, tag);

    natsStatus s;
    if (!header_count) {
        s = natsConnection_PublishRequest(publisher->link, name, reply, payload.ptr,
                                          (int)payload.len);
    } else {
        natsMsg *msg = NULL;
        s = natsMsg_Create(&msg, name, reply, payload.ptr, (int)payload.len);
        if (s == NATS_OK)
            s = add_headers(publisher, msg, headers, header_count);
        if (s == NATS_OK)
            s = natsConnection_PublishMsg(publisher->link, msg);
        natsMsg_Destroy(msg);
    }
    if (s != NATS_OK)
        return bus_error(publisher->bus, s, name, err);
    publisher->in_flight++;
    return 0;
}
