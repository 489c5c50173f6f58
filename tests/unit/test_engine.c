/* Folding: what each kind of rule makes of events, and what the engine counts by itself. */
#include "unit.h"

#include <stdio.h>

#include "fold_rig.h"

/* --- order ------------------------------------------------------------------------------------ */

static void each_sequence_counts_once(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: {d: $domain}}\n");
    assert_true(rig_fold(&rig, 1, "a.b.c", "{}") >= 0);
    assert_int_equal(rig_fold(&rig, 1, "a.b.c", "{}"), -1);
    assert_true(rig_fold(&rig, 2, "a.b.c", "{}") >= 0);
    assert_int_equal(rig_fold(&rig, 1, "a.b.c", "{}"), -1);
    rig_shows(&rig, "x_total{d=\"a\"} 2");
    assert_int_equal(state_seq(rig.state), 2);
    assert_int_equal(state_next_seq(rig.state), 3);
    /* Without a sequence (core messages) each one counts. */
    struct stream_state *core = engine_stream(rig.engine, "");
    struct event_input input = {.subject = SLICE("a.b.c"), .payload = SLICE("{}")};
    assert_true(engine_fold(rig.engine, core, &input) >= 0);
    assert_true(engine_fold(rig.engine, core, &input) >= 0);
    rig_shows(&rig, "x_total{d=\"a\"} 4");
    assert_int_equal(state_seq(core), 0);
}

static void streams_have_their_own_place_and_one_sum(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, "metrics:\n  - {name: x_total, type: counter, help: h}\n");
    struct stream_state *other = engine_stream(rig.engine, "T");
    assert_ptr_not_equal(other, rig.state);
    assert_ptr_equal(engine_stream(rig.engine, "T"), other);
    assert_true(rig_fold(&rig, 1, "a", "{}") >= 0);
    rig.state = other;
    assert_true(rig_fold(&rig, 1, "a", "{}") >= 0);
    rig_shows(&rig, "x_total 2");
}

static void gaps_are_counted_and_reported(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, NULL);
    assert_true(rig_fold(&rig, 1, "a", "{}") >= 0);
    assert_true(rig_fold(&rig, 5, "a", "{}") >= 0);
    assert_true(rig_fold(&rig, 6, "a", "{}") >= 0);
    state_skip_to(rig.engine, rig.state, 10);
    state_skip_to(rig.engine, rig.state, 10);
    state_skip_to(rig.engine, rig.state, 3);
    assert_int_equal(state_next_seq(rig.state), 10);
    assert_true(rig_fold(&rig, 10, "a", "{}") >= 0);
    rig_shows(&rig, "cim_monitor_missed_events_total{stream=\"S\"} 6");
    assert_slice(buf_slice(&rig.reports), "gap/S/5/gone before it could be read/3;"
                                          "gap/S/10/gone before it could be read/3;");
}

static void passed_messages_move_the_place_only(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, "metrics:\n  - {name: x_total, type: counter, help: h}\n");
    assert_true(rig_fold(&rig, 1, "a", "{}") >= 0);
    state_pass(rig.engine, rig.state, 2);
    state_pass(rig.engine, rig.state, 2);
    assert_true(rig_fold(&rig, 3, "a", "{}") >= 0);
    state_pass(rig.engine, rig.state, 6);
    rig_shows(&rig, "x_total 2");
    rig_shows(&rig, "cim_monitor_missed_events_total{stream=\"S\"} 2");
    assert_int_equal(state_seq(rig.state), 6);
}

