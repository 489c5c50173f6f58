#include "fold/fact.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/placemap.h"
#include "fold/course.h"

/* --- what an envelope says -------------------------------------------------------------------- */

static int check_list(const struct yaml_node *node, const struct expr_list *list, struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        enum expr_kind kind = list->items[i].kind;
        if (kind == EXPR_STORED_AT || kind == EXPR_DELAY || kind == EXPR_REMEMBERED)
            return yaml_error(node, err, "a fact is told by what its message carries");
    }
    return 0;
}

int fact_compile(struct rules *rules, const struct yaml_node *fact, const struct yaml_node *channel,
                 struct envelope *ret, struct error *err)
{
    if (!fact && !channel)
        return 0;
    if (!fact || !channel)
        return yaml_error(fact ? fact : channel, err, "'fact' and 'channel' go together");
    if (!yaml_is_sequence(fact) || !yaml_size(fact) || yaml_size(fact) > FACT_PARTS_MAX)
        return yaml_error(fact, err, "'fact' is a list of 1 to %d expressions", FACT_PARTS_MAX);
    ret->fact = xcalloc(yaml_size(fact), sizeof *ret->fact);
    for (size_t i = 0; i < yaml_size(fact); i++) {
        struct expr_list *part = &ret->fact[ret->fact_count++];
        if (expr_list_compile(rules, yaml_at(fact, i), part, err) < 0 ||
            check_list(yaml_at(fact, i), part, err) < 0)
            return -1;
    }
    return expr_list_compile(rules, channel, &ret->channel, err) < 0
               ? -1
               : check_list(channel, &ret->channel, err);
}

void fact_done(struct envelope *envelope)
{
    for (size_t i = 0; i < envelope->fact_count; i++)
        expr_list_done(&envelope->fact[i]);
    free(envelope->fact);
    expr_list_done(&envelope->channel);
}

bool fact_read(struct eval *eval, const struct envelope *envelope, const struct course *course,
               uint64_t *ret_fact, uint32_t *ret_channel)
{
    size_t mark = eval->scratch_used;
    struct slice text = eval->view->field[EVENT_DOMAIN];
    uint64_t hash = XXH3_64bits(text.ptr ? text.ptr : "", text.len);
    bool whole = envelope->fact_count > 0;
    for (size_t i = 0; i < envelope->fact_count && whole; i++) {
        text =
            course ? source_text(eval, &course->fact[i]) : expr_list_text(eval, &envelope->fact[i]);
        whole = slice_present(text);
        if (whole)
            hash = XXH3_64bits_withSeed(text.ptr, text.len, hash);
        eval->scratch_used = mark;
    }
    text = SLICE_ABSENT;
    if (whole)
        text =
            course ? source_text(eval, &course->channel) : expr_list_text(eval, &envelope->channel);
    eval->scratch_used = mark;
    if (!slice_present(text))
        return false;
    *ret_fact = hash;
    *ret_channel = (uint32_t)XXH3_64bits(text.ptr, text.len);
    return true;
}

/* --- what waits ------------------------------------------------------------------------------- */

/* Nodes of a ring through node 0, which stands for its two ends; free ones are chained by `after`.
 */
struct node {
    uint64_t fact;
    uint32_t channel, before, after;
};

struct facts {
    struct node *nodes;
    size_t node_count, node_room;
    uint32_t free;      /* 0: none */
    struct placemap at; /* by fact */
};

static struct facts *facts_new(void)
{
    struct facts *facts = xcalloc(1, sizeof *facts);
    GROW(facts->nodes, facts->node_count, facts->node_room);
    facts->nodes[facts->node_count++] = (struct node){0};
    return facts;
}

void facts_free(struct facts *facts)
{
    if (!facts)
        return;
    placemap_done(&facts->at);
    free(facts->nodes);
    free(facts);
}

size_t facts_waiting(const struct facts *facts)
{
    return facts ? facts->at.count : 0;
}

static void unlink_node(struct facts *facts, uint32_t at)
{
    struct node *node = &facts->nodes[at];
    facts->nodes[node->before].after = node->after;
    facts->nodes[node->after].before = node->before;
}

static void link_newest(struct facts *facts, uint32_t at)
{
    uint32_t newest = facts->nodes[0].before;
    facts->nodes[at].before = newest;
    facts->nodes[at].after = 0;
    facts->nodes[newest].after = at;
    facts->nodes[0].before = at;
}

static void forget(struct facts *facts, uint32_t at)
{
    unlink_node(facts, at);
    placemap_remove(&facts->at, facts->nodes[at].fact, at, facts->nodes, sizeof *facts->nodes);
    facts->nodes[at].after = facts->free;
    facts->free = at;
}

static uint32_t new_node(struct facts *facts)
{
    uint32_t at = facts->free;
    if (at) {
        facts->free = facts->nodes[at].after;
        return at;
    }
    GROW(facts->nodes, facts->node_count, facts->node_room);
    return (uint32_t)facts->node_count++;
}

static void wait_for_copy(struct facts *facts, uint64_t fact, uint32_t channel)
{
    if (facts->at.count >= FACTS_WAITING_MAX)
        forget(facts, facts->nodes[0].after);
    uint32_t at = new_node(facts);
    facts->nodes[at] = (struct node){.fact = fact, .channel = channel};
    link_newest(facts, at);
    placemap_put(&facts->at, fact, at, facts->nodes, sizeof *facts->nodes);
}

void facts_expect(const struct facts *facts, uint64_t fact)
{
    if (!facts)
        return;
    placemap_prefetch(&facts->at, fact);
    /* Which fact is forgotten next is known before: that of the one after it is fetched. */
    if (facts->at.count >= FACTS_WAITING_MAX) {
        const struct node *second = &facts->nodes[facts->nodes[facts->nodes[0].after].after];
        placemap_prefetch(&facts->at, second->fact);
        __builtin_prefetch(&facts->nodes[second->after], 1);
    }
}

bool facts_take(struct facts **facts, uint64_t fact, uint32_t channel)
{
    if (!*facts)
        *facts = facts_new();
    uint32_t at = placemap_get(&(*facts)->at, fact, (*facts)->nodes, sizeof *(*facts)->nodes);
    if (at == PLACEMAP_NONE) {
        wait_for_copy(*facts, fact, channel);
        return false;
    }
    if ((*facts)->nodes[at].channel != channel) {
        forget(*facts, at);
        return true;
    }
    unlink_node(*facts, at);
    link_newest(*facts, at);
    return false;
}

/* --- snapshot --------------------------------------------------------------------------------- */

void facts_encode(const struct facts *facts, struct buf *ret)
{
    codec_put_u64(ret, facts_waiting(facts));
    if (!facts)
        return;
    for (uint32_t at = facts->nodes[0].after; at; at = facts->nodes[at].after) {
        codec_put_fixed(ret, facts->nodes[at].fact);
        codec_put_u64(ret, facts->nodes[at].channel);
    }
}

void facts_decode(struct facts **facts, bool keep, struct codec_reader *in)
{
    for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
        uint64_t fact = codec_get_fixed(in), channel = codec_get_u64(in);
        in->ok = in->ok && channel <= UINT32_MAX;
        if (keep && in->ok)
            (void)facts_take(facts, fact, (uint32_t)channel);
    }
}
