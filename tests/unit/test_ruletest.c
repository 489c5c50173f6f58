/* Tests of rules: what passes, what fails and how it is said, and files that are none. */
#include "unit.h"

#include "fold_rig.h"

#include "fold/ruletest.h"
#include "fold/samples.h"

struct seen {
    size_t passed, failed;
    struct buf diffs;
};

static void note(void *context, const struct ruletest_result *result)
{
    struct seen *seen = context;
    if (result->diff.len)
        seen->failed++;
    else
        seen->passed++;
    buf_add_slice(&seen->diffs, result->diff);
    (void)buf_cstr(&seen->diffs);
}

#define RULES                                                                                      \
    "metrics:\n  - {name: x_total, type: counter, help: h, labels: {d: $domain, p: $payload.p}}\n" \
    "  - {name: y, type: gauge, help: h, value: $payload.v}\n"
#define HEAD "rules: .\ntests:\n  - name: one\n"

static int run_text(const char *test, struct seen *seen, struct error *err)
{
    struct scratch scratch;
    scratch_open(&scratch);
    scratch_write(&scratch, "envelopes.yaml", RIG_ENVELOPES);
    scratch_write(&scratch, "m.yaml", RULES);
    struct scratch tests;
    scratch_open(&tests);
    CLEANUP_FREE char *path = xasprintf("%s/t.yaml", tests.folder);
    CLEANUP_FREE char *text = xasprintf("%s", test);
    char *at = strstr(text, "rules: .");
    CLEANUP_FREE char *whole =
        at ? xasprintf("rules: %s%s", scratch.folder, at + strlen("rules: .")) : xstrdup(text);
    scratch_write(&tests, "t.yaml", whole);
    scratch_write(&tests, "e.jsonl", "{\"subject\":\"f.b\",\"payload\":{\"p\":\"q\"}}\n");
    int rc = ruletest_run(path, note, seen, err);
    scratch_close(&tests);
    scratch_close(&scratch);
    return rc;
}

