#include "source/sim/malform.h"

enum { NESTING = 10000 };

static void break_syntax(struct slice payload, struct buf *out)
{
    buf_add(out, payload.ptr, 1);
    buf_add_str(out, ",,");
    buf_add_slice(out, slice_from(payload, 1));
}

static void empty(struct slice payload, struct buf *out)
{
    (void)payload;
    (void)out;
}

/* 0xff occurs nowhere in UTF-8; a string is where a lenient reader would overlook it. */
static void break_utf8(struct slice payload, struct buf *out)
{
    const char *quote = memchr(payload.ptr, '"', payload.len);
    size_t at = quote ? (size_t)(quote - payload.ptr) + 1 : 1;
    buf_add(out, payload.ptr, at);
    buf_add_char(out, (char)0xff);
    buf_add_slice(out, slice_from(payload, at));
}

static void nest(struct slice payload, struct buf *out)
{
    (void)payload;
    buf_reserve(out, 2 * (size_t)NESTING);
    memset(out->ptr + out->len, '[', NESTING);
    memset(out->ptr + out->len + NESTING, ']', NESTING);
    out->len += 2 * (size_t)NESTING;
}

static void truncate_half(struct slice payload, struct buf *out)
{
    buf_add(out, payload.ptr, payload.len / 2 + 1 < payload.len ? payload.len / 2 + 1 : 1);
}

static void add_garbage(struct slice payload, struct buf *out)
{
    buf_add_slice(out, payload);
    buf_add_str(out, "}trailing");
}

void malform(struct slice payload, struct rng *rng, struct buf *out)
{
    static void (*const ways[])(struct slice, struct buf *) = {
        break_syntax, empty, break_utf8, nest, truncate_half, add_garbage,
    };
    ways[rng_below(rng, ARRAY_LEN(ways))](payload, out);
}
