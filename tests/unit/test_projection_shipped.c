/* The projections that we ship, over one event of every kind that CIM programs publish. */
#include "unit.h"

#include "base/instant.h"
#include "event/lines.h"
#include "fold/projection.h"
#include "fold_rig.h"

struct shelf {
    char *key;
    struct projection_doc *doc;
};

static struct projection_doc *doc_of(struct shelf *shelf, size_t *count, const char *key)
{
    for (size_t i = 0; i < *count; i++) {
        if (!strcmp(shelf[i].key, key))
            return shelf[i].doc;
    }
    shelf[*count] = (struct shelf){xstrdup(key), projection_doc_new()};
    return shelf[(*count)++].doc;
}

static const char *fold_corpus(struct rig *rig, struct projector *projector, struct shelf *shelf,
                               size_t *count, struct buf *all)
{
    struct error err = ERROR_NONE;
    struct line_event line;
    struct lines *lines;
    uint64_t seq = 0;
    assert_int_equal(lines_open("tests/corpus/cim-events.jsonl", &lines, &err), 0);
    while (lines_next(lines, &line, &err) == LINES_EVENT) {
        struct event_view view;
        enum projection_effect effect;
        const char *envelope, *why;
        line.input.seq = ++seq;
        line.input.stored_at_ns = (RIG_EPOCH_S + (int64_t)seq) * NS_PER_SECOND;
        if (!engine_view(rig->engine, &line.input, &view, &envelope, &why))
            continue;
        struct slice domain = view.field[EVENT_DOMAIN], id = view.field[EVENT_AGGREGATE_ID];
        CLEANUP_FREE char *key = xasprintf("%.*s.%.*s", SLICE_ARG(domain), SLICE_ARG(id));
        const struct projection_event event = {SLICE("S"), seq, &line.input, &view,
                                               engine_payload(rig->engine)};
        if (projection_apply(projector, doc_of(shelf, count, key), &event, &effect, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(effect == PROJECTION_NONE, !domain.len || !id.len);
    }
    lines_close(lines);
    for (size_t i = 0; i < *count; i++) {
        projection_doc_write(shelf[i].doc, all);
        buf_add_char(all, '\n');
        projection_doc_free(shelf[i].doc);
        free(shelf[i].key);
    }
    return buf_cstr(all);
}

static void the_corpus(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf first = {0}, second = {0};
    struct projection_rules *rules = NULL;
    struct error err = ERROR_NONE;
    struct shelf shelf[128];
    size_t count = 0, again = 0;
    (void)state;
    rig_open_shipped(&rig);
    if (projection_rules_load("rules", &rules, &err) < 0)
        fail_msg("%s", err.text);
    struct projector *projector = projector_new(rules);
    const char *text = fold_corpus(&rig, projector, shelf, &count, &first);
    assert_true(count > 30);
    assert_slice(buf_slice(&first), fold_corpus(&rig, projector, shelf, &again, &second));
    assert_contains(text, "{\"domain\":\"workflow\",\"aggregate_id\":"
                          "\"eab10a5a-c056-4499-a8cc-00153b19c208\"");
    assert_contains(text, "\"status\":\"suspended\"");
    assert_contains(text, "\"hostname\":\"edge-r7.lab.internal\"");
    assert_contains(text, "\"steps_failed\":1");
    assert_contains(text, "\"evaluations\":1");
    projector_free(projector);
    projection_rules_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus)};
    return cmocka_run_group_tests_name("projection_shipped", tests, NULL, NULL);
}
