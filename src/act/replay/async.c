#include "act/replay/async.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "read/scan.h"

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
int async_find_stored(struct target *target, uint64_t floor, struct error *err)
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
static uint64_t async_floor(const struct target *target)
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
    return async->is_service ? 0 : async_find_stored(target, async_floor(target), err);
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

int async_poll(struct target *target, int wait_ms, struct error *err)
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

int async_take(struct target *target, const struct replay_event *event, struct error *err)
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

int async_settle(struct target *target, bool all, uint64_t *positions, struct error *err)
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
        async->floor = async_floor(target);
        forget_stored(target);
    }
    return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

int async_open_links(struct target *target, size_t count, struct error *err)
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

struct async *async_new(struct target *target)
{
    struct async *async = xcalloc(1, sizeof *async);
    size_t streams = target->replay->selection.stream_count;
    async->stored_last = xcalloc(streams + 1, sizeof *async->stored_last);
    target->own = async;
    return async;
}

void async_close(struct target *target)
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
