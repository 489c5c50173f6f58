/* A replay from plan to end. */
#include <stdio.h>

#include "act/replay/replay_internal.h"
#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"

static const int64_t checkpoint_every_ns = NS_PER_SECOND;
static const int64_t tell_every_ns = 5 * NS_PER_SECOND;
enum { TOLD_GAP = 10 };

bool replay_is_stopped(const struct replay *replay)
{
    return replay->cancelled || replay->interrupted ||
           (replay->options->stopped && replay->options->stopped());
}

/* --- options in records ----------------------------------------------------------------------- */

static const char *const error_names[] = {"stop", "skip", "park"};

static json_t *options_to_json(const struct replay_options *options)
{
    return json_pack("{s:b, s:s*, s:i, s:i, s:f, s:f, s:s, s:I, s:i, s:b, s:b, s:b}", "elsewhere",
                     options->to_nats.url != NULL, "prefix", options->prefix, "parallel",
                     (int)options->parallel, "batch", (int)options->batch, "rate", options->rate,
                     "speed", options->speed, "on_error", error_names[options->on_error],
                     "skip_max", (json_int_t)options->skip_max, "retries", (int)options->retries,
                     "follow", options->follow, "keep_old", options->keep_old, "verify",
                     options->verify);
}

/* Texts point into the record. */
static int options_of_record(const struct replay_record *record, struct replay_options *ret,
                             struct error *err)
{
    json_t *from = json_object_get(record->root, "options");
    const char *on_error = json_string_value(json_object_get(from, "on_error"));
    ret->target = replay_record_text(record, "target");
    ret->prefix = json_string_value(json_object_get(from, "prefix"));
    ret->parallel = (unsigned)json_integer_value(json_object_get(from, "parallel"));
    ret->batch = (unsigned)json_integer_value(json_object_get(from, "batch"));
    ret->rate = json_number_value(json_object_get(from, "rate"));
    ret->speed = json_number_value(json_object_get(from, "speed"));
    ret->skip_max = (uint64_t)json_integer_value(json_object_get(from, "skip_max"));
    ret->retries = (unsigned)json_integer_value(json_object_get(from, "retries"));
    ret->follow = json_is_true(json_object_get(from, "follow"));
    ret->keep_old = json_is_true(json_object_get(from, "keep_old"));
    ret->verify = ret->verify || json_is_true(json_object_get(from, "verify"));
    for (size_t i = 0; on_error && i < ARRAY_LEN(error_names); i++) {
        if (!strcmp(on_error, error_names[i]))
            ret->on_error = (enum replay_on_error)i;
    }
    if (!ret->parallel || ret->parallel > REPLAY_PARALLEL_MAX || !ret->batch ||
        ret->batch > REPLAY_BATCH_MAX)
        return error_set(err, EXIT_CODE_DAMAGED, "the record of replay %s cannot be read",
                         record->id);
    if (json_is_true(json_object_get(from, "elsewhere")) && !ret->to_nats.url)
        return error_set(err, EXIT_CODE_USAGE,
                         "replay %s goes to another server; say which by --to-nats", record->id);
    return 0;
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static void put_figures(struct replay *replay)
{
    const struct replay_figures *figures = &replay->settled;
    json_t *positions = json_object();
    replay_record_set(&replay->record, "told", json_integer((json_int_t)replay->story_sequence));
    for (size_t i = 0; i < replay->selection.stream_count; i++)
        (void)json_object_set_new(positions, replay->selection.streams[i].name,
                                  json_integer((json_int_t)replay->positions[i]));
    replay_record_set(&replay->record, "positions", positions);
    replay_record_set(&replay->record, "target_state", replay->target.kind->state(&replay->target));
    replay_record_set(&replay->record, "figures",
                      json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "read", (json_int_t)figures->read,
                                "replayed", (json_int_t)figures->replayed, "bytes",
                                (json_int_t)figures->bytes, "skipped", (json_int_t)figures->skipped,
                                "parked", (json_int_t)figures->parked, "retried",
                                (json_int_t)figures->retried));
}

void replay_pass_read(const struct replay *replay, uint64_t *positions)
{
    for (size_t i = 0; i < replay->selection.stream_count; i++) {
        if (replay->read[i] >= positions[i])
            positions[i] = replay->read[i] + 1;
    }
}

