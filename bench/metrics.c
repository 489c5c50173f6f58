/*
 * metrics: what a scrape of very many series costs, and how long it and a snapshot hold the fold
 * up.
 *
 *     metrics [series] [rounds] [JSON file] [NODE_MODULES with prom-client]
 *
 * A million counters (two labels, a thousand values each), and a twentieth as many histograms of
 * ten buckets. CPU time is this thread's own (CLOCK_THREAD_CPUTIME_ID), of registry_scrape() and
 * scrape_render() in parts of 256 KiB, as the server does it. Memory is what the C library has
 * handed out (mallinfo2) for the registry, and at the peak of a scrape, less the label texts.
 * Holding times are those of the registry's lock while a fold thread counts on. prom-client renders
 * the same series in one string, under node, in the same run. Nothing is asserted.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "metrics/registry.h"
#include "metrics/snapshot.h"

enum { ROUNDS_MAX = 51, PART_BYTES = 256 << 10, BUCKETS = 10, VALUES = 1000 };

static const struct metric_spec counters = {.name = "bench_events_total",
                                            .help = "Events.",
                                            .kind = METRIC_COUNTER,
                                            .label_count = 2,
                                            .labels = {"domain", "event_type"},
                                            .series_max = 100000000,
                                            .label_values_max = {1000000, 1000000}};
static const struct metric_spec histograms = {
    .name = "bench_duration_seconds",
    .help = "Durations.",
    .kind = METRIC_HISTOGRAM,
    .label_count = 2,
    .labels = {"domain", "event_type"},
    .bucket_count = BUCKETS,
    .buckets = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5},
    .series_max = 100000000,
    .label_values_max = {1000000, 1000000}};

struct figures {
    size_t series, text_bytes, exposition_bytes;
    double cpu_ms, hold_ms, snapshot_hold_ms, snapshot_cpu_ms, pause_ms;
    double bytes_per_series, peak_bytes_per_series;
};

static double cpu_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double wall_ms(void)
{
    return (double)instant_monotonic_ns() / 1e6;
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

/* --- the series ------------------------------------------------------------------------------- */

static struct cell *cell_of(struct partition *partition, struct family *family, size_t i)
{
    char domain[32], type[32];
    (void)snprintf(domain, sizeof domain, "domain_%zu", i / VALUES);
    (void)snprintf(type, sizeof type, "SomethingHappened%zu", i % VALUES);
    struct slice values[METRIC_LABELS_MAX] = {slice_of(domain), slice_of(type)};
    return partition_cell(partition, family, values);
}

static size_t fill(struct registry *registry, const struct metric_spec *spec, size_t count)
{
    struct family *family = registry_family(registry, spec);
    struct partition *partition = registry_partition(registry, "BENCH");
    size_t text = 0;
    for (size_t i = 0; i < count; i++) {
        struct cell *cell = cell_of(partition, family, i);
        if (spec->kind == METRIC_COUNTER) {
            (void)cell_add(cell, (double)(i * 2654435761u % 1000000));
        } else {
            for (size_t k = 0; k < 5; k++)
                (void)cell_observe(cell, (double)((i + k) % 4000) / 1000);
        }
        text +=
            (size_t)snprintf(NULL, 0, "domain=\"domain_%zu\",event_type=\"SomethingHappened%zu\"",
                             i / VALUES, i % VALUES);
    }
    return text;
}

/* --- a fold beside it ------------------------------------------------------------------------- */

/* Counts in batches as the monitor's fold thread does, and notes the longest wait for the lock. */
struct folder {
    struct registry *registry;
    struct cell *cell;
    atomic_bool stop;
    double longest_ms;
};

static void *fold(void *context)
{
    struct folder *folder = context;
    while (!atomic_load(&folder->stop)) {
        double asked = wall_ms();
        registry_lock(folder->registry);
        double waited = wall_ms() - asked;
        for (int i = 0; i < 512; i++)
            (void)cell_add(folder->cell, 1);
        registry_unlock(folder->registry);
        if (waited > folder->longest_ms)
            folder->longest_ms = waited;
        struct timespec nap = {0, 200000};
        (void)nanosleep(&nap, NULL);
    }
    return NULL;
}

