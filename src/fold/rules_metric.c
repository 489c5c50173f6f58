/* Metric rules, from YAML. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "fold/check.h"
#include "fold/expr.h"
#include "fold/rules_internal.h"

#define SERIES_MAX_MAX 10000000

static const struct {
    const char *name;
    enum metric_kind kind;
    enum rule_role role;
} kinds[] = {
    {"counter", METRIC_COUNTER, ROLE_PLAIN},     {"gauge", METRIC_GAUGE, ROLE_PLAIN},
    {"histogram", METRIC_HISTOGRAM, ROLE_PLAIN}, {"timestamp", METRIC_TIMESTAMP, ROLE_PLAIN},
    {"distinct", METRIC_DISTINCT, ROLE_PLAIN},   {"span", METRIC_HISTOGRAM, ROLE_SPAN},
    {"absent", METRIC_COUNTER, ROLE_ABSENT},     {"ratio", METRIC_COUNTER, ROLE_SHARE},
};

const char *metric_kind_name(enum metric_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].kind == kind)
            return kinds[i].name;
    }
    return "?";
}

/* --- metrics ---------------------------------------------------------------------------------- */

static bool name_is_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

int rules_load_labels(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                      struct error *err)
{
    if (!yaml_is_mapping(node))
        return yaml_error(node, err, "'labels' is a mapping from label name to expression");
    size_t first = ret->spec.label_count;
    if (first + yaml_size(node) > METRIC_LABELS_MAX)
        return yaml_error(node, err, "more than %d labels", METRIC_LABELS_MAX);
    for (size_t i = first; i < first + yaml_size(node); i++) {
        const struct yaml_node *key = yaml_key_at(node, i - first);
        struct slice name = yaml_text(key);
        if (!name_is_valid(name) || slice_starts(name, SLICE("__")) || slice_eq(name, SLICE("le")))
            return yaml_error(key, err, "'%.*s' cannot be a label name", SLICE_ARG(name));
        for (size_t other = 0; other < first; other++) {
            if (slice_eq(slice_of(ret->spec.labels[other]), name))
                return yaml_error(key, err, "the label '%.*s' is read from the start event already",
                                  SLICE_ARG(name));
        }
        ret->spec.labels[i] = name.ptr;
        ret->spec.label_count = i + 1;
        if (expr_list_compile(rules, yaml_value_at(node, i - first), &ret->labels[i], err) < 0)
            return -1;
        for (size_t e = 0; e < ret->labels[i].count; e++)
            ret->class_labels = ret->class_labels && expr_is_class(&ret->labels[i].items[e]);
    }
    return 0;
}

static int load_number(const struct yaml_node *node, double *ret, struct error *err)
{
    struct json_value number = {.raw = yaml_text(node), .type = JSON_TYPE_NUMBER};
    return json_number(&number, ret) ? 0 : yaml_error(node, err, "a number was expected");
}

static int load_limit(const struct yaml_node *node, const char *name, size_t *ret,
                      struct error *err)
{
    double number;
    if (load_number(node, &number, err) < 0)
        return -1;
    if (!(number >= 1 && number <= SERIES_MAX_MAX) || number != (double)(size_t)number)
        return yaml_error(node, err, "'%s' is a whole number from 1 to %d", name, SERIES_MAX_MAX);
    *ret = (size_t)number;
    return 0;
}

/* One number for all labels, or a mapping from label to number. The labels are loaded already. */
static int load_label_values_max(const struct yaml_node *node, struct metric_spec *ret,
                                 struct error *err)
{
    static const char name[] = "label_values_max";
    for (size_t l = 0; !yaml_is_mapping(node) && l < ret->label_count; l++) {
        if (load_limit(node, name, &ret->label_values_max[l], err) < 0)
            return -1;
    }
    for (size_t i = 0; yaml_is_mapping(node) && i < yaml_size(node); i++) {
        const struct yaml_node *key = yaml_key_at(node, i);
        size_t l = 0;
        while (l < ret->label_count && !slice_eq(slice_of(ret->labels[l]), yaml_text(key)))
            l++;
        if (l == ret->label_count)
            return yaml_error(key, err, "'%.*s' is no label of this metric",
                              SLICE_ARG(yaml_text(key)));
        if (load_limit(yaml_value_at(node, i), name, &ret->label_values_max[l], err) < 0)
            return -1;
    }
    return 0;
}

