/* For delivery.c and recover.c: the ring of messages and the streams they go to. */
#pragma once

#include "bus/publisher.h"
#include "bus/stream.h"
#include "source/sim/delivery.h"

enum { SINKS_MAX = 64 };

/* A stream that takes our events. */
struct sink {
    char *name;
    uint64_t stored_seq;  /* the highest it acknowledged */
    uint64_t settled_seq; /* ... among messages whose predecessors are all answered for */
    uint64_t evicted_seq; /* ... among those that have left the ring */
};

enum slot_state {
    SLOT_FREE,
    SLOT_IN_FLIGHT, /* sent, or to be sent again; not known to be stored */
    SLOT_STORED,
    SLOT_DROPPED, /* the server had stored it for an earlier run */
};

struct slot {
    uint64_t tag, seq;
    struct sink *sink;
    enum slot_state state;
    unsigned tries;
    struct buf subject, headers, payload;
    struct sim_account account;
};

/*
 *        tail - slot_count        head                 tail
 *    ----------+-------------------+--------------------+------> tags
 *     gone     | answered for,     | in flight, perhaps | to come
 *              | kept to be resent | with answered ones |
 */
struct delivery {
    struct delivery_options options;
    struct publisher *publisher;
    struct slot *slots;
    size_t slot_count;
    uint64_t head, tail;
    struct sink sinks[SINKS_MAX];
    size_t sink_count;
    struct delivery_stats stats;
    int64_t last_ack_ns;
    bool interrupted; /* an answer said that a message was not stored */
    bool refused;     /* ... and trying again would not help */
    char reason[512];
};

struct slot *slot_of(const struct delivery *d, uint64_t tag);
void settle(struct delivery *d, struct slot *slot, enum slot_state state, struct sink *sink,
            uint64_t seq);
int send_slot(struct delivery *d, struct slot *slot, struct error *err);
int wait_acks(struct delivery *d, int wait_ms, struct error *err);
int64_t patience_end_ns(const struct delivery *d, int64_t since_ns);
void pause_step(void);

/* recover.c: after a break, until all that is not stored is under way again. */
int delivery_recover(struct delivery *d, struct error *err);