static void fails_with(const char *rest, const char *diff)
{
    struct seen seen = {0};
    struct error err = ERROR_NONE;
    CLEANUP_FREE char *test = xasprintf(HEAD "    events:\n"
                                             "      - {subject: a.b, payload: {p: q, v: 2}}\n"
                                             "      - {subject: c.b, payload: {v: 2.5}}\n%s",
                                        rest);
    if (run_text(test, &seen, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(seen.passed, *diff == 0);
    assert_slice(buf_slice(&seen.diffs), diff);
    buf_done(&seen.diffs);
}

static void what_is_there_passes(void **state)
{
    (void)state;
    fails_with("    expect: ['x_total{p=\"q\", d=\"a\"} 1', 'x_total{d=\"c\"} 1.0', y 2.5]\n"
               "    only: [x_total, y]\n    absent: ['x_total{d=\"c\",p=\"q\"}', z_total]\n",
               "");
    fails_with("    expect: |\n      # a block of lines\n      y 2.5\n\n", "");
}

static void what_differs_is_said(void **state)
{
    (void)state;
    fails_with("    expect: ['y 3']\n", "  - y 3\n  + y 2.5\n");
    fails_with("    expect: ['x_total{d=\"b\"} 1', 'x_total{d=\"e\"} 1']\n",
               "  - x_total{d=\"b\"} 1\n  + x_total{d=\"a\",p=\"q\"} 1\n"
               "  + x_total{d=\"c\"} 1\n  - x_total{d=\"e\"} 1\n");
    fails_with("    expect: ['x_total{d=\"c\"} 1']\n    only: [x_total]\n",
               "  + x_total{d=\"a\",p=\"q\"} 1\n");
    fails_with("    absent: [x_total]\n",
               "  + x_total{d=\"a\",p=\"q\"} 1\n  + x_total{d=\"c\"} 1\n");
    fails_with("    absent: ['x_total{d=\"c\"}']\n", "  + x_total{d=\"c\"} 1\n");
}

static void a_file_of_events_comes_first(void **state)
{
    struct seen seen = {0};
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(run_text(HEAD "    file: e.jsonl\n    expect: ['x_total{d=\"f\",p=\"q\"} 1']\n"
                                   "  - name: two\n    file: e.jsonl\n"
                                   "    events: [{subject: f.b, payload: '{\"p\":\"q\"}', at: "
                                   "2026-01-01T00:00:09Z}]\n"
                                   "    expect: ['x_total{d=\"f\",p=\"q\"} 2']\n",
                              &seen, &err),
                     0);
    assert_int_equal(seen.passed, 2);
    buf_done(&seen.diffs);
}

static void refuses(const char *test, const char *why)
{
    struct seen seen = {0};
    struct error err = ERROR_NONE;
    if (run_text(test, &seen, &err) == 0)
        fail_msg("taken: %s", test);
    assert_int_equal(err.code, EXIT_CODE_USAGE);
    assert_contains(err.text, why);
    assert_contains(err.text, "t.yaml:");
    buf_done(&seen.diffs);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    refuses("tests: []\n", "'rules', a folder");
    refuses("rules: .\ntests: 3\n", "a list 'tests'");
    refuses("rules: .\ntests: [{}]\n", "a test needs a 'name'");
    refuses("rules: .\ntests: [{name: x, expects: [a 1]}]\n", "unknown key 'expects'");
    refuses(HEAD "    expect: [a 1]\n", "a test needs 'events' or 'file'");
    refuses(HEAD "    events: []\n", "a test needs 'expect' or 'absent'");
    refuses(HEAD "    events: [{subject: a}]\n", "an event needs 'subject' and 'payload'");
    refuses(HEAD "    events: [{subject: a, payload: {}, at: noon}]\n", "a time such as");
    refuses(HEAD "    events: [{subject: a, payload: {}, headers: [a]}]\n", "'headers' is a map");
    refuses(HEAD "    events: []\n    expect: ['x_total{a=b} 1']\n", "a sample such as");
    refuses(HEAD "    events: []\n    expect: ['x_total']\n", "a sample such as");
    refuses(HEAD "    events: []\n    absent: ['x_total 1']\n", "a series such as");
    refuses(HEAD "    file: none.jsonl\n    absent: [x]\n", "none.jsonl");
}

static void samples_are_compared_by_meaning(void **state)
{
    CLEANUP_SAMPLES struct samples samples = {0};
    (void)state;
    assert_true(samples_add(&samples, SLICE("a{y=\"1\", x=\"}\\\",\",} +Inf"), true));
    assert_non_null(samples_find(&samples, "a{x=\"}\\\",\",y=\"1\"}"));
    assert_true(samples_add(&samples, SLICE("b{} NaN"), true));
    assert_non_null(samples_find(&samples, "b"));
    static const char *const bad[] = {"",
                                      "1a 1",
                                      "a",
                                      "a{ 1",
                                      "a{x} 1",
                                      "a{x=1} 1",
                                      "a{x=\"1\"",
                                      "a{x=\"1} 1",
                                      "a 1 2",
                                      "a{,} 1",
                                      "a{x=\"1\" y=\"2\"} 1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (samples_add(&samples, slice_of(bad[i]), true))
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(samples.count, 2);
    assert_true(sample_values_agree(0.1 + 0.2, 0.3));
    assert_false(sample_values_agree(1, 1.0001));
    assert_true(sample_values_agree(samples.items[1].value, samples.items[1].value));
    assert_false(sample_values_agree(samples.items[1].value, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_passes),
        cmocka_unit_test(what_differs_is_said),
        cmocka_unit_test(a_file_of_events_comes_first),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(samples_are_compared_by_meaning),
    };
    return cmocka_run_group_tests_name("ruletest", tests, NULL, NULL);
}
