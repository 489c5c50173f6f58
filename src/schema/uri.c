#include "schema/uri.h"

struct parts {
    struct slice scheme, authority, path, query, fragment; /* absent where there is none */
};

struct slice uri_without_fragment(struct slice uri, struct slice *ret_fragment)
{
    const char *hash = uri.len ? memchr(uri.ptr, '#', uri.len) : NULL;
    *ret_fragment = SLICE_ABSENT;
    if (!hash)
        return uri;
    struct slice before = {uri.ptr, (size_t)(hash - uri.ptr)};
    *ret_fragment = slice_from(uri, before.len + 1);
    return before;
}

/* The length of the scheme before ':', 0 when the text begins with none. */
static size_t scheme_length(struct slice uri)
{
    for (size_t i = 0; i < uri.len; i++) {
        char c = uri.ptr[i], low = (char)(c | 0x20);
        bool letter = low >= 'a' && low <= 'z';
        if (c == ':')
            return i;
        if (!letter && (!i || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return 0;
    }
    return 0;
}

bool uri_is_absolute(struct slice uri)
{
    return scheme_length(uri) > 0;
}

static size_t length_until(struct slice text, const char *stops)
{
    size_t i = 0;
    while (i < text.len && !(text.ptr[i] && strchr(stops, text.ptr[i])))
        i++;
    return i;
}

static struct parts split(struct slice uri)
{
    struct parts p = {.fragment = SLICE_ABSENT};
    struct slice rest = uri_without_fragment(uri, &p.fragment);
    size_t scheme = scheme_length(rest);
    if (scheme) {
        p.scheme = (struct slice){rest.ptr, scheme};
        rest = slice_from(rest, scheme + 1);
    }
    if (slice_starts(rest, SLICE("//"))) {
        rest = slice_from(rest, 2);
        p.authority = (struct slice){rest.ptr, length_until(rest, "/?")};
        rest = slice_from(rest, p.authority.len);
    }
    p.path = (struct slice){rest.ptr ? rest.ptr : "", length_until(rest, "?")};
    rest = slice_from(rest, p.path.len);
    if (rest.len)
        p.query = slice_from(rest, 1);
    return p;
}

/* Section 5.2.4, on whole segments. */
static void add_without_dots(struct slice path, struct buf *out)
{
    size_t floor = out->len;
    struct slice rest = path;
    while (rest.len) {
        size_t lead = rest.ptr[0] == '/';
        size_t len = lead + length_until(slice_from(rest, lead), "/");
        struct slice segment = {rest.ptr + lead, len - lead};
        bool last = len == rest.len;
        if (slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE(".."))) {
            if (segment.len == 2) {
                while (out->len > floor && out->ptr[out->len - 1] != '/')
                    out->len--;
                if (out->len > floor)
                    out->len--;
            }
            if (last)
                buf_add_char(out, '/');
        } else {
            buf_add(out, rest.ptr, len);
        }
        rest = slice_from(rest, len);
    }
}

/* Section 5.2.3: the reference's path in the place of the base's last segment. */
static void add_merged(const struct parts *base, struct slice path, struct buf *out)
{
    CLEANUP_BUF struct buf merged = {0};
    size_t keep = base->path.len;
    while (keep && base->path.ptr[keep - 1] != '/')
        keep--;
    if (slice_present(base->authority) && !base->path.len)
        buf_add_char(&merged, '/');
    buf_add(&merged, base->path.ptr, keep);
    buf_add_slice(&merged, path);
    add_without_dots(buf_slice(&merged), out);
}

void uri_resolve(struct slice base_text, struct slice reference, struct buf *ret)
{
    struct parts base = split(base_text), r = split(reference);
    bool whole = slice_present(r.scheme), own_authority = whole || slice_present(r.authority);
    struct slice scheme = whole ? r.scheme : base.scheme;
    struct slice authority = own_authority ? r.authority : base.authority;
    struct slice query = r.query;
    if (slice_present(scheme)) {
        buf_add_slice(ret, scheme);
        buf_add_char(ret, ':');
    }
    if (slice_present(authority)) {
        buf_add_str(ret, "//");
        buf_add_slice(ret, authority);
    }
    if (own_authority || (r.path.len && r.path.ptr[0] == '/')) {
        add_without_dots(r.path, ret);
    } else if (r.path.len) {
        add_merged(&base, r.path, ret);
    } else {
        buf_add_slice(ret, base.path);
        if (!slice_present(query))
            query = base.query;
    }
    if (slice_present(query)) {
        buf_add_char(ret, '?');
        buf_add_slice(ret, query);
    }
    if (slice_present(r.fragment)) {
        buf_add_char(ret, '#');
        buf_add_slice(ret, r.fragment);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void uri_decode(struct slice text, struct buf *ret)
{
    for (size_t i = 0; i < text.len; i++) {
        int high = text.ptr[i] == '%' && i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
        if (low >= 0) {
            buf_add_char(ret, (char)(high * 16 + low));
            i += 2;
        } else {
            buf_add_char(ret, text.ptr[i]);
        }
    }
}
