/*
 * own: the events that cim-ops itself publishes.
 *
 * Subject `ops.<domain>.<aggregate>.<id>.<EventType>`, body {event_id, aggregate_id, sequence,
 * timestamp, correlation_id, causation_id, event_type, data}, header Nats-Msg-Id: event_id. Ids are
 * UUID version 7 (RFC 9562), times RFC 3339 with nanoseconds. doc/operations/events.md has one row
 * per type.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"

#define UUID_TEXT_LEN 36

struct own_event {
    struct buf subject, payload;
    char event_id[UUID_TEXT_LEN + 1];
};

/* Writes a version 7 UUID for the present millisecond, NUL-terminated. Randomness: getrandom(2). */
void own_event_id(char out[static UUID_TEXT_LEN + 1]);

/*
 * The same id again for the same `name` and time: what is told twice is recognised as one event, by
 * NATS and by every reader. The random part is a hash of `name`.
 */
void own_event_id_of(struct slice name, int64_t at_ns, char out[static UUID_TEXT_LEN + 1]);

/*
 * Builds one event; `data` is taken over. `correlation_id` and `causation_id` may be NULL (null in
 * the body). In the subject, characters of `id` that a token cannot hold become `_`, and so does an
 * empty id. own_event_done() frees.
 */
void own_event_build(struct own_event *ret, const char *domain, const char *aggregate,
                     const char *id, const char *type, uint64_t sequence,
                     const char *correlation_id, const char *causation_id, json_t *data);
/* With an id from own_event_id_of(); NULL: a fresh one. */
void own_event_build_as(struct own_event *ret, const char *event_id, const char *domain,
                        const char *aggregate, const char *id, const char *type, uint64_t sequence,
                        const char *correlation_id, const char *causation_id, json_t *data);
void own_event_done(struct own_event *event);
