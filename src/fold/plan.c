#include "fold/plan.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/u64map.h"
#include "fold/chain.h"
#include "fold/course.h"
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

/*
 * All that the tokens read so far leave open, as one state: the trie's nodes that they lead to, and
 * the targets of `>` filters that they have met. Made when first reached; from there on a token is
 * one lookup, and a subject's end gives its group.
 */
struct state_edge {
    struct slice token; /* absent: a free place */
    uint64_t first;
    uint32_t to; /* STATE_NONE: not made yet */
};

#define STATE_NONE UINT32_MAX
#define STATES_MAX 8192

struct subject_state {
    uint32_t *live;
    size_t live_count;
    uint64_t targets[PLAN_WORDS];
    struct state_edge *edges; /* by hash, at most half full */
    uint32_t shift;
    bool has_edges;
    uint32_t other; /* where every token leads that is not among the edges */
    const struct plan_group *group;
};

struct plan {
    const struct rules *rules;
    bool all_fields;
    size_t shape_budget;
    uint32_t uses_fields, uses_remembers; /* of the expressions just wanted */
    struct subject_state *states;         /* 0: before the first token */
    size_t state_count, state_room;
    struct u64map by_state; /* hash -> index */
    struct trie_node *nodes;
    size_t node_count, node_room;
    uint64_t always[PLAN_WORDS];
    struct plan_group **groups;
    size_t group_count, group_room;
    struct u64map by_targets; /* hash -> index */
    struct plan_group *spare; /* past the limit: made anew for each message */
    size_t spares;
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
    json_shapes_free(group->shapes);
    json_plan_free(group->json);
    free(group->probes);
    free(group->probe_slots);
    free(group->metric_remembers);
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
    for (size_t i = 0; i < plan->state_count; i++) {
        free(plan->states[i].live);
        free(plan->states[i].edges);
    }
    free(plan->states);
    u64map_done(&plan->by_state);
    if (plan->spare)
        free_group(plan->spare);
    free(plan->nodes);
    free(plan->groups);
    u64map_done(&plan->by_targets);
    free(plan);
}

/* --- groups ----------------------------------------------------------------------------------- */

static void want_path(struct plan *plan, struct plan_group *group, size_t path)
{
    if (group->slot_of[path] < 0)
        group->slot_of[path] = json_plan_add(group->json, slice_of(plan->rules->paths[path]));
}

static void want_expr(struct plan *plan, struct plan_group *group, const struct expr *expr)
{
    if (expr->kind == EXPR_PAYLOAD)
        want_path(plan, group, expr->path);
    if (expr->kind == EXPR_FIELD)
        plan->uses_fields |= 1u << expr->field;
    for (size_t i = 0; expr->kind == EXPR_REMEMBERED && i < plan->rules->remember_count; i++) {
        if (slice_eq(plan->rules->remembers[i].name, expr->text))
            plan->uses_remembers |= 1u << i;
    }
}

static void want_list(struct plan *plan, struct plan_group *group, const struct expr_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        want_expr(plan, group, &list->items[i]);
}

static void want_conditions(struct plan *plan, struct plan_group *group,
                            const struct condition_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        want_expr(plan, group, &list->items[i].expr);
}

static void want_chain(struct plan *plan, struct plan_group *group, const struct chain_rule *chain)
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
}

static void want_envelopes(struct plan *plan, struct plan_group *group)
{
    for (size_t i = 0; i < group->envelope_count; i++) {
        const struct envelope *envelope = group->envelopes[i];
        group->byte_array = group->byte_array || envelope->byte_array;
        for (size_t r = 0; r < envelope->require_count; r++)
            want_expr(plan, group, &envelope->requires[r]);
        for (size_t f = 0; f < EVENT_FIELDS; f++) {
            if (group->fields >> f & 1)
                want_list(plan, group, &envelope->fields[f]);
        }
        for (size_t c = 0; c < envelope->chain_count; c++)
            want_chain(plan, group, envelope->chains[c]);
        if (envelope->chain_count) /* what tells chains apart, looked for only where there is one */
            want_list(plan, group, &envelope->fields[EVENT_AGGREGATE_ID]);
    }
}

