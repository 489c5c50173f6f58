/*
 * publisher: JetStream publishing at the speed of the wire, with every acknowledgement seen.
 *
 * Keeps up to `window` messages in flight on a connection of its own (bus/wire.h), made with the
 * bus's options. That connection does not reconnect by itself: what was held back while a link is
 * down would be stored after a reconnect, out of order and unknown to the caller. When the link
 * breaks, calls return EXIT_CODE_UNREACHABLE; what had no acknowledgement by then is neither known
 * stored nor known lost, and the caller finds out (see source/sim/delivery.c). publisher_reopen()
 * starts afresh.
 *
 * Everything happens inside publisher calls, on the caller's thread: acknowledgements are handled,
 * the server's PING is answered, and what publisher_send() has queued leaves, at the latest with
 * the next publisher_poll() or publisher_wait(). A caller that pauses for minutes polls now and
 * then, or the server ends the link. No call is thread-safe, and a handler makes none.
 *
 * Cost of a message: its bytes are copied once, into what the next send() takes; its
 * acknowledgement is read where the kernel put it.
 */
#pragma once

#include "bus/bus.h"

/* Bytes of a subject, with its end: the server's control line takes 4096 with the rest. */
#define PUBLISHER_SUBJECT_MAX 3072

struct publisher;

struct publisher_ack {
    uint64_t tag;
    struct slice stream; /* valid during the call */
    uint64_t seq;
    bool duplicate;    /* the server knew this Nats-Msg-Id already and stored nothing */
    bool no_stream;    /* nobody takes the subject; `error` is set too */
    bool transient;    /* the error is one of those that pass (no leader, still starting) */
    const char *error; /* NULL, or what the server said instead; valid during the call */
    /* The answer itself, for those who send requests to others than JetStream. */
    struct slice body;
    const char *service_error; /* Nats-Service-Error of ADR-32; NULL: none */
};

typedef void publisher_ack_handler(void *context, const struct publisher_ack *ack);

int publisher_new(struct bus *bus, size_t window, publisher_ack_handler *on_ack, void *context,
                  struct publisher **ret, struct error *err);
void publisher_free(struct publisher *publisher);
/*
 * Waits while the window is full, at most timeout_ms. The bytes are copied. On failure the message
 * may or may not have left.
 */
int publisher_send(struct publisher *publisher, uint64_t tag, struct slice subject,
                   const struct bus_header *headers, size_t header_count, struct slice payload,
                   int timeout_ms, struct error *err);
/* The same with a header block as it is (event/headers.h), "" for none. */
int publisher_send_block(struct publisher *publisher, uint64_t tag, struct slice subject,
                         struct slice block, struct slice payload, int timeout_ms,
                         struct error *err);
/* Sends what is queued, handles what has arrived; waits for it up to wait_ms when nothing has. */
int publisher_poll(struct publisher *publisher, int wait_ms, struct error *err);
/* Until nothing is in flight. Fails when for timeout_ms no acknowledgement came. */
int publisher_wait(struct publisher *publisher, int timeout_ms, struct error *err);
/* The last that the server has complained of on this link, such as a permission that it misses:
 * what is not allowed gets no answer. "": nothing. */
const char *publisher_complaint(const struct publisher *publisher);
size_t publisher_in_flight(const struct publisher *publisher);
/* A fresh link; forgets what was in flight, late acknowledgements are dropped. */
int publisher_reopen(struct publisher *publisher, struct error *err);
