/* unit: what every unit test includes first, and a few checks that cmocka lacks. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"

/* The slice is present and holds exactly this text. */
#define assert_slice(slice_, text_)                                                                \
    do {                                                                                           \
        struct slice have_ = (slice_), want_ = slice_of(text_);                                    \
        if (!slice_present(have_) || !slice_eq(have_, want_))                                      \
            fail_msg("'%.*s'%s, expected '%s'", SLICE_ARG(have_),                                  \
                     slice_present(have_) ? "" : " (absent)", want_.ptr);                          \
    } while (0)

#define assert_absent(slice_) assert_false(slice_present(slice_))

#define assert_contains(text_, part_)                                                              \
    do {                                                                                           \
        const char *have_ = (text_), *part__ = (part_);                                            \
        if (!strstr(have_, part__))                                                                \
            fail_msg("'%s' is not in:\n%s", part__, have_);                                        \
    } while (0)

/* Doubles that must be the very same. */
#define assert_same_double(have_, want_)                                                           \
    do {                                                                                           \
        double a_ = (have_), b_ = (want_);                                                         \
        if (memcmp(&a_, &b_, sizeof a_) != 0)                                                      \
            fail_msg("%.17g, expected %.17g", a_, b_);                                             \
    } while (0)

/* A small generator (splitmix64) with a fixed seed: failures repeat. */
static inline uint64_t random_u64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return random_u64(state) % bound;
}
