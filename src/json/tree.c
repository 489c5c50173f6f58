#include "json/tree.h"

#include <stdlib.h>

#include "base/memory.h"
#include "json/write.h"

/* --- room ------------------------------------------------------------------------------------- */

static bool is_scalar(const struct json_tree *tree)
{
    return tree->type >= JSON_TYPE_NULL && tree->type <= JSON_TYPE_STRING;
}

void json_tree_done(struct json_tree *tree)
{
    if (tree->type == JSON_TYPE_OBJECT) {
        for (size_t i = 0; i < tree->count; i++) {
            json_tree_done(&tree->members[i].value);
            free(tree->members[i].outside);
        }
        free(tree->members);
    } else if (tree->type == JSON_TYPE_ARRAY) {
        for (size_t i = 0; i < tree->count; i++)
            json_tree_done(&tree->items[i]);
        free(tree->items);
    } else {
        free(tree->text);
    }
    memset(tree, 0, sizeof *tree);
}

static void become(struct json_tree *tree, enum json_type type)
{
    json_tree_done(tree);
    tree->type = type;
}

static void set_scalar(struct json_tree *tree, enum json_type type, struct slice text)
{
    bool wasteful = tree->room > 64 && tree->room / 4 > text.len;
    if (!is_scalar(tree) || tree->room < text.len || wasteful) {
        json_tree_done(tree);
        tree->room = (uint32_t)((text.len + 15) & ~(size_t)15);
        tree->text = xmalloc(tree->room ? tree->room : 1);
    }
    memcpy(tree->text, text.ptr, text.len);
    tree->type = type;
    tree->count = (uint32_t)text.len;
}

/* --- members ---------------------------------------------------------------------------------- */

void json_tree_name(struct buf *out, struct slice text)
{
    size_t at = out->len;
    json_add_string(out, text);
    memmove(out->ptr + at, out->ptr + at + 1, out->len - at - 2);
    out->len -= 2;
}

/* A name that is looked for, with its first bytes as a member has them. */
struct wanted {
    struct slice name;
    char inside[JSON_TREE_NAME_INSIDE];
};

static struct wanted wanted_of(struct slice name)
{
    struct wanted wanted = {.name = name};
    memcpy(wanted.inside, name.ptr,
           name.len < sizeof wanted.inside ? name.len : sizeof wanted.inside);
    return wanted;
}

