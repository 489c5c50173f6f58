/*
 * pool: connections with their rules, for requests that read events; made when first wanted, kept.
 *
 * POOL_READERS_MAX at once; who comes when all are taken waits POOL_PATIENCE_S. Thread-safe.
 */
#pragma once

#include "read/events.h"

#define POOL_READERS_MAX 4
#define POOL_PATIENCE_S  10

struct pool;

/* `nats` and `rules_folder` must live as long as it. Does not connect yet. */
void pool_new(struct pool **ret, const struct bus_options *nats, const char *rules_folder);
/* What is taken is told to stop (reader.stopped), and nothing is handed out any more. */
void pool_stop(struct pool *pool);
void pool_free(struct pool *pool); /* all must be back; NULL is allowed */

/*
 * The reader is the caller's until it is given back, with no filter and nothing wanted; it stops
 * after `patience_s` and when the pool does. NULL: EXIT_CODE_UNREACHABLE (NATS), EXIT_CODE_REFUSED
 * (all are taken).
 */
struct events_reader *pool_take(struct pool *pool, int patience_s, struct error *err);
/* Frees its streams and the filter. */
void pool_give_back(struct pool *pool, struct events_reader *reader);
