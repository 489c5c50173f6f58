/*
 * The walker. One loop, one explicit stack, three states:
 *
 *     VALUE ──scalar──▶ AFTER ──','──▶ VALUE (in an array) or KEY (in an object)
 *       │                 ▲  │
 *      '{' / '['          │  └─'}' / ']'──▶ AFTER of the container around it
 *       ▼                 │
 *     KEY / VALUE of the new container (or its end at once)
 *
 * Beside each open container lies the trie node that describes what is wanted inside it, or NONE:
 * then the bytes are only validated.
 */
#include "base/utf8.h"
#include "json/scan.h"

struct frame {
    const char *start;
    uint32_t node;
    bool is_object;
    bool first;
};

struct walk {
    const struct json_plan *plan;
    const char *begin, *at, *end;
    struct json_value *values;
    struct json_error *error;
};

/* Character classes; one table, looked at once per byte outside strings. */
enum {
    CLASS_SPACE = 1,
    CLASS_DIGIT = 2,
};

static const unsigned char classes[256] = {
    [' '] = CLASS_SPACE, ['\t'] = CLASS_SPACE, ['\n'] = CLASS_SPACE, ['\r'] = CLASS_SPACE,
    ['0'] = CLASS_DIGIT, ['1'] = CLASS_DIGIT,  ['2'] = CLASS_DIGIT,  ['3'] = CLASS_DIGIT,
    ['4'] = CLASS_DIGIT, ['5'] = CLASS_DIGIT,  ['6'] = CLASS_DIGIT,  ['7'] = CLASS_DIGIT,
    ['8'] = CLASS_DIGIT, ['9'] = CLASS_DIGIT,
};

static bool fail(struct walk *w, const char *what)
{
    w->error->what = what;
    w->error->offset = (size_t)(w->at - w->begin);
    return false;
}

static inline void skip_space(struct walk *w)
{
    while (w->at < w->end && classes[(unsigned char)*w->at] == CLASS_SPACE)
        w->at++;
}

static inline bool is_digit(const struct walk *w)
{
    return w->at < w->end && classes[(unsigned char)*w->at] == CLASS_DIGIT;
}

/* --- strings ---------------------------------------------------------------------------------- */

/* True when a byte of the word is a quote, a backslash, below 0x20 or above 0x7f (SWAR). */
static inline bool has_special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return ((word | (word - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
            tops) != 0;
}

static bool escape(struct walk *w)
{
    w->at++; /* the backslash */
    if (w->at >= w->end)
        return fail(w, "the text ends inside a string");
    switch (*w->at++) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return true;
    case 'u': break;
    default: w->at--; return fail(w, "an unknown escape in a string");
    }
    for (int i = 0; i < 4; i++, w->at++) {
        if (w->at >= w->end)
            return fail(w, "the text ends inside a string");
        char c = *w->at;
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!hex)
            return fail(w, "\\u wants four hexadecimal digits");
    }
    return true;
}

/* At the byte after the opening quote; leaves w->at behind the closing one. */
static bool string(struct walk *w, struct slice *ret, bool *ret_escaped)
{
    const char *start = w->at;
    *ret_escaped = false;
    for (;;) {
        uint64_t word;
        while (w->end - w->at >= 8) {
            memcpy(&word, w->at, sizeof word);
            if (has_special(word))
                break;
            w->at += 8;
        }
        if (w->at >= w->end)
            return fail(w, "the text ends inside a string");
        unsigned char c = (unsigned char)*w->at;
        if (c == '"') {
            *ret = (struct slice){start, (size_t)(w->at - start)};
            w->at++;
            return true;
        }
        if (c == '\\') {
            *ret_escaped = true;
            if (!escape(w))
                return false;
        } else if (c < 0x20) {
            return fail(w, "a control character in a string");
        } else if (c < 0x80) {
            w->at++;
        } else {
            size_t len = utf8_length(w->at, (size_t)(w->end - w->at));
            if (!len)
                return fail(w, "invalid UTF-8");
            w->at += len;
        }
    }
}

/* --- other scalars ---------------------------------------------------------------------------- */

static bool number(struct walk *w)
{
    if (*w->at == '-')
        w->at++;
    if (!is_digit(w))
        return fail(w, "a digit was expected");
    if (*w->at == '0') {
        w->at++;
    } else {
        while (is_digit(w))
            w->at++;
    }
    if (w->at < w->end && *w->at == '.') {
        w->at++;
        if (!is_digit(w))
            return fail(w, "a digit was expected behind the point");
        while (is_digit(w))
            w->at++;
    }
    if (w->at < w->end && (*w->at == 'e' || *w->at == 'E')) {
        w->at++;
        if (w->at < w->end && (*w->at == '+' || *w->at == '-'))
            w->at++;
        if (!is_digit(w))
            return fail(w, "a digit was expected in the exponent");
        while (is_digit(w))
            w->at++;
    }
    return true;
}

static bool word(struct walk *w, struct slice text)
{
    if ((size_t)(w->end - w->at) < text.len || memcmp(w->at, text.ptr, text.len) != 0)
        return fail(w, "a value was expected");
    w->at += text.len;
    return true;
}

