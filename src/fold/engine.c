#include "fold/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "fold/contract.h"
#include "fold/engine_internal.h"
#include "fold/span.h"

/* 2000-01-01T00:00:00Z: an event from before is suspect (a clock that was never set says 1970). */
static const int64_t oldest_plausible_ns = INT64_C(946684800) * NS_PER_SECOND;
static const int64_t future_plausible_ns = INT64_C(86400) * NS_PER_SECOND;

static const struct metric_spec builtin_specs[BUILTINS] = {
    [BUILTIN_MALFORMED] = {.name = "cim_events_malformed_total",
                           .help =
                               "Stored messages that cannot be read as events: empty, not JSON, "
                               "invalid UTF-8, nested too deep, broken headers.",
                           .kind = METRIC_COUNTER,
                           .label_count = 1,
                           .labels = {"stream"}},
    [BUILTIN_DUPLICATE] = {.name = "cim_duplicate_events_total",
                           .help = "Events whose id was among the last 65536 ids of their stream; "
                                   "they are counted as events too.",
                           .kind = METRIC_COUNTER,
                           .label_count = 1,
                           .labels = {"domain"}},
    [BUILTIN_COPIES] = {.name = "cim_event_copies_total",
                        .help = "Second publications of a fact that its stream holds already, by "
                                "another way; they are counted here and not as events.",
                        .kind = METRIC_COUNTER,
                        .label_count = 2,
                        .labels = {"domain", "event_type"}},
    [BUILTIN_MISSED] = {.name = "cim_monitor_missed_events_total",
                        .help = "Messages that were gone from their stream (retention, deletion) "
                                "before they could be read.",
                        .kind = METRIC_COUNTER,
                        .label_count = 1,
                        .labels = {"stream"}},
    [BUILTIN_RECREATED] = {.name = "cim_monitor_stream_recreated_total",
                           .help = "How often a stream was deleted and made again under its name.",
                           .kind = METRIC_COUNTER,
                           .label_count = 1,
                           .labels = {"stream"}},
    [BUILTIN_SUSPECT] = {.name = "cim_monitor_suspect_events_total",
                         .help = "Events that were counted but are odd: a timestamp before 2000 or "
                                 "more than a day ahead, a number out of range, a huge payload.",
                         .kind = METRIC_COUNTER,
                         .label_count = 2,
                         .labels = {"stream", "reason"}},
    [BUILTIN_CHAIN_VERIFIED] = {.name = "cim_event_chain_verified_total",
                                .help = "Events whose content is what their CID names, and which "
                                        "follow the event before, as far as that was seen.",
                                .kind = METRIC_COUNTER,
                                .label_count = 1,
                                .labels = {"domain"}},
    [BUILTIN_CHAIN_BREAKS] = {.name = "cim_event_chain_breaks_total",
                              .help = "Events whose content is not what their CID names, or which "
                                      "do not follow the event before, by reason.",
                              .kind = METRIC_COUNTER,
                              .label_count = 2,
                              .labels = {"domain", "reason"}},
};

int engine_new(const struct rules *rules, struct registry *registry,
               struct engine_reporter reporter, struct engine **ret, struct error *err)
{
    struct engine *engine = xcalloc(1, sizeof *engine);
    engine->rules = rules;
    engine->registry = registry;
    engine->reporter = reporter;
    if (plan_new(rules, false, &engine->plan, err) < 0) {
        free(engine);
        return -1;
    }
    engine->families = xcalloc(rules->metric_count + 1, sizeof(struct family *));
    for (size_t i = 0; i < rules->metric_count; i++)
        engine->families[i] = registry_family(registry, &rules->metrics[i].spec);
    for (size_t i = 0; i < BUILTINS; i++)
        engine->builtin[i] = registry_family(registry, &builtin_specs[i]);
    engine->eval = (struct eval){
        .rules = rules, .scratch = engine->scratch, .scratch_room = sizeof engine->scratch};
    spans_declare(engine);
    engine->eval.memos = xcalloc(rules->rewrite_count + 1, sizeof(struct rewrite_memo *));
    *ret = engine;
    return 0;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    registry_before_exposition(engine->registry, NULL, NULL);
    for (size_t i = 0; i < engine->state_count; i++)
        state_free(engine->states[i]);
    free(engine->states);
    plan_free(engine->plan);
    plan_free(engine->view_plan);
    rewrite_memos_free(engine->eval.memos, engine->rules->rewrite_count);
    free(engine->families);
    buf_done(&engine->decoded);
    buf_done(&engine->hashed);
    schema_checker_free(engine->checker);
    free(engine);
}

