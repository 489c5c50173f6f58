/* The cells of one family in one partition: to bytes, back, and what damage does. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "metrics/snapshot.h"

#define KINDS 5

static const struct metric_spec specs[KINDS] = {
    [METRIC_COUNTER] = {.name = "x_total",
                        .help = "h",
                        .kind = METRIC_COUNTER,
                        .label_count = 2,
                        .labels = {"a", "b"}},
    [METRIC_GAUGE] =
        {.name = "x_gauge", .help = "h", .kind = METRIC_GAUGE, .label_count = 1, .labels = {"a"}},
    [METRIC_HISTOGRAM] = {.name = "x_histogram",
                          .help = "h",
                          .kind = METRIC_HISTOGRAM,
                          .label_count = 1,
                          .labels = {"a"},
                          .bucket_count = 2,
                          .buckets = {1, 2}},
    [METRIC_TIMESTAMP] = {.name = "x_timestamp", .help = "h", .kind = METRIC_TIMESTAMP},
    [METRIC_DISTINCT] = {.name = "x_distinct",
                         .help = "h",
                         .kind = METRIC_DISTINCT,
                         .label_count = 1,
                         .labels = {"a"}},
};

static void touch(struct cell *cell, enum metric_kind kind, uint64_t *seed)
{
    switch (kind) {
    case METRIC_COUNTER: cell_add(cell, (double)random_below(seed, 100) / 8); break;
    case METRIC_GAUGE: cell_set(cell, 0.1, (int64_t)random_u64(seed)); break;
    case METRIC_HISTOGRAM: cell_observe(cell, (double)random_below(seed, 30) / 10); break;
    case METRIC_TIMESTAMP: cell_max(cell, (double)random_below(seed, 1u << 31)); break;
    case METRIC_DISTINCT: assert_true(cell_distinct_add(cell, random_u64(seed))); break;
    }
}

static void fill(struct registry *registry, uint64_t seed)
{
    struct partition *partition = registry_partition(registry, "S");
    for (int i = 0; i < 2000; i++) {
        const struct metric_spec *spec = &specs[random_below(&seed, KINDS)];
        char a[8], b[8];
        (void)snprintf(a, sizeof a, "%d", (int)random_below(&seed, 9));
        (void)snprintf(b, sizeof b, "%d", (int)random_below(&seed, 3));
        struct slice values[METRIC_LABELS_MAX] = {slice_of(a), slice_of(b)};
        touch(partition_cell(partition, registry_family(registry, spec), values), spec->kind,
              &seed);
    }
}

static void encode(struct registry *registry, enum metric_kind kind, struct buf *ret)
{
    partition_encode_family(registry_partition(registry, "S"),
                            registry_family(registry, &specs[kind]), ret);
}

static bool decode(struct registry *registry, enum metric_kind kind, struct slice bytes)
{
    struct codec_reader in = {bytes, true};
    partition_decode_family(registry_partition(registry, "S"),
                            registry_family(registry, &specs[kind]), kind, &in);
    return in.ok && in.rest.len == 0;
}

static void every_kind_comes_back_the_same(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct registry *one = registry_new(), *two = registry_new();
        CLEANUP_BUF struct buf bytes = {0}, again = {0}, shown = {0}, shown_again = {0};
        fill(one, 4);
        encode(one, (enum metric_kind)kind, &bytes);
        assert_true(decode(two, (enum metric_kind)kind, buf_slice(&bytes)));
        encode(two, (enum metric_kind)kind, &again);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.ptr, bytes.ptr, bytes.len);
        assert_true(bytes.len > 8);
        /* What a scrape shows is the same too. */
        for (size_t other = 0; other < KINDS; other++) {
            if (other != kind)
                partition_clear_family(registry_partition(one, "S"),
                                       registry_family(one, &specs[other]));
        }
        registry_set_folds_shown(one, true);
        registry_set_folds_shown(two, true);
        registry_expose(one, EXPOSITION_PROMETHEUS, &shown);
        registry_expose(two, EXPOSITION_PROMETHEUS, &shown_again);
        assert_string_equal(buf_cstr(&shown), buf_cstr(&shown_again));
        registry_free(one);
        registry_free(two);
    }
}

/* The bytes tell the set, not the way it came about: two monitors must agree on them. */
static void equal_sets_give_equal_bytes(void **state)
{
    (void)state;
    for (size_t count = 0; count < 3000; count = count * 2 + 1) {
        struct registry *one = registry_new(), *two = registry_new();
        struct cell *a = partition_cell1(registry_partition(one, "S"),
                                         registry_family(one, &specs[METRIC_DISTINCT]), "k");
        struct cell *b = partition_cell1(registry_partition(two, "S"),
                                         registry_family(two, &specs[METRIC_DISTINCT]), "k");
        CLEANUP_BUF struct buf bytes = {0}, again = {0};
        CLEANUP_BUF struct buf keys = {0};
        uint64_t seed = count + 1;
        for (size_t i = 0; i < count; i++) {
            uint64_t key = random_u64(&seed);
            /* Some very close together: the same upper bits. */
            if (i % 3 == 0)
                key = UINT64_C(0xabcdef) << 40 | random_below(&seed, 1000);
            buf_add(&keys, &key, sizeof key);
            (void)cell_distinct_add(a, key);
        }
        for (size_t i = 0; i < 5000; i++)
            (void)cell_distinct_add(b, i + 1); /* a larger table than it will need */
        for (size_t i = 0; i < 5000; i++)
            cell_distinct_remove(b, i + 1);
        for (size_t i = count; i-- > 0;) {
            uint64_t key;
            memcpy(&key, keys.ptr + i * sizeof key, sizeof key);
            (void)cell_distinct_add(b, key);
        }
        encode(one, METRIC_DISTINCT, &bytes);
        encode(two, METRIC_DISTINCT, &again);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.ptr, bytes.ptr, bytes.len);
        registry_free(one);
        registry_free(two);
    }
}

