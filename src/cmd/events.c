/* cim-ops events: look at the events themselves, live or stored. */
#include "cmd/events.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
    TEXT_OPTION(stream, "stream", "LIST", "only these streams (default: all event streams)"),
    TEXT_OPTION(subject, "subject", "FILTER", "only subjects like this, * and > as in NATS"),
    TEXT_OPTION(domain, "domain", "LIST", "only these domains"),
    TEXT_OPTION(type, "type", "LIST", "only these event types"),
    TEXT_OPTION(aggregate, "aggregate", "LIST", "only these aggregate ids"),
    TEXT_OPTION(correlation, "correlation", "LIST", "only these correlation ids"),
    TEXT_OPTION(since, "since", "TIME",
                "stored then or later: 2026-07-11T12:00:00Z, 2026-07-11, or 10m, 2h, 7d ago"),
    TEXT_OPTION(until, "until", "TIME", "stored then or earlier"),
    TEXT_OPTION(where, "where", "EXPR", "conditions with and, or, not; see below"),
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

bool events_stopped(void)
{
    return stop_asked;
}

void events_wait_ms(int ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS};
    if (!stop_asked)
        (void)nanosleep(&pause, NULL); /* a signal ends it */
}

/* --- streams ---------------------------------------------------------------------------------- */

static bool is_named(const char *list, const char *name)
{
    struct slice rest = slice_of(list), item;
    while (slice_cut(&rest, ',', &item)) {
        if (slice_eq(slice_trim(item), slice_of(name)))
            return true;
    }
    return false;
}

static bool is_wanted(const struct events_values *values, const struct stream_info *info)
{
    if (values->stream ? !is_named(values->stream, info->name) : info->kind != STREAM_EVENTS)
        return false;
    bool overlaps = !values->subject || !info->subject_count; /* a mirror lists no subjects */
    for (size_t i = 0; i < info->subject_count && !overlaps; i++)
        overlaps = subject_filters_overlap(slice_of(info->subjects[i]), slice_of(values->subject));
    return overlaps;
}

/* Every stream that was named is there, and can be read without taking messages from others. */
static int check_named(const struct events_values *values, const struct stream_list *list,
                       struct error *err)
{
    struct slice rest = slice_of(values->stream), item;
    while (slice_cut(&rest, ',', &item)) {
        const struct stream_info *found = NULL;
        item = slice_trim(item);
        for (size_t i = 0; i < list->count && !found; i++)
            found = slice_eq(slice_of(list->items[i].name), item) ? &list->items[i] : NULL;
        if (found && found->kind == STREAM_WORK_QUEUE)
            return error_set(err, EXIT_CODE_REFUSED,
                             "%s is a work queue: reading it would compete with its workers",
                             found->name);
        if (found)
            continue;
        CLEANUP_BUF struct buf names = {0};
        for (size_t i = 0; i < list->count; i++)
            buf_addf(&names, "%s%s", i ? ", " : "", list->items[i].name);
        return error_set(err, EXIT_CODE_PROBLEM, "there is no stream '%.*s'; there %s %s",
                         SLICE_ARG(item), list->count == 1 ? "is" : "are",
                         list->count ? buf_cstr(&names) : "none");
    }
    return 0;
}

int events_list_streams(struct events_run *run, struct stream_list *ret, struct error *err)
{
    struct stream_list all = {0};
    if (stream_list(run->bus, &all, err) < 0)
        return -1;
    if (check_named(run->values, &all, err) < 0) {
        stream_list_done(&all);
        return -1;
    }
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++) {
        if (is_wanted(run->values, &all.items[i]) && kept < EVENTS_SOURCES_MAX)
            all.items[kept++] = all.items[i];
        else
            stream_info_done(&all.items[i]);
    }
    all.count = kept;
    *ret = all;
    return 0;
}

/* --- one message ------------------------------------------------------------------------------ */

void events_row_make(struct events_run *run, const char *stream, const struct bus_message *message,
                     struct events_message *storage, struct events_row *ret)
{
    struct bus_header raw[EVENT_HEADERS_MAX];
    storage->input = (struct event_input){.subject = message->subject,
                                          .payload = message->payload,
                                          .headers = storage->headers,
                                          .seq = message->seq,
                                          .stored_at_ns = message->stored_at_ns};
    storage->input.header_count = bus_message_headers(message, raw, EVENT_HEADERS_MAX);
    for (int i = 0; i < storage->input.header_count; i++)
        storage->headers[i] = (struct event_header){raw[i].name, raw[i].value};
    *ret = (struct events_row){
        .stream = stream, .input = &storage->input, .payload = message->payload};
    const char *why = NULL;
    if (!engine_view(run->engine, &storage->input, &ret->view, &ret->envelope, &why)) {
        ret->malformed = why;
        run->malformed++;
        return;
    }
    ret->payload = engine_payload(run->engine);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void ignore_report(void *context, enum engine_report what, const struct stream_state *state,
                          uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static int set_up(struct events_run *run, const struct events_values *values, struct error *err)
{
    struct engine_reporter reporter = {ignore_report, NULL};
    CLEANUP_FREE char *folder = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    run->values = values;
    if (!folder)
        return error_set(err, EXIT_CODE_USAGE,
                         "the shipped rules were not found; name the folder by --rules DIR");
    if (events_filter_make(values, &run->filter, err) < 0 ||
        events_printer_make(values, &run->printer, err) < 0 ||
        rules_load(folder, &run->rules, err) < 0)
        return -1;
    run->registry = registry_new();
    if (engine_new(run->rules, run->registry, reporter, &run->engine, err) < 0)
        return -1;
    struct bus_options connection = nats_bus_options(&values->nats, "cim-ops events");
    return nats_values_check(&values->nats, err) < 0 ? -1 : bus_open(&run->bus, &connection, err);
}

static void tear_down(struct events_run *run)
{
    bus_close(run->bus);
    stream_list_done(&run->streams);
    engine_free(run->engine);
    registry_free(run->registry);
    rules_free(run->rules);
    events_printer_done(&run->printer);
    events_filter_done(&run->filter);
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
        rc = events_list_streams(&run, &run.streams, err);
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
