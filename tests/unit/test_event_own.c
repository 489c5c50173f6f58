#include "unit.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/instant.h"
#include "event/own.h"

static void ids_are_version_7(void **state)
{
    char id[UUID_TEXT_LEN + 1];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        own_event_id(id);
        assert_int_equal(strlen(id), UUID_TEXT_LEN);
        for (size_t c = 0; c < UUID_TEXT_LEN; c++) {
            if (c == 8 || c == 13 || c == 18 || c == 23)
                assert_int_equal(id[c], '-');
            else
                assert_true(isdigit((unsigned char)id[c]) || (id[c] >= 'a' && id[c] <= 'f'));
        }
        assert_int_equal(id[14], '7');
        assert_non_null(strchr("89ab", id[19]));
    }
}

static int64_t ms_of(const char *id)
{
    char digits[13];
    memcpy(digits, id, 8);
    memcpy(digits + 8, id + 9, 4);
    digits[12] = 0;
    return (int64_t)strtoull(digits, NULL, 16);
}

static void ids_sort_by_time_and_never_repeat(void **state)
{
    char id[UUID_TEXT_LEN + 1], before[UUID_TEXT_LEN + 1] = "";
    int64_t begin_ms = instant_now_ns() / NS_PER_MS;
    (void)state;
    for (int i = 0; i < 5000; i++) {
        own_event_id(id);
        assert_string_not_equal(id, before);
        if (before[0]) {
            assert_true(ms_of(id) >= ms_of(before));
            if (ms_of(id) > ms_of(before))
                assert_true(strcmp(id, before) > 0);
        }
        memcpy(before, id, sizeof id);
    }
    assert_true(ms_of(id) >= begin_ms && ms_of(id) <= instant_now_ns() / NS_PER_MS);
}

static json_t *body_of(const struct own_event *event)
{
    json_error_t why;
    json_t *body = json_loadb(event->payload.ptr, event->payload.len, 0, &why);
    if (!body)
        fail_msg("%s", why.text);
    return body;
}

static const char *text_at(json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));
    assert_non_null(text);
    return text;
}

static void every_field_of_the_contract(void **state)
{
    struct own_event event;
    int64_t when = 0, begin = instant_now_ns();
    (void)state;
    own_event_build(&event, "monitor", "stream", "AGENT_EVENTS", "GapFound", 7, "corr", "cause",
                    json_pack("{s:i}", "missed", 3));
    json_t *body = body_of(&event);
    assert_slice(buf_slice(&event.subject), "ops.monitor.stream.AGENT_EVENTS.GapFound");
    assert_int_equal(json_object_size(body), 8);
    assert_string_equal(text_at(body, "event_id"), event.event_id);
    assert_string_equal(text_at(body, "aggregate_id"), "AGENT_EVENTS");
    assert_int_equal(json_integer_value(json_object_get(body, "sequence")), 7);
    assert_string_equal(text_at(body, "correlation_id"), "corr");
    assert_string_equal(text_at(body, "causation_id"), "cause");
    assert_string_equal(text_at(body, "event_type"), "GapFound");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(body, "data"), "missed")),
                     3);
    assert_true(instant_parse_rfc3339(slice_of(text_at(body, "timestamp")), &when));
    assert_true(when >= begin && when <= instant_now_ns());
    assert_int_equal(strlen(text_at(body, "timestamp")), 30);
    json_decref(body);
    own_event_done(&event);
}

static void what_is_not_given_is_null(void **state)
{
    struct own_event event;
    (void)state;
    own_event_build(&event, "monitor", "monitor", "host", "Started", 1, NULL, NULL, NULL);
    json_t *body = body_of(&event);
    assert_true(json_is_null(json_object_get(body, "correlation_id")));
    assert_true(json_is_null(json_object_get(body, "causation_id")));
    assert_true(json_is_object(json_object_get(body, "data")));
    assert_int_equal(json_object_size(json_object_get(body, "data")), 0);
    json_decref(body);
    own_event_done(&event);
}

static void ids_become_one_subject_token(void **state)
{
    static const char *const cases[][2] = {{"a.b", "a_b"},          {"*", "_"}, {"x>y", "x_y"},
                                           {"a b\tc", "a_b_c"},     {"", "_"},  {"\n", "_"},
                                           {"\xc3\xa4", "\xc3\xa4"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct own_event event;
        CLEANUP_BUF struct buf want = {0};
        own_event_build(&event, "host", "node", cases[i][0], "Seen", 1, NULL, NULL, NULL);
        buf_addf(&want, "ops.host.node.%s.Seen", cases[i][1]);
        assert_slice(buf_slice(&event.subject), buf_cstr(&want));
        json_t *body = body_of(&event);
        assert_string_equal(text_at(body, "aggregate_id"), cases[i][0]);
        json_decref(body);
        own_event_done(&event);
    }
}

static void ids_that_are_no_text_keep_the_body_json(void **state)
{
    struct own_event event;
    (void)state;
    own_event_build(&event, "host", "node", "a\xff\x62", "Seen", 1, "\xff", NULL, NULL);
    json_t *body = body_of(&event);
    assert_string_equal(text_at(body, "aggregate_id"), "a\xef\xbf\xbd"
                                                       "b");
    assert_string_equal(text_at(body, "correlation_id"), "\xef\xbf\xbd");
    json_decref(body);
    own_event_done(&event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_version_7),
        cmocka_unit_test(ids_sort_by_time_and_never_repeat),
        cmocka_unit_test(every_field_of_the_contract),
        cmocka_unit_test(what_is_not_given_is_null),
        cmocka_unit_test(ids_become_one_subject_token),
        cmocka_unit_test(ids_that_are_no_text_keep_the_body_json),
    };
    return cmocka_run_group_tests_name("event_own", tests, NULL, NULL);
}
