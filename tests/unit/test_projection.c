/* Projections: every step, exactly once, the same bytes for the same events, bounds, mistakes. */
#include "unit.h"

#include "base/instant.h"
#include "fold/projection.h"
#include "fold_rig.h"

/* The rig's views, and a document folded by rules given as text. */
struct fold {
    struct rig rig;
    struct projection_rules *rules;
    struct projector *projector;
    struct projection_doc *doc;
};

static void fold_open(struct fold *fold, const char *projections)
{
    struct error err = ERROR_NONE;
    rig_open(&fold->rig, RIG_ENVELOPES, projections);
    if (projection_rules_load(fold->rig.scratch.folder, &fold->rules, &err) < 0)
        fail_msg("%s", err.text);
    fold->projector = projector_new(fold->rules);
    fold->doc = projection_doc_new();
}

static void fold_close(struct fold *fold)
{
    projection_doc_free(fold->doc);
    projector_free(fold->projector);
    projection_rules_free(fold->rules);
    rig_close(&fold->rig);
}

#define CLEANUP_FOLD __attribute__((cleanup(fold_close)))

static int try_at(struct fold *fold, struct projection_doc *doc, const char *stream, uint64_t seq,
                  const char *subject, struct slice payload, enum projection_effect *ret,
                  struct error *err)
{
    struct event_input input = {.subject = slice_of(subject),
                                .payload = payload,
                                .seq = seq,
                                .stored_at_ns = (RIG_EPOCH_S + (int64_t)seq) * NS_PER_SECOND};
    struct event_view view;
    const char *envelope, *why = NULL;
    if (!engine_view(fold->rig.engine, &input, &view, &envelope, &why))
        fail_msg("%s", why);
    const struct projection_event event = {.stream = slice_of(stream),
                                           .seq = seq,
                                           .input = &input,
                                           .view = &view,
                                           .payload = engine_payload(fold->rig.engine)};
    return projection_apply(fold->projector, doc, &event, ret, err);
}

static enum projection_effect apply_at(struct fold *fold, const char *stream, uint64_t seq,
                                       const char *subject, const char *payload)
{
    enum projection_effect effect;
    struct error err = ERROR_NONE;
    if (try_at(fold, fold->doc, stream, seq, subject, slice_of(payload), &effect, &err) < 0)
        fail_msg("%s", err.text);
    return effect;
}

static enum projection_effect apply(struct fold *fold, uint64_t seq, const char *payload)
{
    return apply_at(fold, "S", seq, "shop.order.o1", payload);
}

static void assert_doc(const struct fold *fold, const char *want)
{
    CLEANUP_BUF struct buf text = {0};
    projection_doc_write(fold->doc, &text);
    assert_slice(buf_slice(&text), want);
}

/* All but the value is checked once, below. */
static void assert_value(const struct fold *fold, const char *want)
{
    CLEANUP_BUF struct buf text = {0};
    projection_doc_write(fold->doc, &text);
    const char *value = strstr(buf_cstr(&text), "\"value\":");
    assert_non_null(value);
    struct slice have = slice_of(value + strlen("\"value\":"));
    have.len--; /* the last brace */
    assert_slice(have, want);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void the_whole_document(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, fold: {merge: $payload.data}}\n");
    assert_true(projection_doc_is_empty(fold.doc));
    assert_doc(&fold, "");
    assert_int_equal(apply(&fold, 7, "{\"data\":{\"b\":0.10,\"a\":1}}"), PROJECTION_CHANGED);
    assert_doc(&fold, "{\"domain\":\"shop\",\"aggregate_id\":\"o1\",\"aggregate_type\":\"order\","
                      "\"sequences\":{\"S\":7},\"events\":1,\"value\":{\"a\":1,\"b\":0.10}}");
    assert_int_equal(projection_doc_seq(fold.doc, SLICE("S")), 7);
    assert_int_equal(projection_doc_seq(fold.doc, SLICE("T")), 0);
    assert_int_equal(projection_doc_events(fold.doc), 1);
    assert_true(projection_doc_room(fold.doc) > 100);
}

