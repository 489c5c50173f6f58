#include "bus/ordered.h"

#include <jansson.h>
#include <sched.h>
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/bus_internal.h"
#include "bus/wire.h"
#include "event/headers.h"

enum { UNBEGUN_MS = 10000 }; /* the server keeps a consumer so long before ordered_begin() */

static const char link_lost[] = "the connection was lost";

struct ordered {
    struct ordered_hub *hub;
    char *stream, *filter;
    bool newest_only;
    char consumer[128];
    char *inbox;
    ordered_handler *on_message;
    void *context;
    _Atomic uint64_t next_seq;
    _Atomic uint64_t pending;
    _Atomic int64_t last_sign_ns; /* monotonic time of the server's last word; 0: not begun */
    _Atomic(const char *) trouble;
    atomic_bool alive;

    /* Under the hub's lock: */
    uint64_t sid, link;    /* of the subscription; 0: none */
    uint64_t consumer_seq; /* of the last message delivered */
    size_t numbers_at;     /* where they begin in this consumer's reply subjects; 0: not known */
};

struct ordered_hub {
    struct bus *bus;
    struct wire *wire;
    pthread_mutex_t lock;
    atomic_int wanters; /* threads that wait for the lock and are to have it first */
    struct ordered *readers[ORDERED_READERS_MAX]; /* by sid */
    uint64_t sids;                                /* given out so far */
    size_t reader_count;
    uint64_t link; /* the one the readers were told of */
};

/* --- the lock --------------------------------------------------------------------------------- */

/* The hub's thread takes the lock again at once; others would hardly ever get it. */
static void lock_first(struct ordered_hub *hub)
{
    atomic_fetch_add(&hub->wanters, 1);
    pthread_mutex_lock(&hub->lock);
    atomic_fetch_sub(&hub->wanters, 1);
}

static void lock_last(struct ordered_hub *hub)
{
    while (atomic_load(&hub->wanters))
        (void)sched_yield();
    pthread_mutex_lock(&hub->lock);
}

static void unlock(struct ordered_hub *hub)
{
    pthread_mutex_unlock(&hub->lock);
}

/* --- places ----------------------------------------------------------------------------------- */

static const char *parse_number(const char *at, const char *end, uint64_t *ret)
{
    uint64_t value = 0;
    const char *first = at;
    for (; at < end; at++) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';
        if (digit > 9)
            break;
        value = value * 10 + digit;
    }
    *ret = value;
    if (at == first || (at < end && *at != '.'))
        return NULL;
    return at < end ? at + 1 : at;
}

/* <deliveries>.<stream seq>.<consumer seq>.<time>.<pending>[.<anything>] */
static bool parse_numbers(struct slice text, struct ordered_place *ret)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    uint64_t deliveries, time;
    if (!(at = parse_number(at, end, &deliveries)) ||
        !(at = parse_number(at, end, &ret->stream_seq)) ||
        !(at = parse_number(at, end, &ret->consumer_seq)) || !(at = parse_number(at, end, &time)) ||
        !parse_number(at, end, &ret->pending))
        return false;
    ret->stored_at_ns = (int64_t)time;
    return true;
}

/* 0: it is no such subject. */
static size_t find_numbers(struct slice reply)
{
    if (!slice_starts(reply, SLICE("$JS.ACK.")))
        return 0;
    /* 9 tokens: stream, consumer, ...; 11 or 12: domain, account hash, stream, consumer, ... */
    size_t dots = 0, at = 0;
    for (size_t i = 0; i < reply.len; i++)
        dots += reply.ptr[i] == '.';
    if (dots != 8 && dots < 10)
        return 0;
    for (size_t skip = dots == 8 ? 4 : 6; skip; at++)
        skip -= reply.ptr[at] == '.';
    return at;
}

bool ordered_parse_place(struct slice reply, struct ordered_place *ret)
{
    size_t at = slice_present(reply) ? find_numbers(reply) : 0;
    return at && parse_numbers(slice_from(reply, at), ret);
}

