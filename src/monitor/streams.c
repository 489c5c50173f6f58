/* Finding streams, attaching readers to them, and tending those readers. */
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

static const int64_t retry_ns = 1 * NS_PER_SECOND, retry_last_ns = 30 * NS_PER_SECOND;

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
    atomic_store(&tracked->has_sources, info->has_sources);
}

static struct tracked *track(struct monitor *monitor, const char *name)
{
    if (monitor->tracked_count == TRACKED_MAX) {
        monitor->tracked_overflow++;
        return NULL;
    }
    struct tracked *tracked = xcalloc(1, sizeof *tracked);
    tracked->monitor = monitor;
    tracked->name = xstrdup(name);
    atomic_store(&tracked->level_ns, instant_monotonic_ns());
    lock_fold(monitor);
    tracked->state = engine_stream(monitor->engine, name);
    snapshots_load(monitor, tracked->state);
    tracked->saved_seq = state_seq(tracked->state);
    unlock_fold(monitor);
    pthread_mutex_lock(&monitor->streams_lock);
    monitor->tracked[monitor->tracked_count++] = tracked;
    pthread_mutex_unlock(&monitor->streams_lock);
    return tracked;
}

void streams_remember(struct monitor *monitor, const char *name)
{
    struct tracked *tracked = find(monitor, name) ? NULL : track(monitor, name);
    if (tracked)
        tracked->remembered = true;
}

/* The stream is not the one that was read: under its name stands a new one. Lock held. */
static void begin_again(struct monitor *monitor, struct tracked *tracked, const char *created)
{
    CLEANUP_FREE char *before = xstrdup(state_incarnation(tracked->state));
    uint64_t seq = state_seq(tracked->state);
    state_begin_incarnation(monitor->engine, tracked->state, created);
    monitor->save_now = true;
    if (before[0])
        say(monitor, tracked, "StreamRecreated",
            json_pack("{s:s, s:s, s:I}", "created_before", before, "created", created,
                      "last_sequence_before", (json_int_t)seq));
}

/* The server has less than it gave us: it lost its end in a crash, or was restored. Lock held. */
static void roll_back(struct monitor *monitor, struct tracked *tracked, uint64_t had,
                      uint64_t last_seq)
{
    state_roll_back(tracked->state, last_seq);
    say(monitor, tracked, "StreamRolledBack",
        json_pack("{s:I, s:I}", "folded_to", (json_int_t)had, "last_sequence",
                  (json_int_t)last_seq));
}

/*
 * Compares what was read with what the server has now. Returns true when the reading place changed,
 * so that the reader, which does not deliver now, has no use any more.
 */
static bool reconcile(struct monitor *monitor, struct tracked *tracked,
                      const struct stream_info *info)
{
    lock_fold(monitor);
    uint64_t had = state_known_seq(tracked->state);
    if (tracked->reader && ordered_next_seq(tracked->reader) - 1 > had)
        had = ordered_next_seq(tracked->reader) - 1;
    bool renewed = strcmp(state_incarnation(tracked->state), info->created) != 0;
    bool moved = renewed || info->last_seq < had;
    if (renewed)
        begin_again(monitor, tracked, info->created);
    else if (moved)
        roll_back(monitor, tracked, had, info->last_seq);
    if (moved)
        tracked->changes++;
    unlock_fold(monitor);
    return moved;
}

/* Other threads look at the reader under streams_lock; it is swapped under it, closed outside. */
static void set_reader(struct monitor *monitor, struct tracked *tracked, struct ordered *reader)
{
    pthread_mutex_lock(&monitor->streams_lock);
    struct ordered *old = tracked->reader;
    tracked->reader = reader;
    pthread_mutex_unlock(&monitor->streams_lock);
    ordered_close(old);
}

/* A consumer at the right place; it delivers nothing before ordered_begin(). */
static int make_reader(struct monitor *monitor, struct tracked *tracked,
                       const struct stream_info *info, struct error *err)
{
    if (tracked->reader)
        return ordered_rewind(tracked->reader, ordered_next_seq(tracked->reader), err);
    lock_fold(monitor);
    uint64_t next = state_next_seq(tracked->state);
    tracked->live_from = info->last_seq + 1;
    if (info->first_seq > next) { /* what is before it is gone from the stream */
        state_skip_to(monitor->engine, tracked->state, info->first_seq);
        tracked->changes++;
    }
    unlock_fold(monitor);
    struct ordered *reader = NULL;
    int rc = ordered_open(monitor->hub, tracked->name, NULL, next, folding_on_stored, tracked,
                          &reader, err);
    set_reader(monitor, tracked, reader);
    return rc;
}

