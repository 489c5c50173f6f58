#include "unit.h"

#include "bus/kv.h"

static void assert_key(struct slice text, const char *want)
{
    CLEANUP_BUF struct buf part = {0}, back = {0};
    kv_key_of(&part, text);
    assert_slice(buf_slice(&part), want);
    assert_true(kv_key_is_legal(buf_cstr(&part)));
    assert_true(kv_key_text(&back, buf_slice(&part)));
    assert_true(slice_eq(buf_slice(&back), text));
}

static void keys_of_texts(void **state)
{
    (void)state;
    assert_key(SLICE("0197f0c4-aa7b-7cc2-b1d5-93b1c2f6a001"),
               "0197f0c4-aa7b-7cc2-b1d5-93b1c2f6a001");
    assert_key(SLICE("AZaz09-_/"), "AZaz09-_/");
    assert_key(SLICE("a.b"), "a=2Eb");
    assert_key(SLICE("a=2Eb"), "a=3D2Eb");
    assert_key(SLICE("x y*>"), "x=20y=2A=3E");
    assert_key(SLICE(""), "=");
    assert_key(SLICE("="), "=3D");
    assert_key(SLICE("\0\xff"), "=00=FF");
    assert_key(SLICE("\xc3\xa9"), "=C3=A9");
    assert_key(SLICE("_kv"), "=5Fkv");
    assert_key(SLICE("_kx"), "_kx");
    assert_key(SLICE("a_kv"), "a_kv");
}

static void texts_of_foreign_parts(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "", "a.b", "=2", "=2g", "a=", "==", "=41", "_kv", "=3d", "x y", "=x00", "=3D="};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        CLEANUP_BUF struct buf text = {0};
        buf_add_str(&text, "before");
        assert_false(kv_key_text(&text, slice_of(parts[i])));
        assert_slice(buf_slice(&text), "before");
    }
}

/* As long as may be, in full; one more, and it is cut, differently for texts that differ at the
 * end. */
static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[4 * KV_TOKEN_MAX];
    memset(text, 'a', sizeof text);
    for (size_t len = KV_TOKEN_MAX - 5; len < sizeof text; len++) {
        CLEANUP_BUF struct buf one = {0}, other = {0}, back = {0};
        kv_key_of(&one, (struct slice){text, len});
        text[len - 1] = 'b';
        kv_key_of(&other, (struct slice){text, len});
        text[len - 1] = 'a';
        assert_true(one.len <= KV_TOKEN_MAX);
        assert_true(kv_key_is_legal(buf_cstr(&one)));
        assert_false(slice_eq(buf_slice(&one), buf_slice(&other)));
        assert_int_equal(kv_key_text(&back, buf_slice(&one)), len <= KV_TOKEN_MAX);
    }
    memset(text, '.', sizeof text);
    CLEANUP_BUF struct buf part = {0};
    kv_key_of(&part, (struct slice){text, sizeof text});
    assert_true(part.len <= KV_TOKEN_MAX && part.len > KV_TOKEN_MAX - 3);
}

/* Whatever the bytes: legal, and the very text comes back, so no two texts share a part. */
static void random_texts(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int i = 0; i < 20000; i++) {
        char bytes[24];
        size_t len = (size_t)random_below(&random, sizeof bytes);
        for (size_t k = 0; k < len; k++)
            bytes[k] = i % 2 ? (char)random_u64(&random) : "_kv=.x2E"[random_below(&random, 8)];
        CLEANUP_BUF struct buf part = {0}, back = {0};
        kv_key_of(&part, (struct slice){bytes, len});
        assert_true(kv_key_is_legal(buf_cstr(&part)));
        assert_null(memchr(part.ptr, '.', part.len));
        assert_true(kv_key_text(&back, buf_slice(&part)));
        assert_true(slice_eq(buf_slice(&back), (struct slice){bytes, len}));
    }
}

static void legal_names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a.b.c", "=", "-/_=.x", "A0"};
    static const char *const bad[] = {"", ".", ".a", "a.", "a..b", "a b", "a*", ">", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(kv_key_is_legal(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(kv_key_is_legal(bad[i]));
    assert_true(kv_bucket_is_legal("CIM_PROJECTIONS-2"));
    assert_false(kv_bucket_is_legal(""));
    assert_false(kv_bucket_is_legal("a.b"));
    assert_false(kv_bucket_is_legal("a/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_texts),      cmocka_unit_test(texts_of_foreign_parts),
        cmocka_unit_test(long_texts_are_cut), cmocka_unit_test(random_texts),
        cmocka_unit_test(legal_names),
    };
    return cmocka_run_group_tests_name("kv_key", tests, NULL, NULL);
}
