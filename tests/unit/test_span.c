/* Spans, absent events, ratios, and distinct keys with a beginning. */
#include "unit.h"

#include "base/instant.h"
#include "fold_rig.h"

#define EPOCH_NS (RIG_EPOCH_S * 1000000000)

/* Stored `stored_s` after the epoch; the payload may say otherwise when it occurred. */
static void fold_at(struct rig *rig, uint64_t seq, double stored_s, const char *subject,
                    const char *payload)
{
    struct event_input input = {.subject = slice_of(subject),
                                .payload = slice_of(payload),
                                .seq = seq,
                                .stored_at_ns = EPOCH_NS + (int64_t)(stored_s * 1e9)};
    assert_true(engine_fold(rig->engine, rig->state, &input) >= 0);
}

#define BEGUN "{\"type\":\"Begun\",\"kind\":\"k\"}"
#define DONE  "{\"type\":\"Done\",\"how\":\"well\"}"

#define SPAN(more)                                                                                 \
    "metrics:\n"                                                                                   \
    "  - name: x_seconds\n"                                                                        \
    "    type: span\n"                                                                             \
    "    help: h\n"                                                                                \
    "    key: $aggregate_id\n"                                                                     \
    "    start: {when: [$event_type == Begun], labels: {kind: $payload.kind}}\n"                   \
    "    end: [$event_type == Done]\n"                                                             \
    "    buckets: [1, 10]\n"                                                                       \
    "    labels: {how: $payload.how}\n" more

static void a_span_is_measured_from_start_to_end(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, SPAN(""));
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    fold_at(&rig, 2, 1, "a.b.2", BEGUN);
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 2");
    fold_at(&rig, 3, 2.5, "a.b.1", DONE);
    rig_shows(&rig, "x_seconds_bucket{kind=\"k\",how=\"well\",le=\"1.0\"} 0");
    rig_shows(&rig, "x_seconds_bucket{kind=\"k\",how=\"well\",le=\"10.0\"} 1");
    rig_shows(&rig, "x_seconds_sum{kind=\"k\",how=\"well\"} 2.5");
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 1");
    fold_at(&rig, 4, 3, "a.b.1", DONE); /* ended already */
    rig_shows(&rig, "x_seconds_count{kind=\"k\",how=\"well\"} 1");
    rig_shows(&rig,
              "cim_monitor_spans_abandoned_total{metric=\"x_seconds\",reason=\"no_start\"} 1");
    /* Delivered again: nothing happens. */
    struct event_input again = {.subject = SLICE("a.b.2"), .payload = SLICE(DONE), .seq = 3};
    assert_int_equal(engine_fold(rig.engine, rig.state, &again), -1);
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 1");
}

static void the_first_start_stays_unless_told_otherwise(void **state)
{
    CLEANUP_RIG struct rig first, latest;
    (void)state;
    rig_open(&first, RIG_ENVELOPES, SPAN(""));
    rig_open(&latest, RIG_ENVELOPES, SPAN("    restart: true\n"));
    struct rig *both[] = {&first, &latest};
    for (size_t i = 0; i < 2; i++) {
        fold_at(both[i], 1, 0, "a.b.1", BEGUN);
        fold_at(both[i], 2, 6, "a.b.1", BEGUN);
        fold_at(both[i], 3, 8, "a.b.1", DONE);
    }
    rig_shows(&first, "x_seconds_sum{kind=\"k\",how=\"well\"} 8");
    rig_shows_no(&first, "cim_monitor_spans_abandoned_total");
    rig_shows(&latest, "x_seconds_sum{kind=\"k\",how=\"well\"} 2");
    rig_shows(&latest,
              "cim_monitor_spans_abandoned_total{metric=\"x_seconds\",reason=\"restarted\"} 1");
}

static void one_event_ends_a_state_and_begins_the_next(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_seconds, type: span, help: h, key: $aggregate_id, "
             "start: {when: $event_type == Changed, labels: {state: $payload.to}}, "
             "end: $event_type == Changed, buckets: [1]}\n");
    fold_at(&rig, 1, 0, "a.b.1", "{\"type\":\"Changed\",\"to\":\"up\"}");
    fold_at(&rig, 2, 5, "a.b.1", "{\"type\":\"Changed\",\"to\":\"down\"}");
    fold_at(&rig, 3, 7, "a.b.1", "{\"type\":\"Changed\",\"to\":\"up\"}");
    rig_shows(&rig, "x_seconds_sum{state=\"up\"} 5");
    rig_shows(&rig, "x_seconds_sum{state=\"down\"} 2");
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 1");
}

