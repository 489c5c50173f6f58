#include "act/replay/flight.h"

#include <assert.h>

#include "base/instant.h"
#include "base/memory.h"

void flight_init(struct flight *flight, size_t room, const uint64_t *positions, size_t streams)
{
    *flight = (struct flight){.room = room, .head = 1, .tail = 1};
    flight->slots = xcalloc(room, sizeof *flight->slots);
    flight->ready = xcalloc(room, sizeof *flight->ready);
    flight->positions = xcalloc(streams + 1, sizeof *flight->positions);
    memcpy(flight->positions, positions, streams * sizeof *positions);
}

void flight_done(struct flight *flight)
{
    for (size_t i = 0; i < flight->room; i++) {
        buf_done(&flight->slots[i].subject);
        buf_done(&flight->slots[i].headers);
        buf_done(&flight->slots[i].payload);
    }
    free(flight->slots);
    free(flight->ready);
    free(flight->positions);
    u64map_done(&flight->last_of);
    *flight = (struct flight){0};
}

static struct slot *slot_at(struct flight *flight, uint64_t tag)
{
    return &flight->slots[tag % flight->room];
}

static size_t bytes_of(const struct slot *slot)
{
    return slot->subject.len + slot->headers.len + slot->payload.len;
}

bool flight_has_room(const struct flight *flight)
{
    return flight->tail - flight->head < flight->room && flight->bytes < FLIGHT_BYTES_MAX;
}

static void make_ready(struct flight *flight, struct slot *slot)
{
    assert(flight->ready_count < flight->room);
    slot->state = SLOT_READY;
    flight->ready[(flight->ready_head + flight->ready_count++) % flight->room] = slot->tag;
}

static void fill(struct slot *slot, const struct replay_event *event, uint64_t tag)
{
    slot->tag = tag;
    slot->stream = event->stream;
    slot->seq = event->seq;
    slot->stored_at_ns = event->stored_at_ns;
    slot->aggregate = event->aggregate;
    slot->behind = 0;
    slot->size = event->payload.len;
    slot->read = 0;
    slot->stored = false;
    slot->tries = 0;
    slot->floor = 0;
    buf_reset(&slot->subject);
    buf_reset(&slot->headers);
    buf_reset(&slot->payload);
    buf_add_slice(&slot->subject, event->subject);
    buf_add_slice(&slot->headers, event->header_block);
    buf_add_slice(&slot->payload, event->payload);
}

struct slot *flight_take(struct flight *flight, const struct replay_event *event)
{
    assert(flight_has_room(flight));
    struct slot *slot = slot_at(flight, flight->tail);
    bool fresh;
    fill(slot, event, flight->tail++);
    flight->bytes += bytes_of(slot);
    uint64_t *last = u64map_put(&flight->last_of, event->aggregate, &fresh);
    if (fresh) {
        make_ready(flight, slot);
    } else {
        slot_at(flight, *last)->behind = slot->tag;
        slot->state = SLOT_WAITING;
    }
    *last = slot->tag;
    return slot;
}

struct slot *flight_next(struct flight *flight)
{
    if (!flight->ready_count)
        return NULL;
    struct slot *slot = slot_at(flight, flight->ready[flight->ready_head]);
    flight->ready_head = (flight->ready_head + 1) % flight->room;
    flight->ready_count--;
    slot->state = SLOT_SENT;
    slot->tries++;
    slot->sent_ns = instant_monotonic_ns();
    return slot;
}

struct slot *flight_find(struct flight *flight, uint64_t tag)
{
    if (tag < flight->head || tag >= flight->tail)
        return NULL;
    struct slot *slot = slot_at(flight, tag);
    return slot->tag == tag && slot->state == SLOT_SENT ? slot : NULL;
}

void flight_again(struct flight *flight, struct slot *slot)
{
    make_ready(flight, slot);
}

static void trim(struct buf *bytes)
{
    if (bytes->room > FLIGHT_KEEP_BYTES)
        buf_done(bytes);
}

static void advance(struct flight *flight)
{
    for (; flight->head < flight->tail; flight->head++) {
        struct slot *slot = slot_at(flight, flight->head);
        if (slot->state != SLOT_FREE)
            break;
        flight->positions[slot->stream] = slot->seq + 1;
        flight->ended[slot->end]++;
        flight->taken_bytes += slot->end == SLOT_TAKEN ? slot->size : 0;
    }
}

void flight_settle(struct flight *flight, struct slot *slot, enum slot_end end)
{
    slot->end = end;
    flight->bytes -= bytes_of(slot);
    slot->state = SLOT_FREE;
    if (slot->behind)
        make_ready(flight, slot_at(flight, slot->behind));
    else
        (void)u64map_remove(&flight->last_of, slot->aggregate);
    trim(&slot->subject);
    trim(&slot->headers);
    trim(&slot->payload);
    advance(flight);
}

void flight_rewind(struct flight *flight)
{
    for (uint64_t tag = flight->head; tag < flight->tail; tag++) {
        struct slot *slot = slot_at(flight, tag);
        if (slot->state == SLOT_SENT)
            make_ready(flight, slot);
    }
}
