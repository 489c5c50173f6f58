#include "bus/publisher.h"

#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/bus_internal.h"
#include "bus/wire.h"
#include "event/headers.h"

enum {
    SID = 1,
    FLUSH_AT = 64 << 10,       /* queued bytes that leave at once */
    UNSENT_MAX = 4 << 20,      /* more, and the caller waits */
    WRITE_DEADLINE_MS = 10000, /* a frozen server must not freeze us */
    STEP_MS = 100,
    API_CLUSTER_NOT_AVAILABLE = 10008,
    API_NOT_ENABLED_FOR_ACCOUNT = 10039,
    API_NOT_ENABLED = 10076,
};

struct publisher {
    struct bus *bus;
    struct wire *wire;
    uint64_t link;      /* of the wire; 0, or another one now: it broke */
    struct buf inbox;   /* with the dot before the tag */
    size_t payload_max; /* with headers; 0: not known */
    size_t window, in_flight;
    publisher_ack_handler *on_ack;
    void *context;
    struct buf line, block, text;
    char complaint[160]; /* the server's last -ERR */
};

static void on_error(void *context, struct slice text)
{
    struct publisher *publisher = context;
    (void)snprintf(publisher->complaint, sizeof publisher->complaint, "; it says: %.*s",
                   SLICE_ARG(text));
}

static int subscribe(struct publisher *publisher, struct error *err)
{
    natsInbox *inbox = NULL;
    CLEANUP_BUF struct buf wildcard = {0};
    if (natsInbox_Create(&inbox) != NATS_OK)
        return error_set(err, EXIT_CODE_INTERNAL, "cannot make an inbox");
    buf_reset(&publisher->inbox);
    buf_addf(&publisher->inbox, "%s.", inbox);
    natsInbox_Destroy(inbox);
    buf_addf(&wildcard, "%s*", buf_cstr(&publisher->inbox));
    publisher->link = wire_link(publisher->wire);
    (void)wire_subscribe(publisher->wire, publisher->link, SID, buf_cstr(&wildcard));
    return 0;
}

int publisher_reopen(struct publisher *publisher, struct error *err)
{
    struct error problem = ERROR_NONE;
    publisher->in_flight = 0;
    publisher->link = 0;
    publisher->complaint[0] = 0;
    if (wire_open(publisher->wire, &problem) < 0)
        return error_set(err, problem.code, "cannot connect to NATS to publish: %s", problem.text);
    publisher->payload_max = bus_payload_max(publisher->bus);
    return subscribe(publisher, err);
}

