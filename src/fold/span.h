/*
 * span: what has begun and waits for its end, by key. For siblings in src/fold only.
 *
 *     ROLE_SPAN    start --------------- end            histogram of durations
 *     ROLE_ABSENT  after --- within ---!- ... expect     counter at `!`, and a gauge from `!` on
 *
 * Open spans belong to the state of their stream and to its snapshot. Nothing here looks at a
 * clock: time is that at which the stream stored its messages, so that equal streams give equal
 * counters. A stream that is quiet has no time; what is overdue by the clock is added to the gauge
 * when it is shown, and only there.
 *
 * Bounded by open_max for each rule and stream: past it the oldest span is given up. All that is
 * given up is counted, by rule and reason. Cost: an event that is no start and no end of a span
 * compares one number; a start or an end costs one lookup. Memory: 56 bytes a span, 32 of its
 * index, and the labels that its start gave.
 *
 * In a snapshot (base/codec.h): count { name of the rule, fixed fingerprint, SPAN_REASONS numbers,
 * count { fixed key, stored_ns, occurred_ns, flags, text of labels } oldest first }.
 */
#pragma once

#include "base/codec.h"
#include "fold/engine_internal.h"

enum span_reason {
    SPAN_EVICTED,          /* open_max */
    SPAN_TIMEOUT,          /* its end, or the expected event, did not come */
    SPAN_RESTARTED,        /* `restart`: another start with its key */
    SPAN_STREAM_RECREATED, /* what comes now is another history */
    SPAN_NO_START,         /* an end without a start; counted, though nothing was open */
    SPAN_NEGATIVE,         /* the end lies before the start */
    SPAN_NO_TIME,          /* one of both has no time by the rule's clock */
    SPAN_REASONS,
};

struct span {
    uint64_t key;
    int64_t stored_ns, occurred_ns; /* 0, and without has_occurred: not known */
    uint32_t before, after;         /* in order of birth; `after` links the free ones too */
    bool has_occurred, is_overdue;
    uint16_t label_room;
    uint16_t label_len;
    char *labels; /* values from the start event, a NUL behind each; kept with a free span */
};

#define SPAN_NONE UINT32_MAX

struct spans {
    struct span *items;
    uint32_t count, used, room;
    uint32_t first, last;   /* by birth */
    uint32_t first_waiting; /* the overdue ones are older than the others */
    uint32_t free;
    struct u64map by_key; /* -> place + 1 */
    uint64_t given_up[SPAN_REASONS];
};

void spans_declare(struct engine *engine);
/* The event now in engine->eval, to which `action` applies, ends or begins a span. */
void spans_act(struct engine *engine, struct stream_state *state,
               const struct class_action *action);
/* The stream's time is now `now_ns`, with message `seq` (0: without one). */
void spans_expire(struct engine *engine, struct stream_state *state, int64_t now_ns, uint64_t seq);
/* All of them: the stream is another one. */
void spans_give_up(struct engine *engine, struct stream_state *state);
void spans_clear(struct stream_state *state);

struct spans *spans_of(struct stream_state *state, size_t rule);
/* The youngest span, for span_state.c: false when the key is open already. `labels` are cut. */
bool spans_append(struct spans *spans, const struct span *like, struct slice labels);
/* When something happens to the oldest ones; INT64_MAX: never. */
int64_t spans_deadline(const struct metric_rule *rule, const struct spans *spans);
void spans_encode(const struct engine *engine, const struct stream_state *state, struct buf *ret);
void spans_decode(struct engine *engine, struct stream_state *state, struct codec_reader *in);
