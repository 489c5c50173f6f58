/*
 * flight: events on their way to a target that answers later.
 *
 * A ring in the order of the feed. At most one event of an aggregate is on its way; those behind it
 * wait for its answer, so that no failure, retry or reconnect can turn the order of an aggregate
 * round. Its head is the frontier: everything before it is settled, and that is what a checkpoint
 * may say.
 *
 * Copies what it holds. Bounded by `room` slots and FLIGHT_BYTES_MAX.
 */
#pragma once

#include "act/replay/selection.h"
#include "base/u64map.h"

#define FLIGHT_BYTES_MAX  ((size_t)64 << 20)
#define FLIGHT_KEEP_BYTES ((size_t)16 << 10) /* room that a free slot keeps */

enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_READY, SLOT_SENT };
enum slot_end { SLOT_TAKEN, SLOT_SKIPPED, SLOT_PARKED };
#define SLOT_ENDS 3

struct slot {
    uint64_t tag; /* from 1 */
    size_t stream;
    uint64_t seq;
    int64_t stored_at_ns;
    uint64_t aggregate;
    uint64_t behind; /* the tag of the next of its aggregate; 0: none */
    enum slot_state state;
    enum slot_end end; /* of a settled one */
    uint64_t read;     /* messages read before it was taken; size: its payload's bytes */
    size_t size;
    bool stored; /* the target has it from before: nothing is to be sent */
    unsigned tries;
    uint64_t floor;  /* the target's last sequence known when it was first sent */
    int64_t sent_ns; /* monotonic */
    struct buf subject, headers, payload; /* headers: the block as stored */
};

struct flight {
    struct slot *slots;
    size_t room, bytes;
    uint64_t head, tail;   /* tags; head == tail: empty */
    struct u64map last_of; /* aggregate to the tag of its last unsettled event */
    uint64_t *ready;       /* a ring of tags */
    size_t ready_head, ready_count;
    uint64_t *positions; /* per stream: the next sequence behind what is settled */
    /* Of what the head has passed: how many ended how, and the bytes of payload that were taken. */
    uint64_t ended[SLOT_ENDS], taken_bytes;
};

/* `positions`: where reading begins, per stream. */
void flight_init(struct flight *flight, size_t room, const uint64_t *positions, size_t streams);
void flight_done(struct flight *flight);
bool flight_has_room(const struct flight *flight);
/* Takes a copy; it is ready at once or when the one before it is settled. */
struct slot *flight_take(struct flight *flight, const struct replay_event *event);
/* The next to be sent; NULL: none now. */
struct slot *flight_next(struct flight *flight);
/* The slot of a tag that is on its way; NULL: it is not (any more). */
struct slot *flight_find(struct flight *flight, uint64_t tag);
void flight_again(struct flight *flight, struct slot *slot); /* to be sent once more */
void flight_settle(struct flight *flight, struct slot *slot, enum slot_end end);
/* All that was sent and not answered is to be sent again. */
void flight_rewind(struct flight *flight);
