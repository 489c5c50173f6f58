/* Regular expressions and maps in labels, keys and values. */
#include "unit.h"

#include "fold_rig.h"

static void open_labelled(struct rig *rig, const char *label)
{
    CLEANUP_FREE char *rules = xasprintf(
        "metrics:\n  - {name: x_total, type: counter, help: h, labels: {l: %s}}\n", label);
    rig_open(rig, RIG_ENVELOPES, rules);
}

static void a_map_names_what_it_knows_and_leaves_the_rest(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    open_labelled(&rig, "{from: $payload.p, map: {ollama: local, b: second, anthropic: cloud}}");
    assert_true(rig_fold(&rig, 1, "a", "{\"p\":\"ollama\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"p\":\"anthropic\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "a", "{\"p\":\"b\"}") >= 0);
    assert_true(rig_fold(&rig, 4, "a", "{\"p\":\"other\"}") >= 0);
    assert_true(rig_fold(&rig, 5, "a", "{}") >= 0);
    rig_shows(&rig, "x_total{l=\"local\"} 1");
    rig_shows(&rig, "x_total{l=\"cloud\"} 1");
    rig_shows(&rig, "x_total{l=\"second\"} 1");
    rig_shows(&rig, "x_total{l=\"other\"} 1");
    rig_shows(&rig, "x_total 1"); /* absent stays absent: the map has nothing to look up */
}

static void a_map_with_a_default_knows_everything(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    open_labelled(&rig, "{from: [$payload.p, none], map: {none: none, x: y, default: other}}");
    assert_true(rig_fold(&rig, 1, "a", "{\"p\":\"x\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"p\":\"zzz\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "a", "{}") >= 0);
    rig_shows(&rig, "x_total{l=\"y\"} 1");
    rig_shows(&rig, "x_total{l=\"other\"} 1");
    rig_shows(&rig, "x_total{l=\"none\"} 1");
}

static void a_pattern_takes_its_group(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    open_labelled(&rig, "{from: $payload.p, regex: '^([a-z]+)-[0-9]+$'}");
    assert_true(rig_fold(&rig, 1, "a", "{\"p\":\"rack-17\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"p\":\"rack-18\"}") >= 0); /* not what 17 was kept as */
    assert_true(rig_fold(&rig, 3, "a", "{\"p\":\"rack-17\"}") >= 0); /* kept */
    assert_true(rig_fold(&rig, 4, "a", "{\"p\":\"Rack\"}") >= 0);
    rig_shows(&rig, "x_total{l=\"rack\"} 3");
    rig_shows(&rig, "x_total{l=\"Rack\"} 1");
}

static void a_pattern_with_replacement_otherwise_and_map(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    open_labelled(&rig, "{from: $payload.p, regex: '([0-9])x(y)?', replace: '$$$1/$2', "
                        "otherwise: rest, map: {'$4/': four}}");
    assert_true(rig_fold(&rig, 1, "a", "{\"p\":\"ab7xyz\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"p\":\"4x\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "a", "{\"p\":\"q\"}") >= 0);
    rig_shows(&rig, "x_total{l=\"$7/y\"} 1");
    rig_shows(&rig, "x_total{l=\"four\"} 1");
    rig_shows(&rig, "x_total{l=\"rest\"} 1");
}

static void long_texts_go_without_a_memo(void **state)
{
    CLEANUP_RIG struct rig rig;
    char text[400], payload[500];
    (void)state;
    open_labelled(&rig, "{from: $payload.p, regex: '^(a+)b', replace: '$1$1'}");
    memset(text, 'a', 80);
    (void)snprintf(text + 80, sizeof text - 80, "b");
    (void)snprintf(payload, sizeof payload, "{\"p\":\"%s\"}", text);
    assert_true(rig_fold(&rig, 1, "a", payload) >= 0);
    assert_true(rig_fold(&rig, 2, "a", payload) >= 0);
    CLEANUP_FREE char *shown = rig_exposition(&rig);
    const char *at = strstr(shown, "x_total{l=\"");
    assert_non_null(at);
    assert_int_equal(strspn(at + 11, "a"), 160);
    assert_contains(shown, "aaa\"} 2\n");
}

static void class_fields_are_rewritten_too(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    open_labelled(&rig, "{from: $event_type, regex: '(Failed|Completed)$', otherwise: going}");
    assert_true(rig_fold(&rig, 1, "a", "{\"type\":\"StepFailed\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"type\":\"StepStarted\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "a", "{\"type\":\"StepFailed\"}") >= 0);
    assert_true(rig.rules->metrics[0].class_labels);
    rig_shows(&rig, "x_total{l=\"Failed\"} 2");
    rig_shows(&rig, "x_total{l=\"going\"} 1");
}

static void a_value_may_be_a_state_by_name(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_health, type: gauge, help: h, value: {from: $payload.s, "
             "map: {healthy: 1, degraded: 0.5, default: 0}}}\n");
    assert_true(rig_fold(&rig, 1, "a", "{\"s\":\"degraded\"}") >= 0);
    rig_shows(&rig, "x_health 0.5");
    assert_true(rig_fold(&rig, 2, "a", "{\"s\":\"gone\"}") >= 0);
    rig_shows(&rig, "x_health 0");
    assert_true(rig_fold(&rig, 3, "a", "{\"s\":\"healthy\"}") >= 0);
    rig_shows(&rig, "x_health 1");
    assert_true(rig_fold(&rig, 4, "a", "{}") >= 0); /* says nothing */
    rig_shows(&rig, "x_health 1");
}

static uint64_t fingerprint_of(const char *label)
{
    CLEANUP_RIG struct rig rig;
    open_labelled(&rig, label);
    return rig.rules->metrics[0].fingerprint;
}

static void a_changed_map_or_pattern_is_another_rule(void **state)
{
    uint64_t map = fingerprint_of("{from: $payload.p, map: {a: b, c: d}}");
    uint64_t regex = fingerprint_of("{from: $payload.p, regex: '(a)', replace: x$1}");
    (void)state;
    assert_true(map == fingerprint_of("{from: $payload.p, map: {a: 'b', \"c\": d}}"));
    assert_true(map != fingerprint_of("{from: $payload.p, map: {a: b, c: e}}"));
    assert_true(map != fingerprint_of("{from: $payload.p, map: {a: b, c: d, default: x}}"));
    assert_true(regex != fingerprint_of("{from: $payload.p, regex: '(b)', replace: x$1}"));
    assert_true(regex != fingerprint_of("{from: $payload.p, regex: '(a)', replace: y$1}"));
    assert_true(regex !=
                fingerprint_of("{from: $payload.p, regex: '(a)', replace: x$1, otherwise: y}"));
}

static void refuses(const char *label, const char *why)
{
    struct rig rig = {0};
    struct error err = ERROR_NONE;
    CLEANUP_FREE char *rules = xasprintf(
        "metrics:\n  - {name: x_total, type: counter, help: h, labels: {l: %s}}\n", label);
    assert_int_equal(rig_load(&rig, RIG_ENVELOPES, rules, &err), -1);
    assert_contains(err.text, "m.yaml:2:");
    assert_contains(err.text, why);
    scratch_close(&rig.scratch);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    refuses("{map: {a: b}}", "with 'from'");
    refuses("{from: $domain}", "'regex' or 'map' was expected");
    refuses("{from: {from: $domain, map: {a: b}}, map: {a: b}}", "with 'from'");
    refuses("{from: $domain, map: [a]}", "'map' is a mapping");
    refuses("{from: $domain, map: {}}", "'map' is a mapping");
    refuses("{from: $domain, map: {a: [b]}}", "a text was expected");
    refuses("{from: $domain, regex: '('}", "not an extended regular expression");
    refuses("{from: $domain, regex: a}", "'replace' was expected, or a group");
    refuses("{from: $domain, regex: (a), replace: $2}", "(this pattern has 1)");
    refuses("{from: $domain, regex: (a), replace: a$}", "behind '$'");
    refuses("{from: $domain, map: {a: b}, otherwise: c}", "go with 'regex'");
    refuses("{from: $domain, maps: {a: b}}", "unknown key 'maps'");
    struct rig rig = {0};
    struct error err = ERROR_NONE;
    assert_int_equal(rig_load(&rig,
                              "envelopes:\n  - {name: e, subjects: \">\", domain: {from: "
                              "$payload.d, map: {a: b}}}\n",
                              NULL, &err),
                     -1);
    assert_contains(err.text, "not for envelopes");
    scratch_close(&rig.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_names_what_it_knows_and_leaves_the_rest),
        cmocka_unit_test(a_map_with_a_default_knows_everything),
        cmocka_unit_test(a_pattern_takes_its_group),
        cmocka_unit_test(a_pattern_with_replacement_otherwise_and_map),
        cmocka_unit_test(long_texts_go_without_a_memo),
        cmocka_unit_test(class_fields_are_rewritten_too),
        cmocka_unit_test(a_value_may_be_a_state_by_name),
        cmocka_unit_test(a_changed_map_or_pattern_is_another_rule),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