/* All reply subjects of one consumer begin alike. */
static bool parse_place(struct ordered *reader, struct slice reply, struct ordered_place *ret)
{
    if (!slice_present(reply) || !slice_starts(reply, SLICE("$JS.ACK.")))
        return false;
    if (!reader->numbers_at)
        reader->numbers_at = find_numbers(reply);
    return reader->numbers_at && reader->numbers_at < reply.len &&
           parse_numbers(slice_from(reply, reader->numbers_at), ret);
}

/* --- messages (the hub's thread, lock held) --------------------------------------------------- */

static void trouble(struct ordered *reader, const char *what)
{
    atomic_store(&reader->trouble, what);
}

static uint64_t number_of(struct slice text)
{
    uint64_t value = 0;
    if (text.len)
        (void)parse_number(text.ptr, text.ptr + text.len, &value);
    return value;
}

/* Heartbeats and flow control: status 100. Anything else ends this consumer. */
static void on_status(struct ordered *reader, const struct wire_message *message)
{
    struct event_headers walk;
    struct event_header header;
    struct slice status, stalled = SLICE_ABSENT, last = SLICE_ABSENT;
    bool more = event_headers_begin(&walk, message->header_block, &status);
    if (!more || !slice_starts(status, SLICE("100"))) {
        trouble(reader, "the server ended the consumer");
        return;
    }
    atomic_store(&reader->alive, true);
    while (event_headers_next(&walk, &header)) {
        if (event_header_is(header.name, SLICE("Nats-Consumer-Stalled")))
            stalled = header.value;
        else if (event_header_is(header.name, SLICE("Nats-Last-Consumer")))
            last = header.value;
    }
    struct slice answer = message->reply.len ? message->reply : stalled;
    if (answer.len)
        (void)wire_publish(reader->hub->wire, reader->link, answer, SLICE(""));
    if (!last.len)
        return;
    uint64_t sent = number_of(last);
    if (sent > reader->consumer_seq)
        trouble(reader, "messages were lost on the way");
    else if (!stalled.len && sent == reader->consumer_seq)
        atomic_store(&reader->pending, 0); /* idle: nothing waits, whatever was purged meanwhile */
}

static void on_data(struct ordered *reader, const struct wire_message *message,
                    const struct ordered_place *place)
{
    if (place->consumer_seq != reader->consumer_seq + 1) {
        trouble(reader, "messages were lost on the way");
        return;
    }
    reader->consumer_seq = place->consumer_seq;
    atomic_store_explicit(&reader->alive, true, memory_order_relaxed);
    atomic_store_explicit(&reader->pending, place->pending, memory_order_relaxed);
    if (place->stream_seq < atomic_load_explicit(&reader->next_seq, memory_order_relaxed))
        return; /* newest_only: of a consumer made anew, handed over before */
    atomic_store_explicit(&reader->next_seq, place->stream_seq + 1, memory_order_relaxed);
    struct bus_message stored = {.subject = message->subject,
                                 .payload = message->payload,
                                 .header_block = message->header_block,
                                 .seq = place->stream_seq,
                                 .stored_at_ns = place->stored_at_ns,
                                 .pending = place->pending};
    reader->on_message(reader->context, &stored);
}

static void dispatch(struct ordered_hub *hub, const struct wire_message *message, int64_t now_ns)
{
    struct ordered *reader = hub->readers[message->sid % ORDERED_READERS_MAX];
    struct ordered_place place;
    if (!reader || reader->sid != message->sid ||
        atomic_load_explicit(&reader->trouble, memory_order_relaxed))
        return;
    atomic_store_explicit(&reader->last_sign_ns, now_ns, memory_order_relaxed);
    if (parse_place(reader, message->reply, &place))
        on_data(reader, message, &place);
    else
        on_status(reader, message);
}

void ordered_hub_deliver(struct ordered_hub *hub)
{
    struct wire_message message;
    int64_t now_ns = instant_monotonic_ns();
    lock_last(hub);
    while (wire_next(hub->wire, &message))
        dispatch(hub, &message, now_ns);
    unlock(hub);
    wire_flush(hub->wire);
}

