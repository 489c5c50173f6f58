#include "fold/plan.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/u64map.h"
#include "fold/chain.h"
#include "fold/expr.h"

struct trie_edge {
    struct slice token;
    uint32_t node;
};

struct trie_node {
    struct trie_edge *edges;
    size_t edge_count, edge_room;
    uint32_t star; /* 0: none (the root is nobody's child) */
    bool has_end, has_rest;
    uint64_t end[PLAN_WORDS];  /* targets of filters that end here */
    uint64_t rest[PLAN_WORDS]; /* targets of filters that end in `>` here */
};

struct plan {
    const struct rules *rules;
    struct trie_node *nodes;
    size_t node_count, node_room;
    uint64_t always[PLAN_WORDS];
    struct plan_group **groups;
    size_t group_count, group_room;
    struct u64map by_targets; /* hash -> index */
};

/* Targets are numbered: envelopes, then metrics, then remember rules. */
static void set_target(uint64_t *words, size_t target)
{
    words[target / 64] |= UINT64_C(1) << (target % 64);
}

static bool has_target(const uint64_t *words, size_t target)
{
    return words[target / 64] >> (target % 64) & 1;
}

static uint32_t new_node(struct plan *plan)
{
    GROW(plan->nodes, plan->node_count, plan->node_room);
    memset(&plan->nodes[plan->node_count], 0, sizeof plan->nodes[0]);
    return (uint32_t)plan->node_count++;
}

static uint32_t step(struct plan *plan, uint32_t from, struct slice token)
{
    if (slice_eq(token, SLICE("*"))) {
        if (!plan->nodes[from].star) {
            uint32_t star = new_node(plan);
            plan->nodes[from].star = star;
        }
        return plan->nodes[from].star;
    }
    for (size_t i = 0; i < plan->nodes[from].edge_count; i++) {
        if (slice_eq(plan->nodes[from].edges[i].token, token))
            return plan->nodes[from].edges[i].node;
    }
    uint32_t to = new_node(plan);
    struct trie_node *node = &plan->nodes[from];
    GROW(node->edges, node->edge_count, node->edge_room);
    node->edges[node->edge_count++] = (struct trie_edge){token, to};
    return to;
}

static void add_filters(struct plan *plan, const struct filter_list *filters, size_t target)
{
    if (!filters->count)
        set_target(plan->always, target);
    for (size_t i = 0; i < filters->count; i++) {
        struct slice rest = filters->items[i], token;
        uint32_t at = 0;
        while (slice_cut(&rest, '.', &token)) {
            if (slice_eq(token, SLICE(">"))) {
                plan->nodes[at].has_rest = true;
                set_target(plan->nodes[at].rest, target);
                break;
            }
            at = step(plan, at, token);
            if (!slice_present(rest)) {
                plan->nodes[at].has_end = true;
                set_target(plan->nodes[at].end, target);
            }
        }
    }
}

static void free_group(struct plan_group *group)
{
    json_plan_free(group->json);
    free(group->envelopes);
    free(group->metrics);
    free(group->remembers);
    free(group->slot_of);
    free(group);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->node_count; i++)
        free(plan->nodes[i].edges);
    for (size_t i = 0; i < plan->group_count; i++)
        free_group(plan->groups[i]);
    free(plan->nodes);
    free(plan->groups);
    u64map_done(&plan->by_targets);
    free(plan);
}

/* --- groups ----------------------------------------------------------------------------------- */

static void want_path(const struct plan *plan, struct plan_group *group, size_t path)
{
    if (group->slot_of[path] < 0)
        group->slot_of[path] = json_plan_add(group->json, slice_of(plan->rules->paths[path]));
}

static void want_expr(const struct plan *plan, struct plan_group *group, const struct expr *expr)
{
    if (expr->kind == EXPR_PAYLOAD)
        want_path(plan, group, expr->path);
}

static void want_list(const struct plan *plan, struct plan_group *group,
                      const struct expr_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        want_expr(plan, group, &list->items[i]);
}

static void want_conditions(const struct plan *plan, struct plan_group *group,
                            const struct condition_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        want_expr(plan, group, &list->items[i].expr);
}

static void want_chain(const struct plan *plan, struct plan_group *group,
                       const struct chain_rule *chain)
{
    const size_t fixed[] = {chain->cid, chain->previous, chain->sequence, chain->place};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        if (fixed[i] != CHAIN_NO_PATH)
            want_path(plan, group, fixed[i]);
    }
    for (size_t i = 0; i < chain->byte_count; i++) {
        if (chain->bytes[i].kind == CHAIN_VALUE)
            want_path(plan, group, chain->bytes[i].path);
    }
    for (size_t i = 0; i < chain->order_count; i++)
        want_path(plan, group, chain->order[i]);
    for (size_t i = 0; i < chain->require_count; i++)
        want_path(plan, group, chain->requires[i]);
    want_list(plan, group, &chain->key);
}

static void want_all(const struct plan *plan, struct plan_group *group)
{
    for (size_t i = 0; i < group->envelope_count; i++) {
        const struct envelope *envelope = group->envelopes[i];
        group->byte_array = group->byte_array || envelope->byte_array;
        for (size_t r = 0; r < envelope->require_count; r++)
            want_path(plan, group, envelope->requires[r]);
        for (size_t f = 0; f < EVENT_FIELDS; f++)
            want_list(plan, group, &envelope->fields[f]);
        for (size_t c = 0; c < envelope->chain_count; c++)
            want_chain(plan, group, envelope->chains[c]);
    }
    for (size_t i = 0; i < group->metric_count; i++) {
        const struct metric_rule *rule = group->metrics[i];
        want_conditions(plan, group, &rule->when);
        want_conditions(plan, group, &rule->since);
        want_conditions(plan, group, &rule->until);
        want_conditions(plan, group, &rule->of);
        want_conditions(plan, group, &rule->span.start);
        want_conditions(plan, group, &rule->span.end);
        want_list(plan, group, &rule->span.start_key);
        want_list(plan, group, &rule->span.end_key);
        want_list(plan, group, &rule->value);
        want_list(plan, group, &rule->key);
        for (size_t l = 0; l < rule->spec.label_count; l++)
            want_list(plan, group, &rule->labels[l]);
    }
    for (size_t i = 0; i < group->remember_count; i++) {
        want_conditions(plan, group, &group->remembers[i]->when);
        want_list(plan, group, &group->remembers[i]->key);
        want_list(plan, group, &group->remembers[i]->value);
    }
}

