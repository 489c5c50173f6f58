#include "fold/explain.h"

#include "config/yaml.h"
#include "fold/engine_internal.h"

static const struct yaml_node *node_of(const struct envelope *envelope, size_t field, size_t index)
{
    const struct yaml_node *node = envelope->field_nodes[field];
    return yaml_is_sequence(node) ? yaml_at(node, index) : node;
}

static bool gives_time(struct engine *engine, const struct expr *expr)
{
    struct json_value value;
    int64_t ns;
    struct slice raw = expr_raw(&engine->eval, expr, &value);
    return slice_present(raw) && event_time_parse(raw, value.type == JSON_TYPE_OBJECT, &ns);
}

static void find_source(struct engine *engine, const struct prepared *prepared, size_t field,
                        struct explanation *ret)
{
    const struct expr_list *list = &prepared->envelope->fields[field];
    for (size_t i = 0; i < list->count && !ret->from[field]; i++) {
        const struct expr *expr = &list->items[i];
        bool given = field == EVENT_OCCURRED_AT ? gives_time(engine, expr)
                     : field < EVENT_CLASS_FIELDS
                         ? slice_present(prepared->raw[field]) && prepared->expr[field] == expr
                         : slice_present(expr_text(&engine->eval, expr));
        if (given)
            ret->from[field] = node_of(prepared->envelope, field, i);
    }
}

static void find_tried(const struct engine *engine, const struct prepared *prepared,
                       struct explanation *ret)
{
    const struct plan_group *group = prepared->group;
    for (size_t i = 0; i < group->envelope_count && ret->tried_count < EXPLAIN_TRIED_MAX; i++) {
        const struct envelope *envelope = group->envelopes[i];
        struct slice missing = SLICE_ABSENT;
        bool is_header = false;
        if (envelope == prepared->envelope)
            break;
        for (size_t r = 0; r < envelope->require_count && !slice_present(missing); r++) {
            if (!expr_has(&engine->eval, &envelope->requires[r]))
                missing = slice_of(engine->rules->paths[envelope->requires[r].path]);
        }
        for (size_t h = 0; h < envelope->require_headers.count && !slice_present(missing); h++) {
            struct slice name = envelope->require_headers.items[h];
            is_header = true;
            if (!slice_present(event_header_find(&prepared->input, name)))
                missing = name;
        }
        ret->tried[ret->tried_count].envelope = envelope;
        ret->tried[ret->tried_count].is_header = is_header;
        ret->tried[ret->tried_count++].missing = missing;
    }
}

bool engine_explain(struct engine *engine, const struct event_input *input, struct explanation *ret,
                    const char **ret_why)
{
    struct prepared prepared;
    *ret = (struct explanation){0};
    *ret_why = engine_view_prepared(engine, input, &prepared);
    if (*ret_why)
        return false;
    ret->view = engine->view;
    ret->envelope = prepared.envelope;
    for (size_t f = 0; prepared.envelope && f < EVENT_FIELDS; f++) {
        if (f == EVENT_OCCURRED_AT ? ret->view.has_occurred_at : slice_present(ret->view.field[f]))
            find_source(engine, &prepared, f, ret);
    }
    ret->error_class =
        slice_present(ret->view.field[EVENT_ERROR_TYPE]) && !ret->from[EVENT_ERROR_TYPE];
    find_tried(engine, &prepared, ret);
    ret->chain = chain_check(&engine->eval, &engine_stream(engine, "")->chains, &engine->hashed);
    return true;
}
