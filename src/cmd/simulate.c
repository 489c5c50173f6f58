/* cim-ops simulate: CIM traffic in the real shapes. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/instant.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "source/sim/run.h"

struct simulate_values {
    struct nats_values nats;
    const char *seed, *start, *rate, *domains, *fault, *expect;
    const char *malformed, *duplicate, *late, *failed, *stalled, *second;
    uint64_t count, window, live;
    int64_t duration_ns, stall_after_ns, patience_ns;
    bool forever, print, core, dry;
};

#define FIELD(name) offsetof(struct simulate_values, name)
#define SHARE(option, field, value, text)                                                          \
    {                                                                                              \
        .name = option, .arg = "SHARE", .help = text, .kind = OPTION_STRING,                       \
        .offset = FIELD(field), .fallback = value                                                  \
    }

static const struct option_spec options[] = {
    NATS_OPTIONS(struct simulate_values, nats),
    {.name = "seed",
     .arg = "N",
     .help = "decides the course of things (default: drawn, and said at the end)",
     .kind = OPTION_STRING,
     .offset = FIELD(seed)},
    {.name = "start",
     .arg = "TIME",
     .help = "RFC 3339; the clock then moves 1 ms an event, and the same seed gives the same bytes",
     .kind = OPTION_STRING,
     .offset = FIELD(start)},
    {.name = "rate",
     .arg = "N|max",
     .help = "events per second",
     .kind = OPTION_STRING,
     .offset = FIELD(rate),
     .fallback = "100"},
    {.name = "count",
     .arg = "N",
     .help = "stop after so many events (default 1000, if nothing else ends it)",
     .kind = OPTION_U64,
     .offset = FIELD(count),
     .min = 1,
     .max = INT64_MAX},
    {.name = "for",
     .arg = "DURATION",
     .help = "stop after so long",
     .kind = OPTION_DURATION,
     .offset = FIELD(duration_ns)},
    {.name = "forever",
     .help = "until SIGINT or SIGTERM",
     .kind = OPTION_FLAG,
     .offset = FIELD(forever)},
    {.name = "domains",
     .arg = "A,B,...",
     .help = "which domains speak (default: all)",
     .kind = OPTION_STRING,
     .offset = FIELD(domains)},
    {.name = "live",
     .arg = "N",
     .help = "aggregates alive per domain, about",
     .kind = OPTION_U64,
     .offset = FIELD(live),
     .fallback = "500",
     .min = 10,
     .max = 1000000},
    {.name = "print",
     .help = "JSON lines to standard output instead of publishing",
     .kind = OPTION_FLAG,
     .offset = FIELD(print)},
    {.name = "core",
     .help = "publish without expecting acknowledgements",
     .kind = OPTION_FLAG,
     .offset = FIELD(core)},
    {.name = "dry",
     .help = "make the events and forget them: how fast is the making?",
     .kind = OPTION_FLAG,
     .offset = FIELD(dry)},
    {.name = "expect",
     .arg = "FILE",
     .help = "write what the metrics must come to (Prometheus text)",
     .kind = OPTION_STRING,
     .offset = FIELD(expect)},
    {.name = "fault",
     .arg = "NAME",
     .help = "errors, stall, duplicates or malformed; see above",
     .kind = OPTION_STRING,
     .offset = FIELD(fault)},
    {.name = "stall-after",
     .arg = "DURATION",
     .help = "--fault stall: traffic before the silence",
     .kind = OPTION_DURATION,
     .offset = FIELD(stall_after_ns),
     .fallback = "30s"},
    SHARE("share-malformed", malformed, "0.002", "of all events: payloads that cannot be read"),
    SHARE("share-duplicate", duplicate, "0.005", "of all events: sent again, byte for byte"),
    SHARE("share-late", late, "0.01",
          "of events with a time of their own: happened 1 min to 6 h ago"),
    SHARE("share-failed", failed, "0.03", "of the events of each domain that knows failures"),
    SHARE("share-stalled", stalled, "0.02", "of workflows: never end"),
    SHARE("share-second", second, "0.1", "of facts that CIM publishes in two forms: sent in both"),
    {.name = "window",
     .arg = "N",
     .help = "messages in flight at most",
     .kind = OPTION_U64,
     .offset = FIELD(window),
     .fallback = "2048",
     .min = 1,
     .max = 65536},
    {.name = "patience",
     .arg = "DURATION",
     .help = "how long to wait for a server that went away",
     .kind = OPTION_DURATION,
     .offset = FIELD(patience_ns),
     .fallback = "2m"},
};

static int parse_share(const char *name, const char *text, double *ret, struct error *err)
{
    char *end = NULL;
    *ret = strtod(text, &end);
    if (end == text || *end || !(*ret >= 0 && *ret <= 1))
        return error_set(err, EXIT_CODE_USAGE, "--share-%s: '%s' is not a number from 0 to 1", name,
                         text);
    return 0;
}

static int parse_shares(const struct simulate_values *v, struct sim_shares *ret, struct error *err)
{
    const struct {
        const char *name, *text;
        double *share;
    } all[] = {
        {"malformed", v->malformed, &ret->malformed},
        {"duplicate", v->duplicate, &ret->duplicate},
        {"late", v->late, &ret->late},
        {"failed", v->failed, &ret->failed},
        {"stalled", v->stalled, &ret->stalled},
        {"second", v->second, &ret->second},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (parse_share(all[i].name, all[i].text, all[i].share, err) < 0)
            return -1;
    }
    return 0;
}

static int parse_domains(const char *text, bool ret[SIM_DOMAINS], struct error *err)
{
    struct slice rest = slice_of(text), name;
    for (size_t d = 0; d < SIM_DOMAINS; d++)
        ret[d] = !text;
    while (slice_cut(&rest, ',', &name)) {
        size_t d = 0;
        while (d < SIM_DOMAINS && !slice_eq(slice_of(sim_domains[d].name), slice_trim(name)))
            d++;
        if (d == SIM_DOMAINS)
            return error_set(
                err, EXIT_CODE_USAGE,
                "--domains: '%.*s' is none of infrastructure, agent, workflow, person, "
                "organization, policy, location, git, network",
                SLICE_ARG(name));
        ret[d] = true;
    }
    return 0;
}

static int parse_fault(const char *text, enum sim_fault *ret, struct error *err)
{
    static const char *const names[] = {
        [FAULT_ERRORS] = "errors",
        [FAULT_STALL] = "stall",
        [FAULT_DUPLICATES] = "duplicates",
        [FAULT_MALFORMED] = "malformed",
    };
    *ret = FAULT_NONE;
    for (size_t i = 1; text && i < ARRAY_LEN(names); i++) {
        if (!strcmp(text, names[i]))
            *ret = (enum sim_fault)i;
    }
    return text && *ret == FAULT_NONE
               ? error_set(err, EXIT_CODE_USAGE,
                           "--fault: '%s' is none of errors, stall, duplicates, malformed", text)
               : 0;
}

static int parse_rate(const char *text, double *ret, struct error *err)
{
    char *end = NULL;
    *ret = 0;
    if (!strcmp(text, "max"))
        return 0;
    *ret = strtod(text, &end);
    if (end == text || *end || !(*ret > 0 && *ret <= 1e9))
        return error_set(err, EXIT_CODE_USAGE,
                         "--rate: '%s' is neither a number of events per second nor 'max'", text);
    return 0;
}

static int parse_seed(const char *text, uint64_t *ret, struct error *err)
{
    char *end = NULL;
    if (!text) {
        uint32_t drawn = 0; /* short enough to be typed again */
        if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn)
            drawn = (uint32_t)instant_now_ns();
        *ret = drawn;
        return 0;
    }
    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end
               ? 0
               : error_set(err, EXIT_CODE_USAGE, "--seed: '%s' is not a whole number", text);
}

