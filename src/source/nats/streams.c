/* Streams: what their replicas report, against what is known of them. */
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/nats/nats.h"

#define QUORUM_PATIENCE (10 * NS_PER_SECOND) /* nats-server's own: no leader for so long */
#define REPLICA_LAG_MAX 1000                 /* operations behind, though it calls itself current */
#define SILENT_NS       (5 * NS_PER_SECOND)  /* a heartbeat comes every second */

static const struct known_kind kind;

/* --- one stream ------------------------------------------------------------------------------- */

static void tell(struct nats_watch *watch, const struct known_stream *known, const char *type,
                 json_t *data)
{
    nats_known_tell(watch, &kind, &known->head, type, data);
}

static void note_course(struct stream_course *course, int64_t now_ns, uint64_t last_seq)
{
    if (course->count && course->last_seq[course->count - 1] == last_seq)
        return;
    if (course->count == NATS_COURSE_MAX) {
        /* Every second one goes: the past is kept, more coarsely. */
        for (size_t i = 0; i < NATS_COURSE_MAX / 2; i++) {
            course->at_ns[i] = course->at_ns[2 * i];
            course->last_seq[i] = course->last_seq[2 * i];
        }
        course->count = NATS_COURSE_MAX / 2;
    }
    course->at_ns[course->count] = now_ns;
    course->last_seq[course->count++] = last_seq;
}

static void judge_leader(struct nats_watch *watch, struct known_stream *known,
                         const struct stream_report *reports, size_t count,
                         const struct stream_report *leader)
{
    unsigned needed = reports[0].replicas / 2 + 1;
    if (leader) {
        if (known->told_quorum_lost)
            tell(watch, known, "StreamQuorumRegained",
                 json_pack("{s:s}", "leader", leader->head.leader));
        if (known->head.leader[0] && leader->head.clustered &&
            strcmp(known->head.leader, leader->head.leader) != 0)
            tell(watch, known, "StreamLeaderElected",
                 json_pack("{s:s, s:s}", "leader", leader->head.leader, "previous",
                           known->head.leader));
        memcpy(known->head.leader, leader->head.leader, sizeof known->head.leader);
        known->leaderless_since = 0;
        known->told_quorum_lost = false;
        return;
    }
    if (!known->leaderless_since)
        known->leaderless_since = watch->now_ns;
    bool too_few = reports[0].replicas > 1 && count < needed;
    bool too_long = watch->now_ns - known->leaderless_since >= QUORUM_PATIENCE;
    if (!known->told_quorum_lost && reports[0].head.clustered && (too_few || too_long)) {
        known->told_quorum_lost = true;
        tell(watch, known, "StreamQuorumLost",
             json_pack("{s:s, s:I, s:i}", "previous", known->head.leader, "replicas_answering",
                       (json_int_t)count, "replicas_needed", (int)needed));
    }
}

/* --- replicas --------------------------------------------------------------------------------- */

static bool is_lagging(const struct nats_peer *peer)
{
    return !peer->current || peer->offline || peer->lag > REPLICA_LAG_MAX ||
           peer->active_ns > SILENT_NS;
}

static size_t place_of(const struct known_stream *known, const char *server)
{
    size_t at = 0;
    while (at < known->lagging_count && strcmp(known->lagging[at], server) != 0)
        at++;
    return at;
}

static void judge_peers(struct nats_watch *watch, struct known_stream *known,
                        const struct stream_report *leader)
{
    for (size_t i = 0; i < leader->peer_count; i++) {
        const struct nats_peer *peer = &leader->peers[i];
        size_t at = place_of(known, peer->name);
        bool was = at < known->lagging_count, is = is_lagging(peer);
        if (was == is)
            continue;
        if (is && known->lagging_count < NATS_PEERS_MAX) {
            memcpy(known->lagging[known->lagging_count++], peer->name, sizeof peer->name);
            tell(watch, known, "ReplicaLagging",
                 json_pack("{s:s, s:b, s:b, s:I, s:f}", "server", peer->name, "current",
                           peer->current, "offline", peer->offline, "lag_operations",
                           (json_int_t)peer->lag, "silent_seconds", (double)peer->active_ns / 1e9));
        } else if (was) {
            memmove(known->lagging[at], known->lagging[known->lagging_count - 1], NATS_NAME_MAX);
            known->lagging_count--;
            tell(watch, known, "ReplicaCaughtUp", json_pack("{s:s}", "server", peer->name));
        }
    }
}