/* The cell of the event before serves the next one: only when all its labels are the same. */
static void labels_of_the_event_before_are_not_mixed_up(void **state)
{
    static const char *const payloads[] = {
        "{\"x\":\"a\",\"y\":\"bc\"}",
        "{\"x\":\"a\",\"y\":\"bc\"}",
        "{\"x\":\"ab\",\"y\":\"c\"}",
        "{\"x\":\"abc\"}",
        "{\"y\":\"abc\"}",
        "{\"x\":\"a\",\"y\":\"bc\"}",
    };
    CLEANUP_RIG struct rig rig;
    char text[256];
    uint64_t seq = 0;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: {x: $payload.x, y: "
             "$payload.y}}\n");
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
        assert_true(rig_fold(&rig, ++seq, "a", payloads[i]) >= 0);
    rig_shows(&rig, "x_total{x=\"a\",y=\"bc\"} 3");
    rig_shows(&rig, "x_total{x=\"ab\",y=\"c\"} 1");
    rig_shows(&rig, "x_total{x=\"abc\"} 1");
    rig_shows(&rig, "x_total{y=\"abc\"} 1");
    /* Longer ones than are kept, which differ at their end. */
    for (int i = 0; i < 6; i++) {
        (void)snprintf(text, sizeof text, "{\"x\":\"%060d\"}", i % 2);
        assert_true(rig_fold(&rig, ++seq, "a", text) >= 0);
    }
    (void)snprintf(text, sizeof text, "x_total{x=\"%060d\"} 3", 1);
    rig_shows(&rig, text);
}

/* --- malformed and suspect -------------------------------------------------------------------- */

static void malformed_messages_are_located(void **state)
{
    CLEANUP_RIG struct rig rig;
    struct event_input input = {
        .subject = SLICE("a"), .payload = SLICE("{}"), .header_count = -1, .seq = 3};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, "metrics:\n  - {name: x_total, type: counter, help: h}\n");
    assert_int_equal(rig_fold(&rig, 1, "a", ""), -1);
    assert_int_equal(rig_fold(&rig, 2, "a", "{\"a\":}"), -1);
    assert_int_equal(engine_fold(rig.engine, rig.state, &input), -1);
    assert_true(rig_fold(&rig, 4, "a", "{}") >= 0);
    input = (struct event_input){.subject = SLICE("a"),
                                 .payload = SLICE("{}"),
                                 .header_block = SLICE("NATS/1.0\r\nA: 1\r\n"),
                                 .seq = 5};
    assert_int_equal(engine_fold(rig.engine, rig.state, &input), -1);
    rig_shows(&rig, "cim_events_malformed_total{stream=\"S\"} 4");
    rig_shows(&rig, "x_total 1");
    assert_slice(buf_slice(&rig.reports), "malformed/S/1/empty/1;"
                                          "malformed/S/2/a value was expected/1;"
                                          "malformed/S/3/the header block is broken/1;"
                                          "malformed/S/5/the header block is broken/1;");
}

static void odd_events_count_and_are_reported(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf large = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h}\n"
             "  - {name: y, type: gauge, help: h, value: $payload.v}\n");
    assert_true(rig_fold(&rig, 1, "a", "{\"at\":\"1970-01-01T00:00:00Z\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"at\":\"2100-01-01T00:00:00Z\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "a", "{\"at\":\"2026-07-11T12:00:00Z\",\"v\":1e999}") >= 0);
    assert_true(rig_fold(&rig, 4, "a", "{\"v\":\"fast\"}") >= 0);
    buf_add_str(&large, "{\"t\":\"");
    buf_reserve(&large, 9 << 20);
    memset(large.ptr + large.len, 'x', 9 << 20);
    large.len += 9 << 20;
    buf_add_str(&large, "\"}");
    assert_true(rig_fold(&rig, 5, "a", buf_cstr(&large)) >= 0);
    /* A day ahead is still the present; the end of 1999 is not. */
    assert_true(rig_fold(&rig, 6, "a", "{\"at\":\"2026-07-12T12:00:06Z\"}") >= 0);
    assert_true(rig_fold(&rig, 7, "a", "{\"at\":\"2000-01-01T00:00:00Z\"}") >= 0);
    assert_true(rig_fold(&rig, 8, "a", "{\"at\":\"1999-12-31T23:59:59Z\"}") >= 0);
    assert_true(rig_fold(&rig, 9, "a", "{\"at\":\"2026-07-12T12:00:10Z\"}") >= 0);
    rig_shows(&rig, "x_total 9");
    rig_shows_no(&rig, "y ");
    rig_shows(&rig, "cim_monitor_suspect_events_total{stream=\"S\",reason=\"timestamp_past\"} 2");
    rig_shows(&rig, "cim_monitor_suspect_events_total{stream=\"S\",reason=\"timestamp_future\"} 2");
    rig_shows(&rig,
              "cim_monitor_suspect_events_total{stream=\"S\",reason=\"number_out_of_range\"} 2");
    rig_shows(&rig, "cim_monitor_suspect_events_total{stream=\"S\",reason=\"payload_large\"} 1");
    assert_contains(buf_cstr(&rig.reports),
                    "suspect/S/1/timestamp_past/1;suspect/S/2/"
                    "timestamp_future/1;suspect/S/3/number_out_of_range/1;");
}

