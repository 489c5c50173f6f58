/* Trees: what goes in comes out, merged and changed as RFC 7396 and the header say. */
#include "unit.h"

#include <jansson.h>

#include "base/memory.h"
#include "json/tree.h"

static void assert_tree(const struct json_tree *tree, const char *want)
{
    CLEANUP_BUF struct buf text = {0};
    json_tree_write(tree, &text);
    assert_slice(buf_slice(&text), want);
    assert_int_equal(json_tree_size(tree), text.len);
}

#define CLEANUP_TREE __attribute__((cleanup(json_tree_done)))

static void texts_are_kept(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"18446744073709551616", "18446744073709551616"},
        {"[0.10, 1E400, -0, 1e-9]", "[0.10,1E400,-0,1e-9]"},
        {"\"caf\\u00e9 \\/ caf\xc3\xa9 { [ ,\"", "\"caf\\u00e9 \\/ caf\xc3\xa9 { [ ,\""},
        {" { \"b\" : [ ] , \"a\" : { } , \"c\" : null } ", "{\"a\":{},\"b\":[],\"c\":null}"},
        {"{\"a\":1,\"\\u0061\":2,\"\":true}", "{\"\":true,\"a\":2}"},
        {"{\"\\\"\":1,\"\\u0022\":2,\"\\\\\":3}", "{\"\\\"\":2,\"\\\\\":3}"},
        {"{\"aa\":1,\"a\":2,\"B\":false}", "{\"B\":false,\"a\":2,\"aa\":1}"},
        {"[[[]],{\"x\":[null]}]", "[[[]],{\"x\":[null]}]"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_TREE struct json_tree tree = {0};
        assert_true(json_tree_set(&tree, slice_of(cases[i].text)));
        assert_tree(&tree, cases[i].want);
        assert_true(json_tree_set(&tree, slice_of(cases[i].text))); /* over what is there */
        assert_tree(&tree, cases[i].want);
        assert_true(json_tree_merge(&tree, SLICE("7")));
        assert_tree(&tree, "7");
    }
}

/* The examples of RFC 7396, appendix A. */
static void merge_patches(void **state)
{
    static const struct {
        const char *original, *patch, *result;
    } cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_TREE struct json_tree tree = {0};
        assert_true(json_tree_set(&tree, slice_of(cases[i].original)));
        assert_true(json_tree_merge(&tree, slice_of(cases[i].patch)));
        assert_tree(&tree, cases[i].result);
    }
}

static void members_and_items(void **state)
{
    CLEANUP_TREE struct json_tree tree = {0};
    CLEANUP_BUF struct buf name = {0};
    uint64_t number = 0;
    (void)state;
    json_tree_name(&name, SLICE("a\"b"));
    assert_slice(buf_slice(&name), "a\\\"b");
    assert_null(json_tree_get(&tree, SLICE("n")));
    json_tree_set_u64(json_tree_ensure(&tree, SLICE("n")), UINT64_MAX);
    assert_true(json_tree_u64(json_tree_get(&tree, SLICE("n")), &number));
    assert_true(number == UINT64_MAX);
    (void)json_tree_ensure(&tree, SLICE("nothing"));
    assert_tree(&tree, "{\"n\":18446744073709551615}");
    assert_true(json_tree_remove(&tree, SLICE("n")));
    assert_false(json_tree_remove(&tree, SLICE("n")));
    struct json_tree *list = json_tree_ensure(&tree, buf_slice(&name));
    for (uint64_t i = 0; i < 20; i++)
        json_tree_set_u64(json_tree_push(list), i);
    json_tree_shift(list, 17);
    assert_tree(&tree, "{\"a\\\"b\":[17,18,19]}");
    json_tree_shift(list, 5);
    assert_tree(&tree, "{\"a\\\"b\":[]}");
    assert_true(json_tree_set(&tree, SLICE("1.5")));
    assert_false(json_tree_u64(&tree, &number));
}

static void bounds(void **state)
{
    CLEANUP_TREE struct json_tree tree = {0};
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    for (int i = JSON_TREE_MEMBERS_MAX; i-- > 0;)
        buf_addf(&text, "%c\"%d\":%d", text.len ? ',' : '{', i, i);
    buf_add_str(&text, "}");
    assert_true(json_tree_set(&tree, buf_slice(&text)));
    assert_true(json_tree_merge(&tree, buf_slice(&text)));
    assert_int_equal(tree.count, JSON_TREE_MEMBERS_MAX);
    assert_false(json_tree_merge(&tree, SLICE("{\"1\":1,\"more\":2}")));
    assert_int_equal(json_tree_depth(SLICE("\"[[[\"")), 0);
    assert_int_equal(json_tree_depth(SLICE(" [ {\"a[\\\"[\":[]}, [[]] ]")), 3);
}

/* Not JSON at all: it ends, and stays within the text. */
static void other_bytes(void **state)
{
    static const char alphabet[] = "{}[]\":,\\a1 tn";
    uint64_t random = 3;
    (void)state;
    for (int i = 0; i < 50000; i++) {
        CLEANUP_TREE struct json_tree tree = {0};
        size_t len = (size_t)random_below(&random, 24);
        CLEANUP_FREE char *bytes = xmalloc(len + 1);
        for (size_t k = 0; k < len; k++)
            bytes[k] = alphabet[random_below(&random, sizeof alphabet - 1)];
        char *exact = xrealloc(bytes, len ? len : 1, 1); /* a byte more would be seen */
        bytes = exact;
        (void)json_tree_depth((struct slice){bytes, len});
        (void)json_tree_merge(&tree, (struct slice){bytes, len});
        (void)json_tree_set(&tree, (struct slice){bytes, len});
    }
}

/* What a random value looks like to jansson, before and after. */
static void add_random(struct buf *out, uint64_t *random, int depth)
{
    static const char *const scalars[] = {"1", "-2.5", "true", "null", "\"x\\n\"", "\"\""};
    uint64_t kind = random_below(random, depth > 3 ? 6 : 9);
    if (kind < 6) {
        buf_add_str(out, scalars[kind]);
        return;
    }
    uint64_t count = random_below(random, 5);
    buf_add_char(out, kind == 6 ? '[' : '{');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(out, ',');
        if (kind != 6)
            buf_addf(out, "\"%c\" : ", (char)('a' + random_below(random, 6)));
        add_random(out, random, depth + 1);
    }
    buf_add_char(out, kind == 6 ? ']' : '}');
}

static void as_jansson_sees_it(void **state)
{
    uint64_t random = 11;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        CLEANUP_TREE struct json_tree tree = {0};
        CLEANUP_BUF struct buf in = {0}, out = {0};
        add_random(&in, &random, 0);
        assert_true(json_tree_set(&tree, buf_slice(&in)));
        json_tree_write(&tree, &out);
        json_t *before = json_loadb(in.ptr, in.len, JSON_DECODE_ANY, NULL);
        json_t *after = json_loadb(out.ptr, out.len, JSON_DECODE_ANY, NULL);
        assert_true(before && after && json_equal(before, after));
        json_decref(before);
        json_decref(after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_kept),    cmocka_unit_test(merge_patches),
        cmocka_unit_test(members_and_items), cmocka_unit_test(bounds),
        cmocka_unit_test(other_bytes),       cmocka_unit_test(as_jansson_sees_it),
    };
    return cmocka_run_group_tests_name("json_tree", tests, NULL, NULL);
}
