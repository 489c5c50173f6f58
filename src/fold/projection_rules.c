#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "fold/projection_internal.h"
#include "fold/rules_internal.h"
#include "json/tree.h"

/* --- references ------------------------------------------------------------------------------- */

/* A member's name in the form that json/tree.h compares, kept with the rules. */
static struct slice keep_name(struct projection_rules *rules, struct slice text, const char *suffix)
{
    CLEANUP_BUF struct buf whole = {0}, name = {0};
    buf_add_slice(&whole, text);
    buf_add_str(&whole, suffix);
    json_tree_name(&name, buf_slice(&whole));
    rules->names = xrealloc(rules->names, rules->name_count + 1, sizeof *rules->names);
    char *kept = xstrndup(name.ptr, name.len);
    rules->names[rules->name_count++] = kept;
    return (struct slice){kept, name.len};
}

static bool is_literal(const struct yaml_node *node)
{
    static const struct slice words[] = {SLICE("true"), SLICE("false"), SLICE("null")};
    struct slice text = yaml_text(node);
    struct json_value number = {.raw = text, .type = JSON_TYPE_NUMBER};
    double value;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        known = known || slice_eq(text, words[i]);
    return yaml_is_plain(node) && (known || json_number(&number, &value));
}

/* The references that are ours: all others give a text, as in the other rule files. */
static const struct {
    struct slice name;
    enum projection_source source;
} own_references[] = {
    {SLICE("$payload"), SOURCE_JSON},
    {SLICE("$stored_at"), SOURCE_STORED_AT},
    {SLICE("$occurred_at"), SOURCE_OCCURRED_AT},
    {SLICE("$sequence"), SOURCE_SEQUENCE},
    {SLICE("$stream"), SOURCE_STREAM},
    {SLICE("$subject"), SOURCE_SUBJECT},
};

static int check_text(const struct yaml_node *node, const struct expr_list *list, struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind == EXPR_REMEMBERED)
            return yaml_error(node, err, "$remembered is for metrics only");
        if (list->items[i].as_written)
            return yaml_error(node, err, "$raw is for envelopes; $payload is the value itself");
    }
    return 0;
}

static int load_reference(struct projection_rules *rules, const struct yaml_node *node,
                          struct projection_reference *ret, struct error *err)
{
    struct slice text = slice_trim(yaml_text(node));
    *ret = (struct projection_reference){.source = SOURCE_TEXT};
    for (size_t i = 0; i < ARRAY_LEN(own_references); i++) {
        if (slice_eq(text, own_references[i].name)) {
            ret->source = own_references[i].source;
            ret->path = ret->source == SOURCE_JSON ? rules_path(&rules->base, SLICE("")) : 0;
            return 0;
        }
    }
    if (yaml_is_scalar(node) && is_literal(node)) {
        ret->source = SOURCE_LITERAL;
        ret->literal = text;
        return 0;
    }
    if (expr_list_compile(&rules->base, node, &ret->text, err) < 0 ||
        check_text(node, &ret->text, err) < 0)
        return -1;
    const struct expr *first = &ret->text.items[0];
    if (!ret->text.rewrite && first->kind == EXPR_PAYLOAD && !first->transform_count &&
        slice_starts(text, SLICE("$payload."))) {
        ret->source = SOURCE_JSON;
        ret->path = first->path;
    }
    return 0;
}

/* One reference, a list of which the first that gives something holds, or a rewriting. */
static int load_references(struct projection_rules *rules, const struct yaml_node *node,
                           struct projection_field *ret, struct error *err)
{
    bool many = yaml_is_sequence(node);
    size_t count = many ? yaml_size(node) : 1;
    if (many && (count == 0 || count > PROJECTION_FIELDS_MAX))
        return yaml_error(node, err, "1 to %d references were expected", PROJECTION_FIELDS_MAX);
    ret->references = xcalloc(count, sizeof *ret->references);
    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *item = many ? yaml_at(node, i) : node;
        ret->reference_count++;
        if (load_reference(rules, item, &ret->references[i], err) < 0)
            return -1;
    }
    return 0;
}

/* --- steps ------------------------------------------------------------------------------------ */

