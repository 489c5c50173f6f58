#include "metrics/table.h"

#include <stdlib.h>

#include "base/memory.h"

void table_done(struct table *table)
{
    free(table->slots);
    *table = (struct table){0};
}

static void put(struct table *table, struct table_slot slot)
{
    size_t at = slot.hash & (table->room - 1);
    while (table->slots[at].number_1)
        at = (at + 1) & (table->room - 1);
    table->slots[at] = slot;
}

void table_add(struct table *table, uint32_t hash, uint32_t number)
{
    if (table->count + 1 > table->room / 4 * 3) {
        struct table old = *table;
        table->room = old.room ? old.room * 2 : 8;
        table->slots = xcalloc(table->room, sizeof *table->slots);
        for (size_t i = 0; i < old.room; i++) {
            if (old.slots[i].number_1)
                put(table, old.slots[i]);
        }
        free(old.slots);
    }
    put(table, (struct table_slot){hash, number + 1});
    table->count++;
}