void replay_load_figures(struct replay *replay)
{
    json_t *from = json_object_get(replay->record.root, "figures");
    json_t *positions = json_object_get(replay->record.root, "positions");
    struct replay_figures *figures = &replay->figures;
    const struct {
        const char *key;
        uint64_t *place;
    } all[] = {{"read", &figures->read},     {"replayed", &figures->replayed},
               {"bytes", &figures->bytes},   {"skipped", &figures->skipped},
               {"parked", &figures->parked}, {"retried", &figures->retried}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        *all[i].place = (uint64_t)json_integer_value(json_object_get(from, all[i].key));
    replay->settled = replay->figures;
    /* Some may have been told behind the last checkpoint: their numbers are not used again. */
    replay->story_sequence =
        (uint64_t)json_integer_value(json_object_get(replay->record.root, "told")) + TOLD_GAP;
    for (size_t i = 0; i < replay->selection.stream_count; i++) {
        const char *name = replay->selection.streams[i].name;
        replay->positions[i] = (uint64_t)json_integer_value(json_object_get(positions, name));
        replay->read[i] = replay->positions[i] ? replay->positions[i] - 1 : 0;
    }
}

/*
 * Somebody else wrote: a cancel, which is obeyed, or another process, which has it now. Or it was
 * we ourselves: a write whose answer was not waited for was stored all the same (*ret_again).
 */
static int see_other(struct replay *replay, bool *ret_again, struct error *err)
{
    struct replay_record now = {0};
    if (replay_record_load(&now, replay->selection.reader.bus, replay->record.id, err) < 0)
        return -1;
    bool cancel = !strcmp(replay_record_text(&now, "state"), "cancelling");
    bool own = replay_record_is_own(&now);
    replay->cancelled = replay->cancelled || cancel;
    replay->lost = !cancel && !own;
    if (!replay->lost)
        replay->record.revision = now.revision;
    replay_record_done(&now);
    *ret_again = own && !cancel;
    return !replay->lost ? 0
                         : error_set(err, EXIT_CODE_REFUSED,
                                     "another process goes on with replay %s", replay->record.id);
}

enum { WRITES_MAX = 5 };

static int write_record(struct replay *replay, struct error *err)
{
    struct error problem = ERROR_NONE;
    if (!replay->record.id[0])
        return 0;
    put_figures(replay);
    bool again = true;
    for (int i = 0; i < WRITES_MAX && again; i++) {
        /* Before it: the lease is never longer than it is seen. */
        int64_t now = instant_monotonic_ns();
        if (replay_record_write(&replay->record, replay->selection.reader.bus, &problem) == 0) {
            replay->lease_ns = now;
            return 0;
        }
        if (problem.code != EXIT_CODE_REFUSED)
            return error_set(err, problem.code, "%s", problem.text);
        if (see_other(replay, &again, err) < 0)
            return -1;
    }
    return 0;
}

unsigned replay_replicas(const struct replay *replay)
{
    unsigned most = 1;
    for (size_t i = 0; i < replay->selection.stream_count; i++) {
        if (replay->selection.streams[i].replicas > most)
            most = replay->selection.streams[i].replicas;
    }
    return most;
}

bool replay_has_lease(const struct replay *replay, int64_t now_ns)
{
    return !replay->record.id[0] || replay->aside || now_ns - replay->lease_ns < RECORD_STALE_NS;
}

int replay_renew(struct replay *replay, struct error *err)
{
    struct error problem = ERROR_NONE;
    if (write_record(replay, &problem) == 0 || problem.code == EXIT_CODE_UNREACHABLE)
        return 0;
    return error_set(err, problem.code, "%s", problem.text);
}

int replay_checkpoint(struct replay *replay, struct error *err)
{
    return write_record(replay, err);
}

int replay_keep(struct replay *replay, struct error *err)
{
    int64_t now = instant_monotonic_ns();
    struct error problem = ERROR_NONE;
    if (replay->aside)
        return 0;
    progress_show(&replay->progress, replay->figures.read, replay->expected);
    int64_t apart = replay->target.kind->checkpoint_ns;
    if (now - replay->checkpoint_ns < (apart ? apart : checkpoint_every_ns))
        return 0;
    replay->checkpoint_ns = now;
    if (replay->target.kind->settle(&replay->target, false, replay->positions, err) < 0)
        return -1;
    if (write_record(replay, &problem) < 0) {
        /* A server that is away for a moment: the next checkpoint says it. */
        if (problem.code != EXIT_CODE_UNREACHABLE)
            return error_set(err, problem.code, "%s", problem.text);
        return 0;
    }
    if (now - replay->told_ns >= tell_every_ns) {
        story_tell(replay, "ReplayProgressed", story_figures(replay));
        replay->told_ns = now;
        replay->told_replayed = replay->figures.replayed;
    }
    return 0;
}

/* --- the loop --------------------------------------------------------------------------------- */

static int take(void *context, const struct replay_event *event, struct error *err)
{
    struct replay *replay = context;
    if (pace_wait(replay, event->stored_at_ns, err) < 0)
        return -1;
    if (replay_is_stopped(replay)) { /* the event is not taken: nothing behind it may be */
        replay->interrupted = !replay->cancelled;
        return error_set(err, EXIT_CODE_DAMAGED, "stopped");
    }
    /* This process stood still for so long that another may have it now: asked before it writes. */
    if (!replay_has_lease(replay, instant_monotonic_ns()) && replay_renew(replay, err) < 0)
        return -1;
    replay->last_stored_ns = event->stored_at_ns;
    return replay->target.kind->take(&replay->target, event, err);
}

static int idle(void *context, struct error *err)
{
    struct replay *replay = context;
    if (replay->target.kind->poll && replay->target.kind->poll(&replay->target, 0, err) < 0)
        return -1;
    if (replay_keep(replay, err) < 0)
        return -1;
    if (!replay_is_stopped(replay))
        return 0;
    replay->interrupted = !replay->cancelled;
    return 1;
}

/* Figures of what was read come from the feed, which knows what was not chosen. */
struct looping {
    struct replay *replay;
    struct feed feed;
    uint64_t read_before;
};

static int take_counted(void *context, const struct replay_event *event, struct error *err)
{
    struct looping *looping = context;
    looping->replay->figures.read = looping->read_before + looping->feed.passed;
    return take(looping->replay, event, err);
}

static int idle_counted(void *context, struct error *err)
{
    struct looping *looping = context;
    looping->replay->figures.read = looping->read_before + looping->feed.passed;
    return idle(looping->replay, err);
}

static int loop(struct replay *replay, struct error *err)
{
    struct looping looping = {.replay = replay, .read_before = replay->figures.read};
    looping.feed = (struct feed){.selection = &replay->selection,
                                 .positions = replay->positions,
                                 .follow = replay->options->follow,
                                 .with_views = replay->target.kind->with_views,
                                 .read = replay->read,
                                 .each = take_counted,
                                 .idle = idle_counted,
                                 .context = &looping};
    uint64_t *starts = xcalloc(replay->selection.stream_count + 1, sizeof *starts);
    memcpy(starts, replay->positions, replay->selection.stream_count * sizeof *starts);
    looping.feed.positions = starts; /* checkpoints move the others */
    int rc = feed_run(&looping.feed, err);
    replay->figures.read = looping.read_before + looping.feed.passed;
    free(starts);
    return rc;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void say_end(const struct replay *replay, const char *how)
{
    const struct replay_figures *figures = &replay->figures;
    FILE *out = strcmp(replay->target.where, "-") ? stdout : stderr;
    char a[NUMBER_TEXT_MAX], b[NUMBER_TEXT_MAX], rate[NUMBER_TEXT_MAX];
    double seconds = (double)(instant_monotonic_ns() - replay->began_ns + 1) / 1e9;
    if (replay->options->quiet && out == stderr)
        return;
    if (replay->options->json && out == stdout) {
        json_t *root = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f}", "replay", replay->record.id, "state", how,
            "read", (json_int_t)figures->read, "replayed", (json_int_t)figures->replayed, "skipped",
            (json_int_t)figures->skipped, "parked", (json_int_t)figures->parked, "bytes",
            (json_int_t)figures->bytes, "seconds", seconds);
        (void)json_dumpf(root, out, JSON_COMPACT);
        (void)fputc('\n', out);
        json_decref(root);
        return;
    }
    (void)fprintf(
        out, "%s: %s events %s %s (of %s messages read) in %.1f s, %s/s\n", how,
        number_text(figures->replayed, a), replay->target.kind->doing, replay->target.where,
        number_text(figures->read, b), seconds,
        number_text((uint64_t)((double)(figures->read - replay->began_read) / seconds), rate));
    if (figures->skipped)
        (void)fprintf(out, "%llu skipped\n", (unsigned long long)figures->skipped);
    if (figures->parked)
        (void)fprintf(out, "%llu parked; 'cim-ops replay parked %s' shows them\n",
                      (unsigned long long)figures->parked, replay->record.id);
    if (replay->record.id[0])
        (void)fprintf(out, "id %s\n", replay->record.id);
}

