/* Stored events, merged over the streams by the time they were stored. */
#include <stdlib.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "read/events.h"

enum {
    PREFETCH = 8192, /* messages asked for ahead, over all streams */
    BATCH_MIN = 16,
    BATCH_MAX = 512,
    PATIENCE_MS = 30000, /* for a server that is away */
    RETRY_MS = 200,
    NEXT_MS = 1000,
};

struct source {
    const char *stream;
    struct pull *pull;
    struct bus_message message; /* the next one; handle NULL: none */
    struct events_message storage;
    bool ended;
};

struct events_merge {
    struct events_reader *reader;
    struct source *sources;
    size_t count;
    struct source *last; /* whose message was handed out */
    uint64_t total;
};

static bool is_stopped(const struct events_reader *reader)
{
    return reader->stopped && reader->stopped(reader->context);
}

static int open_source(struct events_merge *merge, const struct stream_info *info, unsigned batch,
                       struct error *err)
{
    struct source *source = &merge->sources[merge->count];
    struct pull_options options = {.stream = info->name,
                                   .start_seq = merge->reader->by_sequence ? info->first_seq : 0,
                                   .start_time_ns = merge->reader->filter.since_ns,
                                   .end_seq = info->last_seq,
                                   .filter = merge->reader->wanted->subject,
                                   .batch = batch};
    source->stream = info->name;
    if (!info->messages || info->first_seq > info->last_seq)
        return 0;
    if (pull_open(merge->reader->bus, &options, &source->pull, err) < 0)
        return -1;
    merge->total += pull_left(source->pull);
    merge->count++;
    return 0;
}

int events_merge_open(struct events_reader *reader, struct events_merge **ret, struct error *err)
{
    struct events_merge *merge = xcalloc(1, sizeof *merge);
    unsigned batch = BATCH_MAX;
    if (reader->streams.count > PREFETCH / BATCH_MAX)
        batch = (unsigned)(PREFETCH / reader->streams.count);
    merge->reader = reader;
    merge->sources = xcalloc(reader->streams.count + 1, sizeof *merge->sources);
    for (size_t i = 0; i < reader->streams.count; i++) {
        if (open_source(merge, &reader->streams.items[i], batch < BATCH_MIN ? BATCH_MIN : batch,
                        err) < 0) {
            events_merge_close(merge);
            return -1;
        }
    }
    *ret = merge;
    return 0;
}

uint64_t events_merge_total(const struct events_merge *merge)
{
    return merge->total;
}

void events_merge_close(struct events_merge *merge)
{
    for (size_t i = 0; i < merge->count; i++) {
        bus_message_release(&merge->sources[i].message);
        pull_close(merge->sources[i].pull);
    }
    free(merge->sources);
    free(merge);
}

/* The next message of a source; a server that is away for a while is waited for. */
static int advance(struct events_merge *merge, struct source *source, struct error *err)
{
    int64_t until = instant_monotonic_ns() + PATIENCE_MS * NS_PER_MS;
    while (!source->ended && !is_stopped(merge->reader)) {
        struct error problem = ERROR_NONE;
        int got = pull_next(source->pull, &source->message, NEXT_MS, &problem);
        if (got > 0) {
            const struct events_filter *filter = &merge->reader->filter;
            merge->reader->read++;
            if (!filter->until_ns || source->message.stored_at_ns <= filter->until_ns)
                return 0;
            bus_message_release(&source->message); /* and all behind it were stored later */
            source->ended = true;
        } else if (got == 0) {
            source->ended = pull_ended(source->pull);
        } else if (problem.code == EXIT_CODE_REFUSED || instant_monotonic_ns() > until ||
                   bus_is_closed(merge->reader->bus)) {
            return error_set(err, problem.code, "%s", problem.text);
        } else {
            struct timespec pause = {.tv_nsec = RETRY_MS * NS_PER_MS};
            (void)nanosleep(&pause, NULL); /* a signal ends it */
        }
    }
    return 0;
}

int events_merge_next(struct events_merge *merge, struct events_row *ret_row, struct error *err)
{
    struct source *next = NULL;
    if (merge->last)
        bus_message_release(&merge->last->message);
    merge->last = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        struct source *source = &merge->sources[i];
        if (!source->message.handle && advance(merge, source, err) < 0)
            return -1;
        if (source->message.handle &&
            (!next || source->message.stored_at_ns < next->message.stored_at_ns))
            next = source;
    }
    if (!next || is_stopped(merge->reader))
        return 0;
    merge->last = next;
    events_row_make(merge->reader, next->stream, &next->message, &next->storage, ret_row);
    return 1;
}
