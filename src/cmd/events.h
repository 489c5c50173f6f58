/*
 * For the files of `cim-ops events` only: what they share.
 *
 *     events.c        options and set-up, then one of
 *     events_query.c    stored events, merged by the time they were stored
 *     events_tail.c     events as they come
 *     events_stats.c    counts by any fields
 *     events_filter.c what is let through
 *     events_print.c  a row as text, JSON or CSV
 */
#pragma once

#include "base/buf.h"
#include "bus/pull.h"
#include "bus/stream.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "fold/engine.h"
#include "fold/where.h"

struct events_values {
    struct nats_values nats;
    const char *rules, *stream, *subject, *domain, *type, *aggregate, *correlation;
    const char *since, *until, *where, *output, *fields, *by, *core;
    uint64_t limit, last;
    bool full;
};

#define EVENTS_SOURCES_MAX 1024

/* --- what is let through ---------------------------------------------------------------------- */

struct events_filter {
    const struct events_values *values;
    struct where *where;        /* NULL: none */
    int64_t since_ns, until_ns; /* 0: none */
    bool only_views;            /* some field is asked for: a malformed message has none */
};

int events_filter_make(const struct events_values *values, struct events_filter *ret,
                       struct error *err);
void events_filter_done(struct events_filter *filter);

/* --- one event -------------------------------------------------------------------------------- */

struct events_row {
    const char *stream; /* NULL: of no stream */
    const struct event_input *input;
    struct event_view view;
    const char *envelope;  /* NULL: none */
    const char *malformed; /* NULL: it is not */
    struct slice payload;  /* decoded when it was sent as an array of bytes */
};

bool events_filter_lets(const struct events_filter *filter, const struct events_row *row);

/* Columns are the fields of the event view and those of the message. */
#define EVENTS_COLUMNS_MAX 24
enum events_column {
    COLUMN_STORED_AT,
    COLUMN_STREAM,
    COLUMN_SEQ,
    COLUMN_SUBJECT,
    COLUMN_ENVELOPE,
    COLUMN_MALFORMED,
    COLUMN_VIEW, /* and EVENT_DOMAIN ... behind it */
};

struct events_columns {
    unsigned items[EVENTS_COLUMNS_MAX];
    size_t count;
};
/* `list`: names with commas between. */
int events_columns_parse(const char *option, const char *list, struct events_columns *ret,
                         struct error *err);
const char *events_column_name(unsigned column);
/* The text of a column; absent when the event has none. `scratch` holds what has to be written. */
struct slice events_column_text(const struct events_row *row, unsigned column,
                                char scratch[static 64]);

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
    struct events_filter filter;
    struct events_printer printer;
    struct bus *bus;
    struct rules *rules;
    struct registry *registry;
    struct engine *engine;
    struct stream_list streams; /* those to read; the others are taken out */
    uint64_t read, malformed;
};

/* Reads the view of a message; the row is valid as long as the message. */
struct events_message {
    struct event_header headers[EVENT_HEADERS_MAX];
    struct event_input input;
};
void events_row_make(struct events_run *run, const char *stream, const struct bus_message *message,
                     struct events_message *storage, struct events_row *ret);

bool events_stopped(void); /* Ctrl-C or SIGTERM came */
/* Waits up to `ms` unless stopped. */
void events_wait_ms(int ms);

int events_list_streams(struct events_run *run, struct stream_list *ret, struct error *err);

/*
 * Stored events from --since to the head as it is now, merged over the streams by the time they
 * were stored. 1: *ret_row; 0: the end.
 */
struct events_merge;
int events_merge_open(struct events_run *run, struct events_merge **ret, struct error *err);
int events_merge_next(struct events_merge *merge, struct events_row *ret_row, struct error *err);
uint64_t events_merge_total(const struct events_merge *merge); /* messages to read, all in all */
void events_merge_close(struct events_merge *merge);

int events_query(struct events_run *run, struct error *err);
int events_tail(struct events_run *run, struct error *err);
int events_stats(struct events_run *run, struct error *err);
