#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "metrics/registry.h"

static const struct metric_spec events_spec = {.name = "x_events_total",
                                               .help = "Events.",
                                               .kind = METRIC_COUNTER,
                                               .label_count = 2,
                                               .labels = {"domain", "event_type"}};
static const struct metric_spec alive_spec = {.name = "x_alive",
                                              .help = "Alive.",
                                              .kind = METRIC_DISTINCT,
                                              .label_count = 1,
                                              .labels = {"domain"}};

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

static struct cell *cell2(struct registry *registry, const char *partition, struct family *family,
                          const char *a, const char *b)
{
    struct slice values[METRIC_LABELS_MAX] = {slice_of(a), slice_of(b)};
    return partition_cell(registry_partition(registry, partition), family, values);
}

/* The one sample line of the exposition that begins with this. */
static void shows(struct registry *registry, const char *line)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_BUF struct buf want = {0};
    registry_expose(registry, EXPOSITION_PROMETHEUS, &text);
    buf_addf(&want, "\n%s\n", line);
    assert_contains(buf_cstr(&text), buf_cstr(&want));
}

static size_t lines_with(struct registry *registry, const char *begin)
{
    CLEANUP_BUF struct buf text = {0};
    size_t count = 0;
    registry_expose(registry, EXPOSITION_PROMETHEUS, &text);
    struct slice rest = buf_slice(&text), line;
    while (slice_cut(&rest, '\n', &line))
        count += slice_starts(line, slice_of(begin));
    return count;
}

/* --- families and series ---------------------------------------------------------------------- */

static void a_family_is_declared_once(void **state)
{
    struct registry *registry = *state;
    char name[] = "x_gauge";
    struct metric_spec spec = {.name = name, .help = "h", .kind = METRIC_GAUGE};
    struct family *family = registry_family(registry, &spec);
    name[0] = 'y'; /* the spec was copied */
    assert_string_equal(family_spec(family)->name, "x_gauge");
    assert_string_equal(family_spec(family)->unit, "");
    assert_int_equal(family_spec(family)->series_max, SERIES_PER_FAMILY_DEFAULT);
    spec.name = "x_gauge";
    assert_ptr_equal(registry_family(registry, &spec), family);
    assert_ptr_equal(registry_find(registry, SLICE("x_gauge")), family);
    assert_null(registry_find(registry, SLICE("x_gaug")));
    assert_int_equal(registry_family_count(registry), 1);
    assert_ptr_equal(registry_family_at(registry, 0), family);
}

static void equal_labels_are_one_cell(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &events_spec);
    struct cell *cell = cell2(registry, "S", family, "agent", "X");
    assert_ptr_equal(cell2(registry, "S", family, "agent", "X"), cell);
    assert_ptr_not_equal(cell2(registry, "S", family, "agent", "Y"), cell);
    assert_ptr_not_equal(cell2(registry, "S", family, "agentX", ""), cell);
    assert_ptr_not_equal(cell2(registry, "S", family, "", "agentX"), cell);
    assert_ptr_not_equal(cell2(registry, "T", family, "agent", "X"), cell);
    assert_int_equal(registry_totals(registry).series, 4);
}

static void absent_and_empty_labels_are_the_same(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &events_spec);
    assert_ptr_equal(cell2(registry, "S", family, NULL, "X"),
                     cell2(registry, "S", family, "", "X"));
    cell_add(cell2(registry, "S", family, NULL, NULL), 1);
    shows(registry, "x_events_total 1");
}

static void one_label_or_none(void **state)
{
    struct registry *registry = *state;
    struct metric_spec bare = {.name = "x_bare", .help = "h", .kind = METRIC_GAUGE};
    struct family *family = registry_family(registry, &bare);
    cell_set(partition_cell1(registry_partition(registry, "S"), family, NULL), 3, 1);
    shows(registry, "x_bare 3");
}

