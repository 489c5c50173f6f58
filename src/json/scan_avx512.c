#include "json/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SCAN_TARGET                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,lzcnt,popcnt,pclmul")))

typedef __m512i scan_bytes;

/* One 64-byte block; behind `left` bytes come blanks that are never read from memory. */
SCAN_TARGET static inline scan_bytes scan_load(const char *at, size_t left)
{
    if (left >= 64)
        return _mm512_loadu_si512(at);
    return _mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), _bzhi_u64(~UINT64_C(0), (unsigned)left),
                                  at);
}

SCAN_TARGET static inline uint64_t scan_equal(scan_bytes v, char c)
{
    return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(c));
}

SCAN_TARGET static inline uint64_t scan_control(scan_bytes v)
{
    return _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(0x20));
}

SCAN_TARGET static inline uint64_t scan_not_ascii(scan_bytes v)
{
    return _mm512_movepi8_mask(v);
}

/* ASCII by class in two registers. What is not ASCII falls on a place of the same low seven bits:
 * it never gets here outside of strings, see mark(). */
enum { BRACE = 1, BRACKET = 2, CLOSER = 4, COLON = 8, COMMA = 16, SPACE = 32 };

static const _Alignas(64) unsigned char class_table[128] = {
    ['{'] = BRACE, ['['] = BRACKET, ['}'] = CLOSER, [']'] = CLOSER, [':'] = COLON,
    [','] = COMMA, [' '] = SPACE,   ['\t'] = SPACE, ['\n'] = SPACE, ['\r'] = SPACE,
};

struct scan_classes {
    uint64_t brace, bracket, closer, colon, comma, space;
};

SCAN_TARGET static inline struct scan_classes scan_classify(scan_bytes v, uint64_t outside)
{
    __m512i low = _mm512_load_si512(class_table), high = _mm512_load_si512(class_table + 64);
    __m512i c = _mm512_permutex2var_epi8(low, v, high);
    return (struct scan_classes){
        .brace = _mm512_mask_test_epi8_mask(outside, c, _mm512_set1_epi8(BRACE)),
        .bracket = _mm512_mask_test_epi8_mask(outside, c, _mm512_set1_epi8(BRACKET)),
        .closer = _mm512_mask_test_epi8_mask(outside, c, _mm512_set1_epi8(CLOSER)),
        .colon = _mm512_mask_test_epi8_mask(outside, c, _mm512_set1_epi8(COLON)),
        .comma = _mm512_mask_test_epi8_mask(outside, c, _mm512_set1_epi8(COMMA)),
        .space = _mm512_mask_test_epi8_mask(outside, c, _mm512_set1_epi8(SPACE)),
    };
}

SCAN_TARGET static inline uint64_t scan_same(scan_bytes a, scan_bytes b)
{
    return _mm512_cmpeq_epi8_mask(a, b);
}

SCAN_TARGET static inline uint64_t scan_no_digit(scan_bytes v)
{
    return _mm512_cmpgt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8('0')), _mm512_set1_epi8(9));
}

/* `"`, `\`, and as signed numbers below the blank: control characters and what is not ASCII. */
SCAN_TARGET static inline uint64_t scan_odd(scan_bytes v)
{
    return _mm512_cmplt_epi8_mask(v, _mm512_set1_epi8(0x20)) | scan_equal(v, '"') |
           scan_equal(v, '\\');
}

#define SCAN_NAME json_scan_avx512
#define SCAN_FITS json_fits_avx512
#include "json/scan_blocks.h"
#include "json/scan_shape.h"

bool json_scan_avx512_supported(void)
{
    return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("pclmul");
}
#endif
