#include "monitor/queue.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/memory.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    struct queue_item *items;
    size_t room, head, count; /* head: the oldest */
    size_t bytes, bytes_max;
    bool closed, pusher_waits;
    size_t wake_at; /* messages that are worth waking the popper for; 0: it does not wait */
    bool gathering; /* the last pop found something: more is likely to come at once */
};

enum { GATHER = 128, GATHER_MS = 1 };

struct queue *queue_new(size_t messages_max, size_t bytes_max)
{
    struct queue *queue = xcalloc(1, sizeof *queue);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_empty, &monotonic);
    pthread_cond_init(&queue->not_full, NULL);
    pthread_condattr_destroy(&monotonic);
    queue->room = messages_max;
    queue->bytes_max = bytes_max;
    queue->items = xcalloc(messages_max, sizeof *queue->items);
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    for (; queue->count; queue->count--) {
        bus_message_release(&queue->items[queue->head].message);
        queue->head = (queue->head + 1) % queue->room;
    }
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    free(queue->items);
    free(queue);
}

static size_t weight(const struct queue_item *item)
{
    return item->message.subject.len + item->message.payload.len;
}

/* One message always fits, however large. */
static bool is_full(const struct queue *queue, size_t extra)
{
    return queue->count == queue->room || (queue->count && queue->bytes + extra > queue->bytes_max);
}

bool queue_push(struct queue *queue, const struct queue_item *item)
{
    size_t extra = weight(item);
    pthread_mutex_lock(&queue->lock);
    while (is_full(queue, extra) && !queue->closed) {
        queue->pusher_waits = true;
        if (queue->wake_at)
            pthread_cond_signal(&queue->not_empty);
        pthread_cond_wait(&queue->not_full, &queue->lock);
    }
    bool open = !queue->closed;
    if (open) {
        queue->items[(queue->head + queue->count) % queue->room] = *item;
        queue->count++;
        queue->bytes += extra;
        if (queue->wake_at && queue->count >= queue->wake_at)
            pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return open;
}

static void wait_for(struct queue *queue, size_t wanted, int timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    queue->wake_at = wanted;
    while (queue->count < wanted && !queue->pusher_waits && !queue->closed) {
        if (pthread_cond_timedwait(&queue->not_empty, &queue->lock, &until) == ETIMEDOUT)
            break;
    }
    queue->wake_at = 0;
}

size_t queue_pop(struct queue *queue, struct queue_item *out, size_t room, int timeout_ms)
{
    pthread_mutex_lock(&queue->lock);
    if (queue->gathering && queue->count < GATHER && timeout_ms > GATHER_MS)
        wait_for(queue, GATHER, GATHER_MS);
    if (!queue->count && timeout_ms > 0)
        wait_for(queue, 1, timeout_ms);
    size_t taken = 0;
    for (; taken < room && queue->count; taken++) {
        out[taken] = queue->items[queue->head];
        queue->head = (queue->head + 1) % queue->room;
        queue->count--;
        queue->bytes -= weight(&out[taken]);
    }
    queue->gathering = taken > 0;
    if (taken && queue->pusher_waits) {
        queue->pusher_waits = false;
        pthread_cond_broadcast(&queue->not_full);
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
}

size_t queue_depth(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t depth = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return depth;
}

size_t queue_capacity(const struct queue *queue)
{
    return queue->room;
}

void queue_each(struct queue *queue, void (*each)(void *context, const struct queue_item *item),
                void *context)
{
    pthread_mutex_lock(&queue->lock);
    for (size_t i = 0; i < queue->count; i++)
        each(context, &queue->items[(queue->head + i) % queue->room]);
    pthread_mutex_unlock(&queue->lock);
}