/* --- the hub ---------------------------------------------------------------------------------- */

/* "Permissions Violation for Subscription to "<inbox>"": no message will ever come. */
static void on_error(void *context, struct slice text)
{
    struct ordered_hub *hub = context;
    for (size_t i = 0; i < ORDERED_READERS_MAX && text.len; i++) {
        struct ordered *reader = hub->readers[i];
        if (reader && reader->inbox &&
            memmem(text.ptr, text.len, reader->inbox, strlen(reader->inbox)))
            trouble(reader, "the server denies the subscription");
    }
}

int ordered_hub_open(struct bus *bus, struct ordered_hub **ret, struct error *err)
{
    struct ordered_hub *hub = xcalloc(1, sizeof *hub);
    hub->bus = bus;
    pthread_mutex_init(&hub->lock, NULL);
    if (wire_new(&hub->wire, &bus->kept, err) < 0) {
        ordered_hub_close(hub);
        return -1;
    }
    wire_on_error(hub->wire, on_error, hub);
    *ret = hub;
    return 0;
}

void ordered_hub_close(struct ordered_hub *hub)
{
    if (!hub)
        return;
    wire_free(hub->wire);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void tell_of_link(struct ordered_hub *hub, uint64_t link)
{
    lock_last(hub);
    hub->link = link;
    for (size_t i = 0; i < ORDERED_READERS_MAX; i++) {
        struct ordered *reader = hub->readers[i];
        if (reader && reader->sid && reader->link != link)
            trouble(reader, link_lost);
    }
    unlock(hub);
}

bool ordered_hub_wait(struct ordered_hub *hub, int timeout_ms)
{
    bool came = wire_wait(hub->wire, timeout_ms);
    uint64_t link = wire_link(hub->wire);
    if (link != hub->link)
        tell_of_link(hub, link);
    return came;
}

int ordered_hub_connect(struct ordered_hub *hub, int timeout_ms, struct error *err)
{
    int64_t until = instant_monotonic_ns() + timeout_ms * NS_PER_MS;
    char problem[256];
    while (!ordered_hub_is_up(hub)) {
        (void)ordered_hub_wait(hub, 100);
        if (instant_monotonic_ns() > until) {
            wire_problem(hub->wire, problem, sizeof problem);
            return error_set(err, EXIT_CODE_UNREACHABLE, "cannot connect to NATS: %s", problem);
        }
    }
    return 0;
}

struct counting {
    struct ordered_hub *hub;
    void (*each)(void *context, struct slice subject);
    void *context;
};

static void count_one(void *context, const struct wire_message *message)
{
    struct counting *counting = context;
    const struct ordered *reader = counting->hub->readers[message->sid % ORDERED_READERS_MAX];
    if (reader && reader->sid == message->sid && slice_starts(message->reply, SLICE("$JS.ACK.")))
        counting->each(counting->context, message->subject);
}

void ordered_hub_each_waiting(struct ordered_hub *hub,
                              void (*each)(void *context, struct slice subject), void *context)
{
    struct counting counting = {hub, each, context};
    lock_last(hub);
    wire_each_waiting(hub->wire, count_one, &counting);
    unlock(hub);
}

void ordered_hub_wake(struct ordered_hub *hub)
{
    wire_wake(hub->wire);
}

void ordered_hub_stop(struct ordered_hub *hub)
{
    wire_stop(hub->wire);
}

bool ordered_hub_is_up(struct ordered_hub *hub)
{
    return wire_link(hub->wire) != 0;
}

/* --- the consumer ----------------------------------------------------------------------------- */

static json_t *consumer_config(const struct ordered *reader, uint64_t start_seq)
{
    json_t *start =
        reader->newest_only ? NULL : json_integer((json_int_t)(start_seq ? start_seq : 1));
    return json_pack("{s:s, s:s, s:o*, s:s, s:i, s:b, s:I, s:I, s:s, s:b, s:i, s:s, s:s*}",
                     "deliver_subject", reader->inbox, "deliver_policy",
                     start ? "by_start_sequence" : "last_per_subject", "opt_start_seq", start,
                     "ack_policy", "none", "max_deliver", 1, "flow_control", 1, "idle_heartbeat",
                     (json_int_t)ORDERED_HEARTBEAT_NS, "inactive_threshold",
                     (json_int_t)UNBEGUN_MS * NS_PER_MS, "replay_policy", "instant", "mem_storage",
                     1, "num_replicas", 1, "description", "cim-ops ordered reader",
                     "filter_subject", reader->filter);
}

static int read_reply(struct ordered *reader, const char *subject, const struct buf *reply,
                      struct error *err)
{
    json_t *root = json_loadb(reply->ptr ? reply->ptr : "", reply->len, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "name"));
    json_t *failure = json_object_get(root, "error");
    int rc = 0;
    if (failure || !name) {
        const char *description = json_string_value(json_object_get(failure, "description"));
        rc = error_set(err, failure ? EXIT_CODE_REFUSED : EXIT_CODE_UNREACHABLE, "%s: %s", subject,
                       description ? description : "unreadable reply");
    } else {
        (void)snprintf(reader->consumer, sizeof reader->consumer, "%s", name);
        atomic_store(&reader->pending, /* until the first message tells more */
                     (uint64_t)json_integer_value(json_object_get(root, "num_pending")));
    }
    json_decref(root);
    return rc;
}

