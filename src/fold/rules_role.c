/* What only spans, absent rules and ratios have, from YAML. */
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "fold/expr.h"
#include "fold/rules_internal.h"

#define TIMEOUT_ABSENT_NS (86400 * NS_PER_SECOND)
#define DURATION_MAX_NS   (3660 * 86400 * NS_PER_SECOND)

const char *rules_keep(struct rules *rules, char *text)
{
    rules->made = xrealloc(rules->made, rules->made_count + 1, sizeof *rules->made);
    return rules->made[rules->made_count++] = text;
}

/* --- keys and whose they are ------------------------------------------------------------------ */

enum { OF_DISTINCT = 1, OF_SPAN = 2, OF_ABSENT = 4, OF_RATIO = 8, OF_OTHERS = 16, OF_GAUGE = 32 };

static const struct {
    const char *key, *owners;
    unsigned kinds;
} owned[] = {
    {"since", "distinct metrics", OF_DISTINCT},
    {"until", "distinct metrics and gauges", OF_DISTINCT | OF_GAUGE},
    {"expires", "gauges", OF_GAUGE},
    {"start", "spans", OF_SPAN},
    {"end", "spans", OF_SPAN},
    {"clock", "spans", OF_SPAN},
    {"after", "absent metrics", OF_ABSENT},
    {"expect", "absent metrics", OF_ABSENT},
    {"within", "absent metrics", OF_ABSENT},
    {"timeout", "spans and absent metrics", OF_SPAN | OF_ABSENT},
    {"open_max", "spans and absent metrics", OF_SPAN | OF_ABSENT},
    {"restart", "spans and absent metrics", OF_SPAN | OF_ABSENT},
    {"of", "ratios", OF_RATIO},
    {"among", "ratios", OF_RATIO},
    {"when", "other kinds than ratios, which have 'among'",
     OF_DISTINCT | OF_SPAN | OF_ABSENT | OF_OTHERS | OF_GAUGE},
    {"value", "counters, gauges, histograms and timestamps", OF_OTHERS | OF_GAUGE},
    {"scale", "metrics with a value, and spans", OF_OTHERS | OF_SPAN | OF_GAUGE},
};

static unsigned kind_of(const struct metric_rule *rule)
{
    switch (rule->role) {
    case ROLE_SPAN: return OF_SPAN;
    case ROLE_ABSENT:
    case ROLE_OVERDUE: return OF_ABSENT;
    case ROLE_SHARE:
    case ROLE_AMONG: return OF_RATIO;
    case ROLE_CONTRACT:
    case ROLE_PLAIN: break;
    }
    if (rule->spec.kind == METRIC_GAUGE)
        return OF_GAUGE;
    return rule->spec.kind == METRIC_DISTINCT ? OF_DISTINCT : OF_OTHERS;
}

int rules_check_role(const struct yaml_node *node, const struct metric_rule *rule,
                     struct error *err)
{
    for (size_t i = 0; i < yaml_size(node); i++) {
        const struct yaml_node *key = yaml_key_at(node, i);
        for (size_t k = 0; k < ARRAY_LEN(owned); k++) {
            if (slice_eq(yaml_text(key), slice_of(owned[k].key)) &&
                !(owned[k].kinds & kind_of(rule)))
                return yaml_error(key, err, "'%s' belongs to %s", owned[k].key, owned[k].owners);
        }
    }
    return 0;
}

/* --- spans ------------------------------------------------------------------------------------ */

static int load_duration(const struct yaml_node *node, int64_t *ret, struct error *err)
{
    if (!node || (duration_parse(yaml_text(node), ret) && *ret > 0 && *ret <= DURATION_MAX_NS))
        return 0;
    return yaml_error(node, err, "a duration such as 30s, 5m or 1d was expected, 3660d at most");
}

int rules_load_expires(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                       struct error *err)
{
    bool is_reference = !yaml_is_scalar(node) || slice_starts(yaml_text(node), SLICE("$"));
    ret->spec.expires = true;
    return is_reference ? expr_list_compile(rules, node, &ret->expires, err)
                        : load_duration(node, &ret->expires_ns, err);
}

/* One end of a span: conditions, or {when, key} and for the first one also labels. */
static int load_end(struct rules *rules, const struct yaml_node *node, bool is_start,
                    struct metric_rule *ret, struct error *err)
{
    static const char *const known[] = {"when", "key", "labels"};
    struct condition_list *conditions = is_start ? &ret->span.start : &ret->span.end;
    if (!yaml_is_mapping(node))
        return condition_list_compile(rules, node, conditions, err);
    if (yaml_check_keys(node, known, ARRAY_LEN(known) - !is_start, "one end of a span", err) < 0)
        return -1;
    const struct yaml_node *when = yaml_get(node, "when"), *key = yaml_get(node, "key"),
                           *labels = yaml_get(node, "labels");
    if (!when)
        return yaml_error(node, err, "'when' was expected: which events these are");
    if (condition_list_compile(rules, when, conditions, err) < 0)
        return -1;
    if (key && expr_list_compile(rules, key, is_start ? &ret->span.start_key : &ret->span.end_key,
                                 err) < 0)
        return -1;
    return labels ? rules_load_labels(rules, labels, ret, err) : 0;
}