static uint64_t word_at(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* By bytes; zeros behind a short name come before any byte, as its end does. */
static int compare(const struct json_tree_member *member, const struct wanted *wanted)
{
    for (size_t at = 0; at < JSON_TREE_NAME_INSIDE; at += sizeof(uint64_t)) {
        uint64_t a = word_at(member->inside + at), b = word_at(wanted->inside + at);
        if (a != b)
            return a < b ? -1 : 1;
    }
    struct slice name = json_tree_name_of(member);
    size_t least = name.len < wanted->name.len ? name.len : wanted->name.len;
    int order = least > JSON_TREE_NAME_INSIDE ? memcmp(name.ptr, wanted->name.ptr, least) : 0;
    if (order)
        return order;
    return name.len < wanted->name.len ? -1 : name.len > wanted->name.len;
}

/* Where the name is or would be. */
static size_t place_of(const struct json_tree *tree, struct slice name, bool *ret_there)
{
    const struct wanted wanted = wanted_of(name);
    size_t low = 0, high = tree->count;
    *ret_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&tree->members[middle], &wanted);
        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct json_tree *json_tree_get(struct json_tree *tree, struct slice name)
{
    bool there = false;
    size_t at = tree->type == JSON_TYPE_OBJECT ? place_of(tree, name, &there) : 0;
    return there ? &tree->members[at].value : NULL;
}

struct json_tree *json_tree_ensure(struct json_tree *tree, struct slice name)
{
    bool there = false;
    if (tree->type != JSON_TYPE_OBJECT)
        become(tree, JSON_TYPE_OBJECT);
    size_t at = place_of(tree, name, &there);
    if (there)
        return &tree->members[at].value;
    if (tree->count == JSON_TREE_MEMBERS_MAX)
        return NULL;
    GROW(tree->members, tree->count, tree->room);
    struct json_tree_member *member = &tree->members[at];
    memmove(member + 1, member, (tree->count - at) * sizeof *member);
    *member = (struct json_tree_member){.name_len = (uint32_t)name.len};
    memcpy(member->inside, name.ptr,
           name.len < sizeof member->inside ? name.len : sizeof member->inside);
    if (name.len > sizeof member->inside)
        member->outside = xstrndup(name.ptr, name.len);
    tree->count++;
    return &member->value;
}

bool json_tree_remove(struct json_tree *tree, struct slice name)
{
    bool there = false;
    size_t at = tree->type == JSON_TYPE_OBJECT ? place_of(tree, name, &there) : 0;
    if (!there)
        return false;
    struct json_tree_member *member = &tree->members[at];
    json_tree_done(&member->value);
    free(member->outside);
    tree->count--;
    memmove(member, member + 1, (tree->count - at) * sizeof *member);
    return true;
}

/* --- items ------------------------------------------------------------------------------------ */

struct json_tree *json_tree_push(struct json_tree *tree)
{
    if (tree->type != JSON_TYPE_ARRAY)
        become(tree, JSON_TYPE_ARRAY);
    GROW(tree->items, tree->count, tree->room);
    tree->items[tree->count] = (struct json_tree){0};
    return &tree->items[tree->count++];
}

void json_tree_shift(struct json_tree *tree, size_t count)
{
    if (tree->type != JSON_TYPE_ARRAY || count == 0)
        return;
    count = count < tree->count ? count : tree->count;
    for (size_t i = 0; i < count; i++)
        json_tree_done(&tree->items[i]);
    tree->count -= (uint32_t)count;
    memmove(tree->items, tree->items + count, tree->count * sizeof *tree->items);
}

/* --- numbers ---------------------------------------------------------------------------------- */

bool json_tree_u64(const struct json_tree *tree, uint64_t *ret)
{
    return tree->type == JSON_TYPE_NUMBER &&
           slice_u64((struct slice){tree->text, tree->count}, ret);
}

void json_tree_set_u64(struct json_tree *tree, uint64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    set_scalar(tree, JSON_TYPE_NUMBER, (struct slice){digits + at, sizeof digits - at});
}

/* --- texts in --------------------------------------------------------------------------------- */

struct walk {
    const char *at, *end;
    struct buf name; /* one with escapes, resolved */
};

static char peek(struct walk *walk)
{
    while (walk->at < walk->end &&
           (*walk->at == ' ' || *walk->at == '\t' || *walk->at == '\n' || *walk->at == '\r'))
        walk->at++;
    return walk->at < walk->end ? *walk->at : 0;
}

/* The string that begins here, with its quotes. */
static struct slice take_string(struct walk *walk, bool *ret_escaped)
{
    const char *begin = walk->at++;
    const char *quote = memchr(walk->at, '"', (size_t)(walk->end - walk->at));
    *ret_escaped = false;
    if (quote && !memchr(walk->at, '\\', (size_t)(quote - walk->at))) /* nearly always */
        walk->at = quote;
    for (; walk->at < walk->end && *walk->at != '"'; walk->at++) {
        if (*walk->at == '\\') {
            *ret_escaped = true;
            walk->at++;
        }
    }
    walk->at = walk->at < walk->end ? walk->at + 1 : walk->end;
    return (struct slice){begin, (size_t)(walk->at - begin)};
}

static struct slice take_name(struct walk *walk)
{
    bool escaped = false;
    struct slice name = take_string(walk, &escaped);
    name = (struct slice){name.ptr + 1, name.len < 2 ? 0 : name.len - 2};
    if (escaped) {
        CLEANUP_BUF struct buf text = {0};
        json_unescape(name, &text);
        buf_reset(&walk->name);
        json_tree_name(&walk->name, buf_slice(&text));
        name = buf_slice(&walk->name);
    }
    if (peek(walk) == ':')
        walk->at++;
    return name;
}

static struct slice take_word(struct walk *walk)
{
    const char *begin = walk->at;
    while (walk->at < walk->end && !strchr(",]} \t\r\n", *walk->at))
        walk->at++;
    if (walk->at == begin && walk->at < walk->end)
        walk->at++; /* no JSON */
    return (struct slice){begin, (size_t)(walk->at - begin)};
}

static bool take_value(struct walk *walk, struct json_tree *into, bool merge);

static bool take_object(struct walk *walk, struct json_tree *into, bool merge)
{
    if (!merge || into->type != JSON_TYPE_OBJECT)
        become(into, JSON_TYPE_OBJECT);
    walk->at++;
    while (peek(walk) == '"') {
        struct slice name = take_name(walk);
        if (merge && peek(walk) == 'n') {
            (void)take_word(walk);
            (void)json_tree_remove(into, name);
        } else {
            struct json_tree *value = json_tree_ensure(into, name);
            if (!value || !take_value(walk, value, merge))
                return false;
        }
        if (peek(walk) == ',')
            walk->at++;
    }
    if (peek(walk) == '}')
        walk->at++;
    return true;
}

static bool take_array(struct walk *walk, struct json_tree *into)
{
    become(into, JSON_TYPE_ARRAY);
    walk->at++;
    while (peek(walk) && *walk->at != ']') {
        if (!take_value(walk, json_tree_push(into), false))
            return false;
        if (peek(walk) == ',')
            walk->at++;
    }
    if (peek(walk) == ']')
        walk->at++;
    return true;
}

static bool take_value(struct walk *walk, struct json_tree *into, bool merge)
{
    bool escaped;
    switch (peek(walk)) {
    case '{': return take_object(walk, into, merge);
    case '[': return take_array(walk, into);
    case '"': set_scalar(into, JSON_TYPE_STRING, take_string(walk, &escaped)); break;
    case 't': set_scalar(into, JSON_TYPE_TRUE, take_word(walk)); break;
    case 'f': set_scalar(into, JSON_TYPE_FALSE, take_word(walk)); break;
    case 'n': set_scalar(into, JSON_TYPE_NULL, take_word(walk)); break;
    default: set_scalar(into, JSON_TYPE_NUMBER, take_word(walk)); break;
    }
    return true;
}

static bool take_text(struct json_tree *tree, struct slice text, bool merge)
{
    struct walk walk = {.at = text.ptr, .end = text.ptr + text.len};
    bool ok = take_value(&walk, tree, merge);
    buf_done(&walk.name);
    return ok;
}

bool json_tree_set(struct json_tree *tree, struct slice text)
{
    return take_text(tree, text, false);
}

bool json_tree_merge(struct json_tree *tree, struct slice text)
{
    return take_text(tree, text, true);
}

size_t json_tree_depth(struct slice text)
{
    struct walk walk = {.at = text.ptr, .end = text.ptr + text.len};
    size_t depth = 0, most = 0;
    bool escaped;
    while (walk.at < walk.end) {
        char c = *walk.at;
        if (c == '"') {
            (void)take_string(&walk, &escaped);
            continue;
        }
        if (c == '{' || c == '[')
            most = ++depth > most ? depth : most;
        else if ((c == '}' || c == ']') && depth)
            depth--;
        walk.at++;
    }
    return most;
}

/* --- out -------------------------------------------------------------------------------------- */

static void write_object(const struct json_tree *tree, struct buf *out)
{
    bool first = true;
    buf_add_char(out, '{');
    for (size_t i = 0; i < tree->count; i++) {
        const struct json_tree_member *member = &tree->members[i];
        if (member->value.type == JSON_TYPE_ABSENT)
            continue;
        if (!first)
            buf_add_char(out, ',');
        first = false;
        buf_add_char(out, '"');
        buf_add_slice(out, json_tree_name_of(member));
        buf_add(out, "\":", 2);
        json_tree_write(&member->value, out);
    }
    buf_add_char(out, '}');
}

void json_tree_write(const struct json_tree *tree, struct buf *out)
{
    if (tree->type == JSON_TYPE_OBJECT) {
        write_object(tree, out);
    } else if (tree->type == JSON_TYPE_ARRAY) {
        buf_add_char(out, '[');
        for (size_t i = 0; i < tree->count; i++) {
            if (i)
                buf_add_char(out, ',');
            json_tree_write(&tree->items[i], out);
        }
        buf_add_char(out, ']');
    } else if (tree->type != JSON_TYPE_ABSENT) {
        buf_add(out, tree->text, tree->count);
    }
}

size_t json_tree_size(const struct json_tree *tree)
{
    size_t size = 2, shown = 0; /* the brackets */
    if (tree->type == JSON_TYPE_OBJECT) {
        for (size_t i = 0; i < tree->count; i++) {
            const struct json_tree_member *member = &tree->members[i];
            if (member->value.type == JSON_TYPE_ABSENT)
                continue;
            shown++;
            size += member->name_len + strlen("\"\":") + json_tree_size(&member->value);
        }
    } else if (tree->type == JSON_TYPE_ARRAY) {
        shown = tree->count;
        for (size_t i = 0; i < tree->count; i++)
            size += json_tree_size(&tree->items[i]);
    } else {
        return tree->type == JSON_TYPE_ABSENT ? 0 : tree->count;
    }
    return size + (shown ? shown - 1 : 0);
}