void engine_watch(struct engine *engine,
                  void (*before)(void *context, const struct event_input *input,
                                 const int64_t *occurred_at_ns),
                  void *context)
{
    engine->before = before;
    engine->before_context = context;
}

struct stream_state *engine_stream(struct engine *engine, const char *name)
{
    for (size_t i = 0; i < engine->state_count; i++) {
        if (!strcmp(engine->states[i]->name, name))
            return engine->states[i];
    }
    struct stream_state *state = xcalloc(1, sizeof *state);
    state->name = xstrdup(name);
    classes_clear(state);
    state->partition = registry_partition(engine->registry, name);
    state->rule_count = engine->rules->metric_count;
    state->spans = xcalloc(engine->rules->metric_count + 1, sizeof *state->spans);
    state->next_deadline_ns = INT64_MAX;
    state->applied = xcalloc(engine->rules->metric_count + 1, sizeof *state->applied);
    GROW(engine->states, engine->state_count, engine->state_room);
    return engine->states[engine->state_count++] = state;
}

static struct cell *builtin_cell(struct engine *engine, struct stream_state *state,
                                 enum builtin which)
{
    if (!state->builtin[which])
        state->builtin[which] =
            partition_cell1(state->partition, engine->builtin[which], state->name);
    return state->builtin[which];
}

/* --- one message: what follows from it -------------------------------------------------------- */

static void suspect(struct engine *engine, struct stream_state *state, uint64_t seq,
                    const char *reason)
{
    struct slice labels[METRIC_LABELS_MAX] = {slice_of(state->name), slice_of(reason)};
    if (seq && seq <= state->applied_builtin[BUILTIN_SUSPECT])
        return;
    cell_add(partition_cell(state->partition, engine->builtin[BUILTIN_SUSPECT], labels), 1);
    engine->reporter.report(engine->reporter.context, REPORT_SUSPECT, state, seq, reason, 1);
}

static void check_plausible(struct engine *engine, struct stream_state *state,
                            const struct prepared *prepared)
{
    const struct event_view *view = &engine->view;
    if (prepared->input.payload.len > PAYLOAD_LARGE_BYTES)
        suspect(engine, state, prepared->input.seq, "payload_large");
    if (engine->time_unreadable)
        suspect(engine, state, prepared->input.seq, "timestamp_unreadable");
    if (!view->has_occurred_at)
        return;
    if (view->occurred_at_ns < oldest_plausible_ns)
        suspect(engine, state, prepared->input.seq, "timestamp_past");
    else if (prepared->input.stored_at_ns &&
             view->occurred_at_ns > prepared->input.stored_at_ns + future_plausible_ns)
        suspect(engine, state, prepared->input.seq, "timestamp_future");
}

/* 0: the event has no id of its own. */
static uint64_t id_hash(const struct engine *engine, const struct prepared *prepared)
{
    struct slice id = engine->view.field[EVENT_ID];
    if (!slice_present(id))
        id = event_header_find(&prepared->input, SLICE("Nats-Msg-Id"));
    uint64_t hash = id.len ? XXH3_64bits(id.ptr, id.len) : 0;
    return id.len && !hash ? 1 : hash;
}