/* --- duplicates ------------------------------------------------------------------------------- */

static void an_id_seen_before_is_a_duplicate(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: {d: $domain}}\n");
    assert_true(rig_fold(&rig, 1, "a.b.c", "{\"event_id\":\"e1\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "b.b.c", "{\"event_id\":\"e1\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "b.b.c", "{\"event_id\":\"e2\"}") >= 0);
    assert_true(rig_fold(&rig, 4, "b.b.c", "{\"event_id\":\"e1\"}") >= 0);
    assert_true(rig_fold(&rig, 5, "b.b.c", "{}") >= 0);
    assert_true(rig_fold(&rig, 6, "b.b.c", "{}") >= 0);
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"b\"} 2");
    rig_shows_no(&rig, "cim_duplicate_events_total{domain=\"a\"}");
    rig_shows(&rig, "x_total{d=\"b\"} 5");
    /* In another stream the same id is new. */
    rig.state = engine_stream(rig.engine, "T");
    assert_true(rig_fold(&rig, 1, "a.b.c", "{\"event_id\":\"e1\"}") >= 0);
    rig_shows_no(&rig, "cim_duplicate_events_total{domain=\"a\"}");
}

static void without_an_event_id_the_message_id_counts(void **state)
{
    static const struct event_header headers[] = {{SLICE("nats-msg-id"), SLICE("m1")}};
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, NULL);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct event_input input = {.subject = SLICE("a.b.c"),
                                    .payload = SLICE("{}"),
                                    .headers = headers,
                                    .header_count = 1,
                                    .seq = seq};
        assert_true(engine_fold(rig.engine, rig.state, &input) >= 0);
    }
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"a\"} 2");
    struct event_input raw = {.subject = SLICE("a.b.c"),
                              .payload = SLICE("{}"),
                              .header_block = SLICE("NATS/1.0\r\nNats-Msg-Id: m1\r\n\r\n"),
                              .seq = 4};
    assert_true(engine_fold(rig.engine, rig.state, &raw) >= 0);
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"a\"} 3");
}

static void fold_id(struct rig *rig, uint64_t seq, uint64_t id)
{
    CLEANUP_FREE char *payload = xasprintf("{\"event_id\":\"%llu\"}", (unsigned long long)id);
    assert_true(rig_fold(rig, seq, "a.b.c", payload) >= 0);
}

static void only_the_window_is_remembered(void **state)
{
    CLEANUP_RIG struct rig rig;
    uint64_t seq = 0;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, NULL);
    for (uint64_t id = 0; id < DUPLICATE_WINDOW; id++)
        fold_id(&rig, ++seq, id);
    fold_id(&rig, ++seq, 1); /* 65,535 ids ago: inside */
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"a\"} 1");
    fold_id(&rig, ++seq, 0); /* pushed out by the one before */
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"a\"} 1");
    fold_id(&rig, ++seq, 1); /* its second coming is still there */
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"a\"} 2");
    for (uint64_t id = 0; id < DUPLICATE_WINDOW - 1; id++)
        fold_id(&rig, ++seq, 1000000 + id);
    fold_id(&rig, ++seq, 1);
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"a\"} 3");
    fold_id(&rig, ++seq, 0);
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"a\"} 3");
}

