/* The streams, one after the other: what each message does is dated and noted. */
#include <stdio.h>

#include "act/backfill/backfill_internal.h"
#include "bus/ordered.h"
#include "event/headers.h"

/* 2000-01-01T00:00:00Z: an event that says it is older has a clock that was never set. */
static const int64_t oldest_plausible_ns = INT64_C(946684800) * NS_PER_SECOND;
static const int64_t show_every_ns = 500 * NS_PER_MS;
enum { WAIT_MS = 500, CONNECT_MS = 5000, RESTARTS_MAX = 20, RESTART_APART_MS = 500 };

struct reading {
    const struct fold_options *options;
    struct fold_figures *figures;
    struct ordered_hub *hub;
    int64_t began_ns, shown_ns;
    uint64_t expected; /* messages in all streams */
    bool failed;
    struct error problem;

    /* The stream at hand. */
    const struct stream_info *info;
    struct stream_state *state;
    bool ended;
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
static bool is_copy(const struct stream_list *streams, struct slice header_block)
{
    struct event_headers walk;
    struct event_header header;
    if (!slice_present(header_block) || !event_headers_begin(&walk, header_block, NULL))
        return false;
    while (event_headers_next(&walk, &header)) {
        struct slice rest = header.value, origin;
        if (!slice_eq(header.name, SLICE("Nats-Stream-Source")) || !slice_cut(&rest, ' ', &origin))
            continue;
        for (size_t s = 0; s < streams->count; s++) {
            if (streams->items[s].kind == STREAM_EVENTS &&
                slice_eq(slice_of(streams->items[s].name), origin))
                return true;
        }
    }
    return false;
}

static void on_message(void *context, const struct bus_message *message)
{
    struct reading *reading = context;
    struct event_input input = {.subject = message->subject,
                                .payload = message->payload,
                                .header_block = message->header_block,
                                .seq = message->seq,
                                .stored_at_ns = message->stored_at_ns};
    /* What came in since we began, or behind the seam, is live's; so is all behind it. */
    if (input.seq > reading->info->last_seq || input.stored_at_ns > reading->options->stop_ns)
        reading->ended = true;
    if (reading->ended || reading->failed)
        return;
    reading->figures->messages++;
    if (reading->info->has_sources && is_copy(reading->options->streams, message->header_block))
        state_pass(reading->options->engine, reading->state, input.seq);
    else if (engine_fold(reading->options->engine, reading->state, &input) >= 0)
        reading->figures->events++;
    reading->ended = input.seq == reading->info->last_seq || message->pending == 0;
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

/* The link broke, or the server fell silent: from the same place again, for a while. */
static int mend(struct reading *reading, struct ordered *reader, int *restarts, struct error *err)
{
    if (++*restarts > RESTARTS_MAX)
        return error_set(err, EXIT_CODE_UNREACHABLE, "stream %s: %s", reading->info->name,
                         ordered_trouble(reader));
    if (ordered_hub_connect(reading->hub, CONNECT_MS, err) < 0)
        return -1;
    (void)ordered_hub_wait(reading->hub, RESTART_APART_MS);
    return ordered_restart(reader, ordered_next_seq(reader), err);
}

static int read_all(struct reading *reading, struct ordered *reader, struct error *err)
{
    int restarts = 0;
    uint64_t seen = 0;
    while (!reading->ended && !reading->failed) {
        if (ordered_hub_wait(reading->hub, WAIT_MS))
            ordered_hub_deliver(reading->hub);
        if (reading->figures->messages != seen)
            restarts = 0;
        seen = reading->figures->messages;
        if (!reading->ended && ordered_trouble(reader) && mend(reading, reader, &restarts, err) < 0)
            return -1;
        /* What is left has been deleted meanwhile. */
        if (ordered_is_alive(reader) && ordered_pending(reader) == 0 && !ordered_trouble(reader))
            break;
        show(reading, reading->info->name);
    }
    return reading->failed ? error_set(err, reading->problem.code, "%s", reading->problem.text) : 0;
}

static int read_stream(struct reading *reading, const struct stream_info *info, struct error *err)
{
    struct ordered *reader = NULL;
    reading->info = info;
    reading->ended = false;
    reading->state = engine_stream(reading->options->engine, info->name);
    int rc = ordered_open(reading->hub, info->name, NULL, info->first_seq, on_message, reading,
                          &reader, err);
    if (rc < 0)
        return error_wrap(err, "stream %s", info->name);
    rc = ordered_begin(reader, err);
    if (rc == 0)
        rc = read_all(reading, reader, err);
    ordered_close(reader);
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
    if (ordered_hub_open(options->bus, &reading.hub, err) < 0)
        return -1;
    engine_watch(options->engine, date_message, &reading);
    int rc = ordered_hub_connect(reading.hub, CONNECT_MS, err);
    for (size_t i = 0; i < options->streams->count && rc == 0; i++) {
        const struct stream_info *info = &options->streams->items[i];
        if (info->kind == STREAM_EVENTS && info->messages)
            rc = read_stream(&reading, info, err);
    }
    engine_watch(options->engine, NULL, NULL);
    ordered_hub_close(reading.hub);
    ret->took_ns = instant_monotonic_ns() - reading.began_ns;
    backfill_progress(options->quiet, "%s", "");
    return rc;
}
