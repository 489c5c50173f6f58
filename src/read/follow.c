/* Events as they come, from all streams side by side; streams that appear later join in. */
#include <pthread.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/ordered.h"
#include "read/events.h"

enum {
    TEND_MS = 200,
    CORE_SUBJECTS_MAX = 16,
};

static const int64_t look_again_ns = 5 * NS_PER_SECOND;

struct tail;

struct tailed {
    struct tail *tail;
    char *stream;
    char *created; /* of which incarnation */
    struct ordered *reader;
    struct events_message storage;
};

struct tail {
    struct events_reader *reader;
    const struct events_follow *follow;
    struct ordered_hub *hub;
    pthread_mutex_t lock; /* the engine and `each`: handlers and the main thread */
    struct tailed *streams[EVENTS_SOURCES_MAX];
    size_t count;
    struct bus_subscription *core[CORE_SUBJECTS_MAX];
    size_t core_count;
    bool done; /* `each` has said so */
};

static void show(struct tail *tail, const char *stream, const struct bus_message *message,
                 struct events_message *storage)
{
    struct events_reader *reader = tail->reader;
    struct events_row row;
    pthread_mutex_lock(&tail->lock);
    if (!tail->done) {
        events_row_make(reader, stream, message, storage, &row);
        tail->done = !tail->follow->each(tail->follow->context, &row);
    }
    pthread_mutex_unlock(&tail->lock);
}

static void on_stored(void *context, const struct bus_message *message)
{
    struct tailed *tailed = context;
    show(tailed->tail, tailed->stream, message, &tailed->storage);
}

static void on_core(void *context, struct bus_message *message, const char *reply)
{
    struct events_message storage;
    (void)reply;
    show(context, NULL, message, &storage);
    bus_message_release(message);
}

/* --- which streams ---------------------------------------------------------------------------- */

static struct tailed *find(const struct tail *tail, const char *stream)
{
    for (size_t i = 0; i < tail->count; i++) {
        if (!strcmp(tail->streams[i]->stream, stream))
            return tail->streams[i];
    }
    return NULL;
}

static uint64_t first_wanted(uint64_t last, const struct stream_info *info, bool at_start)
{
    if (!at_start)
        return 1; /* it is new: all of it came while we watched */
    return info->last_seq > last ? info->last_seq + 1 - last : 1;
}

static void tailed_free(struct tailed *tailed)
{
    free(tailed->stream);
    free(tailed->created);
    free(tailed);
}

static int join(struct tail *tail, const struct stream_info *info, bool at_start, struct error *err)
{
    struct tailed *tailed = xcalloc(1, sizeof *tailed);
    tailed->tail = tail;
    tailed->stream = xstrdup(info->name);
    tailed->created = xstrdup(info->created ? info->created : "");
    if (ordered_open(tail->hub, info->name, NULL, first_wanted(tail->follow->last, info, at_start),
                     on_stored, tailed, &tailed->reader, err) < 0) {
        tailed_free(tailed); /* tried again when streams are looked for */
        return -1;
    }
    tail->streams[tail->count++] = tailed;
    return ordered_begin(tailed->reader, err);
}

/* A stream that cannot be joined keeps no other from being shown; that none can be is an error. */
static int join_new(struct tail *tail, bool at_start, struct error *err)
{
    struct stream_list list = {0};
    int rc = events_list_streams(tail->reader, &list, err), failed = 0;
    for (size_t i = 0; rc == 0 && i < list.count && tail->count < EVENTS_SOURCES_MAX; i++) {
        if (!find(tail, list.items[i].name) && join(tail, &list.items[i], at_start, err) < 0)
            failed = -1;
    }
    stream_list_done(&list);
    return rc == 0 && !tail->count ? failed : rc;
}

/* Behind its last message; a stream that was made anew meanwhile begins at its own first. */
static void restart(struct tail *tail, struct tailed *tailed)
{
    struct error ignored = ERROR_NONE; /* tried again soon */
    struct stream_info info = {0};
    uint64_t next = ordered_next_seq(tailed->reader);
    if (stream_info(tail->reader->bus, tailed->stream, &info, &ignored) < 0)
        return;
    if (info.created && strcmp(info.created, tailed->created) != 0) {
        free(tailed->created);
        tailed->created = xstrdup(info.created);
        next = 1;
    }
    (void)ordered_restart(tailed->reader, next, &ignored);
    stream_info_done(&info);
}

static void tend(struct tail *tail)
{
    for (size_t i = 0; i < tail->count; i++) {
        if (ordered_trouble(tail->streams[i]->reader) && bus_is_up(tail->reader->bus))
            restart(tail, tail->streams[i]);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static int subscribe_core(struct tail *tail, struct error *err)
{
    struct slice rest = slice_of(tail->follow->core), item;
    while (slice_cut(&rest, ',', &item)) {
        item = slice_trim(item);
        if (tail->core_count == CORE_SUBJECTS_MAX || !item.len)
            return error_set(err, EXIT_CODE_USAGE,
                             "--core: 1 to %d subjects with commas between were expected",
                             CORE_SUBJECTS_MAX);
        CLEANUP_FREE char *subject = xstrndup(item.ptr, item.len);
        if (bus_subscribe(tail->reader->bus, subject, on_core, tail, &tail->core[tail->core_count],
                          err) < 0)
            return -1;
        tail->core_count++;
    }
    return 0;
}

static bool is_done(struct tail *tail)
{
    pthread_mutex_lock(&tail->lock);
    bool done = tail->done;
    pthread_mutex_unlock(&tail->lock);
    return done || (tail->reader->stopped && tail->reader->stopped(tail->reader->context));
}

int events_follow(struct events_reader *reader, const struct events_follow *follow,
                  struct error *err)
{
    struct tail *tail = xcalloc(1, sizeof *tail);
    tail->reader = reader;
    tail->follow = follow;
    pthread_mutex_init(&tail->lock, NULL);
    int rc = subscribe_core(tail, err);
    if (rc == 0)
        rc = ordered_hub_open(reader->bus, &tail->hub, err);
    if (rc == 0)
        rc = ordered_hub_connect(tail->hub, BUS_TIMEOUT_MS, err);
    if (rc == 0)
        rc = join_new(tail, true, err);
    for (int64_t looked = instant_monotonic_ns(); rc == 0 && !is_done(tail);) {
        if (ordered_hub_wait(tail->hub, TEND_MS)) /* a signal ends it */
            ordered_hub_deliver(tail->hub);
        tend(tail);
        if (instant_monotonic_ns() - looked > look_again_ns && bus_is_up(reader->bus)) {
            struct error ignored = ERROR_NONE; /* looked again in five seconds */
            (void)join_new(tail, false, &ignored);
            looked = instant_monotonic_ns();
        }
        if (bus_is_closed(reader->bus))
            rc = error_set(err, EXIT_CODE_UNREACHABLE, "NATS refuses the credentials");
    }
    for (size_t i = 0; i < tail->core_count; i++)
        bus_unsubscribe(tail->core[i]);
    for (size_t i = 0; i < tail->count; i++)
        ordered_close(tail->streams[i]->reader);
    ordered_hub_close(tail->hub);
    bus_close(reader->bus); /* from here on no handler runs */
    reader->bus = NULL;
    for (size_t i = 0; i < tail->count; i++)
        tailed_free(tail->streams[i]);
    pthread_mutex_destroy(&tail->lock);
    free(tail);
    return rc;
}
