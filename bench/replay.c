/*
 * replay: what `cim-ops replay` takes through a real nats-server, each target beside its peer in
 * one run, in turn: a file beside the bare socket that drains the same stream, a stream and
 * projections beside the client library's plain asynchronous publisher of the same messages from
 * memory.
 *
 *     replay CIM-OPS RULES [events] [rounds] [JSON file] [millions]
 *
 * Then the peak memory of each target at `millions` / 3, or 1, and at `millions` events (default
 * 3). Times are of the whole command, from its start to its end. Nothing is asserted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "drain.h"
#include "publish.h"
#include "server.h"

enum { TUNED_PENDING = 512 };
enum row { ROW_DRAIN, ROW_FILE, ROW_PLAIN, ROW_TUNED, ROW_STREAM, ROW_KV, ROWS };

static const char *const names[ROWS] = {"bare socket drain",  "replay to a file",
                                        "plain publisher",    "plain, 512 pending",
                                        "replay to a stream", "replay to projections"};
static const char *const keys[ROWS] = {"drain",           "file",   "publisher",
                                       "publisher_tuned", "stream", "kv"};
/* The peer of a replay; the plain publisher's better form is held against it, too. */
static const struct {
    enum row mine, peer;
} pairs[] = {{ROW_FILE, ROW_DRAIN},
             {ROW_STREAM, ROW_PLAIN},
             {ROW_STREAM, ROW_TUNED},
             {ROW_KV, ROW_PLAIN},
             {ROW_KV, ROW_TUNED}};

struct memory {
    uint64_t events;
    double peak_mib[ROWS]; /* 0: not run */
};

struct bench {
    struct bench_server server;
    const char *program, *rules;
    uint64_t events;
    struct figure figures[ROWS][BENCH_ROUNDS_MAX];
    size_t rounds;
    struct memory memory[2];
};

/* --- one measurement -------------------------------------------------------------------------- */

static struct figure replay(const struct bench *bench, const char *target, uint64_t events)
{
    CLEANUP_FREE char *until = xasprintf("%llu", (unsigned long long)events);
    CLEANUP_FREE char *log = xasprintf("%s/replay.out", bench->server.folder);
    const char *argv[] = {bench->program, "replay",   "--nats",     bench->server.url, "--rules",
                          bench->rules,   "--stream", "CIM-EVENTS", "--target",        target,
                          "--until",      until,      NULL};
    int64_t began = instant_monotonic_ns();
    pid_t pid = bench_spawn(argv, log);
    CLEANUP_FREE char *failed = xasprintf("replay to %s failed; see %s", target, log);
    return bench_wait(pid, events, began, failed);
}

static void drop(const struct bench *bench, const char *stream)
{
    CLEANUP_BUF struct buf reply = {0};
    CLEANUP_FREE char *name = xasprintf("STREAM.DELETE.%s", stream);
    if (!bench_api(&bench->server, name, "", &reply))
        bench_die(buf_cstr(&reply));
}

static struct figure replay_to_file(const struct bench *bench, uint64_t events)
{
    CLEANUP_FREE char *target = xasprintf("file:%s/out.jsonl", bench->server.folder);
    struct figure figure = replay(bench, target, events);
    (void)unlink(target + sizeof "file:" - 1);
    return figure;
}

static struct figure replay_to_stream(const struct bench *bench, uint64_t events)
{
    struct figure figure = replay(bench, "stream:REPLAYED", events);
    drop(bench, "REPLAYED");
    return figure;
}

static struct figure replay_to_kv(const struct bench *bench, uint64_t events)
{
    struct figure figure = replay(bench, "kv:PROJECTIONS", events);
    drop(bench, "KV_PROJECTIONS");
    return figure;
}

static struct figure publish(const struct bench *bench, int64_t pending)
{
    struct publish_options options = {
        .stream = "PUBLISHED", .pending = pending, .events = bench->events};
    return publish_measure(&bench->server, &options);
}

static struct figure measure(const struct bench *bench, enum row row)
{
    switch (row) {
    case ROW_FILE: return replay_to_file(bench, bench->events);
    case ROW_PLAIN: return publish(bench, 0);
    case ROW_TUNED: return publish(bench, TUNED_PENDING);
    case ROW_STREAM: return replay_to_stream(bench, bench->events);
    case ROW_KV: return replay_to_kv(bench, bench->events);
    case ROW_DRAIN:
    case ROWS: break;
    }
    return drain_measure(bench->server.port, "CIM-EVENTS", bench->events);
}

static bool is_wanted(enum row row)
{
    const char *wanted = getenv("CIM_BENCH_ROWS");
    return !wanted || strstr(wanted, keys[row]);
}

/* --- the report ------------------------------------------------------------------------------- */

static void report_rows(const struct bench *bench, struct buf *out)
{
    const char *comma = "";
    (void)printf("\n%-22s %12s %14s %10s\n", "replay", "events/s", "CPU ns/event", "peak MiB");
    for (enum row row = 0; row < ROWS; row++) {
        const struct figure *figures = bench->figures[row];
        double rate = bench_median(figures, bench->rounds, offsetof(struct figure, events_per_s));
        double cpu =
            bench_median(figures, bench->rounds, offsetof(struct figure, cpu_ns_per_event));
        double peak = bench_median(figures, bench->rounds, offsetof(struct figure, peak_mib));
        if (!is_wanted(row))
            continue;
        (void)printf("%-22s %12.0f %14.0f %10.1f\n", names[row], rate, cpu, peak);
        buf_addf(out,
                 "%s{\"name\": \"%s\", \"events_per_s\": %.0f, \"cpu_ns_per_event\": %.0f, "
                 "\"peak_mib\": %.1f}",
                 comma, keys[row], rate, cpu, peak);
        comma = ", ";
    }
}

