/* A stream's state: its places, its snapshot, and that restoring it anywhere changes nothing. */
#include "unit.h"

#include "base/codec.h"
#include "fold_rig.h"

/* Rules that use every kind, memory included. */
#define METRIC_X                                                                                   \
    "  - {name: x_total, type: counter, help: h, labels: {d: $domain, t: $event_type}}\n"
#define METRICS                                                                                    \
    "remember:\n  - {name: title, when: [$event_type == Created], key: $aggregate_id, "            \
    "value: $payload.name}\n"                                                                      \
    "metrics:\n" METRIC_X "  - {name: y_total, type: counter, help: h, value: $payload.v, "        \
    "labels: {t: $remembered.title}}\n"                                                            \
    "  - {name: g, type: gauge, help: h, value: $payload.v, labels: {d: $domain}}\n"               \
    "  - {name: h_seconds, type: histogram, help: h, value: $payload.v, buckets: [1, 10, 100]}\n"  \
    "  - {name: last, type: timestamp, help: h, labels: {d: $domain}}\n"                           \
    "  - {name: alive, type: distinct, help: h, key: $aggregate_id, "                              \
    "until: [$event_type == Gone], labels: {d: $domain}}\n"                                        \
    "  - {name: created, type: distinct, help: h, key: $aggregate_id, "                            \
    "since: [$event_type == Created], until: [$event_type == Gone]}\n"                             \
    "  - {name: life_seconds, type: span, help: h, key: $aggregate_id, buckets: [1, 10, 100], "    \
    "start: {when: $event_type == Created, labels: {n: $payload.name}}, "                          \
    "end: $event_type == Gone, open_max: 20, timeout: 60s, labels: {d: $domain}}\n"                \
    "  - {name: moves_seconds, type: span, help: h, key: $aggregate_id, buckets: [1, 10], "        \
    "start: $event_type == Moved, end: '$event_type in Moved, Gone', restart: true}\n"             \
    "  - {name: stuck_total, type: absent, help: h, key: $aggregate_id, open_max: 100, "           \
    "after: $event_type == Created, expect: $event_type == Moved, within: 9s, timeout: 90s, "      \
    "labels: {n: $payload.name}}\n"                                                                \
    "  - {name: failing, type: ratio, help: h, of: $event_type ~ Failed, "                         \
    "among: [$event_type exists], labels: {d: $domain}}\n"

/* The n-th event of a made-up stream: depends on n alone. */
static void fold_nth(struct rig *rig, uint64_t n)
{
    static const char *const types[] = {"Created", "Moved", "Gone", "WorkFailed"};
    uint64_t seed = n * 77 + 5, r = random_u64(&seed);
    CLEANUP_FREE char *subject = xasprintf("d%d.thing.%d.x", (int)(r % 4), (int)(r >> 8 & 0xff));
    CLEANUP_FREE char *payload = xasprintf(
        "{\"type\":\"%s\",\"event_id\":\"e%llu\",\"name\":\"n%d\",\"v\":%d.%d,\"at\":%lld}",
        types[r >> 20 & 3], (unsigned long long)(r >> 24 & 0xfff), (int)(r >> 40 & 7),
        (int)(r >> 44 & 0x7f), (int)(r >> 52 & 7), (long long)(RIG_EPOCH_S + (int64_t)(n / 2)));
    if (r >> 56 < 3)
        payload[1] = '?'; /* one in a hundred is malformed */
    (void)rig_fold(rig, n, subject, payload);
}

static void fold_range(struct rig *rig, uint64_t first, uint64_t last)
{
    for (uint64_t n = first; n <= last; n++)
        fold_nth(rig, n);
}

static void save(const struct rig *rig, struct buf *ret)
{
    buf_reset(ret);
    state_encode(rig->engine, rig->state, ret);
}

/* A new engine, as after a restart. */
static void restart(struct rig *rig, const struct buf *snapshot)
{
    struct error err = ERROR_NONE;
    engine_free(rig->engine);
    registry_free(rig->registry);
    rig_start(rig);
    if (state_decode(rig->engine, rig->state, buf_slice(snapshot), &err) < 0)
        fail_msg("%s", err.text);
}

