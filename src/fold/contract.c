#include "fold/contract.h"

#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"

/* Which versions of the engine see the same violations; raised when that changes. */
enum { CONTRACT_VERSION = 1 };

static void label(struct metric_rule *rule, const char *name, enum event_field field)
{
    struct expr_list *list = &rule->labels[rule->spec.label_count];
    list->items = xcalloc(1, sizeof *list->items);
    list->items[0] = (struct expr){.kind = EXPR_FIELD, .field = field};
    list->count = 1;
    rule->spec.labels[rule->spec.label_count++] = name;
}

static void add_rule(struct rules *rules)
{
    rules->metrics = xrealloc(rules->metrics, rules->metric_count + 1, sizeof *rules->metrics);
    struct metric_rule *rule = &rules->metrics[rules->metric_count++];
    *rule = (struct metric_rule){.spec = {.name = "cim_event_schema_violations_total",
                                          .help = "Events that do not fit the JSON Schema for "
                                                  "their domain and type (rules/schemas); 0 where "
                                                  "all do.",
                                          .unit = "",
                                          .kind = METRIC_COUNTER},
                                 .when = {.class_only = true},
                                 .class_labels = true,
                                 .scale = 1,
                                 .role = ROLE_CONTRACT,
                                 .file = "schemas"};
    label(rule, "domain", EVENT_DOMAIN);
    label(rule, "event_type", EVENT_TYPE);
    uint64_t parts[] = {schema_set_fingerprint(rules->schemas), rules->envelope_fingerprint,
                        CONTRACT_VERSION};
    rule->fingerprint = XXH3_64bits(parts, sizeof parts);
}

int contracts_load(struct rules *rules, const char *folder, struct error *err)
{
    CLEANUP_FREE char *schemas = xasprintf("%s/schemas", folder);
    struct stat status;
    if (stat(schemas, &status) < 0)
        return 0;
    size_t targets = rules->envelope_count + rules->metric_count + rules->remember_count;
    if (targets >= PLAN_TARGETS_MAX)
        return error_set(err, EXIT_CODE_USAGE,
                         "%zu envelopes and rules leave no room for %s; at most %d in all", targets,
                         schemas, PLAN_TARGETS_MAX);
    rules->schemas = schema_set_new(NULL);
    if (schema_set_add_folder(rules->schemas, schemas, err) < 0 ||
        schema_set_compile(rules->schemas, err) < 0)
        return -1;
    if (schema_set_count(rules->schemas))
        add_rule(rules);
    return 0;
}

const struct schema *contract_find(const struct rules *rules, const struct slice *class_fields)
{
    struct slice domain = class_fields[EVENT_DOMAIN], type = class_fields[EVENT_TYPE];
    if (!rules->schemas || !domain.len || !type.len || domain.ptr[0] == '_')
        return NULL;
    return schema_set_find(rules->schemas, domain, type);
}

enum schema_verdict contract_check(struct engine *engine, const struct stream_state *state,
                                   const struct schema *contract)
{
    const struct engine_reporter *reporter = &engine->reporter;
    const struct event_input *input = engine->eval.input;
    if (!engine->checker)
        engine->checker = schema_checker_new();
    enum schema_verdict verdict = schema_check_shaped(engine->checker, contract, input->payload,
                                                      engine->shapes, &engine->violation);
    if (verdict == SCHEMA_VIOLATED && reporter->violation)
        reporter->violation(reporter->context, state, input->seq, &engine->view,
                            &engine->violation);
    return verdict;
}
