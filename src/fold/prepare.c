/* One message: what it is. Subject, headers and payload are read once, and the envelope that fits
 * says where in them the fields of the event view lie. */
#include "fold/engine_internal.h"

/* A JSON array of byte numbers: decoded into engine->decoded. False: it is something else. */
static bool decode_byte_array(struct slice payload, struct buf *ret)
{
    buf_reset(ret);
    if (!payload.len || payload.ptr[0] != '[')
        return false;
    unsigned value = 0, digits = 0;
    for (size_t i = 1; i < payload.len; i++) {
        char c = payload.ptr[i];
        if (c >= '0' && c <= '9') {
            value = value * 10 + (unsigned)(c - '0');
            if (++digits > 3 || value > 255)
                return false;
        } else if (c == ',' || c == ']') {
            if (!digits)
                return false;
            buf_add_char(ret, (char)value);
            value = digits = 0;
            if (c == ']')
                return i + 1 == payload.len;
        } else if (c != ' ') {
            return false;
        }
    }
    return false;
}

static bool read_payload(struct engine *engine, struct prepared *ret, struct json_error *problem)
{
    const struct json_plan *plan = ret->group->json;
    struct slice as_sent = ret->input.payload;
    uint64_t hint = eval_subject_hint(&engine->eval);
    engine->shapes = ret->group->shapes;
    if (ret->group->byte_array && decode_byte_array(as_sent, &engine->decoded)) {
        ret->input.payload = buf_slice(&engine->decoded);
        if (json_extract_shaped(plan, ret->group->shapes, ret->input.payload, hint, engine->values,
                                problem))
            return true;
        ret->input.payload = as_sent; /* an array of small numbers, and nothing more */
    }
    return json_extract_shaped(plan, ret->group->shapes, as_sent, hint, engine->values, problem);
}

static bool fits(const struct engine *engine, const struct envelope *envelope,
                 const struct event_input *input)
{
    for (size_t i = 0; i < envelope->require_count; i++) {
        if (!expr_has(&engine->eval, &envelope->requires[i]))
            return false;
    }
    for (size_t i = 0; i < envelope->require_headers.count; i++) {
        if (!slice_present(event_header_find(input, envelope->require_headers.items[i])))
            return false;
    }
    return true;
}

/* Nothing to be found there, as a look at the payload's values tells already. */
static inline bool passes_over(const struct engine *engine, int16_t probe)
{
    return probe != PROBE_ASK &&
           (probe == PROBE_NEVER || engine->values[probe].type <= JSON_TYPE_NULL);
}

static void read_class_field(struct engine *engine, struct prepared *ret, size_t field)
{
    const struct expr_list *list = &ret->envelope->fields[field];
    const int16_t *probes = ret->probes->probes[field];
    ret->raw[field] = SLICE_ABSENT;
    ret->expr[field] = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (passes_over(engine, probes[i]))
            continue;
        ret->raw[field] = expr_raw(&engine->eval, &list->items[i], NULL);
        if (slice_present(ret->raw[field])) {
            ret->expr[field] = &list->items[i];
            break;
        }
    }
}

/* False: what the event says is not of this course. */
static inline bool follow(struct engine *engine, struct course *course, struct prepared *ret)
{
    ret->course = course;
    ret->envelope = course->envelope;
    ret->probes = course->probes;
    bool sound = true;
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++) {
        ret->expr[f] = course->field[f].expr;
        sound &= source_raw(&engine->eval, &course->field[f], &ret->raw[f]);
    }
    if (!sound)
        return false;
    for (uint32_t asks = course->asks; asks; asks &= asks - 1)
        read_class_field(engine, ret, (size_t)__builtin_ctz(asks));
    engine->followed++;
    return true;
}

static void go_the_long_way(struct engine *engine, struct prepared *ret, bool notes)
{
    const struct plan_group *group = ret->group;
    size_t candidate = 0;
    ret->course = NULL;
    while (candidate < group->envelope_count &&
           !fits(engine, group->envelopes[candidate], &ret->input))
        candidate++;
    if (candidate == group->envelope_count) {
        ret->envelope = NULL;
        memset(ret->raw, 0, sizeof ret->raw);
        memset(ret->expr, 0, sizeof ret->expr);
        return;
    }
    ret->envelope = group->envelopes[candidate];
    ret->probes = &group->probes[candidate];
    engine->eval.envelope = ret->envelope;
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++)
        read_class_field(engine, ret, f);
    struct json_shape *shape = notes ? json_shapes_fitted(group->shapes) : NULL;
    if (shape)
        course_note(shape, &engine->eval, group, candidate);
}

