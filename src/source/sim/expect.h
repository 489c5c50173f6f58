/*
 * expect: what the metrics must come to, kept beside the sending.
 *
 * Written from the meaning of the metrics (doc/operations/monitoring-guide.md), not from the fold:
 * it is what the fold is held against. Feed each stored message once, per stream in stream order.
 * Memory grows with the aggregates that are alive. Not thread-safe.
 */
#pragma once

#include "source/sim/sim.h"

struct expect;

struct expect *expect_new(void);
void expect_free(struct expect *expect);
/* `stream` is empty for messages that no stream stored. */
void expect_add(struct expect *expect, const struct sim_account *account, struct slice stream);
/* Prometheus text exposition, appended. */
void expect_print(const struct expect *expect, struct buf *ret);
/* The same, atomically into a file. */
int expect_write(const struct expect *expect, const char *path, struct error *err);

/* The class of failure that an event type names, or NULL when it names none. */
const char *expect_error_type(const char *event_type);
/* Does the event end its aggregate's life? */
bool expect_is_final(enum sim_domain domain, const char *event_type);
/* Sum of cim_duplicate_events_total. */
uint64_t expect_duplicates(const struct expect *expect);
