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

void json_add_string(struct buf *out, struct slice text)
{
    size_t begin = 0; /* from here on nothing is written yet */
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.len;) {
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
    if (out->len && out->ptr[out->len - 1] != '{')
        buf_add_char(out, ',');
    json_add_string(out, slice_of(name));
    buf_add_char(out, ':');
}
