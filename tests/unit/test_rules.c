/* Rule files: what is taken, and for every mistake its place and its text. */
#include "unit.h"

#include "fold_rig.h"

static void shipped_rules_load(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    assert_true(rig.rules->envelope_count > 10);
    assert_true(rig.rules->metric_count >= 8);
    assert_non_null(registry_find(rig.registry, SLICE("cim_events_total")));
    assert_non_null(registry_find(rig.registry, SLICE("cim_aggregate_count")));
}

struct mistake {
    const char *text, *want;
};

/* All of a table are tried before the test fails. */
static int wrong;

static void try_mistake(const char *envelopes, const char *metrics, const char *want)
{
    struct error err = ERROR_NONE;
    struct rig rig = {0};
    bool taken = rig_load(&rig, envelopes, metrics, &err) == 0;
    if (taken || err.code != EXIT_CODE_USAGE || !strstr(err.text, want) ||
        !strstr(err.text, rig.scratch.folder)) {
        print_error("expected: %s\n     got: %s\n", want, taken ? "(taken)" : err.text);
        wrong++;
    }
    rules_free(rig.rules);
    scratch_close(&rig.scratch);
}

static void mistakes_in_envelopes(void **state)
{
    static const struct mistake mistakes[] = {
        {"- x\n", "envelopes.yaml:1:1: envelopes.yaml was expected: a mapping\n    - x\n    ^"},
        {"envelopes: 5\n", "envelopes.yaml:1:1: a list 'envelopes:' was expected"},
        {"defaults: {}\n", "envelopes.yaml:1:1: a list 'envelopes:' was expected"},
        {"envelopes: []\nmore: 1\n", "envelopes.yaml:2:1: unknown key 'more' in envelopes.yaml; "
                                     "known: envelopes, defaults, error_classes"},
        {"envelopes: [x]\n", "envelopes.yaml:1:13: an envelope was expected: a mapping"},
        {"envelopes:\n  - {name: a}\n", "envelopes.yaml:2:5: an envelope needs 'name' and"},
        {"envelopes:\n  - {subjects: a}\n", "envelopes.yaml:2:5: an envelope needs 'name' and"},
        {"envelopes:\n  - {name: [a], subjects: a}\n", "envelopes.yaml:2:5: an envelope needs"},
        {"envelopes:\n  - {name: a, subjects: a, what: b}\n",
         "envelopes.yaml:2:28: unknown key 'what' in an envelope; known: name, subjects"},
        {"envelopes:\n  - {name: a, subjects: a..b}\n",
         "envelopes.yaml:2:25: not a subject filter: an empty token"},
        {"envelopes:\n  - {name: a, subjects: \"\"}\n",
         "envelopes.yaml:2:25: a subject filter was expected, such as events.policy.>"},
        {"envelopes:\n  - {name: a, subjects: [a.>.b]}\n",
         "envelopes.yaml:2:26: not a subject filter: '>' stands only at the end"},
        {"envelopes:\n  - {name: a, subjects: [[a]]}\n",
         "envelopes.yaml:2:26: a subject filter was expected"},
        {"envelopes:\n  - {name: a, subjects: a, requires: x}\n",
         "envelopes.yaml:2:38: 'requires' takes $payload.PATH, $key.PATH, $tag.PATH, $text.PATH "
         "and $header"},
        {"envelopes:\n  - {name: a, subjects: a, requires: \"$payload.x | lower\"}\n",
         "'requires' takes $payload.PATH"},
        {"envelopes:\n  - {name: a, subjects: a, requires: $domain}\n",
         "'requires' takes $payload.PATH"},
        {"envelopes:\n  - {name: a, subjects: a, decode: base64}\n",
         "envelopes.yaml:2:36: 'decode' knows byte_array only"},
        {"envelopes:\n  - {name: a, subjects: a, types: x}\n",
         "envelopes.yaml:2:35: a list of type names was expected"},
        {"envelopes:\n  - {name: a, subjects: a, types: [[x]]}\n",
         "envelopes.yaml:2:36: a type name, or {spelling: TypeName}, was expected"},
        {"envelopes:\n  - {name: a, subjects: a, domain: $event_type}\n",
         "envelopes.yaml:2:36: an envelope's domain is found in subject, headers and payload only"},
        {"envelopes:\n  - {name: a, subjects: a, event_id: $aggregate_id}\n",
         "an envelope's event_id is found in"},
        {"envelopes:\n  - {name: a, subjects: a, occurred_at: $delay}\n",
         "an envelope's occurred_at is found in"},
        {"envelopes:\n  - {name: a, subjects: a, domain: $remembered.x}\n",
         "an envelope's domain is found in"},
        {"defaults: {severity: $domain}\nenvelopes:\n  - {name: a, subjects: a}\n",
         "envelopes.yaml:1:22: an envelope's severity is found in"},
        {"error_classes: [x]\nenvelopes: []\n",
         "envelopes.yaml:1:16: 'error_classes' maps a class to a regular expression"},
        {"error_classes: {x: \"(\"}\nenvelopes: []\n",
         "envelopes.yaml:1:20: an extended regular expression was expected"},
        {"error_classes: {x: [a]}\nenvelopes: []\n",
         "envelopes.yaml:1:20: an extended regular expression was expected"},
        {"envelopes:\n  - name: a\n   subjects: b\n", "envelopes.yaml:3:4: "},
        {"", "envelopes.yaml:1:1: the file is empty; a mapping was expected"},
    };
    (void)state;
    wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++)
        try_mistake(mistakes[i].text, NULL, mistakes[i].want);
    assert_int_equal(wrong, 0);
}

