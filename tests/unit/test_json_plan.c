/* Paths: which value of a document goes to which slot. */
#include "unit.h"

#include <stdio.h>

#include "json/extract.h"

#define PATHS_OF_TEST 8

/* Extracts up to eight paths from one document. */
struct query {
    struct json_value values[PATHS_OF_TEST];
    size_t count;
};

static struct query ask(const char *document, const char *const *paths)
{
    struct query query = {.count = 0};
    struct json_plan *plan = json_plan_new();
    struct json_error error = {"", 0};
    for (; paths[query.count]; query.count++)
        assert_int_equal(json_plan_add(plan, slice_of(paths[query.count])), query.count);
    assert_int_equal(json_plan_slots(plan), query.count);
    assert_true(json_plan_compile(plan));
    if (!json_extract(plan, slice_of(document), query.values, &error))
        fail_msg("%s: %s", document, error.what);
    json_plan_free(plan);
    return query;
}

#define ASK(document, ...) ask(document, (const char *const[]){__VA_ARGS__, NULL})

#define assert_value(value_, type_, raw_)                                                          \
    do {                                                                                           \
        assert_int_equal((value_).type, type_);                                                    \
        assert_slice((value_).raw, raw_);                                                          \
    } while (0)
#define assert_no_value(value_)                                                                    \
    do {                                                                                           \
        assert_int_equal((value_).type, JSON_TYPE_ABSENT);                                         \
        assert_absent((value_).raw);                                                               \
    } while (0)

static void each_type_with_its_raw_text(void **state)
{
    struct query q = ASK("{\"s\":\"x\",\"n\":-1.50,\"t\":true,\"f\":false,\"z\":null,"
                         "\"a\": [1, {}] ,\"o\":{ \"k\" : 1 }}",
                         "s", "n", "t", "f", "z", "a", "o");
    (void)state;
    assert_value(q.values[0], JSON_TYPE_STRING, "x");
    assert_value(q.values[1], JSON_TYPE_NUMBER, "-1.50");
    assert_value(q.values[2], JSON_TYPE_TRUE, "true");
    assert_value(q.values[3], JSON_TYPE_FALSE, "false");
    assert_value(q.values[4], JSON_TYPE_NULL, "null");
    assert_value(q.values[5], JSON_TYPE_ARRAY, "[1, {}]");
    assert_value(q.values[6], JSON_TYPE_OBJECT, "{ \"k\" : 1 }");
}

static void nested_names(void **state)
{
    struct query q = ASK("{\"a\":{\"b\":{\"c\":7}},\"c\":8}", "a.b.c", "a.b", "b.c", "c", "a.c");
    (void)state;
    assert_value(q.values[0], JSON_TYPE_NUMBER, "7");
    assert_value(q.values[1], JSON_TYPE_OBJECT, "{\"c\":7}");
    assert_no_value(q.values[2]);
    assert_value(q.values[3], JSON_TYPE_NUMBER, "8");
    assert_no_value(q.values[4]);
}

static void the_empty_path_is_the_whole(void **state)
{
    (void)state;
    assert_value(ASK(" [1] ", "").values[0], JSON_TYPE_ARRAY, "[1]");
    assert_value(ASK("\"x\"", "").values[0], JSON_TYPE_STRING, "x");
    assert_value(ASK(" 5 ", "").values[0], JSON_TYPE_NUMBER, "5");
    assert_value(ASK("{\"a\":1}", "").values[0], JSON_TYPE_OBJECT, "{\"a\":1}");
}

static void a_star_is_any_member(void **state)
{
    struct query q = ASK("{\"x\":1,\"WorkflowFailed\":{\"id\":\"w\",\"at\":{\"s\":3}}}", "*.id",
                         "*", "*.at.s", "*.*", "*.*.s");
    (void)state;
    assert_value(q.values[0], JSON_TYPE_STRING, "w");
    assert_value(q.values[1], JSON_TYPE_NUMBER, "1");
    assert_value(q.values[2], JSON_TYPE_NUMBER, "3");
    assert_value(q.values[3], JSON_TYPE_STRING, "w");
    assert_value(q.values[4], JSON_TYPE_NUMBER, "3");
}

