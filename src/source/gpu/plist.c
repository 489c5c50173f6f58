#include "source/gpu/plist.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"

struct cursor {
    struct slice rest;
};

/* The next tag, without its brackets; texts before it are passed over. False: there is none. */
static bool next_tag(struct cursor *in, struct slice *ret_before, struct slice *ret_tag)
{
    const char *open = in->rest.len ? memchr(in->rest.ptr, '<', in->rest.len) : NULL;
    if (!open)
        return false;
    size_t at = (size_t)(open - in->rest.ptr);
    const char *close = memchr(open, '>', in->rest.len - at);
    if (!close)
        return false;
    *ret_before = (struct slice){in->rest.ptr, at};
    *ret_tag = (struct slice){open + 1, (size_t)(close - open) - 1};
    in->rest = slice_from(in->rest, (size_t)(close - in->rest.ptr) + 1);
    return true;
}

/* The next tag that is an element: no declaration, no comment. */
static bool next_element(struct cursor *in, struct slice *ret_before, struct slice *ret_tag)
{
    do {
        if (!next_tag(in, ret_before, ret_tag))
            return false;
    } while (ret_tag->len && (ret_tag->ptr[0] == '?' || ret_tag->ptr[0] == '!'));
    return true;
}

static void add_text(struct buf *out, struct slice raw)
{
    static const struct {
        struct slice name;
        char c;
    } entities[] = {{SLICE("&amp;"), '&'},
                    {SLICE("&lt;"), '<'},
                    {SLICE("&gt;"), '>'},
                    {SLICE("&quot;"), '"'},
                    {SLICE("&apos;"), '\''}};
    while (raw.len) {
        size_t i = 0;
        while (raw.ptr[0] == '&' && i < ARRAY_LEN(entities) && !slice_starts(raw, entities[i].name))
            i++;
        bool entity = raw.ptr[0] == '&' && i < ARRAY_LEN(entities);
        buf_add_char(out, entity ? entities[i].c : raw.ptr[0]);
        raw = slice_from(raw, entity ? entities[i].name.len : 1);
    }
}

static json_t *text_value(struct slice raw)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_BUF struct buf clean = {0};
    add_text(&text, raw);
    utf8_add_clean(&clean, buf_slice(&text));
    return json_stringn(buf_slice(&clean).ptr, clean.len);
}

static json_t *number_value(struct slice name, struct slice raw)
{
    char text[64], *end;
    raw = slice_trim(raw);
    if (!raw.len || raw.len >= sizeof text)
        return NULL;
    memcpy(text, raw.ptr, raw.len);
    text[raw.len] = 0;
    if (slice_eq(name, SLICE("integer"))) {
        long long whole = strtoll(text, &end, 0);
        return *end ? NULL : json_integer(whole);
    }
    double real = strtod(text, &end);
    return *end ? NULL : json_real(real); /* NULL for what JSON cannot hold */
}

/* `<name>text</name>`: the text; the closing tag must follow. */
static bool leaf_text(struct cursor *in, struct slice name, struct slice *ret)
{
    struct slice tag;
    return next_tag(in, ret, &tag) && tag.len == name.len + 1 && tag.ptr[0] == '/' &&
           slice_eq(slice_from(tag, 1), name);
}

static json_t *value_of(struct cursor *in, struct slice tag, int depth);

static json_t *array_value(struct cursor *in, int depth)
{
    json_t *array = json_array();
    struct slice before, tag;
    while (next_element(in, &before, &tag)) {
        if (slice_eq(tag, SLICE("/array")))
            return array;
        json_t *item = value_of(in, tag, depth + 1);
        if (!item)
            break;
        (void)json_array_append_new(array, item);
    }
    json_decref(array);
    return NULL;
}

static json_t *dict_value(struct cursor *in, int depth)
{
    json_t *dict = json_object();
    struct slice before, tag, raw;
    while (next_element(in, &before, &tag)) {
        if (slice_eq(tag, SLICE("/dict")))
            return dict;
        if (!slice_eq(tag, SLICE("key")) || !leaf_text(in, SLICE("key"), &raw) ||
            !next_element(in, &before, &tag))
            break;
        json_t *key = text_value(raw), *value = value_of(in, tag, depth + 1);
        bool sound = key && value && strlen(json_string_value(key)) == json_string_length(key);
        if (sound)
            (void)json_object_set(dict, json_string_value(key), value);
        json_decref(key);
        json_decref(value);
        if (!sound)
            break;
    }
    json_decref(dict);
    return NULL;
}

/* The value that this tag opens; NULL: it is none, or too deep. */
static json_t *value_of(struct cursor *in, struct slice tag, int depth)
{
    struct slice raw;
    if (depth > PLIST_DEPTH_MAX)
        return NULL;
    if (slice_eq(tag, SLICE("dict")))
        return dict_value(in, depth);
    if (slice_eq(tag, SLICE("array")))
        return array_value(in, depth);
    if (slice_eq(tag, SLICE("dict/")))
        return json_object();
    if (slice_eq(tag, SLICE("array/")))
        return json_array();
    if (slice_eq(tag, SLICE("true/")) || slice_eq(tag, SLICE("false/")))
        return json_boolean(tag.ptr[0] == 't');
    if (slice_eq(tag, SLICE("string/")))
        return json_string("");
    bool is_text = slice_eq(tag, SLICE("string")) || slice_eq(tag, SLICE("data")) ||
                   slice_eq(tag, SLICE("date"));
    bool is_number = slice_eq(tag, SLICE("integer")) || slice_eq(tag, SLICE("real"));
    if ((!is_text && !is_number) || !leaf_text(in, tag, &raw))
        return NULL;
    return is_text ? text_value(raw) : number_value(tag, raw);
}

json_t *plist_parse(struct slice text)
{
    struct cursor in = {text};
    struct slice before, tag;
    if (!next_element(&in, &before, &tag) || !slice_starts(tag, SLICE("plist")) ||
        !next_element(&in, &before, &tag))
        return NULL;
    return value_of(&in, tag, 0);
}
