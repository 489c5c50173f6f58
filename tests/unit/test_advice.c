/* Warnings about labels: personal, free text, without a bound; and how to say that it is meant. */
#include "unit.h"

#include "fold/advice.h"
#include "fold_rig.h"

static void keep(void *context, const char *text)
{
    buf_add_str(context, text);
    buf_add_char(context, '\n');
    (void)buf_cstr(context);
}

/* The warnings for one label; "" when there is none. */
static void advises(const char *label, const char *more, const char *want)
{
    struct rig rig = {0};
    struct error err = ERROR_NONE;
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_FREE char *rules = xasprintf(
        "remember:\n  - {name: title, when: $domain exists, key: $aggregate_id, value: "
        "$payload.title}\n"
        "  - {name: kind, when: $domain exists, key: $aggregate_id, value: $payload.title, "
        "accept: there are three of them}\n"
        "metrics:\n  - name: x_total\n    type: counter\n    help: h\n    labels: {l: %s}\n%s",
        label, more);
    if (rig_load(&rig, RIG_ENVELOPES, rules, &err) < 0)
        fail_msg("%s", err.text);
    size_t count = rules_advise(rig.rules, keep, &text);
    if (count != (*want ? 1 : 0) || (*want && !strstr(text.ptr, want)))
        fail_msg("%s: %zu warnings, wanted '%s'\n%s", label, count, want, text.ptr);
    if (count)
        assert_contains(text.ptr, "m.yaml:8:17: warning: x_total: label 'l'");
    rules_free(rig.rules);
    scratch_close(&rig.scratch);
}

static void labels_are_judged_by_the_fields_name(void **state)
{
    static const struct {
        const char *label, *want;
    } cases[] = {
        {"$domain", ""},
        {"$payload.status", ""},
        {"$payload.created.kind", ""},
        {"constant", ""},
        {"'$subject[1]'", ""},
        {"$header.X-Domain", ""},
        {"$payload.PersonCreated.name.components.given_names", "personal"},
        {"$payload.contact.eMail", "personal"},
        {"$payload.birth-date", "personal"},
        {"$payload.address.city", "personal"},
        {"$header.X-User-ID", "personal"},
        {"$payload.userName", "personal"},
        {"$payload.IPAddress", "personal"},
        {"$payload.emails", "personal"},
        {"$payload.street1", "personal"},
        {"$payload.password", "personal"},
        {"$payload.created_by", "personal"},
        {"$payload.standby", ""},
        {"$payload.by", ""},
        {"$payload.namespace", ""},
        {"$payload.HTTPStatus", ""},
        {"$payload.error", "free text"},
        {"$payload.*.reason", "free text"},
        {"$payload.error.kind", ""},
        {"$text", "free text"},
        {"$aggregate_id", "no bound"},
        {"$correlation_id", "no bound"},
        {"$occurred_at", "no bound"},
        {"$delay", "no bound"},
        {"'$subject[1:]'", "no bound"},
        {"$payload.step_id", "no bound"},
        {"$payload.created_at", "no bound"},
        {"$payload.at.rack", ""},
        {"[$payload.status, $payload.step_id]", "no bound"},
        {"$remembered.title", "free text"},
        {"$remembered.kind", ""},
        {"{from: $payload.name, map: {a: b}}", "personal"},
        {"{from: $payload.name, map: {a: b, default: other}}", ""},
        {"{from: $payload.name, regex: '^(.)'}", "personal"},
        {"{from: $payload.path, regex: '^/api', replace: api, otherwise: page}", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        advises(cases[i].label, "", cases[i].want);
}

static void what_is_meant_can_be_said(void **state)
{
    (void)state;
    advises("$payload.name", "    accept: {l: names of machines}\n", "");
}

static void accepting_must_make_sense(void **state)
{
    static const struct {
        const char *accept, *why;
    } cases[] = {{"{m: fine}", "the metric has no label 'm'"},
                 {"{l: ''}", "the reason was expected"},
                 {"[l]", "'accept' is a mapping"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig rig = {0};
        struct error err = ERROR_NONE;
        CLEANUP_FREE char *rules =
            xasprintf("metrics:\n  - {name: x_total, type: counter, help: h, labels: {l: $domain}, "
                      "accept: %s}\n",
                      cases[i].accept);
        assert_int_equal(rig_load(&rig, RIG_ENVELOPES, rules, &err), -1);
        assert_contains(err.text, cases[i].why);
        scratch_close(&rig.scratch);
    }
}

static uint64_t fingerprint_with(const char *more)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_FREE char *rules = xasprintf(
        "metrics:\n  - name: x_total\n    type: counter\n    help: h\n    labels: {l: $domain}\n%s",
        more);
    rig_open(&rig, RIG_ENVELOPES, rules);
    return rig.rules->metrics[0].fingerprint;
}

static void a_reason_changes_nothing_that_is_counted(void **state)
{
    (void)state;
    uint64_t plain = fingerprint_with("");
    assert_true(plain == fingerprint_with("    accept: {l: because}\n"));
    assert_true(plain != fingerprint_with("    when: $domain exists\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_judged_by_the_fields_name),
        cmocka_unit_test(what_is_meant_can_be_said),
        cmocka_unit_test(accepting_must_make_sense),
        cmocka_unit_test(a_reason_changes_nothing_that_is_counted),
    };
    return cmocka_run_group_tests_name("advice", tests, NULL, NULL);
}
