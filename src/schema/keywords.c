/* The keywords of draft 2020-12, and what each becomes. */
#include "base/memory.h"
#include "schema/schema_internal.h"

#define COMPILE(name)                                                                              \
    static int name(struct schema_set *set, struct schema *schema, uint32_t place,                 \
                    struct error *err)

static const struct document_value *value_at(const struct schema *schema, uint32_t place)
{
    return &schema->file->document.values[place];
}

static int wrong(const struct schema *schema, uint32_t place, const char *expected,
                 struct error *err)
{
    return schema_error(schema->file, place, err, "%s was expected", expected);
}

static int expect(const struct schema *schema, uint32_t place, enum json_type type,
                  const char *expected, struct error *err)
{
    return value_at(schema, place)->type == type ? 0 : wrong(schema, place, expected, err);
}

/* --- assertions about any value --------------------------------------------------------------- */

static unsigned type_named(struct slice name)
{
    static const struct {
        struct slice name;
        unsigned bits;
    } types[] = {
        {SLICE("null"), TYPE_NULL},     {SLICE("boolean"), TYPE_BOOLEAN},
        {SLICE("number"), TYPE_NUMBER}, {SLICE("integer"), TYPE_INTEGER},
        {SLICE("string"), TYPE_STRING}, {SLICE("array"), TYPE_ARRAY},
        {SLICE("object"), TYPE_OBJECT},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (slice_eq(types[i].name, name))
            return types[i].bits;
    }
    return 0;
}

static int add_type(const struct schema *schema, uint32_t place, unsigned *types, struct error *err)
{
    const struct document_value *value = value_at(schema, place);
    unsigned bits = value->type == JSON_TYPE_STRING ? type_named(value->text) : 0;
    *types |= bits;
    return bits ? 0
                : wrong(schema, place,
                        "null, boolean, number, integer, string, array or object, in quotes", err);
}

COMPILE(compile_type)
{
    (void)set;
    struct step *step = schema_add_step(schema, STEP_TYPE, place);
    if (value_at(schema, place)->type != JSON_TYPE_ARRAY)
        return add_type(schema, place, &step->types, err);
    if (!value_at(schema, place)->count)
        return wrong(schema, place, "at least one type", err);
    DOCUMENT_EACH(&schema->file->document, place, at)
    {
        if (add_type(schema, at, &step->types, err) < 0)
            return -1;
    }
    return 0;
}

COMPILE(compile_const)
{
    (void)set, (void)err;
    (void)schema_add_step(schema, STEP_CONST, place);
    return 0;
}

COMPILE(compile_enum)
{
    (void)set;
    (void)schema_add_step(schema, STEP_ENUM, place);
    return expect(schema, place, JSON_TYPE_ARRAY, "a list of values", err);
}

/* --- numbers ---------------------------------------------------------------------------------- */

COMPILE(compile_multiple_of)
{
    (void)set;
    struct step *step = schema_add_step(schema, STEP_MULTIPLE_OF, place);
    if (expect(schema, place, JSON_TYPE_NUMBER, "a number", err) < 0)
        return -1;
    return divisor_parse(value_at(schema, place)->text, &step->divisor)
               ? 0
               : wrong(schema, place, "a number above 0 with at most 18 digits that count", err);
}

static int add_limit(struct schema *schema, enum step_kind kind, uint32_t place, struct error *err)
{
    struct step *step = schema_add_step(schema, kind, place);
    step->number = value_at(schema, place)->text;
    return expect(schema, place, JSON_TYPE_NUMBER, "a number", err);
}

/* --- sizes ------------------------------------------------------------------------------------ */

static int read_size(const struct schema *schema, uint32_t place, uint64_t *ret, struct error *err)
{
    const struct document_value *value = value_at(schema, place);
    bool good = value->type == JSON_TYPE_NUMBER && decimal_to_u64(value->text, ret);
    return good ? 0 : wrong(schema, place, "a whole number, 0 or more,", err);
}

static int add_size(struct schema *schema, enum step_kind kind, uint32_t place, struct error *err)
{
    return read_size(schema, place, &schema_add_step(schema, kind, place)->bound, err);
}

#define LIMIT(name, kind, add)                                                                     \
    COMPILE(name)                                                                                  \
    {                                                                                              \
        (void)set;                                                                                 \
        return add(schema, kind, place, err);                                                      \
    }
