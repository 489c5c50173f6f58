/*
 * Stamps of replays: a stamped block is well-formed, bears one stamp, which is the one that was put
 * on it, keeps every other header, can be stamped again, and comes back as it was.
 */
#include <stdlib.h>

#include "act/replay/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* How many of these headers there are; -1: the block is broken. */
static int count_of(struct slice block, struct slice name)
{
    struct event_headers walk;
    struct event_header header;
    int count = 0;
    if (!event_headers_begin(&walk, block, NULL))
        return -1;
    while (event_headers_next(&walk, &header))
        count += !slice_present(name) || slice_eq(header.name, name);
    return walk.broken ? -1 : count;
}

static void check_stamped(struct slice block, const struct stamp *stamp, bool for_stream)
{
    struct stamp read;
    int count = count_of(block, SLICE_ABSENT);
    check(count >= 4 + for_stream && count <= STAMP_HEADERS_MAX);
    check(stamp_read(block, &read));
    check(slice_eq(read.replay, stamp->replay) && slice_eq(read.stream, stamp->stream) &&
          read.seq == stamp->seq);
    check(count_of(block, SLICE("Cim-Replay-Id")) == 1);
    check(count_of(block, SLICE("Cim-Replay-Sequence")) == 1);
    check(!for_stream || count_of(block, SLICE("Nats-Msg-Id")) == 1);
}

/* What is neither a stamp nor a server's, in its order. */
static void add_others(struct buf *out, struct slice block)
{
    struct event_headers walk;
    struct event_header header;
    if (!block.len || !event_headers_begin(&walk, block, NULL))
        return;
    while (event_headers_next(&walk, &header)) {
        if (slice_starts(header.name, SLICE("Cim-Replay-")) ||
            slice_starts(header.name, SLICE("Nats-")))
            continue;
        buf_add_slice(out, header.name);
        buf_add_char(out, '\n');
        buf_add_slice(out, header.value);
        buf_add_char(out, '\n');
    }
}

static void check_others(struct slice before, struct slice after)
{
    struct buf a = {0}, b = {0};
    add_others(&a, before);
    add_others(&b, after);
    check(slice_eq(buf_slice(&a), buf_slice(&b)));
    buf_done(&a);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct stamp first = {SLICE("20260711-120000-abcdef"), SLICE("CIM-EVENTS"), 42, 7},
                       second = {SLICE("20260712-120000-ghjkmn"), SLICE("COPY"), UINT64_MAX, -1};
    bool for_stream = size && data[0] & 1;
    struct slice block = {(const char *)data + (size > 0), size - (size > 0)};
    struct buf once = {0}, twice = {0}, back = {0};
    const char *why;
    struct stamp read;
    (void)stamp_read(block, &read);
    if (stamp_make(&once, block, &first, for_stream, &why)) {
        check_stamped(buf_slice(&once), &first, for_stream);
        check_others(block, buf_slice(&once));
        if (stamp_make(&twice, buf_slice(&once), &second, for_stream, &why)) {
            check_stamped(buf_slice(&twice), &second, for_stream);
            check_others(block, buf_slice(&twice));
        } else { /* only where it has had more than it may have, in disguise */
            check(count_of(block, SLICE_ABSENT) > EVENT_HEADERS_MAX - 5);
        }
        stamp_strip(buf_slice(&once), &back);
        check(!back.len || count_of(buf_slice(&back), SLICE_ABSENT) >= 0);
        check_others(block, buf_slice(&back));
    } else {
        check(count_of(block, SLICE_ABSENT) < 0 ||
              count_of(block, SLICE_ABSENT) > EVENT_HEADERS_MAX);
    }
    buf_done(&once);
    buf_done(&twice);
    buf_done(&back);
    return 0;
}
