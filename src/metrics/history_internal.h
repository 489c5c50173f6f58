/* For history*.c only: recording, sorting, writing. */
#pragma once

#include "metrics/history.h"
#include "metrics/registry_internal.h"

/* One effect: `amount` is added to a part of a series at a step (set, for gauges; the largest, for
 * timestamps). Sorted by place, step and part; what is equal stays in the order of the fold. */
struct change {
    uint64_t place; /* chunk, family, series: see change_place() */
    uint32_t step, part;
    double amount;
};

enum { FAMILY_BITS = 12, SERIES_BITS = 32 };

static inline uint64_t change_place(uint64_t chunk, uint64_t family, uint64_t series)
{
    return chunk << (FAMILY_BITS + SERIES_BITS) | family << SERIES_BITS | series;
}

static inline uint64_t place_chunk(uint64_t place)
{
    return place >> (FAMILY_BITS + SERIES_BITS);
}

static inline bool change_before(const struct change *a, const struct change *b)
{
    if (a->place != b->place)
        return a->place < b->place;
    return a->step != b->step ? a->step < b->step : a->part < b->part;
}

/* How the changes of a family come together. */
enum history_way { WAY_ADD, WAY_SET, WAY_MAX };

/* --- sorted changes (history_sort.c) ---------------------------------------------------------- */

struct run {
    uint64_t at, left; /* in the file, in changes */
    struct change *window;
    size_t window_count, window_used;
};

struct changes {
    struct change *items, *spare;
    size_t count, room;
    int fd; /* -1: nothing was spilled */
    struct run *runs;
    size_t run_count, run_room;
    uint64_t spilled;
    size_t *heap; /* of runs, by their first change; memory's own is the last run */
    size_t heap_count;
    const char *temp_dir;
    enum history_way *ways; /* by family */
};

int changes_add(struct changes *changes, struct change change, struct error *err);
/* After the last one: from here on changes_peek() and changes_take(). */
int changes_sort(struct changes *changes, struct error *err);
/* NULL: the end. */
const struct change *changes_peek(const struct changes *changes);
int changes_take(struct changes *changes, struct error *err);
void changes_done(struct changes *changes);

/* --- series and their families ---------------------------------------------------------------- */

struct track {
    const struct series *series;
    uint32_t family; /* index into wanted families */
    uint32_t first_step;
    bool born;      /* writing: it has values */
    bool late;      /* begins behind the family's last step */
    double *values; /* writing: of each part */
    double *last;   /* what counters and sums must come to, and never pass */
};

struct wanted {
    const struct family *family;
    int64_t until_ns;
    uint32_t from_step, last_step; /* the last one stands at until_ns, on the grid or not */
    size_t parts;
    enum history_way way;
    struct track *tracks;
    size_t track_count, track_room;
};

struct history {
    struct registry *registry;
    struct history_options options;
    struct wanted *families; /* in the order of the registry, so that an exposition is */
    size_t family_count;
    struct u64map by_series; /* address -> family and track */
    struct u64map by_cell;   /* address -> first value in shadows */
    double *shadows;         /* what each cell held when it was looked at last */
    size_t shadow_count, shadow_room;
    struct changes changes;
    uint32_t step, idle_steps;
    uint64_t steps_per_chunk;
    int64_t stored_ns, next_until_ns;
    bool begun, failed;
    struct error problem;
    uint64_t chunk, last_chunk; /* writing: the next one */
    uint32_t last_step;         /* of all families */
    uint32_t chunk_first, chunk_last;
    uint64_t samples;
    int64_t first_written_ns, last_written_ns;
    struct buf out, prefixes;
};

static inline bool kind_counts(enum metric_kind kind)
{
    return kind == METRIC_COUNTER || kind == METRIC_HISTOGRAM;
}
