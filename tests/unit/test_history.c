/* History: samples against a recount of the effects, whatever their order, memory and chunks. */
#include "unit.h"

#include <math.h>

#include "base/instant.h"
#include "metrics/history.h"
#include "scratch.h"

enum { STEP_S = 15, EVENTS = 3000, SPAN_S = 5 * 3600, SERIES = 5 };
static const int64_t begin_s = INT64_C(1783771200); /* 2026-07-11T12:00:00Z */

static const struct metric_spec counter_spec = {
    .name = "a_total", .help = "h", .kind = METRIC_COUNTER, .label_count = 1, .labels = {"k"}};
static const struct metric_spec sizes_spec = {
    .name = "b", .help = "h", .kind = METRIC_HISTOGRAM, .bucket_count = 2, .buckets = {0.5, 3}};
static const struct metric_spec newest_spec = {.name = "c", .help = "h", .kind = METRIC_GAUGE};
static const struct metric_spec largest_spec = {.name = "d", .help = "h", .kind = METRIC_TIMESTAMP};
static const struct metric_spec keys_spec = {.name = "e", .help = "h", .kind = METRIC_DISTINCT};

struct effect {
    int64_t event_ns, stored_ns;
    int series;
    double value;
};

struct world {
    struct registry *registry;
    struct family *families[5];
    struct history *history;
    struct effect effects[EVENTS];
    int64_t until_ns;
    struct buf text;
};

/* Most come in order; some are hours late. */
static void make_effects(struct world *world)
{
    uint64_t seed = 7;
    for (size_t i = 0; i < EVENTS; i++) {
        struct effect *effect = &world->effects[i];
        int64_t late_s = random_below(&seed, 20) ? 0 : (int64_t)random_below(&seed, 7200);
        int64_t ms = (int64_t)(i % 1000);
        effect->stored_ns =
            (begin_s + 7200 + (int64_t)i * SPAN_S / EVENTS) * NS_PER_SECOND + NS_PER_MS * ms;
        effect->event_ns = effect->stored_ns - late_s * NS_PER_SECOND;
        effect->series = (int)random_below(&seed, SERIES);
        effect->value = (double)random_below(&seed, 1000) / 100 + 0.013;
    }
    world->until_ns = world->effects[EVENTS - 1].stored_ns + 7 * NS_PER_SECOND;
}

static void open_world(struct world *world, const struct history_options *options, int64_t from_ns)
{
    const struct metric_spec *specs[] = {&counter_spec, &sizes_spec, &newest_spec, &largest_spec,
                                         &keys_spec};
    *world = (struct world){.registry = registry_new()};
    make_effects(world);
    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        world->families[i] = registry_family(world->registry, specs[i]);
    world->history = history_new(world->registry, options);
    for (size_t i = 0; i < ARRAY_LEN(specs); i++)
        history_want(world->history, world->families[i], from_ns, world->until_ns);
}

static void close_world(struct world *world)
{
    history_free(world->history);
    registry_free(world->registry);
    buf_done(&world->text);
}

#define CLEANUP_WORLD __attribute__((cleanup(close_world)))

static void have_effects(struct world *world)
{
    struct partition *partition = registry_partition(world->registry, "S");
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < EVENTS; i++) {
        const struct effect *effect = &world->effects[i];
        char label[2] = {(char)('a' + effect->series), 0};
        assert_int_equal(history_moment(world->history, effect->event_ns, effect->stored_ns, &err),
                         0);
        cell_add(partition_cell1(partition, world->families[0], label), 1);
        cell_observe(partition_cell1(partition, world->families[1], NULL), effect->value);
        cell_set(partition_cell1(partition, world->families[2], NULL), effect->value,
                 effect->stored_ns);
        cell_max(partition_cell1(partition, world->families[3], NULL), effect->value);
        struct cell *keys = partition_cell1(partition, world->families[4], NULL);
        if (i % 3)
            cell_distinct_add(keys, i + 1);
        else
            cell_distinct_remove(keys, i - 1);
    }
    assert_int_equal(history_finish(world->history, &err), 0);
}

/* All chunks, one behind the other. Returns their number. */
static size_t write_all(struct world *world)
{
    struct history_chunk chunk;
    struct error err = ERROR_NONE;
    size_t chunks = 0;
    buf_reset(&world->text);
    for (; history_next(world->history, &chunk); chunks++) {
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        assert_int_equal(history_write(world->history, &chunk, out, &err), 0);
        (void)fclose(out);
        buf_add(&world->text, text, len);
        assert_true(len >= 6 && !memcmp(text + len - 6, "# EOF\n", 6));
        free(text);
    }
    return chunks;
}

/* --- the samples of one series, by the text before the value ---------------------------------- */

struct sample {
    double value, time;
};

