#include "bus/ordered.h"

#include <jansson.h>
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/bus_internal.h"

/* One consumer's life. The handle given to the client library; freed when the library is done with
 * it. */
struct attachment {
    struct ordered *reader;
    natsSubscription *subscription;
    uint64_t consumer_seq; /* of the last message delivered */
};

struct ordered {
    struct bus *bus;
    char *stream;
    char consumer[128];
    ordered_handler *on_message;
    void *context;
    pthread_mutex_t lock; /* guards `current`, `next_seq`; held only for moments */
    struct attachment *current;
    uint64_t next_seq;
    _Atomic uint64_t pending;
    _Atomic int64_t last_sign_ns; /* monotonic time of the server's last word */
    _Atomic(const char *) trouble;
    atomic_int references; /* the owner, and each attachment */
};

static void reader_unref(struct ordered *reader)
{
    if (atomic_fetch_sub(&reader->references, 1) != 1)
        return;
    pthread_mutex_destroy(&reader->lock);
    free(reader->stream);
    free(reader);
}

static const char *parse_number(const char *at, uint64_t *ret)
{
    uint64_t value = 0;
    const char *first = at;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    *ret = value;
    return at == first || (*at && *at != '.') ? NULL : (*at ? at + 1 : at);
}

bool ordered_parse_place(const char *reply, struct ordered_place *ret)
{
    static const char prefix[] = "$JS.ACK.";
    if (!reply || strncmp(reply, prefix, sizeof prefix - 1) != 0)
        return false;
    /* 9 tokens: stream, consumer, ...; 11 or 12: domain, account hash, stream, consumer, ... */
    size_t dots = 0;
    for (const char *at = reply; *at; at++)
        dots += *at == '.';
    if (dots != 8 && dots < 10)
        return false;
    const char *at = reply + sizeof prefix - 1;
    for (size_t skip = dots == 8 ? 2 : 4; skip; skip--)
        at = strchr(at, '.') + 1;
    uint64_t deliveries, time;
    if (!(at = parse_number(at, &deliveries)) || !(at = parse_number(at, &ret->stream_seq)) ||
        !(at = parse_number(at, &ret->consumer_seq)) || !(at = parse_number(at, &time)) ||
        !parse_number(at, &ret->pending))
        return false;
    ret->stored_at_ns = (int64_t)time;
    return true;
}

/* Heartbeats and flow control: status 100. Anything else ends this consumer. */
static void on_status(struct attachment *attachment, natsConnection *connection, natsMsg *msg)
{
    struct ordered *reader = attachment->reader;
    const char *status = NULL, *stalled = NULL, *last = NULL;
    if (natsMsgHeader_Get(msg, "Status", &status) != NATS_OK || strcmp(status, "100") != 0) {
        atomic_store(&reader->trouble, "the server ended the consumer");
        return;
    }
    const char *reply = natsMsg_GetReply(msg);
    if (reply && *reply)
        (void)natsConnection_PublishString(connection, reply, "");
    else if (natsMsgHeader_Get(msg, "Nats-Consumer-Stalled", &stalled) == NATS_OK)
        (void)natsConnection_PublishString(connection, stalled, "");
    if (natsMsgHeader_Get(msg, "Nats-Last-Consumer", &last) != NATS_OK)
        return;
    uint64_t sent = strtoull(last, NULL, 10);
    if (sent > attachment->consumer_seq)
        atomic_store(&reader->trouble, "messages were lost on the way");
    else if (!stalled && sent == attachment->consumer_seq)
        atomic_store(&reader->pending, 0); /* idle: nothing waits, whatever was purged meanwhile */
}

