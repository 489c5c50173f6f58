/* The exposition, character by character, in both formats. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/instant.h"
#include "metrics/registry.h"

static int make(void **state)
{
    struct registry *registry = registry_new();
    registry_set_folds_shown(registry, true);
    *state = registry;
    return 0;
}

static int drop(void **state)
{
    registry_free(*state);
    return 0;
}

static struct cell *cell_of(struct registry *registry, const struct metric_spec *spec,
                            const char *value)
{
    return partition_cell1(registry_partition(registry, "S"), registry_family(registry, spec),
                           value);
}

static void expect(struct registry *registry, enum exposition_format format, const char *want)
{
    CLEANUP_BUF struct buf text = {0};
    registry_expose(registry, format, &text);
    assert_string_equal(buf_cstr(&text), want);
}

static void expect_both(struct registry *registry, const char *prometheus, const char *openmetrics)
{
    expect(registry, EXPOSITION_PROMETHEUS, prometheus);
    expect(registry, EXPOSITION_OPENMETRICS, openmetrics);
}

static void nothing_is_still_an_exposition(void **state)
{
    expect_both(*state, "", "# EOF\n");
}

static void counters(void **state)
{
    static const struct metric_spec spec = {.name = "x_events_total",
                                            .help = "Events.",
                                            .kind = METRIC_COUNTER,
                                            .label_count = 1,
                                            .labels = {"domain"}};
    cell_add(cell_of(*state, &spec, "agent"), 3);
    cell_add(cell_of(*state, &spec, NULL), 0.5);
    expect_both(*state,
                "# HELP x_events_total Events.\n# TYPE x_events_total counter\n"
                "x_events_total{domain=\"agent\"} 3\nx_events_total 0.5\n",
                "# HELP x_events Events.\n# TYPE x_events counter\n"
                "x_events_total{domain=\"agent\"} 3\nx_events_total 0.5\n# EOF\n");
}

static void gauges_and_their_units(void **state)
{
    static const struct metric_spec lag = {
        .name = "x_lag_seconds", .help = "Lag.", .kind = METRIC_GAUGE, .unit = "seconds"};
    static const struct metric_spec odd = {
        .name = "x_odd", .help = "No such suffix.", .kind = METRIC_GAUGE, .unit = "seconds"};
    static const struct metric_spec total = {
        .name = "x_bytes_total", .help = "B.", .kind = METRIC_COUNTER, .unit = "bytes"};
    cell_set(cell_of(*state, &lag, NULL), 1.25, 1);
    cell_set(cell_of(*state, &odd, NULL), 2, 1);
    cell_add(cell_of(*state, &total, NULL), 7);
    expect_both(*state,
                "# HELP x_lag_seconds Lag.\n# TYPE x_lag_seconds gauge\nx_lag_seconds 1.25\n"
                "# HELP x_odd No such suffix.\n# TYPE x_odd gauge\nx_odd 2\n"
                "# HELP x_bytes_total B.\n# TYPE x_bytes_total counter\nx_bytes_total 7\n",
                "# HELP x_lag_seconds Lag.\n# TYPE x_lag_seconds gauge\n"
                "# UNIT x_lag_seconds seconds\nx_lag_seconds 1.25\n"
                "# HELP x_odd No such suffix.\n# TYPE x_odd gauge\nx_odd 2\n"
                "# HELP x_bytes B.\n# TYPE x_bytes counter\n# UNIT x_bytes bytes\n"
                "x_bytes_total 7\n# EOF\n");
}

static void a_gauge_called_count_has_no_type(void **state)
{
    static const struct metric_spec spec = {.name = "cim_aggregate_count",
                                            .help = "Alive.",
                                            .kind = METRIC_DISTINCT,
                                            .label_count = 1,
                                            .labels = {"domain"}};
    assert_true(cell_distinct_add(cell_of(*state, &spec, "agent"), 5));
    expect_both(*state,
                "# HELP cim_aggregate_count Alive.\n# TYPE cim_aggregate_count untyped\n"
                "cim_aggregate_count{domain=\"agent\"} 1\n",
                "# HELP cim_aggregate_count Alive.\n# TYPE cim_aggregate_count unknown\n"
                "cim_aggregate_count{domain=\"agent\"} 1\n# EOF\n");
}

static const struct metric_spec delay_spec = {.name = "x_delay_seconds",
                                              .help = "Delay.",
                                              .kind = METRIC_HISTOGRAM,
                                              .unit = "seconds",
                                              .label_count = 1,
                                              .labels = {"domain"},
                                              .bucket_count = 3,
                                              .buckets = {0.005, 1, 2.5}};

static void histograms(void **state)
{
    struct cell *cell = cell_of(*state, &delay_spec, "agent");
    cell_observe(cell, 0.005); /* a bound belongs to its bucket */
    cell_observe(cell, 0.006);
    cell_observe(cell, 1);
    cell_observe_many(cell, 2, 2);
    cell_observe(cell, 100);
    cell_observe(cell, -1);
    expect_both(*state,
                "# HELP x_delay_seconds Delay.\n# TYPE x_delay_seconds histogram\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"0.005\"} 2\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"1.0\"} 4\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"2.5\"} 6\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"+Inf\"} 7\n"
                "x_delay_seconds_sum{domain=\"agent\"} 104.011\n"
                "x_delay_seconds_count{domain=\"agent\"} 7\n",
                "# HELP x_delay_seconds Delay.\n# TYPE x_delay_seconds histogram\n"
                "# UNIT x_delay_seconds seconds\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"0.005\"} 2\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"1.0\"} 4\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"2.5\"} 6\n"
                "x_delay_seconds_bucket{domain=\"agent\",le=\"+Inf\"} 7\n"
                "x_delay_seconds_sum{domain=\"agent\"} 104.011\n"
                "x_delay_seconds_count{domain=\"agent\"} 7\n# EOF\n");
}

