/*
 * rules: what the files under rules/ say, loaded and checked.
 *
 * envelopes.yaml says how the fields of the event view are found in subject, headers and payload;
 * every other *.yaml says which events make which metric. doc/rules.md is the guide for authors.
 * A mistake names file, line, column and what was expected; nothing of a wrong set is used.
 *
 * An expression (doc/rules.md, "Expressions") is constant text, or a reference:
 *   $domain, $event_type, ...     a field of the event view (event/view.h)
 *   $subject[2]  $subject[2:]     one token of the subject (from 0), or it and all behind it;
 *   $subject[-1]  $subject[1:-1]  negative ones count from the end, which a range leaves out
 *   $header.NAME                  a header, spelled loosely
 *   $payload.PATH                 a value of the payload (json/extract.h, paths)
 *   $key.PATH, $key               the name of the first member of the object at PATH
 *   $tag.PATH, $tag               the same, when it looks like a type's name: PascalCase
 *   $raw, $raw.PATH               the bytes of the whole payload, or of a value of it (in `fact`)
 *   $text, $text.PATH             the whole payload, or a value of it, when it is a JSON string
 *   $stored_at, $delay            when it was stored; seconds between occurring and being stored
 *   $remembered.NAME              what a `remember` rule kept for this event's key
 * each with `| pascal`, `| lower`, `| strip TEXT`, `| prefix TEXT`, `| type` behind it. A list of
 * expressions means the first that is present. A mapping {from, regex, replace, otherwise, map}
 * rewrites what `from` gives: labels, keys and values may be such.
 */
#pragma once

#include <regex.h>

#include "base/error.h"
#include "event/view.h"
#include "metrics/registry.h"

enum expr_kind {
    EXPR_CONSTANT,
    EXPR_FIELD,
    EXPR_SUBJECT,
    EXPR_HEADER,
    EXPR_PAYLOAD,
    EXPR_STORED_AT,
    EXPR_DELAY,
    EXPR_REMEMBERED,
};

enum transform_kind {
    TRANSFORM_PASCAL,
    TRANSFORM_LOWER,
    TRANSFORM_STRIP,
    TRANSFORM_PREFIX,
    TRANSFORM_TYPE
};

struct transform {
    enum transform_kind kind;
    struct slice text;
};

#define TRANSFORMS_MAX 4
struct expr {
    enum expr_kind kind;
    struct slice text; /* constant, header name, remembered name */
    enum event_field field;
    int token, token_end; /* of the subject; behind the last one; negative: from its end */
    bool to_end;
    size_t path;     /* index into rules.paths */
    bool text_only;  /* $text: nothing but a JSON string */
    bool tag_only;   /* $tag: nothing but PascalCase */
    bool as_written; /* $raw: the JSON itself */
    struct transform transforms[TRANSFORMS_MAX];
    size_t transform_count;
};

/* What becomes of a text that was found: first the regular expression, then the map. */
struct rewrite {
    bool has_regex;
    regex_t regex;           /* extended, found anywhere unless it says ^ and $ */
    struct slice replace;    /* $1 to $9 are the groups, $0 all of the match, $$ a dollar */
    struct slice otherwise;  /* when it does not match; absent: the text stays */
    struct slice *from, *to; /* the map, ascending by `from` */
    size_t count;
    struct slice fallback; /* when the map does not know it; absent: the text stays */
    size_t number;         /* among the rules' rewrites, for what an engine keeps of them */
};

struct expr_list {
    struct expr *items;
    size_t count;
    struct rewrite *rewrite; /* NULL: none */
};

enum condition_kind {
    CONDITION_EQ,
    CONDITION_NE,
    CONDITION_MATCH,
    CONDITION_NO_MATCH,
    CONDITION_IN,
    CONDITION_NOT_IN,
    CONDITION_EXISTS,
    CONDITION_ABSENT,
    CONDITION_GT,
    CONDITION_GE,
    CONDITION_LT,
    CONDITION_LE, /* by number; the last ones */
};

struct condition {
    enum condition_kind kind;
    struct expr expr;
    struct slice operand;
    double number;
    regex_t regex; /* MATCH, NO_MATCH */
};

struct condition_list {
    struct condition *items;
    size_t count;
    bool class_only; /* decided by class fields alone: the same for every event of a class */
};

struct filter_list {
    struct slice *items;
    size_t count;
};

/* One of the producer's own type names, and a spelling that stands for it (often the same). */
struct type_name {
    struct slice spelling, name;
};

struct yaml_node;

struct chain_rule; /* fold/chain.h */