static int parse_start(const char *text, int64_t *ret_ns, struct error *err)
{
    return !text || instant_parse_rfc3339(slice_of(text), ret_ns)
               ? 0
               : error_set(err, EXIT_CODE_USAGE,
                           "--start: '%s' is not an RFC 3339 time such as 2026-07-11T12:00:00Z",
                           text);
}

static int parse_limits(const struct simulate_values *v, struct run_options *ret, struct error *err)
{
    int ends = (v->count > 0) + (v->duration_ns > 0) + v->forever;
    int targets = v->print + v->core + v->dry;
    if (v->forever && ends > 1)
        return error_set(err, EXIT_CODE_USAGE, "--forever does not go with --count or --for");
    if (targets > 1)
        return error_set(err, EXIT_CODE_USAGE, "only one of --print, --core and --dry");
    ret->count = ends ? v->count : 1000;
    ret->duration_ns = v->duration_ns;
    ret->target = v->print ? RUN_PRINT : v->core ? RUN_CORE : v->dry ? RUN_DRY : RUN_JETSTREAM;
    return 0;
}

static int check_stall(const struct sim_config *sim, struct error *err)
{
    size_t chosen = 0;
    for (size_t d = 0; d < SIM_DOMAINS; d++)
        chosen += sim->domains[d];
    return sim->fault == FAULT_STALL && chosen < 2
               ? error_set(err, EXIT_CODE_USAGE,
                           "--fault stall silences the first of --domains: name at least two")
               : 0;
}

