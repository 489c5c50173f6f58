/* print: events as JSON lines on standard output, payload bytes as they are. */
#pragma once

#include "source/sim/sim.h"

/* {"subject":...,"headers":{...},"payload":...}, or "payload_base64" where the payload is no JSON.
 * Buffered. */
int print_event(const struct sim_event *event, struct error *err);
int print_flush(struct error *err);
/* The line itself, without its end. */
void print_line(const struct sim_event *event, struct buf *ret);
