/*
 * lines: stored messages as JSON lines, the form of tests/corpus and of `cim-ops events --output
 * json`.
 *
 *     {"subject": "a.b", "headers": {"N": "v", "M": ["v", "w"]}, "payload": {...},
 *      "stream": "S", "seq": 1, "stored_at": "2026-07-11T12:00:00Z"}
 *
 * Only `subject` and a payload must be there; other members are passed over. The payload's bytes
 * are those between the members' commas, as written: never re-serialised. A payload that is no JSON
 * goes as `payload_text` (a string) or `payload_base64` instead. `stored_at` takes every form of
 * event_time_parse(). Empty lines are passed over; a byte order mark at the start is, too.
 *
 * Bounded: a line has at most LINE_BYTES_MAX; a longer one is an error of its own and reading goes
 * on behind it. One thread. No allocation per line once the buffers have grown.
 */
#pragma once

#include "base/error.h"
#include "event/view.h"

#define LINE_BYTES_MAX ((size_t)64 << 20)

struct lines;

enum lines_outcome {
    LINES_EVENT,
    LINES_BAD,    /* err says FILE:LINE:COLUMN and what was expected; the next line can be read */
    LINES_END,    /* of the file */
    LINES_FAILED, /* the file cannot be read on; err says why */
};

/* One line; everything is borrowed until the next call. */
struct line_event {
    struct event_input input; /* stored_at_ns and seq are 0 where the line does not say */
    struct slice stream;      /* absent where the line does not say */
};

/* "-" is the standard input. EXIT_CODE_USAGE when the file cannot be opened. */
int lines_open(const char *path, struct lines **ret, struct error *err);
void lines_close(struct lines *lines);
enum lines_outcome lines_next(struct lines *lines, struct line_event *ret, struct error *err);
/* The number of the line read last, from 1, and its bytes as they are in the file. */
uint64_t lines_number(const struct lines *lines);
struct slice lines_raw(const struct lines *lines);
/* The file's name for messages: "-" is shown as <stdin>. */
const char *lines_name(const struct lines *lines);
