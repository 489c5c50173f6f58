#include "fold/projection.h"

#include <assert.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "fold/projection_internal.h"
#include "json/tree.h"
#include "json/write.h"

enum { SCRATCH_BYTES = 16384, LOOSE_BYTES = 2048 };

struct stream_place {
    char *name;
    uint64_t seq;
};

struct projection_doc {
    struct buf domain, id, type; /* as JSON strings, with quotes; empty: absent */
    struct stream_place *places; /* ascending by name */
    size_t place_count, place_room;
    uint64_t events; /* 0: the document is empty */
    struct json_tree value;
    size_t bytes; /* never less than it takes when written */
    size_t known; /* what it took when that was last measured */
};

/* --- documents -------------------------------------------------------------------------------- */

struct projection_doc *projection_doc_new(void)
{
    return xcalloc(1, sizeof(struct projection_doc));
}

void projection_doc_reset(struct projection_doc *doc)
{
    for (size_t i = 0; i < doc->place_count; i++)
        free(doc->places[i].name);
    buf_reset(&doc->domain);
    buf_reset(&doc->id);
    buf_reset(&doc->type);
    json_tree_done(&doc->value);
    doc->place_count = 0;
    doc->events = 0;
    doc->bytes = doc->known = 0;
}

void projection_doc_free(struct projection_doc *doc)
{
    if (!doc)
        return;
    projection_doc_reset(doc);
    buf_done(&doc->domain);
    buf_done(&doc->id);
    buf_done(&doc->type);
    free(doc->places);
    free(doc);
}

bool projection_doc_is_empty(const struct projection_doc *doc)
{
    return doc->events == 0;
}

uint64_t projection_doc_events(const struct projection_doc *doc)
{
    return doc->events;
}

size_t projection_doc_room(const struct projection_doc *doc)
{
    return sizeof *doc + doc->bytes + 3 * doc->known; /* a block of the heap for each value */
}

/* Where the stream is or would be. */
static size_t place_of(const struct projection_doc *doc, struct slice stream, bool *ret_there)
{
    size_t at = 0;
    int order = -1;
    for (; at < doc->place_count; at++) {
        order = strncmp(doc->places[at].name, stream.ptr, stream.len);
        if (order == 0 && doc->places[at].name[stream.len])
            order = 1;
        if (order >= 0)
            break;
    }
    *ret_there = at < doc->place_count && order == 0;
    return at;
}

uint64_t projection_doc_seq(const struct projection_doc *doc, struct slice stream)
{
    bool there;
    size_t at = place_of(doc, stream, &there);
    return there ? doc->places[at].seq : 0;
}

/* False: there are too many streams. */
static bool set_place(struct projection_doc *doc, struct slice stream, uint64_t seq)
{
    bool there;
    size_t at = place_of(doc, stream, &there);
    if (!there && doc->place_count == PROJECTION_STREAMS_MAX)
        return false;
    if (!there) {
        if (doc->place_count == doc->place_room) {
            doc->place_room = doc->place_room ? 4 * doc->place_room : 1; /* it is one, mostly */
            doc->places = xrealloc(doc->places, doc->place_room, sizeof *doc->places);
        }
        memmove(&doc->places[at + 1], &doc->places[at],
                (doc->place_count++ - at) * sizeof *doc->places);
        doc->places[at].name = xstrndup(stream.ptr, stream.len);
    }
    doc->places[at].seq = seq;
    return true;
}

static void write_head(const struct projection_doc *doc, struct buf *out)
{
    buf_add_str(out, "{\"domain\":");
    buf_add_slice(out, buf_slice(&doc->domain));
    buf_add_str(out, ",\"aggregate_id\":");
    buf_add_slice(out, buf_slice(&doc->id));
    if (doc->type.len) {
        buf_add_str(out, ",\"aggregate_type\":");
        buf_add_slice(out, buf_slice(&doc->type));
    }
    buf_add_str(out, ",\"sequences\":{");
    for (size_t i = 0; i < doc->place_count; i++) {
        json_add_name(out, doc->places[i].name);
        buf_add_u64(out, doc->places[i].seq);
    }
    buf_add_str(out, "},\"events\":");
    buf_add_u64(out, doc->events);
    buf_add_str(out, ",\"value\":");
}

