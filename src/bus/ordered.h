/*
 * ordered: every message of one stream, once, in stream order, without acknowledgements.
 *
 * An ephemeral push consumer (ack none, flow control, idle heartbeat) that hands over messages
 * whose consumer sequence is unbroken. When one is missing, or the server falls silent, the reader
 * stops delivering and says so by ordered_trouble(); the owner then looks at the stream (was it
 * re-created?) and calls ordered_restart(). Nothing is ever delivered twice across a restart at
 * ordered_next_seq().
 *
 * A stream sequence that jumps is no trouble: those messages are gone from the stream. The owner
 * sees the jump in `seq`. Threads: on_message as in bus.h; the other calls from one owner thread.
 * Cost per message: one parse of the reply subject, one uncontended mutex.
 */
#pragma once

#include "bus/bus.h"

struct ordered;

/* Owns the message: release it. */
typedef void ordered_handler(void *context, struct bus_message *message);

#define ORDERED_HEARTBEAT_NS INT64_C(2000000000)
#define ORDERED_SILENCE_NS   (3 * ORDERED_HEARTBEAT_NS)

/* EXIT_CODE_REFUSED: the server answered, and it will not have this consumer. */
int ordered_open(struct bus *bus, const char *stream, uint64_t start_seq,
                 ordered_handler *on_message, void *context, struct ordered **ret,
                 struct error *err);
/* Makes a new consumer from start_seq; messages of the old one are dropped from this moment. */
int ordered_restart(struct ordered *reader, uint64_t start_seq, struct error *err);
/* No handler call begins after this returns; one may still be finishing on the client's thread. */
void ordered_close(struct ordered *reader);

uint64_t ordered_next_seq(struct ordered *reader);
/* Messages behind the last one delivered, as of the server's last word; UINT64_MAX: not known yet.
 */
uint64_t ordered_pending(struct ordered *reader);
/* NULL when all is well, else what is wrong, as constant text. */
const char *ordered_trouble(struct ordered *reader);
/* After a reconnect: do not wait for the silence, look now. */
void ordered_suspect(struct ordered *reader);

/*
 * Reads a JetStream reply subject ($JS.ACK, both layouts: ADR-15 of nats-architecture-and-design).
 * False when it is none.
 */
struct ordered_place {
    uint64_t stream_seq, consumer_seq, pending;
    int64_t stored_at_ns;
};
bool ordered_parse_place(const char *reply, struct ordered_place *ret);