/* A new engine with other rules, as after a reload. */
static void restart_with(struct rig *rig, const char *metrics, const struct buf *snapshot)
{
    struct error err = ERROR_NONE;
    engine_free(rig->engine);
    registry_free(rig->registry);
    rules_free(rig->rules);
    scratch_write(&rig->scratch, "m.yaml", metrics);
    if (rules_load(rig->scratch.folder, &rig->rules, &err) < 0)
        fail_msg("%s", err.text);
    rig_start(rig);
    if (state_decode(rig->engine, rig->state, buf_slice(snapshot), &err) < 0)
        fail_msg("%s", err.text);
}

static void assert_same_bytes(const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->ptr, b->ptr, a->len);
}

/* --- places --------------------------------------------------------------------------------------
 */

static void a_new_incarnation_begins_at_one(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    assert_string_equal(state_incarnation(rig.state), "");
    state_begin_incarnation(rig.engine, rig.state, "2026-01-01T00:00:00Z");
    rig_shows_no(&rig, "cim_monitor_stream_recreated_total");
    assert_true(rig_fold(&rig, 1, "a.b.c", "{\"type\":\"T\"}") >= 0);
    assert_true(rig_fold(&rig, 2, "a.b.c", "{\"type\":\"T\"}") >= 0);
    state_begin_incarnation(rig.engine, rig.state, "2026-02-02T00:00:00Z");
    assert_string_equal(state_incarnation(rig.state), "2026-02-02T00:00:00Z");
    assert_int_equal(state_seq(rig.state), 0);
    assert_true(rig_fold(&rig, 1, "a.b.c", "{\"type\":\"T\"}") >= 0);
    rig_shows(&rig, "x_total{d=\"a\",t=\"T\"} 3");
    rig_shows(&rig, "cim_monitor_stream_recreated_total{stream=\"S\"} 1");
    rig_shows_no(&rig, "cim_monitor_missed_events_total");
}

/* Also right after a snapshot was read, when metrics know up to where they stand. */
static void a_new_incarnation_after_a_restart(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    state_begin_incarnation(rig.engine, rig.state, "one");
    for (uint64_t seq = 1; seq <= 5; seq++)
        assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\"}") >= 0);
    save(&rig, &bytes);
    restart(&rig, &bytes);
    assert_string_equal(state_incarnation(rig.state), "one");
    state_begin_incarnation(rig.engine, rig.state, "two");
    assert_true(rig_fold(&rig, 1, "a.b.c", "{\"type\":\"T\"}") >= 0);
    rig_shows(&rig, "x_total{d=\"a\",t=\"T\"} 6");
    rig_shows(&rig, "cim_monitor_stream_recreated_total{stream=\"S\"} 1");
}

/* The server lost its last messages in a crash; what is stored in their place is new. */
static void rolled_back_places_are_folded_again(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    for (uint64_t seq = 1; seq <= 10; seq++)
        assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\"}") >= 0);
    save(&rig, &bytes);
    for (int again = 0; again < 2; again++) {
        if (again)
            restart(&rig, &bytes);
        state_roll_back(rig.state, 20);
        assert_int_equal(state_seq(rig.state), 10);
        state_roll_back(rig.state, 7);
        assert_int_equal(state_next_seq(rig.state), 8);
        assert_int_equal(state_known_seq(rig.state), 7);
        for (uint64_t seq = 8; seq <= 9; seq++)
            assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\"}") >= 0);
        assert_int_equal(rig_fold(&rig, 10, "a.b.c", ""), -1);
        rig_shows(&rig, "x_total{d=\"a\",t=\"T\"} 12");
        rig_shows(&rig, "cim_events_malformed_total{stream=\"S\"} 1");
        rig_shows_no(&rig, "cim_monitor_missed_events_total");
    }
}

/* --- determinism ------------------------------------------------------------------------------ */