void projection_doc_write(const struct projection_doc *doc, struct buf *out)
{
    if (projection_doc_is_empty(doc))
        return;
    write_head(doc, out);
    json_tree_write(&doc->value, out);
    buf_add_char(out, '}');
}

static void measure(struct projection_doc *doc)
{
    CLEANUP_BUF struct buf head = {0};
    write_head(doc, &head);
    doc->known = doc->bytes = head.len + json_tree_size(&doc->value) + strlen("}");
}

/* --- reading one ------------------------------------------------------------------------------ */

enum member {
    MEMBER_DOMAIN,
    MEMBER_ID,
    MEMBER_TYPE,
    MEMBER_SEQUENCES,
    MEMBER_EVENTS,
    MEMBER_VALUE
};

static const char *const member_names[] = {
    [MEMBER_DOMAIN] = "domain",       [MEMBER_ID] = "aggregate_id",
    [MEMBER_TYPE] = "aggregate_type", [MEMBER_SEQUENCES] = "sequences",
    [MEMBER_EVENTS] = "events",       [MEMBER_VALUE] = "value"};

static struct slice whole(const struct json_value *value)
{
    return value->type == JSON_TYPE_STRING ? (struct slice){value->raw.ptr - 1, value->raw.len + 2}
                                           : value->raw;
}

/* A text of ours, as we write it. */
static bool read_text(const struct json_value *value, struct buf *ret)
{
    CLEANUP_BUF struct buf text = {0};
    if (value->type != JSON_TYPE_STRING)
        return value->type == JSON_TYPE_ABSENT;
    json_unescape(value->raw, &text);
    json_add_string(ret, buf_slice(&text));
    return true;
}

static bool read_sequences(struct projection_doc *doc, const struct json_value *value)
{
    struct json_tree tree = {0};
    bool sound = value->type == JSON_TYPE_OBJECT && json_tree_set(&tree, value->raw) &&
                 tree.count <= PROJECTION_STREAMS_MAX;
    for (size_t i = 0; sound && i < tree.count; i++) {
        CLEANUP_BUF struct buf name = {0};
        uint64_t seq = 0;
        const struct json_tree_member *member = &tree.members[i];
        json_unescape(json_tree_name_of(member), &name);
        sound = json_tree_u64(&member->value, &seq) && seq && name.len &&
                !memchr(name.ptr, 0, name.len) && set_place(doc, buf_slice(&name), seq);
    }
    json_tree_done(&tree);
    return sound;
}

static bool read_members(struct projection_doc *doc, const struct json_value *values)
{
    struct slice value = whole(&values[MEMBER_VALUE]);
    return read_text(&values[MEMBER_DOMAIN], &doc->domain) && doc->domain.len &&
           read_text(&values[MEMBER_ID], &doc->id) && doc->id.len &&
           read_text(&values[MEMBER_TYPE], &doc->type) &&
           read_sequences(doc, &values[MEMBER_SEQUENCES]) && doc->place_count &&
           values[MEMBER_EVENTS].type == JSON_TYPE_NUMBER &&
           slice_u64(values[MEMBER_EVENTS].raw, &doc->events) && doc->events &&
           values[MEMBER_VALUE].type != JSON_TYPE_ABSENT && json_tree_set(&doc->value, value);
}

