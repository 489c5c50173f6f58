/* rewrite: texts changed by a regular expression and a map, for labels, keys and values. */
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "fold/expr.h"

#define MAP_ENTRIES_MAX   4096
#define GROUPS_MAX        10 /* $0 to $9 */
#define REWRITE_BYTES_MAX 256

/* --- compiling -------------------------------------------------------------------------------- */

static int compile_regex(const struct yaml_node *node, struct rewrite *ret, struct error *err)
{
    char text[128];
    if (!yaml_is_scalar(node))
        return yaml_error(node, err, "an extended regular expression was expected");
    int code = regcomp(&ret->regex, yaml_text(node).ptr, REG_EXTENDED);
    if (code) {
        (void)regerror(code, &ret->regex, text, sizeof text);
        return yaml_error(node, err, "not an extended regular expression: %s", text);
    }
    ret->has_regex = true;
    return 0;
}

static int check_replace(const struct yaml_node *node, const struct rewrite *rewrite,
                         struct error *err)
{
    struct slice text = rewrite->replace;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '$')
            continue;
        char c = ++i < text.len ? text.ptr[i] : 0;
        bool is_group = c >= '0' && c <= '9' && (size_t)(c - '0') <= rewrite->regex.re_nsub;
        if (!is_group && c != '$')
            return yaml_error(node, err,
                              "behind '$' the number of a group was expected (this pattern has "
                              "%zu), or '$' for a dollar",
                              rewrite->regex.re_nsub);
    }
    return 0;
}

struct pair {
    struct slice from, to;
};

static int by_from(const void *a, const void *b)
{
    struct slice left = ((const struct pair *)a)->from, right = ((const struct pair *)b)->from;
    size_t shared = left.len < right.len ? left.len : right.len;
    int order = shared ? memcmp(left.ptr, right.ptr, shared) : 0;
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

static int compile_map(const struct yaml_node *node, struct rewrite *ret, struct error *err)
{
    size_t size = yaml_size(node);
    if (!yaml_is_mapping(node) || !size || size > MAP_ENTRIES_MAX)
        return yaml_error(node, err, "'map' is a mapping from text to text, of 1 to %d entries",
                          MAP_ENTRIES_MAX);
    CLEANUP_FREE struct pair *pairs = xcalloc(size, sizeof *pairs);
    for (size_t i = 0; i < size; i++) {
        const struct yaml_node *value = yaml_value_at(node, i);
        struct slice key = yaml_text(yaml_key_at(node, i));
        if (!yaml_is_scalar(value))
            return yaml_error(value, err, "a text was expected");
        if (slice_eq(key, SLICE("default")))
            ret->fallback = yaml_text(value);
        else
            pairs[ret->count++] = (struct pair){key, yaml_text(value)};
    }
    qsort(pairs, ret->count, sizeof *pairs, by_from);
    ret->from = xcalloc(ret->count + 1, sizeof *ret->from);
    ret->to = xcalloc(ret->count + 1, sizeof *ret->to);
    for (size_t i = 0; i < ret->count; i++) {
        ret->from[i] = pairs[i].from;
        ret->to[i] = pairs[i].to;
    }
    return 0;
}

static int compile_pattern(const struct yaml_node *node, struct rewrite *ret, struct error *err)
{
    const struct yaml_node *regex = yaml_get(node, "regex"), *replace = yaml_get(node, "replace"),
                           *otherwise = yaml_get(node, "otherwise");
    if (!regex)
        return replace || otherwise
                   ? yaml_error(node, err, "'replace' and 'otherwise' go with 'regex'")
                   : 0;
    if (compile_regex(regex, ret, err) < 0)
        return -1;
    if (!replace && !ret->regex.re_nsub)
        return yaml_error(regex, err,
                          "'replace' was expected, or a group (...) whose text is taken");
    if ((replace && !yaml_is_scalar(replace)) || (otherwise && !yaml_is_scalar(otherwise)))
        return yaml_error(node, err, "'replace' and 'otherwise' are texts");
    ret->replace = replace ? yaml_text(replace) : SLICE("$1");
    ret->otherwise = otherwise ? yaml_text(otherwise) : SLICE_ABSENT;
    return check_replace(replace ? replace : regex, ret, err);
}

int rewrite_compile(struct rules *rules, const struct yaml_node *node, struct expr_list *ret,
                    struct error *err)
{
    static const char *const known[] = {"from", "regex", "replace", "otherwise", "map"};
    const struct yaml_node *from = yaml_get(node, "from"), *map = yaml_get(node, "map");
    if (!from || yaml_is_mapping(from))
        return yaml_error(from ? from : node, err,
                          "an expression was expected, or a mapping with 'from' that is one");
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "a rewritten expression", err) < 0)
        return -1;
    if (!map && !yaml_get(node, "regex"))
        return yaml_error(node, err, "'regex' or 'map' was expected beside 'from'");
    if (expr_list_compile(rules, from, ret, err) < 0)
        return -1;
    ret->rewrite = xcalloc(1, sizeof *ret->rewrite);
    ret->rewrite->number = rules->rewrite_count++;
    return compile_pattern(node, ret->rewrite, err) < 0 ? -1
           : map                                        ? compile_map(map, ret->rewrite, err)
                                                        : 0;
}