static void histograms_add_up_over_partitions(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &delay_spec);
    cell_observe(partition_cell1(registry_partition(registry, "A"), family, NULL), 0.5);
    cell_observe(partition_cell1(registry_partition(registry, "B"), family, NULL), 2);
    expect(registry, EXPOSITION_PROMETHEUS,
           "# HELP x_delay_seconds Delay.\n# TYPE x_delay_seconds histogram\n"
           "x_delay_seconds_bucket{le=\"0.005\"} 0\nx_delay_seconds_bucket{le=\"1.0\"} 1\n"
           "x_delay_seconds_bucket{le=\"2.5\"} 2\nx_delay_seconds_bucket{le=\"+Inf\"} 2\n"
           "x_delay_seconds_sum 2.5\nx_delay_seconds_count 2\n");
}

static void values_and_help_are_escaped(void **state)
{
    static const struct metric_spec spec = {.name = "x_text_total",
                                            .help = "A \"quoted\" \\ help\nof two lines",
                                            .kind = METRIC_COUNTER,
                                            .label_count = 1,
                                            .labels = {"text"}};
    cell_add(cell_of(*state, &spec, "a\"b\\c\nd\te{},=\xc3\xa4"), 1);
    expect_both(*state,
                "# HELP x_text_total A \"quoted\" \\\\ help\\nof two lines\n"
                "# TYPE x_text_total counter\n"
                "x_text_total{text=\"a\\\"b\\\\c\\nd\te{},=\xc3\xa4\"} 1\n",
                "# HELP x_text A \\\"quoted\\\" \\\\ help\\nof two lines\n"
                "# TYPE x_text counter\n"
                "x_text_total{text=\"a\\\"b\\\\c\\nd\te{},=\xc3\xa4\"} 1\n# EOF\n");
}

