/*
 * stream:NAME, subject:PREFIX and service:SUBJECT: targets that answer later.
 *
 * How it is exact: an event is on its way once at most, and an aggregate has one on its way at most
 * (flight.h). What was sent and not answered for, because the link broke or this program was
 * killed, is looked for in the target stream itself, behind the sequence that the target had when
 * the oldest of them was taken (the floor, which is in every checkpoint): a stamp (stamp.h) says
 * which event it is. Only what is not there is sent. Bytes of a dead link that the server still
 * reads meet the Nats-Msg-Id of the second sending.
 *
 * A service keeps nothing that could be looked at: after kill -9, up to --parallel requests are
 * sent again, with the same stamp.
 */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "act/replay/flight.h"
#include "act/replay/replay_internal.h"
#include "act/replay/stamp.h"
#include "base/instant.h"
#include "base/memory.h"
#include "bus/publisher.h"
#include "read/scan.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    SEND_TIMEOUT_MS = 5000,
    POLL_EVERY = 64, /* sendings, for answers that have come meanwhile */
    RETRY_MS = 200,
    WAIT_MS = 100,
    NAP_MS = 10,         /* where nothing can come */
    BREAKS_FORGIVEN = 3, /* more without an answer in between: it may be what we send */
    REPLY_SHOWN_MAX = 200,
    /* Of one connection: enough that the server never waits. More would only make each answer wait
     * longer, and with it the next event of its aggregate. */
    SENT_MAX = 256,
};
static const int64_t patience_ns = 60 * NS_PER_SECOND; /* for a target that is away */
static const int64_t silence_ns = 20 * NS_PER_SECOND;  /* sent, and no answer: the link is dead */
static const int64_t service_timeout_ns = 5 * NS_PER_SECOND;

struct async {
    struct flight flight;
    struct publisher *links[REPLAY_PARALLEL_MAX];
    size_t link_count, sent, sent_max;
    size_t payload_max; /* with headers; 0: not known */
    bool is_service;
    char *stream, *created, *prefix; /* of the target; stream NULL: a service */
    uint64_t base, last_seq;         /* its last sequence when we began, and as far as we know */
    struct u64map stored;            /* events beyond the frontier that it has */
    uint64_t *stored_last;           /* per stream: the last of them */
    uint64_t stored_floor;           /* behind which they were looked for */
    uint64_t floor;                  /* as of the positions that settle() gave out */
    struct buf block, subject, reason; /* block: of headers, with the stamp */
    struct replay_figures began;       /* what was counted before this process */
    bool broken, failed, silent;       /* silent: it broke because nothing came */
    struct error problem;              /* of either */
    int64_t trouble_ns;   /* since when it does not go on; 0: it does */
    int64_t pause_until, answer_ns;
    unsigned breaks; /* of the link, without an answer in between */
    uint64_t sendings;
};

/* --- what an answer means --------------------------------------------------------------------- */

enum verdict { VERDICT_DONE, VERDICT_AGAIN, VERDICT_REFUSED };

static enum verdict judge_stream(struct async *async, const struct publisher_ack *ack)
{
    buf_reset(&async->reason);
    if (!ack->error && slice_eq(ack->stream, slice_of(async->stream)))
        return VERDICT_DONE;
    if (!ack->error) {
        buf_addf(&async->reason, "stream %.*s took it, not %s", SLICE_ARG(ack->stream),
                 async->stream);
        return VERDICT_REFUSED;
    }
    buf_add_str(&async->reason, ack->error);
    return ack->no_stream || ack->transient ? VERDICT_AGAIN : VERDICT_REFUSED;
}

/* {"error": ...}, {"status": "error"|"failed"|"rejected"}, {"success": false}: events.md,
 * section 4. */
static bool body_refuses(struct slice body, struct buf *reason)
{
    static const char *const bad[] = {"error",  "failed",   "rejected",
                                      "Failed", "Rejected", "TimedOut"};
    bool refuses = slice_starts(body, SLICE("Error"));
    if (body.len && body.ptr[0] == '{') {
        json_t *root = json_loadb(body.ptr, body.len, 0, NULL);
        const char *status = json_string_value(json_object_get(root, "status"));
        json_t *error = json_object_get(root, "error");
        refuses =
            (error && !json_is_null(error)) || json_is_false(json_object_get(root, "success"));
        for (size_t i = 0; status && i < ARRAY_LEN(bad); i++)
            refuses = refuses || !strcmp(status, bad[i]);
        json_decref(root);
    }
    if (refuses)
        buf_add(reason, body.ptr, body.len < REPLY_SHOWN_MAX ? body.len : REPLY_SHOWN_MAX);
    return refuses;
}

static enum verdict judge_service(struct async *async, const struct publisher_ack *ack)
{
    buf_reset(&async->reason);
    if (ack->no_stream) {
        buf_add_str(&async->reason, "nobody answers on this subject");
        return VERDICT_AGAIN;
    }
    if (ack->service_error) {
        buf_add_str(&async->reason, ack->service_error);
        return VERDICT_REFUSED;
    }
    return body_refuses(ack->body, &async->reason) ? VERDICT_REFUSED : VERDICT_DONE;
}

