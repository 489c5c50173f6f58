#include "unit.h"

#include <stdlib.h>

#include "base/instant.h"
#include "event/view.h"

static void field_names_go_both_ways(void **state)
{
    (void)state;
    for (size_t f = 0; f < EVENT_FIELDS; f++) {
        const char *name = event_field_name((enum event_field)f);
        assert_true(name[0] != 0);
        assert_int_equal(event_field_find(slice_of(name)), f);
    }
    assert_int_equal(event_field_find(SLICE("nope")), EVENT_FIELDS);
    assert_int_equal(event_field_find(SLICE("")), EVENT_FIELDS);
    assert_int_equal(event_field_find(SLICE("domai")), EVENT_FIELDS);
    assert_string_equal(event_field_name(EVENT_FIELDS), "");
}

/* The spellings in use for one thing: all of them must be found by any of them. */
static void header_names_are_spelled_loosely(void **state)
{
    static const char *const spellings[] = {"X-Correlation-ID",   "Cim-Correlation-Id",
                                            "CIM-Correlation-Id", "correlation-id",
                                            "x-correlation-id",   "CORRELATION-ID"};
    (void)state;
    for (size_t a = 0; a < ARRAY_LEN(spellings); a++) {
        for (size_t b = 0; b < ARRAY_LEN(spellings); b++)
            assert_true(event_header_is(slice_of(spellings[a]), slice_of(spellings[b])));
    }
    assert_false(event_header_is(SLICE("correlation-id"), SLICE("causation-id")));
    assert_false(event_header_is(SLICE("correlation-i"), SLICE("correlation-id")));
    assert_false(event_header_is(SLICE("correlation_id"), SLICE("correlation-id")));
    /* Nothing is left of these when the prefix is taken: they are themselves. */
    assert_false(event_header_is(SLICE("X-"), SLICE("CIM-")));
    assert_true(event_header_is(SLICE("X-"), SLICE("x-")));
    assert_true(event_header_is(SLICE("Nats-Msg-Id"), SLICE("nats-msg-id")));
}

static void the_first_header_of_a_name_counts(void **state)
{
    static const struct event_header headers[] = {{SLICE("stream"), SLICE("S")},
                                                  {SLICE("X-Event-Type"), SLICE("one")},
                                                  {SLICE("event-type"), SLICE("two")},
                                                  {SLICE("X-Empty"), SLICE("")}};
    struct event_input input = {.headers = headers, .header_count = ARRAY_LEN(headers)};
    (void)state;
    assert_slice(event_header_find(&input, SLICE("Event-Type")), "one");
    assert_slice(event_header_find(&input, SLICE("empty")), "");
    assert_absent(event_header_find(&input, SLICE("none")));
    input.header_count = -1;
    assert_absent(event_header_find(&input, SLICE("stream")));
}

static void every_time_form_in_use(void **state)
{
    static const struct {
        const char *text;
        bool object;
        int64_t ns;
    } good[] = {
        {"2026-07-11", false, INT64_C(1783728000000000000)},
        {"2026-07-11T12:00:27.671243528Z", false, INT64_C(1783771227671243528)},
        {"2026-07-11T12:00:27+00:00", false, INT64_C(1783771227000000000)},
        {"1783771227", false, INT64_C(1783771227000000000)},
        {"1783771227.5", false, INT64_C(1783771227500000000)},
        {"1783771227671", false, INT64_C(1783771227671000000)},
        {"1783771227671243", false, INT64_C(1783771227671243000)},
        {"1783771227671243528", false, INT64_C(1783771227671243528)},
        {"1.783771227e9", false, INT64_C(1783771227000000000)},
        {"0", false, 0},
        {"-1", false, -NS_PER_SECOND},
        {"-0.5", false, -NS_PER_SECOND / 2},
        {"-1.5", false, -3 * NS_PER_SECOND / 2},
        {"4102444800", false, INT64_C(4102444800) * NS_PER_SECOND},
        {"9223372036", false, INT64_C(9223372036) * NS_PER_SECOND},
        {"{\"secs_since_epoch\":1783772500,\"nanos_since_epoch\":250}", true,
         INT64_C(1783772500000000250)},
        {"{\"nanos_since_epoch\" : 7, \"secs_since_epoch\" : 5}", true, 5 * NS_PER_SECOND + 7},
        {"{\"secs_since_epoch\":5}", true, 5 * NS_PER_SECOND},
        {"{\n\t\"secs_since_epoch\"\n:\n5 }", true, 5 * NS_PER_SECOND},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t ns = -77;
        bool ok = event_time_parse(slice_of(good[i].text), good[i].object, &ns);
        if (!ok || ns != good[i].ns)
            fail_msg("%s: %d %lld", good[i].text, ok, (long long)ns);
    }
}

