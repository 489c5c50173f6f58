/* The monitor's own state as metrics, refreshed before each scrape. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

static const char partition_of_self[] = " self"; /* no stream has a blank in its name */

/* Declared in one place: name, kind, unit, labels, help. The order is that of the exposition. */
enum self_metric {
    SELF_CONNECTED,
    SELF_ROUND_TRIP,
    SELF_CAUGHT_UP,
    SELF_PENDING,
    SELF_SEQUENCE,
    SELF_LAST_EVENT,
    SELF_CHECKSUM,
    SELF_CHECKSUM_SEQUENCE,
    SELF_SHARD,
    SELF_RESETS,
    SELF_RECONNECTS,
    SELF_SNAPSHOT,
    SELF_SERIES,
    SELF_KEYS,
    SELF_DROPPED,
    SELF_OVERFLOWS,
    SELF_CORE,
    SELF_CORE_DROPPED,
    SELF_JOURNAL_DROPPED,
    SELF_IGNORED,
    SELF_LAG,
    SELF_STREAMS,
    SELF_DEPTH,
    SELF_CAPACITY,
    SELF_JOURNAL,
    SELF_ALERTS,
    SELF_CPU,
    SELF_RSS,
    SELF_VSZ,
    SELF_FDS,
    SELF_FDS_MAX,
    SELF_START,
    SELF_THREADS,
    SELF_BUILD,
    SELF_METRICS,
};

