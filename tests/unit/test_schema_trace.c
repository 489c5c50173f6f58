/* A contract held against a text by its shape gives the verdict of the whole check, always. */
#include "unit.h"

#include "base/memory.h"
#include "schema/schema.h"
#include "scratch.h"
#include "json/extract.h"

static const char schema_text[] =
    "{\"type\":\"object\",\"required\":[\"id\",\"kind\"],"
    "\"properties\":{"
    "\"id\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{4}$\"},"
    "\"kind\":{\"enum\":[\"a\",\"b\",7]},"
    "\"name\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":5},"
    "\"count\":{\"type\":\"integer\",\"minimum\":0,\"exclusiveMaximum\":100,\"multipleOf\":5},"
    "\"flag\":{\"type\":[\"boolean\",\"number\"]},"
    "\"on\":{\"const\":true},"
    "\"yes\":{\"type\":\"boolean\"},\"whole\":{\"type\":\"integer\"},"
    "\"pair\":{\"type\":\"array\",\"minItems\":2,\"uniqueItems\":true,\"items\":{\"type\":"
    "\"integer\"}},"
    "\"point\":{\"anyOf\":[{\"const\":{\"x\":1}},{\"properties\":{\"x\":{\"minimum\":50}}}]},"
    "\"choice\":{\"if\":{\"const\":\"x\"},\"then\":true,\"else\":{\"minLength\":3}},"
    "\"list\":{\"contains\":{\"minimum\":10},\"maxContains\":2}},"
    "\"propertyNames\":{\"maxLength\":6},"
    "\"unevaluatedProperties\":{\"type\":[\"string\",\"null\"]}}";

/* Each member with values that fit and values that do not. */
static const struct {
    const char *name, *values[8];
} members[] = {
    {"id", {"\"01af\"", "\"ffff\"", "\"01ag\"", "\"01af0\"", "\"\""}},
    {"kind", {"\"a\"", "\"b\"", "\"c\"", "7", "7.0", "8"}},
    {"name", {"\"ab\"", "\"abcde\"", "\"a\"", "\"abcdef\""}},
    {"count", {"5", "0", "95", "100", "-5", "7", "10.0", "10.5"}},
    {"flag", {"true", "false", "1.5", "0"}},
    {"on", {"true", "false", "1"}},
    {"yes", {"true", "false", "1"}},
    {"whole", {"12", "-3", "2.5", "4.0", "2e0", "-0.1", "true"}},
    {"pair", {"[1,2]", "[1,1]", "[1]", "[1,2.5]", "[3,3.0]", "[3,4]"}},
    {"point", {"{\"x\":1}", "{\"x\":60}", "{\"x\":2}", "{\"x\":1.0}"}},
    {"choice", {"\"x\"", "\"xyz\"", "\"xy\""}},
    {"list", {"[1,2]", "[10,2]", "[10,11,12]", "[1,20,3]"}},
    {"more", {"\"m\"", "null", "1"}},
    {"toolong", {"\"m\""}},
};

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (*seed >> 33) % below;
}

/* What is asked of them is about all that is in them: no trace of such a text is of use. */
static bool is_asked_whole(const char *name)
{
    return !strcmp(name, "pair") || !strcmp(name, "point");
}

/* The same members in most texts, so that shapes come again; mostly values that fit. */
static void make_text(struct buf *ret, uint64_t *seed)
{
    uint64_t left_out = draw(seed, 40);
    bool traced = draw(seed, 4) != 0;
    buf_reset(ret);
    for (size_t m = 0; m < ARRAY_LEN(members); m++) {
        size_t count = 0;
        while (count < ARRAY_LEN(members[m].values) && members[m].values[count])
            count++;
        if (m == left_out || (m + 1 == ARRAY_LEN(members) && left_out != 39) ||
            (traced && is_asked_whole(members[m].name)))
            continue;
        buf_addf(ret, "%c\"%s\":%s", ret->len ? ',' : '{', members[m].name,
                 members[m].values[draw(seed, 12) ? draw(seed, 2) % count : draw(seed, count)]);
    }
    buf_add_char(ret, '}');
}

static void every_verdict_is_that_of_the_whole_check(void **state)
{
    struct scratch scratch;
    struct error err = ERROR_NONE;
    struct schema *schema = NULL;
    size_t budget = 1000, valid = 0, violated = 0, fitted = 0;
    uint64_t seed = 5;
    (void)state;
    scratch_open(&scratch);
    scratch_write(&scratch, "s.json", schema_text);
    struct schema_set *set = schema_set_new(NULL);
    if (schema_set_add_folder(set, scratch.folder, &err) < 0 || schema_set_compile(set, &err) < 0 ||
        schema_set_get(set, "s.json", &schema, &err) < 0)
        fail_msg("%s", err.text);
    struct json_plan *plan = json_plan_new();
    assert_true(json_plan_compile(plan));
    struct json_shapes *shapes = json_shapes_new(&budget, NULL);
    struct schema_checker *whole = schema_checker_new(), *shaped = schema_checker_new();
    CLEANUP_BUF struct buf text = {0};
    for (int i = 0; i < 60000; i++) {
        struct schema_violation want, have;
        struct json_error why;
        make_text(&text, &seed);
        assert_true(json_extract_shaped(plan, shapes, buf_slice(&text), 0, NULL, &why));
        fitted += json_shapes_fitted(shapes) != NULL;
        enum schema_verdict verdict = schema_check(whole, schema, buf_slice(&text), &want);
        if (schema_check_shaped(shaped, schema, buf_slice(&text), shapes, &have) != verdict)
            fail_msg("%s: the whole check says %d (%s)", buf_cstr(&text), verdict, want.reason);
        assert_string_equal(have.reason, want.reason);
        assert_string_equal(have.instance, want.instance);
        assert_string_equal(have.schema, want.schema);
        valid += verdict == SCHEMA_VALID;
        violated += verdict == SCHEMA_VIOLATED;
    }
    assert_true(valid > 5000 && violated > 5000);
    if (strcmp(json_extract_method(), "portable") != 0)
        assert_true(fitted > 10000);
    schema_checker_free(whole);
    schema_checker_free(shaped);
    json_shapes_free(shapes);
    json_plan_free(plan);
    schema_set_free(set);
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verdict_is_that_of_the_whole_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