enum operand {
    OPERAND_REFERENCE, /* one, or the first of several */
    OPERAND_FIELDS,    /* {FIELD: reference} */
    OPERAND_EITHER,
    OPERAND_NAMES, /* FIELD, or several */
    OPERAND_TRUE,
};

static const struct {
    const char *name;
    enum projection_op op;
    enum operand operand;
} ops[] = {
    {"last", PROJECTION_LAST, OPERAND_REFERENCE}, {"merge", PROJECTION_MERGE, OPERAND_EITHER},
    {"count", PROJECTION_COUNT, OPERAND_NAMES},   {"set", PROJECTION_SET, OPERAND_FIELDS},
    {"once", PROJECTION_ONCE, OPERAND_FIELDS},    {"append", PROJECTION_APPEND, OPERAND_FIELDS},
    {"remove", PROJECTION_REMOVE, OPERAND_NAMES}, {"end", PROJECTION_END, OPERAND_TRUE},
};

static struct projection_field *add_field(struct projection_step *step)
{
    step->fields = xrealloc(step->fields, step->field_count + 1, sizeof *step->fields);
    step->fields[step->field_count] = (struct projection_field){0};
    return &step->fields[step->field_count++];
}

static int load_name(struct projection_rules *rules, const struct yaml_node *node,
                     struct projection_step *step, struct error *err)
{
    struct slice text = yaml_text(node);
    if (!yaml_is_scalar(node) || !text.len || text.ptr[0] == '$')
        return yaml_error(node, err, "the name of a field was expected");
    struct projection_field *field = add_field(step);
    field->name = keep_name(rules, text, "");
    if (step->op == PROJECTION_APPEND)
        field->dropped = keep_name(rules, text, "_dropped");
    return 0;
}

static int load_names(struct projection_rules *rules, const struct yaml_node *node,
                      struct projection_step *step, struct error *err)
{
    bool many = yaml_is_sequence(node);
    size_t count = many ? yaml_size(node) : 1;
    if (count == 0 || count > PROJECTION_FIELDS_MAX)
        return yaml_error(node, err, "1 to %d fields were expected", PROJECTION_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (load_name(rules, many ? yaml_at(node, i) : node, step, err) < 0)
            return -1;
    }
    return 0;
}

static int load_fields(struct projection_rules *rules, const struct yaml_node *node,
                       struct projection_step *step, struct error *err)
{
    size_t count = yaml_size(node);
    if (!yaml_is_mapping(node) || count == 0 || count > PROJECTION_FIELDS_MAX)
        return yaml_error(node, err, "{FIELD: reference} was expected, 1 to %d of them",
                          PROJECTION_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (load_name(rules, yaml_key_at(node, i), step, err) < 0 ||
            load_references(rules, yaml_value_at(node, i), &step->fields[i], err) < 0)
            return -1;
    }
    return 0;
}

static int load_operand(struct projection_rules *rules, const struct yaml_node *node,
                        enum operand operand, struct projection_step *step, struct error *err)
{
    if (operand == OPERAND_EITHER)
        operand = yaml_is_mapping(node) ? OPERAND_FIELDS : OPERAND_REFERENCE;
    switch (operand) {
    case OPERAND_NAMES: return load_names(rules, node, step, err);
    case OPERAND_FIELDS: return load_fields(rules, node, step, err);
    case OPERAND_TRUE:
        return slice_eq(yaml_text(node), SLICE("true"))
                   ? 0
                   : yaml_error(node, err, "'end' takes nothing but true");
    case OPERAND_EITHER:
    case OPERAND_REFERENCE: break;
    }
    return load_references(rules, node, add_field(step), err);
}

static int load_limit(const struct yaml_node *node, size_t *ret, struct error *err)
{
    uint64_t limit = PROJECTION_APPEND_DEFAULT;
    if (node && (!slice_u64(yaml_text(node), &limit) || !limit || limit > PROJECTION_APPEND_MAX))
        return yaml_error(node, err, "a number of items from 1 to %d was expected",
                          PROJECTION_APPEND_MAX);
    *ret = (size_t)limit;
    return 0;
}

