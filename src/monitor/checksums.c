/*
 * The checksum of a stream's state, by which two monitors on one stream show that they agree.
 *
 * Both must take it at the same sequences. Time as the stream has it is cut into windows of equal
 * length; what is summed is the state behind the last message that was stored in a window: taken by
 * the fold thread when the first message of a later one comes, or by the main thread when none
 * comes and the window is over. So which sequences are summed depends on the stream alone. While
 * the monitor is more than two windows behind, none are: at most one copy of a state per window and
 * stream (about 10 ms for a million series), and the sum itself is made by the main thread.
 */
#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

#define CHECKSUM_BITS UINT64_C(0x1fffffffffffff)    /* what a double holds exactly */
enum { WAITING_MAX = 16 };                          /* copies; a window more is left out */
static const int64_t settle_ns = 1 * NS_PER_SECOND; /* behind a window's end, by another clock */

static void take_copy(struct monitor *monitor, struct tracked *tracked)
{
    struct stream_checksum *sum = &tracked->checksum;
    uint64_t seq = state_seq(tracked->state);
    if (!seq || seq != state_known_seq(tracked->state) || (sum->known && sum->seq == seq))
        return;
    if (sum->copy && state_copy_seq(sum->copy) == seq)
        return;
    if (!sum->copy && atomic_load(&monitor->checksums_waiting) >= WAITING_MAX)
        return;
    if (!sum->copy)
        atomic_fetch_add(&monitor->checksums_waiting, 1);
    state_copy_free(sum->copy);
    sum->copy = state_copy_new(monitor->engine, tracked->state);
    monitor_wake(monitor);
}

void checksums_before(struct monitor *monitor, struct tracked *tracked, int64_t stored_at_ns,
                      int64_t now_ns)
{
    int64_t before = tracked->checksum.window_end_ns;
    if (stored_at_ns < before)
        return;
    int64_t length = monitor->options->checksum_interval_ns;
    int64_t begin = stored_at_ns - stored_at_ns % length;
    tracked->checksum.window_end_ns = begin + length;
    if (before && now_ns - begin < 2 * length)
        take_copy(monitor, tracked);
}

/* Nothing came since the window's end. */
static bool is_over(const struct tracked *tracked, int64_t now_ns)
{
    return tracked->present && tracked_behind(tracked) == 0 &&
           now_ns > tracked->checksum.window_end_ns + settle_ns;
}

static void sum_one(struct monitor *monitor, struct tracked *tracked)
{
    struct stream_checksum *sum = &tracked->checksum;
    uint64_t checksum = 0;
    registry_lock(monitor->registry);
    if (sum->known && sum->seq > state_seq(tracked->state))
        sum->known = false; /* the stream was made again, or lost its end */
    if (!sum->copy && is_over(tracked, instant_now_ns()))
        take_copy(monitor, tracked);
    struct state_copy *copy = sum->copy;
    sum->copy = NULL;
    registry_unlock(monitor->registry);
    if (!copy)
        return;
    atomic_fetch_sub(&monitor->checksums_waiting, 1);
    (void)state_copy_write(copy, NULL, NULL, &checksum, NULL);
    registry_lock(monitor->registry);
    sum->seq = state_copy_seq(copy);
    sum->value = (double)(checksum & CHECKSUM_BITS);
    sum->known = true;
    registry_unlock(monitor->registry);
    state_copy_free(copy);
}

void checksums_tend(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->tracked_count; i++)
        sum_one(monitor, monitor->tracked[i]);
}

void checksum_forget(struct monitor *monitor, struct tracked *tracked)
{
    if (tracked->checksum.copy)
        atomic_fetch_sub(&monitor->checksums_waiting, 1);
    state_copy_free(tracked->checksum.copy);
    tracked->checksum = (struct stream_checksum){0};
}
