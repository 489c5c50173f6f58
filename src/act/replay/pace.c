#include "act/replay/replay_internal.h"
#include "base/instant.h"

#include <time.h>

enum { STEP_MS = 100 };

/* When the next event is due, on the monotonic clock. */
static int64_t due_ns(const struct replay *replay, int64_t stored_at_ns)
{
    const struct pace *pace = &replay->pace;
    int64_t due = 0;
    if (replay->options->rate > 0)
        due = pace->began_ns + (int64_t)((double)pace->taken * 1e9 / replay->options->rate);
    if (replay->options->speed > 0) {
        double apart = (double)(stored_at_ns - pace->first_stored_ns) / replay->options->speed;
        if (pace->began_ns + (int64_t)apart > due)
            due = pace->began_ns + (int64_t)apart;
    }
    return due;
}

static int step(struct replay *replay, int64_t left_ns, struct error *err)
{
    const struct target *target = &replay->target;
    int64_t step_ns = left_ns < STEP_MS * NS_PER_MS ? left_ns : STEP_MS * NS_PER_MS;
    if (target->kind->poll && step_ns >= NS_PER_MS)
        return target->kind->poll(&replay->target, (int)(step_ns / NS_PER_MS), err);
    struct timespec nap = {.tv_nsec = step_ns};
    (void)nanosleep(&nap, NULL); /* a signal ends it */
    return 0;
}

int pace_wait(struct replay *replay, int64_t stored_at_ns, struct error *err)
{
    struct pace *pace = &replay->pace;
    if (replay->options->rate <= 0 && replay->options->speed <= 0)
        return 0;
    if (!pace->began_ns) {
        pace->began_ns = instant_monotonic_ns();
        pace->first_stored_ns = stored_at_ns;
    }
    int64_t due = due_ns(replay, stored_at_ns);
    pace->taken++;
    for (int64_t now; (now = instant_monotonic_ns()) < due && !replay_is_stopped(replay);) {
        if (step(replay, due - now, err) < 0 || replay_keep(replay, err) < 0)
            return -1;
    }
    return 0;
}
