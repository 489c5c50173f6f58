/*
 * blake3: the BLAKE3 hash with its default 256-bit digest, neither keyed nor deriving keys.
 *
 * Debian 12 has no C library of it. Written from the BLAKE3 paper ("BLAKE3: one function, fast
 * everywhere", sections 2 and 5.3). One call over bytes that lie in one piece; no allocation, no
 * state. Up to 1 KiB one block is hashed after the other, four columns at once; longer input is
 * hashed eight chunks at once, with AVX2 where the processor has it. Thread-safe.
 */
#pragma once

#include "base/slice.h"

#define BLAKE3_BYTES 32

void blake3(struct slice bytes, uint8_t ret_digest[static BLAKE3_BYTES]);

/* For tests: the path that every processor has. */
void blake3_portable(struct slice bytes, uint8_t ret_digest[static BLAKE3_BYTES]);
