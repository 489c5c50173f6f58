#include "metrics/history.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "metrics/history_internal.h"

#define NOT_WANTED UINT64_MAX

static uint64_t address_key(const void *pointer)
{
    uint64_t address = (uint64_t)(uintptr_t)pointer;
    return XXH3_64bits(&address, sizeof address);
}

struct history *history_new(struct registry *registry, const struct history_options *options)
{
    struct history *history = xcalloc(1, sizeof *history);
    int64_t step = options->step_ns;
    history->registry = registry;
    history->options = *options;
    history->idle_steps = (uint32_t)(options->idle_ns / step);
    history->steps_per_chunk = (uint64_t)(options->chunk_ns / step);
    history->changes = (struct changes){
        .fd = -1,
        .temp_dir = options->temp_dir,
        .room = options->changes_max ? options->changes_max : HISTORY_CHANGES_MAX,
        .ways = xcalloc(HISTORY_FAMILIES_MAX, sizeof *history->changes.ways),
    };
    history->next_until_ns = INT64_MAX;
    registry_watch(registry);
    return history;
}

static void free_track(struct track *track)
{
    free(track->values);
    free(track->last);
}

void history_free(struct history *history)
{
    if (!history)
        return;
    for (size_t f = 0; f < history->family_count; f++) {
        for (size_t t = 0; t < history->families[f].track_count; t++)
            free_track(&history->families[f].tracks[t]);
        free(history->families[f].tracks);
    }
    free(history->families);
    free(history->shadows);
    u64map_done(&history->by_series);
    u64map_done(&history->by_cell);
    changes_done(&history->changes);
    buf_done(&history->out);
    buf_done(&history->prefixes);
    free(history);
}

static size_t family_parts(const struct metric_spec *spec)
{
    return spec->kind == METRIC_HISTOGRAM ? spec->bucket_count + 2 : 1;
}

static enum history_way family_way(const struct metric_spec *spec)
{
    if (spec->kind == METRIC_TIMESTAMP)
        return WAY_MAX;
    return spec->kind == METRIC_GAUGE && !spec->sums ? WAY_SET : WAY_ADD;
}

/* The first step at or behind a time. */
static uint32_t step_of(const struct history *history, int64_t ns)
{
    return ns > 0 ? (uint32_t)((ns - 1) / history->options.step_ns + 1) : 0;
}

void history_want(struct history *history, const struct family *family, int64_t from_ns,
                  int64_t until_ns)
{
    if (history->family_count == HISTORY_FAMILIES_MAX)
        return;
    history->families =
        xrealloc(history->families, history->family_count + 1, sizeof *history->families);
    history->changes.ways[history->family_count] = family_way(&family->spec);
    history->families[history->family_count++] = (struct wanted){
        .family = family,
        .until_ns = until_ns / NS_PER_MS * NS_PER_MS, /* Prometheus counts in milliseconds */
        .from_step = step_of(history, from_ns),
        .last_step = step_of(history, until_ns),
        .parts = family_parts(&family->spec),
        .way = family_way(&family->spec),
    };
}

/* --- recording -------------------------------------------------------------------------------- */

/* The series' track; NULL: its family is not wanted. */
static struct track *track_of(struct history *history, const struct family *family,
                              const struct series *series, struct wanted **ret_wanted)
{
    bool fresh;
    uint64_t *slot = u64map_put(&history->by_series, address_key(series), &fresh);
    if (fresh) {
        size_t f = 0;
        while (f < history->family_count && history->families[f].family != family)
            f++;
        *slot = NOT_WANTED;
        if (f < history->family_count) {
            struct wanted *wanted = &history->families[f];
            GROW(wanted->tracks, wanted->track_count, wanted->track_room);
            *slot = (uint64_t)f << SERIES_BITS | wanted->track_count;
            wanted->tracks[wanted->track_count++] =
                (struct track){.series = series, .first_step = wanted->last_step, .late = true};
        }
    }
    if (*slot == NOT_WANTED)
        return NULL;
    *ret_wanted = &history->families[*slot >> SERIES_BITS];
    return &(*ret_wanted)->tracks[*slot & UINT32_MAX];
}

static double *shadow_of(struct history *history, const struct cell *cell, size_t parts)
{
    bool fresh;
    uint64_t *slot = u64map_put(&history->by_cell, address_key(cell), &fresh);
    if (!fresh)
        return history->shadows + *slot;
    *slot = history->shadow_count;
    while (history->shadow_count + parts > history->shadow_room) {
        history->shadow_room = history->shadow_room ? history->shadow_room * 2 : 1024;
        history->shadows =
            xrealloc(history->shadows, history->shadow_room, sizeof *history->shadows);
    }
    double *shadow = history->shadows + history->shadow_count;
    memset(shadow, 0, parts * sizeof *shadow);
    history->shadow_count += parts;
    return shadow;
}

static double cell_part(const struct cell *cell, size_t part)
{
    const struct metric_spec *spec = &cell->column->family->spec;
    if (spec->kind == METRIC_HISTOGRAM && part <= spec->bucket_count)
        return (double)cell->counts[part];
    return cell_value(cell);
}

static void put_change(struct history *history, const struct wanted *wanted,
                       const struct track *track, uint32_t step, size_t part, double amount)
{
    uint64_t chunk = history->steps_per_chunk ? step / history->steps_per_chunk : 0;
    struct change change = {
        .place = change_place(chunk, (uint64_t)(wanted - history->families),
                              (uint64_t)(track - wanted->tracks)),
        .step = step,
        .part = (uint32_t)part,
        .amount = amount,
    };
    if (!history->failed && changes_add(&history->changes, change, &history->problem) < 0)
        history->failed = true;
}

