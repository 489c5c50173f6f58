#include "base/u64map.h"

#include "base/memory.h"

static inline uint64_t stored(uint64_t key)
{
    return key ? key : 1;
}

void u64map_done(struct u64map *map)
{
    free(map->entries);
    *map = (struct u64map){0};
}

/* The entry of the key, or the free one where it belongs. */
static struct u64map_entry *probe(const struct u64map *map, uint64_t key)
{
    size_t mask = map->room - 1;
    for (size_t at = (size_t)key & mask;; at = (at + 1) & mask) {
        struct u64map_entry *entry = &map->entries[at];
        if (entry->key == key || entry->key == 0)
            return entry;
    }
}

uint64_t *u64map_get(const struct u64map *map, uint64_t key)
{
    if (!map->count)
        return NULL;
    struct u64map_entry *entry = probe(map, stored(key));
    return entry->key ? &entry->value : NULL;
}

static void grow(struct u64map *map)
{
    struct u64map old = *map;
    map->room = old.room ? old.room * 2 : 16;
    map->entries = xcalloc(map->room, sizeof *map->entries);
    for (size_t i = 0; i < old.room; i++) {
        if (old.entries[i].key)
            *probe(map, old.entries[i].key) = old.entries[i];
    }
    free(old.entries);
}

uint64_t *u64map_put(struct u64map *map, uint64_t key, bool *ret_new)
{
    if (map->count + 1 > map->room / 4 * 3)
        grow(map);
    struct u64map_entry *entry = probe(map, stored(key));
    *ret_new = entry->key == 0;
    if (*ret_new) {
        *entry = (struct u64map_entry){stored(key), 0};
        map->count++;
    }
    return &entry->value;
}

bool u64map_remove(struct u64map *map, uint64_t key)
{
    if (!map->count)
        return false;
    struct u64map_entry *entry = probe(map, stored(key));
    if (!entry->key)
        return false;
    size_t mask = map->room - 1, hole = (size_t)(entry - map->entries);
    for (size_t at = (hole + 1) & mask; map->entries[at].key; at = (at + 1) & mask) {
        size_t home = (size_t)map->entries[at].key & mask;
        /* Move it into the hole unless its home lies cyclically behind the hole. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole] = (struct u64map_entry){0, 0};
    map->count--;
    return true;
}
