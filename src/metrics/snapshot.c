#include "metrics/snapshot.h"

#include <stdlib.h>

#include "base/memory.h"
#include "metrics/registry_internal.h"

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/*
 * In ascending order, so that equal sets give equal bytes. Keys are hashes, so sorting them into as
 * many groups as there are keys by their upper bits leaves next to nothing to do inside a group.
 */
static void encode_keys(const struct u64map *keys, struct buf *ret)
{
    unsigned bits = 1;
    while (bits < 20 && (keys->count >> bits) > 0)
        bits++;
    CLEANUP_FREE size_t *ends = xcalloc(((size_t)1 << bits) + 1, sizeof *ends);
    CLEANUP_FREE uint64_t *sorted = xcalloc(keys->count + 1, sizeof *sorted);
    for (size_t i = 0; i < keys->room; i++)
        ends[(keys->entries[i].key >> (64 - bits)) + 1] += keys->entries[i].key != 0;
    for (size_t group = 1; group <= (size_t)1 << bits; group++)
        ends[group] += ends[group - 1];
    for (size_t i = 0; i < keys->room; i++) {
        if (keys->entries[i].key)
            sorted[ends[keys->entries[i].key >> (64 - bits)]++] = keys->entries[i].key;
    }
    for (size_t group = 0, begin = 0; begin < keys->count; begin = ends[group++]) {
        if (ends[group] - begin > 1)
            qsort(sorted + begin, ends[group] - begin, sizeof *sorted, by_value);
    }
    codec_put_u64(ret, keys->count);
    for (size_t i = 0; i < keys->count; i++)
        codec_put_fixed(ret, sorted[i]);
}

/*
 *     cells := count { labels: count { text }  value: by kind }
 *     counter, timestamp: double · gauge: double, stamp · histogram: count { u64 } double
 *     distinct: count { fixed key, ascending }
 */
static void encode_value(const struct cell *cell, struct buf *ret)
{
    const struct metric_spec *spec = &cell->series->family->spec;
    switch (spec->kind) {
    case METRIC_COUNTER:
    case METRIC_TIMESTAMP: codec_put_double(ret, cell->value); break;
    case METRIC_GAUGE:
        codec_put_double(ret, cell->value);
        codec_put_fixed(ret, (uint64_t)cell->stamp_ns);
        break;
    case METRIC_HISTOGRAM:
        codec_put_u64(ret, spec->bucket_count + 1);
        for (size_t b = 0; b <= spec->bucket_count; b++)
            codec_put_u64(ret, cell->counts[b]);
        codec_put_double(ret, cell->value);
        break;
    case METRIC_DISTINCT: encode_keys(cell->keys, ret); break;
    }
}

void partition_encode_family(const struct partition *partition, const struct family *family,
                             struct buf *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < partition->cell_count; i++)
        count += partition->cells[i]->series->family == family;
    codec_put_u64(ret, count);
    for (size_t i = 0; i < partition->cell_count; i++) {
        const struct cell *cell = partition->cells[i];
        if (cell->series->family != family)
            continue;
        codec_put_u64(ret, family->spec.label_count);
        for (size_t l = 0; l < family->spec.label_count; l++)
            codec_put_text(ret, series_value(cell->series, l));
        encode_value(cell, ret);
    }
}

static void decode_histogram(struct cell *cell, struct codec_reader *in)
{
    uint64_t count = codec_get_u64(in);
    if (cell && count != cell->series->family->spec.bucket_count + 1)
        in->ok = false;
    for (uint64_t b = 0; b < count && in->ok; b++) {
        uint64_t value = codec_get_u64(in);
        if (cell)
            cell->counts[b] += value;
    }
    double sum = codec_get_double(in);
    if (cell)
        cell->value += sum;
}

static void decode_value(struct cell *cell, enum metric_kind kind, struct codec_reader *in)
{
    double value;
    switch (kind) {
    case METRIC_COUNTER:
        value = codec_get_double(in);
        if (cell)
            cell_add(cell, value);
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

void partition_decode_family(struct partition *partition, struct family *family,
                             enum metric_kind kind, struct codec_reader *in)
{
    struct slice values[METRIC_LABELS_MAX];
    if (family && family->spec.kind != kind)
        in->ok = false;
    for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
        uint64_t labels = codec_get_u64(in);
        if (labels > METRIC_LABELS_MAX || (family && labels != family->spec.label_count)) {
            in->ok = false;
            return;
        }
        for (uint64_t l = 0; l < labels; l++)
            values[l] = codec_get_text(in);
        if (in->ok)
            decode_value(family ? partition_cell(partition, family, values) : NULL, kind, in);
    }
}
