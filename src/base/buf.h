/*
 * buf: a growable byte buffer.
 *
 * Owns its bytes; buf_done() frees them, buf_reset() keeps the room. Zero-initialised is valid and
 * empty. Growth doubles, so appending is amortised O(1) per byte.
 */
#pragma once

#include "base/slice.h"

struct buf {
    char *ptr;
    size_t len;
    size_t room;
};

void buf_done(struct buf *b);
void buf_reserve(struct buf *b, size_t extra);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_add_u64(struct buf *b, uint64_t value);

static inline void buf_reset(struct buf *b)
{
    b->len = 0;
}

static inline void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.ptr, s.len);
}

static inline void buf_add_str(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

static inline void buf_add_char(struct buf *b, char c)
{
    if (b->len == b->room)
        buf_reserve(b, 1);
    b->ptr[b->len++] = c;
}

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr ? b->ptr : "", b->len};
}

/* NUL-terminates (the NUL is not counted) and returns the bytes; valid until the next change. */
const char *buf_cstr(struct buf *b);

#define CLEANUP_BUF __attribute__((cleanup(buf_done)))
