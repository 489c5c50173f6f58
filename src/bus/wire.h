/*
 * wire: a lean NATS connection, for reading streams and for publishing, beside the client
 * library's: one non-blocking socket, messages parsed where the kernel put them, handed over as
 * slices. No copy, no allocation and no thread per message or subscription.
 *
 * It connects by itself to one of the servers it was given (back-off with jitter, addresses learnt
 * from the cluster, TLS and credentials as for a bus), and again when the link breaks.
 * Subscriptions live as long as the link they were made on: `link` numbers tell links apart. It
 * answers PING, asks a silent server with PING, and gives the link up after WIRE_SILENCE_NS without
 * a byte while its owner listens. A server in lame duck mode is left for another one where another
 * is known.
 *
 * Threads: one owner calls wire_wait() and wire_next(); calls marked "any thread" may come from
 * others meanwhile.
 */
#pragma once

#include "bus/bus.h"
#include "bus/wire_parse.h"

#define WIRE_WINDOW_BYTES (512u << 10) /* read at once; more while a larger message needs it */
#define WIRE_OUT_MAX      (1u << 20)   /* unsent bytes, but see wire_send() */
#define WIRE_SILENCE_NS   INT64_C(15000000000)

struct wire;

/* Connects in wire_wait(). EXIT_CODE_USAGE: the URL or the files of the options. Options are
 * copied.
 */
int wire_new(struct wire **ret, const struct bus_options *options, struct error *err);
void wire_free(struct wire *wire); /* NULL is allowed */

/*
 * Waits up to timeout_ms for bytes, a link or a wake(); connects when there is no link, which takes
 * at most a few seconds. True: wire_next() may have messages. What earlier messages point to is
 * gone.
 */
bool wire_wait(struct wire *wire, int timeout_ms);
/*
 * For owners who must know of every link: gives up the one there is and makes another now, trying
 * each server once; wire_wait() is not to be called without a link then. EXIT_CODE_UNREACHABLE:
 * none was to be had.
 */
int wire_open(struct wire *wire, struct error *err);
/* The next whole message in the window; false: none is left. Its slices live until wire_wait(). */
bool wire_next(struct wire *wire, struct wire_message *ret);
/* The messages that wire_next() would give, without taking them. */
void wire_each_waiting(struct wire *wire,
                       void (*each)(void *context, const struct wire_message *message),
                       void *context);
/* Sends what has been queued, as far as it goes without waiting. Owner. */
void wire_flush(struct wire *wire);
/*
 * Queues these bytes, whole protocol frames, one part behind the other. The owner who sends much
 * looks at wire_unsent() and waits; a link that has WIRE_OUT_MAX unsent is given up, unless
 * wire_set_out_max() says otherwise. False: that link is no more. Owner.
 */
bool wire_send(struct wire *wire, uint64_t link, const struct slice *parts, size_t count);
size_t wire_unsent(struct wire *wire);
void wire_set_out_max(struct wire *wire, size_t bytes);
/* Words of the server's -ERR, on the owner's thread. */
void wire_on_error(struct wire *wire, void (*on_error)(void *context, struct slice text),
                   void *context);

/* The number of the present link; 0: there is none. Any thread. */
uint64_t wire_link(struct wire *wire);
/* Queued, and sent by the owner. False: that link is no more. Any thread. */
bool wire_subscribe(struct wire *wire, uint64_t link, uint64_t sid, const char *subject);
bool wire_unsubscribe(struct wire *wire, uint64_t link, uint64_t sid);
bool wire_publish(struct wire *wire, uint64_t link, struct slice subject, struct slice payload);
/* Ends the owner's wait. Any thread. */
void wire_wake(struct wire *wire);
/* For good: the owner's waits and attempts to connect end at once. Any thread. */
void wire_stop(struct wire *wire);
/* Why there is no link, or what was wrong last; "" when nothing was. Any thread. */
void wire_problem(struct wire *wire, char *out, size_t room);
