/* The protocol as a server speaks it, frame by frame and cut anywhere. */
#include "unit.h"

#include "bus/ordered.h"
#include "bus/wire_parse.h"

static enum wire_kind parse(const char *text, struct wire_frame *ret)
{
    return wire_parse(slice_of(text), ret);
}

static void messages_are_read_in_place(void **state)
{
    struct wire_frame f;
    (void)state;
    assert_int_equal(parse("MSG cim.a 12 3\r\nabc\r\nPING\r\n", &f), WIRE_MESSAGE);
    assert_int_equal(f.used, 21);
    assert_int_equal(f.message.sid, 12);
    assert_slice(f.message.subject, "cim.a");
    assert_absent(f.message.reply);
    assert_absent(f.message.header_block);
    assert_slice(f.message.payload, "abc");

    assert_int_equal(parse("MSG cim.a 1 $JS.ACK.x 0\r\n\r\n", &f), WIRE_MESSAGE);
    assert_slice(f.message.reply, "$JS.ACK.x");
    assert_slice(f.message.payload, "");

    assert_int_equal(parse("HMSG s 1 r 12 14\r\nNATS/1.0\r\n\r\n{}\r\n", &f), WIRE_MESSAGE);
    assert_slice(f.message.reply, "r");
    assert_slice(f.message.header_block, "NATS/1.0\r\n\r\n");
    assert_slice(f.message.payload, "{}");
    assert_int_equal(parse("hmsg  s 1  12  12 \r\nNATS/1.0\r\n\r\n\r\n", &f), WIRE_MESSAGE);
    assert_absent(f.message.reply);
    assert_slice(f.message.payload, "");
}

static void control_lines_are_told_apart(void **state)
{
    struct wire_frame f;
    (void)state;
    assert_int_equal(parse("PING\r\n", &f), WIRE_PING);
    assert_int_equal(parse("pong\r\n", &f), WIRE_PONG);
    assert_int_equal(parse("+OK\r\n", &f), WIRE_OK);
    assert_int_equal(parse("INFO {\"a\":1} \r\n", &f), WIRE_INFO);
    assert_slice(f.text, "{\"a\":1}");
    assert_int_equal(parse("-ERR 'Stale Connection'\r\n", &f), WIRE_ERROR);
    assert_slice(f.text, "Stale Connection");
    assert_int_equal(parse("-ERR\r\n", &f), WIRE_ERROR);
    assert_slice(f.text, "");
}

static void what_is_no_protocol_is_broken(void **state)
{
    static const char *const broken[] = {
        "\n",
        "\r\n",
        "PING\n",
        "PINGS\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
        "MSG\r\n",
        "MSG a\r\n",
        "MSG a 1\r\n",
        "MSG a x 1\r\nb\r\n",
        "MSG a 1 r x 1\r\nb\r\n",
        "MSG a 1 -1\r\n\r\n",
        "MSG a 1 1\r\nab\r\n",
        "MSG a 1 99999999999\r\n",
        "MSG a 1 67108865\r\n",
        "HMSG a 1 5\r\nabcde\r\n",
        "HMSG a 1 6 5\r\nabcde\r\n",
        "HMSG a 1 r 1 2 3\r\nab\r\n",
    };
    struct wire_frame f;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        if (parse(broken[i], &f) != WIRE_BROKEN)
            fail_msg("taken as protocol: case %zu", i);
    }
}

static void a_frame_cut_anywhere_is_partial(void **state)
{
    static const char *const frames[] = {"INFO {\"server_id\":\"x\"}\r\n", "PING\r\n",
                                         "MSG cim.a 12 $JS.ACK.S.C.1.2.3.4.5 3\r\nabc\r\n",
                                         "HMSG s 1 r 12 14\r\nNATS/1.0\r\n\r\n{}\r\n"};
    struct wire_frame f;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct slice whole = slice_of(frames[i]);
        for (size_t len = 0; len < whole.len; len++) {
            assert_int_equal(wire_parse((struct slice){whole.ptr, len}, &f), WIRE_PARTIAL);
            assert_true(f.wanted > len && f.wanted <= whole.len);
        }
        enum wire_kind kind = wire_parse(whole, &f);
        assert_true(kind != WIRE_PARTIAL && kind != WIRE_BROKEN);
        assert_int_equal(f.used, whole.len);
    }
}

static void a_line_without_end_is_given_up(void **state)
{
    CLEANUP_BUF struct buf line = {0};
    struct wire_frame f;
    (void)state;
    while (line.len <= WIRE_LINE_MAX)
        buf_add_str(&line, "INFO INFO INFO INFO ");
    assert_int_equal(wire_parse(buf_slice(&line), &f), WIRE_BROKEN);
}

static void places_of_both_layouts(void **state)
{
    struct ordered_place place;
    (void)state;
    assert_true(ordered_parse_place(SLICE("$JS.ACK.S.C.1.22.3.1783771227671243528.9"), &place));
    assert_true(place.stream_seq == 22 && place.consumer_seq == 3 && place.pending == 9 &&
                place.stored_at_ns == INT64_C(1783771227671243528));
    assert_true(ordered_parse_place(SLICE("$JS.ACK.D.hash.S.C.1.22.3.44.9"), &place));
    assert_true(place.stream_seq == 22 && place.pending == 9);
    assert_true(ordered_parse_place(SLICE("$JS.ACK.D.hash.S.C.1.22.3.44.9.random"), &place));
    assert_true(place.consumer_seq == 3 && place.pending == 9);
    assert_false(ordered_parse_place(SLICE("$JS.ACK.S.C.1.22.3.44"), &place));
    assert_false(ordered_parse_place(SLICE("$JS.ACK.S.C.1.22.3.44.x"), &place));
    assert_false(ordered_parse_place(SLICE("$JS.ACK.S.C.1..3.44.9"), &place));
    assert_false(ordered_parse_place(SLICE("$JS.FC.S.C.1.22.3.44.9"), &place));
    assert_false(ordered_parse_place(SLICE_ABSENT, &place));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_in_place),
        cmocka_unit_test(control_lines_are_told_apart),
        cmocka_unit_test(what_is_no_protocol_is_broken),
        cmocka_unit_test(a_frame_cut_anywhere_is_partial),
        cmocka_unit_test(a_line_without_end_is_given_up),
        cmocka_unit_test(places_of_both_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
