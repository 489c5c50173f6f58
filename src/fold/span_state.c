/* Open spans in a snapshot. */
#include "fold/span.h"

enum { FLAG_OCCURRED = 1, FLAG_OVERDUE = 2 };

static void encode_rule(const struct metric_rule *rule, const struct spans *spans, struct buf *ret)
{
    codec_put_text(ret, slice_of(rule->spec.name));
    codec_put_fixed(ret, rule->fingerprint);
    for (size_t r = 0; r < SPAN_REASONS; r++)
        codec_put_u64(ret, spans->given_up[r]);
    codec_put_u64(ret, spans->count);
    for (uint32_t at = spans->first; at != SPAN_NONE; at = spans->items[at].after) {
        const struct span *span = &spans->items[at];
        codec_put_fixed(ret, span->key);
        codec_put_fixed(ret, (uint64_t)span->stored_ns);
        codec_put_fixed(ret, (uint64_t)span->occurred_ns);
        codec_put_u64(ret, (span->has_occurred ? FLAG_OCCURRED : 0u) |
                               (span->is_overdue ? FLAG_OVERDUE : 0u));
        codec_put_text(ret, (struct slice){span->labels, span->label_len});
    }
}

static bool is_empty(const struct spans *spans)
{
    uint64_t given_up = 0;
    for (size_t r = 0; spans && r < SPAN_REASONS; r++)
        given_up |= spans->given_up[r];
    return !spans || (!spans->count && !given_up);
}

void spans_encode(const struct engine *engine, const struct stream_state *state, struct buf *ret)
{
    uint64_t count = 0;
    for (size_t i = 0; i < state->rule_count; i++)
        count += !is_empty(state->spans[i]);
    codec_put_u64(ret, count);
    for (size_t i = 0; i < state->rule_count; i++) {
        if (!is_empty(state->spans[i]))
            encode_rule(&engine->rules->metrics[i], state->spans[i], ret);
    }
}

static bool labels_fit(const struct metric_rule *rule, struct slice labels)
{
    size_t count = 0;
    for (size_t i = 0; i < labels.len; i++)
        count += labels.ptr[i] == 0;
    return count == rule->span.start_labels && (!labels.len || !labels.ptr[labels.len - 1]) &&
           labels.len <= count * (LABEL_BYTES_MAX + 1);
}

/* `rule` and `spans` NULL: walked over. False: not sound. */
static bool decode_span(const struct metric_rule *rule, struct spans *spans,
                        struct codec_reader *in)
{
    struct span span = {.key = codec_get_fixed(in)};
    span.stored_ns = (int64_t)codec_get_fixed(in);
    span.occurred_ns = (int64_t)codec_get_fixed(in);
    uint64_t flags = codec_get_u64(in);
    struct slice labels = codec_get_text(in);
    span.has_occurred = flags & FLAG_OCCURRED;
    span.is_overdue = flags & FLAG_OVERDUE;
    if (!in->ok || !spans)
        return in->ok;
    /* Overdue ones are the oldest, and only absent rules have such. */
    bool in_order =
        !span.is_overdue || (rule->role == ROLE_ABSENT && spans->first_waiting == SPAN_NONE);
    return span.key && flags <= (FLAG_OCCURRED | FLAG_OVERDUE) && in_order &&
           spans->count < rule->span.open_max && labels_fit(rule, labels) &&
           spans_append(spans, &span, labels);
}

static size_t find_rule(const struct engine *engine, struct slice name, uint64_t fingerprint)
{
    size_t i = 0;
    for (; i < engine->rules->metric_count; i++) {
        const struct metric_rule *rule = &engine->rules->metrics[i];
        if (rule_is_span(rule) && rule->fingerprint == fingerprint &&
            slice_eq(slice_of(rule->spec.name), name))
            break;
    }
    return i;
}

void spans_decode(struct engine *engine, struct stream_state *state, struct codec_reader *in)
{
    for (uint64_t rules = codec_get_u64(in); rules && in->ok; rules--) {
        struct slice name = codec_get_text(in);
        size_t index = find_rule(engine, name, codec_get_fixed(in));
        bool known = index < engine->rules->metric_count;
        const struct metric_rule *rule = known ? &engine->rules->metrics[index] : NULL;
        if (known && state->spans[index])
            in->ok = false; /* twice */
        struct spans *spans = known && in->ok ? spans_of(state, index) : NULL;
        for (size_t r = 0; r < SPAN_REASONS; r++) {
            uint64_t count = codec_get_u64(in);
            if (spans)
                spans->given_up[r] = count;
        }
        for (uint64_t left = codec_get_u64(in); left && in->ok; left--)
            in->ok = decode_span(rule, spans, in);
        if (!spans)
            continue;
        int64_t deadline = spans_deadline(rule, spans);
        if (deadline < state->next_deadline_ns)
            state->next_deadline_ns = deadline;
    }
}
