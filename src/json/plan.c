#include "json/plan.h"

#include "base/memory.h"

static uint32_t new_node(struct json_plan *plan)
{
    GROW(plan->nodes, plan->node_count, plan->node_room);
    plan->nodes[plan->node_count] = (struct json_node){.any = JSON_NODE_NONE};
    return (uint32_t)plan->node_count++;
}

struct json_plan *json_plan_new(void)
{
    struct json_plan *plan = xcalloc(1, sizeof *plan);
    (void)new_node(plan);
    return plan;
}

static void free_nodes(struct json_plan *plan)
{
    for (size_t i = 0; i < plan->node_count; i++) {
        for (size_t e = 0; e < plan->nodes[i].edge_count; e++)
            free((void *)(uintptr_t)plan->nodes[i].edges[e].name.ptr);
        free(plan->nodes[i].edges);
        free(plan->nodes[i].table);
        free(plan->nodes[i].slots);
        free(plan->nodes[i].tag_slots);
    }
    free(plan->nodes);
}

void json_plan_free(struct json_plan *plan)
{
    if (!plan)
        return;
    free_nodes(plan);
    for (size_t i = 0; i < plan->path_count; i++)
        free(plan->paths[i]);
    free(plan->paths);
    free(plan);
}

static uint32_t edge_to(struct json_plan *plan, uint32_t from, struct slice name)
{
    for (size_t i = 0; i < plan->nodes[from].edge_count; i++) {
        if (slice_eq(plan->nodes[from].edges[i].name, name))
            return plan->nodes[from].edges[i].node;
    }
    uint32_t to = new_node(plan);
    struct json_node *node = &plan->nodes[from];
    GROW(node->edges, node->edge_count, node->edge_room);
    node->edges[node->edge_count++] =
        (struct json_edge){.name = {xstrndup(name.ptr, name.len), name.len},
                           .first = json_name_first(name),
                           .last = json_name_last(name),
                           .node = to};
    return to;
}

static uint32_t any_from(struct json_plan *plan, uint32_t from)
{
    if (plan->nodes[from].any == JSON_NODE_NONE) {
        uint32_t to = new_node(plan);
        plan->nodes[from].any = to;
    }
    return plan->nodes[from].any;
}

static void add_slot(struct json_node *node, uint16_t slot)
{
    GROW(node->slots, node->slot_count, node->slot_room);
    node->slots[node->slot_count++] = slot;
}

static void add_tag_slot(struct json_node *node, uint16_t slot)
{
    GROW(node->tag_slots, node->tag_count, node->tag_room);
    node->tag_slots[node->tag_count++] = slot;
}

static size_t segments(struct slice path)
{
    size_t count = 1;
    for (size_t i = 0; i < path.len; i++)
        count += path.ptr[i] == '.';
    return count;
}

int json_plan_add(struct json_plan *plan, struct slice path)
{
    for (size_t i = 0; i < plan->path_count; i++) {
        if (slice_eq(slice_of(plan->paths[i]), path))
            return (int)i;
    }
    if (plan->path_count == JSON_PATHS_MAX || plan->compiled || segments(path) > JSON_SEGMENTS_MAX)
        return -1;
    uint16_t slot = (uint16_t)plan->path_count;
    GROW(plan->paths, plan->path_count, plan->path_room);
    plan->paths[plan->path_count++] = xstrndup(path.ptr, path.len);

    uint32_t at = 0;
    struct slice rest = path, name;
    if (path.len == 0)
        rest = SLICE_ABSENT;
    while (slice_cut(&rest, '.', &name)) {
        if (slice_eq(name, SLICE("#"))) {
            add_tag_slot(&plan->nodes[at], slot);
            return slot;
        }
        at = slice_eq(name, SLICE("*")) ? any_from(plan, at) : edge_to(plan, at, name);
    }
    add_slot(&plan->nodes[at], slot);
    return slot;
}

static bool is_full(const struct json_plan *plan)
{
    return plan->node_count >= JSON_PLAN_NODES_MAX;
}

/* Merges what `from` wants into `into`: a member that has an edge of its own is wanted by `*` as
 * well. */
static void merge(struct json_plan *plan, uint32_t into, uint32_t from)
{
    for (size_t i = 0; i < plan->nodes[from].slot_count; i++)
        add_slot(&plan->nodes[into], plan->nodes[from].slots[i]);
    for (size_t i = 0; i < plan->nodes[from].tag_count; i++)
        add_tag_slot(&plan->nodes[into], plan->nodes[from].tag_slots[i]);
    for (size_t i = 0; i < plan->nodes[from].edge_count && !is_full(plan); i++) {
        uint32_t to = edge_to(plan, into, plan->nodes[from].edges[i].name);
        merge(plan, to, plan->nodes[from].edges[i].node);
    }
    if (plan->nodes[from].any != JSON_NODE_NONE && !is_full(plan)) {
        uint32_t to = any_from(plan, into);
        merge(plan, to, plan->nodes[from].any);
    }
}

static void settle(struct json_plan *plan, uint32_t at)
{
    uint32_t any = plan->nodes[at].any;
    for (size_t i = 0; i < plan->nodes[at].edge_count && !is_full(plan); i++) {
        uint32_t to = plan->nodes[at].edges[i].node;
        if (any != JSON_NODE_NONE)
            merge(plan, to, any);
        settle(plan, to);
    }
    if (any != JSON_NODE_NONE && !is_full(plan))
        settle(plan, any);
}

/* At least twice as many places as edges; those of one place form a chain. */
static void make_table(struct json_node *node)
{
    uint32_t bits = 2;
    while ((size_t)1 << bits < node->edge_count * 2)
        bits++;
    node->table_shift = 64 - bits;
    node->table = xcalloc((size_t)1 << bits, sizeof *node->table);
    for (size_t i = node->edge_count; i-- > 0;) {
        struct json_edge *edge = &node->edges[i];
        uint16_t *place =
            &node->table[json_name_hash(edge->first, edge->name.len, node->table_shift)];
        edge->next = *place;
        *place = (uint16_t)(i + 1);
    }
}

bool json_plan_compile(struct json_plan *plan)
{
    if (!plan->compiled) {
        settle(plan, 0);
        for (size_t i = 0; i < plan->node_count; i++) {
            if (plan->nodes[i].edge_count)
                make_table(&plan->nodes[i]);
        }
    }
    plan->compiled = true;
    return !is_full(plan);
}

size_t json_plan_slots(const struct json_plan *plan)
{
    return plan->path_count;
}
