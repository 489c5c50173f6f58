/* Table 3-7 of the Unicode standard, at each of its edges. */
#include "unit.h"

#include "base/utf8.h"

static void well_formed_sequences(void **state)
{
    static const struct slice good[] = {
        SLICE("\x00"),
        SLICE("\x7f"),
        SLICE("\xc2\x80"),
        SLICE("\xdf\xbf"),
        SLICE("\xe0\xa0\x80"),
        SLICE("\xe0\xbf\xbf"),
        SLICE("\xe1\x80\x80"),
        SLICE("\xec\xbf\xbf"),
        SLICE("\xed\x80\x80"),
        SLICE("\xed\x9f\xbf"),
        SLICE("\xee\x80\x80"),
        SLICE("\xef\xbf\xbf"),
        SLICE("\xf0\x90\x80\x80"),
        SLICE("\xf0\xbf\xbf\xbf"),
        SLICE("\xf1\x80\x80\x80"),
        SLICE("\xf3\xbf\xbf\xbf"),
        SLICE("\xf4\x80\x80\x80"),
        SLICE("\xf4\x8f\xbf\xbf"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(utf8_length(good[i].ptr, good[i].len), good[i].len);
        /* One byte short it is none. */
        if (good[i].len > 1)
            assert_int_equal(utf8_length(good[i].ptr, good[i].len - 1), 0);
    }
}

static void ill_formed_sequences(void **state)
{
    static const struct slice bad[] = {
        SLICE("\x80"),
        SLICE("\xbf"),
        SLICE("\xc0\x80"),
        SLICE("\xc1\xbf"),
        SLICE("\xc2\x7f"),
        SLICE("\xc2\xc0"),
        SLICE("\xe0\x9f\xbf"),
        SLICE("\xe0\xc0\x80"),
        SLICE("\xe1\x7f\x80"),
        SLICE("\xe1\x80\x7f"),
        SLICE("\xe1\x80\xc0"),
        SLICE("\xed\xa0\x80"),
        SLICE("\xed\xbf\xbf"),
        SLICE("\xf0\x8f\xbf\xbf"),
        SLICE("\xf1\x80\x80\xc0"),
        SLICE("\xf4\x90\x80\x80"),
        SLICE("\xf5\x80\x80\x80"),
        SLICE("\xff\xff\xff\xff"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(utf8_length(bad[i].ptr, bad[i].len), 0);
}

static void cutting_never_splits_a_sequence(void **state)
{
    struct slice text = SLICE("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    (void)state;
    for (size_t max = 0; max < ARRAY_LEN(want); max++)
        assert_int_equal(utf8_cut(text, max).len, want[max]);
}

static void cutting_what_is_no_text_still_cuts(void **state)
{
    struct slice junk = SLICE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80");
    (void)state;
    assert_true(utf8_cut(junk, 8).len <= 8 && utf8_cut(junk, 8).len >= 4);
}

static void mending_replaces_each_bad_byte(void **state)
{
    CLEANUP_BUF struct buf out = {0};
    (void)state;
    utf8_add_clean(&out, SLICE("ok\xff\xc3\xa4\xed\xa0\x80!"));
    assert_slice(buf_slice(&out), "ok\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!");
    buf_reset(&out);
    utf8_add_clean(&out, SLICE("\xe2\x82"));
    assert_slice(buf_slice(&out), "\xef\xbf\xbd\xef\xbf\xbd");
    buf_reset(&out);
    utf8_add_clean(&out, SLICE_ABSENT);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_sequences),
        cmocka_unit_test(ill_formed_sequences),
        cmocka_unit_test(cutting_never_splits_a_sequence),
        cmocka_unit_test(cutting_what_is_no_text_still_cuts),
        cmocka_unit_test(mending_replaces_each_bad_byte),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
