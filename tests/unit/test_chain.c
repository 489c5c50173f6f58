/*
 * fold/chain: what is verified, what is a break and what is neither.
 *
 * tests/corpus/chains.jsonl holds chains of each producer, whole and broken, one line an event with
 * its verdict in `expect`. Its CIDs were computed apart from this program (b3sum, Python's
 * hashlib); the first of the chained and of the stored ones are those that CIM's own crates gave.
 */
#include "unit.h"

#include "base/file.h"
#include "event/lines.h"
#include "fold/chain.h"
#include "fold/engine_internal.h"
#include "fold_rig.h"

static const char corpus[] = "tests/corpus/chains.jsonl";

/* The member `"name":"text"` of a line that has no escapes there. */
static struct slice member(struct slice line, const char *name)
{
    CLEANUP_FREE char *key = xasprintf("\"%s\":\"", name);
    char *at = memmem(line.ptr, line.len, key, strlen(key));
    assert_non_null(at);
    at += strlen(key);
    char *end = memchr(at, '"', (size_t)(line.ptr + line.len - at));
    assert_non_null(end);
    return (struct slice){at, (size_t)(end - at)};
}

static void text_of(const struct chain_finding *finding, struct buf *ret)
{
    buf_reset(ret);
    if (finding->verdict == CHAIN_UNVERIFIABLE)
        buf_add_str(ret, "unverifiable: ");
    buf_add_str(ret, finding->verdict == CHAIN_NONE       ? "none"
                     : finding->verdict == CHAIN_VERIFIED ? "verified"
                                                          : finding->reason);
}

static void each_line_has_its_verdict(void **state)
{
    CLEANUP_RIG struct rig rig;
    CLEANUP_BUF struct buf have = {0};
    struct chain_heads heads = {0};
    struct error err = ERROR_NONE;
    struct line_event event;
    struct lines *lines;
    size_t seen = 0;
    (void)state;
    rig_open_shipped(&rig);
    assert_int_equal(lines_open(corpus, &lines, &err), 0);
    while (lines_next(lines, &event, &err) == LINES_EVENT) {
        struct prepared prepared;
        event.input.seq = ++seen;
        assert_null(engine_view_prepared(rig.engine, &event.input, &prepared));
        struct chain_finding finding = chain_check(&rig.engine->eval, &heads, &rig.engine->hashed);
        struct slice want = member(lines_raw(lines), "expect");
        text_of(&finding, &have);
        if (!slice_eq(buf_slice(&have), want))
            fail_msg("%s:%zu: %.*s (%s), expected %.*s: %.*s", corpus, seen,
                     SLICE_ARG(buf_slice(&have)), finding.reason, SLICE_ARG(want),
                     SLICE_ARG(member(lines_raw(lines), "note")));
    }
    assert_true(seen > 50);
    lines_close(lines);
    chain_heads_clear(&heads);
}

/* --- in the fold --------------------------------------------------------------------------------
 */

/* The lines `first` to `last` (from 1) of the corpus, stored under their numbers. */
static void fold_lines(struct rig *rig, uint64_t first, uint64_t last)
{
    struct error err = ERROR_NONE;
    struct line_event event;
    struct lines *lines;
    assert_int_equal(lines_open(corpus, &lines, &err), 0);
    for (uint64_t seq = 1; seq <= last && lines_next(lines, &event, &err) == LINES_EVENT; seq++) {
        event.input.seq = seq;
        event.input.stored_at_ns = (RIG_EPOCH_S + (int64_t)seq) * 1000000000;
        if (seq >= first)
            (void)engine_fold(rig->engine, rig->state, &event.input);
    }
    lines_close(lines);
}

static char *chain_series(struct rig *rig)
{
    CLEANUP_FREE char *text = rig_exposition(rig);
    struct buf kept = {0};
    struct slice rest = slice_of(text), line;
    while (slice_cut(&rest, '\n', &line)) {
        if (slice_starts(line, SLICE("cim_event_chain_"))) {
            buf_add_slice(&kept, line);
            buf_add_char(&kept, '\n');
        }
    }
    (void)buf_cstr(&kept);
    return kept.ptr;
}

