/*
 * Traces: the verdict on a text, by the values in it.
 *
 * Texts of one shape (json/extract.h) differ in their strings, numbers and booleans only. Which
 * keyword is held against which of these values, and what follows from the answers, is decided by
 * all the rest, which is the same. So a check of one text is kept as a list of (assertion, value,
 * answer); when each answer is the same for another text of the shape, so is the verdict. When one
 * differs, the text is checked as a whole.
 *
 * Most assertions come down to less than that. A string is a string in every text of the shape, and
 * of as many characters as bytes; so `type` says nothing of it, and bounds of length and a constant
 * are a comparison. What a word is (number, boolean) is asked once per word.
 */
#include "base/memory.h"
#include "schema/check_internal.h"

enum { LEAVES_MAX = 256, VALUES_MAX = 128 };

enum leaf_kind {
    LEAF_WORD,       /* the value is of type `type` */
    LEAF_INTEGER,    /* a number without fraction, whatever it looks like */
    LEAF_LENGTH_MIN, /* at least `bound` bytes */
    LEAF_LENGTH_MAX,
    LEAF_TEXT,      /* this text */
    LEAF_NOT_BELOW, /* a number that is at least 0 */
    LEAF_ASSERTION, /* anything else */
};

struct leaf {
    uint8_t kind, type;
    bool answer;
    uint16_t value;
    union {
        uint64_t bound;
        struct slice text;
    };
    const struct schema *schema;
    const struct step *step;
};

struct trace {
    bool usable;
    size_t leaf_count;
    struct leaf leaves[];
};

struct tracer {
    const struct json_shapes *shapes;
    const char *text;
    bool usable;
    size_t value_count, leaf_count;
    struct leaf leaves[LEAVES_MAX];
};

/* Of a number, true or false. */
static uint8_t word_type(struct slice word)
{
    return word.ptr[0] == 't' || word.ptr[0] == 'f' ? JSON_TYPE_TRUE : JSON_TYPE_NUMBER;
}

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

static void add_leaf(struct tracer *tracer, const struct leaf *leaf)
{
    tracer->usable = tracer->usable && tracer->leaf_count < LEAVES_MAX;
    if (tracer->usable)
        tracer->leaves[tracer->leaf_count++] = *leaf;
}

static bool simplify_const(const struct document_value *value, struct leaf *leaf)
{
    const struct document *document = &leaf->schema->file->document;
    const struct document_value *wanted = document_at(document, leaf->step->place);
    if (value->type != JSON_TYPE_STRING)
        return true;
    leaf->kind = LEAF_TEXT;
    leaf->text = wanted->text;
    return wanted->type == JSON_TYPE_STRING;
}

/* To less than the assertion, where that is the same. False: it is the same for all texts. */
static bool simplify(const struct document_value *value, struct leaf *leaf)
{
    const struct step *step = leaf->step;
    bool is_string = value->type == JSON_TYPE_STRING, is_number = value->type == JSON_TYPE_NUMBER;
    switch ((int)step->kind) {
    case STEP_TYPE:
        if (!is_number || step->types & TYPE_NUMBER || !(step->types & TYPE_INTEGER))
            return false;
        leaf->kind = LEAF_INTEGER;
        return true;
    case STEP_CONST: return simplify_const(value, leaf);
    case STEP_MIN_LENGTH:
    case STEP_MAX_LENGTH:
        if (!is_string)
            return true;
        leaf->kind = step->kind == STEP_MIN_LENGTH ? LEAF_LENGTH_MIN : LEAF_LENGTH_MAX;
        leaf->bound = step->bound;
        return true;
    case STEP_MINIMUM:
        if (is_number && slice_eq(step->number, SLICE("0")))
            leaf->kind = LEAF_NOT_BELOW;
        return true;
    default: return true;
    }
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
    tracer->usable = index < tracer->value_count;
    if (!tracer->usable)
        return;
    struct leaf leaf = {.kind = LEAF_ASSERTION,
                        .type = (uint8_t)value->type,
                        .answer = result,
                        .value = (uint16_t)index,
                        .schema = subject->schema,
                        .step = step};
    if (simplify(value, &leaf))
        add_leaf(tracer, &leaf);
}

