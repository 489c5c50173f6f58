/* cim-ops events: look at the events themselves, live or stored. */
#include "cmd/events.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "cmd/place.h"

#define TEXT_OPTION(field_, name_, arg_, help_)                                                    \
    {                                                                                              \
        .name = (name_), .arg = (arg_), .kind = OPTION_STRING,                                     \
        .offset = offsetof(struct events_values, field_), .help = (help_)                          \
    }

static const struct option_spec options[] = {
    NATS_OPTIONS(struct events_values, nats),
    TEXT_OPTION(wanted.stream, "stream", "LIST", "only these streams (default: all event streams)"),
    TEXT_OPTION(wanted.subject, "subject", "FILTER", "only subjects like this, * and > as in NATS"),
    TEXT_OPTION(wanted.domain, "domain", "LIST", "only these domains"),
    TEXT_OPTION(wanted.type, "type", "LIST", "only these event types"),
    TEXT_OPTION(wanted.aggregate, "aggregate", "LIST", "only these aggregate ids"),
    TEXT_OPTION(wanted.correlation, "correlation", "LIST", "only these correlation ids"),
    TEXT_OPTION(wanted.since, "since", "TIME",
                "stored then or later: 2026-07-11T12:00:00Z, 2026-07-11, or 10m, 2h, 7d ago"),
    TEXT_OPTION(wanted.until, "until", "TIME", "stored then or earlier"),
    TEXT_OPTION(wanted.where, "where", "EXPR", "conditions with and, or, not; see below"),
    {.name = "output",
     .arg = "FORM",
     .kind = OPTION_STRING,
     .fallback = "text",
     .offset = offsetof(struct events_values, output),
     .help = "text, json (one object a line) or csv"},
    TEXT_OPTION(fields, "fields", "LIST", "which fields to print"),
    {.name = "full",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct events_values, full),
     .help = "print headers and payload, too"},
    {.name = "limit",
     .arg = "N",
     .kind = OPTION_U64,
     .offset = offsetof(struct events_values, limit),
     .help = "stop behind this many events"},
    {.name = "last",
     .arg = "N",
     .kind = OPTION_U64,
     .fallback = "10",
     .offset = offsetof(struct events_values, last),
     .help = "tail: begin this many messages back in each stream"},
    TEXT_OPTION(core, "core", "LIST", "tail: subjects to watch that no stream captures"),
    {.name = "by",
     .arg = "LIST",
     .kind = OPTION_STRING,
     .fallback = "domain,event_type",
     .offset = offsetof(struct events_values, by),
     .help = "stats: fields to count by"},
    TEXT_OPTION(rules, "rules", "DIR", "folder of envelopes.yaml (default: the one shipped)"),
};

/* --- stopping --------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_asked;

static void ask_stop(int signal)
{
    (void)signal;
    stop_asked = 1;
}

static void watch_signals(void)
{
    struct sigaction stop = {.sa_handler = ask_stop}, ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL); /* `| head`: seen when printing */
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool is_stopped(void *context)
{
    (void)context;
    return stop_asked;
}

static int set_up(struct events_run *run, const struct events_values *values, struct error *err)
{
    CLEANUP_FREE char *folder = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    run->values = values;
    run->reader.wanted = &values->wanted;
    run->reader.stopped = is_stopped;
    if (!folder)
        return error_set(err, EXIT_CODE_USAGE,
                         "the shipped rules were not found; name the folder by --rules DIR");
    if (events_filter_make(&values->wanted, &run->reader.filter, err) < 0 ||
        events_printer_make(values, &run->printer, err) < 0)
        return -1;
    struct bus_options connection = nats_bus_options(&values->nats, "cim-ops events");
    if (nats_values_check(&values->nats, err) < 0)
        return -1;
    return events_reader_open(&run->reader, &connection, folder, err);
}

static void tear_down(struct events_run *run)
{
    events_reader_close(&run->reader);
    events_printer_done(&run->printer);
    events_filter_done(&run->reader.filter);
}

static int run_verb(const void *opaque, int count, char **operands, struct error *err)
{
    static const struct {
        const char *name;
        int (*run)(struct events_run *run, struct error *err);
    } verbs[] = {{"tail", events_tail}, {"query", events_query}, {"stats", events_stats}};
    size_t verb = 0;
    (void)count;
    while (verb < ARRAY_LEN(verbs) && strcmp(operands[0], verbs[verb].name) != 0)
        verb++;
    if (verb == ARRAY_LEN(verbs)) {
        (void)error_set(err, EXIT_CODE_USAGE, "'%s': tail, query or stats was expected",
                        operands[0]);
        return EXIT_CODE_USAGE;
    }
    struct events_run run = {0};
    watch_signals();
    int rc = set_up(&run, opaque, err);
    if (rc == 0)
        rc = events_list_streams(&run.reader, &run.reader.streams, err);
    if (rc == 0)
        rc = verbs[verb].run(&run, err);
    (void)fflush(stdout);
    tear_down(&run);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}

const struct command command_events = {
    .name = "events",
    .summary = "look at the events themselves: tail, query, stats",
    .operands = "tail|query|stats",
    .details =
        "tail shows events as they come, query those that are stored (of all streams, by the time\n"
        "they were stored, up to now), stats counts them. LIST is names with commas between. The\n"
        "fields are those of the event view (domain, event_type, aggregate_type, aggregate_id,\n"
        "event_id, correlation_id, causation_id, occurred_at, severity, error_type) and stream,\n"
        "seq, stored_at, subject, envelope.\n"
        "\n"
        "EXPR: $domain == agent and ($event_type ~ 'Failed$' or $payload.attempt > 3). Operators:\n"
        "== != ~ !~ in not-in exists absent > >= < <=; references as in rules (doc/rules.md).\n"
        "\n"
        "Nothing is acknowledged, changed or taken away. `query --output json --full` prints "
        "lines\n"
        "that `derive` and `inspect` read.",
    .example = "cim-ops events query --domain workflow --since 2h \\\n"
               "      --where '$event_type ~ Failed and $payload.*.attempt >= 3'",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct events_values),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_verb,
};
