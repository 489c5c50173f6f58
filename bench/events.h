/*
 * events: the corpus many times over, for benchmarks: as traffic varies, so does it.
 *
 * Each line is there in BENCH_VARIANTS forms, in which numbers and free texts (not types, times,
 * ids) have other values and lengths; an event is one of them with new ids. An id that its line
 * uses as an aggregate's (it stands in the subject, or as aggregate_id) is drawn from
 * BENCH_AGGREGATES per line and so comes again; every other id is new in each event. All bytes lie
 * one event behind the other, each payload with BENCH_PADDING bytes behind it that a parser may
 * read (simdjson wants them; ours is told the length only).
 */
#pragma once

#include "base/buf.h"
#include "event/view.h"

enum { BENCH_VARIANTS = 16, BENCH_AGGREGATES = 1000, BENCH_PADDING = 64 };

struct bench_events {
    struct event_input *inputs; /* seq 0: the runner counts */
    size_t count;
    size_t payload_bytes, lines;
    char *bytes;
    struct event_header *headers;
};

/* Lines whose compact payload is shorter than `payload_min` are left out. Ends the process when the
 * corpus cannot be read. */
void bench_events_make(const char *corpus, size_t payload_min, size_t count,
                       struct bench_events *ret);
void bench_events_done(struct bench_events *events);
