#include "fold/expr.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"

void eval_split_subject(struct eval *eval)
{
    struct slice rest = eval->input->subject;
    eval->token_count = 0;
    while (eval->token_count < SUBJECT_TOKENS_MAX &&
           slice_cut(&rest, '.', &eval->tokens[eval->token_count]))
        eval->token_count++;
}

char *eval_scratch(struct eval *eval, size_t len)
{
    if (eval->scratch_room - eval->scratch_used < len)
        return NULL;
    char *at = eval->scratch + eval->scratch_used;
    eval->scratch_used += len;
    return at;
}

static struct slice present(struct slice s)
{
    return s.len ? s : SLICE_ABSENT;
}

/* Decodes escapes; a text that does not fit the scratch space stays as it was written. */
static struct slice decoded(struct eval *eval, const struct json_value *value)
{
    if (!value->escaped)
        return value->raw;
    CLEANUP_BUF struct buf text = {0};
    json_unescape(value->raw, &text);
    char *copy = eval_scratch(eval, text.len);
    if (!copy)
        return value->raw;
    memcpy(copy, text.ptr, text.len);
    return (struct slice){copy, text.len};
}

/* The JSON string at the start of the text; absent when there is none. */
static struct slice leading_string(struct eval *eval, struct slice text)
{
    struct json_value value = {.type = JSON_TYPE_STRING};
    size_t at = 1;
    if (text.len < 2 || text.ptr[0] != '"')
        return SLICE_ABSENT;
    for (; at < text.len && text.ptr[at] != '"'; at++) {
        if (text.ptr[at] == '\\') {
            value.escaped = true;
            at++;
        }
    }
    if (at >= text.len)
        return SLICE_ABSENT;
    value.raw = (struct slice){text.ptr + 1, at - 1};
    return present(decoded(eval, &value));
}

/* Wrapped ids ({"id":"…"}, {"Uuid":"…"}, {"kind":…,"value":"…"}): the text inside. */
static struct slice unwrapped(struct eval *eval, struct slice object)
{
    static const struct slice keys[] = {SLICE("\"id\":"), SLICE("\"value\":"), SLICE("\"Uuid\":"),
                                        SLICE("\"Cid\":")};
    if (slice_starts(object, SLICE("{\"id\":\""))) { /* what it is nearly always */
        struct slice text = leading_string(eval, slice_from(object, 6));
        if (slice_present(text))
            return text;
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *at = memmem(object.ptr, object.len, keys[i].ptr, keys[i].len);
        if (!at)
            continue;
        struct slice rest = slice_from(object, (size_t)(at - object.ptr) + keys[i].len);
        struct slice text = leading_string(eval, slice_trim(rest));
        if (slice_present(text))
            return text;
    }
    return SLICE_ABSENT;
}

static struct slice payload_raw(struct eval *eval, const struct expr *expr,
                                struct json_value *ret_value)
{
    int slot = eval->slot_of[expr->path];
    if (slot < 0 || !eval->values)
        return SLICE_ABSENT;
    const struct json_value *value = &eval->values[slot];
    if (expr->text_only && value->type != JSON_TYPE_STRING)
        return SLICE_ABSENT;
    if (ret_value)
        *ret_value = *value;
    switch (value->type) {
    case JSON_TYPE_STRING: return present(decoded(eval, value));
    case JSON_TYPE_NUMBER:
    case JSON_TYPE_TRUE:
    case JSON_TYPE_FALSE: return value->raw;
    case JSON_TYPE_OBJECT: return ret_value ? value->raw : unwrapped(eval, value->raw);
    case JSON_TYPE_ABSENT:
    case JSON_TYPE_NULL:
    case JSON_TYPE_ARRAY: break;
    }
    return SLICE_ABSENT;
}

static struct slice subject_part(const struct eval *eval, const struct expr *expr)
{
    if (expr->token >= eval->token_count)
        return SLICE_ABSENT;
    struct slice token = eval->tokens[expr->token];
    if (expr->to_end)
        token.len = (size_t)(eval->input->subject.ptr + eval->input->subject.len - token.ptr);
    return present(token);
}

