#include "base/placemap.h"

#include "base/memory.h"

void placemap_done(struct placemap *map)
{
    free(map->slots);
    *map = (struct placemap){0};
}

static void add(struct placemap *map, uint64_t key, uint32_t slot)
{
    size_t mask = map->room - 1, at = (size_t)key & mask;
    while (map->slots[at])
        at = (at + 1) & mask;
    map->slots[at] = slot;
}

static uint64_t key_of(uint32_t slot, const void *keys, size_t stride)
{
    return placemap_key(keys, stride, (slot & PLACEMAP_PLACES_MAX) - 1);
}

void placemap_put(struct placemap *map, uint64_t key, uint32_t place, const void *keys,
                  size_t stride)
{
    if ((map->count + 1) * 2 > map->room) {
        struct placemap old = *map;
        map->room = old.room ? old.room * 2 : 16;
        map->slots = xcalloc(map->room, sizeof *map->slots);
        for (size_t i = 0; i < old.room; i++) {
            if (old.slots[i])
                add(map, key_of(old.slots[i], keys, stride), old.slots[i]);
        }
        free(old.slots);
    }
    add(map, key, placemap_slot(key, place));
    map->count++;
}

void placemap_remove(struct placemap *map, uint64_t key, uint32_t place, const void *keys,
                     size_t stride)
{
    if (!map->count || placemap_key(keys, stride, place) != key)
        return;
    uint32_t wanted = placemap_slot(key, place);
    size_t mask = map->room - 1, hole = (size_t)key & mask;
    while (map->slots[hole] != wanted) {
        if (!map->slots[hole])
            return;
        hole = (hole + 1) & mask;
    }
    for (size_t at = (hole + 1) & mask; map->slots[at]; at = (at + 1) & mask) {
        size_t home = (size_t)key_of(map->slots[at], keys, stride) & mask;
        /* Move it into the hole unless its home lies cyclically behind the hole. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = 0;
    map->count--;
}