static void last(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - name: a\n"
                     "    fold: {last: [$payload.new, $payload.old]}\n");
    (void)apply(&fold, 1, "{\"old\":[1 , 2],\"new\":{\"x\":18446744073709551616}}");
    assert_value(&fold, "{\"x\":18446744073709551616}");
    (void)apply(&fold, 2, "{\"old\":[1 , 2]}");
    assert_value(&fold, "[1,2]");
    (void)apply(&fold, 3, "{\"old\":\"caf\\u00e9\",\"new\":null}");
    assert_value(&fold, "\"caf\\u00e9\"");
    (void)apply(&fold, 4, "{\"other\":1}"); /* nothing given: it stays */
    assert_value(&fold, "\"caf\\u00e9\"");
    assert_int_equal(projection_doc_events(fold.doc), 4);
    (void)apply(&fold, 5, "{\"new\":null}");
    assert_value(&fold, "null");
}

static void the_whole_payload(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n  - {name: a, fold: {last: $payload}}\n");
    (void)apply(&fold, 1, "{\"b\":1,\"a\":{}}");
    assert_value(&fold, "{\"a\":{},\"b\":1}");
    (void)apply(&fold, 2, "\"Ended\"");
    assert_value(&fold, "\"Ended\"");
    /* What is no JSON gives nothing; the view may come from subject and headers. */
    const struct event_input input = {.subject = SLICE("x"), .seq = 3};
    const struct event_view view = {
        .field = {[EVENT_DOMAIN] = SLICE("shop"), [EVENT_AGGREGATE_ID] = SLICE("o1")}};
    const struct projection_event event = {SLICE("S"), 3, &input, &view, SLICE("no JSON")};
    enum projection_effect effect;
    assert_int_equal(projection_apply(fold.projector, fold.doc, &event, &effect, NULL), 0);
    assert_int_equal(effect, PROJECTION_CHANGED);
    assert_value(&fold, "\"Ended\"");
}

static void merge(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, when: $payload.to absent, fold: {merge: $payload.data}}\n"
                     "  - name: b\n"
                     "    when: $payload.to exists\n"
                     "    fold: {merge: {state: [$payload.data, $payload.more]}}\n");
    (void)apply(&fold, 1, "{\"data\":{\"a\":{\"x\":1,\"y\":2},\"b\":[1]}}");
    (void)apply(&fold, 2, "{\"data\":{\"a\":{\"x\":null,\"z\":3},\"b\":[2],\"c\":null}}");
    assert_value(&fold, "{\"a\":{\"y\":2,\"z\":3},\"b\":[2]}");
    (void)apply(&fold, 3, "{\"data\":[1]}"); /* no object */
    assert_value(&fold, "{\"a\":{\"y\":2,\"z\":3},\"b\":[2]}");
    (void)apply(&fold, 4, "{\"to\":1,\"data\":\"text\",\"more\":{\"n\":1}}");
    (void)apply(&fold, 5, "{\"to\":1,\"data\":{\"m\":2}}");
    (void)apply(&fold, 6, "{\"data\":{\"a\":null,\"b\":null}}");
    assert_value(&fold, "{\"state\":{\"m\":2,\"n\":1}}");
}

