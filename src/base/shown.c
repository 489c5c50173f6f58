#include "base/shown.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/utf8.h"

/* How many bytes at `at` are a character that no terminal is to see. */
static size_t length_to_hide(const unsigned char *at, size_t left, bool keep_lines)
{
    if (at[0] < 0x20 || at[0] == 0x7f)
        return !(keep_lines && at[0] == '\n');
    if (at[0] == 0xc2 && left > 1 && at[1] < 0xa0)
        return 2; /* C1 */
    if (at[0] != 0xe2 || left < 3)
        return 0;
    bool embeds =
        at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xaa && at[2] <= 0xae));
    bool isolates = at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9;
    return embeds || isolates ? 3 : 0;
}

static void add(struct buf *out, struct slice text, bool keep_lines)
{
    size_t begin = out->len;
    utf8_add_clean(out, text);
    for (size_t i = begin; i < out->len;) {
        size_t hide = length_to_hide((unsigned char *)out->ptr + i, out->len - i, keep_lines);
        memset(out->ptr + i, '.', hide);
        i += hide ? hide : 1;
    }
}

void shown_add(struct buf *out, struct slice text)
{
    add(out, text, false);
}

void shown_error(const char *format, ...)
{
    CLEANUP_BUF struct buf clean = {0};
    CLEANUP_FREE char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (text)
        add(&clean, slice_of(text), true);
    (void)fwrite(clean.ptr ? clean.ptr : "", 1, clean.len, stderr);
}
