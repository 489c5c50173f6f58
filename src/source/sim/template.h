/*
 * template: message texts with places to fill, compiled once, rendered without allocation.
 *
 * The text is what goes on the wire, with `'` for `"` (so that JSON reads well in C) and places in
 * angle brackets:
 *
 *     <agg> <event> <msg> <corr> <cause> <open> <other>   ids of the event being rendered
 *     <ref> <ref2>    further ids, the same in each form of the event
 *     <new>           a fresh id at each place and in each form: what producers draw at random
 *     <at> <at+>      when it happened, RFC 3339 as chrono writes it, with Z or +00:00
 *     <epoch>         the same in whole seconds
 *     <then>          when it was published, not before <at>
 *     <nanos>         the same in nanoseconds since 1970
 *     <seq> <name>    the aggregate's sequence and name
 *     <kind>          "Single" or "Transaction"
 *     <3..40>         a whole number in that range
 *     <hex40>         that many hexadecimal digits
 *     <host>          a word of the list of that name (words.c)
 *
 * Numbers, digits and words follow from the event alone: two forms of one event say the same.
 */
#pragma once

#include "base/buf.h"
#include "source/sim/random.h"

/* What the places are filled from. */
struct template_values {
    struct uuid agg, event, msg, corr, cause, open, other;
    int64_t at_ns, then_ns;
    uint64_t seq;
    struct slice name;
    bool transaction;
    uint64_t salt;   /* decides numbers, digits and words */
    int id_version;  /* 4 or 7, of <ref> and <new> */
    struct rng *ids; /* for <new> */
};

struct template_op {
    uint8_t code;
    uint16_t list;      /* a word list */
    uint32_t low, high; /* a range; low: digits */
    struct slice text;
};

#define TEMPLATE_OPS_MAX 112

/* Zero-initialised is an empty template. Literal bytes live in `text`, which the template owns. */
struct template
{
    struct template_op *ops;
    size_t count;
    char *text;
};

/* `source` is ours, not the user's: a place that nobody knows ends the program with its text. */
void template_compile(struct template *ret, const char *source);
void template_done(struct template *t);
/* Appends. */
void template_render(const struct template *t, const struct template_values *values,
                     struct buf *out);

/* The instant as chrono prints it: fraction digits in groups of three, none when all are zero. */
void template_add_time(struct buf *out, int64_t ns, const char *zone);

struct word_list {
    const char *name;
    const char *const *words;
    size_t count;
};
extern const struct word_list word_lists[];
extern const size_t word_list_count;
