/*
 * flow: all events of one correlation, with what caused them and what they caused.
 *
 * Correlation ids do not always go along (events.md, rule 8), so causation is followed, too: an
 * event caused by one of the flow is of the flow; what caused one of the flow is, and what caused
 * that, but not what else came of it. Causes lie before their effects, so the streams are read
 * again until a pass finds nothing new. Memory: about 50 bytes an event of the flow,
 * FLOW_EVENTS_MAX at most; cost: two passes at least.
 */
#pragma once

#include "act/replay/selection.h"

#define FLOW_EVENTS_MAX 1000000
#define FLOW_PASSES_MAX 32

struct flow;

/* EXIT_CODE_PROBLEM: no event bears the id. EXIT_CODE_REFUSED: a limit is reached. */
int flow_find(struct selection *selection, const char *correlation, struct flow **ret,
              struct error *err);
void flow_free(struct flow *flow);
bool flow_has(const struct flow *flow, size_t stream, uint64_t seq);
