#include "schema/decimal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define EXPONENT_MAX INT64_C(1000000000000000)

/*
 * 0.d1 d2 d3 ... x 10^point, d1 and the last digit not 0; zero has no digits. The digits are those
 * of `text`, the point passed over.
 */
struct decimal {
    struct slice text;
    size_t digits;
    int64_t point;
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t read_exponent(struct slice text)
{
    bool negative = text.len && text.ptr[0] == '-';
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (is_digit(text.ptr[i]) && value < EXPONENT_MAX)
            value = value * 10 + (text.ptr[i] - '0');
    }
    if (value > EXPONENT_MAX)
        value = EXPONENT_MAX;
    return negative ? -value : value;
}

static struct decimal parse(struct slice text)
{
    struct decimal d = {.text = text};
    size_t end = 0;
    if (text.len && text.ptr[0] == '-') {
        d.negative = true;
        d.text = slice_from(text, 1);
    }
    while (end < d.text.len && (is_digit(d.text.ptr[end]) || d.text.ptr[end] == '.'))
        end++;
    if (end < d.text.len)
        d.point = read_exponent(slice_from(d.text, end + 1));
    d.text.len = end;
    const char *dot = end ? memchr(d.text.ptr, '.', end) : NULL;
    d.point += dot ? dot - d.text.ptr : (int64_t)end;
    /* Zeros in front move the point, those behind say nothing. */
    while (d.text.len && (d.text.ptr[0] == '0' || d.text.ptr[0] == '.')) {
        d.point -= d.text.ptr[0] == '0';
        d.text = slice_from(d.text, 1);
    }
    while (d.text.len && (d.text.ptr[d.text.len - 1] == '0' || d.text.ptr[d.text.len - 1] == '.'))
        d.text.len--;
    for (size_t i = 0; i < d.text.len; i++)
        d.digits += d.text.ptr[i] != '.';
    if (!d.digits)
        d = (struct decimal){.text = {text.ptr, 0}};
    return d;
}

static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
    if (a->point != b->point)
        return a->point < b->point ? -1 : 1;
    size_t i = 0, j = 0;
    for (;;) {
        if (i < a->text.len && a->text.ptr[i] == '.')
            i++;
        if (j < b->text.len && b->text.ptr[j] == '.')
            j++;
        if (i == a->text.len || j == b->text.len)
            return (i < a->text.len) - (j < b->text.len);
        if (a->text.ptr[i] != b->text.ptr[j])
            return a->text.ptr[i] < b->text.ptr[j] ? -1 : 1;
        i++, j++;
    }
}

int decimal_compare(struct slice a_text, struct slice b_text)
{
    struct decimal a = parse(a_text), b = parse(b_text);
    if (!a.digits || !b.digits) {
        int sign_a = !a.digits ? 0 : a.negative ? -1 : 1;
        int sign_b = !b.digits ? 0 : b.negative ? -1 : 1;
        return sign_a - sign_b;
    }
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    return a.negative ? -compare_magnitude(&a, &b) : compare_magnitude(&a, &b);
}

bool decimal_is_integer(struct slice number)
{
    size_t i = 0;
    while (i < number.len && (is_digit(number.ptr[i]) || number.ptr[i] == '-'))
        i++;
    if (i == number.len)
        return true;
    struct decimal d = parse(number);
    return d.point >= (int64_t)d.digits;
}

uint64_t decimal_hash(struct slice number)
{
    struct decimal d = parse(number);
    uint64_t hash = (uint64_t)d.point * 2 + d.negative;
    for (size_t i = 0; i < d.text.len; i++) {
        if (d.text.ptr[i] != '.')
            hash = hash * UINT64_C(0x100000001b3) ^ (unsigned char)d.text.ptr[i];
    }
    return XXH3_64bits(&hash, sizeof hash);
}

/* --- multiples -------------------------------------------------------------------------------- */

bool divisor_parse(struct slice number, struct divisor *ret)
{
    struct decimal d = parse(number);
    *ret = (struct divisor){0};
    if (!d.digits || d.digits > 18 || d.negative)
        return false;
    for (size_t i = 0; i < d.text.len; i++) {
        if (d.text.ptr[i] != '.')
            ret->coefficient = ret->coefficient * 10 + (uint64_t)(d.text.ptr[i] - '0');
    }
    ret->exponent = d.point - (int64_t)d.digits;
    return true;
}

static uint64_t multiply_modulo(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((unsigned __int128)a * b % modulus);
}

static uint64_t power_of_ten_modulo(uint64_t exponent, uint64_t modulus)
{
    uint64_t result = 1 % modulus, base = 10 % modulus;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = multiply_modulo(result, base, modulus);
        base = multiply_modulo(base, base, modulus);
    }
    return result;
}

bool decimal_is_multiple(struct slice number, const struct divisor *divisor)
{
    struct decimal d = parse(number);
    if (!d.digits)
        return true;
    /*
     * number = a x 10^p and divisor = b x 10^q, neither a nor b ending in 0. For p < q, b x
     * 10^(q-p) ends in 0 and a does not; else a x 10^(p-q) must leave nothing modulo b.
     */
    int64_t p = d.point - (int64_t)d.digits;
    if (p < divisor->exponent)
        return false;
    uint64_t rest = 0, modulus = divisor->coefficient;
    for (size_t i = 0; i < d.text.len; i++) {
        if (d.text.ptr[i] != '.')
            rest = (uint64_t)(((unsigned __int128)rest * 10 + (unsigned)(d.text.ptr[i] - '0')) %
                              modulus);
    }
    uint64_t shift = power_of_ten_modulo((uint64_t)(p - divisor->exponent), modulus);
    return multiply_modulo(rest, shift, modulus) == 0;
}

bool decimal_to_u64(struct slice number, uint64_t *ret)
{
    struct decimal d = parse(number);
    *ret = 0;
    if (!d.digits)
        return true;
    if (d.negative || d.point < (int64_t)d.digits || d.point > 18)
        return false;
    for (size_t i = 0; i < d.text.len; i++) {
        if (d.text.ptr[i] != '.')
            *ret = *ret * 10 + (uint64_t)(d.text.ptr[i] - '0');
    }
    for (int64_t i = (int64_t)d.digits; i < d.point; i++)
        *ret *= 10;
    return true;
}
