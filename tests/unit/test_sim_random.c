/* source/sim/random, template and idset: the small parts that everything else trusts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/sim/idset.h"
#include "source/sim/template.h"

static void test_same_seed_same_numbers(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_seed(&a, 7);
    rng_seed(&b, 7);
    rng_seed(&c, 8);
    bool differs = false;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_next(&a);
        assert_int_equal(x, rng_next(&b));
        differs |= x != rng_next(&c);
    }
    assert_true(differs);
}

static void test_below_reaches_every_number_and_none_beyond(void **state)
{
    (void)state;
    struct rng rng;
    unsigned met[7] = {0};
    rng_seed(&rng, 1);
    for (int i = 0; i < 7000; i++)
        met[rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(met[i], 850, 1150);
}

static void test_uuid_versions(void **state)
{
    (void)state;
    char text[UUID_TEXT_LEN + 1] = {0};
    struct uuid v4 = uuid_v4(UINT64_MAX, UINT64_MAX);
    uuid_format(&v4, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    /* RFC 9562, A.6: 2022-02-22T14:22:22-05:00 */
    struct uuid v7 = uuid_v7(INT64_C(1645557742000) * 1000000, 0xcc3, UINT64_C(0x18c4dc0c0c07398f));
    uuid_format(&v7, text);
    assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void test_times_as_chrono_prints_them(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {INT64_C(1783771227671243528), "2026-07-11T12:00:27.671243528Z"},
        {INT64_C(1783771227671243000), "2026-07-11T12:00:27.671243Z"},
        {INT64_C(1783771227671000000), "2026-07-11T12:00:27.671Z"},
        {INT64_C(1783771227000000000), "2026-07-11T12:00:27Z"},
        {INT64_C(1783771227000000001), "2026-07-11T12:00:27.000000001Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf out = {0};
        template_add_time(&out, cases[i].ns, "Z");
        assert_string_equal(buf_cstr(&out), cases[i].text);
    }
}

static void test_two_forms_of_an_event_say_the_same(void **state)
{
    (void)state;
    struct rng ids;
    rng_seed(&ids, 3);
    struct template_values values = {.salt = 99, .id_version = 4, .ids = &ids, .seq = 12};
    struct template first, second;
    CLEANUP_BUF struct buf a = {0}, b = {0};
    template_compile(&first, "{'n':<10..99>,'h':'<hex40>','w':'<host>','r':'<ref>'}");
    template_compile(&second, "{'n':<10..99>,'h':'<hex40>','w':'<host>','r':'<ref>'}");
    template_render(&first, &values, &a);
    template_render(&second, &values, &b);
    assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    assert_null(strchr(buf_cstr(&a), '\''));
    template_done(&first);
    template_done(&second);
}

static void test_idset_against_counting(void **state)
{
    (void)state;
    enum { IDS = 3000 };
    static bool in[IDS];
    struct idset set = {0};
    struct rng rng;
    size_t count = 0;
    rng_seed(&rng, 5);
    for (int i = 0; i < 200000; i++) {
        uint64_t which = rng_below(&rng, IDS);
        struct uuid id = uuid_v4(rng_mix(which), which);
        bool add = rng_chance(&rng, 0.5);
        bool changed = add ? idset_add(&set, &id, 4) : idset_remove(&set, &id, 4);
        assert_int_equal(changed, in[which] != add);
        in[which] = add;
        count = count + (changed && add) - (changed && !add);
        assert_int_equal(set.count, count);
    }
    struct uuid id = uuid_v4(rng_mix(1), 1);
    assert_true(idset_add(&set, &id, 5)); /* another group is another member */
    idset_done(&set);
}

static void test_seen_forgets_after_its_bound(void **state)
{
    (void)state;
    struct seen *seen = seen_new();
    struct uuid first = uuid_v4(1, 1);
    assert_false(seen_note(seen, &first));
    for (uint64_t i = 2; i <= SEEN_MAX; i++) {
        struct uuid id = uuid_v4(rng_mix(i), i);
        assert_false(seen_note(seen, &id));
    }
    assert_true(seen_note(seen, &first)); /* the last of 65,536 */
    for (uint64_t i = 2; i <= SEEN_MAX + 1; i++) {
        struct uuid id = uuid_v4(rng_mix(i + 100000), i);
        assert_false(seen_note(seen, &id));
    }
    assert_false(seen_note(seen, &first));
    seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_numbers),
        cmocka_unit_test(test_below_reaches_every_number_and_none_beyond),
        cmocka_unit_test(test_uuid_versions),
        cmocka_unit_test(test_times_as_chrono_prints_them),
        cmocka_unit_test(test_two_forms_of_an_event_say_the_same),
        cmocka_unit_test(test_idset_against_counting),
        cmocka_unit_test(test_seen_forgets_after_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
