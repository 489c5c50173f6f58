#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"

void buf_done(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){0};
}

void buf_reserve(struct buf *b, size_t extra)
{
    if (b->room - b->len >= extra)
        return;
    size_t room = b->room ? b->room : 64;
    while (room - b->len < extra && room <= SIZE_MAX / 2)
        room *= 2;
    if (room - b->len < extra)
        room = SIZE_MAX; /* more than there can be: xrealloc() says so and ends */
    b->ptr = xrealloc(b->ptr, room, 1);
    b->room = room;
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (!len)
        return;
    buf_reserve(b, len);
    memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    buf_reserve(b, 64);
    size_t left = b->room - b->len;
    int want = vsnprintf(b->ptr + b->len, left, format, args);
    if (want >= 0 && (size_t)want >= left) {
        buf_reserve(b, (size_t)want + 1);
        want = vsnprintf(b->ptr + b->len, b->room - b->len, format, again);
    }
    if (want > 0)
        b->len += (size_t)want;
    va_end(again);
    va_end(args);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_add(b, digits + at, sizeof digits - at);
}

const char *buf_cstr(struct buf *b)
{
    buf_reserve(b, 1);
    b->ptr[b->len] = 0;
    return b->ptr;
}
