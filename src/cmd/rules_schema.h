/* rules_schema: `cim-ops rules schema SCHEMA [INSTANCES|-]`. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct rules_schema_options {
    const char *schemas; /* folder for $ref, or NULL */
    const char *base;    /* URI of that folder, or NULL */
    const char *output;  /* text or json */
    bool allow_unknown;
};

/*
 * Compiles the schema, holds each line of `instances` (a path, "-" or NULL: none) against it and
 * prints what it found. Returns an exit code: 1 when a line violates, 2 when the schema is wrong.
 */
int rules_schema(const char *schema, const char *instances,
                 const struct rules_schema_options *options, struct error *err);
