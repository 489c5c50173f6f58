#include "source/sim/delivery.h"

#include <stdio.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/publisher.h"
#include "source/sim/delivery_internal.h"

enum {
    WINDOWS_KEPT = 4,        /* ring size in windows */
    QUIET_MAX_MS = 20000,    /* in flight and no answer for so long: the link counts as broken */
    POLL_EVERY = 64,         /* sendings, for acknowledgements that have arrived meanwhile */
    STEP_MS = 100,           /* how often waits look at the stop flag */
    STOP_PATIENCE_MS = 5000, /* patience once told to stop */
};

struct slot *slot_of(const struct delivery *d, uint64_t tag)
{
    return &d->slots[tag % d->slot_count];
}

size_t headers_cut(struct slice lines, struct bus_header *out, size_t room)
{
    size_t count = 0;
    struct slice line;
    while (lines.len && count < room && slice_cut(&lines, '\n', &line)) {
        struct slice name;
        if (slice_cut(&line, ':', &name))
            out[count++] = (struct bus_header){name, slice_trim(line)};
    }
    return count;
}

/* --- acknowledgements ------------------------------------------------------------------------- */

static struct sink *find_sink(struct delivery *d, struct slice name)
{
    for (size_t i = 0; i < d->sink_count; i++) {
        if (slice_eq(slice_of(d->sinks[i].name), name))
            return &d->sinks[i];
    }
    if (d->sink_count == SINKS_MAX)
        return NULL;
    struct sink *sink = &d->sinks[d->sink_count++];
    *sink = (struct sink){.name = xstrndup(name.ptr, name.len)};
    return sink;
}

/* A message is stored, or was dropped as known from before. Tells the owner in the order of
 * sending. */
void settle(struct delivery *d, struct slot *slot, enum slot_state state, struct sink *sink,
            uint64_t seq)
{
    slot->state = state;
    slot->sink = sink;
    slot->seq = seq;
    if (sink && seq > sink->stored_seq)
        sink->stored_seq = seq;
    for (; d->head < d->tail; d->head++) {
        struct slot *first = slot_of(d, d->head);
        if (first->state == SLOT_IN_FLIGHT)
            break;
        if (first->state == SLOT_STORED) {
            d->stats.stored++;
            if (first->seq > first->sink->settled_seq)
                first->sink->settled_seq = first->seq;
            d->options.on_stored(d->options.context, &first->account, slice_of(first->sink->name));
        } else {
            d->stats.dropped++;
        }
    }
}

static void handle_error(struct delivery *d, const struct slot *slot,
                         const struct publisher_ack *ack)
{
    d->interrupted = true; /* not stored: goes the way of a broken link */
    (void)snprintf(d->reason, sizeof d->reason, "%.*s: %s", SLICE_ARG(buf_slice(&slot->subject)),
                   ack->error);
    if (!ack->no_stream && !ack->transient)
        d->refused = true;
}

static void on_ack(void *context, const struct publisher_ack *ack)
{
    struct delivery *d = context;
    struct slot *slot = slot_of(d, ack->tag);
    d->last_ack_ns = instant_monotonic_ns();
    if (slot->tag != ack->tag || slot->state != SLOT_IN_FLIGHT)
        return;
    if (ack->error) {
        handle_error(d, slot, ack);
        return;
    }
    struct sink *sink = find_sink(d, ack->stream);
    if (!sink) {
        d->refused = d->interrupted = true;
        (void)snprintf(d->reason, sizeof d->reason, "more than %d streams take the events",
                       SINKS_MAX);
        return;
    }
    /* A first sending that is a duplicate already is some earlier run's; ours would be past the
     * mark. */
    bool earlier = ack->duplicate && (slot->tries == 1 || ack->seq <= sink->settled_seq);
    settle(d, slot, earlier ? SLOT_DROPPED : SLOT_STORED, earlier ? NULL : sink, ack->seq);
}

/* --- sending ---------------------------------------------------------------------------------- */

int send_slot(struct delivery *d, struct slot *slot, struct error *err)
{
    struct bus_header headers[BUS_HEADERS_MAX];
    size_t count = headers_cut(buf_slice(&slot->headers), headers, BUS_HEADERS_MAX);
    slot->tries++;
    if (publisher_in_flight(d->publisher) == 0)
        d->last_ack_ns = instant_monotonic_ns();
    return publisher_send(d->publisher, slot->tag, buf_slice(&slot->subject), headers, count,
                          buf_slice(&slot->payload), STEP_MS, err);
}

/* One wait for acknowledgements; a link on which nothing moves counts as broken. */
int wait_acks(struct delivery *d, int wait_ms, struct error *err)
{
    if (publisher_poll(d->publisher, wait_ms, err) < 0)
        return -1;
    if (d->interrupted)
        return error_set(err, EXIT_CODE_UNREACHABLE, "%s", d->reason);
    if (publisher_in_flight(d->publisher) &&
        instant_monotonic_ns() - d->last_ack_ns > QUIET_MAX_MS * NS_PER_MS)
        return error_set(err, EXIT_CODE_UNREACHABLE, "no acknowledgement for %d s",
                         QUIET_MAX_MS / 1000);
    return 0;
}

