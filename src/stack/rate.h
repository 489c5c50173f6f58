/*
 * rate: events per second, from what the monitor's /metrics says at two times.
 */
#pragma once

#include "base/instant.h"

struct rate {
    double total; /* of the last reading */
    int64_t at_ns;
    double per_second;
    bool has_total, has_rate;
};

/* The sum of all series of `name` in Prometheus text; false when there is none (absent is not
 * zero). */
bool metrics_sum(struct slice text, const char *name, double *ret_sum);

/* Reads `cim_events_total`. A total that goes back is a new monitor: the rate is unknown until
 * next. */
void rate_update(struct rate *rate, struct slice metrics, int64_t now_ns);