static int load_buckets(const struct yaml_node *node, struct metric_rule *ret, struct error *err)
{
    if (!yaml_is_sequence(node) || !yaml_size(node) || yaml_size(node) > METRIC_BUCKETS_MAX)
        return yaml_error(node, err, "'buckets' is a list of 1 to %d ascending numbers",
                          METRIC_BUCKETS_MAX);
    ret->spec.bucket_count = yaml_size(node);
    for (size_t i = 0; i < ret->spec.bucket_count; i++) {
        if (load_number(yaml_at(node, i), &ret->spec.buckets[i], err) < 0)
            return -1;
        if (i && ret->spec.buckets[i] <= ret->spec.buckets[i - 1])
            return yaml_error(yaml_at(node, i), err, "buckets must ascend");
    }
    return 0;
}

static int load_kind(const struct yaml_node *node, struct metric_rule *ret, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (slice_eq(yaml_text(node), slice_of(kinds[i].name))) {
            ret->spec.kind = kinds[i].kind;
            ret->role = kinds[i].role;
            return 0;
        }
    }
    return yaml_error(node, err,
                      "counter, gauge, histogram, timestamp, distinct, span, absent or ratio was "
                      "expected");
}

/* What each kind must and must not have. */
static int check_kind(const struct yaml_node *node, const struct metric_rule *rule,
                      struct error *err)
{
    enum metric_kind kind = rule->spec.kind;
    struct slice name = slice_of(rule->spec.name);
    bool total = name.len > 6 && !strcmp(name.ptr + name.len - 6, "_total");
    bool keyed = kind == METRIC_DISTINCT || rule_is_span(rule);
    if (rule->role == ROLE_OVERDUE)
        return 0;
    if ((kind == METRIC_COUNTER) != total)
        return yaml_error(yaml_get(node, "name"), err,
                          "a counter's name ends in _total, no other's");
    if ((kind == METRIC_HISTOGRAM) != (rule->spec.bucket_count > 0))
        return yaml_error(node, err, "a histogram needs 'buckets', no other kind has them");
    if ((kind == METRIC_HISTOGRAM || kind == METRIC_GAUGE) && !rule->value.count &&
        rule->role == ROLE_PLAIN)
        return yaml_error(node, err, "a %s needs 'value'", metric_kind_name(kind));
    if (keyed != (rule->key.count > 0) && !(rule_is_span(rule) && rule->span.start_key.count))
        return yaml_error(node, err,
                          "a distinct, span or absent metric needs 'key', no other kind has one");
    return 0;
}

static int load_metric_parts(struct rules *rules, const struct yaml_node *node,
                             struct metric_rule *ret, struct error *err)
{
    const struct yaml_node *part;
    if ((part = yaml_get(node, "subjects")) && filter_list_compile(part, &ret->subjects, err) < 0)
        return -1;
    if ((part = yaml_get(node, "when")) && condition_list_compile(rules, part, &ret->when, err) < 0)
        return -1;
    if ((part = yaml_get(node, "until")) &&
        condition_list_compile(rules, part, &ret->until, err) < 0)
        return -1;
    if ((part = yaml_get(node, "since")) &&
        condition_list_compile(rules, part, &ret->since, err) < 0)
        return -1;
    if (rules_load_role(rules, node, ret, err) < 0)
        return -1;
    if ((part = yaml_get(node, "labels")) && rules_load_labels(rules, part, ret, err) < 0)
        return -1;
    if (ret->role == ROLE_ABSENT)
        ret->span.start_labels = ret->spec.label_count;
    if ((part = yaml_get(node, "value")) && expr_list_compile(rules, part, &ret->value, err) < 0)
        return -1;
    if ((part = yaml_get(node, "key")) && expr_list_compile(rules, part, &ret->key, err) < 0)
        return -1;
    if ((part = yaml_get(node, "expires")) && rules_load_expires(rules, part, ret, err) < 0)
        return -1;
    if ((part = yaml_get(node, "buckets")) && load_buckets(part, ret, err) < 0)
        return -1;
    if ((part = yaml_get(node, "scale")) && load_number(part, &ret->scale, err) < 0)
        return -1;
    if ((part = yaml_get(node, "series_max")) &&
        load_limit(part, "series_max", &ret->spec.series_max, err) < 0)
        return -1;
    if ((part = yaml_get(node, "label_values_max")) &&
        load_label_values_max(part, &ret->spec, err) < 0)
        return -1;
    return 0;
}

