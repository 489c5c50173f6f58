#include "schema/document.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "schema/decimal.h"

void document_done(struct document *document)
{
    free(document->values);
    buf_done(&document->decoded);
    *document = (struct document){0};
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
    struct document *document;
    const char *begin, *at, *end;
};

static void skip_space(struct reading *r)
{
    while (r->at < r->end && (unsigned char)*r->at <= ' ')
        r->at++;
}

/* The first byte of the text from `at` on that may be a quote or a backslash; eight at a time. */
static const char *skip_plain(const char *at, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
        uint64_t found = (((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops;
        if (found)
            return at + (__builtin_ctzll(found) >> 3);
    }
    return at;
}

/* At the opening quote. */
static bool read_string(struct reading *r, struct slice *ret)
{
    const char *start = ++r->at;
    bool escaped = false;
    for (;; r->at++) {
        r->at = skip_plain(r->at, r->end);
        if (r->at >= r->end)
            return false;
        if (*r->at == '"')
            break;
        if (*r->at == '\\') {
            escaped = true;
            r->at++;
        }
    }
    *ret = (struct slice){start, (size_t)(r->at++ - start)};
    if (!escaped)
        return true;
    /* Decoded text is never longer than what it was written as, and room for all was made. */
    struct buf *decoded = &r->document->decoded;
    size_t from = decoded->len;
    json_unescape(*ret, decoded);
    *ret = (struct slice){decoded->ptr + from, decoded->len - from};
    return true;
}

static bool read_word(struct reading *r, struct slice word)
{
    if ((size_t)(r->end - r->at) < word.len)
        return false;
    r->at += word.len;
    return true;
}

static bool read_scalar(struct reading *r, struct document_value *ret)
{
    const char *start = r->at;
    switch (*r->at) {
    case '"': ret->type = JSON_TYPE_STRING; return read_string(r, &ret->text);
    case 't': ret->type = JSON_TYPE_TRUE; return read_word(r, SLICE("true"));
    case 'f': ret->type = JSON_TYPE_FALSE; return read_word(r, SLICE("false"));
    case 'n': ret->type = JSON_TYPE_NULL; return read_word(r, SLICE("null"));
    default: break;
    }
    while (r->at < r->end && ((*r->at >= '0' && *r->at <= '9') || *r->at == '-' || *r->at == '+' ||
                              *r->at == '.' || *r->at == 'e' || *r->at == 'E'))
        r->at++;
    ret->type = JSON_TYPE_NUMBER;
    ret->text = (struct slice){start, (size_t)(r->at - start)};
    return r->at > start;
}

static struct document_value *add_value(struct document *document)
{
    if (document->count + 2 > document->room) {
        document->room = document->room ? document->room * 2 : 64;
        document->values = xrealloc(document->values, document->room, sizeof *document->values);
    }
    struct document_value *value = &document->values[document->count++];
    *value = (struct document_value){.type = JSON_TYPE_ABSENT};
    return value;
}

static bool read_name(struct reading *r, struct slice *ret)
{
    if (r->at >= r->end || *r->at != '"' || !read_string(r, ret))
        return false;
    skip_space(r);
    if (r->at >= r->end || *r->at != ':')
        return false;
    r->at++;
    skip_space(r);
    return true;
}

static enum document_result read_all(struct reading *r)
{
    struct document *document = r->document;
    uint32_t stack[JSON_DEPTH_MAX], depth = 0;
    struct slice name = SLICE_ABSENT;
    for (;;) {
        if (document->count == DOCUMENT_VALUES_MAX)
            return DOCUMENT_TOO_LARGE;
        if (r->at >= r->end)
            return DOCUMENT_MALFORMED;
        struct document_value *value = add_value(document);
        value->name = name;
        value->at = (uint32_t)(r->at - r->begin);
        bool opens = *r->at == '{' || *r->at == '[';
        if (opens) {
            if (depth == JSON_DEPTH_MAX)
                return DOCUMENT_TOO_LARGE;
            value->type = *r->at++ == '{' ? JSON_TYPE_OBJECT : JSON_TYPE_ARRAY;
            stack[depth++] = document->count - 1;
        } else {
            if (!read_scalar(r, value))
                return DOCUMENT_MALFORMED;
            value->next = document->count;
        }
        /* To where the next value begins, over all ends of containers in between. */
        for (;;) {
            skip_space(r);
            if (!depth)
                return r->at == r->end ? DOCUMENT_READ : DOCUMENT_MALFORMED;
            if (r->at >= r->end)
                return DOCUMENT_MALFORMED;
            struct document_value *around = &document->values[stack[depth - 1]];
            bool closes = *r->at == (around->type == JSON_TYPE_OBJECT ? '}' : ']');
            if (!closes) {
                if (!opens && *r->at++ != ',')
                    return DOCUMENT_MALFORMED;
                around->count++;
                skip_space(r);
                name = SLICE_ABSENT;
                if (around->type == JSON_TYPE_OBJECT && !read_name(r, &name))
                    return DOCUMENT_MALFORMED;
                break;
            }
            r->at++;
            around->next = document->count;
            depth--;
            opens = false;
        }
    }
}

enum document_result document_read(struct document *document, struct slice text)
{
    struct reading r = {document, text.ptr, text.ptr, text.ptr + text.len};
    document->count = 0;
    buf_reset(&document->decoded);
    if (text.len > DOCUMENT_BYTES_MAX)
        return DOCUMENT_TOO_LARGE;
    if (text.len && memchr(text.ptr, '\\', text.len))
        buf_reserve(&document->decoded, text.len);
    skip_space(&r);
    enum document_result result = read_all(&r);
    if (result != DOCUMENT_READ)
        document->count = 0;
    return result;
}

uint32_t document_member(const struct document *document, uint32_t object, struct slice name)
{
    if (document->values[object].type != JSON_TYPE_OBJECT)
        return 0;
    DOCUMENT_EACH(document, object, at)
    {
        if (slice_eq(document->values[at].name, name))
            return at;
    }
    return 0;
}

/* --- equality --------------------------------------------------------------------------------- */

static bool equal_members(const struct document *a, uint32_t of_a, const struct document *b,
                          uint32_t of_b, uint64_t *steps)
{
    DOCUMENT_EACH(a, of_a, at)
    {
        uint32_t other = document_member(b, of_b, a->values[at].name);
        uint64_t looked = b->values[of_b].count;
        *steps -= looked < *steps ? looked : *steps;
        if (!other || !document_equal(a, at, b, other, steps))
            return false;
    }
    return true;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
bool document_equal(const struct document *a, uint32_t value_a, const struct document *b,
                    uint32_t value_b, uint64_t *steps)
{
    const struct document_value *x = &a->values[value_a], *y = &b->values[value_b];
    if (!*steps || !--*steps)
        return false;
    if (x->type != y->type || x->count != y->count)
        return false;
    switch (x->type) {
    case JSON_TYPE_STRING: return slice_eq(x->text, y->text);
    case JSON_TYPE_NUMBER: return decimal_compare(x->text, y->text) == 0;
    case JSON_TYPE_OBJECT: return equal_members(a, value_a, b, value_b, steps);
    case JSON_TYPE_ARRAY: {
        uint32_t other = value_b + 1;
        DOCUMENT_EACH(a, value_a, at)
        {
            if (!document_equal(a, at, b, other, steps))
                return false;
            other = b->values[other].next;
        }
        return true;
    }
    case JSON_TYPE_ABSENT:
    case JSON_TYPE_NULL:
    case JSON_TYPE_FALSE:
    case JSON_TYPE_TRUE: break;
    }
    return true;
}

uint64_t document_hash(const struct document *document, uint32_t value)
{
    const struct document_value *v = &document->values[value];
    uint64_t hash = (uint64_t)v->type + 1;
    if (v->type == JSON_TYPE_STRING)
        return XXH3_64bits_withSeed(v->text.ptr, v->text.len, hash);
    if (v->type == JSON_TYPE_NUMBER)
        return decimal_hash(v->text);
    if (!document_is_container(v))
        return hash;
    DOCUMENT_EACH(document, value, at)
    {
        uint64_t parts[2] = {document_hash(document, at), hash};
        if (v->type == JSON_TYPE_ARRAY) {
            hash = XXH3_64bits(parts, sizeof parts);
        } else { /* a sum: members come in any order */
            struct slice name = document->values[at].name;
            parts[1] = XXH3_64bits(name.ptr, name.len);
            hash += XXH3_64bits(parts, sizeof parts);
        }
    }
    return hash;
}

/* --- pointers --------------------------------------------------------------------------------- */

void document_pointer_token(struct slice name, struct buf *out)
{
    buf_add_char(out, '/');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '~')
            buf_add_str(out, "~0");
        else if (name.ptr[i] == '/')
            buf_add_str(out, "~1");
        else
            buf_add_char(out, name.ptr[i]);
    }
}

void document_pointer(const struct document *document, uint32_t value, struct buf *out)
{
    uint32_t around = 0;
    while (around != value) {
        uint64_t index = 0;
        uint32_t inner = around;
        DOCUMENT_EACH(document, around, at)
        {
            if (value >= at && value < document->values[at].next) {
                inner = at;
                break;
            }
            index++;
        }
        if (inner == around)
            return;
        if (document->values[around].type == JSON_TYPE_OBJECT) {
            document_pointer_token(document->values[inner].name, out);
        } else {
            buf_add_char(out, '/');
            buf_add_u64(out, index);
        }
        around = inner;
    }
}