/* Is the stream that the new consumer reads still the one that `info` speaks of? */
static bool is_same(struct monitor *monitor, const struct stream_info *info, struct error *err)
{
    struct stream_info now;
    if (stream_info(monitor->bus, info->name, &now, err) < 0)
        return false;
    bool same = !strcmp(now.created, info->created);
    stream_info_done(&now);
    if (!same)
        (void)error_set(err, EXIT_CODE_PROBLEM, "%s was made again meanwhile", info->name);
    return same;
}

/*
 * The server answers, but this stream cannot be read. After a few times the others' figures no
 * longer wait for it, and each time it is left alone for longer.
 */
static void failed(struct monitor *monitor, struct tracked *tracked, const char *reason)
{
    uint64_t suppressed;
    tracked->failures++;
    if (journal_may_add(monitor->journal, "StreamUnreadable", &suppressed))
        say(monitor, tracked, "StreamUnreadable",
            json_pack("{s:s, s:I}", "reason", reason, "suppressed", (json_int_t)suppressed));
}

/* 1 s, doubled with each failure, at most 30 s; the first is free. */
static void try_later(struct tracked *tracked)
{
    int64_t pause_ns = retry_ns;
    for (unsigned i = 1; i < tracked->failures && pause_ns < retry_last_ns; i++)
        pause_ns *= 2;
    if (pause_ns > retry_last_ns)
        pause_ns = retry_last_ns;
    tracked->next_try_ns = instant_monotonic_ns() + pause_ns;
}

/* No answer about this stream while the server answers others' questions: it will not have us. */
static bool is_own_fault(struct monitor *monitor, const struct stream_info *info,
                         const struct error *err)
{
    struct stream_info now;
    struct error ignored = ERROR_NONE;
    if (err->code != EXIT_CODE_UNREACHABLE)
        return err->code == EXIT_CODE_REFUSED;
    if (!bus_is_up(monitor->bus) || !ordered_hub_is_up(monitor->hub) ||
        stream_info(monitor->bus, info->name, &now, &ignored) < 0)
        return false;
    stream_info_done(&now);
    return ordered_hub_is_up(monitor->hub);
}

/*
 * Reads on, or begins to. Between `info` and the new consumer the stream may have been deleted and
 * made again; the reader therefore begins only when a second look shows that it was not.
 */
static int attach(struct monitor *monitor, struct tracked *tracked, const struct stream_info *info,
                  struct error *err)
{
    if (reconcile(monitor, tracked, info))
        set_reader(monitor, tracked, NULL);
    int rc = make_reader(monitor, tracked, info, err);
    if (rc < 0 && is_own_fault(monitor, info, err))
        failed(monitor, tracked, err->text);
    if (rc == 0 && !is_same(monitor, info, err))
        rc = -1;
    if (rc == 0)
        rc = ordered_begin(tracked->reader, err);
    if (rc < 0) {
        set_reader(monitor, tracked, NULL);
        try_later(tracked);
    }
    return rc;
}