static void check_duplicate(struct engine *engine, struct stream_state *state,
                            const struct prepared *prepared, struct class_entry *class, uint64_t id,
                            bool mine)
{
    if (!id || !state_seen_before(state, id) || !mine)
        return;
    if (prepared->input.seq && prepared->input.seq <= state->applied_builtin[BUILTIN_DUPLICATE])
        return;
    struct cell *cell = class->duplicates;
    if (!cell) {
        struct slice labels[METRIC_LABELS_MAX] = {class->field[EVENT_DOMAIN]};
        cell = partition_cell(state->partition, engine->builtin[BUILTIN_DUPLICATE], labels);
        class->duplicates = cell_is_overflow(cell) ? NULL : cell;
    }
    cell_add(cell, 1);
}

static void check_chain(struct engine *engine, struct stream_state *state, uint64_t seq,
                        struct class_entry *class, bool mine)
{
    struct chain_finding finding = chain_check(&engine->eval, &state->chains, &engine->hashed);
    struct slice labels[METRIC_LABELS_MAX] = {class->field[EVENT_DOMAIN], slice_of(finding.reason)};
    if (!mine || finding.verdict == CHAIN_NONE || finding.verdict == CHAIN_UNVERIFIABLE ||
        (seq && seq <= state->applied_builtin[BUILTIN_CHAIN_VERIFIED])) /* of breaks, the same */
        return;
    if (finding.verdict == CHAIN_BROKEN) {
        cell_add(partition_cell(state->partition, engine->builtin[BUILTIN_CHAIN_BREAKS], labels),
                 1);
        engine->reporter.report(engine->reporter.context, REPORT_CHAIN, state, seq, finding.reason,
                                1);
        return;
    }
    struct cell *cell = class->chains_verified;
    if (!cell) {
        cell = partition_cell(state->partition, engine->builtin[BUILTIN_CHAIN_VERIFIED], labels);
        class->chains_verified = cell_is_overflow(cell) ? NULL : cell;
    }
    cell_add(cell, 1);
}

/* What the event tells, and by which way. */
struct told {
    bool has_fact;
    uint64_t fact;
    uint32_t channel;
};

static struct told read_fact(struct engine *engine, const struct stream_state *state,
                             const struct prepared *prepared)
{
    struct told told = {0};
    if (!prepared->envelope || !prepared->envelope->fact_count)
        return told;
    told.has_fact =
        fact_read(&engine->eval, prepared->envelope, prepared->course, &told.fact, &told.channel);
    if (told.has_fact)
        facts_expect(state->facts, told.fact);
    return told;
}

/* A second publication of a fact that was told before, by another way? */
static bool is_copy(struct engine *engine, struct stream_state *state,
                    const struct prepared *prepared, struct class_entry *class,
                    const struct told *told, bool mine)
{
    if (!told->has_fact || !facts_take(&state->facts, told->fact, told->channel))
        return false;
    if (!mine ||
        (prepared->input.seq && prepared->input.seq <= state->applied_builtin[BUILTIN_COPIES]))
        return true;
    struct cell *cell = class->copies;
    if (!cell) {
        struct slice labels[METRIC_LABELS_MAX] = {class->field[EVENT_DOMAIN],
                                                  class->field[EVENT_TYPE]};
        cell = partition_cell(state->partition, engine->builtin[BUILTIN_COPIES], labels);
        class->copies = cell_is_overflow(cell) ? NULL : cell;
    }
    cell_add(cell, 1);
    return true;
}

static uint64_t remember_key(size_t rule, struct slice key)
{
    return XXH3_64bits_withSeed(key.ptr, key.len, rule + 1);
}

static void remember(struct engine *engine, struct stream_state *state,
                     const struct class_entry *class)
{
    const struct rules *rules = engine->rules;
    size_t mark = engine->eval.scratch_used;
    for (size_t i = 0; i < rules->remember_count; i++) {
        const struct remember_rule *rule = &rules->remembers[i];
        if (!((class->remembers | class->uses_remembered) >> i & 1))
            continue;
        engine->eval.scratch_used = mark;
        struct slice key = expr_list_text(&engine->eval, &rule->key);
        if (!slice_present(key))
            continue;
        uint64_t hash = remember_key(i, key);
        bool applies = (class->remembers >> i & 1) &&
                       (rule->when.class_only || conditions_hold(&engine->eval, &rule->when));
        struct slice value = applies ? expr_list_text(&engine->eval, &rule->value) : SLICE_ABSENT;
        if (slice_present(value))
            state_remember_put(state, hash, value);
        engine->eval.remembered[i] = state_remember_get(state, hash);
    }
}