static void fail(struct async *async, const struct error *problem)
{
    if (!async->failed)
        async->problem = *problem;
    async->failed = true;
}

/* Refused for good: skipped, parked, or the end. */
static void refuse(struct target *target, struct slot *slot, const char *reason)
{
    struct async *async = target->own;
    struct error problem = ERROR_NONE;
    struct refused refused = {.stream = slot->stream,
                              .seq = slot->seq,
                              .aggregate = slot->aggregate,
                              .subject = buf_slice(&slot->subject),
                              .tries = slot->tries};
    uint64_t skipped = target->replay->figures.skipped;
    if (replay_refused(target->replay, &refused, reason, &problem) < 0)
        fail(async, &problem);
    else
        flight_settle(&async->flight, slot,
                      target->replay->figures.skipped > skipped ? SLOT_SKIPPED : SLOT_PARKED);
}

static void again(struct target *target, struct slot *slot, bool is_trouble)
{
    struct async *async = target->own;
    int64_t now = instant_monotonic_ns();
    target->replay->figures.retried++;
    if (!async->trouble_ns && is_trouble)
        async->trouble_ns = now;
    async->pause_until = now + RETRY_MS * NS_PER_MS;
    flight_again(&async->flight, slot);
}

static void count_replayed(struct replay *replay, const struct slot *slot)
{
    replay->figures.replayed++;
    replay->figures.bytes += slot->payload.len;
}

/* What was stored before is no longer there. */
static void went_back(struct async *async, uint64_t seq, uint64_t floor)
{
    struct error problem = ERROR_NONE;
    (void)error_set(&problem, EXIT_CODE_DAMAGED,
                    "stream %s stored at %llu behind %llu: it was created anew, or its server lost "
                    "what it had acknowledged",
                    async->stream, (unsigned long long)seq, (unsigned long long)floor);
    fail(async, &problem);
}

static void on_ack(void *context, const struct publisher_ack *ack)
{
    struct target *target = context;
    struct async *async = target->own;
    struct slot *slot = flight_find(&async->flight, ack->tag);
    async->answer_ns = instant_monotonic_ns();
    if (!slot)
        return;
    async->sent--;
    switch (async->is_service ? judge_service(async, ack) : judge_stream(async, ack)) {
    case VERDICT_DONE:
        async->trouble_ns = 0;
        async->breaks = 0;
        if (!async->is_service && !ack->duplicate && ack->seq <= slot->floor) {
            went_back(async, ack->seq, slot->floor);
            break;
        }
        if (ack->seq > async->last_seq && !async->is_service)
            async->last_seq = ack->seq;
        count_replayed(target->replay, slot);
        flight_settle(&async->flight, slot, SLOT_TAKEN);
        break;
    case VERDICT_AGAIN: again(target, slot, true); break;
    case VERDICT_REFUSED: refuse(target, slot, buf_cstr(&async->reason)); break;
    }
}

/* --- what the target has ---------------------------------------------------------------------- */

static uint64_t place_key(size_t stream, uint64_t seq)
{
    uint64_t parts[2] = {stream, seq};
    return XXH3_64bits(parts, sizeof parts);
}

static size_t stream_of(const struct selection *selection, struct slice name)
{
    size_t i = 0;
    while (i < selection->stream_count && !slice_eq(slice_of(selection->streams[i].name), name))
        i++;
    return i;
}

static int note_stored(void *context, const struct bus_message *message, struct error *err)
{
    struct target *target = context;
    struct async *async = target->own;
    struct stamp stamp;
    bool fresh;
    (void)err;
    if (!stamp_read(message->header_block, &stamp) ||
        !slice_eq(stamp.replay, slice_of(target->replay->record.id)))
        return 0;
    size_t stream = stream_of(&target->replay->selection, stamp.stream);
    if (stream == target->replay->selection.stream_count)
        return 0;
    (void)u64map_put(&async->stored, place_key(stream, stamp.seq), &fresh);
    if (stamp.seq > async->stored_last[stream])
        async->stored_last[stream] = stamp.seq;
    return 0;
}

/* Of the target stream, behind `floor`; the end as it is now. */
static int find_stored(struct target *target, uint64_t floor, struct error *err)
{
    struct async *async = target->own;
    struct stream_info info = {0};
    if (stream_info(target->replay->to, async->stream, &info, err) < 0)
        return err->code == EXIT_CODE_PROBLEM
                   ? error_set(err, EXIT_CODE_DAMAGED,
                               "stream %s is no longer there: what was replayed into it is gone",
                               async->stream)
                   : -1;
    int rc = 0;
    if (async->created && strcmp(async->created, info.created) != 0)
        rc = error_set(err, EXIT_CODE_DAMAGED,
                       "stream %s was created anew at %s: what was replayed "
                       "into it is gone",
                       async->stream, info.created);
    else if (info.last_seq < floor)
        rc = error_set(err, EXIT_CODE_DAMAGED,
                       "stream %s ends at %llu, and had %llu: its server lost what it had "
                       "acknowledged",
                       async->stream, (unsigned long long)info.last_seq, (unsigned long long)floor);
    struct scan_options options = {.bus = target->replay->to,
                                   .stream = async->stream,
                                   .first_seq = floor + 1,
                                   .last_seq = info.last_seq,
                                   .each = note_stored,
                                   .context = target};
    if (rc == 0 && info.messages && info.last_seq > floor)
        rc = scan_stream(&options, err);
    if (rc == 0) {
        async->last_seq = info.last_seq;
        async->stored_floor = floor;
    }
    stream_info_done(&info);
    return rc;
}