/* A reader in trouble: look at the stream as it is now, then read on. -1: nobody answers. */
static int mend(struct monitor *monitor, struct tracked *tracked, const char *trouble)
{
    struct stream_info info;
    struct error err = ERROR_NONE;
    uint64_t suppressed;
    bool barren = tracked->reader && !ordered_is_alive(tracked->reader) &&
                  !ordered_link_was_lost(tracked->reader);
    if (tracked->reader)
        ordered_suspect(tracked->reader); /* it delivers nothing more, so that its place stands */
    if (stream_info(monitor->bus, tracked->name, &info, &err) < 0) {
        tracked->next_try_ns = instant_monotonic_ns() + retry_ns;
        if (err.code != EXIT_CODE_PROBLEM)
            return -1;
        atomic_store(&monitor->look_now, true); /* it is gone: the next refresh says so */
        return 0;
    }
    if (tracked->reader) {
        tracked->consumer_resets++;
        if (journal_may_add(monitor->journal, "ConsumerReset", &suppressed))
            say(monitor, tracked, "ConsumerReset",
                json_pack("{s:s, s:I, s:I}", "reason", trouble, "next_sequence",
                          (json_int_t)ordered_next_seq(tracked->reader), "suppressed",
                          (json_int_t)suppressed));
    }
    int rc = 0;
    if (barren) { /* its consumer was made and gave nothing: not again at once */
        failed(monitor, tracked, trouble);
        set_reader(monitor, tracked, NULL);
        try_later(tracked);
    } else {
        rc = attach(monitor, tracked, &info, &err);
    }
    stream_info_done(&info);
    return rc < 0 && err.code == EXIT_CODE_UNREACHABLE ? -1 : 0;
}

/* What is well is no failure any more, and what is read to its end is level. */
static void note_health(struct monitor *monitor, struct tracked *tracked)
{
    if (tracked->reader && ordered_is_alive(tracked->reader))
        tracked->failures = 0;
    lock_fold(monitor);
    bool level = !tracked->present || tracked_behind(tracked) == 0;
    unlock_fold(monitor);
    if (level)
        atomic_store(&tracked->level_ns, instant_monotonic_ns());
}

void streams_tend(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->tracked_count && bus_is_up(monitor->bus); i++) {
        struct tracked *tracked = monitor->tracked[i];
        const char *trouble = tracked->reader ? ordered_trouble(tracked->reader) : "not attached";
        if (!trouble)
            note_health(monitor, tracked);
        if (!tracked->present || !ordered_hub_is_up(monitor->hub) ||
            instant_monotonic_ns() < tracked->next_try_ns)
            continue;
        /* Each question to a silent server takes its whole time limit: one at a time. */
        if (trouble && mend(monitor, tracked, trouble) < 0)
            return;
    }
}

/* --- the list of streams ---------------------------------------------------------------------- */

static uint64_t folded_to(struct monitor *monitor, const struct tracked *tracked)
{
    lock_fold(monitor);
    uint64_t seq = state_seq(tracked->state);
    unlock_fold(monitor);
    return seq;
}

static void gone(struct monitor *monitor, struct tracked *tracked)
{
    pthread_mutex_lock(&monitor->streams_lock);
    tracked->present = false;
    pthread_mutex_unlock(&monitor->streams_lock);
    set_reader(monitor, tracked, NULL);
    monitor->save_now = true;
    say(monitor, tracked, "StreamGone",
        json_pack("{s:I, s:b}", "folded_to", (json_int_t)folded_to(monitor, tracked),
                  "while_monitor_was_down", tracked->remembered));
    if (tracked->remembered)
        snapshots_gone(monitor, tracked);
    tracked->remembered = false;
}

static int consider(struct monitor *monitor, const struct stream_info *info, struct error *err)
{
    struct tracked *tracked = find(monitor, info->name);
    bool fresh = !tracked || !tracked->present;
    if (!tracked)
        tracked = track(monitor, info->name);
    if (!tracked)
        return 0;
    tracked->listed = true;
    tracked->remembered = false;
    pthread_mutex_lock(&monitor->streams_lock);
    set_subjects(tracked, info);
    tracked->present = true;
    pthread_mutex_unlock(&monitor->streams_lock);
    if (fresh)
        atomic_store(&tracked->level_ns, instant_monotonic_ns());
    if (fresh)
        say(monitor, tracked, "StreamFound",
            json_pack("{s:s, s:I, s:I, s:I}", "created", info->created, "first_sequence",
                      (json_int_t)info->first_seq, "last_sequence", (json_int_t)info->last_seq,
                      "resume_at", (json_int_t)(folded_to(monitor, tracked) + 1)));
    bool again = strcmp(state_incarnation(tracked->state), info->created) != 0;
    bool due = !tracked->reader && instant_monotonic_ns() >= tracked->next_try_ns;
    return again || due ? attach(monitor, tracked, info, err) : 0;
}