static void limits_give_up_the_oldest(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, SPAN("    open_max: 2\n"));
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    fold_at(&rig, 2, 1, "a.b.2", BEGUN);
    fold_at(&rig, 3, 2, "a.b.3", BEGUN);
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 2");
    rig_shows(&rig, "cim_monitor_spans_abandoned_total{metric=\"x_seconds\",reason=\"evicted\"} 1");
    fold_at(&rig, 4, 3, "a.b.2", DONE);
    fold_at(&rig, 5, 4, "a.b.3", DONE);
    rig_shows(&rig, "x_seconds_sum{kind=\"k\",how=\"well\"} 4");
    rig_shows(&rig, "x_seconds_count{kind=\"k\",how=\"well\"} 2");
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 0");
}

/* Time is that of the stream: any message moves it, also one of no concern to the rule. */
static void a_timeout_counts_stream_time(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, SPAN("    timeout: 10s\n"));
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    fold_at(&rig, 2, 5, "a.b.2", BEGUN);
    fold_at(&rig, 3, 10, "z", "{}");
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 2");
    fold_at(&rig, 4, 10.5, "z", "{}");
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 1");
    rig_shows(&rig, "cim_monitor_spans_abandoned_total{metric=\"x_seconds\",reason=\"timeout\"} 1");
    fold_at(&rig, 5, 11, "a.b.2", DONE);
    rig_shows(&rig, "x_seconds_sum{kind=\"k\",how=\"well\"} 6");
    state_set_now(rig.state, EPOCH_NS + 3600 * NS_PER_SECOND); /* the clock does not matter */
    fold_at(&rig, 6, 12, "a.b.4", BEGUN);
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 1");
}

static void occurred(struct rig *rig, uint64_t seq, const char *type, double at_s, bool timed)
{
    CLEANUP_FREE char *at = xasprintf(",\"at\":%.3f", (double)RIG_EPOCH_S + at_s);
    CLEANUP_FREE char *payload = xasprintf("{\"type\":\"%s\"%s}", type, timed ? at : "");
    fold_at(rig, seq, 100 + 10.0 * (double)seq, "a.b.1", payload);
}

static void the_clock_is_the_events_own_when_both_have_one(void **state)
{
    CLEANUP_RIG struct rig any, own;
    (void)state;
    rig_open(&any, RIG_ENVELOPES, SPAN(""));
    rig_open(&own, RIG_ENVELOPES, SPAN("    clock: occurred\n"));
    occurred(&any, 1, "Begun", 0, true);
    occurred(&any, 2, "Done", 3, true);
    rig_shows(&any, "x_seconds_sum 3");
    occurred(&any, 3, "Begun", 0, true);
    occurred(&any, 4, "Done", 0, false); /* stored 10 s later */
    rig_shows(&any, "x_seconds_sum 13");
    occurred(&any, 5, "Begun", 20, true);
    occurred(&any, 6, "Done", 3, true); /* clocks disagree */
    rig_shows(&any, "x_seconds_count 2");
    rig_shows(&any, "cim_monitor_spans_abandoned_total{metric=\"x_seconds\",reason=\"negative\"} "
                    "1");
    occurred(&own, 1, "Begun", 0, true);
    occurred(&own, 2, "Done", 0, false);
    rig_shows_no(&own, "x_seconds");
    rig_shows(&own, "cim_monitor_spans_abandoned_total{metric=\"x_seconds\",reason=\"no_time\"} 1");
}

static void start_and_end_may_have_keys_of_their_own(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_seconds, type: span, help: h, buckets: [1], "
             "start: {when: $event_type == Asked, key: $payload.event_id}, "
             "end: {when: $event_type == Answered, key: $payload.to}}\n");
    fold_at(&rig, 1, 0, "a.b.1", "{\"type\":\"Asked\",\"event_id\":\"q1\"}");
    fold_at(&rig, 2, 1, "a.c.9", "{\"type\":\"Answered\",\"to\":\"q1\"}");
    rig_shows(&rig, "x_seconds_sum 1");
    fold_at(&rig, 3, 2, "a.b.1", "{\"type\":\"Asked\"}"); /* no key, no span */
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 0");
}

static void a_new_incarnation_gives_up_what_was_open(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, SPAN(""));
    state_begin_incarnation(rig.engine, rig.state, "one");
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    state_begin_incarnation(rig.engine, rig.state, "two");
    rig_shows(&rig, "cim_monitor_spans_open{metric=\"x_seconds\"} 0");
    rig_shows(&rig, "cim_monitor_spans_abandoned_total{metric=\"x_seconds\","
                    "reason=\"stream_recreated\"} 1");
}

/* --- absent ----------------------------------------------------------------------------------- */

