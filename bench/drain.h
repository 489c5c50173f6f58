/*
 * drain: a bare socket that reads a stream as fast as the server sends it, by the same kind of
 * consumer as ours (push, ack none, flow control), and looks at nothing: what a reader is held
 * against.
 */
#pragma once

#include "server.h"

struct drain {
    int fd;
    char *bytes; /* a window on the stream of bytes: begin..end is unread */
    size_t begin, end, room;
};

void drain_open(struct drain *drain, unsigned port, size_t room);
void drain_close(struct drain *drain);
/* One protocol line without its CRLF, NUL-terminated in place. */
char *drain_line(struct drain *drain);

/* A message, for those who look at it all the same; valid during the call. */
struct drained {
    struct slice subject, header_block, payload;
    uint64_t seq;
};
typedef void drain_taker(void *context, const struct drained *message);

/* The first `events` messages of a stream; `take` NULL: they are passed over. */
void drain_stream(unsigned port, const char *stream, uint64_t events, drain_taker *take,
                  void *context);
/* In a process of its own. */
struct figure drain_measure(unsigned port, const char *stream, uint64_t events);
