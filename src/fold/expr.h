/* For siblings in src/fold only: expressions and conditions, compiled from YAML and evaluated. */
#pragma once

#include "config/yaml.h"
#include "fold/rules.h"
#include "json/extract.h"

/* Paths are collected in rules->paths; an expression keeps the index. */
int expr_compile(struct rules *rules, const struct yaml_node *node, struct expr *ret,
                 struct error *err);
int expr_list_compile(struct rules *rules, const struct yaml_node *node, struct expr_list *ret,
                      struct error *err);
int condition_list_compile(struct rules *rules, const struct yaml_node *node,
                           struct condition_list *ret, struct error *err);
int filter_list_compile(const struct yaml_node *node, struct filter_list *ret, struct error *err);
void expr_list_done(struct expr_list *list);
void condition_list_done(struct condition_list *list);
size_t rules_path(struct rules *rules, struct slice path);
bool expr_is_class(const struct expr *expr);

/* `node` is a mapping: {from: ..., regex, replace, otherwise, map}; `ret` gets items and rewrite.
 */
int rewrite_compile(struct rules *rules, const struct yaml_node *node, struct expr_list *ret,
                    struct error *err);
void rewrite_free(struct rewrite *rewrite);
/* No value of the text's own is left: a map, or a pattern, with something for all else. */
bool rewrite_is_bounded(const struct rewrite *rewrite);

#define SUBJECT_TOKENS_MAX 64
#define REMEMBERED_MAX     16

/* What one event offers to expressions. `slot_of[path]` is the slot in `values`, or -1. */
struct eval {
    const struct event_input *input;
    const struct event_view *view;
    const struct json_value *values;
    const int *slot_of;
    struct slice tokens[SUBJECT_TOKENS_MAX];
    size_t token_count;
    const struct envelope *envelope; /* for `| type`; may be NULL */
    const struct rules *rules;
    struct slice remembered[REMEMBERED_MAX]; /* by index of the remember rule */
    struct rewrite_memo **memos; /* by rewrite: what patterns made of texts; may be NULL */
    char *scratch;               /* for transformed texts; */
    size_t scratch_used, scratch_room;
};

/* Room in the scratch space; NULL when it is full. */
char *eval_scratch(struct eval *eval, size_t len);
struct slice rewrite_apply(struct eval *eval, const struct rewrite *rewrite, struct slice text);
void rewrite_memos_free(struct rewrite_memo **memos, size_t count);
void eval_split_subject(struct eval *eval);
/* The end of the subject, which mostly is the event's type. */
static inline uint64_t eval_subject_hint(const struct eval *eval)
{
    struct slice last = eval->token_count ? eval->tokens[eval->token_count - 1] : SLICE("");
    uint64_t hint = 0;
    memcpy(&hint, last.ptr, last.len < sizeof hint ? last.len : sizeof hint);
    return hint + last.len;
}
/* The value before its transforms; *ret_value (may be NULL) is the JSON value when it is one. */
struct slice expr_raw(struct eval *eval, const struct expr *expr, struct json_value *ret_value);
/* Is there any value but null for a $payload, $key, $tag or $text reference? */
bool expr_has(const struct eval *eval, const struct expr *expr);
struct slice expr_text(struct eval *eval, const struct expr *expr);
struct slice expr_transform(struct eval *eval, const struct expr *expr, struct slice raw);
/* What a list's own rewriting makes of a present text of it. */
static inline struct slice expr_rewritten(struct eval *eval, const struct expr_list *list,
                                          struct slice text)
{
    return list->rewrite ? rewrite_apply(eval, list->rewrite, text) : text;
}
/* The first present one, rewritten. */
struct slice expr_list_text(struct eval *eval, const struct expr_list *list);
/* 1 found, 0 absent, -1 there but no finite number. */
int expr_list_number(struct eval *eval, const struct expr_list *list, double *ret);
bool conditions_hold(struct eval *eval, const struct condition_list *list);