/* --- kinds of rules --------------------------------------------------------------------------- */

static void counters_add_their_value(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, value: $payload.v, "
             "scale: 0.5}\n");
    assert_true(rig_fold(&rig, 1, "a", "{\"v\":4}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"v\":1}") >= 0);
    assert_true(rig_fold(&rig, 3, "a", "{}") >= 0);
    assert_true(rig_fold(&rig, 4, "a", "{\"v\":-7}") >= 0); /* a counter never goes back */
    rig_shows(&rig, "x_total 2.5");
}

static void gauges_keep_the_latest(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x, type: gauge, help: h, value: [$payload.v, $payload.w]}\n");
    assert_true(rig_fold(&rig, 1, "a", "{\"v\":4}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"w\":-1.5}") >= 0);
    rig_shows(&rig, "x -1.5");
    assert_true(rig_fold(&rig, 3, "a", "{}") >= 0);
    rig_shows(&rig, "x -1.5");
}

static void histograms_observe(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_seconds, type: histogram, help: h, value: $delay, "
             "buckets: [1, 2.5]}\n");
    assert_true(rig_fold(&rig, 1, "a", "{\"at\":\"2026-07-11T12:00:00Z\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"at\":\"2026-07-11T12:00:00Z\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "a", "{\"at\":\"2026-07-11T12:00:00Z\"}") >= 0);
    assert_true(rig_fold(&rig, 4, "a", "{}") >= 0);
    rig_shows(&rig, "x_seconds_bucket{le=\"1.0\"} 1");
    rig_shows(&rig, "x_seconds_bucket{le=\"2.5\"} 2");
    rig_shows(&rig, "x_seconds_bucket{le=\"+Inf\"} 3");
    rig_shows(&rig, "x_seconds_sum 6");
}

static void timestamps_keep_the_largest(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x, type: timestamp, help: h}\n"
             "  - {name: y, type: timestamp, help: h, value: $stored_at}\n"
             "  - {name: z, type: timestamp, help: h, value: $payload.ms, scale: 0.001}\n");
    assert_true(rig_fold(&rig, 1, "a", "{\"at\":\"2026-07-11T12:00:00.5Z\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"at\":\"2026-07-11T11:00:00Z\",\"ms\":1500}") >= 0);
    rig_shows(&rig, "x 1783771200.5");
    rig_shows(&rig, "y 1783771202");
    rig_shows(&rig, "z 1.5");
    assert_true(rig_fold(&rig, 3, "a", "{}") >= 0); /* no time of its own: when it was stored */
    rig_shows(&rig, "x 1783771203");
}

static void distinct_counts_who_is_alive(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - name: x_alive\n    type: distinct\n    help: h\n"
             "    key: $payload.id\n    until: \"$event_type in Gone, Ended\"\n"
             "    labels: {d: $domain}\n");
    assert_true(rig_fold(&rig, 1, "a.b.c", "{\"id\":\"1\",\"type\":\"Born\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a.b.c", "{\"id\":\"2\",\"type\":\"Moved\"}") >= 0);
    assert_true(rig_fold(&rig, 3, "a.b.c", "{\"id\":\"1\",\"type\":\"Moved\"}") >= 0);
    assert_true(rig_fold(&rig, 4, "a.b.c", "{\"type\":\"Born\"}") >= 0);
    rig_shows(&rig, "x_alive{d=\"a\"} 2");
    assert_true(rig_fold(&rig, 5, "a.b.c", "{\"id\":\"2\",\"type\":\"Gone\"}") >= 0);
    assert_true(rig_fold(&rig, 6, "a.b.c", "{\"id\":\"2\",\"type\":\"Ended\"}") >= 0);
    assert_true(rig_fold(&rig, 7, "a.b.c", "{\"id\":\"9\",\"type\":\"Gone\"}") >= 0);
    rig_shows(&rig, "x_alive{d=\"a\"} 1");
    assert_true(rig_fold(&rig, 8, "a.b.c", "{\"id\":\"2\",\"type\":\"Moved\"}") >= 0);
    rig_shows(&rig, "x_alive{d=\"a\"} 2");
}