static bool same_state(const struct stream_state *a, const struct stream_state *b)
{
    return a->messages == b->messages && a->bytes == b->bytes && a->first_seq == b->first_seq &&
           a->last_seq == b->last_seq && a->deleted == b->deleted;
}

/*
 * Servers are asked one after the other, so a stream in motion differs all the time. While the
 * leader stands still between two looks, a current replica must hold the same; while it moves, at
 * least what the leader had at the look before.
 */
static bool differs(const struct known_stream *known, const struct stream_report *leader,
                    const struct stream_report *replica)
{
    bool still = same_state(&known->state, &leader->state);
    return still ? !same_state(&leader->state, &replica->state)
                 : replica->state.last_seq < known->state.last_seq;
}

static json_t *states_of(const struct nats_watch *watch, const struct stream_report *reports,
                         size_t count)
{
    json_t *states = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct stream_state *state = &reports[i].state;
        (void)json_array_append_new(
            states,
            json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "server",
                      watch->servers[reports[i].head.server].name, "leader", reports[i].head.leads,
                      "messages", (json_int_t)state->messages, "bytes", (json_int_t)state->bytes,
                      "first_sequence", (json_int_t)state->first_seq, "last_sequence",
                      (json_int_t)state->last_seq, "deleted", (json_int_t)state->deleted));
    }
    return states;
}

static void judge_agreement(struct nats_watch *watch, struct known_stream *known,
                            const struct stream_report *reports, size_t count,
                            const struct stream_report *leader)
{
    bool differ = false;
    for (size_t i = 0; i < leader->peer_count; i++) {
        if (is_lagging(&leader->peers[i]) || leader->peers[i].lag)
            return; /* then it is known already, or not decided */
    }
    if (!known->head.has_state || count < 2)
        return;
    for (size_t i = 0; i < count; i++)
        differ = differ || (!reports[i].head.leads && differs(known, leader, &reports[i]));
    if (differ == known->told_differ)
        return;
    known->told_differ = differ;
    json_t *data = json_object();
    if (differ)
        (void)json_object_set_new(data, "replicas", states_of(watch, reports, count));
    tell(watch, known, differ ? "ReplicasDiffer" : "ReplicasAgree", data);
}

/* --- samples ---------------------------------------------------------------------------------- */

static void sample(struct nats_watch *watch, struct known_stream *known,
                   const struct stream_report *leader)
{
    const struct stream_state *state = &leader->state;
    size_t current = 1;
    for (size_t i = 0; i < leader->peer_count; i++)
        current += !is_lagging(&leader->peers[i]);
    uint64_t parts[] = {state->messages,   state->bytes,     state->first_seq,
                        state->last_seq,   state->deleted,   leader->subjects,
                        leader->consumers, current,          leader->head.server,
                        leader->max_bytes, leader->replicas, leader->lost_messages};
    if (!nats_sample_due(watch, &known->head, XXH3_64bits(parts, sizeof parts)))
        return;
    json_t *data = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "server",
        watch->servers[leader->head.server].name, "cluster",
        watch->servers[leader->head.server].cluster, "messages", (json_int_t)state->messages,
        "bytes", (json_int_t)state->bytes, "first_sequence", (json_int_t)state->first_seq,
        "last_sequence", (json_int_t)state->last_seq, "deleted", (json_int_t)state->deleted,
        "subjects", (json_int_t)leader->subjects, "consumers", (json_int_t)leader->consumers,
        "replicas", (json_int_t)leader->replicas, "replicas_current", (json_int_t)current,
        "storage", leader->in_memory ? "memory" : "file");
    (void)json_object_set_new(data, "quorum", json_integer(1));
    if (leader->replicas > 1)
        (void)json_object_set_new(data, "replicas_differ", json_integer(known->told_differ));
    if (leader->max_bytes)
        (void)json_object_set_new(data, "limit_bytes", json_integer((json_int_t)leader->max_bytes));
    nats_known_sample(watch, &kind, &known->head, "StreamSampled", data);
}

