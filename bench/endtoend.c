/*
 * endtoend: events per second folded through a real nats-server, against a bare socket that only
 * drains the same consumer, in one run, in turn.
 *
 *     endtoend CIM-OPS RULES [events] [rounds] [JSON file]
 *
 * Starts its own nats-server (from PATH) in a temporary folder, loads it with `cim-ops simulate`,
 * then repeats: drain, monitor, backfill (the history of all metrics, as Prometheus blocks,
 * promtool included), drain ... Figures are medians; the CPU time and peak memory are the kernel's
 * own accounting of the finished process (wait4). Nothing is asserted.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "drain.h"
#include "server.h"

enum { DEADLINE_S = 240 };

/* --- the monitor ------------------------------------------------------------------------------ */

static bool is_ready(unsigned port)
{
    char answer[64] = "";
    int fd = bench_connect(port);
    if (fd < 0)
        return false;
    bench_send(fd, "GET /readyz HTTP/1.0\r\n\r\n");
    ssize_t got = read(fd, answer, sizeof answer - 1);
    (void)close(fd);
    return got > 0 && strstr(answer, " 200 ");
}

static struct figure measure_monitor(const char *program, const char *rules,
                                     const struct bench_server *server, uint64_t events,
                                     size_t round)
{
    int status = 0;
    unsigned metrics_port = bench_free_port();
    CLEANUP_FREE char *state = xasprintf("%s/state-%zu", server->folder, round);
    CLEANUP_FREE char *log = xasprintf("%s/monitor.out", server->folder);
    CLEANUP_FREE char *metrics = xasprintf("%u", metrics_port);
    const char *argv[] = {program,   "monitor", "--nats",         server->url, "--rules", rules,
                          "--state", state,     "--metrics-port", metrics,     NULL};
    int64_t began = instant_monotonic_ns(), until = began + DEADLINE_S * NS_PER_SECOND;
    pid_t pid = bench_spawn(argv, log);
    while (!is_ready(metrics_port)) {
        if (instant_monotonic_ns() > until || waitpid(pid, &status, WNOHANG) == pid)
            bench_die("the monitor did not get ready; see monitor.out");
        (void)poll(NULL, 0, 10);
    }
    double seconds = (double)(instant_monotonic_ns() - began) / 1e9;
    (void)kill(pid, SIGTERM);
    return bench_wait_as(pid, events, seconds, "the monitor failed");
}

/* --- the history ------------------------------------------------------------------------------ */

/* What looks like the data folder of a Prometheus that is not running. */
static char *empty_data_folder(const char *folder, size_t round)
{
    struct error err = ERROR_NONE;
    char *data = xasprintf("%s/data-%zu", folder, round);
    CLEANUP_FREE char *wal = xasprintf("%s/wal", data);
    if (folder_create(wal, 0755, &err) < 0)
        bench_die(err.text);
    return data;
}

static struct figure measure_backfill(const char *program, const char *rules,
                                      const struct bench_server *server, uint64_t events,
                                      size_t round)
{
    CLEANUP_FREE char *data = empty_data_folder(server->folder, round);
    CLEANUP_FREE char *log = xasprintf("%s/backfill.out", server->folder);
    const char *argv[] = {program,     "backfill",     "--nats",
                          server->url, "--rules",      rules,
                          "--until",   "0s",           "--prometheus-data",
                          data,        "--prometheus", "http://127.0.0.1:1",
                          NULL};
    int64_t began = instant_monotonic_ns();
    pid_t pid = bench_spawn(argv, log);
    return bench_wait(pid, events, began, "backfill failed; see backfill.out");
}

/* --- figures ---------------------------------------------------------------------------------- */

static void report(const struct figure *drain, const struct figure *monitor,
                   const struct figure *backfill, size_t rounds, uint64_t events, const char *json)
{
    const struct figure *rows[] = {drain, monitor, backfill};
    const char *names[] = {"bare socket drain", "cim-ops monitor", "cim-ops backfill"};
    CLEANUP_BUF struct buf out = {0};
    (void)printf("\n%-20s %14s %16s %12s\n", "end to end", "events/s", "CPU ns/event", "peak MiB");
    buf_addf(&out, "{\"bench\": \"endtoend\", \"events\": %llu, \"rounds\": %zu, \"rows\": [",
             (unsigned long long)events, rounds);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double rate = bench_median(rows[i], rounds, offsetof(struct figure, events_per_s));
        double cpu = bench_median(rows[i], rounds, offsetof(struct figure, cpu_ns_per_event));
        double peak = bench_median(rows[i], rounds, offsetof(struct figure, peak_mib));
        (void)printf("%-20s %14.0f %16.0f %12.1f\n", names[i], rate, cpu, peak);
        buf_addf(&out,
                 "%s{\"name\": \"%s\", \"events_per_s\": %.0f, \"cpu_ns_per_event\": %.0f, "
                 "\"peak_mib\": %.1f}",
                 i ? ", " : "", names[i], rate, cpu, peak);
    }
    double ratio = bench_median_ratio(monitor, drain, rounds);
    double history = bench_median_ratio(backfill, monitor, rounds);
    (void)printf("\nmonitor / drain: %.2f (median of %zu pairs, %llu events each)\n", ratio, rounds,
                 (unsigned long long)events);
    (void)printf("backfill / monitor: %.2f\n", history);
    buf_addf(&out, "], \"ratio\": %.3f, \"backfill_ratio\": %.3f}\n", ratio, history);
    struct error err = ERROR_NONE;
    if (json && file_write_atomic(json, buf_slice(&out), 0644, &err) < 0)
        (void)fprintf(stderr, "endtoend: %s\n", err.text);
}

/* ---------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    bench_name = "endtoend";
    if (argc < 3) {
        (void)fprintf(stderr, "usage: endtoend CIM-OPS RULES [events] [rounds] [JSON file]\n");
        return 2;
    }
    uint64_t events = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
    size_t rounds = argc > 4 ? strtoul(argv[4], NULL, 10) : 5;
    struct figure drain[BENCH_ROUNDS_MAX], monitor[BENCH_ROUNDS_MAX], backfill[BENCH_ROUNDS_MAX];
    struct bench_server server;
    if (rounds < 1 || rounds > BENCH_ROUNDS_MAX)
        bench_die("rounds");
    bench_server_start(&server);
    events = bench_load(&server, argv[1], events);

    for (size_t i = 0; i < rounds; i++) {
        drain[i] = drain_measure(server.port, "CIM-EVENTS", events);
        monitor[i] = measure_monitor(argv[1], argv[2], &server, events, i);
        backfill[i] = measure_backfill(argv[1], argv[2], &server, events, i);
        (void)printf("round %zu: drain %.0f/s at %.0f ns, monitor %.0f/s at %.0f ns CPU/event, "
                     "ratio %.2f; backfill %.0f/s, ratio %.2f\n",
                     i + 1, drain[i].events_per_s, drain[i].cpu_ns_per_event,
                     monitor[i].events_per_s, monitor[i].cpu_ns_per_event,
                     monitor[i].events_per_s / drain[i].events_per_s, backfill[i].events_per_s,
                     backfill[i].events_per_s / monitor[i].events_per_s);
        (void)fflush(stdout);
    }
    report(drain, monitor, backfill, rounds, events, argc > 5 ? argv[5] : NULL);
    bench_server_stop(&server);
    return 0;
}
