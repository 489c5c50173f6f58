#include "fold/span.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "base/utf8.h"

#define LABELS_BYTES_MAX (METRIC_LABELS_MAX * (LABEL_BYTES_MAX + 1))

static const char *const reason_names[SPAN_REASONS] = {
    [SPAN_EVICTED] = "evicted",     [SPAN_TIMEOUT] = "timeout",
    [SPAN_RESTARTED] = "restarted", [SPAN_STREAM_RECREATED] = "stream_recreated",
    [SPAN_NO_START] = "no_start",   [SPAN_NEGATIVE] = "negative",
    [SPAN_NO_TIME] = "no_time",
};

/* --- the list of open spans ------------------------------------------------------------------- */

struct spans *spans_of(struct stream_state *state, size_t rule)
{
    struct spans **spans = &state->spans[rule];
    if (!*spans) {
        *spans = xcalloc(1, sizeof **spans);
        (*spans)->first = (*spans)->last = (*spans)->first_waiting = (*spans)->free = SPAN_NONE;
    }
    return *spans;
}

static void unlink_span(struct spans *spans, uint32_t at)
{
    const struct span *span = &spans->items[at];
    if (span->before == SPAN_NONE)
        spans->first = span->after;
    else
        spans->items[span->before].after = span->after;
    if (span->after == SPAN_NONE)
        spans->last = span->before;
    else
        spans->items[span->after].before = span->before;
    if (spans->first_waiting == at)
        spans->first_waiting = span->after;
}

static void remove_span(struct spans *spans, uint32_t at)
{
    unlink_span(spans, at);
    (void)u64map_remove(&spans->by_key, spans->items[at].key);
    spans->items[at].after = spans->free;
    spans->free = at;
    spans->count--;
}

static uint32_t take_place(struct spans *spans)
{
    uint32_t at = spans->free;
    if (at != SPAN_NONE) {
        spans->free = spans->items[at].after;
        return at;
    }
    if (spans->used == spans->room) {
        spans->room = spans->room ? spans->room * 2 : 64;
        spans->items = xrealloc(spans->items, spans->room, sizeof *spans->items);
    }
    at = spans->used++;
    spans->items[at] = (struct span){0};
    return at;
}

static void set_labels(struct span *span, struct slice labels)
{
    if (labels.len > LABELS_BYTES_MAX)
        labels.len = LABELS_BYTES_MAX;
    if (labels.len > span->label_room) {
        span->labels = xrealloc(span->labels, labels.len, 1);
        span->label_room = (uint16_t)labels.len;
    }
    span->label_len = (uint16_t)labels.len;
    if (labels.len)
        memcpy(span->labels, labels.ptr, labels.len);
}

bool spans_append(struct spans *spans, const struct span *like, struct slice labels)
{
    bool fresh;
    uint64_t *place = u64map_put(&spans->by_key, like->key, &fresh);
    if (!fresh)
        return false;
    uint32_t at = take_place(spans);
    struct span *span = &spans->items[at];
    *place = (uint64_t)at + 1;
    *span = (struct span){.key = like->key,
                          .stored_ns = like->stored_ns,
                          .occurred_ns = like->occurred_ns,
                          .has_occurred = like->has_occurred,
                          .is_overdue = like->is_overdue,
                          .before = spans->last,
                          .after = SPAN_NONE,
                          .labels = span->labels,
                          .label_room = span->label_room};
    set_labels(span, labels);
    if (spans->last == SPAN_NONE)
        spans->first = at;
    else
        spans->items[spans->last].after = at;
    spans->last = at;
    if (!span->is_overdue && spans->first_waiting == SPAN_NONE)
        spans->first_waiting = at;
    spans->count++;
    return true;
}

static uint32_t find_span(const struct spans *spans, uint64_t key)
{
    const uint64_t *place = u64map_get(&spans->by_key, key);
    return place ? (uint32_t)(*place - 1) : SPAN_NONE;
}

static void free_spans(struct spans *spans)
{
    for (uint32_t i = 0; spans && i < spans->used; i++)
        free(spans->items[i].labels);
    if (spans) {
        free(spans->items);
        u64map_done(&spans->by_key);
    }
    free(spans);
}

void spans_clear(struct stream_state *state)
{
    for (size_t i = 0; i < state->rule_count; i++) {
        free_spans(state->spans[i]);
        state->spans[i] = NULL;
    }
    state->next_deadline_ns = INT64_MAX;
}

