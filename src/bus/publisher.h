/*
 * publisher: JetStream publishing at the speed of the wire, with every acknowledgement seen.
 *
 * Keeps up to `window` messages in flight on one connection. Acknowledgements come in any order and are
 * reported by the message's `tag`. What was in flight when the link broke is neither known stored nor
 * known lost: publisher_wait() returns EXIT_CODE_UNREACHABLE and publisher_unacked() lists the tags, in
 * order of publishing; the caller finds out (see source/sim) and publishes again what is missing.
 */
#pragma once

#include "bus/bus.h"

struct publisher;

struct publisher_ack {
    uint64_t tag;
    struct slice stream; /* valid during the call */
    uint64_t seq;
    bool duplicate;   /* the server knew this Nats-Msg-Id already and stored nothing */
    const char *error; /* NULL, or what the server said instead */
};

int publisher_new(struct bus *bus, size_t window,
                  void (*on_ack)(void *context, const struct publisher_ack *ack), void *context,
                  struct publisher **ret, struct error *err);
void publisher_free(struct publisher *publisher);
/* Blocks while the window is full, at most timeout_ms. The bytes are copied. */
int publisher_send(struct publisher *publisher, uint64_t tag, struct slice subject,
                   const struct bus_header *headers, size_t header_count, struct slice payload,
                   int timeout_ms, struct error *err);
/* Until nothing is in flight, at most timeout_ms. */
int publisher_wait(struct publisher *publisher, int timeout_ms, struct error *err);
/* Tags in flight in order of publishing; returns their number, writes at most `room`. */
size_t publisher_unacked(struct publisher *publisher, uint64_t *tags, size_t room);
/* Gives up on all that is in flight: late acknowledgements are dropped. */
void publisher_forget(struct publisher *publisher);
