#include "json/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SCAN_TARGET __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul")))

typedef struct {
    __m256i low, high;
} scan_bytes;

/* One 64-byte block; behind `left` bytes come blanks, and nothing there is read. */
SCAN_TARGET static inline scan_bytes scan_load(const char *at, size_t left)
{
    char copy[64];
    if (left < 64) {
        memset(copy, ' ', sizeof copy);
        memcpy(copy, at, left);
        at = copy;
    }
    return (scan_bytes){_mm256_loadu_si256((const __m256i_u *)at),
                        _mm256_loadu_si256((const __m256i_u *)(at + 32))};
}

SCAN_TARGET static inline uint64_t bits_of(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

SCAN_TARGET static inline uint64_t scan_equal(scan_bytes v, char c)
{
    __m256i all = _mm256_set1_epi8(c);
    return bits_of(_mm256_cmpeq_epi8(v.low, all), _mm256_cmpeq_epi8(v.high, all));
}

SCAN_TARGET static inline uint64_t scan_control(scan_bytes v)
{
    __m256i most = _mm256_set1_epi8(0x1f);
    return bits_of(_mm256_cmpeq_epi8(_mm256_max_epu8(v.low, most), most),
                   _mm256_cmpeq_epi8(_mm256_max_epu8(v.high, most), most));
}

SCAN_TARGET static inline uint64_t scan_not_ascii(scan_bytes v)
{
    return bits_of(v.low, v.high);
}

struct scan_classes {
    uint64_t brace, bracket, closer, colon, comma, space;
};

/* Each of the four blanks stands in the table at its low four bits. */
SCAN_TARGET static inline __m256i is_space(__m256i v)
{
    const __m256i table = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(' ', -1, -1, -1, -1, -1, -1, -1, -1, '\t', '\n', -1, -1, '\r', -1, -1));
    return _mm256_cmpeq_epi8(v, _mm256_shuffle_epi8(table, v));
}

SCAN_TARGET static inline struct scan_classes scan_classify(scan_bytes v, uint64_t outside)
{
    /* `[` and `{`, `]` and `}` differ in one bit only. */
    const __m256i bit = _mm256_set1_epi8(0x20);
    scan_bytes folded = {_mm256_or_si256(v.low, bit), _mm256_or_si256(v.high, bit)};
    uint64_t brace = scan_equal(v, '{') & outside;
    return (struct scan_classes){
        .brace = brace,
        .bracket = scan_equal(folded, '{') & outside & ~brace,
        .closer = scan_equal(folded, '}') & outside,
        .colon = scan_equal(v, ':') & outside,
        .comma = scan_equal(v, ',') & outside,
        .space = bits_of(is_space(v.low), is_space(v.high)) & outside,
    };
}

SCAN_TARGET static inline uint64_t scan_same(scan_bytes a, scan_bytes b)
{
    return bits_of(_mm256_cmpeq_epi8(a.low, b.low), _mm256_cmpeq_epi8(a.high, b.high));
}

SCAN_TARGET static inline __m256i is_digit(__m256i v)
{
    __m256i above = _mm256_sub_epi8(v, _mm256_set1_epi8('0')), nine = _mm256_set1_epi8(9);
    return _mm256_cmpeq_epi8(_mm256_max_epu8(above, nine), nine);
}

SCAN_TARGET static inline uint64_t scan_no_digit(scan_bytes v)
{
    return ~bits_of(is_digit(v.low), is_digit(v.high));
}

/* `"`, `\`, and as signed numbers below the blank: control characters and what is not ASCII. */
SCAN_TARGET static inline __m256i is_odd(__m256i v)
{
    __m256i low = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), v);
    return _mm256_or_si256(low, _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('"')),
                                                _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'))));
}

SCAN_TARGET static inline uint64_t scan_odd(scan_bytes v)
{
    return bits_of(is_odd(v.low), is_odd(v.high));
}

#define SCAN_NAME json_scan_avx2
#define SCAN_FITS json_fits_avx2
#include "json/scan_blocks.h"
#include "json/scan_shape.h"

bool json_scan_avx2_supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("pclmul");
}
#endif