static void want_facts(struct plan *plan, struct plan_group *group)
{
    for (size_t i = 0; i < group->envelope_count; i++) {
        const struct envelope *envelope = group->envelopes[i];
        for (size_t p = 0; p < envelope->fact_count; p++)
            want_list(plan, group, &envelope->fact[p]);
        want_list(plan, group, &envelope->channel);
    }
}

static void want_rules(struct plan *plan, struct plan_group *group)
{
    uint32_t by_remembers = 0;
    for (size_t i = 0; i < group->metric_count; i++) {
        const struct metric_rule *rule = group->metrics[i];
        plan->uses_remembers = 0;
        want_conditions(plan, group, &rule->when);
        want_conditions(plan, group, &rule->since);
        want_conditions(plan, group, &rule->until);
        want_conditions(plan, group, &rule->of);
        want_conditions(plan, group, &rule->span.start);
        want_conditions(plan, group, &rule->span.end);
        want_list(plan, group, &rule->span.start_key);
        want_list(plan, group, &rule->span.end_key);
        want_list(plan, group, &rule->value);
        want_list(plan, group, &rule->expires);
        want_list(plan, group, &rule->key);
        for (size_t l = 0; l < rule->spec.label_count; l++)
            want_list(plan, group, &rule->labels[l]);
        group->metric_remembers[i] = plan->uses_remembers;
    }
    plan->uses_remembers = 0;
    for (size_t i = 0; i < group->remember_count; i++) {
        want_conditions(plan, group, &group->remembers[i]->when);
        want_list(plan, group, &group->remembers[i]->key);
        want_list(plan, group, &group->remembers[i]->value);
    }
    /* What one remember rule takes from another may serve any metric. */
    by_remembers = plan->uses_remembers;
    for (size_t i = 0; i < group->metric_count; i++)
        group->metric_remembers[i] |= by_remembers;
}

static int16_t probe_of(const struct plan_group *group, const struct expr *expr)
{
    if (expr->kind != EXPR_PAYLOAD)
        return PROBE_ASK;
    int slot = group->slot_of[expr->path];
    return slot < 0 ? PROBE_NEVER : (int16_t)slot;
}

static void make_probes(struct plan_group *group)
{
    size_t used = 0;
    for (size_t i = 0; i < group->envelope_count; i++) {
        for (size_t f = 0; f < EVENT_FIELDS; f++)
            used += group->envelopes[i]->fields[f].count;
    }
    group->probes = xcalloc(group->envelope_count + 1, sizeof *group->probes);
    group->probe_slots = xcalloc(used + 1, sizeof *group->probe_slots);
    used = 0;
    for (size_t i = 0; i < group->envelope_count; i++) {
        for (size_t f = 0; f < EVENT_FIELDS; f++) {
            const struct expr_list *list = &group->envelopes[i]->fields[f];
            group->probes[i].probes[f] = group->probe_slots + used;
            for (size_t e = 0; e < list->count; e++)
                group->probe_slots[used++] = probe_of(group, &list->items[e]);
        }
    }
}

/* Rules first: they tell which fields are wanted, and fields tell which paths. */
static void want_all(struct plan *plan, struct plan_group *group)
{
    const uint32_t always =
        ((1u << EVENT_CLASS_FIELDS) - 1) | 1u << EVENT_ID | 1u << EVENT_OCCURRED_AT;
    plan->uses_fields = 0;
    want_rules(plan, group);
    for (size_t i = 0; i < group->envelope_count; i++) {
        for (size_t c = 0; c < group->envelopes[i]->chain_count; c++)
            want_list(plan, group, &group->envelopes[i]->chains[c]->key);
    }
    want_facts(plan, group);
    group->fields = plan->all_fields ? ~0u : always | plan->uses_fields;
    want_envelopes(plan, group);
    make_probes(group);
}

