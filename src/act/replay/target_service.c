/* service:SUBJECT: a request for each event (async.h). */
#include <jansson.h>
#include <string.h>

#include "act/replay/async.h"
#include "base/memory.h"

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
    return async_open_links(target, 1, err);
}

static json_t *service_state(struct target *target)
{
    (void)target;
    return json_object();
}

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
