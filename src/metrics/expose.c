/* A scrape's text, from copied numbers. */
#include <stdio.h>

#include "base/memory.h"
#include "metrics/number.h"
#include "metrics/scrape.h"

/* --- headers ---------------------------------------------------------------------------------- */

static void add_help(struct buf *out, struct slice text, bool quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\' || c == '\n' || (c == '"' && quotes))
            buf_add_char(out, '\\');
        buf_add_char(out, c == '\n' ? 'n' : c);
    }
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

void expose_header(struct buf *out, const struct metric_spec *spec, enum exposition_format format)
{
    /* OpenMetrics names the family of a counter without _total. */
    struct slice name = slice_of(spec->name);
    if (format == EXPOSITION_OPENMETRICS && spec->kind == METRIC_COUNTER &&
        ends_with(spec->name, "_total"))
        name.len -= strlen("_total");
    buf_addf(out, "# HELP %.*s ", SLICE_ARG(name));
    add_help(out, slice_of(spec->help), format == EXPOSITION_OPENMETRICS);
    buf_addf(out, "\n# TYPE %.*s %s\n", SLICE_ARG(name), type_name(spec, format));
    CLEANUP_BUF struct buf tail = {0};
    buf_addf(&tail, "_%s", spec->unit);
    bool named =
        name.len > tail.len && memcmp(name.ptr + name.len - tail.len, tail.ptr, tail.len) == 0;
    if (format == EXPOSITION_OPENMETRICS && spec->unit[0] && named)
        buf_addf(out, "# UNIT %.*s %s\n", SLICE_ARG(name), spec->unit);
}

/* --- samples ---------------------------------------------------------------------------------- */

static char *put(char *at, const char *bytes, size_t len)
{
    if (len)
        memcpy(at, bytes, len);
    return at + len;
}

/* Room for one line is there; the caller counts it as used. */
static char *put_sample(char *at, struct slice name, const struct series *series, double value)
{
    at = put(at, name.ptr, name.len);
    if (series->text_len) {
        *at++ = '{';
        at = put(at, series->text, series->text_len);
        *at++ = '}';
    }
    *at++ = ' ';
    at = number_put_double(at, value);
    *at++ = '\n';
    return at;
}

static void add_sample(struct buf *out, struct slice name, const struct series *series,
                       double value)
{
    buf_reserve(out, name.len + series->text_len + NUMBER_TEXT_MAX + 4);
    out->len = (size_t)(put_sample(out->ptr + out->len, name, series, value) - out->ptr);
}

/* OpenMetrics wants a bucket's bound as a canonical float ("1.0"); both formats show the same text.
 */
void expose_bound(struct buf *out, double bound)
{
    char text[NUMBER_TEXT_MAX];
    size_t len = (size_t)(number_put_double(text, bound) - text);
    buf_add(out, text, len);
    if (!memchr(text, '.', len) && !memchr(text, 'e', len))
        buf_add_str(out, ".0");
}

/* What stands between the labels of a series and a bucket's count: the same for all series. */
static void note_bounds(struct scrape *scrape, const struct metric_spec *spec)
{
    buf_reset(&scrape->bounds);
    for (size_t b = 0; b <= spec->bucket_count; b++) {
        scrape->bound_at[b] = scrape->bounds.len;
        buf_add_str(&scrape->bounds, "le=\"");
        if (b == spec->bucket_count)
            buf_add_str(&scrape->bounds, "+Inf");
        else
            expose_bound(&scrape->bounds, spec->buckets[b]);
        buf_add_str(&scrape->bounds, "\"} ");
    }
    scrape->bound_at[spec->bucket_count + 1] = scrape->bounds.len;
}

static void add_histogram(struct scrape *scrape, const struct family_copy *copy, uint32_t index,
                          struct buf *out)
{
    const struct metric_spec *spec = &copy->family->spec;
    const struct series *series = family_series(copy->family, index);
    const uint64_t *counts = copy->counts + (size_t)index * (spec->bucket_count + 1);
    struct slice name = slice_of(spec->name);
    uint64_t total = 0;
    for (size_t b = 0; b <= spec->bucket_count; b++) {
        total += counts[b];
        size_t begin = scrape->bound_at[b], len = scrape->bound_at[b + 1] - begin;
        buf_reserve(out, name.len + 10 + series->text_len + len + NUMBER_TEXT_MAX);
        char *at = put(out->ptr + out->len, name.ptr, name.len);
        at = put(at, "_bucket{", 8);
        at = put(at, series->text, series->text_len);
        if (series->text_len)
            *at++ = ',';
        at = put(at, scrape->bounds.ptr + begin, len);
        at = number_put_u64(at, total);
        *at++ = '\n';
        out->len = (size_t)(at - out->ptr);
    }
    add_sample(out, buf_slice(&scrape->sum_name), series, copy->values[index]);
    add_sample(out, buf_slice(&scrape->count_name), series, (double)total);
}

static void begin_family(struct scrape *scrape, const struct metric_spec *spec, struct buf *out)
{
    expose_header(out, spec, scrape->format);
    if (spec->kind != METRIC_HISTOGRAM)
        return;
    note_bounds(scrape, spec);
    buf_reset(&scrape->sum_name);
    buf_addf(&scrape->sum_name, "%s_sum", spec->name);
    buf_reset(&scrape->count_name);
    buf_addf(&scrape->count_name, "%s_count", spec->name);
}

/* False: all series are rendered. */
static bool render_family(struct scrape *scrape, const struct family_copy *copy, size_t until,
                          struct buf *out)
{
    const struct metric_spec *spec = &copy->family->spec;
    struct slice name = slice_of(spec->name);
    for (; scrape->at_series < copy->count; scrape->at_series++) {
        uint32_t index = scrape->at_series;
        if (!copy->present[index])
            continue;
        if (out->len >= until)
            return true;
        if (!scrape->headed)
            begin_family(scrape, spec, out);
        scrape->headed = true;
        if (spec->kind == METRIC_HISTOGRAM)
            add_histogram(scrape, copy, index, out);
        else
            add_sample(out, name, family_series(copy->family, index), copy->values[index]);
    }
    return false;
}

bool scrape_render(struct scrape *scrape, size_t bytes, struct buf *ret)
{
    size_t until = ret->len + bytes;
    for (; scrape->at_family < scrape->family_count; scrape->at_family++) {
        if (render_family(scrape, &scrape->families[scrape->at_family], until, ret))
            return true;
        family_copy_done(&scrape->families[scrape->at_family]);
        scrape->at_series = 0;
        scrape->headed = false;
    }
    if (scrape->format == EXPOSITION_OPENMETRICS && !scrape->ended)
        buf_add_str(ret, "# EOF\n");
    scrape->ended = true;
    return false;
}

void registry_expose(struct registry *registry, enum exposition_format format, struct buf *ret)
{
    struct scrape *scrape = registry_scrape(registry, format);
    (void)scrape_render(scrape, SIZE_MAX / 2, ret);
    scrape_free(scrape);
}