static void set_once_and_remove(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold,
              "projections:\n"
              "  - name: a\n"
              "    when: $event_type != Cleared\n"
              "    fold:\n"
              "      - once: {first: $payload.n, \"is \\\"it\\\"\": true}\n"
              "      - set:\n"
              "          last: $payload.n\n"
              "          type: $event_type\n"
              "          status: {from: $event_type, map: {Opened: open}}\n"
              "          at: $stored_at\n"
              "          when: $occurred_at\n"
              "          seq: $sequence\n"
              "          stream: $stream\n"
              "          subject: $subject\n"
              "          five: 5\n"
              "          text: \"5\"\n"
              "          owner: $payload.owner\n"
              "          token: $subject[1]\n"
              "  - name: b\n"
              "    when: [$event_type == Cleared]\n"
              "    fold: {remove: [at, five, seq, stream, subject, text, token, when, nothing]}\n");
    (void)apply(&fold, 1, "{\"type\":\"Opened\",\"n\":1.50,\"at\":1783771201,\"owner\":\"k\"}");
    assert_value(&fold, "{\"at\":\"2026-07-11T12:00:01.000000000Z\",\"first\":1.50,\"five\":5,"
                        "\"is \\\"it\\\"\":true,\"last\":1.50,\"owner\":\"k\",\"seq\":1,"
                        "\"status\":\"open\",\"stream\":\"S\",\"subject\":\"shop.order.o1\","
                        "\"text\":\"5\",\"token\":\"order\",\"type\":\"Opened\","
                        "\"when\":\"2026-07-11T12:00:01.000000000Z\"}");
    (void)apply(&fold, 2, "{\"type\":\"Moved\",\"n\":{\"a\":[]},\"owner\":null}");
    (void)apply(&fold, 3, "{\"type\":\"Cleared\"}");
    assert_value(&fold, "{\"first\":1.50,\"is \\\"it\\\"\":true,\"last\":{\"a\":[]},"
                        "\"owner\":null,\"status\":\"Moved\",\"type\":\"Moved\"}");
}

static void count(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, when: $payload.is == set, fold: {merge: $payload.set}}\n"
                     "  - {name: b, when: $payload.is != set, fold: {count: [n, m]}}\n");
    (void)apply(&fold, 1, "{}");
    (void)apply(&fold, 2, "{}");
    assert_value(&fold, "{\"m\":2,\"n\":2}");
    (void)apply(&fold, 3, "{\"is\":\"set\",\"set\":{\"n\":18446744073709551614,\"m\":\"seven\"}}");
    (void)apply(&fold, 4, "{}");
    (void)apply(&fold, 5, "{}"); /* as far as it goes */
    assert_value(&fold, "{\"m\":2,\"n\":18446744073709551615}");
}

static void append(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, fold: {append: {list: $payload.n}, limit: 3}}\n"
                     "  - {name: b, fold: {append: {long: $sequence}}}\n");
    for (uint64_t i = 1; i <= 3; i++) {
        char payload[32];
        (void)snprintf(payload, sizeof payload, "{\"n\":[%d]}", (int)i);
        (void)apply(&fold, i, payload);
    }
    (void)apply(&fold, 4, "{\"other\":1}");
    assert_value(&fold, "{\"list\":[[1],[2],[3]],\"long\":[1,2,3,4]}");
    (void)apply(&fold, 5, "{\"n\":null}");
    (void)apply(&fold, 6, "{\"n\":\"x\"}");
    assert_value(&fold, "{\"list\":[[3],null,\"x\"],\"list_dropped\":2,\"long\":[1,2,3,4,5,6]}");
    for (uint64_t i = 7; i <= PROJECTION_APPEND_DEFAULT + 9; i++)
        (void)apply(&fold, i, "{}");
    CLEANUP_BUF struct buf text = {0};
    projection_doc_write(fold.doc, &text);
    assert_contains(buf_cstr(&text), "\"long\":[10,11,");
    assert_contains(buf_cstr(&text), "\"long_dropped\":9");
}