/* `slot` must be answered for before it is used again. Where the link breaks, recovery mends it. */
static int make_room(struct delivery *d, const struct slot *slot, struct error *err)
{
    while (publisher_in_flight(d->publisher) >= d->options.window ||
           slot->state == SLOT_IN_FLIGHT) {
        if (wait_acks(d, STEP_MS, err) < 0 && delivery_recover(d, err) < 0)
            return -1;
    }
    return 0;
}

int delivery_send(struct delivery *d, const struct sim_event *event, struct error *err)
{
    struct slot *slot = slot_of(d, d->tail);
    if (d->tail % POLL_EVERY == 0 && delivery_poll(d, 0, err) < 0)
        return -1;
    if (make_room(d, slot, err) < 0)
        return -1;
    if (slot->state == SLOT_STORED && slot->seq > slot->sink->evicted_seq)
        slot->sink->evicted_seq = slot->seq;
    slot->tag = d->tail++;
    slot->state = SLOT_IN_FLIGHT;
    slot->sink = NULL;
    slot->tries = 0;
    slot->account = event->account;
    buf_reset(&slot->subject);
    buf_reset(&slot->headers);
    buf_reset(&slot->payload);
    buf_add_slice(&slot->subject, event->subject);
    buf_add_slice(&slot->headers, event->headers);
    buf_add_slice(&slot->payload, event->payload);
    return send_slot(d, slot, err) < 0 ? delivery_recover(d, err) : 0;
}

int delivery_poll(struct delivery *d, int wait_ms, struct error *err)
{
    return wait_acks(d, wait_ms, err) < 0 ? delivery_recover(d, err) : 0;
}

int delivery_finish(struct delivery *d, struct error *err)
{
    while (publisher_in_flight(d->publisher) || d->interrupted) {
        if (wait_acks(d, STEP_MS, err) < 0 && delivery_recover(d, err) < 0)
            return -1;
    }
    return 0;
}

/* --- set-up ----------------------------------------------------------------------------------- */

static struct stream_info *find_taker(const struct stream_list *list, struct slice subject)
{
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < list->items[i].subject_count; j++) {
            if (subject_matches(slice_of(list->items[i].subjects[j]), subject))
                return &list->items[i];
        }
    }
    return NULL;
}

/* Each subject must have a stream; where each of those ends now is where ours begin. */
static int find_sinks(struct delivery *d, const bool domains[SIM_DOMAINS],
                      const struct stream_list *list, struct error *err)
{
    const struct sim_fact *fact;
    const struct sim_form *form;
    enum sim_domain domain;
    CLEANUP_BUF struct buf subject = {0};
    for (size_t i = 0; sim_series_at(i, &fact, &form, &domain); i++) {
        if (!domains[domain] || !form->subject)
            continue;
        buf_reset(&subject);
        sim_sample_subject(form, &subject);
        const struct stream_info *taker = find_taker(list, buf_slice(&subject));
        if (!taker)
            return error_set(
                err, EXIT_CODE_UNREACHABLE,
                "no stream takes '%s': start the local stack with 'cim-ops up', create a "
                "stream for it, or send without acknowledgements with --core",
                buf_cstr(&subject));
        struct sink *sink = find_sink(d, slice_of(taker->name));
        if (!sink)
            return error_set(err, EXIT_CODE_USAGE, "more than %d streams take the events",
                             SINKS_MAX);
        sink->stored_seq = sink->settled_seq = taker->last_seq;
    }
    return 0;
}

int delivery_new(const struct delivery_options *options, const bool domains[SIM_DOMAINS],
                 struct delivery **ret, struct error *err)
{
    struct delivery *d = xcalloc(1, sizeof *d);
    d->options = *options;
    d->slot_count = options->window * WINDOWS_KEPT;
    d->slots = xcalloc(d->slot_count, sizeof *d->slots);
    for (size_t i = 0; i < d->slot_count; i++)
        d->slots[i].tag = UINT64_MAX;

    struct stream_list list = {0};
    int rc = stream_list(options->bus, &list, err);
    if (rc == 0)
        rc = find_sinks(d, domains, &list, err);
    stream_list_done(&list);
    if (rc == 0)
        rc = publisher_new(options->bus, options->window, on_ack, d, &d->publisher, err);
    if (rc < 0) {
        delivery_free(d);
        return -1;
    }
    *ret = d;
    return 0;
}

void delivery_free(struct delivery *d)
{
    if (!d)
        return;
    publisher_free(d->publisher);
    for (size_t i = 0; i < d->slot_count; i++) {
        buf_done(&d->slots[i].subject);
        buf_done(&d->slots[i].headers);
        buf_done(&d->slots[i].payload);
    }
    for (size_t i = 0; i < d->sink_count; i++)
        free(d->sinks[i].name);
    free(d->slots);
    free(d);
}

const struct delivery_stats *delivery_stats(const struct delivery *d)
{
    return &d->stats;
}

/* What is left of the patience, as a point of the monotonic clock; short once told to stop. */
int64_t patience_end_ns(const struct delivery *d, int64_t since_ns)
{
    int64_t patience_ns = d->options.patience_ns;
    if (*d->options.stop && patience_ns > STOP_PATIENCE_MS * NS_PER_MS)
        patience_ns = STOP_PATIENCE_MS * NS_PER_MS;
    return since_ns + patience_ns;
}

void pause_step(void)
{
    const struct timespec step = {.tv_nsec = STEP_MS * NS_PER_MS};
    (void)nanosleep(&step, NULL);
}