static void straight_or_interrupted_is_the_same(void **state)
{
    enum { EVENTS = 20000 };
    CLEANUP_RIG struct rig straight, broken;
    CLEANUP_BUF struct buf want = {0}, have = {0}, kept = {0};
    uint64_t seed = 99, done = 0, kept_at = 0;
    int restarts = 0;
    (void)state;
    rig_open(&straight, RIG_ENVELOPES, METRICS);
    rig_open(&broken, RIG_ENVELOPES, METRICS);
    fold_range(&straight, 1, EVENTS);
    save(&straight, &want);
    save(&broken, &kept);
    while (done < EVENTS) {
        uint64_t next = done + random_below(&seed, 700);
        if (next > EVENTS)
            next = EVENTS;
        fold_range(&broken, done + 1, next);
        done = next;
        if (random_below(&seed, 3)) {
            save(&broken, &kept);
            kept_at = done;
        }
        if (random_below(&seed, 2)) { /* kill -9: back to what is on disk */
            restart(&broken, &kept);
            assert_int_equal(state_next_seq(broken.state), kept_at + 1);
            done = kept_at;
            restarts++;
        }
    }
    assert_true(restarts > 20);
    save(&broken, &have);
    assert_same_bytes(&have, &want);
    CLEANUP_FREE char *shown = rig_exposition(&straight);
    CLEANUP_FREE char *shown_too = rig_exposition(&broken);
    assert_int_equal(strlen(shown), strlen(shown_too));
}

static uint64_t checksum_of(const struct rig *rig)
{
    uint64_t checksum = 0;
    struct state_copy *copy = state_copy_new(rig->engine, rig->state);
    assert_true(state_copy_is_whole(copy));
    assert_int_equal(state_copy_seq(copy), state_seq(rig->state));
    assert_int_equal(state_copy_write(copy, NULL, NULL, &checksum, NULL), 0);
    state_copy_free(copy);
    return checksum;
}

/* The checksum tells the messages that were folded, not how the state came about. */
static void equal_states_have_equal_checksums(void **state)
{
    CLEANUP_RIG struct rig one, two;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&one, RIG_ENVELOPES, METRICS);
    rig_open(&two, RIG_ENVELOPES, METRICS);
    for (uint64_t n = 1; n <= 3000; n++) {
        fold_nth(&one, n);
        fold_nth(&two, n);
        /* Other streams beside it, and another order of series in the registry. */
        struct stream_state *kept = two.state;
        two.state = engine_stream(two.engine, "BESIDE");
        fold_nth(&two, 7000 + n * 3);
        two.state = kept;
        if (n % 700 == 0) {
            save(&two, &bytes);
            restart(&two, &bytes);
        }
        if (n % 500 == 0)
            assert_true(checksum_of(&one) == checksum_of(&two));
    }
    save(&one, &bytes);
    struct codec_reader tail = {slice_from(buf_slice(&bytes), bytes.len - 8), true};
    assert_true(codec_get_fixed(&tail) == checksum_of(&one)); /* that of the snapshot */
    uint64_t before = checksum_of(&one);
    cell_add(partition_cell1(registry_partition(one.registry, "S"),
                             registry_find(one.registry, SLICE("last")), "d1"),
             1);
    assert_true(checksum_of(&one) != before);
}

/* A copy is of the moment it was made, whatever is folded before it is written. */
static int append(void *context, struct slice bytes, struct error *err)
{
    (void)err;
    buf_add_slice(context, bytes);
    return 0;
}

static void a_copy_does_not_move(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf want = {0}, have = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    fold_range(&rig, 1, 1000);
    save(&rig, &want);
    struct state_copy *copy = state_copy_new(rig.engine, rig.state);
    fold_range(&rig, 1001, 3000);
    assert_int_equal(state_copy_write(copy, append, &have, NULL, NULL), 0);
    state_copy_free(copy);
    assert_same_bytes(&have, &want);
}

