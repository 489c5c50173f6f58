/*
 * idset: which ids are alive, and which of the last 65,536 have been seen.
 */
#pragma once

#include "source/sim/random.h"
#include <stddef.h>

/* A set of (id, group), open addressing; grows, never shrinks. Zero-initialised is empty. */
struct idset {
    struct idset_entry *entries;
    size_t room, count;
};

void idset_done(struct idset *set);
/* Both return whether the set changed. */
bool idset_add(struct idset *set, const struct uuid *id, uint32_t group);
bool idset_remove(struct idset *set, const struct uuid *id, uint32_t group);

#define SEEN_MAX 65536

struct seen;
struct seen *seen_new(void);
void seen_free(struct seen *seen);
/* Notes the id; true when it was among the last SEEN_MAX noted. */
bool seen_note(struct seen *seen, const struct uuid *id);
