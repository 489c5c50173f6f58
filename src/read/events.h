/*
 * events: the events themselves, out of the streams of an account: chosen, merged, followed.
 *
 *     reader.c  a connection, the rules, which streams; a message becomes a row
 *     filter.c  what is let through
 *     row.c     a row's fields, and a row as JSON
 *     merge.c   stored events, merged by the time they were stored
 *     follow.c  events as they come
 *
 * Nothing is acknowledged, changed or taken away. One thread per reader.
 */
#pragma once

#include "base/buf.h"
#include "bus/pull.h"
#include "bus/stream.h"
#include "fold/engine.h"
#include "fold/where.h"

#define EVENTS_SOURCES_MAX 1024

/* What is asked for; NULL: anything. Lists are names with commas between. */
struct events_wanted {
    const char *stream, *subject, *domain, *type, *aggregate, *correlation;
    const char *since, *until; /* RFC 3339, a date, now, or a duration ago */
    const char *where;         /* fold/where.h */
};

/* --- what is let through ---------------------------------------------------------------------- */

struct events_filter {
    const struct events_wanted *wanted;
    struct where *where;        /* NULL: none */
    int64_t since_ns, until_ns; /* 0: none */
    bool only_views;            /* some field is asked for: a malformed message has none */
};

/* `wanted` must live as long as the filter. EXIT_CODE_USAGE, naming the option. */
int events_filter_make(const struct events_wanted *wanted, struct events_filter *ret,
                       struct error *err);
void events_filter_done(struct events_filter *filter);

/* RFC 3339, a date, a duration ago, or now; NULL changes nothing. EXIT_CODE_USAGE, naming the
 * option. */
int events_time_read(const char *option, const char *text, int64_t *ret_ns, struct error *err);

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
enum events_column {
    COLUMN_STORED_AT,
    COLUMN_STREAM,
    COLUMN_SEQ,
    COLUMN_SUBJECT,
    COLUMN_ENVELOPE,
    COLUMN_MALFORMED,
    COLUMN_VIEW, /* and EVENT_DOMAIN ... behind it */
};

const char *events_column_name(unsigned column);
/* The text of a column; absent when the event has none. `scratch` holds what has to be written. */
struct slice events_column_text(const struct events_row *row, unsigned column,
                                char scratch[static 64]);
/* Appends ,"name":value (or {"name":value behind nothing) for a column that the event has. */
void events_add_field(struct buf *out, const struct events_row *row, unsigned column);
/* Appends headers and payload, in the form of event/lines.h, so that it can be read again. */
void events_add_message(struct buf *out, const struct events_row *row);
/* Appends {...} with all columns. */
void events_add_row(struct buf *out, const struct events_row *row);

/* --- a reader --------------------------------------------------------------------------------- */

struct events_reader {
    const struct events_wanted *wanted; /* streams and subject; may be changed between reads */
    struct events_filter filter;        /* of the owner's making: for its since and until */
    bool (*stopped)(void *context);     /* asked often: true ends what is going on */
    void *context;
    struct bus *bus;
    struct rules *rules;
    struct registry *registry;
    struct engine *engine;
    struct stream_list streams; /* those to read; the others are taken out */
    bool by_sequence;           /* merge begins at their first_seq, not at filter.since_ns */
    uint64_t read, malformed;
};

/* Fills in what is from `bus` on; the rest is the owner's. */
int events_reader_open(struct events_reader *reader, const struct bus_options *nats,
                       const char *rules_folder, struct error *err);
void events_reader_close(struct events_reader *reader); /* also of one that is half open */

/* Reads the view of a message; the row is valid as long as the message. */
struct events_message {
    struct event_header headers[EVENT_HEADERS_MAX];
    struct event_input input;
};
void events_row_make(struct events_reader *reader, const char *stream,
                     const struct bus_message *message, struct events_message *storage,
                     struct events_row *ret);

/* The streams that are wanted. */
int events_list_streams(struct events_reader *reader, struct stream_list *ret, struct error *err);

/*
 * Stored events of reader->streams from filter.since_ns (or, `by_sequence`, from each one's
 * first_seq) to its last_seq, merged over the streams by the time they were stored. 1: *ret_row; 0:
 * the end.
 */
struct events_merge;
int events_merge_open(struct events_reader *reader, struct events_merge **ret, struct error *err);
int events_merge_next(struct events_merge *merge, struct events_row *ret_row, struct error *err);
uint64_t events_merge_total(const struct events_merge *merge); /* messages to read, all in all */
void events_merge_close(struct events_merge *merge);

/*
 * Events as they come, from all wanted streams side by side; streams that appear later join in.
 * Begins `last` messages back in each. Returns when `each` says false or the reader is stopped;
 * closes the reader's bus. `each` runs on one thread at a time.
 */
struct events_follow {
    uint64_t last;
    const char *core; /* subjects to watch that no stream captures; or NULL */
    bool (*each)(void *context, const struct events_row *row);
    void *context;
};
int events_follow(struct events_reader *reader, const struct events_follow *follow,
                  struct error *err);
