/* What replays there are, how they stand, and what they parked. */
#include <inttypes.h>
#include <stdio.h>

#include "act/replay/replay_internal.h"
#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"

static uint64_t figure(const struct replay_record *record, const char *key)
{
    json_t *figures = json_object_get(record->root, "figures");
    return (uint64_t)json_integer_value(json_object_get(figures, key));
}

/* 2026-07-11T12:00:27.671243528Z without its fraction. */
static const char *short_time(const char *text, char out[static 24])
{
    (void)snprintf(out, 24, "%.19s%s", text, strlen(text) > 19 ? "Z" : "");
    return out;
}

static void add_clean(struct buf *out, const char *text)
{
    buf_reset(out);
    shown_add(out, slice_of(text));
}

/* --- list ------------------------------------------------------------------------------------- */

struct listing {
    bool json;
    size_t count;
};

static void list_one(void *context, const struct replay_record *record)
{
    struct listing *listing = context;
    char at[24], n[NUMBER_TEXT_MAX];
    CLEANUP_BUF struct buf target = {0};
    if (listing->json) {
        json_t *copy = json_copy(record->root);
        (void)json_object_set_new(copy, "state", json_string(replay_record_state(record)));
        (void)json_dumpf(copy, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(copy);
        listing->count++;
        return;
    }
    if (!listing->count++)
        (void)printf("%-23s  %-12s %14s  %-20s  %s\n", "ID", "STATE", "REPLAYED", "STARTED",
                     "TARGET");
    add_clean(&target, replay_record_text(record, "target"));
    (void)printf("%-23s  %-12s %14s  %-20s  %s\n", record->id, replay_record_state(record),
                 number_text(figure(record, "replayed"), n),
                 short_time(replay_record_text(record, "started_at"), at), buf_cstr(&target));
}

int replay_list(const struct bus_options *nats, bool json, struct error *err)
{
    struct listing listing = {.json = json};
    struct bus *bus = NULL;
    int rc = bus_open(&bus, nats, err);
    if (rc == 0)
        rc = replay_record_each(bus, list_one, &listing, err);
    if (rc == 0 && !listing.count && !json)
        (void)printf("no replays\n");
    bus_close(bus);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}

/* --- status ----------------------------------------------------------------------------------- */

static void show_line(const char *name, const char *text)
{
    CLEANUP_BUF struct buf clean = {0};
    if (!*text)
        return;
    add_clean(&clean, text);
    (void)printf("  %-11s %s\n", name, buf_cstr(&clean));
}

static void show_number(const char *name, uint64_t number)
{
    char text[NUMBER_TEXT_MAX];
    if (number)
        (void)printf("  %-11s %s\n", name, number_text(number, text));
}

static void show_streams(const struct replay_record *record)
{
    json_t *streams = json_object_get(json_object_get(record->root, "selection"), "streams");
    json_t *positions = json_object_get(record->root, "positions");
    for (size_t i = 0; i < json_array_size(streams); i++) {
        json_t *stream = json_array_get(streams, i);
        const char *name = json_string_value(json_object_get(stream, "name"));
        long long first = json_integer_value(json_object_get(stream, "first"));
        long long cut = json_integer_value(json_object_get(stream, "cut"));
        long long next = name ? json_integer_value(json_object_get(positions, name)) : 0;
        if (name)
            (void)printf("  %-11s %s: %lld to %lld, done up to %lld\n", "stream", name, first, cut,
                         next > 0 ? next - 1 : first - 1);
    }
}

static void show_record(const struct replay_record *record)
{
    char from[24], to[24];
    json_t *by = json_object_get(record->root, "by");
    const char *host = json_string_value(json_object_get(by, "host"));
    (void)printf("replay %s\n", record->id);
    show_line("state", replay_record_state(record));
    show_line("problem", replay_record_text(record, "problem"));
    show_line("target", replay_record_text(record, "target"));
    show_streams(record);
    show_number("read", figure(record, "read"));
    show_number("replayed", figure(record, "replayed"));
    show_number("skipped", figure(record, "skipped"));
    show_number("parked", figure(record, "parked"));
    show_number("retried", figure(record, "retried"));
    show_line("started", short_time(replay_record_text(record, "started_at"), from));
    show_line("checkpoint", short_time(replay_record_text(record, "updated_at"), to));
    (void)printf("  %-11s %s, pid %lld\n", "by", host ? host : "?",
                 (long long)json_integer_value(json_object_get(by, "pid")));
    if (replay_record_is_open(record) && strcmp(replay_record_state(record), "running") != 0)
        (void)printf("go on with: cim-ops replay --resume %s\n", record->id);
}

int replay_status(const struct bus_options *nats, const char *id, bool json, struct error *err)
{
    struct replay_record record = {0};
    struct bus *bus = NULL;
    int rc = bus_open(&bus, nats, err);
    if (rc == 0)
        rc = replay_record_load(&record, bus, id, err);
    if (rc == 0 && json) {
        struct listing listing = {.json = true};
        list_one(&listing, &record);
    } else if (rc == 0) {
        show_record(&record);
    }
    replay_record_done(&record);
    bus_close(bus);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}

/* --- cancel ----------------------------------------------------------------------------------- */

/* A running one tells it itself. */
static void tell_cancelled(const struct replay_record *record, struct bus *bus)
{
    static const struct replay_options quiet = {.quiet = true};
    struct replay replay = {.options = &quiet, .record = *record};
    replay.selection.reader.bus = bus;
    replay_load_figures(&replay);
    replay.told_ns = instant_monotonic_ns();
    replay.told_replayed = replay.figures.replayed;
    story_tell(&replay, "ReplayCancelled", story_figures(&replay));
}

static int cancel(struct replay_record *record, struct bus *bus, struct error *err)
{
    const char *state = replay_record_state(record);
    if (!replay_record_is_open(record))
        return error_set(err, EXIT_CODE_REFUSED, "replay %s is %s", record->id, state);
    bool running = !strcmp(state, "running");
    replay_record_set_state(record, running ? "cancelling" : "cancelled", NULL);
    int rc = replay_record_put(record, bus, err);
    if (rc == 0 && !running)
        tell_cancelled(record, bus);
    if (rc == 0)
        (void)printf(running ? "replay %s stops at its next checkpoint\n"
                             : "replay %s is cancelled\n",
                     record->id);
    return rc;
}

int replay_cancel(const struct bus_options *nats, const char *id, struct error *err)
{
    struct replay_record record = {0};
    struct bus *bus = NULL;
    int rc = bus_open(&bus, nats, err);
    for (int tries = 0; rc == 0 && tries < 20; tries++) {
        struct error problem = ERROR_NONE;
        rc = replay_record_load(&record, bus, id, err);
        int written = rc == 0 ? cancel(&record, bus, &problem) : -1;
        replay_record_done(&record);
        if (rc < 0 || written == 0)
            break;
        /* The replay itself has just written a checkpoint: once more. */
        if (problem.code != EXIT_CODE_REFUSED || strstr(problem.text, " is "))
            rc = error_set(err, problem.code, "%s", problem.text);
    }
    bus_close(bus);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}

/* --- parked ----------------------------------------------------------------------------------- */

struct parking {
    struct replay *replay;
    size_t count, retried;
};

static int show_parked(void *context, const struct parked *parked, struct error *err)
{
    struct parking *parking = context;
    CLEANUP_BUF struct buf subject = {0}, reason = {0};
    (void)err;
    if (parking->replay->options->json) {
        json_t *one = json_pack("{s:s, s:I, s:s, s:s, s:i}", "stream", parked->stream, "sequence",
                                (json_int_t)parked->seq, "subject", parked->subject, "reason",
                                parked->reason, "tries", (int)parked->tries);
        (void)json_dumpf(one, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(one);
        parking->count++;
        return 0;
    }
    if (!parking->count++)
        (void)printf("%-24s %12s  %-48s %s\n", "STREAM", "SEQUENCE", "SUBJECT", "REASON");
    add_clean(&subject, parked->subject);
    add_clean(&reason, parked->reason);
    (void)printf("%-24s %12" PRIu64 "  %-48s %s\n", parked->stream, parked->seq, buf_cstr(&subject),
                 buf_cstr(&reason));
    return 0;
}

static int list_parked(struct replay *replay, struct error *err)
{
    struct parking parking = {.replay = replay};
    if (parked_each(replay->selection.reader.bus, replay->record.id, show_parked, &parking, err) <
        0)
        return -1;
    if (!parking.count && !replay->options->json)
        (void)printf("nothing is parked\n");
    return parking.count
               ? error_set(err, EXIT_CODE_PROBLEM,
                           "%zu events are parked; --retry sends them again", parking.count)
               : 0;
}

static size_t stream_index(const struct selection *selection, const char *name)
{
    size_t i = 0;
    while (i < selection->stream_count && strcmp(selection->streams[i].name, name) != 0)
        i++;
    return i;
}

/* Its first one is sent, and with its success those behind it. */
static int retry_one(void *context, const struct parked *parked, struct error *err)
{
    struct parking *parking = context;
    struct replay *replay = parking->replay;
    struct replay_event event = {.seq = parked->seq, .aggregate = parked->key};
    CLEANUP_BUF struct buf subject = {0}, headers = {0}, payload = {0};
    parking->count++;
    event.stream = stream_index(&replay->selection, parked->stream);
    if (event.stream == replay->selection.stream_count ||
        stream_get_message(replay->selection.reader.bus, parked->stream, parked->seq, &subject,
                           &headers, &payload, &event.stored_at_ns, err) < 0)
        return error_wrap(err, "parked %s %llu", parked->stream, (unsigned long long)parked->seq);
    event.subject = buf_slice(&subject);
    event.header_block = headers.len ? buf_slice(&headers) : SLICE_ABSENT;
    event.payload = buf_slice(&payload);
    if (replay_is_blocked(replay, parked->key, NULL))
        return 0; /* it waits behind one that was refused again */
    uint64_t replayed = replay->figures.replayed;
    if (replay->target.kind->take(&replay->target, &event, err) < 0 ||
        replay->target.kind->settle(&replay->target, true, replay->positions, err) < 0)
        return -1;
    if (replay->figures.replayed == replayed)
        return 0; /* refused again: it is parked anew */
    parking->retried++;
    return parked_remove(replay->selection.reader.bus, replay->record.id, parked->stream,
                         parked->seq, err);
}

static int check_retry(const struct replay *replay, struct error *err)
{
    const char *state = replay_record_state(&replay->record);
    if (!strcmp(state, "running") || !strcmp(state, "cancelling"))
        return error_set(err, EXIT_CODE_REFUSED, "replay %s is %s; retry when it has ended",
                         replay->record.id, state);
    if (replay->target.kind == &target_kv || replay->target.kind == &target_file)
        return error_set(err, EXIT_CODE_USAGE,
                         "what %s:%s did not take cannot be added one by one: start another replay "
                         "of its aggregates",
                         replay->target.kind->name, replay->target.where);
    return 0;
}

/* What was parked and is taken now, in the record and as an event. */
static int note_retried(struct replay *replay, const struct parking *parking, struct error *err)
{
    json_t *figures = json_object_get(replay->record.root, "figures");
    struct replay_figures before;
    if (!parking->retried)
        return 0;
    replay_load_figures(replay);
    before = replay->figures;
    size_t left = parking->count - parking->retried;
    (void)json_object_set_new(figures, "parked", json_integer((json_int_t)left));
    (void)json_object_set_new(figures, "replayed",
                              json_integer((json_int_t)(before.replayed + parking->retried)));
    story_tell(
        replay, "ParkedTaken",
        json_pack("{s:I, s:I}", "taken", (json_int_t)parking->retried, "left", (json_int_t)left));
    return replay_record_put(&replay->record, replay->selection.reader.bus, err);
}

static int retry_parked(struct replay *replay, struct error *err)
{
    struct parking parking = {.replay = replay};
    if (check_retry(replay, err) < 0)
        return -1;
    replay->aside = true;
    uint64_t *positions = xcalloc(replay->selection.stream_count + 1, sizeof *positions);
    memcpy(positions, replay->positions, replay->selection.stream_count * sizeof *positions);
    int rc = replay->target.kind->open(&replay->target,
                                       json_object_get(replay->record.root, "target_state"), err);
    u64map_done(&replay->blocked); /* what is refused now blocks, not what was */
    replay->blocked = (struct u64map){0};
    if (rc == 0)
        rc = parked_each(replay->selection.reader.bus, replay->record.id, retry_one, &parking, err);
    memcpy(replay->positions, positions, replay->selection.stream_count * sizeof *positions);
    free(positions);
    if (rc < 0 || note_retried(replay, &parking, err) < 0)
        return -1;
    (void)printf("%zu of %zu parked events were taken\n", parking.retried, parking.count);
    return parking.retried == parking.count
               ? 0
               : error_set(err, EXIT_CODE_PROBLEM, "%zu are still parked",
                           parking.count - parking.retried);
}

int replay_parked(const struct replay_options *options, const char *id, bool retry,
                  struct error *err)
{
    struct replay_options own = *options;
    struct replay replay = {0};
    int rc = replay_open_recorded(&replay, &own, id, err);
    own.on_error = ON_ERROR_PARK;
    if (rc == 0)
        rc = retry ? retry_parked(&replay, err) : list_parked(&replay, err);
    replay_close(&replay);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}