static void end_record(struct replay *replay, const char *state, const char *problem)
{
    struct error ignored;
    if (!replay->record.id[0])
        return;
    bool was_cancelled = replay->cancelled;
    replay_record_set_state(&replay->record, state, problem);
    if (write_record(replay, &ignored) < 0)
        shown_error("cim-ops replay: the record of its end is not written: %s\n", ignored.text);
    /* A cancel came in between; what is done by then is done. */
    if (replay->cancelled && !was_cancelled)
        end_record(replay, strcmp(state, "done") != 0 ? "cancelled" : state, NULL);
}

static json_t *problem_data(const struct replay *replay, const char *problem)
{
    json_t *data = story_figures(replay);
    (void)json_object_set_new(data, "problem", json_string(problem));
    return data;
}

/* What is on its way is waited for, so that the next start has less to look for. */
static void settle_rest(struct replay *replay)
{
    struct error ignored;
    (void)replay->target.kind->settle(&replay->target, true, replay->positions, &ignored);
}

static int end_broken_off(struct replay *replay, struct error *err)
{
    bool cancelled = replay->cancelled;
    settle_rest(replay);
    end_record(replay, cancelled ? "cancelled" : "interrupted", NULL);
    story_tell(replay, cancelled ? "ReplayCancelled" : "ReplayInterrupted", story_figures(replay));
    say_end(replay, cancelled ? "cancelled" : "interrupted");
    if (cancelled)
        return error_set(err, EXIT_CODE_DAMAGED, "the replay was cancelled");
    return replay->record.id[0]
               ? error_set(err, EXIT_CODE_DAMAGED,
                           "interrupted; go on with: cim-ops replay --resume %s", replay->record.id)
               : error_set(err, EXIT_CODE_DAMAGED, "interrupted");
}

