#include <stdlib.h>

#include "base/memory.h"
#include "fold/chain.h"

/* Strictly hexadecimal with 0x: a multicodec code as its table writes it. */
static int load_codec(const struct yaml_node *node, struct chain_rule *ret, struct error *err)
{
    struct slice text = yaml_text(node);
    uint64_t value = 0;
    bool sound = slice_starts(text, SLICE("0x")) && text.len > 2 && text.len <= 10;
    for (size_t i = 2; i < text.len && sound; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, text.ptr[i]);
        sound = at != NULL;
        value = value * 16 + (uint64_t)(at ? at - digits : 0);
    }
    if (!yaml_is_scalar(node) || !sound)
        return yaml_error(node, err, "'codec' is a multicodec code such as 0x55");
    ret->has_codec = true;
    ret->codec = value;
    return 0;
}

static int load_path(struct rules *rules, const struct yaml_node *node, size_t *ret,
                     struct error *err)
{
    struct expr expr;
    if (expr_compile(rules, node, &expr, err) < 0)
        return -1;
    if (expr.kind != EXPR_PAYLOAD || expr.transform_count)
        return yaml_error(node, err, "a $payload.PATH was expected");
    *ret = expr.path;
    return 0;
}

static int load_paths(struct rules *rules, const struct yaml_node *node, size_t *ret, size_t *count,
                      struct error *err)
{
    if (!yaml_is_sequence(node) || yaml_size(node) > CHAIN_PARTS_MAX)
        return yaml_error(node, err, "a list of at most %d $payload.PATH was expected",
                          CHAIN_PARTS_MAX);
    for (; *count < yaml_size(node); (*count)++) {
        if (load_path(rules, yaml_at(node, *count), &ret[*count], err) < 0)
            return -1;
    }
    return 0;
}

static int load_part(struct rules *rules, const struct yaml_node *node, struct chain_part *ret,
                     struct error *err)
{
    static const struct {
        struct slice text;
        enum chain_part_kind kind;
    } words[] = {{SLICE("$previous"), CHAIN_PREVIOUS},
                 {SLICE("$position"), CHAIN_POSITION},
                 {SLICE("$without_cid"), CHAIN_WITHOUT_CID}};
    struct slice text = yaml_text(node);
    *ret = (struct chain_part){.text = text};
    if (!yaml_is_scalar(node) || !text.len)
        return yaml_error(node, err, "a text or a reference was expected");
    if (text.ptr[0] != '$')
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(text, words[i].text)) {
            ret->kind = words[i].kind;
            return 0;
        }
    }
    ret->kind = CHAIN_VALUE;
    if (slice_starts(text, SLICE("$payload.")))
        return load_path(rules, node, &ret->path, err);
    return yaml_error(node, err,
                      "'%.*s': 'bytes' takes texts, $payload.PATH, $previous, $position and "
                      "$without_cid",
                      SLICE_ARG(text));
}

static int load_bytes(struct rules *rules, const struct yaml_node *node, struct chain_rule *ret,
                      struct error *err)
{
    if (!yaml_is_sequence(node) || yaml_size(node) > CHAIN_PARTS_MAX)
        return yaml_error(node, err, "'bytes' is a list of at most %d texts and references",
                          CHAIN_PARTS_MAX);
    for (; ret->byte_count < yaml_size(node); ret->byte_count++) {
        if (load_part(rules, yaml_at(node, ret->byte_count), &ret->bytes[ret->byte_count], err) < 0)
            return -1;
    }
    return 0;
}

static bool has_part(const struct chain_rule *rule, enum chain_part_kind kind)
{
    for (size_t i = 0; i < rule->byte_count; i++) {
        if (rule->bytes[i].kind == kind)
            return true;
    }
    return false;
}

static int check_rule(const struct chain_rule *rule, const struct yaml_node *node,
                      struct error *err)
{
    bool linked = rule->previous != CHAIN_NO_PATH;
    if (!linked && (has_part(rule, CHAIN_PREVIOUS) || has_part(rule, CHAIN_POSITION) ||
                    rule->sequence != CHAIN_NO_PATH || rule->place != CHAIN_NO_PATH))
        return yaml_error(node, err,
                          "$previous, $position, 'sequence' and 'place' need 'previous'");
    if (rule->split && (linked || !rule->byte_count || has_part(rule, CHAIN_WITHOUT_CID) ||
                        !rule->has_codec || !rule->key.count))
        return yaml_error(node, err,
                          "'split' needs 'codec' and 'key', and goes with neither 'previous' nor "
                          "$without_cid");
    return 0;
}