int projection_doc_load(struct projection_doc *doc, struct slice bytes, struct error *err)
{
    struct json_value values[ARRAY_LEN(member_names)];
    struct json_plan *plan = json_plan_new();
    struct json_error problem = {0};
    projection_doc_reset(doc);
    for (size_t i = 0; i < ARRAY_LEN(member_names); i++)
        (void)json_plan_add(plan, slice_of(member_names[i])); /* slots count up from 0 */
    (void)json_plan_compile(plan);
    bool json = json_extract(plan, bytes, values, &problem), sound = json;
    json_plan_free(plan);
    if (json)
        sound = read_members(doc, values);
    doc->known = doc->bytes = bytes.len;
    if (sound)
        return 0;
    projection_doc_reset(doc);
    if (json)
        return error_set(err, EXIT_CODE_DAMAGED, "not a projection's document: %.*s",
                         (int)(bytes.len < 80 ? bytes.len : 80), bytes.ptr);
    return error_set(err, EXIT_CODE_DAMAGED, "not a projection's document: %s at byte %zu",
                     problem.what, problem.offset);
}

/* --- what an event brings ----------------------------------------------------------------------
 */

/* What one step does to one field: found out for all before the first is done. */
struct change {
    const struct projection_step *step;
    const struct projection_field *field;
    struct slice text; /* JSON; of the payload or the rules, or (ptr NULL) in projector->made */
    size_t made_at;
};

struct projector {
    const struct projection_rules *rules;
    const struct projection_event *event;
    struct json_value *values;
    struct eval eval;
    struct change *changes;
    size_t change_count, change_room;
    size_t growth;             /* what the changes can add to a document at most */
    struct buf made;           /* JSON of references that are no part of the payload */
    struct buf backup, quoted; /* the document before the event; for comparisons */
    struct buf stored_at;      /* of this event, once it was asked for */
    char scratch[SCRATCH_BYTES];
};

struct projector *projector_new(const struct projection_rules *rules)
{
    struct projector *projector = xcalloc(1, sizeof *projector);
    projector->rules = rules;
    projector->values = xcalloc(json_plan_slots(rules->plan) + 1, sizeof *projector->values);
    return projector;
}

void projector_free(struct projector *projector)
{
    if (!projector)
        return;
    buf_done(&projector->made);
    buf_done(&projector->backup);
    buf_done(&projector->quoted);
    buf_done(&projector->stored_at);
    free(projector->changes);
    free(projector->values);
    free(projector);
}

/* As a JSON string behind what was made already. */
static bool make_string(struct projector *projector, struct slice text)
{
    if (slice_present(text))
        json_add_string(&projector->made, text);
    return slice_present(text);
}

static bool make_time(struct buf *out, int64_t ns)
{
    char text[INSTANT_TEXT_MAX];
    size_t len = instant_format(ns, text);
    json_add_string(out, (struct slice){text, len});
    return true;
}

/* Several references want it, and it takes a while. */
static bool make_stored_at(struct projector *projector)
{
    int64_t ns = projector->event->input->stored_at_ns;
    if (!projector->stored_at.len && ns)
        (void)make_time(&projector->stored_at, ns);
    buf_add_slice(&projector->made, buf_slice(&projector->stored_at));
    return projector->stored_at.len > 0;
}

/* Appends what the reference gives to what was made. False: nothing. */
static bool make(struct projector *projector, const struct projection_reference *reference)
{
    const struct projection_event *event = projector->event;
    const struct event_view *view = event->view;
    switch (reference->source) {
    case SOURCE_STREAM: return make_string(projector, event->stream);
    case SOURCE_SUBJECT: return make_string(projector, event->input->subject);
    case SOURCE_SEQUENCE: buf_add_u64(&projector->made, event->seq); return true;
    case SOURCE_STORED_AT: return make_stored_at(projector);
    case SOURCE_OCCURRED_AT:
        return view->has_occurred_at ? make_time(&projector->made, view->occurred_at_ns)
                                     : make_string(projector, view->field[EVENT_OCCURRED_AT]);
    case SOURCE_TEXT:
        projector->eval.scratch_used = 0;
        return make_string(projector, expr_list_text(&projector->eval, &reference->text));
    case SOURCE_JSON:
    case SOURCE_LITERAL: break;
    }
    return false;
}