/* --- what becomes of them --------------------------------------------------------------------- */

/* values[0..] point into the span's labels. */
static void start_values(const struct metric_rule *rule, const struct span *span,
                         struct slice values[static METRIC_LABELS_MAX])
{
    struct slice rest = {span->labels, span->label_len};
    for (size_t i = 0; i < rule->span.start_labels; i++) {
        if (!slice_cut(&rest, 0, &values[i]))
            values[i] = SLICE_ABSENT;
    }
}

static void change_overdue(struct engine *engine, struct partition *partition, size_t rule,
                           const struct span *span, double amount)
{
    struct slice values[METRIC_LABELS_MAX] = {0};
    start_values(&engine->rules->metrics[rule], span, values);
    (void)cell_add(partition_cell(partition, engine->families[rule + 1], values), amount);
}

/* It ends without what its rule counts. */
static void abandon(struct engine *engine, struct stream_state *state, size_t rule, uint32_t at,
                    enum span_reason reason)
{
    struct spans *spans = state->spans[rule];
    if (spans->items[at].is_overdue)
        change_overdue(engine, state->partition, rule, &spans->items[at], -1);
    spans->given_up[reason]++;
    remove_span(spans, at);
}

static int64_t later(int64_t begin_ns, int64_t after_ns)
{
    int64_t when;
    if (!begin_ns || !after_ns || __builtin_add_overflow(begin_ns, after_ns, &when))
        return INT64_MAX;
    return when;
}

int64_t spans_deadline(const struct metric_rule *rule, const struct spans *spans)
{
    int64_t deadline = INT64_MAX;
    if (spans->first != SPAN_NONE)
        deadline = later(spans->items[spans->first].stored_ns, rule->span.timeout_ns);
    if (rule->role == ROLE_ABSENT && spans->first_waiting != SPAN_NONE) {
        int64_t due = later(spans->items[spans->first_waiting].stored_ns, rule->span.within_ns);
        deadline = due < deadline ? due : deadline;
    }
    return deadline;
}

static void miss(struct engine *engine, struct stream_state *state, size_t rule, uint32_t at)
{
    struct spans *spans = state->spans[rule];
    struct span *span = &spans->items[at];
    struct slice values[METRIC_LABELS_MAX] = {0};
    start_values(&engine->rules->metrics[rule], span, values);
    (void)cell_add(partition_cell(state->partition, engine->families[rule], values), 1);
    change_overdue(engine, state->partition, rule, span, 1);
    span->is_overdue = true;
    spans->first_waiting = span->after;
}

static void expire_rule(struct engine *engine, struct stream_state *state, size_t index,
                        int64_t now_ns)
{
    const struct metric_rule *rule = &engine->rules->metrics[index];
    struct spans *spans = state->spans[index];
    while (rule->role == ROLE_ABSENT && spans->first_waiting != SPAN_NONE &&
           now_ns > later(spans->items[spans->first_waiting].stored_ns, rule->span.within_ns))
        miss(engine, state, index, spans->first_waiting);
    while (spans->first != SPAN_NONE &&
           now_ns > later(spans->items[spans->first].stored_ns, rule->span.timeout_ns))
        abandon(engine, state, index, spans->first, SPAN_TIMEOUT);
}

void spans_expire(struct engine *engine, struct stream_state *state, int64_t now_ns, uint64_t seq)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < state->rule_count; i++) {
        if (!state->spans[i])
            continue;
        /* What a rule kept from a snapshot has seen this message already. */
        if (!seq || seq > state->applied[i])
            expire_rule(engine, state, i, now_ns);
        int64_t deadline = spans_deadline(&engine->rules->metrics[i], state->spans[i]);
        next = deadline < next ? deadline : next;
    }
    state->next_deadline_ns = next;
}

void spans_give_up(struct engine *engine, struct stream_state *state)
{
    for (size_t i = 0; i < state->rule_count; i++) {
        while (state->spans[i] && state->spans[i]->first != SPAN_NONE)
            abandon(engine, state, i, state->spans[i]->first, SPAN_STREAM_RECREATED);
    }
    state->next_deadline_ns = INT64_MAX;
}

/* --- events ----------------------------------------------------------------------------------- */

