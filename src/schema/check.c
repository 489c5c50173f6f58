/* Holding a payload against a compiled schema. */
#include <stdio.h>

#include "base/memory.h"
#include "schema/check_internal.h"

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
        (void)check_give_up(checker, "more members and items to remember than one event may have");
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

/* --- members ---------------------------------------------------------------------------------- */

static bool check_needed(struct schema_checker *checker, const struct subject *subject,
                         const struct step *step, const struct needed_names *needed)
{
    uint64_t each = value_of(checker, subject->place)->count + 1;
    if (!check_spend(checker, each * needed->count / 8))
        return false;
    for (size_t i = 0; i < needed->count; i++) {
        if (!document_member(&checker->document, subject->place, needed->names[i]))
            return check_fail(checker, subject->schema, step->place, subject->place,
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

/* True: it fits. False: look closer, and find out what to complain of. */
static bool fits_simply(const struct schema *schema, const struct document_value *value)
{
    if (schema->forward)
        schema = schema->forward;
    if (!schema->simple || schema->is_false || !(schema->simple_types >> value->type & 1))
        return false;
    if (value->type != JSON_TYPE_STRING)
        return true;
    uint64_t size = schema->least <= 1 && value->text.len <= schema->most
                        ? value->text.len /* bytes say enough */
                        : check_code_points(value->text);
    return size >= schema->least && size <= schema->most;
}

static int compare_names(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

/* Halving costs a mispredicted branch each time: the last few are looked at one by one. */
static const struct named_schema *find_named(const struct named_schema *items, size_t count,
                                             struct slice name)
{
    size_t low = 0, high = count;
    while (high - low > 12) {
        size_t middle = (low + high) / 2;
        if (compare_names(items[middle].name, name) <= 0)
            low = middle;
        else
            high = middle;
    }
    for (; low < high; low++) {
        if (slice_eq(items[low].name, name))
            return &items[low];
    }
    return NULL;
}

/* For the message: properties has found that some are missing. */
static bool tell_missing(struct schema_checker *checker, const struct subject *subject)
{
    for (size_t i = 0; i < subject->schema->step_count; i++) {
        const struct step *step = &subject->schema->steps[i];
        if (step->kind == STEP_REQUIRED)
            return check_needed(checker, subject, step, &step->needed);
    }
    return false;
}

static bool check_properties(struct schema_checker *checker, const struct subject *subject,
                             const struct step *step)
{
    uint64_t index = 0, met = 0;
    DOCUMENT_EACH(&checker->document, subject->place, member)
    {
        struct slice name = value_of(checker, member)->name;
        const struct named_schema *known =
            find_named(step->properties.known, step->properties.known_count, name);
        bool taken = known != NULL;
        if (!check_spend(checker, 1))
            return false;
        if (known && (checker->tracer || !fits_simply(known->schema, value_of(checker, member))) &&
            !evaluate(checker, known->schema, member, subject->scope, NULL))
            return false;
        met |= known ? known->needed : 0;
        for (size_t i = 0; i < step->properties.pattern_count; i++) {
            const struct pattern_schema *item = &step->properties.patterns[i];
            if (!check_spend(checker, 1) || !check_matches(checker, item->regex, name))
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
    return (met & step->properties.needed) == step->properties.needed ||
           tell_missing(checker, subject);
}

/* The name becomes a value, in the spare place behind the last one. */
static bool check_names(struct schema_checker *checker, const struct subject *subject,
                        const struct step *step)
{
    uint32_t spare = checker->document.count;
    DOCUMENT_EACH(&checker->document, subject->place, member)
    {
        checker->document.values[spare] = (struct document_value){
            .text = value_of(checker, member)->name, .type = JSON_TYPE_STRING, .next = spare + 1};
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
        return check_fail(checker, subject->schema, step->place, subject->place,
                          "%llu items fit 'contains', at least %llu were expected",
                          (unsigned long long)found, (unsigned long long)step->contains.least);
    if (found > step->contains.most)
        return check_fail(checker, subject->schema, step->place, subject->place,
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
    return any ||
           check_step_fails(checker, subject, step, "none of the alternatives of anyOf fits");
}

static bool check_one(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step)
{
    size_t count = 0;
    for (size_t i = 0; i < step->list.count && count < 2; i++)
        count += holds_quietly(checker, subject, step->list.items[i]);
    if (count == 1)
        return true;
    return check_step_fails(checker, subject, step,
                            count ? "more than one of the alternatives of oneOf fits"
                                  : "none of the alternatives of oneOf fits");
}

static bool check_not(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step)
{
    checker->quiet++;
    bool good = evaluate(checker, step->schema, subject->place, subject->scope, NULL);
    checker->quiet--;
    return !good || check_step_fails(checker, subject, step, "it fits what 'not' excludes");
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

static bool run_step(struct schema_checker *checker, const struct subject *subject,
                     const struct step *step)
{
    switch (step->kind) {
    case STEP_TYPE:
    case STEP_CONST:
    case STEP_ENUM:
    case STEP_MULTIPLE_OF:
    case STEP_MAXIMUM:
    case STEP_EXCLUSIVE_MAXIMUM:
    case STEP_MINIMUM:
    case STEP_EXCLUSIVE_MINIMUM:
    case STEP_PATTERN:
    case STEP_MAX_LENGTH:
    case STEP_MIN_LENGTH:
    case STEP_MAX_ITEMS:
    case STEP_MIN_ITEMS:
    case STEP_UNIQUE_ITEMS:
    case STEP_MAX_PROPERTIES:
    case STEP_MIN_PROPERTIES: return check_assertion(checker, subject, step);
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
    enum json_type type = value_of(checker, subject->place)->type;
    for (size_t i = 0; i < subject->schema->step_count; i++) {
        const struct step *step = &subject->schema->steps[i];
        if (!(step->values >> type & 1))
            continue;
        if (!check_spend(checker, 1))
            return false;
        bool good = run_step(checker, subject, step);
        if (checker->tracer)
            trace_add(checker, subject, step, good);
        if (!good)
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
    if (schema->forward)
        schema = schema->forward;
    const struct document_value *value = value_of(checker, place);
    uint32_t count = document_is_container(value) ? value->count : 0;
    if (checker->gave_up)
        return false;
    if (schema->is_false)
        return check_fail(checker, schema, schema->place, place, "nothing is allowed here");
    if (!schema->step_count)
        return true;
    if (checker->depth == SCHEMA_DEPTH_MAX)
        return check_give_up(checker, "schemas nested deeper than 512");
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
        (void)check_give_up(checker, read == DOCUMENT_TOO_LARGE ? "larger than an event may be"
                                                                : "not well-formed JSON");
    if (!checker->gave_up)
        return good ? SCHEMA_VALID : SCHEMA_VIOLATED;
    *ret = (struct schema_violation){.file = schema->file->path};
    (void)snprintf(ret->reason, sizeof ret->reason, "%s", checker->gave_up);
    return SCHEMA_GAVE_UP;
}