/* --- error types ------------------------------------------------------------------------------ */

static void error_types_by_the_payload_or_by_the_class(void **state)
{
    static const char *const cases[][2] = {
        {"{\"type\":\"OrderFailed\"}", "failed"},
        {"{\"type\":\"PolicyViolationFailed\"}", "violation"},
        {"{\"type\":\"CommandTimedOut\"}", "timed_out"},
        {"{\"type\":\"TimeoutError\"}", "timed_out"},
        {"{\"type\":\"StepRejected\"}", "rejected"},
        {"{\"type\":\"DeviceError\"}", "error"},
        {"{\"type\":\"OrderFailed\",\"error_type\":\"disk\"}", "disk"},
    };
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig,
             "error_classes:\n  violation: Violation\n  timed_out: TimedOut|Timeout\n"
             "  rejected: Rejected\n  failed: Failed\n  error: Error\n" RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, "
             "labels: {t: $event_type, e: $error_type}}\n");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *want = xasprintf("e=\"%s\"} 1", cases[i][1]);
        assert_true(rig_fold(&rig, i + 1, "a", cases[i][0]) >= 0);
        CLEANUP_FREE char *text = rig_exposition(&rig);
        assert_contains(text, want);
    }
    assert_true(rig_fold(&rig, 100, "a", "{\"type\":\"OrderPlaced\"}") >= 0);
    rig_shows(&rig, "x_total{t=\"OrderPlaced\"} 1");
}

/* --- memory ----------------------------------------------------------------------------------- */

#define REMEMBERING                                                                                \
    "remember:\n  - name: title\n    when: [$event_type == Created, $payload.ok != no]\n"          \
    "    key: $aggregate_id\n    value: $payload.name\n"                                           \
    "metrics:\n  - {name: x_total, type: counter, help: h, when: [$event_type == Done], "          \
    "labels: {t: $remembered.title}}\n"

static void what_was_remembered_labels_later_events(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, REMEMBERING);
    static const char *const events[] = {
        "{\"type\":\"Created\",\"id\":\"1\",\"name\":\"one\"}",
        "{\"type\":\"Created\",\"id\":\"2\",\"name\":\"two\"}",
        "{\"type\":\"Done\",\"id\":\"1\"}",
        "{\"type\":\"Done\",\"id\":\"3\"}",
        "{\"type\":\"Created\",\"id\":\"1\",\"name\":\"other\",\"ok\":\"no\"}",
        "{\"type\":\"Created\",\"id\":\"1\"}",
        "{\"type\":\"Done\",\"id\":\"1\"}",
        "{\"type\":\"Created\",\"id\":\"1\",\"name\":\"renamed\"}",
        "{\"type\":\"Done\",\"id\":\"1\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        assert_true(rig_fold(&rig, i + 1, "a", events[i]) >= 0);
    rig_shows(&rig, "x_total{t=\"one\"} 2");
    rig_shows(&rig, "x_total{t=\"renamed\"} 1");
    rig_shows(&rig, "x_total 1");
    rig_shows_no(&rig, "x_total{t=\"two\"}");
}

