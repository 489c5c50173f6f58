/*
 * For the files of `cim-ops events` only: what they share.
 *
 *     events.c        options and set-up, then one of
 *     events_query.c    stored events, merged by the time they were stored
 *     events_tail.c     events as they come
 *     events_stats.c    counts by any fields
 *     events_print.c  a row as text, JSON or CSV
 */
#pragma once

#include "base/progress.h"
#include "cmd/command.h"
#include "read/events.h"

struct events_values {
    struct nats_values nats;
    struct events_wanted wanted;
    const char *rules, *output, *fields, *by, *core;
    uint64_t limit, last;
    bool full;
};

#define EVENTS_COLUMNS_MAX 24

struct events_columns {
    unsigned items[EVENTS_COLUMNS_MAX];
    size_t count;
};
/* `list`: names with commas between. */
int events_columns_parse(const char *option, const char *list, struct events_columns *ret,
                         struct error *err);

enum events_form {
    EVENTS_TEXT,
    EVENTS_JSON,
    EVENTS_CSV,
};
int events_form_parse(const char *output, enum events_form *ret, struct error *err);

/* Appends a field of CSV (RFC 4180). */
void events_add_csv(struct buf *out, struct slice text);

struct events_printer {
    enum events_form form;
    struct events_columns columns; /* of CSV, of JSON when --fields is given, of text likewise */
    bool full, colour, header_due, chosen;
    size_t widths[EVENTS_COLUMNS_MAX];
    struct buf line;
    uint64_t printed;
};

int events_printer_make(const struct events_values *values, struct events_printer *ret,
                        struct error *err);
void events_printer_done(struct events_printer *printer);
/* False: stdout takes no more (its reader is gone). */
bool events_printer_print(struct events_printer *printer, const struct events_row *row);

/* --- a run ------------------------------------------------------------------------------------ */

struct events_run {
    const struct events_values *values;
    struct events_printer printer;
    struct events_reader reader;
};

int events_query(struct events_run *run, struct error *err);
int events_tail(struct events_run *run, struct error *err);
int events_stats(struct events_run *run, struct error *err);