static void end(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, fold: {count: n}}\n"
                     "  - {name: b, when: $event_type == Deleted, fold: {end: true}}\n"
                     "  - {name: c, fold: {set: {late: 1}}}\n");
    (void)apply(&fold, 1, "{}");
    (void)apply_at(&fold, "T", 1, "shop.order.o1", "{}");
    assert_int_equal(apply(&fold, 2, "{\"type\":\"Deleted\"}"), PROJECTION_GONE);
    assert_true(projection_doc_is_empty(fold.doc));
    assert_doc(&fold, "");
    /* It begins anew, and knows nothing of before, as if read from where nothing is stored. */
    assert_int_equal(apply(&fold, 3, "{}"), PROJECTION_CHANGED);
    assert_doc(&fold, "{\"domain\":\"shop\",\"aggregate_id\":\"o1\",\"aggregate_type\":\"order\","
                      "\"sequences\":{\"S\":3},\"events\":1,\"value\":{\"late\":1,\"n\":1}}");
}

static void subjects_and_conditions(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, subjects: [\"shop.order.*\"], fold: {count: exact}}\n"
                     "  - {name: b, subjects: [\"shop.order.*.>\"], fold: {count: below}}\n"
                     "  - {name: c, subjects: [x.y, \"shop.>\"], fold: {count: all}}\n"
                     "  - {name: d, when: [$payload.a > 1, $payload.a < 3], fold: {count: two}}\n");
    (void)apply_at(&fold, "S", 1, "shop.order.o1", "{\"a\":2}");
    (void)apply_at(&fold, "S", 2, "shop.order.o1.x", "{\"a\":3}");
    assert_value(&fold, "{\"all\":2,\"below\":1,\"exact\":1,\"two\":1}");
}

/* --- exactly once, the same bytes ------------------------------------------------------------- */

static void old_sequences_change_nothing(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    static const uint64_t order[] = {1, 1, 3, 2, 3, 1, 5, 5, 4, 6};
    size_t changed = 0;
    (void)state;
    fold_open(&fold, "projections:\n  - {name: a, fold: {count: n}}\n");
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        changed += apply(&fold, order[i], "{}") == PROJECTION_CHANGED;
    assert_int_equal(changed, 4); /* 1 3 5 6 */
    assert_int_equal(apply_at(&fold, "A", 2, "shop.order.o1", "{}"), PROJECTION_CHANGED);
    assert_int_equal(apply_at(&fold, "S2", 2, "shop.order.o1", "{}"), PROJECTION_CHANGED);
    assert_int_equal(apply_at(&fold, "A", 2, "shop.order.o1", "{}"), PROJECTION_NONE);
    assert_doc(&fold, "{\"domain\":\"shop\",\"aggregate_id\":\"o1\",\"aggregate_type\":\"order\","
                      "\"sequences\":{\"A\":2,\"S\":6,\"S2\":2},\"events\":6,\"value\":{\"n\":6}}");
}

static void events_of_nobody_and_of_no_rule(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    enum projection_effect effect;
    struct error err = ERROR_NONE;
    (void)state;
    fold_open(&fold, "projections:\n  - {name: a, when: $payload.n exists, fold: {count: n}}\n");
    assert_int_equal(apply_at(&fold, "S", 1, "shop", "{\"n\":1}"), PROJECTION_NONE);
    assert_int_equal(apply(&fold, 2, "{}"), PROJECTION_NONE);
    assert_true(projection_doc_is_empty(fold.doc));
    assert_int_equal(apply(&fold, 3, "{\"n\":1}"), PROJECTION_CHANGED);
    assert_int_equal(apply(&fold, 4, "{}"), PROJECTION_NONE);
    assert_int_equal(projection_doc_seq(fold.doc, SLICE("S")), 3);
    /* One of another aggregate is a defect of the caller, and changes nothing. */
    assert_int_equal(
        try_at(&fold, fold.doc, "S", 5, "shop.order.o2", SLICE("{\"n\":1}"), &effect, &err), -1);
    assert_int_equal(err.code, EXIT_CODE_INTERNAL);
    assert_value(&fold, "{\"n\":1}");
}

