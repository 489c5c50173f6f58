/*
 * tree: a JSON value that can be changed, and written again.
 *
 * Numbers and strings are kept as the producer wrote them: 18446744073709551616, 0.1, 1E400 and
 * "caf\u00e9" come out as they went in, so nothing is rounded and nothing depends on a library's
 * idea of a number. Members of an object are kept in the order of their names' bytes, so that the
 * same members give the same bytes in whatever order they came; names are compared with escapes
 * resolved ("a" is "\u0061"), and of members of one name the last in the text holds.
 *
 * Zero-initialised is valid: no value. The tree owns its bytes. Texts that are taken in must be
 * valid JSON, which json_extract() checks; for others it ends somewhere, with some value, within
 * the text. Bounded: JSON_TREE_MEMBERS_MAX of an object; depth by json_tree_depth(), which callers
 * look at before (functions recurse). Cost: one pass over the text and one block of the heap per
 * new value and long name; a value that replaces one of at least its size takes none.
 */
#pragma once

#include "json/extract.h"

#define JSON_TREE_MEMBERS_MAX 16384

struct json_tree_member;

struct json_tree {
    enum json_type type;  /* JSON_TYPE_ABSENT: no value */
    uint32_t count, room; /* bytes of text, items or members */
    union {
        char *text; /* of a scalar, strings with their quotes */
        struct json_tree *items;
        struct json_tree_member *members; /* ascending by name */
    };
};

/* Most names lie in the member itself: looking one up stays within the object's one block. */
#define JSON_TREE_NAME_INSIDE 16

struct json_tree_member {
    struct json_tree value;
    uint32_t name_len;
    char inside[JSON_TREE_NAME_INSIDE]; /* its first bytes, then zeros */
    char *outside;                      /* all of a longer one; else NULL */
};

/* As between quotes, escaped only where it must be. */
static inline struct slice json_tree_name_of(const struct json_tree_member *member)
{
    return (struct slice){member->outside ? member->outside : member->inside, member->name_len};
}

void json_tree_done(struct json_tree *tree);

/* Makes the tree the value that the text is. False: an object has too many members; the tree then
 * holds what came before. */
bool json_tree_set(struct json_tree *tree, struct slice text);
/*
 * RFC 7396 (JSON merge patch): members of the text's objects are set in the tree's, null removes
 * them; anything else replaces what was there. False: as above.
 */
bool json_tree_merge(struct json_tree *tree, struct slice text);

/* Nested objects and arrays; 0 for a scalar. Blanks and strings are skipped. */
size_t json_tree_depth(struct slice text);

/*
 * Members by the name as it stands between quotes (json_tree_name()). `ensure` makes the tree an
 * empty object when it is none, and the member without a value when there is none; NULL: too many.
 */
void json_tree_name(struct buf *out, struct slice text);
struct json_tree *json_tree_get(struct json_tree *tree, struct slice name);
struct json_tree *json_tree_ensure(struct json_tree *tree, struct slice name);
bool json_tree_remove(struct json_tree *tree, struct slice name); /* was it there? */

/* A new last item without a value, to be set; the tree becomes an empty array when it is none. */
struct json_tree *json_tree_push(struct json_tree *tree);
/* Drops the first items of an array. */
void json_tree_shift(struct json_tree *tree, size_t count);

/* A number that is a non-negative integer of 64 bits, without fraction or exponent. */
bool json_tree_u64(const struct json_tree *tree, uint64_t *ret);
void json_tree_set_u64(struct json_tree *tree, uint64_t value);

/* Compact, without blanks. Members without a value are left out. */
void json_tree_write(const struct json_tree *tree, struct buf *out);
/* How many bytes that would be. */
size_t json_tree_size(const struct json_tree *tree);
