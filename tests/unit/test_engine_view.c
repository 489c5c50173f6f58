/* The event view of every scheme that the shipped envelopes cover: data/events.jsonl, line by line.
 */
#include "unit.h"

#include <jansson.h>

#include "base/instant.h"
#include "fold_rig.h"

#define EVENTS_FILE "tests/unit/data/events.jsonl"
#define CORPUS_FILE "tests/corpus/cim-events.jsonl" /* its views: tests/system/inspect.test.mjs */

/* Checks one field of the view against its text in the table; what the table lacks must be absent.
 */
static size_t compare(const char *where, const char *name, struct slice have, json_t *want)
{
    const char *text = json_string_value(json_object_get(want, name));
    if (text ? slice_present(have) && slice_eq(have, slice_of(text)) : !slice_present(have))
        return 0;
    print_error("%s: %s is '%.*s', expected '%s'\n", where, name, SLICE_ARG(have),
                text ? text : "(absent)");
    return 1;
}

static size_t compare_view(const char *where, const struct event_view *view, const char *envelope,
                           json_t *want)
{
    char when[INSTANT_TEXT_MAX];
    size_t wrong = compare(where, "envelope", slice_of(envelope), want);
    for (size_t f = 0; f < EVENT_OCCURRED_AT; f++)
        wrong += compare(where, event_field_name((enum event_field)f), view->field[f], want);
    size_t len = view->has_occurred_at ? instant_format(view->occurred_at_ns, when) : 0;
    struct slice occurred_at = len ? (struct slice){when, len} : SLICE_ABSENT;
    return wrong + compare(where, "occurred_at", occurred_at, want);
}

/* The payload, which the input points to. */
static char *read_input(json_t *line, struct event_header *headers, struct event_input *input)
{
    const char *name;
    json_t *value;
    char *payload = json_dumps(json_object_get(line, "payload"), JSON_COMPACT | JSON_ENCODE_ANY);
    input->subject = slice_of(json_string_value(json_object_get(line, "subject")));
    input->payload = slice_of(payload);
    input->headers = headers;
    json_object_foreach(json_object_get(line, "headers"), name, value)
        headers[input->header_count++] =
            (struct event_header){slice_of(name), slice_of(json_string_value(value))};
    return payload;
}

static size_t check_line(struct rig *rig, json_t *line, const char *where)
{
    struct event_header headers[EVENT_HEADERS_MAX];
    struct event_input input = {.seq = 1};
    struct event_view view;
    const char *envelope = NULL, *why = NULL;
    CLEANUP_FREE char *payload = read_input(line, headers, &input);
    assert_non_null(payload);
    if (!engine_view(rig->engine, &input, &view, &envelope, &why)) {
        print_error("%s: malformed: %s\n", where, why);
        return 1;
    }
    return compare_view(where, &view, envelope, json_object_get(line, "view"));
}

/* Calls back for each line of the table; returns how many there were. */
static size_t each_line(struct rig *rig, const char *file,
                        size_t (*check)(struct rig *, json_t *, const char *), size_t *ret_wrong)
{
    CLEANUP_BUF struct buf bytes = {0};
    struct error err = ERROR_NONE;
    size_t lines = 0;
    if (file_read(file, 1 << 20, &bytes, &err) < 0)
        fail_msg("%s (the tests run in the repository's root)", err.text);
    struct slice rest = buf_slice(&bytes), text;
    while (slice_cut(&rest, '\n', &text) && text.len) {
        json_error_t why;
        CLEANUP_FREE char *where = xasprintf("%s:%zu", file, ++lines);
        json_t *line = json_loadb(text.ptr, text.len, 0, &why);
        if (!line)
            fail_msg("%s: %s", where, why.text);
        *ret_wrong += check(rig, line, where);
        json_decref(line);
    }
    return lines;
}

static void every_scheme_has_its_view(void **state)
{
    CLEANUP_RIG struct rig rig;
    size_t wrong = 0;
    (void)state;
    rig_open_shipped(&rig);
    assert_true(each_line(&rig, EVENTS_FILE, check_line, &wrong) >= 37);
    assert_int_equal(wrong, 0);
    /* Again, now that every class is known. */
    (void)each_line(&rig, EVENTS_FILE, check_line, &wrong);
    assert_int_equal(wrong, 0);
}

static size_t note_envelope(struct rig *rig, json_t *line, const char *where)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(line, "view"), "envelope"));
    (void)where;
    buf_addf(&rig->reports, "%s;", name);
    return 0;
}

static size_t note_own_envelope(struct rig *rig, json_t *line, const char *where)
{
    struct event_input input = {.seq = 1};
    struct event_header headers[EVENT_HEADERS_MAX];
    struct event_view view;
    const char *envelope, *why;
    CLEANUP_FREE char *payload = read_input(line, headers, &input);
    assert_non_null(payload);
    if (!engine_view(rig->engine, &input, &view, &envelope, &why))
        fail_msg("%s: %s", where, why);
    buf_addf(&rig->reports, "%s;", envelope);
    return 0;
}

