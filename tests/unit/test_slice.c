#include "unit.h"

static void absent_is_not_empty(void **state)
{
    (void)state;
    assert_false(slice_present(SLICE_ABSENT));
    assert_true(slice_present(SLICE("")));
    assert_false(slice_present(slice_of(NULL)));
    assert_true(slice_eq(SLICE_ABSENT, SLICE("")));
}

static void equality_looks_at_bytes_and_length(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("abc"), SLICE("abc")));
    assert_false(slice_eq(SLICE("abc"), SLICE("ab")));
    assert_false(slice_eq(SLICE("abc"), SLICE("abd")));
    assert_true(slice_eq(SLICE("a\0b"), SLICE("a\0b")));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
}

static void prefixes(void **state)
{
    (void)state;
    assert_true(slice_starts(SLICE("cim.x"), SLICE("cim.")));
    assert_true(slice_starts(SLICE("cim."), SLICE("cim.")));
    assert_false(slice_starts(SLICE("cim"), SLICE("cim.")));
    assert_true(slice_starts(SLICE_ABSENT, SLICE("")));
    assert_true(slice_starts(SLICE("x"), SLICE_ABSENT));
    assert_false(slice_starts(SLICE_ABSENT, SLICE("x")));
}

static void from_never_leaves_the_slice(void **state)
{
    struct slice s = SLICE("abcdef");
    (void)state;
    assert_slice(slice_from(s, 0), "abcdef");
    assert_slice(slice_from(s, 2), "cdef");
    assert_slice(slice_from(s, 6), "");
    assert_slice(slice_from(s, 100), "");
    assert_absent(slice_from(SLICE_ABSENT, 3));
}

static void cut_walks_all_parts(void **state)
{
    struct slice rest = SLICE("a..bc."), part;
    static const char *const want[] = {"a", "", "bc", ""};
    size_t count = 0;
    (void)state;
    while (slice_cut(&rest, '.', &part))
        assert_slice(part, want[count++]);
    assert_int_equal(count, 4);
    assert_absent(rest);
}

static void cut_of_empty_gives_one_empty_part(void **state)
{
    struct slice rest = SLICE(""), part;
    (void)state;
    assert_true(slice_cut(&rest, '.', &part));
    assert_slice(part, "");
    assert_false(slice_cut(&rest, '.', &part));
    rest = SLICE_ABSENT;
    assert_false(slice_cut(&rest, '.', &part));
}

static void trim_takes_blanks_and_tabs_only(void **state)
{
    (void)state;
    assert_slice(slice_trim(SLICE(" \t a b \t")), "a b");
    assert_slice(slice_trim(SLICE("   ")), "");
    assert_slice(slice_trim(SLICE("\nx\n")), "\nx\n");
    assert_absent(slice_trim(SLICE_ABSENT));
}

static void numbers_are_digits_that_fit(void **state)
{
    static const char *const none[] = {
        "", "-1", "+1", "1 ", " 1", "1x", "0x", "18446744073709551616", "99999999999999999999"};
    uint64_t value = 7;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_false(slice_u64(slice_of(none[i]), &value));
    assert_false(slice_u64(SLICE_ABSENT, &value));
    assert_int_equal(value, 7);
    assert_true(slice_u64(SLICE("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_true(slice_u64(SLICE("18446744073709551610"), &value));
    assert_true(value == UINT64_MAX - 5);
    assert_true(slice_u64(SLICE("007"), &value));
    assert_int_equal(value, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_is_not_empty),
        cmocka_unit_test(equality_looks_at_bytes_and_length),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(from_never_leaves_the_slice),
        cmocka_unit_test(cut_walks_all_parts),
        cmocka_unit_test(cut_of_empty_gives_one_empty_part),
        cmocka_unit_test(trim_takes_blanks_and_tabs_only),
        cmocka_unit_test(numbers_are_digits_that_fit),
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
