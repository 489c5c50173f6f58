/* JSON Schema: whatever schema and instance come, they are refused, checked or given up. Input: a
 * schema, a line `---8<---`, and an instance. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "schema/schema.h"
#include "json/extract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/dev/shm/cim-ops-fuzz-XXXXXX";
static struct schema_checker *checker;
static struct json_plan *plan;

static void clean_up(void)
{
    (void)unlink(path);
    schema_checker_free(checker);
    json_plan_free(plan);
}

static void set_up(void)
{
    int fd = mkstemp(path);
    if (fd < 0)
        exit(2);
    (void)close(fd);
    checker = schema_checker_new();
    plan = json_plan_new();
    (void)json_plan_compile(plan);
    (void)atexit(clean_up);
}

/* What the engine relies on: texts end inside their rooms, and a violation has its file. */
static void judge(const struct schema *schema, struct slice instance)
{
    struct schema_violation why;
    enum schema_verdict verdict = schema_check(checker, schema, instance, &why);
    if (verdict != SCHEMA_VALID && (!why.file || !why.reason[0]))
        abort();
    if (strlen(why.instance) >= SCHEMA_PATH_MAX || strlen(why.schema) >= SCHEMA_PATH_MAX)
        abort();
    struct schema_violation again;
    if (schema_check(checker, schema, instance, &again) != verdict)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice cut = SLICE("---8<---\n");
    struct json_error problem;
    struct error err = ERROR_NONE;
    if (!checker)
        set_up();
    struct slice text = {(const char *)data, size};
    const char *at = size ? memmem(data, size, cut.ptr, cut.len) : NULL;
    size_t first = at ? (size_t)(at - text.ptr) : size;
    struct slice instance = at ? slice_from(text, first + cut.len) : SLICE("null");
    FILE *file = fopen(path, "w");
    if (!file || fwrite(size ? text.ptr : "", 1, first, file) != first || fclose(file) != 0)
        exit(2);

    struct schema_set *set = schema_set_new(NULL);
    struct schema *schema = NULL;
    if (schema_set_add_file(set, path, "s.json", &err) < 0 ||
        schema_set_get(set, "s.json", &schema, &err) < 0) {
        if (!err.text[0])
            abort();
    } else if (json_extract(plan, instance, NULL, &problem)) {
        judge(schema, instance);
    }
    schema_set_free(set);
    return 0;
}