static void on_data(struct attachment *attachment, natsMsg *msg, const struct ordered_place *place)
{
    struct ordered *reader = attachment->reader;
    pthread_mutex_lock(&reader->lock);
    bool mine = reader->current == attachment && !atomic_load(&reader->trouble);
    if (mine && place->consumer_seq != attachment->consumer_seq + 1) {
        atomic_store(&reader->trouble, "messages were lost on the way");
        mine = false;
    }
    if (mine)
        reader->next_seq = place->stream_seq + 1;
    pthread_mutex_unlock(&reader->lock);
    if (!mine) {
        natsMsg_Destroy(msg);
        return;
    }
    attachment->consumer_seq = place->consumer_seq;
    atomic_store_explicit(&reader->pending, place->pending, memory_order_relaxed);
    struct bus_message message;
    bus_message_from(msg, &message);
    message.seq = place->stream_seq;
    message.stored_at_ns = place->stored_at_ns;
    message.pending = place->pending;
    reader->on_message(reader->context, &message);
}

static void deliver(natsConnection *connection, natsSubscription *subscription, natsMsg *msg,
                    void *context)
{
    (void)subscription;
    struct attachment *attachment = context;
    struct ordered_place place;
    atomic_store_explicit(&attachment->reader->last_sign_ns, instant_monotonic_ns(),
                          memory_order_relaxed);
    if (ordered_parse_place(natsMsg_GetReply(msg), &place)) {
        on_data(attachment, msg, &place);
        return;
    }
    pthread_mutex_lock(&attachment->reader->lock);
    bool mine = attachment->reader->current == attachment;
    pthread_mutex_unlock(&attachment->reader->lock);
    if (mine)
        on_status(attachment, connection, msg);
    natsMsg_Destroy(msg);
}

static void attachment_complete(void *context)
{
    struct attachment *attachment = context;
    struct bus *bus = attachment->reader->bus;
    reader_unref(attachment->reader);
    free(attachment);
    bus_leave(bus);
}

static void detach(struct ordered *reader)
{
    pthread_mutex_lock(&reader->lock);
    struct attachment *old = reader->current;
    reader->current = NULL;
    pthread_mutex_unlock(&reader->lock);
    if (!old)
        return;
    natsSubscription *subscription = old->subscription;
    (void)natsSubscription_Unsubscribe(subscription);
    natsSubscription_Destroy(subscription);
    if (reader->consumer[0] && bus_is_up(reader->bus)) {
        CLEANUP_FREE char *subject =
            xasprintf("$JS.API.CONSUMER.DELETE.%s.%s", reader->stream, reader->consumer);
        (void)natsConnection_PublishString(reader->bus->connection, subject, "");
    }
    reader->consumer[0] = 0;
}

static int create_consumer(struct ordered *reader, const char *inbox, uint64_t start_seq,
                           struct error *err)
{
    CLEANUP_FREE char *subject = xasprintf("$JS.API.CONSUMER.CREATE.%s", reader->stream);
    json_t *config = json_pack(
        "{s:s, s:s, s:I, s:s, s:i, s:b, s:I, s:s, s:b, s:i, s:s}", "deliver_subject", inbox,
        "deliver_policy", "by_start_sequence", "opt_start_seq",
        (json_int_t)(start_seq ? start_seq : 1), "ack_policy", "none", "max_deliver", 1,
        "flow_control", 1, "idle_heartbeat", (json_int_t)ORDERED_HEARTBEAT_NS, "replay_policy",
        "instant", "mem_storage", 1, "num_replicas", 1, "description", "cim-ops ordered reader");
    json_t *request = json_pack("{s:s, s:o}", "stream_name", reader->stream, "config", config);
    CLEANUP_FREE char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    CLEANUP_BUF struct buf reply = {0};
    if (bus_request(reader->bus, subject, slice_of(text), BUS_TIMEOUT_MS, &reply, err) < 0)
        return -1;
    json_t *root = json_loadb(reply.ptr ? reply.ptr : "", reply.len, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "name"));
    json_t *failure = json_object_get(root, "error");
    int rc = 0;
    if (failure || !name) {
        const char *description = json_string_value(json_object_get(failure, "description"));
        rc = error_set(err, failure ? EXIT_CODE_REFUSED : EXIT_CODE_UNREACHABLE, "%s: %s", subject,
                       description ? description : "unreadable reply");
    } else {
        (void)snprintf(reader->consumer, sizeof reader->consumer, "%s", name);
        /* Until the first message tells more. */
        uint64_t unknown = UINT64_MAX;
        uint64_t pending = (uint64_t)json_integer_value(json_object_get(root, "num_pending"));
        atomic_compare_exchange_strong(&reader->pending, &unknown, pending);
    }
    json_decref(root);
    return rc;
}

