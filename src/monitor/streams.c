/* Finding streams, attaching readers to them, and tending those readers. */
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

static const int64_t retry_ns = 1 * NS_PER_SECOND;

static void say(struct monitor *monitor, const struct tracked *tracked, const char *type,
                json_t *data)
{
    journal_add(monitor->journal, "stream", tracked->name, type, data);
}

static void lock_fold(struct monitor *monitor)
{
    registry_lock(monitor->registry);
}

static void unlock_fold(struct monitor *monitor)
{
    registry_unlock(monitor->registry);
}

/* --- the handler of a reader (client thread) -------------------------------------------------- */

static void on_message(void *context, struct bus_message *message)
{
    struct feed *feed = context;
    struct queue_item item = {*message, feed->tracked, feed->epoch};
    if (!queue_push(feed->monitor->queue, &item))
        bus_message_release(message);
}

/* --- tracking --------------------------------------------------------------------------------- */

static struct tracked *find(struct monitor *monitor, const char *name)
{
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        if (!strcmp(monitor->tracked[i]->name, name))
            return monitor->tracked[i];
    }
    return NULL;
}

static void set_subjects(struct tracked *tracked, const struct stream_info *info)
{
    for (size_t i = 0; i < tracked->subject_count; i++)
        free(tracked->subjects[i]);
    free(tracked->subjects);
    tracked->subject_count = info->subject_count;
    tracked->subjects = xcalloc(info->subject_count + 1, sizeof *tracked->subjects);
    for (size_t i = 0; i < info->subject_count; i++)
        tracked->subjects[i] = xstrdup(info->subjects[i]);
    tracked->has_sources = info->has_sources;
}

static struct tracked *track(struct monitor *monitor, const struct stream_info *info)
{
    if (monitor->tracked_count == TRACKED_MAX) {
        monitor->tracked_overflow++;
        return NULL;
    }
    struct tracked *tracked = xcalloc(1, sizeof *tracked);
    tracked->name = xstrdup(info->name);
    lock_fold(monitor);
    tracked->state = engine_stream(monitor->engine, info->name);
    snapshots_load(monitor, tracked->state);
    tracked->saved_seq = state_seq(tracked->state);
    unlock_fold(monitor);
    pthread_mutex_lock(&monitor->streams_lock);
    monitor->tracked[monitor->tracked_count++] = tracked;
    pthread_mutex_unlock(&monitor->streams_lock);
    return tracked;
}

static struct feed *new_feed(struct monitor *monitor, struct tracked *tracked)
{
    struct feed *feed = xcalloc(1, sizeof *feed);
    *feed = (struct feed){monitor, tracked, tracked->epoch, tracked->feeds};
    tracked->feeds = feed;
    return feed;
}

/*
 * Compares what was folded with what the server has now. Returns true when the reading place
 * changed, so that messages still on their way belong to the past.
 */
static bool reconcile(struct monitor *monitor, struct tracked *tracked,
                      const struct stream_info *info)
{
    bool moved = false;
    lock_fold(monitor);
    const char *had = state_incarnation(tracked->state);
    uint64_t seq = state_seq(tracked->state);
    if (strcmp(had, info->created) != 0) {
        bool again = had[0] != 0;
        CLEANUP_FREE char *before = xstrdup(had);
        state_begin_incarnation(monitor->engine, tracked->state, info->created);
        if (again)
            say(monitor, tracked, "StreamRecreated",
                json_pack("{s:s, s:s, s:I}", "created_before", before, "created", info->created,
                          "last_sequence_before", (json_int_t)seq));
        moved = true;
    } else if (info->last_seq < seq) {
        state_roll_back(tracked->state, info->last_seq);
        say(monitor, tracked, "StreamRolledBack",
            json_pack("{s:I, s:I}", "folded_to", (json_int_t)seq, "last_sequence",
                      (json_int_t)info->last_seq));
        moved = true;
    }
    if (info->first_seq > state_next_seq(tracked->state)) {
        state_skip_to(monitor->engine, tracked->state, info->first_seq);
        moved = true;
    }
    if (moved) {
        tracked->epoch++;
        tracked->changes++;
    }
    unlock_fold(monitor);
    return moved;
}

/* Other threads look at the reader under streams_lock; it is swapped under it, and closed outside.
 */
static void set_reader(struct monitor *monitor, struct tracked *tracked, struct ordered *reader)
{
    pthread_mutex_lock(&monitor->streams_lock);
    struct ordered *old = tracked->reader;
    tracked->reader = reader;
    pthread_mutex_unlock(&monitor->streams_lock);
    ordered_close(old);
}

static void attach(struct monitor *monitor, struct tracked *tracked, const struct stream_info *info)
{
    struct error err = ERROR_NONE;
    bool moved = reconcile(monitor, tracked, info);
    if (moved)
        set_reader(monitor, tracked, NULL);
    int rc;
    if (tracked->reader) {
        rc = ordered_restart(tracked->reader, ordered_next_seq(tracked->reader), &err);
    } else {
        lock_fold(monitor);
        uint64_t next = state_next_seq(tracked->state);
        tracked->live_from = info->last_seq + 1;
        unlock_fold(monitor);
        struct ordered *reader = NULL;
        rc = ordered_open(monitor->bus, tracked->name, next, on_message, new_feed(monitor, tracked),
                          &reader, &err);
        set_reader(monitor, tracked, reader);
    }
    tracked->next_try_ns = rc < 0 ? instant_monotonic_ns() + retry_ns : 0;
}

