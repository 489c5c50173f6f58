/* Sorted changes as samples, chunk by chunk, family by family, series by series. */
#include <errno.h>
#include <math.h>

#include "base/instant.h"
#include "base/memory.h"
#include "metrics/history_internal.h"
#include "metrics/number.h"

enum { FLUSH_BYTES = 1 << 20 };

bool history_next(struct history *history, struct history_chunk *ret)
{
    uint64_t per = history->steps_per_chunk;
    if (history->chunk > history->last_chunk)
        return false;
    history->chunk_first = (uint32_t)(history->chunk * per);
    history->chunk_last = per ? (uint32_t)(history->chunk_first + per - 1) : history->last_step;
    *ret = (struct history_chunk){
        .first_ns = history->chunk_first * history->options.step_ns,
        .last_ns = history->chunk_last * history->options.step_ns,
    };
    return true;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void add_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\' || c == '"' || c == '\n')
            buf_add_char(out, '\\');
        buf_add_char(out, c == '\n' ? 'n' : c);
    }
}

static bool is_target_label(const struct history *history, struct slice name)
{
    for (size_t i = 0; i < history->options.label_count; i++) {
        if (slice_eq(slice_of(history->options.labels[i].name), name))
            return true;
    }
    return false;
}

/* The labels of a series that the target has too become `exported_...`, as at a scrape. */
static void add_own_labels(const struct history *history, struct buf *out, struct slice text)
{
    while (text.len) {
        const char *equals = memchr(text.ptr, '=', text.len);
        struct slice name = {text.ptr, (size_t)(equals - text.ptr)};
        size_t end = name.len + 2; /* behind the opening quote */
        while (text.ptr[end] != '"')
            end += text.ptr[end] == '\\' ? 2 : 1;
        if (is_target_label(history, name))
            buf_add_str(out, "exported_");
        buf_add(out, text.ptr, end + 1);
        text = slice_from(text, end + 1);
        if (text.len) {
            buf_add_char(out, ',');
            text = slice_from(text, 1);
        }
    }
}

static bool add_labels(const struct history *history, struct buf *out, const struct series *series)
{
    bool any = series->text_len > 0;
    if (any)
        buf_add_char(out, '{');
    add_own_labels(history, out, (struct slice){series->text, series->text_len});
    for (size_t i = 0; i < history->options.label_count; i++) {
        buf_add_char(out, any ? ',' : '{');
        buf_addf(out, "%s=\"", history->options.labels[i].name);
        add_escaped(out, slice_of(history->options.labels[i].value));
        buf_add_char(out, '"');
        any = true;
    }
    return any;
}

/* The texts before the values of one series: each with a NUL behind it. */
static void make_prefixes(struct history *history, const struct metric_spec *spec,
                          const struct series *series)
{
    struct buf *out = &history->prefixes;
    buf_reset(out);
    for (size_t b = 0; spec->kind == METRIC_HISTOGRAM && b <= spec->bucket_count; b++) {
        buf_addf(out, "%s_bucket", spec->name);
        buf_add_str(out, add_labels(history, out, series) ? ",le=\"" : "{le=\"");
        if (b == spec->bucket_count)
            buf_add_str(out, "+Inf");
        else
            expose_bound(out, spec->buckets[b]);
        buf_add(out, "\"} ", sizeof "\"} ");
    }
    static const char *const suffixes[] = {"_sum", "_count"};
    for (size_t i = 0; i < (spec->kind == METRIC_HISTOGRAM ? 2 : 1); i++) {
        buf_addf(out, "%s%s", spec->name, spec->kind == METRIC_HISTOGRAM ? suffixes[i] : "");
        buf_add_str(out, add_labels(history, out, series) ? "} " : " ");
        buf_add_char(out, 0);
    }
}

static void add_line(struct history *history, const char **prefix, double value, struct slice time)
{
    size_t len = strlen(*prefix);
    char number[NUMBER_TEXT_MAX];
    buf_add(&history->out, *prefix, len);
    buf_add(&history->out, number, (size_t)(number_put_double(number, value) - number));
    buf_add_slice(&history->out, time);
    *prefix += len + 1;
    history->samples++;
}

/* Seconds, with three digits where they are not whole. */
static size_t time_text(int64_t ns, char *out, size_t room)
{
    int64_t ms = ns / NS_PER_MS % 1000;
    int len =
        ms ? snprintf(out, room, " %lld.%03lld\n", (long long)(ns / NS_PER_SECOND), (long long)ms)
           : snprintf(out, room, " %lld\n", (long long)(ns / NS_PER_SECOND));
    return (size_t)len;
}

