#include "fold/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "config/yaml.h"
#include "fold/plan.h"

/* --- names that rules cannot take ------------------------------------------------------------- */

/* Of the engine and of the monitor itself; one that ends in _ stands for all that begin with it. */
static const struct slice reserved[] = {
    SLICE("cim_monitor_"),
    SLICE("process_"),
    SLICE("cim_events_malformed_total"),
    SLICE("cim_duplicate_events_total"),
    SLICE("cim_event_chain_verified_total"),
    SLICE("cim_event_chain_breaks_total"),
    SLICE("cim_event_schema_violations_total"),
    SLICE("cim_event_copies_total"),
    SLICE("cim_event_processing_lag_seconds"),
    SLICE("cim_event_processing_duration_seconds"),
    SLICE("cim_active_event_streams"),
    SLICE("cim_event_queue_depth"),
    SLICE("cim_event_queue_capacity"),
};

static int check_name(const struct metric_rule *rule, struct error *err)
{
    struct slice name = slice_of(rule->spec.name);
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        bool group = reserved[i].ptr[reserved[i].len - 1] == '_';
        if (group ? slice_starts(name, reserved[i]) : slice_eq(name, reserved[i]))
            return yaml_error(yaml_get(rule->node, "name"), err,
                              "%s is a metric of the monitor itself; choose another name",
                              rule->spec.name);
    }
    return 0;
}

/* --- what is remembered ----------------------------------------------------------------------- */

struct users {
    const struct rules *rules;
    const struct yaml_node *node;
    bool remembers;
    struct error *err;
};

static int check_expr(struct users *users, const struct expr *expr)
{
    if (expr->as_written)
        return yaml_error(users->node, users->err, "$raw belongs to an envelope's 'fact'");
    if (expr->kind != EXPR_REMEMBERED)
        return 0;
    users->remembers = true;
    for (size_t i = 0; i < users->rules->remember_count; i++) {
        if (slice_eq(users->rules->remembers[i].name, expr->text))
            return 0;
    }
    return yaml_error(users->node, users->err, "no remember rule has the name '%.*s'",
                      SLICE_ARG(expr->text));
}

static int check_list(struct users *users, const struct expr_list *list)
{
    int rc = 0;
    for (size_t i = 0; i < list->count && rc == 0; i++)
        rc = check_expr(users, &list->items[i]);
    return rc;
}

static int check_conditions(struct users *users, const struct condition_list *list)
{
    int rc = 0;
    for (size_t i = 0; i < list->count && rc == 0; i++)
        rc = check_expr(users, &list->items[i].expr);
    return rc;
}

static int check_metric(const struct rules *rules, struct metric_rule *rule, struct error *err)
{
    struct users users = {rules, rule->node, false, err};
    if (check_name(rule, err) < 0 || check_conditions(&users, &rule->when) < 0 ||
        check_conditions(&users, &rule->until) < 0 || check_conditions(&users, &rule->since) < 0 ||
        check_conditions(&users, &rule->of) < 0 ||
        check_conditions(&users, &rule->span.start) < 0 ||
        check_conditions(&users, &rule->span.end) < 0 ||
        check_list(&users, &rule->span.start_key) < 0 ||
        check_list(&users, &rule->span.end_key) < 0 || check_list(&users, &rule->value) < 0 ||
        check_list(&users, &rule->key) < 0 || check_list(&users, &rule->expires) < 0)
        return -1;
    for (size_t i = 0; i < rule->spec.label_count; i++) {
        if (check_list(&users, &rule->labels[i]) < 0)
            return -1;
    }
    if (users.remembers)
        rule->fingerprint = XXH3_64bits_withSeed(
            &rules->remember_fingerprint, sizeof rules->remember_fingerprint, rule->fingerprint);
    return 0;
}

static int check_remember(const struct rules *rules, size_t index, struct error *err)
{
    const struct remember_rule *rule = &rules->remembers[index];
    struct users users = {rules, rule->node, false, err};
    for (size_t i = 0; i < index; i++) {
        if (slice_eq(rules->remembers[i].name, rule->name))
            return yaml_error(yaml_get(rule->node, "name"), err,
                              "another remember rule has the name '%.*s' already",
                              SLICE_ARG(rule->name));
    }
    return check_conditions(&users, &rule->when) < 0 || check_list(&users, &rule->key) < 0
               ? -1
               : check_list(&users, &rule->value);
}

/* --- limits ----------------------------------------------------------------------------------- */

/* Every group's plan is a part of this one, so when it compiles they all do. */
static int check_paths(const struct rules *rules, struct error *err)
{
    if (rules->path_count > JSON_PATHS_MAX)
        return error_set(err, EXIT_CODE_USAGE,
                         "%zu different payload paths; at most %d are supported", rules->path_count,
                         JSON_PATHS_MAX);
    struct json_plan *plan = json_plan_new();
    for (size_t i = 0; i < rules->path_count; i++)
        (void)json_plan_add(plan, slice_of(rules->paths[i]));
    bool small = json_plan_compile(plan);
    json_plan_free(plan);
    return small ? 0
                 : error_set(err, EXIT_CODE_USAGE,
                             "the payload paths with '*' overlap in too many ways; name members "
                             "instead");
}

int rules_check(struct rules *rules, struct error *err)
{
    size_t targets = rules->envelope_count + rules->metric_count + rules->remember_count;
    if (targets > PLAN_TARGETS_MAX)
        return error_set(err, EXIT_CODE_USAGE, "%zu envelopes and rules; at most %d are supported",
                         targets, PLAN_TARGETS_MAX);
    for (size_t i = 0; i < rules->remember_count; i++) {
        if (check_remember(rules, i, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < rules->metric_count; i++) {
        if (check_metric(rules, &rules->metrics[i], err) < 0)
            return -1;
    }
    return check_paths(rules, err);
}
