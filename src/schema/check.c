/* Holding a payload against a compiled schema. */
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "schema/schema_internal.h"

struct hashed {
    uint64_t hash;
    uint32_t place;
};

struct schema_checker {
    struct document document;
    struct regex_matcher *matcher;
    uint64_t *bits; /* a stack of sets of children, SCHEMA_BITS_MAX in all */
    size_t bit_words;
    struct hashed *hashes;
    size_t hash_room;
    /* Of the check that is under way. */
    uint64_t steps_left;
    unsigned depth, quiet; /* quiet: inside anyOf and its like, a failure is not the end */
    const char *gave_up;
    uint32_t named_by; /* the member whose name stands behind the last value (propertyNames) */
    struct schema_violation *violation;
};

/* Which resources were entered on the way here, the innermost first ("dynamic scope"). */
struct scope {
    const struct scope *outer;
    const struct resource *resource;
};

/* What a step is about: `seen` are the children that some keyword has looked at (NULL: nobody
 * asks). */
struct subject {
    const struct schema *schema;
    uint32_t place;
    const struct scope *scope;
    uint64_t *seen;
};

static bool evaluate(struct schema_checker *checker, const struct schema *schema, uint32_t place,
                     const struct scope *scope, uint64_t *seen_above);

struct schema_checker *schema_checker_new(void)
{
    struct schema_checker *checker = xcalloc(1, sizeof *checker);
    checker->matcher = regex_matcher_new();
    return checker;
}

void schema_checker_free(struct schema_checker *checker)
{
    if (!checker)
        return;
    document_done(&checker->document);
    regex_matcher_free(checker->matcher);
    free(checker->bits);
    free(checker->hashes);
    free(checker);
}

/* --- effort ----------------------------------------------------------------------------------- */

static bool give_up(struct schema_checker *checker, const char *why)
{
    if (!checker->gave_up)
        checker->gave_up = why;
    return false;
}

static bool spend(struct schema_checker *checker, uint64_t steps)
{
    if (steps < checker->steps_left) {
        checker->steps_left -= steps;
        return true;
    }
    checker->steps_left = 0;
    return give_up(checker, "more steps than one event may take");
}

static const struct document_value *at(const struct schema_checker *checker, uint32_t place)
{
    return &checker->document.values[place];
}

/* --- failures --------------------------------------------------------------------------------- */