static struct slice format_number(struct eval *eval, double value)
{
    char *copy = eval_scratch(eval, 32);
    if (!copy)
        return SLICE_ABSENT;
    int len = snprintf(copy, 32, "%.15g", value);
    return (struct slice){copy, len > 0 ? (size_t)len : 0};
}

/* The difference of two instants may not fit one. */
static double delay_seconds(const struct eval *eval)
{
    int64_t stored = eval->input->stored_at_ns, occurred = eval->view->occurred_at_ns, delay;
    if (__builtin_sub_overflow(stored, occurred, &delay))
        return (double)stored / 1e9 - (double)occurred / 1e9;
    return (double)delay / 1e9;
}

struct slice expr_raw(struct eval *eval, const struct expr *expr, struct json_value *ret_value)
{
    if (ret_value)
        *ret_value = (struct json_value){0};
    switch (expr->kind) {
    case EXPR_CONSTANT: return expr->text;
    case EXPR_FIELD: return eval->view ? eval->view->field[expr->field] : SLICE_ABSENT;
    case EXPR_SUBJECT: return subject_part(eval, expr);
    case EXPR_HEADER: return present(event_header_find(eval->input, expr->text));
    case EXPR_PAYLOAD: return payload_raw(eval, expr, ret_value);
    case EXPR_STORED_AT:
        if (!eval->input->stored_at_ns)
            return SLICE_ABSENT;
        return format_number(eval, instant_seconds(eval->input->stored_at_ns));
    case EXPR_DELAY:
        if (!eval->view || !eval->view->has_occurred_at || !eval->input->stored_at_ns)
            return SLICE_ABSENT;
        return format_number(eval, delay_seconds(eval));
    case EXPR_REMEMBERED:
        for (size_t i = 0; i < eval->rules->remember_count; i++) {
            if (slice_eq(eval->rules->remembers[i].name, expr->text))
                return eval->remembered[i];
        }
        return SLICE_ABSENT;
    }
    return SLICE_ABSENT;
}

static struct slice known_type(const struct envelope *envelope, struct slice text)
{
    char wanted[128], have[128];
    size_t wanted_len = event_type_squash(text, wanted, sizeof wanted);
    for (size_t i = 0; envelope && i < envelope->type_count; i++) {
        size_t len = event_type_squash(envelope->types[i], have, sizeof have);
        if (len == wanted_len && memcmp(have, wanted, len) == 0)
            return envelope->types[i];
    }
    return SLICE_ABSENT;
}

static struct slice apply_transform(struct eval *eval, const struct transform *transform,
                                    struct slice text)
{
    if (transform->kind == TRANSFORM_TYPE) {
        struct slice known = known_type(eval->envelope, text);
        if (slice_present(known))
            return known;
    }
    if (transform->kind == TRANSFORM_STRIP)
        return slice_starts(text, transform->text) ? present(slice_from(text, transform->text.len))
                                                   : text;
    size_t extra = transform->kind == TRANSFORM_PREFIX ? transform->text.len : 0;
    char *out = eval_scratch(eval, text.len + extra);
    if (!out)
        return text;
    size_t len = text.len + extra;
    switch (transform->kind) {
    case TRANSFORM_PASCAL:
    case TRANSFORM_TYPE: len = event_type_pascal(text, out, len); break;
    case TRANSFORM_LOWER:
        for (size_t i = 0; i < text.len; i++)
            out[i] =
                text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] + 32) : text.ptr[i];
        break;
    case TRANSFORM_PREFIX:
        memcpy(out, transform->text.ptr, extra);
        memcpy(out + extra, text.ptr, text.len);
        break;
    case TRANSFORM_STRIP: break;
    }
    return present((struct slice){out, len});
}

struct slice expr_transform(struct eval *eval, const struct expr *expr, struct slice raw)
{
    for (size_t i = 0; i < expr->transform_count && slice_present(raw); i++)
        raw = apply_transform(eval, &expr->transforms[i], raw);
    return raw;
}

struct slice expr_text(struct eval *eval, const struct expr *expr)
{
    return expr_transform(eval, expr, expr_raw(eval, expr, NULL));
}

