/* cim-ops web: the viewer. */
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "fold/rules.h"
#include "serve/viewer.h"
#include "stack/record.h"

struct web_values {
    struct nats_values nats;
    const char *bind, *prometheus, *rules, *stack;
    struct option_list dashboards;
    uint64_t port;
};

static const struct option_spec options[] = {
    NATS_OPTIONS(struct web_values, nats),
    {.name = "port",
     .arg = "PORT",
     .kind = OPTION_PORT,
     .fallback = "3000",
     .offset = offsetof(struct web_values, port),
     .help = "port to listen on; 0: a free one"},
    {.name = "bind",
     .arg = "ADDRESS",
     .kind = OPTION_STRING,
     .fallback = "127.0.0.1",
     .offset = offsetof(struct web_values, bind),
     .help = "address to listen on"},
    {.name = "prometheus",
     .arg = "URL",
     .kind = OPTION_STRING,
     .env = "PROMETHEUS_URL",
     .fallback = "http://127.0.0.1:9090",
     .offset = offsetof(struct web_values, prometheus),
     .help = "where the figures come from"},
    {.name = "dashboards",
     .arg = "DIR",
     .kind = OPTION_LIST,
     .offset = offsetof(struct web_values, dashboards),
     .help = "folder of more dashboards (Grafana JSON); may be given several times"},
    {.name = "rules",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, rules),
     .help = "folder of envelopes.yaml (default: the one shipped)"},
    {.name = "stack",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, stack),
     .help = "folder of a local stack to show (cim-ops up)"},
};

/* Ctrl-C and SIGTERM are waited for, not handled: no thread is interrupted. */
static void wait_for_end(void)
{
    sigset_t ends;
    int which;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    while (sigwait(&ends, &which) != 0)
        ;
}

static void block_ends(void)
{
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* What `up` leaves in its folder, as it is. */
static bool read_stack(void *context, struct buf *ret)
{
    const char *dir = context;
    struct record record;
    struct error ignored = ERROR_NONE;
    if (!dir || record_read(dir, &record, &ignored) < 0)
        return false;
    CLEANUP_FREE char *path = xasprintf("%s/" RECORD_NAME, dir);
    bool alive = record_is_alive(&record) && file_read(path, 1 << 20, ret, &ignored) == 0;
    record_done(&record);
    return alive;
}

static bool is_loopback(const char *address)
{
    return !strncmp(address, "127.", 4) || !strcmp(address, "::1");
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct web_values *values = opaque;
    struct viewer *viewer = NULL;
    (void)count;
    (void)operands;
    if (nats_values_check(&values->nats, err) < 0)
        return EXIT_CODE_USAGE;
    if (!is_loopback(values->bind)) {
        (void)error_set(err, EXIT_CODE_REFUSED,
                        "--bind %s: other machines are served with TLS and users only",
                        values->bind);
        return EXIT_CODE_REFUSED;
    }
    CLEANUP_FREE char *rules = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    if (!rules) {
        (void)error_set(err, EXIT_CODE_USAGE,
                        "the shipped rules were not found; name the folder by --rules DIR");
        return EXIT_CODE_USAGE;
    }
    struct rules *loaded = NULL; /* said at once rather than with the first event */
    if (rules_load(rules, &loaded, err) < 0)
        return EXIT_CODE_USAGE;
    rules_free(loaded);
    struct viewer_options service = {
        .address = values->bind,
        .port = (unsigned)values->port,
        .boards = {values->dashboards.items, values->dashboards.count},
        .prometheus = values->prometheus,
        .nats = nats_bus_options(&values->nats, "cim-ops web"),
        .rules_folder = rules,
        .stack = read_stack,
        .stack_context = (void *)(uintptr_t)values->stack,
    };
    block_ends();
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    if (viewer_start(&viewer, &service, err) < 0)
        return err->code;
    (void)printf("cim-ops web: http://%s:%u\n", values->bind, viewer_port(viewer));
    (void)fflush(stdout);
    wait_for_end();
    viewer_stop(viewer);
    return EXIT_CODE_DONE;
}

const struct command command_web = {
    .name = "web",
    .summary = "the viewer: dashboards, events, alerts in a browser",
    .operands = "",
    .details =
        "Shows Grafana dashboards without Grafana, and the events themselves. It only reads,\n"
        "needs nothing from the internet, and listens on this machine only.",
    .example = "cim-ops web --dashboards /etc/cim-ops/dashboards",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct web_values),
    .run = run,
};
