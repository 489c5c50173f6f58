/*
 * The extractor against jansson: what jansson accepts, ours accepts; no input breaks either. And
 * each fast path of this machine against the portable walker: same verdict, same values, same
 * error.
 */
#include <jansson.h>
#include <stdlib.h>

#include "json/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_plan *make_plan(void)
{
    static const char *const paths[] = {
        "", "#", "a", "a.b", "a.*", "*.b", "event.#", "event.*.id", "event.event_type", "*.*.*"};
    struct json_plan *plan = json_plan_new();
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        (void)json_plan_add(plan, slice_of(paths[i]));
    json_plan_compile(plan);
    return plan;
}

static void check_values(const struct json_value *values, size_t count, const char *begin,
                         size_t size)
{
    for (size_t i = 0; i < count; i++) {
        const struct json_value *value = &values[i];
        if (value->type == JSON_TYPE_ABSENT)
            continue;
        if (value->raw.ptr < begin || value->raw.ptr + value->raw.len > begin + size)
            abort();
        struct buf text = {0};
        double number;
        if (value->type == JSON_TYPE_STRING)
            json_unescape(value->raw, &text);
        (void)json_number(value, &number);
        buf_done(&text);
    }
}

static void check_scanner(const struct json_scanner *scanner, const struct json_plan *plan,
                          struct slice text, bool verdict, const struct json_value *want,
                          const struct json_error *error)
{
    struct json_value values[16];
    struct json_error why = {0};
    if (scanner->scan && scanner->scan(plan, text, values) && !verdict)
        abort();
    if (json_extract_by(scanner, plan, text, values, &why) != verdict)
        abort();
    if (!verdict && (why.what != error->what || why.offset != error->offset))
        abort();
    for (size_t i = 0; verdict && i < json_plan_slots(plan); i++) {
        if (values[i].type != want[i].type || values[i].raw.ptr != want[i].raw.ptr ||
            values[i].raw.len != want[i].raw.len || values[i].escaped != want[i].escaped)
            abort();
    }
}

/* What other inputs have taught must not change the answer for this one. */
static void check_shapes(const struct json_scanner *scanner, struct json_shapes *shapes,
                         const struct json_plan *plan, struct slice text, bool verdict,
                         const struct json_value *want)
{
    struct json_value values[16];
    struct json_error why = {0};
    for (int times = 0; times < 2; times++) { /* learned from it, and held against it */
        if (json_extract_shaped_by(scanner, shapes, plan, text, 0, values, &why) != verdict)
            abort();
        for (size_t i = 0; verdict && i < json_plan_slots(plan); i++) {
            if (values[i].type != want[i].type || values[i].raw.ptr != want[i].raw.ptr ||
                values[i].raw.len != want[i].raw.len || values[i].escaped != want[i].escaped)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_shapes *shapes[4];
    static size_t budget = 1000;
    static struct json_plan *plan;
    struct json_value values[16];
    struct json_error error = {0};
    if (!plan)
        plan = make_plan();
    const char *text = (const char *)data;
    struct slice bytes = {text, size};
    bool ours = json_extract_portable(plan, bytes, values, &error);
    for (size_t i = 0; json_scanner_at(i); i++) {
        if (json_scanner_supported(json_scanner_at(i)))
            check_scanner(json_scanner_at(i), plan, bytes, ours, values, &error);
        if (!shapes[i])
            shapes[i] = json_shapes_new(&budget, NULL);
        if (json_scanner_supported(json_scanner_at(i)))
            check_shapes(json_scanner_at(i), shapes[i], plan, bytes, ours, values);
    }
    if (ours)
        check_values(values, json_plan_slots(plan), text, size);
    else if (!error.what || error.offset > size)
        abort();
    if (size && memchr(text, 0, size))
        return 0; /* jansson takes a NUL for the end of the text */
    json_error_t problem;
    json_t *theirs = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
    bool too_deep = !ours && strstr(error.what, "deeper");
    if (theirs && !ours && !too_deep)
        abort();
    json_decref(theirs);
    return 0;
}
