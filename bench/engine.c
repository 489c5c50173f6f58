/*
 * engine: the fold alone, without a network: nanoseconds per event with the shipped rules, beside
 * parsers that only read the same bytes.
 *
 *     engine RULES CORPUS [events] [rounds] [JSON file]
 *
 * The corpus's longer lines make about 500 bytes a payload (bench/events.h); each round runs every
 * row over all events in turn; figures are medians over rounds. Nothing is asserted.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "engine_peer.h"
#include "events.h"
#include "fold/engine.h"
#include "fold/expr.h"
#include "fold/plan.h"
#include "json/extract.h"

enum { ROUNDS_MAX = 51, ROWS_MAX = 8, PAYLOAD_MIN = 215, MTAIL_EVENTS = 20000 };

struct bench {
    struct bench_events events;
    struct rules *rules;
    struct registry *registry;
    struct engine *engine;
    struct stream_state *state;
    uint64_t seq;
    struct plan *plan;
    uint64_t *hints;
    const struct plan_group **groups; /* by event: what the rules want of it */
    void *peer;
    size_t refused;
};

struct row {
    const char *name;
    void (*run)(struct bench *bench);
    double ns[ROUNDS_MAX]; /* per event */
};

static void die(const char *what, const char *more)
{
    (void)fprintf(stderr, "engine: %s: %s\n", what, more);
    exit(70);
}

/* --- rows ------------------------------------------------------------------------------------- */

static void run_engine(struct bench *bench)
{
    for (size_t i = 0; i < bench->events.count; i++) {
        struct event_input input = bench->events.inputs[i];
        input.seq = ++bench->seq;
        bench->refused += engine_fold(bench->engine, bench->state, &input) < 0;
    }
}

static void run_extract(struct bench *bench)
{
    static struct json_value values[JSON_PATHS_MAX];
    struct json_error error;
    for (size_t i = 0; i < bench->events.count; i++)
        bench->refused +=
            !json_extract(bench->groups[i]->json, bench->events.inputs[i].payload, values, &error);
}

static void run_shaped(struct bench *bench)
{
    static struct json_value values[JSON_PATHS_MAX];
    struct json_error error;
    for (size_t i = 0; i < bench->events.count; i++)
        bench->refused +=
            !json_extract_shaped(bench->groups[i]->json, bench->groups[i]->shapes,
                                 bench->events.inputs[i].payload, bench->hints[i], values, &error);
}

#ifdef HAVE_SIMDJSON
static void run_simdjson(struct bench *bench)
{
    for (size_t i = 0; i < bench->events.count; i++) {
        struct slice payload = bench->events.inputs[i].payload;
        bench->refused += !simdjson_peer_parse(bench->peer, payload.ptr, payload.len);
    }
}
#endif

static void run_jansson(struct bench *bench)
{
    for (size_t i = 0; i < bench->events.count; i++) {
        struct slice payload = bench->events.inputs[i].payload;
        json_t *value = json_loadb(payload.ptr, payload.len, JSON_DECODE_ANY, NULL);
        bench->refused += !value;
        json_decref(value);
    }
}

/* --- mtail: a process over a file of lines ---------------------------------------------------- */

