/*
 * Events that no stream captures, by core subscription.
 *
 * Whether a stream captured a message is only known from a list of streams that was asked for after
 * the message came: messages wait (at most CORE_WAITING_MAX) until such a list is there. A message
 * that a stream captures is dropped here and counted there. If the stream is younger than the
 * message, by their two clocks, the message was not captured: clocks that differ by more than the
 * time between the two can misjudge the few messages around a stream's creation.
 */
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

/* Is the subject captured by a stream that stood when the message came? streams_lock is held. */
static bool is_captured(const struct monitor *monitor, struct slice subject, int64_t came_ns)
{
    for (size_t i = 0; i < monitor->known.count; i++) {
        const struct stream_info *info = &monitor->known.items[i];
        int64_t created_ns = 0;
        for (size_t s = 0; s < info->subject_count; s++) {
            if (!subject_matches(slice_of(info->subjects[s]), subject))
                continue;
            (void)instant_parse_rfc3339(slice_of(info->created), &created_ns);
            if (created_ns <= came_ns)
                return true;
        }
    }
    return false;
}

static void drop_oldest(struct monitor *monitor)
{
    bus_message_release(&monitor->core_waiting[monitor->core_head].message);
    monitor->core_head = (monitor->core_head + 1) % CORE_WAITING_MAX;
    monitor->core_waiting_count--;
}

/* Client thread. */
static void on_message(void *context, struct bus_message *message, const char *reply)
{
    struct monitor *monitor = context;
    (void)reply;
    bool internal = message->subject.len == 0 || message->subject.ptr[0] == '$' ||
                    slice_starts(message->subject, SLICE("_INBOX."));
    pthread_mutex_lock(&monitor->streams_lock);
    bool captured = !internal && is_captured(monitor, message->subject, message->stored_at_ns);
    pthread_mutex_unlock(&monitor->streams_lock);
    if (internal || captured) {
        bus_message_release(message);
        return;
    }
    pthread_mutex_lock(&monitor->core_lock);
    if (monitor->core_waiting_count == CORE_WAITING_MAX) {
        drop_oldest(monitor);
        monitor->core_dropped++;
    }
    size_t at = (monitor->core_head + monitor->core_waiting_count++) % CORE_WAITING_MAX;
    monitor->core_waiting[at] = (struct core_message){*message, instant_monotonic_ns()};
    pthread_mutex_unlock(&monitor->core_lock);
}

bool core_is_waiting(struct monitor *monitor)
{
    pthread_mutex_lock(&monitor->core_lock);
    bool waiting = monitor->core_waiting_count > 0;
    pthread_mutex_unlock(&monitor->core_lock);
    return waiting;
}

static bool take_before(struct monitor *monitor, int64_t listed_ns, struct core_message *ret)
{
    pthread_mutex_lock(&monitor->core_lock);
    bool taken = monitor->core_waiting_count &&
                 monitor->core_waiting[monitor->core_head].arrived_ns < listed_ns;
    if (taken) {
        *ret = monitor->core_waiting[monitor->core_head];
        monitor->core_head = (monitor->core_head + 1) % CORE_WAITING_MAX;
        monitor->core_waiting_count--;
    }
    pthread_mutex_unlock(&monitor->core_lock);
    return taken;
}

void core_settle(struct monitor *monitor, int64_t listed_ns)
{
    struct core_message waiting;
    while (take_before(monitor, listed_ns, &waiting)) {
        pthread_mutex_lock(&monitor->streams_lock);
        bool captured = is_captured(monitor, waiting.message.subject, waiting.message.stored_at_ns);
        pthread_mutex_unlock(&monitor->streams_lock);
        struct queue_item item = {waiting.message, NULL, 0};
        if (captured || !queue_push(monitor->queue, &item))
            bus_message_release(&waiting.message);
    }
}

/* --- subscriptions ---------------------------------------------------------------------------- */

/* Does `wide` match all that `narrow` matches? */
static bool covers(struct slice wide, struct slice narrow)
{
    struct slice w, n;
    for (;;) {
        bool more_wide = slice_cut(&wide, '.', &w), more_narrow = slice_cut(&narrow, '.', &n);
        if (more_wide && slice_eq(w, SLICE(">")))
            return more_narrow;
        if (!more_wide || !more_narrow)
            return more_wide == more_narrow;
        if (slice_eq(n, SLICE(">")) || (!slice_eq(w, SLICE("*")) && !slice_eq(w, n)))
            return false;
    }
}

/* A subject that a stream captures whole need not come twice. */
static bool is_covered(const struct monitor *monitor, struct slice subject)
{
    for (size_t i = 0; i < monitor->known.count; i++) {
        for (size_t s = 0; s < monitor->known.items[i].subject_count; s++) {
            if (covers(slice_of(monitor->known.items[i].subjects[s]), subject))
                return true;
        }
    }
    return false;
}

static void first_time(struct monitor *monitor)
{
    struct slice rest = slice_of(monitor->options->event_subjects), part;
    monitor->core_waiting = xcalloc(CORE_WAITING_MAX, sizeof *monitor->core_waiting);
    while (slice_cut(&rest, ',', &part) &&
           monitor->core_count < ARRAY_LEN(monitor->core_subjects)) {
        part = slice_trim(part);
        if (part.len)
            monitor->core_subjects[monitor->core_count++] = xstrndup(part.ptr, part.len);
    }
}

void core_resubscribe(struct monitor *monitor)
{
    if (!monitor->core_waiting)
        first_time(monitor);
    for (size_t i = 0; i < monitor->core_count; i++) {
        bool wanted = !is_covered(monitor, slice_of(monitor->core_subjects[i]));
        if (wanted && !monitor->core_subscriptions[i])
            (void)bus_subscribe(monitor->bus, monitor->core_subjects[i], on_message, monitor,
                                &monitor->core_subscriptions[i], NULL);
        if (!wanted && monitor->core_subscriptions[i]) {
            bus_unsubscribe(monitor->core_subscriptions[i]);
            monitor->core_subscriptions[i] = NULL;
        }
    }
}

void core_close(struct monitor *monitor)
{
    while (monitor->core_waiting_count)
        drop_oldest(monitor);
    for (size_t i = 0; i < monitor->core_count; i++)
        free(monitor->core_subjects[i]);
    free(monitor->core_waiting);
}
