/*
 * After the link broke: which of the messages in flight were stored?
 *
 * Real producers send no header that would tell, so the stream itself is read: from the last
 * message that is settled to the end. One connection sends in order, so what was stored of ours
 * appears there in our order; subject and payload must be the same bytes. Other writers' messages
 * are passed over.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/instant.h"
#include "source/sim/delivery_internal.h"

static uint64_t oldest_tag(const struct delivery *d)
{
    return d->tail > d->slot_count ? d->tail - d->slot_count : 0;
}

/* Reads the stream's end until it stands still: what the old link left in the server is being
 * stored. */
static int stream_end(struct delivery *d, const struct sink *sink, uint64_t *ret, struct error *err)
{
    const int64_t since_ns = instant_monotonic_ns(), still_max_ns = 3 * NS_PER_SECOND;
    uint64_t before = UINT64_MAX;
    for (;;) {
        struct stream_info info;
        if (stream_info(d->options.bus, sink->name, &info, err) < 0)
            return -1;
        uint64_t last_seq = info.last_seq;
        stream_info_done(&info);
        /* where other writers never pause, the old link's rest is in after a few seconds all the
         * same */
        if (last_seq == before || instant_monotonic_ns() - since_ns > still_max_ns) {
            *ret = last_seq;
            return 0;
        }
        before = last_seq;
        pause_step();
        pause_step();
    }
}

/* The stream ends before what it acknowledged: send that again, as far as it is still at hand. */
static void take_back(struct delivery *d, struct sink *sink, uint64_t last_seq)
{
    uint64_t again = 0;
    for (uint64_t tag = oldest_tag(d); tag < d->tail; tag++) {
        struct slot *slot = slot_of(d, tag);
        if (slot->state == SLOT_STORED && slot->sink == sink && slot->seq > last_seq) {
            slot->state = SLOT_IN_FLIGHT;
            again++;
        }
    }
    uint64_t lost = sink->evicted_seq > last_seq ? sink->evicted_seq - last_seq : 0;
    (void)fprintf(stderr,
                  "cim-ops simulate: stream %s lost acknowledged messages: it ends at %" PRIu64
                  ", acknowledged was %" PRIu64 "; %" PRIu64 " are sent again, up to %" PRIu64
                  " are gone\n",
                  sink->name, last_seq, sink->stored_seq, again, lost);
    d->stats.lost += lost;
    sink->stored_seq = sink->settled_seq = last_seq;
    if (sink->evicted_seq > last_seq)
        sink->evicted_seq = last_seq;
}

static bool known_seq(const struct delivery *d, const struct sink *sink, uint64_t seq)
{
    for (uint64_t tag = oldest_tag(d); tag < d->tail; tag++) {
        const struct slot *slot = slot_of(d, tag);
        if (slot->state == SLOT_STORED && slot->sink == sink && slot->seq == seq)
            return true;
    }
    return false;
}

static struct slot *find_in_flight(const struct delivery *d, uint64_t *from_tag,
                                   struct slice subject, struct slice payload)
{
    for (uint64_t tag = *from_tag; tag < d->tail; tag++) {
        struct slot *slot = slot_of(d, tag);
        if (slot->state == SLOT_IN_FLIGHT && slot->tries &&
            slice_eq(buf_slice(&slot->subject), subject) &&
            slice_eq(buf_slice(&slot->payload), payload)) {
            *from_tag = tag + 1;
            return slot;
        }
    }
    return NULL;
}

static int match_stored(struct delivery *d, struct sink *sink, uint64_t last_seq, struct error *err)
{
    CLEANUP_BUF struct buf subject = {0}, headers = {0}, payload = {0};
    uint64_t tag = oldest_tag(d);
    for (uint64_t seq = sink->settled_seq + 1; seq <= last_seq && tag < d->tail; seq++) {
        int64_t stored_at_ns = 0;
        buf_reset(&subject);
        buf_reset(&headers);
        buf_reset(&payload);
        if (known_seq(d, sink, seq))
            continue;
        if (stream_get_message(d->options.bus, sink->name, seq, &subject, &headers, &payload,
                               &stored_at_ns, err) < 0) {
            if (err->code == EXIT_CODE_PROBLEM) /* deleted by somebody: cannot have been ours */
                continue;
            return -1;
        }
        struct slot *slot = find_in_flight(d, &tag, buf_slice(&subject), buf_slice(&payload));
        if (!slot)
            continue;
        d->stats.found++;
        settle(d, slot, SLOT_STORED, sink, seq);
    }
    return 0;
}

static int reconcile(struct delivery *d, struct error *err)
{
    for (size_t i = 0; i < d->sink_count; i++) {
        struct sink *sink = &d->sinks[i];
        uint64_t last_seq = 0;
        if (stream_end(d, sink, &last_seq, err) < 0) {
            if (err->code != EXIT_CODE_PROBLEM)
                return -1;
            return error_set(err, EXIT_CODE_DAMAGED,
                             "stream %s is gone, and with it the events it had acknowledged",
                             sink->name);
        }
        if (last_seq < sink->stored_seq)
            take_back(d, sink, last_seq);
        else if (match_stored(d, sink, last_seq, err) < 0)
            return -1;
    }
    return 0;
}

static int send_again(struct delivery *d, struct error *err)
{
    for (uint64_t tag = oldest_tag(d); tag < d->tail; tag++) {
        struct slot *slot = slot_of(d, tag);
        if (slot->state != SLOT_IN_FLIGHT)
            continue;
        while (publisher_in_flight(d->publisher) >= d->options.window) {
            if (wait_acks(d, 100, err) < 0)
                return -1;
        }
        d->stats.resent += slot->tries > 0;
        if (send_slot(d, slot, err) < 0)
            return -1;
    }
    return 0;
}

int delivery_recover(struct delivery *d, struct error *err)
{
    int64_t since_ns = instant_monotonic_ns();
    uint64_t head = d->head;
    d->stats.breaks++;
    for (;;) {
        if (d->refused)
            return error_set(err, EXIT_CODE_DAMAGED, "%s", d->reason);
        if (d->head != head) { /* it moves: patience starts afresh */
            head = d->head;
            since_ns = instant_monotonic_ns();
        }
        d->interrupted = false;
        struct error cause = ERROR_NONE;
        if (publisher_reopen(d->publisher, &cause) == 0 && reconcile(d, &cause) == 0 &&
            send_again(d, &cause) == 0)
            return 0;
        if (cause.code == EXIT_CODE_DAMAGED || cause.code == EXIT_CODE_INTERNAL ||
            instant_monotonic_ns() > patience_end_ns(d, since_ns)) {
            error_set(err, cause.code, "%s; %" PRIu64 " events are not known to be stored",
                      cause.text, d->tail - d->head);
            return -1;
        }
        pause_step();
    }
}
