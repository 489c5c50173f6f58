/* cim-ops observe: what is seen of servers and machines becomes events. */
#include "source/observe.h"

#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "cmd/command.h"

#define NODE_TEXT_MAX 256
#define OBSERVE_NAME  "cim-ops observe"

struct observe_values {
    struct nats_values nats;
    int64_t interval_ns, stall_after_ns;
    bool once, print, types;
    const char *node, *root, *nvml, *nats_http, *system_nats, *system_creds;
};

static const struct option_spec options[] = {
    NATS_OPTIONS(struct observe_values, nats),
    {.name = "interval",
     .arg = "TIME",
     .kind = OPTION_DURATION,
     .fallback = "10s",
     .offset = offsetof(struct observe_values, interval_ns),
     .help = "how often each source is looked at"},
    {.name = "once",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct observe_values, once),
     .help = "one look; ends with 1 when a source could not be seen"},
    {.name = "print",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct observe_values, print),
     .help = "write the events to standard output, one JSON object per line, and publish nothing"},
    {.name = "types",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct observe_values, types),
     .help = "print the table of all event types, in Markdown, and end"},
    {.name = "node",
     .arg = "NAME",
     .kind = OPTION_STRING,
     .env = "CIM_OPS_NODE",
     .offset = offsetof(struct observe_values, node),
     .help = "what events call this machine (default: its host name)"},
    {.name = "nats-http",
     .arg = "URLS",
     .kind = OPTION_STRING,
     .env = "NATS_HTTP_URL",
     .offset = offsetof(struct observe_values, nats_http),
     .help = "nats: monitoring addresses of the servers, with commas between (default: the system "
             "account where one is named, else http://127.0.0.1:8222)"},
    {.name = "system-nats",
     .arg = "URL",
     .kind = OPTION_STRING,
     .env = "NATS_SYSTEM_URL",
     .offset = offsetof(struct observe_values, system_nats),
     .help = "nats: look through the system account of this server, which sees the whole cluster"},
    {.name = "system-creds",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .env = "NATS_SYSTEM_CREDS",
     .offset = offsetof(struct observe_values, system_creds),
     .help = "nats: credentials of the system account"},
    {.name = "stall-after",
     .arg = "TIME",
     .kind = OPTION_DURATION,
     .fallback = "1m",
     .offset = offsetof(struct observe_values, stall_after_ns),
     .help = "nats: a consumer with messages to deliver and no progress for this long is stalled"},
    {.name = "nvml",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .env = "CIM_OPS_NVML",
     .offset = offsetof(struct observe_values, nvml),
     .help = "gpu: NVIDIA's library (default: libnvidia-ml.so.1)"},
    {.name = "root",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .env = "CIM_OPS_ROOT",
     .offset = offsetof(struct observe_values, root),
     .help = "host, gpu: where /proc and /sys are, such as /host in a container"},
};

static int choose_sources(struct observe_options *agent, int count, char **names, struct error *err)
{
    agent->skip_missing = count == 0;
    for (size_t i = 0; count == 0 && i < source_count; i++)
        agent->sources[agent->source_count++] = source_list[i];
    for (int i = 0; i < count; i++) {
        const struct source *source = observe_source(names[i]);
        if (!source)
            return error_set(err, EXIT_CODE_USAGE,
                             "'%s' cannot be observed; nats, host and gpu can", names[i]);
        for (size_t n = 0; n < agent->source_count; n++) {
            if (agent->sources[n] == source)
                return error_set(err, EXIT_CODE_USAGE, "'%s' is named twice", names[i]);
        }
        agent->sources[agent->source_count++] = source;
    }
    return 0;
}

static int check(const struct observe_values *values, struct error *err)
{
    if (nats_values_check(&values->nats, err) < 0)
        return -1;
    if (values->interval_ns < 100 * NS_PER_MS || values->interval_ns > 3600 * NS_PER_SECOND)
        return error_set(err, EXIT_CODE_USAGE, "--interval: 100ms to 1h was expected");
    if (values->stall_after_ns <= 0)
        return error_set(err, EXIT_CODE_USAGE, "--stall-after: more than 0 was expected");
    if (values->node && (!*values->node || strlen(values->node) >= NODE_TEXT_MAX))
        return error_set(err, EXIT_CODE_USAGE, "--node: 1 to %d characters were expected",
                         NODE_TEXT_MAX - 1);
    if (values->system_creds && !values->system_nats)
        return error_set(err, EXIT_CODE_USAGE,
                         "--system-creds belongs to --system-nats URL, which is not there");
    return 0;
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct observe_values *values = opaque;
    if (values->types) {
        observe_print_types();
        return EXIT_CODE_DONE;
    }
    if (check(values, err) < 0)
        return EXIT_CODE_USAGE;
    char node[NODE_TEXT_MAX] = "localhost";
    if (values->node)
        (void)snprintf(node, sizeof node, "%s", values->node);
    else
        (void)gethostname(node, sizeof node - 1);
    struct bus_options system = nats_bus_options(&values->nats, OBSERVE_NAME);
    system.url = values->system_nats;
    system.creds = values->system_creds;
    struct observe_options agent = {
        .source = {.node = node,
                   .interval_ns = values->interval_ns,
                   .root = values->root ? values->root : "",
                   .nvml = values->nvml,
                   .nats_http = values->nats_http,
                   .nats_system = values->system_nats ? &system : NULL,
                   .stall_after_ns = values->stall_after_ns},
        .nats = nats_bus_options(&values->nats, OBSERVE_NAME),
        .once = values->once,
        .print = values->print,
    };
    if (choose_sources(&agent, count, operands, err) < 0)
        return EXIT_CODE_USAGE;
    return observe_run(&agent, err);
}

const struct command command_observe = {
    .name = "observe",
    .summary = "NATS servers, the machine, its GPUs: what is seen becomes events",
    .operands = "[nats] [host] [gpu]",
    .details =
        "Looks at each source every interval and publishes samples (how it stands) and\n"
        "transitions (what happened) on ops.nats.>, ops.host.> and ops.gpu.>, which the event\n"
        "monitor folds into metrics. Without a name: all that there are on this machine.\n"
        "\n"
        "What NATS has not acknowledged is sent again; while NATS is away, up to 10,000 samples\n"
        "and 10,000 transitions wait. A source that hangs or fails says so in an event, and the\n"
        "others go on. Exit codes with --once: 0 all was seen, 1 something was not, 3 NATS did\n"
        "not take the events.",
    .example = "cim-ops observe host --once --print",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct observe_values),
    .operands_max = OBSERVE_SOURCES_MAX,
    .run = run,
};
