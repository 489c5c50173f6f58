/*
 * What the agent is made of: what waits (waiting.c), and the line to NATS or to standard output
 * (line.c). Private to src/source/.
 */
#pragma once

#include "event/own.h"
#include "source/observe.h"

enum waiting_class { WAITING_TRANSITIONS, WAITING_SAMPLES, WAITING_CLASSES };

/* Events on their way, in two rings of OBSERVE_WAITING_MAX; all calls are thread-safe. */
struct waiting;
struct waiting *waiting_new(const char *node);
void waiting_free(struct waiting *waiting);
/* `data` is taken over. The oldest of the class makes room. */
void waiting_add(struct waiting *waiting, enum waiting_class class, const char *domain,
                 const char *aggregate, const char *id, const char *type, json_t *data);
/* Takes up to `room`, transitions first; waits up to wait_ms for one. */
size_t waiting_take(struct waiting *waiting, struct own_event *out, size_t room, int wait_ms);
size_t waiting_count(struct waiting *waiting);
uint64_t waiting_dropped(struct waiting *waiting); /* since the start */

/* May this source tell this? (catalogue.c) */
bool catalogue_has(const struct source *source, const char *aggregate, const char *type);

struct source_sink {
    struct waiting *waiting;
    const struct source *source;
    int64_t interval_ns;
};

/*
 * One owner, the main thread. `nats` NULL: standard output. `advisories`: JetStream's own are
 * captured into CIM-OPS as well, so that they are not lost while nobody listens.
 */
struct delivery_line;
struct delivery_line *line_new(const struct bus_options *nats, bool quiet, bool advisories);
void line_free(struct delivery_line *line);
/* Sends some of what waits; returns after wait_ms when there is nothing to do. */
void line_turn(struct delivery_line *line, struct waiting *waiting, int wait_ms);
/* Until nothing waits; fails when that takes longer than patience_ns. */
int line_finish(struct delivery_line *line, struct waiting *waiting, int64_t patience_ns,
                struct error *err);
