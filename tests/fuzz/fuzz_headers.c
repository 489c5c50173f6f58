/*
 * Header blocks: what is read lies inside the block, names and values are free of line ends, and a
 * block written anew from what was read reads the same.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "event/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct slice part, struct slice whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_again(const struct event_header *headers, int count)
{
    struct event_header again[EVENT_HEADERS_MAX];
    struct buf block = {0};
    buf_add_str(&block, "NATS/1.0\r\n");
    for (int i = 0; i < count; i++) {
        buf_add_slice(&block, headers[i].name);
        buf_add_char(&block, ':');
        buf_add_slice(&block, headers[i].value);
        buf_add_str(&block, "\r\n");
    }
    buf_add_str(&block, "\r\n");
    check(event_headers_parse(buf_slice(&block), again, EVENT_HEADERS_MAX) == count);
    for (int i = 0; i < count; i++)
        check(slice_eq(headers[i].name, again[i].name) &&
              slice_eq(headers[i].value, again[i].value));
    buf_done(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_header headers[EVENT_HEADERS_MAX];
    struct slice block = {(const char *)data, size}, status;
    struct event_headers walk;
    (void)event_headers_begin(&walk, block, &status);
    check(!slice_present(status) || inside(status, block));
    int count = event_headers_parse(block, headers, EVENT_HEADERS_MAX);
    check(count <= EVENT_HEADERS_MAX);
    for (int i = 0; i < count; i++) {
        struct event_input input = {.header_block = block};
        check(headers[i].name.len && inside(headers[i].name, block) &&
              inside(headers[i].value, block));
        check(slice_present(event_header_find(&input, headers[i].name)));
    }
    if (count >= 0)
        check_again(headers, count);
    return 0;
}
