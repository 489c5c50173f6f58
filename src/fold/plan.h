/*
 * plan: rules compiled for speed: one trie over all subject filters, and groups.
 *
 * All subjects that match the same set of filters share a group: its candidate envelopes, its
 * metric rules, and one JSON plan with exactly the paths that these want. Groups are made when
 * first seen, at most PLAN_GROUPS_MAX of them. One thread.
 */
#pragma once

#include "fold/rules.h"
#include "json/extract.h"

#define PLAN_TARGETS_MAX 1024
#define PLAN_WORDS       (PLAN_TARGETS_MAX / 64)
#define PLAN_GROUPS_MAX  4096
#define PLAN_SHAPES_MAX  2048 /* of texts, over all groups: about 4 MiB */

struct plan;

/* Where the alternatives of one field of one envelope lie, so that most are passed over without a
 * look at the expression. */
enum { PROBE_ASK = -1, PROBE_NEVER = -2 }; /* not of the payload; or nothing there can be found */
struct plan_envelope {
    const int16_t *probes[EVENT_FIELDS]; /* as many as the field has alternatives: slot, or above */
};

struct plan_group {
    size_t index;
    uint64_t targets[PLAN_WORDS];
    const struct envelope **envelopes; /* candidates in the order of the file */
    struct plan_envelope *probes;      /* by candidate */
    int16_t *probe_slots;              /* what they point into */
    size_t envelope_count;
    const struct metric_rule **metrics;
    uint32_t *metric_remembers; /* by metric: bit per remember rule that it refers to */
    size_t metric_count;
    const struct remember_rule **remembers;
    size_t remember_count;
    struct json_plan *json;
    struct json_shapes *shapes;
    int *slot_of; /* by rules.paths index; -1: not wanted here */
    bool byte_array;
    bool fleeting;   /* gone at the next plan_find() */
    uint32_t fields; /* bit per field behind the class fields that is looked for */
};

/*
 * `rules` must outlive the plan. `all_fields`: an event's view is wanted whole; otherwise only what
 * the group's rules refer to, the event's id and its time.
 */
int plan_new(const struct rules *rules, bool all_fields, struct plan **ret, struct error *err);
void plan_free(struct plan *plan);
/*
 * Valid until the next call. Past the limit of groups one is made for each message (`fleeting`):
 * slow, but right.
 */
const struct plan_group *plan_find(struct plan *plan, const struct slice *tokens, size_t count);
/* How often that was needed. */
size_t plan_overflows(const struct plan *plan);
