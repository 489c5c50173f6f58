#include "metrics/registry.h"

#include <math.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "metrics/registry_internal.h"

struct registry *registry_new(void)
{
    struct registry *registry = xcalloc(1, sizeof *registry);
    pthread_mutex_init(&registry->lock, NULL);
    registry->distinct_max = DISTINCT_KEYS_DEFAULT;
    return registry;
}

static void free_series(struct series *series)
{
    free(series->values);
    free(series);
}

static void free_cell(struct cell *cell)
{
    enum metric_kind kind = cell->series->family->spec.kind;
    if (kind == METRIC_HISTOGRAM)
        free(cell->counts);
    if (kind == METRIC_DISTINCT) {
        u64map_done(cell->keys);
        free(cell->keys);
    }
    free(cell);
}

static void free_spec(struct metric_spec *spec)
{
    free((void *)(uintptr_t)spec->name);
    free((void *)(uintptr_t)spec->help);
    free((void *)(uintptr_t)spec->unit);
    for (size_t i = 0; i < spec->label_count; i++)
        free((void *)(uintptr_t)spec->labels[i]);
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->partition_count; i++) {
        struct partition *partition = registry->partitions[i];
        for (size_t c = 0; c < partition->cell_count; c++)
            free_cell(partition->cells[c]);
        free(partition->cells);
        free(partition->name);
        u64map_done(&partition->by_series);
        free(partition);
    }
    for (size_t i = 0; i < registry->family_count; i++) {
        struct family *family = registry->families[i];
        for (size_t s = 0; s < family->series_count; s++)
            free_series(family->series[s]);
        free(family->series);
        free_spec(&family->spec);
        free(family);
    }
    free(registry->partitions);
    free(registry->families);
    u64map_done(&registry->by_labels);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

void registry_lock(struct registry *registry)
{
    pthread_mutex_lock(&registry->lock);
}

void registry_unlock(struct registry *registry)
{
    pthread_mutex_unlock(&registry->lock);
}

struct family *registry_find(const struct registry *registry, struct slice name)
{
    for (size_t i = 0; i < registry->family_count; i++) {
        if (slice_eq(slice_of(registry->families[i]->spec.name), name))
            return registry->families[i];
    }
    return NULL;
}

struct family *registry_family(struct registry *registry, const struct metric_spec *spec)
{
    struct family *family = registry_find(registry, slice_of(spec->name));
    if (family)
        return family;
    family = xcalloc(1, sizeof *family);
    family->registry = registry;
    family->spec = *spec;
    family->spec.name = xstrdup(spec->name);
    family->spec.help = xstrdup(spec->help ? spec->help : "");
    family->spec.unit = xstrdup(spec->unit ? spec->unit : "");
    for (size_t i = 0; i < spec->label_count; i++)
        family->spec.labels[i] = xstrdup(spec->labels[i]);
    if (!family->spec.series_max)
        family->spec.series_max = SERIES_PER_FAMILY_DEFAULT;
    GROW(registry->families, registry->family_count, registry->family_room);
    registry->families[registry->family_count++] = family;
    return family;
}

size_t registry_family_count(const struct registry *registry)
{
    return registry->family_count;
}

struct family *registry_family_at(const struct registry *registry, size_t index)
{
    return registry->families[index];
}

const struct metric_spec *family_spec(const struct family *family)
{
    return &family->spec;
}

struct partition *registry_partition(struct registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->partition_count; i++) {
        if (!strcmp(registry->partitions[i]->name, name))
            return registry->partitions[i];
    }
    struct partition *partition = xcalloc(1, sizeof *partition);
    partition->registry = registry;
    partition->name = xstrdup(name);
    GROW(registry->partitions, registry->partition_count, registry->partition_room);
    registry->partitions[registry->partition_count++] = partition;
    return partition;
}

const char *partition_name(const struct partition *partition)
{
    return partition->name;
}

/* --- series ----------------------------------------------------------------------------------- */

struct slice series_value(const struct series *series, size_t index)
{
    const char *at = series->values;
    while (index--)
        at += strlen(at) + 1;
    return slice_of(at);
}