static void write_path(const struct document *document, uint32_t place, char *out)
{
    CLEANUP_BUF struct buf pointer = {0};
    document_pointer(document, place, &pointer);
    const char *text = buf_cstr(&pointer);
    size_t len = pointer.len < SCHEMA_PATH_MAX ? pointer.len : SCHEMA_PATH_MAX - 4;
    while (len < pointer.len && len && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--; /* not inside a character */
    (void)snprintf(out, SCHEMA_PATH_MAX, "%.*s%s", (int)len, text, len < pointer.len ? "..." : "");
}

static bool fail(struct schema_checker *checker, const struct schema *schema, uint32_t keyword,
                 uint32_t place, const char *format, ...) __attribute__((format(printf, 5, 6)));

static bool fail(struct schema_checker *checker, const struct schema *schema, uint32_t keyword,
                 uint32_t place, const char *format, ...)
{
    struct schema_violation *violation = checker->violation;
    if (checker->quiet || !violation || violation->file || checker->gave_up)
        return false;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(violation->reason, sizeof violation->reason, format, args);
    va_end(args);
    bool is_name = place == checker->document.count;
    write_path(&checker->document, is_name ? checker->named_by : place, violation->instance);
    write_path(&schema->file->document, keyword, violation->schema);
    violation->file = schema->file->path;
    return false;
}

/* Text of the schema's author, cut for a message. */
#define QUOTE_MAX     80
#define QUOTED(slice) (int)((slice).len < QUOTE_MAX ? (slice).len : QUOTE_MAX), (slice).ptr

static bool step_fails(struct schema_checker *checker, const struct subject *subject,
                       const struct step *step, const char *what)
{
    return fail(checker, subject->schema, step->place, subject->place, "%s", what);
}

/* --- sets of children ------------------------------------------------------------------------- */

static size_t words_of(uint32_t count)
{
    return ((size_t)count + 63) / 64;
}

static uint64_t *take_bits(struct schema_checker *checker, uint32_t count)
{
    size_t words = words_of(count);
    if (!checker->bits)
        checker->bits = xmalloc(SCHEMA_BITS_MAX / 8);
    if (checker->bit_words + words > SCHEMA_BITS_MAX / 64) {
        (void)give_up(checker, "more members and items to remember than one event may have");
        return NULL;
    }
    uint64_t *bits = checker->bits + checker->bit_words;
    checker->bit_words += words;
    memset(bits, 0, words * sizeof *bits);
    return bits;
}

static void see(const struct subject *subject, uint64_t child)
{
    if (subject->seen)
        subject->seen[child / 64] |= UINT64_C(1) << (child % 64);
}

static bool is_seen(const struct subject *subject, uint64_t child)
{
    return subject->seen && (subject->seen[child / 64] >> (child % 64) & 1);
}

/* --- any value -------------------------------------------------------------------------------- */

static bool has_type(const struct document_value *value, unsigned types)
{
    switch (value->type) {
    case JSON_TYPE_NULL: return types & TYPE_NULL;
    case JSON_TYPE_FALSE:
    case JSON_TYPE_TRUE: return types & TYPE_BOOLEAN;
    case JSON_TYPE_STRING: return types & TYPE_STRING;
    case JSON_TYPE_ARRAY: return types & TYPE_ARRAY;
    case JSON_TYPE_OBJECT: return types & TYPE_OBJECT;
    case JSON_TYPE_NUMBER:
        return (types & TYPE_NUMBER) || ((types & TYPE_INTEGER) && decimal_is_integer(value->text));
    case JSON_TYPE_ABSENT: break;
    }
    return false;
}

static bool check_type(struct schema_checker *checker, const struct subject *subject,
                       const struct step *step)
{
    static const char *const names[] = {"null",   "a boolean", "a number", "a whole number",
                                        "a text", "an array",  "an object"};
    char expected[128] = "";
    size_t used = 0;
    if (has_type(at(checker, subject->place), step->types))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (step->types >> i & 1)
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s",
                                     used ? " or " : "", names[i]);
    }
    return fail(checker, subject->schema, step->place, subject->place, "%s was expected", expected);
}

static bool is_equal(struct schema_checker *checker, const struct subject *subject, uint32_t other)
{
    bool equal = document_equal(&subject->schema->file->document, other, &checker->document,
                                subject->place, &checker->steps_left);
    if (!checker->steps_left)
        (void)give_up(checker, "more steps than one event may take");
    return equal;
}

static bool check_enum(struct schema_checker *checker, const struct subject *subject,
                       const struct step *step)
{
    DOCUMENT_EACH(&subject->schema->file->document, step->place, option)
    {
        if (is_equal(checker, subject, option))
            return true;
    }
    return step_fails(checker, subject, step, "none of the values of enum");
}

/* --- numbers and texts ------------------------------------------------------------------------ */

static bool check_number(struct schema_checker *checker, const struct subject *subject,
                         const struct step *step)
{
    struct slice number = at(checker, subject->place)->text;
    int order = 0;
    bool good = false;
    const char *what = "a multiple of";
    if (step->kind == STEP_MULTIPLE_OF) {
        good = decimal_is_multiple(number, &step->divisor);
    } else {
        order = decimal_compare(number, step->number);
        switch ((int)step->kind) {
        case STEP_MAXIMUM: good = order <= 0, what = "at most"; break;
        case STEP_EXCLUSIVE_MAXIMUM: good = order < 0, what = "less than"; break;
        case STEP_MINIMUM: good = order >= 0, what = "at least"; break;
        default: good = order > 0, what = "more than"; break;
        }
    }
    struct slice bound = subject->schema->file->document.values[step->place].text;
    return good || fail(checker, subject->schema, step->place, subject->place,
                        "%s %.*s was expected", what, QUOTED(bound));
}

