/*
 * journal: the monitor's own doings as events on ops.monitor.>, instead of log lines.
 *
 * journal_add() may be called from any thread and never blocks: events wait in a bounded list and
 * are published, with their acknowledgement awaited, by journal_flush() on the owner's thread.
 * While NATS is away they wait; past JOURNAL_WAITING_MAX the oldest are dropped and counted.
 */
#pragma once

#include <jansson.h>

#include "bus/bus.h"

#define JOURNAL_WAITING_MAX 1000
#define JOURNAL_BURST       10 /* bounded events: this many at once, */
#define JOURNAL_PER_SECOND  1  /* then this many a second */

struct journal;

struct journal *journal_new(struct bus *bus, const char *instance);
void journal_free(struct journal *journal);

/* Takes `data` over. `aggregate` and `id` name what it is about, e.g. stream, CIM-EVENTS. */
void journal_add(struct journal *journal, const char *aggregate, const char *id, const char *type,
                 json_t *data);
/*
 * The same at a bounded rate per type; data of those held back is dropped and their number stands
 * in the next one's `suppressed`. The rate is taken before `make` is called, so it costs next to
 * nothing.
 */
bool journal_may_add(struct journal *journal, const char *type, uint64_t *ret_suppressed);

/* Publishes what waits, for at most timeout_ms. Returns the number left. */
size_t journal_flush(struct journal *journal, int timeout_ms);
uint64_t journal_dropped(struct journal *journal);
size_t journal_waiting(struct journal *journal);