#define ABSENT(more)                                                                               \
    "metrics:\n"                                                                                   \
    "  - name: unanswered_total\n"                                                                 \
    "    type: absent\n"                                                                           \
    "    help: h\n"                                                                                \
    "    key: $aggregate_id\n"                                                                     \
    "    after: [$event_type == Begun]\n"                                                          \
    "    expect: [$event_type == Done]\n"                                                          \
    "    within: 10s\n"                                                                            \
    "    labels: {kind: $payload.kind}\n" more

static void what_does_not_come_is_counted(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, ABSENT(""));
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    fold_at(&rig, 2, 1, "a.b.2", BEGUN);
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 0"); /* born at 0 */
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 0");
    fold_at(&rig, 3, 10, "a.b.1", DONE); /* just in time */
    fold_at(&rig, 4, 11, "z", "{}");
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 0");
    fold_at(&rig, 5, 12, "z", "{}");
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 1");
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 1");
    fold_at(&rig, 6, 60, "z", "{}"); /* once */
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 1");
    fold_at(&rig, 7, 61, "a.b.2", DONE); /* late: no longer overdue, but it did not come in time */
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 1");
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 0");
    rig_shows_no(&rig, "cim_monitor_spans_abandoned_total");
}

static void waiting_ends_in_time(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, ABSENT("    timeout: 30s\n"));
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    fold_at(&rig, 2, 20, "z", "{}");
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 1");
    fold_at(&rig, 3, 31, "z", "{}");
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 0");
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 1");
    rig_shows(&rig,
              "cim_monitor_spans_abandoned_total{metric=\"unanswered_total\",reason=\"timeout\"} "
              "1");
}

/* A quiet stream has no time: the gauge looks at the clock, the counter waits for the stream. */
static void a_quiet_stream_shows_what_is_overdue(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf before = {0}, after = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, ABSENT(""));
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    state_encode(rig.engine, rig.state, &before);
    state_set_now(rig.state, EPOCH_NS + 11 * NS_PER_SECOND);
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 1");
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 1"); /* however often it is asked for */
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 0");
    state_encode(rig.engine, rig.state, &after);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.ptr, before.ptr, before.len);
    fold_at(&rig, 2, 12, "z", "{}");
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 1");
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 1");
    state_set_now(rig.state, 0);
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 1");
}

static void overdue_ones_add_up_over_streams(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, ABSENT(""));
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    fold_at(&rig, 2, 20, "z", "{}");
    rig.state = engine_stream(rig.engine, "T");
    fold_at(&rig, 1, 0, "a.b.1", BEGUN);
    fold_at(&rig, 2, 20, "z", "{}");
    rig_shows(&rig, "unanswered_overdue{kind=\"k\"} 2");
    rig_shows(&rig, "unanswered_total{kind=\"k\"} 2");
}

/* --- ratio and distinct ----------------------------------------------------------------------- */

static void a_ratio_is_two_counters_born_together(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: refusals, type: ratio, help: Refused ones., "
             "of: [$event_type == Refused, $payload.final == true], "
             "among: ['$event_type in Refused, Granted'], labels: {d: $domain}}\n");
    fold_at(&rig, 1, 0, "a", "{\"type\":\"Granted\"}");
    rig_shows(&rig, "refusals_total{d=\"a\"} 0"); /* a share of 0, not an unknown one */
    rig_shows(&rig, "refusals_among_total{d=\"a\"} 1");
    fold_at(&rig, 2, 0, "a", "{\"type\":\"Refused\",\"final\":true}");
    fold_at(&rig, 3, 0, "a", "{\"type\":\"Refused\"}");
    fold_at(&rig, 4, 0, "a", "{\"type\":\"Other\",\"final\":true}");
    rig_shows(&rig, "refusals_total{d=\"a\"} 1");
    rig_shows(&rig, "refusals_among_total{d=\"a\"} 3");
}

static void distinct_keys_may_need_a_beginning(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: alive, type: distinct, help: h, key: $aggregate_id, "
             "since: [$event_type == Made], until: [$event_type == Gone]}\n");
    fold_at(&rig, 1, 0, "a.b.1", "{\"type\":\"Made\"}");
    fold_at(&rig, 2, 0, "a.b.2", "{\"type\":\"Moved\"}"); /* never made */
    rig_shows(&rig, "alive 1");
    fold_at(&rig, 3, 0, "a.b.1", "{\"type\":\"Gone\"}");
    rig_shows(&rig, "alive 0");
    fold_at(&rig, 4, 0, "a.b.1", "{\"type\":\"Moved\"}"); /* a straggler revives nothing */
    rig_shows(&rig, "alive 0");
}

/* --- mistakes --------------------------------------------------------------------------------- */