/* --- what is wanted --------------------------------------------------------------------------- */

static void store(const struct walk *w, const uint16_t *slots, size_t count,
                  struct json_value value)
{
    for (size_t i = 0; i < count; i++) {
        if (w->values[slots[i]].type == JSON_TYPE_ABSENT)
            w->values[slots[i]] = value;
    }
}

static inline void want(const struct walk *w, uint32_t node, struct json_value value)
{
    if (node != JSON_NODE_NONE && w->plan->nodes[node].slot_count)
        store(w, w->plan->nodes[node].slots, w->plan->nodes[node].slot_count, value);
}

static inline uint32_t child_of(const struct json_plan *plan, uint32_t node, struct slice name)
{
    if (node == JSON_NODE_NONE)
        return JSON_NODE_NONE;
    return json_plan_child(&plan->nodes[node], name, json_name_first(name), json_name_last(name));
}

/* A scalar at w->at, wanted by `node`. */
static bool scalar(struct walk *w, uint32_t node)
{
    const char *start = w->at;
    struct json_value value = {.type = JSON_TYPE_ABSENT};
    switch (*w->at) {
    case '"':
        w->at++;
        value.type = JSON_TYPE_STRING;
        if (!string(w, &value.raw, &value.escaped))
            return false;
        want(w, node, value);
        return true;
    case 't':
        value.type = JSON_TYPE_TRUE;
        if (!word(w, SLICE("true")))
            return false;
        break;
    case 'f':
        value.type = JSON_TYPE_FALSE;
        if (!word(w, SLICE("false")))
            return false;
        break;
    case 'n':
        value.type = JSON_TYPE_NULL;
        if (!word(w, SLICE("null")))
            return false;
        break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        value.type = JSON_TYPE_NUMBER;
        if (!number(w))
            return false;
        break;
    default: return fail(w, "a value was expected");
    }
    value.raw = (struct slice){start, (size_t)(w->at - start)};
    want(w, node, value);
    return true;
}

/* Key and colon; *ret_node describes the member's value. */
static bool key(struct walk *w, struct frame *frame, uint32_t *ret_node)
{
    struct slice name;
    bool escaped;
    if (w->at >= w->end || *w->at != '"')
        return fail(w, "a member name in quotes was expected");
    w->at++;
    if (!string(w, &name, &escaped))
        return false;
    *ret_node = child_of(w->plan, frame->node, name);
    if (frame->first && frame->node != JSON_NODE_NONE) {
        const struct json_node *n = &w->plan->nodes[frame->node];
        store(w, n->tag_slots, n->tag_count, (struct json_value){name, JSON_TYPE_STRING, escaped});
    }
    skip_space(w);
    if (w->at >= w->end || *w->at != ':')
        return fail(w, "a colon was expected");
    w->at++;
    skip_space(w);
    return true;
}

static void close_container(struct walk *w, const struct frame *frame)
{
    want(w, frame->node,
         (struct json_value){{frame->start, (size_t)(w->at - frame->start)},
                             frame->is_object ? JSON_TYPE_OBJECT : JSON_TYPE_ARRAY,
                             false});
}

static bool walk_all(struct walk *w)
{
    struct frame stack[JSON_DEPTH_MAX];
    size_t depth = 0;
    uint32_t node = 0;

    for (;;) {
        if (w->at >= w->end)
            return fail(w, "the text ends where a value was expected");
        if (*w->at == '{' || *w->at == '[') {
            bool is_object = *w->at == '{';
            if (depth == JSON_DEPTH_MAX)
                return fail(w, "nested deeper than 1024");
            /* What lies in an array is not addressed by paths. */
            stack[depth++] = (struct frame){w->at++, node, is_object, true};
            skip_space(w);
            if (w->at < w->end && *w->at == (is_object ? '}' : ']'))
                goto closing;
            goto member;
        }
        if (!scalar(w, node))
            return false;
    after:
        skip_space(w);
        if (depth == 0)
            return w->at == w->end ? true : fail(w, "text behind the value");
        if (w->at >= w->end)
            return fail(w, "the text ends inside an object or array");
        if (*w->at == ',') {
            w->at++;
            stack[depth - 1].first = false;
            skip_space(w);
            goto member;
        }
        if (*w->at != (stack[depth - 1].is_object ? '}' : ']'))
            return fail(w, "a comma or the end of the object or array was expected");
    closing:
        w->at++;
        close_container(w, &stack[--depth]);
        goto after;
    member:
        node = JSON_NODE_NONE;
        if (stack[depth - 1].is_object && !key(w, &stack[depth - 1], &node))
            return false;
    }
}

bool json_extract_portable(const struct json_plan *plan, struct slice bytes,
                           struct json_value *values, struct json_error *error)
{
    const char *begin = bytes.ptr ? bytes.ptr : "";
    struct walk w = {plan, begin, begin, begin + bytes.len, values, error};
    if (plan->path_count)
        memset(values, 0, plan->path_count * sizeof *values);
    skip_space(&w);
    if (w.at == w.end)
        return fail(&w, "empty");
    return walk_all(&w);
}