static int load_clock(const struct yaml_node *node, enum span_clock *ret, struct error *err)
{
    struct slice text = node ? yaml_text(node) : SLICE("any");
    *ret = SPAN_CLOCK_ANY;
    if (slice_eq(text, SLICE("occurred")))
        *ret = SPAN_CLOCK_OCCURRED;
    else if (slice_eq(text, SLICE("stored")))
        *ret = SPAN_CLOCK_STORED;
    else if (!slice_eq(text, SLICE("any")))
        return yaml_error(node, err, "any, occurred or stored was expected");
    return 0;
}

static int load_open_max(const struct yaml_node *node, size_t *ret, struct error *err)
{
    double number = SPANS_OPEN_DEFAULT;
    struct json_value text = {.raw = yaml_text(node), .type = JSON_TYPE_NUMBER};
    bool is_number = json_number(&text, &number) && number >= 1 && number <= SPANS_OPEN_MAX;
    *ret = is_number ? (size_t)number : 0;
    if (!is_number || (double)*ret < number)
        return yaml_error(node, err, "'open_max' is a whole number from 1 to %d", SPANS_OPEN_MAX);
    return 0;
}

static int load_limits(const struct yaml_node *node, struct span_rule *ret, struct error *err)
{
    const struct yaml_node *open_max = yaml_get(node, "open_max"),
                           *restart = yaml_get(node, "restart");
    ret->open_max = SPANS_OPEN_DEFAULT;
    if (open_max && load_open_max(open_max, &ret->open_max, err) < 0)
        return -1;
    ret->restart = restart && slice_eq(yaml_text(restart), SLICE("true"));
    if (restart && !ret->restart && !slice_eq(yaml_text(restart), SLICE("false")))
        return yaml_error(restart, err, "true or false was expected");
    return load_clock(yaml_get(node, "clock"), &ret->clock, err) < 0
               ? -1
               : load_duration(yaml_get(node, "timeout"), &ret->timeout_ns, err);
}

static int load_span(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                     struct error *err)
{
    bool is_span = ret->role == ROLE_SPAN;
    const struct yaml_node *start = yaml_get(node, is_span ? "start" : "after"),
                           *end = yaml_get(node, is_span ? "end" : "expect"),
                           *within = yaml_get(node, "within");
    if (!start || !end || (!is_span && !within))
        return yaml_error(node, err,
                          is_span ? "a span needs 'start' and 'end'"
                                  : "an absent metric needs 'after', 'expect' and 'within'");
    if (load_end(rules, start, true, ret, err) < 0 || load_end(rules, end, false, ret, err) < 0 ||
        load_limits(node, &ret->span, err) < 0 ||
        load_duration(within, &ret->span.within_ns, err) < 0)
        return -1;
    if (!yaml_get(node, "key") && (!ret->span.start_key.count || !ret->span.end_key.count))
        return yaml_error(node, err, "'key' was expected: what a start and its end have in common");
    ret->span.start_labels = ret->spec.label_count;
    if (is_span)
        return 0;
    if (!ret->span.timeout_ns)
        ret->span.timeout_ns = ret->span.within_ns + TIMEOUT_ABSENT_NS;
    return ret->span.timeout_ns > ret->span.within_ns
               ? 0
               : yaml_error(yaml_get(node, "timeout"), err, "'timeout' must be after 'within'");
}

/* --- ratios ----------------------------------------------------------------------------------- */

static int load_ratio(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                      struct error *err)
{
    const struct yaml_node *of = yaml_get(node, "of"), *among = yaml_get(node, "among");
    if (!of || !among)
        return yaml_error(node, err, "a ratio needs 'of' and 'among'");
    return condition_list_compile(rules, of, &ret->of, err) < 0
               ? -1
               : condition_list_compile(rules, among, &ret->when, err);
}

int rules_load_role(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                    struct error *err)
{
    switch (ret->role) {
    case ROLE_CONTRACT:
    case ROLE_PLAIN: return 0;
    case ROLE_SPAN:
    case ROLE_ABSENT:
    case ROLE_OVERDUE: return load_span(rules, node, ret, err);
    case ROLE_SHARE:
    case ROLE_AMONG: return load_ratio(rules, node, ret, err);
    }
    return 0;
}
