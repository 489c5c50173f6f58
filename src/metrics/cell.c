/* Writing cells: the hot end of the registry. */
#include <math.h>

#include "metrics/registry_internal.h"

bool cell_add(struct cell *cell, double amount)
{
    double sum = cell->value + amount;
    if (!isfinite(sum))
        return false;
    cell_touch(cell);
    cell->value = sum;
    return true;
}

void cell_set(struct cell *cell, double value, int64_t stamp_ns)
{
    if (stamp_ns < cell->stamp_ns)
        return;
    cell_touch(cell);
    cell->value = value;
    cell->stamp_ns = stamp_ns;
}

void cell_hold(struct cell *cell, double value, int64_t until_ns)
{
    cell_touch(cell);
    cell->value = value;
    cell->stamp_ns = until_ns;
}

/* What ended is no number; no event can set a gauge to that. */
void cell_end(struct cell *cell, int64_t stamp_ns)
{
    cell_hold(cell, NAN, stamp_ns);
}

bool cell_observe_many(struct cell *cell, double value, uint64_t times)
{
    const struct metric_spec *spec = &cell->column->family->spec;
    if (!cell_add(cell, value * (double)times))
        return false;
    size_t i = 0;
    while (i < spec->bucket_count && value > spec->buckets[i])
        i++;
    cell->counts[i] += times;
    return true;
}

bool cell_observe(struct cell *cell, double value)
{
    return cell_observe_many(cell, value, 1);
}

void cell_max(struct cell *cell, double value)
{
    cell_touch(cell);
    if (value > cell->value)
        cell->value = value;
}

bool cell_distinct_add(struct cell *cell, uint64_t key)
{
    struct partition *partition = cell->column->partition;
    bool fresh;
    cell_touch(cell);
    if (u64map_get(cell->keys, key))
        return true;
    if (partition->distinct_count >= partition->registry->distinct_max)
        return false;
    (void)u64map_put(cell->keys, key, &fresh);
    partition->distinct_count++;
    return true;
}

void cell_distinct_expect(const struct cell *cell, uint64_t key)
{
    u64map_prefetch(cell->keys, key);
}

void cell_distinct_remove(struct cell *cell, uint64_t key)
{
    cell_touch(cell);
    if (u64map_remove(cell->keys, key))
        cell->column->partition->distinct_count--;
}

double cell_value(const struct cell *cell)
{
    return cell->column->family->spec.kind == METRIC_DISTINCT ? (double)cell->keys->count
                                                              : cell->value;
}