/* Each stands as the domain of an envelope in line 4, column 13. */
static void mistakes_in_expressions(void **state)
{
    static const struct mistake mistakes[] = {
        {"\"\"", "an expression was expected, this is empty"},
        {"[]", NULL},
        {"{a: b}", "an expression was expected"},
        {"$nope", "unknown reference '$nope'; a field of the event view, $subject[N]"},
        {"$", "unknown reference '$'"},
        {"$payload", "unknown reference '$payload'"},
        {"$payload.", "unknown reference '$payload.'"},
        {"$header.", "unknown reference '$header.'"},
        {"$key.", "unknown reference '$key.'"},
        {"$payload.a..b", "'a..b' is no path: a name is empty"},
        {"$payload.a.", "'a.' is no path: a name is empty"},
        {"\"$payload.#.a\"", "'#.a' is no path: '#' stands only at the end"},
        {"\"$subject[]\"",
         "'$subject[]': $subject[N], $subject[N:] or $subject[N:M] was expected, below 64"},
        {"\"$subject[x]\"",
         "'$subject[x]': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[-0]\"",
         "'$subject[-0]': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[+1]\"",
         "'$subject[+1]': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[ 1]\"",
         "'$subject[ 1]': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[64]\"",
         "'$subject[64]': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[100]\"",
         "'$subject[100]': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[2:2]\"",
         "'$subject[2:2]': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[1\"", "'$subject[1': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"\"$subject[1]x\"",
         "'$subject[1]x': $subject[N], $subject[N:] or $subject[N:M] was expected"},
        {"$text | upper", "unknown transform 'upper'; pascal, lower, strip TEXT, prefix TEXT"},
        {"$text |", "unknown transform ''"},
        {"$text | strip", "'| strip' wants a text behind it"},
        {"$text | prefix ", "'| prefix' wants a text behind it"},
        {"$text | lower x", "'| lower' takes nothing behind it"},
        {"$text | lower | lower | lower | lower | lower", "more than 4 transforms"},
    };
    (void)state;
    wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        if (!mistakes[i].want)
            continue;
        CLEANUP_FREE char *text = xasprintf("envelopes:\n  - name: a\n    subjects: a\n"
                                            "    domain: %s\n",
                                            mistakes[i].text);
        CLEANUP_FREE char *want = xasprintf("envelopes.yaml:4:13: %s", mistakes[i].want);
        try_mistake(text, NULL, want);
    }
    assert_int_equal(wrong, 0);
}