static void labels_are_made_fit_to_be_shown(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &alive_spec);
    struct partition *partition = registry_partition(registry, "S");
    CLEANUP_BUF struct buf wide = {0};
    struct slice values[METRIC_LABELS_MAX] = {SLICE("a\xff\xc3(")};
    assert_true(cell_distinct_add(partition_cell(partition, family, values), 1));
    shows(registry, "x_alive{domain=\"a\xef\xbf\xbd\xef\xbf\xbd(\"} 1");
    values[0] = SLICE("before\0behind");
    assert_true(cell_distinct_add(partition_cell(partition, family, values), 1));
    shows(registry, "x_alive{domain=\"before\"} 1");
    for (int i = 0; i < 200; i++)
        buf_add_str(&wide, "\xc3\xa4");
    values[0] = buf_slice(&wide);
    struct cell *cell = partition_cell(partition, family, values);
    values[0].len = LABEL_BYTES_MAX;
    assert_ptr_equal(partition_cell(partition, family, values), cell);
    values[0].len = LABEL_BYTES_MAX - 2;
    assert_ptr_not_equal(partition_cell(partition, family, values), cell);
    /* Bytes that are no text grow threefold when mended: the limit holds for what is stored. */
    memset(wide.ptr, 0xff, wide.len);
    values[0] = buf_slice(&wide);
    assert_true(cell_distinct_add(partition_cell(partition, family, values), 1));
    CLEANUP_BUF struct buf text = {0};
    registry_expose(registry, EXPOSITION_PROMETHEUS, &text);
    const char *at = strstr(buf_cstr(&text), "{domain=\"\xef\xbf\xbd\xef");
    assert_non_null(at);
    assert_int_equal(strspn(at + 9, "\xef\xbf\xbd"), LABEL_BYTES_MAX / 3 * 3);
}

/* --- the limit of series ---------------------------------------------------------------------- */

static void note_dropped(void *context, const char *metric, const char *label, uint64_t count)
{
    struct buf *out = context;
    buf_addf(out, "%s/%s=%llu;", metric, label, (unsigned long long)count);
}

static void past_the_limit_the_widest_label_gives_way(void **state)
{
    struct registry *registry = *state;
    struct metric_spec spec = events_spec;
    CLEANUP_BUF struct buf dropped = {0};
    spec.series_max = 3;
    struct family *family = registry_family(registry, &spec);
    registry_each_dropped(registry, note_dropped, &dropped);
    assert_int_equal(dropped.len, 0);
    for (int i = 0; i < 10; i++) {
        char type[8];
        (void)snprintf(type, sizeof type, "T%d", i);
        cell_add(cell2(registry, "S", family, "agent", type), 1);
    }
    /* Those that were there before keep counting on their own. */
    cell_add(cell2(registry, "S", family, "agent", "T0"), 1);
    shows(registry, "x_events_total{domain=\"agent\",event_type=\"T0\"} 2");
    shows(registry, "x_events_total{domain=\"agent\",event_type=\"T2\"} 1");
    /* The label that has the most values is the one that gives way. */
    shows(registry, "x_events_total{domain=\"agent\",event_type=\"__overflow__\"} 7");
    assert_int_equal(lines_with(registry, "x_events_total"), 4);
    assert_int_equal(registry_totals(registry).series, 4);
    registry_each_dropped(registry, note_dropped, &dropped);
    assert_slice(buf_slice(&dropped), "x_events_total/event_type=7;");
}

static void a_label_with_too_many_values_gives_way_alone(void **state)
{
    struct registry *registry = *state;
    struct metric_spec spec = events_spec;
    CLEANUP_BUF struct buf dropped = {0};
    spec.label_values_max[1] = 2;
    struct family *family = registry_family(registry, &spec);
    for (int i = 0; i < 12; i++) {
        char domain[8], type[8];
        (void)snprintf(domain, sizeof domain, "d%d", i % 4);
        (void)snprintf(type, sizeof type, "T%d", i % 3);
        cell_add(cell2(registry, "S", family, domain, type), 1);
    }
    /* T2 is one too many, in each domain; those with T0 and T1 are as they would be. */
    assert_int_equal(lines_with(registry, "x_events_total"), 12);
    shows(registry, "x_events_total{domain=\"d0\",event_type=\"T0\"} 1");
    shows(registry, "x_events_total{domain=\"d2\",event_type=\"__overflow__\"} 1");
    assert_true(cell_is_overflow(cell2(registry, "S", family, "d2", "T9")));
    assert_false(cell_is_overflow(cell2(registry, "S", family, "d9", "T1")));
    assert_false(
        cell_is_overflow(cell2(registry, "S", family, "d9", NULL))); /* absent is no value */
    registry_each_dropped(registry, note_dropped, &dropped);
    assert_slice(buf_slice(&dropped), "x_events_total/event_type=5;");
}

