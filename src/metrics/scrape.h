/* For siblings in src/metrics only: what a scrape shows, copied out of the registry. */
#pragma once

#include "metrics/registry_internal.h"

/* One number per series, combined over the partitions. */
struct family_copy {
    const struct family *family;
    uint32_t count;
    double *values;
    uint64_t *counts; /* of histograms: bucket_count + 1 each, not cumulative */
    bool *present;
};

struct scrape {
    struct registry *registry; /* kept */
    enum exposition_format format;
    struct family_copy *families;
    size_t family_count;

    /* Where rendering stands. */
    size_t at_family;
    uint32_t at_series;
    bool headed, ended;
    struct buf bounds, sum_name, count_name; /* of the histogram at hand */
    size_t bound_at[METRIC_BUCKETS_MAX + 2];
};

void family_copy_done(struct family_copy *copy);
