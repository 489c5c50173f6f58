/* The values' own functions, and the choice of the way through the bytes. */
#include "json/extract.h"

#include <math.h>
#include <stdlib.h>

#include "json/scan.h"

/* --- which way -------------------------------------------------------------------------------- */

static const struct json_scanner scanners[] = {
#if defined(__x86_64__)
    {"avx512", json_scan_avx512, json_fits_avx512, json_scan_avx512_supported},
    {"avx2", json_scan_avx2, json_fits_avx2, json_scan_avx2_supported},
#endif
    {"portable", NULL, NULL, NULL},
};

const struct json_scanner *json_scanner_at(size_t index)
{
    return index < ARRAY_LEN(scanners) ? &scanners[index] : NULL;
}

bool json_scanner_supported(const struct json_scanner *scanner)
{
    return !scanner->supported || scanner->supported();
}

/* The first that this machine has, or the one that $CIM_OPS_SIMD names. */
static const struct json_scanner *choose(void)
{
    const char *wanted = getenv("CIM_OPS_SIMD");
    const struct json_scanner *best = &scanners[ARRAY_LEN(scanners) - 1];
    for (size_t i = ARRAY_LEN(scanners); i-- > 0;) {
        if (!json_scanner_supported(&scanners[i]))
            continue;
        best = &scanners[i];
        if (wanted && !strcmp(wanted, best->name))
            break;
    }
    return best;
}

static const struct json_scanner *chosen;

__attribute__((constructor)) static void choose_at_start(void)
{
    chosen = choose();
}

const char *json_extract_method(void)
{
    return chosen->name;
}

bool json_extract_by(const struct json_scanner *scanner, const struct json_plan *plan,
                     struct slice bytes, struct json_value *values, struct json_error *error)
{
    if (scanner->scan && scanner->scan(plan, bytes, values))
        return true;
    return json_extract_portable(plan, bytes, values, error);
}

bool json_extract(const struct json_plan *plan, struct slice bytes, struct json_value *values,
                  struct json_error *error)
{
    return json_extract_by(chosen, plan, bytes, values, error);
}

bool json_extract_shaped(const struct json_plan *plan, struct json_shapes *shapes,
                         struct slice bytes, uint64_t hint, struct json_value *values,
                         struct json_error *error)
{
    return json_extract_shaped_by(chosen, shapes, plan, bytes, hint, values, error);
}

/* --- values ----------------------------------------------------------------------------------- */

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)p[i];
        value = value << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static void add_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_add_char(out, (char)c);
    } else if (c < 0x800) {
        buf_add_char(out, (char)(0xc0 | c >> 6));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_add_char(out, (char)(0xe0 | c >> 12));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_add_char(out, (char)(0xf0 | c >> 18));
        buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* `p` stands at the u of a checked \uXXXX; returns what follows, a second half of a pair included.
 */
static const char *add_unicode(const char *p, const char *end, struct buf *out)
{
    uint32_t c = hex4(p + 1);
    p += 5;
    if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = hex4(p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            add_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
            return p + 6;
        }
    }
    add_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return p;
}

void json_unescape(struct slice raw, struct buf *ret)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *p = raw.ptr, *end = raw.ptr + raw.len;
    while (p < end) {
        if (*p != '\\') {
            buf_add_char(ret, *p++);
            continue;
        }
        p++;
        if (*p == 'u') {
            p = add_unicode(p, end, ret);
            continue;
        }
        const char *known = strchr(from, *p);
        buf_add_char(ret, known ? to[known - from] : *p);
        p++;
    }
}

bool json_number(const struct json_value *value, double *ret)
{
    char text[512], *end = NULL;
    struct slice raw = value->raw;
    if (value->type != JSON_TYPE_NUMBER || !raw.len || raw.len >= sizeof text)
        return false;
    /* strtod() also reads blanks, signs, hexadecimal, "inf" and "nan": those are no numbers here.
     */
    if (raw.ptr[0] != '-' && (raw.ptr[0] < '0' || raw.ptr[0] > '9'))
        return false;
    for (size_t i = 0; i < raw.len; i++) {
        if (!raw.ptr[i] || !strchr("0123456789+-.eE", raw.ptr[i]))
            return false;
    }
    memcpy(text, raw.ptr, raw.len);
    text[raw.len] = 0;
    *ret = strtod(text, &end);
    return *end == 0 && isfinite(*ret);
}
