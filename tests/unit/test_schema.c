/* JSON Schema: what the official suite (tests/system/schema_suite) does not ask. */
#include "unit.h"

#include "schema/schema.h"
#include "scratch.h"
#include "json/extract.h"

struct bench {
    struct scratch scratch;
    struct schema_set *set;
    struct schema_checker *checker;
    struct schema *schema;
    struct schema_violation violation;
    struct error err;
};

static void bench_open(struct bench *bench)
{
    *bench = (struct bench){0};
    scratch_open(&bench->scratch);
    bench->set = schema_set_new(NULL);
    bench->checker = schema_checker_new();
}

static void bench_close(struct bench *bench)
{
    schema_checker_free(bench->checker);
    schema_set_free(bench->set);
    scratch_close(&bench->scratch);
}

#define CLEANUP_BENCH __attribute__((cleanup(bench_close)))

static int add(struct bench *bench, const char *name, const char *text)
{
    CLEANUP_FREE char *path = scratch_path(&bench->scratch, name);
    scratch_write(&bench->scratch, name, text);
    return schema_set_add_file(bench->set, path, name, &bench->err);
}

/* The one schema of the test. */
static void use(struct bench *bench, const char *text)
{
    bench_open(bench);
    if (add(bench, "s.json", text) < 0 ||
        schema_set_get(bench->set, "s.json", &bench->schema, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
}

static enum schema_verdict check(struct bench *bench, const char *json)
{
    struct json_error problem;
    struct json_plan *plan = json_plan_new();
    assert_true(json_plan_compile(plan));
    bool sound = json_extract(plan, slice_of(json), NULL, &problem);
    json_plan_free(plan);
    assert_true(sound);
    return schema_check(bench->checker, bench->schema, slice_of(json), &bench->violation);
}

#define assert_refused(schema_, place_, what_)                                                     \
    do {                                                                                           \
        CLEANUP_BENCH struct bench b_;                                                             \
        bench_open(&b_);                                                                           \
        if (add(&b_, "s.json", schema_) == 0 && schema_set_compile(b_.set, &b_.err) == 0)          \
            fail_msg("taken: %s", schema_);                                                        \
        assert_int_equal(b_.err.code, EXIT_CODE_USAGE);                                            \
        assert_contains(b_.err.text, place_);                                                      \
        assert_contains(b_.err.text, what_);                                                       \
    } while (0)

/* --- complaints ------------------------------------------------------------------------------- */

static void violations_are_located(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    use(&b, "{\"properties\":{\"a/b\":{\"items\":{\"type\":\"string\",\"maxLength\":2}}}}");
    assert_int_equal(check(&b, "{\"a/b\":[\"x\",\"yy\",\"zzz\"]}"), SCHEMA_VIOLATED);
    assert_string_equal(b.violation.instance, "/a~1b/2");
    assert_string_equal(b.violation.schema, "/properties/a~1b/items/maxLength");
    assert_contains(b.violation.file, "/s.json");
    assert_string_equal(b.violation.reason, "at most 2 characters were expected");
    assert_int_equal(check(&b, "{\"a/b\":[\"x\",1]}"), SCHEMA_VIOLATED);
    assert_string_equal(b.violation.instance, "/a~1b/1");
    assert_string_equal(b.violation.reason, "a text was expected");
    assert_int_equal(check(&b, "{\"a/b\":[\"x\"]}"), SCHEMA_VALID);
    assert_null(b.violation.file);
}

static void what_fails_inside_alternatives_is_not_the_end(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    use(&b, "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\"}],\"required\":[\"k\"]}");
    assert_int_equal(check(&b, "{\"k\":1}"), SCHEMA_VALID);
    assert_null(b.violation.file);
    assert_int_equal(check(&b, "{}"), SCHEMA_VIOLATED);
    assert_string_equal(b.violation.reason, "the member 'k' is missing");
    assert_int_equal(check(&b, "1"), SCHEMA_VIOLATED);
    assert_string_equal(b.violation.schema, "/anyOf");
}

static void long_paths_are_cut_between_characters(void **state)
{
    CLEANUP_BENCH struct bench b;
    CLEANUP_BUF struct buf json = {0};
    (void)state;
    use(&b, "{\"additionalProperties\":false}");
    buf_add_str(&json, "{\"");
    for (int i = 0; i < 200; i++)
        buf_add_str(&json, "\xc3\xa9");
    buf_add_str(&json, "\":1}");
    assert_int_equal(check(&b, buf_cstr(&json)), SCHEMA_VIOLATED);
    size_t len = strlen(b.violation.instance);
    assert_true(len < SCHEMA_PATH_MAX);
    assert_string_equal(b.violation.instance + len - 3, "...");
    assert_int_equal((len - 4) % 2, 0);
}

static void a_failing_name_is_told_at_its_member(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    use(&b, "{\"propertyNames\":{\"maxLength\":3}}");
    assert_int_equal(check(&b, "{\"abc\":1,\"abcd\":2}"), SCHEMA_VIOLATED);
    assert_string_equal(b.violation.instance, "/abcd");
}

/* --- schemas that are refused ----------------------------------------------------------------- */

static void mistakes_are_located(void **state)
{
    (void)state;
    assert_refused("{\n  \"requierd\": [\"a\"]\n}", "s.json:2:15: /requierd: ", "not a keyword");
    assert_refused("{\"definitions\":{}}", "/definitions", "it is $defs");
    assert_refused("{\"properties\":{\"a\":{\"type\":\"text\"}}}", "/properties/a/type", "string");
    assert_refused("{\"type\":[]}", "/type", "at least one");
    assert_refused("{\"minLength\":-1}", "/minLength", "whole number");
    assert_refused("{\"minLength\":1.5}", "/minLength", "whole number");
    assert_refused("{\"multipleOf\":0}", "/multipleOf", "above 0");
    assert_refused("{\"items\":[{}]}", "/items", "prefixItems");
    assert_refused("{\"allOf\":[]}", "/allOf", "list of schemas");
    assert_refused("{\"not\":1}", "/not", "a schema was expected");
    assert_refused("{\"$ref\":\"#/$defs/a\"}", "/$ref", "holds nothing");
    assert_refused("{\"$ref\":\"#a\"}", "/$ref", "no anchor 'a'");
    assert_refused("{\"$ref\":\"b.json\"}", "/$ref", "there is no schema cim-ops:/schemas/b.json");
    assert_refused("{\"enum\":[{}],\"$ref\":\"#/enum/0\"}", "/$ref", "is no schema");
    assert_refused("{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}", "/$schema",
                   "2020-12");
    assert_refused("{\"type\":\"string\",\"type\":\"null\"}", "/type", "twice");
    assert_refused("{\"$anchor\":\"a\",\"$defs\":{\"b\":{\"$anchor\":\"a\"}}}", "/$defs/b/$anchor",
                   "already");
    assert_refused("{\"$id\":\"http://x/#f\"}", "/$id", "fragment");
    assert_refused("{\"a\":", "s.json:1:6: ", "not JSON");
    assert_refused("[]", "s.json:1:1: ", "a schema was expected");
    /* $defs are schemas even when nothing refers to them */
    assert_refused("{\"$defs\":{\"a\":{\"typo\":1}}}", "/$defs/a/typo", "not a keyword");
}

static void patterns_that_differ_are_refused(void **state)
{
    static const char *const bad[] = {"(a)\\\\1", "\\\\k<n>", "a++",  "(?i)a", "\\\\A",   "\\\\h",
                                      "[z-a]",    "a{2,1}",   "(a",   "a)",    "*",       "a**",
                                      "\\\\01",   "\\\\p{X}", "\\\\", "[a",    "(?<=a+)b"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_FREE char *schema = xasprintf("{\"pattern\":\"%s\"}", bad[i]);
        assert_refused(schema, "/pattern", "the pattern cannot be used");
    }
}

static void notes_of_ones_own_are_taken(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    use(&b, "{\"x-owner\":{\"team\":1},\"type\":\"object\"}");
    assert_int_equal(check(&b, "{}"), SCHEMA_VALID);
}

/* --- texts and numbers ------------------------------------------------------------------------ */

static bool matches(const char *pattern, const char *json)
{
    CLEANUP_BENCH struct bench b;
    CLEANUP_FREE char *schema = xasprintf("{\"pattern\":\"%s\"}", pattern);
    use(&b, schema);
    return check(&b, json) == SCHEMA_VALID;
}

static void patterns_mean_what_ecma_says(void **state)
{
    (void)state;
    assert_true(matches("b", "\"abc\""));
    assert_false(matches("^abc$", "\"abc\\n\"")); /* $ is the very end */
    assert_false(matches("^.$", "\"\\u2028\""));
    assert_true(matches("^.$", "\"\\ud83d\\ude00\"")); /* one character */
    assert_false(matches("^\\\\d$", "\"\\u0663\""));   /* ASCII digits */
    assert_true(matches("^\\\\s$", "\"\\ufeff\""));
    assert_true(matches("^\\\\S$", "\"\\u200b\""));
    assert_true(matches("^[\\\\s]$", "\"\\u00a0\""));
    assert_false(matches("^[^\\\\s]$", "\"\\u00a0\""));
    assert_true(matches("^[\\\\S]$", "\"x\""));
    assert_true(matches("^\\\\p{Lu}\\\\p{Letter}+$", "\"\\u00c9t\\u00e9\""));
    assert_true(matches("^\\\\p{Script=Greek}$", "\"\\u03b1\""));
    assert_true(matches("^\\\\u{1F600}$", "\"\\ud83d\\ude00\""));
    assert_true(matches("^[[:a]+$", "\"[:a\"")); /* no POSIX class */
    assert_false(matches("[]", "\"x\""));
    assert_true(matches("^[^]$", "\"\\n\""));
    assert_true(matches("^(?<year>[0-9]{4})$", "\"2026\""));
    assert_true(matches("^a#b c$", "\"a#b c\""));
    assert_true(matches("\\\\cJ", "\"\\n\""));
    assert_true(matches("", "\"\""));
}

static void numbers_are_exact(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    use(&b, "{\"maximum\":9007199254740992}");
    assert_int_equal(check(&b, "9007199254740992.0"), SCHEMA_VALID);
    assert_int_equal(check(&b, "9007199254740993"), SCHEMA_VIOLATED);
    assert_int_equal(check(&b, "1e400"), SCHEMA_VIOLATED);
    assert_int_equal(check(&b, "-1e400"), SCHEMA_VALID);
    bench_close(&b);
    use(&b, "{\"type\":\"integer\",\"multipleOf\":0.0001}");
    assert_int_equal(check(&b, "1e400"), SCHEMA_VALID);
    assert_int_equal(check(&b, "100.0e-2"), SCHEMA_VALID);
    assert_int_equal(check(&b, "1e-2"), SCHEMA_VIOLATED);
    bench_close(&b);
    use(&b, "{\"multipleOf\":0.3}");
    assert_int_equal(check(&b, "0.9"), SCHEMA_VALID);
    assert_int_equal(check(&b, "900000000000000000000000000000.3"), SCHEMA_VALID);
    assert_int_equal(check(&b, "900000000000000000000000000000.4"), SCHEMA_VIOLATED);
    assert_int_equal(check(&b, "-0"), SCHEMA_VALID);
    bench_close(&b);
    use(&b, "{\"uniqueItems\":true}");
    assert_int_equal(check(&b, "[1,10e-1]"), SCHEMA_VIOLATED);
    assert_int_equal(check(&b, "[0,-0.0]"), SCHEMA_VIOLATED);
    assert_int_equal(check(&b, "[1,true,\"1\",[1],{\"a\":1},{\"a\":2}]"), SCHEMA_VALID);
    assert_int_equal(check(&b, "[{\"a\":1,\"b\":[2]},{\"b\":[2.0],\"a\":1}]"), SCHEMA_VIOLATED);
    assert_string_equal(b.violation.instance, "/1");
}

static void members_that_come_twice_are_both_checked(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    use(&b, "{\"properties\":{\"a\":{\"type\":\"number\"}}}");
    assert_int_equal(check(&b, "{\"a\":1,\"a\":2}"), SCHEMA_VALID);
    assert_int_equal(check(&b, "{\"a\":1,\"a\":\"2\"}"), SCHEMA_VIOLATED);
    assert_int_equal(check(&b, "{\"a\":\"1\",\"a\":2}"), SCHEMA_VIOLATED);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void what_never_ends_is_given_up(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    use(&b, "{\"$ref\":\"#\"}");
    assert_int_equal(check(&b, "1"), SCHEMA_GAVE_UP);
    assert_contains(b.violation.reason, "deeper");
    bench_close(&b);
    /* giving up inside `not` must not look like a fit */
    use(&b, "{\"not\":{\"$ref\":\"#/$defs/a\"},\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}");
    assert_int_equal(check(&b, "1"), SCHEMA_GAVE_UP);
    bench_close(&b);
    /* tried twice at every level */
    use(&b, "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}}");
    CLEANUP_BUF struct buf json = {0};
    for (int i = 0; i < 60; i++)
        buf_add_char(&json, '[');
    buf_add_char(&json, '1');
    for (int i = 0; i < 60; i++)
        buf_add_char(&json, ']');
    assert_int_equal(check(&b, buf_cstr(&json)), SCHEMA_GAVE_UP);
    assert_contains(b.violation.reason, "steps");
}

static void patterns_cannot_hang(void **state)
{
    CLEANUP_BENCH struct bench b;
    CLEANUP_BUF struct buf json = {0};
    (void)state;
    use(&b, "{\"pattern\":\"^(a|a|aa)*$\"}");
    buf_add_char(&json, '"');
    for (int i = 0; i < 5000; i++)
        buf_add_char(&json, 'a');
    buf_add_str(&json, "b\"");
    assert_int_equal(check(&b, buf_cstr(&json)), SCHEMA_GAVE_UP);
    assert_contains(b.violation.reason, "pattern");
    assert_int_equal(check(&b, "\"aaa\""), SCHEMA_VALID);
}

static void what_is_too_large_is_given_up(void **state)
{
    CLEANUP_BENCH struct bench b;
    CLEANUP_BUF struct buf json = {0};
    (void)state;
    use(&b, "{\"type\":\"array\"}");
    buf_add_str(&json, "[1");
    for (int i = 0; i < 300000; i++)
        buf_add_str(&json, ",1");
    buf_add_char(&json, ']');
    assert_int_equal(check(&b, buf_cstr(&json)), SCHEMA_GAVE_UP);
    assert_contains(b.violation.reason, "larger");
}

/* --- sets ------------------------------------------------------------------------------------- */

static void contracts_are_found_by_name(void **state)
{
    CLEANUP_BENCH struct bench b;
    (void)state;
    bench_open(&b);
    CLEANUP_FREE char *folder = scratch_path(&b.scratch, "d");
    CLEANUP_FREE char *shared = scratch_path(&b.scratch, "_");
    assert_int_equal(folder_create(folder, 0700, &b.err), 0);
    assert_int_equal(folder_create(shared, 0700, &b.err), 0);
    scratch_write(&b.scratch, "_/ids.json", "{\"$defs\":{\"id\":{\"minLength\":3}}}");
    scratch_write(&b.scratch, "d/T.json", "{\"$ref\":\"../_/ids.json#/$defs/id\"}");
    if (schema_set_add_folder(b.set, b.scratch.folder, &b.err) < 0 ||
        schema_set_compile(b.set, &b.err) < 0)
        fail_msg("%s", b.err.text);
    assert_int_equal(schema_set_count(b.set), 2);
    const struct schema *found = schema_set_find(b.set, SLICE("d"), SLICE("T"));
    assert_non_null(found);
    assert_null(schema_set_find(b.set, SLICE("d"), SLICE("U")));
    assert_int_equal(schema_check(b.checker, found, SLICE("\"ab\""), &b.violation),
                     SCHEMA_VIOLATED);
    assert_contains(b.violation.file, "_/ids.json");
    uint64_t before = schema_set_fingerprint(b.set);
    assert_int_equal(add(&b, "more.json", "true"), 0);
    assert_int_not_equal(before, schema_set_fingerprint(b.set));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(violations_are_located),
        cmocka_unit_test(what_fails_inside_alternatives_is_not_the_end),
        cmocka_unit_test(long_paths_are_cut_between_characters),
        cmocka_unit_test(a_failing_name_is_told_at_its_member),
        cmocka_unit_test(mistakes_are_located),
        cmocka_unit_test(patterns_that_differ_are_refused),
        cmocka_unit_test(notes_of_ones_own_are_taken),
        cmocka_unit_test(patterns_mean_what_ecma_says),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(members_that_come_twice_are_both_checked),
        cmocka_unit_test(what_never_ends_is_given_up),
        cmocka_unit_test(patterns_cannot_hang),
        cmocka_unit_test(what_is_too_large_is_given_up),
        cmocka_unit_test(contracts_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