static uint64_t code_points(struct slice text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static bool matches(struct schema_checker *checker, const struct regex *regex, struct slice text)
{
    enum regex_result result = regex_match(regex, checker->matcher, text);
    if (result == REGEX_GAVE_UP)
        return give_up(checker, "a pattern needs more effort than one event may take");
    return result == REGEX_MATCH;
}

/* --- sizes ------------------------------------------------------------------------------------ */

static bool check_size(struct schema_checker *checker, const struct subject *subject,
                       const struct step *step)
{
    const struct document_value *value = at(checker, subject->place);
    uint64_t size = value->count;
    const char *unit = value->type == JSON_TYPE_ARRAY ? "items" : "members";
    if (value->type == JSON_TYPE_STRING) {
        size = code_points(value->text);
        unit = "characters";
    }
    bool is_most = step->kind == STEP_MAX_LENGTH || step->kind == STEP_MAX_ITEMS ||
                   step->kind == STEP_MAX_PROPERTIES;
    return (is_most ? size <= step->bound : size >= step->bound) ||
           fail(checker, subject->schema, step->place, subject->place,
                "at %s %llu %s were expected", is_most ? "most" : "least",
                (unsigned long long)step->bound, unit);
}

static int compare_hashes(const void *a_ptr, const void *b_ptr)
{
    const struct hashed *a = a_ptr, *b = b_ptr;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

static bool check_unique(struct schema_checker *checker, const struct subject *subject,
                         const struct step *step)
{
    const struct document *document = &checker->document;
    const struct document_value *value = at(checker, subject->place);
    size_t count = 0;
    if (value->count > checker->hash_room) {
        checker->hash_room = value->count;
        checker->hashes = xrealloc(checker->hashes, checker->hash_room, sizeof *checker->hashes);
    }
    if (!spend(checker, value->next - subject->place))
        return false;
    DOCUMENT_EACH(document, subject->place, item)
    checker->hashes[count++] = (struct hashed){document_hash(document, item), item};
    if (count)
        qsort(checker->hashes, count, sizeof *checker->hashes, compare_hashes);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count && checker->hashes[j].hash == checker->hashes[i].hash;
             j++) {
            if (document_equal(document, checker->hashes[i].place, document,
                               checker->hashes[j].place, &checker->steps_left))
                return fail(checker, subject->schema, step->place, checker->hashes[j].place,
                            "the same item stands before it");
            if (!spend(checker, 1))
                return false;
        }
    }
    return true;
}

/* --- members ---------------------------------------------------------------------------------- */

static bool check_needed(struct schema_checker *checker, const struct subject *subject,
                         const struct step *step, const struct needed_names *needed)
{
    uint64_t each = at(checker, subject->place)->count + 1;
    if (!spend(checker, each * needed->count / 8))
        return false;
    for (size_t i = 0; i < needed->count; i++) {
        if (!document_member(&checker->document, subject->place, needed->names[i]))
            return fail(checker, subject->schema, step->place, subject->place,
                        "the member '%.*s' is missing", QUOTED(needed->names[i]));
    }
    return true;
}

static bool check_dependents(struct schema_checker *checker, const struct subject *subject,
                             const struct step *step)
{
    for (size_t i = 0; i < step->dependents.count; i++) {
        const struct needed_names *needed = &step->dependents.items[i];
        if (document_member(&checker->document, subject->place, needed->when) &&
            !check_needed(checker, subject, step, needed))
            return false;
    }
    return true;
}