static void names_and_stars_overlap(void **state)
{
    struct query q = ASK("{\"a\":{\"b\":1,\"c\":2},\"d\":{\"b\":3,\"c\":4}}", "a.b", "*.b", "a.*",
                         "*.c", "d.c", "*.*", "d.*");
    (void)state;
    assert_value(q.values[0], JSON_TYPE_NUMBER, "1");
    assert_value(q.values[1], JSON_TYPE_NUMBER, "1");
    assert_value(q.values[2], JSON_TYPE_NUMBER, "1");
    assert_value(q.values[3], JSON_TYPE_NUMBER, "2");
    assert_value(q.values[4], JSON_TYPE_NUMBER, "4");
    assert_value(q.values[5], JSON_TYPE_NUMBER, "1");
    assert_value(q.values[6], JSON_TYPE_NUMBER, "3");
}

static void a_star_sees_through_a_named_member(void **state)
{
    /* "a" has an edge of its own, which must not hide it from the star. */
    struct query q = ASK("{\"a\":{\"x\":{\"deep\":5}}}", "a.y", "*.x.deep", "*.*.deep");
    (void)state;
    assert_no_value(q.values[0]);
    assert_value(q.values[1], JSON_TYPE_NUMBER, "5");
    assert_value(q.values[2], JSON_TYPE_NUMBER, "5");
}

static void the_hash_is_the_first_members_name(void **state)
{
    struct query q = ASK("{\"StepFailed\":{\"why\":{\"Timeout\":1,\"other\":2}},\"second\":{}}",
                         "#", "StepFailed.why.#", "second.#", "*.#", "*.*.#");
    (void)state;
    assert_value(q.values[0], JSON_TYPE_STRING, "StepFailed");
    assert_value(q.values[1], JSON_TYPE_STRING, "Timeout");
    assert_no_value(q.values[2]);
    assert_value(q.values[3], JSON_TYPE_STRING, "why");
    assert_value(q.values[4], JSON_TYPE_STRING, "Timeout");
    assert_no_value(ASK("[{\"a\":1}]", "#").values[0]);
    assert_no_value(ASK("\"text\"", "#").values[0]);
    assert_value(ASK("{\"\":1}", "#").values[0], JSON_TYPE_STRING, "");
}

static void the_first_in_the_text_wins(void **state)
{
    struct query q = ASK("{\"a\":null,\"a\":2,\"b\":{\"k\":1},\"c\":{\"k\":2}}", "a", "*.k", "b.k");
    (void)state;
    assert_value(q.values[0], JSON_TYPE_NULL, "null");
    assert_value(q.values[1], JSON_TYPE_NUMBER, "1");
    assert_value(q.values[2], JSON_TYPE_NUMBER, "1");
    q = ASK("{\"a\":{\"k\":1},\"a\":{\"k\":2,\"l\":3}}", "a", "a.k", "a.l");
    assert_value(q.values[0], JSON_TYPE_OBJECT, "{\"k\":1}");
    assert_value(q.values[1], JSON_TYPE_NUMBER, "1");
    assert_value(q.values[2], JSON_TYPE_NUMBER, "3");
}

static void arrays_are_not_walked_into(void **state)
{
    struct query q =
        ASK("{\"a\":[{\"b\":1}],\"c\":{\"d\":[[{\"b\":2}]]}}", "a.b", "*.b", "a", "c.d.*", "*.*.b");
    (void)state;
    assert_no_value(q.values[0]);
    assert_no_value(q.values[1]);
    assert_value(q.values[2], JSON_TYPE_ARRAY, "[{\"b\":1}]");
    assert_no_value(q.values[3]);
    assert_no_value(q.values[4]);
}

static void names_are_compared_raw(void **state)
{
    struct query q =
        ASK("{\"\\u0061\":1,\"\xc3\xa4\":2,\"a b\":3}", "a", "\xc3\xa4", "a b", "\\u0061");
    (void)state;
    assert_no_value(q.values[0]);
    assert_value(q.values[1], JSON_TYPE_NUMBER, "2");
    assert_value(q.values[2], JSON_TYPE_NUMBER, "3");
    assert_value(q.values[3], JSON_TYPE_NUMBER, "1");
}

