/*
 * utf8: is this text well-formed; cutting and mending it.
 */
#pragma once

#include "base/buf.h"

/*
 * The number of bytes of the well-formed sequence at `p` (`left` bytes are there, at least one), by
 * table 3-7 of the Unicode standard: no surrogates, nothing overlong, nothing past U+10FFFF. 0:
 * none.
 */
static inline size_t utf8_length(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char a = p[0];
    if (a < 0x80)
        return 1;
    if (a < 0xc2 || a > 0xf4)
        return 0;
    size_t len = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
    if (left < len)
        return 0;
    unsigned char low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
    unsigned char high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    }
    return len;
}

/* At most `bytes_max` bytes of the text, never ending inside a sequence. */
static inline struct slice utf8_cut(struct slice text, size_t bytes_max)
{
    if (text.len <= bytes_max)
        return text;
    size_t len = bytes_max;
    /* A sequence has at most three bytes that continue it; more of them are no sequence anyway. */
    while (len && bytes_max - len < 4 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return (struct slice){text.ptr, len};
}

/* Appends the text; every byte that is of no well-formed sequence becomes U+FFFD. */
static inline void utf8_add_clean(struct buf *out, struct slice text)
{
    size_t sound = 0; /* from here on nothing is written yet */
    for (size_t i = 0; i < text.len;) {
        size_t len = utf8_length(text.ptr + i, text.len - i);
        if (!len) {
            buf_add(out, text.ptr + sound, i - sound);
            buf_add_str(out, "\xef\xbf\xbd");
            sound = i + 1;
        }
        i += len ? len : 1;
    }
    buf_add_slice(out, slice_from(text, sound));
}

/* Is all of it well-formed? Eight bytes at a time where they are ASCII. */
static inline bool utf8_is_sound(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint64_t word;
        if (len - at >= sizeof word) {
            memcpy(&word, text + at, sizeof word);
            if (!(word & UINT64_C(0x8080808080808080))) {
                at += sizeof word;
                continue;
            }
        }
        size_t step = utf8_length(text + at, len - at);
        if (!step)
            return false;
        at += step;
    }
    return true;
}
