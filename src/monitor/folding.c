/* The fold thread: from the link through the engine into the registry, in batches. */
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "monitor/monitor_internal.h"

enum {
    BATCH = 512,
    WAIT_MS = 200,
};

static const struct metric_spec duration_spec = {
    .name = "cim_event_processing_duration_seconds",
    .help = "Time to fold one event, measured over batches and spread evenly over their events.",
    .unit = "seconds",
    .kind = METRIC_HISTOGRAM,
    .label_count = 1,
    .labels = {"domain"},
    .bucket_count = 10,
    .buckets = {1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 1e-4, 1e-3, 1e-2},
    .own = true,
};

/* --- reports of the engine -------------------------------------------------------------------- */

static void report(void *context, enum engine_report what, const struct stream_state *state,
                   uint64_t seq, const char *reason, uint64_t amount)
{
    static const char *const types[] = {[REPORT_MALFORMED] = "MalformedEvent",
                                        [REPORT_SUSPECT] = "SuspectEvent",
                                        [REPORT_GAP] = "GapFound",
                                        [REPORT_CHAIN] = "ChainBroken"};
    struct monitor *monitor = context;
    uint64_t suppressed = 0;
    if (!journal_may_add(monitor->journal, types[what], &suppressed))
        return;
    json_t *data =
        what == REPORT_GAP
            ? json_pack("{s:I, s:I}", "resumes_at", (json_int_t)seq, "missed", (json_int_t)amount)
            : json_pack("{s:I, s:s}", "sequence", (json_int_t)seq, "reason", reason);
    (void)json_object_set_new(data, "stream", json_string(state_name(state)));
    (void)json_object_set_new(data, "suppressed", json_integer((json_int_t)suppressed));
    journal_add(monitor->journal, "stream", state_name(state)[0] ? state_name(state) : "core",
                types[what], data);
}

static void report_violation(void *context, const struct stream_state *state, uint64_t seq,
                             const struct event_view *view,
                             const struct schema_violation *violation)
{
    static const char type[] = "SchemaViolated";
    struct monitor *monitor = context;
    struct slice domain = view->field[EVENT_DOMAIN], event_type = view->field[EVENT_TYPE];
    uint64_t suppressed = 0;
    /* An event of this type that violates a contract of its own would beget the next, for ever. */
    if (slice_eq(event_type, slice_of(type)) ||
        !journal_may_add(monitor->journal, type, &suppressed))
        return;
    CLEANUP_BUF struct buf path = {0};
    utf8_add_clean(&path, slice_of(violation->instance)); /* NULs of names ended it early */
    json_t *data =
        json_pack("{s:s, s:I, s:s%, s:s%, s:s%, s:s, s:s, s:s, s:I}", "stream", state_name(state),
                  "sequence", (json_int_t)seq, "domain", domain.ptr, domain.len, "event_type",
                  event_type.ptr, event_type.len, "path", buf_slice(&path).ptr, path.len, "reason",
                  violation->reason, "schema", violation->file, "schema_path", violation->schema,
                  "suppressed", (json_int_t)suppressed);
    journal_add(monitor->journal, "stream", state_name(state)[0] ? state_name(state) : "core", type,
                data);
}

struct engine_reporter folding_reporter(struct monitor *monitor)
{
    return (struct engine_reporter){report, monitor, report_violation};
}

/* --- one message ------------------------------------------------------------------------------ */

/* Is a message of this origin counted where it came from? Registry lock held. */
static bool is_read_at_origin(struct monitor *monitor, struct slice origin, uint64_t seq)
{
    bool found = false;
    pthread_mutex_lock(&monitor->streams_lock);
    for (size_t i = 0; i < monitor->known.count && !found; i++)
        found = monitor->known.items[i].kind == STREAM_EVENTS &&
                slice_eq(slice_of(monitor->known.items[i].name), origin);
    /* A stream that is gone: what was read of it while it stood. */
    for (size_t i = 0; i < monitor->tracked_count && !found; i++)
        found = slice_eq(slice_of(monitor->tracked[i]->name), origin) &&
                state_seq(monitor->tracked[i]->state) >= seq;
    pthread_mutex_unlock(&monitor->streams_lock);
    return found;
}