/* Is `name` what `other` is exposed as: a histogram's samples, a counter's family in OpenMetrics?
 */
static bool is_shown_as(const struct metric_spec *other, enum metric_kind other_kind,
                        const char *name)
{
    static const char *const suffixes[] = {"_bucket", "_count", "_sum"};
    size_t len = strlen(other->name);
    if (other_kind == METRIC_COUNTER)
        return strlen(name) + strlen("_total") == len && !strncmp(other->name, name, strlen(name));
    for (size_t i = 0; other_kind == METRIC_HISTOGRAM && i < ARRAY_LEN(suffixes); i++) {
        if (!strncmp(name, other->name, len) && !strcmp(name + len, suffixes[i]))
            return true;
    }
    return false;
}

static int check_collisions(const struct rules *rules, const struct yaml_node *name,
                            const struct metric_rule *rule, struct error *err)
{
    for (size_t i = 0; i + 1 < rules->metric_count; i++) {
        const struct metric_spec *other = &rules->metrics[i].spec;
        if (is_shown_as(other, other->kind, rule->spec.name) ||
            is_shown_as(&rule->spec, rule->spec.kind, other->name))
            return yaml_error(name, err, "%s and %s (%s) would be exposed under one name",
                              rule->spec.name, other->name, rules->metrics[i].file);
    }
    return 0;
}

/* The name and help of a metric that its rule does not name itself. */
static void name_part(struct rules *rules, struct metric_rule *ret, size_t part)
{
    const char *name = ret->spec.name, *help = ret->spec.help;
    if (ret->role == ROLE_ABSENT && part) {
        size_t len = strlen(name), tail = strlen("_total");
        ret->role = ROLE_OVERDUE;
        ret->spec.kind = METRIC_GAUGE;
        ret->spec.sums = true;
        ret->spec.name = rules_keep(
            rules, xasprintf("%.*s_overdue", (int)(len > tail ? len - tail : len), name));
        ret->spec.help = rules_keep(rules, xasprintf("Overdue now - %s", help));
    } else if (ret->role == ROLE_SHARE) {
        ret->role = part ? ROLE_AMONG : ROLE_SHARE;
        ret->spec.name = rules_keep(rules, xasprintf("%s%s_total", name, part ? "_among" : ""));
        if (part)
            ret->spec.help =
                rules_keep(rules, xasprintf("What %s_total is a share of - %s", name, help));
    }
}

/* All that decides what the metric counts: a reason for a label changes nothing. */
static uint64_t meaning(const struct yaml_node *node, uint64_t seed)
{
    for (size_t i = 0; i < yaml_size(node); i++) {
        const struct yaml_node *key = yaml_key_at(node, i);
        if (!slice_eq(yaml_text(key), SLICE("accept")))
            seed = rules_fingerprint(yaml_value_at(node, i), rules_fingerprint(key, seed) + 1);
    }
    return seed;
}

/* `accept: {label: reason}`, for fold/advice.h. */
static int check_accept(const struct yaml_node *node, const struct metric_rule *rule,
                        struct error *err)
{
    if (!node)
        return 0;
    if (!yaml_is_mapping(node))
        return yaml_error(node, err, "'accept' is a mapping from a label to the reason");
    for (size_t i = 0; i < yaml_size(node); i++) {
        const struct yaml_node *key = yaml_key_at(node, i);
        size_t l = 0;
        while (l < rule->spec.label_count &&
               !slice_eq(slice_of(rule->spec.labels[l]), yaml_text(key)))
            l++;
        if (l == rule->spec.label_count)
            return yaml_error(key, err, "the metric has no label '%.*s'",
                              SLICE_ARG(yaml_text(key)));
        if (!yaml_text(yaml_value_at(node, i)).len)
            return yaml_error(key, err, "the reason was expected: why this label is all right");
    }
    return 0;
}