/* Ready to be compared with those of a start: 0 when there is no key. */
static uint64_t key_of(struct engine *engine, const struct expr_list *own,
                       const struct expr_list *shared)
{
    struct slice key = expr_list_text(&engine->eval, own->count ? own : shared);
    uint64_t hash = slice_present(key) ? XXH3_64bits(key.ptr, key.len) : 0;
    if (!shard_has(engine->shard, hash))
        return 0; /* another shard has this span */
    return slice_present(key) && !hash ? 1 : hash;
}

/* 1 found, 0 one of both has no time. */
static bool measure(const struct engine *engine, const struct metric_rule *rule,
                    const struct span *span, double *ret)
{
    const struct event_view *view = &engine->view;
    int64_t begin = span->occurred_ns, end = view->occurred_at_ns, ns;
    bool timed = span->has_occurred && view->has_occurred_at;
    if (rule->span.clock == SPAN_CLOCK_STORED || (rule->span.clock == SPAN_CLOCK_ANY && !timed)) {
        begin = span->stored_ns;
        end = engine->eval.input->stored_at_ns;
        timed = begin && end;
    }
    *ret = __builtin_sub_overflow(end, begin, &ns) ? (double)end / 1e9 - (double)begin / 1e9
                                                   : (double)ns / 1e9;
    return timed;
}

static void end_span(struct engine *engine, struct stream_state *state,
                     const struct class_action *action)
{
    const struct metric_rule *rule = action->rule;
    uint64_t key = key_of(engine, &rule->span.end_key, &rule->key);
    struct spans *spans = spans_of(state, action->rule_index);
    uint32_t at = key ? find_span(spans, key) : SPAN_NONE;
    struct slice values[METRIC_LABELS_MAX] = {0};
    double seconds;
    if (at == SPAN_NONE) {
        spans->given_up[SPAN_NO_START] += key && rule->role == ROLE_SPAN;
        return;
    }
    const struct span *span = &spans->items[at];
    if (rule->role == ROLE_ABSENT) {
        if (span->is_overdue)
            change_overdue(engine, state->partition, action->rule_index, span, -1);
        remove_span(spans, at);
        return;
    }
    bool timed = measure(engine, rule, span, &seconds);
    if (!timed || seconds < 0) {
        abandon(engine, state, action->rule_index, at, timed ? SPAN_NEGATIVE : SPAN_NO_TIME);
        return;
    }
    start_values(rule, span, values);
    for (size_t i = rule->span.start_labels; i < rule->spec.label_count; i++)
        values[i] = expr_list_text(&engine->eval, &rule->labels[i]);
    (void)cell_observe(partition_cell(state->partition, action->family, values),
                       seconds * rule->scale);
    remove_span(spans, at);
}

/* The labels that the start event gives, a NUL behind each. */
static size_t read_labels(struct engine *engine, const struct metric_rule *rule,
                          char out[static LABELS_BYTES_MAX])
{
    size_t used = 0, mark = engine->eval.scratch_used;
    for (size_t i = 0; i < rule->span.start_labels; i++) {
        struct slice text =
            utf8_cut(expr_list_text(&engine->eval, &rule->labels[i]), LABEL_BYTES_MAX);
        const char *nul = text.len ? memchr(text.ptr, 0, text.len) : NULL;
        text.len = nul ? (size_t)(nul - text.ptr) : text.len;
        memcpy(out + used, text.ptr ? text.ptr : "", text.len);
        used += text.len;
        out[used++] = 0;
        engine->eval.scratch_used = mark;
    }
    return used;
}

static void start_span(struct engine *engine, struct stream_state *state,
                       const struct class_action *action)
{
    const struct metric_rule *rule = action->rule;
    char labels[LABELS_BYTES_MAX];
    uint64_t key = key_of(engine, &rule->span.start_key, &rule->key);
    struct spans *spans = spans_of(state, action->rule_index);
    uint32_t at = key ? find_span(spans, key) : SPAN_NONE;
    if (!key || (at != SPAN_NONE && !rule->span.restart))
        return;
    if (at != SPAN_NONE)
        abandon(engine, state, action->rule_index, at, SPAN_RESTARTED);
    else if (spans->count >= rule->span.open_max)
        abandon(engine, state, action->rule_index, spans->first, SPAN_EVICTED);
    struct span like = {.key = key,
                        .stored_ns = engine->eval.input->stored_at_ns,
                        .occurred_ns = engine->view.occurred_at_ns,
                        .has_occurred = engine->view.has_occurred_at};
    (void)spans_append(spans, &like, (struct slice){labels, read_labels(engine, rule, labels)});
    if (rule->role == ROLE_ABSENT) {
        /* Born at 0, so that the first one missed is seen as an increase. */
        struct slice values[METRIC_LABELS_MAX] = {0};
        start_values(rule, &spans->items[spans->last], values);
        (void)partition_cell(state->partition, action->family, values);
        change_overdue(engine, state->partition, action->rule_index, &spans->items[spans->last], 0);
    }
    int64_t deadline = spans_deadline(rule, spans);
    if (deadline < state->next_deadline_ns)
        state->next_deadline_ns = deadline;
}

