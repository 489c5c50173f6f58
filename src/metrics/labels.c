#include "metrics/labels.h"

#include "base/utf8.h"

void label_text_done(struct label_text *text)
{
    buf_done(&text->text);
    buf_done(&text->scratch);
}

/* --- values to text --------------------------------------------------------------------------- */

/* Neither to be mended nor to be escaped, as nearly all are. */
static bool is_plain(struct slice value)
{
    if (value.len > LABEL_BYTES_MAX)
        return false;
    unsigned bad = 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bad |= (unsigned)(c < 0x20) | (unsigned)(c >= 0x80) | (unsigned)(c == '"') |
               (unsigned)(c == '\\');
    }
    return !bad;
}

/* Cut, ended at a NUL, and UTF-8. */
static struct slice mend(struct slice value, struct buf *scratch)
{
    value = utf8_cut(value, LABEL_BYTES_MAX);
    const char *nul = value.len ? memchr(value.ptr, 0, value.len) : NULL;
    if (nul)
        value.len = (size_t)(nul - value.ptr);
    buf_reset(scratch);
    utf8_add_clean(scratch, value);
    /* Mending makes it longer; cut again, so that what a snapshot brings back stays the same. */
    return utf8_cut(buf_slice(scratch), LABEL_BYTES_MAX);
}

static void add_escaped(struct buf *out, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"' || c == '\n')
            buf_add_char(out, '\\');
        buf_add_char(out, c == '\n' ? 'n' : c);
    }
}

static void add_label(struct label_text *ret, const struct metric_spec *spec, size_t label,
                      struct slice value, bool plain)
{
    struct buf *out = &ret->text;
    if (out->len)
        buf_add_char(out, ',');
    buf_add_str(out, spec->labels[label]);
    buf_add(out, "=\"", 2);
    size_t begin = out->len;
    if (plain)
        buf_add_slice(out, value);
    else
        add_escaped(out, value);
    ret->places[label] = (struct label_place){(uint32_t)begin, (uint32_t)(out->len - begin)};
    buf_add_char(out, '"');
}

void label_text_render(const struct metric_spec *spec, const struct slice *values,
                       struct label_text *ret)
{
    buf_reset(&ret->text);
    for (size_t i = 0; i < spec->label_count; i++) {
        struct slice value = values[i];
        bool plain = is_plain(value);
        if (!plain)
            value = mend(value, &ret->scratch);
        if (value.len)
            add_label(ret, spec, i, value, plain);
        else
            ret->places[i] = (struct label_place){0, 0};
    }
}

struct slice label_text_value(const struct label_text *text, size_t label)
{
    struct label_place place = text->places[label];
    return (struct slice){place.len ? text->text.ptr + place.at : "", place.len};
}

void label_text_overflow(const struct metric_spec *spec, unsigned marked, struct label_text *ret)
{
    struct buf *old = &ret->scratch;
    buf_reset(old);
    buf_add_slice(old, buf_slice(&ret->text));
    buf_reset(&ret->text);
    for (size_t i = 0; i < spec->label_count; i++) {
        struct slice value = {old->ptr + ret->places[i].at, ret->places[i].len};
        if (marked >> i & 1)
            value = SLICE(OVERFLOW_LABEL);
        if (value.len)
            add_label(ret, spec, i, value, true); /* is escaped already */
    }
}

/* --- and back --------------------------------------------------------------------------------- */

void label_text_places(const struct metric_spec *spec, struct slice text,
                       struct label_place places[static METRIC_LABELS_MAX])
{
    size_t at = 0;
    for (size_t i = 0; i < spec->label_count; i++) {
        size_t name = strlen(spec->labels[i]);
        places[i] = (struct label_place){0, 0};
        if (text.len - at < name + 3 || memcmp(text.ptr + at, spec->labels[i], name) != 0 ||
            text.ptr[at + name] != '=')
            continue;
        size_t begin = at + name + 2, end = begin;
        while (end < text.len && text.ptr[end] != '"')
            end += text.ptr[end] == '\\' ? 2 : 1;
        places[i] = (struct label_place){(uint32_t)begin, (uint32_t)(end - begin)};
        at = end + 2 < text.len ? end + 2 : text.len; /* behind the quote and the comma */
    }
}

struct slice label_value_plain(struct slice escaped, struct buf *scratch)
{
    if (!escaped.len || !memchr(escaped.ptr, '\\', escaped.len))
        return escaped;
    buf_reset(scratch);
    for (size_t i = 0; i < escaped.len; i++) {
        char c = escaped.ptr[i];
        if (c == '\\' && i + 1 < escaped.len) {
            c = escaped.ptr[++i];
            c = c == 'n' ? '\n' : c;
        }
        buf_add_char(scratch, c);
    }
    return buf_slice(scratch);
}
