#include "act/replay/stamp.h"

#include "base/instant.h"

#define ID       "Cim-Replay-Id"
#define STREAM   "Cim-Replay-Stream"
#define SEQUENCE "Cim-Replay-Sequence"
#define TIME     "Cim-Replay-Time"
#define RENAMED  "Cim-Replay-"
#define SERVER   "Nats-"
#define MSG_ID   "Nats-Msg-Id"

static bool is_ours(struct slice name)
{
    return slice_eq(name, SLICE(ID)) || slice_eq(name, SLICE(STREAM)) ||
           slice_eq(name, SLICE(SEQUENCE)) || slice_eq(name, SLICE(TIME));
}

/* Nats-Stream and Nats-Sequence are what a republishing server writes: they must not pass for ours.
 */
static bool is_ours_behind(struct slice name, struct slice prefix)
{
    struct slice rest = slice_from(name, prefix.len);
    return slice_starts(name, prefix) &&
           (slice_eq(rest, SLICE("Id")) || slice_eq(rest, SLICE("Stream")) ||
            slice_eq(rest, SLICE("Sequence")) || slice_eq(rest, SLICE("Time")));
}

/* The stamp that an earlier replay has left, and the Nats-Msg-Id that it made. */
static bool is_left_out(const struct event_header *header, struct slice earlier)
{
    struct slice value = header->value;
    if (header->name.ptr[0] == 'C')
        return is_ours(header->name);
    return earlier.len && slice_eq(header->name, SLICE(MSG_ID)) && slice_starts(value, earlier) &&
           value.len > earlier.len && value.ptr[earlier.len] == ':';
}

/* The id of an earlier replay; absent: there is none. */
static struct slice earlier_of(const struct event_header *headers, int count)
{
    for (int i = 0; i < count; i++) {
        if (headers[i].name.ptr[0] == 'C' && slice_eq(headers[i].name, SLICE(ID)))
            return headers[i].value;
    }
    return SLICE_ABSENT;
}

/* Those that stay; -1: the block is broken. */
static int count_kept(const struct event_header *headers, int count, struct slice earlier)
{
    int kept = count;
    for (int i = 0; i < count; i++)
        kept -= is_left_out(&headers[i], earlier);
    return kept;
}

/* What stays goes over in as few pieces as there are lines that do not. */
static void keep_lines(struct buf *ret, struct slice block, const struct event_header *headers,
                       int count, struct slice earlier, bool for_stream)
{
    if (!count)
        return;
    const char *from = headers[0].name.ptr;
    const char *end = block.ptr + block.len - (sizeof "\r\n" - 1);
    for (int i = 0; i < count; i++) {
        struct slice name = headers[i].name;
        bool ours = is_left_out(&headers[i], earlier);
        bool renamed =
            !ours && for_stream && name.ptr[0] == 'N' && slice_starts(name, SLICE(SERVER));
        if (!ours && !renamed)
            continue;
        buf_add(ret, from, (size_t)(name.ptr - from));
        from = i + 1 < count ? headers[i + 1].name.ptr : end;
        if (renamed) {
            buf_add_str(ret, RENAMED);
            from = name.ptr + (is_ours_behind(name, SLICE(SERVER)) ? 0 : sizeof SERVER - 1);
        }
    }
    buf_add(ret, from, (size_t)(end - from));
}

static void add_line(struct buf *ret, struct slice name_and_colon, struct slice value)
{
    buf_add_slice(ret, name_and_colon);
    buf_add_slice(ret, value);
    buf_add_slice(ret, SLICE("\r\n"));
}

static void add_stamp(struct buf *ret, const struct stamp *stamp, bool for_stream)
{
    char time[INSTANT_TEXT_MAX];
    size_t time_len = instant_format(stamp->stored_at_ns, time);
    add_line(ret, SLICE(ID ": "), stamp->replay);
    add_line(ret, SLICE(STREAM ": "), stamp->stream);
    buf_add_slice(ret, SLICE(SEQUENCE ": "));
    buf_add_u64(ret, stamp->seq);
    add_line(ret, SLICE("\r\n" TIME ": "), (struct slice){time, time_len});
    if (!for_stream)
        return;
    buf_add_slice(ret, SLICE(MSG_ID ": "));
    buf_add_slice(ret, stamp->replay);
    buf_add_char(ret, ':');
    buf_add_slice(ret, stamp->stream);
    buf_add_char(ret, ':');
    buf_add_u64(ret, stamp->seq);
    buf_add_slice(ret, SLICE("\r\n"));
}

bool stamp_make(struct buf *ret, struct slice block, const struct stamp *stamp, bool for_stream,
                const char **ret_why)
{
    struct event_header headers[STAMP_HEADERS_MAX + 1];
    int all = event_headers_parse(block, headers, (int)ARRAY_LEN(headers));
    struct slice earlier = earlier_of(headers, all);
    int count = all == (int)ARRAY_LEN(headers) ? all : count_kept(headers, all, earlier);
    *ret_why = count < 0                   ? "its headers are broken"
               : count > EVENT_HEADERS_MAX ? "it has more than 64 headers"
                                           : NULL;
    if (*ret_why)
        return false;
    buf_reset(ret);
    buf_add_slice(ret, SLICE("NATS/1.0\r\n"));
    keep_lines(ret, block, headers, all, earlier, for_stream);
    add_stamp(ret, stamp, for_stream);
    buf_add_slice(ret, SLICE("\r\n"));
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
        if (is_ours_behind(header.name, SLICE(RENAMED SERVER))) {
            buf_add_slice(out, slice_from(header.name, sizeof RENAMED - 1));
        } else if (slice_starts(header.name, SLICE(RENAMED))) {
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
