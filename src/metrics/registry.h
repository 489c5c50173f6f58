/*
 * registry: metric families, their series, and the cells that folds write.
 *
 *     family  cim_events_total{domain,event_type}          declared once
 *       series  {domain="agent",event_type="AgentDeployed"}  one per label set; what a scrape shows
 *         cell    of partition "AGENT_EVENTS"                  one per stream that feeds the series
 *
 * A partition is the part of the state that belongs to one stream: it is saved and restored with
 * the stream's sequence (fold/state.h), so that each stream resumes exactly where its own counters
 * stand. A scrape adds the cells of a series up: counters and histograms by sum, gauges by the
 * newest stamp, timestamps by the largest, distinct sets by union.
 *
 * Limits hold per family and partition, so that what is kept depends on one stream's messages
 * alone: label sets (spec.series_max), values of a label (spec.label_values_max), keys of distinct
 * sets. A label set past a limit has its offending label replaced by `__overflow__`, the others
 * stay: the labels that would get one value too many, else the label with the most values so far.
 * Overflow series are limited too (OVERFLOW_SERIES_MAX); then further labels are replaced.
 *
 * Threads: one lock, held by the writer for a batch, by registry_scrape() and by
 * partition_copy_family() while they copy numbers; nothing here locks by itself. Texts are rendered
 * from copies, without the lock. Cost of writing a cell: one addition; of finding one by its
 * labels: about 100 ns. Memory: about 90 bytes a series with one cell, and its label text; a copy
 * while it is rendered: 9 bytes.
 */
#pragma once

#include "base/buf.h"
#include "base/u64map.h"

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
    METRIC_TIMESTAMP, /* the largest value seen; exposed as a gauge */
    METRIC_DISTINCT,  /* the number of distinct keys alive; exposed as a gauge */
};

#define METRIC_LABELS_MAX         12
#define METRIC_BUCKETS_MAX        32
#define SERIES_PER_FAMILY_DEFAULT 100000  /* per partition, as the next three */
#define LABEL_VALUES_DEFAULT      20000   /* of one label of a family */
#define OVERFLOW_SERIES_MAX       1000    /* of a family; beyond it, all labels overflow */
#define DISTINCT_KEYS_DEFAULT     4000000 /* of all distinct sets together */
#define LABEL_BYTES_MAX           256     /* of a value; what is longer is cut */
#define OVERFLOW_LABEL            "__overflow__"

struct metric_spec {
    const char *name, *help, *unit; /* unit NULL or "" when none: seconds, bytes ... */
    enum metric_kind kind;
    size_t label_count;
    const char *labels[METRIC_LABELS_MAX];
    size_t bucket_count; /* histogram: upper bounds, ascending, without +Inf */
    double buckets[METRIC_BUCKETS_MAX];
    size_t series_max;                          /* 0: the default */
    size_t label_values_max[METRIC_LABELS_MAX]; /* 0: the default */
    bool sums;    /* gauge: the cells of its streams add up; else the newest one is shown */
    bool expires; /* gauge: a cell holds until its stamp, by the clock; then it is not shown */
    bool own;     /* of the monitor itself: shown even while folds are withheld */
};

struct registry;
struct family;
struct series;
struct partition;
struct cell;

struct registry *registry_new(void);
/* Scrapes and copies that are still being rendered keep what they need until they are freed. */
void registry_free(struct registry *registry);
void registry_lock(struct registry *registry);
void registry_unlock(struct registry *registry);

/* The spec is copied. A name declared twice gives the first family. */
struct family *registry_family(struct registry *registry, const struct metric_spec *spec);
struct family *registry_find(const struct registry *registry, struct slice name);
size_t registry_family_count(const struct registry *registry);
struct family *registry_family_at(const struct registry *registry, size_t index);
const struct metric_spec *family_spec(const struct family *family);

struct partition *registry_partition(struct registry *registry, const char *name);
const char *partition_name(const struct partition *partition);
/* Empties it: all its cells are gone, series without any cell are no longer shown. */
void partition_clear(struct partition *partition);
/* Empties the cells of one family only. */
void partition_clear_family(struct partition *partition, const struct family *family);