struct slice expr_list_text(struct eval *eval, const struct expr_list *list)
{
    struct slice text = SLICE_ABSENT;
    for (size_t i = 0; i < list->count && !slice_present(text); i++)
        text = expr_text(eval, &list->items[i]);
    if (list->rewrite && slice_present(text))
        text = rewrite_apply(eval, list->rewrite, text);
    return text;
}

static int text_number(struct slice text, double *ret)
{
    struct json_value number = {.raw = text, .type = JSON_TYPE_NUMBER};
    if (!slice_present(text))
        return 0;
    return json_number(&number, ret) ? 1 : -1;
}

/* 1 found, 0 absent, -1 no finite number. Times and spans are numbers already: no text between. */
static int expr_number(struct eval *eval, const struct expr *expr, double *ret)
{
    const struct event_view *view = eval->view;
    bool timed = view && view->has_occurred_at;
    if (expr->kind == EXPR_STORED_AT) {
        *ret = instant_seconds(eval->input->stored_at_ns);
        return eval->input->stored_at_ns != 0;
    }
    if (expr->kind == EXPR_DELAY) {
        timed = timed && eval->input->stored_at_ns;
        *ret = timed ? delay_seconds(eval) : 0;
        return timed;
    }
    if (expr->kind == EXPR_FIELD && expr->field == EVENT_OCCURRED_AT) {
        *ret = timed ? instant_seconds(view->occurred_at_ns) : 0;
        return timed;
    }
    return text_number(expr_text(eval, expr), ret);
}

int expr_list_number(struct eval *eval, const struct expr_list *list, double *ret)
{
    int found = 0;
    if (list->rewrite)
        return text_number(expr_list_text(eval, list), ret);
    for (size_t i = 0; i < list->count && !found; i++)
        found = expr_number(eval, &list->items[i], ret);
    return found;
}

/* Is the text one of "A, B, C"? */
static bool is_in(struct slice text, struct slice list)
{
    struct slice item;
    while (slice_cut(&list, ',', &item)) {
        if (slice_eq(slice_trim(item), text))
            return true;
    }
    return false;
}

static bool matches(const regex_t *regex, struct slice text)
{
    CLEANUP_FREE char *copy = xstrndup(text.ptr, text.len);
    return regexec(regex, copy, 0, NULL, 0) == 0;
}

static bool compares(struct eval *eval, const struct condition *condition)
{
    double number;
    if (expr_number(eval, &condition->expr, &number) <= 0)
        return false;
    bool equal = number >= condition->number && number <= condition->number;
    bool wants_less = condition->kind == CONDITION_LT || condition->kind == CONDITION_LE;
    bool allows_equal = condition->kind == CONDITION_GE || condition->kind == CONDITION_LE;
    return equal ? allows_equal : (number < condition->number) == wants_less;
}

static bool holds(struct eval *eval, const struct condition *condition)
{
    if (condition->kind >= CONDITION_GT)
        return compares(eval, condition);
    struct slice text = expr_text(eval, &condition->expr);
    bool there = slice_present(text);
    switch (condition->kind) {
    case CONDITION_EXISTS: return there;
    case CONDITION_ABSENT: return !there;
    case CONDITION_EQ: return there && slice_eq(text, condition->operand);
    case CONDITION_NE: return !there || !slice_eq(text, condition->operand);
    case CONDITION_IN: return there && is_in(text, condition->operand);
    case CONDITION_NOT_IN: return !there || !is_in(text, condition->operand);
    case CONDITION_MATCH: return there && matches(&condition->regex, text);
    case CONDITION_NO_MATCH: return !there || !matches(&condition->regex, text);
    case CONDITION_GT:
    case CONDITION_GE:
    case CONDITION_LT:
    case CONDITION_LE: break; /* above */
    }
    return false;
}

bool conditions_hold(struct eval *eval, const struct condition_list *list)
{
    size_t mark = eval->scratch_used;
    bool all = true;
    for (size_t i = 0; i < list->count && all; i++) {
        all = holds(eval, &list->items[i]);
        eval->scratch_used = mark; /* nothing of it is kept */
    }
    return all;
}
