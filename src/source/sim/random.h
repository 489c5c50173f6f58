/*
 * random: a seeded generator, and ids made from it.
 *
 * xoshiro256** seeded through splitmix64: the same seed gives the same numbers on each machine. Not
 * for secrets. No allocation; a few nanoseconds a draw.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct rng {
    uint64_t s[4];
};

struct uuid {
    uint8_t bytes[16];
};

#define UUID_TEXT_LEN 36

/* One step of splitmix64, as a hash: the same input gives the same output. */
uint64_t rng_mix(uint64_t value);
void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Even over 0 .. bound-1 (bound > 0), by multiplication: the bias is below 2^-32 for small bounds.
 */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* True with the probability `share` (0 to 1). */
bool rng_chance(struct rng *rng, double share);

/* RFC 9562 version 4 from two random words; version 7 with the milliseconds of `at_ns`. */
struct uuid uuid_v4(uint64_t high, uint64_t low);
struct uuid uuid_v7(int64_t at_ns, uint64_t high, uint64_t low);
/* Writes 36 characters, no NUL. */
void uuid_format(const struct uuid *id, char *out);

static inline bool uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
