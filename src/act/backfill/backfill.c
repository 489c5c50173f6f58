#include "act/backfill/backfill.h"

#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "act/backfill/backfill_internal.h"

/* Where Prometheus does not say what it keeps: as far back as anybody will look. */
static const int64_t look_back_ns = INT64_C(400) * 86400 * NS_PER_SECOND;
static const int64_t chunk_ns = 2 * 3600 * NS_PER_SECOND; /* the blocks of Prometheus */

/* One metric that is wanted. */
struct goal {
    const struct metric_spec *spec;
    struct family *family;
    uint64_t fingerprint; /* of the rule; 0: of the engine's own */
    int64_t live_ns;      /* first sample of Prometheus' own; 0: none */
    int64_t from_ns, until_ns;
    bool skipped; /* there already, or nothing to do */
    bool redone;  /* continues what a run before began */
};

struct backfill {
    const struct backfill_options *options;
    struct rules *rules;
    struct registry *registry;
    struct engine *engine;
    struct bus *bus;
    struct stream_list streams;
    struct prometheus *prometheus;
    char *data_dir;
    int64_t retention_ns, now_ns, from_ns;
    struct history_label labels[BACKFILL_LABELS_MAX];
    size_t label_count;
    struct goal *goals;
    size_t goal_count;
    struct done done;
    struct blocks blocks;
    struct history *history;
    struct fold_figures figures;
    uint64_t messages, gone;
};

static const char *time_text(int64_t ns, char out[static INSTANT_TEXT_MAX])
{
    (void)instant_format(ns, out);
    out[19] = 'Z'; /* seconds are enough */
    out[20] = 0;
    return out;
}

/* --- which metrics ---------------------------------------------------------------------------- */