/*
 * The cell for this label set in this partition, made when new. Absent values are stored as "".
 * Values are made fit for exposition: invalid UTF-8 becomes U+FFFD, a NUL ends it, and so does
 * LABEL_BYTES_MAX. Pointers stay valid until the cell is cleared. Never NULL: past a limit it is an
 * overflow cell, and each such call counts one for the labels that were replaced: ask again for
 * each event instead of keeping the pointer when cell_is_overflow().
 */
struct cell *partition_cell(struct partition *partition, struct family *family,
                            const struct slice *values);
bool cell_is_overflow(const struct cell *cell);
/* The same for families without labels or with one. */
struct cell *partition_cell1(struct partition *partition, struct family *family, const char *value);

/* False, and nothing is added: the sum would be no finite number any more. */
bool cell_add(struct cell *cell, double amount);
void cell_set(struct cell *cell, double value, int64_t stamp_ns);
/*
 * Of a gauge that expires: the value holds until that time. The last call counts, so that a value
 * may be held for less than the one before.
 */
void cell_hold(struct cell *cell, double value, int64_t until_ns);
/* The gauge's thing is no more: not shown until it is set again. */
void cell_end(struct cell *cell, int64_t stamp_ns);
bool cell_observe(struct cell *cell, double value);
bool cell_observe_many(struct cell *cell, double value, uint64_t times);
void cell_max(struct cell *cell, double value);
/* False: the partition's limit of distinct keys is reached and the key was not taken. */
bool cell_distinct_add(struct cell *cell, uint64_t key);
void cell_distinct_remove(struct cell *cell, uint64_t key);
/* One of the two above is about to be called. */
void cell_distinct_expect(const struct cell *cell, uint64_t key);
double cell_value(const struct cell *cell);

/* Folds that are not yet at the head of their streams are withheld from scrapes: absent, not wrong.
 */
void registry_set_folds_shown(struct registry *registry, bool shown);
/*
 * Catching up from a snapshot: series that are born now were not there before the stop (what was
 * born after the last snapshot was still shown at 0), so they begin at 0 as if the folds were
 * shown.
 */
void registry_hold_births(struct registry *registry, bool hold);
/* How long a counter born from now on is shown at 0 before its value; 0 switches that off. */
void registry_set_first_zero(struct registry *registry, int64_t interval_ns);

/*
 * By which time gauges expire: a time, or that of the machine at each scrape. At first 0: what was
 * said stays, as for whoever folds a file of old events.
 */
#define REGISTRY_MACHINE_TIME INT64_C(-1)
void registry_set_now(struct registry *registry, int64_t now_ns);

struct registry_totals {
    size_t series, distinct_keys;
};
struct registry_totals registry_totals(const struct registry *registry);

/* Calls back for each family and label that was replaced by `__overflow__`, with how often. */
void registry_each_dropped(const struct registry *registry,
                           void (*each)(void *context, const char *metric, const char *label,
                                        uint64_t count),
                           void *context);

/* Called by registry_scrape() before it looks at anything; NULL takes it away again. */
void registry_before_exposition(struct registry *registry, void (*call)(void *context),
                                void *context);

/*
 * For whoever must know what a fold changed (metrics/history.h): from now on cells remember that
 * they were written, and registry_each_touched() calls back once for each that was since the last
 * call, in the order of their first write. Nothing may be cleared meanwhile. Costs one test a write
 * where nobody watches.
 */
void registry_watch(struct registry *registry);
void registry_each_touched(struct registry *registry,
                           void (*each)(void *context, const struct cell *cell), void *context);

enum exposition_format {
    EXPOSITION_PROMETHEUS,  /* text/plain; version=0.0.4 */
    EXPOSITION_OPENMETRICS, /* application/openmetrics-text; version=1.0.0 */
};

/*
 * What a scrape shows, copied: about 10 ms for a million series, with the lock held. It is rendered
 * later, without the lock and while folds go on, as fast or slowly as somebody reads. Source of the
 * formats: prometheus.io/docs/instrumenting/exposition_formats and the OpenMetrics 1.0
 * specification.
 */
struct scrape;
struct scrape *registry_scrape(struct registry *registry, enum exposition_format format);
/* Appends about `bytes` more (whole lines); false when that was the end. */
bool scrape_render(struct scrape *scrape, size_t bytes, struct buf *ret);
void scrape_free(struct scrape *scrape); /* NULL is allowed */

/* All at once, for small registries. */
void registry_expose(struct registry *registry, enum exposition_format format, struct buf *ret);
