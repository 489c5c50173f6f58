#include "fold/rules.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "fold/chain.h"
#include "fold/check.h"
#include "fold/contract.h"
#include "fold/expr.h"
#include "fold/fact.h"
#include "fold/rules_internal.h"

#define RULE_FILES_MAX 256
static const char envelopes_file[] = "envelopes.yaml";

struct rule_files {
    struct yaml_document_tree *trees[RULE_FILES_MAX];
    char *names[RULE_FILES_MAX];
    size_t count;
};

/* The meaning of a subtree, whatever its comments and layout. */
uint64_t rules_fingerprint(const struct yaml_node *node, uint64_t seed)
{
    if (yaml_is_scalar(node)) {
        struct slice text = yaml_text(node);
        return XXH3_64bits_withSeed(text.ptr, text.len, seed ^ 1);
    }
    uint64_t hash = seed ^ (yaml_is_mapping(node) ? 2 : 3);
    for (size_t i = 0; i < yaml_size(node); i++) {
        if (yaml_is_mapping(node)) {
            hash = rules_fingerprint(yaml_key_at(node, i), hash);
            hash = rules_fingerprint(yaml_value_at(node, i), hash);
        } else {
            hash = rules_fingerprint(yaml_at(node, i), hash);
        }
        hash = XXH3_64bits_withSeed(&hash, sizeof hash, i);
    }
    return hash;
}

/* --- envelopes -------------------------------------------------------------------------------- */

/* Each a name, or {spelling: name} where the two are not spelled alike. */
static int load_types(const struct yaml_node *node, struct envelope *ret, struct error *err)
{
    if (!yaml_is_sequence(node))
        return yaml_error(node, err, "a list of type names was expected");
    ret->types = xcalloc(yaml_size(node) + 1, sizeof *ret->types);
    for (; ret->type_count < yaml_size(node); ret->type_count++) {
        const struct yaml_node *item = yaml_at(node, ret->type_count), *spelling = item;
        if (yaml_is_mapping(item) && yaml_size(item) == 1) {
            spelling = yaml_key_at(item, 0);
            item = yaml_value_at(item, 0);
        }
        if (!yaml_is_scalar(item) || !yaml_text(item).len)
            return yaml_error(item, err, "a type name, or {spelling: TypeName}, was expected");
        ret->types[ret->type_count] = (struct type_name){yaml_text(spelling), yaml_text(item)};
    }
    return 0;
}

static int load_requires(struct rules *rules, const struct yaml_node *node, struct envelope *ret,
                         struct error *err)
{
    struct expr_list wanted = {0};
    int rc = expr_list_compile(rules, node, &wanted, err);
    ret->requires = xcalloc(wanted.count + 1, sizeof *ret->requires);
    ret->require_headers.items = xcalloc(wanted.count + 1, sizeof *ret->require_headers.items);
    for (size_t i = 0; rc == 0 && i < wanted.count; i++) {
        const struct expr *item = &wanted.items[i];
        if (item->transform_count || (item->kind != EXPR_PAYLOAD && item->kind != EXPR_HEADER))
            rc = yaml_error(node, err,
                            "'requires' takes $payload.PATH, $key.PATH, $tag.PATH, $text.PATH "
                            "and $header.NAME");
        else if (item->kind == EXPR_PAYLOAD)
        ret->requires[ret->require_count++] = *item;
        else ret->require_headers.items[ret->require_headers.count++] = item->text;
    }
    expr_list_done(&wanted);
    return rc;
}

/* A field can only be found in the message, and in fields that are read before it. */
static int check_field(const struct yaml_node *node, size_t field, const struct expr_list *list,
                       struct error *err)
{
    if (list->rewrite)
        return yaml_error(node, err, "'regex' and 'map' are for metrics, not for envelopes");
    for (size_t i = 0; i < list->count; i++) {
        const struct expr *item = &list->items[i];
        bool later = item->kind == EXPR_FIELD &&
                     (field < EVENT_CLASS_FIELDS || item->field >= EVENT_CLASS_FIELDS);
        if (item->as_written)
            return yaml_error(node, err, "$raw belongs to an envelope's 'fact'");
        if (later || item->kind == EXPR_DELAY || item->kind == EXPR_REMEMBERED)
            return yaml_error(node, err,
                              "an envelope's %s is found in subject, headers and payload only",
                              event_field_name((enum event_field)field));
    }
    return 0;
}

