#include "metrics/registry.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "metrics/registry_internal.h"

enum { TEXT_BLOCK_BYTES = 65536 };

struct registry *registry_new(void)
{
    struct registry *registry = xcalloc(1, sizeof *registry);
    pthread_mutex_init(&registry->lock, NULL);
    atomic_init(&registry->references, 1);
    registry->distinct_max = DISTINCT_KEYS_DEFAULT;
    return registry;
}

struct registry *registry_keep(struct registry *registry)
{
    atomic_fetch_add(&registry->references, 1);
    return registry;
}

void registry_lock(struct registry *registry)
{
    pthread_mutex_lock(&registry->lock);
}

void registry_unlock(struct registry *registry)
{
    pthread_mutex_unlock(&registry->lock);
}

/* --- families --------------------------------------------------------------------------------- */

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
    for (size_t i = 0; i < spec->label_count; i++) {
        family->spec.labels[i] = xstrdup(spec->labels[i]);
        if (!spec->label_values_max[i])
            family->spec.label_values_max[i] = LABEL_VALUES_DEFAULT;
    }
    if (!family->spec.series_max)
        family->spec.series_max = SERIES_PER_FAMILY_DEFAULT;
    family->index = registry->family_count;
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

/* --- partitions and columns ------------------------------------------------------------------- */

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

struct column *partition_column(const struct partition *partition, const struct family *family)
{
    return family->index < partition->column_room ? partition->columns[family->index] : NULL;
}

static struct column *make_column(struct partition *partition, struct family *family)
{
    struct column *column = partition_column(partition, family);
    if (column)
        return column;
    if (family->index >= partition->column_room) {
        size_t room = partition->registry->family_room;
        partition->columns = xrealloc(partition->columns, room, sizeof(struct column *));
        memset(partition->columns + partition->column_room, 0,
               (room - partition->column_room) * sizeof(struct column *));
        partition->column_room = room;
    }
    column = xcalloc(1, sizeof *column);
    column->family = family;
    column->partition = partition;
    column->labels = xcalloc(family->spec.label_count + 1, sizeof *column->labels);
    GROW(family->columns, family->column_count, family->column_room);
    family->columns[family->column_count++] = column;
    return partition->columns[family->index] = column;
}

/* --- series ----------------------------------------------------------------------------------- */

static const char *keep_text(struct registry *registry, struct slice text)
{
    struct text_block *block = registry->texts;
    if (!block || block->room - block->used < text.len) {
        /* Small at first: most registries are. */
        size_t room = block ? TEXT_BLOCK_BYTES : 1024;
        room = text.len > room ? text.len : room;
        block = xmalloc(sizeof *block + room);
        *block = (struct text_block){registry->texts, 0, room};
        registry->texts = block;
    }
    char *at = block->bytes + block->used;
    memcpy(at, text.ptr, text.len);
    block->used += text.len;
    return at;
}

static bool has_text(const struct series *series, struct slice text, uint32_t hash)
{
    return series->hash == hash && series->text_len == text.len &&
           memcmp(series->text, text.ptr, text.len) == 0;
}

static uint32_t hash_of(struct slice text)
{
    return (uint32_t)XXH3_64bits(text.ptr, text.len);
}

static uint32_t add_series(struct family *family, struct slice text, uint32_t hash)
{
    struct registry *registry = family->registry;
    uint32_t index = family->series_count++;
    unsigned chunk = chunk_of(index);
    if (!family->series[chunk])
        family->series[chunk] = xcalloc((size_t)FIRST_CHUNK << chunk, sizeof(struct series));
    bool counts = family->spec.kind == METRIC_COUNTER || family->spec.kind == METRIC_HISTOGRAM;
    bool held = counts && !family->spec.own && (registry->folds_shown || registry->births_held) &&
                registry->first_zero_ns > 0;
    *family_series(family, index) = (struct series){keep_text(registry, text), (uint32_t)text.len,
                                                    hash, held ? HELD_UNSEEN : NOT_HELD};
    family->held_count += held;
    table_add(&family->by_text, hash, index);
    registry->series_count++;
    return index;
}