/* The words come first: what is asked of one holds for a word of its type only. */
static void add_words(struct tracer *tracer)
{
    for (size_t i = 0; i < tracer->value_count; i++) {
        struct json_value value = json_shapes_value(tracer->shapes, i, tracer->text);
        struct leaf leaf = {.kind = LEAF_WORD, .answer = true, .value = (uint16_t)i};
        leaf.type = type_of(&value);
        if (value.type != JSON_TYPE_STRING)
            add_leaf(tracer, &leaf);
    }
}

static void keep(const struct tracer *tracer, struct json_shape *shape, const struct schema *schema)
{
    struct trace *trace = xcalloc(1, sizeof *trace + tracer->leaf_count * sizeof trace->leaves[0]);
    trace->usable = tracer->usable;
    trace->leaf_count = tracer->leaf_count;
    memcpy(trace->leaves, tracer->leaves, tracer->leaf_count * sizeof trace->leaves[0]);
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
    if (tracer.usable)
        add_words(&tracer);
    checker->tracer = tracer.usable ? &tracer : NULL;
    enum schema_verdict verdict = schema_check(checker, schema, json, ret);
    checker->tracer = NULL;
    if (verdict == SCHEMA_VALID && tracer.value_count <= VALUES_MAX)
        keep(&tracer, shape, schema);
    return verdict;
}

/* --- asking again ----------------------------------------------------------------------------- */

static bool ask_assertion(struct schema_checker *checker, const struct leaf *leaf,
                          struct slice text)
{
    enum json_type type = leaf->type == JSON_TYPE_STRING ? JSON_TYPE_STRING
                          : text.ptr[0] == 't'           ? JSON_TYPE_TRUE
                          : text.ptr[0] == 'f'           ? JSON_TYPE_FALSE
                                                         : JSON_TYPE_NUMBER;
    /* The value at hand takes the place of the document's first. */
    struct subject subject = {.schema = leaf->schema};
    checker->document.values[0] = (struct document_value){.text = text, .next = 1, .type = type};
    checker->steps_left = SCHEMA_STEPS_MAX;
    checker->gave_up = NULL;
    checker->quiet = 1;
    return check_assertion(checker, &subject, leaf->step) == leaf->answer && !checker->gave_up;
}

/* Digits only: what nearly all whole numbers are. */
static bool is_plainly_whole(struct slice number)
{
    for (size_t i = number.ptr[0] == '-'; i < number.len; i++) {
        if ((unsigned char)(number.ptr[i] - '0') > 9)
            return false;
    }
    return true;
}

static bool ask(struct schema_checker *checker, const struct leaf *leaf, struct slice text)
{
    switch ((enum leaf_kind)leaf->kind) {
    case LEAF_WORD: break; /* above */
    case LEAF_INTEGER:
        if (is_plainly_whole(text))
            return leaf->answer;
        break;
    case LEAF_LENGTH_MIN: return (text.len >= leaf->bound) == leaf->answer;
    case LEAF_LENGTH_MAX: return (text.len <= leaf->bound) == leaf->answer;
    case LEAF_TEXT: return slice_eq(text, leaf->text) == leaf->answer;
    case LEAF_NOT_BELOW:
        if (text.ptr[0] != '-')
            return leaf->answer;
        break;
    case LEAF_ASSERTION: break;
    }
    return ask_assertion(checker, leaf, text);
}

/* Are all answers what they were? */
static bool answers_agree(struct schema_checker *checker, const struct trace *trace,
                          const struct json_shapes *shapes, const char *text)
{
    const uint32_t *borders = json_shapes_borders(shapes);
    for (size_t i = 0; i < trace->leaf_count; i++) {
        const struct leaf *leaf = &trace->leaves[i];
        uint32_t from = borders[2 * leaf->value + 1], to = borders[2 * leaf->value + 2];
        struct slice value = {text + from, to - from};
        if (leaf->kind == LEAF_WORD ? word_type(value) != leaf->type : !ask(checker, leaf, value))
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
