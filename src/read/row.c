/* A row's fields, and a row as JSON. */
#include <stdio.h>

#include "base/instant.h"
#include "base/utf8.h"
#include "read/events.h"
#include "json/write.h"

static const char *const message_columns[] = {
    [COLUMN_STORED_AT] = "stored_at",
    [COLUMN_STREAM] = "stream",
    [COLUMN_SEQ] = "seq",
    [COLUMN_SUBJECT] = "subject",
    [COLUMN_ENVELOPE] = "envelope",
    [COLUMN_MALFORMED] = "malformed",
};

const char *events_column_name(unsigned column)
{
    return column < COLUMN_VIEW ? message_columns[column]
                                : event_field_name((enum event_field)(column - COLUMN_VIEW));
}

struct slice events_column_text(const struct events_row *row, unsigned column,
                                char scratch[static 64])
{
    const struct event_view *view = &row->view;
    size_t len = 0;
    switch (column) {
    case COLUMN_STORED_AT: len = instant_format(row->input->stored_at_ns, scratch); break;
    case COLUMN_STREAM: return slice_of(row->stream);
    case COLUMN_SEQ:
        if (!row->input->seq)
            return SLICE_ABSENT;
        len = (size_t)snprintf(scratch, 64, "%llu", (unsigned long long)row->input->seq);
        break;
    case COLUMN_SUBJECT: return row->input->subject;
    case COLUMN_ENVELOPE: return slice_of(row->envelope);
    case COLUMN_MALFORMED: return slice_of(row->malformed);
    case COLUMN_VIEW + EVENT_OCCURRED_AT:
        if (!view->has_occurred_at)
            return SLICE_ABSENT;
        len = instant_format(view->occurred_at_ns, scratch);
        break;
    default: return view->field[column - COLUMN_VIEW];
    }
    return (struct slice){scratch, len};
}

/* --- JSON ------------------------------------------------------------------------------------- */

static bool is_utf8(struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        size_t len = utf8_length(text.ptr + i, text.len - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

/* RFC 4648, section 4. */
static void add_base64(struct buf *out, struct slice bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t word = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1)
            word |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2)
            word |= (unsigned char)bytes.ptr[i + 2];
        buf_add_char(out, alphabet[word >> 18]);
        buf_add_char(out, alphabet[word >> 12 & 63]);
        buf_add_char(out, left > 1 ? alphabet[word >> 6 & 63] : '=');
        buf_add_char(out, left > 2 ? alphabet[word & 63] : '=');
    }
}

/* The form of event/lines.h, so that the output can be read again: headers, payload as sent. */
static int find_header(const struct event_input *input, int from, struct slice name)
{
    while (from < input->header_count && !slice_eq(input->headers[from].name, name))
        from++;
    return from;
}

/* At its first place, with all its values: one text, or a list of them. */
static void add_header(struct buf *out, const struct event_input *input, int at)
{
    struct slice named = input->headers[at].name;
    int next = find_header(input, at + 1, named);
    if (find_header(input, 0, named) != at)
        return;
    json_add_member(out, named);
    if (next == input->header_count) {
        json_add_string(out, input->headers[at].value);
        return;
    }
    for (char before = '['; at < input->header_count; at = find_header(input, at + 1, named)) {
        buf_add_char(out, before);
        json_add_string(out, input->headers[at].value);
        before = ',';
    }
    buf_add_char(out, ']');
}

void events_add_message(struct buf *out, const struct events_row *row)
{
    const struct event_input *input = row->input;
    if (input->header_count > 0) {
        json_add_name(out, "headers");
        buf_add_char(out, '{');
        for (int i = 0; i < input->header_count; i++)
            add_header(out, input, i);
        buf_add_char(out, '}');
    }
    bool one_line = !memchr(input->payload.ptr, '\n', input->payload.len);
    if (!row->malformed && one_line) {
        json_add_name(out, "payload");
        buf_add_slice(out, input->payload);
    } else if (is_utf8(input->payload)) {
        json_add_name(out, "payload_text");
        json_add_string(out, input->payload);
    } else {
        json_add_name(out, "payload_base64");
        buf_add_char(out, '"');
        add_base64(out, input->payload);
        buf_add_char(out, '"');
    }
}

void events_add_field(struct buf *out, const struct events_row *row, unsigned column)
{
    char scratch[64];
    struct slice text = events_column_text(row, column, scratch);
    if (!slice_present(text))
        return;
    json_add_name(out, events_column_name(column));
    if (column == COLUMN_SEQ)
        buf_add_slice(out, text);
    else
        json_add_string(out, text);
}

void events_add_row(struct buf *out, const struct events_row *row)
{
    buf_add_char(out, '{');
    for (unsigned i = 0; i < COLUMN_VIEW + EVENT_FIELDS; i++)
        events_add_field(out, row, i);
    buf_add_char(out, '}');
}