static uint32_t find_or_add_series(struct family *family, struct slice text, uint32_t hash)
{
    size_t at = hash;
    for (uint32_t index; (index = table_next(&family->by_text, hash, &at)) != TABLE_NONE;) {
        if (has_text(family_series(family, index), text, hash))
            return index;
    }
    return add_series(family, text, hash);
}

/* --- cells ------------------------------------------------------------------------------------ */

static struct cell *find_cell(const struct column *column, struct slice text, uint32_t hash)
{
    size_t at = hash;
    for (uint32_t index; (index = table_next(&column->by_text, hash, &at)) != TABLE_NONE;) {
        struct cell *cell = column_cell(column, index);
        if (has_text(family_series(column->family, cell->series), text, hash))
            return cell;
    }
    return NULL;
}

struct cell *column_find(const struct column *column, const struct series *series)
{
    return find_cell(column, (struct slice){series->text, series->text_len}, series->hash);
}

static bool is_overflow(const struct label_text *text, size_t label)
{
    return slice_eq(label_text_value(text, label), SLICE(OVERFLOW_LABEL));
}

static uint64_t value_hash(const struct label_text *text, size_t label)
{
    struct slice value = label_text_value(text, label);
    return XXH3_64bits(value.ptr, value.len);
}

static struct cell *add_cell(struct column *column, const struct label_text *text, uint32_t hash)
{
    const struct metric_spec *spec = &column->family->spec;
    uint32_t index = column->count++;
    unsigned chunk = chunk_of(index);
    size_t width = spec->bucket_count + 1;
    if (!column->cells[chunk])
        column->cells[chunk] = xcalloc((size_t)FIRST_CHUNK << chunk, sizeof(struct cell));
    if (spec->kind == METRIC_HISTOGRAM && !column->counts[chunk])
        column->counts[chunk] = xcalloc((size_t)FIRST_CHUNK << chunk, width * sizeof(uint64_t));
    struct cell *cell = column_cell(column, index);
    cell->column = column;
    cell->watched = column->family->registry->watching;
    cell->series = find_or_add_series(column->family, buf_slice(&text->text), hash);
    if (spec->kind == METRIC_HISTOGRAM)
        cell->counts = column->counts[chunk] + (index - chunk_begin(chunk)) * width;
    if (spec->kind == METRIC_DISTINCT)
        cell->keys = xcalloc(1, sizeof *cell->keys);
    table_add(&column->by_text, hash, index);
    for (size_t i = 0; i < spec->label_count; i++) {
        bool fresh;
        if (is_overflow(text, i))
            cell->overflow = true;
        else if (text->places[i].len)
            (void)u64map_put(&column->labels[i].seen, value_hash(text, i), &fresh);
    }
    column->overflow_count += cell->overflow;
    return cell;
}

/* --- limits ----------------------------------------------------------------------------------- */

/* The labels (a bit each) that would get one value too many. */
static unsigned labels_over(const struct column *column, const struct label_text *text)
{
    unsigned over = 0;
    for (size_t i = 0; i < column->family->spec.label_count; i++) {
        const struct u64map *seen = &column->labels[i].seen;
        if (seen->count >= column->family->spec.label_values_max[i] && text->places[i].len &&
            !is_overflow(text, i) && !u64map_get(seen, value_hash(text, i)))
            over |= 1u << i;
    }
    return over;
}

static bool is_full(const struct column *column, const struct label_text *text)
{
    for (size_t i = 0; i < column->family->spec.label_count; i++) {
        if (is_overflow(text, i))
            return column->overflow_count >= OVERFLOW_SERIES_MAX;
    }
    return column->count - column->overflow_count >= column->family->spec.series_max;
}

/* The label with the most values so far, of those that have one here and are not replaced yet; the
 * first of equals. -1: none is left. */
