/*
 * placemap: where 64-bit keys lie in an array of the caller's; a hash index of 4 bytes a slot.
 *
 * For windows of the last so many hashes, which are asked at random for every event: the index is
 * what is touched, so it is kept small enough for a core's own cache. A slot holds a place (below
 * PLACEMAP_PLACES_MAX) and 15 bits of the key; the keys themselves are looked up in the array,
 * which the caller gives with each call: `keys` is the first key, `stride` the bytes from one to
 * the next.
 *
 * Zero-initialised is valid and empty; placemap_done() frees. Keys are taken as well mixed. Open
 * addressing, at most half full; removal closes the gap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLACEMAP_PLACES_MAX 131071u
#define PLACEMAP_NONE       UINT32_MAX

struct placemap {
    uint32_t *slots; /* tag << 22 | distance << 17 | place + 1; 0: free */
    size_t count, room;
};

void placemap_done(struct placemap *map);
/* The key is not there yet. */
void placemap_put(struct placemap *map, uint64_t key, uint32_t place, const void *keys,
                  size_t stride);
/* Nothing happens when the key is not there with that place (which must be one of the array). */
void placemap_remove(struct placemap *map, uint64_t key, uint32_t place, const void *keys,
                     size_t stride);

static inline uint64_t placemap_key(const void *keys, size_t stride, uint32_t place)
{
    uint64_t key;
    memcpy(&key, (const char *)keys + place * stride, sizeof key);
    return key;
}

/* Where the key lies; PLACEMAP_NONE: nowhere. */
static inline uint32_t placemap_get(const struct placemap *map, uint64_t key, const void *keys,
                                    size_t stride)
{
    if (!map->count)
        return PLACEMAP_NONE;
    uint32_t tag = (uint32_t)(key >> 54);
    size_t mask = map->room - 1;
    for (size_t at = (size_t)key & mask; map->slots[at]; at = (at + 1) & mask) {
        uint32_t slot = map->slots[at], place = (slot & PLACEMAP_PLACES_MAX) - 1;
        if (slot >> 22 == tag && placemap_key(keys, stride, place) == key)
            return place;
    }
    return PLACEMAP_NONE;
}

/* The key is about to be asked for: its memory is fetched meanwhile. */
static inline void placemap_prefetch(const struct placemap *map, uint64_t key)
{
    if (map->room)
        __builtin_prefetch(&map->slots[(size_t)key & (map->room - 1)], 1);
}
