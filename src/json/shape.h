/*
 * For src/json and its tests only: shapes, what texts of one producer have in common.
 *
 * A shape is learned from one text: the bytes that are the same in all of its kind (names,
 * brackets, nulls) and, between them, the values: strings, and words (numbers, true, false). A text
 * fits when the fixed bytes are equal, its strings hold no quote, backslash, control character or
 * byte above 0x7f, and its words are sound: then it is the same sequence of tokens as a text that
 * was found sound, so it is sound as well, and what is wanted lies at the same places of that
 * sequence. Values may have any length; those as long as in the learned text go fastest.
 */
#pragma once

#include "json/plan.h"

enum {
    SHAPE_VALUES_MAX = 96,
    SHAPE_BYTES_MAX = 4096,
    SHAPES_MAX = 64,    /* of one json_shapes */
    SHAPE_TRIES = 4,    /* per text */
    SHAPE_PADDING = 64, /* readable bytes behind a learned text */
    SHAPE_GUESSES = 256,
    SHAPE_NOTES_MAX = 4, /* of one shape */
    SHAPE_BORDERS_MAX = 2 * SHAPE_VALUES_MAX + 1,
    SHAPE_PATIENCE = 64, /* misses per text tried to learn, once that many were in vain */
};

/* Value i of a text and the fixed bytes behind it. */
struct shape_value {
    uint16_t at;   /* in the learned text */
    uint16_t len;  /* of the value there */
    uint16_t tail; /* of the fixed bytes behind it */
    bool is_word;
};

/*
 * Where a wanted value begins and ends: that many bytes behind a border. Border 0 is the text's
 * beginning, 2i + 1 the beginning of value i, 2i + 2 its end.
 */
struct shape_capture {
    uint16_t slot, from, from_more, to, to_more;
    uint8_t type;
};

struct json_shape {
    char *text;  /* the learned one, SHAPE_PADDING zeros behind it */
    size_t head; /* fixed bytes before the first value */
    size_t value_count, capture_count;
    struct shape_capture *captures;
    struct {
        const void *key;
        void *note;
    } notes[SHAPE_NOTES_MAX];
    void *own; /* json_shape_own() */
    struct shape_value values[];
};

struct json_shapes {
    struct json_shape *shapes[SHAPES_MAX];
    uint8_t recent[SHAPES_MAX]; /* indices, the last that fitted first */
    size_t count;
    size_t misses; /* since the last one was learned */
    size_t *budget;
    void (*free_own)(void *own);
    struct json_shape *fitted; /* by the last text; NULL: by none */
    uint32_t borders[SHAPE_BORDERS_MAX];
    uint8_t guesses[SHAPE_GUESSES]; /* by beginning and hint: index + 1 */
};

/* NULL: such a text has no shape. `values` are what a full pass gave. */
struct json_shape *json_shape_learn(struct slice text, const struct json_value *values,
                                    size_t slot_count);
void json_shape_free(struct json_shape *shape);
/* What is wanted, once the borders of a fitting text are known. */
void json_shape_fill(const struct json_shape *shape, const struct json_plan *plan, const char *text,
                     const uint32_t *borders, struct json_value *values);
