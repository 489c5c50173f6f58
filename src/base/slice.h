/*
 * slice: a view of bytes that somebody else owns.
 *
 * A slice never owns and is never NUL-terminated by contract. `ptr == NULL` means "absent", which
 * is not the same as empty: a field that an event does not carry is absent (see event/view.h). Pass
 * by value; lives no longer than the bytes it points into.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE_ABSENT ((struct slice){NULL, 0})
/* A slice over a string literal; the length is the compiler's business, never counted by hand. */
#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
/* For printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline struct slice slice_of(const char *cstr)
{
    return (struct slice){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool slice_present(struct slice s)
{
    return s.ptr != NULL;
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline struct slice slice_from(struct slice s, size_t at)
{
    return at >= s.len ? (struct slice){s.ptr ? s.ptr + s.len : NULL, 0}
                       : (struct slice){s.ptr + at, s.len - at};
}

/* Cuts the part of *rest before `sep` and moves *rest behind it. False when *rest was absent. */
static inline bool slice_cut(struct slice *rest, char sep, struct slice *ret_part)
{
    if (!rest->ptr)
        return false;
    const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!at) {
        *ret_part = *rest;
        *rest = SLICE_ABSENT;
        return true;
    }
    *ret_part = (struct slice){rest->ptr, (size_t)(at - rest->ptr)};
    *rest = (struct slice){at + 1, rest->len - ret_part->len - 1};
    return true;
}

/* Decimal digits and nothing else, of a number that fits. */
static inline bool slice_u64(struct slice s, uint64_t *ret)
{
    uint64_t value = 0;
    if (!s.len)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

static inline struct slice slice_trim(struct slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s.ptr++, s.len--;
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Is `text` one of the list's items, which have commas between and blanks around them? */
static inline bool slice_listed(const char *list, struct slice text)
{
    struct slice rest = slice_of(list), item;
    while (slice_cut(&rest, ',', &item)) {
        if (slice_present(text) && slice_eq(slice_trim(item), text))
            return true;
    }
    return false;
}