int publisher_new(struct bus *bus, size_t window, publisher_ack_handler *on_ack, void *context,
                  struct publisher **ret, struct error *err)
{
    struct publisher *publisher = xcalloc(1, sizeof *publisher);
    *publisher =
        (struct publisher){.bus = bus, .window = window, .on_ack = on_ack, .context = context};
    int rc = wire_new(&publisher->wire, &bus->kept, err);
    if (rc == 0) {
        wire_set_out_max(publisher->wire, SIZE_MAX);
        wire_on_error(publisher->wire, on_error, publisher);
        rc = publisher_reopen(publisher, err);
    }
    if (rc < 0) {
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
    wire_free(publisher->wire);
    buf_done(&publisher->inbox);
    buf_done(&publisher->line);
    buf_done(&publisher->block);
    buf_done(&publisher->text);
    free(publisher);
}

/* -1: the link that we know is no more; there may be another, which we do not want. */
static int check_link(struct publisher *publisher, struct error *err)
{
    char problem[256];
    if (publisher->link && wire_link(publisher->wire) == publisher->link)
        return 0;
    publisher->link = 0;
    wire_problem(publisher->wire, problem, sizeof problem);
    return error_set(err, EXIT_CODE_UNREACHABLE, "the link to NATS is down: %s (%s)%s", problem,
                     publisher->bus->place, publisher->complaint);
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

/* The server writes a blank before the value. */
static bool is_duplicate(struct slice json)
{
    return slice_eq(slice_trim(until_comma(after(json, SLICE("\"duplicate\":")))), SLICE("true"));
}

/* What stands in the server's error, in *description. */
static void read_error(struct publisher_ack *ack, char *description, size_t room)
{
    struct slice text = text_after(ack->body, SLICE("\"description\":\""));
    uint64_t code = number_at(after(ack->body, SLICE("\"err_code\":")));
    (void)snprintf(description, room, "%.*s", SLICE_ARG(text));
    ack->transient = code == API_CLUSTER_NOT_AVAILABLE || code == API_NOT_ENABLED_FOR_ACCOUNT ||
                     code == API_NOT_ENABLED;
    ack->error = description;
}

/* Only those who answer requests, and the server that says that nobody does, send headers. */
static void read_headers(struct publisher_ack *ack, struct slice block, struct buf *text)
{
    struct event_headers walk;
    struct event_header header;
    struct slice status;
    if (!block.len || !event_headers_begin(&walk, block, &status))
        return;
    if (!ack->body.len && slice_starts(status, SLICE("503"))) {
        ack->no_stream = true;
        ack->error = "no stream takes this subject";
    }
    while (event_headers_next(&walk, &header)) {
        if (!slice_eq(header.name, SLICE("Nats-Service-Error")) || ack->service_error)
            continue;
        buf_reset(text);
        buf_add_slice(text, header.value);
        ack->service_error = buf_cstr(text);
    }
}

static void handle_ack(struct publisher *publisher, const struct wire_message *message)
{
    char description[256];
    struct slice body = message->payload, rest = body;
    struct slice stream = text_after(body, SLICE("\"stream\":\""));
    if (slice_present(stream)) /* what follows it; the server writes it first */
        rest = slice_from(body, (size_t)(stream.ptr + stream.len - body.ptr));
    struct publisher_ack ack = {
        .tag = number_at(slice_from(message->subject, publisher->inbox.len)),
        .stream = stream,
        .seq = number_at(after(rest, SLICE("\"seq\":"))),
        .duplicate = is_duplicate(rest),
        .body = body,
    };
    read_headers(&ack, message->header_block, &publisher->text);
    if (!ack.no_stream && slice_present(after(body, SLICE("\"error\":{"))))
        read_error(&ack, description, sizeof description);
    else if (!ack.error && !slice_present(stream))
        ack.error = "the answer is no acknowledgement";
    if (publisher->in_flight)
        publisher->in_flight--;
    publisher->on_ack(publisher->context, &ack);
}

/* Sends, waits up to wait_ms for bytes, and handles what they are. -1: the link broke. */
static int turn(struct publisher *publisher, int wait_ms, struct error *err)
{
    struct wire_message message;
    if (check_link(publisher, err) < 0)
        return -1;
    bool came = wire_wait(publisher->wire, wait_ms);
    while (came && wire_next(publisher->wire, &message))
        handle_ack(publisher, &message);
    return check_link(publisher, err);
}

int publisher_poll(struct publisher *publisher, int wait_ms, struct error *err)
{
    return turn(publisher, wait_ms, err);
}

static int take_until(struct publisher *publisher, size_t in_flight_max, int timeout_ms,
                      struct error *err)
{
    int64_t moved_ns = instant_monotonic_ns();
    while (publisher->in_flight > in_flight_max) {
        size_t before = publisher->in_flight;
        if (turn(publisher, timeout_ms < STEP_MS ? timeout_ms : STEP_MS, err) < 0)
            return -1;
        int64_t now = instant_monotonic_ns();
        if (publisher->in_flight != before)
            moved_ns = now;
        else if (now - moved_ns >= timeout_ms * NS_PER_MS)
            return error_set(err, EXIT_CODE_UNREACHABLE,
                             "no acknowledgement within %d ms, %zu messages in flight (%s)%s",
                             timeout_ms, publisher->in_flight, publisher->bus->place,
                             publisher->complaint);
    }
    return 0;
}

int publisher_wait(struct publisher *publisher, int timeout_ms, struct error *err)
{
    return take_until(publisher, 0, timeout_ms, err);
}

const char *publisher_complaint(const struct publisher *publisher)
{
    return publisher->complaint[0] ? publisher->complaint + sizeof "; it says: " - 1 : "";
}

size_t publisher_in_flight(const struct publisher *publisher)
{
    return publisher->in_flight;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* Until the server has taken most of what is queued. */
static int push(struct publisher *publisher, struct error *err)
{
    size_t unsent = wire_unsent(publisher->wire), least = unsent;
    int64_t moved_ns = instant_monotonic_ns();
    if (unsent >= FLUSH_AT)
        wire_flush(publisher->wire);
    while ((unsent = wire_unsent(publisher->wire)) > UNSENT_MAX) {
        int64_t now = instant_monotonic_ns();
        if (unsent < least)
            moved_ns = now;
        least = unsent;
        if (now - moved_ns > WRITE_DEADLINE_MS * NS_PER_MS) {
            publisher->link = 0;
            return error_set(err, EXIT_CODE_UNREACHABLE,
                             "the server has taken nothing for %d s (%s)", WRITE_DEADLINE_MS / 1000,
                             publisher->bus->place);
        }
        if (turn(publisher, STEP_MS, err) < 0)
            return -1;
    }
    return 0;
}

static int check_message(const struct publisher *publisher, struct slice subject, size_t bytes,
                         struct error *err)
{
    if (subject.len >= PUBLISHER_SUBJECT_MAX)
        return error_set(err, EXIT_CODE_USAGE, "the subject is longer than %d bytes: %.80s...",
                         PUBLISHER_SUBJECT_MAX, subject.ptr);
    for (size_t i = 0; i < subject.len; i++) {
        if ((unsigned char)subject.ptr[i] <= ' ')
            return error_set(err, EXIT_CODE_USAGE, "a subject has no blanks: %.*s",
                             SLICE_ARG(subject));
    }
    if (publisher->payload_max && bytes > publisher->payload_max)
        return error_set(err, EXIT_CODE_UNREACHABLE,
                         "%.*s: %zu bytes, and the server takes %zu (max_payload)",
                         SLICE_ARG(subject), bytes, publisher->payload_max);
    return 0;
}

/* PUB subject reply bytes, or HPUB subject reply header-bytes bytes. */
static void make_line(struct publisher *publisher, uint64_t tag, struct slice subject,
                      size_t block_len, size_t payload_len)
{
    struct buf *line = &publisher->line;
    buf_reset(line);
    buf_add_str(line, block_len ? "HPUB " : "PUB ");
    buf_add_slice(line, subject);
    buf_add_char(line, ' ');
    buf_add_slice(line, buf_slice(&publisher->inbox));
    buf_add_u64(line, tag);
    buf_add_char(line, ' ');
    if (block_len) {
        buf_add_u64(line, block_len);
        buf_add_char(line, ' ');
    }
    buf_add_u64(line, block_len + payload_len);
    buf_add_str(line, "\r\n");
}

int publisher_send_block(struct publisher *publisher, uint64_t tag, struct slice subject,
                         struct slice block, struct slice payload, int timeout_ms,
                         struct error *err)
{
    if (check_message(publisher, subject, block.len + payload.len, err) < 0 ||
        check_link(publisher, err) < 0 ||
        take_until(publisher, publisher->window - 1, timeout_ms, err) < 0)
        return -1;
    make_line(publisher, tag, subject, block.len, payload.len);
    const struct slice parts[] = {buf_slice(&publisher->line), block, payload, SLICE("\r\n")};
    (void)wire_send(publisher->wire, publisher->link, parts, ARRAY_LEN(parts));
    publisher->in_flight++;
    return push(publisher, err);
}

/* A line that ends within would be another header. */
static void add_one_line(struct buf *out, struct slice text)
{
    size_t from = out->len;
    buf_add_slice(out, text);
    for (size_t i = from; i < out->len; i++) {
        if (out->ptr[i] == '\r' || out->ptr[i] == '\n')
            out->ptr[i] = ' ';
    }
}

int publisher_send(struct publisher *publisher, uint64_t tag, struct slice subject,
                   const struct bus_header *headers, size_t header_count, struct slice payload,
                   int timeout_ms, struct error *err)
{
    struct buf *block = &publisher->block;
    buf_reset(block);
    if (header_count)
        buf_add_str(block, "NATS/1.0\r\n");
    for (size_t i = 0; i < header_count; i++) {
        add_one_line(block, headers[i].name);
        buf_add_str(block, ": ");
        add_one_line(block, headers[i].value);
        buf_add_str(block, "\r\n");
    }
    if (header_count)
        buf_add_str(block, "\r\n");
    return publisher_send_block(publisher, tag, subject, buf_slice(block), payload, timeout_ms,
                                err);
}
