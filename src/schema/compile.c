/* From a schema's JSON to its steps. */
#include "base/memory.h"
#include "schema/schema_internal.h"

struct step *schema_add_step(struct schema *schema, enum step_kind kind, uint32_t place)
{
    for (size_t i = 0; i < schema->step_count; i++) {
        if (schema->steps[i].kind == kind)
            return &schema->steps[i]; /* another keyword of this step was there first */
    }
    GROW(schema->steps, schema->step_count, schema->step_room);
    schema->steps[schema->step_count] = (struct step){.kind = kind, .place = place};
    return &schema->steps[schema->step_count++];
}

struct schema *schema_begin(struct schema_set *set, struct schema_file *file, uint32_t place)
{
    struct schema **slot = &file->schema_of[place], *known = *slot;
    if (known)
        return known;
    struct schema *schema = xcalloc(1, sizeof *schema);
    *schema = (struct schema){.file = file, .place = place, .resource = file->resource_of[place]};
    GROW(set->schemas, set->schema_count, set->schema_room);
    set->schemas[set->schema_count++] = schema;
    return *slot = schema;
}

static const char *hint(struct slice name)
{
    static const struct {
        struct slice old;
        const char *hint;
    } hints[] = {
        {SLICE("definitions"), "; in this draft it is $defs"},
        {SLICE("dependencies"), "; in this draft: dependentRequired, dependentSchemas"},
        {SLICE("additionalItems"), "; in this draft: prefixItems and items"},
        {SLICE("$recursiveRef"), "; in this draft it is $dynamicRef"},
        {SLICE("$recursiveAnchor"), "; in this draft it is $dynamicAnchor"},
        {SLICE("id"), "; in this draft it is $id"},
    };
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        if (slice_eq(hints[i].old, name))
            return hints[i].hint;
    }
    return "; notes of your own begin with x-";
}

static int compile_keyword(struct schema_set *set, struct schema *schema, uint32_t place,
                           struct error *err)
{
    struct slice name = schema->file->document.values[place].name;
    const struct keyword *keyword = keyword_find(name);
    bool active = keyword && (schema->resource->vocabularies & (unsigned)keyword->vocabulary);
    if (!active && (set->allow_unknown || slice_starts(name, SLICE("x-"))))
        return 0;
    if (!keyword)
        return schema_error(schema->file, place, err, "'%.*s' is not a keyword of draft 2020-12%s",
                            SLICE_ARG(name), hint(name));
    if (!active)
        return schema_error(schema->file, place, err,
                            "'%.*s' is of a vocabulary that this $schema leaves out",
                            SLICE_ARG(name));
    if (document_member(&schema->file->document, schema->place, name) != place)
        return schema_error(schema->file, place, err, "'%.*s' stands here twice", SLICE_ARG(name));
    return keyword->compile ? keyword->compile(set, schema, place, err) : 0;
}

/* What a step is about: of another type of value it says nothing. */
static bool applies(enum step_kind kind, enum json_type type)
{
    switch (kind) {
    case STEP_MULTIPLE_OF:
    case STEP_MAXIMUM:
    case STEP_EXCLUSIVE_MAXIMUM:
    case STEP_MINIMUM:
    case STEP_EXCLUSIVE_MINIMUM: return type == JSON_TYPE_NUMBER;
    case STEP_MAX_LENGTH:
    case STEP_MIN_LENGTH:
    case STEP_PATTERN: return type == JSON_TYPE_STRING;
    case STEP_MAX_ITEMS:
    case STEP_MIN_ITEMS:
    case STEP_UNIQUE_ITEMS:
    case STEP_ITEMS:
    case STEP_CONTAINS:
    case STEP_UNEVALUATED_ITEMS: return type == JSON_TYPE_ARRAY;
    case STEP_MAX_PROPERTIES:
    case STEP_MIN_PROPERTIES:
    case STEP_REQUIRED:
    case STEP_DEPENDENT_REQUIRED:
    case STEP_PROPERTIES:
    case STEP_PROPERTY_NAMES:
    case STEP_DEPENDENT_SCHEMAS:
    case STEP_UNEVALUATED_PROPERTIES: return type == JSON_TYPE_OBJECT;
    case STEP_TYPE:
    case STEP_CONST:
    case STEP_ENUM:
    case STEP_REF:
    case STEP_DYNAMIC_REF:
    case STEP_ALL_OF:
    case STEP_ANY_OF:
    case STEP_ONE_OF:
    case STEP_NOT:
    case STEP_IF: break;
    }
    return true;
}

