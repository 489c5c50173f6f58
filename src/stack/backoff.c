#include "stack/backoff.h"

static int64_t with_jitter(int64_t delay_ns, uint32_t random)
{
    int64_t quarter = delay_ns / 4;
    return delay_ns - quarter + (int64_t)random % (2 * quarter + 1);
}

bool backoff_death(struct backoff *backoff, int64_t lived_ns, uint32_t random,
                   int64_t *ret_delay_ns)
{
    if (lived_ns >= BACKOFF_QUICK_NS)
        *backoff = (struct backoff){0};
    else
        backoff->quick_deaths++;
    backoff->deaths++;
    if (backoff->quick_deaths >= BACKOFF_QUICK_DEATHS_MAX)
        return false;

    int64_t delay_ns = BACKOFF_FIRST_NS;
    for (unsigned i = 1; i < backoff->deaths && delay_ns < BACKOFF_MAX_NS; i++)
        delay_ns *= 2;
    if (delay_ns > BACKOFF_MAX_NS)
        delay_ns = BACKOFF_MAX_NS;
    *ret_delay_ns = with_jitter(delay_ns, random);
    return true;
}
