/* The streams, one after the other: what each message does is dated and noted. */
#include <stdio.h>

#include "act/backfill/backfill_internal.h"
#include "bus/pull.h"

/* 2000-01-01T00:00:00Z: an event that says it is older has a clock that was never set. */
static const int64_t oldest_plausible_ns = INT64_C(946684800) * NS_PER_SECOND;
static const int64_t show_every_ns = 500 * NS_PER_MS;
enum { WAIT_MS = 2000, SILENCES_MAX = 15, LOOK_AT_CLOCK = 4096 };

struct reading {
    const struct fold_options *options;
    struct fold_figures *figures;
    int64_t began_ns, shown_ns;
    uint64_t expected; /* messages in all streams */
    bool failed;
    struct error problem;
};

void backfill_progress(bool quiet, const char *format, ...)
{
    va_list args;
    if (quiet)
        return;
    va_start(args, format);
    (void)fputs("\r\033[K", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fflush(stderr);
    va_end(args);
}

/* Before the engine counts what the message means. */
static void date_message(void *context, const struct event_input *input,
                         const int64_t *occurred_at_ns)
{
    struct reading *reading = context;
    int64_t at = input->stored_at_ns;
    if (occurred_at_ns && !reading->options->by_stored_time &&
        *occurred_at_ns >= oldest_plausible_ns)
        at = *occurred_at_ns;
    if (history_moment(reading->options->history, at, input->stored_at_ns, &reading->problem) < 0)
        reading->failed = true;
}

/* A message sourced from another stream that is read too is counted there. */
static bool is_copy(const struct stream_list *streams, const struct event_header *headers,
                    int header_count)
{
    for (int i = 0; i < header_count; i++) {
        struct slice rest = headers[i].value, origin;
        if (!slice_eq(headers[i].name, SLICE("Nats-Stream-Source")) ||
            !slice_cut(&rest, ' ', &origin))
            continue;
        for (size_t s = 0; s < streams->count; s++) {
            if (streams->items[s].kind == STREAM_EVENTS &&
                slice_eq(slice_of(streams->items[s].name), origin))
                return true;
        }
    }
    return false;
}

static void fold_message(struct reading *reading, const struct stream_info *info,
                         struct stream_state *state, const struct bus_message *message)
{
    struct event_header headers[EVENT_HEADERS_MAX];
    struct bus_header raw[EVENT_HEADERS_MAX];
    struct event_input input = {.subject = message->subject,
                                .payload = message->payload,
                                .headers = headers,
                                .seq = message->seq,
                                .stored_at_ns = message->stored_at_ns};
    input.header_count = bus_message_headers(message, raw, EVENT_HEADERS_MAX);
    for (int i = 0; i < input.header_count; i++)
        headers[i] = (struct event_header){raw[i].name, raw[i].value};
    reading->figures->messages++;
    if (info->has_sources && is_copy(reading->options->streams, headers, input.header_count))
        state_pass(reading->options->engine, state, input.seq);
    else if (engine_fold(reading->options->engine, state, &input) >= 0)
        reading->figures->events++;
}

static void show(struct reading *reading, const char *stream)
{
    int64_t now = instant_monotonic_ns();
    if (now - reading->shown_ns < show_every_ns)
        return;
    reading->shown_ns = now;
    double seconds = (double)(now - reading->began_ns) / 1e9;
    double rate = (double)reading->figures->messages / seconds;
    uint64_t left = reading->expected > reading->figures->messages
                        ? reading->expected - reading->figures->messages
                        : 0;
    backfill_progress(reading->options->quiet,
                      "reading %s: %llu of %llu messages, %.0f/s, %.0f s left", stream,
                      (unsigned long long)reading->figures->messages,
                      (unsigned long long)reading->expected, rate, (double)left / rate);
}

static int read_all(struct reading *reading, const struct stream_info *info, struct pull *pull,
                    struct stream_state *state, struct error *err)
{
    struct bus_message message;
    int silences = 0;
    while (!pull_ended(pull) && !reading->failed) {
        int got = pull_next(pull, &message, WAIT_MS, err);
        if (got < 0)
            return -1;
        if (!got && !pull_ended(pull) && ++silences == SILENCES_MAX)
            return error_set(err, EXIT_CODE_UNREACHABLE, "%s: no message came for %d s", info->name,
                             SILENCES_MAX * WAIT_MS / 1000);
        if (!got)
            continue;
        silences = 0;
        bool wanted = message.stored_at_ns <= reading->options->stop_ns;
        if (wanted)
            fold_message(reading, info, state, &message);
        bus_message_release(&message);
        if (!wanted) /* and so is none behind it */
            break;
        if (reading->figures->messages % LOOK_AT_CLOCK == 0)
            show(reading, info->name);
    }
    return reading->failed ? error_set(err, reading->problem.code, "%s", reading->problem.text) : 0;
}

static int read_stream(struct reading *reading, const struct stream_info *info, struct error *err)
{
    struct pull *pull = NULL;
    struct pull_options options = {.stream = info->name};
    struct stream_state *state = engine_stream(reading->options->engine, info->name);
    if (pull_open(reading->options->bus, &options, &pull, err) < 0)
        return error_wrap(err, "stream %s", info->name);
    int rc = read_all(reading, info, pull, state, err);
    pull_close(pull);
    return rc;
}

int fold_streams(const struct fold_options *options, struct fold_figures *ret, struct error *err)
{
    struct reading reading = {
        .options = options, .figures = ret, .began_ns = instant_monotonic_ns()};
    *ret = (struct fold_figures){0};
    for (size_t i = 0; i < options->streams->count; i++) {
        if (options->streams->items[i].kind == STREAM_EVENTS)
            reading.expected += options->streams->items[i].messages;
    }
    engine_watch(options->engine, date_message, &reading);
    int rc = 0;
    for (size_t i = 0; i < options->streams->count && rc == 0; i++) {
        const struct stream_info *info = &options->streams->items[i];
        if (info->kind == STREAM_EVENTS && info->messages)
            rc = read_stream(&reading, info, err);
    }
    engine_watch(options->engine, NULL, NULL);
    ret->took_ns = instant_monotonic_ns() - reading.began_ns;
    backfill_progress(options->quiet, "%s", "");
    return rc;
}