/* The texts one behind the other, each with its length. 0: they are too long for that. */
static size_t join_labels(const struct slice *labels, size_t count, char ret[LAST_LABELS_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (labels[i].len >= LAST_LABELS_MAX - used)
            return 0;
        ret[used++] = (char)labels[i].len;
        if (labels[i].len)
            memcpy(ret + used, labels[i].ptr, labels[i].len);
        used += labels[i].len;
    }
    return used;
}

static struct cell *action_cell(struct engine *engine, struct stream_state *state,
                                struct class_action *action)
{
    if (action->cell)
        return action->cell;
    struct slice labels[METRIC_LABELS_MAX];
    char joined[LAST_LABELS_MAX];
    size_t count = action->rule->spec.label_count;
    for (size_t i = 0; i < count; i++)
        labels[i] = expr_list_text(&engine->eval, &action->rule->labels[i]);
    /* Events of a class mostly have the same labels as the one before. */
    size_t len = action->rule->class_labels ? 0 : join_labels(labels, count, joined);
    if (len && action->last && len == action->last_len && !memcmp(joined, action->last_labels, len))
        return action->last;
    struct cell *cell = partition_cell(state->partition, action->family, labels);
    /* Each event that a limit sends elsewhere is counted where that is decided. */
    if (cell_is_overflow(cell))
        return cell;
    if (action->rule->class_labels) {
        action->cell = cell;
    } else if (len) {
        action->last = cell;
        action->last_len = (uint8_t)len;
        memcpy(action->last_labels, joined, len);
    }
    return cell;
}

/* The number that the rule wants: 1 found, 0 absent, -1 out of range. */
static int action_value(struct engine *engine, const struct metric_rule *rule, double *ret)
{
    *ret = 1;
    if (rule->value.count) {
        int found = expr_list_number(&engine->eval, &rule->value, ret);
        *ret *= rule->scale;
        return isfinite(*ret) ? found : -1;
    }
    if (rule->spec.kind == METRIC_TIMESTAMP) {
        int64_t when = engine->view.has_occurred_at ? engine->view.occurred_at_ns
                                                    : engine->eval.input->stored_at_ns;
        *ret = instant_seconds(when);
        return when != 0;
    }
    return 1;
}

static void check_contract(struct engine *engine, struct stream_state *state,
                           struct class_action *action)
{
    struct cell *cell = action_cell(engine, state, action); /* from the first event on, at 0 */
    enum schema_verdict verdict = contract_check(engine, state, action->contract);
    if (verdict == SCHEMA_VIOLATED)
        cell_add(cell, 1);
    else if (verdict == SCHEMA_GAVE_UP)
        suspect(engine, state, engine->eval.input->seq, "schema_not_checked");
}

static bool decided(struct engine *engine, enum decision decision,
                    const struct condition_list *list)
{
    return decision == DECISION_BY_EVENT ? conditions_hold(&engine->eval, list)
                                         : decision == DECISION_YES;
}

/* Sets of keys and of recent ids are large, and each event asks at a place of its own: that memory
 * comes while the rest of the event is worked on. */
static void expect_keys(struct engine *engine, struct class_entry *class)
{
    size_t mark = engine->eval.scratch_used;
    for (size_t i = 0; i < class->action_count; i++) {
        struct class_action *action = &class->actions[i];
        if (action->rule->spec.kind != METRIC_DISTINCT || rule_is_span(action->rule))
            continue;
        struct slice key = expr_list_text(&engine->eval, &action->rule->key);
        action->has_key = slice_present(key);
        if (action->has_key)
            action->key_hash = XXH3_64bits(key.ptr, key.len);
        if (action->has_key && action->cell)
            cell_distinct_expect(action->cell, action->key_hash);
        engine->eval.scratch_used = mark;
    }
}

