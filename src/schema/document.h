/*
 * document: a whole JSON value in memory, for those who must look at all of it.
 *
 * Values lie in one array in the order of the text: the children of a container follow it, and
 * `next` leads past a value with all that it holds. A document is filled again and again and keeps
 * its room, so in the long run reading allocates nothing. Slices point into the text that was read
 * (it must stay) or, where escapes had to be decoded, into the document.
 *
 * A member name that comes twice is there twice. A lone surrogate in a string reads as U+FFFD.
 */
#pragma once

#include "json/extract.h"

#define DOCUMENT_VALUES_MAX 262144
#define DOCUMENT_BYTES_MAX  (32u << 20)

struct document_value {
    struct slice name; /* as member of an object, decoded */
    struct slice text; /* of a string: decoded; of a number: as written */
    uint32_t at;       /* where it begins in the text, in bytes */
    uint32_t next;     /* the place behind this value and all that is in it */
    uint32_t count;    /* elements or members */
    enum json_type type;
};

struct document {
    struct document_value *values; /* 0 is the root; one spare place lies behind the last */
    uint32_t count, room;
    struct buf decoded;
};

enum document_result { DOCUMENT_READ, DOCUMENT_MALFORMED, DOCUMENT_TOO_LARGE };

/*
 * `text` is JSON that json_extract() has found well-formed; what is not is DOCUMENT_MALFORMED or
 * reads as something, but never harms. Zero-initialised is valid and empty.
 */
enum document_result document_read(struct document *document, struct slice text);
void document_done(struct document *document);

/* The first member of that name, or 0 (the root, which is nobody's member). */
uint32_t document_member(const struct document *document, uint32_t object, struct slice name);

/* --- walking --------------------------------------------------------------------------------- */

static inline const struct document_value *document_at(const struct document *document,
                                                       uint32_t value)
{
    return &document->values[value];
}

static inline bool document_is_container(const struct document_value *value)
{
    return value->type == JSON_TYPE_OBJECT || value->type == JSON_TYPE_ARRAY;
}

/* for (uint32_t at; each child of container `of`) */
#define DOCUMENT_EACH(document_, of_, at_)                                                         \
    for (uint32_t at_ = (of_) + 1, left_##at_ = (document_)->values[of_].count; left_##at_;        \
         left_##at_--, at_ = (document_)->values[at_].next)

/* --- values ---------------------------------------------------------------------------------- */

/*
 * Equal as JSON Schema has it: numbers by value (1, 1.0 and 1e0 are one), members in any order.
 * Costs a step per value looked at; *steps counts down, and at 0 the answer is false.
 */
bool document_equal(const struct document *a, uint32_t value_a, const struct document *b,
                    uint32_t value_b, uint64_t *steps);
/* Equal values have equal hashes. */
uint64_t document_hash(const struct document *document, uint32_t value);

/* Appends the RFC 6901 pointer from the root to a value; nothing for the root itself. */
void document_pointer(const struct document *document, uint32_t value, struct buf *out);
/* Appends "/" and the name, escaped by RFC 6901. */
void document_pointer_token(struct slice name, struct buf *out);
