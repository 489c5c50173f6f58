#include "base/placemap.h"

#include "base/memory.h"

void placemap_done(struct placemap *map)
{
    free(map->slots);
    *map = (struct placemap){0};
}

enum { DISTANCE_MAX = 31 }; /* as much, or more: the key tells */

static uint32_t slot_of(uint64_t key, uint32_t place, size_t distance)
{
    uint32_t kept = distance < DISTANCE_MAX ? (uint32_t)distance : DISTANCE_MAX;
    return (uint32_t)(key >> 54) << 22 | kept << 17 | (place + 1);
}

static uint32_t place_of(uint32_t slot)
{
    return (slot & PLACEMAP_PLACES_MAX) - 1;
}

static void add(struct placemap *map, uint64_t key, uint32_t place)
{
    size_t mask = map->room - 1, home = (size_t)key & mask, at = home;
    while (map->slots[at])
        at = (at + 1) & mask;
    map->slots[at] = slot_of(key, place, (at - home) & mask);
}

void placemap_put(struct placemap *map, uint64_t key, uint32_t place, const void *keys,
                  size_t stride)
{
    if ((map->count + 1) * 2 > map->room) {
        struct placemap old = *map;
        map->room = old.room ? old.room * 2 : 16;
        map->slots = xcalloc(map->room, sizeof *map->slots);
        for (size_t i = 0; i < old.room; i++) {
            uint32_t moved = old.slots[i] ? place_of(old.slots[i]) : 0;
            if (old.slots[i])
                add(map, placemap_key(keys, stride, moved), moved);
        }
        free(old.slots);
    }
    add(map, key, place);
    map->count++;
}

/* How far the slot at `at` lies behind where its key belongs. */
static size_t distance_of(const struct placemap *map, size_t at, const void *keys, size_t stride)
{
    uint32_t slot = map->slots[at];
    size_t distance = slot >> 17 & DISTANCE_MAX;
    if (__builtin_expect(distance < DISTANCE_MAX, 1))
        return distance;
    return (at - (size_t)placemap_key(keys, stride, place_of(slot))) & (map->room - 1);
}

static void close_gap(struct placemap *map, size_t hole, const void *keys, size_t stride)
{
    size_t mask = map->room - 1;
    for (size_t at = (hole + 1) & mask; map->slots[at]; at = (at + 1) & mask) {
        size_t distance = distance_of(map, at, keys, stride), gap = (at - hole) & mask;
        if (distance < gap)
            continue; /* it would lie before where it belongs */
        uint32_t kept = distance - gap < DISTANCE_MAX ? (uint32_t)(distance - gap) : DISTANCE_MAX;
        map->slots[hole] = (map->slots[at] & ~((uint32_t)DISTANCE_MAX << 17)) | kept << 17;
        hole = at;
    }
    map->slots[hole] = 0;
}

void placemap_remove(struct placemap *map, uint64_t key, uint32_t place, const void *keys,
                     size_t stride)
{
    if (!map->count || placemap_key(keys, stride, place) != key)
        return;
    size_t mask = map->room - 1, at = (size_t)key & mask;
    while (place_of(map->slots[at]) != place) {
        if (!map->slots[at])
            return;
        at = (at + 1) & mask;
    }
    close_gap(map, at, keys, stride);
    map->count--;
}
