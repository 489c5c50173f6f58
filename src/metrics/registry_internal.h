/* For siblings in src/metrics only. */
#pragma once

#include <pthread.h>

#include "metrics/registry.h"

struct cell {
    struct series *series;
    struct partition *partition;
    struct cell *next_in_series;
    double value;     /* a histogram's sum */
    int64_t stamp_ns; /* of a gauge */
    union {
        uint64_t *counts;    /* a histogram's, bucket_count + 1, not cumulative */
        struct u64map *keys; /* a distinct set's */
    };
};

struct series {
    struct family *family;
    struct cell *cells;
    char *values; /* the label values, each with a NUL behind it */
    uint32_t values_len;
    bool held;        /* a counter still shown at 0 */
    int64_t shown_ns; /* monotonic time of the first scrape that showed it; 0: none yet */
};

struct family {
    struct registry *registry;
    struct metric_spec spec;
    struct series **series; /* in order of birth */
    size_t series_count, series_room;
    uint64_t dropped;
};

struct partition {
    struct registry *registry;
    char *name;
    struct cell **cells; /* in order of birth */
    size_t cell_count, cell_room;
    struct u64map by_series; /* address of the series -> index in cells */
};

struct registry {
    pthread_mutex_t lock;
    struct family **families;
    size_t family_count, family_room;
    struct partition **partitions;
    size_t partition_count, partition_room;
    struct u64map by_labels; /* hash of family and values -> address of the series */
    size_t series_count, distinct_count, distinct_max;
    bool folds_shown, births_held;
    int64_t first_zero_ns;
};

/* Label value `index` of a series. */
struct slice series_value(const struct series *series, size_t index);
