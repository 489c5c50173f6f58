#include "json/array.h"

struct slice json_array_of(const struct json_value *value)
{
    if (value->type != JSON_TYPE_ARRAY || value->raw.len < 2)
        return SLICE("");
    return (struct slice){value->raw.ptr + 1, value->raw.len - 2};
}

static bool is_between(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',';
}

/* The place behind the string that begins at `at`. */
static size_t behind_string(struct slice text, size_t at)
{
    for (at++; at < text.len && text.ptr[at] != '"'; at++) {
        if (text.ptr[at] == '\\')
            at++;
    }
    return at + 1;
}

bool json_array_next(struct slice *rest, struct slice *item)
{
    size_t at = 0, depth = 0;
    while (at < rest->len && is_between(rest->ptr[at]))
        at++;
    *rest = slice_from(*rest, at);
    if (!rest->len)
        return false;
    for (at = 0; at < rest->len;) {
        char c = rest->ptr[at];
        if (c == '"') {
            at = behind_string(*rest, at);
            continue;
        }
        if (depth == 0 && is_between(c))
            break;
        depth += c == '{' || c == '[';
        depth -= (c == '}' || c == ']') && depth > 0;
        at++;
    }
    if (at > rest->len)
        at = rest->len;
    *item = (struct slice){rest->ptr, at};
    *rest = slice_from(*rest, at);
    return true;
}