static int load_parts(struct rules *rules, const struct yaml_node *node, struct chain_rule *ret,
                      struct error *err)
{
    const struct yaml_node *part;
    const struct {
        const char *key;
        size_t *path;
    } paths[] = {{"cid", &ret->cid},
                 {"previous", &ret->previous},
                 {"sequence", &ret->sequence},
                 {"place", &ret->place}};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        *paths[i].path = CHAIN_NO_PATH;
        if ((part = yaml_get(node, paths[i].key)) && load_path(rules, part, paths[i].path, err) < 0)
            return -1;
    }
    if (load_bytes(rules, yaml_get(node, "bytes"), ret, err) < 0)
        return -1;
    if ((part = yaml_get(node, "order")) &&
        load_paths(rules, part, ret->order, &ret->order_count, err) < 0)
        return -1;
    if ((part = yaml_get(node, "requires")) &&
        load_paths(rules, part, ret->requires, &ret->require_count, err) < 0)
        return -1;
    if ((part = yaml_get(node, "key")) && expr_list_compile(rules, part, &ret->key, err) < 0)
        return -1;
    return (part = yaml_get(node, "codec")) ? load_codec(part, ret, err) : 0;
}

static int load_rule(struct rules *rules, const struct yaml_node *node, struct chain_rule *ret,
                     struct error *err)
{
    static const char *const known[] = {"name",     "cid",   "bytes",    "previous",
                                        "sequence", "place", "requires", "order",
                                        "key",      "codec", "split"};
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "a chain", err) < 0)
        return -1;
    const struct yaml_node *name = yaml_get(node, "name"), *split = yaml_get(node, "split");
    if (!name || !yaml_is_scalar(name) || !yaml_get(node, "cid") || !yaml_get(node, "bytes"))
        return yaml_error(node, err, "a chain needs 'name', 'cid' and 'bytes'");
    ret->name = yaml_text(name);
    ret->node = node;
    if (split && !slice_eq(yaml_text(split), SLICE("true")))
        return yaml_error(split, err, "'split' is true, or left out");
    ret->split = split != NULL;
    if (load_parts(rules, node, ret, err) < 0)
        return -1;
    ret->positioned = has_part(ret, CHAIN_POSITION);
    return check_rule(ret, node, err);
}

int chain_rules_load(struct rules *rules, const struct yaml_node *node, struct error *err)
{
    if (!yaml_is_sequence(node))
        return yaml_error(node, err, "'chains' is a list");
    rules->chains = xcalloc(yaml_size(node) + 1, sizeof *rules->chains);
    for (size_t i = 0; i < yaml_size(node); i++) {
        struct chain_rule *rule = &rules->chains[rules->chain_count++];
        if (load_rule(rules, yaml_at(node, i), rule, err) < 0)
            return -1;
        for (size_t before = 0; before < i; before++) {
            if (slice_eq(rules->chains[before].name, rule->name))
                return yaml_error(rule->node, err, "another chain has the name '%.*s' already",
                                  SLICE_ARG(rule->name));
        }
    }
    return 0;
}

static int find_chain(const struct rules *rules, const struct yaml_node *node,
                      const struct chain_rule **ret, struct error *err)
{
    for (size_t i = 0; i < rules->chain_count; i++) {
        if (slice_eq(rules->chains[i].name, yaml_text(node))) {
            *ret = &rules->chains[i];
            return 0;
        }
    }
    return yaml_error(node, err, "no entry of 'chains' has the name '%.*s'",
                      SLICE_ARG(yaml_text(node)));
}

int chain_names_load(const struct rules *rules, const struct yaml_node *node, struct envelope *ret,
                     struct error *err)
{
    bool many = yaml_is_sequence(node);
    size_t count = many ? yaml_size(node) : 1;
    ret->chains = xcalloc(count + 1, sizeof *ret->chains);
    for (; ret->chain_count < count; ret->chain_count++) {
        if (find_chain(rules, many ? yaml_at(node, ret->chain_count) : node,
                       &ret->chains[ret->chain_count], err) < 0)
            return -1;
    }
    return 0;
}

void chain_rules_free(struct rules *rules)
{
    for (size_t i = 0; i < rules->chain_count; i++)
        expr_list_done(&rules->chains[i].key);
    free(rules->chains);
}