/* What a limit sent elsewhere goes there again after a restart, and is counted once. */
static void limits_survive_a_restart(void **state)
{
    static const char metrics[] =
        "metrics:\n  - {name: x_total, type: counter, help: h, series_max: 3, "
        "labels: {d: $domain, t: $event_type}}\n";
    CLEANUP_RIG struct rig straight, broken;
    CLEANUP_BUF struct buf want = {0}, have = {0};
    (void)state;
    rig_open(&straight, RIG_ENVELOPES, metrics);
    rig_open(&broken, RIG_ENVELOPES, metrics);
    for (uint64_t n = 1; n <= 600; n++) {
        fold_nth(&straight, n);
        fold_nth(&broken, n);
        if (n % 97 == 0) {
            save(&broken, &have);
            restart(&broken, &have);
        }
    }
    save(&straight, &want);
    save(&broken, &have);
    assert_same_bytes(&have, &want);
    CLEANUP_FREE char *shown = rig_exposition(&straight);
    assert_contains(shown, "__overflow__");
}

/* With the rules that we ship, over the ids window's edge. */
static void shipped_rules_are_deterministic(void **state)
{
    enum { EVENTS = DUPLICATE_WINDOW + 5000 };
    CLEANUP_RIG struct rig straight, broken;
    CLEANUP_BUF struct buf want = {0}, have = {0};
    (void)state;
    rig_open_shipped(&straight);
    rig_open_shipped(&broken);
    for (uint64_t n = 1; n <= EVENTS; n++) {
        CLEANUP_FREE char *payload =
            xasprintf("{\"event_id\":\"%llu\",\"event_type\":\"T%llu\",\"aggregate_id\":\"%llu\"}",
                      (unsigned long long)(n % 66000), (unsigned long long)(n % 7),
                      (unsigned long long)(n % 911));
        assert_true(rig_fold(&straight, n, "ops.a.b.c.d", payload) >= 0);
        assert_true(rig_fold(&broken, n, "ops.a.b.c.d", payload) >= 0);
        if (n % 9973 == 0) {
            save(&broken, &have);
            restart(&broken, &have);
        }
    }
    save(&straight, &want);
    save(&broken, &have);
    assert_same_bytes(&have, &want);
    rig_shows_no(&straight, "cim_duplicate_events_total");
}

static void an_empty_state_reads_back(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0}, again = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    save(&rig, &bytes);
    restart(&rig, &bytes);
    assert_int_equal(state_seq(rig.state), 0);
    save(&rig, &again);
    assert_same_bytes(&again, &bytes);
}

/* --- rules that changed ----------------------------------------------------------------------- */

#define METRIC_NEW "  - {name: new_total, type: counter, help: h, labels: {t: $event_type}}\n"

/* What a fold of everything with these rules from the start comes to. */
static char *from_scratch(const char *metrics, uint64_t last)
{
    CLEANUP_RIG struct rig rig;
    rig_open(&rig, RIG_ENVELOPES, metrics);
    fold_range(&rig, 1, last);
    return rig_exposition(&rig);
}

/* Every sample line of one exposition is in the other and the reverse: order of birth may differ.
 */
static void assert_same_samples(const char *a, const char *b)
{
    struct slice rest = slice_of(a), line;
    assert_int_equal(strlen(a), strlen(b));
    while (slice_cut(&rest, '\n', &line)) {
        CLEANUP_FREE char *text = xasprintf("%.*s\n", SLICE_ARG(line));
        if (line.len)
            assert_contains(b, text);
    }
}

static void a_new_metric_gets_its_whole_past(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    fold_range(&rig, 1, 3000);
    save(&rig, &bytes);
    restart_with(&rig, METRICS METRIC_NEW, &bytes);
    assert_int_equal(state_next_seq(rig.state), 1); /* from the start, for the new one */
    assert_int_equal(state_known_seq(rig.state), 3000);
    fold_range(&rig, 1, 1200);
    save(&rig, &bytes); /* in the middle of it */
    restart(&rig, &bytes);
    assert_int_equal(state_next_seq(rig.state), 1201);
    fold_range(&rig, 1201, 4000);
    CLEANUP_FREE char *have = rig_exposition(&rig);
    CLEANUP_FREE char *want = from_scratch(METRICS METRIC_NEW, 4000);
    assert_same_samples(have, want);
}

