#include "unit.h"

static void zero_initialised_is_empty(void **state)
{
    struct buf b = {0};
    (void)state;
    assert_slice(buf_slice(&b), "");
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(b.len, 0);
    buf_done(&b);
    assert_null(b.ptr);
}

static void grows_and_keeps_what_is_there(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    for (int i = 0; i < 10000; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(b.ptr[i], 'a' + i % 26);
    assert_true(b.room >= b.len);
}

static void adding_nothing_changes_nothing(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    buf_add(&b, NULL, 0);
    buf_add_slice(&b, SLICE_ABSENT);
    assert_null(b.ptr);
    buf_add_str(&b, "x");
    buf_add(&b, NULL, 0);
    assert_slice(buf_slice(&b), "x");
}

static void formats_short_and_long(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    char wide[300];
    (void)state;
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = 0;
    buf_addf(&b, "%d-%s", 42, "x");
    assert_slice(buf_slice(&b), "42-x");
    buf_addf(&b, "%s", wide);
    assert_int_equal(b.len, 4 + 299);
    assert_memory_equal(b.ptr + 4, wide, 299);
    buf_addf(&b, "%s", "");
    assert_int_equal(b.len, 303);
}

/* Exactly as many bytes as there is room: the NUL of vsnprintf must not cost the last character. */
static void formats_to_the_edge_of_its_room(void **state)
{
    (void)state;
    for (size_t len = 60; len < 70; len++) {
        CLEANUP_BUF struct buf b = {0};
        buf_addf(&b, "%0*d", (int)len, 7);
        assert_int_equal(b.len, len);
        assert_int_equal(b.ptr[len - 1], '7');
    }
}

static void writes_whole_numbers(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    buf_add_u64(&b, 0);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, 9);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, 10);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    assert_slice(buf_slice(&b), "0 9 10 18446744073709551615");
}

static void the_nul_is_not_counted(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < 64; i++)
        buf_add_char(&b, 'x');
    assert_int_equal(b.room, 64);
    assert_int_equal(strlen(buf_cstr(&b)), 64);
    assert_int_equal(b.len, 64);
}

static void reset_keeps_the_room(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    buf_add_str(&b, "something");
    char *before = b.ptr;
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    buf_add_str(&b, "else");
    assert_ptr_equal(b.ptr, before);
    assert_slice(buf_slice(&b), "else");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_initialised_is_empty),
        cmocka_unit_test(grows_and_keeps_what_is_there),
        cmocka_unit_test(adding_nothing_changes_nothing),
        cmocka_unit_test(formats_short_and_long),
        cmocka_unit_test(formats_to_the_edge_of_its_room),
        cmocka_unit_test(writes_whole_numbers),
        cmocka_unit_test(the_nul_is_not_counted),
        cmocka_unit_test(reset_keeps_the_room),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
