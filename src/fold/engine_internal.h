/* For siblings in src/fold only. */
#pragma once

#include "base/placemap.h"
#include "base/u64map.h"
#include "fold/chain.h"
#include "fold/course.h"
#include "fold/engine.h"
#include "fold/expr.h"
#include "fold/fact.h"
#include "fold/plan.h"
#include "fold/state.h"

/* Metrics that the engine itself feeds; they belong to the stream's state like those of rules. */
enum builtin {
    BUILTIN_MALFORMED,
    BUILTIN_DUPLICATE,
    BUILTIN_COPIES,
    BUILTIN_MISSED,
    BUILTIN_RECREATED,
    BUILTIN_SUSPECT,
    BUILTIN_CHAIN_VERIFIED,
    BUILTIN_CHAIN_BREAKS,
    BUILTINS,
};

#define CLASS_TEXT_MAX 128

#define LAST_LABELS_MAX 47

/* What an event's class says of conditions. */
enum decision { DECISION_NO, DECISION_YES, DECISION_BY_EVENT };

/* One metric rule that applies to a class. */
struct class_action {
    const struct metric_rule *rule;
    size_t rule_index;
    struct family *family;
    const struct schema *contract; /* what to check, for the rule that counts violations */
    struct cell *cell; /* NULL until first needed, or when labels differ from event to event: */
    struct cell *last; /* then that of the last event, by its labels' texts; NULL: none */
    uint8_t last_len;
    char last_labels[LAST_LABELS_MAX];
    enum decision starts, ends; /* of spans */
    enum decision since, until; /* of distinct keys */
    uint64_t key_hash;          /* of the event at hand: a distinct key; */
    bool has_key;               /* there is one */
};

/* Everything that decides the class, and nothing else: which of the alternatives gave a text
 * decides its transforms. */
struct class_key {
    const struct plan_group *group;
    const struct envelope *envelope;
    const struct expr *expr[EVENT_CLASS_FIELDS];
    struct slice raw[EVENT_CLASS_FIELDS]; /* at most CLASS_TEXT_MAX bytes */
};

struct class_entry {
    struct class_entry *next; /* same hash */
    struct class_key key;
    struct slice field[EVENT_CLASS_FIELDS];
    char *texts; /* what `field` and the key point into */
    struct class_action *actions;
    size_t action_count;
    uint32_t remembers;       /* bit per remember rule whose class conditions hold */
    uint32_t uses_remembered; /* bit per remember rule that an action refers to */
    struct cell *duplicates, *copies, *chains_verified;
    size_t domain; /* its number in the engine */
};

struct remembered {
    uint64_t key; /* 0: free */
    char *text;
};

struct stream_state {
    char *name;
    char created[64];
    uint64_t seq;
    struct partition *partition;
    size_t rule_count;
    uint64_t *applied; /* by rule: messages up to this sequence are in its cells already */
    uint64_t applied_builtin[BUILTINS]; /* likewise, of what the engine counts by itself */
    uint64_t applied_max;
    bool resumed;                   /* read from a snapshot: what comes behind it is new */
    struct cell *builtin[BUILTINS]; /* of those whose labels are fixed */

    struct u64map classes; /* hash -> first entry */
    size_t class_count;
    uint64_t class_generation; /* another one whenever entries are gone, of any state */

    uint64_t *recent; /* ring of DUPLICATE_WINDOW id hashes */
    uint64_t recent_total;
    struct placemap recent_at; /* the latest place of each */

    struct facts *facts; /* that wait for their copy; NULL: none ever did */

    struct remembered *remembered; /* ring of REMEMBERED_KEYS_MAX */
    uint64_t remembered_total;
    struct u64map remembered_at; /* key -> place in the ring + 1 */

    struct spans **spans;     /* by rule; NULL until the first one opens */
    int64_t next_deadline_ns; /* of any span; INT64_MAX: none */
    int64_t now_ns;           /* as state_set_now() told */
    struct chain_heads chains;
};

struct engine {
    const struct rules *rules;
    struct registry *registry;
    struct plan *plan, *view_plan; /* the second has all fields; made when first asked for */
    struct engine_reporter reporter;
    void (*before)(void *context, const struct event_input *input, const int64_t *occurred_at_ns);
    void *before_context;
    bool no_courses;   /* for tests: they must change nothing, */
    uint64_t followed; /* and some are */
    struct shard shard;
    struct family **families; /* by rule */
    struct family *builtin[BUILTINS];
    struct family *spans_open, *spans_given_up;
    struct stream_state **states;
    size_t state_count, state_room;
    char domains[TALLY_DOMAINS_MAX][DOMAIN_TEXT_MAX];
    size_t domain_count;
    uint64_t class_overflows;

    /* Working space of one event. */
    struct eval eval;
    struct event_view view;
    bool time_unreadable;
    const struct json_shapes *shapes; /* of the payload at hand, */
    struct slice payload;             /* and what was read as such */
    struct json_value values[JSON_PATHS_MAX];
    struct event_header headers[EVENT_HEADERS_MAX]; /* of the block, found once per event */
    struct buf decoded, hashed;
    struct schema_checker *checker; /* NULL until an event has a contract */
    struct schema_violation violation;
    char scratch[65536];
};

/* What preparing an event found out, before its class is known. */
struct prepared {
    const struct plan_group *group;
    const struct envelope *envelope;
    const struct plan_envelope *probes;
    struct course *course; /* NULL: the long way */
    struct event_input input;
    struct slice raw[EVENT_CLASS_FIELDS];
    const struct expr *expr[EVENT_CLASS_FIELDS];
};

/* NULL, or why the message is malformed (constant text). `by_course`: as its kind was read before;
 * otherwise the long way, which can be explained. */
const char *engine_prepare(struct engine *engine, struct plan *plan,
                           const struct event_input *input, bool by_course, struct prepared *ret);
/* Prepares and fills engine->view, whose texts are then valid until the next call. NULL, or why. */
const char *engine_view_prepared(struct engine *engine, const struct event_input *input,
                                 struct prepared *ret);
/* Fills the fields behind the class fields of engine->view. */
void engine_view_rest(struct engine *engine, const struct prepared *prepared);

/* The class of a prepared event: from the cache, or made. *ret_temporary: free it with
 * class_free(). */
struct class_entry *class_find(struct engine *engine, struct stream_state *state,
                               const struct prepared *prepared, bool *ret_temporary);
void class_free(struct class_entry *entry);
/* Cells are about to be cleared: forget what points to them. */
void classes_clear(struct stream_state *state);

void state_remember_put(struct stream_state *state, uint64_t key, struct slice text);
struct slice state_remember_get(const struct stream_state *state, uint64_t key);
/* state_seen_before() is about to be called: its memory is fetched meanwhile. */
void state_expect(const struct stream_state *state, uint64_t id);
/* Was this id among the last DUPLICATE_WINDOW? It is the newest one from now on. */
bool state_seen_before(struct stream_state *state, uint64_t id);
void state_free(struct stream_state *state);

/* Is this event, of which the view is known, in the engine's share? */
bool engine_has_event(const struct engine *engine, const struct class_entry *class,
                      const struct event_input *input);
/* Sets and spans are shared out by their keys instead. */
static inline bool rule_is_by_key(const struct metric_rule *rule)
{
    return rule->spec.kind == METRIC_DISTINCT || rule_is_span(rule);
}
