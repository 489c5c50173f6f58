/* stamp: what a replay puts on an event is found again, and what was there before comes back. */
#include "unit.h"

#include <stdio.h>

#include "act/replay/stamp.h"
#include "base/memory.h"

static const struct stamp usual = {
    {"20260711-120000-abcdef", 22}, {"CIM-EVENTS", 10}, 42, INT64_C(1783771200123456789)};

static void make(struct buf *out, struct slice block, const struct stamp *stamp, bool for_stream)
{
    const char *why = NULL;
    if (!stamp_make(out, block, stamp, for_stream, &why))
        fail_msg("%s", why);
}

static void there_and_back(const char *text)
{
    CLEANUP_BUF struct buf stamped = {0}, back = {0};
    struct stamp read;
    make(&stamped, slice_of(text), &usual, true);
    assert_true(stamp_read(buf_slice(&stamped), &read));
    assert_slice(read.replay, usual.replay.ptr);
    assert_slice(read.stream, usual.stream.ptr);
    assert_int_equal(read.seq, 42);
    stamp_strip(buf_slice(&stamped), &back);
    assert_slice(buf_slice(&back), text);
}

static void what_was_there_comes_back(void **state)
{
    (void)state;
    there_and_back("");
    there_and_back("NATS/1.0\r\nX-Own: kept\r\n\r\n");
    there_and_back("NATS/1.0\r\nX-Many: one\r\nX-Many: two\r\nX-Empty: \r\nA: b: c\r\n\r\n");
    there_and_back(
        "NATS/1.0\r\nNats-Msg-Id: known\r\nNats-Rollup: all\r\nX: y\r\nNats-TTL: 5s\r\n\r\n");
    there_and_back(
        "NATS/1.0\r\nNats-Stream: REPUBLISHED\r\nNats-Sequence: 7\r\nNats-Id: a\r\nX: y\r\n\r\n");
}

static void what_a_stream_acts_on_has_another_name(void **state)
{
    CLEANUP_BUF struct buf stamped = {0};
    const struct slice block =
        SLICE("NATS/1.0\r\nNats-Msg-Id: known\r\nNats-Rollup: all\r\nX: y\r\n\r\n");
    (void)state;
    make(&stamped, block, &usual, true);
    const char *text = buf_cstr(&stamped);
    assert_contains(text, "\r\nCim-Replay-Msg-Id: known\r\n");
    assert_contains(text, "\r\nCim-Replay-Rollup: all\r\n");
    assert_contains(text, "\r\nX: y\r\n");
    assert_contains(text, "\r\nCim-Replay-Time: 2026-07-11T12:00:00.123456789Z\r\n");
    assert_contains(text, "\r\nNats-Msg-Id: 20260711-120000-abcdef:CIM-EVENTS:42\r\n");
    assert_null(strstr(text, "\r\nNats-Rollup"));
    assert_null(strstr(text, "Nats-Msg-Id: known"));
    /* Where no stream takes it, names stay, and nothing is to be deduplicated by. */
    make(&stamped, block, &usual, false);
    text = buf_cstr(&stamped);
    assert_contains(text, "\r\nNats-Msg-Id: known\r\n");
    assert_null(strstr(text, "abcdef:CIM-EVENTS"));
}

static void a_replay_of_a_replay_bears_the_new_stamp_only(void **state)
{
    CLEANUP_BUF struct buf once = {0}, twice = {0};
    struct stamp read, later = {{"second", 6}, {"COPY", 4}, 7, 0};
    (void)state;
    make(&once, SLICE("NATS/1.0\r\nX: y\r\n\r\n"), &usual, true);
    make(&twice, buf_slice(&once), &later, true);
    assert_true(stamp_read(buf_slice(&twice), &read));
    assert_slice(read.replay, "second");
    assert_slice(read.stream, "COPY");
    assert_int_equal(read.seq, 7);
    const char *text = buf_cstr(&twice), *first = strstr(text, "Cim-Replay-Id");
    assert_non_null(first);
    assert_null(strstr(first + 1, "Cim-Replay-Id"));
    assert_contains(text, "X: y");
}

static void add_many(struct buf *out, int count)
{
    buf_add_str(out, "NATS/1.0\r\n");
    for (int i = 0; i < count; i++)
        buf_addf(out, "X-%d: value %d\r\n", i, i);
    buf_add_str(out, "\r\n");
}

static void too_many_and_broken_ones_are_refused(void **state)
{
    const char *why = NULL;
    CLEANUP_BUF struct buf block = {0}, again = {0}, stamped = {0};
    (void)state;
    add_many(&block, EVENT_HEADERS_MAX);
    there_and_back(buf_cstr(&block));
    /* With a stamp on it, it is replayed once more all the same. */
    make(&again, buf_slice(&block), &usual, true);
    assert_true(stamp_make(&stamped, buf_slice(&again), &usual, false, &why));
    buf_reset(&block);
    add_many(&block, EVENT_HEADERS_MAX + 1);
    assert_false(stamp_make(&stamped, buf_slice(&block), &usual, true, &why));
    assert_string_equal(why, "it has more than 64 headers");
    static const char *const broken[] = {"NATS/2.0\r\n\r\n", "NATS/1.0\r\nno colon\r\n\r\n",
                                         "NATS/1.0\r\nX: y\r\n", "NATS/1.0", "X: y\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct stamp read;
        assert_false(stamp_make(&stamped, slice_of(broken[i]), &usual, true, &why));
        assert_string_equal(why, "its headers are broken");
        assert_false(stamp_read(slice_of(broken[i]), &read));
    }
}

static void half_a_stamp_is_none(void **state)
{
    struct stamp read;
    (void)state;
    assert_false(stamp_read(SLICE(""), &read));
    assert_false(
        stamp_read(SLICE("NATS/1.0\r\nCim-Replay-Id: a\r\nCim-Replay-Stream: S\r\n\r\n"), &read));
    assert_false(stamp_read(SLICE("NATS/1.0\r\nCim-Replay-Id: a\r\nCim-Replay-Stream: S\r\n"
                                  "Cim-Replay-Sequence: 1x\r\n\r\n"),
                            &read));
    assert_true(stamp_read(SLICE("NATS/1.0\r\nCim-Replay-Id: a\r\nCim-Replay-Stream: S\r\n"
                                 "Cim-Replay-Sequence: 18446744073709551615\r\n\r\n"),
                           &read));
    assert_true(read.seq == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_comes_back),
        cmocka_unit_test(what_a_stream_acts_on_has_another_name),
        cmocka_unit_test(a_replay_of_a_replay_bears_the_new_stamp_only),
        cmocka_unit_test(too_many_and_broken_ones_are_refused),
        cmocka_unit_test(half_a_stamp_is_none),
    };
    return cmocka_run_group_tests_name("replay_stamp", tests, NULL, NULL);
}