static void report_ratios(const struct bench *bench, struct buf *out)
{
    const char *comma = "";
    (void)printf("\n");
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        enum row mine = pairs[i].mine, peer = pairs[i].peer;
        if (!is_wanted(mine) || !is_wanted(peer))
            continue;
        double ratio =
            bench_median_ratio(bench->figures[mine], bench->figures[peer], bench->rounds);
        (void)printf("%s / %s: %.2f (median of %zu pairs)\n", names[mine], names[peer], ratio,
                     bench->rounds);
        buf_addf(out, "%s\"%s/%s\": %.3f", comma, keys[mine], keys[peer], ratio);
        comma = ", ";
    }
}

static void report_memory(const struct bench *bench, struct buf *out)
{
    const struct memory *few = &bench->memory[0], *many = &bench->memory[1];
    const char *comma = "";
    if (!many->events)
        return;
    (void)printf("\n%-22s %14llu %14llu events: peak MiB\n", "memory",
                 (unsigned long long)few->events, (unsigned long long)many->events);
    for (enum row row = 0; row < ROWS; row++) {
        if (many->peak_mib[row] <= 0)
            continue;
        (void)printf("%-22s %14.1f %14.1f\n", names[row], few->peak_mib[row], many->peak_mib[row]);
        buf_addf(out, "%s{\"name\": \"%s\", \"events\": [%llu, %llu], \"peak_mib\": [%.1f, %.1f]}",
                 comma, keys[row], (unsigned long long)few->events,
                 (unsigned long long)many->events, few->peak_mib[row], many->peak_mib[row]);
        comma = ", ";
    }
}

static void report(const struct bench *bench, const char *json)
{
    CLEANUP_BUF struct buf out = {0};
    struct error err = ERROR_NONE;
    buf_addf(&out, "{\"bench\": \"replay\", \"events\": %llu, \"rounds\": %zu, \"rows\": [",
             (unsigned long long)bench->events, bench->rounds);
    report_rows(bench, &out);
    buf_add_str(&out, "], \"ratios\": {");
    report_ratios(bench, &out);
    buf_add_str(&out, "}, \"memory\": [");
    report_memory(bench, &out);
    buf_add_str(&out, "]}\n");
    if (json && file_write_atomic(json, buf_slice(&out), 0644, &err) < 0)
        (void)fprintf(stderr, "replay: %s\n", err.text);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void run_rounds(struct bench *bench)
{
    for (size_t i = 0; i < bench->rounds; i++) {
        (void)printf("round %zu:", i + 1);
        for (enum row row = 0; row < ROWS; row++) {
            if (!is_wanted(row))
                continue;
            bench->figures[row][i] = measure(bench, row);
            (void)printf(" %s %.0f/s at %.0f ns CPU,", keys[row],
                         bench->figures[row][i].events_per_s,
                         bench->figures[row][i].cpu_ns_per_event);
            (void)fflush(stdout);
        }
        (void)printf("\n");
    }
}

static void run_memory(const struct bench *bench, struct memory *memory, uint64_t events)
{
    memory->events = events;
    if (is_wanted(ROW_FILE))
        memory->peak_mib[ROW_FILE] = replay_to_file(bench, events).peak_mib;
    if (is_wanted(ROW_STREAM))
        memory->peak_mib[ROW_STREAM] = replay_to_stream(bench, events).peak_mib;
    if (is_wanted(ROW_KV))
        memory->peak_mib[ROW_KV] = replay_to_kv(bench, events).peak_mib;
}

int main(int argc, char **argv)
{
    bench_name = "replay";
    if (argc < 3) {
        (void)fprintf(stderr,
                      "usage: replay CIM-OPS RULES [events] [rounds] [JSON file] [millions]\n");
        return 2;
    }
    uint64_t events = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
    uint64_t millions = argc > 6 ? strtoull(argv[6], NULL, 10) : 3;
    struct bench *bench = xcalloc(1, sizeof *bench);
    bench->program = argv[1];
    bench->rules = argv[2];
    bench->rounds = argc > 4 ? strtoul(argv[4], NULL, 10) : 5;
    if (bench->rounds < 1 || bench->rounds > BENCH_ROUNDS_MAX)
        bench_die("rounds");
    bench_server_start(&bench->server);
    bench->events = bench_load(&bench->server, argv[1], events);
    run_rounds(bench);
    if (millions) {
        drop(bench, "CIM-EVENTS");
        uint64_t all = bench_load(&bench->server, argv[1], millions * 1000000);
        run_memory(bench, &bench->memory[0], all > 1000000 ? 1000000 : all / 2);
        run_memory(bench, &bench->memory[1], all);
    }
    report(bench, argc > 5 ? argv[5] : NULL);
    bench_server_stop(&bench->server);
    free(bench);
    return 0;
}