void rewrite_free(struct rewrite *rewrite)
{
    if (!rewrite)
        return;
    if (rewrite->has_regex)
        regfree(&rewrite->regex);
    free(rewrite->from);
    free(rewrite->to);
    free(rewrite);
}

bool rewrite_is_bounded(const struct rewrite *rewrite)
{
    bool groups =
        memchr(rewrite->replace.ptr ? rewrite->replace.ptr : "", '$', rewrite->replace.len) != NULL;
    return (rewrite->count && slice_present(rewrite->fallback)) ||
           (rewrite->has_regex && slice_present(rewrite->otherwise) && !groups);
}

/* --- applying --------------------------------------------------------------------------------- */

/* Few texts come again and again: what a pattern made of them is kept, and the pattern not run. */
#define MEMO_PLACES 256
#define MEMO_BYTES  56
struct memo_place {
    uint8_t from_len, to_len; /* from_len 0: free */
    char from[MEMO_BYTES], to[MEMO_BYTES];
};
struct rewrite_memo {
    struct memo_place places[MEMO_PLACES];
};

void rewrite_memos_free(struct rewrite_memo **memos, size_t count)
{
    for (size_t i = 0; memos && i < count; i++)
        free(memos[i]);
    free(memos);
}

static size_t expand(const struct rewrite *rewrite, struct slice text, const regmatch_t *groups,
                     char out[static REWRITE_BYTES_MAX])
{
    struct slice replace = rewrite->replace;
    size_t used = 0;
    for (size_t i = 0; i < replace.len; i++) {
        struct slice part = {replace.ptr + i, 1};
        if (replace.ptr[i] == '$' && replace.ptr[++i] != '$') {
            const regmatch_t *group = &groups[replace.ptr[i] - '0'];
            part = group->rm_so < 0 ? SLICE("")
                                    : (struct slice){text.ptr + group->rm_so,
                                                     (size_t)(group->rm_eo - group->rm_so)};
        }
        if (part.len > REWRITE_BYTES_MAX - used)
            part.len = REWRITE_BYTES_MAX - used;
        memcpy(out + used, part.ptr, part.len);
        used += part.len;
    }
    return used;
}

static struct slice copied(struct eval *eval, struct slice text)
{
    char *copy = text.len ? eval_scratch(eval, text.len) : NULL;
    if (!copy)
        return SLICE_ABSENT;
    memcpy(copy, text.ptr, text.len);
    return (struct slice){copy, text.len};
}

/* Into `out`, or a text that was there before. */
static struct slice run_regex(const struct rewrite *rewrite, struct slice text,
                              char out[static REWRITE_BYTES_MAX])
{
    regmatch_t groups[GROUPS_MAX] = {{.rm_so = 0, .rm_eo = (regoff_t)text.len}};
    if (regexec(&rewrite->regex, text.ptr, GROUPS_MAX, groups, REG_STARTEND) != 0)
        return slice_present(rewrite->otherwise) ? rewrite->otherwise : text;
    return (struct slice){out, expand(rewrite, text, groups, out)};
}

/* Always copied, so that a memo changes nothing but the time it takes. */
static struct slice match(struct eval *eval, const struct rewrite *rewrite, struct slice text)
{
    char out[REWRITE_BYTES_MAX];
    bool short_text = text.len && text.len <= MEMO_BYTES;
    if (!eval->memos || !short_text)
        return copied(eval, run_regex(rewrite, text, out));
    struct rewrite_memo **memo = &eval->memos[rewrite->number];
    if (!*memo)
        *memo = xcalloc(1, sizeof **memo);
    struct memo_place *place = &(*memo)->places[XXH3_64bits(text.ptr, text.len) % MEMO_PLACES];
    if (place->from_len == text.len && memcmp(place->from, text.ptr, text.len) == 0)
        return copied(eval, (struct slice){place->to, place->to_len});
    struct slice made = run_regex(rewrite, text, out);
    if (made.len <= MEMO_BYTES) {
        place->from_len = (uint8_t)text.len;
        place->to_len = (uint8_t)made.len;
        memcpy(place->from, text.ptr, text.len);
        memcpy(place->to, made.ptr, made.len);
    }
    return copied(eval, made);
}

static struct slice look_up(const struct rewrite *rewrite, struct slice text)
{
    size_t low = 0, high = rewrite->count;
    struct pair wanted = {.from = text};
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct pair here = {.from = rewrite->from[middle]};
        int order = by_from(&wanted, &here);
        if (order == 0)
            return rewrite->to[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return slice_present(rewrite->fallback) ? rewrite->fallback : text;
}

struct slice rewrite_apply(struct eval *eval, const struct rewrite *rewrite, struct slice text)
{
    if (rewrite->has_regex)
        text = match(eval, rewrite, text);
    if (rewrite->count || slice_present(rewrite->fallback))
        text = slice_present(text) ? look_up(rewrite, text) : text;
    return text.len ? text : SLICE_ABSENT;
}