static const struct mistake metric_mistakes[] = {
    {"- x\n", "m.yaml:1:1: a rules file was expected: a mapping"},
    {"metrics: 5\n", "m.yaml:1:1: 'metrics' and 'remember' are lists"},
    {"remember: {}\n", "m.yaml:1:1: 'metrics' and 'remember' are lists"},
    {"metric: []\n", "m.yaml:1:1: unknown key 'metric' in a rules file; known: metrics, rem"},
    {"metrics: [x]\n", "m.yaml:1:11: a metric was expected: a mapping"},
    {"metrics:\n  - {name: a_total, type: counter}\n",
     "m.yaml:2:5: a metric needs 'name', 'type' and 'help'"},
    {"metrics:\n  - {name: a_total, type: counter, help: [x]}\n",
     "m.yaml:2:5: a metric needs 'name', 'type' and 'help'"},
    {"metrics:\n  - {name: a-b_total, type: counter, help: x}\n",
     "m.yaml:2:12: 'a-b_total' cannot be a metric name"},
    {"metrics:\n  - {name: 9_total, type: counter, help: x}\n",
     "m.yaml:2:12: '9_total' cannot be a metric name"},
    {"metrics:\n  - {name: [x], type: counter, help: x}\n", "cannot be a metric name"},
    {"metrics:\n  - {name: a_total, type: count, help: x}\n",
     "m.yaml:2:27: counter, gauge, histogram, timestamp, distinct, span, absent or ratio was "
     "expected"},
    {"metrics:\n  - {name: a, type: counter, help: x}\n",
     "m.yaml:2:12: a counter's name ends in _total, no other's"},
    {"metrics:\n  - {name: a_total, type: gauge, value: 1, help: x}\n",
     "m.yaml:2:12: a counter's name ends in _total, no other's"},
    {"metrics:\n  - {name: a, type: gauge, help: x}\n", "m.yaml:2:5: a gauge needs 'value'"},
    {"metrics:\n  - {name: a, type: histogram, value: $delay, help: x}\n",
     "m.yaml:2:5: a histogram needs 'buckets', no other kind has them"},
    {"metrics:\n  - {name: a, type: histogram, buckets: [1], help: x}\n",
     "m.yaml:2:5: a histogram needs 'value'"},
    {"metrics:\n  - {name: a, type: gauge, value: $delay, buckets: [1], help: x}\n",
     "m.yaml:2:5: a histogram needs 'buckets', no other kind has them"},
    {"metrics:\n  - {name: a, type: distinct, help: x}\n",
     "m.yaml:2:5: a distinct, span or absent metric needs 'key', no other kind has one"},
    {"metrics:\n  - {name: a_total, type: counter, key: $domain, help: x}\n",
     "m.yaml:2:5: a distinct, span or absent metric needs 'key', no other kind has one"},
    {"metrics:\n  - {name: a_total, type: counter, until: [$domain exists], help: x}\n",
     "m.yaml:2:36: 'until' belongs to distinct metrics"},
    {"metrics:\n  - {name: a_total, type: counter, help: x, colour: y}\n",
     "m.yaml:2:45: unknown key 'colour' in a metric"},
    {"metrics:\n  - {name: a_total, type: counter, help: x, unit: [y]}\n",
     "m.yaml:2:51: 'unit' is a word such as seconds or bytes"},
};

static void mistakes_in_metrics(void **state)
{
    (void)state;
    wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(metric_mistakes); i++)
        try_mistake(RIG_ENVELOPES, metric_mistakes[i].text, metric_mistakes[i].want);
    assert_int_equal(wrong, 0);
}