/*
 * Members that `properties` knows and `required` wants are both looked for in one go, where there
 * are not too many: each gets a bit.
 */
static void merge_required(struct step *required, struct step *properties)
{
    size_t known_count = properties->properties.known_count;
    if (required->needed.count > 64 || !required->needed.count)
        return;
    for (size_t i = 0; i < required->needed.count; i++) {
        size_t k = 0;
        while (k < known_count &&
               !slice_eq(properties->properties.known[k].name, required->needed.names[i]))
            k++;
        if (k == known_count)
            return; /* the bits of those before it are not asked for: nothing is lost */
        properties->properties.known[k].needed = UINT64_C(1) << i;
    }
    for (size_t k = 0; k < known_count; k++)
        properties->properties.needed |= properties->properties.known[k].needed;
    required->values = 0;
}

static void prepare_steps(struct schema *schema)
{
    struct step *required = NULL, *properties = NULL;
    for (size_t i = 0; i < schema->step_count; i++) {
        struct step *step = &schema->steps[i];
        for (unsigned type = JSON_TYPE_NULL; type <= JSON_TYPE_OBJECT; type++)
            step->values |= applies(step->kind, (enum json_type)type) ? 1u << type : 0;
        if (step->kind == STEP_REQUIRED)
            required = step;
        if (step->kind == STEP_PROPERTIES)
            properties = step;
    }
    if (required && properties)
        merge_required(required, properties);
}

static unsigned json_types(unsigned types)
{
    unsigned bits = 0;
    bits |= types & TYPE_NULL ? 1u << JSON_TYPE_NULL : 0;
    bits |= types & TYPE_BOOLEAN ? 1u << JSON_TYPE_TRUE | 1u << JSON_TYPE_FALSE : 0;
    bits |= types & TYPE_NUMBER ? 1u << JSON_TYPE_NUMBER : 0; /* an integer takes a closer look */
    bits |= types & TYPE_STRING ? 1u << JSON_TYPE_STRING : 0;
    bits |= types & TYPE_ARRAY ? 1u << JSON_TYPE_ARRAY : 0;
    bits |= types & TYPE_OBJECT ? 1u << JSON_TYPE_OBJECT : 0;
    return bits;
}

static void note_simple(struct schema *schema)
{
    schema->simple_types = ~0u;
    schema->most = UINT64_MAX;
    for (size_t i = 0; i < schema->step_count; i++) {
        const struct step *step = &schema->steps[i];
        if (step->kind == STEP_TYPE)
            schema->simple_types = json_types(step->types);
        else if (step->kind == STEP_MIN_LENGTH)
            schema->least = step->bound;
        else if (step->kind == STEP_MAX_LENGTH)
            schema->most = step->bound;
        else
            return;
    }
    schema->simple = true;
}

static int compare_steps(const void *a, const void *b)
{
    return (int)((const struct step *)a)->kind - (int)((const struct step *)b)->kind;
}

static int compile(struct schema_set *set, struct schema *schema, struct error *err)
{
    const struct document *document = &schema->file->document;
    enum json_type type = document->values[schema->place].type;
    schema->resource->reached = true;
    if (type == JSON_TYPE_FALSE || type == JSON_TYPE_TRUE) {
        schema->is_false = type == JSON_TYPE_FALSE;
        return 0;
    }
    if (type != JSON_TYPE_OBJECT)
        return schema_error(schema->file, schema->place, err,
                            "a schema was expected: an object, true or false");
    if (schema_vocabularies(set, schema->resource, err) < 0)
        return -1;
    DOCUMENT_EACH(document, schema->place, at)
    {
        if (compile_keyword(set, schema, at, err) < 0)
            return -1;
    }
    if (schema->step_count)
        qsort(schema->steps, schema->step_count, sizeof *schema->steps, compare_steps);
    prepare_steps(schema);
    note_simple(schema);
    return 0;
}

