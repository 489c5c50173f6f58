#include "event/cid.h"

/* SHA256_Init() and what goes with it: what took their place in OpenSSL 3 allocates. libsodium's is
 * four times slower where the processor has instructions for it. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "event/blake3.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648, lower case */

/* What cim-domain-document falls back to. */
static const struct slice constant =
    SLICE("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi");
static const struct slice pasted = SLICE("bafkreig");
enum {
    PASTED_DIGITS = 40,
    SIPHASH_DIGITS = 16,
};

/* --- reading -----------------------------------------------------------------------------------
 */

struct bytes {
    const uint8_t *ptr;
    size_t len;
};

/* Unsigned varint of at most 9 bytes, the shortest form only. */
static bool take_varint(struct bytes *in, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < in->len && i < 9; i++) {
        *ret |= (uint64_t)(in->ptr[i] & 0x7f) << (7 * i);
        if (in->ptr[i] & 0x80)
            continue;
        if (i && !in->ptr[i])
            return false;
        in->ptr += i + 1;
        in->len -= i + 1;
        return true;
    }
    return false;
}

static enum cid_reading parse_binary(struct bytes in, struct cid *ret)
{
    uint64_t version, codec, hash, len;
    /* CIDv0 is a bare SHA2-256 multihash, base58 in text: no CIM program makes one. */
    if (in.len == 34 && in.ptr[0] == CID_HASH_SHA2_256 && in.ptr[1] == CID_DIGEST_BYTES)
        return CID_UNSUPPORTED;
    if (!take_varint(&in, &version) || !take_varint(&in, &codec) || !take_varint(&in, &hash) ||
        !take_varint(&in, &len) || in.len != len)
        return CID_MALFORMED;
    if (version != 1)
        return version > 3 ? CID_MALFORMED : CID_UNSUPPORTED; /* 0 and 4 on are no versions */
    if (hash != CID_HASH_BLAKE3 && hash != CID_HASH_SHA2_256)
        return CID_UNSUPPORTED;
    if (len != CID_DIGEST_BYTES)
        return CID_MALFORMED;
    ret->codec = codec;
    ret->hash = (enum cid_hash)hash;
    memcpy(ret->digest, in.ptr, sizeof ret->digest);
    return CID_READ;
}

static bool is_hexadecimal(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return text.len > 0;
}

static bool is_fake(struct slice text)
{
    if (slice_starts(text, SLICE("Qm")))
        return text.len <= 2 + SIPHASH_DIGITS && is_hexadecimal(slice_from(text, 2));
    if (slice_starts(text, pasted))
        return text.len == pasted.len + PASTED_DIGITS &&
               is_hexadecimal(slice_from(text, pasted.len));
    return slice_eq(text, constant);
}

/* Base58 and the rest of the multibase table: perhaps a CID, but none that we can check. */
static bool is_other_base(struct slice text)
{
    static const char letters[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/-_=";
    if (text.len < 8 ||
        !(slice_starts(text, SLICE("Qm")) || strchr("f9FvVtTBcChkKzZmMuU7", *text.ptr)))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!memchr(letters, text.ptr[i], sizeof letters - 1))
            return false;
    }
    return true;
}

static int base32_value(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

enum cid_reading cid_parse_text(struct slice text, struct cid *ret)
{
    uint8_t binary[CID_BINARY_MAX];
    size_t used = 0;
    unsigned bits = 0, held = 0;
    if (!slice_present(text))
        return CID_ABSENT;
    if (is_fake(text))
        return CID_FAKE;
    if (!slice_starts(text, SLICE("b")))
        return is_other_base(text) ? CID_UNSUPPORTED : CID_MALFORMED;
    for (size_t i = 1; i < text.len; i++) {
        int value = base32_value(text.ptr[i]);
        if (value < 0 || used == sizeof binary)
            return CID_MALFORMED;
        held = (held << 5 | (unsigned)value) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            binary[used++] = (uint8_t)(held >> bits);
        }
    }
    /* What is left over must be no whole letter, and zero. */
    if (bits >= 5 || (held & ((1u << bits) - 1)))
        return CID_MALFORMED;
    return parse_binary((struct bytes){binary, used}, ret);
}

