#include "stack/view.h"

#include <stdio.h>
#include <time.h>

#include "base/memory.h"

#define DAY_NS (24 * 3600 * NS_PER_SECOND)

struct view_row view_row_of_part(const struct part *part)
{
    struct view_row row = {
        .name = part->spec->name,
        .url = part->spec->url ? part->spec->url : "",
        .note = part->note,
        .state = part->state,
        .restarts = part->restarts,
        .since_ns = part->since_ns,
    };
    for (size_t i = 0; part->state == PART_FAILED && i < output_count(&part->output); i++)
        row.lines[row.line_count++] = output_line(&part->output, i);
    return row;
}

struct view_row view_row_of_record(const struct record_part *part)
{
    struct view_row row = {
        .name = part->name,
        .url = part->url,
        .note = part->note,
        .state = part->state,
        .restarts = part->restarts,
        .since_ns = part->since_ns,
    };
    for (char **line = part->last_lines; *line && row.line_count < OUTPUT_LINES; line++)
        row.lines[row.line_count++] = *line;
    return row;
}

static const char *colour_of(enum part_state state)
{
    switch (state) {
    case PART_RUNNING:
    case PART_DONE: return "\x1b[32m";
    case PART_FAILED:
    case PART_UNRESPONSIVE: return "\x1b[31m";
    case PART_WAITING:
    case PART_STARTING:
    case PART_RESTARTING:
    case PART_STOPPING: return "\x1b[33m";
    case PART_STOPPED: break;
    }
    return "\x1b[2m";
}

static void since_text(int64_t since_ns, char *out, size_t room)
{
    time_t at = (time_t)(since_ns / NS_PER_SECOND);
    struct tm local;
    bool is_old = instant_now_ns() - since_ns >= DAY_NS;
    (void)localtime_r(&at, &local);
    if (strftime(out, room, is_old ? "%d %b" : "%H:%M:%S", &local) == 0)
        out[0] = 0;
}

/* Adds at most `room` bytes and marks a cut; never inside a UTF-8 sequence. */
static void add_cut(struct buf *ret, const char *text, size_t room)
{
    static const struct slice mark = {"...", 3};
    size_t len = strlen(text);
    if (len <= room || room <= mark.len) {
        buf_add(ret, text, len <= room ? len : 0);
        return;
    }
    len = room - mark.len;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    buf_add(ret, text, len);
    buf_add_slice(ret, mark);
}

static void pad_to(struct buf *ret, size_t line_start, size_t column)
{
    do
        buf_add_char(ret, ' ');
    while (ret->len - line_start < column);
}

enum { STATE_COLUMN = 14, URL_COLUMN = 28, TAIL_WIDTH = 19, SINCE_WIDTH = 9 };

static void add_row(const struct view_row *row, const struct view_style *style, struct buf *ret)
{
    size_t start = ret->len, right = style->width > 56 ? style->width - TAIL_WIDTH : 37;
    char since[32];
    since_text(row->since_ns, since, sizeof since);
    buf_add_str(ret, row->name);
    pad_to(ret, start, STATE_COLUMN);
    if (style->colour)
        buf_add_str(ret, colour_of(row->state));
    size_t coloured = ret->len; /* escapes take no room on the screen: count from here */
    buf_add_str(ret, part_state_name(row->state));
    size_t shown = ret->len - coloured + STATE_COLUMN;
    if (style->colour)
        buf_add_str(ret, "\x1b[0m");
    start = ret->len - shown;
    pad_to(ret, start, URL_COLUMN);
    if (row->state == PART_DONE && !row->url[0]) { /* it will not restart: room for what it said */
        add_cut(ret, row->note, style->width - URL_COLUMN - SINCE_WIDTH);
        pad_to(ret, start, style->width - SINCE_WIDTH);
        buf_addf(ret, "%8s\n", since);
        return;
    }
    add_cut(ret, row->url[0] ? row->url : "-", right - URL_COLUMN - 1);
    pad_to(ret, start, right);
    buf_addf(ret, "%8llu  %8s\n", (unsigned long long)row->restarts, since);
}

/* What a program prints last is worth nothing without its end: wrapped, not cut. */
static void add_wrapped(struct buf *ret, const char *text, size_t width)
{
    static const char first[] = "  ", next[] = "    ";
    size_t left = strlen(text);
    for (const char *indent = first; left > 0; indent = next) {
        size_t len = width - sizeof next < left ? width - sizeof next : left;
        while (len > 1 && len < left && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
        buf_add_str(ret, indent);
        buf_add(ret, text, len);
        buf_add_char(ret, '\n');
        text += len;
        left -= len;
    }
}

static void add_troubles(const struct view_row *row, const struct view_style *style,
                         struct buf *ret)
{
    if (part_state_is_well(row->state) || !row->note[0])
        return;
    CLEANUP_FREE char *head = xasprintf("%s is %s: %s%s", row->name, part_state_name(row->state),
                                        row->note, row->line_count ? "; it printed last:" : "");
    buf_add_char(ret, '\n');
    add_cut(ret, head, style->width);
    buf_add_char(ret, '\n');
    size_t first = row->line_count > style->lines_max ? row->line_count - style->lines_max : 0;
    for (size_t i = first; i < row->line_count; i++)
        add_wrapped(ret, row->lines[i], style->width);
}

void view_table(const struct view_row *rows, size_t count, const struct view_style *style,
                struct buf *ret)
{
    size_t start = ret->len, right = style->width > 56 ? style->width - TAIL_WIDTH : 37;
    buf_add_str(ret, "PART");
    pad_to(ret, start, STATE_COLUMN);
    buf_add_str(ret, "STATE");
    pad_to(ret, start, URL_COLUMN);
    buf_add_str(ret, "URL");
    pad_to(ret, start, right);
    buf_addf(ret, "%8s  %8s\n", "RESTARTS", "SINCE");
    for (size_t i = 0; i < count; i++)
        add_row(&rows[i], style, ret);
    for (size_t i = 0; i < count; i++)
        add_troubles(&rows[i], style, ret);
}

void view_change(const struct view_row *row, struct buf *ret)
{
    char when[INSTANT_TEXT_MAX];
    size_t len = instant_format(row->since_ns, when);
    size_t ms = len > 7 ? len - 7 : len; /* nine digits are more than a reader wants: keep three */
    buf_addf(ret, "%.*sZ %s %s", (int)ms, when, row->name, part_state_name(row->state));
    if (row->url[0])
        buf_addf(ret, " %s", row->url);
    if (row->note[0])
        buf_addf(ret, " (%s)", row->note);
    buf_add_char(ret, '\n');
}