#define HOLD_SECONDS_MAX (366 * 86400.0) /* of a gauge that expires */

/* How long a value holds; an event that does not say it, or says nonsense, holds it for a moment.
 */
static int64_t held_until(struct engine *engine, const struct metric_rule *rule)
{
    int64_t stored_at = engine->eval.input->stored_at_ns;
    double seconds = 0;
    if (!rule->expires.count)
        return stored_at + rule->expires_ns;
    if (expr_list_number(&engine->eval, &rule->expires, &seconds) <= 0 || !(seconds > 0))
        return stored_at;
    return stored_at + (int64_t)((seconds < HOLD_SECONDS_MAX ? seconds : HOLD_SECONDS_MAX) * 1e9);
}

static void act_gauge(struct engine *engine, struct stream_state *state,
                      struct class_action *action, double value)
{
    const struct metric_rule *rule = action->rule;
    if (rule->spec.expires)
        cell_hold(action_cell(engine, state, action), value, held_until(engine, rule));
    else
        cell_set(action_cell(engine, state, action), value, engine->eval.input->stored_at_ns);
}

static void act_distinct(struct engine *engine, struct stream_state *state,
                         struct class_action *action)
{
    const struct metric_rule *rule = action->rule;
    if (!action->has_key || !shard_has(engine->shard, action->key_hash))
        return;
    if (rule->until.count && decided(engine, action->until, &rule->until))
        cell_distinct_remove(action_cell(engine, state, action), action->key_hash);
    else if (rule->since.count && !decided(engine, action->since, &rule->since))
        return;
    else if (!cell_distinct_add(action_cell(engine, state, action), action->key_hash))
        suspect(engine, state, engine->eval.input->seq, "distinct_keys_full");
}

static void act(struct engine *engine, struct stream_state *state, struct class_action *action)
{
    const struct metric_rule *rule = action->rule;
    double value;
    if (action->contract) {
        check_contract(engine, state, action);
        return;
    }
    if (!rule->when.class_only && !conditions_hold(&engine->eval, &rule->when))
        return;
    if (rule_is_span(rule)) {
        spans_act(engine, state, action);
        return;
    }
    if (rule->role == ROLE_SHARE) {
        /* Made whether it holds or not, so that a share of nothing is 0 and not absent. */
        struct cell *cell = action_cell(engine, state, action);
        cell_add(cell, conditions_hold(&engine->eval, &rule->of) ? 1 : 0);
        return;
    }
    if (rule->spec.kind == METRIC_GAUGE && rule->until.count &&
        decided(engine, action->until, &rule->until)) {
        cell_end(action_cell(engine, state, action), engine->eval.input->stored_at_ns);
        return;
    }
    int found = action_value(engine, rule, &value);
    bool added = true;
    if (found < 0)
        suspect(engine, state, engine->eval.input->seq, "number_out_of_range");
    if (found <= 0)
        return;
    switch (rule->spec.kind) {
    case METRIC_COUNTER:
        if (value >= 0)
            added = cell_add(action_cell(engine, state, action), value);
        break;
    case METRIC_GAUGE: act_gauge(engine, state, action, value); break;
    case METRIC_HISTOGRAM: added = cell_observe(action_cell(engine, state, action), value); break;
    case METRIC_TIMESTAMP: cell_max(action_cell(engine, state, action), value); break;
    case METRIC_DISTINCT: act_distinct(engine, state, action); break;
    }
    if (!added) /* the sum would be infinite, and stay so */
        suspect(engine, state, engine->eval.input->seq, "number_out_of_range");
}