LIMIT(compile_maximum, STEP_MAXIMUM, add_limit)
LIMIT(compile_exclusive_maximum, STEP_EXCLUSIVE_MAXIMUM, add_limit)
LIMIT(compile_minimum, STEP_MINIMUM, add_limit)
LIMIT(compile_exclusive_minimum, STEP_EXCLUSIVE_MINIMUM, add_limit)
LIMIT(compile_max_length, STEP_MAX_LENGTH, add_size)
LIMIT(compile_min_length, STEP_MIN_LENGTH, add_size)
LIMIT(compile_max_items, STEP_MAX_ITEMS, add_size)
LIMIT(compile_min_items, STEP_MIN_ITEMS, add_size)
LIMIT(compile_max_properties, STEP_MAX_PROPERTIES, add_size)
LIMIT(compile_min_properties, STEP_MIN_PROPERTIES, add_size)

COMPILE(compile_unique_items)
{
    (void)set;
    enum json_type type = value_at(schema, place)->type;
    if (type == JSON_TYPE_TRUE)
        (void)schema_add_step(schema, STEP_UNIQUE_ITEMS, place);
    else if (type != JSON_TYPE_FALSE)
        return wrong(schema, place, "true or false", err);
    return 0;
}

/* --- texts ------------------------------------------------------------------------------------ */

static int read_pattern(const struct schema *schema, uint32_t place, struct slice pattern,
                        struct regex **ret, struct error *err)
{
    char room[160];
    const char *why = NULL;
    size_t at = 0;
    *ret = regex_compile(pattern, room, sizeof room, &why, &at);
    return *ret ? 0
                : schema_error(schema->file, place, err,
                               "the pattern cannot be used, at its byte %zu: %s", at, why);
}

COMPILE(compile_pattern)
{
    (void)set;
    if (expect(schema, place, JSON_TYPE_STRING, "a regular expression, in quotes,", err) < 0)
        return -1;
    return read_pattern(schema, place, value_at(schema, place)->text,
                        &schema_add_step(schema, STEP_PATTERN, place)->regex, err);
}

/* --- names of members ------------------------------------------------------------------------- */

static int read_names(const struct schema *schema, uint32_t place, struct needed_names *ret,
                      struct error *err)
{
    const struct document *document = &schema->file->document;
    if (expect(schema, place, JSON_TYPE_ARRAY, "a list of names", err) < 0)
        return -1;
    ret->names = xcalloc(document->values[place].count + 1, sizeof *ret->names);
    DOCUMENT_EACH(document, place, at)
    {
        if (expect(schema, at, JSON_TYPE_STRING, "a name, in quotes,", err) < 0)
            return -1;
        ret->names[ret->count++] = document->values[at].text;
    }
    return 0;
}

COMPILE(compile_required)
{
    (void)set;
    return read_names(schema, place, &schema_add_step(schema, STEP_REQUIRED, place)->needed, err);
}

COMPILE(compile_dependent_required)
{
    (void)set;
    struct step *step = schema_add_step(schema, STEP_DEPENDENT_REQUIRED, place);
    if (expect(schema, place, JSON_TYPE_OBJECT, "an object of lists of names", err) < 0)
        return -1;
    step->dependents.items =
        xcalloc(value_at(schema, place)->count + 1, sizeof *step->dependents.items);
    DOCUMENT_EACH(&schema->file->document, place, at)
    {
        struct needed_names *needed = &step->dependents.items[step->dependents.count++];
        needed->when = value_at(schema, at)->name;
        if (read_names(schema, at, needed, err) < 0)
            return -1;
    }
    return 0;
}

/* --- schemas in schemas ----------------------------------------------------------------------- */

static struct schema *child(struct schema_set *set, const struct schema *schema, uint32_t place)
{
    return schema_begin(set, schema->file, place);
}

/* The schema that a sibling keyword holds; NULL: there is no such keyword. */
static struct schema *sibling(struct schema_set *set, const struct schema *schema,
                              struct slice name)
{
    uint32_t at = document_member(&schema->file->document, schema->place, name);
    return at ? child(set, schema, at) : NULL;
}

