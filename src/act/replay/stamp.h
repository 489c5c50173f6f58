/*
 * stamp: the headers of a replayed event, and back.
 *
 * An event keeps its headers. Those that JetStream would act on (Nats-Msg-Id, Nats-Expected-...,
 * Nats-Rollup, Nats-TTL ...: all that begin with Nats-) are renamed, Nats-X to Cim-Replay-X, since
 * they were meant for the stream it came from: a Nats-Msg-Id that the target knows would drop the
 * event, a Nats-Rollup would empty the target. (Nats-Stream and Nats-Sequence, which republishing
 * servers write, Nats-Id and Nats-Time become Cim-Replay-Nats-Stream and so on.) Added are
 *
 *     Cim-Replay-Id, Cim-Replay-Stream, Cim-Replay-Sequence, Cim-Replay-Time
 *     Nats-Msg-Id: <replay id>:<stream>:<sequence>     where a stream takes it
 *
 * and those of an earlier replay are replaced, so that an event can be replayed again and again.
 */
#pragma once

#include "base/buf.h"
#include "event/headers.h"

struct stamp {
    struct slice replay, stream; /* its id; the stream that the event comes from */
    uint64_t seq;
    int64_t stored_at_ns;
};

/* At most so many are in a block that stamp_make() has made. */
#define STAMP_HEADERS_MAX (EVENT_HEADERS_MAX + 5)

/*
 * The block with its stamp in *ret (reset before); lines that stay are copied as they are.
 * `for_stream`: with the renaming and the Nats-Msg-Id. False: the block is broken, or has more than
 * EVENT_HEADERS_MAX headers of its own (*ret_why, constant).
 */
bool stamp_make(struct buf *ret, struct slice block, const struct stamp *stamp, bool for_stream,
                const char **ret_why);

/* Finds the stamp in a block of the target; times are not read. False: it has none. */
bool stamp_read(struct slice block, struct stamp *ret);
/* Appends the block as it was before; nothing when there was none. */
void stamp_strip(struct slice block, struct buf *out);