/* Kept as an object all along, or written and read again after every event: the same bytes. */
static void bytes_and_objects_agree(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    CLEANUP_BUF struct buf stored = {0}, kept = {0};
    enum projection_effect effect;
    uint64_t random = 5;
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, fold: {merge: $payload.m, count: n, append: {l: $payload.v},\n"
                     "                     limit: 4, once: {f: $payload}}}\n"
                     "  - {name: b, when: $payload.v == 7, fold: {end: true}}\n"
                     "  - {name: c, when: $payload.v == 6, fold: {last: $payload.m}}\n");
    for (uint64_t seq = 1; seq < 2000; seq++) {
        char payload[128];
        struct error err = ERROR_NONE;
        (void)snprintf(payload, sizeof payload,
                       "{\"v\":%d,\"m\":{\"%c\\u00e9\":%d.0,\"\\u0061\":{\"%c\":null,\"x\":[]}}}",
                       (int)random_below(&random, 12), (char)('a' + random_below(&random, 4)),
                       (int)seq, (char)('w' + random_below(&random, 3)));
        struct event_input input = {.subject = SLICE("shop.order.\xffo\"1\x01"),
                                    .payload = slice_of(payload),
                                    .seq = seq,
                                    .stored_at_ns = 5};
        struct event_view view;
        const char *envelope, *why;
        assert_true(engine_view(fold.rig.engine, &input, &view, &envelope, &why));
        const struct projection_event event = {SLICE("S\""), seq, &input, &view, input.payload};
        assert_int_equal(projection_apply(fold.projector, fold.doc, &event, &effect, &err), 0);
        enum projection_effect by_bytes;
        if (projection_apply_bytes(fold.projector, &stored, &event, &by_bytes, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(by_bytes, effect);
        buf_reset(&kept);
        projection_doc_write(fold.doc, &kept);
        assert_slice(buf_slice(&stored), buf_cstr(&kept));
    }
}

static void documents_that_are_none(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "{",
        "{}",
        "[]",
        "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"sequences\":{\"S\":1},\"events\":1}",
        "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"sequences\":{\"S\":1},\"value\":{}}",
        "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"sequences\":{},\"events\":1,\"value\":{}}",
        "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"sequences\":{\"S\":0},\"events\":1,"
        "\"value\":{}}",
        "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"sequences\":{\"S\":-1},\"events\":1,"
        "\"value\":{}}",
        "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"sequences\":{\"S\":1},\"events\":0,"
        "\"value\":{}}",
        "{\"domain\":\"d\",\"aggregate_id\":1,\"sequences\":{\"S\":1},\"events\":1,\"value\":{}}",
        "{\"aggregate_id\":\"a\",\"sequences\":{\"S\":1},\"events\":1,\"value\":{}}",
        "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"aggregate_type\":2,\"sequences\":{\"S\":1},"
        "\"events\":1,\"value\":{}}"};
    struct projection_doc *doc = projection_doc_new();
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct error err = ERROR_NONE;
        assert_int_equal(projection_doc_load(doc, slice_of(texts[i]), &err), -1);
        assert_int_equal(err.code, EXIT_CODE_DAMAGED);
        assert_contains(err.text, "not a projection's document");
        assert_true(projection_doc_is_empty(doc));
    }
    /* Somebody else's spelling of one is taken, and written as we do. */
    CLEANUP_BUF struct buf text = {0};
    assert_int_equal(projection_doc_load(doc,
                                         SLICE("{ \"value\": 1.0, \"events\":2, \"sequences\":"
                                               "{\"T\":2,\"S\":1}, \"aggregate_id\":\"\\u0061\","
                                               "\"domain\":\"d\" }"),
                                         NULL),
                     0);
    projection_doc_write(doc, &text);
    assert_slice(buf_slice(&text), "{\"domain\":\"d\",\"aggregate_id\":\"a\",\"sequences\":"
                                   "{\"S\":1,\"T\":2},\"events\":2,\"value\":1.0}");
    projection_doc_free(doc);
}

