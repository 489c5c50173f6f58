/* cim-ops rules: look at rule files without running anything. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "cmd/rules_schema.h"
#include "cmd/rules_test.h"
#include "fold/advice.h"
#include "fold/engine.h"
#include "fold/projection.h"

struct rules_values {
    const char *rules, *output, *schemas, *base;
    bool allow_unknown, strict;
};

static const struct option_spec options[] = {
    {.name = "rules",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct rules_values, rules),
     .help = "folder of envelopes.yaml and the metric rules (default: those shipped)"},
    {.name = "output",
     .arg = "FORM",
     .kind = OPTION_STRING,
     .fallback = "text",
     .offset = offsetof(struct rules_values, output),
     .help = "list: text, markdown, json or recording; schema, test: text or json"},
    {.name = "strict",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct rules_values, strict),
     .help = "check: exit with 1 when there are warnings"},
    {.name = "schemas",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct rules_values, schemas),
     .help = "schema: folder of the schemas that $ref may lead to"},
    {.name = "base",
     .arg = "URI",
     .kind = OPTION_STRING,
     .offset = offsetof(struct rules_values, base),
     .help = "schema: what that folder is called in $ref (default: cim-ops:/schemas/)"},
    {.name = "allow-unknown",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct rules_values, allow_unknown),
     .help = "schema: pass over keywords that the draft does not know"},
};

static void ignore_report(void *context, enum engine_report what, const struct stream_state *state,
                          uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static void add_labels(struct buf *out, const struct metric_spec *spec, const char *between)
{
    for (size_t i = 0; i < spec->label_count; i++)
        buf_addf(out, "%s%s", i ? between : "", spec->labels[i]);
}

static void print_json_text(const char *text)
{
    (void)putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            (void)putchar('\\');
        (void)putchar(*text == '\n' ? ' ' : *text);
    }
    (void)putchar('"');
}

static void print_metric(const struct metric_spec *spec, const char *form, size_t index)
{
    CLEANUP_BUF struct buf labels = {0};
    if (!strcmp(form, "markdown")) {
        add_labels(&labels, spec, "`, `");
        (void)printf("| `%s` | %s | %s%s%s | %s |\n", spec->name, metric_kind_name(spec->kind),
                     spec->label_count ? "`" : "", buf_cstr(&labels), spec->label_count ? "`" : "",
                     spec->help);
    } else if (!strcmp(form, "json")) {
        add_labels(&labels, spec, "\",\"");
        (void)printf("%s{\"name\":\"%s\",\"type\":\"%s\",\"labels\":[%s%s%s],\"help\":",
                     index ? ",\n " : "[", spec->name, metric_kind_name(spec->kind),
                     spec->label_count ? "\"" : "", buf_cstr(&labels),
                     spec->label_count ? "\"" : "");
        print_json_text(spec->help);
        (void)printf("}");
    } else {
        add_labels(&labels, spec, ",");
        (void)printf("%-48s %-10s %s\n", spec->name, metric_kind_name(spec->kind),
                     buf_cstr(&labels));
    }
}

/* All families that a monitor with these rules would declare, in the order of its exposition. */
static int list(const struct rules *rules, const char *form, struct error *err)
{
    struct registry *registry = registry_new();
    struct engine *engine = NULL;
    struct engine_reporter reporter = {ignore_report, NULL};
    int rc = engine_new(rules, registry, reporter, &engine, err);
    if (rc == 0 && !strcmp(form, "markdown"))
        (void)printf("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; rc == 0 && i < registry_family_count(registry); i++)
        print_metric(family_spec(registry_family_at(registry, i)), form, i);
    if (rc == 0 && !strcmp(form, "json"))
        (void)printf("]\n");
    engine_free(engine);
    registry_free(registry);
    return rc;
}

static int run_schema(const struct rules_values *values, int count, char **operands,
                      struct error *err)
{
    struct rules_schema_options chosen = {.schemas = values->schemas,
                                          .base = values->base,
                                          .output = values->output,
                                          .allow_unknown = values->allow_unknown};
    if (count < 2)
        (void)error_set(err, EXIT_CODE_USAGE, "rules schema: name the schema's file");
    else if (strcmp(values->output, "text") != 0 && strcmp(values->output, "json") != 0)
        (void)error_set(err, EXIT_CODE_USAGE, "--output: text or json was expected");
    else
        return rules_schema(operands[1], count > 2 ? operands[2] : NULL, &chosen, err);
    return (int)err->code;
}

static bool is_form(const char *text)
{
    static const char *const forms[] = {"text", "markdown", "json", "recording"};
    size_t i = 0;
    while (i < ARRAY_LEN(forms) && strcmp(forms[i], text) != 0)
        i++;
    return i < ARRAY_LEN(forms);
}

static void print_warning(void *context, const char *text)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", text);
}

