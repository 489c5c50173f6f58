/* digest: equal is what has the same events in the same order, aggregate by aggregate. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "act/replay/digest.h"
#include "base/memory.h"

enum { EVENTS = 600, AGGREGATES = 20 };

static void add(struct digest *digest, uint64_t aggregate, uint64_t seq, const char *subject,
                const char *payload)
{
    char name[24];
    struct error err = ERROR_NONE;
    (void)snprintf(name, sizeof name, "a.%llu", (unsigned long long)aggregate);
    struct digest_event event = {.key = aggregate * 977,
                                 .name = slice_of(name),
                                 .stream = SLICE("S"),
                                 .subject = slice_of(subject),
                                 .payload = slice_of(payload),
                                 .seq = seq};
    assert_int_equal(digest_add(digest, &event, &err), 0);
}

struct total {
    char text[DIGEST_TEXT_MAX];
};

static struct total total_of(struct digest *digest)
{
    struct total total;
    digest_sort(digest);
    digest_total(digest, total.text);
    return total;
}

/* Sequences 1 to EVENTS, each of one aggregate; `order`: which aggregates come first. */
static void fill(struct digest *digest, bool by_aggregate)
{
    if (!by_aggregate) {
        for (uint64_t seq = 1; seq <= EVENTS; seq++)
            add(digest, 1 + seq % AGGREGATES, seq, "s", "p");
        return;
    }
    for (uint64_t aggregate = AGGREGATES; aggregate > 0; aggregate--) {
        for (uint64_t seq = 1; seq <= EVENTS; seq++) {
            if (1 + seq % AGGREGATES == aggregate)
                add(digest, aggregate, seq, "s", "p");
        }
    }
}

static void aggregates_may_come_in_any_order(void **state)
{
    struct digest a = {0}, b = {0};
    struct digest_difference found[4];
    (void)state;
    fill(&a, false);
    fill(&b, true);
    assert_string_equal(total_of(&a).text, total_of(&b).text);
    assert_int_equal(digest_compare(&a, &b, found, ARRAY_LEN(found)), 0);
    assert_int_equal(a.events, EVENTS);
    assert_int_equal(a.count, AGGREGATES);
    assert_int_equal(a.bytes, EVENTS);
    digest_done(&a);
    digest_done(&b);
}

/* One event, in all that makes it what it is. */
static void every_part_counts(void **state)
{
    struct digest all[7] = {0};
    (void)state;
    add(&all[0], 1, 5, "subject", "payload");
    add(&all[1], 1, 6, "subject", "payload");
    add(&all[2], 1, 5, "subjectp", "ayload"); /* lengths are in it */
    add(&all[3], 1, 5, "subject", "payload ");
    add(&all[4], 2, 5, "subject", "payload");
    add(&all[5], 1, 5, "subject", "payload");
    add(&all[5], 1, 6, "subject", "payload");
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = i + 1; j < 7; j++) {
            struct total x = total_of(&all[i]), y = total_of(&all[j]);
            assert_string_not_equal(x.text, y.text);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        digest_done(&all[i]);
}

static void order_within_an_aggregate_counts(void **state)
{
    struct digest a = {0}, b = {0};
    struct digest_difference found[4];
    (void)state;
    add(&a, 1, 1, "s", "x"), add(&a, 1, 2, "s", "y"), add(&a, 2, 3, "s", "z");
    add(&b, 1, 2, "s", "y"), add(&b, 2, 3, "s", "z"), add(&b, 1, 1, "s", "x");
    digest_sort(&a);
    digest_sort(&b);
    assert_int_equal(digest_compare(&a, &b, found, ARRAY_LEN(found)), 1);
    assert_string_equal(found[0].a->name, "a.1");
    assert_string_equal(found[0].b->name, "a.1");
    digest_done(&a);
    digest_done(&b);
}

static void what_one_side_lacks_is_named(void **state)
{
    struct digest a = {0}, b = {0};
    struct digest_difference found[2];
    (void)state;
    for (uint64_t i = 1; i <= 9; i++) {
        if (i % 2)
            add(&a, i, i, "s", "p");
        if (i % 3)
            add(&b, i, i, "s", "p");
    }
    digest_sort(&a);
    digest_sort(&b);
    /* a: 1 3 5 7 9, b: 1 2 4 5 7 8 */
    assert_int_equal(digest_compare(&a, &b, found, ARRAY_LEN(found)), 5);
    assert_null(found[0].a);
    assert_string_equal(found[0].b->name, "a.2");
    assert_string_equal(found[1].a->name, "a.3");
    assert_null(found[1].b);
    digest_done(&a);
    digest_done(&b);
}

/* Where traces part, found by a model: the first sequence that is not the same on both sides. */
static void traces_say_where_they_part(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct digest a = {0}, b = {0};
        bool fresh;
        (void)u64map_put(&a.traced, 977, &fresh);
        (void)u64map_put(&b.traced, 977, &fresh);
        uint64_t count = 1 + random_below(&seed, 12), at = 1 + random_below(&seed, count);
        uint64_t how = random_below(&seed, 4);
        for (uint64_t seq = 1; seq <= count; seq++) {
            add(&a, 1, seq, "s", "p");
            add(&a, 2, seq, "s", "not traced");
            if (how == 1 && seq == at)
                continue; /* left out */
            add(&b, 1, seq, "s", how == 2 && seq == at ? "other" : "p");
            if (how == 3 && seq == at)
                add(&b, 1, seq, "s", "p"); /* twice */
        }
        assert_int_equal(a.count, 1);
        uint64_t parting =
            digest_parting(&a.entries[0], b.count ? &b.entries[0] : &(struct digest_entry){0});
        if (how == 0)
            assert_int_equal(parting, 0);
        else if (how == 3) /* the doubled one is where the next was expected, or the end */
            assert_int_equal(parting, at);
        else
            assert_int_equal(parting, at);
        digest_done(&a);
        digest_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aggregates_may_come_in_any_order),
        cmocka_unit_test(every_part_counts),
        cmocka_unit_test(order_within_an_aggregate_counts),
        cmocka_unit_test(what_one_side_lacks_is_named),
        cmocka_unit_test(traces_say_where_they_part),
    };
    return cmocka_run_group_tests_name("replay_digest", tests, NULL, NULL);
}