#define ONE_LABEL(a)     .label_count = 1, .labels = {a}
#define TWO_LABELS(a, b) .label_count = 2, .labels = {a, b}
static const struct metric_spec specs[SELF_METRICS] = {
    [SELF_CONNECTED] = {.name = "cim_monitor_nats_connected",
                        .kind = METRIC_GAUGE,
                        .help = "1 while the monitor is connected to NATS."},
    [SELF_ROUND_TRIP] = {.name = "cim_monitor_nats_round_trip_seconds",
                         .kind = METRIC_GAUGE,
                         .unit = "seconds",
                         .help = "A ping to the NATS server and back, measured every few seconds."},
    [SELF_CAUGHT_UP] = {.name = "cim_monitor_caught_up",
                        .kind = METRIC_GAUGE,
                        .help = "1 once every stream has been read to its end since the start; "
                                "fold-derived series are shown from then on."},
    [SELF_PENDING] = {.name = "cim_monitor_stream_pending_messages",
                      .kind = METRIC_GAUGE,
                      .help = "Messages of a stream that are not folded yet.",
                      ONE_LABEL("stream")},
    [SELF_SEQUENCE] = {.name = "cim_monitor_stream_sequence",
                       .kind = METRIC_GAUGE,
                       .help = "The last stream sequence folded.",
                       ONE_LABEL("stream")},
    [SELF_LAST_EVENT] = {.name = "cim_monitor_stream_last_event_timestamp_seconds",
                         .kind = METRIC_GAUGE,
                         .unit = "seconds",
                         .help = "When the last folded message of a stream was stored.",
                         ONE_LABEL("stream")},
    [SELF_CHECKSUM] = {.name = "cim_monitor_state_checksum",
                       .kind = METRIC_GAUGE,
                       .help = "53 bits of the checksum of a stream's state at the sequence that "
                               "cim_monitor_state_checksum_sequence tells; monitors with the same "
                               "rules agree on it.",
                       TWO_LABELS("stream", "shard")},
    [SELF_CHECKSUM_SEQUENCE] = {.name = "cim_monitor_state_checksum_sequence",
                                .kind = METRIC_GAUGE,
                                .help = "The stream sequence of cim_monitor_state_checksum.",
                                TWO_LABELS("stream", "shard")},
    [SELF_SHARD] = {.name = "cim_monitor_shard_info",
                    .kind = METRIC_GAUGE,
                    .help = "1: this monitor counts one share of the messages, of so many.",
                    TWO_LABELS("shard", "shards")},
    [SELF_RESETS] = {.name = "cim_monitor_consumer_resets_total",
                     .kind = METRIC_COUNTER,
                     .help = "How often reading of a stream had to begin anew at its place.",
                     ONE_LABEL("stream")},
    [SELF_RECONNECTS] = {.name = "cim_monitor_reconnects_total",
                         .kind = METRIC_COUNTER,
                         .help = "Times that the connection to NATS came back."},
    [SELF_SNAPSHOT] = {.name = "cim_monitor_last_snapshot_timestamp_seconds",
                       .kind = METRIC_GAUGE,
                       .unit = "seconds",
                       .help = "When a snapshot was last written."},
    [SELF_SERIES] = {.name = "cim_monitor_series",
                     .kind = METRIC_GAUGE,
                     .help = "Time series held."},
    [SELF_KEYS] = {.name = "cim_monitor_distinct_keys",
                   .kind = METRIC_GAUGE,
                   .help = "Aggregate ids held for distinct counts."},
    [SELF_DROPPED] =
        {.name = "cim_monitor_series_dropped_total",
         .kind = METRIC_COUNTER,
         .help = "Events whose value of this label became __overflow__: a limit of the metric.",
         TWO_LABELS("metric", "label")},
    [SELF_OVERFLOWS] = {.name = "cim_monitor_cache_overflows_total",
                        .kind = METRIC_COUNTER,
                        .help = "Messages folded the slow way because a cache is full: classes of "
                                "events per stream, groups of rules per subject.",
                        ONE_LABEL("cache")},
    [SELF_CORE] = {.name = "cim_monitor_core_events_total",
                   .kind = METRIC_COUNTER,
                   .help = "Messages folded that no stream captures."},
    [SELF_CORE_DROPPED] = {.name = "cim_monitor_core_dropped_total",
                           .kind = METRIC_COUNTER,
                           .help = "Messages that no stream captures and that came too fast."},
    [SELF_JOURNAL_DROPPED] = {.name = "cim_monitor_own_events_dropped_total",
                              .kind = METRIC_COUNTER,
                              .help = "Own events given up because NATS was away too long."},
    [SELF_IGNORED] = {.name = "cim_monitor_streams_over_limit_total",
                      .kind = METRIC_COUNTER,
                      .help = "Times that a stream was not read because 1024 are read already."},
    [SELF_LAG] = {.name = "cim_event_processing_lag_seconds",
                  .kind = METRIC_GAUGE,
                  .unit = "seconds",
                  .help = "Behind: now minus the time of the oldest unread event. Caught up: the "
                          "last event's delay.",
                  TWO_LABELS("domain", "stream")},
    [SELF_STREAMS] = {.name = "cim_active_event_streams",
                      .kind = METRIC_GAUGE,
                      .help = "Streams of the account by kind; those of kind events are read.",
                      ONE_LABEL("stream_type")},
    [SELF_DEPTH] = {.name = "cim_event_queue_depth",
                    .kind = METRIC_GAUGE,
                    .help = "Messages received and not folded yet, counted once a second.",
                    ONE_LABEL("domain")},
    [SELF_CAPACITY] = {.name = "cim_event_queue_capacity",
                       .kind = METRIC_GAUGE,
                       .help = "Messages that the queue holds; all domains share it.",
                       ONE_LABEL("domain")},
    [SELF_JOURNAL] = {.name = "cim_monitor_journal_waiting",
                      .kind = METRIC_GAUGE,
                      .help = "Own events that wait to be published."},
    [SELF_ALERTS] = {.name = "cim_monitor_alerts_received_total",
                     .kind = METRIC_COUNTER,
                     .help = "Alerts taken from Alertmanager and stored as events."},
    [SELF_CPU] = {.name = "process_cpu_seconds_total",
                  .kind = METRIC_COUNTER,
                  .unit = "seconds",
                  .help = "User and system CPU time spent."},
    [SELF_RSS] = {.name = "process_resident_memory_bytes",
                  .kind = METRIC_GAUGE,
                  .unit = "bytes",
                  .help = "Resident memory."},
    [SELF_VSZ] = {.name = "process_virtual_memory_bytes",
                  .kind = METRIC_GAUGE,
                  .unit = "bytes",
                  .help = "Virtual memory."},
    [SELF_FDS] = {.name = "process_open_fds",
                  .kind = METRIC_GAUGE,
                  .help = "Open file descriptors."},
    [SELF_FDS_MAX] = {.name = "process_max_fds",
                      .kind = METRIC_GAUGE,
                      .help = "Limit of open file descriptors."},
    [SELF_START] = {.name = "process_start_time_seconds",
                    .kind = METRIC_GAUGE,
                    .unit = "seconds",
                    .help = "When the process started, since the epoch."},
    [SELF_THREADS] = {.name = "process_threads", .kind = METRIC_GAUGE, .help = "Threads."},
    [SELF_BUILD] = {.name = "cim_monitor_build_info",
                    .kind = METRIC_GAUGE,
                    .help = "1, with the version of the program.",
                    ONE_LABEL("version")},
};

struct self {
    struct registry *registry;
    struct partition *partition;
};