/* --- one round -------------------------------------------------------------------------------- */

static void scrape_once(struct registry *registry, struct figures *ret, size_t base)
{
    CLEANUP_BUF struct buf part = {0};
    double begun_cpu = cpu_ms();
    registry_lock(registry);
    double begun = wall_ms();
    struct scrape *scrape = registry_scrape(registry, EXPOSITION_PROMETHEUS);
    ret->hold_ms = wall_ms() - begun;
    registry_unlock(registry);
    ret->exposition_bytes = 0;
    size_t peak = 0;
    bool more = true;
    for (size_t parts = 0; more; parts++) {
        buf_reset(&part);
        more = scrape_render(scrape, PART_BYTES, &part);
        ret->exposition_bytes += part.len;
        if (parts == 0)
            peak = allocated();
    }
    scrape_free(scrape);
    ret->cpu_ms = cpu_ms() - begun_cpu;
    ret->peak_bytes_per_series =
        ((double)(peak - base) - (double)ret->text_bytes) / (double)ret->series;
}

static void snapshot_once(struct registry *registry, const struct metric_spec *spec,
                          struct figures *ret)
{
    CLEANUP_BUF struct buf part = {0};
    double begun_cpu = cpu_ms();
    registry_lock(registry);
    double begun = wall_ms();
    struct cells_copy *copy = partition_copy_family(registry_partition(registry, "BENCH"),
                                                    registry_family(registry, spec));
    ret->snapshot_hold_ms = wall_ms() - begun;
    registry_unlock(registry);
    bool more = true;
    while (more) {
        buf_reset(&part);
        more = cells_copy_encode(copy, PART_BYTES, &part);
    }
    cells_copy_free(copy);
    ret->snapshot_cpu_ms = cpu_ms() - begun_cpu;
}

static struct figures measure(const struct metric_spec *spec, size_t series, size_t rounds)
{
    size_t base = allocated();
    struct registry *registry = registry_new();
    registry_set_folds_shown(registry, true);
    struct figures result = {.series = series};
    double cpu[ROUNDS_MAX], hold[ROUNDS_MAX], snapshot[ROUNDS_MAX], encode[ROUNDS_MAX];
    result.text_bytes = fill(registry, spec, series);
    result.bytes_per_series =
        ((double)(allocated() - base) - (double)result.text_bytes) / (double)series;
    struct folder folder = {
        registry,
        cell_of(registry_partition(registry, "BENCH"),
                registry_family(registry, &(struct metric_spec){.name = "bench_beside_total",
                                                                .kind = METRIC_COUNTER}),
                0),
        false, 0};
    pthread_t thread;
    if (pthread_create(&thread, NULL, fold, &folder) != 0)
        exit(70);
    for (size_t i = 0; i < rounds; i++) {
        scrape_once(registry, &result, base);
        snapshot_once(registry, spec, &result);
        cpu[i] = result.cpu_ms;
        hold[i] = result.hold_ms;
        snapshot[i] = result.snapshot_hold_ms;
        encode[i] = result.snapshot_cpu_ms;
    }
    atomic_store(&folder.stop, true);
    (void)pthread_join(thread, NULL);
    registry_free(registry);
    result.cpu_ms = median(cpu, rounds);
    result.hold_ms = median(hold, rounds);
    result.snapshot_hold_ms = median(snapshot, rounds);
    result.snapshot_cpu_ms = median(encode, rounds);
    result.pause_ms = folder.longest_ms;
    return result;
}

/* --- the peer --------------------------------------------------------------------------------- */

struct peer {
    double cpu_ms, bytes_per_series;
    bool there;
};

/* bench/metrics_peer.mjs prints "CPU-ms bytes-per-series". */
static struct peer measure_peer(const char *modules, const char *kind, size_t series)
{
    struct peer peer = {0};
    CLEANUP_FREE char *count = xasprintf("%zu", series);
    int ends[2];
    if (pipe(ends) < 0)
        return peer;
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], 1);
        (void)execlp("node", "node", "--expose-gc", "--max-old-space-size=8192",
                     "bench/metrics_peer.mjs", modules, kind, count, "3", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    peer.there =
        out && pid > 0 && fscanf(out, "%lf %lf", &peer.cpu_ms, &peer.bytes_per_series) == 2;
    if (out)
        (void)fclose(out);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    return peer;
}

