/* What would be done: the selection read once, nothing written. */
#include <jansson.h>
#include <stdio.h>

#include "act/replay/replay_internal.h"
#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"

enum { AGGREGATES_MAX = 8000000, OWN_BYTES = 24 << 20 };

struct planning {
    struct replay *replay;
    struct plan_figures *figures;
    struct u64map aggregates;
};

static int count(void *context, const struct replay_event *event, struct error *err)
{
    struct planning *planning = context;
    struct plan_figures *figures = planning->figures;
    struct plan_end end = {event->seq, event->stored_at_ns, event->stream};
    bool fresh;
    (void)err;
    if (!figures->events++)
        figures->first = end;
    figures->last = end;
    figures->bytes += event->payload.len;
    figures->malformed += event->row.malformed != NULL;
    if (planning->aggregates.count < AGGREGATES_MAX)
        (void)u64map_put(&planning->aggregates, event->aggregate, &fresh);
    else
        figures->aggregates_cut = true;
    return 0;
}

static int look(void *context, struct error *err)
{
    struct planning *planning = context;
    struct replay *replay = planning->replay;
    (void)err;
    progress_show(&replay->progress, planning->figures->messages, replay->expected);
    return replay_is_stopped(replay);
}

int plan_make(struct replay *replay, struct plan_figures *ret, struct error *err)
{
    struct planning planning = {.replay = replay, .figures = ret};
    struct feed feed = {.selection = &replay->selection,
                        .with_views = true,
                        .read = replay->read,
                        .each = count,
                        .idle = look,
                        .context = &planning};
    *ret = (struct plan_figures){0};
    int64_t began = instant_monotonic_ns();
    if (!replay->options->quiet)
        progress_begin(&replay->progress, "messages read");
    int rc = feed_run(&feed, err);
    progress_clear(&replay->progress);
    ret->messages = feed.passed;
    ret->aggregates = planning.aggregates.count;
    ret->events_per_second =
        (double)feed.passed / ((double)(instant_monotonic_ns() - began + 1) / 1e9);
    u64map_done(&planning.aggregates);
    return rc > 0 ? error_set(err, EXIT_CODE_DAMAGED, "interrupted while the plan was made") : rc;
}

/* --- figures that follow from the plan -------------------------------------------------------- */

static size_t memory_max(const struct replay *replay)
{
    return OWN_BYTES + replay->target.kind->memory_bytes;
}

/* Seconds: by what was measured here, what a target takes beside it, and what was asked for. */
static double duration_of(const struct replay *replay, const struct plan_figures *plan)
{
    double read = (double)plan->messages / (plan->events_per_second + 1);
    double seconds = replay->target.kind->poll ? 3 * read : 1.2 * read;
    double apart = (double)(plan->last.stored_at_ns - plan->first.stored_at_ns) / 1e9;
    if (replay->options->rate > 0 && (double)plan->events / replay->options->rate > seconds)
        seconds = (double)plan->events / replay->options->rate;
    if (replay->options->speed > 0 && apart / replay->options->speed > seconds)
        seconds = apart / replay->options->speed;
    return seconds;
}

/* Between first and cut, no longer in the streams. */
static uint64_t missing_of(const struct replay *replay, const struct plan_figures *plan)
{
    uint64_t span = 0;
    if (!replay->selection.whole)
        return 0;
    for (size_t i = 0; i < replay->selection.stream_count; i++) {
        const struct selection_stream *stream = &replay->selection.streams[i];
        span += stream->cut >= stream->first ? stream->cut - stream->first + 1 : 0;
    }
    return span > plan->messages ? span - plan->messages : 0;
}

/* --- in words --------------------------------------------------------------------------------- */

static void add_end(const struct replay *replay, const char *name, const struct plan_end *end)
{
    char when[INSTANT_TEXT_MAX], number[NUMBER_TEXT_MAX];
    (void)instant_format(end->stored_at_ns, when);
    (void)printf("  %-11s %s %s, stored %s\n", name, replay->selection.streams[end->stream].name,
                 number_text(end->seq, number), when);
}