static int load_step(struct projection_rules *rules, const struct yaml_node *key,
                     const struct yaml_node *value, const struct yaml_node *limit,
                     struct projection_rule *ret, struct error *err)
{
    size_t i = 0;
    while (i < ARRAY_LEN(ops) && !slice_eq(yaml_text(key), slice_of(ops[i].name)))
        i++;
    if (i == ARRAY_LEN(ops))
        return yaml_error(key, err,
                          "'%.*s' is no step; last, merge, count, set, once, append, limit, remove "
                          "and end exist",
                          SLICE_ARG(yaml_text(key)));
    if (ret->step_count == PROJECTION_STEPS_MAX)
        return yaml_error(key, err, "more than %d steps", PROJECTION_STEPS_MAX);
    struct projection_step *step = &ret->steps[ret->step_count++];
    step->op = ops[i].op;
    if (step->op == PROJECTION_APPEND && load_limit(limit, &step->limit, err) < 0)
        return -1;
    return load_operand(rules, value, ops[i].operand, step, err);
}

/* A mapping of steps, in the order they are written in. */
static int load_steps(struct projection_rules *rules, const struct yaml_node *node,
                      struct projection_rule *ret, struct error *err)
{
    const struct yaml_node *limit = yaml_get(node, "limit");
    if (!yaml_is_mapping(node) || yaml_size(node) == (limit ? 1u : 0u))
        return yaml_error(node, err, "steps were expected, such as: set: {status: $event_type}");
    if (limit && !yaml_get(node, "append"))
        return yaml_error(limit, err, "'limit' belongs to an append");
    for (size_t i = 0; i < yaml_size(node); i++) {
        const struct yaml_node *key = yaml_key_at(node, i);
        if (slice_eq(yaml_text(key), SLICE("limit")))
            continue;
        if (load_step(rules, key, yaml_value_at(node, i), limit, ret, err) < 0)
            return -1;
    }
    return 0;
}

/* --- rules ------------------------------------------------------------------------------------ */

static int check_conditions(const struct yaml_node *node, const struct condition_list *list,
                            struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].expr.kind == EXPR_REMEMBERED)
            return yaml_error(node, err, "$remembered is for metrics only");
    }
    return 0;
}

static int check_name(const struct projection_rules *rules, const struct yaml_node *name,
                      struct error *err)
{
    struct slice text = yaml_text(name);
    if (!yaml_is_scalar(name) || !text.len)
        return yaml_error(name, err, "a name was expected");
    for (size_t i = 0; i + 1 < rules->count; i++) {
        if (slice_eq(rules->items[i].name, text))
            return yaml_error(name, err, "there is a projection '%.*s' already", SLICE_ARG(text));
    }
    return 0;
}

static int load_rule(struct projection_rules *rules, const struct yaml_node *node,
                     struct projection_rule *ret, struct error *err)
{
    static const char *const known[] = {"name", "subjects", "when", "fold"};
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "a projection", err) < 0)
        return -1;
    const struct yaml_node *name = yaml_get(node, "name"), *fold = yaml_get(node, "fold"),
                           *when = yaml_get(node, "when"), *subjects = yaml_get(node, "subjects");
    if (!name || !fold)
        return yaml_error(node, err, "a projection needs 'name' and 'fold'");
    if (check_name(rules, name, err) < 0)
        return -1;
    ret->name = yaml_text(name);
    ret->steps = xcalloc(PROJECTION_STEPS_MAX, sizeof *ret->steps);
    if (subjects && filter_list_compile(subjects, &ret->subjects, err) < 0)
        return -1;
    if (when && (condition_list_compile(&rules->base, when, &ret->when, err) < 0 ||
                 check_conditions(when, &ret->when, err) < 0))
        return -1;
    if (!yaml_is_sequence(fold))
        return load_steps(rules, fold, ret, err);
    if (!yaml_size(fold))
        return yaml_error(fold, err, "'fold' has no step");
    for (size_t i = 0; i < yaml_size(fold); i++) {
        if (load_steps(rules, yaml_at(fold, i), ret, err) < 0)
            return -1;
    }
    return 0;
}