static void two_changes_in_a_row(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    fold_range(&rig, 1, 3000);
    save(&rig, &bytes);
    restart_with(&rig, METRICS METRIC_NEW, &bytes);
    fold_range(&rig, 1, 1000);
    save(&rig, &bytes);
    restart_with(&rig, METRICS METRIC_NEW "  - {name: z_total, type: counter, help: h}\n", &bytes);
    assert_int_equal(state_next_seq(rig.state), 1);
    fold_range(&rig, 1, 3500);
    CLEANUP_FREE char *have = rig_exposition(&rig);
    CLEANUP_FREE char *want =
        from_scratch(METRICS METRIC_NEW "  - {name: z_total, type: counter, help: h}\n", 3500);
    assert_same_samples(have, want);
}

static void a_changed_rule_begins_anew(void **state)
{
    static const char changed[] =
        "metrics:\n  - {name: x_total, type: counter, help: h, labels: {d: $domain}}\n" METRIC_NEW;
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, "metrics:\n" METRIC_X METRIC_NEW);
    fold_range(&rig, 1, 2000);
    save(&rig, &bytes);
    restart_with(&rig, changed, &bytes);
    fold_range(&rig, 1, 2000);
    CLEANUP_FREE char *have = rig_exposition(&rig);
    CLEANUP_FREE char *want = from_scratch(changed, 2000);
    assert_same_samples(have, want);
}

/* Open spans of rules that stayed are neither lost nor begun again by the fold for the new one. */
static void spans_live_through_a_change_of_rules(void **state)
{
    static const char changed[] = METRICS
        "  - {name: long_seconds, type: span, help: h, key: $aggregate_id, buckets: [1, 10], "
        "start: $event_type == Created, end: $event_type == Moved, timeout: 1m}\n";
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    fold_range(&rig, 1, 2000);
    save(&rig, &bytes);
    restart_with(&rig, changed, &bytes);
    fold_range(&rig, 1, 700);
    save(&rig, &bytes);
    restart(&rig, &bytes);
    fold_range(&rig, 701, 3000);
    CLEANUP_FREE char *have = rig_exposition(&rig);
    CLEANUP_FREE char *want = from_scratch(changed, 3000);
    assert_same_samples(have, want);
    assert_contains(have, "cim_monitor_spans_abandoned_total{metric=\"life_seconds\"");
}

/* Ids and facts that come again, and numbers that are too large for whom they matter to. */
static void fold_retold(struct rig *rig)
{
    for (uint64_t seq = 1; seq <= 40; seq++) {
        CLEANUP_FREE char *payload =
            xasprintf("{\"type\":\"T\",\"id\":\"%llu\",\"part\":%llu,\"by\":\"%s\",\"v\":%s}",
                      (unsigned long long)seq / 2, (unsigned long long)seq / 4,
                      seq % 4 < 2 ? "a" : "b", seq % 5 ? "1" : "1e999");
        (void)rig_fold(rig, seq, "a.b.c", payload);
    }
}

/* What the engine counts by itself stands on the rules, too: after a change it is what another
 * monitor, which knows the new rules alone, comes to. */
static void assert_as_from_scratch(const char *envelopes, const char *metrics, const char *proof)
{
    static const char old[] = "envelopes:\n  - {name: e, subjects: [\">\"], domain: old, "
                              "event_type: $payload.type, event_id: $payload.id, "
                              "fact: [$payload.id], channel: $payload.by}\n";
    CLEANUP_RIG struct rig rig, fresh;
    CLEANUP_BUF struct buf have = {0}, want = {0};
    rig_open(&rig, old, "metrics:\n" METRIC_X);
    fold_retold(&rig);
    rig_shows(&rig, "cim_duplicate_events_total{domain=\"old\"} 19");
    rig_shows_no(&rig, "cim_event_copies_total");
    rig_shows_no(&rig, "cim_monitor_suspect_events_total");
    save(&rig, &have);
    scratch_write(&rig.scratch, "envelopes.yaml", envelopes ? envelopes : old);
    restart_with(&rig, metrics, &have);
    assert_int_equal(state_next_seq(rig.state), 1);
    fold_retold(&rig);
    rig_open(&fresh, envelopes ? envelopes : old, metrics);
    fold_retold(&fresh);
    rig_shows(&rig, proof);
    save(&rig, &have);
    save(&fresh, &want);
    assert_same_bytes(&have, &want);
}