static void malformed(struct engine *engine, struct stream_state *state, uint64_t seq,
                      const char *why)
{
    if ((seq && seq <= state->applied_builtin[BUILTIN_MALFORMED]) ||
        !shard_has(engine->shard, shard_hash_subject(engine->eval.input->subject)))
        return;
    cell_add(builtin_cell(engine, state, BUILTIN_MALFORMED), 1);
    engine->reporter.report(engine->reporter.context, REPORT_MALFORMED, state, seq, why, 1);
}

/* What the rules make of an event. */
static void apply_rules(struct engine *engine, struct stream_state *state,
                        struct class_entry *class, uint64_t seq, bool mine)
{
    if (class->remembers | class->uses_remembered)
        remember(engine, state, class);
    expect_keys(engine, class);
    size_t mark = engine->eval.scratch_used;
    for (size_t i = 0; i < class->action_count; i++) {
        struct class_action *action = &class->actions[i];
        engine->eval.scratch_used = mark;
        if (!mine && !rule_is_by_key(action->rule))
            continue;
        if (!seq || seq > state->applied_max || seq > state->applied[action->rule_index])
            act(engine, state, action);
    }
}

static int fold_event(struct engine *engine, struct stream_state *state,
                      const struct prepared *prepared)
{
    bool temporary;
    struct class_entry *class = class_find(engine, state, prepared, &temporary);
    uint64_t seq = prepared->input.seq;
    /* As early as may be: what is asked of it lies far away, and comes meanwhile. */
    bool early = prepared->course && prepared->course->fact_is_early;
    struct told told = {0};
    if (early)
        told = read_fact(engine, state, prepared);
    engine_view_rest(engine, prepared);
    if (engine->before)
        engine->before(engine->before_context, &prepared->input,
                       engine->view.has_occurred_at ? &engine->view.occurred_at_ns : NULL);
    uint64_t id = id_hash(engine, prepared);
    state_expect(state, id);
    if (!early)
        told = read_fact(engine, state, prepared);
    bool mine = engine_has_event(engine, class, &prepared->input);
    if (mine)
        check_plausible(engine, state, prepared);
    if (prepared->envelope && prepared->envelope->chain_count)
        check_chain(engine, state, seq, class, mine);
    if (!is_copy(engine, state, prepared, class, &told, mine))
        apply_rules(engine, state, class, seq, mine);
    check_duplicate(engine, state, prepared, class, id, mine);
    int domain = mine ? (int)class->domain : -1;
    if (temporary)
        class_free(class);
    return domain;
}

/* Messages mostly lie one behind the other, in a file or as they came from the server: what comes
 * next is fetched while this one is worked on. */
static void expect_next(struct slice payload)
{
    enum { NEXT_BYTES = 704, LINE_BYTES = 64 };
    uintptr_t end = (uintptr_t)payload.ptr + payload.len; /* of no object, perhaps: never read */
    for (size_t at = 0; at < NEXT_BYTES; at += LINE_BYTES)
        __builtin_prefetch((const void *)(end + at));
}

int engine_fold(struct engine *engine, struct stream_state *state, const struct event_input *input)
{
    struct prepared prepared;
    expect_next(input->payload);
    if (input->seq) {
        if (input->seq <= state->seq)
            return -1;
        state_skip_to(engine, state, input->seq);
        state->seq = input->seq;
    }
    bool expires = input->stored_at_ns > state->next_deadline_ns;
    if (expires && engine->before)
        engine->before(engine->before_context, input, NULL);
    if (expires)
        spans_expire(engine, state, input->stored_at_ns, input->seq);
    registry_hold_births(engine->registry, state->resumed && input->seq > state->applied_max);
    const char *why = engine_prepare(engine, engine->plan, input, !engine->no_courses, &prepared);
    if (!why)
        return fold_event(engine, state, &prepared);
    if (engine->before)
        engine->before(engine->before_context, input, NULL);
    malformed(engine, state, input->seq, why);
    return -1;
}

/* --- beside the fold -------------------------------------------------------------------------- */

