/*
 * u64map: a map from 64-bit keys (hashes already) to 64-bit values, open addressing, with removal.
 *
 * Zero-initialised is valid and empty; u64map_done() frees. Keys are taken as well mixed; the key 0
 * is stored as 1. At most three quarters full; growth doubles. Removal closes the gap, so no
 * tombstones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct u64map_entry {
    uint64_t key; /* 0: free */
    uint64_t value;
};

struct u64map {
    struct u64map_entry *entries;
    size_t count, room; /* room is a power of two, or 0 */
};

void u64map_done(struct u64map *map);
/* The value's place, or NULL. Valid until the next put or remove. */
uint64_t *u64map_get(const struct u64map *map, uint64_t key);
/* The value's place, put there with 0 when it was absent; *ret_new says so. */
uint64_t *u64map_put(struct u64map *map, uint64_t key, bool *ret_new);
bool u64map_remove(struct u64map *map, uint64_t key);
/* The key is about to be asked for: its memory is fetched meanwhile. */
static inline void u64map_prefetch(const struct u64map *map, uint64_t key)
{
    if (map->room)
        __builtin_prefetch(&map->entries[(key ? key : 1) & (map->room - 1)], 1);
}