static void show_selection(const struct replay *replay)
{
    const struct selection *selection = &replay->selection;
    json_t *all = selection_to_json(selection), *value;
    const char *key;
    CLEANUP_BUF struct buf text = {0};
    for (size_t i = 0; i < selection->stream_count && i < 8; i++)
        buf_addf(&text, "%s%s", i ? ", " : "", selection->streams[i].name);
    if (selection->stream_count > 8)
        buf_addf(&text, " and %zu more", selection->stream_count - 8);
    json_object_foreach(json_object_get(all, "wanted"), key, value)
    {
        if (strcmp(key, "stream") != 0)
            buf_addf(&text, "; %s %s", key, json_string_value(value));
    }
    CLEANUP_BUF struct buf clean = {0};
    shown_add(&clean, buf_slice(&text));
    (void)printf("  %-11s %s\n", "selection", buf_cstr(&clean));
    if (selection->server_filter)
        (void)printf("  %-11s %s\n", "filter", selection->server_filter);
    json_decref(all);
}

static void show_words(const struct replay *replay, const struct plan_figures *plan,
                       struct slice target)
{
    char a[NUMBER_TEXT_MAX], b[NUMBER_TEXT_MAX], c[NUMBER_TEXT_MAX];
    (void)printf("plan\n");
    show_selection(replay);
    (void)printf("  %-11s %s of %s messages, %s%s aggregates, %.1f MiB of payload\n", "events",
                 number_text(plan->events, a), number_text(plan->messages, b),
                 plan->aggregates_cut ? "more than " : "", number_text(plan->aggregates, c),
                 (double)plan->bytes / 1048576);
    if (plan->events) {
        add_end(replay, "first", &plan->first);
        add_end(replay, "last", &plan->last);
    }
    for (size_t i = 0; i < replay->selection.stream_count; i++) {
        const struct selection_stream *stream = &replay->selection.streams[i];
        if (stream->stream_first > 1)
            (void)printf("  %-11s %s begins at %s: what was stored before is no longer there\n",
                         "gone", stream->name, number_text(stream->stream_first, a));
    }
    if (missing_of(replay, plan))
        (void)printf("  %-11s %s messages were deleted in between\n", "gaps",
                     number_text(missing_of(replay, plan), a));
    (void)printf("  %-11s %.*s\n", "target", SLICE_ARG(target));
    (void)printf("  %-11s %s\n", "exactness",
                 replay->target.kind->once ? "each event once, also after kill -9"
                                           : "each event at least once after kill -9");
    (void)printf("  %-11s at most %.0f MiB and the largest message, however many events\n",
                 "memory", (double)memory_max(replay) / 1048576);
    (void)printf("  %-11s about %.0f s\n", "duration", duration_of(replay, plan));
    (void)printf("nothing was written\n");
}

static json_t *json_end(const struct replay *replay, const struct plan_end *end)
{
    char when[INSTANT_TEXT_MAX];
    (void)instant_format(end->stored_at_ns, when);
    return json_pack("{s:s, s:I, s:s}", "stream", replay->selection.streams[end->stream].name,
                     "sequence", (json_int_t)end->seq, "stored_at", when);
}

static void show_json(const struct replay *replay, const struct plan_figures *plan,
                      struct slice target)
{
    json_t *root = json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:I, s:s#, s:b, s:I, s:f}", "selection",
        selection_to_json(&replay->selection), "messages", (json_int_t)plan->messages, "events",
        (json_int_t)plan->events, "aggregates", (json_int_t)plan->aggregates, "bytes",
        (json_int_t)plan->bytes, "missing", (json_int_t)missing_of(replay, plan), "target",
        target.ptr, (int)target.len, "exactly_once", replay->target.kind->once, "memory_bytes_max",
        (json_int_t)memory_max(replay), "seconds", duration_of(replay, plan));
    if (plan->events) {
        (void)json_object_set_new(root, "first", json_end(replay, &plan->first));
        (void)json_object_set_new(root, "last", json_end(replay, &plan->last));
    }
    (void)json_dumpf(root, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(root);
}

void plan_show(const struct replay *replay, const struct plan_figures *plan, struct slice target)
{
    (replay->options->json ? show_json : show_words)(replay, plan, target);
}