/* Another stream's label sets do not count: a stream's state depends on its own messages alone. */
static void limits_are_those_of_one_partition(void **state)
{
    struct registry *registry = *state;
    struct metric_spec spec = events_spec;
    spec.series_max = 2;
    struct family *family = registry_family(registry, &spec);
    assert_false(cell_is_overflow(cell2(registry, "A", family, "a", "1")));
    assert_false(cell_is_overflow(cell2(registry, "A", family, "a", "2")));
    assert_true(cell_is_overflow(cell2(registry, "A", family, "a", "3")));
    assert_false(cell_is_overflow(cell2(registry, "B", family, "a", "3")));
    assert_false(cell_is_overflow(cell2(registry, "B", family, "a", "4")));
    assert_true(cell_is_overflow(cell2(registry, "B", family, "a", "1")));
}

/* Overflow series keep their other labels, so they too could become too many. */
static void overflow_series_have_a_limit(void **state)
{
    struct registry *registry = *state;
    struct metric_spec spec = events_spec;
    spec.series_max = 10;
    struct family *family = registry_family(registry, &spec);
    for (int i = 0; i < 10; i++) {
        char type[8];
        (void)snprintf(type, sizeof type, "T%d", i);
        cell_add(cell2(registry, "S", family, "d", type), 1);
    }
    for (int i = 0; i < 3 * OVERFLOW_SERIES_MAX; i++) {
        char domain[8];
        (void)snprintf(domain, sizeof domain, "d%d", i);
        cell_add(cell2(registry, "S", family, domain, "new"), 1);
    }
    assert_true(registry_totals(registry).series <= 10 + OVERFLOW_SERIES_MAX + 1);
    double sum = 0;
    CLEANUP_BUF struct buf text = {0};
    registry_expose(registry, EXPOSITION_PROMETHEUS, &text);
    struct slice rest = buf_slice(&text), line;
    while (slice_cut(&rest, '\n', &line)) {
        if (line.len && line.ptr[0] != '#')
            sum += strtod(memrchr(line.ptr, ' ', line.len), NULL);
    }
    assert_same_double(sum, 10 + 3 * OVERFLOW_SERIES_MAX); /* every event is in one of them */
}

static void a_sum_stays_a_finite_number(void **state)
{
    struct registry *registry = *state;
    struct cell *cell = cell2(registry, "S", registry_family(registry, &events_spec), "a", "b");
    assert_true(cell_add(cell, 1e308));
    assert_false(cell_add(cell, 1e308));
    assert_same_double(cell_value(cell), 1e308);
}

static void distinct_keys_have_a_limit_of_their_own(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &alive_spec);
    struct cell *cell = partition_cell1(registry_partition(registry, "S"), family, "agent");
    uint64_t seed = 1, key = 0;
    for (int i = 0; i < DISTINCT_KEYS_DEFAULT; i++) {
        key = random_u64(&seed);
        if (!cell_distinct_add(cell, key))
            fail_msg("refused at %d", i);
    }
    assert_int_equal(registry_totals(registry).distinct_keys, DISTINCT_KEYS_DEFAULT);
    assert_false(cell_distinct_add(cell, random_u64(&seed)));
    assert_true(cell_distinct_add(cell, key)); /* is there already */
    cell_distinct_remove(cell, key);
    assert_true(cell_distinct_add(cell, random_u64(&seed)));
    partition_clear(registry_partition(registry, "S"));
    assert_int_equal(registry_totals(registry).distinct_keys, 0);
}

/* --- partitions ------------------------------------------------------------------------------- */