static void the_oldest_key_is_forgotten_first(void **state)
{
    CLEANUP_RIG struct rig rig;
    uint64_t seq = 0;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, REMEMBERING);
    for (int i = 0; i <= REMEMBERED_KEYS_MAX; i++) {
        CLEANUP_FREE char *text =
            xasprintf("{\"type\":\"Created\",\"id\":\"k%d\",\"name\":\"n%d\"}", i, i % 3);
        assert_true(rig_fold(&rig, ++seq, "a", text) >= 0);
    }
    assert_true(rig_fold(&rig, ++seq, "a", "{\"type\":\"Done\",\"id\":\"k0\"}") >= 0);
    assert_true(rig_fold(&rig, ++seq, "a", "{\"type\":\"Done\",\"id\":\"k1\"}") >= 0);
    rig_shows(&rig, "x_total 1");
    rig_shows(&rig, "x_total{t=\"n1\"} 1");
}

static void remembered_texts_are_bounded(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_BUF struct buf want = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, REMEMBERING);
    buf_add_str(&text, "{\"type\":\"Created\",\"id\":\"1\",\"name\":\"");
    for (int i = 0; i < 100000; i++)
        buf_add_char(&text, 'n');
    buf_add_str(&text, "\"}");
    assert_true(rig_fold(&rig, 1, "a", buf_cstr(&text)) >= 0);
    assert_true(rig_fold(&rig, 2, "a", "{\"type\":\"Done\",\"id\":\"1\"}") >= 0);
    buf_addf(&want, "x_total{t=\"%0*d\"} 1", REMEMBERED_BYTES_MAX, 0);
    for (size_t i = 0; i < want.len; i++)
        want.ptr[i] = want.ptr[i] == '0' ? 'n' : want.ptr[i];
    rig_shows(&rig, buf_cstr(&want));
}

/* --- classes ---------------------------------------------------------------------------------- */

static void long_texts_are_cut_the_same_each_time(void **state)
{
    CLEANUP_RIG struct rig one, two;
    CLEANUP_BUF struct buf a = {0}, b = {0};
    (void)state;
    static const char envelopes[] = "envelopes:\n  - name: e\n    subjects: [\">\"]\n"
                                    "    event_type: \"$payload.t | strip prefix-\"\n";
    static const char metrics[] =
        "metrics:\n  - {name: x_total, type: counter, help: h, labels: {t: $event_type}}\n";
    rig_open(&one, envelopes, metrics);
    rig_open(&two, envelopes, metrics);
    for (int i = 0; i < 2; i++) {
        struct buf *text = i ? &b : &a;
        buf_addf(text, "{\"t\":\"prefix-%0125d%c\"}", 7, i ? 'x' : 'y');
    }
    /* The two differ behind what a class is told apart by: whichever comes first, the same series.
     */
    assert_true(rig_fold(&one, 1, "s", buf_cstr(&a)) >= 0);
    assert_true(rig_fold(&one, 2, "s", buf_cstr(&b)) >= 0);
    assert_true(rig_fold(&two, 1, "s", buf_cstr(&b)) >= 0);
    assert_true(rig_fold(&two, 2, "s", buf_cstr(&a)) >= 0);
    CLEANUP_FREE char *shown = rig_exposition(&one);
    CLEANUP_FREE char *shown_too = rig_exposition(&two);
    assert_string_equal(shown, shown_too);
}

static void more_classes_than_are_kept(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: {t: $event_type}}\n"
             "  - {name: all_total, type: counter, help: h}\n");
    for (uint64_t i = 0; i < 2 * (CLASSES_MAX + 100); i++) {
        CLEANUP_FREE char *text =
            xasprintf("{\"type\":\"T%llu\"}", (unsigned long long)(i % (CLASSES_MAX + 100)));
        assert_true(rig_fold(&rig, i + 1, "a", text) >= 0);
    }
    rig_shows(&rig, "all_total 32968");
    rig_shows(&rig, "x_total{t=\"T0\"} 2");
    rig_shows(&rig, "x_total{t=\"T16483\"} 2");
}

