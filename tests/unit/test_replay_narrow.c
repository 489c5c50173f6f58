/* narrow: what the server is asked for covers what is meant, never less. */
#include "unit.h"

#include <jansson.h>

#include "act/replay/narrow.h"
#include "bus/stream.h"
#include "fold_rig.h"

/* Few tokens, so that subjects and filters meet. */
static void add_subject(struct buf *out, uint64_t *seed, bool wild)
{
    static const char *const tokens[] = {"a", "b", "cc", "*"};
    size_t count = 1 + random_below(seed, 4);
    buf_reset(out);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(out, '.');
        if (wild && i + 1 == count && random_below(seed, 4) == 0)
            buf_add_char(out, '>');
        else
            buf_add_str(out, tokens[random_below(seed, wild ? 4 : 3)]);
    }
}

static void the_joined_filter_takes_every_subject(void **state)
{
    uint64_t seed = 5;
    CLEANUP_BUF struct buf common = {0}, all = {0}, one = {0};
    (void)state;
    for (int round = 0; round < 5000; round++) {
        size_t count = 1 + random_below(&seed, 6);
        buf_reset(&common);
        buf_reset(&all);
        for (size_t i = 0; i < count; i++) {
            add_subject(&one, &seed, false);
            narrow_join(&common, buf_slice(&one));
            buf_addf(&all, "%s ", buf_cstr(&one));
        }
        assert_true(subject_is_filter(buf_slice(&common)));
        struct slice rest = buf_slice(&all), subject;
        while (slice_cut(&rest, ' ', &subject) && subject.len) {
            if (!subject_matches(buf_slice(&common), subject))
                fail_msg("%s does not take %.*s of %s", buf_cstr(&common), SLICE_ARG(subject),
                         buf_cstr(&all));
        }
        if (count == 1) /* and no more than need be */
            assert_true(slice_eq(slice_trim(buf_slice(&all)), buf_slice(&common)));
    }
}

