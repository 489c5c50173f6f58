/*
 * table: from the hash of a text to the number of what has that text. Open addressing, no removal.
 *
 * Zero-initialised is valid and empty; table_done() frees. Equal hashes are told apart by the
 * caller: it walks the candidates with table_next() and compares. Eight bytes a slot, at most three
 * quarters full; growth doubles and needs nothing but the table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table_slot {
    uint32_t hash;
    uint32_t number_1; /* the number + 1; 0: free */
};

struct table {
    struct table_slot *slots;
    size_t count, room; /* room is a power of two, or 0 */
};

void table_done(struct table *table);
void table_add(struct table *table, uint32_t hash, uint32_t number);

/* The next number under this hash, or TABLE_NONE. `*at` begins as the hash. */
static inline uint32_t table_next(const struct table *table, uint32_t hash, size_t *at)
{
    if (!table->room)
        return TABLE_NONE;
    for (;;) {
        const struct table_slot *slot = &table->slots[*at & (table->room - 1)];
        ++*at;
        if (!slot->number_1)
            return TABLE_NONE;
        if (slot->hash == hash)
            return slot->number_1 - 1;
    }
}