/* Thirteen filters match in 8192 ways; each message must still meet exactly its own. */
static void more_groups_than_are_kept(void **state)
{
    enum { TOKENS = 13, SUBJECTS = 1 << TOKENS };
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf metrics = {0};
    (void)state;
    buf_addf(&metrics, "metrics:\n");
    for (int m = 0; m < TOKENS; m++) {
        buf_addf(&metrics, "  - {name: m%d_total, type: counter, help: h, subjects: [\"", m);
        for (int token = 0; token < TOKENS; token++)
            buf_addf(&metrics, "%s%s", token ? "." : "", token == m ? "x" : "*");
        buf_addf(&metrics, "\"]}\n");
    }
    rig_open(&rig, RIG_ENVELOPES, buf_cstr(&metrics));
    for (int i = 0; i < SUBJECTS; i++) {
        CLEANUP_BUF struct buf subject = {0};
        for (int token = 0; token < TOKENS; token++)
            buf_addf(&subject, "%s%s", token ? "." : "", i >> token & 1 ? "x" : "y");
        assert_true(rig_fold(&rig, (uint64_t)i + 1, buf_cstr(&subject), "{}") >= 0);
    }
    for (int m = 0; m < TOKENS; m++) {
        CLEANUP_FREE char *line = xasprintf("m%d_total %d", m, SUBJECTS / 2);
        rig_shows(&rig, line);
    }
    assert_true(engine_overflows(rig.engine).groups > 1000);
    assert_int_equal(engine_overflows(rig.engine).classes, 0);
}

static void sums_do_not_become_infinite(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, value: $payload.v}\n"
             "  - {name: y, type: histogram, help: h, value: $payload.v, buckets: [1]}\n"
             "  - {name: z, type: gauge, help: h, value: $payload.v, scale: 10}\n");
    for (uint64_t seq = 1; seq <= 3; seq++)
        assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\",\"v\":1e308}") >= 0);
    rig_shows(&rig, "x_total 1e+308");
    rig_shows(&rig, "y_sum 1e+308");
    rig_shows(&rig, "y_count 1");
    rig_shows_no(&rig, "z");
    /* Two of each sum did not fit, nor did any of the scaled ones. */
    rig_shows(&rig,
              "cim_monitor_suspect_events_total{stream=\"S\",reason=\"number_out_of_range\"} 7");
}

static void labels_have_limits_of_their_own(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, "
             "labels: {d: $domain, t: $event_type}, label_values_max: {t: 2}}\n");
    for (uint64_t i = 0; i < 12; i++) {
        CLEANUP_FREE char *text = xasprintf("{\"type\":\"T%d\"}", (int)(i % 4));
        CLEANUP_FREE char *subject = xasprintf("d%d.x", (int)(i % 3));
        assert_true(rig_fold(&rig, i + 1, subject, text) >= 0);
    }
    rig_shows(&rig, "x_total{d=\"d0\",t=\"T0\"} 1");
    rig_shows(&rig, "x_total{d=\"d2\",t=\"__overflow__\"} 2");
    rig_shows_no(&rig, "x_total{d=\"d0\",t=\"T2\"}");
}

static void domains_are_numbered_up_to_a_limit(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, NULL);
    for (int i = 0; i < 100; i++) {
        CLEANUP_FREE char *subject = xasprintf("d%d.x.y", i);
        int domain = rig_fold(&rig, (uint64_t)i + 1, subject, "{}");
        assert_int_equal(domain, i < TALLY_DOMAINS_MAX ? i : TALLY_DOMAINS_MAX - 1);
    }
    assert_string_equal(engine_domain_name(rig.engine, 0), "d0");
    assert_string_equal(engine_domain_name(rig.engine, 63), "d63");
    assert_string_equal(engine_domain_name(rig.engine, 64), "unknown");
}

/* A subject may hold any byte; a scraper would refuse the whole exposition for one of them. */
static void bytes_of_subjects_cannot_break_the_exposition(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES,
             "metrics:\n  - {name: x_total, type: counter, help: h, labels: {d: $domain}}\n");
    assert_true(rig_fold(&rig, 1, "a\xff\"\\.b.c", "{}") >= 0);
    rig_shows(&rig, "x_total{d=\"a\xef\xbf\xbd\\\"\\\\\"} 1");
}