/*
 * Behind which the target has what is beyond the frontier. What was found there lies behind the
 * floor of then, until the frontier has passed all of it; what is sent, behind what its slot says.
 */
static uint64_t floor_of(const struct target *target)
{
    struct async *async = target->own;
    const struct flight *flight = &async->flight;
    for (size_t i = 0; i < target->replay->selection.stream_count; i++) {
        if (flight->positions[i] <= async->stored_last[i])
            return async->stored_floor;
    }
    return flight->head == flight->tail ? async->last_seq
                                        : flight->slots[flight->head % flight->room].floor;
}

/* When it has been passed, nothing of it is asked for any more. */
static void forget_stored(const struct target *target)
{
    struct async *async = target->own;
    for (size_t i = 0; i < target->replay->selection.stream_count; i++) {
        if (async->flight.positions[i] <= async->stored_last[i])
            return;
    }
    u64map_done(&async->stored);
    async->stored = (struct u64map){0};
}

static bool is_stored(struct async *async, size_t stream, uint64_t seq)
{
    return async->stored.count && u64map_remove(&async->stored, place_key(stream, seq));
}

/* --- a link that broke ------------------------------------------------------------------------ */

static int reopen(struct target *target, struct error *err)
{
    struct async *async = target->own;
    for (size_t i = 0; i < async->link_count; i++) {
        if (publisher_reopen(async->links[i], err) < 0)
            return -1;
    }
    return async->is_service ? 0 : find_stored(target, floor_of(target), err);
}

static bool has_patience(const struct target *target, const struct async *async)
{
    int64_t limit = replay_is_stopped(target->replay) ? patience_ns / 12 : patience_ns;
    return instant_monotonic_ns() - async->trouble_ns < limit && !bus_is_closed(target->replay->to);
}

/* What was on its way and is there is settled; the rest goes again. */
static void sort_out(struct target *target)
{
    struct async *async = target->own;
    struct flight *flight = &async->flight;
    for (uint64_t tag = flight->head; tag < flight->tail; tag++) {
        struct slot *slot = &flight->slots[tag % flight->room];
        if (slot->tag == tag && slot->state == SLOT_SENT &&
            is_stored(async, slot->stream, slot->seq)) {
            count_replayed(target->replay, slot);
            flight_settle(flight, slot, SLOT_TAKEN);
        }
    }
    flight_rewind(flight);
    async->sent = 0;
}

static int recover(struct target *target, struct error *err)
{
    struct async *async = target->own;
    const struct timespec nap = {.tv_nsec = RETRY_MS * NS_PER_MS};
    struct error problem = async->problem;
    if (!async->trouble_ns)
        async->trouble_ns = instant_monotonic_ns();
    target->replay->figures.retried += async->sent;
    if (async->breaks++ && has_patience(target, async))
        (void)nanosleep(&nap, NULL);
    if (!has_patience(target, async))
        return error_set(err, problem.code, "%s", problem.text);
    while (reopen(target, &problem) < 0) {
        if (problem.code != EXIT_CODE_UNREACHABLE || !has_patience(target, async))
            return error_set(err, problem.code, "%s", problem.text);
        (void)nanosleep(&nap, NULL);
    }
    sort_out(target);
    async->broken = false;
    if ((async->breaks <= BREAKS_FORGIVEN && !async->silent) ||
        async->flight.head == async->flight.tail)
        async->trouble_ns = 0;
    async->silent = false;
    async->answer_ns = instant_monotonic_ns();
    return 0;
}