/* JSON text: absent when there is nothing, without a place when it was made. */
static bool give(struct projector *projector, const struct projection_reference *reference,
                 struct change *ret)
{
    const struct json_value *values = projector->eval.values;
    ret->text = SLICE_ABSENT;
    ret->made_at = projector->made.len;
    if (reference->source == SOURCE_LITERAL) {
        ret->text = reference->literal;
    } else if (reference->source == SOURCE_JSON) {
        int slot = projector->rules->slot_of[reference->path];
        if (values && values[slot].type != JSON_TYPE_ABSENT)
            ret->text = whole(&values[slot]);
    } else {
        bool made = make(projector, reference);
        ret->text.len = projector->made.len - ret->made_at;
        return made;
    }
    return slice_present(ret->text);
}

/* The first reference that gives something but null; null when nothing but that was given. */
static bool give_first(struct projector *projector, struct change *ret, bool objects_only)
{
    static const struct slice null = SLICE("null");
    bool was_null = false;
    for (size_t i = 0; i < ret->field->reference_count; i++) {
        if (!give(projector, &ret->field->references[i], ret))
            continue;
        bool is_null = slice_present(ret->text) && slice_eq(ret->text, null);
        bool is_object = slice_present(ret->text) && ret->text.ptr[0] == '{';
        if (!is_null && (is_object || !objects_only))
            return true;
        was_null = was_null || is_null;
    }
    ret->text = null;
    return was_null && !objects_only;
}

static void add_change(struct projector *projector, const struct projection_step *step,
                       const struct projection_field *field)
{
    struct change change = {.step = step, .field = field};
    if (field && field->reference_count &&
        !give_first(projector, &change, step->op == PROJECTION_MERGE))
        return;
    projector->growth += change.text.len + (field ? 2 * field->name.len : 0) + 64;
    GROW(projector->changes, projector->change_count, projector->change_room);
    projector->changes[projector->change_count++] = change;
}

static bool filter_fits(struct slice filter, const struct eval *eval)
{
    struct slice want;
    size_t at = 0;
    while (slice_cut(&filter, '.', &want)) {
        if (slice_eq(want, SLICE(">")))
            return at < eval->token_count;
        if (at == eval->token_count ||
            (!slice_eq(want, SLICE("*")) && !slice_eq(want, eval->tokens[at])))
            return false;
        at++;
    }
    return at == eval->token_count;
}

static bool is_for(struct projector *projector, const struct projection_rule *rule)
{
    bool fits = rule->subjects.count == 0;
    for (size_t i = 0; i < rule->subjects.count && !fits; i++)
        fits = filter_fits(rule->subjects.items[i], &projector->eval);
    return fits && conditions_hold(&projector->eval, &rule->when);
}

/* All changes that the event makes. False: no rule is for it. */
static bool look(struct projector *projector)
{
    const struct projection_rules *rules = projector->rules;
    const struct projection_event *event = projector->event;
    const struct event_view *view = event->view;
    struct eval *eval = &projector->eval;
    struct json_error problem;
    bool any = false;
    *eval = (struct eval){.input = event->input,
                          .view = event->view,
                          .slot_of = rules->slot_of,
                          .rules = &rules->base,
                          .scratch = projector->scratch,
                          .scratch_room = sizeof projector->scratch};
    projector->change_count = 0;
    projector->growth = 6 * (view->field[EVENT_DOMAIN].len + view->field[EVENT_AGGREGATE_ID].len +
                             view->field[EVENT_AGGREGATE_TYPE].len + event->stream.len) +
                        128; /* the head, escaped */
    buf_reset(&projector->made);
    buf_reset(&projector->stored_at);
    eval_split_subject(eval);
    if (json_extract(rules->plan, event->payload, projector->values, &problem))
        eval->values = projector->values;
    for (size_t r = 0; r < rules->count; r++) {
        const struct projection_rule *rule = &rules->items[r];
        if (!is_for(projector, rule))
            continue;
        any = true;
        for (size_t s = 0; s < rule->step_count; s++) {
            const struct projection_step *step = &rule->steps[s];
            if (step->op == PROJECTION_END)
                add_change(projector, step, NULL);
            for (size_t f = 0; f < step->field_count; f++)
                add_change(projector, step, &step->fields[f]);
        }
    }
    return any;
}