static struct schema *find_named(const struct named_schema *items, size_t count, struct slice name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct slice have = items[middle].name;
        int order = have.len != name.len ? (have.len < name.len ? -1 : 1)
                    : have.len           ? memcmp(have.ptr, name.ptr, name.len)
                                         : 0;
        if (order == 0)
            return items[middle].schema;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool check_properties(struct schema_checker *checker, const struct subject *subject,
                             const struct step *step)
{
    uint64_t index = 0;
    DOCUMENT_EACH(&checker->document, subject->place, member)
    {
        struct slice name = at(checker, member)->name;
        const struct schema *known =
            find_named(step->properties.known, step->properties.known_count, name);
        bool taken = known != NULL;
        if (!spend(checker, 1))
            return false;
        if (known && !evaluate(checker, known, member, subject->scope, NULL))
            return false;
        for (size_t i = 0; i < step->properties.pattern_count; i++) {
            const struct pattern_schema *item = &step->properties.patterns[i];
            if (!spend(checker, 1) || !matches(checker, item->regex, name))
                continue;
            taken = true;
            if (!evaluate(checker, item->schema, member, subject->scope, NULL))
                return false;
        }
        if (!taken && step->properties.others) {
            taken = true;
            if (!evaluate(checker, step->properties.others, member, subject->scope, NULL))
                return false;
        }
        if (taken)
            see(subject, index);
        index++;
    }
    return true;
}

/* The name becomes a value, in the spare place behind the last one. */
static bool check_names(struct schema_checker *checker, const struct subject *subject,
                        const struct step *step)
{
    uint32_t spare = checker->document.count;
    DOCUMENT_EACH(&checker->document, subject->place, member)
    {
        checker->document.values[spare] = (struct document_value){
            .text = at(checker, member)->name, .type = JSON_TYPE_STRING, .next = spare + 1};
        checker->named_by = member;
        if (!evaluate(checker, step->schema, spare, subject->scope, NULL))
            return false;
    }
    return true;
}

/* --- items ------------------------------------------------------------------------------------ */

static bool check_items(struct schema_checker *checker, const struct subject *subject,
                        const struct step *step)
{
    size_t index = 0;
    DOCUMENT_EACH(&checker->document, subject->place, item)
    {
        const struct schema *schema =
            index < step->items.prefix_count ? step->items.prefix[index] : step->items.rest;
        if (!schema)
            break;
        if (!evaluate(checker, schema, item, subject->scope, NULL))
            return false;
        see(subject, index++);
    }
    return true;
}

static bool check_contains(struct schema_checker *checker, const struct subject *subject,
                           const struct step *step)
{
    uint64_t index = 0, found = 0;
    checker->quiet++;
    DOCUMENT_EACH(&checker->document, subject->place, item)
    {
        if (evaluate(checker, step->contains.schema, item, subject->scope, NULL)) {
            found++;
            see(subject, index);
        }
        index++;
    }
    checker->quiet--;
    if (checker->gave_up)
        return false;
    if (found < step->contains.least)
        return fail(checker, subject->schema, step->place, subject->place,
                    "%llu items fit 'contains', at least %llu were expected",
                    (unsigned long long)found, (unsigned long long)step->contains.least);
    if (found > step->contains.most)
        return fail(checker, subject->schema, step->place, subject->place,
                    "%llu items fit 'contains', at most %llu were expected",
                    (unsigned long long)found, (unsigned long long)step->contains.most);
    return true;
}

static bool check_unevaluated(struct schema_checker *checker, const struct subject *subject,
                              const struct step *step)
{
    uint64_t index = 0;
    DOCUMENT_EACH(&checker->document, subject->place, child)
    {
        if (!is_seen(subject, index)) {
            if (!evaluate(checker, step->schema, child, subject->scope, NULL))
                return false;
            see(subject, index);
        }
        index++;
    }
    return true;
}

/* --- schemas in the same place ---------------------------------------------------------------- */

static bool holds(struct schema_checker *checker, const struct subject *subject,
                  const struct schema *schema)
{
    return evaluate(checker, schema, subject->place, subject->scope, subject->seen);
}

static bool holds_quietly(struct schema_checker *checker, const struct subject *subject,
                          const struct schema *schema)
{
    checker->quiet++;
    bool good = holds(checker, subject, schema);
    checker->quiet--;
    return good;
}

static bool check_all(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step)
{
    for (size_t i = 0; i < step->list.count; i++) {
        if (!holds(checker, subject, step->list.items[i]))
            return false;
    }
    return true;
}

/* All alternatives, where somebody asks what they have looked at. */
static bool check_any(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step)
{
    bool any = false;
    for (size_t i = 0; i < step->list.count && (!any || subject->seen); i++)
        any = holds_quietly(checker, subject, step->list.items[i]) || any;
    return any || step_fails(checker, subject, step, "none of the alternatives of anyOf fits");
}

static bool check_one(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step)
{
    size_t count = 0;
    for (size_t i = 0; i < step->list.count && count < 2; i++)
        count += holds_quietly(checker, subject, step->list.items[i]);
    if (count == 1)
        return true;
    return step_fails(checker, subject, step,
                      count ? "more than one of the alternatives of oneOf fits"
                            : "none of the alternatives of oneOf fits");
}

static bool check_not(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step)
{
    checker->quiet++;
    bool good = evaluate(checker, step->schema, subject->place, subject->scope, NULL);
    checker->quiet--;
    return !good || step_fails(checker, subject, step, "it fits what 'not' excludes");
}

static bool check_if(struct schema_checker *checker, const struct subject *subject,
                     const struct step *step)
{
    bool condition = holds_quietly(checker, subject, step->branch.condition);
    const struct schema *next = condition ? step->branch.then : step->branch.otherwise;
    return !next || holds(checker, subject, next);
}

static bool check_dependent_schemas(struct schema_checker *checker, const struct subject *subject,
                                    const struct step *step)
{
    for (size_t i = 0; i < step->named.count; i++) {
        if (document_member(&checker->document, subject->place, step->named.items[i].name) &&
            !holds(checker, subject, step->named.items[i].schema))
            return false;
    }
    return true;
}

/* The outermost resource on the way here that has the anchor decides. */
static const struct schema *dynamic_target(const struct subject *subject, const struct step *step)
{
    const struct schema *target = step->dynamic.target;
    if (!slice_present(step->dynamic.anchor))
        return target;
    for (const struct scope *scope = subject->scope; scope; scope = scope->outer) {
        for (size_t i = 0; i < scope->resource->anchor_count; i++) {
            const struct anchor *anchor = &scope->resource->anchors[i];
            if (anchor->schema && slice_eq(anchor->name, step->dynamic.anchor))
                target = anchor->schema;
        }
    }
    return target;
}

/* --- one schema, one value -------------------------------------------------------------------- */

/* What a step is about; of another type of value it says nothing. */
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

static bool run_step(struct schema_checker *checker, const struct subject *subject,
                     const struct step *step)
{
    switch (step->kind) {
    case STEP_TYPE: return check_type(checker, subject, step);
    case STEP_CONST:
        return is_equal(checker, subject, step->place) ||
               step_fails(checker, subject, step, "not the value of const");
    case STEP_ENUM: return check_enum(checker, subject, step);
    case STEP_MULTIPLE_OF:
    case STEP_MAXIMUM:
    case STEP_EXCLUSIVE_MAXIMUM:
    case STEP_MINIMUM:
    case STEP_EXCLUSIVE_MINIMUM: return check_number(checker, subject, step);
    case STEP_PATTERN:
        return matches(checker, step->regex, at(checker, subject->place)->text) ||
               step_fails(checker, subject, step, "it does not match the pattern");
    case STEP_MAX_LENGTH:
    case STEP_MIN_LENGTH:
    case STEP_MAX_ITEMS:
    case STEP_MIN_ITEMS:
    case STEP_MAX_PROPERTIES:
    case STEP_MIN_PROPERTIES: return check_size(checker, subject, step);
    case STEP_UNIQUE_ITEMS: return check_unique(checker, subject, step);
    case STEP_REQUIRED: return check_needed(checker, subject, step, &step->needed);
    case STEP_DEPENDENT_REQUIRED: return check_dependents(checker, subject, step);
    case STEP_PROPERTIES: return check_properties(checker, subject, step);
    case STEP_PROPERTY_NAMES: return check_names(checker, subject, step);
    case STEP_ITEMS: return check_items(checker, subject, step);
    case STEP_CONTAINS: return check_contains(checker, subject, step);
    case STEP_REF: return holds(checker, subject, step->schema);
    case STEP_DYNAMIC_REF: return holds(checker, subject, dynamic_target(subject, step));
    case STEP_ALL_OF: return check_all(checker, subject, step);
    case STEP_ANY_OF: return check_any(checker, subject, step);
    case STEP_ONE_OF: return check_one(checker, subject, step);
    case STEP_NOT: return check_not(checker, subject, step);
    case STEP_IF: return check_if(checker, subject, step);
    case STEP_DEPENDENT_SCHEMAS: return check_dependent_schemas(checker, subject, step);
    case STEP_UNEVALUATED_ITEMS:
    case STEP_UNEVALUATED_PROPERTIES: return check_unevaluated(checker, subject, step);
    }
    return true;
}

static bool run_steps(struct schema_checker *checker, const struct subject *subject)
{
    enum json_type type = at(checker, subject->place)->type;
    for (size_t i = 0; i < subject->schema->step_count; i++) {
        const struct step *step = &subject->schema->steps[i];
        if (!applies(step->kind, type))
            continue;
        if (!spend(checker, 1) || !run_step(checker, subject, step))
            return false;
    }
    return true;
}

/*
 * What a schema has looked at counts for those around it only if the value fits: so each has a set
 * of its own, added to the one above at the end.
 */
static bool evaluate(struct schema_checker *checker, const struct schema *schema, uint32_t place,
                     const struct scope *scope, uint64_t *seen_above)
{
    const struct document_value *value = at(checker, place);
    uint32_t count = document_is_container(value) ? value->count : 0;
    if (checker->gave_up)
        return false;
    if (schema->is_false)
        return fail(checker, schema, schema->place, place, "nothing is allowed here");
    if (!schema->step_count)
        return true;
    if (checker->depth == SCHEMA_DEPTH_MAX)
        return give_up(checker, "schemas nested deeper than 512");
    struct scope inner = {scope, schema->resource};
    bool enters = !scope || scope->resource != schema->resource;
    struct subject subject = {schema, place, enters ? &inner : scope, NULL};
    size_t mark = checker->bit_words;
    if (count && (seen_above || schema->unevaluated)) {
        subject.seen = take_bits(checker, count);
        if (!subject.seen)
            return false;
    }
    checker->depth++;
    bool good = run_steps(checker, &subject) && !checker->gave_up;
    checker->depth--;
    for (size_t i = 0; good && seen_above && i < words_of(count); i++)
        seen_above[i] |= subject.seen[i];
    checker->bit_words = mark;
    return good;
}

enum schema_verdict schema_check(struct schema_checker *checker, const struct schema *schema,
                                 struct slice json, struct schema_violation *ret)
{
    ret->file = NULL;
    ret->instance[0] = ret->schema[0] = ret->reason[0] = 0;
    checker->steps_left = SCHEMA_STEPS_MAX;
    checker->depth = checker->quiet = 0;
    checker->bit_words = 0;
    checker->gave_up = NULL;
    checker->violation = ret;
    enum document_result read = document_read(&checker->document, json);
    bool good = false;
    if (read == DOCUMENT_READ)
        good = evaluate(checker, schema, 0, NULL, NULL);
    else
        (void)give_up(checker, read == DOCUMENT_TOO_LARGE ? "larger than an event may be"
                                                          : "not well-formed JSON");
    if (!checker->gave_up)
        return good ? SCHEMA_VALID : SCHEMA_VIOLATED;
    *ret = (struct schema_violation){.file = schema->file->path};
    (void)snprintf(ret->reason, sizeof ret->reason, "%s", checker->gave_up);
    return SCHEMA_GAVE_UP;
}
