/* For siblings in src/schema only: sets, resources and compiled schemas. */
#pragma once

#include "schema/decimal.h"
#include "schema/document.h"
#include "schema/regex.h"
#include "schema/schema.h"

/*
 * Keywords that go together are one step: `properties` with `patternProperties` and
 * `additionalProperties`, `prefixItems` with `items`, `contains` with its bounds, `if` with `then`
 * and `else`. Steps run in this order, so cheap ones and those that others build on come first.
 */
enum step_kind {
    STEP_TYPE,
    STEP_CONST,
    STEP_ENUM,
    STEP_MULTIPLE_OF,
    STEP_MAXIMUM,
    STEP_EXCLUSIVE_MAXIMUM,
    STEP_MINIMUM,
    STEP_EXCLUSIVE_MINIMUM,
    STEP_MAX_LENGTH,
    STEP_MIN_LENGTH,
    STEP_PATTERN,
    STEP_MAX_ITEMS,
    STEP_MIN_ITEMS,
    STEP_UNIQUE_ITEMS,
    STEP_MAX_PROPERTIES,
    STEP_MIN_PROPERTIES,
    STEP_REQUIRED,
    STEP_DEPENDENT_REQUIRED,
    STEP_PROPERTIES,
    STEP_PROPERTY_NAMES,
    STEP_ITEMS,
    STEP_CONTAINS,
    STEP_REF,
    STEP_DYNAMIC_REF,
    STEP_ALL_OF,
    STEP_ANY_OF,
    STEP_ONE_OF,
    STEP_NOT,
    STEP_IF,
    STEP_DEPENDENT_SCHEMAS,
    STEP_UNEVALUATED_ITEMS,
    STEP_UNEVALUATED_PROPERTIES,
};

enum type_bit {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_NUMBER = 4,
    TYPE_INTEGER = 8, /* alone: whole numbers only */
    TYPE_STRING = 16,
    TYPE_ARRAY = 32,
    TYPE_OBJECT = 64,
};

struct named_schema {
    struct slice name;
    struct schema *schema;
    uint64_t needed; /* its bit in properties.needed, when it is required */
};

struct pattern_schema {
    struct regex *regex;
    struct schema *schema;
};

struct needed_names {
    struct slice when; /* dependentRequired: the member that asks for them */
    struct slice *names;
    size_t count;
};

struct step {
    enum step_kind kind;
    unsigned values; /* bit per enum json_type: of other values it says nothing */
    uint32_t place;  /* of the keyword's value in the schema's document */
    union {
        unsigned types;
        uint64_t bound;
        struct slice number;
        struct divisor divisor;
        struct regex *regex;
        struct schema *schema;
        struct needed_names needed; /* required */
        struct {
            struct needed_names *items;
            size_t count;
        } dependents;
        struct {
            struct schema **items;
            size_t count;
        } list; /* allOf, anyOf, oneOf */
        struct {
            struct named_schema *items; /* dependentSchemas */
            size_t count;
        } named;
        struct {
            struct named_schema *known; /* sorted by length and bytes */
            size_t known_count;
            struct pattern_schema *patterns;
            size_t pattern_count;
            struct schema *others;
            uint64_t needed; /* these members must be there, for `required` */
        } properties;
        struct {
            struct schema **prefix;
            size_t prefix_count;
            struct schema *rest;
        } items;
        struct {
            struct schema *schema;
            uint64_t least, most;
        } contains;
        struct {
            struct schema *condition, *then, *otherwise;
        } branch;
        struct {
            struct schema *target;
            struct slice anchor; /* absent: a $ref like any other */
        } dynamic;
    };
};

struct schema {
    struct schema_file *file;
    uint32_t place;
    struct resource *resource;
    bool is_false, unevaluated;
    /* It asks for nothing but a type and a length of texts: what fits is seen at a glance. */
    bool simple;
    unsigned simple_types;  /* bit per enum json_type */
    uint64_t least, most;   /* characters */
    struct schema *forward; /* nothing but a $ref: what it leads to in the end */
    struct step *steps;
    size_t step_count, step_room;
};

struct anchor {
    struct slice name;
    uint32_t place;
    bool dynamic;
    struct schema *schema; /* of a dynamic one, once somebody may ask for it */
};

/* What has a URI of its own: a file's root, and each schema with $id. */
struct resource {
    struct schema_file *file;
    char *uri;
    uint32_t place;
    unsigned vocabularies; /* bit per enum vocabulary */
    bool vocabularies_known, reached;
    struct anchor *anchors;
    size_t anchor_count, anchor_room;
};

struct schema_file {
    char *path, *name, *uri;
    struct buf text;
    struct document document;
    struct resource **resource_of; /* by place; NULL: no schema stands there */
    struct schema **schema_of;     /* by place; NULL: not compiled yet */
};

struct schema_set {
    char *base;
    bool allow_unknown;
    struct schema_file **files;
    size_t file_count, file_room;
    struct resource **resources;
    size_t resource_count, resource_room;
    struct schema **schemas; /* all that were begun; those from `compiled` on wait */
    size_t schema_count, schema_room, compiled;
    struct slice *dynamic_names; /* that some $dynamicRef asks for */
    size_t dynamic_count, dynamic_room;
    uint64_t fingerprint;
};

/* --- keywords -------------------------------------------------------------------------------- */

enum vocabulary {
    VOCABULARY_CORE = 1,
    VOCABULARY_APPLICATOR = 2,
    VOCABULARY_UNEVALUATED = 4,
    VOCABULARY_VALIDATION = 8,
    VOCABULARY_ANNOTATION = 16, /* meta-data, format-annotation, content */
    VOCABULARY_ALL = 31,
};

/* What a keyword's value holds, for finding the schemas in it. */
enum keyword_shape { SHAPE_VALUE, SHAPE_SCHEMA, SHAPE_SCHEMA_LIST, SHAPE_SCHEMA_MAP };

struct keyword {
    struct slice name;
    enum vocabulary vocabulary;
    enum keyword_shape shape;
    /* NULL: nothing to do (annotations, and what another keyword takes care of). */
    int (*compile)(struct schema_set *set, struct schema *schema, uint32_t place,
                   struct error *err);
};

/* NULL: not a keyword of the draft. */
const struct keyword *keyword_find(struct slice name);

/* --- between the files ----------------------------------------------------------------------- */

/* "<file>:<line>:<column>: <pointer>: <text>"; EXIT_CODE_USAGE. */
int schema_error(const struct schema_file *file, uint32_t place, struct error *err,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* index.c: resources and anchors of a file that was read. */
int schema_index(struct schema_set *set, struct schema_file *file, struct error *err);
/* NULL with err set: there is no such schema. `place` is where the reference stands. */
int schema_resolve(struct schema_set *set, const struct schema *from, uint32_t place,
                   struct schema_file **ret_file, uint32_t *ret_place, struct anchor **ret_anchor,
                   struct error *err);
struct resource *schema_resource_find(const struct schema_set *set, struct slice uri);
int schema_vocabularies(struct schema_set *set, struct resource *resource, struct error *err);

/* compile.c: the schema at a place, begun now and compiled by schema_finish(). */
struct schema *schema_begin(struct schema_set *set, struct schema_file *file, uint32_t place);
int schema_finish(struct schema_set *set, struct error *err);
struct step *schema_add_step(struct schema *schema, enum step_kind kind, uint32_t place);
void schema_free(struct schema *schema);
