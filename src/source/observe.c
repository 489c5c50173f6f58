/* The agent: one thread per source, and the main thread, which publishes. */
#include "source/observe.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/observe_internal.h"

#define OPEN_PATIENCE_NS (10 * NS_PER_SECOND) /* then a source that is opened does not respond */
#define HANG_NS_MIN      (5 * NS_PER_SECOND)  /* or two intervals, what is longer */
#define ONCE_PATIENCE_NS (15 * NS_PER_SECOND)
#define END_PATIENCE_NS  (3 * NS_PER_SECOND)
#define TURN_NS          (100 * NS_PER_MS)

static atomic_bool stop_asked;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stop_asked, true);
}

/* --- telling ---------------------------------------------------------------------------------- */

static void add(struct source_sink *sink, enum waiting_class class, const char *aggregate,
                const char *id, const char *type, json_t *data)
{
    if (catalogue_has(sink->source, aggregate, type)) {
        waiting_add(sink->waiting, class, sink->source->name, aggregate, id, type, data);
        return;
    }
    (void)fprintf(stderr, "cim-ops observe: a defect: %s.%s.%s is in no table of events\n",
                  sink->source->name, aggregate, type);
    json_decref(data);
}

void source_tell(struct source_sink *sink, const char *aggregate, const char *id, const char *type,
                 json_t *data)
{
    add(sink, WAITING_TRANSITIONS, aggregate, id, type, data);
}

void source_sample(struct source_sink *sink, const char *aggregate, const char *id,
                   const char *type, int64_t valid_ns, json_t *data)
{
    int64_t held = valid_ns ? valid_ns : 3 * sink->interval_ns;
    (void)json_object_set_new(data, "valid_seconds", json_real((double)held / 1e9));
    add(sink, WAITING_SAMPLES, aggregate, id, type, data);
}

/* --- one source ------------------------------------------------------------------------------- */

enum worker_state { WORKER_OPENING, WORKER_MISSING, WORKER_UNUSABLE, WORKER_RUNS, WORKER_ENDED };

struct worker {
    struct source_sink sink;
    const struct source_options *options;
    bool once;
    pthread_t thread;
    _Atomic enum worker_state state;
    _Atomic int64_t busy_since; /* monotonic; 0: between two looks */
    bool told_hanging;          /* the main thread's */
    bool failing;
    struct error err;
};

static void tell_source(struct worker *worker, const char *type, json_t *data)
{
    source_tell(&worker->sink, "source", worker->options->node, type, data);
}

static json_t *reason_of(const struct error *err)
{
    return json_pack("{s:s}", "reason", err->text);
}

static void look(struct worker *worker, void *state)
{
    struct error err = ERROR_NONE;
    int64_t began = instant_monotonic_ns();
    atomic_store(&worker->busy_since, began);
    bool failed = worker->sink.source->observe(state, &worker->sink, &err) < 0;
    atomic_store(&worker->busy_since, 0);
    if (failed && (!worker->failing || strcmp(err.text, worker->err.text) != 0))
        tell_source(worker, "SourceFailed", reason_of(&err));
    if (!failed && worker->failing)
        tell_source(worker, "SourceRecovered", json_object());
    worker->failing = failed;
    worker->err = err;
    double took = (double)(instant_monotonic_ns() - began) / 1e9;
    source_sample(&worker->sink, "source", worker->options->node, "SourceSampled", 0,
                  json_pack("{s:b, s:f, s:I}", "working", !failed, "look_seconds", took,
                            "dropped_events", (json_int_t)waiting_dropped(worker->sink.waiting)));
}

/* In short naps, so that a signal ends it soon; a little early or late, so that the sources of a
 * site do not all ask at the same moment. */
static void rest_until(int64_t at)
{
    int64_t left;
    while (!atomic_load(&stop_asked) && (left = at - instant_monotonic_ns()) > 0) {
        int64_t nap = left < TURN_NS ? left : TURN_NS;
        struct timespec pause = {.tv_nsec = nap};
        (void)nanosleep(&pause, NULL);
    }
}

