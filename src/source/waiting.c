/* Events on their way: two bounded rings between the threads of the sources and the line. */
#include <pthread.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/observe_internal.h"

struct ring {
    struct own_event *items;
    size_t head, count;
};

struct waiting {
    char *node;
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct ring rings[WAITING_CLASSES];
    uint64_t sequence, dropped;
};

struct waiting *waiting_new(const char *node)
{
    struct waiting *waiting = xcalloc(1, sizeof *waiting);
    pthread_condattr_t attributes;
    waiting->node = xstrdup(node);
    (void)pthread_mutex_init(&waiting->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&waiting->some, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    for (size_t i = 0; i < WAITING_CLASSES; i++)
        waiting->rings[i].items = xcalloc(OBSERVE_WAITING_MAX, sizeof(struct own_event));
    return waiting;
}

static struct own_event take_front(struct ring *ring)
{
    struct own_event event = ring->items[ring->head];
    ring->head = (ring->head + 1) % OBSERVE_WAITING_MAX;
    ring->count--;
    return event;
}

void waiting_free(struct waiting *waiting)
{
    if (!waiting)
        return;
    for (size_t i = 0; i < WAITING_CLASSES; i++) {
        while (waiting->rings[i].count) {
            struct own_event event = take_front(&waiting->rings[i]);
            own_event_done(&event);
        }
        free(waiting->rings[i].items);
    }
    (void)pthread_cond_destroy(&waiting->some);
    (void)pthread_mutex_destroy(&waiting->lock);
    free(waiting->node);
    free(waiting);
}

static void add_locked(struct waiting *waiting, enum waiting_class class,
                       const struct own_event *event)
{
    struct ring *ring = &waiting->rings[class];
    if (ring->count == OBSERVE_WAITING_MAX) {
        struct own_event oldest = take_front(ring);
        own_event_done(&oldest);
        waiting->dropped++;
    }
    ring->items[(ring->head + ring->count++) % OBSERVE_WAITING_MAX] = *event;
    (void)pthread_cond_signal(&waiting->some);
}

void waiting_add(struct waiting *waiting, enum waiting_class class, const char *domain,
                 const char *aggregate, const char *id, const char *type, json_t *data)
{
    struct own_event event;
    (void)json_object_set_new(data, "node", json_string(waiting->node));
    (void)pthread_mutex_lock(&waiting->lock);
    own_event_build(&event, domain, aggregate, id, type, ++waiting->sequence, NULL, NULL, data);
    add_locked(waiting, class, &event);
    (void)pthread_mutex_unlock(&waiting->lock);
}

static void wait_for_some(struct waiting *waiting, int wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at = until.tv_nsec + wait_ms * NS_PER_MS;
    until.tv_sec += at / NS_PER_SECOND;
    until.tv_nsec = at % NS_PER_SECOND;
    (void)pthread_cond_timedwait(&waiting->some, &waiting->lock, &until);
}

static size_t count_locked(const struct waiting *waiting)
{
    return waiting->rings[WAITING_TRANSITIONS].count + waiting->rings[WAITING_SAMPLES].count;
}

size_t waiting_take(struct waiting *waiting, struct own_event *out, size_t room, int wait_ms)
{
    size_t taken = 0;
    (void)pthread_mutex_lock(&waiting->lock);
    if (!count_locked(waiting) && wait_ms > 0)
        wait_for_some(waiting, wait_ms);
    for (size_t i = 0; i < WAITING_CLASSES; i++) {
        while (taken < room && waiting->rings[i].count)
            out[taken++] = take_front(&waiting->rings[i]);
    }
    (void)pthread_mutex_unlock(&waiting->lock);
    return taken;
}

size_t waiting_count(struct waiting *waiting)
{
    (void)pthread_mutex_lock(&waiting->lock);
    size_t count = count_locked(waiting);
    (void)pthread_mutex_unlock(&waiting->lock);
    return count;
}

uint64_t waiting_dropped(struct waiting *waiting)
{
    (void)pthread_mutex_lock(&waiting->lock);
    uint64_t dropped = waiting->dropped;
    (void)pthread_mutex_unlock(&waiting->lock);
    return dropped;
}