static int end_failed(struct replay *replay, struct error *err)
{
    struct error problem = *err;
    settle_rest(replay);
    end_record(replay, "failed", problem.text);
    story_tell(replay, "ReplayFailed", problem_data(replay, problem.text));
    return replay->record.id[0]
               ? error_set(err, problem.code, "%s; when that is mended: cim-ops replay --resume %s",
                           problem.text, replay->record.id)
               : error_set(err, problem.code, "%s", problem.text);
}

/* A target that is away is not waited for when a stop was asked for. */
static int end_badly(struct replay *replay, struct error *err)
{
    if (replay->lost) /* nothing is ours to write any more, neither there nor in the record */
        return -1;
    if (!replay->interrupted && replay_is_stopped(replay) && err->code == EXIT_CODE_UNREACHABLE)
        replay->interrupted = !replay->cancelled;
    return replay->interrupted || replay->cancelled ? end_broken_off(replay, err)
                                                    : end_failed(replay, err);
}

static int end_well(struct replay *replay, struct error *err)
{
    const struct target_kind *kind = replay->target.kind;
    if (kind->settle(&replay->target, true, replay->positions, err) < 0)
        return end_badly(replay, err);
    if (write_record(replay, err) < 0)
        return end_badly(replay, err);
    if (replay_is_stopped(replay)) { /* perhaps before all was settled */
        replay->interrupted = !replay->cancelled;
        return end_broken_off(replay, err);
    }
    if (kind->finish && kind->finish(&replay->target, err) < 0)
        return end_badly(replay, err);
    end_record(replay, "done", NULL);
    story_tell(replay, "ReplayCompleted", story_figures(replay));
    say_end(replay, "done");
    if (replay->options->verify && verify_target(replay, err) < 0)
        return -1;
    if (!replay->figures.replayed && !replay->figures.parked && !replay->figures.skipped)
        return error_set(err, EXIT_CODE_PROBLEM, "no event fits the selection");
    if (replay->figures.skipped || replay->figures.parked)
        return error_set(err, EXIT_CODE_PROBLEM,
                         "not all events were taken: %llu skipped, %llu "
                         "parked",
                         (unsigned long long)replay->figures.skipped,
                         (unsigned long long)replay->figures.parked);
    return 0;
}

