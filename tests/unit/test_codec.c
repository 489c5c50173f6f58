#include "unit.h"

#include <math.h>

#include "base/codec.h"

static const uint64_t numbers[] = {
    0,         1, 127, 128, 16383, 16384, UINT32_MAX, (UINT64_C(1) << 63) - 1, UINT64_C(1) << 63,
    UINT64_MAX};

static struct codec_reader reader_of(const struct buf *b)
{
    return (struct codec_reader){buf_slice(b), true};
}

static void numbers_read_back(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        codec_put_u64(&b, numbers[i]);
        codec_put_fixed(&b, numbers[i]);
    }
    struct codec_reader in = reader_of(&b);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        assert_true(codec_get_u64(&in) == numbers[i]);
        assert_true(codec_get_fixed(&in) == numbers[i]);
    }
    assert_true(in.ok);
    assert_int_equal(in.rest.len, 0);
}

static void doubles_keep_every_bit(void **state)
{
    static const double values[] = {0.0, -0.0, 0.1, -1e300, 5e-324, 1e308};
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        codec_put_double(&b, values[i]);
    codec_put_double(&b, INFINITY);
    codec_put_double(&b, NAN);
    struct codec_reader in = reader_of(&b);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        assert_same_double(codec_get_double(&in), values[i]);
    assert_true(isinf(codec_get_double(&in)));
    assert_true(isnan(codec_get_double(&in)));
    assert_true(in.ok);
}

static void texts_read_back(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    codec_put_text(&b, SLICE("a\0b"));
    codec_put_text(&b, SLICE(""));
    codec_put_text(&b, SLICE_ABSENT);
    struct codec_reader in = reader_of(&b);
    assert_true(slice_eq(codec_get_text(&in), SLICE("a\0b")));
    assert_slice(codec_get_text(&in), "");
    assert_slice(codec_get_text(&in), "");
    assert_true(in.ok);
}

static void little_endian_whatever_the_machine(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    codec_put_fixed(&b, UINT64_C(0x0102030405060708));
    assert_memory_equal(b.ptr, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
}

/* Cut anywhere, the reader says so once and stays there. */
static void truncated_input_is_noticed(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    codec_put_u64(&b, 300);
    codec_put_fixed(&b, 1);
    codec_put_text(&b, SLICE("hello"));
    for (size_t len = 0; len <= b.len; len++) {
        struct codec_reader in = {{b.ptr, len}, true};
        (void)codec_get_u64(&in);
        (void)codec_get_fixed(&in);
        struct slice text = codec_get_text(&in);
        assert_true(in.ok == (len == b.len));
        assert_int_equal(text.len, in.ok ? 5 : 0);
        if (!in.ok) {
            assert_true(codec_get_u64(&in) == 0);
            assert_true(codec_get_fixed(&in) == 0);
            assert_false(in.ok);
        }
    }
}

static void a_length_past_the_end_is_refused(void **state)
{
    CLEANUP_BUF struct buf b = {0};
    (void)state;
    codec_put_u64(&b, UINT64_MAX);
    buf_add_str(&b, "abc");
    struct codec_reader in = reader_of(&b);
    assert_slice(codec_get_text(&in), "");
    assert_false(in.ok);
}

static void numbers_past_64_bits_are_refused(void **state)
{
    static const struct slice bad[] = {
        SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"),
        SLICE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct codec_reader in = {bad[i], true};
        assert_true(codec_get_u64(&in) == 0);
        assert_false(in.ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(doubles_keep_every_bit),
        cmocka_unit_test(texts_read_back),
        cmocka_unit_test(little_endian_whatever_the_machine),
        cmocka_unit_test(truncated_input_is_noticed),
        cmocka_unit_test(a_length_past_the_end_is_refused),
        cmocka_unit_test(numbers_past_64_bits_are_refused),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
