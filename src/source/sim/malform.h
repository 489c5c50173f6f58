/*
 * malform: payloads that no reader can take, made from one that every reader can.
 */
#pragma once

#include "base/buf.h"
#include "source/sim/random.h"

/* Appends a damaged variant of `payload` (a JSON object or array) to *out: never well-formed. */
void malform(struct slice payload, struct rng *rng, struct buf *out);