/* A reader in trouble: look at the stream as it is now, then read on. */
static void mend(struct monitor *monitor, struct tracked *tracked, const char *trouble)
{
    struct stream_info info;
    struct error err = ERROR_NONE;
    if (stream_info(monitor->bus, tracked->name, &info, &err) < 0) {
        tracked->next_try_ns = instant_monotonic_ns() + retry_ns;
        if (err.code == EXIT_CODE_PROBLEM)
            atomic_store(&monitor->look_now, true); /* it is gone: the next refresh says so */
        return;
    }
    if (tracked->reader) {
        tracked->consumer_resets++;
        say(monitor, tracked, "ConsumerReset",
            json_pack("{s:s, s:I}", "reason", trouble, "next_sequence",
                      (json_int_t)ordered_next_seq(tracked->reader)));
    }
    attach(monitor, tracked, &info);
    stream_info_done(&info);
}

void streams_tend(struct monitor *monitor)
{
    int64_t now = instant_monotonic_ns();
    if (!bus_is_up(monitor->bus))
        return;
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        struct tracked *tracked = monitor->tracked[i];
        if (!tracked->present || now < tracked->next_try_ns)
            continue;
        const char *trouble = tracked->reader ? ordered_trouble(tracked->reader) : "not attached";
        if (trouble)
            mend(monitor, tracked, trouble);
    }
}

/* --- the list of streams ---------------------------------------------------------------------- */

static void gone(struct monitor *monitor, struct tracked *tracked)
{
    pthread_mutex_lock(&monitor->streams_lock);
    tracked->present = false;
    pthread_mutex_unlock(&monitor->streams_lock);
    set_reader(monitor, tracked, NULL);
    say(monitor, tracked, "StreamGone",
        json_pack("{s:I}", "folded_to", (json_int_t)state_seq(tracked->state)));
}

static void consider(struct monitor *monitor, const struct stream_info *info)
{
    struct tracked *tracked = find(monitor, info->name);
    bool fresh = !tracked || !tracked->present;
    if (!tracked)
        tracked = track(monitor, info);
    if (!tracked)
        return;
    tracked->listed = true;
    pthread_mutex_lock(&monitor->streams_lock);
    set_subjects(tracked, info);
    tracked->present = true;
    pthread_mutex_unlock(&monitor->streams_lock);
    if (fresh)
        say(monitor, tracked, "StreamFound",
            json_pack("{s:s, s:I, s:I, s:I}", "created", info->created, "first_sequence",
                      (json_int_t)info->first_seq, "last_sequence", (json_int_t)info->last_seq,
                      "resume_at", (json_int_t)state_next_seq(tracked->state)));
    bool recreated =
        tracked->reader && strcmp(state_incarnation(tracked->state), info->created) != 0;
    if (!tracked->reader || recreated)
        attach(monitor, tracked, info);
}

int streams_refresh(struct monitor *monitor, struct error *err)
{
    struct stream_list list;
    if (stream_list(monitor->bus, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < monitor->tracked_count; i++)
        monitor->tracked[i]->listed = false;
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i].kind == STREAM_EVENTS)
            consider(monitor, &list.items[i]);
    }
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        if (monitor->tracked[i]->present && !monitor->tracked[i]->listed)
            gone(monitor, monitor->tracked[i]);
    }
    pthread_mutex_lock(&monitor->streams_lock);
    stream_list_done(&monitor->known);
    monitor->known = list;
    pthread_mutex_unlock(&monitor->streams_lock);
    return 0;
}

void streams_suspect_all(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        if (monitor->tracked[i]->reader)
            ordered_suspect(monitor->tracked[i]->reader);
    }
}

/* --- how far ---------------------------------------------------------------------------------- */

uint64_t tracked_behind(const struct tracked *tracked)
{
    if (!tracked->reader)
        return UINT64_MAX;
    uint64_t pending = ordered_pending(tracked->reader);
    uint64_t next = ordered_next_seq(tracked->reader);
    uint64_t folded = state_next_seq(tracked->state);
    if (pending == UINT64_MAX)
        return UINT64_MAX;
    return pending + (next > folded ? next - folded : 0);
}

bool streams_all_caught_up(struct monitor *monitor)
{
    bool all = true;
    lock_fold(monitor);
    for (size_t i = 0; i < monitor->tracked_count && all; i++)
        all = !monitor->tracked[i]->present || tracked_behind(monitor->tracked[i]) == 0;
    unlock_fold(monitor);
    return all;
}

/* --- the end ---------------------------------------------------------------------------------- */

void streams_detach_all(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->tracked_count; i++)
        set_reader(monitor, monitor->tracked[i], NULL);
}

void streams_close(struct monitor *monitor)
{
    streams_detach_all(monitor);
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        struct tracked *tracked = monitor->tracked[i];
        while (tracked->feeds) {
            struct feed *feed = tracked->feeds;
            tracked->feeds = feed->next;
            free(feed);
        }
        for (size_t s = 0; s < tracked->subject_count; s++)
            free(tracked->subjects[s]);
        free(tracked->subjects);
        free(tracked->name);
        free(tracked);
    }
    monitor->tracked_count = 0;
    stream_list_done(&monitor->known);
}
