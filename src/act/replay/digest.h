/*
 * digest: count and digest of each aggregate, over sequence, subject and bytes, in order.
 *
 * The digest of an aggregate is a chain: BLAKE3 of the one before it, the stream's name, the
 * sequence, the subject and the payload, each with its length. Two selections are equal when every
 * aggregate has the same count and digest. A trace keeps sequence and hash of each event of a few
 * aggregates, to say where they part.
 *
 * Memory: about 150 bytes and its name for an aggregate, DIGEST_AGGREGATES_MAX at most; 16 bytes
 * for an event of a traced one.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/u64map.h"

#define DIGEST_AGGREGATES_MAX 5000000
#define DIGEST_BYTES          32
#define DIGEST_TRACED_MAX     100
#define DIGEST_TRACE_EVENTS   1000000 /* over all traced aggregates */

struct digest_step {
    uint64_t seq, hash;
};

struct digest_entry {
    char *name;
    uint64_t key, count, first, last;
    uint8_t chain[DIGEST_BYTES];
    struct digest_step *steps; /* of a traced one */
    size_t step_count, step_room;
};

struct digest {
    struct digest_entry *entries;
    size_t count, room;
    struct u64map by_key; /* to index + 1 */
    struct u64map traced; /* empty: all are taken in and none is traced; else only these */
    size_t steps;
    uint64_t events, bytes;
    struct buf scratch;
};

struct digest_event {
    uint64_t key;
    struct slice name; /* looked at when the aggregate is new */
    struct slice stream, subject, payload;
    uint64_t seq;
};

void digest_done(struct digest *digest);
/* EXIT_CODE_REFUSED: too many aggregates. */
int digest_add(struct digest *digest, const struct digest_event *event, struct error *err);
void digest_sort(struct digest *digest); /* by name; no digest_add() behind it */
/* One for all, of the sorted entries, in hex. */
#define DIGEST_TEXT_MAX (2 * DIGEST_BYTES + 1)
void digest_total(const struct digest *digest, char ret[static DIGEST_TEXT_MAX]);
void digest_text(const uint8_t bytes[static DIGEST_BYTES], char ret[static DIGEST_TEXT_MAX]);

/*
 * The differences of two sorted sets, at most `room` of them; returns how many there are in all.
 * `a` or `b` is NULL where the aggregate is missing.
 */
struct digest_difference {
    const struct digest_entry *a, *b;
};
size_t digest_compare(const struct digest *a, const struct digest *b, struct digest_difference *ret,
                      size_t room);
/* The sequence where two traces part; 0: they do not. */
uint64_t digest_parting(const struct digest_entry *a, const struct digest_entry *b);