static void duplicates_and_copies_follow_the_envelopes(void **state)
{
    (void)state;
#define ENVELOPE(FIELDS)                                                                           \
    "envelopes:\n  - {name: e, subjects: [\">\"], event_type: $payload.type, " FIELDS "}\n"
    assert_as_from_scratch(ENVELOPE("domain: new, event_id: $payload.part"), "metrics:\n" METRIC_X,
                           "cim_duplicate_events_total{domain=\"new\"} 29");
    assert_as_from_scratch(ENVELOPE("domain: old, fact: [$payload.part], channel: $payload.by"),
                           "metrics:\n" METRIC_X,
                           "cim_event_copies_total{domain=\"old\",event_type=\"T\"} 10");
    assert_as_from_scratch(
        ENVELOPE("domain: old, occurred_at: $payload.part"), "metrics:\n" METRIC_X,
        "cim_monitor_suspect_events_total{stream=\"S\",reason=\"timestamp_past\"} 40");
}

static void a_new_rule_finds_old_events_suspect(void **state)
{
    (void)state;
    assert_as_from_scratch(
        NULL, "metrics:\n" METRIC_X "  - {name: v, type: gauge, help: h, value: $payload.v}\n",
        "cim_monitor_suspect_events_total{stream=\"S\",reason=\"number_out_of_range\"} 8");
}

static void a_rule_that_is_gone_needs_no_new_fold(void **state)
{
    static const char fewer[] = "metrics:\n" METRIC_X;
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, "metrics:\n" METRIC_X METRIC_NEW);
    fold_range(&rig, 1, 2000);
    save(&rig, &bytes);
    restart_with(&rig, fewer, &bytes);
    assert_int_equal(state_next_seq(rig.state), 2001);
    fold_range(&rig, 2001, 2500);
    CLEANUP_FREE char *have = rig_exposition(&rig);
    CLEANUP_FREE char *want = from_scratch(fewer, 2500);
    assert_same_samples(have, want);
}

/* Messages that retention dropped after they were counted: neither counted twice nor called missed.
 */
static void a_new_fold_over_a_shorter_stream(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, "metrics:\n" METRIC_X);
    for (uint64_t seq = 1; seq <= 100; seq++)
        assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\"}") >= 0);
    save(&rig, &bytes);
    restart_with(&rig, "metrics:\n" METRIC_X METRIC_NEW, &bytes);
    buf_reset(&rig.reports);
    state_skip_to(rig.engine, rig.state, 61);
    for (uint64_t seq = 61; seq <= 110; seq++)
        assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\"}") >= 0);
    rig_shows(&rig, "x_total{d=\"a\",t=\"T\"} 110");
    rig_shows(&rig, "new_total{t=\"T\"} 50");
    rig_shows_no(&rig, "cim_monitor_missed_events_total");
    assert_int_equal(rig.reports.len, 0);
}

/* The server lost its end while old messages are folded again for a new rule. */
static void a_roll_back_during_a_new_fold(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, "metrics:\n" METRIC_X);
    for (uint64_t seq = 1; seq <= 100; seq++)
        assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\"}") >= 0);
    save(&rig, &bytes);
    restart_with(&rig, "metrics:\n" METRIC_X METRIC_NEW, &bytes);
    assert_int_equal(state_known_seq(rig.state), 100);
    state_roll_back(rig.state, 90);
    for (uint64_t seq = 1; seq <= 100; seq++)
        assert_true(rig_fold(&rig, seq, "a.b.c", "{\"type\":\"T\"}") >= 0);
    rig_shows(&rig, "x_total{d=\"a\",t=\"T\"} 110");
    rig_shows(&rig, "new_total{t=\"T\"} 100");
}

/* --- damage ----------------------------------------------------------------------------------- */

static void refused(struct rig *rig, struct slice bytes, const char *why)
{
    struct error err = ERROR_NONE;
    if (state_decode(rig->engine, rig->state, bytes, &err) == 0)
        fail_msg("taken, though it is damaged");
    assert_int_equal(err.code, EXIT_CODE_DAMAGED);
    assert_contains(err.text, why);
    assert_int_equal(state_seq(rig->state), 0);
    rig_shows_no(rig, "x_total");
}