static void decoding_adds_to_what_is_there(void **state)
{
    struct registry *registry = registry_new();
    struct family *family = registry_family(registry, &specs[METRIC_COUNTER]);
    struct slice values[METRIC_LABELS_MAX] = {SLICE("x"), SLICE("y")};
    struct cell *cell = partition_cell(registry_partition(registry, "S"), family, values);
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    cell_add(cell, 3);
    encode(registry, METRIC_COUNTER, &bytes);
    assert_true(decode(registry, METRIC_COUNTER, buf_slice(&bytes)));
    assert_same_double(cell_value(cell), 6);
    registry_free(registry);
}

/* Cells of a rule that is no more: walked over, nothing kept. */
static void unknown_families_are_walked_over(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct registry *registry = registry_new();
        CLEANUP_BUF struct buf bytes = {0};
        fill(registry, 5);
        encode(registry, (enum metric_kind)kind, &bytes);
        buf_add_str(&bytes, "behind");
        size_t before = registry_totals(registry).series;
        struct codec_reader in = {buf_slice(&bytes), true};
        partition_decode_family(registry_partition(registry, "T"), NULL, (enum metric_kind)kind,
                                &in);
        assert_true(in.ok);
        assert_slice(in.rest, "behind");
        assert_int_equal(registry_totals(registry).series, before);
        registry_free(registry);
    }
}

static void truncated_bytes_are_noticed(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct registry *registry = registry_new();
        CLEANUP_BUF struct buf bytes = {0};
        fill(registry, 6);
        encode(registry, (enum metric_kind)kind, &bytes);
        for (size_t len = 0; len < bytes.len; len += 1 + bytes.len / 500) {
            struct registry *other = registry_new();
            assert_false(decode(other, (enum metric_kind)kind, (struct slice){bytes.ptr, len}));
            registry_free(other);
        }
        registry_free(registry);
    }
}

static void another_shape_is_refused(void **state)
{
    struct registry *one = registry_new(), *two = registry_new();
    struct metric_spec wider = specs[METRIC_HISTOGRAM], fewer = specs[METRIC_COUNTER];
    CLEANUP_BUF struct buf histogram = {0}, counter = {0};
    (void)state;
    fill(one, 7);
    encode(one, METRIC_HISTOGRAM, &histogram);
    encode(one, METRIC_COUNTER, &counter);
    wider.bucket_count = 3;
    wider.buckets[2] = 3;
    fewer.label_count = 1;
    (void)registry_family(two, &wider);
    (void)registry_family(two, &fewer);
    assert_false(decode(two, METRIC_HISTOGRAM, buf_slice(&histogram)));
    assert_false(decode(two, METRIC_COUNTER, buf_slice(&counter)));
    /* The kind must be the family's. */
    struct codec_reader in = {buf_slice(&counter), true};
    partition_decode_family(registry_partition(one, "S"),
                            registry_family(one, &specs[METRIC_COUNTER]), METRIC_GAUGE, &in);
    assert_false(in.ok);
    registry_free(one);
    registry_free(two);
}

/* Any byte changed: it may still be well-formed (the checksum is fold/state's), but never unsafe.
 */
static void changed_bytes_are_safe(void **state)
{
    uint64_t seed = 11;
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct registry *registry = registry_new();
        CLEANUP_BUF struct buf bytes = {0};
        fill(registry, 8);
        encode(registry, (enum metric_kind)kind, &bytes);
        for (int i = 0; i < 2000; i++) {
            struct registry *other = registry_new();
            size_t at = (size_t)random_below(&seed, bytes.len);
            char kept = bytes.ptr[at];
            bytes.ptr[at] = (char)random_below(&seed, 256);
            (void)decode(other, (enum metric_kind)kind, buf_slice(&bytes));
            bytes.ptr[at] = kept;
            registry_free(other);
        }
        registry_free(registry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_the_same),
        cmocka_unit_test(equal_sets_give_equal_bytes),
        cmocka_unit_test(decoding_adds_to_what_is_there),
        cmocka_unit_test(unknown_families_are_walked_over),
        cmocka_unit_test(truncated_bytes_are_noticed),
        cmocka_unit_test(another_shape_is_refused),
        cmocka_unit_test(changed_bytes_are_safe),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
