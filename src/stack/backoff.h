/*
 * backoff: when a child that died is started again, and when that is given up.
 *
 * The delay doubles from BACKOFF_FIRST_NS to BACKOFF_MAX_NS with a quarter of jitter either way, so
 * that parts which fell together do not rise together. A life of BACKOFF_QUICK_NS or more clears
 * the count. Pure: the caller brings the time and the random number.
 */
#pragma once

#include "base/instant.h"

#define BACKOFF_FIRST_NS         (NS_PER_SECOND / 2)
#define BACKOFF_MAX_NS           (30 * NS_PER_SECOND)
#define BACKOFF_QUICK_NS         (10 * NS_PER_SECOND)
#define BACKOFF_QUICK_DEATHS_MAX 5

struct backoff {
    unsigned quick_deaths; /* in a row */
    unsigned deaths;       /* since the last long life; drives the delay */
};

/*
 * Notes a death after a life of `lived_ns`. True: start again after *ret_delay_ns. False: it was
 * the fifth quick death in a row, give up.
 */
bool backoff_death(struct backoff *backoff, int64_t lived_ns, uint32_t random,
                   int64_t *ret_delay_ns);
