/* For siblings in src/fold only: what projection rules are made of. */
#pragma once

#include "fold/expr.h"
#include "fold/projection.h"
#include "json/extract.h"

enum projection_op {
    PROJECTION_LAST,   /* the value becomes what the reference gives */
    PROJECTION_MERGE,  /* JSON merge patch onto the value, or onto a field of it */
    PROJECTION_COUNT,  /* a field goes up by one */
    PROJECTION_SET,    /* fields become what their references give */
    PROJECTION_ONCE,   /* the same for those that are not there yet */
    PROJECTION_APPEND, /* an item more at the end of a field */
    PROJECTION_REMOVE, /* fields go */
    PROJECTION_END,    /* the document goes */
};

enum projection_source {
    SOURCE_TEXT,        /* `text`, as a JSON string */
    SOURCE_JSON,        /* the payload's value, whatever it is */
    SOURCE_LITERAL,     /* a number, true, false or null of the rule file */
    SOURCE_STORED_AT,   /* RFC 3339 */
    SOURCE_OCCURRED_AT, /* RFC 3339 where it can be told, else as the event has it */
    SOURCE_SEQUENCE,
    SOURCE_STREAM,
    SOURCE_SUBJECT,
};

struct projection_reference {
    enum projection_source source;
    struct expr_list text; /* SOURCE_TEXT */
    size_t path;           /* SOURCE_JSON: index into paths */
    struct slice literal;
};

struct projection_field {
    struct slice name;                       /* as in json_tree_name(); absent: the whole value */
    struct slice dropped;                    /* PROJECTION_APPEND: what counts items that went */
    struct projection_reference *references; /* the first that gives something */
    size_t reference_count;
};

struct projection_step {
    enum projection_op op;
    struct projection_field *fields;
    size_t field_count;
    size_t limit; /* PROJECTION_APPEND */
};

struct projection_rule {
    struct slice name;
    struct filter_list subjects; /* none: all */
    struct condition_list when;
    struct projection_step *steps;
    size_t step_count;
};

struct projection_rules {
    struct rules base; /* only its paths and the number of its rewrites are used */
    struct projection_rule *items;
    size_t count;
    uint64_t fingerprint;
    struct yaml_document_tree **files; /* keep the texts alive */
    size_t file_count;
    char **names; /* made here: escaped, or with a suffix */
    size_t name_count;
    struct json_plan *plan; /* of all paths */
    int *slot_of;
};
