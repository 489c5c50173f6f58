#include "unit.h"

#include "json/array.h"

/* The elements of the whole text, joined by '|'. */
static void walks_as(const char *text, const char *want)
{
    CLEANUP_BUF struct buf got = {0};
    struct json_plan *plan = json_plan_new();
    struct json_value value;
    struct json_error error;
    assert_int_equal(json_plan_add(plan, SLICE("")), 0);
    assert_true(json_plan_compile(plan));
    assert_true(json_extract(plan, slice_of(text), &value, &error));
    struct slice rest = json_array_of(&value), item;
    while (json_array_next(&rest, &item)) {
        if (got.len)
            buf_add_char(&got, '|');
        buf_add_slice(&got, item);
    }
    json_plan_free(plan);
    assert_string_equal(buf_cstr(&got), want);
}

static void elements_of_every_kind(void **state)
{
    (void)state;
    walks_as("[]", "");
    walks_as(" [ ] ", "");
    walks_as("[1]", "1");
    walks_as("[1,-2.5e3 , true,null]", "1|-2.5e3|true|null");
    walks_as("[\"a,b\" ,\"]\",\"\\\"\", \"\\\\\"]", "\"a,b\"|\"]\"|\"\\\"\"|\"\\\\\"");
    walks_as("[{\"a\":[1,2]}, [3,[4]] ,{}]", "{\"a\":[1,2]}|[3,[4]]|{}");
    walks_as("[{\"a\":\"}\"},{\"b\":\"[\"}]", "{\"a\":\"}\"}|{\"b\":\"[\"}");
    walks_as("[\n\t1\r\n,\n2\n]", "1|2");
}

static void what_is_no_array_has_none(void **state)
{
    (void)state;
    walks_as("{\"a\":[1]}", "");
    walks_as("\"[1,2]\"", "");
    walks_as("17", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_of_every_kind),
        cmocka_unit_test(what_is_no_array_has_none),
    };
    return cmocka_run_group_tests_name("json_array", tests, NULL, NULL);
}
