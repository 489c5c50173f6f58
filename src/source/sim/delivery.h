/*
 * delivery: every event into its stream exactly once, whatever happens to the server meanwhile.
 *
 * Messages are numbered in the order of sending and kept in a ring, the last few thousand after
 * they were acknowledged too. When the link breaks, delivery reads each stream from the last
 * message known to be stored up to its end, matches what is there with what is in flight, and sends
 * the rest again in order. When a stream ends before what it had acknowledged (the server lost its
 * tail), acknowledged messages are sent again as well; those that have left the ring are counted as
 * lost.
 *
 * `on_stored` is told of each message once, in the order of sending, when it is known to be stored.
 */
#pragma once

#include <signal.h>

#include "bus/bus.h"
#include "source/sim/sim.h"

struct delivery_options {
    struct bus *bus;
    size_t window;                     /* messages in flight at most */
    int64_t patience_ns;               /* how long to wait for a server that went away */
    const volatile sig_atomic_t *stop; /* set: give up waiting soon */
    void (*on_stored)(void *context, const struct sim_account *account, struct slice stream);
    void *context;
};

struct delivery_stats {
    uint64_t stored;
    uint64_t resent; /* sent again after a break */
    uint64_t found;  /* unacknowledged at a break, found stored */
    uint64_t breaks;
    uint64_t dropped; /* the server knew their Nats-Msg-Id from before: not stored again */
    uint64_t lost;    /* acknowledged, then lost by the server, and no longer in the ring */
};

struct delivery;

/*
 * Fails with EXIT_CODE_UNREACHABLE, naming the subject, when a subject of the chosen domains is
 * taken by no stream.
 */
int delivery_new(const struct delivery_options *options, const bool domains[SIM_DOMAINS],
                 struct delivery **ret, struct error *err);
void delivery_free(struct delivery *delivery);
int delivery_send(struct delivery *delivery, const struct sim_event *event, struct error *err);
/* Lets acknowledgements in for up to wait_ms. */
int delivery_poll(struct delivery *delivery, int wait_ms, struct error *err);
/* Until all is stored. */
int delivery_finish(struct delivery *delivery, struct error *err);
const struct delivery_stats *delivery_stats(const struct delivery *delivery);

/* Cuts "Name: value\n" lines into pairs that point into `lines`; returns their number. */
size_t headers_cut(struct slice lines, struct bus_header *out, size_t room);