static void report(const char *name, const struct figures *f, const struct peer *peer,
                   struct buf *json)
{
    (void)printf("\n%zu %s, %.1f MB of text\n", f->series, name, (double)f->exposition_bytes / 1e6);
    (void)printf("  %-34s %10.1f ms CPU %8.0f ns/series\n", "cim-ops: a scrape", f->cpu_ms,
                 f->cpu_ms * 1e6 / (double)f->series);
    (void)printf("  %-34s %10.0f bytes/series + text (%.0f of text); %.0f during a scrape\n",
                 "cim-ops: memory", f->bytes_per_series, (double)f->text_bytes / (double)f->series,
                 f->peak_bytes_per_series);
    (void)printf(
        "  %-34s %10.1f ms for a scrape, %.1f ms for a snapshot; longest wait seen %.1f ms\n",
        "cim-ops: the fold waits", f->hold_ms, f->snapshot_hold_ms, f->pause_ms);
    (void)printf("  %-34s %10.1f ms CPU\n", "cim-ops: a snapshot's bytes", f->snapshot_cpu_ms);
    if (peer->there)
        (void)printf(
            "  %-34s %10.1f ms CPU, %.0f bytes/series; ratio of CPU %.1f, of memory %.1f\n",
            "prom-client: a scrape", peer->cpu_ms, peer->bytes_per_series, peer->cpu_ms / f->cpu_ms,
            peer->bytes_per_series /
                (f->bytes_per_series + (double)f->text_bytes / (double)f->series));
    else
        (void)printf("  prom-client is not installed (npm ci in bench/): no peer\n");
    buf_addf(json,
             "{\"name\": \"%s\", \"series\": %zu, \"cpu_ms\": %.2f, \"bytes_per_series\": %.1f, "
             "\"text_bytes_per_series\": %.1f, \"peak_bytes_per_series\": %.1f, "
             "\"scrape_hold_ms\": %.2f, \"snapshot_hold_ms\": %.2f, \"snapshot_cpu_ms\": %.2f, "
             "\"longest_wait_ms\": %.2f",
             name, f->series, f->cpu_ms, f->bytes_per_series,
             (double)f->text_bytes / (double)f->series, f->peak_bytes_per_series, f->hold_ms,
             f->snapshot_hold_ms, f->snapshot_cpu_ms, f->pause_ms);
    if (peer->there)
        buf_addf(json, ", \"prom_client_cpu_ms\": %.1f, \"prom_client_bytes_per_series\": %.1f",
                 peer->cpu_ms, peer->bytes_per_series);
    buf_addf(json, "}");
}

int main(int argc, char **argv)
{
    size_t series = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 1000000;
    size_t rounds = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 9;
    const char *json = argc > 3 ? argv[3] : NULL, *modules = argc > 4 ? argv[4] : "bench";
    if (series < 20 || rounds < 1 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr,
                      "usage: metrics [series] [rounds, at most %d] [JSON file] "
                      "[folder of node_modules]\n",
                      ROUNDS_MAX);
        return 2;
    }
    CLEANUP_BUF struct buf out = {0};
    buf_addf(&out, "{\"bench\": \"metrics\", \"rounds\": %zu, \"rows\": [", rounds);
    struct figures many = measure(&counters, series, rounds);
    struct peer peer = measure_peer(modules, "counters", series);
    report("counters", &many, &peer, &out);
    buf_addf(&out, ", ");
    struct figures few = measure(&histograms, series / 20, rounds);
    peer = measure_peer(modules, "histograms", series / 20);
    report("histograms", &few, &peer, &out);
    buf_addf(&out, "]}\n");
    struct error err = ERROR_NONE;
    if (json && file_write_atomic(json, buf_slice(&out), 0644, &err) < 0)
        (void)fprintf(stderr, "metrics: %s\n", err.text);
    return 0;
}
