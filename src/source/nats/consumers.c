/* Consumers: what their leader reports. Progress is judged, not pending: nats.md, "lag". */
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/nats/nats.h"

static void tell(struct nats_watch *watch, const struct known_consumer *known, const char *type,
                 json_t *data)
{
    (void)json_object_set_new(data, "account", json_string(known->account));
    (void)json_object_set_new(data, "stream", json_string(known->stream));
    (void)json_object_set_new(data, "consumer", json_string(known->consumer));
    source_tell(watch->sink, "consumer", known->id, type, data);
}

static void init(struct known_consumer *known, const char *key)
{
    *known = (struct known_consumer){.key = xstrdup(key), .key_parts = xstrdup(key)};
    char *tab = strchr(known->key_parts, '\t');
    *tab = 0;
    known->account = known->key_parts;
    known->stream = tab + 1;
    tab = strchr(tab + 1, '\t');
    *tab = 0;
    known->consumer = tab + 1;
    known->id = xasprintf("%s-%s-%s", known->account, known->stream, known->consumer);
}

static void done(struct known_consumer *known)
{
    free(known->key);
    free(known->key_parts);
    free(known->id);
}

/* --- stalls ----------------------------------------------------------------------------------- */

/* Undelivered messages, also where the consumer itself denies it: without a filter, what the stream
 * has behind the last delivered one. */
static bool has_work(const struct consumer_report *report, const struct known_stream *stream)
{
    if (report->pending || report->ack_pending)
        return true;
    return !report->filtered && stream && stream->has_state &&
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
    if (stream && stream->has_state && report->delivered_stream_seq > stream->state.last_seq &&
        known->has_state && known->delivered_seq == report->delivered_seq)
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
                        report->server,        report->push_bound,  report->paused,
                        known->stalled != NULL};
    uint64_t hash = XXH3_64bits(parts, sizeof parts);
    /* Lag in seconds grows by itself. */
    if (report->pending)
        hash ^= watch->looks;
    if (!nats_sample_due(watch, hash, &known->sample_hash, &known->sampled_at, known->key))
        return;
    json_t *data = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:b, s:s, s:s}",
        "account", known->account, "stream", known->stream, "consumer", known->consumer, "server",
        watch->servers[report->server].name, "delivered_consumer_sequence",
        (json_int_t)report->delivered_seq, "delivered_stream_sequence",
        (json_int_t)report->delivered_stream_seq, "ack_floor_consumer_sequence",
        (json_int_t)report->floor_seq, "ack_floor_stream_sequence",
        (json_int_t)report->floor_stream_seq, "ack_pending", (json_int_t)report->ack_pending,
        "redelivered", (json_int_t)report->redelivered, "waiting", (json_int_t)report->waiting,
        "lag_messages", (json_int_t)report->pending, "lag_seconds",
        lag_seconds(watch, report, stream), "delivered", (json_int_t)delivered, "paused",
        report->paused, "kind", report->is_push ? "push" : "pull", "cluster",
        watch->servers[report->server].cluster);
    (void)json_object_set_new(data, "stalled", json_integer(known->stalled != NULL));
    if (known->stalled)
        (void)json_object_set_new(data, "class", json_string(known->stalled));
    if (report->filter)
        (void)json_object_set_new(data, "filter", json_string(report->filter));
    source_sample(watch->sink, "consumer", known->id, "ConsumerSampled",
                  NATS_HOLDS_LOOKS * watch->options->interval_ns, data);
}

static void judge(struct nats_watch *watch, struct known_consumer *known,
                  const struct consumer_report *reports, size_t count)
{
    const struct consumer_report *leader = NULL;
    known->servers = 0;
    for (size_t i = 0; i < count; i++) {
        known->servers |= UINT64_C(1) << reports[i].server;
        if (reports[i].leads)
            leader = &reports[i];
    }
    if (!leader)
        return;
    if (known->leader[0] && strcmp(known->leader, leader->leader) != 0)
        tell(watch, known, "ConsumerLeaderElected",
             json_pack("{s:s, s:s}", "leader", leader->leader, "previous", known->leader));
    memcpy(known->leader, leader->leader, sizeof known->leader);
    bool other = known->created_ns && known->created_ns != leader->created_ns;
    known->created_ns = leader->created_ns;
    bool moved = !known->has_state || other || known->delivered_seq != leader->delivered_seq ||
                 known->floor_stream_seq != leader->floor_stream_seq;
    if (moved)
        known->progressed_ns = watch->now_ns;
    uint64_t delivered = known->has_state && !other && leader->delivered_seq > known->delivered_seq
                             ? leader->delivered_seq - known->delivered_seq
                             : 0;
    const struct known_stream *stream = nats_stream_find(watch, known->account, known->stream);
    judge_stall(watch, known, leader, stream);
    known->delivered_seq = leader->delivered_seq;
    known->floor_stream_seq = leader->floor_stream_seq;
    known->has_state = true;
    sample(watch, known, leader, stream, delivered);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void gone(struct nats_watch *watch, struct known_consumer *known)
{
    if (known->stalled)
        tell(watch, known, "ConsumerRecovered", json_pack("{s:s}", "class", known->stalled));
    tell(watch, known, "ConsumerDeleted", json_object());
    done(known);
}

void nats_consumers_judge(struct nats_watch *watch)
{
    const struct nats_reports *reports = &watch->reports;
    struct known_consumer *next =
        xcalloc(watch->consumer_count + reports->consumer_count + 1, sizeof *next);
    size_t count = 0, old = 0, at = 0;
    while (old < watch->consumer_count || at < reports->consumer_count) {
        int order = old == watch->consumer_count ? 1
                    : at == reports->consumer_count
                        ? -1
                        : strcmp(watch->consumers[old].key, reports->consumers[at].key);
        if (order < 0) {
            struct known_consumer *known = &watch->consumers[old++];
            if (nats_servers_sound(watch, known->servers))
                gone(watch, known);
            else
                next[count++] = *known;
            continue;
        }
        size_t end = at;
        while (end < reports->consumer_count &&
               !strcmp(reports->consumers[end].key, reports->consumers[at].key))
            end++;
        struct known_consumer *known = &next[count++];
        if (order == 0) {
            *known = watch->consumers[old++];
        } else {
            init(known, reports->consumers[at].key);
            if (!nats_first_look(watch))
                tell(watch, known, "ConsumerCreated", json_object());
        }
        judge(watch, known, reports->consumers + at, end - at);
        at = end;
    }
    free(watch->consumers);
    watch->consumers = next;
    watch->consumer_count = count;
}

void nats_consumers_done(struct nats_watch *watch)
{
    for (size_t i = 0; i < watch->consumer_count; i++)
        done(&watch->consumers[i]);
    free(watch->consumers);
}