const char *engine_view_prepared(struct engine *engine, const struct event_input *input,
                                 struct prepared *ret)
{
    struct error err = ERROR_NONE;
    if (!engine->view_plan && plan_new(engine->rules, true, &engine->view_plan, &err) < 0)
        return "too many rules"; /* the engine's own plan, of as many, was made */
    const char *why = engine_prepare(engine, engine->view_plan, input, false, ret);
    if (why)
        return why;
    struct stream_state *state = engine_stream(engine, "");
    bool temporary;
    if (state->class_count >= CLASSES_MAX)
        classes_clear(state); /* so that the class is kept, and the view may point into it */
    (void)class_find(engine, state, ret, &temporary);
    engine_view_rest(engine, ret);
    return NULL;
}

bool engine_view(struct engine *engine, const struct event_input *input, struct event_view *ret,
                 const char **ret_envelope, const char **ret_why)
{
    struct prepared prepared;
    *ret_why = engine_view_prepared(engine, input, &prepared);
    if (*ret_why)
        return false;
    *ret = engine->view;
    *ret_envelope = prepared.envelope ? prepared.envelope->name.ptr : NULL;
    return true;
}

struct slice engine_payload(const struct engine *engine)
{
    return engine->payload;
}

/* What is known of a message by its subject alone; `input` has nothing else. */
static const struct plan_group *group_of_subject(struct engine *engine,
                                                 const struct event_input *input)
{
    engine->eval.input = input;
    engine->eval.view = NULL;
    engine->eval.values = NULL;
    engine->eval.scratch_used = 0;
    eval_split_subject(&engine->eval);
    const struct plan_group *group =
        plan_find(engine->plan, engine->eval.tokens, engine->eval.token_count);
    engine->eval.slot_of = group->slot_of;
    return group;
}

void engine_domain_of(struct engine *engine, struct slice subject, char *out)
{
    struct event_input input = {.subject = subject};
    const struct plan_group *group = group_of_subject(engine, &input);
    struct slice domain = SLICE_ABSENT;
    if (group->envelope_count) {
        /* What wants more than the subject may not be meant: the first that wants no more. */
        size_t i = 0;
        while (i + 1 < group->envelope_count &&
               (group->envelopes[i]->require_count || group->envelopes[i]->require_headers.count))
            i++;
        engine->eval.envelope = group->envelopes[i];
        domain = expr_list_text(&engine->eval, &group->envelopes[i]->fields[EVENT_DOMAIN]);
    }
    if (!slice_present(domain))
        domain = SLICE("unknown");
    (void)snprintf(out, DOMAIN_TEXT_MAX, "%.*s", SLICE_ARG(domain));
}

/* The field's text, where subject and constants alone make it; *ret_open: the payload has a say. */
static struct slice field_of_subject(struct engine *engine, const struct envelope *envelope,
                                     enum event_field field, bool *ret_open)
{
    const struct expr_list *list = &envelope->fields[field];
    engine->eval.envelope = envelope;
    for (size_t i = 0; i < list->count; i++) {
        const struct expr *expr = &list->items[i];
        if (expr->kind != EXPR_CONSTANT && expr->kind != EXPR_SUBJECT)
            break;
        struct slice text = expr_text(&engine->eval, expr);
        if (slice_present(text))
            return expr_rewritten(&engine->eval, list, text);
    }
    *ret_open = true;
    return SLICE_ABSENT;
}

bool engine_subject_may(struct engine *engine, struct slice subject, enum event_field field,
                        const char *list)
{
    struct event_input input = {.subject = subject};
    if (!list)
        return true;
    const struct plan_group *group = group_of_subject(engine, &input);
    for (size_t i = 0; i < group->envelope_count; i++) {
        bool open = false;
        struct slice text = field_of_subject(engine, group->envelopes[i], field, &open);
        if (open || slice_listed(list, text))
            return true;
    }
    return false;
}

const char *engine_domain_name(const struct engine *engine, size_t domain)
{
    return domain < engine->domain_count ? engine->domains[domain] : "unknown";
}

struct engine_overflows engine_overflows(const struct engine *engine)
{
    return (struct engine_overflows){engine->class_overflows, plan_overflows(engine->plan)};
}
