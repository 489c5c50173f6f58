#include "source/sim/idset.h"

#include "base/memory.h"

struct idset_entry {
    struct uuid id;
    uint32_t group; /* 0: empty place */
};

static uint64_t hash_id(const struct uuid *id, uint32_t group)
{
    uint64_t words[2];
    memcpy(words, id->bytes, sizeof words);
    return rng_mix(words[0] ^ words[1] * 3 ^ group);
}

/* The entry, or the empty place where it would go. */
static size_t locate(const struct idset *set, const struct uuid *id, uint32_t group)
{
    size_t at = (size_t)hash_id(id, group) & (set->room - 1);
    while (set->entries[at].group &&
           (set->entries[at].group != group || !uuid_eq(&set->entries[at].id, id)))
        at = (at + 1) & (set->room - 1);
    return at;
}

static void grow(struct idset *set)
{
    struct idset old = *set;
    set->room = old.room ? old.room * 2 : 1024;
    set->entries = xcalloc(set->room, sizeof *set->entries);
    for (size_t i = 0; i < old.room; i++) {
        if (old.entries[i].group)
            set->entries[locate(set, &old.entries[i].id, old.entries[i].group)] = old.entries[i];
    }
    free(old.entries);
}

void idset_done(struct idset *set)
{
    free(set->entries);
    *set = (struct idset){0};
}

bool idset_add(struct idset *set, const struct uuid *id, uint32_t group)
{
    if (set->count * 2 >= set->room)
        grow(set);
    size_t at = locate(set, id, group + 1);
    if (set->entries[at].group)
        return false;
    set->entries[at] = (struct idset_entry){*id, group + 1};
    set->count++;
    return true;
}

bool idset_remove(struct idset *set, const struct uuid *id, uint32_t group)
{
    if (!set->room)
        return false;
    size_t hole = locate(set, id, group + 1), mask = set->room - 1;
    if (!set->entries[hole].group)
        return false;
    /* Move what follows back over the hole wherever its own place allows it: no tombstones. */
    for (size_t at = (hole + 1) & mask; set->entries[at].group; at = (at + 1) & mask) {
        size_t home = (size_t)hash_id(&set->entries[at].id, set->entries[at].group) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            set->entries[hole] = set->entries[at];
            hole = at;
        }
    }
    set->entries[hole].group = 0;
    set->count--;
    return true;
}

/* --- recently seen ---------------------------------------------------------------------------- */

enum { HEADS = 2 * SEEN_MAX };

/* A ring of ids, chained by hash; numbers in the chains are ring places plus one. */
struct seen {
    struct uuid ids[SEEN_MAX];
    uint32_t next[SEEN_MAX], heads[HEADS];
    uint64_t count;
};

struct seen *seen_new(void)
{
    return xcalloc(1, sizeof(struct seen));
}

void seen_free(struct seen *seen)
{
    free(seen);
}

static uint32_t *head_of(struct seen *seen, const struct uuid *id)
{
    return &seen->heads[hash_id(id, 0) & (HEADS - 1)];
}

static void unlink_place(struct seen *seen, uint32_t place)
{
    uint32_t *link = head_of(seen, &seen->ids[place - 1]);
    while (*link != place)
        link = &seen->next[*link - 1];
    *link = seen->next[place - 1];
}

bool seen_note(struct seen *seen, const struct uuid *id)
{
    uint32_t *head = head_of(seen, id);
    bool found = false;
    for (uint32_t at = *head; at && !found; at = seen->next[at - 1])
        found = uuid_eq(&seen->ids[at - 1], id);
    uint32_t place = (uint32_t)(seen->count++ % SEEN_MAX) + 1;
    if (seen->count > SEEN_MAX)
        unlink_place(seen, place);
    seen->ids[place - 1] = *id;
    seen->next[place - 1] = *head;
    *head = place;
    return found;
}
