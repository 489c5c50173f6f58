/*
 * Traces: the verdict on a text, by the values in it.
 *
 * Texts of one shape (json/extract.h) differ in their strings, numbers and booleans only. Which
 * keyword is held against which of these values, and what follows from the answers, is decided by
 * all the rest, which is the same. So a check of one text is kept as a list of (assertion, value,
 * answer); when each answer is the same for another text of the shape, so is the verdict. When one
 * differs, the text is checked as a whole.
 */
#include "base/memory.h"
#include "schema/check_internal.h"

enum { LEAVES_MAX = 256, VALUES_MAX = 128 };

struct leaf {
    const struct schema *schema;
    const struct step *step;
    uint32_t value;
    bool answer;
};

struct trace {
    bool usable;
    size_t value_count, leaf_count;
    uint8_t types[VALUES_MAX]; /* as below */
    struct leaf leaves[];
};

struct tracer {
    const struct json_shapes *shapes;
    const char *text;
    bool usable;
    size_t value_count, leaf_count;
    struct leaf leaves[LEAVES_MAX];
};

/* true and false are of one type. */
static uint8_t type_of(const struct json_value *value)
{
    return (uint8_t)(value->type == JSON_TYPE_FALSE ? JSON_TYPE_TRUE : value->type);
}

/* --- keeping ---------------------------------------------------------------------------------- */

static bool is_about_one_value(const struct step *step)
{
    return step->kind <= STEP_MIN_PROPERTIES;
}

/* Which value of the shape stands at this place of the text; the count of values: none. */
static size_t find_value(const struct tracer *tracer, uint32_t at)
{
    for (size_t i = 0; i < tracer->value_count; i++) {
        struct json_value value = json_shapes_value(tracer->shapes, i, tracer->text);
        const char *begin = value.raw.ptr - (value.type == JSON_TYPE_STRING);
        if (begin == tracer->text + at)
            return i;
    }
    return tracer->value_count;
}

void trace_add(struct schema_checker *checker, const struct subject *subject,
               const struct step *step, bool result)
{
    struct tracer *tracer = checker->tracer;
    const struct document_value *value = value_of(checker, subject->place);
    bool by_content =
        step->kind == STEP_CONST || step->kind == STEP_ENUM || step->kind == STEP_UNIQUE_ITEMS;
    if (!is_about_one_value(step) || !tracer->usable)
        return;
    if (subject->place == checker->document.count || value->type == JSON_TYPE_NULL)
        return; /* names and nulls are the same in all texts of the shape */
    if (document_is_container(value)) {
        tracer->usable = !by_content; /* how many are in it is the same, but not what they are */
        return;
    }
    size_t index = find_value(tracer, value->at);
    tracer->usable = index < tracer->value_count && tracer->leaf_count < LEAVES_MAX;
    if (tracer->usable)
        tracer->leaves[tracer->leaf_count++] =
            (struct leaf){subject->schema, step, (uint32_t)index, result};
}

static void keep(const struct tracer *tracer, struct json_shape *shape, const struct schema *schema)
{
    struct trace *trace = xcalloc(1, sizeof *trace + tracer->leaf_count * sizeof trace->leaves[0]);
    trace->usable = tracer->usable;
    trace->value_count = tracer->value_count;
    trace->leaf_count = tracer->leaf_count;
    memcpy(trace->leaves, tracer->leaves, tracer->leaf_count * sizeof trace->leaves[0]);
    for (size_t i = 0; i < tracer->value_count; i++) {
        struct json_value value = json_shapes_value(tracer->shapes, i, tracer->text);
        trace->types[i] = type_of(&value);
    }
    if (!json_shape_add_note(shape, schema, trace))
        free(trace);
}

static enum schema_verdict check_and_keep(struct schema_checker *checker,
                                          const struct schema *schema, struct slice json,
                                          const struct json_shapes *shapes,
                                          struct schema_violation *ret)
{
    struct json_shape *shape = json_shapes_fitted(shapes);
    struct tracer tracer;
    tracer.shapes = shapes;
    tracer.text = json.ptr;
    tracer.value_count = json_shape_count(shape);
    tracer.leaf_count = 0;
    tracer.usable = tracer.value_count <= VALUES_MAX;
    checker->tracer = tracer.usable ? &tracer : NULL;
    enum schema_verdict verdict = schema_check(checker, schema, json, ret);
    checker->tracer = NULL;
    if (verdict == SCHEMA_VALID && tracer.value_count <= VALUES_MAX)
        keep(&tracer, shape, schema);
    return verdict;
}

/* --- asking again ----------------------------------------------------------------------------- */

/* Are all answers what they were? */
static bool answers_agree(struct schema_checker *checker, const struct trace *trace,
                          const struct json_shapes *shapes, const char *text)
{
    /* The value at hand takes the place of the document's first. */
    struct document_value *value = &checker->document.values[0];
    for (size_t i = 0; i < trace->value_count; i++) {
        struct json_value have = json_shapes_value(shapes, i, text);
        if (type_of(&have) != trace->types[i])
            return false;
    }
    checker->steps_left = SCHEMA_STEPS_MAX;
    checker->gave_up = NULL;
    checker->quiet = 1;
    for (size_t i = 0; i < trace->leaf_count; i++) {
        const struct leaf *leaf = &trace->leaves[i];
        struct json_value have = json_shapes_value(shapes, leaf->value, text);
        struct subject subject = {.schema = leaf->schema};
        *value = (struct document_value){.text = have.raw, .next = 1, .type = have.type};
        if (check_assertion(checker, &subject, leaf->step) != leaf->answer || checker->gave_up)
            return false;
    }
    return true;
}

enum schema_verdict schema_check_shaped(struct schema_checker *checker, const struct schema *schema,
                                        struct slice json, const struct json_shapes *shapes,
                                        struct schema_violation *ret)
{
    struct json_shape *shape = json_shapes_fitted(shapes);
    if (!shape)
        return schema_check(checker, schema, json, ret);
    const struct trace *trace = json_shape_note(shape, schema);
    if (!trace)
        return check_and_keep(checker, schema, json, shapes, ret);
    if (trace->usable && checker->document.room &&
        answers_agree(checker, trace, shapes, json.ptr)) {
        ret->file = NULL;
        ret->instance[0] = ret->schema[0] = ret->reason[0] = 0;
        return SCHEMA_VALID;
    }
    return schema_check(checker, schema, json, ret);
}