static void what_is_no_time_is_none(void **state)
{
    static const struct {
        const char *text;
        bool object;
    } bad[] = {
        {"", false},
        {"soon", false},
        {"-", false},
        {"12abc", false},
        {"0x10", false},
        {"0x1p3", false},
        {"1 2", false},
        {"+5", false},
        {" 5", false},
        {"1e400", false},
        {"-1e400", false},
        {"1e", false},
        {"nan", false},
        {"infinity", false},
        {"9223372037", false},
        {"9223372036.9", false},
        {"99999999999", false},
        {"9300000000000000000", false},
        {"123456789012345678901234567890", false},
        {"1234567890123456789012345678901234567890", false},
        {"2026-07-32", false},
        {"2026/07/11", false},
        {"2026-07-1", false},
        {"2026-07-111", false},
        {"2026-02-30T00:00:00Z", false},
        {"9999-12-31T23:59:59Z", false},
        {"{}", true},
        {"{\"secs\":5,\"nanos\":7}", true},
        {"{\"secs_since_epoch\":\"x\"}", true},
        {"{\"secs_since_epoch\":-5}", true},
        {"{\"secs_since_epoch\":99999999999999}", true},
        {"{\"secs_since_epoch\":99999999999999999999999}", true},
        {"{\"secs_since_epoch\"", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ns;
        if (event_time_parse(slice_of(bad[i].text), bad[i].object, &ns))
            fail_msg("%s was read as %lld", bad[i].text, (long long)ns);
    }
}

/* Random digits, points and signs: whatever it says, no overflow (UBSan) and no time past the
 * range. */
static void numbers_of_every_length_are_safe(void **state)
{
    static const char set[] = "0123456789999999.-eE+";
    uint64_t seed = 3;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        char text[42];
        size_t len = (size_t)random_below(&seed, sizeof text);
        int64_t ns;
        for (size_t c = 0; c < len; c++)
            text[c] = set[random_below(&seed, sizeof set - 1)];
        (void)event_time_parse((struct slice){text, len}, false, &ns);
    }
}

static void types_in_pascal_case(void **state)
{
    static const char *const cases[][2] = {
        {"resource_registered", "ResourceRegistered"},
        {"registered", "Registered"},
        {"DeviceDiscovered", "DeviceDiscovered"},
        {"department.created", "DepartmentCreated"},
        {"key.stored-offline", "KeyStoredOffline"},
        {"a b", "AB"},
        {"policycreated", "Policycreated"},
        {"__x__y__", "XY"},
        {"...", ""},
        {"", ""},
        {"v2_ready", "V2Ready"},
        {"\xc3\xa4_b", "\xc3\xa4"
                       "B"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[64];
        size_t len = event_type_pascal(slice_of(cases[i][0]), out, sizeof out);
        assert_slice(((struct slice){out, len}), cases[i][1]);
    }
}

static void spellings_of_one_type_compare_equal(void **state)
{
    static const char *const spellings[] = {"ResourceRegistered",  "resource_registered",
                                            "resource.registered", "RESOURCE-REGISTERED",
                                            "resourceregistered",  "resource registered"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        char out[64];
        size_t len = event_type_squash(slice_of(spellings[i]), out, sizeof out);
        assert_slice(((struct slice){out, len}), "resourceregistered");
    }
}

static void transforms_stay_inside_their_room(void **state)
{
    char out[4] = "zzzz";
    (void)state;
    assert_int_equal(event_type_pascal(SLICE("resource"), out, 3), 3);
    assert_memory_equal(out, "Resz", 4);
    assert_int_equal(event_type_squash(SLICE("RESOURCE"), out, 3), 3);
    assert_memory_equal(out, "resz", 4);
    assert_int_equal(event_type_pascal(SLICE("x"), out, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_names_go_both_ways),
        cmocka_unit_test(header_names_are_spelled_loosely),
        cmocka_unit_test(the_first_header_of_a_name_counts),
        cmocka_unit_test(every_time_form_in_use),
        cmocka_unit_test(what_is_no_time_is_none),
        cmocka_unit_test(numbers_of_every_length_are_safe),
        cmocka_unit_test(types_in_pascal_case),
        cmocka_unit_test(spellings_of_one_type_compare_equal),
        cmocka_unit_test(transforms_stay_inside_their_room),
    };
    return cmocka_run_group_tests_name("event_view", tests, NULL, NULL);
}