static void numbers_read_back_as_they_were(void **state)
{
    static const struct metric_spec spec = {.name = "x", .help = "h", .kind = METRIC_GAUGE};
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-1, "-1"},
        {0.1, "0.1"},
        {1.5, "1.5"},
        {-2.25, "-2.25"},
        {1e15, "1000000000000000"},
        {9007199254740991, "9007199254740991"},
        {9007199254740992, "9007199254740992"},
        {1e21, "1e+21"},
        {1783771227.671243, "1783771227.671243"},
        {1e-7, "1e-07"},
        {5e-324, "4.94065645841247e-324"},
        {1.0 / 3, "0.3333333333333333"},
        {DBL_MAX, "1.797693134862316e+308"},
        {0.1 + 0.2, "0.30000000000000004"},
    };
    struct cell *cell = cell_of(*state, &spec, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf text = {0};
        cell_set(cell, cases[i].value, (int64_t)i);
        registry_expose(*state, EXPOSITION_PROMETHEUS, &text);
        const char *shown = strstr(buf_cstr(&text), "\nx ") + 3;
        CLEANUP_BUF struct buf want = {0};
        buf_addf(&want, "%s\n", cases[i].text);
        if (strcmp(shown, buf_cstr(&want)) != 0 && strtod(shown, NULL) != cases[i].value)
            fail_msg("%.17g is shown as %s", cases[i].value, shown);
        if (cases[i].value < 1e300 && cases[i].value > 1e-300)
            assert_string_equal(shown, buf_cstr(&want));
    }
    cell_set(cell, INFINITY, 100);
    expect(*state, EXPOSITION_PROMETHEUS, "# HELP x h\n# TYPE x gauge\nx +Inf\n");
    cell_set(cell, -INFINITY, 100);
    expect(*state, EXPOSITION_PROMETHEUS, "# HELP x h\n# TYPE x gauge\nx -Inf\n");
    cell_set(cell, NAN, 100); /* has ended */
    expect(*state, EXPOSITION_PROMETHEUS, "");
}

static void random_numbers_read_back(void **state)
{
    static const struct metric_spec spec = {.name = "x", .help = "h", .kind = METRIC_GAUGE};
    struct cell *cell = cell_of(*state, &spec, NULL);
    uint64_t seed = 8;
    for (int i = 0; i < 20000; i++) {
        CLEANUP_BUF struct buf text = {0};
        uint64_t bits = random_u64(&seed);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        cell_set(cell, value, i);
        registry_expose(*state, EXPOSITION_PROMETHEUS, &text);
        assert_same_double(strtod(strstr(buf_cstr(&text), "\nx ") + 3, NULL), value);
    }
}

/* --- what is held back ------------------------------------------------------------------------ */

static const struct metric_spec born_spec = {
    .name = "x_born_total", .help = "h", .kind = METRIC_COUNTER, .label_count = 1, .labels = {"k"}};

static void folds_are_withheld_until_caught_up(void **state)
{
    static const struct metric_spec own = {
        .name = "x_own", .help = "h", .kind = METRIC_GAUGE, .own = true};
    registry_set_folds_shown(*state, false);
    cell_add(cell_of(*state, &born_spec, "a"), 1);
    cell_set(cell_of(*state, &own, NULL), 1, 1);
    expect(*state, EXPOSITION_PROMETHEUS, "# HELP x_own h\n# TYPE x_own gauge\nx_own 1\n");
    registry_set_folds_shown(*state, true);
    expect(*state, EXPOSITION_PROMETHEUS,
           "# HELP x_born_total h\n# TYPE x_born_total counter\nx_born_total{k=\"a\"} 1\n"
           "# HELP x_own h\n# TYPE x_own gauge\nx_own 1\n");
}

static bool shows_line(struct registry *registry, const char *line)
{
    CLEANUP_BUF struct buf text = {0};
    registry_expose(registry, EXPOSITION_PROMETHEUS, &text);
    return strstr(buf_cstr(&text), line) != NULL;
}

static void a_new_counter_is_shown_at_zero_for_one_interval(void **state)
{
    int64_t interval = 200 * NS_PER_MS;
    registry_set_first_zero(*state, interval);
    struct cell *cell = cell_of(*state, &born_spec, "a");
    cell_add(cell, 5);
    int64_t first = instant_monotonic_ns(), shown = 0;
    assert_true(shows_line(*state, "x_born_total{k=\"a\"} 0\n"));
    cell_add(cell, 2); /* counted while it is held */
    for (shown = first; shown - first < 20 * interval; shown = instant_monotonic_ns()) {
        if (!shows_line(*state, "x_born_total{k=\"a\"} 0\n"))
            break;
    }
    assert_true(shown - first >= interval / 10 * 9);
    assert_true(shows_line(*state, "x_born_total{k=\"a\"} 7\n"));
    /* From then on at once. */
    cell_add(cell, 1);
    assert_true(shows_line(*state, "x_born_total{k=\"a\"} 8\n"));
}