static struct self self_of(struct monitor *monitor)
{
    return (struct self){monitor->registry,
                         registry_partition(monitor->registry, partition_of_self)};
}

void self_declare(struct monitor *monitor)
{
    for (size_t i = 0; i < SELF_METRICS; i++) {
        struct metric_spec spec = specs[i];
        spec.own = true;
        (void)registry_family(monitor->registry, &spec);
    }
}

static void set2(const struct self *self, enum self_metric metric, const char *first,
                 const char *second, double value)
{
    struct slice labels[METRIC_LABELS_MAX] = {slice_of(first), slice_of(second)};
    struct family *family = registry_find(self->registry, slice_of(specs[metric].name));
    cell_add(partition_cell(self->partition, family, labels), value);
}

static void set1(const struct self *self, enum self_metric metric, const char *label, double value)
{
    set2(self, metric, label, "", value);
}

static void set(const struct self *self, enum self_metric metric, double value)
{
    set2(self, metric, "", "", value);
}

/* --- streams ---------------------------------------------------------------------------------- */

static void set_lag(const struct self *self, const struct monitor *monitor,
                    const struct tracked *tracked, uint64_t behind, bool connected, int64_t now_ns)
{
    for (size_t d = 0; d < TALLY_DOMAINS_MAX; d++) {
        if (!tracked->domain_seen[d])
            continue;
        double lag = (double)tracked->delay_ns[d] / 1e9;
        /* The next message was stored after the last one read: that is the bound we know. */
        if (behind && behind != UINT64_MAX)
            lag = (double)(now_ns - tracked->last_stored_at_ns) / 1e9;
        else if (!connected)
            continue; /* what may wait there is not known: absent */
        set2(self, SELF_LAG, engine_domain_name(monitor->engine, d), tracked->name,
             lag > 0 ? lag : 0);
    }
}

/* "" where the work is not divided. */
static void shard_number(const struct monitor *monitor, char out[static 16])
{
    struct shard shard = monitor->options->shard;
    out[0] = 0;
    if (shard_is_divided(shard))
        (void)snprintf(out, 16, "%u", shard.index + 1);
}

static void set_shard(const struct self *self, const struct monitor *monitor)
{
    char number[16], count[16];
    shard_number(monitor, number);
    (void)snprintf(count, sizeof count, "%u", monitor->options->shard.count);
    if (number[0])
        set2(self, SELF_SHARD, number, count, 1);
}

static void set_streams(const struct self *self, struct monitor *monitor, bool connected)
{
    int64_t now_ns = instant_now_ns();
    char shard[16];
    shard_number(monitor, shard);
    pthread_mutex_lock(&monitor->streams_lock);
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        const struct tracked *tracked = monitor->tracked[i];
        if (!tracked->present)
            continue;
        uint64_t behind = tracked_behind(tracked);
        state_set_now(tracked->state, behind == 0 && connected ? now_ns : 0);
        if (behind != UINT64_MAX && connected)
            set1(self, SELF_PENDING, tracked->name, (double)behind);
        set1(self, SELF_SEQUENCE, tracked->name, (double)state_seq(tracked->state));
        if (tracked->checksum.known) {
            set2(self, SELF_CHECKSUM, tracked->name, shard, tracked->checksum.value);
            set2(self, SELF_CHECKSUM_SEQUENCE, tracked->name, shard, (double)tracked->checksum.seq);
        }
        set1(self, SELF_RESETS, tracked->name, (double)atomic_load(&tracked->consumer_resets));
        if (tracked->last_stored_at_ns)
            set1(self, SELF_LAST_EVENT, tracked->name, (double)tracked->last_stored_at_ns / 1e9);
        set_lag(self, monitor, tracked, behind, connected, now_ns);
    }
    double kinds[STREAM_MIRROR + 1] = {0};
    for (size_t i = 0; i < monitor->known.count; i++)
        kinds[monitor->known.items[i].kind]++;
    for (size_t k = 0; k < ARRAY_LEN(kinds) && connected; k++)
        set1(self, SELF_STREAMS, stream_kind_name((enum stream_kind)k), kinds[k]);
    set(self, SELF_IGNORED, (double)monitor->tracked_overflow);
    pthread_mutex_unlock(&monitor->streams_lock);
}