static void add_sample(struct history *history, const struct wanted *wanted, struct track *track,
                       uint32_t step)
{
    char text[32];
    const char *prefix = history->prefixes.ptr;
    int64_t at = step == wanted->last_step ? wanted->until_ns : step * history->options.step_ns;
    struct slice time = {text, time_text(at, text, sizeof text)};
    double total = 0;
    if (!history->first_written_ns || at < history->first_written_ns)
        history->first_written_ns = at;
    if (at > history->last_written_ns)
        history->last_written_ns = at;
    if (wanted->parts == 1) {
        add_line(history, &prefix, track->values[0], time);
        return;
    }
    for (size_t part = 0; part + 1 < wanted->parts; part++) {
        total += track->values[part];
        add_line(history, &prefix, total, time);
    }
    add_line(history, &prefix, track->values[wanted->parts - 1], time);
    add_line(history, &prefix, total, time);
}

/* --- one series ------------------------------------------------------------------------------- */

/* Sums of fractions come out a little differently in the order of the times: the end is exact. */
static double settled(double value, double last)
{
    return fabs(value - last) <= fabs(last) * 1e-9 ? last : value;
}

static void apply(const struct wanted *wanted, struct track *track, const struct change *change)
{
    double *value = &track->values[change->part];
    switch (wanted->way) {
    case WAY_SET: *value = change->amount; break;
    case WAY_MAX: *value = change->amount > *value ? change->amount : *value; break;
    case WAY_ADD: *value = settled(*value + change->amount, track->last[change->part]); break;
    }
    track->born = true;
}

/* Nothing changes from `first` to `last`: a sample every idle interval, and one at the end. */
static void add_idle(struct history *history, const struct wanted *wanted, struct track *track,
                     uint64_t first, uint64_t last)
{
    uint64_t idle = history->idle_steps;
    if (wanted->family->spec.expires)
        return; /* what was not said again has ended: Prometheus lets it go after its lookback */
    for (uint64_t step = (first + idle - 1) / idle * idle; step < last; step += idle)
        add_sample(history, wanted, track, (uint32_t)step);
    if (first <= last)
        add_sample(history, wanted, track, (uint32_t)last);
}

static int write_track(struct history *history, const struct wanted *wanted, struct track *track,
                       uint64_t place, struct error *err)
{
    const struct change *next = changes_peek(&history->changes);
    uint64_t at = history->chunk_first;
    uint32_t end =
        wanted->last_step < history->chunk_last ? wanted->last_step : history->chunk_last;
    if (!track->born && !(next && next->place == place))
        return 0;
    make_prefixes(history, &wanted->family->spec, track->series);
    while (next && next->place == place) {
        uint32_t step = next->step;
        if (track->born && step)
            add_idle(history, wanted, track, at, step - 1);
        for (; next && next->place == place && next->step == step;
             next = changes_peek(&history->changes)) {
            apply(wanted, track, next);
            if (changes_take(&history->changes, err) < 0)
                return -1;
        }
        if (!isnan(track->values[0])) /* a gauge that ended */
            add_sample(history, wanted, track, step);
        at = (uint64_t)step + 1;
    }
    add_idle(history, wanted, track, at, end);
    return 0;
}

/* --- one chunk -------------------------------------------------------------------------------- */

static int put_out(struct history *history, FILE *out, struct error *err)
{
    struct slice bytes = buf_slice(&history->out);
    if (fwrite(bytes.ptr, 1, bytes.len, out) != bytes.len)
        return error_set(err, EXIT_CODE_INTERNAL, "the samples cannot be written: %s",
                         strerror(errno));
    buf_reset(&history->out);
    return 0;
}

static int write_family(struct history *history, size_t f, FILE *out, struct error *err)
{
    struct wanted *wanted = &history->families[f];
    CLEANUP_BUF struct buf header = {0};
    bool headed = false;
    for (size_t t = 0; t < wanted->track_count; t++) {
        size_t before = history->out.len;
        uint64_t samples = history->samples;
        if (write_track(history, wanted, &wanted->tracks[t], change_place(history->chunk, f, t),
                        err) < 0)
            return -1;
        if (!headed && history->samples > samples) {
            headed = true;
            expose_header(&header, &wanted->family->spec, EXPOSITION_OPENMETRICS);
            buf_reserve(&history->out, header.len);
            memmove(history->out.ptr + before + header.len, history->out.ptr + before,
                    history->out.len - before);
            memcpy(history->out.ptr + before, header.ptr, header.len);
            history->out.len += header.len;
        }
        if (history->out.len > FLUSH_BYTES && put_out(history, out, err) < 0)
            return -1;
    }
    return 0;
}

int history_write(struct history *history, struct history_chunk *chunk, FILE *out,
                  struct error *err)
{
    uint64_t before = history->samples;
    for (size_t f = 0; f < history->family_count; f++) {
        if (write_family(history, f, out, err) < 0)
            return -1;
    }
    buf_add_str(&history->out, "# EOF\n");
    history->chunk++;
    chunk->samples = history->samples - before;
    if (put_out(history, out, err) < 0)
        return -1;
    return fflush(out) == 0 ? 0
                            : error_set(err, EXIT_CODE_INTERNAL,
                                        "the samples cannot be written: %s", strerror(errno));
}