/* The interval begins when it was first shown, not when it was born: a scraper may come late. */
static void the_interval_begins_with_the_first_scrape(void **state)
{
    int64_t interval = 50 * NS_PER_MS;
    registry_set_first_zero(*state, interval);
    cell_add(cell_of(*state, &born_spec, "a"), 1);
    for (int64_t begin = instant_monotonic_ns(); instant_monotonic_ns() - begin < 2 * interval;) {
    }
    assert_true(shows_line(*state, "x_born_total{k=\"a\"} 0\n"));
}

static void what_was_there_before_is_not_held(void **state)
{
    static const struct metric_spec gauge = {.name = "x_gauge", .help = "h", .kind = METRIC_GAUGE};
    static const struct metric_spec own = {
        .name = "x_own_total", .help = "h", .kind = METRIC_COUNTER, .own = true};
    registry_set_first_zero(*state, 3600 * NS_PER_SECOND);
    registry_set_folds_shown(*state, false); /* restored from a snapshot, before the first scrape */
    cell_add(cell_of(*state, &born_spec, "old"), 9);
    registry_set_folds_shown(*state, true);
    cell_add(cell_of(*state, &born_spec, "new"), 9);
    cell_set(cell_of(*state, &gauge, NULL), 4, 1);
    cell_add(cell_of(*state, &own, NULL), 6);
    assert_true(shows_line(*state, "x_born_total{k=\"old\"} 9\n"));
    assert_true(shows_line(*state, "x_born_total{k=\"new\"} 0\n"));
    assert_true(shows_line(*state, "x_gauge 4\n"));
    assert_true(shows_line(*state, "x_own_total 6\n"));
}

static void a_held_histogram_is_all_zero(void **state)
{
    registry_set_first_zero(*state, 3600 * NS_PER_SECOND);
    cell_observe(cell_of(*state, &delay_spec, NULL), 2);
    expect(*state, EXPOSITION_PROMETHEUS,
           "# HELP x_delay_seconds Delay.\n# TYPE x_delay_seconds histogram\n"
           "x_delay_seconds_bucket{le=\"0.005\"} 0\nx_delay_seconds_bucket{le=\"1.0\"} 0\n"
           "x_delay_seconds_bucket{le=\"2.5\"} 0\nx_delay_seconds_bucket{le=\"+Inf\"} 0\n"
           "x_delay_seconds_sum 0\nx_delay_seconds_count 0\n");
}

int main(void)
{
#define WITH_REGISTRY(test) cmocka_unit_test_setup_teardown(test, make, drop)
    const struct CMUnitTest tests[] = {
        WITH_REGISTRY(nothing_is_still_an_exposition),
        WITH_REGISTRY(counters),
        WITH_REGISTRY(gauges_and_their_units),
        WITH_REGISTRY(a_gauge_called_count_has_no_type),
        WITH_REGISTRY(histograms),
        WITH_REGISTRY(histograms_add_up_over_partitions),
        WITH_REGISTRY(values_and_help_are_escaped),
        WITH_REGISTRY(numbers_read_back_as_they_were),
        WITH_REGISTRY(random_numbers_read_back),
        WITH_REGISTRY(folds_are_withheld_until_caught_up),
        WITH_REGISTRY(a_new_counter_is_shown_at_zero_for_one_interval),
        WITH_REGISTRY(the_interval_begins_with_the_first_scrape),
        WITH_REGISTRY(what_was_there_before_is_not_held),
        WITH_REGISTRY(a_held_histogram_is_all_zero),
    };
    return cmocka_run_group_tests_name("expose", tests, NULL, NULL);
}