static void mistakes_in_parts_of_metrics(void **state)
{
    static const struct mistake mistakes[] = {
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: [y]}\n",
         "m.yaml:2:53: 'labels' is a mapping from label name to expression"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: {le: y}}\n",
         "m.yaml:2:54: 'le' cannot be a label name"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: {__x: y}}\n",
         "m.yaml:2:54: '__x' cannot be a label name"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: {a.b: y}}\n",
         "m.yaml:2:54: 'a.b' cannot be a label name"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: {a: $no}}\n",
         "m.yaml:2:57: unknown reference '$no'"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: "
         "{a: x, b: x, c: x, d: x, e: x, f: x, g: x, h: x, i: x, j: x, k: x, l: x, m: x}}\n",
         "m.yaml:2:53: more than 12 labels"},
        {"metrics:\n  - {name: a, type: histogram, value: $delay, help: x, buckets: 5}\n",
         "m.yaml:2:65: 'buckets' is a list of 1 to 32 ascending numbers"},
        {"metrics:\n  - {name: a, type: histogram, value: $delay, help: x, buckets: []}\n",
         "m.yaml:2:65: 'buckets' is a list of 1 to 32 ascending numbers"},
        {"metrics:\n  - {name: a, type: histogram, value: $delay, help: x, buckets: [1, x]}\n",
         "m.yaml:2:69: a number was expected"},
        {"metrics:\n  - {name: a, type: histogram, value: $delay, help: x, buckets: [nan]}\n",
         "m.yaml:2:66: a number was expected"},
        {"metrics:\n  - {name: a, type: histogram, value: $delay, help: x, buckets: [inf]}\n",
         "m.yaml:2:66: a number was expected"},
        {"metrics:\n  - {name: a, type: histogram, value: $delay, help: x, buckets: [2, 2]}\n",
         "m.yaml:2:69: buckets must ascend"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, scale: big}\n",
         "m.yaml:2:52: a number was expected"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: {d: $domain}, "
         "label_values_max: 0}\n",
         "'label_values_max' is a whole number from 1 to 10000000"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: {d: $domain}, "
         "label_values_max: {d: 5, e: 5}}\n",
         "'e' is no label of this metric"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, labels: {d: $domain}, "
         "label_values_max: {d: many}}\n",
         "a number was expected"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, series_max: 0}\n",
         "m.yaml:2:57: 'series_max' is a whole number from 1 to 10000000"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, series_max: -5}\n",
         "'series_max' is a whole number from 1 to 10000000"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, series_max: 1e30}\n",
         "'series_max' is a whole number from 1 to 10000000"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, series_max: 2.5}\n",
         "'series_max' is a whole number from 1 to 10000000"},
        {"metrics:\n  - &a {name: a_total, type: counter, help: x}\n  - *a\n",
         "the metric a_total is declared in"},
        {"metrics:\n  - {name: cim_monitor_x_total, type: counter, help: x}\n",
         "m.yaml:2:12: cim_monitor_x_total is a metric of the monitor itself"},
        {"metrics:\n  - {name: process_x, type: gauge, value: 1, help: x}\n",
         "m.yaml:2:12: process_x is a metric of the monitor itself"},
        {"metrics:\n  - {name: cim_duplicate_events_total, type: counter, help: x}\n",
         "cim_duplicate_events_total is a metric of the monitor itself"},
    };
    (void)state;
    wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++)
        try_mistake(RIG_ENVELOPES, mistakes[i].text, mistakes[i].want);
    assert_int_equal(wrong, 0);
}

static void mistakes_in_conditions(void **state)
{
    static const struct mistake mistakes[] = {
        {"\"\"", "a condition was expected, such as: $event_type == PolicyCreated"},
        {"[[x]]", "a condition was expected, such as"},
        {"$domain", "a condition was expected, such as"},
        {"domain == x", "a condition begins with a reference such as $event_type"},
        {"$nope == x", "unknown reference '$nope'"},
        {"$domain = x", "unknown operator '='; == != ~ !~ in not-in exists absent > >= < <="},
        {"$domain is x", "unknown operator 'is'"},
        {"$domain ==", "a value was expected behind the operator"},
        {"$domain ~", "a value was expected behind the operator"},
        {"$domain in", "a value was expected behind the operator"},
        {"$domain >", "a value was expected behind the operator"},
        {"$domain exists x", "nothing may stand behind exists or absent"},
        {"$domain absent x", "nothing may stand behind exists or absent"},
        {"$domain ~ (", "not an extended regular expression: "},
        {"$domain !~ \"[\"", "not an extended regular expression: "},
        {"$delay > soon", "'soon' is not a number"},
        {"$delay <= 1x", "'1x' is not a number"},
        {"$delay < inf", "'inf' is not a number"},
        {"$delay >= 0x10", "'0x10' is not a number"},
    };
    (void)state;
    wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        CLEANUP_FREE char *text = xasprintf("metrics:\n  - name: a_total\n    type: counter\n"
                                            "    help: x\n    when: %s\n",
                                            mistakes[i].text);
        CLEANUP_FREE char *want = xasprintf(
            "m.yaml:5:%s: %s", mistakes[i].text[0] == '[' ? "12" : "11", mistakes[i].want);
        try_mistake(RIG_ENVELOPES, text, want);
    }
    assert_int_equal(wrong, 0);
}