static int load_metric(struct rules *rules, const struct yaml_node *node, const char *file,
                       size_t part, struct metric_rule *ret, struct error *err)
{
    static const char *const known[] = {"name",    "type",       "help",
                                        "unit",    "subjects",   "when",
                                        "labels",  "value",      "key",
                                        "buckets", "scale",      "since",
                                        "until",   "series_max", "start",
                                        "end",     "after",      "expect",
                                        "within",  "timeout",    "open_max",
                                        "restart", "clock",      "of",
                                        "among",   "accept",     "label_values_max",
                                        "expires"};
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "a metric", err) < 0)
        return -1;
    const struct yaml_node *name = yaml_get(node, "name"), *type = yaml_get(node, "type"),
                           *help = yaml_get(node, "help"), *unit = yaml_get(node, "unit");
    if (!name || !type || !help || !yaml_is_scalar(help))
        return yaml_error(node, err, "a metric needs 'name', 'type' and 'help'");
    if (unit && !yaml_is_scalar(unit))
        return yaml_error(unit, err, "'unit' is a word such as seconds or bytes");
    if (!name_is_valid(yaml_text(name)))
        return yaml_error(name, err, "'%.*s' cannot be a metric name", SLICE_ARG(yaml_text(name)));
    *ret = (struct metric_rule){.scale = 1, .class_labels = true, .file = file, .node = node};
    ret->spec.name = yaml_text(name).ptr;
    ret->spec.help = yaml_text(help).ptr;
    ret->spec.unit = unit ? yaml_text(unit).ptr : "";
    ret->fingerprint = meaning(node, rules->envelope_fingerprint + part);
    if (load_kind(type, ret, err) < 0 || rules_check_role(node, ret, err) < 0)
        return -1;
    name_part(rules, ret, part);
    for (size_t i = 0; i + 1 < rules->metric_count; i++) {
        if (!strcmp(rules->metrics[i].spec.name, ret->spec.name))
            return yaml_error(name, err, "the metric %s is declared in %s already",
                              rules->metrics[i].spec.name, rules->metrics[i].file);
    }
    if (load_metric_parts(rules, node, ret, err) < 0 ||
        check_accept(yaml_get(node, "accept"), ret, err) < 0)
        return -1;
    return check_kind(node, ret, err) < 0 ? -1 : check_collisions(rules, name, ret, err);
}

static int add_metric(struct rules *rules, const struct yaml_node *node, const char *file,
                      size_t part, struct error *err)
{
    rules->metrics = xrealloc(rules->metrics, rules->metric_count + 1, sizeof *rules->metrics);
    struct metric_rule *rule = &rules->metrics[rules->metric_count++];
    *rule = (struct metric_rule){0};
    return load_metric(rules, node, file, part, rule, err);
}

int rules_load_metric(struct rules *rules, const struct yaml_node *node, const char *file,
                      struct error *err)
{
    if (add_metric(rules, node, file, 0, err) < 0)
        return -1;
    enum rule_role role = rules->metrics[rules->metric_count - 1].role;
    bool brings_another = role == ROLE_ABSENT || role == ROLE_SHARE;
    return brings_another ? add_metric(rules, node, file, 1, err) : 0;
}

void rules_free_metric(struct metric_rule *rule)
{
    free(rule->subjects.items);
    condition_list_done(&rule->when);
    condition_list_done(&rule->since);
    condition_list_done(&rule->until);
    condition_list_done(&rule->of);
    condition_list_done(&rule->span.start);
    condition_list_done(&rule->span.end);
    expr_list_done(&rule->span.start_key);
    expr_list_done(&rule->span.end_key);
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
        expr_list_done(&rule->labels[i]);
    expr_list_done(&rule->value);
    expr_list_done(&rule->expires);
    expr_list_done(&rule->key);
}
