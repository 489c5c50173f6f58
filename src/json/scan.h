/*
 * For src/json and its tests only: the ways through the bytes.
 *
 * The portable walker (walk.c) decides every text and words every error. A scanner is a fast path
 * beside it: it takes a text that begins with `{` or `[`, and either fills the values exactly as
 * the walker would and returns true, or returns false, which only means "ask the walker": the text
 * is malformed, too long or too deep, or a bare scalar.
 */
#pragma once

#include "base/utf8.h"
#include "json/plan.h"
#include "json/shape.h"

struct json_scanner {
    const char *name;
    bool (*scan)(const struct json_plan *plan, struct slice bytes, struct json_value *values);
    /* Does the text fit the shape? Then the values are filled. `borders` has room for
     * SHAPE_BORDERS_MAX. */
    bool (*fits)(const struct json_shape *shape, const struct json_plan *plan, struct slice text,
                 uint32_t *borders, struct json_value *values);
    bool (*supported)(void);
};

#define JSON_SCAN_BYTES_MAX (32u << 10)

bool json_extract_portable(const struct json_plan *plan, struct slice bytes,
                           struct json_value *values, struct json_error *error);
/* NULL behind the last one. The portable one comes last, its `scan` is NULL. */
const struct json_scanner *json_scanner_at(size_t index);
bool json_scanner_supported(const struct json_scanner *scanner);
bool json_extract_by(const struct json_scanner *scanner, const struct json_plan *plan,
                     struct slice bytes, struct json_value *values, struct json_error *error);

bool json_extract_shaped_by(const struct json_scanner *scanner, struct json_shapes *shapes,
                            const struct json_plan *plan, struct slice bytes, uint64_t hint,
                            struct json_value *values, struct json_error *error);

/* Of a sound word: number, true, false or null. */
static inline enum json_type json_word_type(char c)
{
    return c == 't'   ? JSON_TYPE_TRUE
           : c == 'f' ? JSON_TYPE_FALSE
           : c == 'n' ? JSON_TYPE_NULL
                      : JSON_TYPE_NUMBER;
}

bool json_scan_avx512(const struct json_plan *plan, struct slice bytes, struct json_value *values);
bool json_fits_avx512(const struct json_shape *shape, const struct json_plan *plan,
                      struct slice text, uint32_t *borders, struct json_value *values);
bool json_scan_avx512_supported(void);
bool json_scan_avx2(const struct json_plan *plan, struct slice bytes, struct json_value *values);
bool json_fits_avx2(const struct json_shape *shape, const struct json_plan *plan, struct slice text,
                    uint32_t *borders, struct json_value *values);
bool json_scan_avx2_supported(void);
