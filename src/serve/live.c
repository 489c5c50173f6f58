#include "serve/live.h"

#include <pthread.h>
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "serve/search.h"
#include "json/write.h"

enum {
    HEARTBEAT_S = 10,
    RETRY_S = 2,
};

struct watcher {
    struct live *live;
    struct search_wanted wanted;
    struct events_filter filter;
    struct buf queue; /* whole server-sent events */
    uint64_t dropped; /* since it was last said */
    bool state_due;
};

struct live {
    const struct bus_options *nats;
    const char *rules_folder;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a queue, the watchers, `stopping` */
    struct watcher *watchers[LIVE_WATCHERS_MAX];
    size_t watcher_count;
    bool stopping, has_thread, thread_done, connected;
    char problem[256];
    int64_t alone_since_ns; /* monotonic: since when nobody watches */
    pthread_t thread;
    struct bus *bus; /* of the reader, while it follows */
    struct buf line; /* one event in words */
};

/* --- the reader ------------------------------------------------------------------------------- */

static void add_state(const struct live *live, struct buf *out)
{
    buf_addf(out, "event: state\ndata: {\"connected\":%s", live->connected ? "true" : "false");
    if (!live->connected && live->problem[0]) {
        buf_add_str(out, ",\"problem\":");
        json_add_string(out, slice_of(live->problem));
    }
    buf_add_str(out, "}\n\n");
}

/* Lock held. */
static void set_state(struct live *live, bool connected, const char *problem)
{
    if (live->connected == connected && !strcmp(live->problem, problem))
        return;
    live->connected = connected;
    (void)snprintf(live->problem, sizeof live->problem, "%s", problem);
    for (size_t i = 0; i < live->watcher_count; i++)
        live->watchers[i]->state_due = true;
    pthread_cond_broadcast(&live->changed);
}

static void offer(struct watcher *watcher, struct slice line)
{
    if (watcher->queue.len + line.len + 16 > LIVE_QUEUE_BYTES_MAX) {
        watcher->dropped++;
        return;
    }
    buf_add_str(&watcher->queue, "data: ");
    buf_add_slice(&watcher->queue, line);
    buf_add_str(&watcher->queue, "\n\n");
}

static bool on_row(void *context, const struct events_row *row)
{
    struct live *live = context;
    bool any = false;
    buf_reset(&live->line);
    pthread_mutex_lock(&live->lock);
    for (size_t i = 0; i < live->watcher_count; i++) {
        struct watcher *watcher = live->watchers[i];
        const char *subject = watcher->wanted.events.subject;
        if (!search_wants_stream(&watcher->wanted, row->stream) ||
            (subject && !subject_matches(slice_of(subject), row->input->subject)) ||
            !events_filter_lets(&watcher->filter, row))
            continue;
        if (!live->line.len)
            events_add_row(&live->line, row);
        offer(watcher, buf_slice(&live->line));
        any = true;
    }
    if (any)
        pthread_cond_broadcast(&live->changed);
    bool stopping = live->stopping;
    pthread_mutex_unlock(&live->lock);
    return !stopping;
}

/* Lock held. */
static bool is_lonely(const struct live *live)
{
    return !live->watcher_count &&
           instant_monotonic_ns() - live->alone_since_ns > LIVE_LINGER_S * NS_PER_SECOND;
}

/* Nobody watches any more, or the server stops. Called several times a second. */
static bool is_over(void *context)
{
    struct live *live = context;
    pthread_mutex_lock(&live->lock);
    bool over = live->stopping || is_lonely(live);
    if (live->bus && !over)
        set_state(live, bus_is_up(live->bus), bus_is_up(live->bus) ? "" : "NATS is away");
    pthread_mutex_unlock(&live->lock);
    return over;
}

static void follow_once(struct live *live)
{
    static const struct events_wanted all = {0};
    struct events_reader reader = {.wanted = &all, .stopped = is_over, .context = live};
    struct events_follow follow = {.each = on_row, .context = live};
    struct error err = ERROR_NONE;
    int rc = events_reader_open(&reader, live->nats, live->rules_folder, &err);
    if (rc == 0) {
        pthread_mutex_lock(&live->lock);
        live->bus = reader.bus;
        pthread_mutex_unlock(&live->lock);
        rc = events_follow(&reader, &follow, &err);
    }
    pthread_mutex_lock(&live->lock);
    live->bus = NULL;
    set_state(live, false, rc < 0 ? err.text : "");
    pthread_mutex_unlock(&live->lock);
    events_reader_close(&reader);
}

/* Whether the thread ends is judged and told under one lock: nobody joins a thread that has just
 * found itself lonely, and is then followed by none. */
static bool ends(struct live *live)
{
    pthread_mutex_lock(&live->lock);
    live->thread_done = live->stopping || is_lonely(live);
    bool done = live->thread_done;
    pthread_mutex_unlock(&live->lock);
    return done;
}