static int widest_label(const struct column *column, const struct label_text *text)
{
    int widest = -1;
    for (size_t i = 0; i < column->family->spec.label_count; i++) {
        if (text->places[i].len && !is_overflow(text, i) &&
            (widest < 0 || column->labels[i].seen.count > column->labels[widest].seen.count))
            widest = (int)i;
    }
    return widest;
}

/* A label set that is not there yet: as it is, or as much of it as the limits allow. */
static struct cell *admit(struct column *column, struct label_text *text, uint32_t hash)
{
    const struct metric_spec *spec = &column->family->spec;
    unsigned over = labels_over(column, text), replaced = 0;
    struct cell *cell = NULL;
    for (;;) {
        if (over) {
            replaced |= over;
            label_text_overflow(spec, over, text);
            hash = hash_of(buf_slice(&text->text));
            cell = find_cell(column, buf_slice(&text->text), hash);
        }
        if (cell || !is_full(column, text))
            break;
        int widest = widest_label(column, text);
        if (widest < 0)
            break; /* no more than one per set of labels that are there at all */
        over = 1u << widest;
    }
    for (size_t i = 0; i < spec->label_count; i++)
        column->labels[i].dropped += replaced >> i & 1;
    return cell ? cell : add_cell(column, text, hash);
}

struct cell *partition_cell(struct partition *partition, struct family *family,
                            const struct slice *values)
{
    struct label_text *text = &family->registry->wanted;
    struct column *column = make_column(partition, family);
    label_text_render(&family->spec, values, text);
    uint32_t hash = hash_of(buf_slice(&text->text));
    struct cell *cell = find_cell(column, buf_slice(&text->text), hash);
    return cell ? cell : admit(column, text, hash);
}

struct cell *partition_cell1(struct partition *partition, struct family *family, const char *value)
{
    struct slice values[METRIC_LABELS_MAX] = {slice_of(value ? value : "")};
    return partition_cell(partition, family, values);
}

struct cell *partition_restore_cell(struct partition *partition, struct family *family,
                                    const struct slice *values)
{
    struct label_text *text = &family->registry->wanted;
    struct column *column = make_column(partition, family);
    label_text_render(&family->spec, values, text);
    uint32_t hash = hash_of(buf_slice(&text->text));
    struct cell *cell = find_cell(column, buf_slice(&text->text), hash);
    return cell ? cell : add_cell(column, text, hash);
}

void partition_restore_dropped(struct partition *partition, struct family *family, size_t label,
                               uint64_t count)
{
    make_column(partition, family)->labels[label].dropped += count;
}

bool cell_is_overflow(const struct cell *cell)
{
    return cell->overflow;
}

/* --- clearing --------------------------------------------------------------------------------- */

static void clear_column(struct column *column)
{
    for (uint32_t i = 0; column->family->spec.kind == METRIC_DISTINCT && i < column->count; i++) {
        struct cell *cell = column_cell(column, i);
        column->partition->distinct_count -= cell->keys->count;
        u64map_done(cell->keys);
        free(cell->keys);
    }
    for (unsigned chunk = 0; chunk < CHUNKS_MAX; chunk++) {
        free(column->cells[chunk]);
        free(column->counts[chunk]);
        column->cells[chunk] = NULL;
        column->counts[chunk] = NULL;
    }
    for (size_t i = 0; i < column->family->spec.label_count; i++) {
        u64map_done(&column->labels[i].seen);
        column->labels[i].dropped = 0;
    }
    table_done(&column->by_text);
    column->count = column->overflow_count = 0;
}

void partition_clear_family(struct partition *partition, const struct family *family)
{
    struct column *column = partition_column(partition, family);
    if (column)
        clear_column(column);
}