/* Replaces what is known, less what has been reported as changed since the list was asked for. */
static void set_known(struct monitor *monitor, struct stream_list *list)
{
    pthread_mutex_lock(&monitor->streams_lock);
    for (size_t i = 0; i < list->count; i++) {
        struct stream_info *info = &list->items[i];
        info->stale = monitor->forgotten_count == FORGOTTEN_MAX;
        for (size_t f = 0; f < monitor->forgotten_count && !info->stale; f++)
            info->stale = !strcmp(info->name, monitor->forgotten[f]);
    }
    stream_list_done(&monitor->known);
    monitor->known = *list;
    pthread_mutex_unlock(&monitor->streams_lock);
}

void streams_forget_subjects(struct monitor *monitor, struct slice name)
{
    pthread_mutex_lock(&monitor->streams_lock);
    for (size_t i = 0; i < monitor->known.count; i++) {
        if (slice_eq(slice_of(monitor->known.items[i].name), name))
            monitor->known.items[i].stale = true;
    }
    if (monitor->forgotten_count < FORGOTTEN_MAX)
        (void)snprintf(monitor->forgotten[monitor->forgotten_count++], sizeof monitor->forgotten[0],
                       "%.*s", SLICE_ARG(name));
    pthread_mutex_unlock(&monitor->streams_lock);
}

void streams_none(struct monitor *monitor)
{
    struct stream_list none = {0};
    set_known(monitor, &none);
}

int streams_refresh(struct monitor *monitor, struct error *err)
{
    struct stream_list list;
    struct error trouble = ERROR_NONE;
    pthread_mutex_lock(&monitor->streams_lock);
    monitor->forgotten_count = 0;
    pthread_mutex_unlock(&monitor->streams_lock);
    int rc = stream_list(monitor->bus, &list, err);
    monitor->no_jetstream = rc < 0 && list.no_jetstream;
    if (rc < 0)
        return -1;
    set_known(monitor, &list); /* first: core messages wait for it */
    atomic_store(&monitor->round_trip_ns, bus_round_trip_ns(monitor->bus));
    for (size_t i = 0; i < monitor->tracked_count; i++)
        monitor->tracked[i]->listed = false;
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i].kind != STREAM_EVENTS)
            continue;
        if (consider(monitor, &list.items[i], &trouble) < 0 &&
            trouble.code == EXIT_CODE_UNREACHABLE && !bus_is_up(monitor->bus))
            return error_set(err, EXIT_CODE_UNREACHABLE, "%s", trouble.text);
    }
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        struct tracked *tracked = monitor->tracked[i];
        if (!tracked->listed && (tracked->present || tracked->remembered))
            gone(monitor, tracked);
    }
    monitor->listed_once = true;
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
    if (!tracked->reader || ordered_trouble(tracked->reader))
        return UINT64_MAX;
    uint64_t pending = ordered_pending(tracked->reader);
    uint64_t next = ordered_next_seq(tracked->reader);
    uint64_t folded = state_next_seq(tracked->state);
    if (pending == UINT64_MAX)
        return UINT64_MAX;
    return pending + (next > folded ? next - folded : 0);
}

int64_t tracked_lag_ns(const struct tracked *tracked)
{
    if (tracked_behind(tracked) == 0)
        return 0;
    int64_t since_level = instant_monotonic_ns() - atomic_load(&tracked->level_ns);
    int64_t since_last = instant_now_ns() - tracked->last_stored_at_ns;
    return since_last < since_level ? since_last : since_level;
}

bool tracked_is_unreadable(const struct tracked *tracked)
{
    return tracked->failures >= FAILURES_PATIENCE;
}

bool streams_all_caught_up(struct monitor *monitor)
{
    bool all = true;
    lock_fold(monitor);
    for (size_t i = 0; i < monitor->tracked_count && all; i++) {
        const struct tracked *tracked = monitor->tracked[i];
        all = !tracked->present || tracked_is_unreadable(tracked) || tracked_behind(tracked) == 0;
    }
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
        for (size_t s = 0; s < tracked->subject_count; s++)
            free(tracked->subjects[s]);
        checksum_forget(monitor, tracked);
        free(tracked->subjects);
        free(tracked->name);
        free(tracked);
    }
    monitor->tracked_count = 0;
    stream_list_done(&monitor->known);
}