static void ignore(void *context, enum engine_report what, const struct stream_state *state,
                   uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static double mtail_cpu_ns(const char *mtail, const char *program, const char *log)
{
    struct rusage usage;
    int status = 0;
    CLEANUP_FREE char *programs = xasprintf("--progs=%s", program);
    CLEANUP_FREE char *logs = xasprintf("--logs=%s", log);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        (void)execl(mtail, mtail, "--one_shot", "--logtostderr", programs, logs, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0)
        return -1;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

static void write_log(const struct bench_events *events, size_t count, const char *path)
{
    CLEANUP_BUF struct buf text = {0};
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < count; i++)
        buf_addf(&text, "{\"subject\":\"%.*s\",\"payload\":%.*s}\n",
                 SLICE_ARG(events->inputs[i].subject), SLICE_ARG(events->inputs[i].payload));
    if (file_write_atomic(path, buf_slice(&text), 0600, &err) < 0)
        die("the log for mtail", err.text);
}

/* CPU time per event, the start taken off; -1: it does not run here. */
static double measure_mtail(const struct bench_events *events, const char *program)
{
    char folder[] = "/tmp/cim-ops-mtail-XXXXXX";
    CLEANUP_FREE char *mtail = program_find("mtail");
    size_t count = events->count < MTAIL_EVENTS ? events->count : MTAIL_EVENTS;
    if (!mtail || !mkdtemp(folder))
        return -1;
    CLEANUP_FREE char *log = xasprintf("%s/events.log", folder);
    write_log(events, 0, log);
    double idle = mtail_cpu_ns(mtail, program, log);
    write_log(events, count, log);
    double busy = mtail_cpu_ns(mtail, program, log);
    (void)unlink(log);
    (void)rmdir(folder);
    return idle < 0 || busy < 0 ? -1 : (busy - idle) / (double)count;
}

/* --- figures ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void measure(struct bench *bench, struct row *rows, size_t count, size_t rounds)
{
    for (size_t r = 0; r <= rounds; r++) { /* round 0 warms up */
        for (size_t i = 0; i < count; i++) {
            const char *only = getenv("ENGINE_ONLY"); /* for profiles */
            if (only && !strstr(rows[i].name, only))
                continue;
            int64_t began = instant_thread_cpu_ns();
            bench->refused = 0;
            rows[i].run(bench);
            if (bench->refused)
                die("events were refused by", rows[i].name);
            if (r)
                rows[i].ns[r - 1] =
                    (double)(instant_thread_cpu_ns() - began) / (double)bench->events.count;
        }
    }
}

static void print_row(struct buf *json, const char *name, double ns, double bytes, double base)
{
    (void)printf("%-32s %10.1f %8.2f %10.2f\n", name, ns, bytes / ns, base > 0 ? ns / base : 0);
    buf_addf(json, "%s{\"name\": \"%s\", \"ns_per_event\": %.1f, \"gb_per_s\": %.3f}",
             json->ptr[json->len - 1] == '[' ? "" : ", ", name, ns, bytes / ns);
}

