#include "unit.h"

#include <stdio.h>

#include "base/memory.h"
#include "event/view.h"

static void a_block_gives_its_headers_in_order(void **state)
{
    struct event_header out[4];
    (void)state;
    const struct slice block = SLICE("NATS/1.0\r\nNats-Msg-Id: one\r\nX-Empty:\r\n"
                                     "Time:  10:20:30 \t\r\nnats-msg-id:two\r\n\r\n");
    assert_int_equal(event_headers_parse(block, out, ARRAY_LEN(out)), 4);
    assert_slice(out[0].name, "Nats-Msg-Id");
    assert_slice(out[0].value, "one");
    assert_slice(out[1].value, "");
    assert_slice(out[2].value, "10:20:30");
    assert_slice(out[3].name, "nats-msg-id");
    /* What has no room is checked all the same. */
    assert_int_equal(event_headers_parse(block, out, 2), 2);
    assert_int_equal(event_headers_parse(SLICE("NATS/1.0\r\na:1\r\nb:2\r\nc\r\n\r\n"), out, 1), -1);
    assert_int_equal(event_headers_parse(SLICE_ABSENT, out, 4), 0);
    assert_int_equal(event_headers_parse(SLICE(""), out, 4), 0);
    assert_int_equal(event_headers_parse(SLICE("NATS/1.0\r\n\r\n"), out, 4), 0);
}

/* Line by line: what parsing all at once must agree with. */
static int parse_slowly(struct slice block, struct event_header *out, int room)
{
    struct event_headers walk;
    struct event_header header;
    int count = 0;
    if (!block.len)
        return 0;
    for (bool more = event_headers_begin(&walk, block, NULL); more;) {
        more = event_headers_next(&walk, &header);
        if (more && count < room)
            out[count++] = header;
    }
    return walk.broken ? -1 : count;
}

static void all_at_once_is_as_line_by_line(void **state)
{
    static const char *const pieces[] = {"\r\n",        "\r\n",
                                         "\r\n",        ":",
                                         "A",           "Nats-Msg-Id: 0190e2a4",
                                         "\n",          "\r",
                                         " ",           "X-Time: 10:20",
                                         "longer-name", "",
                                         ": ",          "z",
                                         "\r\n"};
    uint64_t seed = 3;
    size_t sound = 0, broken = 0;
    (void)state;
    for (int i = 0; i < 300000; i++) {
        struct event_header have[6], want[6];
        char text[400] = "NATS/1.0\r\n";
        size_t len = strlen(text);
        uint64_t count = (seed >> 33) % 12;
        for (uint64_t n = 0; n < count; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const char *piece = pieces[(seed >> 33) % ARRAY_LEN(pieces)];
            bool whole = (seed >> 40) % 3 != 0; /* mostly well-formed lines */
            if (whole)
                len += (size_t)snprintf(text + len, sizeof text - len, "N%d: %s\r\n", (int)n,
                                        *piece == '\r' || *piece == '\n' ? "v" : piece);
            else
                len += (size_t)snprintf(text + len, sizeof text - len, "%s", piece);
        }
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if ((seed >> 40) % 8)
            len += (size_t)snprintf(text + len, sizeof text - len, "\r\n");
        /* Exactly as much memory as there is text: nothing behind it may be read. */
        CLEANUP_FREE char *exact = xcalloc(len, 1);
        memcpy(exact, text, len);
        struct slice block = {exact, len};
        int room = (int)((seed >> 50) % 7);
        int wanted = parse_slowly(block, want, room),
            found = event_headers_parse(block, have, room);
        if (wanted != found)
            fail_msg("%d, not %d: '%s'", found, wanted, text);
        for (int h = 0; h < found; h++)
            assert_true(slice_eq(have[h].name, want[h].name) &&
                        slice_eq(have[h].value, want[h].value));
        sound += found > 0;
        broken += found < 0;
    }
    assert_true(sound > 10000 && broken > 10000);
}

static void the_status_stands_in_the_first_line(void **state)
{
    struct event_headers walk;
    struct slice status;
    (void)state;
    assert_true(event_headers_begin(&walk, SLICE("NATS/1.0 100 Idle Heartbeat\r\n\r\n"), &status));
    assert_slice(status, "100 Idle Heartbeat");
    assert_true(event_headers_begin(&walk, SLICE("NATS/1.0\r\nA: 1\r\n\r\n"), &status));
    assert_absent(status);
}

static void broken_blocks_are_refused(void **state)
{
    static const char *const broken[] = {
        "x",
        "\n",
        "\r\n",
        "NATS/1.0",
        "NATS/1.0\r\n",
        "NATS/1.0\n\n",
        "NATS/1.1\r\n\r\n",
        "NATS/1.0x\r\n\r\n",
        "nats/1.0\r\n\r\n",
        "NATS/1.0\r\nA: 1\r\n",
        "NATS/1.0\r\nA: 1\n\r\n",
        "NATS/1.0\r\nA 1\r\n\r\n",
        "NATS/1.0\r\n: 1\r\n\r\n",
        "NATS/1.0\r\n\r\nA: 1\r\n\r\n",
        "NATS/1.0\r\nA: 1\r2\r\n\r\n",
        "NATS/1.0\r\nA: 1\r\n\r\n ",
        "NATS/1.0\r\nA: 1\r\n\r",
    };
    struct event_header out[4];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        if (event_headers_parse(slice_of(broken[i]), out, ARRAY_LEN(out)) != -1)
            fail_msg("taken as a header block: case %zu", i);
    }
}

static void a_block_is_searched_like_a_list(void **state)
{
    struct event_input input = {
        .header_block = SLICE("NATS/1.0\r\nstream: S\r\nX-Event-Type: one\r\nevent-type: two\r\n"
                              "X-Empty:\r\n\r\n")};
    (void)state;
    assert_slice(event_header_find(&input, SLICE("Event-Type")), "one");
    assert_slice(event_header_find(&input, SLICE("CIM-Stream")), "S");
    assert_slice(event_header_find(&input, SLICE("empty")), "");
    assert_absent(event_header_find(&input, SLICE("none")));
    input.header_block = SLICE("NATS/1.0\r\nno end");
    assert_absent(event_header_find(&input, SLICE("stream")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_gives_its_headers_in_order),
        cmocka_unit_test(all_at_once_is_as_line_by_line),
        cmocka_unit_test(the_status_stands_in_the_first_line),
        cmocka_unit_test(broken_blocks_are_refused),
        cmocka_unit_test(a_block_is_searched_like_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
