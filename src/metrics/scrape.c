/* Copying for a scrape: under the registry's lock, so quickly. */
#include "metrics/scrape.h"

#include <math.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"

void family_copy_done(struct family_copy *copy)
{
    free(copy->values);
    free(copy->counts);
    free(copy->present);
    *copy = (struct family_copy){.family = copy->family};
}

/* --- one column ------------------------------------------------------------------------------- */

static void sum_values(const struct column *column, struct family_copy *ret)
{
    for (unsigned chunk = 0; chunk_begin(chunk) < column->count; chunk++) {
        uint32_t begin = chunk_begin(chunk), end = chunk_begin(chunk + 1);
        const struct cell *cells = column->cells[chunk];
        for (uint32_t i = 0; i < (end < column->count ? end : column->count) - begin; i++) {
            ret->values[cells[i].series] += cells[i].value;
            ret->present[cells[i].series] = true;
        }
    }
}

static void sum_counts(const struct column *column, struct family_copy *ret)
{
    size_t width = column->family->spec.bucket_count + 1;
    for (uint32_t i = 0; i < column->count; i++) {
        const struct cell *cell = column_cell(column, i);
        for (size_t b = 0; b < width; b++)
            ret->counts[cell->series * width + b] += cell->counts[b];
    }
}

static void take_largest(const struct column *column, struct family_copy *ret)
{
    for (uint32_t i = 0; i < column->count; i++) {
        const struct cell *cell = column_cell(column, i);
        ret->values[cell->series] = fmax(ret->values[cell->series], cell->value);
        ret->present[cell->series] = true;
    }
}

/* Of equally new ones the larger, so that it does not matter which stream came first. */
static void take_newest(const struct column *column, struct family_copy *ret, int64_t *stamps)
{
    for (uint32_t i = 0; i < column->count; i++) {
        const struct cell *cell = column_cell(column, i);
        double *value = &ret->values[cell->series];
        int64_t *stamp = &stamps[cell->series];
        if (!ret->present[cell->series] || cell->stamp_ns > *stamp ||
            (cell->stamp_ns == *stamp && cell->value > *value)) {
            *value = cell->value;
            *stamp = cell->stamp_ns;
        }
        ret->present[cell->series] = true;
    }
}

/* What ended, and what nobody said again in time. */
static void leave_out_ended(const struct family *family, const int64_t *stamps,
                            struct family_copy *ret)
{
    int64_t set = family->registry->now_ns;
    int64_t now_ns = set == REGISTRY_MACHINE_TIME ? instant_now_ns() : set;
    for (uint32_t i = 0; i < ret->count; i++) {
        if (isnan(ret->values[i]) || (family->spec.expires && stamps[i] < now_ns))
            ret->present[i] = false;
    }
}

/* Is this key in the same series of a column before this one? */
static bool is_counted(const struct column *column, const struct series *series, uint64_t key)
{
    for (size_t c = 0; column->family->columns[c] != column; c++) {
        const struct cell *cell = column_find(column->family->columns[c], series);
        if (cell && u64map_get(cell->keys, key))
            return true;
    }
    return false;
}

/* Streams rarely share aggregates: only what has keys in two partitions is compared. */
static void unite_keys(const struct column *column, struct family_copy *ret)
{
    for (uint32_t i = 0; i < column->count; i++) {
        const struct cell *cell = column_cell(column, i);
        const struct series *series = family_series(column->family, cell->series);
        size_t count = cell->keys->count;
        for (size_t k = 0; ret->present[cell->series] && k < cell->keys->room; k++) {
            uint64_t key = cell->keys->entries[k].key;
            count -= key && is_counted(column, series, key);
        }
        ret->values[cell->series] += (double)count;
        ret->present[cell->series] = true;
    }
}

/* --- one family ------------------------------------------------------------------------------- */

/* Is the series still shown at 0? Lets it go once one interval has passed since it was first shown.
 */
static bool shown_at_zero(struct series *series, int64_t now_ns, int64_t interval_ns)
{
    if (series->held == HELD_UNSEEN)
        series->held = now_ns;
    /* A scraper's clock jitters: nine tenths of the interval count as the whole. */
    if (now_ns - series->held >= interval_ns / 10 * 9)
        series->held = NOT_HELD;
    return series->held != NOT_HELD;
}

static void hold_at_zero(struct family *family, int64_t now_ns, struct family_copy *ret)
{
    size_t width = family->spec.bucket_count + 1;
    for (uint32_t i = 0, left = family->held_count; left && i < ret->count; i++) {
        struct series *series = family_series(family, i);
        if (series->held == NOT_HELD)
            continue;
        left--;
        if (!ret->present[i])
            continue;
        if (!shown_at_zero(series, now_ns, family->registry->first_zero_ns)) {
            family->held_count--;
            continue;
        }
        ret->values[i] = 0;
        if (ret->counts)
            memset(ret->counts + i * width, 0, width * sizeof *ret->counts);
    }
}

static void copy_family(struct family *family, int64_t now_ns, struct family_copy *ret)
{
    uint32_t count = family->series_count;
    enum metric_kind kind = family->spec.kind;
    *ret = (struct family_copy){family, count, NULL, NULL, NULL};
    if (!count)
        return;
    ret->values = xcalloc(count, sizeof *ret->values);
    ret->present = xcalloc(count, sizeof *ret->present);
    if (kind == METRIC_HISTOGRAM)
        ret->counts = xcalloc(count, (family->spec.bucket_count + 1) * sizeof *ret->counts);
    CLEANUP_FREE int64_t *stamps = kind == METRIC_GAUGE ? xcalloc(count, sizeof *stamps) : NULL;
    for (size_t c = 0; c < family->column_count; c++) {
        const struct column *column = family->columns[c];
        switch (kind) {
        case METRIC_HISTOGRAM: sum_counts(column, ret); __attribute__((fallthrough));
        case METRIC_COUNTER: sum_values(column, ret); break;
        case METRIC_TIMESTAMP: take_largest(column, ret); break;
        case METRIC_GAUGE:
            if (family->spec.sums)
                sum_values(column, ret);
            else
                take_newest(column, ret, stamps);
            break;
        case METRIC_DISTINCT: unite_keys(column, ret); break;
        }
    }
    if (stamps && !family->spec.sums && !family->spec.own)
        leave_out_ended(family, stamps, ret);
    if (family->held_count)
        hold_at_zero(family, now_ns, ret);
}

struct scrape *registry_scrape(struct registry *registry, enum exposition_format format)
{
    int64_t now_ns = instant_monotonic_ns();
    if (registry->before)
        registry->before(registry->before_context);
    struct scrape *scrape = xcalloc(1, sizeof *scrape);
    scrape->registry = registry_keep(registry);
    scrape->format = format;
    scrape->families = xcalloc(registry->family_count + 1, sizeof *scrape->families);
    for (size_t i = 0; i < registry->family_count; i++) {
        struct family *family = registry->families[i];
        if (family->spec.own || registry->folds_shown)
            copy_family(family, now_ns, &scrape->families[scrape->family_count++]);
    }
    return scrape;
}

void scrape_free(struct scrape *scrape)
{
    if (!scrape)
        return;
    for (size_t i = 0; i < scrape->family_count; i++)
        family_copy_done(&scrape->families[i]);
    free(scrape->families);
    buf_done(&scrape->bounds);
    buf_done(&scrape->sum_name);
    buf_done(&scrape->count_name);
    registry_free(scrape->registry);
    free(scrape);
}