/* A $dynamicRef may lead to any dynamic anchor of its name, in any resource that is in use. */
static void begin_dynamic(struct schema_set *set)
{
    for (size_t r = 0; r < set->resource_count; r++) {
        struct resource *resource = set->resources[r];
        for (size_t i = 0; resource->reached && i < resource->anchor_count; i++) {
            struct anchor *anchor = &resource->anchors[i];
            bool wanted = false;
            for (size_t n = 0; n < set->dynamic_count && !wanted; n++)
                wanted = slice_eq(set->dynamic_names[n], anchor->name);
            if (anchor->dynamic && wanted && !anchor->schema)
                anchor->schema = schema_begin(set, resource->file, anchor->place);
        }
    }
}

static struct schema *only_ref(const struct schema *schema)
{
    return schema->step_count == 1 && schema->steps[0].kind == STEP_REF ? schema->steps[0].schema
                                                                        : NULL;
}

/*
 * A schema that is but a $ref is passed over, unless somebody asks how we came there ($dynamicRef).
 * A circle of them is left as it is.
 */
static void forward_all(struct schema_set *set)
{
    enum { HOPS_MAX = 16 };
    for (size_t i = 0; i < set->schema_count; i++) {
        struct schema *target = only_ref(set->schemas[i]);
        for (int hops = 0; target && only_ref(target) && hops < HOPS_MAX; hops++)
            target = only_ref(target);
        bool ends = target && !only_ref(target);
        set->schemas[i]->forward = ends && !set->dynamic_count ? target : NULL;
    }
}

int schema_finish(struct schema_set *set, struct error *err)
{
    do {
        while (set->compiled < set->schema_count) {
            if (compile(set, set->schemas[set->compiled++], err) < 0)
                return -1;
        }
        begin_dynamic(set);
    } while (set->compiled < set->schema_count);
    forward_all(set);
    return 0;
}

static void free_needed(struct needed_names *needed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(needed[i].names);
}

static void free_step(struct step *step)
{
    switch (step->kind) {
    case STEP_PATTERN: regex_free(step->regex); break;
    case STEP_REQUIRED: free(step->needed.names); break;
    case STEP_DEPENDENT_REQUIRED:
        free_needed(step->dependents.items, step->dependents.count);
        free(step->dependents.items);
        break;
    case STEP_PROPERTIES:
        for (size_t i = 0; i < step->properties.pattern_count; i++)
            regex_free(step->properties.patterns[i].regex);
        free(step->properties.patterns);
        free(step->properties.known);
        break;
    case STEP_ITEMS: free(step->items.prefix); break;
    case STEP_ALL_OF:
    case STEP_ANY_OF:
    case STEP_ONE_OF: free(step->list.items); break;
    case STEP_DEPENDENT_SCHEMAS: free(step->named.items); break;
    case STEP_TYPE:
    case STEP_CONST:
    case STEP_ENUM:
    case STEP_MULTIPLE_OF:
    case STEP_MAXIMUM:
    case STEP_EXCLUSIVE_MAXIMUM:
    case STEP_MINIMUM:
    case STEP_EXCLUSIVE_MINIMUM:
    case STEP_MAX_LENGTH:
    case STEP_MIN_LENGTH:
    case STEP_MAX_ITEMS:
    case STEP_MIN_ITEMS:
    case STEP_UNIQUE_ITEMS:
    case STEP_MAX_PROPERTIES:
    case STEP_MIN_PROPERTIES:
    case STEP_PROPERTY_NAMES:
    case STEP_CONTAINS:
    case STEP_REF:
    case STEP_DYNAMIC_REF:
    case STEP_NOT:
    case STEP_IF:
    case STEP_UNEVALUATED_ITEMS:
    case STEP_UNEVALUATED_PROPERTIES: break;
    }
}

void schema_free(struct schema *schema)
{
    for (size_t i = 0; i < schema->step_count; i++)
        free_step(&schema->steps[i]);
    free(schema->steps);
    free(schema);
}