/* Is this a copy of a message that is counted elsewhere? (Nats-Stream-Source: ORIGIN seq ...) */
static bool is_copy(struct monitor *monitor, struct slice header_block)
{
    struct event_headers walk;
    struct event_header header;
    bool more = header_block.len && event_headers_begin(&walk, header_block, NULL);
    while (more && event_headers_next(&walk, &header)) {
        struct slice rest = header.value, origin;
        if (!slice_eq(header.name, SLICE("Nats-Stream-Source")) || !slice_cut(&rest, ' ', &origin))
            continue;
        uint64_t seq = 0;
        for (size_t at = 0; at < rest.len && rest.ptr[at] >= '0' && rest.ptr[at] <= '9'; at++)
            seq = seq * 10 + (uint64_t)(rest.ptr[at] - '0');
        return is_read_at_origin(monitor, origin, seq);
    }
    return false;
}

static void note_delay(struct tracked *tracked, const struct bus_message *message, int domain,
                       int64_t now_ns)
{
    int64_t delay = now_ns - message->stored_at_ns;
    tracked->last_stored_at_ns = message->stored_at_ns;
    tracked->changes++;
    if (domain < 0)
        return;
    tracked->domain_seen[domain] = true;
    /* What lay there before we came says nothing about how quick we are now. */
    tracked->delay_ns[domain] = message->seq >= tracked->live_from && delay > 0 ? delay : 0;
}

static void tally(struct monitor *monitor, int domain)
{
    if (domain < 0)
        return;
    monitor->fold_counts[domain]++;
    monitor->fold_events++;
}

void folding_on_stored(void *context, const struct bus_message *message)
{
    struct tracked *tracked = context;
    struct monitor *monitor = tracked->monitor;
    struct event_input input = {.subject = message->subject,
                                .payload = message->payload,
                                .header_block = message->header_block,
                                .seq = message->seq,
                                .stored_at_ns = message->stored_at_ns};
    int domain = -1;
    checksums_before(monitor, tracked, input.stored_at_ns, monitor->fold_now_ns);
    if (atomic_load_explicit(&tracked->has_sources, memory_order_relaxed) &&
        is_copy(monitor, message->header_block))
        state_pass(monitor->engine, tracked->state, input.seq);
    else
        domain = engine_fold(monitor->engine, tracked->state, &input);
    note_delay(tracked, message, domain, monitor->fold_now_ns);
    tally(monitor, domain);
    monitor->fold_reached_end = monitor->fold_reached_end || message->pending == 0;
}

static void fold_core(struct monitor *monitor, const struct bus_message *message)
{
    struct event_header headers[EVENT_HEADERS_MAX];
    struct bus_header raw[EVENT_HEADERS_MAX];
    struct event_input input = {.subject = message->subject,
                                .payload = message->payload,
                                .headers = headers,
                                .stored_at_ns = message->stored_at_ns};
    input.header_count = bus_message_headers(message, raw, EVENT_HEADERS_MAX);
    for (int i = 0; i < input.header_count; i++)
        headers[i] = (struct event_header){raw[i].name, raw[i].value};
    atomic_fetch_add(&monitor->core_events, 1);
    monitor->core_changes++;
    tally(monitor, engine_fold(monitor->engine, monitor->core_state, &input));
}

/* --- a batch ---------------------------------------------------------------------------------- */

static void note_duration(struct monitor *monitor, int64_t took_ns)
{
    double each = (double)took_ns / 1e9 / (double)monitor->fold_events;
    for (size_t d = 0; d < TALLY_DOMAINS_MAX; d++) {
        if (monitor->fold_counts[d])
            cell_observe_many(partition_cell1(monitor->durations, monitor->duration,
                                              engine_domain_name(monitor->engine, d)),
                              each, monitor->fold_counts[d]);
    }
}

