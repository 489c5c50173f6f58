#include "bus/kv.h"

#include "event/blake3.h"

static const char hex_digits[] = "0123456789ABCDEF";

enum { DIGEST_PART = 2 + 2 * BLAKE3_BYTES }; /* "=x" and the digest in hex */

static bool is_alphanumeric(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_plain(char c)
{
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '/';
}

bool kv_bucket_is_legal(const char *bucket)
{
    size_t len = strlen(bucket);
    for (size_t i = 0; i < len; i++) {
        if (!is_alphanumeric(bucket[i]) && bucket[i] != '-' && bucket[i] != '_')
            return false;
    }
    return len > 0 && len <= KV_BUCKET_MAX;
}

bool kv_key_is_legal(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < len; i++) {
        if (!is_plain(key[i]) && key[i] != '=' && key[i] != '.')
            return false;
        if (key[i] == '.' && (i == 0 || i + 1 == len || key[i + 1] == '.'))
            return false;
    }
    return len > 0 && len <= KV_KEY_MAX;
}

void kv_add_subject(struct buf *out, const char *bucket, const char *key)
{
    buf_add_str(out, "$KV.");
    buf_add_str(out, bucket);
    buf_add_char(out, '.');
    buf_add_str(out, key);
}

/* What the byte takes as it is escaped. */
static size_t part_of(char out[static 3], char c, bool plain)
{
    unsigned byte = (unsigned char)c;
    if (plain) {
        out[0] = c;
        return 1;
    }
    out[0] = '=';
    out[1] = hex_digits[byte >> 4];
    out[2] = hex_digits[byte & 15];
    return 3;
}

/* Nearly all: nothing to escape, and short enough. */
static bool is_key_already(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_plain(text.ptr[i]))
            return false;
    }
    return text.len && text.len <= KV_TOKEN_MAX && !slice_starts(text, SLICE("_kv"));
}

void kv_key_of(struct buf *out, struct slice text)
{
    if (is_key_already(text)) {
        buf_add_slice(out, text);
        return;
    }
    size_t begin = out->len, keep = out->len;
    bool reserved = slice_starts(text, SLICE("_kv"));
    if (!text.len)
        buf_add_char(out, '=');
    for (size_t i = 0; i < text.len; i++) {
        char part[3];
        size_t len = part_of(part, text.ptr[i], is_plain(text.ptr[i]) && !(reserved && i == 0));
        if (out->len - begin + len > KV_TOKEN_MAX) {
            uint8_t digest[BLAKE3_BYTES];
            blake3(text, digest);
            out->len = keep;
            buf_add_str(out, "=x");
            for (size_t d = 0; d < BLAKE3_BYTES; d++)
                buf_addf(out, "%02x", digest[d]);
            return;
        }
        buf_add(out, part, len);
        if (out->len - begin + DIGEST_PART <= KV_TOKEN_MAX)
            keep = out->len;
    }
}

static int hex_value(char c)
{
    const char *at = c ? strchr(hex_digits, c) : NULL;
    return at ? (int)(at - hex_digits) : -1;
}

bool kv_key_text(struct buf *out, struct slice part)
{
    struct buf again = {0};
    size_t begin = out->len;
    bool ok = part.len > 0;
    for (size_t i = 0; ok && i < part.len && !slice_eq(part, SLICE("=")); i++) {
        int high = i + 2 < part.len ? hex_value(part.ptr[i + 1]) : -1;
        int low = i + 2 < part.len ? hex_value(part.ptr[i + 2]) : -1;
        if (part.ptr[i] != '=') {
            buf_add_char(out, part.ptr[i]);
        } else if (high >= 0 && low >= 0) {
            buf_add_char(out, (char)(high << 4 | low));
            i += 2;
        } else {
            ok = false;
        }
    }
    /* Only what kv_key_of() itself writes: no dots, nothing escaped that need not be. */
    if (ok)
        kv_key_of(&again, (struct slice){out->ptr ? out->ptr + begin : "", out->len - begin});
    ok = ok && slice_eq(buf_slice(&again), part);
    if (!ok)
        out->len = begin;
    buf_done(&again);
    return ok;
}