static void refuses(const char *metric, const char *why)
{
    struct rig rig = {0};
    struct error err = ERROR_NONE;
    CLEANUP_FREE char *rules = xasprintf("metrics:\n  - {%s, help: h}\n", metric);
    if (rig_load(&rig, RIG_ENVELOPES, rules, &err) == 0)
        fail_msg("taken: %s", metric);
    assert_contains(err.text, "m.yaml:2:");
    assert_contains(err.text, why);
    scratch_close(&rig.scratch);
}

#define S "name: x_seconds, type: span, buckets: [1], "
#define A "name: x_total, type: absent, key: $domain, after: $domain exists, "
static void mistakes_are_named(void **state)
{
    (void)state;
    refuses(S "start: $domain exists", "a span needs 'start' and 'end'");
    refuses(S "start: $domain exists, end: $domain exists", "'key' was expected");
    refuses(S "start: {key: $domain}, end: $domain exists", "'when' was expected");
    refuses(S "key: $domain, start: $domain exists, end: {when: $domain exists, labels: {a: b}}",
            "unknown key 'labels'");
    refuses(S "key: $domain, start: {when: $domain exists, labels: {a: b}}, end: $domain exists, "
              "labels: {a: c}",
            "is read from the start event already");
    refuses(S "key: $domain, start: $domain exists, end: $domain exists, timeout: soon",
            "a duration such as");
    refuses(S "key: $domain, start: $domain exists, end: $domain exists, timeout: 0s",
            "a duration such as");
    refuses(S "key: $domain, start: $domain exists, end: $domain exists, open_max: 0",
            "'open_max' is a whole number");
    refuses(S "key: $domain, start: $domain exists, end: $domain exists, open_max: 1.5",
            "'open_max' is a whole number");
    refuses(S "key: $domain, start: $domain exists, end: $domain exists, restart: perhaps",
            "true or false");
    refuses(S "key: $domain, start: $domain exists, end: $domain exists, clock: sun",
            "any, occurred or stored");
    refuses(S "key: $domain, start: $domain exists, end: $domain exists, value: $delay",
            "'value' belongs to");
    refuses(S "key: $domain, start: $domain exists, end: $remembered.nothing exists",
            "no remember rule");
    refuses("name: x_seconds, type: span, key: $domain, start: $domain exists, end: $domain exists",
            "a histogram needs 'buckets'");
    refuses(A "expect: $domain exists", "needs 'after', 'expect' and 'within'");
    refuses(A "expect: $domain exists, within: 5m, timeout: 5m", "'timeout' must be after");
    refuses(A "expect: $domain exists, within: 99999d", "3660d at most");
    refuses("name: x, type: absent, key: $domain, after: $domain exists, expect: $domain exists, "
            "within: 5m",
            "a counter's name ends in _total");
    refuses("name: x, type: ratio, of: $domain exists", "a ratio needs 'of' and 'among'");
    refuses("name: x, type: ratio, when: $domain exists, of: $domain exists, among: $domain exists",
            "'when' belongs to");
    refuses("name: x, type: gauge, value: $delay, start: $domain exists", "'start' belongs to");
    refuses("name: x_total, type: counter, since: $domain exists", "'since' belongs to");
}

/* What a rule brings with it has a name that others cannot take. */
static void names_do_not_collide(void **state)
{
    struct rig rig = {0};
    struct error err = ERROR_NONE;
    (void)state;
    assert_int_equal(rig_load(&rig, RIG_ENVELOPES,
                              ABSENT("  - {name: unanswered_overdue, type: gauge, help: h, value: "
                                     "$delay}\n"),
                              &err),
                     -1);
    assert_contains(err.text, "the metric unanswered_overdue is declared in");
    scratch_close(&rig.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_measured_from_start_to_end),
        cmocka_unit_test(the_first_start_stays_unless_told_otherwise),
        cmocka_unit_test(one_event_ends_a_state_and_begins_the_next),
        cmocka_unit_test(limits_give_up_the_oldest),
        cmocka_unit_test(a_timeout_counts_stream_time),
        cmocka_unit_test(the_clock_is_the_events_own_when_both_have_one),
        cmocka_unit_test(start_and_end_may_have_keys_of_their_own),
        cmocka_unit_test(a_new_incarnation_gives_up_what_was_open),
        cmocka_unit_test(what_does_not_come_is_counted),
        cmocka_unit_test(waiting_ends_in_time),
        cmocka_unit_test(a_quiet_stream_shows_what_is_overdue),
        cmocka_unit_test(overdue_ones_add_up_over_streams),
        cmocka_unit_test(a_ratio_is_two_counters_born_together),
        cmocka_unit_test(distinct_keys_may_need_a_beginning),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(names_do_not_collide),
    };
    return cmocka_run_group_tests_name("span", tests, NULL, NULL);
}
