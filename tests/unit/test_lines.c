/* Messages as JSON lines: what is taken, what is complained of, and that the payload is as written.
 */
#include "unit.h"

#include "event/lines.h"
#include "scratch.h"

struct reading {
    struct scratch scratch;
    struct lines *lines;
    struct line_event event;
    struct error err;
};

static void reading_open(struct reading *reading, const char *text, size_t len)
{
    *reading = (struct reading){0};
    scratch_open(&reading->scratch);
    CLEANUP_FREE char *path = scratch_path(&reading->scratch, "f");
    assert_int_equal(file_write_atomic(path, (struct slice){text, len}, 0600, NULL), 0);
    assert_int_equal(lines_open(path, &reading->lines, &reading->err), 0);
}

static void reading_close(struct reading *reading)
{
    lines_close(reading->lines);
    scratch_close(&reading->scratch);
}

#define CLEANUP_READING __attribute__((cleanup(reading_close)))

static enum lines_outcome next(struct reading *reading)
{
    reading->err = ERROR_NONE;
    return lines_next(reading->lines, &reading->event, &reading->err);
}

static void members_are_taken_as_written(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf{\"subject\":\"a.b\",\"payload\":{ \"n\" : 1.50e1, \"s\":\"\\u00e9\" } }\n"
        "\r\n"
        "{\"subject\":\"a\\u002eb\",\"headers\":{\"A\":\"x\\ty\",\"B\":[\"1\",\"2\"],\"C\":[]},"
        "\"payload\":\"t\",\"seq\":18446744073709551615,\"stream\":\"S\","
        "\"stored_at\":\"2026-07-11T12:00:00.5Z\",\"note\":1}\r\n"
        "{\"subject\":\"c\",\"payload_text\":\"{\\\"a\\\":}\",\"stored_at\":1783771200}\n"
        "{\"subject\":\"c\",\"payload_base64\":\"AP8=\"}\n"
        "{\"subject\":\"c\",\"payload\":null}";
    CLEANUP_READING struct reading r;
    (void)state;
    reading_open(&r, text, sizeof text - 1);
    assert_int_equal(next(&r), LINES_EVENT);
    assert_slice(r.event.input.subject, "a.b");
    assert_slice(r.event.input.payload, "{ \"n\" : 1.50e1, \"s\":\"\\u00e9\" }");
    assert_int_equal(r.event.input.header_count, 0);
    assert_int_equal(r.event.input.seq, 0);
    assert_true(r.event.input.stored_at_ns == 0);
    assert_absent(r.event.stream);
    assert_int_equal(next(&r), LINES_EVENT);
    assert_int_equal(lines_number(r.lines), 3);
    assert_slice(r.event.input.subject, "a.b");
    assert_slice(r.event.input.payload, "\"t\"");
    assert_slice(r.event.stream, "S");
    assert_true(r.event.input.seq == UINT64_MAX);
    assert_true(r.event.input.stored_at_ns == INT64_C(1783771200500000000));
    assert_int_equal(r.event.input.header_count, 3);
    assert_slice(r.event.input.headers[0].value, "x\ty");
    assert_slice(r.event.input.headers[2].name, "B");
    assert_slice(r.event.input.headers[2].value, "2");
    assert_int_equal(next(&r), LINES_EVENT);
    assert_slice(r.event.input.payload, "{\"a\":}");
    assert_true(r.event.input.stored_at_ns == INT64_C(1783771200000000000));
    assert_int_equal(next(&r), LINES_EVENT);
    assert_int_equal(r.event.input.payload.len, 2);
    assert_memory_equal(r.event.input.payload.ptr, "\0\xff", 2);
    assert_int_equal(next(&r), LINES_EVENT);
    assert_slice(r.event.input.payload, "null");
    assert_int_equal(next(&r), LINES_END);
    assert_int_equal(next(&r), LINES_END);
}

static void bad_lines_are_named_and_reading_goes_on(void **state)
{
    static const struct {
        const char *line, *complaint;
    } cases[] = {
        {"{\"subject\":\"a\"", ":15: not JSON"},
        {"[1]", "an object with"},
        {"{\"payload\":1}", "'subject' is missing"},
        {"{\"subject\":\"\",\"payload\":1}", "'subject' is missing or empty"},
        {"{\"subject\":7,\"payload\":1}", "'subject' is no string"},
        {"{\"subject\":\"a\"}", "one of 'payload'"},
        {"{\"subject\":\"a\",\"payload\":1,\"payload_text\":\"\"}", "one of 'payload'"},
        {"{\"subject\":\"a\",\"payload_base64\":\"A\"}", "no padded base64"},
        {"{\"subject\":\"a\",\"payload_base64\":\"A=A=\"}", "no padded base64"},
        {"{\"subject\":\"a\",\"payload\":1,\"headers\":[]}", "'headers' is no object"},
        {"{\"subject\":\"a\",\"payload\":1,\"headers\":{\"x\":1}}", "header 'x'"},
        {"{\"subject\":\"a\",\"payload\":1,\"headers\":{\"x\":[\"y\",null]}}", "header 'x'"},
        {"{\"subject\":\"a\",\"payload\":1,\"seq\":0}", "'seq' is no"},
        {"{\"subject\":\"a\",\"payload\":1,\"seq\":1.5}", "'seq' is no"},
        {"{\"subject\":\"a\",\"payload\":1,\"seq\":18446744073709551616}", "'seq' is no"},
        {"{\"subject\":\"a\",\"payload\":1,\"stored_at\":\"soon\"}", "'stored_at' is no time"},
        {"{\"subject\":\"a\",\"payload\":1,\"stored_at\":true}", "'stored_at' is no time"},
    };
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        buf_addf(&text, "%s\n{\"subject\":\"ok\",\"payload\":%zu}\n", cases[i].line, i);
    CLEANUP_READING struct reading r;
    reading_open(&r, text.ptr, text.len);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *place = xasprintf("/f:%zu:", 2 * i + 1);
        assert_int_equal(next(&r), LINES_BAD);
        assert_contains(r.err.text, place);
        assert_contains(r.err.text, cases[i].complaint);
        assert_int_equal(r.err.code, EXIT_CODE_DAMAGED);
        assert_int_equal(next(&r), LINES_EVENT);
        assert_slice(r.event.input.subject, "ok");
    }
    assert_int_equal(next(&r), LINES_END);
}

