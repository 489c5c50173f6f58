#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "base/instant.h"

static void every_form_of_rfc3339(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:01Z", NS_PER_SECOND},
        {"1969-12-31T23:59:59Z", -NS_PER_SECOND},
        {"1969-12-31T23:59:59.999999999Z", -1},
        {"2026-07-11T12:00:27.671243528Z", INT64_C(1783771227671243528)},
        {"2026-07-11T12:00:27.671Z", INT64_C(1783771227671000000)},
        {"2026-07-11T12:00:27.5Z", INT64_C(1783771227500000000)},
        {"2026-07-11T12:00:27.6712435289999Z", INT64_C(1783771227671243528)},
        {"2026-07-11t12:00:27z", INT64_C(1783771227000000000)},
        {"2026-07-11 12:00:27Z", INT64_C(1783771227000000000)},
        {"2026-07-11T12:00:27+00:00", INT64_C(1783771227000000000)},
        {"2026-07-11T12:00:27-00:00", INT64_C(1783771227000000000)},
        {"2026-07-11T14:00:27+02:00", INT64_C(1783771227000000000)},
        {"2026-07-11T06:30:27.000000001-05:30", INT64_C(1783771227000000001)},
        {"2026-07-12T11:59:27+23:59", INT64_C(1783771227000000000)},
        {"2000-02-29T00:00:00Z", INT64_C(951782400) * NS_PER_SECOND},
        {"2024-02-29T23:59:60Z", INT64_C(1709251200) * NS_PER_SECOND},
        {"2262-04-11T23:47:16.854775807Z", INT64_MAX},
        {"1677-09-21T00:12:43.145224192Z", INT64_MIN},
        {"1677-09-21T00:12:43.145224193Z", INT64_MIN + 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t ns = -2;
        bool ok = instant_parse_rfc3339(slice_of(good[i].text), &ns);
        if (!ok || ns != good[i].ns)
            fail_msg("%s: %d %lld, expected %lld", good[i].text, ok, (long long)ns,
                     (long long)good[i].ns);
    }
}

static void junk_is_refused_and_leaves_the_result_alone(void **state)
{
    static const char *const bad[] = {
        "",
        "Z",
        "2026-07-11",
        "2026-07-11T12:00:27",
        "2026-07-11T12:00:27 Z",
        "2026-07-11T12:00:27.Z",
        "2026-07-11T12:00:27,5Z",
        "2026-07-11T12:00:27.5",
        "2026-07-11T12:00:27+0200",
        "2026-07-11T12:00:27+02",
        "2026-07-11T12:00:27+24:00",
        "2026-07-11T12:00:27+02:60",
        "2026-07-11T12:00:27~02:00",
        "2026-07-11T12:00:27Zx",
        "2026-07-11T12:00:27ZZ",
        "2026/07/11T12:00:27Z",
        "2026-07-11X12:00:27Z",
        "2026-7-11T12:00:27.1Z",
        "2026-00-11T12:00:27Z",
        "2026-13-11T12:00:27Z",
        "2026-07-00T12:00:27Z",
        "2026-07-32T12:00:27Z",
        "2026-04-31T12:00:27Z",
        "2026-02-29T12:00:27Z",
        "1900-02-29T12:00:27Z",
        "2100-02-29T12:00:27Z",
        "2026-07-11T24:00:00Z",
        "2026-07-11T12:60:27Z",
        "2026-07-11T12:00:61Z",
        "2026-07-11T1a:00:27Z",
        "+026-07-11T12:00:27Z",
        " 2026-07-11T12:00:27Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2262-04-11T23:47:16.854775808Z",
        "1677-09-21T00:12:43.145224191Z",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ns = 77;
        if (instant_parse_rfc3339(slice_of(bad[i]), &ns))
            fail_msg("'%s' was taken for %lld", bad[i], (long long)ns);
        assert_true(ns == 77);
    }
}

/* Every prefix of a timestamp is shorter than what is read: the slice's end is never passed (ASan).
 */
static void every_prefix_is_safe(void **state)
{
    const char *text = "2026-07-11T12:00:27.671243528+02:00";
    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        char *copy = malloc(len ? len : 1);
        int64_t ns;
        assert_non_null(copy);
        memcpy(copy, text, len);
        assert_false(instant_parse_rfc3339((struct slice){copy, len}, &ns));
        free(copy);
    }
}

static void agrees_with_the_c_library(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        int64_t ns = (int64_t)random_u64(&seed), back = 0;
        char text[INSTANT_TEXT_MAX], want[INSTANT_TEXT_MAX];
        time_t seconds = (time_t)(ns / NS_PER_SECOND - (ns % NS_PER_SECOND < 0));
        struct tm tm;
        size_t len = instant_format(ns, text);
        assert_int_equal(len, 30);
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S", &tm), 19);
        assert_memory_equal(text, want, 19);
        assert_true(instant_parse_rfc3339((struct slice){text, len}, &back));
        assert_true(back == ns);
    }
}

static void the_ends_of_the_range_read_back(void **state)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char text[INSTANT_TEXT_MAX];
        int64_t back = 42;
        size_t len = instant_format(ends[i], text);
        assert_int_equal(text[len], 0);
        assert_true(instant_parse_rfc3339((struct slice){text, len}, &back));
        assert_true(back == ends[i]);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"15", 15 * NS_PER_SECOND},
        {"0.5", NS_PER_SECOND / 2},
        {"10s", 10 * NS_PER_SECOND},
        {"250ms", 250 * NS_PER_MS},
        {"1us", 1000},
        {"7ns", 7},
        {"5m", 300 * NS_PER_SECOND},
        {"2h", 7200 * NS_PER_SECOND},
        {"1d", 86400 * NS_PER_SECOND},
        {"1.5h", 5400 * NS_PER_SECOND},
    };
    static const char *const bad[] = {
        "",       "s",    "10x",  "-1s",
        "1.2.3s", ".",    "1 s",  "1e3",
        "10 ",    " 10",  "inf",  "9999999999999d",
        "1S",     "5min", "0x10", "1000000000000000000000000000000000000000000s"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t ns = -1;
        assert_true(duration_parse(slice_of(good[i].text), &ns));
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ns = 77;
        if (duration_parse(slice_of(bad[i]), &ns))
            fail_msg("'%s' was taken for %lld ns", bad[i], (long long)ns);
        assert_true(ns == 77);
    }
}

static void clocks_go_forward(void **state)
{
    int64_t before = instant_monotonic_ns(), cpu = instant_thread_cpu_ns();
    (void)state;
    for (volatile int i = 0; i < 1000000; i++) {
    }
    assert_true(instant_monotonic_ns() > before);
    assert_true(instant_thread_cpu_ns() > cpu);
    assert_true(instant_now_ns() > INT64_C(1600000000) * NS_PER_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_rfc3339),
        cmocka_unit_test(junk_is_refused_and_leaves_the_result_alone),
        cmocka_unit_test(every_prefix_is_safe),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(the_ends_of_the_range_read_back),
        cmocka_unit_test(durations),
        cmocka_unit_test(clocks_go_forward),
    };
    return cmocka_run_group_tests_name("instant", tests, NULL, NULL);
}
