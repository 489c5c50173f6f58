/* For siblings in src/metrics only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "metrics/labels.h"
#include "metrics/registry.h"
#include "metrics/table.h"

/*
 * Lists whose elements never move: chunk c holds FIRST_CHUNK << c of them. What is not used of the
 * last chunk has never been touched, so it takes address space, not memory.
 */
#define FIRST_CHUNK 4u
#define CHUNKS_MAX  29 /* all that a 32-bit index can reach */

static inline unsigned chunk_of(uint32_t index)
{
    return 31u - (unsigned)__builtin_clz(index + FIRST_CHUNK) - 2u;
}

static inline uint32_t chunk_begin(unsigned chunk)
{
    return (FIRST_CHUNK << chunk) - FIRST_CHUNK;
}

/* The value or the sum, and what its kind needs beside it. */
struct cell {
    double value;
    union {
        int64_t stamp_ns;    /* of a gauge */
        uint64_t *counts;    /* a histogram's, bucket_count + 1, not cumulative */
        struct u64map *keys; /* a distinct set's */
    };
    struct column *column;
    uint32_t series; /* its number in the family */
    bool overflow;   /* a label is `__overflow__` */
    bool watched;    /* the next write is noted, see registry_watch() */
};

enum { NOT_HELD = 0, HELD_UNSEEN = -1 };

struct series {
    const char *text; /* a="x",b="y": what a scrape shows between the braces; never moves */
    uint32_t text_len;
    uint32_t hash;
    int64_t held; /* a counter shown at 0: HELD_UNSEEN, or since this monotonic time */
};

/* The values that a label has had in a column. */
struct label_values {
    struct u64map seen; /* hash of the text as it is shown */
    uint64_t dropped;   /* events whose value became `__overflow__` */
};

/* The cells of one family in one partition, in order of birth. */
struct column {
    struct family *family;
    struct partition *partition;
    struct cell *cells[CHUNKS_MAX];
    uint64_t *counts[CHUNKS_MAX]; /* of histograms */
    uint32_t count, overflow_count;
    struct table by_text; /* of the series -> cell */
    struct label_values *labels;
};

struct family {
    struct registry *registry;
    struct metric_spec spec;
    size_t index; /* in the registry */
    struct series *series[CHUNKS_MAX];
    uint32_t series_count, held_count;
    struct table by_text;
    struct column **columns; /* one per partition that ever had cells */
    size_t column_count, column_room;
};

struct partition {
    struct registry *registry;
    char *name;
    struct column **columns; /* by family; NULL: none yet */
    size_t column_room;
    size_t distinct_count;
};

/* Texts that stay where they are until the registry goes. */
struct text_block {
    struct text_block *next;
    size_t used, room;
    char bytes[];
};

struct registry {
    pthread_mutex_t lock;
    atomic_uint references;
    struct family **families;
    size_t family_count, family_room;
    struct partition **partitions;
    size_t partition_count, partition_room;
    struct text_block *texts;
    size_t series_count, distinct_max;
    bool folds_shown, births_held;
    int64_t first_zero_ns, now_ns;
    struct label_text wanted;      /* working space of partition_cell() */
    void (*before)(void *context); /* an exposition */
    void *before_context;
    bool watching;
    struct cell **touched; /* written since they were looked at last, each once */
    size_t touched_count, touched_room;
};

/* Before a cell is written: it is noted where somebody watches. */
void cell_note_touched(struct cell *cell);
static inline void cell_touch(struct cell *cell)
{
    if (__builtin_expect(cell->watched, false))
        cell_note_touched(cell);
}

/* What an exposition is made of; history.c writes the same texts. */
void expose_header(struct buf *out, const struct metric_spec *spec, enum exposition_format format);
void expose_bound(struct buf *out, double bound);

struct registry *registry_keep(struct registry *registry);

static inline struct series *family_series(const struct family *family, uint32_t index)
{
    unsigned chunk = chunk_of(index);
    return &family->series[chunk][index - chunk_begin(chunk)];
}

static inline struct cell *column_cell(const struct column *column, uint32_t index)
{
    unsigned chunk = chunk_of(index);
    return &column->cells[chunk][index - chunk_begin(chunk)];
}

/* NULL: the partition has no cells of it. */
struct column *partition_column(const struct partition *partition, const struct family *family);
/* The cell of a series in this column, or NULL. */
struct cell *column_find(const struct column *column, const struct series *series);
/* The cell for these values whatever the limits say: it was there when they were written down. */
struct cell *partition_restore_cell(struct partition *partition, struct family *family,
                                    const struct slice *values);
void partition_restore_dropped(struct partition *partition, struct family *family, size_t label,
                               uint64_t count);
