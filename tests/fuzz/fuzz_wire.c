/*
 * The NATS protocol as a server speaks it: frames lie inside their bytes, and a stream cut anywhere
 * gives the same frames as the whole. The first byte of the input says where it is cut.
 */
#include <stdlib.h>

#include "bus/wire_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_inside(struct slice part, struct slice whole)
{
    check(!slice_present(part) ||
          (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

static void check_frame(enum wire_kind kind, const struct wire_frame *frame, struct slice bytes)
{
    if (kind == WIRE_PARTIAL) {
        check(frame->wanted > bytes.len && frame->wanted <= WIRE_MESSAGE_MAX + WIRE_LINE_MAX + 64);
        return;
    }
    if (kind == WIRE_BROKEN)
        return;
    check(frame->used && frame->used <= bytes.len);
    struct slice whole = {bytes.ptr, frame->used};
    if (kind == WIRE_MESSAGE) {
        check(frame->message.subject.len);
        check_inside(frame->message.subject, whole);
        check_inside(frame->message.reply, whole);
        check_inside(frame->message.header_block, whole);
        check_inside(frame->message.payload, whole);
    } else {
        check_inside(frame->text, whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct slice rest = {(const char *)data + 1, size - 1};
    for (;;) {
        struct wire_frame frame, part;
        enum wire_kind kind = wire_parse(rest, &frame);
        check_frame(kind, &frame, rest);
        struct slice cut = {rest.ptr, rest.len < data[0] ? rest.len : data[0]};
        enum wire_kind of_part = wire_parse(cut, &part);
        check_frame(of_part, &part, cut);
        /* What a part says already, the whole says too; a partial frame never asks for more bytes
         * than the frame has. */
        if (of_part != WIRE_PARTIAL && of_part != WIRE_BROKEN)
            check(of_part == kind && part.used == frame.used);
        if (of_part == WIRE_PARTIAL && kind != WIRE_PARTIAL && kind != WIRE_BROKEN)
            check(part.wanted <= frame.used);
        if (kind == WIRE_PARTIAL || kind == WIRE_BROKEN)
            return 0;
        rest = slice_from(rest, frame.used);
    }
}
