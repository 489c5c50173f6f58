/*
 * engine: folds stored messages into the registry, one after the other, in stream order.
 *
 * Deterministic: the state of a stream at a sequence depends on its messages and the rules alone.
 * Work that depends only on an event's class (envelope and the five class fields) is done once per
 * class and kept; an event then costs one pass over its bytes, one lookup and one addition per
 * metric.
 *
 * One thread at a time; the caller holds the registry's lock around engine_fold().
 */
#pragma once

#include "fold/rules.h"
#include "fold/shard.h"
#include "schema/schema.h"

#define DUPLICATE_WINDOW     65536 /* ids remembered per stream */
#define REMEMBERED_BYTES_MAX 256   /* of a remembered text; what is longer is cut */
#define REMEMBERED_KEYS_MAX  65536 /* per stream, oldest forgotten first */
#define CLASSES_MAX          16384 /* per stream; further classes are folded without the cache */
#define PAYLOAD_LARGE_BYTES  (8u << 20)

enum engine_report {
    REPORT_MALFORMED, /* not counted as an event */
    REPORT_SUSPECT,   /* counted, but odd */
    REPORT_GAP,       /* messages that were gone before they could be read */
    REPORT_CHAIN,     /* its CID is not that of its content, or not that of its place */
};

struct stream_state;

struct engine_reporter {
    void (*report)(void *context, enum engine_report what, const struct stream_state *state,
                   uint64_t seq, const char *reason, uint64_t amount);
    void *context;
    /* An event does not fit its schema (fold/contract.h). May be NULL. */
    void (*violation)(void *context, const struct stream_state *state, uint64_t seq,
                      const struct event_view *view, const struct schema_violation *violation);
};

struct engine;

/* Takes nothing over: rules and registry must outlive the engine. */
int engine_new(const struct rules *rules, struct registry *registry,
               struct engine_reporter reporter, struct engine **ret, struct error *err);
void engine_free(struct engine *engine);
/* Fold a share of the messages only; before the first one. */
int engine_set_shard(struct engine *engine, struct shard shard, struct error *err);

/*
 * Called within engine_fold() when it is known what a message is and before anything is counted:
 * for those who date what follows (metrics/history.h). occurred_at_ns is NULL where the event does
 * not say; it may be absurd.
 */
void engine_watch(struct engine *engine,
                  void (*before)(void *context, const struct event_input *input,
                                 const int64_t *occurred_at_ns),
                  void *context);

/* The state of a stream ("" stands for messages that no stream captures), made empty when new. */
struct stream_state *engine_stream(struct engine *engine, const char *name);

int engine_fold(struct engine *engine, struct stream_state *state, const struct event_input *input);

/*
 * Caches that are full, since the engine was made: events folded without the class cache, messages
 * for which a group of rules was put together anew. Slower, not wrong; restarts do not keep it.
 */
struct engine_overflows {
    uint64_t classes, groups;
};
struct engine_overflows engine_overflows(const struct engine *engine);

/*
 * The domain that the subject alone tells, for counting what waits; "unknown" when it does not
 * tell. `out` has room for DOMAIN_TEXT_MAX bytes, NUL-terminated.
 */
#define DOMAIN_TEXT_MAX 64
void engine_domain_of(struct engine *engine, struct slice subject, char *out);

/*
 * Can a message under this subject have one of the values (`list`, commas between; NULL: any) in
 * that field? False only when the subject alone says no, whatever its headers and payload are.
 */
bool engine_subject_may(struct engine *engine, struct slice subject, enum event_field field,
                        const char *list);

/*
 * Domains are numbered as they are first seen, 0 to TALLY_DOMAINS_MAX - 1; the last number stands
 * for all further ones. engine_fold() says which domain the message was of, -1 when it was
 * malformed or not new.
 */
#define TALLY_DOMAINS_MAX 64
const char *engine_domain_name(const struct engine *engine, size_t domain);

/* The payload of the message looked at last: decoded, when it was sent as an array of bytes. Valid
 * until the next. */
struct slice engine_payload(const struct engine *engine);
/* The event view of one message, for inspection; false when it is malformed (*ret_why, constant).
 */
bool engine_view(struct engine *engine, const struct event_input *input, struct event_view *ret,
                 const char **ret_envelope, const char **ret_why);
