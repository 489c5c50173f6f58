/* What a keyword says about one value by itself; how failures are told and effort is bounded. */
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "schema/check_internal.h"

/* --- effort and failures ---------------------------------------------------------------------- */

bool check_give_up(struct schema_checker *checker, const char *why)
{
    if (!checker->gave_up)
        checker->gave_up = why;
    return false;
}

bool check_out_of_steps(struct schema_checker *checker)
{
    checker->steps_left = 0;
    return check_give_up(checker, "more steps than one event may take");
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

bool check_fail(struct schema_checker *checker, const struct schema *schema, uint32_t keyword,
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

bool check_step_fails(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step, const char *what)
{
    return check_fail(checker, subject->schema, step->place, subject->place, "%s", what);
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
    if (has_type(value_of(checker, subject->place), step->types))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (step->types >> i & 1)
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s",
                                     used ? " or " : "", names[i]);
    }
    return check_fail(checker, subject->schema, step->place, subject->place, "%s was expected",
                      expected);
}

static bool is_equal(struct schema_checker *checker, const struct subject *subject, uint32_t other)
{
    bool equal = document_equal(&subject->schema->file->document, other, &checker->document,
                                subject->place, &checker->steps_left);
    if (!checker->steps_left)
        (void)check_out_of_steps(checker);
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
    return check_step_fails(checker, subject, step, "none of the values of enum");
}

/* --- numbers and texts ------------------------------------------------------------------------ */

static bool check_number(struct schema_checker *checker, const struct subject *subject,
                         const struct step *step)
{
    struct slice number = value_of(checker, subject->place)->text;
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
    return good || check_fail(checker, subject->schema, step->place, subject->place,
                              "%s %.*s was expected", what, QUOTED(bound));
}

bool check_matches(struct schema_checker *checker, const struct regex *regex, struct slice text)
{
    enum regex_result result = regex_match(regex, checker->matcher, text);
    if (result == REGEX_GAVE_UP)
        return check_give_up(checker, "a pattern needs more effort than one event may take");
    return result == REGEX_MATCH;
}

/* --- sizes ------------------------------------------------------------------------------------ */

static bool check_size(struct schema_checker *checker, const struct subject *subject,
                       const struct step *step)
{
    const struct document_value *value = value_of(checker, subject->place);
    uint64_t size = value->count;
    const char *unit = value->type == JSON_TYPE_ARRAY ? "items" : "members";
    if (value->type == JSON_TYPE_STRING) {
        size = check_code_points(value->text);
        unit = "characters";
    }
    bool is_most = step->kind == STEP_MAX_LENGTH || step->kind == STEP_MAX_ITEMS ||
                   step->kind == STEP_MAX_PROPERTIES;
    return (is_most ? size <= step->bound : size >= step->bound) ||
           check_fail(checker, subject->schema, step->place, subject->place,
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
    const struct document_value *value = value_of(checker, subject->place);
    size_t count = 0;
    if (value->count > checker->hash_room) {
        checker->hash_room = value->count;
        checker->hashes = xrealloc(checker->hashes, checker->hash_room, sizeof *checker->hashes);
    }
    if (!check_spend(checker, value->next - subject->place))
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
                return check_fail(checker, subject->schema, step->place, checker->hashes[j].place,
                                  "the same item stands before it");
            if (!check_spend(checker, 1))
                return false;
        }
    }
    return true;
}

/* --- all of them ------------------------------------------------------------------------------ */

bool check_assertion(struct schema_checker *checker, const struct subject *subject,
                     const struct step *step)
{
    switch ((int)step->kind) {
    case STEP_TYPE: return check_type(checker, subject, step);
    case STEP_CONST:
        return is_equal(checker, subject, step->place) ||
               check_step_fails(checker, subject, step, "not the value of const");
    case STEP_ENUM: return check_enum(checker, subject, step);
    case STEP_MULTIPLE_OF:
    case STEP_MAXIMUM:
    case STEP_EXCLUSIVE_MAXIMUM:
    case STEP_MINIMUM:
    case STEP_EXCLUSIVE_MINIMUM: return check_number(checker, subject, step);
    case STEP_PATTERN:
        return check_matches(checker, step->regex, value_of(checker, subject->place)->text) ||
               check_step_fails(checker, subject, step, "it does not match the pattern");
    case STEP_UNIQUE_ITEMS: return check_unique(checker, subject, step);
    default: return check_size(checker, subject, step);
    }
}
