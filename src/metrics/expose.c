#include <math.h>
#include <stdio.h>

#include "base/instant.h"
#include "metrics/registry_internal.h"

/* Shortest text that reads back as the same double; whole numbers without an exponent up to 2^53.
 */
static void add_number(struct buf *out, double value)
{
    if (isnan(value)) {
        buf_add_str(out, "NaN");
    } else if (isinf(value)) {
        buf_add_str(out, value > 0 ? "+Inf" : "-Inf");
    } else if (value >= 0 && value < 9007199254740992.0 && value == floor(value)) {
        buf_add_u64(out, (uint64_t)value);
    } else {
        char text[32];
        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(text, sizeof text, "%.*g", digits, value);
            double back = 0;
            if (sscanf(text, "%lf", &back) == 1 && back == value)
                break;
        }
        buf_add_str(out, text);
    }
}

/* OpenMetrics wants a bucket's bound as a canonical float ("1.0"); both formats show the same text.
 */
static void add_bound(struct buf *out, double bound)
{
    size_t before = out->len;
    add_number(out, bound);
    if (!memchr(out->ptr + before, '.', out->len - before) &&
        !memchr(out->ptr + before, 'e', out->len - before))
        buf_add_str(out, ".0");
}

static void add_escaped(struct buf *out, struct slice text, bool quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\' || (c == '"' && quotes)) {
            buf_add_char(out, '\\');
            buf_add_char(out, c);
        } else if (c == '\n') {
            buf_add_str(out, "\\n");
        } else {
            buf_add_char(out, c);
        }
    }
}

/* `{a="x",b="y"` without the closing brace, or nothing when no label has a value; returns "any
 * label". */
static bool add_labels(struct buf *out, const struct series *series)
{
    bool any = false;
    const char *at = series->values;
    for (size_t i = 0; i < series->family->spec.label_count; i++) {
        struct slice value = slice_of(at);
        at += value.len + 1;
        if (!value.len)
            continue;
        buf_add_char(out, any ? ',' : '{');
        buf_add_str(out, series->family->spec.labels[i]);
        buf_add_str(out, "=\"");
        add_escaped(out, value, true);
        buf_add_char(out, '"');
        any = true;
    }
    return any;
}

static void add_sample(struct buf *out, const struct series *series, const char *suffix,
                       double value)
{
    buf_add_str(out, series->family->spec.name);
    buf_add_str(out, suffix);
    if (add_labels(out, series))
        buf_add_char(out, '}');
    buf_add_char(out, ' ');
    add_number(out, value);
    buf_add_char(out, '\n');
}

static void add_histogram(struct buf *out, const struct series *series, bool zero)
{
    const struct metric_spec *spec = &series->family->spec;
    double sum = 0;
    uint64_t total = 0;
    for (size_t b = 0; b <= spec->bucket_count; b++) {
        for (const struct cell *cell = series->cells; cell; cell = cell->next_in_series)
            total += zero ? 0 : cell->counts[b];
        buf_add_str(out, spec->name);
        buf_add_str(out, "_bucket");
        buf_add_str(out, add_labels(out, series) ? ",le=\"" : "{le=\"");
        if (b == spec->bucket_count)
            buf_add_str(out, "+Inf");
        else
            add_bound(out, spec->buckets[b]);
        buf_add_str(out, "\"} ");
        buf_add_u64(out, total);
        buf_add_char(out, '\n');
    }
    for (const struct cell *cell = series->cells; cell; cell = cell->next_in_series)
        sum += zero ? 0 : cell->value;
    add_sample(out, series, "_sum", sum);
    add_sample(out, series, "_count", (double)total);
}

/* Keys alive in any partition. Streams rarely share aggregates: with one cell nothing is compared.
 */
static double distinct_union(const struct series *series)
{
    size_t total = 0;
    for (const struct cell *cell = series->cells; cell; cell = cell->next_in_series) {
        total += cell->keys->count;
        for (size_t i = 0; series->cells->next_in_series && i < cell->keys->room; i++) {
            uint64_t key = cell->keys->entries[i].key;
            for (const struct cell *seen = series->cells; key && seen != cell;
                 seen = seen->next_in_series) {
                if (u64map_get(seen->keys, key)) {
                    total--;
                    break;
                }
            }
        }
    }
    return (double)total;
}

