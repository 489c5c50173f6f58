/* JSON that we write can be read again, by the extractor and by jansson, and says the same. */
#include "unit.h"

#include <jansson.h>

#include "json/extract.h"
#include "json/write.h"

static void strings(void **state)
{
    static const struct {
        struct slice text;
        const char *want;
    } cases[] = {
        {SLICE(""), "\"\""},
        {SLICE("plain"), "\"plain\""},
        {SLICE("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {SLICE("\b\f\n\r\t\x01\x1f"), "\"\\b\\f\\n\\r\\t\\u0001\\u001f\""},
        {SLICE("\0z"), "\"\\u0000z\""},
        {SLICE("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\""},
        {SLICE("\xff"
               "a\xc3"),
         "\"\xef\xbf\xbd"
         "a\xef\xbf\xbd\""},
        {SLICE("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf out = {0};
        json_add_string(&out, cases[i].text);
        assert_slice(buf_slice(&out), cases[i].want);
    }
}

static void read_back(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        char text[24];
        size_t len = random_below(&seed, sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)random_below(&seed, 128);
        CLEANUP_BUF struct buf out = {0};
        json_add_string(&out, (struct slice){text, len});
        json_t *value = json_loadb(out.ptr, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        assert_int_equal(json_string_length(value), len);
        assert_memory_equal(json_string_value(value), text, len);
        json_decref(value);
    }
}

static void names(void **state)
{
    CLEANUP_BUF struct buf out = {0};
    (void)state;
    buf_add_char(&out, '{');
    json_add_name(&out, "a");
    buf_add_str(&out, "1");
    json_add_name(&out, "b");
    json_add_string(&out, SLICE("x"));
    buf_add_char(&out, '}');
    assert_slice(buf_slice(&out), "{\"a\":1,\"b\":\"x\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(strings), cmocka_unit_test(read_back),
                                       cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