#define REMEMBER(name) "  - {name: " name ", when: [$domain exists], key: $domain, value: $text}\n"
#define USES(expr)                                                                                 \
    "metrics:\n  - {name: a_total, type: counter, help: x, "                                       \
    "labels: {w: " expr "}}\n"

static void mistakes_in_remembering(void **state)
{
    static const struct mistake mistakes[] = {
        {"remember: [x]\n", "m.yaml:1:12: a remember rule was expected: a mapping"},
        {"remember:\n  - {name: a, when: [$domain exists], key: $domain}\n",
         "m.yaml:2:5: a remember rule needs 'name', 'when', 'key' and 'value'"},
        {"remember:\n  - {name: a, value: b, when: [$domain exists], key: c, kee: d}\n",
         "m.yaml:2:57: unknown key 'kee' in a remember rule"},
        {"remember:\n" REMEMBER("a") REMEMBER("a"),
         "m.yaml:3:12: another remember rule has the name 'a' already"},
        {"remember:\n" REMEMBER("a") USES("$remembered.b"),
         "m.yaml:4:5: no remember rule has the name 'b'"},
        {USES("$remembered.a"), "m.yaml:2:5: no remember rule has the name 'a'"},
        {"metrics:\n  - {name: a_total, type: counter, help: x, "
         "when: [$remembered.z exists]}\n",
         "m.yaml:2:5: no remember rule has the name 'z'"},
        {"remember:\n" REMEMBER("a") REMEMBER("b") REMEMBER("c") REMEMBER("d") REMEMBER("e")
             REMEMBER("f") REMEMBER("g") REMEMBER("h") REMEMBER("i") REMEMBER("j") REMEMBER("k")
                 REMEMBER("l") REMEMBER("m") REMEMBER("n") REMEMBER("o") REMEMBER("p")
                     REMEMBER("q"),
         "m.yaml:18:5: more than 16 remember rules"},
    };
    (void)state;
    wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++)
        try_mistake(RIG_ENVELOPES, mistakes[i].text, mistakes[i].want);
    assert_int_equal(wrong, 0);
}

static void folders_that_are_none(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    struct rules *rules = NULL;
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(rules_load("/nonexistent", &rules, &err), -1);
    assert_string_equal(err.text, "/nonexistent: cannot read the rules folder; name one by "
                                  "--rules");
    scratch_open(&scratch);
    scratch_write(&scratch, "other.yaml", "metrics: []\n");
    assert_int_equal(rules_load(scratch.folder, &rules, &err), -1);
    assert_contains(err.text, "there is no envelopes.yaml in this folder");
    CLEANUP_FREE char *folder = scratch_path(&scratch, "envelopes.yaml");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(rules_load(scratch.folder, &rules, &err), -1);
    assert_contains(err.text, "envelopes.yaml: cannot read: Is a directory");
}

static void other_files_are_not_read(void **state)
{
    CLEANUP_SCRATCH struct scratch scratch;
    struct rules *rules = NULL;
    struct error err = ERROR_NONE;
    (void)state;
    scratch_open(&scratch);
    scratch_write(&scratch, "envelopes.yaml", RIG_ENVELOPES);
    scratch_write(&scratch, "notes.txt", ": no yaml [");
    scratch_write(&scratch, ".hidden.yaml", ": no yaml [");
    scratch_write(&scratch, "x.yaml~", ": no yaml [");
    assert_int_equal(rules_load(scratch.folder, &rules, &err), 0);
    assert_int_equal(rules->metric_count, 0);
    rules_free(rules);
    rules_free(NULL);
}

