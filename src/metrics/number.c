#include "metrics/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536"
    "37383940414243444546474849505152535455565758596061626364656667686970717273"
    "7475767778798081828384858687888990919293949596979899";

static size_t digits_of(uint64_t value)
{
    size_t count = 1;
    while (value >= 10000) {
        value /= 10000;
        count += 4;
    }
    return count + (value >= 10) + (value >= 100) + (value >= 1000);
}

char *number_put_u64(char *out, uint64_t value)
{
    char *end = out + digits_of(value), *at = end;
    while (value >= 100) {
        at -= 2;
        memcpy(at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(at - 2, pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return end;
}

/*
 * A decimal of at most 15 digits, if there is one that reads back as `value`. Both `scaled` and the
 * power of ten are whole numbers that a double holds exactly, so their quotient is rounded once, as
 * a reader of the text rounds it; and 15 digits are few enough for the text to be the only one.
 */
static char *put_decimal(char *out, double value)
{
    double power = 10;
    for (size_t places = 1; places <= 18; places++, power *= 10) {
        double scaled = nearbyint(value * power);
        if (!(scaled < 1e15))
            return NULL;
        if (scaled / power != value)
            continue;
        uint64_t digits = (uint64_t)scaled, whole = digits, unit = 1;
        for (size_t i = 0; i < places; i++) {
            whole /= 10;
            unit *= 10;
        }
        out = number_put_u64(out, whole);
        *out++ = '.';
        size_t zeros = places - digits_of(digits - whole * unit);
        memset(out, '0', zeros);
        return number_put_u64(out + zeros, digits - whole * unit);
    }
    return NULL;
}

static char *put_text(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len); /* NOLINT(bugprone-not-null-terminated-result): the caller goes on */
    return out + len;
}

static char *put_any(char *out, double value)
{
    char text[NUMBER_TEXT_MAX];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return put_text(out, text);
}

char *number_put_double(char *out, double value)
{
    if (isnan(value))
        return put_text(out, "NaN");
    if (isinf(value))
        return put_text(out, value > 0 ? "+Inf" : "-Inf");
    double size = fabs(value);
    if (value < 0)
        *out++ = '-';
    if (size < 9007199254740992.0 && size == (double)(uint64_t)size)
        return number_put_u64(out, (uint64_t)size);
    char *end = size >= 1e-4 && size < 1e15 ? put_decimal(out, size) : NULL;
    return end ? end : put_any(out, size);
}
