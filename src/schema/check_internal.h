/* For siblings in src/schema only: one check under way. */
#pragma once

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
    struct tracer *tracer; /* NULL: nobody keeps what single values were found to be */
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

static inline const struct document_value *value_of(const struct schema_checker *checker,
                                                    uint32_t place)
{
    return &checker->document.values[place];
}

/* --- effort and failures: assert.c ----------------------------------------------------------- */

/* All return false. The first failure outside of anyOf and its like is the one that is told. */
bool check_give_up(struct schema_checker *checker, const char *why);
bool check_fail(struct schema_checker *checker, const struct schema *schema, uint32_t keyword,
                uint32_t place, const char *format, ...) __attribute__((format(printf, 5, 6)));
bool check_step_fails(struct schema_checker *checker, const struct subject *subject,
                      const struct step *step, const char *what);
bool check_out_of_steps(struct schema_checker *checker);

static inline bool check_spend(struct schema_checker *checker, uint64_t steps)
{
    if (steps >= checker->steps_left)
        return check_out_of_steps(checker);
    checker->steps_left -= steps;
    return true;
}

/* Text of the schema's author, cut for a message. */
#define QUOTE_MAX     80
#define QUOTED(slice) (int)((slice).len < QUOTE_MAX ? (slice).len : QUOTE_MAX), (slice).ptr

/* --- assertions about one value: assert.c ---------------------------------------------------- */

bool check_matches(struct schema_checker *checker, const struct regex *regex, struct slice text);
/* STEP_TYPE to STEP_MIN_PROPERTIES. */
bool check_assertion(struct schema_checker *checker, const struct subject *subject,
                     const struct step *step);

/* Bytes that continue a character (10xxxxxx) are not counted; eight at a time. */
static inline uint64_t check_code_points(struct slice text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t count = text.len;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        uint64_t word;
        memcpy(&word, text.ptr + i, sizeof word);
        if (word & (ones << 7))
            count -= (((word >> 7) & ~(word >> 6) & ones) * ones) >> 56;
    }
    for (; i < text.len; i++)
        count -= ((unsigned char)text.ptr[i] & 0xc0) == 0x80;
    return count;
}

/* --- traces: trace.c -------------------------------------------------------------------------- */

/* An assertion was held against a value: what it says of other values there is asked again. */
void trace_add(struct schema_checker *checker, const struct subject *subject,
               const struct step *step, bool result);
