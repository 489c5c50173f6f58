/*
 * instant: points in time, as int64 nanoseconds since 1970-01-01T00:00:00Z.
 *
 * The range is 1677 to 2262; parsers refuse what lies outside. Source of the text form: RFC 3339.
 * Cost of parsing: one pass, no allocation, no locale, no time zone data.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define NS_PER_SECOND    INT64_C(1000000000)
#define NS_PER_MS        INT64_C(1000000)
#define INSTANT_TEXT_MAX 40

int64_t instant_now_ns(void);       /* wall clock */
int64_t instant_monotonic_ns(void); /* for intervals only */
int64_t instant_thread_cpu_ns(void);

/*
 * RFC 3339 with 0 to 9 fraction digits (more are read and dropped) and `Z`, `+hh:mm` or `-hh:mm`;
 * lower-case t/z and a space for the T are accepted as the RFC allows; a leap second (:60) is the
 * first instant of the next minute. False: not a timestamp, or out of range; *ret_ns is then as it
 * was.
 */
bool instant_parse_rfc3339(struct slice text, int64_t *ret_ns);

/* Writes e.g. 2026-07-11T12:00:27.671243528Z (always nine digits), NUL-terminated; returns the
 * length. */
size_t instant_format(int64_t ns, char out[static INSTANT_TEXT_MAX]);

/* "10s", "250ms", "5m", "2h", "1d", or bare seconds ("15", "0.5"). False: not a duration. */
bool duration_parse(struct slice text, int64_t *ret_ns);

/* Seconds since the epoch, as the double next to them: the quotient of two doubles would not be. */
static inline double instant_seconds(int64_t ns)
{
    return (double)(ns / NS_PER_SECOND) + (double)(ns % NS_PER_SECOND) / 1e9;
}
