/*
 * view: how a stack looks: a table for a terminal, a line per change for a pipe. Pure text making.
 */
#pragma once

#include "stack/record.h"
#include "stack/stack.h"

struct view_row {
    const char *name, *url, *note; /* url and note may be "" */
    enum part_state state;
    uint64_t restarts;
    int64_t since_ns;
    const char *lines[OUTPUT_LINES]; /* the last ones it printed, when it has failed */
    size_t line_count;
};

struct view_row view_row_of_part(const struct part *part);
struct view_row view_row_of_record(const struct record_part *part);

struct view_style {
    size_t width;     /* no line is longer; 80 when unknown */
    size_t lines_max; /* last lines shown of each failed part */
    bool colour;
};

/* Heading, a line per part, then what is to be said about parts that are not well. Local time. */
void view_table(const struct view_row *rows, size_t count, const struct view_style *style,
                struct buf *ret);
/* "2026-07-11T12:00:27.671Z monitor running http://127.0.0.1:9091" and a newline. */
void view_change(const struct view_row *row, struct buf *ret);
