/*
 * projection: one JSON document per aggregate, folded from its events.
 *
 * The files under rules/ say how, in `projections:` (doc/rules.md, "Projections"): every entry
 * whose conditions hold is applied to the event's aggregate, in the order of the files and of the
 * entries in them. An aggregate is a domain and an aggregate id of it; an event without either is
 * none's.
 *
 * A document is
 *
 *     {"domain":..., "aggregate_id":..., "aggregate_type":..., "sequences":{"STREAM":last folded},
 *      "events":number folded, "value":{...}}
 *
 * without blanks, in this order, members of `sequences` and `value` ascending by name: the same
 * events give the same bytes. An event whose sequence is not above the one that the document has of
 * its stream changes nothing, so redelivery and folding again count nothing twice.
 *
 * Numbers and strings of payloads are kept as the producer wrote them (json/tree.h): integers of
 * any length, 0.10, 1E400. What is counted stops at 2^64 - 1.
 *
 * Bounded: PROJECTION_BYTES_MAX of a document, PROJECTION_DEPTH_MAX of a value taken in,
 * PROJECTION_STREAMS_MAX streams of one aggregate. What would go beyond is an error that names the
 * aggregate, and leaves the document as it was.
 *
 * Cost of an event: its rules' conditions, one pass over the payload, and the bytes that the
 * document takes; a document of more than PROJECTION_COPIED_BYTES is copied before.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "event/view.h"

#define PROJECTION_BYTES_MAX      (1u << 20)
#define PROJECTION_COPIED_BYTES   (64u << 10)
#define PROJECTION_DEPTH_MAX      256
#define PROJECTION_STREAMS_MAX    64
#define PROJECTION_RULES_MAX      256
#define PROJECTION_STEPS_MAX      32 /* of one rule */
#define PROJECTION_FIELDS_MAX     64 /* of one step */
#define PROJECTION_APPEND_DEFAULT 100
#define PROJECTION_APPEND_MAX     10000

/* --- rules ------------------------------------------------------------------------------------ */

struct projection_rules;

/*
 * Of every *.yaml in the folder that has `projections:`. EXIT_CODE_USAGE names file, line and what
 * was expected. Unchanging once loaded: any number of threads may use it.
 */
int projection_rules_load(const char *folder, struct projection_rules **ret, struct error *err);
void projection_rules_free(struct projection_rules *rules);
size_t projection_rules_count(const struct projection_rules *rules);
/* The same for rules of the same meaning: documents made by others do not compare. */
uint64_t projection_rules_fingerprint(const struct projection_rules *rules);

/* --- documents -------------------------------------------------------------------------------- */

struct projection_doc;

struct projection_doc *projection_doc_new(void);
void projection_doc_free(struct projection_doc *doc);
void projection_doc_reset(struct projection_doc *doc); /* empty, as a new one */
/* EXIT_CODE_DAMAGED: not such a document. The document is empty then. */
int projection_doc_load(struct projection_doc *doc, struct slice bytes, struct error *err);
/* Nothing when it is empty. */
void projection_doc_write(const struct projection_doc *doc, struct buf *out);
bool projection_doc_is_empty(const struct projection_doc *doc);
uint64_t projection_doc_events(const struct projection_doc *doc);
/* The last sequence folded of this stream; 0: none. */
uint64_t projection_doc_seq(const struct projection_doc *doc, struct slice stream);
/* About what it takes in memory, never less than its bytes: for the bound of a cache. */
size_t projection_doc_room(const struct projection_doc *doc);

/* --- folding ---------------------------------------------------------------------------------- */

enum projection_effect {
    PROJECTION_NONE,    /* folded before, or no rule is for it */
    PROJECTION_CHANGED, /* the document is another now, if only by its sequence */
    PROJECTION_GONE, /* `end`: the document is empty, and what is stored of it is to be deleted */
};

struct projection_event {
    struct slice stream;
    uint64_t seq; /* above 0 */
    const struct event_input *input;
    const struct event_view *view;
    struct slice payload; /* the event's own: decoded when it was sent as an array of bytes */
};

/* What applying takes, for one thread. The rules must outlive it. */
struct projector;
struct projector *projector_new(const struct projection_rules *rules);
void projector_free(struct projector *projector);

/*
 * Folds the event into the document of its aggregate: which one that is, is the caller's business
 * (EXIT_CODE_INTERNAL: it is another's). EXIT_CODE_PROBLEM: the event is too much for it; the
 * document is as it was, and the event can be skipped.
 */
int projection_apply(struct projector *projector, struct projection_doc *doc,
                     const struct projection_event *event, enum projection_effect *ret,
                     struct error *err);

/* The same for a document in bytes (in and out; empty: none yet, or gone). Parses and writes it. */
int projection_apply_bytes(struct projector *projector, struct buf *document,
                           const struct projection_event *event, enum projection_effect *ret,
                           struct error *err);
