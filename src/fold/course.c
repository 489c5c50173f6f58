#include "fold/course.h"

#include <stddef.h>

#include "base/memory.h"

enum { COURSES_MAX = 4 }; /* per shape: as many sets of headers */

/* --- what an event has ------------------------------------------------------------------------ */

static bool same_names(const struct course *course, const struct event_input *input)
{
    const char *at = course->names;
    for (int i = 0; i < input->header_count; i++) {
        struct slice name = input->headers[i].name;
        if ((unsigned char)*at != name.len || memcmp(at + 1, name.ptr, name.len) != 0)
            return false;
        at += 1 + name.len;
    }
    return true;
}

struct course *course_find(struct json_shape *shape, const struct eval *eval)
{
    for (struct course *c = *json_shape_own(shape); c; c = c->next) {
        if (c->token_count == eval->token_count && c->header_count == eval->input->header_count &&
            same_names(c, eval->input))
            return c;
    }
    return NULL;
}

void courses_free(void *courses)
{
    for (struct course *c = courses, *next; c; c = next) {
        next = c->next;
        free(c);
    }
}

/* --- noting ----------------------------------------------------------------------------------- */

enum finding { FOUND, SKIPPED, TO_ASK, BY_VALUE };

/* An object that is {"id":"…"} and no more: its text is a part of it, at a fixed place. */
static enum finding note_object(const struct json_value *value, struct source *ret)
{
    static const struct slice before = SLICE("{\"id\":\""), behind = SLICE("\"}");
    struct slice raw = value->raw;
    if (!slice_starts(raw, before))
        return TO_ASK;
    const char *quote = memchr(raw.ptr + before.len, '"', raw.len - before.len);
    if (!quote || quote + behind.len != raw.ptr + raw.len)
        return TO_ASK;
    if (quote == raw.ptr + before.len)
        return BY_VALUE;
    ret->skip = (uint8_t)before.len;
    ret->cut = (uint8_t)behind.len;
    return FOUND;
}

/* `is_time`: objects are taken as they are, and arrays are none. */
static enum finding note_payload(const struct eval *eval, const struct expr *expr, bool is_time,
                                 struct source *ret)
{
    int slot = eval->slot_of[expr->path];
    if (!expr_has(eval, expr))
        return SKIPPED;
    const struct json_value *value = &eval->values[slot];
    ret->base = BASE_VALUES;
    ret->slot = (uint16_t)slot;
    ret->at = (uintptr_t)slot * sizeof *value + offsetof(struct json_value, raw);
    ret->may_be_empty = expr->as_written;
    if (expr->as_written)
        return FOUND;
    switch (value->type) {
    case JSON_TYPE_STRING: return value->escaped ? TO_ASK : value->raw.len ? FOUND : BY_VALUE;
    case JSON_TYPE_NUMBER:
    case JSON_TYPE_TRUE:
    case JSON_TYPE_FALSE: return FOUND;
    case JSON_TYPE_OBJECT: return is_time ? FOUND : note_object(value, ret);
    case JSON_TYPE_ARRAY: return is_time ? SKIPPED : TO_ASK;
    case JSON_TYPE_ABSENT:
    case JSON_TYPE_NULL: break;
    }
    return SKIPPED;
}

static enum finding note_token(const struct eval *eval, const struct expr *expr, struct source *ret)
{
    if (expr->to_end || expr->token_end || eval->token_count == SUBJECT_TOKENS_MAX)
        return TO_ASK;
    int at = expr->token < 0 ? (int)eval->token_count + expr->token : expr->token;
    if (at < 0 || at >= (int)eval->token_count)
        return SKIPPED;
    ret->base = BASE_TOKENS;
    ret->at = (uintptr_t)at * sizeof eval->tokens[0];
    return eval->tokens[at].len ? FOUND : BY_VALUE;
}

static enum finding note_header(const struct eval *eval, const struct expr *expr,
                                struct source *ret)
{
    for (int i = 0; i < eval->input->header_count; i++) {
        const struct event_header *header = &eval->input->headers[i];
        if (!event_header_is(header->name, expr->text))
            continue;
        ret->base = BASE_HEADERS;
        ret->at = (uintptr_t)i * sizeof *header + offsetof(struct event_header, value);
        return header->value.len ? FOUND : BY_VALUE;
    }
    return SKIPPED;
}

