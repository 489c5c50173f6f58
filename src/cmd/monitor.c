/* cim-ops monitor: the event monitor service. */
#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/stream.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "monitor/monitor.h"

struct monitor_values {
    struct nats_values nats;
    const char *rules, *shard, *state, *event_subjects, *bind;
    uint64_t metrics_port, queue_messages, queue_bytes;
    int64_t first_zero_ns, snapshot_interval_ns, checksum_interval_ns;
};

static const struct option_spec options[] = {
    NATS_OPTIONS(struct monitor_values, nats),
    {.name = "event-subjects",
     .arg = "LIST",
     .kind = OPTION_STRING,
     .env = "EVENT_SUBJECTS",
     .fallback = "cim.>",
     .offset = offsetof(struct monitor_values, event_subjects),
     .help = "subjects whose events count even when no stream captures them"},
    {.name = "metrics-port",
     .arg = "PORT",
     .kind = OPTION_PORT,
     .env = "METRICS_PORT",
     .fallback = "9091",
     .offset = offsetof(struct monitor_values, metrics_port),
     .help = "port of /metrics, /healthz and /readyz; 0: a free one"},
    {.name = "bind",
     .arg = "ADDRESS",
     .kind = OPTION_STRING,
     .fallback = "127.0.0.1",
     .offset = offsetof(struct monitor_values, bind),
     .help = "address to listen on"},
    {.name = "rules",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct monitor_values, rules),
     .help = "folder of envelopes.yaml and the metric rules (default: those shipped)"},
    {.name = "state",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct monitor_values, state),
     .help = "folder of the snapshots (default: $XDG_STATE_HOME/cim-ops/state)"},
    {.name = "snapshot-interval",
     .arg = "TIME",
     .kind = OPTION_DURATION,
     .fallback = "5s",
     .offset = offsetof(struct monitor_values, snapshot_interval_ns),
     .help = "how often the state is saved; a crash costs reading this much again"},
    {.name = "checksum-interval",
     .arg = "TIME",
     .kind = OPTION_DURATION,
     .fallback = "1m",
     .offset = offsetof(struct monitor_values, checksum_interval_ns),
     .help = "sum each stream's state once per so much of its time; monitors that are compared "
             "need the same"},
    {.name = "shard",
     .arg = "I/N",
     .kind = OPTION_STRING,
     .offset = offsetof(struct monitor_values, shard),
     .help = "count the share of the I-th of N monitors, such as 2/3; Prometheus adds them up"},
    {.name = "first-zero",
     .arg = "TIME",
     .kind = OPTION_DURATION,
     .fallback = "15s",
     .offset = offsetof(struct monitor_values, first_zero_ns),
     .help = "show a new counter at 0 this long, so that rate() sees its first step; your scrape "
             "interval; 0: off"},
    {.name = "queue-messages",
     .arg = "N",
     .kind = OPTION_U64,
     .fallback = "16384",
     .min = 16,
     .max = 1u << 24,
     .offset = offsetof(struct monitor_values, queue_messages),
     .help = "messages held between NATS and the fold"},
    {.name = "queue-bytes",
     .arg = "SIZE",
     .kind = OPTION_SIZE,
     .fallback = "64MiB",
     .offset = offsetof(struct monitor_values, queue_bytes),
     .help = "and their bytes"},
};

static int check_subjects(const char *list, struct error *err)
{
    struct slice rest = slice_of(list), item;
    size_t count = 0;
    while (slice_cut(&rest, ',', &item)) {
        item = slice_trim(item);
        if (!item.len && !slice_present(rest))
            break; /* none, or a comma at the end */
        if (!subject_is_filter(item))
            return error_set(err, EXIT_CODE_USAGE,
                             "--event-subjects: '%.*s' is no subject filter; cim.> or "
                             "cim.*.events.> is one",
                             SLICE_ARG(item));
        if (++count > MONITOR_CORE_SUBJECTS_MAX)
            return error_set(err, EXIT_CODE_USAGE, "--event-subjects: at most %d subjects",
                             MONITOR_CORE_SUBJECTS_MAX);
    }
    return 0;
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct monitor_values *values = opaque;
    (void)count;
    (void)operands;
    CLEANUP_FREE char *rules = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    CLEANUP_FREE char *stack = values->state ? NULL : place_stack_dir(NULL, err);
    if (!rules)
        (void)error_set(err, EXIT_CODE_USAGE,
                        "the shipped rules were not found; name the folder by --rules DIR");
    struct shard shard = {0};
    if (values->shard && shard_parse(values->shard, &shard, err) < 0)
        return EXIT_CODE_USAGE;
    if (nats_values_check(&values->nats, err) < 0 ||
        check_subjects(values->event_subjects, err) < 0)
        return EXIT_CODE_USAGE;
    if (values->checksum_interval_ns <= 0)
        (void)error_set(err, EXIT_CODE_USAGE, "--checksum-interval: more than 0 was expected");
    if (!rules || (!values->state && !stack) || values->checksum_interval_ns <= 0)
        return EXIT_CODE_USAGE;
    CLEANUP_FREE char *state =
        values->state ? xstrdup(values->state) : xasprintf("%s/state", stack);
    struct monitor_options service = {
        .nats = nats_bus_options(&values->nats, NULL),
        .rules_dir = rules,
        .state_dir = state,
        .event_subjects = values->event_subjects,
        .bind = values->bind,
        .port = (unsigned)values->metrics_port,
        .first_zero_ns = values->first_zero_ns,
        .snapshot_interval_ns = values->snapshot_interval_ns,
        .shard = shard,
        .checksum_interval_ns = values->checksum_interval_ns,
        .queue_messages = values->queue_messages,
        .queue_bytes = values->queue_bytes,
        .announce = true,
    };
    return monitor_run(&service, err);
}

const struct command command_monitor = {
    .name = "monitor",
    .summary = "the event monitor: event streams in, metrics out",
    .operands = "",
    .details =
        "Reads every event stream of the account, folds it by the rules and serves /metrics.\n"
        "What it does itself are events on ops.monitor.>; it prints its address once and then\n"
        "speaks, on stderr, only while NATS cannot be reached. SIGHUP loads the rules again.",
    .example = "cim-ops monitor --nats nats://nats.example.org:4222 --creds ops.creds \\\n"
               "      --state /var/lib/cim-ops",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct monitor_values),
    .run = run,
};
