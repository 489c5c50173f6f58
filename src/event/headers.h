/*
 * headers: the header block of a NATS message, read in place.
 *
 * A block is "NATS/1.0[ status]\r\n", then "Name: value\r\n" lines, then "\r\n" (ADR-4 of
 * nats-architecture-and-design). Names and values are slices of the block, values without the
 * blanks around them; nothing is copied or allocated. Broken are: another first line, a line
 * without a colon or without a name, a line that does not end in \r\n, a missing or early end.
 * Cost: one pass over the block.
 */
#pragma once

#include "base/slice.h"

#define EVENT_HEADERS_MAX 64 /* per message; what comes behind them is checked but not seen */

struct event_header {
    struct slice name, value;
};

/* Walks a block: begin, then next while it is true; then `broken` tells how it ended. */
struct event_headers {
    struct slice rest;
    bool broken;
};

/* False (and broken) when the first line is none. *ret_status: the text behind the version, absent
 * when there is none; NULL: not asked for. */
bool event_headers_begin(struct event_headers *walk, struct slice block, struct slice *ret_status);
bool event_headers_next(struct event_headers *walk, struct event_header *ret);

/* Writes up to `room` headers and returns how many; -1: the block is broken. An absent or empty
 * block has none. */
int event_headers_parse(struct slice block, struct event_header *out, int room);

/*
 * Header names are compared without case and without a leading `X-` or `CIM-`; events.md lists the
 * seven spellings in use.
 */
bool event_header_is(struct slice name, struct slice wanted);