/* --- bounds ----------------------------------------------------------------------------------- */

/* What is too much is refused, by name, and the document stays as it was; the next event fits. */
static void refuses(struct fold *fold, uint64_t seq, struct slice payload, const char *why)
{
    CLEANUP_BUF struct buf before = {0};
    enum projection_effect effect;
    struct error err = ERROR_NONE;
    projection_doc_write(fold->doc, &before);
    assert_int_equal(try_at(fold, fold->doc, "S", seq, "shop.order.o1", payload, &effect, &err),
                     -1);
    assert_int_equal(err.code, EXIT_CODE_PROBLEM);
    assert_int_equal(effect, PROJECTION_NONE);
    assert_contains(err.text, "projection of shop o1, at S ");
    assert_contains(err.text, why);
    assert_doc(fold, buf_cstr(&before));
}

static void add_padded(struct buf *out, const char *before, size_t pad, const char *after)
{
    buf_reset(out);
    buf_add_str(out, before);
    for (size_t i = 0; i < pad; i++)
        buf_add_char(out, 'x');
    buf_add_str(out, after);
}

static void too_large(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    CLEANUP_BUF struct buf payload = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, fold: {count: n, append: {l: $payload.v}, limit: 10000}}\n"
                     "  - {name: b, fold: {once: {all: $payload.once}}}\n");
    (void)apply(&fold, 1, "{\"v\":\"first\"}");
    add_padded(&payload, "{\"v\":\"", PROJECTION_BYTES_MAX, "\"}");
    refuses(&fold, 2, buf_slice(&payload), "the document would get too large");
    add_padded(&payload, "{\"v\":\"", 100000, "\"}");
    uint64_t seq = 3;
    for (; seq < 13; seq++)
        assert_int_equal(apply(&fold, seq, buf_cstr(&payload)), PROJECTION_CHANGED);
    refuses(&fold, seq++, buf_slice(&payload), "the document would get too large");
    assert_int_equal(apply(&fold, seq++, "{\"v\":\"small\"}"), PROJECTION_CHANGED);
    assert_int_equal(projection_doc_events(fold.doc), 12);
    /* As the very first event. */
    projection_doc_reset(fold.doc);
    add_padded(&payload, "{\"v\":\"", PROJECTION_BYTES_MAX, "\"}");
    refuses(&fold, seq++, buf_slice(&payload), "the document would get too large");
    assert_int_equal(apply(&fold, seq++, "{}"), PROJECTION_CHANGED);
}

static void too_many_members_and_too_deep(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    CLEANUP_BUF struct buf payload = {0};
    (void)state;
    fold_open(&fold, "projections:\n"
                     "  - {name: a, fold: {count: n, merge: $payload.m}}\n");
    (void)apply(&fold, 1, "{\"m\":{\"a\":1}}");
    for (int i = 0; i < 20000; i++)
        buf_addf(&payload, "%s\"k%d\":%d", i ? "," : "{\"m\":{", i, i);
    buf_add_str(&payload, "}}");
    refuses(&fold, 2, buf_slice(&payload), "the document would get too large");
    buf_reset(&payload);
    buf_add_str(&payload, "{\"x\":");
    for (int i = 0; i < PROJECTION_DEPTH_MAX; i++)
        buf_add_char(&payload, '[');
    for (int i = 0; i < PROJECTION_DEPTH_MAX; i++)
        buf_add_char(&payload, ']');
    buf_add_char(&payload, '}');
    refuses(&fold, 3, buf_slice(&payload), "its payload is nested too deep");
    for (uint64_t i = 0; i < PROJECTION_STREAMS_MAX - 1; i++) {
        char stream[16];
        (void)snprintf(stream, sizeof stream, "S%d", (int)i);
        assert_int_equal(apply_at(&fold, stream, 1, "shop.order.o1", "{}"), PROJECTION_CHANGED);
    }
    enum projection_effect effect;
    struct error err = ERROR_NONE;
    assert_int_equal(try_at(&fold, fold.doc, "T", 1, "shop.order.o1", SLICE("{}"), &effect, &err),
                     -1);
    assert_contains(err.text, "it has events in too many streams");
    assert_int_equal(apply(&fold, 4, "{}"), PROJECTION_CHANGED);
}