static size_t samples_of(struct world *world, const char *series, struct sample *out, size_t room)
{
    size_t count = 0, len = strlen(series);
    struct slice rest = {buf_cstr(&world->text), world->text.len}, line;
    while (slice_cut(&rest, '\n', &line)) {
        if (!slice_starts(line, (struct slice){series, len}) || line.ptr[len] != ' ')
            continue;
        assert_true(count < room);
        CLEANUP_FREE char *copy = xstrndup(line.ptr + len, line.len - len);
        char *end = NULL;
        out[count].value = strtod(copy, &end);
        out[count++].time = strtod(end, NULL);
    }
    return count;
}

/* Does the effect count in a sample that was taken then? */
static bool counts_at(const struct effect *effect, double time)
{
    return instant_seconds(effect->event_ns) <= time + 0.0005;
}

enum { ROOM = 200000 };

static void assert_counter(struct world *world, int series, struct sample *samples)
{
    char name[32];
    (void)snprintf(name, sizeof name, "a_total{k=\"%c\"}", 'a' + series);
    size_t count = samples_of(world, name, samples, ROOM);
    assert_true(count > 100);
    assert_same_double(samples[0].value, 0);
    for (size_t i = 0; i < count; i++) {
        double want = 0;
        for (size_t e = 0; e < EVENTS; e++)
            want += world->effects[e].series == series &&
                    counts_at(&world->effects[e], samples[i].time);
        if (samples[i].value != want)
            fail_msg("%s at %.3f: %g, expected %g", name, samples[i].time, samples[i].value, want);
        assert_true(!i || samples[i].time > samples[i - 1].time);
        assert_true(!i || samples[i].time - samples[i - 1].time <= 60);
    }
    assert_true(fabs(samples[count - 1].time - instant_seconds(world->until_ns)) < 0.002);
}

static void counters_are_recounted(void **state)
{
    CLEANUP_WORLD struct world world;
    CLEANUP_FREE struct sample *samples = xcalloc(ROOM, sizeof *samples);
    struct history_options options = {
        .step_ns = STEP_S * NS_PER_SECOND, .idle_ns = 60 * NS_PER_SECOND, .temp_dir = "/tmp"};
    (void)state;
    open_world(&world, &options, 0);
    have_effects(&world);
    assert_int_equal(write_all(&world), 1);
    for (int series = 0; series < SERIES; series++)
        assert_counter(&world, series, samples);
    struct history_figures figures = history_figures(world.history);
    assert_int_equal(figures.series, SERIES + 4);
    assert_int_equal(figures.runs > 1, 0);
}