static int load_envelope(struct rules *rules, const struct yaml_node *node,
                         const struct yaml_node *defaults, struct envelope *ret, struct error *err)
{
    static const char *const known[] = {
        "name",           "subjects",       "requires",    "decode",     "types",        "domain",
        "event_type",     "aggregate_type", "severity",    "error_type", "aggregate_id", "event_id",
        "correlation_id", "causation_id",   "occurred_at", "chain",      "fact",         "channel"};
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "an envelope", err) < 0)
        return -1;
    const struct yaml_node *name = yaml_get(node, "name"), *subjects = yaml_get(node, "subjects"),
                           *requires = yaml_get(node, "requires"), *types = yaml_get(node, "types"),
                           *decode = yaml_get(node, "decode"), *chain = yaml_get(node, "chain");
    if (!name || !yaml_is_scalar(name) || !subjects)
        return yaml_error(node, err, "an envelope needs 'name' and 'subjects'");
    ret->name = yaml_text(name);
    ret->node = node;
    if (filter_list_compile(subjects, &ret->subjects, err) < 0)
        return -1;
    if (requires && load_requires(rules, requires, ret, err) < 0)
        return -1;
    if (types && load_types(types, ret, err) < 0)
        return -1;
    if (chain && chain_names_load(rules, chain, ret, err) < 0)
        return -1;
    if (decode && !slice_eq(yaml_text(decode), SLICE("byte_array")))
        return yaml_error(decode, err, "'decode' knows byte_array only");
    ret->byte_array = decode != NULL;
    if (fact_compile(rules, yaml_get(node, "fact"), yaml_get(node, "channel"), ret, err) < 0)
        return -1;
    for (size_t f = 0; f < EVENT_FIELDS; f++) {
        const char *field = event_field_name((enum event_field)f);
        const struct yaml_node *value = yaml_get(node, field);
        if (!value && defaults)
            value = yaml_get(defaults, field);
        ret->field_nodes[f] = value;
        if (value && (expr_list_compile(rules, value, &ret->fields[f], err) < 0 ||
                      check_field(value, f, &ret->fields[f], err) < 0))
            return -1;
    }
    return 0;
}

/* `error_classes:` a mapping from class to the regular expression that event types of it match. */
static int load_error_classes(struct rules *rules, const struct yaml_node *node, struct error *err)
{
    if (!yaml_is_mapping(node))
        return yaml_error(node, err, "'error_classes' maps a class to a regular expression");
    rules->error_classes = xcalloc(yaml_size(node) + 1, sizeof *rules->error_classes);
    for (size_t i = 0; i < yaml_size(node); i++) {
        const struct yaml_node *value = yaml_value_at(node, i);
        struct error_class *class = &rules->error_classes[rules->error_class_count];
        class->name = yaml_text(yaml_key_at(node, i));
        if (!yaml_is_scalar(value) ||
            regcomp(&class->regex, yaml_text(value).ptr, REG_EXTENDED | REG_NOSUB) != 0)
            return yaml_error(value, err, "an extended regular expression was expected");
        rules->error_class_count++;
    }
    return 0;
}

static int load_envelopes(struct rules *rules, const struct yaml_node *root, struct error *err)
{
    static const char *const known[] = {"envelopes", "defaults", "error_classes", "chains"};
    const struct yaml_node *classes = yaml_get(root, "error_classes");
    const struct yaml_node *list = yaml_get(root, "envelopes");
    const struct yaml_node *chains = yaml_get(root, "chains");
    if (yaml_check_keys(root, known, ARRAY_LEN(known), "envelopes.yaml", err) < 0)
        return -1;
    if (!list || !yaml_is_sequence(list))
        return yaml_error(root, err, "a list 'envelopes:' was expected");
    if (classes && load_error_classes(rules, classes, err) < 0)
        return -1;
    if (chains && chain_rules_load(rules, chains, err) < 0)
        return -1;
    rules->envelope_count = yaml_size(list);
    rules->envelopes = xcalloc(rules->envelope_count + 1, sizeof *rules->envelopes);
    rules->envelope_fingerprint = rules_fingerprint(root, 0);
    for (size_t i = 0; i < rules->envelope_count; i++) {
        if (load_envelope(rules, yaml_at(list, i), yaml_get(root, "defaults"), &rules->envelopes[i],
                          err) < 0)
            return -1;
    }
    return 0;
}

/* --- metrics and what is remembered
 * --------------------------------------------------------------- */

static int load_remember(struct rules *rules, const struct yaml_node *node,
                         struct remember_rule *ret, struct error *err)
{
    static const char *const known[] = {"name", "subjects", "when", "key", "value", "accept"};
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "a remember rule", err) < 0)
        return -1;
    const struct yaml_node *name = yaml_get(node, "name"), *when = yaml_get(node, "when"),
                           *key = yaml_get(node, "key"), *value = yaml_get(node, "value"),
                           *subjects = yaml_get(node, "subjects");
    if (!name || !yaml_is_scalar(name) || !when || !key || !value)
        return yaml_error(node, err, "a remember rule needs 'name', 'when', 'key' and 'value'");
    ret->name = yaml_text(name);
    ret->node = node;
    if (subjects && filter_list_compile(subjects, &ret->subjects, err) < 0)
        return -1;
    if (condition_list_compile(rules, when, &ret->when, err) < 0 ||
        expr_list_compile(rules, key, &ret->key, err) < 0)
        return -1;
    return expr_list_compile(rules, value, &ret->value, err);
}