static void sample_leaderless(struct nats_watch *watch, struct known_stream *known)
{
    if (known->told_quorum_lost && nats_sample_due(watch, &known->head, 0))
        nats_known_sample(watch, &kind, &known->head, "StreamSampled",
                          json_pack("{s:i}", "quorum", 0));
}

static void judge_content(struct nats_watch *watch, struct known_stream *known,
                          const struct stream_report *leader)
{
    if (known->head.created_ns && known->head.created_ns != leader->head.created_ns) {
        tell(watch, known, "StreamRecreated", json_object());
        known->head.has_state = false;
        known->course.count = 0;
    } else if (known->head.has_state && leader->state.last_seq < known->state.last_seq) {
        tell(watch, known, "StreamRolledBack",
             json_pack("{s:I, s:I, s:s}", "last_sequence", (json_int_t)leader->state.last_seq,
                       "last_sequence_before", (json_int_t)known->state.last_seq, "server",
                       watch->servers[leader->head.server].name));
        known->course.count = 0;
    }
    if (leader->lost_messages > known->lost_messages)
        tell(watch, known, "StreamMessagesLost",
             json_pack("{s:I, s:I, s:s}", "messages", (json_int_t)leader->lost_messages, "bytes",
                       (json_int_t)leader->lost_bytes, "server",
                       watch->servers[leader->head.server].name));
    known->lost_messages = leader->lost_messages;
    known->head.created_ns = leader->head.created_ns;
}

static void judge(struct nats_watch *watch, void *opaque, const void *all, size_t count)
{
    struct known_stream *known = opaque;
    const struct stream_report *reports = all, *leader = NULL;
    for (size_t i = 0; i < count; i++) {
        if (reports[i].head.leads && (!leader || reports[i].peer_count > leader->peer_count))
            leader = &reports[i];
    }
    judge_leader(watch, known, reports, count, leader);
    if (!leader) {
        sample_leaderless(watch, known);
        return;
    }
    judge_content(watch, known, leader);
    judge_peers(watch, known, leader);
    judge_agreement(watch, known, reports, count, leader);
    known->state = leader->state;
    known->head.has_state = true;
    note_course(&known->course, watch->now_ns, leader->state.last_seq);
    sample(watch, known, leader);
}

/* --- all of them ------------------------------------------------------------------------------ */

static const struct known_kind kind = {
    .aggregate = "stream",
    .created = "StreamCreated",
    .deleted = "StreamDeleted",
    .known_size = sizeof(struct known_stream),
    .report_size = sizeof(struct stream_report),
    .judge = judge,
};

void nats_streams_judge(struct nats_watch *watch)
{
    nats_known_merge(watch, &kind, &watch->streams, watch->reports.streams,
                     watch->reports.stream_count);
}

static int by_key(const void *key, const void *item)
{
    return strcmp(key, ((const struct known_head *)item)->key);
}

const struct known_stream *nats_stream_find(const struct nats_watch *watch, const char *account,
                                            const char *stream)
{
    CLEANUP_FREE char *key = xasprintf("%s\t%s", account, stream);
    return watch->streams.count ? bsearch(key, watch->streams.items, watch->streams.count,
                                          sizeof(struct known_stream), by_key)
                                : NULL;
}

void nats_streams_done(struct nats_watch *watch)
{
    nats_known_done(&kind, &watch->streams);
}
