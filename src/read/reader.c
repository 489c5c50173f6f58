/* A connection, the rules, which streams; a message becomes a row. */
#include <stdlib.h>

#include "base/memory.h"
#include "read/events.h"

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

/*
 * nats-server garbles the reply subject of messages of a stream with a '%' in its name: each ends
 * the connection of who reads them, and with it the reading of all others.
 */
static bool is_readable(const char *name)
{
    return !strchr(name, '%');
}

static bool is_wanted(const struct events_wanted *wanted, const struct stream_info *info)
{
    if (wanted->stream ? !is_named(wanted->stream, info->name) : info->kind != STREAM_EVENTS)
        return false;
    if (!is_readable(info->name))
        return false;
    bool overlaps = !wanted->subject || !info->subject_count; /* a mirror lists no subjects */
    for (size_t i = 0; i < info->subject_count && !overlaps; i++)
        overlaps = subject_filters_overlap(slice_of(info->subjects[i]), slice_of(wanted->subject));
    return overlaps;
}

/* Every stream that was named is there, and can be read without taking messages from others. */
static int check_named(const struct events_wanted *wanted, const struct stream_list *list,
                       struct error *err)
{
    struct slice rest = slice_of(wanted->stream), item;
    while (slice_cut(&rest, ',', &item)) {
        const struct stream_info *found = NULL;
        item = slice_trim(item);
        for (size_t i = 0; i < list->count && !found; i++)
            found = slice_eq(slice_of(list->items[i].name), item) ? &list->items[i] : NULL;
        if (found && found->kind == STREAM_WORK_QUEUE)
            return error_set(err, EXIT_CODE_REFUSED,
                             "%s is a work queue: reading it would compete with its workers",
                             found->name);
        if (found && !is_readable(found->name))
            return error_set(
                err, EXIT_CODE_REFUSED,
                "%s: nats-server sends no readable messages of a stream with a '%%' in "
                "its name",
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

int events_list_streams(struct events_reader *reader, struct stream_list *ret, struct error *err)
{
    struct stream_list all = {0};
    if (stream_list(reader->bus, &all, err) < 0)
        return -1;
    if (check_named(reader->wanted, &all, err) < 0) {
        stream_list_done(&all);
        return -1;
    }
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++) {
        if (is_wanted(reader->wanted, &all.items[i]) && kept < EVENTS_SOURCES_MAX)
            all.items[kept++] = all.items[i];
        else
            stream_info_done(&all.items[i]);
    }
    all.count = kept;
    *ret = all;
    return 0;
}

/* --- one message ------------------------------------------------------------------------------ */

void events_row_make(struct events_reader *reader, const char *stream,
                     const struct bus_message *message, struct events_message *storage,
                     struct events_row *ret)
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
    if (!engine_view(reader->engine, &storage->input, &ret->view, &ret->envelope, &why)) {
        ret->malformed = why;
        reader->malformed++;
        return;
    }
    ret->payload = engine_payload(reader->engine);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void ignore_report(void *context, enum engine_report what, const struct stream_state *state,
                          uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

int events_reader_open(struct events_reader *reader, const struct bus_options *nats,
                       const char *rules_folder, struct error *err)
{
    struct engine_reporter reporter = {ignore_report, NULL};
    if (rules_load(rules_folder, &reader->rules, err) < 0)
        return -1;
    reader->registry = registry_new();
    if (engine_new(reader->rules, reader->registry, reporter, &reader->engine, err) < 0)
        return -1;
    return bus_open(&reader->bus, nats, err);
}

void events_reader_close(struct events_reader *reader)
{
    bus_close(reader->bus);
    stream_list_done(&reader->streams);
    engine_free(reader->engine);
    registry_free(reader->registry);
    rules_free(reader->rules);
}