static void *follow_thread(void *context)
{
    struct live *live = context;
    while (!ends(live)) {
        follow_once(live);
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += RETRY_S;
        pthread_mutex_lock(&live->lock);
        while (!live->stopping && live->problem[0] &&
               pthread_cond_timedwait(&live->changed, &live->lock, &until) == 0)
            ;
        pthread_mutex_unlock(&live->lock);
    }
    return NULL;
}

/* Lock held. A thread that is done has nothing left to do but to end. */
static bool ensure_thread(struct live *live)
{
    if (live->has_thread && live->thread_done) {
        pthread_join(live->thread, NULL);
        live->has_thread = false;
    }
    if (!live->has_thread) {
        live->thread_done = false;
        live->has_thread = pthread_create(&live->thread, NULL, follow_thread, live) == 0;
    }
    return live->has_thread;
}

void live_new(struct live **ret, const struct bus_options *nats, const char *rules_folder)
{
    struct live *live = xcalloc(1, sizeof *live);
    live->nats = nats;
    live->rules_folder = rules_folder;
    pthread_mutex_init(&live->lock, NULL);
    pthread_cond_init(&live->changed, NULL);
    *ret = live;
}

void live_stop(struct live *live)
{
    pthread_mutex_lock(&live->lock);
    live->stopping = true;
    pthread_cond_broadcast(&live->changed);
    pthread_mutex_unlock(&live->lock);
}

void live_free(struct live *live)
{
    if (!live)
        return;
    if (live->has_thread)
        pthread_join(live->thread, NULL);
    pthread_cond_destroy(&live->changed);
    pthread_mutex_destroy(&live->lock);
    buf_done(&live->line);
    free(live);
}

/* --- a watcher -------------------------------------------------------------------------------- */

/* The next part of a watcher's body: waits for events, and says something now and then, so that
 * both sides see when the other is gone. */
static bool more_events(void *source, struct buf *ret_part)
{
    struct watcher *watcher = source;
    struct live *live = watcher->live;
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HEARTBEAT_S;
    pthread_mutex_lock(&live->lock);
    (void)ensure_thread(live);
    while (!live->stopping && !watcher->queue.len && !watcher->dropped && !watcher->state_due &&
           pthread_cond_timedwait(&live->changed, &live->lock, &until) == 0)
        ;
    if (watcher->state_due)
        add_state(live, ret_part);
    watcher->state_due = false;
    buf_add_slice(ret_part, buf_slice(&watcher->queue));
    buf_reset(&watcher->queue);
    if (watcher->dropped)
        buf_addf(ret_part, "event: dropped\ndata: %llu\n\n", (unsigned long long)watcher->dropped);
    watcher->dropped = 0;
    bool stopping = live->stopping;
    pthread_mutex_unlock(&live->lock);
    if (!ret_part->len)
        buf_add_str(ret_part, ":\n\n");
    return !stopping;
}

static void watcher_free(struct watcher *watcher)
{
    events_filter_done(&watcher->filter);
    search_wanted_done(&watcher->wanted);
    buf_done(&watcher->queue);
    free(watcher);
}

static void leave(void *source)
{
    struct watcher *watcher = source;
    struct live *live = watcher->live;
    pthread_mutex_lock(&live->lock);
    for (size_t i = 0; i < live->watcher_count; i++) {
        if (live->watchers[i] == watcher) {
            live->watchers[i] = live->watchers[--live->watcher_count];
            break;
        }
    }
    live->alone_since_ns = instant_monotonic_ns();
    pthread_mutex_unlock(&live->lock);
    watcher_free(watcher);
}

static bool join(struct live *live, struct watcher *watcher)
{
    pthread_mutex_lock(&live->lock);
    bool room = live->watcher_count < LIVE_WATCHERS_MAX && !live->stopping;
    live->alone_since_ns = instant_monotonic_ns();
    if (room && ensure_thread(live))
        live->watchers[live->watcher_count++] = watcher;
    else
        room = false;
    pthread_mutex_unlock(&live->lock);
    return room;
}

void live_handle(struct live *live, const struct http_request *request,
                 struct http_response *response)
{
    struct watcher *watcher = xcalloc(1, sizeof *watcher);
    struct error err = ERROR_NONE;
    watcher->live = live;
    watcher->state_due = true;
    search_wanted_read(request, &watcher->wanted);
    watcher->wanted.events.since = watcher->wanted.events.until = NULL; /* it is live */
    if (events_filter_make(&watcher->wanted.events, &watcher->filter, &err) < 0) {
        http_refuse(response, 400, "%s", err.text);
        watcher_free(watcher);
    } else if (!join(live, watcher)) {
        http_refuse(response, 503, "%d pages watch already", LIVE_WATCHERS_MAX);
        watcher_free(watcher);
    } else {
        response->content_type = "text/event-stream";
        response->more = more_events;
        response->done = leave;
        response->source = watcher;
        response->live = true;
    }
}