static void verdicts_are_counted(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    fold_lines(&rig, 1, 5);
    rig_shows(&rig, "cim_event_chain_verified_total{domain=\"probe\"} 4");
    rig_shows(&rig, "cim_event_chain_breaks_total{domain=\"probe\",reason=\"cid_mismatch\"} 1");
    assert_contains(buf_cstr(&rig.reports), "chain/S/5/cid_mismatch/1;");
}

/* Stopped at any place and taken up from the snapshot, it counts the same, and the state is the
 * same to the byte. */
static void a_snapshot_at_any_place_changes_nothing(void **state)
{
    CLEANUP_RIG struct rig whole;
    CLEANUP_BUF struct buf want = {0};
    (void)state;
    rig_open_shipped(&whole);
    fold_lines(&whole, 1, 1000);
    CLEANUP_FREE char *series = chain_series(&whole);
    state_encode(whole.engine, whole.state, &want);
    for (uint64_t stop = 1; stop < 40; stop += 3) {
        CLEANUP_RIG struct rig first, second;
        CLEANUP_BUF struct buf bytes = {0}, have = {0};
        struct error err = ERROR_NONE;
        rig_open_shipped(&first);
        fold_lines(&first, 1, stop);
        state_encode(first.engine, first.state, &bytes);
        rig_open_shipped(&second);
        assert_int_equal(state_decode(second.engine, second.state, buf_slice(&bytes), &err), 0);
        fold_lines(&second, 1, 1000);
        CLEANUP_FREE char *again = chain_series(&second);
        assert_string_equal(again, series);
        state_encode(second.engine, second.state, &have);
        assert_true(slice_eq(buf_slice(&have), buf_slice(&want)));
    }
}

/* Folded again from the start for a new rule: nothing is counted twice. */
static void folding_again_counts_nothing_twice(void **state)
{
    CLEANUP_RIG struct rig first, second;
    CLEANUP_BUF struct buf bytes = {0};
    struct error err = ERROR_NONE;
    (void)state;
    rig_open_shipped(&first);
    fold_lines(&first, 1, 10);
    state_encode(first.engine, first.state, &bytes);
    CLEANUP_FREE char *want = chain_series(&first);

    second = (struct rig){0};
    scratch_open(&second.scratch);
    CLEANUP_BUF struct buf envelopes = {0};
    assert_int_equal(file_read("rules/envelopes.yaml", 1 << 20, &envelopes, &err), 0);
    scratch_write(&second.scratch, "envelopes.yaml", buf_cstr(&envelopes));
    scratch_write(&second.scratch, "new.yaml",
                  "metrics: [{name: cim_new_total, type: counter, help: New.}]");
    assert_int_equal(rules_load(second.scratch.folder, &second.rules, &err), 0);
    rig_start(&second);
    assert_int_equal(state_decode(second.engine, second.state, buf_slice(&bytes), &err), 0);
    fold_lines(&second, 1, 10);
    rig_shows(&second, "cim_new_total 10");
    CLEANUP_FREE char *have = chain_series(&second);
    assert_string_equal(have, want);
    /* And what comes next is linked to what was folded again. */
    fold_lines(&second, 11, 11);
    rig_shows(&second, "cim_event_chain_verified_total{domain=\"probe\"} 6");
}

/* Messages gone from the stream: the chain is taken up behind them. */
static void a_gap_in_the_stream_is_no_break(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    fold_lines(&rig, 1, 1);
    fold_lines(&rig, 4, 4); /* 2 and 3 are missing, and are between the two in their chain */
    rig_shows(&rig, "cim_event_chain_verified_total{domain=\"probe\"} 2");
    rig_shows_no(&rig, "cim_event_chain_breaks_total");
    rig_shows(&rig, "cim_monitor_missed_events_total{stream=\"S\"} 2");
}

static void a_new_stream_and_a_rolled_back_one_begin_anew(void **state)
{
    CLEANUP_RIG struct rig rig;
    (void)state;
    rig_open_shipped(&rig);
    fold_lines(&rig, 1, 4);
    state_begin_incarnation(rig.engine, rig.state, "2026-07-11T12:00:00Z");
    fold_lines(&rig, 1, 1); /* a genesis, under an aggregate that had one */
    rig_shows(&rig, "cim_event_chain_verified_total{domain=\"probe\"} 5");
    rig_shows_no(&rig, "cim_event_chain_breaks_total");
    fold_lines(&rig, 2, 4);
    state_roll_back(rig.state, 1);
    fold_lines(&rig, 4, 4); /* whatever lies at the end now */
    rig_shows_no(&rig, "cim_event_chain_breaks_total");
}

