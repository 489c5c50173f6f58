#include "metrics/snapshot.h"

#include <stdlib.h>

#include "base/memory.h"
#include "metrics/registry_internal.h"

/* --- copying ---------------------------------------------------------------------------------- */

struct cells_copy {
    struct registry *registry; /* kept */
    const struct family *family;
    uint32_t count, at;
    bool begun;
    uint64_t dropped[METRIC_LABELS_MAX];
    uint32_t *series;
    double *values;
    int64_t *stamps;  /* of gauges */
    uint64_t *counts; /* of histograms */
    uint64_t *keys;   /* of distinct sets, one after the other */
    uint32_t *key_counts;
    size_t keys_at;
    struct buf scratch;
};

static void copy_keys(const struct column *column, struct cells_copy *ret)
{
    size_t total = 0;
    for (uint32_t i = 0; i < column->count; i++)
        total += column_cell(column, i)->keys->count;
    ret->keys = xmalloc((total + 1) * sizeof *ret->keys);
    ret->key_counts = xmalloc((column->count + 1) * sizeof *ret->key_counts);
    size_t used = 0;
    for (uint32_t i = 0; i < column->count; i++) {
        const struct u64map *keys = column_cell(column, i)->keys;
        ret->key_counts[i] = (uint32_t)keys->count;
        for (size_t k = 0; k < keys->room; k++) {
            if (keys->entries[k].key)
                ret->keys[used++] = keys->entries[k].key;
        }
    }
}

static void copy_values(const struct column *column, struct cells_copy *ret)
{
    for (unsigned chunk = 0; chunk_begin(chunk) < column->count; chunk++) {
        uint32_t begin = chunk_begin(chunk), end = chunk_begin(chunk + 1);
        const struct cell *cells = column->cells[chunk];
        for (uint32_t i = 0; i < (end < column->count ? end : column->count) - begin; i++) {
            ret->series[begin + i] = cells[i].series;
            ret->values[begin + i] = cells[i].value;
            if (ret->stamps)
                ret->stamps[begin + i] = cells[i].stamp_ns;
        }
    }
}

static void copy_counts(const struct column *column, struct cells_copy *ret)
{
    size_t width = column->family->spec.bucket_count + 1;
    ret->counts = xmalloc((column->count * width + 1) * sizeof *ret->counts);
    for (uint32_t i = 0; i < column->count; i++)
        memcpy(ret->counts + i * width, column_cell(column, i)->counts, width * sizeof(uint64_t));
}

struct cells_copy *partition_copy_family(const struct partition *partition,
                                         const struct family *family)
{
    const struct column *column = partition_column(partition, family);
    struct cells_copy *copy = xcalloc(1, sizeof *copy);
    copy->registry = registry_keep(family->registry);
    copy->family = family;
    if (!column)
        return copy;
    copy->count = column->count;
    for (size_t i = 0; i < family->spec.label_count; i++)
        copy->dropped[i] = column->labels[i].dropped;
    copy->series = xmalloc((copy->count + 1) * sizeof *copy->series);
    copy->values = xmalloc((copy->count + 1) * sizeof *copy->values);
    if (family->spec.kind == METRIC_GAUGE)
        copy->stamps = xmalloc((copy->count + 1) * sizeof *copy->stamps);
    copy_values(column, copy);
    if (family->spec.kind == METRIC_HISTOGRAM)
        copy_counts(column, copy);
    if (family->spec.kind == METRIC_DISTINCT)
        copy_keys(column, copy);
    return copy;
}

