/*
 * codec: little binary records: LEB128 numbers, 8-byte fixed values, texts with their length.
 *
 * The writer appends to a buf; the reader walks a slice and remembers failure, so that a whole
 * record can be read before `ok` is looked at once. Fixed values are little-endian.
 */
#pragma once

#include "base/buf.h"

static inline void codec_put_u64(struct buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_add_char(out, (char)(value | 0x80));
        value >>= 7;
    }
    buf_add_char(out, (char)value);
}

static inline void codec_put_fixed(struct buf *out, uint64_t value)
{
    char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(value >> (8 * i));
    buf_add(out, bytes, sizeof bytes);
}

static inline void codec_put_double(struct buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    codec_put_fixed(out, bits);
}

static inline void codec_put_text(struct buf *out, struct slice text)
{
    codec_put_u64(out, text.len);
    buf_add_slice(out, text);
}

struct codec_reader {
    struct slice rest;
    bool ok;
};

static inline uint64_t codec_get_u64(struct codec_reader *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!in->ok || !in->rest.len)
            break;
        unsigned char byte = (unsigned char)*in->rest.ptr;
        in->rest = slice_from(in->rest, 1);
        if (shift == 63 && byte > 1)
            break; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    in->ok = false;
    return 0;
}

static inline struct slice codec_get_bytes(struct codec_reader *in, uint64_t len)
{
    if (!in->ok || in->rest.len < len) {
        in->ok = false;
        return SLICE("");
    }
    struct slice bytes = {in->rest.ptr, (size_t)len};
    in->rest = slice_from(in->rest, (size_t)len);
    return bytes;
}

static inline uint64_t codec_get_fixed(struct codec_reader *in)
{
    struct slice bytes = codec_get_bytes(in, 8);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++)
        value |= (uint64_t)(unsigned char)bytes.ptr[i] << (8 * i);
    return value;
}

static inline double codec_get_double(struct codec_reader *in)
{
    uint64_t bits = codec_get_fixed(in);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline struct slice codec_get_text(struct codec_reader *in)
{
    uint64_t len = codec_get_u64(in);
    return codec_get_bytes(in, len);
}
