/*
 * subject:PREFIX where no stream takes it: core NATS, at most once each time it is sent. Nobody
 * keeps what was sent, so after kill -9 what came behind the last checkpoint is sent again.
 */
#include <stdio.h>

#include "act/replay/replay_internal.h"
#include "act/replay/stamp.h"
#include "base/memory.h"

enum { FLUSH_MS = 10000 };

struct core {
    struct buf block, subject;
};

static int core_open(struct target *target, json_t *state, struct error *err)
{
    target->own = xcalloc(1, sizeof(struct core));
    (void)state;
    return target->replay->resumed ? replay_load_blocked(target->replay, err) : 0;
}

static int refuse(struct replay *replay, const struct replay_event *event, const char *why,
                  struct error *err)
{
    struct refused refused = {.stream = event->stream,
                              .seq = event->seq,
                              .aggregate = event->aggregate,
                              .subject = event->subject};
    return replay_refused(replay, &refused, why, err);
}

static int core_take(struct target *target, const struct replay_event *event, struct error *err)
{
    struct core *core = target->own;
    struct replay *replay = target->replay;
    struct stamp stamp = {.replay = slice_of(replay->record.id),
                          .stream = slice_of(replay->selection.streams[event->stream].name),
                          .seq = event->seq,
                          .stored_at_ns = event->stored_at_ns};
    const char *why;
    char waits[64];
    uint64_t parked = 0;
    if (replay_is_blocked(replay, event->aggregate, &parked)) {
        (void)snprintf(waits, sizeof waits, "it waits behind the parked %llu of its aggregate",
                       (unsigned long long)parked);
        return refuse(replay, event, waits, err);
    }
    if (!stamp_make(&core->block, event->header_block, &stamp, false, &why))
        return refuse(replay, event, why, err);
    struct event_header parsed[STAMP_HEADERS_MAX];
    struct bus_header headers[STAMP_HEADERS_MAX];
    int count = event_headers_parse(buf_slice(&core->block), parsed, STAMP_HEADERS_MAX);
    for (int i = 0; i < count; i++)
        headers[i] = (struct bus_header){parsed[i].name, parsed[i].value};
    buf_reset(&core->subject);
    buf_addf(&core->subject, "%s.%.*s", target->where, SLICE_ARG(event->subject));
    if (bus_publish(replay->to, buf_slice(&core->subject), NULL, headers, (size_t)count,
                    event->payload, err) < 0)
        return -1;
    replay->figures.replayed++;
    replay->figures.bytes += event->payload.len;
    return 0;
}

static int core_settle(struct target *target, bool all, uint64_t *positions, struct error *err)
{
    struct replay *replay = target->replay;
    (void)all;
    if (bus_flush(replay->to, FLUSH_MS, err) < 0)
        return -1;
    replay_pass_read(target->replay, positions);
    replay->settled = replay->figures;
    return 0;
}

static json_t *core_state(struct target *target)
{
    (void)target;
    return json_object();
}

static void core_close(struct target *target)
{
    struct core *core = target->own;
    if (!core)
        return;
    buf_done(&core->block);
    buf_done(&core->subject);
    free(core);
    target->own = NULL;
}

const struct target_kind target_core = {
    .name = "subject",
    .doing = "published (no stream takes them) under",
    .with_views = true,
    .check = NULL, /* it is chosen when target_subject is opened */
    .open = core_open,
    .take = core_take,
    .settle = core_settle,
    .state = core_state,
    .close = core_close,
};
