#include "act/replay/stamp.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/instant.h"

#define ID       "Cim-Replay-Id"
#define STREAM   "Cim-Replay-Stream"
#define SEQUENCE "Cim-Replay-Sequence"
#define TIME     "Cim-Replay-Time"
#define RENAMED  "Cim-Replay-"
#define SERVER   "Nats-"
#define MSG_ID   "Nats-Msg-Id"

void stamped_done(struct stamped *stamped)
{
    buf_done(&stamped->text);
}

static bool is_ours(struct slice name)
{
    return slice_eq(name, SLICE(ID)) || slice_eq(name, SLICE(STREAM)) ||
           slice_eq(name, SLICE(SEQUENCE)) || slice_eq(name, SLICE(TIME));
}

/* Texts are appended first and pointed to when they no longer move. */
struct span {
    size_t at, len;
};

static struct span put(struct buf *text, struct slice a, struct slice b)
{
    struct span span = {text->len, a.len + b.len};
    buf_add_slice(text, a);
    buf_add_slice(text, b);
    return span;
}

static struct slice at(const struct buf *text, struct span span)
{
    return (struct slice){text->ptr + span.at, span.len};
}

static size_t renamed_room(const struct event_header *headers, int count)
{
    size_t room = 0;
    for (int i = 0; i < count; i++)
        room += headers[i].name.len + sizeof RENAMED;
    return room;
}

/* Of an earlier replay: its stamp, and the Nats-Msg-Id that it made. */
static int leave_out_ours(struct event_header *headers, int count)
{
    struct slice replay = SLICE_ABSENT;
    int kept = 0;
    if (count < 0)
        return count;
    for (int i = 0; i < count; i++) {
        if (slice_eq(headers[i].name, SLICE(ID)))
            replay = headers[i].value;
    }
    for (int i = 0; i < count; i++) {
        struct slice value = headers[i].value;
        bool is_id = replay.len && slice_eq(headers[i].name, SLICE(MSG_ID)) &&
                     slice_starts(value, replay) && value.len > replay.len &&
                     value.ptr[replay.len] == ':';
        if (!is_ours(headers[i].name) && !is_id)
            headers[kept++] = headers[i];
    }
    return kept;
}

static void keep_headers(struct stamped *ret, const struct event_header *headers, int count,
                         bool for_stream)
{
    for (int i = 0; i < count; i++) {
        struct slice name = headers[i].name;
        if (for_stream && slice_starts(name, SLICE(SERVER)))
            name = at(&ret->text, put(&ret->text, SLICE(RENAMED),
                                      slice_from(name, sizeof SERVER - 1)));
        ret->headers[ret->count++] = (struct bus_header){name, headers[i].value};
    }
}

static void add(struct stamped *ret, struct slice name, struct slice value)
{
    ret->headers[ret->count++] = (struct bus_header){name, value};
}

bool stamp_make(struct stamped *ret, struct slice block, const struct stamp *stamp, bool for_stream,
                const char **ret_why)
{
    struct event_header headers[STAMP_HEADERS_MAX + 1];
    char seq[24], time[INSTANT_TEXT_MAX];
    int all = event_headers_parse(block, headers, (int)ARRAY_LEN(headers));
    int count = all == (int)ARRAY_LEN(headers) ? all : leave_out_ours(headers, all);
    *ret_why = count < 0                   ? "its headers are broken"
               : count > EVENT_HEADERS_MAX ? "it has more than 64 headers"
                                           : NULL;
    if (*ret_why)
        return false;
    ret->count = 0;
    buf_reset(&ret->text);
    buf_reserve(&ret->text, renamed_room(headers, count) + 512 + stamp->replay.len +
                                stamp->stream.len);
    keep_headers(ret, headers, count, for_stream);
    int seq_len = snprintf(seq, sizeof seq, "%" PRIu64, stamp->seq);
    struct slice digits = at(&ret->text, put(&ret->text, (struct slice){seq, (size_t)seq_len},
                                             SLICE("")));
    size_t time_len = instant_format(stamp->stored_at_ns, time);
    add(ret, SLICE(ID), stamp->replay);
    add(ret, SLICE(STREAM), stamp->stream);
    add(ret, SLICE(SEQUENCE), digits);
    add(ret, SLICE(TIME),
        at(&ret->text, put(&ret->text, (struct slice){time, time_len}, SLICE(""))));
    if (for_stream) {
        struct span span = {ret->text.len, 0};
        buf_addf(&ret->text, "%.*s:%.*s:%.*s", SLICE_ARG(stamp->replay), SLICE_ARG(stamp->stream),
                 SLICE_ARG(digits));
        span.len = ret->text.len - span.at;
        add(ret, SLICE(MSG_ID), at(&ret->text, span));
    }
    return true;
}

bool stamp_read(struct slice block, struct stamp *ret)
{
    struct event_headers walk;
    struct event_header header;
    *ret = (struct stamp){0};
    if (!block.len || !event_headers_begin(&walk, block, NULL))
        return false;
    while (event_headers_next(&walk, &header)) {
        if (slice_eq(header.name, SLICE(ID)))
            ret->replay = header.value;
        else if (slice_eq(header.name, SLICE(STREAM)))
            ret->stream = header.value;
        else if (slice_eq(header.name, SLICE(SEQUENCE)))
            (void)slice_u64(header.value, &ret->seq);
    }
    return slice_present(ret->replay) && slice_present(ret->stream) && ret->seq;
}

void stamp_strip(struct slice block, struct buf *out)
{
    struct event_headers walk;
    struct event_header header;
    bool any = false;
    if (!block.len || !event_headers_begin(&walk, block, NULL))
        return;
    while (event_headers_next(&walk, &header)) {
        if (is_ours(header.name) || slice_starts(header.name, SLICE(SERVER)))
            continue;
        buf_add_str(out, any ? "" : "NATS/1.0\r\n");
        any = true;
        if (slice_starts(header.name, SLICE(RENAMED))) {
            buf_add_str(out, SERVER);
            buf_add_slice(out, slice_from(header.name, sizeof RENAMED - 1));
        } else {
            buf_add_slice(out, header.name);
        }
        buf_add_str(out, ": ");
        buf_add_slice(out, header.value);
        buf_add_str(out, "\r\n");
    }
    buf_add_str(out, any ? "\r\n" : "");
}