static void too_much_is_refused(void **state)
{
    CLEANUP_BUF struct buf many = {0}, paths = {0}, stars = {0};
    (void)state;
    buf_add_str(&many, "metrics:\n");
    for (int i = 0; i < 1024; i++)
        buf_addf(&many, "  - {name: m%d_total, type: counter, help: x}\n", i);
    struct error err = ERROR_NONE;
    struct rig rig = {0};
    assert_int_equal(rig_load(&rig, RIG_ENVELOPES, buf_cstr(&many), &err), -1);
    assert_contains(err.text, "1025 envelopes and rules; at most 1024 are supported");
    scratch_close(&rig.scratch);

    buf_add_str(&paths, "metrics:\n");
    for (int i = 0; i < 520; i++)
        buf_addf(&paths,
                 "  - {name: m%d, type: gauge, help: x, value: [$payload.p%d, $payload.q%d]}\n", i,
                 i, i);
    assert_int_equal(rig_load(&rig, RIG_ENVELOPES, buf_cstr(&paths), &err), -1);
    assert_contains(err.text, "different payload paths; at most 1024 are supported");
    scratch_close(&rig.scratch);

    buf_add_str(&stars, "metrics:\n");
    for (int named = 0; named < 24; named++) {
        buf_addf(&stars, "  - {name: m%d, type: gauge, help: x, value: $payload", named);
        for (int i = 0; i < 24; i++)
            buf_add_str(&stars, i == named ? ".a" : ".*");
        buf_add_str(&stars, "}\n");
    }
    assert_int_equal(rig_load(&rig, RIG_ENVELOPES, buf_cstr(&stars), &err), -1);
    assert_contains(err.text, "the payload paths with '*' overlap in too many ways");
    scratch_close(&rig.scratch);
}

/* --- fingerprints: what a metric's kept cells hang on ----------------------------------------- */

static uint64_t fingerprint_of(const char *envelopes, const char *metrics)
{
    CLEANUP_RIG struct rig rig;
    rig_open(&rig, envelopes, metrics);
    return rig.rules->metrics[0].fingerprint;
}

static void fingerprints_follow_the_meaning(void **state)
{
    static const char base[] = "remember:\n" REMEMBER("a") USES("$domain");
    static const char reads[] = "remember:\n" REMEMBER("a") USES("$remembered.a");
    uint64_t plain = fingerprint_of(RIG_ENVELOPES, base);
    uint64_t user = fingerprint_of(RIG_ENVELOPES, reads);
    (void)state;
    /* Comments and layout do not matter. */
    assert_true(fingerprint_of("# c\n" RIG_ENVELOPES, base) == plain);
    assert_true(fingerprint_of(RIG_ENVELOPES,
                               "metrics:\n  - name: a_total # c\n    type: counter\n    help: x\n"
                               "    labels:\n      w: $domain\n") == plain);
    /* The rule, its envelopes and what it remembers do. */
    assert_true(fingerprint_of(RIG_ENVELOPES, USES("$event_type")) != plain);
    assert_true(fingerprint_of(RIG_ENVELOPES "    correlation_id: $text\n", base) != plain);
    assert_true(fingerprint_of(RIG_ENVELOPES,
                               "remember:\n  - {name: a, when: [$domain exists], key: $domain, "
                               "value: $key}\n" USES("$remembered.a")) != user);
    assert_true(fingerprint_of(RIG_ENVELOPES,
                               "remember:\n  - {name: a, when: [$domain exists], key: $domain, "
                               "value: $key}\n" USES("$domain")) == plain);
    /* Twice the same memory must not cancel out. */
    assert_true(fingerprint_of(RIG_ENVELOPES, "remember:\n" REMEMBER("a")
                                                  USES("[$remembered.a, $remembered.a]")) !=
                fingerprint_of(RIG_ENVELOPES,
                               "remember:\n  - {name: a, when: [$domain exists], key: $domain, "
                               "value: $key}\n" USES("[$remembered.a, $remembered.a]")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_rules_load),
        cmocka_unit_test(mistakes_in_envelopes),
        cmocka_unit_test(mistakes_in_expressions),
        cmocka_unit_test(mistakes_in_metrics),
        cmocka_unit_test(mistakes_in_parts_of_metrics),
        cmocka_unit_test(mistakes_in_conditions),
        cmocka_unit_test(mistakes_in_remembering),
        cmocka_unit_test(folders_that_are_none),
        cmocka_unit_test(other_files_are_not_read),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(fingerprints_follow_the_meaning),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
