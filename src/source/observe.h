/*
 * observe: the agent that runs sources and publishes what they tell.
 *
 *     source threads ─▶ two bounded queues (transitions, samples) ─▶ main thread ─▶ JetStream
 *
 * One thread per source, so that a source that hangs holds nothing up but itself. What JetStream
 * has not acknowledged is sent again with the same event id, which the server recognises. While
 * NATS is away, events wait; past OBSERVE_WAITING_MAX the oldest of that queue go, and
 * `dropped_events` of SourceSampled says how many went.
 */
#pragma once

#include "bus/bus.h"
#include "source/source.h"

#define OBSERVE_WAITING_MAX 10000 /* of each of the two queues */
#define OBSERVE_SOURCES_MAX 8

struct observe_options {
    struct source_options source;
    struct bus_options nats;
    const struct source *sources[OBSERVE_SOURCES_MAX];
    size_t source_count;
    bool skip_missing; /* sources that do not apply here are left out, rather than an error */
    bool once;         /* one look of each source */
    bool print;        /* JSON lines on standard output instead of publishing */
};

/* The table of all event types, in Markdown; the source's own rows first, then the agent's. */
void observe_print_types(void);
/* The source of that name; NULL: there is none. */
const struct source *observe_source(const char *name);

/* Runs until SIGINT or SIGTERM, or with `once` until all is published. Returns an exit code. */
int observe_run(const struct observe_options *options, struct error *err);
