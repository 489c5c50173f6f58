/*
 * wire_parse: the client side of the NATS protocol, one frame at a time, in place.
 *
 * Frames are what a server sends: INFO, MSG, HMSG, PING, PONG, +OK, -ERR
 * (docs.nats.io/reference/reference-protocols/nats-protocol). Nothing is copied; slices point into
 * the bytes given. Stateless: a frame that is not whole yet is parsed from its first byte again
 * once `wanted` bytes are there. Cost of a message: one scan of its control line.
 */
#pragma once

#include "base/slice.h"

#define WIRE_LINE_MAX    (256u << 10) /* a control line: INFO lists the servers of a cluster */
#define WIRE_MESSAGE_MAX (64u << 20)  /* headers and payload; nats-server's own upper limit */

enum wire_kind {
    WIRE_PARTIAL, /* more bytes are needed: `wanted` in all */
    WIRE_BROKEN,  /* not the protocol, or past the limits */
    WIRE_MESSAGE,
    WIRE_INFO,
    WIRE_PING,
    WIRE_PONG,
    WIRE_OK,
    WIRE_ERROR,
};

struct wire_message {
    uint64_t sid;
    struct slice subject, reply; /* reply: absent when there is none */
    struct slice header_block;   /* absent when there is none */
    struct slice payload;
};

struct wire_frame {
    struct wire_message message; /* WIRE_MESSAGE */
    struct slice text;           /* WIRE_INFO: the JSON; WIRE_ERROR: the words, without quotes */
    size_t used;                 /* bytes of the frame */
    size_t wanted; /* WIRE_PARTIAL: at least so many are needed; always more than given */
};

enum wire_kind wire_parse(struct slice bytes, struct wire_frame *ret);