static struct plan_group *new_group(struct plan *plan, const uint64_t *targets)
{
    const struct rules *rules = plan->rules;
    struct plan_group *group = xcalloc(1, sizeof *group);
    memcpy(group->targets, targets, sizeof group->targets);
    group->index = plan->group_count;
    group->envelopes = xcalloc(rules->envelope_count + 1, sizeof *group->envelopes);
    group->metrics = xcalloc(rules->metric_count + 1, sizeof *group->metrics);
    group->remembers = xcalloc(rules->remember_count + 1, sizeof *group->remembers);
    size_t target = 0;
    bool closed = false; /* by one that takes whatever comes: those behind it are never reached */
    for (size_t i = 0; i < rules->envelope_count; i++, target++) {
        const struct envelope *envelope = &rules->envelopes[i];
        if (closed || !has_target(targets, target))
            continue;
        group->envelopes[group->envelope_count++] = envelope;
        closed = !envelope->require_count && !envelope->require_headers.count;
    }
    for (size_t i = 0; i < rules->metric_count; i++, target++) {
        if (has_target(targets, target))
            group->metrics[group->metric_count++] = &rules->metrics[i];
    }
    for (size_t i = 0; i < rules->remember_count; i++, target++) {
        if (has_target(targets, target))
            group->remembers[group->remember_count++] = &rules->remembers[i];
    }
    group->json = json_plan_new();
    group->slot_of = xcalloc(rules->path_count + 1, sizeof *group->slot_of);
    for (size_t i = 0; i < rules->path_count; i++)
        group->slot_of[i] = -1;
    want_all(plan, group);
    (void)json_plan_compile(group->json); /* a part of what rules_check() has compiled */
    GROW(plan->groups, plan->group_count, plan->group_room);
    return plan->groups[plan->group_count++] = group;
}

static void add_words(uint64_t *into, const uint64_t *from)
{
    for (size_t i = 0; i < PLAN_WORDS; i++)
        into[i] |= from[i];
}

/* The depth of recursion is bounded by the tokens of a filter, which are those of the rule files.
 */
static void collect(const struct plan *plan, uint32_t at, const struct slice *tokens, size_t count,
                    uint64_t *targets)
{
    const struct trie_node *node = &plan->nodes[at];
    if (count == 0) {
        if (node->has_end)
            add_words(targets, node->end);
        return;
    }
    if (node->has_rest)
        add_words(targets, node->rest);
    if (node->star)
        collect(plan, node->star, tokens + 1, count - 1, targets);
    for (size_t i = 0; i < node->edge_count; i++) {
        if (slice_eq(node->edges[i].token, tokens[0])) {
            collect(plan, node->edges[i].node, tokens + 1, count - 1, targets);
            break;
        }
    }
}

static struct plan_group *group_of(struct plan *plan, const uint64_t *targets)
{
    uint64_t hash = XXH3_64bits(targets, PLAN_WORDS * sizeof *targets);
    uint64_t *index = u64map_get(&plan->by_targets, hash);
    if (index)
        return plan->groups[*index];
    if (plan->group_count >= PLAN_GROUPS_MAX)
        return plan->groups[0];
    bool fresh;
    struct plan_group *group = new_group(plan, targets);
    *u64map_put(&plan->by_targets, hash, &fresh) = group->index;
    return group;
}

/* Group 0: what applies whatever the subject is. */
static void add_first_group(struct plan *plan)
{
    uint64_t targets[PLAN_WORDS];
    memcpy(targets, plan->always, sizeof targets);
    if (plan->nodes[0].has_rest)
        add_words(targets, plan->nodes[0].rest);
    (void)group_of(plan, targets);
}

int plan_new(const struct rules *rules, struct plan **ret, struct error *err)
{
    size_t targets = rules->envelope_count + rules->metric_count + rules->remember_count;
    if (targets > PLAN_TARGETS_MAX)
        return error_set(err, EXIT_CODE_USAGE, "%zu envelopes and rules; at most %d are supported",
                         targets, PLAN_TARGETS_MAX);
    struct plan *plan = xcalloc(1, sizeof *plan);
    plan->rules = rules;
    (void)new_node(plan);
    size_t target = 0;
    for (size_t i = 0; i < rules->envelope_count; i++)
        add_filters(plan, &rules->envelopes[i].subjects, target++);
    for (size_t i = 0; i < rules->metric_count; i++)
        add_filters(plan, &rules->metrics[i].subjects, target++);
    for (size_t i = 0; i < rules->remember_count; i++)
        add_filters(plan, &rules->remembers[i].subjects, target++);
    add_first_group(plan);
    *ret = plan;
    return 0;
}

const struct plan_group *plan_find(struct plan *plan, const struct slice *tokens, size_t count)
{
    uint64_t targets[PLAN_WORDS];
    memcpy(targets, plan->always, sizeof targets);
    collect(plan, 0, tokens, count, targets);
    return group_of(plan, targets);
}