static int attach(struct ordered *reader, uint64_t start_seq, struct error *err)
{
    natsInbox *inbox = NULL;
    if (natsInbox_Create(&inbox) != NATS_OK)
        return error_set(err, EXIT_CODE_INTERNAL, "cannot make an inbox");
    struct attachment *attachment = xcalloc(1, sizeof *attachment);
    attachment->reader = reader;
    atomic_fetch_add(&reader->references, 1);
    bus_enter(reader->bus); /* until attachment_complete() */

    pthread_mutex_lock(&reader->lock);
    reader->current = attachment;
    reader->next_seq = start_seq;
    pthread_mutex_unlock(&reader->lock);
    atomic_store(&reader->trouble, NULL);
    atomic_store(&reader->pending, UINT64_MAX);
    atomic_store(&reader->last_sign_ns, instant_monotonic_ns());

    natsStatus s = natsConnection_Subscribe(&attachment->subscription, reader->bus->connection,
                                            inbox, deliver, attachment);
    if (s != NATS_OK) {
        natsInbox_Destroy(inbox);
        reader->current = NULL;
        attachment_complete(attachment);
        return bus_error(reader->bus, s, "subscribe", err);
    }
    (void)natsSubscription_SetOnCompleteCB(attachment->subscription, attachment_complete,
                                           attachment);
    int bytes = reader->bus->pending_bytes_max > INT32_MAX ? INT32_MAX
                                                           : (int)reader->bus->pending_bytes_max;
    (void)natsSubscription_SetPendingLimits(attachment->subscription, -1, bytes);
    int rc = create_consumer(reader, inbox, start_seq, err);
    natsInbox_Destroy(inbox);
    if (rc < 0)
        atomic_store(&reader->trouble, "no consumer could be made");
    return rc;
}

int ordered_open(struct bus *bus, const char *stream, uint64_t start_seq,
                 ordered_handler *on_message, void *context, struct ordered **ret,
                 struct error *err)
{
    struct ordered *reader = xcalloc(1, sizeof *reader);
    reader->bus = bus;
    reader->stream = xstrdup(stream);
    reader->on_message = on_message;
    reader->context = context;
    pthread_mutex_init(&reader->lock, NULL);
    atomic_init(&reader->references, 1);
    if (attach(reader, start_seq, err) < 0) {
        ordered_close(reader);
        return -1;
    }
    *ret = reader;
    return 0;
}

int ordered_restart(struct ordered *reader, uint64_t start_seq, struct error *err)
{
    detach(reader);
    return attach(reader, start_seq, err);
}

void ordered_close(struct ordered *reader)
{
    if (!reader)
        return;
    detach(reader);
    reader_unref(reader);
}

uint64_t ordered_next_seq(struct ordered *reader)
{
    pthread_mutex_lock(&reader->lock);
    uint64_t next = reader->next_seq;
    pthread_mutex_unlock(&reader->lock);
    return next;
}

uint64_t ordered_pending(struct ordered *reader)
{
    return atomic_load_explicit(&reader->pending, memory_order_relaxed);
}

const char *ordered_trouble(struct ordered *reader)
{
    const char *trouble = atomic_load(&reader->trouble);
    if (!trouble &&
        instant_monotonic_ns() - atomic_load(&reader->last_sign_ns) > ORDERED_SILENCE_NS)
        trouble = "the server is silent";
    return trouble;
}

void ordered_suspect(struct ordered *reader)
{
    atomic_store(&reader->trouble, "the connection was lost");
}