/* The block is checked whole in any case: finding the headers in the same pass costs nothing. */
static bool read_headers(struct engine *engine, struct event_input *input)
{
    if (!slice_present(input->header_block))
        return input->header_count >= 0;
    input->header_count =
        event_headers_parse(input->header_block, engine->headers, EVENT_HEADERS_MAX);
    input->headers = engine->headers;
    input->header_block = SLICE_ABSENT;
    return input->header_count >= 0;
}

const char *engine_prepare(struct engine *engine, struct plan *plan,
                           const struct event_input *input, bool by_course, struct prepared *ret)
{
    struct eval *eval = &engine->eval;
    struct json_error problem = {"", 0};
    ret->input = *input;
    engine->view = (struct event_view){0};
    engine->time_unreadable = false;
    eval->input = &ret->input;
    eval->view = NULL;
    eval->values = engine->values;
    eval->scratch_used = 0;
    memset(eval->remembered, 0, engine->rules->remember_count * sizeof eval->remembered[0]);
    eval_split_subject(eval);
    if (!read_headers(engine, &ret->input))
        return "the header block is broken";

    ret->group = plan_find(plan, eval->tokens, eval->token_count);
    eval->slot_of = ret->group->slot_of;
    engine->payload = input->payload;
    if (!read_payload(engine, ret, &problem))
        return problem.what;
    engine->payload = ret->input.payload;

    struct json_shape *shape = by_course ? json_shapes_fitted(ret->group->shapes) : NULL;
    struct course *course = shape ? course_find(shape, eval) : NULL;
    if (course)
        eval->envelope = course->envelope;
    if (!course || !follow(engine, course, ret))
        go_the_long_way(engine, ret, shape && !course);
    eval->envelope = ret->envelope;
    eval->view = &engine->view;
    return NULL;
}

/* A time that is there but is none (a month 99, a number past all clocks) is not passed over. */
static void read_time(struct engine *engine, const struct prepared *prepared)
{
    const struct expr_list *list = &prepared->envelope->fields[EVENT_OCCURRED_AT];
    const int16_t *probes = prepared->probes->probes[EVENT_OCCURRED_AT];
    bool tried = false;
    for (size_t i = 0; i < list->count && !engine->view.has_occurred_at; i++) {
        struct json_value value;
        if (passes_over(engine, probes[i]))
            continue;
        struct slice raw = expr_raw(&engine->eval, &list->items[i], &value);
        if (!slice_present(raw))
            continue;
        tried = true;
        engine->view.has_occurred_at =
            event_time_parse(raw, value.type == JSON_TYPE_OBJECT, &engine->view.occurred_at_ns);
        if (engine->view.has_occurred_at)
            engine->view.field[EVENT_OCCURRED_AT] = raw;
    }
    engine->time_unreadable = tried && !engine->view.has_occurred_at;
}

static struct slice read_field(struct engine *engine, const struct prepared *prepared, size_t field)
{
    const struct expr_list *list = &prepared->envelope->fields[field];
    const int16_t *probes = prepared->probes->probes[field];
    if (prepared->course)
        return source_text(&engine->eval, &prepared->course->field[field]);
    for (size_t i = 0; i < list->count; i++) {
        if (passes_over(engine, probes[i]))
            continue;
        struct slice text = expr_text(&engine->eval, &list->items[i]);
        if (slice_present(text))
            return expr_rewritten(&engine->eval, list, text);
    }
    return SLICE_ABSENT;
}

/* True: the time is known, or it is known that there is none. */
static bool read_time_by_course(struct engine *engine, const struct prepared *prepared)
{
    const struct source *source = &prepared->course->field[EVENT_OCCURRED_AT];
    struct event_view *view = &engine->view;
    struct slice raw;
    if (source->asks || !source_raw(&engine->eval, source, &raw))
        return false;
    if (!source->expr)
        return true;
    bool is_object =
        source->expr->kind == EXPR_PAYLOAD && engine->values[source->slot].type == JSON_TYPE_OBJECT;
    view->has_occurred_at = event_time_parse(raw, is_object, &view->occurred_at_ns);
    if (view->has_occurred_at)
        view->field[EVENT_OCCURRED_AT] = raw;
    return view->has_occurred_at;
}

void engine_view_rest(struct engine *engine, const struct prepared *prepared)
{
    if (!prepared->envelope)
        return;
    for (uint32_t left = prepared->group->fields >> EVENT_CLASS_FIELDS << EVENT_CLASS_FIELDS &
                         ((1u << EVENT_OCCURRED_AT) - 1);
         left; left &= left - 1) {
        size_t f = (size_t)__builtin_ctz(left);
        engine->view.field[f] = read_field(engine, prepared, f);
    }
    if (!prepared->course || !read_time_by_course(engine, prepared))
        read_time(engine, prepared);
}