static void ignore_report(void *context, enum engine_report what, const struct stream_state *state,
                          uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static int load_rules(struct backfill *job, struct error *err)
{
    struct engine_reporter reporter = {ignore_report, NULL};
    job->registry = registry_new();
    registry_set_folds_shown(job->registry, true);
    if (rules_load(job->options->rules_dir, &job->rules, err) < 0)
        return -1;
    return engine_new(job->rules, job->registry, reporter, &job->engine, err);
}

static bool is_named(const struct backfill *job, const char *name)
{
    for (size_t i = 0; i < job->options->metric_count; i++) {
        if (!strcmp(job->options->metrics[i], name))
            return true;
    }
    return job->options->metric_count == 0;
}

static uint64_t rule_fingerprint(const struct backfill *job, const char *name)
{
    for (size_t i = 0; i < job->rules->metric_count; i++) {
        if (!strcmp(job->rules->metrics[i].spec.name, name))
            return job->rules->metrics[i].fingerprint;
    }
    return 0;
}

static int choose_metrics(struct backfill *job, struct error *err)
{
    for (size_t i = 0; i < job->options->metric_count; i++) {
        if (!registry_find(job->registry, slice_of(job->options->metrics[i])))
            return error_set(
                err, EXIT_CODE_USAGE, "--metric: no rule in %s makes '%s' (cim-ops rules list %s)",
                job->options->rules_dir, job->options->metrics[i], job->options->rules_dir);
    }
    size_t count = registry_family_count(job->registry);
    job->goals = xcalloc(count + 1, sizeof *job->goals);
    for (size_t i = 0; i < count; i++) {
        struct family *family = registry_family_at(job->registry, i);
        const struct metric_spec *spec = family_spec(family);
        if (!spec->own && is_named(job, spec->name))
            job->goals[job->goal_count++] = (struct goal){
                .spec = spec,
                .family = family,
                .fingerprint = rule_fingerprint(job, spec->name),
            };
    }
    return 0;
}

/* --- which streams ---------------------------------------------------------------------------- */

static int find_streams(struct backfill *job, struct error *err)
{
    if (bus_open(&job->bus, &job->options->nats, err) < 0 ||
        stream_list(job->bus, &job->streams, err) < 0)
        return -1;
    for (size_t i = 0; i < job->streams.count; i++) {
        const struct stream_info *info = &job->streams.items[i];
        if (info->kind != STREAM_EVENTS)
            continue;
        job->messages += info->messages;
        uint64_t gone = info->messages && info->first_seq > 1 ? info->first_seq - 1 : 0;
        job->gone += gone;
        if (gone)
            (void)fprintf(stderr,
                          "cim-ops backfill: the first %llu messages of %s are gone (retention): "
                          "its history begins behind them, at 0\n",
                          (unsigned long long)gone, info->name);
    }
    return job->messages ? 0
                         : error_set(err, EXIT_CODE_PROBLEM,
                                     "no stream of this account holds an event: there is no "
                                     "history to fold");
}

/* --- what Prometheus knows -------------------------------------------------------------------- */

static int ask_settings(struct backfill *job, struct error *err)
{
    char *folder = NULL;
    if (!job->options->prometheus_url)
        return 0;
    if (prometheus_new(job->options->prometheus_url, &job->prometheus, err) < 0)
        return -1;
    if (prometheus_settings(job->prometheus, &folder, &job->retention_ns, err) == 0) {
        bool here = folder && access(folder, F_OK) == 0;
        if (!job->options->data_dir && here)
            job->data_dir = TAKE_PTR(folder);
        free(folder);
        return 0;
    }
    prometheus_free(job->prometheus);
    job->prometheus = NULL;
    if (job->options->until_ns)
        return 0; /* then the seam is the caller's business */
    (void)error_wrap(err, "where its own samples begin cannot be asked (start it, name it by "
                          "--prometheus URL, or say where to end by --until)");
    return -1;
}

static int find_labels(struct backfill *job, struct error *err)
{
    job->label_count = 0;
    for (size_t i = 0; i < job->options->label_count; i++) {
        const struct history_label *given = &job->options->labels[i];
        job->labels[job->label_count++] =
            (struct history_label){xstrdup(given->name), xstrdup(given->value)};
    }
    for (size_t i = 0; i < job->goal_count && job->prometheus; i++) {
        if (prometheus_labels(job->prometheus, job->goals[i].spec, job->options->labels,
                              job->options->label_count, job->labels, &job->label_count, err) < 0)
            return -1;
    }
    const struct history_label fallback[] = {{"job", job->options->fallback_job},
                                             {"instance", job->options->fallback_instance}};
    for (size_t f = 0; f < ARRAY_LEN(fallback); f++) {
        size_t i = 0;
        while (i < job->label_count && strcmp(job->labels[i].name, fallback[f].name) != 0)
            i++;
        if (i == job->label_count && job->label_count < BACKFILL_LABELS_MAX)
            job->labels[job->label_count++] =
                (struct history_label){xstrdup(fallback[f].name), xstrdup(fallback[f].value)};
    }
    return 0;
}

/* --- until when ------------------------------------------------------------------------------- */

/*
 * The last sample. Before the live series: so long that its first value holds all that is counted
 * there. Where there is none yet: now, or, by a server whose clock is ahead, its last event.
 */
static int64_t natural_end(const struct backfill *job, const struct goal *goal)
{
    int64_t end = job->now_ns;
    if (job->options->until_ns)
        return job->options->until_ns;
    if (goal->live_ns)
        return goal->live_ns - SEAM_MARGIN_NS;
    for (size_t i = 0; i < job->streams.count; i++) {
        const struct stream_info *info = &job->streams.items[i];
        if (info->kind == STREAM_EVENTS && info->last_stored_at_ns >= end)
            end = info->last_stored_at_ns + NS_PER_MS;
    }
    return end;
}

/* What the samples of a metric depend on, beside the events. */
static uint64_t sample_fingerprint(const struct backfill *job, const struct goal *goal)
{
    CLEANUP_BUF struct buf text = {0};
    buf_addf(&text, "%llx %lld %lld %d", (unsigned long long)goal->fingerprint,
             (long long)job->options->step_ns, (long long)job->options->idle_ns,
             job->options->by_stored_time);
    for (size_t i = 0; i < job->label_count; i++)
        buf_addf(&text, "\n%s=%s", job->labels[i].name, job->labels[i].value);
    return XXH3_64bits(text.ptr, text.len);
}

static int find_live(struct backfill *job, struct goal *goal, int64_t behind_ns, struct error *err)
{
    int64_t since = job->now_ns - (job->retention_ns ? job->retention_ns : look_back_ns);
    if (!job->prometheus || job->options->until_ns)
        return 0;
    return prometheus_first_sample(job->prometheus, goal->spec, job->labels, job->label_count,
                                   since, behind_ns, job->now_ns, &goal->live_ns, err);
}

static int refuse_other(const struct goal *goal, struct error *err)
{
    return error_set(
        err, EXIT_CODE_REFUSED,
        "%s was backfilled before, by another form of its rule or with other options, and those "
        "samples are still in Prometheus: delete them (POST "
        "/api/v1/admin/tsdb/delete_series?match[]=%s, which wants --web.enable-admin-api), then "
        "say --again",
        goal->spec->name, goal->spec->name);
}

static int find_end(struct backfill *job, struct goal *goal, struct error *err)
{
    /* Our own samples of an earlier run are not the beginning of the live series. */
    struct done_metric before = {0};
    goal->redone = job->done.root && done_find(&job->done, goal->spec->name, &before);
    bool same = goal->redone && before.fingerprint == sample_fingerprint(job, goal);
    if (goal->redone && !same && !job->options->again)
        return refuse_other(goal, err);
    if (find_live(job, goal, before.until_ns, err) < 0)
        return -1;
    goal->from_ns = job->from_ns;
    goal->until_ns = natural_end(job, goal) / NS_PER_MS * NS_PER_MS;
    bool inside = goal->until_ns <= before.until_ns && before.from_ns <= job->from_ns;
    goal->skipped = goal->until_ns <= job->from_ns ||
                    (same && before.complete && inside && !job->options->again);
    if (!goal->redone || goal->skipped)
        return 0;
    /* What was written before stays as it was: the same again, or only what follows. */
    if (goal->until_ns < before.until_ns && !job->options->until_ns)
        goal->until_ns = before.until_ns;
    if (before.complete && before.from_ns <= job->from_ns && !job->options->again)
        goal->from_ns = before.until_ns + 1;
    return 0;
}

static void find_begin(struct backfill *job)
{
    int64_t kept = job->retention_ns ? job->now_ns - job->retention_ns : 0;
    job->from_ns = job->options->from_ns;
    if (job->options->from_ns && job->options->from_ns < kept) {
        char text[INSTANT_TEXT_MAX];
        (void)fprintf(stderr,
                      "cim-ops backfill: Prometheus drops what is older than its retention, %s: "
                      "raise --storage.tsdb.retention.time for more\n",
                      time_text(kept, text));
    } else if (!job->options->from_ns && kept > 0) {
        job->from_ns = kept;
    }
}

/* --- the plan --------------------------------------------------------------------------------- */

static size_t print_plan(const struct backfill *job, FILE *out)
{
    char from[INSTANT_TEXT_MAX], until[INSTANT_TEXT_MAX];
    size_t open = 0;
    for (size_t i = 0; i < job->goal_count; i++) {
        const struct goal *goal = &job->goals[i];
        open += !goal->skipped;
        bool named = job->options->metric_count > 0;
        bool empty = job->history && !goal->skipped && !history_series(job->history, goal->family);
        if (!out || (!named && (empty || (goal->skipped && !goal->redone))))
            continue;
        (void)fprintf(out, "%s: ", goal->spec->name);
        if (goal->skipped && goal->redone)
            (void)fprintf(out,
                          "its history up to %s is in Prometheus already (--again writes it "
                          "once more)\n",
                          time_text(goal->until_ns, until));
        else if (goal->skipped && goal->live_ns)
            (void)fprintf(out, "nothing to do: Prometheus has its own samples since %s\n",
                          time_text(goal->live_ns, until));
        else if (goal->skipped)
            (void)fprintf(out, "nothing to do: --until lies before --from\n");
        else if (empty)
            (void)fprintf(out, "no event of these streams makes it\n");
        else
            (void)fprintf(out, "from %s until %s%s\n",
                          goal->from_ns ? time_text(goal->from_ns, from) : "the first event",
                          time_text(goal->until_ns, until),
                          goal->live_ns ? ", where its live series begins" : "");
    }
    return open;
}

static void print_dry_run(const struct backfill *job)
{
    size_t open = print_plan(job, stdout);
    for (size_t i = 0; open && i < job->streams.count; i++) {
        if (job->streams.items[i].kind == STREAM_EVENTS)
            (void)printf("would read %s: %llu messages\n", job->streams.items[i].name,
                         (unsigned long long)job->streams.items[i].messages);
    }
    (void)printf("labels:");
    for (size_t i = 0; i < job->label_count; i++)
        (void)printf(" %s=\"%s\"", job->labels[i].name, job->labels[i].value);
    (void)printf("\n");
    if (open && !job->options->to_stdout)
        (void)printf("would put blocks into %s\n", job->data_dir);
}

/* --- doing it --------------------------------------------------------------------------------- */

static int fold(struct backfill *job, struct error *err)
{
    struct history_options options = {
        .step_ns = job->options->step_ns,
        .idle_ns = job->options->idle_ns,
        .chunk_ns = job->options->to_stdout ? 0 : chunk_ns,
        .temp_dir = job->options->to_stdout ? "/tmp" : job->blocks.staging,
        .labels = job->labels,
        .label_count = job->label_count,
    };
    int64_t stop_ns = 0;
    job->history = history_new(job->registry, &options);
    for (size_t i = 0; i < job->goal_count; i++) {
        const struct goal *goal = &job->goals[i];
        if (goal->skipped)
            continue;
        history_want(job->history, goal->family, goal->from_ns, goal->until_ns);
        /* On to the live series' first sample: what begins there must begin at 0 before it. */
        int64_t end = goal->live_ns > goal->until_ns ? goal->live_ns : goal->until_ns;
        stop_ns = end > stop_ns ? end : stop_ns;
    }
    struct fold_options fold_options = {
        .bus = job->bus,
        .streams = &job->streams,
        .engine = job->engine,
        .history = job->history,
        .by_stored_time = job->options->by_stored_time,
        .quiet = job->options->quiet,
        .stop_ns = stop_ns,
    };
    if (fold_streams(&fold_options, &job->figures, err) < 0)
        return -1;
    return history_finish(job->history, err);
}

static int write_stdout(struct backfill *job, struct error *err)
{
    struct history_chunk chunk;
    if (!history_next(job->history, &chunk)) {
        (void)puts("# EOF");
        return 0;
    }
    return history_write(job->history, &chunk, stdout, err);
}

static void note_done(struct backfill *job, bool complete)
{
    for (size_t i = 0; i < job->goal_count; i++) {
        const struct goal *goal = &job->goals[i];
        struct done_metric before, now = {.fingerprint = sample_fingerprint(job, goal),
                                          .from_ns = job->from_ns,
                                          .until_ns = goal->until_ns,
                                          .complete = complete};
        if (goal->skipped)
            continue;
        if (done_find(&job->done, goal->spec->name, &before)) { /* what is there stays there */
            now.from_ns = before.from_ns < now.from_ns ? before.from_ns : now.from_ns;
            now.until_ns = before.until_ns > now.until_ns ? before.until_ns : now.until_ns;
        }
        done_set(&job->done, goal->spec->name, &now);
    }
}

static int write_blocks(struct backfill *job, struct error *err)
{
    struct history_chunk chunk;
    while (history_next(job->history, &chunk)) {
        char text[INSTANT_TEXT_MAX];
        backfill_progress(job->options->quiet, "writing: block %zu, %s", job->blocks.made + 1,
                          time_text(chunk.first_ns, text));
        if (blocks_add(&job->blocks, job->history, &chunk, err) < 0)
            return -1;
    }
    backfill_progress(job->options->quiet, "%s", "");
    note_done(job, false);
    if (done_save(&job->done, err) < 0 || blocks_move(&job->blocks, err) < 0)
        return -1;
    note_done(job, true);
    return done_save(&job->done, err);
}

static void print_summary(const struct backfill *job)
{
    struct history_figures figures = history_figures(job->history);
    char from[INSTANT_TEXT_MAX], until[INSTANT_TEXT_MAX];
    double seconds = (double)job->figures.took_ns / 1e9;
    (void)print_plan(job, stdout);
    (void)printf("%llu messages folded (%.0f/s)", (unsigned long long)job->figures.messages,
                 (double)job->figures.messages / (seconds > 0 ? seconds : 1));
    if (!figures.samples) {
        (void)printf(": none of them makes these metrics\n");
        return;
    }
    (void)printf(": %llu series, %llu samples, %s to %s\n%zu blocks in %s; Prometheus reads them "
                 "within about a minute\n",
                 (unsigned long long)figures.series, (unsigned long long)figures.samples,
                 time_text(figures.first_ns, from), time_text(figures.last_ns, until),
                 job->blocks.moved, job->data_dir);
}

static int prepare_blocks(struct backfill *job, struct error *err)
{
    const char *folder =
        job->options->data_dir ? job->options->data_dir : job->options->fallback_dir;
    if (job->options->to_stdout)
        return 0;
    if (!job->options->promtool)
        return error_set(err, EXIT_CODE_UNREACHABLE,
                         "promtool is not installed: install the Debian package prometheus "
                         "(apt-get install prometheus), or say --output openmetrics");
    if (!job->data_dir)
        job->data_dir = xstrdup(folder);
    if (!job->options->dry_run &&
        blocks_open(&job->blocks, job->data_dir, job->options->promtool, err) < 0)
        return -1;
    return done_load(job->data_dir, &job->done, err);
}

static int plan(struct backfill *job, struct error *err)
{
    if (load_rules(job, err) < 0 || choose_metrics(job, err) < 0 || ask_settings(job, err) < 0 ||
        prepare_blocks(job, err) < 0 || find_streams(job, err) < 0 || find_labels(job, err) < 0)
        return -1;
    find_begin(job);
    for (size_t i = 0; i < job->goal_count; i++) {
        if (find_end(job, &job->goals[i], err) < 0)
            return -1;
    }
    return 0;
}

static int act(struct backfill *job, struct error *err)
{
    if (plan(job, err) < 0)
        return -1;
    if (job->options->dry_run) {
        print_dry_run(job);
        return 0;
    }
    if (!print_plan(job, NULL) && !job->options->to_stdout) {
        if (!job->options->metric_count)
            (void)printf("nothing to do: Prometheus has all of it\n");
        (void)print_plan(job, stdout);
        return 0;
    }
    if (fold(job, err) < 0)
        return -1;
    if (job->options->to_stdout)
        return write_stdout(job, err);
    if (write_blocks(job, err) < 0)
        return -1;
    print_summary(job);
    return 0;
}

int backfill_run(const struct backfill_options *options, struct error *err)
{
    struct backfill job = {.options = options, .now_ns = instant_now_ns(), .blocks = {.lock = -1}};
    int rc = act(&job, err);
    blocks_close(&job.blocks);
    history_free(job.history);
    done_done(&job.done);
    prometheus_free(job.prometheus);
    stream_list_done(&job.streams);
    bus_close(job.bus);
    engine_free(job.engine);
    registry_free(job.registry);
    rules_free(job.rules);
    for (size_t i = 0; i < job.label_count; i++) {
        free((char *)(uintptr_t)job.labels[i].name);
        free((char *)(uintptr_t)job.labels[i].value);
    }
    free(job.goals);
    free(job.data_dir);
    return rc < 0 ? (int)err->code : EXIT_CODE_DONE;
}