static void every_shipped_envelope_has_an_example(void **state)
{
    CLEANUP_RIG struct rig rig;
    size_t wrong = 0;
    (void)state;
    rig_open_shipped(&rig);
    (void)each_line(&rig, EVENTS_FILE, note_envelope, &wrong);
    (void)each_line(&rig, CORPUS_FILE, note_own_envelope, &wrong);
    for (size_t i = 0; i < rig.rules->envelope_count; i++) {
        CLEANUP_FREE char *want = xasprintf("%.*s;", SLICE_ARG(rig.rules->envelopes[i].name));
        if (!strstr(buf_cstr(&rig.reports), want))
            print_error("%s has no example\n", want), wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* --- malformed, or merely odd ----------------------------------------------------------------- */

static bool view_of(struct rig *rig, const char *subject, struct slice payload,
                    struct event_view *ret, const char **ret_why)
{
    struct event_input input = {.subject = slice_of(subject), .payload = payload, .seq = 1};
    const char *envelope;
    return engine_view(rig->engine, &input, ret, &envelope, ret_why);
}

static void what_cannot_be_read_is_malformed(void **state)
{
    static const struct slice bad[] = {SLICE_ABSENT,         SLICE(""),
                                       SLICE("  "),          SLICE("{\"a\":"),
                                       SLICE("ping"),        SLICE("{\"a\":\"\xff\"}"),
                                       SLICE("{\"a\":1} x"), SLICE("{'a':1}")};
    CLEANUP_RIG struct rig rig;
    struct event_view view;
    const char *why;
    (void)state;
    rig_open_shipped(&rig);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        why = NULL;
        assert_false(view_of(&rig, "git.ack.x", bad[i], &view, &why));
        assert_non_null(why);
    }
    struct event_input input = {
        .subject = SLICE("git.ack.x"), .payload = SLICE("{}"), .header_count = -1};
    const char *envelope;
    assert_false(engine_view(rig.engine, &input, &view, &envelope, &why));
    assert_string_equal(why, "the header block is broken");
}

static void odd_subjects_are_events_all_the_same(void **state)
{
    static const char *const subjects[] = {"",
                                           ".",
                                           "..",
                                           "cim.agent.alchemist.events..restarted",
                                           "a",
                                           "infrastructure.compute..x",
                                           "ops....",
                                           "person.events",
                                           "network.a.b.c"};
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf deep = {0};
    struct event_view view;
    const char *why;
    (void)state;
    rig_open_shipped(&rig);
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        assert_true(view_of(&rig, subjects[i], SLICE("{}"), &view, &why));
    for (int i = 0; i < 500; i++)
        buf_add_str(&deep, i ? ".x" : "events");
    assert_true(view_of(&rig, buf_cstr(&deep), SLICE("{}"), &view, &why));
    assert_slice(view.field[EVENT_DOMAIN], "x");
}

/* A byte array whose bytes are no JSON is itself JSON: an event, if one that says little. */
static void an_array_of_numbers_is_an_event(void **state)
{
    CLEANUP_RIG struct rig rig;
    struct event_view view;
    const char *why = "";
    (void)state;
    rig_open_shipped(&rig);
    static const char *const arrays[] = {"[1,2,3]", "[]", "[256]", "[1,2", "[1,]", "[123,125]"};
    static const bool good[] = {true, true, true, false, false, true};
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        if (view_of(&rig, "infrastructure.compute.x.y", slice_of(arrays[i]), &view, &why) !=
            good[i])
            fail_msg("%s: %s", arrays[i], why);
    }
}

static void empty_texts_are_absent(void **state)
{
    CLEANUP_RIG struct rig rig;
    struct event_view view;
    const char *why;
    (void)state;
    rig_open_shipped(&rig);
    assert_true(view_of(&rig, "ops.x.y.z.T",
                        SLICE("{\"event_id\":\"\",\"aggregate_id\":null,\"event_type\":\"\","
                              "\"timestamp\":\"soon\",\"correlation_id\":{},\"causation_id\":[]}"),
                        &view, &why));
    assert_absent(view.field[EVENT_ID]);
    assert_slice(view.field[EVENT_AGGREGATE_ID], "z");
    assert_slice(view.field[EVENT_TYPE], "T");
    assert_absent(view.field[EVENT_CORRELATION_ID]);
    assert_absent(view.field[EVENT_CAUSATION_ID]);
    assert_absent(view.field[EVENT_OCCURRED_AT]);
    assert_false(view.has_occurred_at);
}

static void escapes_are_decoded_in_fields(void **state)
{
    CLEANUP_RIG struct rig rig;
    struct event_view view;
    const char *why;
    (void)state;
    rig_open_shipped(&rig);
    assert_true(view_of(&rig, "ops.x.y.z.T",
                        SLICE("{\"event_type\":\"Gr\\u00f6\\u00dfe\",\"aggregate_id\":\"a\\/b\"}"),
                        &view, &why));
    assert_slice(view.field[EVENT_TYPE], "Gr\xc3\xb6\xc3\x9f"
                                         "e");
    assert_slice(view.field[EVENT_AGGREGATE_ID], "a/b");
}

static void subjects_tell_their_domain(void **state)
{
    static const char *const cases[][2] = {
        {"person.events.x.created", "person"},
        {"events.workflow.x.y", "workflow"},
        {"ops.gpu.device.1.Lost", "gpu"},
        {"git.event.commit.analyzed", "git"},
        {"cim.cim.cim.document.a.b.c.d", "document"},
        {"", "unknown"},
        {"Weather.station.7", "weather"},
        {"a2345678901234567890123456789012345678901234567890123456789012345678901234567890.x",
         "a23456789012345678901234567890123456789012345678901234567890123"}};
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char domain[DOMAIN_TEXT_MAX];
        engine_domain_of(rig.engine, slice_of(cases[i][0]), domain);
        assert_string_equal(domain, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme_has_its_view),
        cmocka_unit_test(every_shipped_envelope_has_an_example),
        cmocka_unit_test(what_cannot_be_read_is_malformed),
        cmocka_unit_test(odd_subjects_are_events_all_the_same),
        cmocka_unit_test(an_array_of_numbers_is_an_event),
        cmocka_unit_test(empty_texts_are_absent),
        cmocka_unit_test(escapes_are_decoded_in_fields),
        cmocka_unit_test(subjects_tell_their_domain),
    };
    return cmocka_run_group_tests_name("engine_view", tests, NULL, NULL);
}