static void other_kinds_are_recounted(void **state)
{
    CLEANUP_WORLD struct world world;
    CLEANUP_FREE struct sample *samples = xcalloc(ROOM, sizeof *samples);
    struct history_options options = {
        .step_ns = STEP_S * NS_PER_SECOND, .idle_ns = 60 * NS_PER_SECOND, .temp_dir = "/tmp"};
    (void)state;
    open_world(&world, &options, 0);
    have_effects(&world);
    (void)write_all(&world);
    size_t count = samples_of(&world, "b_bucket{le=\"3.0\"}", samples, ROOM);
    assert_true(count > 100);
    for (size_t i = 0; i < count; i++) {
        double want = 0;
        for (size_t e = 0; e < EVENTS; e++)
            want += world.effects[e].value <= 3 && counts_at(&world.effects[e], samples[i].time);
        assert_same_double(samples[i].value, want);
    }
    count = samples_of(&world, "b_sum", samples, ROOM);
    for (size_t i = 1; i < count; i++)
        assert_true(samples[i].value >= samples[i - 1].value); /* never a reset */
    struct cell *sizes =
        partition_cell1(registry_partition(world.registry, "S"), world.families[1], NULL);
    assert_same_double(samples[count - 1].value, cell_value(sizes)); /* to the bit: live goes on */
    assert_same_double(samples[0].value, 0);

    /* The newest by the events' own times; of those in one step, the last that was folded. */
    count = samples_of(&world, "c", samples, ROOM);
    for (size_t i = 0; i < count; i++) {
        int64_t newest = -1;
        double want = 0;
        for (size_t e = 0; e < EVENTS; e++) {
            int64_t step = (world.effects[e].event_ns - 1) / (STEP_S * NS_PER_SECOND);
            if (counts_at(&world.effects[e], samples[i].time) && step >= newest) {
                newest = step;
                want = world.effects[e].value;
            }
        }
        assert_same_double(samples[i].value, want);
    }
    count = samples_of(&world, "d", samples, ROOM);
    for (size_t i = 1; i < count; i++)
        assert_true(samples[i].value >= samples[i - 1].value);
    count = samples_of(&world, "e", samples, ROOM);
    struct cell *keys =
        partition_cell1(registry_partition(world.registry, "S"), world.families[4], NULL);
    assert_same_double(samples[count - 1].value, cell_value(keys));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The sample lines, sorted, one text. */
static char *sorted_samples(struct world *world)
{
    size_t count = 0, room = 0;
    char **lines = NULL;
    struct slice rest = buf_slice(&world->text), line;
    while (slice_cut(&rest, '\n', &line)) {
        if (!line.len || line.ptr[0] == '#')
            continue;
        GROW(lines, count, room);
        lines[count++] = xstrndup(line.ptr, line.len);
    }
    qsort(lines, count, sizeof *lines, by_text);
    struct buf out = {0};
    for (size_t i = 0; i < count; i++) {
        buf_addf(&out, "%s\n", lines[i]);
        free(lines[i]);
    }
    free(lines);
    (void)buf_cstr(&out);
    return out.ptr;
}

/* A memory of 64 changes gives hundreds of runs on disk, and the very same samples. */
static void runs_on_disk_change_nothing(void **state)
{
    CLEANUP_WORLD struct world whole;
    CLEANUP_WORLD struct world spilled;
    struct history_options options = {
        .step_ns = STEP_S * NS_PER_SECOND, .idle_ns = 60 * NS_PER_SECOND, .temp_dir = "/tmp"};
    (void)state;
    open_world(&whole, &options, 0);
    have_effects(&whole);
    (void)write_all(&whole);
    options.changes_max = 64;
    open_world(&spilled, &options, 0);
    have_effects(&spilled);
    (void)write_all(&spilled);
    assert_true(history_figures(spilled.history).runs > 100);
    /* But sums of fractions, which are added up in another order. */
    struct slice left = buf_slice(&whole.text), right = buf_slice(&spilled.text), a, b;
    size_t lines = 0;
    while (slice_cut(&left, '\n', &a) && slice_cut(&right, '\n', &b)) {
        lines += !slice_starts(a, SLICE("b_sum"));
        if (!slice_eq(a, b) &&
            !(slice_starts(a, SLICE("b_sum")) && slice_starts(b, SLICE("b_sum"))))
            fail_msg("'%.*s' became '%.*s'", SLICE_ARG(a), SLICE_ARG(b));
    }
    assert_true(lines > 10000 && !slice_present(left) && !slice_present(right));
}

/* Two hours at a time: more samples (each chunk ends with one), none other than the whole has. */
static void chunks_join(void **state)
{
    CLEANUP_WORLD struct world chunked;
    CLEANUP_FREE struct sample *samples = xcalloc(ROOM, sizeof *samples);
    struct history_options options = {.step_ns = STEP_S * NS_PER_SECOND,
                                      .idle_ns = 60 * NS_PER_SECOND,
                                      .chunk_ns = 7200 * NS_PER_SECOND,
                                      .temp_dir = "/tmp",
                                      .changes_max = 500};
    (void)state;
    open_world(&chunked, &options, 0);
    have_effects(&chunked);
    assert_true(write_all(&chunked) >= 3);
    for (int series = 0; series < SERIES; series++)
        assert_counter(&chunked, series, samples);
}

/* What begins later than the seam gets a 0 there; what happened before `from` is in its value. */
static void the_edges(void **state)
{
    CLEANUP_WORLD struct world world;
    CLEANUP_FREE struct sample *samples = xcalloc(ROOM, sizeof *samples);
    struct error err = ERROR_NONE;
    struct history_options options = {
        .step_ns = STEP_S * NS_PER_SECOND, .idle_ns = 60 * NS_PER_SECOND, .temp_dir = "/tmp"};
    int64_t from_ns = (begin_s + 7200 + SPAN_S / 2) * NS_PER_SECOND;
    (void)state;
    open_world(&world, &options, from_ns);
    struct partition *partition = registry_partition(world.registry, "S");
    int64_t hour_ns = 3600 * NS_PER_SECOND;
    assert_int_equal(history_moment(world.history, from_ns - hour_ns, from_ns, &err), 0);
    cell_add(partition_cell1(partition, world.families[0], "old"), 3);
    assert_int_equal(history_moment(world.history, world.until_ns - 1, world.until_ns + 1, &err),
                     0);
    cell_add(partition_cell1(partition, world.families[0], "old"), 1);
    cell_add(partition_cell1(partition, world.families[0], "new"), 1);
    assert_int_equal(history_finish(world.history, &err), 0);
    (void)write_all(&world);
    size_t count = samples_of(&world, "a_total{k=\"old\"}", samples, ROOM);
    assert_true(samples[0].time >= instant_seconds(from_ns));
    assert_true(samples[0].time < instant_seconds(from_ns) + STEP_S);
    for (size_t i = 0; i < count; i++)
        assert_same_double(samples[i].value, 3); /* what was stored behind the seam is live's */
    count = samples_of(&world, "a_total{k=\"new\"}", samples, ROOM);
    assert_int_equal(count, 1);
    assert_same_double(samples[0].value, 0);
    assert_true(fabs(samples[0].time - instant_seconds(world.until_ns)) < 0.002);
}

static void labels_of_the_target_win(void **state)
{
    const struct history_label labels[] = {{"job", "j\"\\"}, {"k", "target"}};
    CLEANUP_WORLD struct world world;
    struct error err = ERROR_NONE;
    struct history_options options = {.step_ns = STEP_S * NS_PER_SECOND,
                                      .idle_ns = 60 * NS_PER_SECOND,
                                      .temp_dir = "/tmp",
                                      .labels = labels,
                                      .label_count = 2};
    (void)state;
    open_world(&world, &options, 0);
    struct partition *partition = registry_partition(world.registry, "S");
    assert_int_equal(
        history_moment(world.history, begin_s * NS_PER_SECOND, begin_s * NS_PER_SECOND, &err), 0);
    cell_add(partition_cell1(partition, world.families[0], "own\"k=\",x"), 1);
    cell_observe(partition_cell1(partition, world.families[1], NULL), 1);
    assert_int_equal(history_finish(world.history, &err), 0);
    (void)write_all(&world);
    assert_contains(buf_cstr(&world.text),
                    "a_total{exported_k=\"own\\\"k=\\\",x\",job=\"j\\\"\\\\\",k=\"target\"} 1 ");
    assert_contains(buf_cstr(&world.text),
                    "b_bucket{job=\"j\\\"\\\\\",k=\"target\",le=\"0.5\"} 0 ");
    assert_contains(buf_cstr(&world.text), "b_count{job=\"j\\\"\\\\\",k=\"target\"} 1 ");
}

static void a_full_disk_is_said(void **state)
{
    CLEANUP_WORLD struct world world;
    struct error err = ERROR_NONE;
    struct history_options options = {
        .step_ns = STEP_S * NS_PER_SECOND, .idle_ns = 60 * NS_PER_SECOND, .temp_dir = "/tmp"};
    struct history_chunk chunk;
    (void)state;
    open_world(&world, &options, 0);
    have_effects(&world);
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    assert_true(history_next(world.history, &chunk));
    assert_int_equal(history_write(world.history, &chunk, full, &err), -1);
    assert_contains(err.text, "No space left");
    (void)fclose(full);

    CLEANUP_WORLD struct world nowhere;
    options.temp_dir = "/nowhere";
    options.changes_max = 64;
    open_world(&nowhere, &options, 0);
    int rc = 0;
    struct partition *partition = registry_partition(nowhere.registry, "S");
    for (int i = 0; i < 1000 && rc == 0; i++) {
        rc = history_moment(nowhere.history, (begin_s + i * STEP_S) * NS_PER_SECOND,
                            (begin_s + i * STEP_S) * NS_PER_SECOND, &err);
        cell_add(partition_cell1(partition, nowhere.families[0], "a"), 1);
    }
    assert_int_equal(rc, -1);
    assert_contains(err.text, "/nowhere");
}

static void what_the_whole_shows_the_chunks_show(void **state)
{
    CLEANUP_WORLD struct world once;
    CLEANUP_WORLD struct world again;
    struct history_options options = {
        .step_ns = STEP_S * NS_PER_SECOND, .idle_ns = 60 * NS_PER_SECOND, .temp_dir = "/tmp"};
    (void)state;
    open_world(&once, &options, 0);
    have_effects(&once);
    (void)write_all(&once);
    options.chunk_ns = 7200 * NS_PER_SECOND;
    open_world(&again, &options, 0);
    have_effects(&again);
    (void)write_all(&again);
    CLEANUP_FREE char *whole = sorted_samples(&once), *chunked = sorted_samples(&again);
    /* Every sample of the whole is one of the chunks'. */
    struct slice rest = slice_of(whole), line;
    while (slice_cut(&rest, '\n', &line) && slice_present(rest)) {
        CLEANUP_FREE char *text = xasprintf("%.*s\n", SLICE_ARG(line));
        if (!strstr(chunked, text))
            fail_msg("'%s' is in no chunk", text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_recounted),
        cmocka_unit_test(other_kinds_are_recounted),
        cmocka_unit_test(runs_on_disk_change_nothing),
        cmocka_unit_test(chunks_join),
        cmocka_unit_test(the_edges),
        cmocka_unit_test(labels_of_the_target_win),
        cmocka_unit_test(a_full_disk_is_said),
        cmocka_unit_test(what_the_whole_shows_the_chunks_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