struct envelope {
    struct slice name;
    struct filter_list subjects;
    struct expr *requires; /* what the payload must have */
    size_t require_count;
    struct filter_list require_headers;
    bool byte_array; /* the payload may be a JSON array of byte numbers: decode it once more */
    struct expr_list fields[EVENT_FIELDS];
    const struct yaml_node *node, *field_nodes[EVENT_FIELDS]; /* where they stand */
    struct expr_list *fact; /* what makes a fact the same, all of them; see fold/fact.h */
    size_t fact_count;
    struct expr_list channel; /* by which way it came */
    struct type_name *types;  /* for `| type` */
    size_t type_count;
    const struct chain_rule **chains; /* the CIDs that its events may carry, in this order */
    size_t chain_count;
};

/* What a rule makes of its events beyond what spec.kind says. */
enum rule_role {
    ROLE_PLAIN,
    ROLE_SPAN,     /* a histogram: from a start event to its end */
    ROLE_ABSENT,   /* a counter: the expected event did not come in time */
    ROLE_OVERDUE,  /* the gauge that belongs to the absent rule just before it in rules.metrics */
    ROLE_SHARE,    /* a counter: of the events of `when`, those for which `of` holds as well */
    ROLE_AMONG,    /* the counter of all of them, just behind it */
    ROLE_CONTRACT, /* a counter of the engine's own: events that violate theirs (contract.h) */
};

enum span_clock {
    SPAN_CLOCK_ANY,      /* by occurred_at when both events have one, else by stored time */
    SPAN_CLOCK_OCCURRED, /* by occurred_at only */
    SPAN_CLOCK_STORED,   /* by stored time only */
};

#define SPANS_OPEN_DEFAULT 65536
#define SPANS_OPEN_MAX     1000000

/* ROLE_SPAN, and ROLE_ABSENT with `after` as its start and `expect` as its end. */
struct span_rule {
    struct condition_list start, end;
    struct expr_list start_key, end_key; /* none: the rule's `key` */
    size_t start_labels;                 /* so many of the first labels come from the start event */
    int64_t within_ns;                   /* ROLE_ABSENT: when it is overdue */
    int64_t timeout_ns;                  /* when waiting ends; 0: never */
    size_t open_max;
    bool restart; /* a second start replaces the first; else the first stays */
    enum span_clock clock;
};

struct metric_rule {
    enum rule_role role;
    struct span_rule span;
    struct metric_spec spec;     /* texts point into the rule files */
    struct filter_list subjects; /* none: all */
    struct condition_list when;
    struct condition_list since, until; /* the event begins (METRIC_DISTINCT), ends a life */
    struct condition_list of;           /* ROLE_SHARE */
    struct expr_list labels[METRIC_LABELS_MAX];
    bool class_labels;        /* all labels come from class fields */
    struct expr_list value;   /* none: 1 for counters */
    struct expr_list key;     /* METRIC_DISTINCT, spans */
    struct expr_list expires; /* gauge: seconds that a value holds; none: for ever, or ... */
    int64_t expires_ns;       /* ... so long; 0: for ever */
    double scale;
    uint64_t fingerprint; /* of the rule's definition and of all that it stands on */
    const char *file;
    const struct yaml_node *node; /* where it stands, for complaints */
};

struct remember_rule {
    struct slice name;
    struct filter_list subjects;
    struct condition_list when;
    struct expr_list key, value;
    const struct yaml_node *node;
};

/* Which class of error an event type speaks of, for events whose payload does not say. */
struct error_class {
    regex_t regex;
    struct slice name;
};

struct rules {
    struct envelope *envelopes;
    size_t envelope_count;
    struct metric_rule *metrics;
    size_t metric_count;
    struct remember_rule *remembers;
    size_t remember_count;
    struct error_class *error_classes; /* the first that matches */
    size_t error_class_count;
    struct chain_rule *chains;
    size_t chain_count;
    char **paths; /* all payload paths in use */
    size_t path_count;
    size_t rewrite_count;
    char **made; /* names and helps of metrics that a rule brings with it */
    size_t made_count;
    uint64_t envelope_fingerprint, remember_fingerprint;
    struct rule_files *files;   /* keeps the texts alive */
    struct schema_set *schemas; /* rules/schemas; NULL: there is no such folder */
};

int rules_load(const char *folder, struct rules **ret, struct error *err);
void rules_free(struct rules *rules);
static inline bool rule_is_span(const struct metric_rule *rule)
{
    return rule->role == ROLE_SPAN || rule->role == ROLE_ABSENT;
}
const char *metric_kind_name(enum metric_kind kind);