static void broke(struct async *async, const struct error *problem)
{
    async->broken = true;
    if (!async->failed)
        async->problem = *problem;
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct slice subject_of(struct async *async, const struct slot *slot)
{
    buf_reset(&async->subject);
    if (async->prefix)
        buf_add_str(&async->subject, async->prefix);
    if (async->prefix && !async->is_service)
        buf_add_char(&async->subject, '.');
    if (!async->is_service)
        buf_add_slice(&async->subject, buf_slice(&slot->subject));
    return buf_slice(&async->subject);
}

/* -1: the link broke. What cannot be sent at all is refused. */
static int send_slot(struct target *target, struct slot *slot, struct error *err)
{
    struct async *async = target->own;
    struct replay *replay = target->replay;
    struct stamp stamp = {.replay = slice_of(replay->record.id),
                          .stream = slice_of(replay->selection.streams[slot->stream].name),
                          .seq = slot->seq,
                          .stored_at_ns = slot->stored_at_ns};
    const char *why;
    char large[192];
    if (!stamp_make(&async->block, buf_slice(&slot->headers), &stamp, !async->is_service, &why)) {
        refuse(target, slot, why);
        return 0;
    }
    struct slice subject = subject_of(async, slot);
    if (subject.len >= PUBLISHER_SUBJECT_MAX) {
        (void)snprintf(large, sizeof large,
                       "its subject would have %zu bytes there, and %d are the most", subject.len,
                       PUBLISHER_SUBJECT_MAX - 1);
        refuse(target, slot, large);
        return 0;
    }
    size_t size = async->block.len + slot->payload.len;
    if (async->payload_max && size > async->payload_max) {
        (void)snprintf(large, sizeof large,
                       "it has %zu bytes with the headers that a replay adds, and the target's "
                       "server takes %zu (max_payload)",
                       size, async->payload_max);
        refuse(target, slot, large);
        return 0;
    }
    if (!async->sent++)
        async->answer_ns = instant_monotonic_ns();
    return publisher_send_block(async->links[slot->aggregate % async->link_count], slot->tag,
                                subject, buf_slice(&async->block), buf_slice(&slot->payload),
                                SEND_TIMEOUT_MS, err);
}

static void take_answers(struct async *async, int wait_ms)
{
    struct error problem = ERROR_NONE;
    for (size_t i = 0; i < async->link_count && !async->broken; i++) {
        bool waits = publisher_in_flight(async->links[i]) > 0;
        if (publisher_poll(async->links[i], waits ? wait_ms : 0, &problem) < 0)
            broke(async, &problem);
        if (waits)
            wait_ms = 0;
    }
}

/* When a stop was asked for, what is on its way is waited for, and nothing more is sent. */
static bool may_send(const struct target *target, int64_t now_ns)
{
    const struct async *async = target->own;
    return now_ns >= async->pause_until && replay_has_lease(target->replay, now_ns) &&
           !replay_is_stopped(target->replay);
}

static void pump(struct target *target)
{
    struct async *async = target->own;
    struct slot *slot;
    uint64_t parked;
    char why[64];
    while (!async->broken && !async->failed && async->sent < async->sent_max &&
           may_send(target, instant_monotonic_ns()) &&
           (slot = flight_next(&async->flight)) != NULL) {
        struct error problem = ERROR_NONE;
        if (slot->stored) {
            count_replayed(target->replay, slot);
            flight_settle(&async->flight, slot, SLOT_TAKEN);
        } else if (replay_is_blocked(target->replay, slot->aggregate, &parked)) {
            (void)snprintf(why, sizeof why, "it waits behind the parked %llu of its aggregate",
                           (unsigned long long)parked);
            refuse(target, slot, why);
        } else if (send_slot(target, slot, &problem) < 0) {
            broke(async, &problem);
        }
        if (++async->sendings % POLL_EVERY == 0)
            take_answers(async, 0);
    }
}

/* What must not be published gets no answer, however long one waits. */
static void watch_complaints(struct async *async)
{
    struct error problem = ERROR_NONE;
    for (size_t i = 0; async->sent && i < async->link_count; i++) {
        const char *complaint = publisher_complaint(async->links[i]);
        if (!strstr(complaint, "Permissions Violation for Publish"))
            continue;
        (void)error_set(&problem, EXIT_CODE_UNREACHABLE, "the target's server says: %s", complaint);
        fail(async, &problem);
        return;
    }
}

/* A request that is not answered in time, and a link on which nothing comes at all. */
static void watch_time(struct target *target)
{
    struct async *async = target->own;
    int64_t now = instant_monotonic_ns();
    if (async->sent && !async->is_service && now - async->answer_ns > silence_ns) {
        struct error problem = ERROR_NONE;
        (void)error_set(&problem, EXIT_CODE_UNREACHABLE, "stream %s does not answer",
                        async->stream);
        if (!async->trouble_ns)
            async->trouble_ns = async->answer_ns;
        async->silent = true;
        broke(async, &problem);
    }
    for (uint64_t tag = async->flight.head; async->is_service && tag < async->flight.tail; tag++) {
        struct slot *slot = flight_find(&async->flight, tag);
        if (!slot || now - slot->sent_ns < service_timeout_ns)
            continue;
        async->sent--;
        if (slot->tries > target->replay->options->retries)
            refuse(target, slot, "no answer in time");
        else
            again(target, slot, false); /* --retries is their limit */
    }
}

/* Is anything on its way? Where nothing is, nothing can be waited for. */
static void nap(const struct async *async, int wait_ms)
{
    const struct timespec nap = {.tv_nsec = (wait_ms < NAP_MS ? wait_ms : NAP_MS) * NS_PER_MS};
    for (size_t i = 0; i < async->link_count; i++) {
        if (publisher_in_flight(async->links[i]) > 0)
            return;
    }
    if (wait_ms > 0)
        (void)nanosleep(&nap, NULL); /* a signal ends it */
}

static int async_poll(struct target *target, int wait_ms, struct error *err)
{
    struct async *async = target->own;
    if (!replay_has_lease(target->replay, instant_monotonic_ns())) {
        if (replay_renew(target->replay, err) < 0)
            return -1;
        if (!replay_has_lease(target->replay, instant_monotonic_ns())) {
            if (!async->trouble_ns)
                async->trouble_ns = instant_monotonic_ns();
            buf_reset(&async->reason);
            buf_add_str(&async->reason, "nothing is sent while the record of the replay cannot be "
                                        "written");
        }
    }
    pump(target);
    if (!async->broken) {
        nap(async, wait_ms);
        take_answers(async, wait_ms);
    }
    watch_time(target);
    watch_complaints(async);
    if (async->failed)
        return error_set(err, async->problem.code, "%s", async->problem.text);
    if (async->broken && recover(target, err) < 0)
        return -1;
    if (async->trouble_ns && async->flight.head != async->flight.tail &&
        !has_patience(target, async))
        return error_set(err, EXIT_CODE_UNREACHABLE, "%s: %s",
                         async->is_service ? async->prefix : async->stream,
                         async->reason.len ? buf_cstr(&async->reason) : "it does not answer");
    return 0;
}

static int async_take(struct target *target, const struct replay_event *event, struct error *err)
{
    struct async *async = target->own;
    while (!flight_has_room(&async->flight)) {
        if (async_poll(target, WAIT_MS, err) < 0 || replay_keep(target->replay, err) < 0)
            return -1;
        if (replay_is_stopped(target->replay)) { /* not taken, and it comes again */
            target->replay->interrupted = !target->replay->cancelled;
            return error_set(err, EXIT_CODE_DAMAGED, "stopped");
        }
    }
    struct slot *slot = flight_take(&async->flight, event);
    slot->floor = async->last_seq;
    slot->read = target->replay->figures.read; /* what lies before it */
    slot->stored = is_stored(async, event->stream, event->seq);
    if (event->seq % POLL_EVERY == 0)
        return async_poll(target, 0, err);
    pump(target);
    return 0;
}

/* What the frontier has passed, on top of what there was when this process began. */
static void count_settled(struct replay *replay, const struct async *async)
{
    const struct flight *flight = &async->flight;
    const struct slot *head = &flight->slots[flight->head % flight->room];
    uint64_t read = flight->head == flight->tail ? replay->figures.read : head->read;
    replay->settled = async->began;
    replay->settled.read = read > async->began.read ? read : async->began.read;
    replay->settled.replayed += flight->ended[SLOT_TAKEN];
    replay->settled.bytes += flight->taken_bytes;
    replay->settled.skipped += flight->ended[SLOT_SKIPPED];
    replay->settled.parked += flight->ended[SLOT_PARKED];
    replay->settled.retried = replay->figures.retried;
}

static int async_settle(struct target *target, bool all, uint64_t *positions, struct error *err)
{
    struct async *async = target->own;
    struct flight *flight = &async->flight;
    struct replay *replay = target->replay;
    do {
        if (async_poll(target, all && flight->head != flight->tail ? WAIT_MS : 0, err) < 0 ||
            (all && replay_keep(target->replay, err) < 0))
            return -1;
    } while (all && flight->head != flight->tail &&
             (async->sent || !replay_is_stopped(target->replay)));
    for (size_t i = 0; i < replay->selection.stream_count; i++) {
        if (flight->head == flight->tail && replay->read[i] >= flight->positions[i])
            flight->positions[i] = replay->read[i] + 1;
        positions[i] = flight->positions[i];
    }
    count_settled(replay, async);
    if (!async->is_service) {
        async->floor = floor_of(target);
        forget_stored(target);
    }
    return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int open_links(struct target *target, size_t count, struct error *err)
{
    struct async *async = target->own;
    const struct replay *replay = target->replay;
    if (replay->looking)
        return 0;
    if (replay->resumed && replay_load_blocked(target->replay, err) < 0)
        return -1;
    flight_init(&async->flight, replay->options->batch, replay->positions,
                replay->selection.stream_count);
    async->began = replay->figures;
    async->sent_max = async->is_service ? replay->options->parallel : count * SENT_MAX;
    if (async->sent_max > replay->options->batch)
        async->sent_max = replay->options->batch;
    async->payload_max = bus_payload_max(replay->to);
    for (size_t i = 0; i < count; i++) {
        /* Requests without an answer are no longer waited for, and never seen again. */
        size_t window = async->is_service ? SIZE_MAX : replay->options->batch;
        if (publisher_new(replay->to, window, on_ack, target, &async->links[i], err) < 0)
            return -1;
        async->link_count++;
    }
    return 0;
}

static struct async *async_new(struct target *target)
{
    struct async *async = xcalloc(1, sizeof *async);
    size_t streams = target->replay->selection.stream_count;
    async->stored_last = xcalloc(streams + 1, sizeof *async->stored_last);
    target->own = async;
    return async;
}

static void async_close(struct target *target)
{
    struct async *async = target->own;
    if (!async)
        return;
    for (size_t i = 0; i < async->link_count; i++)
        publisher_free(async->links[i]);
    if (async->flight.slots)
        flight_done(&async->flight);
    u64map_done(&async->stored);
    free(async->stored_last);
    buf_done(&async->block);
    buf_done(&async->subject);
    buf_done(&async->reason);
    free(async->stream);
    free(async->created);
    free(async->prefix);
    free(async);
    target->own = NULL;
}

/* --- streams ---------------------------------------------------------------------------------- */

/* Is every subject of the selection one that these take? */
static bool takes_all(const struct selection *selection, const struct stream_info *info)
{
    for (size_t i = 0; i < selection->stream_count; i++) {
        if (!selection->streams[i].subject_count)
            return false; /* not known */
        for (size_t j = 0; j < selection->streams[i].subject_count; j++) {
            bool taken = false;
            for (size_t k = 0; k < info->subject_count && !taken; k++)
                taken = subject_covers(slice_of(info->subjects[k]),
                                       slice_of(selection->streams[i].subjects[j]));
            if (!taken)
                return false;
        }
    }
    return true;
}

/* What stands before the subjects, by what the stream takes. Heap; NULL: nothing, or an error. */
static int choose_prefix(struct target *target, const struct stream_info *info, bool same,
                         char **ret, struct error *err)
{
    const struct replay *replay = target->replay;
    const char *given = replay->options->prefix;
    *ret = given && *given ? xstrdup(given) : NULL;
    if (given || (!same && takes_all(&replay->selection, info)))
        return 0;
    struct slice subject = slice_of(info->subject_count == 1 ? info->subjects[0] : "");
    if (subject.len > 2 && !strcmp(subject.ptr + subject.len - 2, ".>") &&
        !memchr(subject.ptr, '*', subject.len)) {
        *ret = xstrndup(subject.ptr, subject.len - 2);
        return 0;
    }
    return error_set(
        err, EXIT_CODE_USAGE,
        "stream %s takes subjects that do not say what is to stand before those of the "
        "events; say it by --prefix",
        info->name);
}

/* None there yet: one that takes nothing but this. */
static int create_stream(struct target *target, bool same, struct error *err)
{
    const struct replay *replay = target->replay;
    const struct selection *selection = &replay->selection;
    const char *subjects[256];
    size_t count = 0;
    bool created;
    const char *prefix = replay->options->prefix; /* "": none at all is asked for */
    CLEANUP_FREE char *own = xasprintf("%s.>", prefix && *prefix ? prefix : target->where);
    if (prefix ? *prefix != 0 : same)
        subjects[count++] = own;
    for (size_t i = 0; !count && i < selection->stream_count; i++) {
        for (size_t j = 0; j < selection->streams[i].subject_count && count < 256; j++)
            subjects[count++] = selection->streams[i].subjects[j];
        if (i + 1 < selection->stream_count)
            continue;
    }
    return stream_ensure_replicated(replay->to, target->where, subjects, count,
                                    same ? replay_replicas(replay) : 1, &created, err);
}

/* Is it read itself, by its own name or as the origin of another? */
static int guard_origin(struct target *target, const char *name, bool same, struct error *err)
{
    const struct selection *selection = &target->replay->selection;
    for (size_t i = 0; same && i < selection->stream_count; i++) {
        const struct selection_stream *stream = &selection->streams[i];
        if (!strcmp(stream->name, name))
            return error_set(err, EXIT_CODE_REFUSED,
                             "the target would feed back: stream %s is replayed itself; choose "
                             "others by --stream",
                             name);
        for (size_t j = 0; j < stream->origin_count; j++) {
            if (!strcmp(stream->origins[j], name))
                return error_set(err, EXIT_CODE_REFUSED,
                                 "the target would feed back: stream %s, which is replayed, is "
                                 "sourced from %s",
                                 stream->name, name);
        }
    }
    return 0;
}

static int guard_stream(struct target *target, const struct stream_info *info, const char *prefix,
                        struct error *err)
{
    struct replay *replay = target->replay;
    const struct selection *selection = &replay->selection;
    uint64_t expected = 0;
    for (size_t i = 0; i < selection->stream_count; i++)
        expected += selection->streams[i].messages;
    if (info->limits.sealed)
        return error_set(err, EXIT_CODE_REFUSED, "stream %s is sealed", info->name);
    if (info->limits.messages >= 0 && selection->whole && !replay->resumed &&
        info->messages + expected > (uint64_t)info->limits.messages)
        return error_set(
            err, EXIT_CODE_REFUSED,
            "stream %s holds %lld messages at most, has %llu, and %llu would come: %s; "
            "raise max_msgs",
            info->name, (long long)info->limits.messages, (unsigned long long)info->messages,
            (unsigned long long)expected,
            info->limits.discard_new ? "the last would be refused"
                                     : "it would drop the first ones again");
    CLEANUP_FREE char *filter = prefix ? xasprintf("%s.>", prefix) : NULL;
    return prefix ? target_guard_feedback(replay, filter, err) : 0;
}

/* What the stream is, or would be; info->name is NULL when it is not there. */
static int look_at_stream(struct target *target, const char *name, const char *prefix,
                          bool *ret_same, struct stream_info *info, char **ret_prefix,
                          struct error *err)
{
    struct replay *replay = target->replay;
    struct error problem = ERROR_NONE;
    *ret_prefix = NULL;
    if (target_is_same_account(replay, ret_same, err) < 0 ||
        guard_origin(target, name, *ret_same, err) < 0)
        return -1;
    if (stream_info(replay->to, name, info, &problem) < 0) {
        *info = (struct stream_info){0};
        return problem.code == EXIT_CODE_PROBLEM ? 0
                                                 : error_set(err, problem.code, "%s", problem.text);
    }
    if (prefix)
        *ret_prefix = xstrdup(prefix);
    else if (choose_prefix(target, info, *ret_same, ret_prefix, err) < 0)
        return -1;
    return guard_stream(target, info, *ret_prefix, err);
}

static int stream_check(struct target *target, struct buf *words, struct error *err)
{
    struct stream_info info = {0};
    CLEANUP_FREE char *prefix = NULL;
    const char *given = target->replay->options->prefix;
    bool same = false;
    int rc = look_at_stream(target, target->where, NULL, &same, &info, &prefix, err);
    if (rc == 0 && !info.name)
        buf_addf(words, "stream %s, made new, for %s%s", target->where,
                 same || given ? (given && *given ? given : target->where) : "the same subjects",
                 same || given ? ".>" : "");
    else if (rc == 0)
        buf_addf(words, "stream %s (%llu messages now), subjects %s%s", info.name,
                 (unsigned long long)info.messages, prefix ? "under " : "as they are",
                 prefix ? prefix : "");
    stream_info_done(&info);
    return rc;
}

static int open_stream(struct target *target, const char *name, const char *prefix, json_t *state,
                       struct error *err)
{
    struct async *async = target->own;
    struct stream_info info = {0};
    bool same = false;
    int rc = look_at_stream(target, name, prefix, &same, &info, &async->prefix, err);
    if (rc == 0 && !info.name) {
        if (state)
            return error_set(err, EXIT_CODE_DAMAGED, "stream %s is no longer there", name);
        if (create_stream(target, same, err) < 0)
            return -1;
        rc = look_at_stream(target, name, prefix, &same, &info, &async->prefix, err);
    }
    if (rc == 0 && info.name) {
        async->stream = xstrdup(name);
        async->created = xstrdup(info.created);
        async->base = async->last_seq = async->floor = info.last_seq;
        target_look_for_others(target->replay, &info);
    }
    stream_info_done(&info);
    return rc;
}

static int go_on_from(struct target *target, json_t *state, struct error *err)
{
    struct async *async = target->own;
    const char *created = json_string_value(json_object_get(state, "created"));
    if (!state)
        return 0;
    free(async->created);
    async->created = xstrdup(created ? created : "");
    async->base = (uint64_t)json_integer_value(json_object_get(state, "base"));
    async->floor = (uint64_t)json_integer_value(json_object_get(state, "floor"));
    return find_stored(target, async->floor, err);
}

static int stream_open(struct target *target, json_t *state, struct error *err)
{
    const char *prefix = json_string_value(json_object_get(state, "prefix"));
    (void)async_new(target);
    if (open_stream(target, target->where, prefix, state, err) < 0 ||
        go_on_from(target, state, err) < 0)
        return -1;
    return open_links(target, target->replay->options->parallel, err);
}

static json_t *stream_state(struct target *target)
{
    const struct async *async = target->own;
    return json_pack("{s:s, s:s, s:s*, s:I, s:I}", "stream", async->stream, "created",
                     async->created, "prefix", async->prefix, "base", (json_int_t)async->base,
                     "floor", (json_int_t)async->floor);
}

/* --- subjects --------------------------------------------------------------------------------- */

/* The stream that takes what is published; none: *ret_name stays empty. */
static int look_at_subject(struct target *target, struct buf *ret_name, struct error *err)
{
    CLEANUP_FREE char *filter = xasprintf("%s.>", target->where);
    struct error problem = ERROR_NONE;
    if (!subject_is_filter(slice_of(filter)) || strchr(target->where, '*'))
        return error_set(err, EXIT_CODE_USAGE,
                         "--target: '%s' is no prefix of subjects, such as replay.test",
                         target->where);
    if (target_guard_feedback(target->replay, filter, err) < 0)
        return -1;
    if (stream_of_subject(target->replay->to, filter, ret_name, &problem) < 0 &&
        problem.code != EXIT_CODE_PROBLEM)
        return error_set(err, problem.code, "%s", problem.text);
    return 0;
}

static int subject_check(struct target *target, struct buf *words, struct error *err)
{
    CLEANUP_BUF struct buf name = {0};
    if (look_at_subject(target, &name, err) < 0)
        return -1;
    buf_addf(words, "subjects under %s, ", target->where);
    if (name.len)
        buf_addf(words, "which stream %s takes", buf_cstr(&name));
    else if (target->replay->options->verify)
        return error_set(err, EXIT_CODE_USAGE,
                         "--verify: no stream takes what is published under %s, so nothing is kept "
                         "that could be verified",
                         target->where);
    else
        buf_add_str(words, "which no stream takes: core NATS, at most once");
    if (!name.len)
        target->kind = &target_core;
    return 0;
}

/* Where a stream takes them, they are acknowledged; else they are gone once they are sent. */
static int subject_open(struct target *target, json_t *state, struct error *err)
{
    struct replay *replay = target->replay;
    CLEANUP_BUF struct buf name = {0};
    if (look_at_subject(target, &name, err) < 0)
        return -1;
    if (!name.len) {
        target->kind = &target_core;
        return target->kind->open(target, state, err);
    }
    (void)async_new(target);
    if (open_stream(target, buf_cstr(&name), target->where, state, err) < 0 ||
        go_on_from(target, state, err) < 0)
        return -1;
    return open_links(target, replay->options->parallel, err);
}

/* --- services --------------------------------------------------------------------------------- */

static int service_check(struct target *target, struct buf *words, struct error *err)
{
    if (!subject_is_filter(slice_of(target->where)) || strpbrk(target->where, "*>"))
        return error_set(err, EXIT_CODE_USAGE, "--target: '%s' is no subject", target->where);
    buf_addf(words, "requests to %s, %u at a time, %u tries each", target->where,
             target->replay->options->parallel, target->replay->options->retries + 1);
    return target_guard_feedback(target->replay, target->where, err);
}

static int service_open(struct target *target, json_t *state, struct error *err)
{
    struct async *async = async_new(target);
    (void)state;
    async->is_service = true;
    async->prefix = xstrdup(target->where);
    return open_links(target, 1, err);
}

static json_t *service_state(struct target *target)
{
    (void)target;
    return json_object();
}

/* --- verify ----------------------------------------------------------------------------------- */

struct back {
    struct target *target;
    struct digest *digest;
    struct buf block, name;
};

static struct slice without_prefix(const struct async *async, struct slice subject)
{
    size_t cut = async->prefix ? strlen(async->prefix) + 1 : 0;
    return slice_from(subject, cut);
}

static int take_back(void *context, const struct bus_message *message, struct error *err)
{
    struct back *back = context;
    struct replay *replay = back->target->replay;
    struct events_reader *reader = &replay->selection.reader;
    struct stamp stamp;
    const char *why = NULL;
    if (!stamp_read(message->header_block, &stamp) ||
        !slice_eq(stamp.replay, slice_of(replay->record.id)))
        return 0;
    buf_reset(&back->block);
    buf_reset(&back->name);
    stamp_strip(message->header_block, &back->block);
    struct event_input input = {.subject = without_prefix(back->target->own, message->subject),
                                .payload = message->payload,
                                .header_block =
                                    back->block.len ? buf_slice(&back->block) : SLICE_ABSENT,
                                .seq = stamp.seq,
                                .stored_at_ns = message->stored_at_ns};
    struct events_row row = {.input = &input, .payload = message->payload};
    if (!engine_view(reader->engine, &input, &row.view, &row.envelope, &why))
        row.malformed = why;
    replay_aggregate_name(&row, &back->name);
    struct digest_event event = {.key = replay_aggregate_key(&row),
                                 .name = buf_slice(&back->name),
                                 .stream = stamp.stream,
                                 .subject = input.subject,
                                 .payload = message->payload,
                                 .seq = stamp.seq};
    return digest_add(back->digest, &event, err);
}

static int stream_read_back(struct target *target, struct digest *digest, struct error *err)
{
    struct async *async = target->own;
    struct back back = {.target = target, .digest = digest};
    struct stream_info info = {0};
    if (stream_info(target->replay->to, async->stream, &info, err) < 0)
        return -1;
    struct scan_options options = {.bus = target->replay->to,
                                   .stream = async->stream,
                                   .created = async->created,
                                   .first_seq = async->base + 1,
                                   .last_seq = info.last_seq,
                                   .each = take_back,
                                   .context = &back};
    int rc = info.last_seq > async->base ? scan_stream(&options, err) : 0;
    stream_info_done(&info);
    buf_done(&back.block);
    buf_done(&back.name);
    return rc;
}

/* ---------------------------------------------------------------------------------------------- */

const struct target_kind target_stream = {
    .name = "stream",
    .doing = "published into",
    .with_views = true,
    .once = true,
    .memory_bytes = FLIGHT_BYTES_MAX + REPLAY_BATCH_MAX * sizeof(struct slot),
    .check = stream_check,
    .open = stream_open,
    .take = async_take,
    .poll = async_poll,
    .settle = async_settle,
    .state = stream_state,
    .close = async_close,
    .read_back = stream_read_back,
};

const struct target_kind target_subject = {
    .name = "subject",
    .doing = "published under",
    .with_views = true,
    .once = true,
    .memory_bytes = FLIGHT_BYTES_MAX + REPLAY_BATCH_MAX * sizeof(struct slot),
    .check = subject_check,
    .open = subject_open,
    .take = async_take,
    .poll = async_poll,
    .settle = async_settle,
    .state = stream_state,
    .close = async_close,
    .read_back = stream_read_back,
};

const struct target_kind target_service = {
    .name = "service",
    .doing = "sent as requests to",
    .with_views = true,
    .memory_bytes = FLIGHT_BYTES_MAX + REPLAY_BATCH_MAX * sizeof(struct slot),
    .check = service_check,
    .open = service_open,
    .take = async_take,
    .poll = async_poll,
    .settle = async_settle,
    .state = service_state,
    .close = async_close,
};