static void *work(void *context)
{
    struct worker *worker = context;
    int64_t interval = worker->options->interval_ns;
    uint64_t jitter = (uint64_t)instant_now_ns();
    void *state = NULL;
    atomic_store(&worker->busy_since, instant_monotonic_ns());
    if (worker->sink.source->open(worker->options, &state, &worker->err) < 0) {
        atomic_store(&worker->busy_since, 0);
        atomic_store(&worker->state,
                     worker->err.code == EXIT_CODE_PROBLEM ? WORKER_MISSING : WORKER_UNUSABLE);
        return NULL;
    }
    atomic_store(&worker->state, WORKER_RUNS);
    tell_source(worker, "SourceStarted",
                json_pack("{s:s, s:f}", "version", CIM_OPS_VERSION, "interval_seconds",
                          (double)interval / 1e9));
    int64_t next = instant_monotonic_ns();
    do {
        look(worker, state);
        jitter = jitter * 6364136223846793005u + 1442695040888963407u;
        next += interval;
        int64_t now = instant_monotonic_ns();
        if (next < now)
            next = now + interval; /* looks that came too late are left out */
        if (!worker->once)
            rest_until(next + (int64_t)((jitter >> 33) % 100) * interval / 2000);
    } while (!worker->once && !atomic_load(&stop_asked));
    worker->sink.source->close(state);
    tell_source(worker, "SourceStopped", json_object());
    atomic_store(&worker->state, WORKER_ENDED);
    return NULL;
}

/* What a thread that hangs cannot say itself. */
static void watch(struct worker *worker)
{
    int64_t since = atomic_load(&worker->busy_since);
    int64_t interval = worker->options->interval_ns;
    int64_t patience = 2 * interval > HANG_NS_MIN ? 2 * interval : HANG_NS_MIN;
    bool hangs = since && instant_monotonic_ns() - since > patience;
    if (hangs == worker->told_hanging)
        return;
    worker->told_hanging = hangs;
    tell_source(worker, hangs ? "SourceNotResponding" : "SourceResponding",
                hangs ? json_pack("{s:f}", "seconds", (double)patience / 1e9) : json_object());
}

/* --- all of them ------------------------------------------------------------------------------ */

struct observer {
    const struct observe_options *options;
    struct waiting *waiting;
    struct delivery_line *line;
    struct worker workers[OBSERVE_SOURCES_MAX];
    size_t count;
};

static bool all_in(const struct observer *observer, bool (*holds)(enum worker_state))
{
    for (size_t i = 0; i < observer->count; i++) {
        if (!holds(atomic_load(&observer->workers[i].state)))
            return false;
    }
    return true;
}

static bool is_open(enum worker_state state)
{
    return state != WORKER_OPENING;
}

static bool is_over(enum worker_state state)
{
    return state == WORKER_ENDED || state == WORKER_MISSING || state == WORKER_UNUSABLE;
}

static int start(struct observer *observer, struct error *err)
{
    for (size_t i = 0; i < observer->options->source_count; i++) {
        struct worker *worker = &observer->workers[observer->count];
        *worker = (struct worker){
            .sink = {observer->waiting, observer->options->sources[i],
                     observer->options->source.interval_ns},
            .options = &observer->options->source,
            .once = observer->options->once,
        };
        int code = pthread_create(&worker->thread, NULL, work, worker);
        if (code)
            return error_set(err, EXIT_CODE_INTERNAL, "cannot start a thread: %s", strerror(code));
        observer->count++;
    }
    return 0;
}

