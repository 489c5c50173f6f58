#include "event/blake3.h"

/*
 * The input is cut into chunks of 1024 bytes, the leaves of a binary tree whose left subtrees are
 * full and as large as can be. A chunk is a chain of 64-byte blocks:
 *
 *     chaining value (8 words), block (16 words), counter, length, flags --compress--> 16 words
 *
 * The first 8 words go on as the next chaining value; those of two neighbours are the block of
 * their parent. The last compression of all has the flag ROOT, and its first 8 words are the
 * digest.
 */
enum {
    BLOCK_BYTES = 64,
    CHUNK_BYTES = 1024,
    WORDS = 8, /* of a chaining value */
    WIDE = 8,  /* chunks hashed at once */
    WIDE_BYTES = WIDE * CHUNK_BYTES,
};

enum {
    FLAG_CHUNK_START = 1,
    FLAG_CHUNK_END = 2,
    FLAG_PARENT = 4,
    FLAG_ROOT = 8,
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static const uint32_t initial[WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* Which word of the block each of the seven rounds takes where: each row permutes the one above. */
static const uint8_t schedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

static uint32_t load32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

static void store32(uint8_t *at, uint32_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    memcpy(at, &word, sizeof word);
}

/* --- one block after the other: a row of the state is a vector ---------------------------------
 */

typedef uint32_t row __attribute__((vector_size(16)));

ALWAYS_INLINE row rotate_row(row x, int bits)
{
    return (x >> bits) | (x << (32 - bits));
}

ALWAYS_INLINE void mix_rows(row s[4], row x, row y)
{
    s[0] += s[1] + x;
    s[3] = rotate_row(s[3] ^ s[0], 16);
    s[2] += s[3];
    s[1] = rotate_row(s[1] ^ s[2], 12);
    s[0] += s[1] + y;
    s[3] = rotate_row(s[3] ^ s[0], 8);
    s[2] += s[3];
    s[1] = rotate_row(s[1] ^ s[2], 7);
}

/* chaining_value becomes the first 8 words of the result. */
static void compress(uint32_t chaining_value[WORDS], const uint8_t block[BLOCK_BYTES],
                     uint64_t counter, uint32_t len, uint32_t flags)
{
    uint32_t m[16];
    row s[4] = {{0},
                {0},
                {initial[0], initial[1], initial[2], initial[3]},
                {(uint32_t)counter, (uint32_t)(counter >> 32), len, flags}};
    for (int i = 0; i < 16; i++)
        m[i] = load32(block + 4 * i);
    memcpy(&s[0], chaining_value, sizeof s[0]);
    memcpy(&s[1], chaining_value + 4, sizeof s[1]);
#pragma GCC unroll 7
    for (int round = 0; round < 7; round++) {
        const uint8_t *p = schedule[round];
        mix_rows(s, (row){m[p[0]], m[p[2]], m[p[4]], m[p[6]]},
                 (row){m[p[1]], m[p[3]], m[p[5]], m[p[7]]});
        /* The diagonals become columns, and go back. */
        s[1] = __builtin_shufflevector(s[1], s[1], 1, 2, 3, 0);
        s[2] = __builtin_shufflevector(s[2], s[2], 2, 3, 0, 1);
        s[3] = __builtin_shufflevector(s[3], s[3], 3, 0, 1, 2);
        mix_rows(s, (row){m[p[8]], m[p[10]], m[p[12]], m[p[14]]},
                 (row){m[p[9]], m[p[11]], m[p[13]], m[p[15]]});
        s[1] = __builtin_shufflevector(s[1], s[1], 3, 0, 1, 2);
        s[2] = __builtin_shufflevector(s[2], s[2], 2, 3, 0, 1);
        s[3] = __builtin_shufflevector(s[3], s[3], 1, 2, 3, 0);
    }
    s[0] ^= s[2];
    s[1] ^= s[3];
    memcpy(chaining_value, &s[0], sizeof s[0]);
    memcpy(chaining_value + 4, &s[1], sizeof s[1]);
}

/* At most 1024 bytes. `last` flags go to the last block: ROOT when the chunk is all there is. */
static void hash_chunk(const uint8_t *bytes, size_t len, uint64_t counter, uint32_t last,
                       uint32_t ret[WORDS])
{
    uint32_t flags = FLAG_CHUNK_START;
    memcpy(ret, initial, sizeof initial);
    for (; len > BLOCK_BYTES; bytes += BLOCK_BYTES, len -= BLOCK_BYTES, flags = 0)
        compress(ret, bytes, counter, BLOCK_BYTES, flags);
    uint8_t block[BLOCK_BYTES] = {0};
    if (len)
        memcpy(block, bytes, len);
    compress(ret, block, counter, (uint32_t)len, flags | FLAG_CHUNK_END | last);
}

static void hash_parent(const uint32_t children[2 * WORDS], uint32_t flags, uint32_t ret[WORDS])
{
    uint8_t block[BLOCK_BYTES];
    for (int i = 0; i < 2 * WORDS; i++)
        store32(block + 4 * i, children[i]);
    memcpy(ret, initial, sizeof initial);
    compress(ret, block, 0, BLOCK_BYTES, FLAG_PARENT | flags);
}

/* --- eight chunks at once: each word of the state is a vector over the chunks -------------------
 */

typedef uint32_t wide __attribute__((vector_size(4 * WIDE)));

/* A macro: a function would pass vectors by value, which is not the same with and without AVX. */
#define ROTATE(x, bits) (((x) >> (bits)) | ((x) << (32 - (bits))))

ALWAYS_INLINE void mix_wide(wide *s, int a, int b, int c, int d, const wide *x, const wide *y)
{
    s[a] += s[b] + *x;
    s[d] ^= s[a];
    s[d] = ROTATE(s[d], 16);
    s[c] += s[d];
    s[b] ^= s[c];
    s[b] = ROTATE(s[b], 12);
    s[a] += s[b] + *y;
    s[d] ^= s[a];
    s[d] = ROTATE(s[d], 8);
    s[c] += s[d];
    s[b] ^= s[c];
    s[b] = ROTATE(s[b], 7);
}

ALWAYS_INLINE void hash_wide(const uint8_t *bytes, uint64_t counter, uint32_t ret[WIDE][WORDS])
{
    wide value[WORDS], low = {0}, high = {0};
    for (int lane = 0; lane < WIDE; lane++) {
        low[lane] = (uint32_t)(counter + (uint64_t)lane);
        high[lane] = (uint32_t)((counter + (uint64_t)lane) >> 32);
    }
    for (int i = 0; i < WORDS; i++)
        value[i] = (wide){0} + initial[i];
    for (size_t at = 0; at < CHUNK_BYTES; at += BLOCK_BYTES) {
        wide m[16], s[16];
        uint32_t flags = (at == 0 ? FLAG_CHUNK_START : 0) |
                         (at + BLOCK_BYTES == CHUNK_BYTES ? FLAG_CHUNK_END : 0);
        for (size_t i = 0; i < 16; i++) {
            for (size_t lane = 0; lane < WIDE; lane++)
                m[i][lane] = load32(bytes + lane * CHUNK_BYTES + at + 4 * i);
        }
        for (int i = 0; i < WORDS; i++)
            s[i] = value[i];
        for (int i = 0; i < 4; i++)
            s[8 + i] = (wide){0} + initial[i];
        s[12] = low;
        s[13] = high;
        s[14] = (wide){0} + (uint32_t)BLOCK_BYTES;
        s[15] = (wide){0} + flags;
#pragma GCC unroll 7
        for (int round = 0; round < 7; round++) {
            const uint8_t *p = schedule[round];
            mix_wide(s, 0, 4, 8, 12, &m[p[0]], &m[p[1]]);
            mix_wide(s, 1, 5, 9, 13, &m[p[2]], &m[p[3]]);
            mix_wide(s, 2, 6, 10, 14, &m[p[4]], &m[p[5]]);
            mix_wide(s, 3, 7, 11, 15, &m[p[6]], &m[p[7]]);
            mix_wide(s, 0, 5, 10, 15, &m[p[8]], &m[p[9]]);
            mix_wide(s, 1, 6, 11, 12, &m[p[10]], &m[p[11]]);
            mix_wide(s, 2, 7, 8, 13, &m[p[12]], &m[p[13]]);
            mix_wide(s, 3, 4, 9, 14, &m[p[14]], &m[p[15]]);
        }
        for (int i = 0; i < WORDS; i++)
            value[i] = s[i] ^ s[i + 8];
    }
    for (int lane = 0; lane < WIDE; lane++) {
        for (int i = 0; i < WORDS; i++)
            ret[lane][i] = value[i][lane];
    }
}

typedef void wide_function(const uint8_t *bytes, uint64_t counter, uint32_t ret[WIDE][WORDS]);

static void hash_wide_portable(const uint8_t *bytes, uint64_t counter, uint32_t ret[WIDE][WORDS])
{
    hash_wide(bytes, counter, ret);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void hash_wide_avx2(const uint8_t *bytes, uint64_t counter,
                                                           uint32_t ret[WIDE][WORDS])
{
    hash_wide(bytes, counter, ret);
}
#endif

static wide_function *best_wide(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return hash_wide_avx2;
#endif
    return hash_wide_portable;
}

/* --- the tree ----------------------------------------------------------------------------------
 */

/* The bytes of the left subtree: the largest power of two of chunks that leaves some for the right.
 */
static size_t left_bytes(size_t len)
{
    size_t chunks = (len - 1) / CHUNK_BYTES; /* whole ones, the last byte not counted */
    return (size_t)CHUNK_BYTES << (63 - __builtin_clzll(chunks));
}

/* Two neighbours become one, `count` a power of two: until one is left, in values[0]. */
static void join(uint32_t values[][WORDS], size_t count, uint32_t ret[WORDS])
{
    uint32_t children[2 * WORDS];
    for (; count > 1; count /= 2) {
        for (size_t i = 0; i < count; i += 2) {
            memcpy(children, values[i], sizeof children / 2);
            memcpy(children + WORDS, values[i + 1], sizeof children / 2);
            hash_parent(children, 0, values[i / 2]);
        }
    }
    memcpy(ret, values[0], sizeof values[0]);
}

/* A subtree that is not the root. Recursion is as deep as the tree: below 54. */
static void hash_subtree(const uint8_t *bytes, size_t len, uint64_t counter, wide_function *many,
                         uint32_t ret[WORDS])
{
    uint32_t children[2 * WORDS];
    if (len <= CHUNK_BYTES) {
        hash_chunk(bytes, len, counter, 0, ret);
        return;
    }
    if (len == WIDE_BYTES) {
        uint32_t values[WIDE][WORDS];
        many(bytes, counter, values);
        join(values, WIDE, ret);
        return;
    }
    size_t left = left_bytes(len);
    hash_subtree(bytes, left, counter, many, children);
    hash_subtree(bytes + left, len - left, counter + left / CHUNK_BYTES, many, children + WORDS);
    hash_parent(children, 0, ret);
}

static void hash_all(struct slice input, wide_function *many, uint8_t *ret_digest)
{
    const uint8_t *bytes = (const uint8_t *)input.ptr;
    uint32_t value[WORDS], children[2 * WORDS];
    if (input.len <= CHUNK_BYTES) {
        hash_chunk(bytes, input.len, 0, FLAG_ROOT, value);
    } else {
        size_t left = left_bytes(input.len);
        hash_subtree(bytes, left, 0, many, children);
        hash_subtree(bytes + left, input.len - left, left / CHUNK_BYTES, many, children + WORDS);
        hash_parent(children, FLAG_ROOT, value);
    }
    for (int i = 0; i < WORDS; i++)
        store32(ret_digest + 4 * i, value[i]);
}

void blake3(struct slice bytes, uint8_t ret_digest[static BLAKE3_BYTES])
{
    hash_all(bytes, best_wide(), ret_digest);
}

void blake3_portable(struct slice bytes, uint8_t ret_digest[static BLAKE3_BYTES])
{
    hash_all(bytes, hash_wide_portable, ret_digest);
}