/*
 * Writes the values with a NUL behind each. One value that is not UTF-8 (a subject may hold any
 * byte) would make a scraper refuse the whole exposition, so it is mended here, where series get
 * identity.
 */
static void pack_values(const struct slice *values, size_t count, struct buf *ret)
{
    for (size_t i = 0; i < count; i++) {
        struct slice value = utf8_cut(values[i], LABEL_BYTES_MAX);
        const char *nul = value.len ? memchr(value.ptr, 0, value.len) : NULL;
        if (nul)
            value.len = (size_t)(nul - value.ptr);
        size_t begin = ret->len;
        utf8_add_clean(ret, value);
        /* Mending makes it longer; cut again, so that what a snapshot brings back stays the same.
         */
        if (ret->len - begin > LABEL_BYTES_MAX)
            ret->len = begin + utf8_cut(slice_from(buf_slice(ret), begin), LABEL_BYTES_MAX).len;
        buf_add_char(ret, 0);
    }
}

static struct series *find_series(struct registry *registry, const struct family *family,
                                  struct slice packed, uint64_t *ret_hash)
{
    uint64_t hash =
        XXH3_64bits_withSeed(packed.ptr ? packed.ptr : "", packed.len, (uint64_t)(uintptr_t)family);
    for (;; hash = hash * 2862933555777941757u + 3037000493u) {
        uint64_t *slot = u64map_get(&registry->by_labels, hash);
        *ret_hash = hash;
        if (!slot)
            return NULL;
        struct series *series = (struct series *)(uintptr_t)*slot;
        if (series->family == family && series->values_len == packed.len &&
            memcmp(series->values, packed.ptr, packed.len) == 0)
            return series;
    }
}

static struct series *add_series(struct family *family, struct slice packed, uint64_t hash)
{
    struct registry *registry = family->registry;
    struct series *series = xcalloc(1, sizeof *series);
    bool fresh;
    series->family = family;
    series->values = xmalloc(packed.len + 1);
    memcpy(series->values, packed.ptr ? packed.ptr : "", packed.len);
    series->values_len = (uint32_t)packed.len;
    bool counts = family->spec.kind == METRIC_COUNTER || family->spec.kind == METRIC_HISTOGRAM;
    series->held = counts && !family->spec.own &&
                   (registry->folds_shown || registry->births_held) && registry->first_zero_ns > 0;
    GROW(family->series, family->series_count, family->series_room);
    family->series[family->series_count++] = series;
    *u64map_put(&registry->by_labels, hash, &fresh) = (uint64_t)(uintptr_t)series;
    registry->series_count++;
    return series;
}

static struct series *overflow_series(struct family *family)
{
    struct slice values[METRIC_LABELS_MAX] = {SLICE(OVERFLOW_LABEL)};
    CLEANUP_BUF struct buf packed = {0};
    uint64_t hash;
    family->dropped++;
    pack_values(values, family->spec.label_count, &packed);
    struct series *series = find_series(family->registry, family, buf_slice(&packed), &hash);
    return series ? series : add_series(family, buf_slice(&packed), hash);
}

static struct cell *new_cell(struct partition *partition, struct series *series)
{
    struct cell *cell = xcalloc(1, sizeof *cell);
    cell->series = series;
    cell->partition = partition;
    cell->next_in_series = series->cells;
    series->cells = cell;
    if (series->family->spec.kind == METRIC_HISTOGRAM)
        cell->counts = xcalloc(series->family->spec.bucket_count + 1, sizeof *cell->counts);
    if (series->family->spec.kind == METRIC_DISTINCT)
        cell->keys = xcalloc(1, sizeof *cell->keys);
    return cell;
}

static uint64_t series_key(const struct series *series)
{
    uint64_t address = (uint64_t)(uintptr_t)series;
    return XXH3_64bits(&address, sizeof address);
}

struct cell *partition_cell(struct partition *partition, struct family *family,
                            const struct slice *values)
{
    CLEANUP_BUF struct buf packed = {0};
    uint64_t hash;
    bool fresh;
    pack_values(values, family->spec.label_count, &packed);
    struct series *series = find_series(family->registry, family, buf_slice(&packed), &hash);
    if (!series)
        series = family->series_count >= family->spec.series_max && family->spec.label_count
                     ? overflow_series(family)
                     : add_series(family, buf_slice(&packed), hash);
    uint64_t *slot = u64map_put(&partition->by_series, series_key(series), &fresh);
    if (!fresh)
        return partition->cells[*slot];
    *slot = partition->cell_count;
    GROW(partition->cells, partition->cell_count, partition->cell_room);
    return partition->cells[partition->cell_count++] = new_cell(partition, series);
}