/* The warnings, *ret; projections are no part of the rules that folds to metrics use. */
static int check(const struct rules *rules, const char *folder, size_t *ret, struct error *err)
{
    struct projection_rules *projections = NULL;
    if (projection_rules_load(folder, &projections, err) < 0)
        return -1;
    size_t warnings = rules_advise(rules, print_warning, NULL);
    (void)printf("%s: %zu envelopes, %zu metrics, %zu projections: ", folder, rules->envelope_count,
                 rules->metric_count, projection_rules_count(projections));
    projection_rules_free(projections);
    if (warnings)
        (void)printf("%zu warnings\n", warnings);
    else
        (void)printf("all right\n");
    *ret = warnings;
    return 0;
}

/* Prometheus rules that divide what `type: ratio` counts. */
static void print_recording(const struct rules *rules)
{
    (void)printf("groups:\n  - name: cim-ops-ratios\n    rules:\n");
    size_t tail = strlen("_total");
    for (size_t i = 0; i + 1 < rules->metric_count; i++) {
        const struct metric_spec *spec = &rules->metrics[i].spec;
        const char *among = rules->metrics[i + 1].spec.name;
        CLEANUP_BUF struct buf labels = {0};
        if (rules->metrics[i].role != ROLE_SHARE)
            continue;
        add_labels(&labels, spec, ", ");
        (void)printf("      - record: %.*s:ratio_rate5m\n        expr: |\n"
                     "          sum by (%s) (rate(%s[5m]))\n"
                     "            / (sum by (%s) (rate(%s[5m])) > 0)\n",
                     (int)(strlen(spec->name) - tail), spec->name, buf_cstr(&labels), spec->name,
                     buf_cstr(&labels), among);
    }
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct rules_values *values = opaque;
    const char *verb = operands[0], *given = count > 1 ? operands[1] : values->rules;
    if (!strcmp(verb, "schema"))
        return run_schema(values, count, operands, err);
    if (!strcmp(verb, "test"))
        return rules_test(operands + 1, (size_t)count - 1, values->output, err);
    CLEANUP_FREE char *folder = given ? xstrdup(given) : place_shipped("rules");
    struct rules *rules = NULL;
    size_t warnings = 0;
    bool is_list = !strcmp(verb, "list");
    if (!is_list && strcmp(verb, "check") != 0)
        (void)error_set(err, EXIT_CODE_USAGE, "'%s': check, list, test or schema was expected",
                        verb);
    else if (!is_form(values->output))
        (void)error_set(err, EXIT_CODE_USAGE,
                        "--output: text, markdown, json or recording was expected");
    else if (!folder)
        (void)error_set(err, EXIT_CODE_USAGE, "the shipped rules were not found; name a folder");
    else if (rules_load(folder, &rules, err) == 0 && !is_list)
        (void)check(rules, folder, &warnings, err);
    else if (rules && !strcmp(values->output, "recording"))
        print_recording(rules);
    else if (rules)
        (void)list(rules, values->output, err);
    rules_free(rules);
    if (err->text[0])
        return (int)err->code;
    return warnings && values->strict ? EXIT_CODE_PROBLEM : EXIT_CODE_DONE;
}

const struct command command_rules = {
    .name = "rules",
    .summary = "check and test rule files and schemas, list the metrics they make",
    .operands = "check|list [DIR] | test FILE... | schema SCHEMA [INSTANCES|-]",
    .example = "cim-ops rules check my-rules/\n"
               "  cim-ops rules test my-rules/tests/*.yaml",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct rules_values),
    .operands_min = 1,
    .operands_max = 1000,
    .run = run,
};