static int create_consumer(struct ordered *reader, uint64_t start_seq, struct error *err)
{
    CLEANUP_FREE char *subject = xasprintf("$JS.API.CONSUMER.CREATE.%s", reader->stream);
    json_t *request = json_pack("{s:s, s:o}", "stream_name", reader->stream, "config",
                                consumer_config(reader, start_seq));
    CLEANUP_FREE char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    CLEANUP_BUF struct buf reply = {0};
    if (!text)
        return error_set(err, EXIT_CODE_REFUSED, "the name of the stream is not UTF-8");
    if (bus_request(reader->hub->bus, subject, slice_of(text), BUS_TIMEOUT_MS, &reply, err) < 0)
        return -1;
    return read_reply(reader, subject, &reply, err);
}

/* An inbox of its own for each consumer: what an old one still sends finds nobody. */
static int new_inbox(struct ordered *reader, struct error *err)
{
    natsInbox *inbox = NULL;
    if (natsInbox_Create(&inbox) != NATS_OK)
        return error_set(err, EXIT_CODE_INTERNAL, "cannot make an inbox");
    lock_first(reader->hub); /* on_error() looks at it */
    free(reader->inbox);
    reader->inbox = xstrdup(inbox);
    unlock(reader->hub);
    natsInbox_Destroy(inbox);
    return 0;
}

/* --- a reader --------------------------------------------------------------------------------- */

static void detach(struct ordered *reader)
{
    struct ordered_hub *hub = reader->hub;
    lock_first(hub);
    if (reader->sid) {
        hub->readers[reader->sid % ORDERED_READERS_MAX] = NULL;
        hub->reader_count--;
        (void)wire_unsubscribe(hub->wire, reader->link, reader->sid);
    }
    reader->sid = reader->link = 0;
    unlock(hub);
    if (reader->consumer[0] && bus_is_up(hub->bus)) {
        CLEANUP_FREE char *subject =
            xasprintf("$JS.API.CONSUMER.DELETE.%s.%s", reader->stream, reader->consumer);
        (void)natsConnection_PublishString(hub->bus->connection, subject, "");
    }
    reader->consumer[0] = 0;
}

int ordered_rewind(struct ordered *reader, uint64_t start_seq, struct error *err)
{
    detach(reader);
    atomic_store(&reader->next_seq, start_seq);
    atomic_store(&reader->pending, UINT64_MAX);
    atomic_store(&reader->alive, false);
    atomic_store(&reader->last_sign_ns, 0);
    trouble(reader, "it has not begun"); /* until ordered_begin() */
    reader->consumer_seq = 0;
    reader->numbers_at = 0;
    if (!ordered_hub_is_up(reader->hub))
        return error_set(err, EXIT_CODE_UNREACHABLE, "the reading connection to NATS is down");
    return new_inbox(reader, err) < 0 ? -1 : create_consumer(reader, start_seq, err);
}