/* --- steps ------------------------------------------------------------------------------------ */

static bool count_up(struct json_tree *counter, uint64_t by)
{
    uint64_t value = 0;
    if (!counter)
        return false;
    (void)json_tree_u64(counter, &value);
    json_tree_set_u64(counter, value > UINT64_MAX - by ? UINT64_MAX : value + by);
    return true;
}

static bool append(struct json_tree *value, const struct projection_field *field, size_t limit,
                   struct slice text)
{
    struct json_tree *list = json_tree_ensure(value, field->name);
    if (!list || !json_tree_set(json_tree_push(list), text))
        return false;
    if (list->count <= limit)
        return true;
    size_t over = list->count - limit;
    json_tree_shift(list, over);
    return count_up(json_tree_ensure(value, field->dropped), over);
}

/* False: an object got too large. */
static bool apply_change(struct json_tree *value, const struct change *change, struct slice text)
{
    const struct projection_field *field = change->field;
    enum projection_op op = change->step->op;
    struct json_tree *target = value;
    if (op == PROJECTION_COUNT)
        return count_up(json_tree_ensure(value, field->name), 1);
    if (op == PROJECTION_REMOVE) {
        (void)json_tree_remove(value, field->name);
        return true;
    }
    if (op == PROJECTION_ONCE && json_tree_get(value, field->name))
        return true;
    if (op == PROJECTION_APPEND)
        return append(value, field, change->step->limit, text);
    if (slice_present(field->name))
        target = json_tree_ensure(value, field->name);
    if (!target)
        return false;
    return op == PROJECTION_MERGE ? json_tree_merge(target, text) : json_tree_set(target, text);
}

static bool apply_changes(struct projector *projector, struct projection_doc *doc, bool *ret_gone)
{
    *ret_gone = false;
    for (size_t i = 0; i < projector->change_count; i++) {
        const struct change *change = &projector->changes[i];
        struct slice text = change->text;
        if (change->step->op == PROJECTION_END) {
            *ret_gone = true;
            return true;
        }
        if (!slice_present(text) && text.len)
            text.ptr = projector->made.ptr + change->made_at;
        if (!apply_change(&doc->value, change, text))
            return false;
    }
    return true;
}

/* --- an event --------------------------------------------------------------------------------- */

static int too_much(const struct projection_event *event, struct error *err, const char *what)
{
    return error_set(err, EXIT_CODE_PROBLEM, "projection of %.*s %.*s, at %.*s %llu: %s",
                     SLICE_ARG(event->view->field[EVENT_DOMAIN]),
                     SLICE_ARG(event->view->field[EVENT_AGGREGATE_ID]), SLICE_ARG(event->stream),
                     (unsigned long long)event->seq, what);
}

/* Is this text, written as JSON, what stands there? */
static bool says(const struct buf *json, struct slice text, struct buf *scratch)
{
    if (json->len == text.len + 2 && memcmp(json->ptr + 1, text.ptr, text.len) == 0)
        return true;
    buf_reset(scratch);
    json_add_string(scratch, text);
    return slice_eq(buf_slice(scratch), buf_slice(json));
}