static void the_joined_filter_is_as_narrow_as_one_filter_can_be(void **state)
{
    static const char *const cases[][3] = {
        {"events.workflow.w1.created", "events.workflow.w1.started", "events.workflow.w1.*"},
        {"events.workflow.w1.created", "events.workflow.w2.started", "events.workflow.*.*"},
        {"events.workflow.w1", "events.workflow.w1.started", "events.workflow.>"},
        {"a", "b", "*"},
        {"a", "b.c", ">"},
        {"a.>", "a.b.c", "a.>"},
        {"a.*", "a.b", "a.*"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf common = {0};
        narrow_join(&common, slice_of(cases[i][0]));
        narrow_join(&common, slice_of(cases[i][1]));
        struct slice have = buf_slice(&common), want = slice_of(cases[i][2]);
        bool covers = subject_covers(have, slice_of(cases[i][0])) &&
                      subject_covers(have, slice_of(cases[i][1]));
        if (!covers)
            fail_msg("%s does not cover %s", buf_cstr(&common), cases[i][0]);
        /* Not wider than one of the two asked for. */
        if (!subject_covers(want, have) && !subject_covers(have, want))
            fail_msg("%s, expected %s", buf_cstr(&common), cases[i][2]);
    }
}

/* Held against every subject of up to four tokens. */
static void filters_cover_and_overlap_as_their_subjects_do(void **state)
{
    static const char *const tokens[] = {"a", "b", "cc", "d"}; /* d: in no filter */
    uint64_t seed = 11;
    CLEANUP_BUF struct buf a = {0}, b = {0}, subject = {0};
    (void)state;
    for (int round = 0; round < 1500; round++) {
        bool covers = true, overlap = false;
        add_subject(&a, &seed, true);
        add_subject(&b, &seed, true);
        for (unsigned n = 0; n < 4 + 16 + 64 + 256 + 1024; n++) {
            unsigned length = n < 4 ? 1 : n < 20 ? 2 : n < 84 ? 3 : n < 340 ? 4 : 5;
            unsigned digits = n < 4     ? n
                              : n < 20  ? n - 4
                              : n < 84  ? n - 20
                              : n < 340 ? n - 84
                                        : n - 340;
            buf_reset(&subject);
            for (unsigned i = 0; i < length; i++, digits /= 4)
                buf_addf(&subject, "%s%s", i ? "." : "", tokens[digits % 4]);
            bool by_a = subject_matches(buf_slice(&a), buf_slice(&subject));
            bool by_b = subject_matches(buf_slice(&b), buf_slice(&subject));
            covers = covers && (by_a || !by_b);
            overlap = overlap || (by_a && by_b);
        }
        if (subject_covers(buf_slice(&a), buf_slice(&b)) != covers)
            fail_msg("%s covers %s: %d", buf_cstr(&a), buf_cstr(&b), covers);
        if (subject_filters_overlap(buf_slice(&a), buf_slice(&b)) != overlap)
            fail_msg("%s and %s overlap: %d", buf_cstr(&a), buf_cstr(&b), overlap);
    }
}

/* What an event says of itself, its subject alone must not deny. */
static size_t check_line(struct rig *rig, json_t *line, size_t *ret_denied)
{
    static const enum event_field fields[] = {EVENT_DOMAIN, EVENT_AGGREGATE_ID, EVENT_TYPE};
    struct event_header headers[EVENT_HEADERS_MAX];
    struct event_input input = {.subject =
                                    slice_of(json_string_value(json_object_get(line, "subject"))),
                                .headers = headers,
                                .seq = 1};
    struct event_view view;
    const char *envelope, *why, *name;
    json_t *value;
    size_t wrong = 0;
    CLEANUP_FREE char *payload =
        json_dumps(json_object_get(line, "payload"), JSON_COMPACT | JSON_ENCODE_ANY);
    input.payload = slice_of(payload);
    json_object_foreach(json_object_get(line, "headers"), name, value)
        headers[input.header_count++] =
            (struct event_header){slice_of(name), slice_of(json_string_value(value))};
    if (!engine_view(rig->engine, &input, &view, &envelope, &why))
        return 0;
    char *texts[ARRAY_LEN(fields)];
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct slice text = view.field[fields[i]];
        bool usable = slice_present(text) && text.len && !memchr(text.ptr, ',', text.len);
        texts[i] = usable ? xstrndup(text.ptr, text.len) : NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (texts[i] && !engine_subject_may(rig->engine, input.subject, fields[i], texts[i])) {
            print_error("%.*s: %s %s is denied\n", SLICE_ARG(input.subject),
                        event_field_name(fields[i]), texts[i]);
            wrong++;
        }
        *ret_denied += !engine_subject_may(rig->engine, input.subject, fields[i], "no-such-text");
        free(texts[i]);
    }
    return wrong;
}

static size_t check_file(struct rig *rig, const char *file, size_t *ret_lines, size_t *ret_denied)
{
    CLEANUP_BUF struct buf bytes = {0};
    struct error err = ERROR_NONE;
    size_t wrong = 0;
    if (file_read(file, 4 << 20, &bytes, &err) < 0)
        fail_msg("%s (the tests run in the repository's root)", err.text);
    struct slice rest = buf_slice(&bytes), text;
    while (slice_cut(&rest, '\n', &text) && text.len) {
        json_t *line = json_loadb(text.ptr, text.len, 0, NULL);
        assert_non_null(line);
        wrong += check_line(rig, line, ret_denied);
        (*ret_lines)++;
        json_decref(line);
    }
    return wrong;
}

static void a_subject_never_denies_what_its_event_says(void **state)
{
    CLEANUP_RIG struct rig rig;
    size_t lines = 0, denied = 0;
    (void)state;
    rig_open_shipped(&rig);
    assert_int_equal(check_file(&rig, "tests/corpus/cim-events.jsonl", &lines, &denied), 0);
    assert_int_equal(check_file(&rig, "tests/unit/data/events.jsonl", &lines, &denied), 0);
    assert_true(lines > 60);
    assert_true(denied > lines / 2); /* and it does deny what cannot be */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_joined_filter_takes_every_subject),
        cmocka_unit_test(the_joined_filter_is_as_narrow_as_one_filter_can_be),
        cmocka_unit_test(filters_cover_and_overlap_as_their_subjects_do),
        cmocka_unit_test(a_subject_never_denies_what_its_event_says),
    };
    return cmocka_run_group_tests_name("replay_narrow", tests, NULL, NULL);
}