/* A large document, changed many times: copies are taken and dropped, bytes are as from scratch. */
static void large_documents(void **state)
{
    CLEANUP_FOLD struct fold fold = {0};
    CLEANUP_BUF struct buf payload = {0}, text = {0}, again = {0};
    struct projection_doc *other = projection_doc_new();
    (void)state;
    fold_open(&fold, "projections:\n  - {name: a, fold: {merge: $payload.m, count: n}}\n");
    for (uint64_t seq = 1; seq <= 300; seq++) {
        char before[32];
        (void)snprintf(before, sizeof before, "{\"m\":{\"k%d\":\"", (int)(seq % 97));
        add_padded(&payload, before, (size_t)(seq * 37 % 3000), "\"}}");
        assert_int_equal(apply(&fold, seq, buf_cstr(&payload)), PROJECTION_CHANGED);
        assert_true(projection_doc_room(fold.doc) >= text.len);
        buf_reset(&text);
        projection_doc_write(fold.doc, &text);
    }
    assert_true(text.len > PROJECTION_COPIED_BYTES);
    assert_int_equal(projection_doc_load(other, buf_slice(&text), NULL), 0);
    projection_doc_write(other, &again);
    assert_slice(buf_slice(&again), buf_cstr(&text));
    projection_doc_free(other);
}

/* --- rule files ------------------------------------------------------------------------------- */

static void mistakes(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"projections: 5\n", "m.yaml:1:14: 'projections' is a list"},
        {"projections: [x]\n", "m.yaml:1:15: a projection was expected: a mapping"},
        {"projections:\n  - {name: a}\n", "m.yaml:2:5: a projection needs 'name' and 'fold'"},
        {"projections:\n  - {name: a, fold: {end: true}, if: x}\n",
         "m.yaml:2:34: unknown key 'if' in a projection; known: name, subjects, when, fold"},
        {"projections:\n  - {name: [a], fold: {end: true}}\n", "m.yaml:2:12: a name was expected"},
        {"projections:\n  - {name: a, fold: {end: true}}\n  - {name: a, fold: {end: true}}\n",
         "m.yaml:3:12: there is a projection 'a' already"},
        {"projections:\n  - {name: a, fold: []}\n", "m.yaml:2:21: 'fold' has no step"},
        {"projections:\n  - {name: a, fold: {}}\n", "m.yaml:2:21: steps were expected"},
        {"projections:\n  - {name: a, fold: count}\n", "m.yaml:2:21: steps were expected"},
        {"projections:\n  - {name: a, fold: {limit: 4}}\n", "m.yaml:2:21: steps were expected"},
        {"projections:\n  - {name: a, fold: {add: n}}\n", "m.yaml:2:22: 'add' is no step; last,"},
        {"projections:\n  - {name: a, fold: {count: n, limit: 4}}\n",
         "m.yaml:2:39: 'limit' belongs to an append"},
        {"projections:\n  - {name: a, fold: {append: {l: $payload}, limit: 0}}\n",
         "m.yaml:2:52: a number of items from 1 to 10000 was expected"},
        {"projections:\n  - {name: a, fold: {append: $payload}}\n",
         "m.yaml:2:30: {FIELD: reference} was expected"},
        {"projections:\n  - {name: a, fold: {set: {}}}\n",
         "m.yaml:2:27: {FIELD: reference} was expected"},
        {"projections:\n  - {name: a, fold: {count: []}}\n",
         "m.yaml:2:29: 1 to 64 fields were expected"},
        {"projections:\n  - {name: a, fold: {count: {n: 1}}}\n",
         "m.yaml:2:29: the name of a field was expected"},
        {"projections:\n  - {name: a, fold: {count: $payload.n}}\n",
         "m.yaml:2:29: the name of a field was expected"},
        {"projections:\n  - {name: a, fold: {end: false}}\n",
         "m.yaml:2:27: 'end' takes nothing but true"},
        {"projections:\n  - {name: a, fold: {last: []}}\n",
         "m.yaml:2:28: 1 to 64 references were expected"},
        {"projections:\n  - {name: a, fold: {last: $paylod.x}}\n",
         "m.yaml:2:28: unknown reference '$paylod.x'"},
        {"projections:\n  - {name: a, fold: {last: $raw}}\n",
         "m.yaml:2:28: $raw is for envelopes; $payload is the value itself"},
        {"projections:\n  - {name: a, fold: {last: $remembered.x}}\n",
         "m.yaml:2:28: $remembered is for metrics only"},
        {"projections:\n  - {name: a, when: $remembered.x == 1, fold: {end: true}}\n",
         "m.yaml:2:21: $remembered is for metrics only"},
        {"projections:\n  - {name: a, when: x, fold: {end: true}}\n",
         "m.yaml:2:21: a condition was expected"},
        {"projections:\n  - {name: a, subjects: a..b, fold: {end: true}}\n",
         "m.yaml:2:25: not a subject filter: an empty token"},
    };
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_SCRATCH struct scratch scratch;
        struct projection_rules *rules = NULL;
        struct error err = ERROR_NONE;
        scratch_open(&scratch);
        scratch_write(&scratch, "m.yaml", cases[i].text);
        bool taken = projection_rules_load(scratch.folder, &rules, &err) == 0;
        if (taken || err.code != EXIT_CODE_USAGE || !strstr(err.text, cases[i].want)) {
            print_error("expected: %s\n     got: %s\n", cases[i].want,
                        taken ? "(taken)" : err.text);
            wrong++;
        }
        projection_rules_free(rules);
    }
    assert_int_equal(wrong, 0);
}