static int compare_names(const void *a_ptr, const void *b_ptr)
{
    const struct slice a = ((const struct named_schema *)a_ptr)->name,
                       b = ((const struct named_schema *)b_ptr)->name;
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

static int read_map(struct schema_set *set, const struct schema *schema, uint32_t place,
                    struct named_schema **ret, size_t *ret_count, struct error *err)
{
    const struct document *document = &schema->file->document;
    if (expect(schema, place, JSON_TYPE_OBJECT, "an object of schemas", err) < 0)
        return -1;
    *ret = xcalloc(document->values[place].count + 1, sizeof **ret);
    DOCUMENT_EACH(document, place, at)
    (*ret)[(*ret_count)++] =
        (struct named_schema){document->values[at].name, child(set, schema, at), 0};
    if (*ret_count)
        qsort(*ret, *ret_count, sizeof **ret, compare_names);
    for (size_t i = 0; i + 1 < *ret_count; i++) {
        if (slice_eq((*ret)[i].name, (*ret)[i + 1].name))
            return schema_error(schema->file, place, err, "'%.*s' stands here twice",
                                SLICE_ARG((*ret)[i].name));
    }
    return 0;
}

static int read_list(struct schema_set *set, const struct schema *schema, uint32_t place,
                     struct schema ***ret, size_t *ret_count, struct error *err)
{
    const struct document *document = &schema->file->document;
    if (document->values[place].type != JSON_TYPE_ARRAY || !document->values[place].count)
        return wrong(schema, place, "a list of schemas", err);
    *ret = xcalloc(document->values[place].count, sizeof **ret);
    DOCUMENT_EACH(document, place, at)
    (*ret)[(*ret_count)++] = child(set, schema, at);
    return 0;
}

/* $defs: only held for others; compiled so that mistakes in them are found. */
COMPILE(compile_defs)
{
    struct named_schema *items = NULL;
    size_t count = 0;
    int rc = read_map(set, schema, place, &items, &count, err);
    free(items);
    return rc;
}

COMPILE(compile_properties)
{
    struct step *step = schema_add_step(schema, STEP_PROPERTIES, place);
    return read_map(set, schema, place, &step->properties.known, &step->properties.known_count,
                    err);
}

COMPILE(compile_pattern_properties)
{
    struct step *step = schema_add_step(schema, STEP_PROPERTIES, place);
    if (expect(schema, place, JSON_TYPE_OBJECT, "an object of schemas", err) < 0)
        return -1;
    step->properties.patterns =
        xcalloc(value_at(schema, place)->count + 1, sizeof *step->properties.patterns);
    DOCUMENT_EACH(&schema->file->document, place, at)
    {
        struct pattern_schema *item = &step->properties.patterns[step->properties.pattern_count];
        if (read_pattern(schema, at, value_at(schema, at)->name, &item->regex, err) < 0)
            return -1;
        item->schema = child(set, schema, at);
        step->properties.pattern_count++;
    }
    return 0;
}

COMPILE(compile_additional_properties)
{
    (void)err;
    schema_add_step(schema, STEP_PROPERTIES, place)->properties.others = child(set, schema, place);
    return 0;
}

COMPILE(compile_prefix_items)
{
    struct step *step = schema_add_step(schema, STEP_ITEMS, place);
    return read_list(set, schema, place, &step->items.prefix, &step->items.prefix_count, err);
}

COMPILE(compile_items)
{
    if (value_at(schema, place)->type == JSON_TYPE_ARRAY)
        return schema_error(schema->file, place, err,
                            "'items' is one schema; a list of them is 'prefixItems' in this draft");
    schema_add_step(schema, STEP_ITEMS, place)->items.rest = child(set, schema, place);
    return 0;
}

COMPILE(compile_contains)
{
    const struct document *document = &schema->file->document;
    struct step *step = schema_add_step(schema, STEP_CONTAINS, place);
    uint32_t least = document_member(document, schema->place, SLICE("minContains"));
    uint32_t most = document_member(document, schema->place, SLICE("maxContains"));
    bool bounds = schema->resource->vocabularies & (unsigned)VOCABULARY_VALIDATION;
    step->contains.schema = child(set, schema, place);
    step->contains.least = 1;
    step->contains.most = UINT64_MAX;
    if (bounds && least && read_size(schema, least, &step->contains.least, err) < 0)
        return -1;
    return bounds && most ? read_size(schema, most, &step->contains.most, err) : 0;
}

#define ONE_SCHEMA(name, kind)                                                                     \
    COMPILE(name)                                                                                  \
    {                                                                                              \
        (void)err;                                                                                 \
        schema_add_step(schema, kind, place)->schema = child(set, schema, place);                  \
        return 0;                                                                                  \
    }
ONE_SCHEMA(compile_property_names, STEP_PROPERTY_NAMES)
ONE_SCHEMA(compile_not, STEP_NOT)

#define SCHEMA_LIST(name, kind)                                                                    \
    COMPILE(name)                                                                                  \
    {                                                                                              \
        struct step *step = schema_add_step(schema, kind, place);                                  \
        return read_list(set, schema, place, &step->list.items, &step->list.count, err);           \
    }
SCHEMA_LIST(compile_all_of, STEP_ALL_OF)
SCHEMA_LIST(compile_any_of, STEP_ANY_OF)
SCHEMA_LIST(compile_one_of, STEP_ONE_OF)

COMPILE(compile_if)
{
    (void)err;
    struct step *step = schema_add_step(schema, STEP_IF, place);
    step->branch.condition = child(set, schema, place);
    step->branch.then = sibling(set, schema, SLICE("then"));
    step->branch.otherwise = sibling(set, schema, SLICE("else"));
    return 0;
}

COMPILE(compile_dependent_schemas)
{
    struct step *step = schema_add_step(schema, STEP_DEPENDENT_SCHEMAS, place);
    return read_map(set, schema, place, &step->named.items, &step->named.count, err);
}

COMPILE(compile_unevaluated_items)
{
    (void)err;
    schema->unevaluated = true;
    schema_add_step(schema, STEP_UNEVALUATED_ITEMS, place)->schema = child(set, schema, place);
    return 0;
}

COMPILE(compile_unevaluated_properties)
{
    (void)err;
    schema->unevaluated = true;
    schema_add_step(schema, STEP_UNEVALUATED_PROPERTIES, place)->schema = child(set, schema, place);
    return 0;
}

/* --- references ------------------------------------------------------------------------------- */

static int find_target(struct schema_set *set, const struct schema *schema, uint32_t place,
                       struct schema **ret, struct anchor **ret_anchor, struct error *err)
{
    struct schema_file *file = NULL;
    uint32_t target = 0;
    if (expect(schema, place, JSON_TYPE_STRING, "a URI reference, in quotes,", err) < 0 ||
        schema_resolve(set, schema, place, &file, &target, ret_anchor, err) < 0)
        return -1;
    *ret = schema_begin(set, file, target);
    return 0;
}

COMPILE(compile_ref)
{
    struct anchor *anchor;
    struct step *step = schema_add_step(schema, STEP_REF, place);
    return find_target(set, schema, place, &step->schema, &anchor, err);
}

COMPILE(compile_dynamic_ref)
{
    struct anchor *anchor = NULL;
    struct step *step = schema_add_step(schema, STEP_DYNAMIC_REF, place);
    step->dynamic.anchor = SLICE_ABSENT;
    if (find_target(set, schema, place, &step->dynamic.target, &anchor, err) < 0)
        return -1;
    if (!anchor || !anchor->dynamic)
        return 0;
    step->dynamic.anchor = anchor->name;
    GROW(set->dynamic_names, set->dynamic_count, set->dynamic_room);
    set->dynamic_names[set->dynamic_count++] = anchor->name;
    return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

#define CORE       VOCABULARY_CORE
#define APPLICATOR VOCABULARY_APPLICATOR
#define VALIDATION VOCABULARY_VALIDATION
#define ANNOTATION VOCABULARY_ANNOTATION

static const struct keyword keywords[] = {
    {SLICE("$schema"), CORE, SHAPE_VALUE, NULL},
    {SLICE("$id"), CORE, SHAPE_VALUE, NULL},
    {SLICE("$anchor"), CORE, SHAPE_VALUE, NULL},
    {SLICE("$dynamicAnchor"), CORE, SHAPE_VALUE, NULL},
    {SLICE("$vocabulary"), CORE, SHAPE_VALUE, NULL},
    {SLICE("$comment"), CORE, SHAPE_VALUE, NULL},
    {SLICE("$defs"), CORE, SHAPE_SCHEMA_MAP, compile_defs},
    {SLICE("$ref"), CORE, SHAPE_VALUE, compile_ref},
    {SLICE("$dynamicRef"), CORE, SHAPE_VALUE, compile_dynamic_ref},

    {SLICE("type"), VALIDATION, SHAPE_VALUE, compile_type},
    {SLICE("const"), VALIDATION, SHAPE_VALUE, compile_const},
    {SLICE("enum"), VALIDATION, SHAPE_VALUE, compile_enum},
    {SLICE("multipleOf"), VALIDATION, SHAPE_VALUE, compile_multiple_of},
    {SLICE("maximum"), VALIDATION, SHAPE_VALUE, compile_maximum},
    {SLICE("exclusiveMaximum"), VALIDATION, SHAPE_VALUE, compile_exclusive_maximum},
    {SLICE("minimum"), VALIDATION, SHAPE_VALUE, compile_minimum},
    {SLICE("exclusiveMinimum"), VALIDATION, SHAPE_VALUE, compile_exclusive_minimum},
    {SLICE("maxLength"), VALIDATION, SHAPE_VALUE, compile_max_length},
    {SLICE("minLength"), VALIDATION, SHAPE_VALUE, compile_min_length},
    {SLICE("pattern"), VALIDATION, SHAPE_VALUE, compile_pattern},
    {SLICE("maxItems"), VALIDATION, SHAPE_VALUE, compile_max_items},
    {SLICE("minItems"), VALIDATION, SHAPE_VALUE, compile_min_items},
    {SLICE("uniqueItems"), VALIDATION, SHAPE_VALUE, compile_unique_items},
    {SLICE("minContains"), VALIDATION, SHAPE_VALUE, NULL}, /* by contains */
    {SLICE("maxContains"), VALIDATION, SHAPE_VALUE, NULL},
    {SLICE("maxProperties"), VALIDATION, SHAPE_VALUE, compile_max_properties},
    {SLICE("minProperties"), VALIDATION, SHAPE_VALUE, compile_min_properties},
    {SLICE("required"), VALIDATION, SHAPE_VALUE, compile_required},
    {SLICE("dependentRequired"), VALIDATION, SHAPE_VALUE, compile_dependent_required},

    {SLICE("properties"), APPLICATOR, SHAPE_SCHEMA_MAP, compile_properties},
    {SLICE("patternProperties"), APPLICATOR, SHAPE_SCHEMA_MAP, compile_pattern_properties},
    {SLICE("additionalProperties"), APPLICATOR, SHAPE_SCHEMA, compile_additional_properties},
    {SLICE("propertyNames"), APPLICATOR, SHAPE_SCHEMA, compile_property_names},
    {SLICE("prefixItems"), APPLICATOR, SHAPE_SCHEMA_LIST, compile_prefix_items},
    {SLICE("items"), APPLICATOR, SHAPE_SCHEMA, compile_items},
    {SLICE("contains"), APPLICATOR, SHAPE_SCHEMA, compile_contains},
    {SLICE("allOf"), APPLICATOR, SHAPE_SCHEMA_LIST, compile_all_of},
    {SLICE("anyOf"), APPLICATOR, SHAPE_SCHEMA_LIST, compile_any_of},
    {SLICE("oneOf"), APPLICATOR, SHAPE_SCHEMA_LIST, compile_one_of},
    {SLICE("not"), APPLICATOR, SHAPE_SCHEMA, compile_not},
    {SLICE("if"), APPLICATOR, SHAPE_SCHEMA, compile_if},
    {SLICE("then"), APPLICATOR, SHAPE_SCHEMA, NULL}, /* by if */
    {SLICE("else"), APPLICATOR, SHAPE_SCHEMA, NULL},
    {SLICE("dependentSchemas"), APPLICATOR, SHAPE_SCHEMA_MAP, compile_dependent_schemas},

    {SLICE("unevaluatedItems"), VOCABULARY_UNEVALUATED, SHAPE_SCHEMA, compile_unevaluated_items},
    {SLICE("unevaluatedProperties"), VOCABULARY_UNEVALUATED, SHAPE_SCHEMA,
     compile_unevaluated_properties},

    {SLICE("title"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("description"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("default"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("deprecated"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("readOnly"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("writeOnly"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("examples"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("format"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("contentEncoding"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("contentMediaType"), ANNOTATION, SHAPE_VALUE, NULL},
    {SLICE("contentSchema"), ANNOTATION, SHAPE_SCHEMA, NULL},
};

const struct keyword *keyword_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (slice_eq(keywords[i].name, name))
            return &keywords[i];
    }
    return NULL;
}