static void lock_all(struct monitor *monitor)
{
    pthread_rwlock_rdlock(&monitor->registry_guard);
    registry_lock(monitor->registry);
}

static void unlock_all(struct monitor *monitor)
{
    registry_unlock(monitor->registry);
    pthread_rwlock_unlock(&monitor->registry_guard);
}

/* What the link brought, and core messages, under one lock. */
static void fold_batch(struct monitor *monitor, bool from_hub, struct queue_item *items,
                       size_t count)
{
    lock_all(monitor);
    int64_t began = instant_monotonic_ns();
    monitor->fold_now_ns = instant_now_ns();
    monitor->fold_events = 0;
    monitor->fold_reached_end = false;
    memset(monitor->fold_counts, 0, sizeof monitor->fold_counts);
    for (size_t i = 0; i < count; i++)
        fold_core(monitor, &items[i].message);
    if (from_hub)
        ordered_hub_deliver(monitor->hub);
    if (monitor->fold_events)
        note_duration(monitor, instant_monotonic_ns() - began);
    unlock_all(monitor);
    for (size_t i = 0; i < count; i++)
        bus_message_release(&items[i].message);
}

/* --- what waits ------------------------------------------------------------------------------- */

static void count_waiting(void *context, struct slice subject)
{
    struct monitor *monitor = context;
    char domain[DOMAIN_TEXT_MAX];
    engine_domain_of(monitor->engine, subject, domain);
    for (size_t i = 0; i < monitor->depth_count; i++) {
        if (!strcmp(monitor->depth[i].domain, domain)) {
            monitor->depth[i].waiting++;
            return;
        }
    }
    if (monitor->depth_count == TALLY_DOMAINS_MAX)
        return;
    memcpy(monitor->depth[monitor->depth_count].domain, domain, sizeof domain);
    monitor->depth[monitor->depth_count++].waiting = 1;
}

static void count_queued(void *context, const struct queue_item *item)
{
    count_waiting(context, item->message.subject);
}

static void count_depth(struct monitor *monitor)
{
    lock_all(monitor);
    pthread_mutex_lock(&monitor->depth_lock);
    for (size_t i = 0; i < monitor->depth_count; i++)
        monitor->depth[i].waiting = 0;
    queue_each(monitor->queue, count_queued, monitor);
    ordered_hub_each_waiting(monitor->hub, count_waiting, monitor);
    pthread_mutex_unlock(&monitor->depth_lock);
    unlock_all(monitor);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void *fold_loop(void *context)
{
    struct monitor *monitor = context;
    struct queue_item *items = xcalloc(BATCH, sizeof *items);
    int64_t counted_ns = 0;
    size_t count = 0;
    do {
        bool came = ordered_hub_wait(monitor->hub, count ? 0 : WAIT_MS);
        int64_t now = instant_monotonic_ns();
        if (now - counted_ns > NS_PER_SECOND) {
            count_depth(monitor);
            counted_ns = now;
        }
        count = queue_pop(monitor->queue, items, BATCH, 0);
        if (came || count)
            fold_batch(monitor, came, items, count);
        /* The main thread need not sleep its time out when the first reading is done. */
        if (monitor->fold_reached_end && !atomic_load(&monitor->caught_up))
            monitor_wake(monitor);
    } while (count || !atomic_load(&monitor->stopping));
    free(items);
    return NULL;
}

void folding_declare(struct monitor *monitor)
{
    monitor->duration = registry_family(monitor->registry, &duration_spec);
    monitor->durations = registry_partition(monitor->registry, " durations");
}

int folding_start(struct monitor *monitor, struct error *err)
{
    folding_declare(monitor);
    int code = pthread_create(&monitor->fold_thread, NULL, fold_loop, monitor);
    return code ? error_set(err, EXIT_CODE_INTERNAL, "cannot start a thread: %s", strerror(code))
                : 0;
}

void folding_stop(struct monitor *monitor)
{
    queue_close(monitor->queue);
    ordered_hub_stop(monitor->hub);
    pthread_join(monitor->fold_thread, NULL);
}
