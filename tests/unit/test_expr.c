/* Expressions, transforms and conditions, as rule files write them and events meet them. */
#include "unit.h"

#include "fold_rig.h"

/* --- one expression as a label ------------------------------------------------------------------
 */

static const char subject[] = "plant.pump.p-7.hot_water.on";
static const char payload[] =
    "{\"type\":\"PumpStarted\",\"id\":\"p-7\",\"n\":2.50,\"yes\":true,\"no\":false,\"nil\":null,"
    "\"empty\":\"\",\"list\":[1],\"wrapped\":{\"id\":\"w-1\"},\"kind\":{\"kind\":\"Single\","
    "\"value\":\"k-1\"},\"esc\":\"a\\u00e4\\nb\",\"deep\":{\"er\":{\"x\":\"y\"}},"
    "\"at\":\"2026-07-11T12:00:00.5Z\",\"snake\":\"hot_water.pump-on\",\"pre\":\"corr:abc\","
    "\"opaque\":{\"a\":1},\"escaped\":{\"id\":\"a\\\"b\"},\"spread\":{ \"id\" : \"s-1\" },"
    "\"tagged\":{\"PumpStarted2\":{\"id\":1}},\"nested\":{\"kind\":1,\"value\":{\"Uuid\":\"u-1\"}},"
    "\"late\":{\"a\":\"\\\"id\\\":\",\"id\":\"l-1\"},\"large\":{\"a\":{},\"id\":\"x\"},\"cid\":[1,"
    "85,18,32,"
    "227,176,196,66,152,252,28,20,154,251,244,200,153,111,185,36,39,174,65,228,100,155,147,76,164,"
    "149,153,27,120,82,184,85]}";

static void fold_one(struct rig *rig)
{
    static const struct event_header headers[] = {{SLICE("X-Event-Type"), SLICE("Started")},
                                                  {SLICE("CIM-Empty"), SLICE("")}};
    struct event_input input = {.subject = slice_of(subject),
                                .payload = slice_of(payload),
                                .headers = headers,
                                .header_count = ARRAY_LEN(headers),
                                .seq = 1,
                                .stored_at_ns = (RIG_EPOCH_S + 2) * 1000000000};
    assert_true(engine_fold(rig->engine, rig->state, &input) >= 0);
}

/* Shows what the expression gives as `v`, or no label at all. */
static void gives(const char *expression, const char *want)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_FREE char *metrics =
        xasprintf("remember: [{name: last, when: [$domain exists], key: $domain, "
                  "value: $payload.snake}]\n"
                  "metrics:\n  - {name: x_total, type: counter, help: h, labels: {v: %s}}\n",
                  expression);
    CLEANUP_FREE char *line = want ? xasprintf("x_total{v=\"%s\"} 1", want) : xstrdup("x_total 1");
    rig_open(&rig, RIG_ENVELOPES, metrics);
    fold_one(&rig);
    CLEANUP_FREE char *text = rig_exposition(&rig);
    if (!strstr(text, line))
        fail_msg("%s: expected %s in\n%s", expression, line, text);
}

