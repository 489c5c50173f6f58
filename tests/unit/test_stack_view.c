#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "stack/rate.h"
#include "stack/view.h"

#define AT_NS INT64_C(1783771227671243528) /* 2026-07-11T12:00:27.671243528Z */

static struct view_row a_row(void)
{
    return (struct view_row){.name = "monitor",
                             .url = "http://127.0.0.1:9091",
                             .note = "",
                             .state = PART_RUNNING,
                             .since_ns = AT_NS};
}

static void a_change_is_one_line(void **state)
{
    struct view_row row = a_row();
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    view_change(&row, &text);
    row.state = PART_RESTARTING;
    row.url = "";
    row.note = "exit 1; again in 0.5 s";
    view_change(&row, &text);
    assert_string_equal(buf_cstr(&text),
                        "2026-07-11T12:00:27.671Z monitor running http://127.0.0.1:9091\n"
                        "2026-07-11T12:00:27.671Z monitor restarting (exit 1; again in 0.5 s)\n");
}

static void assert_fits(struct slice text, size_t width)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        assert_true(line.len <= width);
        assert_null(memchr(line.ptr, 27, line.len));
    }
}

static void the_table_fits_whatever_is_in_it(void **state)
{
    char long_text[3000];
    struct view_row rows[3] = {a_row(), a_row(), a_row()};
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    memset(long_text, 'u', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    rows[0].url = long_text;
    rows[1].state = PART_UNRESPONSIVE;
    rows[1].note = long_text;
    rows[2].state = PART_FAILED;
    rows[2].note = "exit 1; 5 quick deaths, given up";
    rows[2].restarts = 12345678;
    rows[2].lines[0] = "first";
    rows[2].lines[1] = long_text;
    rows[2].line_count = 2;
    for (size_t width = 60; width <= 100; width += 20) {
        struct view_style style = {.width = width, .lines_max = 1};
        buf_reset(&text);
        view_table(rows, 3, &style, &text);
        assert_fits(buf_slice(&text), width);
        assert_null(strstr(buf_cstr(&text), "first")); /* only the last line was asked for */
    }
    assert_non_null(strstr(buf_cstr(&text), "monitor is failed: exit 1; 5 quick deaths, given up; "
                                            "it printed last:\n  uuu"));
}

static void colour_only_when_asked(void **state)
{
    struct view_row row = a_row();
    struct view_style style = {.width = 80, .colour = true};
    CLEANUP_BUF struct buf text = {0};
    (void)state;
    view_table(&row, 1, &style, &text);
    assert_non_null(strstr(buf_cstr(&text), "\x1b[32mrunning\x1b[0m       http://127.0.0.1:9091"));
}

static void states_have_names_that_are_read_back(void **state)
{
    (void)state;
    for (enum part_state at = PART_WAITING; at <= PART_STOPPED; at++) {
        enum part_state back;
        assert_true(part_state_parse(slice_of(part_state_name(at)), &back));
        assert_int_equal(back, at);
    }
    assert_false(part_state_parse(SLICE("asleep"), &(enum part_state){0}));
}

static void series_are_summed_by_exact_name(void **state)
{
    static const char text[] = "# HELP cim_events_total All.\n# TYPE cim_events_total counter\n"
                               "cim_events_total{domain=\"a } b\",event_type=\"x\"} 7\n"
                               "cim_events_total{domain=\"b\"} 1.5e3 1700000000000\n"
                               "cim_events_total 1\n"
                               "cim_events_total_more 9\ncim_events_failed_total{d=\"a\"} 9\n"
                               "cim_events_total{broken\n";
    double sum;
    (void)state;
    assert_true(metrics_sum(slice_of(text), "cim_events_total", &sum));
    assert_true(sum == 1508);
    assert_false(metrics_sum(slice_of(text), "cim_other", &sum));
    assert_false(metrics_sum(SLICE(""), "cim_other", &sum));
}

static void a_rate_needs_two_readings_that_grow(void **state)
{
    struct rate rate = {0};
    (void)state;
    rate_update(&rate, SLICE("cim_events_total 100\n"), 10 * NS_PER_SECOND);
    assert_false(rate.has_rate);
    rate_update(&rate, SLICE("cim_events_total 180\n"), 12 * NS_PER_SECOND);
    assert_true(rate.has_rate && rate.per_second == 40 && rate.total == 180);
    rate_update(&rate, SLICE("cim_events_total 20\n"), 14 * NS_PER_SECOND);
    assert_false(rate.has_rate);
    rate_update(&rate, SLICE("nothing 1\n"), 16 * NS_PER_SECOND);
    assert_false(rate.has_total);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_one_line),
        cmocka_unit_test(the_table_fits_whatever_is_in_it),
        cmocka_unit_test(colour_only_when_asked),
        cmocka_unit_test(states_have_names_that_are_read_back),
        cmocka_unit_test(series_are_summed_by_exact_name),
        cmocka_unit_test(a_rate_needs_two_readings_that_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