void partition_clear(struct partition *partition)
{
    for (size_t i = 0; i < partition->column_room; i++) {
        if (partition->columns[i])
            clear_column(partition->columns[i]);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void free_family(struct family *family)
{
    for (size_t i = 0; i < family->column_count; i++) {
        clear_column(family->columns[i]);
        free(family->columns[i]->labels);
        free(family->columns[i]);
    }
    for (unsigned chunk = 0; chunk < CHUNKS_MAX; chunk++)
        free(family->series[chunk]);
    free(family->columns);
    table_done(&family->by_text);
    free((void *)(uintptr_t)family->spec.name);
    free((void *)(uintptr_t)family->spec.help);
    free((void *)(uintptr_t)family->spec.unit);
    for (size_t i = 0; i < family->spec.label_count; i++)
        free((void *)(uintptr_t)family->spec.labels[i]);
    free(family);
}

void registry_free(struct registry *registry)
{
    if (!registry || atomic_fetch_sub(&registry->references, 1) > 1)
        return;
    for (size_t i = 0; i < registry->family_count; i++)
        free_family(registry->families[i]);
    for (size_t i = 0; i < registry->partition_count; i++) {
        free(registry->partitions[i]->columns);
        free(registry->partitions[i]->name);
        free(registry->partitions[i]);
    }
    while (registry->texts) {
        struct text_block *next = registry->texts->next;
        free(registry->texts);
        registry->texts = next;
    }
    free(registry->touched);
    free(registry->partitions);
    free(registry->families);
    label_text_done(&registry->wanted);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

/* --- watching --------------------------------------------------------------------------------- */

void registry_watch(struct registry *registry)
{
    registry->watching = true;
    for (size_t f = 0; f < registry->family_count; f++) {
        for (size_t c = 0; c < registry->families[f]->column_count; c++) {
            const struct column *column = registry->families[f]->columns[c];
            for (uint32_t i = 0; i < column->count; i++)
                column_cell(column, i)->watched = true;
        }
    }
}

void cell_note_touched(struct cell *cell)
{
    struct registry *registry = cell->column->family->registry;
    cell->watched = false; /* noted once, until somebody looks */
    GROW(registry->touched, registry->touched_count, registry->touched_room);
    registry->touched[registry->touched_count++] = cell;
}

void registry_each_touched(struct registry *registry,
                           void (*each)(void *context, const struct cell *cell), void *context)
{
    for (size_t i = 0; i < registry->touched_count; i++) {
        registry->touched[i]->watched = true;
        each(context, registry->touched[i]);
    }
    registry->touched_count = 0;
}

/* --- settings and totals ---------------------------------------------------------------------- */

void registry_before_exposition(struct registry *registry, void (*call)(void *context),
                                void *context)
{
    registry->before = call;
    registry->before_context = context;
}

void registry_hold_births(struct registry *registry, bool hold)
{
    registry->births_held = hold;
}

void registry_set_folds_shown(struct registry *registry, bool shown)
{
    registry->folds_shown = shown;
}

void registry_set_now(struct registry *registry, int64_t now_ns)
{
    registry->now_ns = now_ns;
}

void registry_set_first_zero(struct registry *registry, int64_t interval_ns)
{
    registry->first_zero_ns = interval_ns;
}

struct registry_totals registry_totals(const struct registry *registry)
{
    struct registry_totals totals = {registry->series_count, 0};
    for (size_t i = 0; i < registry->partition_count; i++)
        totals.distinct_keys += registry->partitions[i]->distinct_count;
    return totals;
}

void registry_each_dropped(const struct registry *registry,
                           void (*each)(void *context, const char *metric, const char *label,
                                        uint64_t count),
                           void *context)
{
    for (size_t i = 0; i < registry->family_count; i++) {
        const struct family *family = registry->families[i];
        for (size_t l = 0; l < family->spec.label_count; l++) {
            uint64_t count = 0;
            for (size_t c = 0; c < family->column_count; c++)
                count += family->columns[c]->labels[l].dropped;
            if (count)
                each(context, family->spec.name, family->spec.labels[l], count);
        }
    }
}