static struct plan_group *new_group(struct plan *plan, const uint64_t *targets, size_t index)
{
    const struct rules *rules = plan->rules;
    struct plan_group *group = xcalloc(1, sizeof *group);
    memcpy(group->targets, targets, sizeof group->targets);
    group->index = index;
    group->envelopes = xcalloc(rules->envelope_count + 1, sizeof *group->envelopes);
    group->metrics = xcalloc(rules->metric_count + 1, sizeof *group->metrics);
    group->metric_remembers = xcalloc(rules->metric_count + 1, sizeof *group->metric_remembers);
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
    group->shapes = json_shapes_new(&plan->shape_budget, courses_free);
    group->slot_of = xcalloc(rules->path_count + 1, sizeof *group->slot_of);
    for (size_t i = 0; i < rules->path_count; i++)
        group->slot_of[i] = -1;
    want_all(plan, group);
    (void)json_plan_compile(group->json); /* a part of what rules_check() has compiled */
    return group;
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
    if (plan->group_count >= PLAN_GROUPS_MAX) {
        if (plan->spare)
            free_group(plan->spare);
        plan->spare = new_group(plan, targets, PLAN_GROUPS_MAX);
        plan->spare->fleeting = true;
        plan->spares++;
        return plan->spare;
    }
    bool fresh;
    struct plan_group *group = new_group(plan, targets, plan->group_count);
    GROW(plan->groups, plan->group_count, plan->group_room);
    plan->groups[plan->group_count++] = group;
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

/* --- subjects ------------------------------------------------------------------------------------
 */

static uint64_t token_first(struct slice token, const char *end)
{
    uint64_t bytes = 0;
    if (end - token.ptr >= 8) {
        memcpy(&bytes, token.ptr, 8);
        return token.len >= 8 ? bytes : bytes & ((UINT64_C(1) << token.len * 8) - 1);
    }
    memcpy(&bytes, token.ptr, token.len);
    return bytes;
}

/* The edge of the token, or the free place where it belongs. */
static struct state_edge *edge_place(const struct subject_state *state, struct slice token,
                                     uint64_t first)
{
    size_t mask = (SIZE_MAX >> state->shift);
    size_t at = (size_t)(((first ^ token.len) * UINT64_C(0x9e3779b97f4a7c15)) >> state->shift);
    for (;; at = (at + 1) & mask) {
        struct state_edge *edge = &state->edges[at];
        if (!edge->token.ptr || (edge->first == first && edge->token.len == token.len &&
                                 (token.len <= 8 || slice_eq(edge->token, token))))
            return edge;
    }
}

static void make_edges(const struct plan *plan, struct subject_state *state)
{
    size_t count = 0;
    uint32_t bits = 1;
    for (size_t i = 0; i < state->live_count; i++)
        count += plan->nodes[state->live[i]].edge_count;
    while ((size_t)1 << bits < count * 2)
        bits++;
    state->has_edges = count > 0;
    state->shift = 64 - bits;
    state->edges = xcalloc((size_t)1 << bits, sizeof *state->edges);
    for (size_t i = 0; i < state->live_count; i++) {
        const struct trie_node *node = &plan->nodes[state->live[i]];
        for (size_t e = 0; e < node->edge_count; e++) {
            struct slice token = node->edges[e].token;
            uint64_t first = token_first(token, token.ptr + token.len);
            *edge_place(state, token, first) = (struct state_edge){token, first, STATE_NONE};
        }
    }
}

/* The state of these live nodes and targets, made when new; takes `live`. */
static uint32_t state_of(struct plan *plan, uint32_t *live, size_t live_count,
                         const uint64_t *targets)
{
    uint64_t hash = XXH3_64bits_withSeed(live, live_count * sizeof *live,
                                         XXH3_64bits(targets, PLAN_WORDS * sizeof *targets));
    uint64_t *known = u64map_get(&plan->by_state, hash);
    bool fresh;
    if (known || plan->state_count >= STATES_MAX) {
        free(live);
        return known ? (uint32_t)*known : STATE_NONE;
    }
    GROW(plan->states, plan->state_count, plan->state_room);
    struct subject_state *state = &plan->states[plan->state_count];
    *state = (struct subject_state){.live = live, .live_count = live_count, .other = STATE_NONE};
    memcpy(state->targets, targets, sizeof state->targets);
    make_edges(plan, state);
    *u64map_put(&plan->by_state, hash, &fresh) = plan->state_count;
    return (uint32_t)plan->state_count++;
}

static uint32_t make_step(struct plan *plan, uint32_t from, struct slice token)
{
    const struct subject_state *state = &plan->states[from];
    uint32_t *live = xcalloc(state->live_count * 2 + 1, sizeof *live);
    size_t count = 0;
    uint64_t targets[PLAN_WORDS];
    memcpy(targets, state->targets, sizeof targets);
    for (size_t i = 0; i < state->live_count; i++) {
        const struct trie_node *node = &plan->nodes[state->live[i]];
        if (node->has_rest)
            add_words(targets, node->rest);
        if (node->star)
            live[count++] = node->star;
        for (size_t e = 0; e < node->edge_count; e++) {
            if (slice_eq(node->edges[e].token, token))
                live[count++] = node->edges[e].node;
        }
    }
    return state_of(plan, live, count, targets);
}

static uint32_t step_to(struct plan *plan, uint32_t from, struct slice token, const char *end)
{
    struct subject_state *state = &plan->states[from];
    if (!state->has_edges && state->other != STATE_NONE)
        return state->other; /* ids, mostly */
    struct state_edge *edge = edge_place(state, token, token_first(token, end));
    bool named = edge->token.ptr != NULL;
    uint32_t to = named ? edge->to : state->other;
    if (__builtin_expect(to != STATE_NONE, 1))
        return to;
    size_t place = (size_t)(edge - state->edges);
    to = make_step(plan, from, token); /* the list of states may have moved */
    if (named)
        plan->states[from].edges[place].to = to;
    else
        plan->states[from].other = to;
    return to;
}

static const struct plan_group *group_at(struct plan *plan, uint32_t at)
{
    uint64_t targets[PLAN_WORDS];
    memcpy(targets, plan->always, sizeof targets);
    add_words(targets, plan->states[at].targets);
    for (size_t i = 0; i < plan->states[at].live_count; i++) {
        const struct trie_node *node = &plan->nodes[plan->states[at].live[i]];
        if (node->has_end)
            add_words(targets, node->end);
    }
    const struct plan_group *group = group_of(plan, targets);
    if (!group->fleeting)
        plan->states[at].group = group;
    return group;
}

/* Without states, when there would be too many of them. */
static const struct plan_group *find_slowly(struct plan *plan, const struct slice *tokens,
                                            size_t count)
{
    uint64_t targets[PLAN_WORDS];
    memcpy(targets, plan->always, sizeof targets);
    collect(plan, 0, tokens, count, targets);
    return group_of(plan, targets);
}

const struct plan_group *plan_find(struct plan *plan, const struct slice *tokens, size_t count)
{
    const char *end = count ? tokens[count - 1].ptr + tokens[count - 1].len : NULL;
    uint32_t at = 0;
    for (size_t i = 0; i < count && plan->states[at].live_count; i++) {
        at = step_to(plan, at, tokens[i], end);
        if (at == STATE_NONE)
            return find_slowly(plan, tokens, count);
    }
    return plan->states[at].group ? plan->states[at].group : group_at(plan, at);
}

int plan_new(const struct rules *rules, bool all_fields, struct plan **ret, struct error *err)
{
    size_t targets = rules->envelope_count + rules->metric_count + rules->remember_count;
    if (targets > PLAN_TARGETS_MAX)
        return error_set(err, EXIT_CODE_USAGE, "%zu envelopes and rules; at most %d are supported",
                         targets, PLAN_TARGETS_MAX);
    struct plan *plan = xcalloc(1, sizeof *plan);
    plan->rules = rules;
    plan->all_fields = all_fields;
    plan->shape_budget = PLAN_SHAPES_MAX;
    (void)new_node(plan);
    size_t target = 0;
    for (size_t i = 0; i < rules->envelope_count; i++)
        add_filters(plan, &rules->envelopes[i].subjects, target++);
    for (size_t i = 0; i < rules->metric_count; i++)
        add_filters(plan, &rules->metrics[i].subjects, target++);
    for (size_t i = 0; i < rules->remember_count; i++)
        add_filters(plan, &rules->remembers[i].subjects, target++);
    add_first_group(plan);
    uint64_t none[PLAN_WORDS] = {0};
    (void)state_of(plan, xcalloc(1, sizeof(uint32_t)), 1, none); /* the root */
    *ret = plan;
    return 0;
}

size_t plan_overflows(const struct plan *plan)
{
    return plan->spares;
}
