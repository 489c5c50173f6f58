/* The validator: what RFC 8259 allows and nothing else, in place, without reading past its input.
 */
#include "unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "json_cases.h"
#include "json/extract.h"

static bool valid(struct slice text, struct json_error *error)
{
    struct json_plan *plan = json_plan_new();
    struct json_value values[2];
    assert_int_equal(json_plan_add(plan, SLICE("")), 0);
    assert_int_equal(json_plan_add(plan, SLICE("a.*.b")), 1);
    assert_true(json_plan_compile(plan));
    bool ok = json_extract(plan, text, values, error);
    if (ok)
        assert_true(values[0].type != JSON_TYPE_ABSENT);
    json_plan_free(plan);
    return ok;
}

static void each_case_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(json_cases); i++) {
        const struct json_case *test = &json_cases[i];
        struct json_error error = {NULL, 0};
        bool ok = valid(test->text, &error);
        if (ok != (test->name[0] == 'y'))
            fail_msg("%s: %s", test->name, ok ? "accepted" : error.what);
        if (!ok) {
            assert_non_null(error.what);
            assert_true(error.offset <= test->text.len);
        }
    }
}

/* jansson is strict about other things (lone surrogates, 1e9999, NUL); where both must agree they
 * do. */
static void jansson_agrees_on_the_cases(void **state)
{
    static const char *const exempt[] = {
        "y_object_escaped_key",         "y_object_key_with_escape", "y_string_escaped_nul",
        "y_string_lone_high",           "y_string_lone_low",        "y_string_swapped_pair",
        "y_string_high_then_text",      "y_number_huge_exponent",   "y_number_very_long",
        "n_number_many_digits_then_00", "y_number_tiny_exponent",   "n_text_nul_behind"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(json_cases); i++) {
        const struct json_case *test = &json_cases[i];
        bool skip = false;
        for (size_t e = 0; e < ARRAY_LEN(exempt); e++)
            skip = skip || !strcmp(exempt[e], test->name);
        if (skip)
            continue;
        json_t *value =
            json_loadb(test->text.ptr, test->text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if ((value != NULL) != (test->name[0] == 'y'))
            fail_msg("%s: the table and jansson differ", test->name);
        json_decref(value);
    }
}

static void errors_say_what_and_where(void **state)
{
    static const struct {
        const char *text, *what;
        size_t offset;
    } cases[] = {
        {"", "empty", 0},
        {" \n", "empty", 2},
        {"{\"a\":1,}", "a member name in quotes was expected", 7},
        {"{\"a\" 1}", "a colon was expected", 5},
        {"[1 2]", "a comma or the end of the object or array was expected", 3},
        {"[1", "the text ends inside an object or array", 2},
        {"[1,", "the text ends where a value was expected", 3},
        {"\"abc", "the text ends inside a string", 4},
        {"\"a\\x\"", "an unknown escape in a string", 3},
        {"\"\\u12g4\"", "\\u wants four hexadecimal digits", 5},
        {"\"a\nb\"", "a control character in a string", 2},
        {"\"a\xff\"", "invalid UTF-8", 2},
        {"-x", "a digit was expected", 1},
        {"1.x", "a digit was expected behind the point", 2},
        {"1e+", "a digit was expected in the exponent", 3},
        {"nul", "a value was expected", 0},
        {"1 1", "text behind the value", 2},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_error error;
        assert_false(valid(slice_of(cases[i].text), &error));
        assert_string_equal(error.what, cases[i].what);
        assert_int_equal(error.offset, cases[i].offset);
    }
}

static void an_absent_text_is_empty(void **state)
{
    struct json_error error;
    (void)state;
    assert_false(valid(SLICE_ABSENT, &error));
    assert_string_equal(error.what, "empty");
}

static void nest(struct buf *text, size_t depth, const char *open, const char *close)
{
    buf_reset(text);
    for (size_t i = 0; i < depth; i++)
        buf_add_str(text, open);
    buf_add_str(text, "0");
    for (size_t i = 0; i < depth; i++)
        buf_add_str(text, close);
}

static void depth_1024_and_no_deeper(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    struct json_error error;
    (void)state;
    nest(&text, 1024, "[", "]");
    assert_true(valid(buf_slice(&text), &error));
    nest(&text, 1024, "{\"k\":", "}");
    assert_true(valid(buf_slice(&text), &error));
    nest(&text, 1025, "[", "]");
    assert_false(valid(buf_slice(&text), &error));
    assert_string_equal(error.what, "nested deeper than 1024");
    assert_int_equal(error.offset, 1024);
    nest(&text, 1025, "{\"k\":", "}");
    assert_false(valid(buf_slice(&text), &error));
    assert_string_equal(error.what, "nested deeper than 1024");
    nest(&text, 200000, "[", "]");
    assert_false(valid(buf_slice(&text), &error));
}

/* Siblings do not add up to depth. */
static void depth_is_of_nesting_only(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    struct json_error error;
    (void)state;
    buf_add_str(&text, "[");
    for (int i = 0; i < 5000; i++)
        buf_add_str(&text, "[{}],");
    buf_add_str(&text, "1]");
    assert_true(valid(buf_slice(&text), &error));
}

/* --- the end of the input is the end of a page ------------------------------------------------ */

static const char *const documents[] = {
    "{\"event_id\":\"019f510c-7cb9-7884-9d79-6fbd98305fbb\",\"n\":-12.5e+3,\"t\":true,\"x\":null}",
    "[\"\\u00e4\\n\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 and text to fill words\",false, 0]",
    "  {\"a\" : [ {\"b\":{}} , [[1,2],[3.25E-2]] ] , \"\\\"\":\"\\uD83D\\uDE00\"}  ",
    "123456789012345678901234567890.5",
};

static void no_byte_past_the_end_is_read(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    for (size_t d = 0; d < ARRAY_LEN(documents); d++) {
        size_t whole = strlen(documents[d]);
        for (size_t len = 0; len <= whole; len++) {
            char *at = pages + page - len;
            struct json_error error;
            memcpy(at, documents[d], len);
            bool ok = valid((struct slice){at, len}, &error);
            /* A prefix is a document of its own only when it is a number, or lacks only blanks. */
            if (len == whole)
                assert_true(ok);
            else if (ok)
                assert_true(d == 3 || strspn(documents[d] + len, " ") == whole - len);
        }
    }
    assert_int_equal(munmap(pages, 2 * page), 0);
}

/* --- against jansson ----------------------------------------------------------------------------
 */

static void add_random_string(struct buf *out, uint64_t *seed)
{
    static const char *const parts[] = {"a",
                                        "xyz",
                                        "\\n",
                                        "\\\"",
                                        "\\\\",
                                        "\\u00e4",
                                        "\xc3\xa4",
                                        "\xe2\x82\xac",
                                        "12345678",
                                        "\xf0\x9f\x98\x80",
                                        "\\uD83D\\uDE00",
                                        " "};
    buf_add_char(out, '"');
    for (uint64_t left = random_below(seed, 6); left; left--)
        buf_add_str(out, parts[random_below(seed, ARRAY_LEN(parts))]);
    buf_add_char(out, '"');
}

static void add_random_value(struct buf *out, uint64_t *seed, int depth)
{
    static const char *const scalars[] = {"0",     "-1",   "1.5",  "2e3",
                                          "false", "true", "null", "1234567890123"};
    uint64_t what = random_below(seed, depth > 6 ? 6 : 10);
    if (what < 4) {
        buf_add_str(out, scalars[random_below(seed, ARRAY_LEN(scalars))]);
    } else if (what < 6) {
        add_random_string(out, seed);
    } else {
        bool object = what < 8;
        buf_add_str(out, object ? "{" : "[ ");
        uint64_t count = random_below(seed, 4);
        for (uint64_t i = 0; i < count; i++) {
            if (i)
                buf_add_str(out, ", ");
            if (object) {
                add_random_string(out, seed);
                buf_add_str(out, ":");
            }
            add_random_value(out, seed, depth + 1);
        }
        buf_add_str(out, object ? "}" : "]");
    }
}

/* Sound documents, and the same with one byte changed, taken out or put in. */
static void jansson_agrees_on_generated_documents(void **state)
{
    static const char bytes[] = "{}[]\",:\\ue0-+.1tfn \xff\xc3\x80\x01x";
    uint64_t seed = 42;
    size_t accepted = 0, refused = 0;
    (void)state;
    for (int i = 0; i < 60000; i++) {
        CLEANUP_BUF struct buf text = {0};
        struct json_error error;
        add_random_value(&text, &seed, 0);
        if (i % 3) {
            size_t at = (size_t)random_below(&seed, text.len);
            char byte = bytes[random_below(&seed, sizeof bytes - 1)];
            if (i % 3 == 1)
                text.ptr[at] = byte;
            else
                text.len = at;
        }
        bool ok = valid(buf_slice(&text), &error);
        json_error_t why;
        json_t *value =
            json_loadb(text.len ? text.ptr : "", text.len,
                       JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
        /* Lone surrogates: jansson refuses them, RFC 8259 does not. A range error is no syntax. */
        bool lone = strstr(buf_cstr(&text), "\\u") != NULL;
        bool range = !value && json_error_code(&why) == json_error_numeric_overflow;
        if (ok != (value != NULL) && !(ok && (lone || range)))
            fail_msg("%s: we say %d", buf_cstr(&text), ok);
        json_decref(value);
        accepted += ok;
        refused += !ok;
    }
    assert_true(accepted > 20000 && refused > 10000);
}

/* --- values --------------------------------------------------------------------------------------
 */

static void strings_are_unescaped(void **state)
{
    static const struct {
        struct slice raw, text;
    } cases[] = {
        {SLICE(""), SLICE("")},
        {SLICE("plain"), SLICE("plain")},
        {SLICE("\\\"\\\\\\/\\b\\f\\n\\r\\t"), SLICE("\"\\/\b\f\n\r\t")},
        {SLICE("a\\u0041\\u00e4\\u20ACz"), SLICE("aA\xc3\xa4\xe2\x82\xacz")},
        {SLICE("\\uD83D\\uDE00"), SLICE("\xf0\x9f\x98\x80")},
        {SLICE("\\uDBFF\\uDFFF"), SLICE("\xf4\x8f\xbf\xbf")},
        {SLICE("\\u0000"), SLICE("\0")},
        {SLICE("\\u007f\\u0080\\u07ff\\u0800"), SLICE("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80")},
        {SLICE("\\uD800"), SLICE("\xef\xbf\xbd")},
        {SLICE("\\uD800x"), SLICE("\xef\xbf\xbdx")},
        {SLICE("\\uD800\\n"), SLICE("\xef\xbf\xbd\n")},
        {SLICE("\\uDC00\\uD800"), SLICE("\xef\xbf\xbd\xef\xbf\xbd")},
        {SLICE("\\uD800\\uD83D\\uDE00"), SLICE("\xef\xbf\xbd\xf0\x9f\x98\x80")},
        {SLICE("\\uD83D\\u0041"), SLICE("\xef\xbf\xbd"
                                        "A")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf text = {0};
        json_unescape(cases[i].raw, &text);
        if (!slice_eq(buf_slice(&text), cases[i].text))
            fail_msg("%s became '%s'", cases[i].raw.ptr, buf_cstr(&text));
    }
}

static bool number_of(struct slice raw, double *ret)
{
    struct json_value value = {.raw = raw, .type = JSON_TYPE_NUMBER};
    return json_number(&value, ret);
}

static void numbers_have_their_value(void **state)
{
    double number;
    struct json_value text = {.raw = SLICE("1"), .type = JSON_TYPE_STRING};
    (void)state;
    assert_true(number_of(SLICE("0.1"), &number));
    assert_same_double(number, 0.1);
    assert_true(number_of(SLICE("-1.5e3"), &number));
    assert_same_double(number, -1500);
    assert_true(number_of(SLICE("-0"), &number));
    assert_same_double(number, -0.0);
    assert_true(number_of(SLICE("1e-9999"), &number));
    assert_same_double(number, 0);
    assert_true(number_of(
        SLICE("0.00000000000000000000000000000000000000000000000000000000000000000000000000001"),
        &number));
    assert_same_double(number, 1e-77);
    assert_false(number_of(SLICE("1e999"), &number));
    assert_false(number_of(SLICE("-1e999"), &number));
    assert_false(json_number(&text, &number));
}

/* Texts of subjects and headers come here too: strtod() would take most of these. */
static void what_is_no_number_has_no_value(void **state)
{
    static const char *const bad[] = {"",    "abc", "12abc", "0x10",     "inf", "nan", " 1",
                                      "1 ",  "+1",  ".5",    "-",        "1e",  "1-2", "true",
                                      "--1", "1,5", "0x1p3", "infinity", "-inf"};
    CLEANUP_BUF struct buf longest = {0};
    double number;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (number_of(slice_of(bad[i]), &number))
            fail_msg("'%s' was read as %g", bad[i], number);
    }
    assert_false(number_of(SLICE_ABSENT, &number));
    assert_false(number_of(SLICE("1\0"
                                 "2"),
                           &number));
    for (int i = 0; i < 511; i++)
        buf_add_char(&longest, '0');
    assert_true(number_of(buf_slice(&longest), &number));
    buf_add_char(&longest, '0');
    assert_false(number_of(buf_slice(&longest), &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_has_its_verdict),
        cmocka_unit_test(jansson_agrees_on_the_cases),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(an_absent_text_is_empty),
        cmocka_unit_test(depth_1024_and_no_deeper),
        cmocka_unit_test(depth_is_of_nesting_only),
        cmocka_unit_test(no_byte_past_the_end_is_read),
        cmocka_unit_test(jansson_agrees_on_generated_documents),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(numbers_have_their_value),
        cmocka_unit_test(what_is_no_number_has_no_value),
    };
    return cmocka_run_group_tests_name("json_extract", tests, NULL, NULL);
}