static enum finding note_expr(const struct eval *eval, const struct expr *expr, bool is_time,
                              struct source *ret)
{
    switch (expr->kind) {
    case EXPR_CONSTANT:
        ret->at = (uintptr_t)&expr->text;
        ret->may_be_empty = true;
        return slice_present(expr->text) ? FOUND : SKIPPED;
    case EXPR_PAYLOAD: return note_payload(eval, expr, is_time, ret);
    case EXPR_SUBJECT: return note_token(eval, expr, ret);
    case EXPR_HEADER: return note_header(eval, expr, ret);
    case EXPR_FIELD:
    case EXPR_STORED_AT:
    case EXPR_DELAY:
    case EXPR_REMEMBERED: break;
    }
    return TO_ASK;
}

static const struct slice absent;

/* False: what this event says decides, not what it has; another may tell. */
static bool note_list(const struct eval *eval, const struct expr_list *list, bool is_time,
                      struct source *ret)
{
    for (size_t i = 0; i < list->count; i++) {
        *ret = (struct source){.expr = &list->items[i], .list = list};
        enum finding finding = note_expr(eval, &list->items[i], is_time, ret);
        if (finding == FOUND)
            return true;
        if (finding == BY_VALUE)
            return false;
        if (finding == TO_ASK) {
            *ret = (struct source){
                .asks = true, .at = (uintptr_t)&absent, .may_be_empty = true, .list = list};
            return true;
        }
    }
    *ret = (struct source){.at = (uintptr_t)&absent, .may_be_empty = true, .list = list};
    return true;
}

static bool asks_view(const struct expr_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind == EXPR_FIELD)
            return true;
    }
    return false;
}

static bool note_all(const struct eval *eval, const struct plan_group *group, struct course *ret)
{
    const struct envelope *envelope = ret->envelope;
    for (size_t f = 0; f < EVENT_FIELDS; f++) {
        bool wanted = f < EVENT_CLASS_FIELDS || group->fields >> f & 1;
        if (wanted &&
            !note_list(eval, &envelope->fields[f], f == EVENT_OCCURRED_AT, &ret->field[f]))
            return false;
        if (f < EVENT_CLASS_FIELDS) {
            ret->asks |= (uint32_t)ret->field[f].asks << f;
            ret->varies |= (uint32_t)(ret->field[f].asks || ret->field[f].base != BASE_NONE) << f;
        }
    }
    if (!note_list(eval, &envelope->channel, false, &ret->channel))
        return false;
    ret->fact_is_early = !asks_view(&envelope->channel);
    for (size_t i = 0; i < envelope->fact_count; i++) {
        if (!note_list(eval, &envelope->fact[i], false, &ret->fact[i]))
            return false;
        ret->fact_is_early = ret->fact_is_early && !asks_view(&envelope->fact[i]);
    }
    return true;
}

static size_t names_length(const struct event_input *input)
{
    size_t len = 0;
    for (int i = 0; i < input->header_count; i++) {
        if (input->headers[i].name.len > UINT8_MAX)
            return SIZE_MAX;
        len += 1 + input->headers[i].name.len;
    }
    return len;
}

static void put_names(const struct event_input *input, char *out)
{
    for (int i = 0; i < input->header_count; i++) {
        struct slice name = input->headers[i].name;
        *out = (char)name.len;
        memcpy(out + 1, name.ptr, name.len);
        out += 1 + name.len;
    }
}

void course_note(struct json_shape *shape, const struct eval *eval, const struct plan_group *group,
                 size_t candidate)
{
    struct course **place = (struct course **)json_shape_own(shape);
    size_t count = 0, names_len = names_length(eval->input);
    for (; *place; place = &(*place)->next)
        count++;
    if (count == COURSES_MAX || names_len == SIZE_MAX)
        return;
    struct course *course = xcalloc(1, sizeof *course + names_len);
    course->envelope = group->envelopes[candidate];
    course->probes = &group->probes[candidate];
    course->token_count = eval->token_count;
    course->header_count = eval->input->header_count;
    course->names_len = names_len;
    put_names(eval->input, course->names);
    if (note_all(eval, group, course))
        *place = course;
    else
        free(course);
}
