/* cim-ops rules schema: a JSON Schema by itself, and values held against it. */
#include "cmd/rules_schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "schema/schema.h"
#include "json/extract.h"
#include "json/write.h"

enum verdict { VERDICT_VALID, VERDICT_VIOLATES, VERDICT_GAVE_UP, VERDICT_NOT_JSON, VERDICTS };

struct session {
    const struct rules_schema_options *options;
    const struct schema *schema;
    struct schema_checker *checker;
    struct json_plan *plan; /* wants nothing: only whether it is JSON */
    uint64_t counts[VERDICTS];
};

/* --- the schema ------------------------------------------------------------------------------- */

/* The path of `file` as seen from `folder`; NULL when it lies elsewhere. Heap. */
static char *path_within(const char *folder, const char *file)
{
    CLEANUP_FREE char *whole_folder = realpath(folder, NULL), *whole_file = realpath(file, NULL);
    size_t len = whole_folder ? strlen(whole_folder) : 0;
    if (!whole_folder || !whole_file || strncmp(whole_folder, whole_file, len) != 0 ||
        whole_file[len] != '/')
        return NULL;
    return xstrdup(whole_file + len + 1);
}

static int load(struct schema_set *set, const char *path, const char *folder, struct schema **ret,
                struct error *err)
{
    CLEANUP_FREE char *within = folder ? path_within(folder, path) : NULL;
    const char *slash = strrchr(path, '/');
    const char *name = within ? within : slash ? slash + 1 : path;
    if (!within && schema_set_add_file(set, path, name, err) < 0)
        return -1;
    if (folder && schema_set_add_folder(set, folder, err) < 0)
        return -1;
    return schema_set_get(set, name, ret, err);
}

/* --- values ----------------------------------------------------------------------------------- */

static void print_json(uint64_t line, enum verdict verdict, const struct schema_violation *why)
{
    static const char *const names[VERDICTS] = {"valid", "violates", "gave_up", "not_json"};
    CLEANUP_BUF struct buf out = {0};
    buf_addf(&out, "{\"line\":%llu,\"verdict\":\"%s\"", (unsigned long long)line, names[verdict]);
    if (verdict == VERDICT_VIOLATES) {
        json_add_name(&out, "path");
        json_add_string(&out, slice_of(why->instance));
        json_add_name(&out, "file");
        json_add_string(&out, slice_of(why->file));
        json_add_name(&out, "schema_path");
        json_add_string(&out, slice_of(why->schema));
    }
    if (verdict != VERDICT_VALID) {
        json_add_name(&out, "reason");
        json_add_string(&out, slice_of(why->reason));
    }
    buf_add_char(&out, '}');
    (void)puts(buf_cstr(&out));
}

static void print_text(uint64_t line, enum verdict verdict, const struct schema_violation *why)
{
    if (verdict == VERDICT_VIOLATES)
        (void)printf("line %llu: %s: %s (%s#%s)\n", (unsigned long long)line,
                     why->instance[0] ? why->instance : "the whole value", why->reason, why->file,
                     why->schema);
    else if (verdict != VERDICT_VALID)
        (void)printf("line %llu: %s: %s\n", (unsigned long long)line,
                     verdict == VERDICT_GAVE_UP ? "given up" : "not JSON", why->reason);
}

static enum verdict judge(struct session *session, struct slice text, struct schema_violation *ret)
{
    struct json_error problem = {"", 0};
    *ret = (struct schema_violation){0};
    if (!json_extract(session->plan, text, NULL, &problem)) {
        (void)snprintf(ret->reason, sizeof ret->reason, "%s, at byte %zu", problem.what,
                       problem.offset);
        return VERDICT_NOT_JSON;
    }
    switch (schema_check(session->checker, session->schema, text, ret)) {
    case SCHEMA_VALID: return VERDICT_VALID;
    case SCHEMA_VIOLATED: return VERDICT_VIOLATES;
    case SCHEMA_GAVE_UP: break;
    }
    return VERDICT_GAVE_UP;
}

static void judge_lines(struct session *session, FILE *file)
{
    CLEANUP_FREE char *line = NULL;
    size_t room = 0;
    ssize_t len;
    bool as_json = !strcmp(session->options->output, "json");
    for (uint64_t number = 1; (len = getline(&line, &room, file)) >= 0; number++) {
        struct schema_violation why;
        struct slice text = {line, (size_t)len};
        while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
            text.len--;
        if (!slice_trim(text).len)
            continue;
        enum verdict verdict = judge(session, text, &why);
        session->counts[verdict]++;
        if (as_json)
            print_json(number, verdict, &why);
        else
            print_text(number, verdict, &why);
    }
}

static int judge_file(struct session *session, const char *instances, struct error *err)
{
    FILE *file = !strcmp(instances, "-") ? stdin : fopen(instances, "re");
    if (!file)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot be read", instances);
    session->checker = schema_checker_new();
    session->plan = json_plan_new();
    (void)json_plan_compile(session->plan);
    judge_lines(session, file);
    json_plan_free(session->plan);
    schema_checker_free(session->checker);
    if (file != stdin)
        (void)fclose(file);
    return 0;
}

static void print_sum(const uint64_t *counts)
{
    (void)printf(
        "%llu valid, %llu in violation, %llu given up, %llu not JSON\n",
        (unsigned long long)counts[VERDICT_VALID], (unsigned long long)counts[VERDICT_VIOLATES],
        (unsigned long long)counts[VERDICT_GAVE_UP], (unsigned long long)counts[VERDICT_NOT_JSON]);
}

int rules_schema(const char *schema, const char *instances,
                 const struct rules_schema_options *options, struct error *err)
{
    struct schema_set *set = schema_set_new(
        &(struct schema_options){.base = options->base, .allow_unknown = options->allow_unknown});
    struct session session = {.options = options};
    struct schema *compiled = NULL;
    int rc = load(set, schema, options->schemas, &compiled, err);
    session.schema = compiled;
    if (rc == 0 && instances)
        rc = judge_file(&session, instances, err);
    bool speaks = rc == 0 && strcmp(options->output, "json") != 0;
    if (speaks && instances)
        print_sum(session.counts);
    else if (speaks)
        (void)printf("%s: all right\n", schema);
    schema_set_free(set);
    if (rc < 0)
        return (int)err->code;
    bool clean = !session.counts[VERDICT_VIOLATES] && !session.counts[VERDICT_GAVE_UP] &&
                 !session.counts[VERDICT_NOT_JSON];
    return clean ? EXIT_CODE_DONE : EXIT_CODE_PROBLEM;
}