static void counters_add_up_over_partitions(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &events_spec);
    cell_add(cell2(registry, "A", family, "agent", "X"), 2);
    cell_add(cell2(registry, "B", family, "agent", "X"), 40);
    shows(registry, "x_events_total{domain=\"agent\",event_type=\"X\"} 42");
    assert_int_equal(lines_with(registry, "x_events_total"), 1);
    partition_clear(registry_partition(registry, "A"));
    shows(registry, "x_events_total{domain=\"agent\",event_type=\"X\"} 40");
    partition_clear(registry_partition(registry, "B"));
    assert_int_equal(lines_with(registry, "x_events_total"), 0);
    assert_int_equal(lines_with(registry, "# TYPE x_events_total"), 0);
    assert_string_equal(partition_name(registry_partition(registry, "A")), "A");
    assert_ptr_equal(registry_partition(registry, "A"), registry_partition(registry, "A"));
}

static void the_newest_gauge_is_shown(void **state)
{
    struct registry *registry = *state;
    struct metric_spec spec = {.name = "x_gauge", .help = "h", .kind = METRIC_GAUGE};
    struct family *family = registry_family(registry, &spec);
    struct cell *a = partition_cell1(registry_partition(registry, "A"), family, NULL);
    struct cell *b = partition_cell1(registry_partition(registry, "B"), family, NULL);
    cell_set(a, 1, 100);
    cell_set(b, 2, 50);
    shows(registry, "x_gauge 1");
    cell_set(b, 3, 200);
    shows(registry, "x_gauge 3");
    cell_set(b, 4, 150); /* older than what is there */
    shows(registry, "x_gauge 3");
    cell_set(b, -5.5, 200);
    shows(registry, "x_gauge -5.5");
    partition_clear(registry_partition(registry, "B"));
    shows(registry, "x_gauge 1");
}

static void gauges_hold_for_as_long_as_was_said(void **state)
{
    struct registry *registry = *state;
    struct metric_spec spec = {
        .name = "x_held", .help = "h", .kind = METRIC_GAUGE, .expires = true};
    struct family *family = registry_family(registry, &spec);
    struct cell *a = partition_cell1(registry_partition(registry, "A"), family, NULL);
    struct cell *b = partition_cell1(registry_partition(registry, "B"), family, NULL);
    cell_hold(a, 1, 100);
    cell_hold(b, 2, 200);
    shows(registry, "x_held 2"); /* without a clock, what was said stays */
    registry_set_now(registry, 150);
    shows(registry, "x_held 2");
    registry_set_now(registry, 250);
    assert_int_equal(lines_with(registry, "x_held"), 0);
    assert_int_equal(lines_with(registry, "# TYPE x_held"), 0);
    cell_hold(a, 3, 300);
    shows(registry, "x_held 3");
    cell_hold(a, 4, 260); /* held for less than before */
    shows(registry, "x_held 4");
    cell_end(a, 255);
    assert_int_equal(lines_with(registry, "x_held"), 0);
    cell_hold(a, 5, 400);
    shows(registry, "x_held 5");
    registry_set_now(registry, REGISTRY_MACHINE_TIME);
    assert_int_equal(lines_with(registry, "x_held"), 0);
}

static void the_largest_timestamp_is_shown(void **state)
{
    struct registry *registry = *state;
    struct metric_spec spec = {.name = "x_timestamp", .help = "h", .kind = METRIC_TIMESTAMP};
    struct family *family = registry_family(registry, &spec);
    struct cell *a = partition_cell1(registry_partition(registry, "A"), family, NULL);
    struct cell *b = partition_cell1(registry_partition(registry, "B"), family, NULL);
    cell_max(a, 1783771227.5);
    cell_max(a, 7);
    cell_max(b, 1783771226);
    shows(registry, "x_timestamp 1783771227.5");
    assert_same_double(cell_value(a), 1783771227.5);
}