struct cell *partition_cell1(struct partition *partition, struct family *family, const char *value)
{
    struct slice values[METRIC_LABELS_MAX] = {slice_of(value ? value : "")};
    return partition_cell(partition, family, values);
}

/* --- clearing --------------------------------------------------------------------------------- */

static void drop_cell(struct cell *cell)
{
    struct cell **link = &cell->series->cells;
    while (*link != cell)
        link = &(*link)->next_in_series;
    *link = cell->next_in_series;
    if (cell->series->family->spec.kind == METRIC_DISTINCT)
        cell->partition->registry->distinct_count -= cell->keys->count;
    free_cell(cell);
}

void partition_clear_family(struct partition *partition, const struct family *family)
{
    size_t kept = 0;
    u64map_done(&partition->by_series);
    for (size_t i = 0; i < partition->cell_count; i++) {
        struct cell *cell = partition->cells[i];
        bool fresh;
        if (!family || cell->series->family == family) {
            drop_cell(cell);
            continue;
        }
        *u64map_put(&partition->by_series, series_key(cell->series), &fresh) = kept;
        partition->cells[kept++] = cell;
    }
    partition->cell_count = kept;
}

void partition_clear(struct partition *partition)
{
    partition_clear_family(partition, NULL);
}

/* --- cells ------------------------------------------------------------------------------------ */

void cell_add(struct cell *cell, double amount)
{
    cell->value += amount;
}

void cell_set(struct cell *cell, double value, int64_t stamp_ns)
{
    if (stamp_ns < cell->stamp_ns)
        return;
    cell->value = value;
    cell->stamp_ns = stamp_ns;
}

void cell_observe_many(struct cell *cell, double value, uint64_t times)
{
    const struct metric_spec *spec = &cell->series->family->spec;
    size_t i = 0;
    while (i < spec->bucket_count && value > spec->buckets[i])
        i++;
    cell->counts[i] += times;
    cell->value += value * (double)times;
}

void cell_observe(struct cell *cell, double value)
{
    cell_observe_many(cell, value, 1);
}

void cell_max(struct cell *cell, double value)
{
    if (value > cell->value)
        cell->value = value;
}

bool cell_distinct_add(struct cell *cell, uint64_t key)
{
    struct registry *registry = cell->partition->registry;
    bool fresh;
    if (u64map_get(cell->keys, key))
        return true;
    if (registry->distinct_count >= registry->distinct_max)
        return false;
    (void)u64map_put(cell->keys, key, &fresh);
    registry->distinct_count++;
    return true;
}

void cell_distinct_remove(struct cell *cell, uint64_t key)
{
    if (u64map_remove(cell->keys, key))
        cell->partition->registry->distinct_count--;
}

double cell_value(const struct cell *cell)
{
    return cell->series->family->spec.kind == METRIC_DISTINCT ? (double)cell->keys->count
                                                              : cell->value;
}

/* --- settings and totals ---------------------------------------------------------------------- */

void registry_hold_births(struct registry *registry, bool hold)
{
    registry->births_held = hold;
}

void registry_set_folds_shown(struct registry *registry, bool shown)
{
    registry->folds_shown = shown;
}

void registry_set_first_zero(struct registry *registry, int64_t interval_ns)
{
    registry->first_zero_ns = interval_ns;
}

struct registry_totals registry_totals(const struct registry *registry)
{
    return (struct registry_totals){registry->series_count, registry->distinct_count};
}

void registry_each_dropped(const struct registry *registry,
                           void (*each)(void *context, const char *metric, const char *label,
                                        uint64_t count),
                           void *context)
{
    for (size_t i = 0; i < registry->family_count; i++) {
        const struct family *family = registry->families[i];
        if (family->dropped)
            each(context, family->spec.name, family->spec.labels[0], family->dropped);
    }
}