int ordered_begin(struct ordered *reader, struct error *err)
{
    struct ordered_hub *hub = reader->hub;
    bool stands = false;
    atomic_store(&reader->last_sign_ns, instant_monotonic_ns());
    lock_first(hub);
    bool room = hub->reader_count < ORDERED_READERS_MAX;
    if (room) {
        uint64_t sid = ++hub->sids;
        while (!sid || hub->readers[sid % ORDERED_READERS_MAX])
            sid = ++hub->sids;
        uint64_t link = wire_link(hub->wire);
        stands = wire_subscribe(hub->wire, link, sid, reader->inbox);
        if (stands) {
            reader->sid = sid;
            reader->link = link;
            trouble(reader, NULL);
            hub->readers[sid % ORDERED_READERS_MAX] = reader;
            hub->reader_count++;
        }
    }
    unlock(hub);
    if (!room)
        return error_set(err, EXIT_CODE_REFUSED, "more than %d readers", ORDERED_READERS_MAX);
    return stands ? 0
                  : error_set(err, EXIT_CODE_UNREACHABLE, "the reading connection to NATS broke");
}

static struct ordered *reader_new(struct ordered_hub *hub, const char *stream, const char *filter,
                                  ordered_handler *on_message, void *context)
{
    struct ordered *reader = xcalloc(1, sizeof *reader);
    reader->hub = hub;
    reader->stream = xstrdup(stream);
    reader->filter = filter ? xstrdup(filter) : NULL;
    reader->on_message = on_message;
    reader->context = context;
    return reader;
}

static int open_reader(struct ordered *reader, uint64_t start_seq, struct ordered **ret,
                       struct error *err)
{
    if (ordered_rewind(reader, start_seq, err) < 0) {
        ordered_close(reader);
        return -1;
    }
    *ret = reader;
    return 0;
}

int ordered_open(struct ordered_hub *hub, const char *stream, const char *filter,
                 uint64_t start_seq, ordered_handler *on_message, void *context,
                 struct ordered **ret, struct error *err)
{
    return open_reader(reader_new(hub, stream, filter, on_message, context), start_seq, ret, err);
}

int ordered_open_newest(struct ordered_hub *hub, const char *stream, const char *filter,
                        ordered_handler *on_message, void *context, struct ordered **ret,
                        struct error *err)
{
    struct ordered *reader = reader_new(hub, stream, filter, on_message, context);
    reader->newest_only = true; /* the server wants a filter then */
    if (!reader->filter)
        reader->filter = xstrdup(">");
    return open_reader(reader, 0, ret, err);
}

int ordered_restart(struct ordered *reader, uint64_t start_seq, struct error *err)
{
    return ordered_rewind(reader, start_seq, err) < 0 ? -1 : ordered_begin(reader, err);
}

void ordered_close(struct ordered *reader)
{
    if (!reader)
        return;
    detach(reader);
    free(reader->inbox);
    free(reader->stream);
    free(reader->filter);
    free(reader);
}

uint64_t ordered_next_seq(struct ordered *reader)
{
    return atomic_load_explicit(&reader->next_seq, memory_order_relaxed);
}

uint64_t ordered_pending(struct ordered *reader)
{
    return atomic_load_explicit(&reader->pending, memory_order_relaxed);
}

bool ordered_is_alive(struct ordered *reader)
{
    return atomic_load(&reader->alive);
}

const char *ordered_trouble(struct ordered *reader)
{
    const char *what = atomic_load(&reader->trouble);
    int64_t sign = atomic_load(&reader->last_sign_ns);
    if (!what && sign && instant_monotonic_ns() - sign > ORDERED_SILENCE_NS)
        what = "the server is silent";
    return what;
}

bool ordered_link_was_lost(struct ordered *reader)
{
    return atomic_load(&reader->trouble) == link_lost;
}

void ordered_suspect(struct ordered *reader)
{
    lock_first(reader->hub);
    trouble(reader, link_lost);
    unlock(reader->hub);
}