static void report(const struct bench *bench, struct row *rows, size_t count, size_t rounds,
                   double mtail, const char *path)
{
    CLEANUP_BUF struct buf json = {0};
    struct error err = ERROR_NONE;
    double bytes = (double)bench->events.payload_bytes / (double)bench->events.count;
    double ratios[ROUNDS_MAX], ratio = 0, base = 0;
    bool has_peer = bench->peer != NULL;
    for (size_t i = 0; has_peer && i < rounds; i++)
        ratios[i] = rows[0].ns[i] / rows[1].ns[i];
    if (has_peer) {
        ratio = median(ratios, rounds);
        base = median(rows[1].ns, rounds);
    }
    (void)printf("\n%-32s %10s %8s %10s\n", "engine alone", "ns/event", "GB/s", "/ simdjson");
    buf_addf(&json,
             "{\"bench\": \"engine\", \"events\": %zu, \"payload_bytes\": %.1f, "
             "\"rounds\": %zu, \"rows\": [",
             bench->events.count, bytes, rounds);
    for (size_t i = 0; i < count; i++)
        print_row(&json, rows[i].name, median(rows[i].ns, rounds), bytes, base);
    if (mtail > 0)
        print_row(&json, "mtail (2 labels, by regex)", mtail, bytes, base);
    else
        (void)printf("mtail does not run here: left out\n");
    buf_addf(&json, "], \"engine_per_simdjson\": %.3f}\n", ratio);
    if (has_peer)
        (void)printf("\nengine / simdjson DOM: %.2f (median of %zu pairs; %zu events from %zu "
                     "corpus lines, %.0f bytes each)\n",
                     ratio, rounds, bench->events.count, bench->events.lines, bytes);
    else
        (void)printf("\nsimdjson is not installed: its rows are left out\n");
    if (path && file_write_atomic(path, buf_slice(&json), 0644, &err) < 0)
        (void)fprintf(stderr, "engine: %s\n", err.text);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void open_engine(struct bench *bench, const char *rules)
{
    struct error err = ERROR_NONE;
    bench->registry = registry_new();
    if (rules_load(rules, &bench->rules, &err) < 0 ||
        engine_new(bench->rules, bench->registry, (struct engine_reporter){ignore, NULL},
                   &bench->engine, &err) < 0 ||
        plan_new(bench->rules, false, &bench->plan, &err) < 0)
        die(rules, err.text);
    bench->state = engine_stream(bench->engine, "BENCH");
}

/* What the rules want of each event, found before the clock runs: the extractor's row is that only.
 */
static void find_plans(struct bench *bench)
{
    struct eval eval = {0};
    bench->groups = xcalloc(bench->events.count, sizeof(struct plan_group *));
    bench->hints = xcalloc(bench->events.count, sizeof *bench->hints);
    for (size_t i = 0; i < bench->events.count; i++) {
        eval.input = &bench->events.inputs[i];
        eval_split_subject(&eval);
        bench->groups[i] = plan_find(bench->plan, eval.tokens, eval.token_count);
        bench->hints[i] = eval_subject_hint(&eval);
    }
}

/* Events that break their contract cost more than others: there should be none. */
static void print_violations(struct bench *bench)
{
    static const struct slice name = SLICE("cim_event_schema_violations_total{");
    CLEANUP_BUF struct buf text = {0};
    double sum = 0;
    registry_set_folds_shown(bench->registry, true);
    registry_expose(bench->registry, EXPOSITION_PROMETHEUS, &text);
    struct slice rest = buf_slice(&text), line;
    while (slice_cut(&rest, '\n', &line)) {
        const char *space = slice_starts(line, name) ? memrchr(line.ptr, ' ', line.len) : NULL;
        sum += space ? strtod(space, NULL) : 0;
    }
    if (sum > 0)
        (void)printf("%.0f of the engine's events broke their contract\n", sum);
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct row rows[ROWS_MAX] = {0};
    size_t count = 0;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: engine RULES CORPUS [events] [rounds] [JSON file]\n");
        return 2;
    }
    size_t events = argc > 3 ? strtoul(argv[3], NULL, 10) : 100000;
    size_t rounds = argc > 4 ? strtoul(argv[4], NULL, 10) : 11;
    if (!events || rounds < 1 || rounds > ROUNDS_MAX)
        die("events or rounds", "out of range");
    open_engine(&bench, argv[1]);
    bench_events_make(argv[2], PAYLOAD_MIN, events, &bench.events);
    find_plans(&bench);

    rows[count++] = (struct row){.name = "cim-ops engine", .run = run_engine};
#ifdef HAVE_SIMDJSON
    bench.peer = simdjson_peer_new();
    rows[count++] = (struct row){.name = simdjson_peer_name(), .run = run_simdjson};
#endif
    rows[count++] = (struct row){.name = "cim-ops extractor, shapes", .run = run_shaped};
    rows[count++] = (struct row){.name = "cim-ops extractor, full pass", .run = run_extract};
    rows[count++] = (struct row){.name = "jansson", .run = run_jansson};
    measure(&bench, rows, count, rounds);
    print_violations(&bench);
    double mtail = measure_mtail(&bench.events, "bench/engine.mtail");
    report(&bench, rows, count, rounds, mtail, argc > 5 ? argv[5] : NULL);

#ifdef HAVE_SIMDJSON
    simdjson_peer_free(bench.peer);
#endif
    free(bench.groups);
    free(bench.hints);
    plan_free(bench.plan);
    engine_free(bench.engine);
    registry_free(bench.registry);
    rules_free(bench.rules);
    bench_events_done(&bench.events);
    return 0;
}