void spans_act(struct engine *engine, struct stream_state *state, const struct class_action *action)
{
    const struct span_rule *rule = &action->rule->span;
    size_t mark = engine->eval.scratch_used;
    /* The end first: one event may end a state and begin the next one. */
    if (action->ends == DECISION_YES ||
        (action->ends == DECISION_BY_EVENT && conditions_hold(&engine->eval, &rule->end)))
        end_span(engine, state, action);
    engine->eval.scratch_used = mark;
    if (action->starts == DECISION_YES ||
        (action->starts == DECISION_BY_EVENT && conditions_hold(&engine->eval, &rule->start)))
        start_span(engine, state, action);
}

/* --- what is shown ---------------------------------------------------------------------------- */

static const struct metric_spec open_spec = {
    .name = "cim_monitor_spans_open",
    .help = "Spans that have begun and wait for their end, by the metric that measures them.",
    .kind = METRIC_GAUGE,
    .label_count = 1,
    .labels = {"metric"}};
static const struct metric_spec given_up_spec = {
    .name = "cim_monitor_spans_abandoned_total",
    .help = "Spans that were not measured, by the metric that measures them: evicted, timeout, "
            "restarted, stream_recreated, no_start, negative or no_time.",
    .kind = METRIC_COUNTER,
    .label_count = 2,
    .labels = {"metric", "reason"}};

/* Overdue by the clock, while no message of its stream has said so yet. */
static void show_overdue(struct engine *engine, struct partition *partition, size_t rule,
                         const struct spans *spans, int64_t now_ns)
{
    int64_t within = engine->rules->metrics[rule].span.within_ns;
    for (uint32_t at = spans->first_waiting; at != SPAN_NONE; at = spans->items[at].after) {
        if (now_ns <= later(spans->items[at].stored_ns, within))
            return;
        change_overdue(engine, partition, rule, &spans->items[at], 1);
    }
}

static void show_rule(struct engine *engine, struct partition *partition, size_t index)
{
    const struct metric_rule *rule = &engine->rules->metrics[index];
    uint64_t open = 0, given_up[SPAN_REASONS] = {0};
    for (size_t i = 0; i < engine->state_count; i++) {
        const struct spans *spans = engine->states[i]->spans[index];
        if (!spans)
            continue;
        open += spans->count;
        for (size_t r = 0; r < SPAN_REASONS; r++)
            given_up[r] += spans->given_up[r];
        if (rule->role == ROLE_ABSENT)
            show_overdue(engine, partition, index, spans, engine->states[i]->now_ns);
    }
    (void)cell_add(partition_cell1(partition, engine->spans_open, rule->spec.name), (double)open);
    for (size_t r = 0; r < SPAN_REASONS; r++) {
        struct slice values[METRIC_LABELS_MAX] = {slice_of(rule->spec.name),
                                                  slice_of(reason_names[r])};
        if (given_up[r])
            (void)cell_add(partition_cell(partition, engine->spans_given_up, values),
                           (double)given_up[r]);
    }
}

/* A partition of its own that no snapshot holds: all of it follows from the states. */
static void show(void *context)
{
    struct engine *engine = context;
    struct partition *partition = registry_partition(engine->registry, " spans");
    partition_clear(partition);
    for (size_t i = 0; i < engine->rules->metric_count; i++) {
        if (rule_is_span(&engine->rules->metrics[i]))
            show_rule(engine, partition, i);
    }
}

void spans_declare(struct engine *engine)
{
    engine->spans_open = registry_family(engine->registry, &open_spec);
    engine->spans_given_up = registry_family(engine->registry, &given_up_spec);
    registry_before_exposition(engine->registry, show, engine);
}
