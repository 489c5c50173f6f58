/*
 * schema: JSON Schema, draft 2020-12, for the payloads of events.
 *
 * A set holds schema files. Each file is indexed when it is added ($id, $anchor, $dynamicAnchor)
 * and compiled when it is asked for or referred to; nothing is ever fetched, a $ref leads to a file
 * of the set or is a mistake. A file without $id goes by the set's base and its path in the folder:
 * `../_/ids.json#/$defs/uuid` works as it reads.
 *
 * All keywords of the draft's core, applicator, unevaluated and validation vocabularies are
 * checked; `format`, `content*` and the meta-data keywords are annotations, as the draft has it by
 * default. A keyword that is none of the draft's is refused (names that begin with "x-" are for
 * your own notes), since a rule that is misspelt would silently check nothing. So are a $schema
 * that is not known and a `pattern` that schema/regex.h refuses.
 *
 * Checking is bounded: SCHEMA_STEPS_MAX steps, SCHEMA_DEPTH_MAX nested schemas, the sizes of
 * schema/document.h, the effort of a regular expression. An instance that needs more is neither
 * valid nor violating: SCHEMA_GAVE_UP.
 *
 * A member name that comes twice in one object: each of its values is checked.
 *
 * Source: json-schema.org/draft/2020-12, Core and Validation. The official test suite's required
 * tests are run by tests/schema/.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define SCHEMA_FILES_MAX 4096
#define SCHEMA_BYTES_MAX (1u << 20) /* of one file */
#define SCHEMA_STEPS_MAX 1000000
#define SCHEMA_DEPTH_MAX 512
#define SCHEMA_BITS_MAX  (1u << 22) /* for unevaluated*: children remembered at one time */

struct schema_set;
struct schema;

struct schema_options {
    const char *base;   /* URI of the folder, ending in /; NULL: "cim-ops:/schemas/" */
    bool allow_unknown; /* take unknown keywords as annotations, as the draft has it */
};

struct schema_set *schema_set_new(const struct schema_options *options);
void schema_set_free(struct schema_set *set);

/* One file, known as base + name. The error names file, line, column and JSON pointer. */
int schema_set_add_file(struct schema_set *set, const char *path, const char *name,
                        struct error *err);
/* All *.json of the folder and of those in it. */
int schema_set_add_folder(struct schema_set *set, const char *folder, struct error *err);
/* Compiles all that was added, so that every mistake is found. */
int schema_set_compile(struct schema_set *set, struct error *err);
/* The schema of a file by its name; with all that it refers to. */
int schema_set_get(struct schema_set *set, const char *name, struct schema **ret,
                   struct error *err);
/* "<domain>/<EventType>.json"; NULL when there is none. After schema_set_compile(). */
const struct schema *schema_set_find(const struct schema_set *set, struct slice domain,
                                     struct slice event_type);
size_t schema_set_count(const struct schema_set *set); /* files */
/* Of the bytes of all files and their names, in whatever order they were added. */
uint64_t schema_set_fingerprint(const struct schema_set *set);

/* --- checking -------------------------------------------------------------------------------- */

enum schema_verdict { SCHEMA_VALID, SCHEMA_VIOLATED, SCHEMA_GAVE_UP };

#define SCHEMA_PATH_MAX 256

/* The first violation found. Paths are JSON pointers; one that is too long ends in "...". */
struct schema_violation {
    char instance[SCHEMA_PATH_MAX]; /* where in the payload; "" is all of it */
    char schema[SCHEMA_PATH_MAX];   /* the keyword, in its file */
    const char *file;               /* its path, as it was added */
    char reason[SCHEMA_PATH_MAX];   /* what was expected; never the payload's own values */
};

/* Working space that is kept from call to call: in the long run nothing is allocated. */
struct schema_checker;
struct schema_checker *schema_checker_new(void);
void schema_checker_free(struct schema_checker *checker);

/* `json` is well-formed (json_extract() said so). For SCHEMA_GAVE_UP, reason is set. */
enum schema_verdict schema_check(struct schema_checker *checker, const struct schema *schema,
                                 struct slice json, struct schema_violation *ret);

/*
 * The same, of a text that json_extract_shaped() has just taken: where it fits a shape that was
 * found valid before, only its values are looked at.
 */
struct json_shapes;
enum schema_verdict schema_check_shaped(struct schema_checker *checker, const struct schema *schema,
                                        struct slice json, const struct json_shapes *shapes,
                                        struct schema_violation *ret);
