#include "json/write.h"

#include "base/utf8.h"

static void add_escape(struct buf *out, unsigned char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *known = c ? strchr(plain, c) : NULL;
    buf_add_char(out, '\\');
    if (known)
        buf_add_char(out, letter[known - plain]);
    else
        buf_addf(out, "u%04x", c);
}

/* Eight bytes that need nothing: ASCII without controls, quotes and backslashes. */
static bool are_plain(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    uint64_t marks = word | (word - ones * 0x20) | (quote - ones) | (slash - ones);
    return !(marks & highs);
}

void json_add_string(struct buf *out, struct slice text)
{
    size_t begin = 0; /* from here on nothing is written yet */
    buf_reserve(out, text.len + 2);
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.len;) {
        if (text.len - i >= sizeof(uint64_t) && are_plain(text.ptr + i)) {
            i += sizeof(uint64_t);
            continue;
        }
        unsigned char c = (unsigned char)text.ptr[i];
        size_t len = utf8_length(text.ptr + i, text.len - i);
        if (len && c >= 0x20 && c != '"' && c != '\\') {
            i += len;
            continue;
        }
        buf_add(out, text.ptr + begin, i - begin);
        if (len)
            add_escape(out, c);
        else
            buf_add_str(out, "\xef\xbf\xbd");
        begin = ++i;
    }
    if (text.len > begin)
        buf_add(out, text.ptr + begin, text.len - begin);
    buf_add_char(out, '"');
}

void json_add_name(struct buf *out, const char *name)
{
    json_add_member(out, slice_of(name));
}

void json_add_member(struct buf *out, struct slice name)
{
    if (out->len && out->ptr[out->len - 1] != '{')
        buf_add_char(out, ',');
    json_add_string(out, name);
    buf_add_char(out, ':');
}
