#include "monitor/journal.h"

#include <pthread.h>

#include "base/instant.h"
#include "base/memory.h"
#include "event/own.h"

enum { BOUNDED_TYPES_MAX = 16, ACK_TIMEOUT_MS = 2000 };

struct bucket {
    const char *type;
    double tokens;
    int64_t filled_ns;
    uint64_t suppressed;
};

struct journal {
    struct bus *bus;
    char *instance;
    pthread_mutex_t lock;
    struct own_event *waiting; /* ring */
    size_t head, count;
    uint64_t sequence, dropped;
    struct bucket buckets[BOUNDED_TYPES_MAX];
    size_t bucket_count;
};

struct journal *journal_new(struct bus *bus, const char *instance)
{
    struct journal *journal = xcalloc(1, sizeof *journal);
    journal->bus = bus;
    journal->instance = xstrdup(instance);
    journal->waiting = xcalloc(JOURNAL_WAITING_MAX, sizeof *journal->waiting);
    pthread_mutex_init(&journal->lock, NULL);
    return journal;
}

static void drop_oldest(struct journal *journal)
{
    own_event_done(&journal->waiting[journal->head]);
    journal->head = (journal->head + 1) % JOURNAL_WAITING_MAX;
    journal->count--;
}

void journal_free(struct journal *journal)
{
    if (!journal)
        return;
    while (journal->count)
        drop_oldest(journal);
    pthread_mutex_destroy(&journal->lock);
    free(journal->waiting);
    free(journal->instance);
    free(journal);
}

void journal_add(struct journal *journal, const char *aggregate, const char *id, const char *type,
                 json_t *data)
{
    struct own_event event;
    if (!data)
        data = json_object();
    (void)json_object_set_new(data, "monitor", json_string(journal->instance));
    pthread_mutex_lock(&journal->lock);
    own_event_build(&event, "monitor", aggregate, id, type, ++journal->sequence, NULL, NULL, data);
    if (journal->count == JOURNAL_WAITING_MAX) {
        drop_oldest(journal);
        journal->dropped++;
    }
    journal->waiting[(journal->head + journal->count++) % JOURNAL_WAITING_MAX] = event;
    pthread_mutex_unlock(&journal->lock);
}

static struct bucket *find_bucket(struct journal *journal, const char *type)
{
    for (size_t i = 0; i < journal->bucket_count; i++) {
        if (!strcmp(journal->buckets[i].type, type))
            return &journal->buckets[i];
    }
    if (journal->bucket_count == BOUNDED_TYPES_MAX)
        return &journal->buckets[0];
    struct bucket *bucket = &journal->buckets[journal->bucket_count++];
    *bucket = (struct bucket){type, JOURNAL_BURST, instant_monotonic_ns(), 0};
    return bucket;
}

bool journal_may_add(struct journal *journal, const char *type, uint64_t *ret_suppressed)
{
    pthread_mutex_lock(&journal->lock);
    struct bucket *bucket = find_bucket(journal, type);
    int64_t now = instant_monotonic_ns();
    bucket->tokens += (double)(now - bucket->filled_ns) / 1e9 * JOURNAL_PER_SECOND;
    bucket->filled_ns = now;
    if (bucket->tokens > JOURNAL_BURST)
        bucket->tokens = JOURNAL_BURST;
    bool may = bucket->tokens >= 1;
    if (may) {
        bucket->tokens -= 1;
        *ret_suppressed = bucket->suppressed;
        bucket->suppressed = 0;
    } else {
        bucket->suppressed++;
    }
    pthread_mutex_unlock(&journal->lock);
    return may;
}

/* True when the stream that captures ops.> has it. */
static bool publish(struct journal *journal, const struct own_event *event, int timeout_ms)
{
    CLEANUP_BUF struct buf reply = {0};
    CLEANUP_FREE char *subject = xstrndup(event->subject.ptr, event->subject.len);
    struct bus_header header = {SLICE("Nats-Msg-Id"), slice_of(event->event_id)};
    if (bus_request_with(journal->bus, subject, &header, 1, buf_slice(&event->payload), timeout_ms,
                         &reply, NULL) < 0)
        return false;
    return memmem(reply.ptr, reply.len, "\"seq\"", 5) != NULL;
}

size_t journal_flush(struct journal *journal, int timeout_ms)
{
    int64_t until = instant_monotonic_ns() + timeout_ms * NS_PER_MS;
    size_t left;
    for (;;) {
        struct own_event event;
        pthread_mutex_lock(&journal->lock);
        left = journal->count;
        if (left)
            event = journal->waiting[journal->head];
        pthread_mutex_unlock(&journal->lock);
        int64_t now = instant_monotonic_ns();
        if (!left || now >= until || !bus_is_up(journal->bus))
            return left;
        int64_t room_ms = (until - now) / NS_PER_MS + 1;
        int wait_ms = room_ms < ACK_TIMEOUT_MS ? (int)room_ms : ACK_TIMEOUT_MS;
        if (!publish(journal, &event, wait_ms))
            return left;
        /* The owner alone takes from the front, but a full list may have dropped it meanwhile. */
        pthread_mutex_lock(&journal->lock);
        if (journal->count && journal->waiting[journal->head].payload.ptr == event.payload.ptr)
            drop_oldest(journal);
        pthread_mutex_unlock(&journal->lock);
    }
}

uint64_t journal_dropped(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    uint64_t dropped = journal->dropped;
    pthread_mutex_unlock(&journal->lock);
    return dropped;
}

size_t journal_waiting(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    size_t waiting = journal->count;
    pthread_mutex_unlock(&journal->lock);
    return waiting;
}