static double combined(const struct series *series)
{
    double value = 0;
    int64_t newest = INT64_MIN;
    switch (series->family->spec.kind) {
    case METRIC_DISTINCT: return distinct_union(series);
    case METRIC_COUNTER:
    case METRIC_HISTOGRAM:
        for (const struct cell *cell = series->cells; cell; cell = cell->next_in_series)
            value += cell->value;
        return value;
    case METRIC_TIMESTAMP:
        for (const struct cell *cell = series->cells; cell; cell = cell->next_in_series)
            value = fmax(value, cell->value);
        return value;
    case METRIC_GAUGE:
        for (const struct cell *cell = series->cells; cell; cell = cell->next_in_series) {
            if (cell->stamp_ns >= newest) {
                newest = cell->stamp_ns;
                value = cell->value;
            }
        }
        return value;
    }
    return value;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), tail = strlen(suffix);
    return len > tail && !strcmp(name + len - tail, suffix);
}

/*
 * A gauge named ..._count (the contract's cim_aggregate_count) cannot be called a gauge: promtool's
 * lint keeps that suffix for histograms and summaries. It is exposed without a type.
 */
static const char *type_name(const struct metric_spec *spec, enum exposition_format format)
{
    switch (spec->kind) {
    case METRIC_COUNTER: return "counter";
    case METRIC_HISTOGRAM: return "histogram";
    case METRIC_GAUGE:
    case METRIC_TIMESTAMP:
    case METRIC_DISTINCT: break;
    }
    if (ends_with(spec->name, "_count") || ends_with(spec->name, "_sum"))
        return format == EXPOSITION_OPENMETRICS ? "unknown" : "untyped";
    return "gauge";
}

static void add_header(struct buf *out, const struct metric_spec *spec,
                       enum exposition_format format)
{
    /* OpenMetrics names the family of a counter without _total. */
    struct slice name = slice_of(spec->name);
    if (format == EXPOSITION_OPENMETRICS && spec->kind == METRIC_COUNTER &&
        ends_with(spec->name, "_total"))
        name.len -= strlen("_total");
    buf_addf(out, "# HELP %.*s ", SLICE_ARG(name));
    add_escaped(out, slice_of(spec->help), format == EXPOSITION_OPENMETRICS);
    buf_addf(out, "\n# TYPE %.*s %s\n", SLICE_ARG(name), type_name(spec, format));
    CLEANUP_BUF struct buf tail = {0};
    buf_addf(&tail, "_%s", spec->unit);
    bool named =
        name.len > tail.len && memcmp(name.ptr + name.len - tail.len, tail.ptr, tail.len) == 0;
    if (format == EXPOSITION_OPENMETRICS && spec->unit[0] && named)
        buf_addf(out, "# UNIT %.*s %s\n", SLICE_ARG(name), spec->unit);
}

/* Is the series still shown at 0? Lets it go once one interval has passed since it was first shown.
 */
static bool shown_at_zero(struct series *series, int64_t now_ns, int64_t interval_ns)
{
    if (!series->held)
        return false;
    if (!series->shown_ns)
        series->shown_ns = now_ns;
    /* A scraper's clock jitters: nine tenths of the interval count as the whole. */
    series->held = now_ns - series->shown_ns < interval_ns / 10 * 9;
    return series->held;
}

static void add_family(struct buf *out, struct family *family, enum exposition_format format,
                       int64_t now_ns)
{
    bool headed = false;
    for (size_t i = 0; i < family->series_count; i++) {
        struct series *series = family->series[i];
        if (!series->cells)
            continue;
        if (!headed)
            add_header(out, &family->spec, format);
        headed = true;
        bool zero = shown_at_zero(series, now_ns, family->registry->first_zero_ns);
        if (family->spec.kind == METRIC_HISTOGRAM)
            add_histogram(out, series, zero);
        else
            add_sample(out, series, "", zero ? 0 : combined(series));
    }
}

void registry_expose(struct registry *registry, enum exposition_format format, struct buf *ret)
{
    int64_t now_ns = instant_monotonic_ns();
    for (size_t i = 0; i < registry->family_count; i++) {
        struct family *family = registry->families[i];
        if (family->spec.own || registry->folds_shown)
            add_family(ret, family, format, now_ns);
    }
    if (format == EXPOSITION_OPENMETRICS)
        buf_add_str(ret, "# EOF\n");
}