static int load_list(struct projection_rules *rules, const struct yaml_node *list,
                     struct error *err)
{
    if (!yaml_is_sequence(list))
        return yaml_error(list, err, "'projections' is a list");
    for (size_t i = 0; i < yaml_size(list); i++) {
        const struct yaml_node *node = yaml_at(list, i);
        if (rules->count == PROJECTION_RULES_MAX)
            return yaml_error(node, err, "more than %d projections", PROJECTION_RULES_MAX);
        rules->items = xrealloc(rules->items, rules->count + 1, sizeof *rules->items);
        struct projection_rule *rule = &rules->items[rules->count++];
        *rule = (struct projection_rule){0};
        rules->fingerprint = rules_fingerprint(node, rules->fingerprint);
        if (load_rule(rules, node, rule, err) < 0)
            return -1;
    }
    return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int is_rule_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && entry->d_name[0] != '.' && !strcmp(entry->d_name + len - 5, ".yaml") &&
           strcmp(entry->d_name, "envelopes.yaml") != 0;
}

static int load_file(struct projection_rules *rules, const char *folder, const char *name,
                     struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name);
    struct yaml_document_tree *file = NULL;
    if (yaml_load_file(path, &file, err) < 0)
        return -1;
    rules->files = xrealloc(rules->files, rules->file_count + 1, sizeof *rules->files);
    rules->files[rules->file_count++] = file;
    const struct yaml_node *list = yaml_get(yaml_root(file), "projections");
    return list ? load_list(rules, list, err) : 0;
}

static int make_plan(struct projection_rules *rules, const char *folder, struct error *err)
{
    bool fits = true;
    rules->plan = json_plan_new();
    rules->slot_of = xcalloc(rules->base.path_count + 1, sizeof *rules->slot_of);
    for (size_t i = 0; i < rules->base.path_count; i++) {
        rules->slot_of[i] = json_plan_add(rules->plan, slice_of(rules->base.paths[i]));
        fits = fits && rules->slot_of[i] >= 0;
    }
    if (!fits || !json_plan_compile(rules->plan))
        return error_set(err, EXIT_CODE_USAGE,
                         "%s: the paths of its projections are too many, or overlap too much by *",
                         folder);
    return 0;
}

int projection_rules_load(const char *folder, struct projection_rules **ret, struct error *err)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_rule_file, alphasort), rc = 0;
    if (count < 0)
        return error_set(err, EXIT_CODE_USAGE,
                         "%s: cannot read the rules folder; name one by --rules", folder);
    struct projection_rules *rules = xcalloc(1, sizeof *rules);
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = load_file(rules, folder, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    if (rc == 0)
        rc = make_plan(rules, folder, err);
    if (rc < 0)
        projection_rules_free(rules);
    else
        *ret = rules;
    return rc;
}

static void free_rule(struct projection_rule *rule)
{
    free(rule->subjects.items);
    condition_list_done(&rule->when);
    for (size_t s = 0; s < rule->step_count; s++) {
        for (size_t f = 0; f < rule->steps[s].field_count; f++) {
            struct projection_field *field = &rule->steps[s].fields[f];
            for (size_t r = 0; r < field->reference_count; r++)
                expr_list_done(&field->references[r].text);
            free(field->references);
        }
        free(rule->steps[s].fields);
    }
    free(rule->steps);
}

void projection_rules_free(struct projection_rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->count; i++)
        free_rule(&rules->items[i]);
    for (size_t i = 0; i < rules->file_count; i++)
        yaml_free(rules->files[i]);
    for (size_t i = 0; i < rules->name_count; i++)
        free(rules->names[i]);
    for (size_t i = 0; i < rules->base.path_count; i++)
        free(rules->base.paths[i]);
    json_plan_free(rules->plan);
    free(rules->base.paths);
    free(rules->slot_of);
    free(rules->names);
    free(rules->files);
    free(rules->items);
    free(rules);
}

size_t projection_rules_count(const struct projection_rules *rules)
{
    return rules->count;
}

uint64_t projection_rules_fingerprint(const struct projection_rules *rules)
{
    return rules->fingerprint;
}