/* Until each source is open or known not to be; what hangs here is said later. */
static int settle(struct observer *observer, struct error *err)
{
    int64_t until = instant_monotonic_ns() + OPEN_PATIENCE_NS;
    size_t missing = 0;
    while (!all_in(observer, is_open) && instant_monotonic_ns() < until &&
           !atomic_load(&stop_asked))
        line_turn(observer->line, observer->waiting, 20);
    for (size_t i = 0; i < observer->count; i++) {
        struct worker *worker = &observer->workers[i];
        enum worker_state state = atomic_load(&worker->state);
        missing += state == WORKER_MISSING;
        bool skipped = state == WORKER_MISSING && observer->options->skip_missing;
        if (!skipped && (state == WORKER_UNUSABLE || state == WORKER_MISSING))
            return error_set(err, worker->err.code, "%s: %s", worker->sink.source->name,
                             worker->err.text);
    }
    return missing < observer->count
               ? 0
               : error_set(err, EXIT_CODE_PROBLEM, "there is nothing here to observe");
}

static void run(struct observer *observer)
{
    int64_t until = observer->options->once ? instant_monotonic_ns() + ONCE_PATIENCE_NS : INT64_MAX;
    while (!atomic_load(&stop_asked) && !all_in(observer, is_over) &&
           instant_monotonic_ns() < until) {
        for (size_t i = 0; i < observer->count; i++)
            watch(&observer->workers[i]);
        line_turn(observer->line, observer->waiting, (int)(TURN_NS / NS_PER_MS));
    }
}

/* Joins what ends in time. False: a thread hangs in its source, and nothing may be freed. */
static bool end_threads(struct observer *observer)
{
    bool all = true;
    struct timespec until;
    atomic_store(&stop_asked, true);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_PATIENCE_NS / NS_PER_SECOND;
    for (size_t i = 0; i < observer->count; i++)
        all = pthread_timedjoin_np(observer->workers[i].thread, NULL, &until) == 0 && all;
    return all;
}

/* What the looks came to, for --once. */
static int verdict(struct observer *observer, struct error *err)
{
    for (size_t i = 0; i < observer->count; i++) {
        struct worker *worker = &observer->workers[i];
        if (worker->failing)
            return error_set(err, EXIT_CODE_PROBLEM, "%s: %s", worker->sink.source->name,
                             worker->err.text);
    }
    return 0;
}

static void end_now(int code, const struct error *err)
{
    if (err->text[0])
        (void)fprintf(stderr, "cim-ops observe: %s\n", err->text);
    (void)fflush(stdout);
    _exit(code);
}

static bool observes_nats(const struct observe_options *options)
{
    for (size_t i = 0; i < options->source_count; i++) {
        if (!strcmp(options->sources[i]->name, "nats"))
            return true;
    }
    return false;
}

int observe_run(const struct observe_options *options, struct error *err)
{
    struct observer observer = {.options = options};
    struct sigaction action = {.sa_handler = on_signal};
    struct error mine = ERROR_NONE;
    atomic_store(&stop_asked, false);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    observer.waiting = waiting_new(options->source.node);
    observer.line = line_new(options->print ? NULL : &options->nats, options->once,
                             !options->once && observes_nats(options));
    int result = start(&observer, &mine);
    if (result == 0)
        result = settle(&observer, &mine);
    if (result == 0)
        run(&observer);
    bool joined = end_threads(&observer);
    if (!joined && result == 0 && options->once)
        result = error_set(&mine, EXIT_CODE_PROBLEM, "a source does not respond");
    if (result == 0 && options->once && joined)
        result = verdict(&observer, &mine);
    if (line_finish(observer.line, observer.waiting, END_PATIENCE_NS, result == 0 ? &mine : NULL) <
        0)
        result = -1;
    if (!options->once && mine.code == EXIT_CODE_UNREACHABLE)
        result = 0; /* it was said while it ran; being stopped is no failure */
    int code = result == 0 ? EXIT_CODE_DONE : (int)mine.code;
    if (result < 0 && err)
        *err = mine;
    if (!joined)
        end_now(code, result < 0 ? &mine : &ERROR_NONE);
    line_free(observer.line);
    waiting_free(observer.waiting);
    return code;
}
