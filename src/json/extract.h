/*
 * extract: one pass over JSON bytes that validates all of them and yields exactly the values
 * wanted.
 *
 * A plan is a set of paths, compiled once into a trie; json_extract() walks the bytes once, checks
 * them fully against RFC 8259 (UTF-8 by RFC 3629 included) and fills one slot per path with a slice
 * of the input. No allocation, no copy, no recursion. The input need not be NUL-terminated.
 *
 * Paths: member names joined by dots; `*` stands for any member; a last segment `#` yields the NAME
 * of the object's first member (the tag of an externally tagged enum); the empty path is the whole
 * value. When several values fit one path, the first in the text wins. Names are compared to the
 * raw bytes.
 *
 * Cost: about one nanosecond per 2 to 4 bytes on present x86-64; a plan costs nothing for members
 * that it does not want beyond their validation.
 */
#pragma once

#include "base/buf.h"

enum json_type {
    JSON_TYPE_ABSENT,
    JSON_TYPE_NULL,
    JSON_TYPE_FALSE,
    JSON_TYPE_TRUE,
    JSON_TYPE_NUMBER,
    JSON_TYPE_STRING, /* raw: between the quotes, escapes as written */
    JSON_TYPE_ARRAY,  /* raw: with its brackets */
    JSON_TYPE_OBJECT, /* raw: with its braces */
};

struct json_value {
    struct slice raw;
    enum json_type type;
    bool escaped; /* a string with a backslash in it */
};

struct json_error {
    const char *what; /* constant text */
    size_t offset;
};

#define JSON_DEPTH_MAX      1024
#define JSON_PATHS_MAX      1024
#define JSON_SEGMENTS_MAX   32    /* of one path */
#define JSON_PLAN_NODES_MAX 65536 /* of the trie, once `*` is merged into its neighbours */

struct json_plan;

struct json_plan *json_plan_new(void);
void json_plan_free(struct json_plan *plan);
/* Returns the path's slot; the same path gives the same slot. Before compiling. -1: the plan is
 * full, or the path has too many segments. */
int json_plan_add(struct json_plan *plan, struct slice path);
/* False: paths with `*` overlap in so many ways that the plan would not stay small; it is of no
 * use. */
bool json_plan_compile(struct json_plan *plan);
size_t json_plan_slots(const struct json_plan *plan);

/* `values` has json_plan_slots() entries, all overwritten. False: malformed, *error says where. */
bool json_extract(const struct json_plan *plan, struct slice bytes, struct json_value *values,
                  struct json_error *error);

/*
 * The same for texts that a plan sees again and again: what those of one producer have in common is
 * remembered, and a text that fits it costs a fraction. One json_shapes per plan, for one thread;
 * each shape of about 2 KiB takes 1 from *budget, which outlives it, and at 0 no more are learned.
 * `hint` is any number that is mostly the same for texts alike, such as the type in their subject;
 * it decides nothing but which shape is tried first. `free_own` (may be NULL) frees what the caller
 * keeps with a shape.
 */
struct json_shapes;
struct json_shapes *json_shapes_new(size_t *budget, void (*free_own)(void *own));
void json_shapes_free(struct json_shapes *shapes);
bool json_extract_shaped(const struct json_plan *plan, struct json_shapes *shapes,
                         struct slice bytes, uint64_t hint, struct json_value *values,
                         struct json_error *error);

/*
 * What the last text fitted, for those who judge whole texts: the texts of one shape differ in its
 * values only, so what depends on nothing else is the same for all of them. NULL: it fitted none,
 * and must be looked at as a whole. Valid until the next call of json_extract_shaped().
 */
struct json_shape *json_shapes_fitted(const struct json_shapes *shapes);
/* Strings, numbers, true and false, in the order of the text; nulls are part of the shape. */
size_t json_shape_count(const struct json_shape *shape);
/* Where they lie in the last text: value i from 2i + 1 to 2i + 2. Strings of a shape are ASCII
 * without escapes. */
const uint32_t *json_shapes_borders(const struct json_shapes *shapes);
/* Value `index` of the last text, which begins at `text`. */
struct json_value json_shapes_value(const struct json_shapes *shapes, size_t index,
                                    const char *text);
/* What was found out about a shape, by whom (`key`); a note is one block of the heap and is freed
 * with its shape. False: there is no room for one more, the note stays the caller's. */
void *json_shape_note(const struct json_shape *shape, const void *key);
bool json_shape_add_note(struct json_shape *shape, const void *key, void *note);
/* Where the caller of json_extract_shaped() keeps what it knows of a shape; NULL at first. */
void **json_shape_own(struct json_shape *shape);

/* How this machine does it: "avx512", "avx2" or "portable"; $CIM_OPS_SIMD chooses at start. */
const char *json_extract_method(void);

/* Appends a string's text with escapes decoded; a lone surrogate becomes U+FFFD. */
void json_unescape(struct slice raw, struct buf *ret);

/*
 * A number's value; false when it does not fit a double (1e999) or the value is none. The text may
 * come from elsewhere (type set to JSON_TYPE_NUMBER by the caller): what is not a number throughout
 * is none.
 */
bool json_number(const struct json_value *value, double *ret);
