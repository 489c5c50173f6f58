/*
 * course: what reading the events of one shape comes down to, for siblings in src/fold only.
 *
 * Which envelope fits and which alternative gives a field is decided by what an event has, not by
 * what it says: by its payload's shape (json/extract.h), the names of its headers and the number of
 * its subject's tokens. A course is those decisions, noted while one event was read the long way;
 * the next of its kind is read by a few fixed looks. Where a decision rests on more (an empty text
 * counts as absent, a content id is parsed), no course is noted, or the expressions are asked as
 * ever. A course never changes what is read, only how fast.
 *
 * Courses belong to their shape and are freed with it. One thread. Cost: a comparison of the
 * headers' names and one branch per field.
 */
#pragma once

#include "fold/expr.h"
#include "fold/fact.h"
#include "fold/plan.h"

/* Where a text lies: the bases below, and how far behind them. */
enum source_base { BASE_NONE, BASE_TOKENS, BASE_HEADERS, BASE_VALUES, SOURCE_BASES };

struct source {
    bool asks;               /* the alternatives in turn; nothing else here counts */
    bool may_be_empty;       /* otherwise an empty text decides otherwise */
    uint8_t base, skip, cut; /* bytes at both ends that are not of the text */
    uint16_t slot;           /* of the payload's value */
    uintptr_t at;            /* of a struct slice */
    const struct expr *expr; /* the alternative that was taken; NULL: none */
    const struct expr_list *list;
};

struct class_entry;

struct course {
    struct course *next; /* of the same shape */
    const struct envelope *envelope;
    const struct plan_envelope *probes;
    size_t token_count;
    int header_count;
    /* The class of the last event, where it is one of the stream state of this generation. */
    uint64_t class_generation;
    struct class_entry *class;
    bool fact_is_early;    /* told by what the message has, not by fields of its view */
    uint32_t asks, varies; /* bit per class field: to be asked; with a text of the event's own */
    struct source field[EVENT_FIELDS], fact[FACT_PARTS_MAX], channel;
    size_t names_len;
    char names[]; /* of the headers: length in one byte, name */
};

/* The course of the event that `eval` holds, whose payload fitted `shape`. NULL: none is known. */
struct course *course_find(struct json_shape *shape, const struct eval *eval);
/* The same event has been read the long way, by this candidate of the group: note how. */
void course_note(struct json_shape *shape, const struct eval *eval, const struct plan_group *group,
                 size_t candidate);
/* Frees what a shape keeps; for json_shapes_new(). */
void courses_free(void *courses);

/* The same for all sources, so that which one it is needs no branch. False: this event's text is
 * empty, or the alternatives must be asked. */
static inline bool source_raw(const struct eval *eval, const struct source *source,
                              struct slice *ret)
{
    const char *const bases[SOURCE_BASES] = {[BASE_TOKENS] = (const char *)eval->tokens,
                                             [BASE_HEADERS] = (const char *)eval->input->headers,
                                             [BASE_VALUES] = (const char *)eval->values};
    const struct slice *text = (const void *)((uintptr_t)bases[source->base] + source->at);
    ret->ptr = (const char *)((uintptr_t)text->ptr + source->skip); /* of no text: still none */
    ret->len = text->len - source->skip - source->cut;
    return (ret->len != 0) | source->may_be_empty;
}

/* What the list says of this event: expr_list_text(), by the course. */
static inline struct slice source_text(struct eval *eval, const struct source *source)
{
    struct slice text;
    if (source->asks || !source_raw(eval, source, &text))
        return expr_list_text(eval, source->list);
    if (!slice_present(text))
        return text;
    if (source->expr->transform_count)
        text = expr_transform(eval, source->expr, text);
    /* A transform may leave nothing, and then the next alternative is asked. */
    return slice_present(text) ? expr_rewritten(eval, source->list, text)
                               : expr_list_text(eval, source->list);
}