static void set_queue(const struct self *self, struct monitor *monitor)
{
    double capacity = (double)queue_capacity(monitor->queue);
    pthread_mutex_lock(&monitor->depth_lock);
    for (size_t d = 0; d < TALLY_DOMAINS_MAX; d++) {
        const char *domain = engine_domain_name(monitor->engine, d);
        if (!strcmp(domain, "unknown"))
            break;
        uint64_t waiting = 0;
        for (size_t i = 0; i < monitor->depth_count; i++) {
            if (!strcmp(monitor->depth[i].domain, domain))
                waiting = monitor->depth[i].waiting;
        }
        set1(self, SELF_DEPTH, domain, (double)waiting);
        set1(self, SELF_CAPACITY, domain, capacity);
    }
    pthread_mutex_unlock(&monitor->depth_lock);
}

static void each_dropped(void *context, const char *metric, const char *label, uint64_t count)
{
    set2(context, SELF_DROPPED, metric, label, (double)count);
}

/* --- the process ------------------------------------------------------------------------------ */

static size_t count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder)
        (void)closedir(folder);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder's own */
}

/* Found once: the two clocks drift, and a figure that moves would look like a restart. */
static double start_time(double since_boot_s)
{
    static _Atomic double found;
    double known = atomic_load(&found);
    if (known > 0)
        return known;
    struct timespec boot, now;
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    known = (double)(now.tv_sec - boot.tv_sec) + (double)(now.tv_nsec - boot.tv_nsec) / 1e9 +
            since_boot_s;
    atomic_store(&found, known);
    return known;
}

/* /proc/self/stat, fields 20 (threads), 22 (start, in ticks since boot), 23 (virtual), 24 (pages).
 */
static void set_proc_stat(const struct self *self)
{
    CLEANUP_BUF struct buf text = {0};
    if (file_read("/proc/self/stat", 65536, &text, NULL) < 0)
        return;
    const char *at = strrchr(buf_cstr(&text), ')');
    long long threads = 0, start = 0;
    unsigned long long virtual = 0;
    long pages = 0;
    if (!at || sscanf(at + 2,
                      "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                      "%lld %*d %lld %llu %ld",
                      &threads, &start, &virtual, &pages) != 4)
        return;
    set(self, SELF_THREADS, (double)threads);
    set(self, SELF_VSZ, (double)virtual);
    set(self, SELF_RSS, (double)pages * (double)sysconf(_SC_PAGESIZE));
    set(self, SELF_START, start_time((double)start / (double)sysconf(_SC_CLK_TCK)));
}

static void set_process(const struct self *self)
{
    struct rusage usage;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        set(self, SELF_CPU,
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        set(self, SELF_FDS_MAX, (double)limit.rlim_cur);
    set(self, SELF_FDS, (double)count_fds());
    set_proc_stat(self);
}

void self_refresh(struct monitor *monitor)
{
    struct self self = self_of(monitor);
    bool connected = bus_is_up(monitor->bus);
    partition_clear(self.partition);
    set(&self, SELF_CONNECTED, connected);
    int64_t round_trip_ns = atomic_load(&monitor->round_trip_ns);
    if (connected && round_trip_ns > 0)
        set(&self, SELF_ROUND_TRIP, (double)round_trip_ns / 1e9);
    set(&self, SELF_CAUGHT_UP, atomic_load(&monitor->caught_up));
    set_streams(&self, monitor, connected);
    set(&self, SELF_RECONNECTS, (double)atomic_load(&monitor->reconnects));
    int64_t snapshot = atomic_load(&monitor->last_snapshot_ns);
    if (snapshot)
        set(&self, SELF_SNAPSHOT, (double)snapshot / 1e9);
    struct registry_totals totals = registry_totals(monitor->registry);
    set(&self, SELF_SERIES, (double)totals.series);
    set(&self, SELF_KEYS, (double)totals.distinct_keys);
    registry_each_dropped(monitor->registry, each_dropped, &self);
    struct engine_overflows overflows = engine_overflows(monitor->engine);
    set1(&self, SELF_OVERFLOWS, "classes", (double)overflows.classes);
    set1(&self, SELF_OVERFLOWS, "groups", (double)overflows.groups);
    set(&self, SELF_CORE, (double)atomic_load(&monitor->core_events));
    pthread_mutex_lock(&monitor->core_lock);
    set(&self, SELF_CORE_DROPPED, (double)monitor->core_dropped);
    pthread_mutex_unlock(&monitor->core_lock);
    set(&self, SELF_JOURNAL_DROPPED, (double)journal_dropped(monitor->journal));
    set(&self, SELF_JOURNAL, (double)journal_waiting(monitor->journal));
    set(&self, SELF_ALERTS, (double)atomic_load(&monitor->alerts_received));
    set_queue(&self, monitor);
    set_process(&self);
    set1(&self, SELF_BUILD, CIM_OPS_VERSION, 1);
    set_shard(&self, monitor);
}