/* Before anything is published: the file can be put there, and is not something else. */
static int check_expect(const char *path, struct error *err)
{
    struct stat st;
    CLEANUP_FREE char *copy = xstrdup(path ? path : "");
    if (!path)
        return 0;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return error_set(err, EXIT_CODE_USAGE, "--expect: %s is no regular file", path);
    if (access(dirname(copy), W_OK) < 0)
        return error_set(err, EXIT_CODE_USAGE, "--expect: %s cannot be written: %s", path,
                         strerror(errno));
    return 0;
}

static int simulate(const void *values, int count, char **operands, struct error *err)
{
    (void)count;
    (void)operands;
    const struct simulate_values *v = values;
    struct run_options o = {
        .bus = nats_bus_options(&v->nats, "cim-ops simulate"),
        .sim = {.live = v->live, .stall_after_ns = v->stall_after_ns},
        .expect = v->expect,
        .window = v->window,
        .patience_ns = v->patience_ns,
    };
    if (nats_values_check(&v->nats, err) < 0 || parse_start(v->start, &o.sim.start_ns, err) < 0 ||
        parse_shares(v, &o.sim.shares, err) < 0 ||
        parse_domains(v->domains, o.sim.domains, err) < 0 ||
        parse_fault(v->fault, &o.sim.fault, err) < 0 || parse_rate(v->rate, &o.rate, err) < 0 ||
        parse_seed(v->seed, &o.sim.seed, err) < 0 || parse_limits(v, &o, err) < 0 ||
        check_stall(&o.sim, err) < 0 || check_expect(v->expect, err) < 0 || sim_run(&o, err) < 0)
        return (int)err->code;
    return EXIT_CODE_DONE;
}

const struct command command_simulate = {
    .name = "simulate",
    .summary = "CIM traffic in the real shapes",
    .operands = "",
    .details = "Plays a small CIM: nine domains whose aggregates come, live and end, causal chains "
               "from a new\n"
               "person to a found device, commands that are answered, workflows that complete, "
               "fail or stall.\n"
               "Subjects, headers and payloads are those of the real producers, both copies where "
               "they publish\n"
               "a fact twice. Each event is acknowledged; a server that dies meanwhile is waited "
               "for, and what\n"
               "it had stored is found out, so that every event is stored once.\n"
               "\n"
               "--expect says what this run adds to the metrics of a monitor that saw nothing of "
               "it before.\n"
               "Failures are known to agent, workflow, policy, git and network. A stalled workflow "
               "never ends\n"
               "by itself; past 1,000 of them the oldest is cancelled. Faults, to see alerts: "
               "errors (30 %\n"
               "failures), duplicates (20 %), malformed (10 %), stall (the first of --domains goes "
               "silent).",
    .example = "cim-ops simulate --rate 500 --for 10m --seed 42 --expect expected.prom",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct simulate_values),
    .run = simulate,
};