static void too_many_headers_and_too_long_a_line(void **state)
{
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    buf_add_str(&text, "{\"subject\":\"a\",\"payload\":1,\"headers\":{\"x\":[\"0\"");
    for (int i = 1; i <= EVENT_HEADERS_MAX; i++)
        buf_addf(&text, ",\"%d\"", i);
    buf_add_str(&text, "]}}\n{\"subject\":\"long\",\"payload\":\"");
    size_t fill = LINE_BYTES_MAX + 1000000;
    buf_reserve(&text, fill);
    memset(text.ptr + text.len, 'x', fill);
    text.len += fill;
    buf_add_str(&text, "\"}\n{\"subject\":\"ok\",\"payload\":1}");
    CLEANUP_READING struct reading r;
    reading_open(&r, text.ptr, text.len);
    assert_int_equal(next(&r), LINES_BAD);
    assert_contains(r.err.text, "/f:1:354: more than 64 headers");
    assert_int_equal(next(&r), LINES_BAD);
    assert_contains(r.err.text, "/f:2:1: the line is longer than");
    assert_int_equal(next(&r), LINES_EVENT);
    assert_int_equal(lines_number(r.lines), 3);
    assert_slice(r.event.input.subject, "ok");
    assert_int_equal(next(&r), LINES_END);
}

static void a_file_that_is_not_there(void **state)
{
    struct lines *lines = NULL;
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(lines_open("/nowhere/at/all", &lines, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_USAGE);
    assert_int_equal(lines_open("/", &lines, &err), 0); /* a folder opens, and cannot be read */
    struct line_event event;
    assert_int_equal(lines_next(lines, &event, &err), LINES_FAILED);
    lines_close(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_taken_as_written),
        cmocka_unit_test(bad_lines_are_named_and_reading_goes_on),
        cmocka_unit_test(too_many_headers_and_too_long_a_line),
        cmocka_unit_test(a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