/* --- the shipped rules ------------------------------------------------------------------------ */

static void shipped_workflow_metrics(void **state)
{
    static const struct event_header headers[] = {{SLICE("X-Workflow-ID"), SLICE("w1")}};
    static const char *const payloads[] = {
        "{\"WorkflowCreated\":{\"workflow_id\":\"w1\",\"name\":\"audit\"}}",
        "{\"WorkflowCompleted\":{\"completed_at\":\"2026-07-11T12:00:00.25Z\"}}",
        "{\"WorkflowFailed\":{\"workflow_id\":\"w2\",\"failed_at\":\"2026-07-11T12:00:01Z\"}}"};
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
        struct event_input input = {.subject = SLICE("events.workflow.w1.x"),
                                    .payload = slice_of(payloads[i]),
                                    .headers = headers,
                                    .header_count = 1,
                                    .seq = i + 1,
                                    .stored_at_ns = RIG_EPOCH_S * 1000000000};
        assert_true(engine_fold(rig.engine, rig.state, &input) >= 0);
    }
    rig_shows(&rig, "cim_workflow_completions_total{workflow_type=\"audit\"} 1");
    rig_shows(&rig, "cim_workflow_failures_total 1");
    rig_shows(&rig, "cim_workflow_last_completion_timestamp_seconds{workflow_type=\"audit\"} "
                    "1783771200.25");
    rig_shows(&rig, "cim_events_total{domain=\"workflow\",event_type=\"WorkflowFailed\","
                    "aggregate_type=\"workflow\"} 1");
    rig_shows(&rig, "cim_events_failed_total{domain=\"workflow\",event_type=\"WorkflowFailed\","
                    "error_type=\"failed\"} 1");
    rig_shows(&rig, "cim_domain_errors_total{domain=\"workflow\",error_type=\"failed\","
                    "aggregate_type=\"workflow\"} 1");
    rig_shows(&rig, "cim_aggregate_count{domain=\"workflow\",aggregate_type=\"workflow\"} 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sequence_counts_once),
        cmocka_unit_test(streams_have_their_own_place_and_one_sum),
        cmocka_unit_test(gaps_are_counted_and_reported),
        cmocka_unit_test(passed_messages_move_the_place_only),
        cmocka_unit_test(labels_of_the_event_before_are_not_mixed_up),
        cmocka_unit_test(malformed_messages_are_located),
        cmocka_unit_test(odd_events_count_and_are_reported),
        cmocka_unit_test(an_id_seen_before_is_a_duplicate),
        cmocka_unit_test(without_an_event_id_the_message_id_counts),
        cmocka_unit_test(only_the_window_is_remembered),
        cmocka_unit_test(counters_add_their_value),
        cmocka_unit_test(gauges_keep_the_latest),
        cmocka_unit_test(histograms_observe),
        cmocka_unit_test(timestamps_keep_the_largest),
        cmocka_unit_test(distinct_counts_who_is_alive),
        cmocka_unit_test(error_types_by_the_payload_or_by_the_class),
        cmocka_unit_test(what_was_remembered_labels_later_events),
        cmocka_unit_test(the_oldest_key_is_forgotten_first),
        cmocka_unit_test(remembered_texts_are_bounded),
        cmocka_unit_test(long_texts_are_cut_the_same_each_time),
        cmocka_unit_test(more_classes_than_are_kept),
        cmocka_unit_test(more_groups_than_are_kept),
        cmocka_unit_test(sums_do_not_become_infinite),
        cmocka_unit_test(labels_have_limits_of_their_own),
        cmocka_unit_test(domains_are_numbered_up_to_a_limit),
        cmocka_unit_test(bytes_of_subjects_cannot_break_the_exposition),
        cmocka_unit_test(shipped_workflow_metrics),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
