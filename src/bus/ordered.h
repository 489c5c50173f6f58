/*
 * ordered: every message of a stream, once, in stream order, without acknowledgements.
 *
 * A `hub` owns one wire (bus/wire.h) and reads any number of streams over it, each by an ephemeral
 * push consumer (ack none, flow control, idle heartbeat) that a reader makes through the bus.
 * Messages are handed over as slices of the wire's window: nothing is copied, nothing is allocated.
 *
 * A reader hands over messages whose consumer sequence is unbroken. When one is missing, the link
 * breaks or the server falls silent, it stops delivering and says so by ordered_trouble(); the
 * owner then looks at the stream (was it re-created?) and calls ordered_restart(). Nothing is ever
 * delivered twice across a restart at ordered_next_seq(). A stream sequence that jumps is no
 * trouble: those messages are gone from the stream, and the owner sees the jump in `seq`.
 *
 * Threads: one thread runs the hub (wait, deliver) and with it all handlers. Readers are opened,
 * restarted and closed by one other thread, or by the same between two calls. A handler must not
 * open or close readers. Cost per message: one scan of its control line and of its reply subject.
 *
 * For a program that reads one stream and does nothing beside:
 *
 *     ordered_hub_open(), ordered_hub_connect(), ordered_open(), ordered_begin(), then
 *     while (ordered_next_seq(reader) <= last) {
 *         if (ordered_hub_wait(hub, 1000))
 *             ordered_hub_deliver(hub);
 *         if (ordered_trouble(reader) && ordered_restart(reader, ordered_next_seq(reader), err) <
 * 0) return -1;
 *     }
 */
#pragma once

#include "bus/bus.h"

#define ORDERED_READERS_MAX  4096 /* of one hub */
#define ORDERED_HEARTBEAT_NS INT64_C(2000000000)
#define ORDERED_SILENCE_NS   (3 * ORDERED_HEARTBEAT_NS)

struct ordered_hub;
struct ordered;

/* The message's slices are valid during the call; there is nothing to release. */
typedef void ordered_handler(void *context, const struct bus_message *message);

/* --- the hub ---------------------------------------------------------------------------------- */

/* With the options that the bus was opened with. Connects when it is first run. */
int ordered_hub_open(struct bus *bus, struct ordered_hub **ret, struct error *err);
/* For a program of one thread: runs the hub until it has a link. EXIT_CODE_UNREACHABLE: none came.
 */
int ordered_hub_connect(struct ordered_hub *hub, int timeout_ms, struct error *err);
/* Readers must be closed before, and nobody may run it any more. NULL is allowed. */
void ordered_hub_close(struct ordered_hub *hub);
/* Waits up to timeout_ms for messages; also ends by ordered_hub_wake(). True: deliver. */
bool ordered_hub_wait(struct ordered_hub *hub, int timeout_ms);
/* Calls the readers' handlers for all that is there. */
void ordered_hub_deliver(struct ordered_hub *hub);
/* What ordered_hub_deliver() would hand over: for counting. Subjects only. */
void ordered_hub_each_waiting(struct ordered_hub *hub,
                              void (*each)(void *context, struct slice subject), void *context);
/* Any thread. */
void ordered_hub_wake(struct ordered_hub *hub);
void ordered_hub_stop(struct ordered_hub *hub); /* ends waits for good */
bool ordered_hub_is_up(struct ordered_hub *hub);

/* --- a reader --------------------------------------------------------------------------------- */

/*
 * Makes the consumer, but nothing is delivered before ordered_begin(): between the two the owner
 * can make sure that the stream is still the one it knows (it has 10 s for that). `filter` of
 * subjects; NULL: all.
 * EXIT_CODE_REFUSED: the server answered, and it will not have this consumer.
 * EXIT_CODE_UNREACHABLE: no answer, or the hub has no link. On failure nothing is made.
 */
int ordered_open(struct ordered_hub *hub, const char *stream, const char *filter,
                 uint64_t start_seq, ordered_handler *on_message, void *context,
                 struct ordered **ret, struct error *err);
/*
 * The same for the newest message of each subject (as of when the server comes to it), then what is
 * stored later; still in stream order. A restart goes on behind start_seq: a subject that got a
 * newer message meanwhile comes again.
 */
int ordered_open_newest(struct ordered_hub *hub, const char *stream, const char *filter,
                        ordered_handler *on_message, void *context, struct ordered **ret,
                        struct error *err);
/* Makes a new consumer from start_seq, with ordered_begin() included; messages of the old one are
 * dropped from this moment. */
int ordered_restart(struct ordered *reader, uint64_t start_seq, struct error *err);
/* As ordered_restart(), but waits for ordered_begin(). */
int ordered_rewind(struct ordered *reader, uint64_t start_seq, struct error *err);
int ordered_begin(struct ordered *reader, struct error *err);
/* No handler call begins or runs after this returns (called by the hub's own thread: after the
 * present one). */
void ordered_close(struct ordered *reader);

/* These from any thread while the reader is open. */
uint64_t ordered_next_seq(struct ordered *reader);
/* Messages behind the last one delivered, as of the server's last word; UINT64_MAX: not known yet.
 */
uint64_t ordered_pending(struct ordered *reader);
/* Has the present consumer said anything yet, be it a heartbeat? */
bool ordered_is_alive(struct ordered *reader);
/* Is what is wrong that the link broke, or that ordered_suspect() was called? */
bool ordered_link_was_lost(struct ordered *reader);
/* NULL when all is well, else what is wrong, as constant text. */
const char *ordered_trouble(struct ordered *reader);
/* It delivers nothing more until it is restarted. */
void ordered_suspect(struct ordered *reader);

/*
 * Reads a JetStream reply subject ($JS.ACK, both layouts: ADR-15 of nats-architecture-and-design).
 * False when it is none.
 */
struct ordered_place {
    uint64_t stream_seq, consumer_seq, pending;
    int64_t stored_at_ns;
};
bool ordered_parse_place(struct slice reply, struct ordered_place *ret);
