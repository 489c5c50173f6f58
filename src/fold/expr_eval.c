#include "fold/expr.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "event/cid.h"

/* Where dots are among 8 bytes: the top bit of each. Exact, as no carry leaves a byte. */
static inline uint64_t dots_of(uint64_t bytes)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f), dots = UINT64_C(0x2e2e2e2e2e2e2e2e);
    uint64_t differs = bytes ^ dots;
    return ~(((differs & low) + low) | differs | low);
}

/* Tokens are short, and a call for each costs more than to look at all bytes at once. */
void eval_split_subject(struct eval *eval)
{
    struct slice subject = eval->input->subject;
    size_t count = 0, begin = 0;
    eval->token_count = 0;
    if (!slice_present(subject))
        return;
    for (size_t at = 0; at < subject.len; at += 8) {
        uint64_t bytes = 0;
        if (subject.len - at >= 8)
            memcpy(&bytes, subject.ptr + at, 8);
        else
            memcpy(&bytes, subject.ptr + at, subject.len - at);
        for (uint64_t dots = dots_of(bytes); dots; dots &= dots - 1) {
            size_t dot = at + (size_t)__builtin_ctzll(dots) / 8;
            eval->tokens[count++] = (struct slice){subject.ptr + begin, dot - begin};
            begin = dot + 1;
            if (count == SUBJECT_TOKENS_MAX) {
                eval->token_count = count;
                return;
            }
        }
    }
    eval->tokens[count++] = (struct slice){subject.ptr + begin, subject.len - begin};
    eval->token_count = count;
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

static const char *behind_space(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
        at++;
    return at;
}

/* The string that begins at `at`, in well-formed JSON; *ret_behind is behind its closing quote. */
static struct json_value string_at(const char *at, const char **ret_behind)
{
    struct json_value value = {.type = JSON_TYPE_STRING};
    const char *end = at + 1;
    for (; *end != '"'; end++) {
        value.escaped = value.escaped || *end == '\\';
        end += *end == '\\';
    }
    value.raw = (struct slice){at + 1, (size_t)(end - at - 1)};
    *ret_behind = end + 1;
    return value;
}

/* Ids in their wrapping: {"id":"…"}, {"Uuid":"…"}, {"Cid":"…"}, {"kind":…,"value":"…"}, and one in
 * the other. The object is well-formed and holds nothing else that matters. */
static struct slice unwrapped(struct eval *eval, struct slice object)
{
    static const struct slice wrappers[] = {SLICE("id"), SLICE("value"), SLICE("Uuid"),
                                            SLICE("Cid")};
    const char *at = behind_space(object.ptr + 1), *end = object.ptr + object.len;
    static const struct slice usual = SLICE("{\"id\":\"");
    if (slice_starts(object, usual)) { /* what it is nearly always */
        struct json_value value = string_at(object.ptr + usual.len - 1, &at);
        return present(decoded(eval, &value));
    }
    while (at < end && *at == '"') {
        struct slice name = string_at(at, &at).raw;
        bool wraps = false;
        at = behind_space(behind_space(at) + 1); /* the colon */
        for (size_t i = 0; i < ARRAY_LEN(wrappers); i++)
            wraps = wraps || slice_eq(name, wrappers[i]);
        if (*at == '"') {
            struct json_value value = string_at(at, &at);
            if (wraps)
                return present(decoded(eval, &value));
        } else if (*at == '{' && wraps) {
            at = behind_space(at + 1);
            continue;
        } else if (*at == '{' || *at == '[') {
            return SLICE_ABSENT; /* no id: something larger */
        }
        while (at < end && *at != ',' && *at != '}')
            at++;
        if (*at == ',')
            at = behind_space(at + 1);
    }
    return SLICE_ABSENT;
}

/* Rust's `cid` crate writes content ids as arrays of byte numbers: their text. */
static struct slice cid_as_text(struct eval *eval, const struct json_value *array)
{
    struct cid cid;
    char *out = cid_parse_json(array, &cid) == CID_READ ? eval_scratch(eval, CID_TEXT_MAX) : NULL;
    return out ? (struct slice){out, cid_text(&cid, out)} : SLICE_ABSENT;
}

/* As Rust names the variants of an enum; a struct's members are in snake_case. */
static bool is_type_name(struct slice text)
{
    bool sound = text.len && text.ptr[0] >= 'A' && text.ptr[0] <= 'Z';
    for (size_t i = 1; i < text.len && sound; i++) {
        char c = text.ptr[i];
        sound = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    }
    return sound;
}

bool expr_has(const struct eval *eval, const struct expr *expr)
{
    int slot = eval->slot_of[expr->path];
    if (slot < 0 || !eval->values)
        return false;
    const struct json_value *value = &eval->values[slot];
    return value->type > JSON_TYPE_NULL && !(expr->text_only && value->type != JSON_TYPE_STRING) &&
           !(expr->tag_only && !is_type_name(value->raw));
}

static struct slice payload_raw(struct eval *eval, const struct expr *expr,
                                struct json_value *ret_value)
{
    if (!expr_has(eval, expr))
        return SLICE_ABSENT;
    const struct json_value *value = &eval->values[eval->slot_of[expr->path]];
    if (ret_value)
        *ret_value = *value;
    if (expr->as_written)
        return value->raw;
    switch (value->type) {
    case JSON_TYPE_STRING: return present(decoded(eval, value));
    case JSON_TYPE_NUMBER:
    case JSON_TYPE_TRUE:
    case JSON_TYPE_FALSE: return value->raw;
    case JSON_TYPE_OBJECT: return ret_value ? value->raw : unwrapped(eval, value->raw);
    case JSON_TYPE_ARRAY: return ret_value ? SLICE_ABSENT : cid_as_text(eval, value);
    case JSON_TYPE_ABSENT:
    case JSON_TYPE_NULL: break;
    }
    return SLICE_ABSENT;
}

/* Subjects of more tokens than are kept have no end to count from. */
static struct slice subject_part(const struct eval *eval, const struct expr *expr)
{
    int count = (int)eval->token_count;
    int first = expr->token < 0 ? count + expr->token : expr->token;
    int behind = expr->to_end          ? count
                 : expr->token_end < 0 ? count + expr->token_end
                 : expr->token_end > 0 ? expr->token_end
                                       : first + 1;
    bool counts_back = expr->token < 0 || expr->token_end < 0;
    if (first < 0 || first >= count || behind <= first || behind > count ||
        (counts_back && count == SUBJECT_TOKENS_MAX))
        return SLICE_ABSENT;
    const char *begin = eval->tokens[first].ptr;
    const char *end = expr->to_end ? eval->input->subject.ptr + eval->input->subject.len
                                   : eval->tokens[behind - 1].ptr + eval->tokens[behind - 1].len;
    return present((struct slice){begin, (size_t)(end - begin)});
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
        size_t len = event_type_squash(envelope->types[i].spelling, have, sizeof have);
        if (len == wanted_len && memcmp(have, wanted, len) == 0)
            return envelope->types[i].name;
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