/* `[1,85,30,…]`, well-formed JSON already. */
static enum cid_reading parse_array(struct slice raw, struct cid *ret)
{
    uint8_t binary[CID_BINARY_MAX];
    size_t used = 0, digits = 0;
    unsigned value = 0;
    for (size_t i = 1; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c >= '0' && c <= '9') {
            value = value * 10 + (unsigned)(c - '0');
            if (++digits > 3 || value > 255)
                return CID_MALFORMED;
        } else if (c == ',' || c == ']') {
            if (!digits || used == sizeof binary)
                return CID_MALFORMED;
            binary[used++] = (uint8_t)value;
            value = 0, digits = 0;
        } else if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
            return CID_MALFORMED;
        }
    }
    enum cid_reading reading = parse_binary((struct bytes){binary, used}, ret);
    char text[CID_TEXT_MAX] = "";
    if (reading != CID_READ)
        return reading;
    return slice_eq((struct slice){text, cid_text(ret, text)}, constant) ? CID_FAKE : CID_READ;
}

enum cid_reading cid_parse_json(const struct json_value *value, struct cid *ret)
{
    if (value->type <= JSON_TYPE_NULL)
        return CID_ABSENT;
    if (value->type == JSON_TYPE_STRING)
        return cid_parse_text(value->raw, ret);
    return value->type == JSON_TYPE_ARRAY ? parse_array(value->raw, ret) : CID_MALFORMED;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t used = 0;
    for (; value >= 0x80; value >>= 7)
        out[used++] = (uint8_t)(value | 0x80);
    out[used++] = (uint8_t)value;
    return used;
}

size_t cid_binary(const struct cid *cid, uint8_t out[static CID_BINARY_MAX])
{
    size_t used = 0;
    out[used++] = 1;
    used += put_varint(out + used, cid->codec);
    used += put_varint(out + used, cid->hash);
    out[used++] = CID_DIGEST_BYTES;
    memcpy(out + used, cid->digest, CID_DIGEST_BYTES);
    return used + CID_DIGEST_BYTES;
}

size_t cid_text(const struct cid *cid, char out[static CID_TEXT_MAX])
{
    uint8_t binary[CID_BINARY_MAX];
    size_t len = cid_binary(cid, binary), used = 0;
    unsigned bits = 0, held = 0;
    out[used++] = 'b';
    for (size_t i = 0; i < len; i++) {
        held = (held << 8 | binary[i]) & 0xfff;
        for (bits += 8; bits >= 5; bits -= 5)
            out[used++] = alphabet[held >> (bits - 5) & 31];
    }
    if (bits)
        out[used++] = alphabet[held << (5 - bits) & 31];
    return used;
}

/* --- content -----------------------------------------------------------------------------------
 */

void cid_of(uint64_t codec, enum cid_hash hash, struct slice bytes, struct cid *ret)
{
    _Static_assert(CID_DIGEST_BYTES == BLAKE3_BYTES, "as long as BLAKE3's");
    _Static_assert(CID_DIGEST_BYTES == SHA256_DIGEST_LENGTH, "and as SHA-256's");
    ret->codec = codec;
    ret->hash = hash;
    if (hash == CID_HASH_BLAKE3) {
        blake3(bytes, ret->digest);
        return;
    }
    SHA256_CTX context;
    (void)SHA256_Init(&context);
    (void)SHA256_Update(&context, bytes.ptr, bytes.len);
    (void)SHA256_Final(ret->digest, &context);
}

bool cid_eq(const struct cid *a, const struct cid *b)
{
    return a->codec == b->codec && a->hash == b->hash &&
           memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

bool cid_names(const struct cid *cid, struct slice bytes)
{
    struct cid wanted;
    cid_of(cid->codec, cid->hash, bytes, &wanted);
    return cid_eq(cid, &wanted);
}