/* Whose it is, and where it stands. */
static int take_head(struct projector *projector, struct projection_doc *doc, struct error *err)
{
    const struct projection_event *event = projector->event;
    const struct slice *field = event->view->field;
    struct slice domain = field[EVENT_DOMAIN], id = field[EVENT_AGGREGATE_ID],
                 type = field[EVENT_AGGREGATE_TYPE];
    if (projection_doc_is_empty(doc)) {
        projection_doc_reset(doc);
        json_add_string(&doc->domain, domain);
        json_add_string(&doc->id, id);
        (void)json_tree_set(&doc->value, SLICE("{}"));
        measure(doc);
    } else if (!says(&doc->domain, domain, &projector->quoted) ||
               !says(&doc->id, id, &projector->quoted)) {
        return error_set(err, EXIT_CODE_INTERNAL, "an event of %.*s %.*s for the document of %.*s",
                         SLICE_ARG(domain), SLICE_ARG(id), SLICE_ARG(buf_slice(&doc->id)));
    }
    if (!set_place(doc, event->stream, event->seq))
        return too_much(event, err, "it has events in too many streams");
    if (slice_present(type) && !(doc->type.len && says(&doc->type, type, &projector->quoted))) {
        buf_reset(&doc->type);
        json_add_string(&doc->type, type);
    }
    return 0;
}

/*
 * Keeps the document as it is before an event that might become too much for it. Below the bound
 * nothing can: fewer bytes than that do not hold JSON_TREE_MEMBERS_MAX members.
 */
static bool keep_copy(struct projector *projector, struct projection_doc *doc)
{
    size_t growth = projector->growth;
    if (doc->bytes + growth <= PROJECTION_COPIED_BYTES)
        return false;
    if (!projection_doc_is_empty(doc))
        measure(doc);
    if (doc->bytes + growth <= PROJECTION_COPIED_BYTES)
        return false;
    buf_reset(&projector->backup);
    projection_doc_write(doc, &projector->backup);
    return true;
}

/* Is the bound far above what it may take? Fields that change do not add up. */
static bool is_loose(const struct projection_doc *doc)
{
    return doc->bytes > 2 * doc->known + LOOSE_BYTES;
}

static void take_back(struct projector *projector, struct projection_doc *doc)
{
    if (projector->backup.len)
        (void)projection_doc_load(doc, buf_slice(&projector->backup), NULL);
    else
        projection_doc_reset(doc);
}

int projection_apply(struct projector *projector, struct projection_doc *doc,
                     const struct projection_event *event, enum projection_effect *ret,
                     struct error *err)
{
    bool gone = false;
    *ret = PROJECTION_NONE;
    projector->event = event;
    if (!event->view->field[EVENT_DOMAIN].len || !event->view->field[EVENT_AGGREGATE_ID].len ||
        event->seq <= projection_doc_seq(doc, event->stream) || !look(projector))
        return 0;
    if (projector->eval.values && json_tree_depth(event->payload) > PROJECTION_DEPTH_MAX)
        return too_much(event, err, "its payload is nested too deep");
    bool copied = keep_copy(projector, doc);
    if (take_head(projector, doc, err) < 0)
        return -1;
    bool fits = apply_changes(projector, doc, &gone);
    doc->events++;
    doc->bytes += projector->growth;
    if (fits && !gone && (doc->bytes > PROJECTION_BYTES_MAX || is_loose(doc))) {
        measure(doc);
        fits = doc->bytes <= PROJECTION_BYTES_MAX;
    }
    if (!fits) {
        assert(copied);
        take_back(projector, doc);
        return too_much(event, err, "the document would get too large");
    }
    if (gone)
        projection_doc_reset(doc);
    *ret = gone ? PROJECTION_GONE : PROJECTION_CHANGED;
    return 0;
}

int projection_apply_bytes(struct projector *projector, struct buf *document,
                           const struct projection_event *event, enum projection_effect *ret,
                           struct error *err)
{
    struct projection_doc *doc = projection_doc_new();
    int rc = document->len ? projection_doc_load(doc, buf_slice(document), err) : 0;
    *ret = PROJECTION_NONE;
    if (rc == 0)
        rc = projection_apply(projector, doc, event, ret, err);
    if (rc == 0 && *ret != PROJECTION_NONE) {
        buf_reset(document);
        projection_doc_write(doc, document);
    }
    projection_doc_free(doc);
    return rc;
}