static int load_metric_file(struct rules *rules, const struct yaml_node *root, const char *file,
                            struct error *err)
{
    static const char *const known[] = {"metrics", "remember", "projections"}; /* projection.h */
    const struct yaml_node *metrics = yaml_get(root, "metrics"),
                           *remembers = yaml_get(root, "remember");
    if (yaml_check_keys(root, known, ARRAY_LEN(known), "a rules file", err) < 0)
        return -1;
    if ((metrics && !yaml_is_sequence(metrics)) || (remembers && !yaml_is_sequence(remembers)))
        return yaml_error(root, err, "'metrics' and 'remember' are lists");
    for (size_t i = 0; remembers && i < yaml_size(remembers); i++) {
        if (rules->remember_count == REMEMBERED_MAX)
            return yaml_error(yaml_at(remembers, i), err, "more than %d remember rules",
                              REMEMBERED_MAX);
        rules->remembers =
            xrealloc(rules->remembers, rules->remember_count + 1, sizeof *rules->remembers);
        struct remember_rule *rule = &rules->remembers[rules->remember_count++];
        *rule = (struct remember_rule){0};
        rules->remember_fingerprint =
            rules_fingerprint(yaml_at(remembers, i), rules->remember_fingerprint);
        if (load_remember(rules, yaml_at(remembers, i), rule, err) < 0)
            return -1;
    }
    for (size_t i = 0; metrics && i < yaml_size(metrics); i++) {
        if (rules_load_metric(rules, yaml_at(metrics, i), file, err) < 0)
            return -1;
    }
    return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int is_yaml(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && entry->d_name[0] != '.' && !strcmp(entry->d_name + len - 5, ".yaml");
}

static int open_file(struct rules *rules, const char *folder, const char *name,
                     const struct yaml_node **ret_root, struct error *err)
{
    struct rule_files *files = rules->files;
    if (files->count == RULE_FILES_MAX)
        return error_set(err, EXIT_CODE_USAGE, "%s: more than %d rule files", folder,
                         RULE_FILES_MAX);
    files->names[files->count] = xasprintf("%s/%s", folder, name);
    int rc = yaml_load_file(files->names[files->count], &files->trees[files->count], err);
    files->count++;
    if (rc == 0)
        *ret_root = yaml_root(files->trees[files->count - 1]);
    return rc;
}

static int load_folder(struct rules *rules, const char *folder, struct dirent **names, int count,
                       struct error *err)
{
    const struct yaml_node *root = NULL;
    bool found = false;
    for (int i = 0; i < count; i++)
        found = found || !strcmp(names[i]->d_name, envelopes_file);
    if (!found)
        return error_set(err, EXIT_CODE_USAGE, "%s: there is no %s in this folder", folder,
                         envelopes_file);
    if (open_file(rules, folder, envelopes_file, &root, err) < 0 ||
        load_envelopes(rules, root, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        if (!strcmp(names[i]->d_name, envelopes_file))
            continue;
        if (open_file(rules, folder, names[i]->d_name, &root, err) < 0 ||
            load_metric_file(rules, root, rules->files->names[rules->files->count - 1], err) < 0)
            return -1;
    }
    return 0;
}

int rules_load(const char *folder, struct rules **ret, struct error *err)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_yaml, alphasort);
    if (count < 0)
        return error_set(err, EXIT_CODE_USAGE,
                         "%s: cannot read the rules folder; name one by --rules", folder);
    struct rules *rules = xcalloc(1, sizeof *rules);
    rules->files = xcalloc(1, sizeof *rules->files);
    int rc = load_folder(rules, folder, names, count, err);
    if (rc == 0)
        rc = rules_check(rules, err);
    if (rc == 0)
        rc = contracts_load(rules, folder, err);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    if (rc < 0) {
        rules_free(rules);
        return -1;
    }
    *ret = rules;
    return 0;
}

static void free_envelope(struct envelope *envelope)
{
    free(envelope->subjects.items);
    free(envelope->requires);
    free(envelope->require_headers.items);
    free(envelope->types);
    free(envelope->chains);
    fact_done(envelope);
    for (size_t f = 0; f < EVENT_FIELDS; f++)
        expr_list_done(&envelope->fields[f]);
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->envelope_count; i++)
        free_envelope(&rules->envelopes[i]);
    for (size_t i = 0; i < rules->metric_count; i++)
        rules_free_metric(&rules->metrics[i]);
    for (size_t i = 0; i < rules->remember_count; i++) {
        free(rules->remembers[i].subjects.items);
        condition_list_done(&rules->remembers[i].when);
        expr_list_done(&rules->remembers[i].key);
        expr_list_done(&rules->remembers[i].value);
    }
    for (size_t i = 0; i < rules->error_class_count; i++)
        regfree(&rules->error_classes[i].regex);
    free(rules->error_classes);
    chain_rules_free(rules);
    for (size_t i = 0; i < rules->files->count; i++) {
        yaml_free(rules->files->trees[i]);
        free(rules->files->names[i]);
    }
    for (size_t i = 0; i < rules->path_count; i++)
        free(rules->paths[i]);
    free(rules->paths);
    for (size_t i = 0; i < rules->made_count; i++)
        free(rules->made[i]);
    free(rules->made);
    free(rules->envelopes);
    schema_set_free(rules->schemas);
    free(rules->metrics);
    free(rules->remembers);
    free(rules->files);
    free(rules);
}
