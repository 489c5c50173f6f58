/*
 * Events that no stream captures, by core subscription.
 *
 * Whether a stream captured a message is only known from a list of streams that was asked for after
 * the message came: messages wait (at most CORE_WAITING_MAX) until such a list is there. A message
 * that a stream captures is dropped here and counted there.
 *
 * Around a stream's creation its subjects alone do not tell: the stream says when it was made, not
 * from which message on it listened, and clocks differ. Messages that came within DOUBT_NS of it
 * are looked for among the first messages of the stream; only where those cannot be read do the
 * clocks decide. Around a deletion, what came before its advisory counts as captured, what came
 * after it does not.
 */
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

static const int64_t doubt_ns = 2 * NS_PER_SECOND;
static const int64_t lookup_time_ns = 2 * NS_PER_SECOND;  /* for all look-ups of one settling */
static const int64_t keep_covered_ns = 5 * NS_PER_SECOND; /* a subscription nobody needs */
enum { LOOKUPS_MAX = 8192, PROOFS_MAX = 8 };

enum verdict { NOT_CAPTURED, CAPTURED, IN_DOUBT };

/* Does a stream capture it, as far as is known? streams_lock is held. */
static enum verdict judge(const struct monitor *monitor, const struct bus_message *message,
                          const struct stream_info **ret)
{
    for (size_t i = 0; i < monitor->known.count; i++) {
        const struct stream_info *info = &monitor->known.items[i];
        for (size_t s = 0; s < info->subject_count && !info->stale; s++) {
            if (!subject_matches(slice_of(info->subjects[s]), message->subject))
                continue;
            int64_t age_ns = message->stored_at_ns - info->created_ns;
            *ret = info;
            if (age_ns > -doubt_ns && age_ns < doubt_ns)
                return IN_DOUBT;
            if (age_ns > 0)
                return CAPTURED;
        }
    }
    return NOT_CAPTURED;
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
    const struct stream_info *info = NULL;
    (void)reply;
    bool internal = message->subject.len == 0 || message->subject.ptr[0] == '$' ||
                    slice_starts(message->subject, SLICE("_INBOX."));
    pthread_mutex_lock(&monitor->streams_lock);
    enum verdict verdict = internal ? CAPTURED : judge(monitor, message, &info);
    bool likely = verdict == IN_DOUBT && message->stored_at_ns >= info->created_ns;
    pthread_mutex_unlock(&monitor->streams_lock);
    if (verdict == CAPTURED) {
        bus_message_release(message);
        return;
    }
    pthread_mutex_lock(&monitor->core_lock);
    if (monitor->core_waiting_count == CORE_WAITING_MAX) {
        drop_oldest(monitor);
        monitor->core_dropped++;
    }
    size_t at = (monitor->core_head + monitor->core_waiting_count++) % CORE_WAITING_MAX;
    monitor->core_waiting[at] = (struct core_message){*message, instant_monotonic_ns(), likely};
    bool hurry = monitor->core_waiting_count == CORE_WAITING_MAX / 2;
    pthread_mutex_unlock(&monitor->core_lock);
    if (hurry) {
        atomic_store(&monitor->look_now, true);
        monitor_wake(monitor);
    }
}

bool core_is_waiting(struct monitor *monitor)
{
    pthread_mutex_lock(&monitor->core_lock);
    bool waiting = monitor->core_waiting_count > 0;
    pthread_mutex_unlock(&monitor->core_lock);
    return waiting;
}

/* --- proof --------------------------------------------------------------------------------------
 */

/* What a young stream stored first: the hashes of its messages, each good for one core message. */
struct proof {
    const struct stream_info *info;
    bool readable;
    struct u64map stored; /* hash -> how many not yet matched */
};

struct proofs {
    struct proof items[PROOFS_MAX];
    size_t count, lookups;
    int64_t until_ns;
};

static uint64_t hash_of(struct slice subject, struct slice payload)
{
    uint64_t hash = XXH3_64bits_withSeed(payload.len ? payload.ptr : "", payload.len,
                                         XXH3_64bits(subject.ptr, subject.len));
    return hash ? hash : 1;
}

/* Reads the stream from its first message until past all that can be in doubt, or to its end. */
static void read_proof(struct monitor *monitor, struct proofs *proofs, struct proof *proof)
{
    CLEANUP_BUF struct buf subject = {0}, headers = {0}, payload = {0};
    const struct stream_info *info = proof->info;
    for (uint64_t seq = 1;; seq++) {
        struct error err = ERROR_NONE;
        int64_t stored_at_ns = 0;
        bool fresh;
        if (proofs->lookups++ == LOOKUPS_MAX || instant_monotonic_ns() > proofs->until_ns)
            return;
        buf_reset(&subject), buf_reset(&headers), buf_reset(&payload);
        if (stream_get_message(monitor->bus, info->name, seq, &subject, &headers, &payload,
                               &stored_at_ns, &err) < 0) {
            proof->readable = err.code == EXIT_CODE_PROBLEM && seq > info->last_seq;
            return;
        }
        *u64map_put(&proof->stored, hash_of(buf_slice(&subject), buf_slice(&payload)), &fresh) += 1;
        if (stored_at_ns > info->created_ns + 2 * doubt_ns) {
            proof->readable = true;
            return;
        }
    }
}

