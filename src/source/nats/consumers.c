/* Consumers: what their leader reports. Progress is judged, not pending: nats.md, "lag". */
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/nats/nats.h"

static const struct known_kind kind;

static void tell(struct nats_watch *watch, const struct known_consumer *known, const char *type,
                 json_t *data)
{
    nats_known_tell(watch, &kind, &known->head, type, data);
}

/* --- stalls ----------------------------------------------------------------------------------- */

/* Undelivered messages, also where the consumer itself denies it: without a filter, what the stream
 * has behind the last delivered one. */
static bool has_work(const struct consumer_report *report, const struct known_stream *stream)
{
    if (report->pending || report->ack_pending)
        return true;
    return !report->filtered && stream && stream->head.has_state &&
           stream->state.last_seq > report->delivered_stream_seq && stream->state.messages &&
           report->delivered_stream_seq + 1 >= stream->state.first_seq;
}

static const char *class_of(const struct consumer_report *report)
{
    if (report->max_ack_pending && report->ack_pending >= report->max_ack_pending)
        return "ack_pending_full";
    if (report->is_push ? !report->push_bound : report->waiting == 0)
        return "nobody_pulls";
    return report->pending ? "server_stuck" : NULL;
}

static const char *stall_of(const struct nats_watch *watch, const struct known_consumer *known,
                            const struct consumer_report *report, const struct known_stream *stream)
{
    if (report->paused)
        return NULL;
    /* The stream's state was read from another server a moment before: only what it had even at
     * this look's end counts. */
    if (stream && stream->head.has_state && report->delivered_stream_seq > stream->state.last_seq &&
        known->head.has_state && known->delivered_seq == report->delivered_seq)
        return "ahead_of_stream";
    if (!has_work(report, stream) ||
        watch->now_ns - known->progressed_ns < watch->options->stall_after_ns)
        return NULL;
    return class_of(report);
}

static bool same_class(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static void judge_stall(struct nats_watch *watch, struct known_consumer *known,
                        const struct consumer_report *report, const struct known_stream *stream)
{
    const char *stalled = stall_of(watch, known, report, stream);
    double still = (double)(watch->now_ns - known->progressed_ns) / 1e9;
    if (same_class(stalled, known->stalled))
        return;
    if (known->stalled)
        tell(watch, known, "ConsumerRecovered", json_pack("{s:s}", "class", known->stalled));
    if (stalled)
        tell(watch, known, "ConsumerStalled",
             json_pack("{s:s, s:f, s:I, s:I, s:I}", "class", stalled, "still_seconds", still,
                       "pending", (json_int_t)report->pending, "ack_pending",
                       (json_int_t)report->ack_pending, "waiting", (json_int_t)report->waiting));
    known->stalled = stalled;
}

/* --- samples ---------------------------------------------------------------------------------- */

/* Since when the stream has had messages that were not delivered; 0: it is not behind. What lies
 * before the first look cannot be known. */
static double lag_seconds(const struct nats_watch *watch, const struct consumer_report *report,
                          const struct known_stream *stream)
{
    if (!report->pending || !stream)
        return 0;
    const struct stream_course *course = &stream->course;
    for (size_t i = 0; i < course->count; i++) {
        if (course->last_seq[i] > report->delivered_stream_seq)
            return (double)(watch->now_ns - course->at_ns[i]) / 1e9;
    }
    return 0;
}

static void sample(struct nats_watch *watch, struct known_consumer *known,
                   const struct consumer_report *report, const struct known_stream *stream,
                   uint64_t delivered)
{
    uint64_t parts[] = {report->delivered_seq, report->floor_seq,   report->pending,
                        report->ack_pending,   report->redelivered, report->waiting,
                        report->head.server,   report->push_bound,  report->paused,
                        known->stalled != NULL};
    uint64_t hash = XXH3_64bits(parts, sizeof parts);
    /* Lag in seconds grows by itself. */
    if (report->pending)
        hash ^= watch->looks;
    if (!nats_sample_due(watch, &known->head, hash))
        return;
    json_t *data = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:b, s:s, s:s}", "server",
        watch->servers[report->head.server].name, "delivered_consumer_sequence",
        (json_int_t)report->delivered_seq, "delivered_stream_sequence",
        (json_int_t)report->delivered_stream_seq, "ack_floor_consumer_sequence",
        (json_int_t)report->floor_seq, "ack_floor_stream_sequence",
        (json_int_t)report->floor_stream_seq, "ack_pending", (json_int_t)report->ack_pending,
        "redelivered", (json_int_t)report->redelivered, "waiting", (json_int_t)report->waiting,
        "lag_messages", (json_int_t)report->pending, "lag_seconds",
        lag_seconds(watch, report, stream), "delivered", (json_int_t)delivered, "paused",
        report->paused, "kind", report->is_push ? "push" : "pull", "cluster",
        watch->servers[report->head.server].cluster);
    (void)json_object_set_new(data, "stalled", json_integer(known->stalled != NULL));
    if (known->stalled)
        (void)json_object_set_new(data, "class", json_string(known->stalled));
    if (report->filter)
        (void)json_object_set_new(data, "filter", json_string(report->filter));
    nats_known_sample(watch, &kind, &known->head, "ConsumerSampled", data);
}

static void judge(struct nats_watch *watch, void *opaque, const void *all, size_t count)
{
    struct known_consumer *known = opaque;
    const struct consumer_report *reports = all, *leader = NULL;
    for (size_t i = 0; i < count; i++) {
        if (reports[i].head.leads)
            leader = &reports[i];
    }
    if (!leader)
        return;
    if (known->head.leader[0] && strcmp(known->head.leader, leader->head.leader) != 0)
        tell(
            watch, known, "ConsumerLeaderElected",
            json_pack("{s:s, s:s}", "leader", leader->head.leader, "previous", known->head.leader));
    memcpy(known->head.leader, leader->head.leader, sizeof known->head.leader);
    bool other = known->head.created_ns && known->head.created_ns != leader->head.created_ns;
    known->head.created_ns = leader->head.created_ns;
    bool moved = !known->head.has_state || other || known->delivered_seq != leader->delivered_seq ||
                 known->floor_stream_seq != leader->floor_stream_seq;
    if (moved)
        known->progressed_ns = watch->now_ns;
    uint64_t delivered =
        known->head.has_state && !other && leader->delivered_seq > known->delivered_seq
            ? leader->delivered_seq - known->delivered_seq
            : 0;
    const struct known_stream *stream =
        nats_stream_find(watch, known->head.account, known->head.stream);
    judge_stall(watch, known, leader, stream);
    known->delivered_seq = leader->delivered_seq;
    known->floor_stream_seq = leader->floor_stream_seq;
    known->head.has_state = true;
    sample(watch, known, leader, stream, delivered);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void going(struct nats_watch *watch, void *opaque)
{
    const struct known_consumer *known = opaque;
    if (known->stalled)
        tell(watch, known, "ConsumerRecovered", json_pack("{s:s}", "class", known->stalled));
}

static const struct known_kind kind = {
    .aggregate = "consumer",
    .created = "ConsumerCreated",
    .deleted = "ConsumerDeleted",
    .known_size = sizeof(struct known_consumer),
    .report_size = sizeof(struct consumer_report),
    .judge = judge,
    .going = going,
};

void nats_consumers_judge(struct nats_watch *watch)
{
    nats_known_merge(watch, &kind, &watch->consumers, watch->reports.consumers,
                     watch->reports.consumer_count);
}

void nats_consumers_done(struct nats_watch *watch)
{
    nats_known_done(&kind, &watch->consumers);
}