/* --- limits -------------------------------------------------------------------------------------
 */

static void heads_are_bounded(void **state)
{
    CLEANUP_RIG struct rig rig;
    struct chain_heads heads = {0};
    CLEANUP_BUF struct buf first = {0}, second = {0};
    (void)state;
    rig_open_shipped(&rig);
    for (int i = 0; i < CHAIN_HEADS_MAX + 1000; i++) {
        CLEANUP_FREE char *subject = xasprintf("events.probe.r%d", i);
        struct event_input input = {
            .subject = slice_of(subject),
            .payload = SLICE("{\"content\":{},\"cid\":"
                             "\"bagaibqabdyqigv5n6n4q5jcg3wv76ro2h4ywizjpef535qogqblq3yym52f6udi\","
                             "\"previous_cid\":null,\"sequence\":0,"
                             "\"timestamp\":{\"secs_since_epoch\":1}}"),
            .seq = (uint64_t)i + 1};
        struct prepared prepared;
        assert_null(engine_view_prepared(rig.engine, &input, &prepared));
        (void)chain_check(&rig.engine->eval, &heads, &rig.engine->hashed);
    }
    assert_int_equal(heads.at.count, CHAIN_HEADS_MAX);
    chain_heads_encode(&heads, &first);
    struct chain_heads again = {0};
    struct codec_reader in = {buf_slice(&first), true};
    chain_heads_decode(&again, true, &in);
    assert_true(in.ok && !in.rest.len);
    chain_heads_encode(&again, &second);
    assert_true(slice_eq(buf_slice(&first), buf_slice(&second)));
    chain_heads_clear(&heads);
    chain_heads_clear(&again);
}

/* --- rules --------------------------------------------------------------------------------------
 */

static void refused(const char *chain, const char *want)
{
    CLEANUP_RIG struct rig rig = {0};
    CLEANUP_FREE char *envelopes = xasprintf(
        "chains:\n  - %s\nenvelopes:\n  - {name: e, subjects: [\">\"], chain: c}\n", chain);
    struct error err = ERROR_NONE;
    rig.registry = registry_new();
    if (rig_load(&rig, envelopes, NULL, &err) == 0)
        fail_msg("taken: %s", chain);
    assert_contains(err.text, want);
}

static void mistakes_in_rules_are_named(void **state)
{
    (void)state;
    refused("{name: c, bytes: [x]}", "needs 'name', 'cid' and 'bytes'");
    refused("{name: c, cid: $header.CID, bytes: [x]}", "a $payload.PATH was expected");
    refused("{name: c, cid: $payload.cid, bytes: $payload.x}", "'bytes' is a list");
    refused("{name: c, cid: $payload.cid, bytes: [$domain]}", "$previous, $position and");
    refused("{name: c, cid: $payload.cid, bytes: [$previous]}", "need 'previous'");
    refused("{name: c, cid: $payload.cid, bytes: [x], codec: 85}", "a multicodec code");
    refused("{name: c, cid: $payload.cid, bytes: [x], codec: 0xg}", "a multicodec code");
    refused("{name: c, cid: $payload.cid, bytes: [x], split: true}", "'split' needs");
    refused("{name: c, cid: $payload.cid, bytes: [x], split: false}", "'split' is true");
    refused("{name: c, cid: $payload.cid, bytes: [x], order: $payload.a}", "a list of at most 16");
    refused("{name: c, cid: $payload.cid, bytes: [x], more: 1}", "unknown key 'more'");
    refused("{name: d, cid: $payload.cid, bytes: [x]}", "no entry of 'chains' has the name 'c'");
    refused("{name: c, cid: $payload.cid, bytes: [x]}\n  - {name: c, cid: $payload.a, bytes: [x]}",
            "another chain has the name 'c'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_has_its_verdict),
        cmocka_unit_test(verdicts_are_counted),
        cmocka_unit_test(a_snapshot_at_any_place_changes_nothing),
        cmocka_unit_test(folding_again_counts_nothing_twice),
        cmocka_unit_test(a_gap_in_the_stream_is_no_break),
        cmocka_unit_test(a_new_stream_and_a_rolled_back_one_begin_anew),
        cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(mistakes_in_rules_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