static void references(void **state)
{
    static const char *const cases[][2] = {
        {"constant", "constant"},
        {"two words", "two words"},
        {"$domain", "plant"},
        {"$event_type", "PumpStarted"},
        {"$aggregate_type", "pump"},
        {"$aggregate_id", "p-7"},
        {"$severity", NULL},
        {"$occurred_at", "2026-07-11T12:00:00.5Z"},
        {"\"$subject[0]\"", "plant"},
        {"\"$subject[4]\"", "on"},
        {"\"$subject[5]\"", NULL},
        {"\"$subject[3:]\"", "hot_water.on"},
        {"\"$subject[0:]\"", subject},
        {"\"$subject[-1]\"", "on"},
        {"\"$subject[-5]\"", "plant"},
        {"\"$subject[-6]\"", NULL},
        {"\"$subject[1:3]\"", "pump.p-7"},
        {"\"$subject[1:-1]\"", "pump.p-7.hot_water"},
        {"\"$subject[-2:]\"", "hot_water.on"},
        {"\"$subject[-3:-1]\"", "p-7.hot_water"},
        {"\"$subject[3:-2]\"", NULL},
        {"\"$subject[0:6]\"", NULL},
        {"$header.event-type", "Started"},
        {"$header.X-EVENT-TYPE", "Started"},
        {"$header.empty", NULL},
        {"$header.none", NULL},
        {"$payload.n", "2.50"},
        {"$payload.yes", "true"},
        {"$payload.no", "false"},
        {"$payload.nil", NULL},
        {"$payload.empty", NULL},
        {"$payload.list", NULL},
        {"$payload.none", NULL},
        {"$payload.wrapped", "w-1"},
        {"$payload.kind", "k-1"},
        {"$payload.spread", "s-1"},
        {"$payload.opaque", NULL},
        {"$payload.nested", "u-1"},
        {"$payload.late", "l-1"},
        {"$payload.large", NULL},
        {"$payload.cid", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
        {"$payload.escaped", "a\\\"b"},
        {"$payload.deep.er.x", "y"},
        {"$payload.*.er.x", "y"},
        {"$payload.esc", "a\xc3\xa4\\nb"},
        {"$key", "type"},
        {"$key.deep", "er"},
        {"$key.list", NULL},
        {"$tag", NULL},
        {"$tag.deep", NULL},
        {"$tag.tagged", "PumpStarted2"},
        {"$tag.list", NULL},
        {"$tag.none", NULL},
        {"$text", NULL},
        {"$text.n", NULL},
        {"$text.wrapped", NULL},
        {"$text.esc", "a\xc3\xa4\\nb"},
        {"$stored_at", "1783771202"},
        {"$delay", "1.5"},
        {"$remembered.last", "hot_water.pump-on"},
        {"[$payload.none, $payload.empty, $payload.n, $domain]", "2.50"},
        {"[$payload.none, fallback]", "fallback"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        gives(cases[i][0], cases[i][1]);
}

static void transforms(void **state)
{
    static const char *const cases[][2] = {
        {"$payload.snake | pascal", "HotWaterPumpOn"},
        {"$event_type | lower", "pumpstarted"},
        {"\"$payload.pre | strip corr:\"", "abc"},
        {"\"$payload.snake | strip corr:\"", "hot_water.pump-on"},
        {"\"$payload.pre | strip corr:abc\"", NULL},
        {"$domain | prefix the", "theplant"},
        {"$domain | prefix the_ | pascal | lower", "theplant"},
        {"$payload.none | prefix x", NULL},
        {"\"$subject[3] | pascal | prefix On | lower\"", "onhotwater"},
        {"[$payload.none | lower, $domain | pascal]", "Plant"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        gives(cases[i][0], cases[i][1]);
}

static void nothing_left_is_absent(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: "
             "{v: [$payload.dots | pascal, rest]}}\n");
    assert_true(rig_fold(&rig, 1, "a.b.c", "{\"dots\":\"...\"}") >= 0);
    rig_shows(&rig, "x_total{v=\"rest\"} 1");
}

/* `| type`: the producer's own spelling, else as pascal. */
static void known_types(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig,
             "envelopes:\n  - name: e\n    subjects: [\">\"]\n"
             "    types: [IPAssigned, ResourceRegistered]\n"
             "    event_type: \"$subject[0] | type\"\n",
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: {t: $event_type}}\n");
    assert_true(rig_fold(&rig, 1, "ip_assigned", "{}") >= 0);
    assert_true(rig_fold(&rig, 2, "ipassigned", "{}") >= 0);
    assert_true(rig_fold(&rig, 3, "resource-registered", "{}") >= 0);
    assert_true(rig_fold(&rig, 4, "never_heard_of", "{}") >= 0);
    rig_shows(&rig, "x_total{t=\"IPAssigned\"} 2");
    rig_shows(&rig, "x_total{t=\"ResourceRegistered\"} 1");
    rig_shows(&rig, "x_total{t=\"NeverHeardOf\"} 1");
}

static void text_payloads(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: {v: $text}}\n");
    assert_true(rig_fold(&rig, 1, "a", "\"DeploymentCompleted\"") >= 0);
    rig_shows(&rig, "x_total{v=\"DeploymentCompleted\"} 1");
    assert_true(rig_fold(&rig, 2, "a", "7") >= 0);
    rig_shows(&rig, "x_total 1");
}

/* --- conditions ------------------------------------------------------------------------------- */

static void holds(const char *condition, bool want)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_FREE char *metrics =
        xasprintf("metrics:\n  - name: x_total\n    type: counter\n    help: h\n    when: ['%s']\n",
                  condition);
    rig_open(&rig, RIG_ENVELOPES, metrics);
    fold_one(&rig);
    CLEANUP_FREE char *text = rig_exposition(&rig);
    if ((strstr(text, "x_total 1") != NULL) != want)
        fail_msg("%s: expected to be %s", condition, want ? "true" : "false");
}

static void conditions(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        /* of class fields: decided once per class */
        {"$event_type == PumpStarted", true},
        {"$event_type == Pump", false},
        {"$event_type != Pump", true},
        {"$event_type != PumpStarted", false},
        {"$event_type ~ ^Pump", true},
        {"$event_type ~ Stopped|Started", true},
        {"$event_type ~ ^pump", false},
        {"$event_type !~ Stop", true},
        {"$event_type !~ Start", false},
        {"$event_type in A, PumpStarted, B", true},
        {"$event_type in PumpStarted", true},
        {"$event_type in Pump,Started", false},
        {"$event_type not-in A, B", true},
        {"$event_type not-in A, PumpStarted", false},
        {"$event_type exists", true},
        {"$severity exists", false},
        {"$severity absent", true},
        {"$event_type absent", false},
        {"$event_type|lower == pumpstarted", true},
        /* what is absent: only these hold */
        {"$severity == x", false},
        {"$severity != x", true},
        {"$severity ~ .", false},
        {"$severity !~ .", true},
        {"$severity in x", false},
        {"$severity not-in x", true},
        {"$severity > 0", false},
        {"$severity < 0", false},
        /* of the event itself */
        {"$payload.id == p-7", true},
        {"$payload.nil exists", false},
        {"$payload.empty exists", false},
        {"$payload.esc ~ ^a", true},
        {"$payload.n == 2.50", true},
        {"$payload.n == 2.5", false},
        {"$payload.n > 2.4", true},
        {"$payload.n > 2.5", false},
        {"$payload.n >= 2.5", true},
        {"$payload.n < 2.5", false},
        {"$payload.n <= 2.5", true},
        {"$payload.n < 2.6", true},
        {"$payload.n >= 2.6", false},
        {"$payload.n > -1e3", true},
        {"$payload.id > 0", false},
        {"$payload.id <= 0", false},
        {"$payload.yes > 0", false},
        {"$delay > 1.4", true},
        {"$delay >= 1.5", true},
        {"$delay > 1.5", false},
        {"$stored_at >= 1783771202", true},
        {"$subject[4] == on", true},
        {"$header.event-type == Started", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        holds(cases[i].text, cases[i].want);
}

static void all_conditions_must_hold(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - name: x_total\n    type: counter\n    help: h\n"
             "    when: [$domain == plant, $payload.n > 1, $event_type exists]\n"
             "  - name: y_total\n    type: counter\n    help: h\n"
             "    when: [$domain == plant, $payload.n > 9, $event_type exists]\n"
             "  - name: z_total\n    type: counter\n    help: h\n    when: $domain == plant\n");
    fold_one(&rig);
    rig_shows(&rig, "x_total 1");
    rig_shows_no(&rig, "y_total");
    rig_shows(&rig, "z_total 1");
}

/* Each takes decoded text while it is looked at; together far more than the working space. */
static void many_looks_at_long_texts(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf rules = {0}, text = {0};
    (void)state;
    buf_add_str(&rules, "metrics:\n");
    for (int i = 0; i < 50; i++)
        buf_addf(&rules,
                 "  - {name: x%d_total, type: counter, help: h, when: [$payload.t ~ end$], "
                 "labels: {d: $delay, v: $payload.short}}\n",
                 i);
    rig_open(&rig, RIG_ENVELOPES, buf_cstr(&rules));
    buf_add_str(&text, "{\"at\":\"2026-07-11T12:00:00Z\",\"short\":\"\\u00e4\",\"t\":\"\\n");
    for (int i = 0; i < 20000; i++)
        buf_add_char(&text, 'x');
    buf_add_str(&text, "end\"}");
    assert_true(rig_fold(&rig, 1, "a.b.c", buf_cstr(&text)) >= 0);
    rig_shows(&rig, "x0_total{d=\"1\",v=\"\xc3\xa4\"} 1");
    rig_shows(&rig, "x49_total{d=\"1\",v=\"\xc3\xa4\"} 1");
}

/* --- which rules a subject meets -------------------------------------------------------------- */

static void subject_filters(void **state)
{
    static const char rules[] =
        "metrics:\n"
        "  - {name: all_total, type: counter, help: h}\n"
        "  - {name: rest_total, type: counter, help: h, subjects: a.>}\n"
        "  - {name: star_total, type: counter, help: h, subjects: [a.*, \"*.x.y\"]}\n"
        "  - {name: exact_total, type: counter, help: h, subjects: [a.b]}\n"
        "  - {name: mixed_total, type: counter, help: h, subjects: [\"*.b.>\"]}\n";
    static const struct {
        const char *subject, *rules;
    } cases[] = {
        {"a", "all"},
        {"a.b", "all rest star exact"},
        {"a.c", "all rest star"},
        {"a.b.c", "all rest mixed"},
        {"a.b.c.d", "all rest mixed"},
        {"z.x.y", "all star"},
        {"z.b", "all"},
        {"z.b.q", "all mixed"},
        {"A.b", "all"},
        {"", "all"},
        {"a.", "all rest star"},
    };
    static const char *const names[] = {"all", "rest", "star", "exact", "mixed"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_RIG struct rig rig;
        rig_open(&rig, RIG_ENVELOPES, rules);
        assert_true(rig_fold(&rig, 1, cases[i].subject, "{}") >= 0);
        CLEANUP_FREE char *text = rig_exposition(&rig);
        for (size_t n = 0; n < ARRAY_LEN(names); n++) {
            CLEANUP_FREE char *line = xasprintf("\n%s_total 1\n", names[n]);
            if ((strstr(text, line) != NULL) != (strstr(cases[i].rules, names[n]) != NULL))
                fail_msg("'%s': %s", cases[i].subject, names[n]);
        }
    }
}

/* Far more sets of filters than groups are kept: past the limit what always applies still does. */
static void groups_have_a_limit(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf rules = {0};
    (void)state;
    buf_add_str(&rules, "metrics:\n  - {name: all_total, type: counter, help: h}\n"
                        "  - {name: everything_total, type: counter, help: h, subjects: \">\"}\n");
    for (int bit = 0; bit < 13; bit++) {
        buf_addf(&rules, "  - {name: b%d_total, type: counter, help: h, subjects: \"", bit);
        for (int i = 0; i < 13; i++)
            buf_addf(&rules, "%s%s", i ? "." : "", i == bit ? "1" : "*");
        buf_add_str(&rules, "\"}\n");
    }
    rig_open(&rig, RIG_ENVELOPES, buf_cstr(&rules));
    for (unsigned n = 0; n < 8192; n++) {
        char text[32];
        for (unsigned bit = 0; bit < 13; bit++) {
            text[2 * bit] = n >> bit & 1 ? '1' : '0';
            text[2 * bit + 1] = '.';
        }
        text[25] = 0;
        assert_true(rig_fold(&rig, n + 1, text, "{}") >= 0);
    }
    rig_shows(&rig, "all_total 8192");
    rig_shows(&rig, "everything_total 8192");
    /* No subject was counted by a rule whose filter it does not match: at most the half of them. */
    for (int bit = 0; bit < 13; bit++) {
        CLEANUP_FREE char *name = xasprintf("\nb%d_total ", bit);
        CLEANUP_FREE char *text = rig_exposition(&rig);
        const char *at = strstr(text, name);
        assert_true(!at || strtoul(at + strlen(name), NULL, 10) <= 4096);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references),
        cmocka_unit_test(transforms),
        cmocka_unit_test(nothing_left_is_absent),
        cmocka_unit_test(known_types),
        cmocka_unit_test(text_payloads),
        cmocka_unit_test(conditions),
        cmocka_unit_test(all_conditions_must_hold),
        cmocka_unit_test(many_looks_at_long_texts),
        cmocka_unit_test(subject_filters),
        cmocka_unit_test(groups_have_a_limit),
    };
    return cmocka_run_group_tests_name("expr", tests, NULL, NULL);
}