static struct proof *find_proof(struct monitor *monitor, struct proofs *proofs,
                                const struct stream_info *info)
{
    for (size_t i = 0; i < proofs->count; i++) {
        if (proofs->items[i].info == info)
            return &proofs->items[i];
    }
    if (proofs->count == PROOFS_MAX)
        return NULL;
    struct proof *proof = &proofs->items[proofs->count++];
    proof->info = info;
    read_proof(monitor, proofs, proof);
    return proof;
}

static bool is_stored(struct monitor *monitor, struct proofs *proofs,
                      const struct bus_message *message, const struct stream_info *info)
{
    struct proof *proof = find_proof(monitor, proofs, info);
    if (!proof || !proof->readable)
        return message->stored_at_ns >= info->created_ns;
    uint64_t *left = u64map_get(&proof->stored, hash_of(message->subject, message->payload));
    if (!left || !*left)
        return false;
    *left -= 1;
    return true;
}

/* --- settling -----------------------------------------------------------------------------------
 */

static size_t take_before(struct monitor *monitor, int64_t listed_ns, struct core_message *out)
{
    size_t count = 0;
    pthread_mutex_lock(&monitor->core_lock);
    while (monitor->core_waiting_count &&
           monitor->core_waiting[monitor->core_head].arrived_ns < listed_ns) {
        out[count++] = monitor->core_waiting[monitor->core_head];
        monitor->core_head = (monitor->core_head + 1) % CORE_WAITING_MAX;
        monitor->core_waiting_count--;
    }
    pthread_mutex_unlock(&monitor->core_lock);
    return count;
}

/*
 * Newest first, so that of equal messages the stored ones are the last. Only this thread replaces
 * the list of streams: what judge() gives stays.
 */
static void drop_captured(struct monitor *monitor, struct core_message *waiting, size_t count)
{
    struct proofs proofs = {.until_ns = instant_monotonic_ns() + lookup_time_ns};
    for (size_t i = count; i-- > 0;) {
        struct bus_message *message = &waiting[i].message;
        const struct stream_info *info = NULL;
        pthread_mutex_lock(&monitor->streams_lock);
        enum verdict verdict = judge(monitor, message, &info);
        pthread_mutex_unlock(&monitor->streams_lock);
        /* The stream that was in doubt may be gone by now: no proof can be had. */
        bool captured = verdict == IN_DOUBT ? is_stored(monitor, &proofs, message, info)
                                            : verdict == CAPTURED || waiting[i].likely;
        if (captured)
            bus_message_release(message);
    }
    for (size_t i = 0; i < proofs.count; i++)
        u64map_done(&proofs.items[i].stored);
}

void core_settle(struct monitor *monitor, int64_t listed_ns)
{
    if (!core_is_waiting(monitor))
        return;
    CLEANUP_FREE struct core_message *waiting = xcalloc(CORE_WAITING_MAX, sizeof *waiting);
    size_t count = take_before(monitor, listed_ns, waiting);
    drop_captured(monitor, waiting, count);
    for (size_t i = 0; i < count; i++) {
        struct queue_item item = {waiting[i].message};
        if (!item.message.handle)
            continue;
        if (!queue_push(monitor->queue, &item))
            bus_message_release(&waiting[i].message);
        ordered_hub_wake(monitor->hub); /* its thread folds these too */
    }
}

/* --- subscriptions ---------------------------------------------------------------------------- */

/* Does `wide` match all that `narrow` matches? */
static bool covers(struct slice wide, struct slice narrow)
{
    struct slice w = SLICE_ABSENT, n = SLICE_ABSENT;
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
        if (monitor->known.items[i].stale)
            continue;
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

static void subscribe(struct monitor *monitor, size_t i)
{
    if (!monitor->core_subscriptions[i])
        (void)bus_subscribe(monitor->bus, monitor->core_subjects[i], on_message, monitor,
                            &monitor->core_subscriptions[i], NULL);
}

static void unsubscribe(struct monitor *monitor, size_t i)
{
    bus_unsubscribe(monitor->core_subscriptions[i]);
    monitor->core_subscriptions[i] = NULL;
}

void core_resubscribe(struct monitor *monitor)
{
    int64_t now = instant_monotonic_ns();
    if (!monitor->core_waiting)
        first_time(monitor);
    for (size_t i = 0; i < monitor->core_count; i++) {
        int64_t *since = &monitor->core_covered_ns[i];
        pthread_mutex_lock(&monitor->streams_lock);
        bool covered = is_covered(monitor, slice_of(monitor->core_subjects[i]));
        pthread_mutex_unlock(&monitor->streams_lock);
        if (!covered)
            *since = 0;
        else if (!*since)
            *since = now;
        /* Messages from before the stream that covers it may still be on their way: no hurry. */
        if (!*since)
            subscribe(monitor, i);
        else if (now - *since > keep_covered_ns)
            unsubscribe(monitor, i);
    }
}

void core_unsubscribe(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->core_count; i++)
        unsubscribe(monitor, i);
}

void core_close(struct monitor *monitor)
{
    while (monitor->core_waiting_count)
        drop_oldest(monitor);
    for (size_t i = 0; i < monitor->core_count; i++)
        free(monitor->core_subjects[i]);
    free(monitor->core_waiting);
}