static void record(void *context, const struct cell *cell)
{
    struct history *history = context;
    struct wanted *wanted;
    const struct family *family = cell->column->family;
    struct track *track = track_of(history, family, family_series(family, cell->series), &wanted);
    if (!track || history->stored_ns > wanted->until_ns)
        return;
    uint32_t step = history->step < wanted->last_step ? history->step : wanted->last_step;
    step = step > wanted->from_step ? step : wanted->from_step;
    double *shadow = shadow_of(history, cell, wanted->parts);
    for (size_t part = 0; part < wanted->parts; part++) {
        double now = cell_part(cell, part);
        /* A gauge set to what it was is a change too: a late event may lie between. */
        if (wanted->way != WAY_SET && now == shadow[part] && !(track->late && part == 0))
            continue;
        put_change(history, wanted, track, step, part,
                   wanted->way == WAY_ADD ? now - shadow[part] : now);
        shadow[part] = now;
    }
    track->late = false;
    if (step < track->first_step)
        track->first_step = step;
}

/* What was touched since the last call belongs to the moment before. */
static void flush(struct history *history)
{
    if (history->begun)
        registry_each_touched(history->registry, record, history);
}

static int64_t until_behind(const struct history *history, int64_t stored_ns)
{
    int64_t next = INT64_MAX;
    for (size_t f = 0; f < history->family_count; f++) {
        int64_t until = history->families[f].until_ns;
        if (until >= stored_ns && until < next)
            next = until;
    }
    return next;
}

int history_moment(struct history *history, int64_t event_ns, int64_t stored_ns, struct error *err)
{
    if (event_ns > stored_ns)
        event_ns = stored_ns;
    uint32_t step = step_of(history, event_ns);
    /* Streams come one after another: the stored time goes back, too. */
    bool crossed = stored_ns > history->next_until_ns || stored_ns < history->stored_ns;
    if (step != history->step || crossed || !history->begun) {
        flush(history);
        if (crossed || !history->begun)
            history->next_until_ns = until_behind(history, stored_ns);
        history->step = step;
    }
    history->stored_ns = stored_ns;
    history->begun = true;
    return history->failed ? error_set(err, history->problem.code, "%s", history->problem.text) : 0;
}

/* --- the end of the recording ----------------------------------------------------------------- */

/* Sums of three and more may come out differently in another order; never higher than live. */
static double a_little_less(double value, size_t terms)
{
    for (; terms > 2 && value != floor(value); terms--)
        value = nextafter(value, -INFINITY);
    return value;
}

static void settle_track(struct history *history, const struct wanted *wanted, struct track *track)
{
    size_t cells = 0;
    bool counts = kind_counts(wanted->family->spec.kind);
    track->values = xcalloc(wanted->parts, sizeof *track->values);
    track->last = xcalloc(wanted->parts, sizeof *track->last);
    for (size_t c = 0; c < wanted->family->column_count; c++) {
        const struct cell *cell = column_find(wanted->family->columns[c], track->series);
        const uint64_t *slot = cell ? u64map_get(&history->by_cell, address_key(cell)) : NULL;
        cells += slot != NULL;
        for (size_t part = 0; slot && part < wanted->parts; part++)
            track->last[part] += history->shadows[*slot + part];
    }
    for (size_t part = 0; part < wanted->parts; part++)
        track->last[part] = a_little_less(track->last[part], cells);
    if (!counts || wanted->last_step < wanted->from_step)
        return;
    if (track->late)
        put_change(history, wanted, track, wanted->last_step, 0, 0);
    else if (track->first_step > wanted->from_step)
        put_change(history, wanted, track, track->first_step - 1, 0, 0);
}

int history_finish(struct history *history, struct error *err)
{
    uint32_t last = 0;
    flush(history);
    for (size_t f = 0; f < history->family_count; f++) {
        struct wanted *wanted = &history->families[f];
        for (size_t t = 0; t < wanted->track_count; t++)
            settle_track(history, wanted, &wanted->tracks[t]);
        if (wanted->track_count && wanted->last_step > last)
            last = wanted->last_step;
    }
    if (history->failed || changes_sort(&history->changes, &history->problem) < 0)
        return error_set(err, history->problem.code, "%s", history->problem.text);
    const struct change *first = changes_peek(&history->changes);
    history->last_step = last;
    history->chunk = first ? place_chunk(first->place) : 1;
    history->last_chunk = !first                     ? 0
                          : history->steps_per_chunk ? last / history->steps_per_chunk
                                                     : 0;
    return 0;
}

size_t history_series(const struct history *history, const struct family *family)
{
    for (size_t f = 0; f < history->family_count; f++) {
        if (history->families[f].family == family)
            return history->families[f].track_count;
    }
    return 0;
}

struct history_figures history_figures(const struct history *history)
{
    struct history_figures figures = {.changes = history->changes.spilled + history->changes.count,
                                      .samples = history->samples,
                                      .runs = history->changes.run_count,
                                      .first_ns = history->first_written_ns,
                                      .last_ns = history->last_written_ns};
    for (size_t f = 0; f < history->family_count; f++)
        figures.series += history->families[f].track_count;
    return figures;
}