/* The target cannot be gone on with: the record is as it was, but for the reason. */
static int give_back(struct replay *replay, struct error *err)
{
    struct error ignored;
    replay_record_set_state(&replay->record, "failed", err->text);
    (void)replay_record_write(&replay->record, replay->selection.reader.bus, &ignored);
    return -1;
}

static int run(struct replay *replay, json_t *state, struct error *err)
{
    replay->began_ns = replay->told_ns = replay->checkpoint_ns = instant_monotonic_ns();
    replay->told_replayed = replay->figures.replayed;
    replay->began_read = replay->figures.read;
    if (replay->target.kind->open(&replay->target, state, err) < 0)
        return replay->record.revision ? give_back(replay, err) : -1;
    if (replay->record.id[0]) {
        replay_record_set_state(&replay->record, "running", NULL);
        if (write_record(replay, err) < 0)
            return -1;
    }
    story_tell(replay, replay->resumed ? "ReplayResumed" : "ReplayStarted", story_figures(replay));
    if (!replay->options->quiet)
        progress_begin(&replay->progress, "messages");
    int rc = loop(replay, err);
    progress_clear(&replay->progress);
    if (replay->interrupted || replay->cancelled)
        return end_broken_off(replay, err);
    return rc < 0 ? end_badly(replay, err) : end_well(replay, err);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int open_target(struct replay *replay, const char *text, struct error *err)
{
    const struct replay_options *options = replay->options;
    size_t streams = replay->selection.stream_count;
    replay->positions = xcalloc(streams + 1, sizeof *replay->positions);
    replay->read = xcalloc(streams + 1, sizeof *replay->read);
    for (size_t i = 0; i < streams; i++) {
        replay->positions[i] = replay->selection.streams[i].first;
        replay->read[i] = replay->positions[i] - 1;
        replay->expected += replay->selection.streams[i].messages;
    }
    replay->to = replay->selection.reader.bus;
    if (options->to_nats.url) {
        replay->to_owned = true;
        replay->to = NULL;
        if (bus_open(&replay->to, &options->to_nats, err) < 0)
            return error_wrap(err, "--to-nats");
    }
    return target_choose(replay, text, err);
}

void replay_close(struct replay *replay)
{
    target_close(&replay->target);
    if (replay->to_owned)
        bus_close(replay->to);
    replay_record_done(&replay->record);
    selection_close(&replay->selection);
    u64map_done(&replay->blocked);
    free(replay->positions);
    free(replay->read);
}

int replay_open_recorded(struct replay *replay, struct replay_options *options, const char *id,
                         struct error *err)
{
    struct bus *bus = NULL;
    replay->options = options;
    replay->resumed = true;
    if (bus_open(&bus, &options->nats, err) < 0)
        return -1;
    int rc = replay_record_load(&replay->record, bus, id, err);
    bus_close(bus);
    if (rc < 0)
        return -1;
    if (options_of_record(&replay->record, options, err) < 0 ||
        selection_reopen(&replay->selection, json_object_get(replay->record.root, "selection"),
                         &options->nats, options->rules_dir, options->stopped, err) < 0 ||
        open_target(replay, options->target, err) < 0)
        return -1;
    replay_load_figures(replay);
    replay->record.replicas = replay_replicas(replay);
    return 0;
}

static int plan_only(struct replay *replay, struct slice words, struct error *err)
{
    struct plan_figures plan;
    if (plan_make(replay, &plan, err) < 0)
        return -1;
    plan_show(replay, &plan, words);
    return plan.events ? 0 : error_set(err, EXIT_CODE_PROBLEM, "no event fits the selection");
}

/* What cannot be meant together. */
static int check_follow(const struct replay_wanted *wanted, const char *correlation, bool follow,
                        struct error *err)
{
    if (follow && (wanted->until || correlation))
        return error_set(err, EXIT_CODE_USAGE,
                         "--follow goes on behind the cut; with %s there is an end",
                         correlation ? "--correlation" : "--until");
    return 0;
}

static int check_options(const struct replay *replay, struct error *err)
{
    const struct replay_options *options = replay->options;
    const struct target *target = &replay->target;
    const struct target_kind *kind = target->kind;
    bool is_stdout = !strcmp(target->where, "-");
    if (check_follow(&replay->selection.wanted, NULL, options->follow, err) < 0)
        return -1; /* out of the filter's file */
    if (options->follow && kind->finish)
        return error_set(err, EXIT_CODE_USAGE,
                         "--follow never ends, and %s:%s is switched when all is there", kind->name,
                         target->where);
    if (options->verify && (is_stdout || (!kind->read_back && !kind->verify)))
        return error_set(err, EXIT_CODE_USAGE,
                         "--verify: %s%s%s keeps nothing that could be verified", kind->name,
                         is_stdout ? "" : ":", is_stdout ? " on standard output" : target->where);
    if (options->keep_old && kind != &target_kv)
        return error_set(err, EXIT_CODE_USAGE, "--keep-old is for kv: targets");
    if (options->prefix && kind != &target_stream)
        return error_set(err, EXIT_CODE_USAGE, "--prefix is for stream: targets");
    if (options->prefix && *options->prefix &&
        (!subject_is_filter(slice_of(options->prefix)) || strpbrk(options->prefix, "*>")))
        return error_set(err, EXIT_CODE_USAGE, "--prefix: '%s' cannot stand before subjects",
                         options->prefix);
    if (options->to_nats.url && kind == &target_file)
        return error_set(err, EXIT_CODE_USAGE, "--to-nats: a file is on no server");
    return 0;
}

static int run_new(struct replay *replay, struct error *err)
{
    const struct replay_options *options = replay->options;
    CLEANUP_BUF struct buf words = {0};
    if (check_follow(&options->wanted, options->wanted.events.correlation, options->follow, err) <
            0 ||
        selection_open(&replay->selection, &options->wanted, &options->nats, options->rules_dir,
                       options->stopped, err) < 0 ||
        open_target(replay, options->target, err) < 0 || check_options(replay, err) < 0 ||
        replay->target.kind->check(&replay->target, &words, err) < 0)
        return -1;
    if (options->dry_run)
        return plan_only(replay, buf_slice(&words), err);
    if (strcmp(replay->target.where, "-") != 0) {
        replay_record_new(&replay->record);
        replay->record.replicas =
            replay_replicas(replay); /* it must live as long as what it is of */
        replay_record_set(&replay->record, "target", json_string(options->target));
        replay_record_set(&replay->record, "options", options_to_json(options));
        replay_record_set(&replay->record, "selection", selection_to_json(&replay->selection));
    }
    return run(replay, NULL, err);
}

int replay_run(const struct replay_options *options, struct error *err)
{
    struct replay replay = {.options = options};
    int rc = run_new(&replay, err);
    replay_close(&replay);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}

static int run_again(struct replay *replay, struct error *err)
{
    const char *state = replay_record_state(&replay->record);
    if (!replay_record_is_open(&replay->record))
        return error_set(err, EXIT_CODE_REFUSED, "replay %s is %s", replay->record.id, state);
    if (!strcmp(state, "running"))
        return error_set(err, EXIT_CODE_REFUSED,
                         "replay %s is running: it was written to less than %d s ago",
                         replay->record.id, (int)(RECORD_STALE_NS / NS_PER_SECOND));
    /* Of two that go on at once one gets it; only then is the target touched. */
    replay_record_set_state(&replay->record, "running", NULL);
    if (replay_record_write(&replay->record, replay->selection.reader.bus, err) < 0)
        return -1;
    return run(replay, json_object_get(replay->record.root, "target_state"), err);
}

int replay_resume(const struct replay_options *options, const char *id, struct error *err)
{
    struct replay_options own = *options;
    struct replay replay = {0};
    int rc = replay_open_recorded(&replay, &own, id, err);
    if (rc == 0)
        rc = run_again(&replay, err);
    replay_close(&replay);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}