static void damaged_snapshots_are_refused(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    uint64_t seed = 4;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    fold_range(&rig, 1, 300);
    save(&rig, &bytes);
    refused(&rig, SLICE_ABSENT, "not a snapshot of this version");
    refused(&rig, SLICE("CIMSTATE2\n"), "not a snapshot of this version");
    refused(&rig, SLICE("CIMSTATE9\n12345678"), "not a snapshot of this version");
    refused(&rig, SLICE("CIMSTATE2\n12345678"), "not a snapshot of this version");
    refused(&rig, SLICE("CIMSTATE4\n12345678"), "not a snapshot of this version");
    refused(&rig, SLICE("CIMSTATE5\n12345678"), "not a snapshot of this version");
    refused(&rig, SLICE("CIMSTATE6\n12345678"), "the checksum does not match");
    for (size_t len = 0; len < bytes.len; len += 37)
        refused(&rig, (struct slice){bytes.ptr, len}, "");
    for (int i = 0; i < 300; i++) {
        size_t at = (size_t)random_below(&seed, bytes.len);
        char kept = bytes.ptr[at];
        bytes.ptr[at] = (char)(kept ^ (char)(1 + random_below(&seed, 255)));
        refused(&rig, buf_slice(&bytes), "");
        bytes.ptr[at] = kept;
    }
    struct error err = ERROR_NONE;
    assert_int_equal(state_decode(rig.engine, rig.state, buf_slice(&bytes), &err), 0);
    assert_int_equal(state_seq(rig.state), 300);
}

static void another_streams_snapshot_is_refused(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf bytes = {0};
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    fold_range(&rig, 1, 50);
    save(&rig, &bytes);
    partition_clear(registry_partition(rig.registry, "S"));
    rig.state = engine_stream(rig.engine, "T");
    refused(&rig, buf_slice(&bytes), "the snapshot is not well-formed");
}

/* Reading a snapshot over a state in use drops what was there, cached cells included. */
static void decoding_replaces_what_is_there(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf early = {0}, want = {0}, have = {0};
    struct error err = ERROR_NONE;
    (void)state;
    rig_open(&rig, RIG_ENVELOPES, METRICS);
    fold_range(&rig, 1, 500);
    save(&rig, &early);
    fold_range(&rig, 501, 1500);
    save(&rig, &want);
    assert_int_equal(state_decode(rig.engine, rig.state, buf_slice(&early), &err), 0);
    assert_int_equal(state_seq(rig.state), 500);
    fold_range(&rig, 501, 1500);
    save(&rig, &have);
    assert_same_bytes(&have, &want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_incarnation_begins_at_one),
        cmocka_unit_test(a_new_incarnation_after_a_restart),
        cmocka_unit_test(rolled_back_places_are_folded_again),
        cmocka_unit_test(straight_or_interrupted_is_the_same),
        cmocka_unit_test(equal_states_have_equal_checksums),
        cmocka_unit_test(a_copy_does_not_move),
        cmocka_unit_test(limits_survive_a_restart),
        cmocka_unit_test(shipped_rules_are_deterministic),
        cmocka_unit_test(an_empty_state_reads_back),
        cmocka_unit_test(a_new_metric_gets_its_whole_past),
        cmocka_unit_test(two_changes_in_a_row),
        cmocka_unit_test(a_changed_rule_begins_anew),
        cmocka_unit_test(spans_live_through_a_change_of_rules),
        cmocka_unit_test(duplicates_and_copies_follow_the_envelopes),
        cmocka_unit_test(a_new_rule_finds_old_events_suspect),
        cmocka_unit_test(a_rule_that_is_gone_needs_no_new_fold),
        cmocka_unit_test(a_new_fold_over_a_shorter_stream),
        cmocka_unit_test(a_roll_back_during_a_new_fold),
        cmocka_unit_test(damaged_snapshots_are_refused),
        cmocka_unit_test(another_streams_snapshot_is_refused),
        cmocka_unit_test(decoding_replaces_what_is_there),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
