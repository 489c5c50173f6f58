#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "stack/backoff.h"

static void delays_double_up_to_the_bound(void **state)
{
    static const double seconds[] = {0.5, 1, 2, 4, 8, 16, 30, 30, 30};
    struct backoff backoff = {0};
    int64_t delay_ns;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
        backoff.quick_deaths = 0; /* only the delay is looked at here */
        assert_true(backoff_death(&backoff, 0, (uint32_t)(i * 2654435761u), &delay_ns));
        double ratio = (double)delay_ns / (double)NS_PER_SECOND / seconds[i];
        assert_true(ratio >= 0.749 && ratio <= 1.251);
    }
}

static void jitter_spans_a_quarter_each_way(void **state)
{
    int64_t low, high;
    (void)state;
    assert_true(backoff_death(&(struct backoff){0}, 0, 0, &low));
    assert_true(backoff_death(&(struct backoff){0}, 0, (uint32_t)(BACKOFF_FIRST_NS / 2), &high));
    assert_int_equal(low, BACKOFF_FIRST_NS - BACKOFF_FIRST_NS / 4);
    assert_int_equal(high, BACKOFF_FIRST_NS + BACKOFF_FIRST_NS / 4);
}

static void the_fifth_quick_death_is_the_last(void **state)
{
    struct backoff backoff = {0};
    int64_t delay_ns;
    (void)state;
    for (int i = 0; i < BACKOFF_QUICK_DEATHS_MAX - 1; i++)
        assert_true(backoff_death(&backoff, BACKOFF_QUICK_NS - 1, 1, &delay_ns));
    assert_false(backoff_death(&backoff, BACKOFF_QUICK_NS - 1, 1, &delay_ns));
}

static void a_long_life_clears_the_count_and_the_delay(void **state)
{
    struct backoff backoff = {0};
    int64_t delay_ns;
    (void)state;
    for (int i = 0; i < BACKOFF_QUICK_DEATHS_MAX - 1; i++)
        assert_true(backoff_death(&backoff, 0, 1, &delay_ns));
    assert_true(backoff_death(&backoff, BACKOFF_QUICK_NS, 1, &delay_ns));
    assert_true(delay_ns < NS_PER_SECOND);
    for (int i = 0; i < BACKOFF_QUICK_DEATHS_MAX - 1; i++)
        assert_true(backoff_death(&backoff, 0, 1, &delay_ns));
    assert_false(backoff_death(&backoff, 0, 1, &delay_ns));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_the_bound),
        cmocka_unit_test(jitter_spans_a_quarter_each_way),
        cmocka_unit_test(the_fifth_quick_death_is_the_last),
        cmocka_unit_test(a_long_life_clears_the_count_and_the_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