static void distinct_sets_are_united(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &alive_spec);
    struct cell *cells[3];
    static const char *const names[] = {"A", "B", "C"};
    for (size_t i = 0; i < 3; i++)
        cells[i] = partition_cell1(registry_partition(registry, names[i]), family, "agent");
    for (uint64_t key = 1; key <= 10; key++) {
        assert_true(cell_distinct_add(cells[0], key * 7919));
        assert_true(cell_distinct_add(cells[1], (key + 5) * 7919));
        assert_true(cell_distinct_add(cells[2], (key + 8) * 7919));
        assert_true(cell_distinct_add(cells[2], (key + 8) * 7919));
    }
    shows(registry, "x_alive{domain=\"agent\"} 18");
    assert_int_equal(registry_totals(registry).distinct_keys, 30);
    cell_distinct_remove(cells[0], 1 * 7919);
    cell_distinct_remove(cells[0], 1 * 7919);
    cell_distinct_remove(cells[0], 6 * 7919); /* alive in B still */
    shows(registry, "x_alive{domain=\"agent\"} 17");
    assert_int_equal(registry_totals(registry).distinct_keys, 28);
    assert_same_double(cell_value(cells[0]), 8);
}

static void clearing_a_family_leaves_the_others(void **state)
{
    struct registry *registry = *state;
    struct family *events = registry_family(registry, &events_spec);
    struct family *alive = registry_family(registry, &alive_spec);
    struct partition *partition = registry_partition(registry, "S");
    for (int i = 0; i < 100; i++) {
        char type[8];
        (void)snprintf(type, sizeof type, "T%d", i);
        cell_add(cell2(registry, "S", events, "agent", type), i);
        assert_true(cell_distinct_add(partition_cell1(partition, alive, type), 5));
    }
    partition_clear_family(partition, alive);
    assert_int_equal(lines_with(registry, "x_alive"), 0);
    assert_int_equal(registry_totals(registry).distinct_keys, 0);
    assert_int_equal(lines_with(registry, "x_events_total"), 100);
    cell_add(cell2(registry, "S", events, "agent", "T7"), 1);
    shows(registry, "x_events_total{domain=\"agent\",event_type=\"T7\"} 8");
}

/* --- very many series: found again, all of them ----------------------------------------------- */

static void many_series_are_told_apart(void **state)
{
    struct registry *registry = *state;
    struct family *family = registry_family(registry, &events_spec);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50000; i++) {
            char a[16], b[16];
            (void)snprintf(a, sizeof a, "d%d", i / 100);
            (void)snprintf(b, sizeof b, "t%d", i % 100);
            struct cell *cell = cell2(registry, "S", family, a, b);
            assert_true(cell_value(cell) == (round ? i : 0));
            cell_add(cell, i);
        }
    }
    assert_int_equal(registry_totals(registry).series, 50000);
}

int main(void)
{
#define WITH_REGISTRY(test) cmocka_unit_test_setup_teardown(test, make, drop)
    const struct CMUnitTest tests[] = {
        WITH_REGISTRY(a_family_is_declared_once),
        WITH_REGISTRY(equal_labels_are_one_cell),
        WITH_REGISTRY(absent_and_empty_labels_are_the_same),
        WITH_REGISTRY(one_label_or_none),
        WITH_REGISTRY(labels_are_made_fit_to_be_shown),
        WITH_REGISTRY(past_the_limit_the_widest_label_gives_way),
        WITH_REGISTRY(a_label_with_too_many_values_gives_way_alone),
        WITH_REGISTRY(limits_are_those_of_one_partition),
        WITH_REGISTRY(overflow_series_have_a_limit),
        WITH_REGISTRY(a_sum_stays_a_finite_number),
        WITH_REGISTRY(distinct_keys_have_a_limit_of_their_own),
        WITH_REGISTRY(counters_add_up_over_partitions),
        WITH_REGISTRY(the_newest_gauge_is_shown),
        WITH_REGISTRY(gauges_hold_for_as_long_as_was_said),
        WITH_REGISTRY(the_largest_timestamp_is_shown),
        WITH_REGISTRY(distinct_sets_are_united),
        WITH_REGISTRY(clearing_a_family_leaves_the_others),
        WITH_REGISTRY(many_series_are_told_apart),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