static void escapes_are_marked(void **state)
{
    struct query q = ASK("{\"a\":\"x\\ny\",\"b\":\"xy\",\"\\n\":{}}", "a", "b");
    (void)state;
    assert_value(q.values[0], JSON_TYPE_STRING, "x\\ny");
    assert_true(q.values[0].escaped);
    assert_false(q.values[1].escaped);
    assert_true(ASK("{\"a\\u0041\":1}", "#").values[0].escaped);
}

static void slots_are_overwritten_each_time(void **state)
{
    struct json_plan *plan = json_plan_new();
    struct json_value value;
    struct json_error error;
    (void)state;
    assert_int_equal(json_plan_add(plan, SLICE("a")), 0);
    assert_true(json_plan_compile(plan));
    assert_true(json_extract(plan, SLICE("{\"a\":1}"), &value, &error));
    assert_int_equal(value.type, JSON_TYPE_NUMBER);
    assert_true(json_extract(plan, SLICE("{\"b\":1}"), &value, &error));
    assert_no_value(value);
    json_plan_free(plan);
}

static void the_same_path_is_the_same_slot(void **state)
{
    struct json_plan *plan = json_plan_new();
    (void)state;
    assert_int_equal(json_plan_add(plan, SLICE("a.b")), 0);
    assert_int_equal(json_plan_add(plan, SLICE("a")), 1);
    assert_int_equal(json_plan_add(plan, SLICE("a.b")), 0);
    assert_int_equal(json_plan_slots(plan), 2);
    assert_true(json_plan_compile(plan));
    assert_int_equal(json_plan_add(plan, SLICE("new")), -1);
    assert_int_equal(json_plan_add(plan, SLICE("a")), 1);
    json_plan_free(plan);
    json_plan_free(NULL);
}

static void a_plan_has_bounds(void **state)
{
    struct json_plan *plan = json_plan_new();
    CLEANUP_BUF struct buf deep = {0};
    char path[32];
    (void)state;
    for (int i = 0; i < JSON_PATHS_MAX; i++) {
        (void)snprintf(path, sizeof path, "p%d", i);
        assert_int_equal(json_plan_add(plan, slice_of(path)), i);
    }
    assert_int_equal(json_plan_add(plan, SLICE("one more")), -1);
    json_plan_free(plan);

    plan = json_plan_new();
    for (int i = 0; i < JSON_SEGMENTS_MAX; i++)
        buf_add_str(&deep, i ? ".x" : "x");
    assert_int_equal(json_plan_add(plan, buf_slice(&deep)), 0);
    buf_add_str(&deep, ".x");
    assert_int_equal(json_plan_add(plan, buf_slice(&deep)), -1);
    json_plan_free(plan);
}

/* Each path names one member and stars the rest: merged, two to the power of 24 combinations. */
static void overlap_without_end_is_refused(void **state)
{
    struct json_plan *plan = json_plan_new();
    (void)state;
    for (size_t named = 0; named < 24; named++) {
        CLEANUP_BUF struct buf path = {0};
        for (size_t i = 0; i < 24; i++)
            buf_addf(&path, "%s%s", i ? "." : "", i == named ? "a" : "*");
        assert_int_equal(json_plan_add(plan, buf_slice(&path)), named);
    }
    assert_false(json_plan_compile(plan));
    json_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_with_its_raw_text),
        cmocka_unit_test(nested_names),
        cmocka_unit_test(the_empty_path_is_the_whole),
        cmocka_unit_test(a_star_is_any_member),
        cmocka_unit_test(names_and_stars_overlap),
        cmocka_unit_test(a_star_sees_through_a_named_member),
        cmocka_unit_test(the_hash_is_the_first_members_name),
        cmocka_unit_test(the_first_in_the_text_wins),
        cmocka_unit_test(arrays_are_not_walked_into),
        cmocka_unit_test(names_are_compared_raw),
        cmocka_unit_test(escapes_are_marked),
        cmocka_unit_test(slots_are_overwritten_each_time),
        cmocka_unit_test(the_same_path_is_the_same_slot),
        cmocka_unit_test(a_plan_has_bounds),
        cmocka_unit_test(overlap_without_end_is_refused),
    };
    return cmocka_run_group_tests_name("json_plan", tests, NULL, NULL);
}