static uint64_t fingerprint_of(const char *text)
{
    CLEANUP_SCRATCH struct scratch scratch;
    struct projection_rules *rules = NULL;
    struct error err = ERROR_NONE;
    scratch_open(&scratch);
    scratch_write(&scratch, "m.yaml", text);
    if (projection_rules_load(scratch.folder, &rules, &err) < 0)
        fail_msg("%s", err.text);
    uint64_t fingerprint = projection_rules_fingerprint(rules);
    projection_rules_free(rules);
    return fingerprint;
}

static void fingerprints(void **state)
{
    uint64_t one = fingerprint_of("projections:\n  - {name: a, fold: {count: n}}\n");
    (void)state;
    assert_true(one == fingerprint_of("projections: # the same\n- name: a\n  fold: {count: n}\n"));
    assert_true(one != fingerprint_of("projections:\n  - {name: a, fold: {count: m}}\n"));
    assert_true(fingerprint_of("metrics: []\n") == fingerprint_of("remember: []\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_document),
        cmocka_unit_test(last),
        cmocka_unit_test(the_whole_payload),
        cmocka_unit_test(merge),
        cmocka_unit_test(set_once_and_remove),
        cmocka_unit_test(count),
        cmocka_unit_test(append),
        cmocka_unit_test(end),
        cmocka_unit_test(subjects_and_conditions),
        cmocka_unit_test(old_sequences_change_nothing),
        cmocka_unit_test(events_of_nobody_and_of_no_rule),
        cmocka_unit_test(bytes_and_objects_agree),
        cmocka_unit_test(documents_that_are_none),
        cmocka_unit_test(too_large),
        cmocka_unit_test(too_many_members_and_too_deep),
        cmocka_unit_test(large_documents),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(fingerprints),
    };
    return cmocka_run_group_tests_name("projection", tests, NULL, NULL);
}