void cells_copy_free(struct cells_copy *copy)
{
    if (!copy)
        return;
    free(copy->series);
    free(copy->values);
    free(copy->stamps);
    free(copy->counts);
    free(copy->keys);
    free(copy->key_counts);
    buf_done(&copy->scratch);
    registry_free(copy->registry);
    free(copy);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/*
 * In ascending order, so that equal sets give equal bytes. Keys are hashes, so sorting them into as
 * many groups as there are keys by their upper bits leaves next to nothing to do inside a group.
 */
static void encode_keys(const uint64_t *keys, size_t count, struct buf *ret)
{
    unsigned bits = 1;
    while (bits < 20 && (count >> bits) > 0)
        bits++;
    CLEANUP_FREE size_t *ends = xcalloc(((size_t)1 << bits) + 1, sizeof *ends);
    CLEANUP_FREE uint64_t *sorted = xcalloc(count + 1, sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        ends[(keys[i] >> (64 - bits)) + 1]++;
    for (size_t group = 1; group <= (size_t)1 << bits; group++)
        ends[group] += ends[group - 1];
    for (size_t i = 0; i < count; i++)
        sorted[ends[keys[i] >> (64 - bits)]++] = keys[i];
    for (size_t group = 0, begin = 0; begin < count; begin = ends[group++]) {
        if (ends[group] - begin > 1)
            qsort(sorted + begin, ends[group] - begin, sizeof *sorted, by_value);
    }
    codec_put_u64(ret, count);
    for (size_t i = 0; i < count; i++)
        codec_put_fixed(ret, sorted[i]);
}

/*
 *     cells := dropped: per label u64 · count { labels: count { text }  value: by kind }
 *     counter, timestamp: double · gauge: double, stamp · histogram: count { u64 } double
 *     distinct: count { fixed key, ascending }
 */
static void encode_value(struct cells_copy *copy, uint32_t index, struct buf *ret)
{
    const struct metric_spec *spec = &copy->family->spec;
    size_t width = spec->bucket_count + 1;
    switch (spec->kind) {
    case METRIC_COUNTER:
    case METRIC_TIMESTAMP: codec_put_double(ret, copy->values[index]); break;
    case METRIC_GAUGE:
        codec_put_double(ret, copy->values[index]);
        codec_put_fixed(ret, (uint64_t)copy->stamps[index]);
        break;
    case METRIC_HISTOGRAM:
        codec_put_u64(ret, width);
        for (size_t b = 0; b < width; b++)
            codec_put_u64(ret, copy->counts[index * width + b]);
        codec_put_double(ret, copy->values[index]);
        break;
    case METRIC_DISTINCT:
        encode_keys(copy->keys + copy->keys_at, copy->key_counts[index], ret);
        copy->keys_at += copy->key_counts[index];
        break;
    }
}

static void encode_labels(struct cells_copy *copy, uint32_t index, struct buf *ret)
{
    const struct metric_spec *spec = &copy->family->spec;
    const struct series *series = family_series(copy->family, copy->series[index]);
    struct slice text = {series->text, series->text_len};
    struct label_place places[METRIC_LABELS_MAX];
    label_text_places(spec, text, places);
    codec_put_u64(ret, spec->label_count);
    for (size_t l = 0; l < spec->label_count; l++) {
        struct slice value = {text.ptr + places[l].at, places[l].len};
        codec_put_text(ret, label_value_plain(value, &copy->scratch));
    }
}

bool cells_copy_encode(struct cells_copy *copy, size_t bytes, struct buf *ret)
{
    size_t until = ret->len + bytes;
    if (!copy->begun) {
        codec_put_u64(ret, copy->family->spec.label_count);
        for (size_t l = 0; l < copy->family->spec.label_count; l++)
            codec_put_u64(ret, copy->dropped[l]);
        codec_put_u64(ret, copy->count);
    }
    copy->begun = true;
    for (; copy->at < copy->count && ret->len < until; copy->at++) {
        encode_labels(copy, copy->at, ret);
        encode_value(copy, copy->at, ret);
    }
    return copy->at < copy->count;
}

void partition_encode_family(const struct partition *partition, const struct family *family,
                             struct buf *ret)
{
    struct cells_copy *copy = partition_copy_family(partition, family);
    (void)cells_copy_encode(copy, SIZE_MAX / 2, ret);
    cells_copy_free(copy);
}

/* --- and back --------------------------------------------------------------------------------- */

static void decode_histogram(struct cell *cell, struct codec_reader *in)
{
    uint64_t count = codec_get_u64(in);
    if (cell && count != cell->column->family->spec.bucket_count + 1)
        in->ok = false;
    for (uint64_t b = 0; b < count && in->ok; b++) {
        uint64_t value = codec_get_u64(in);
        if (cell)
            cell->counts[b] += value;
    }
    double sum = codec_get_double(in);
    if (cell)
        (void)cell_add(cell, sum);
}

static void decode_value(struct cell *cell, enum metric_kind kind, struct codec_reader *in)
{
    double value;
    switch (kind) {
    case METRIC_COUNTER:
        value = codec_get_double(in);
        if (cell)
            (void)cell_add(cell, value);
        break;
    case METRIC_TIMESTAMP:
        value = codec_get_double(in);
        if (cell)
            cell_max(cell, value);
        break;
    case METRIC_GAUGE: {
        value = codec_get_double(in);
        int64_t stamp = (int64_t)codec_get_fixed(in);
        if (cell)
            cell_set(cell, value, stamp);
        break;
    }
    case METRIC_HISTOGRAM: decode_histogram(cell, in); break;
    case METRIC_DISTINCT:
        for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
            uint64_t key = codec_get_fixed(in);
            if (cell && in->ok)
                (void)cell_distinct_add(cell, key);
        }
        break;
    }
}

static bool fits(const struct family *family, uint64_t labels)
{
    return labels <= METRIC_LABELS_MAX && (!family || labels == family->spec.label_count);
}

static void decode_dropped(struct partition *partition, struct family *family,
                           struct codec_reader *in)
{
    uint64_t labels = codec_get_u64(in);
    in->ok = in->ok && fits(family, labels);
    for (uint64_t l = 0; in->ok && l < labels; l++) {
        uint64_t count = codec_get_u64(in);
        if (family && in->ok && count)
            partition_restore_dropped(partition, family, (size_t)l, count);
    }
}

void partition_decode_family(struct partition *partition, struct family *family,
                             enum metric_kind kind, struct codec_reader *in)
{
    struct slice values[METRIC_LABELS_MAX];
    if (family && family->spec.kind != kind)
        in->ok = false;
    decode_dropped(partition, family, in);
    for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
        uint64_t labels = codec_get_u64(in);
        in->ok = in->ok && fits(family, labels);
        for (uint64_t l = 0; in->ok && l < labels; l++)
            values[l] = codec_get_text(in);
        if (in->ok)
            decode_value(family ? partition_restore_cell(partition, family, values) : NULL, kind,
                         in);
    }
}
