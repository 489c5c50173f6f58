#include "serve/pool.h"

#include <pthread.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"

struct member {
    struct events_reader reader; /* first: what is handed out */
    struct pool *pool;
    int64_t until_ns; /* monotonic */
    bool taken, open;
};

struct pool {
    const struct bus_options *nats;
    const char *rules_folder;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct member members[POOL_READERS_MAX];
    bool stopping;
};

static bool is_over(void *context)
{
    struct member *member = context;
    pthread_mutex_lock(&member->pool->lock);
    bool stopping = member->pool->stopping;
    pthread_mutex_unlock(&member->pool->lock);
    return stopping || instant_monotonic_ns() > member->until_ns;
}

void pool_new(struct pool **ret, const struct bus_options *nats, const char *rules_folder)
{
    struct pool *pool = xcalloc(1, sizeof *pool);
    pool->nats = nats;
    pool->rules_folder = rules_folder;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->returned, NULL);
    *ret = pool;
}

void pool_stop(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < POOL_READERS_MAX; i++) {
        if (pool->members[i].open)
            events_reader_close(&pool->members[i].reader);
    }
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* Lock held. One that is open already, before one that would have to be opened. */
static struct member *find_free(struct pool *pool)
{
    struct member *found = NULL;
    for (size_t i = 0; i < POOL_READERS_MAX; i++) {
        struct member *member = &pool->members[i];
        if (!member->taken && (!found || member->open))
            found = member;
    }
    return found;
}

static struct member *wait_for_member(struct pool *pool)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += POOL_PATIENCE_S;
    pthread_mutex_lock(&pool->lock);
    struct member *member = NULL;
    while (!pool->stopping && !(member = find_free(pool)) &&
           pthread_cond_timedwait(&pool->returned, &pool->lock, &until) == 0)
        ;
    if (pool->stopping)
        member = NULL;
    if (member)
        member->taken = true;
    pthread_mutex_unlock(&pool->lock);
    return member;
}

static void release(struct pool *pool, struct member *member)
{
    pthread_mutex_lock(&pool->lock);
    member->taken = false;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}

struct events_reader *pool_take(struct pool *pool, int patience_s, struct error *err)
{
    static const struct events_wanted all = {0};
    struct member *member = wait_for_member(pool);
    if (!member) {
        (void)error_set(err, EXIT_CODE_REFUSED,
                        "%d searches run already; try again when they have ended",
                        POOL_READERS_MAX);
        return NULL;
    }
    struct events_reader *reader = &member->reader;
    if (member->open && bus_is_closed(reader->bus)) {
        events_reader_close(reader);
        member->open = false;
    }
    if (!member->open) {
        *reader = (struct events_reader){0};
        if (events_reader_open(reader, pool->nats, pool->rules_folder, err) < 0) {
            events_reader_close(reader);
            release(pool, member);
            return NULL;
        }
        member->open = true;
    }
    member->pool = pool;
    member->until_ns = instant_monotonic_ns() + patience_s * NS_PER_SECOND;
    reader->wanted = &all;
    reader->stopped = is_over;
    reader->context = member;
    reader->read = reader->malformed = 0;
    return reader;
}

void pool_give_back(struct pool *pool, struct events_reader *reader)
{
    events_filter_done(&reader->filter);
    reader->filter = (struct events_filter){0};
    stream_list_done(&reader->streams);
    reader->streams = (struct stream_list){0};
    release(pool, (struct member *)(void *)reader);
}
