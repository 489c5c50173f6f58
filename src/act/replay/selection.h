/*
 * selection: which events are meant: streams, a cut of each, and a filter over the event view.
 *
 * Resolved once, against the server: times become sequences, the end is fixed, and what all chosen
 * subjects have in common becomes a filter of the server's. A place that a stream does not reach is
 * EXIT_CODE_DAMAGED, with what there is; never the nearest.
 */
#pragma once

#include <jansson.h>

#include "read/events.h"

/* As given; NULL: anything. */
struct replay_wanted {
    struct events_wanted events; /* `since` and `until` are not used */
    const char *from, *until;    /* a sequence (of one stream), or a time */
    const char *target_stream;   /* not to be read where no streams are named; or NULL */
    const char *filter_file;     /* JSON: event_types, domains, time_range {start, end} */
};

struct selection_stream {
    char *name, *created;
    uint64_t stream_first; /* the first one there is; what was before is gone */
    uint64_t first, cut;   /* first > cut: nothing */
    uint64_t messages;     /* in the stream between the two, at most */
    uint64_t bytes;        /* of the whole stream, divided by messages: for estimates */
    char **subjects;
    size_t subject_count;
    char **origins;
    size_t origin_count;
    int64_t last_stored_at_ns;
    unsigned replicas;
};

struct flow; /* of a correlation: which events (flow.h) */

struct selection {
    struct replay_wanted wanted;
    const char *correlation;              /* what `flow` stands for; the filter does not know it */
    char *types, *domains, *from, *until; /* out of the filter file; wanted points to them */
    struct events_reader reader;          /* connection, rules, filter */
    char *server_filter;                  /* of subjects; NULL: all */
    struct selection_stream *streams;
    size_t stream_count;
    struct flow *flow;
    bool (*stopped)(void);
    bool whole; /* every message between first and cut is chosen */
};

/*
 * Connects, loads the rules, finds the streams and their cuts. `stopped` is asked during long
 * looks. The texts of `wanted` must outlive the selection. selection_close() also after a failure.
 */
int selection_open(struct selection *selection, const struct replay_wanted *wanted,
                   const struct bus_options *nats, const char *rules_dir, bool (*stopped)(void),
                   struct error *err);
void selection_close(struct selection *selection);

/* For records: what was asked for, and the streams with their cuts. */
json_t *selection_to_json(const struct selection *selection);
/*
 * Opens again what selection_to_json() wrote: the same cuts of the same streams, or
 * EXIT_CODE_DAMAGED when one was created anew. `json` must outlive the selection.
 */
int selection_reopen(struct selection *selection, json_t *json, const struct bus_options *nats,
                     const char *rules_dir, bool (*stopped)(void), struct error *err);

/* One message of the selection. Slices are valid during the call that hands it over. */
struct replay_event {
    size_t stream; /* index in selection.streams */
    uint64_t seq;
    int64_t stored_at_ns;
    struct slice subject, header_block, payload;
    struct events_row row; /* only where a view was asked for */
    struct event_input input;
    uint64_t aggregate; /* hash of domain and aggregate id, of the subject where it names none */
};

/*
 * The chosen events, in stream order, of several streams merged by the time they were stored, from
 * positions[i] (a sequence per stream; 0: its first) to the cut. *read[i] is kept at the last
 * sequence that was passed, chosen or not.
 */
struct feed {
    struct selection *selection;
    const uint64_t *positions;
    bool follow;     /* goes on behind the cut, streams side by side, until `idle` says 1 */
    bool with_views; /* row and aggregate are wanted */
    uint64_t *read;  /* one per stream */
    uint64_t passed; /* messages read, chosen or not */
    int (*each)(void *context, const struct replay_event *event, struct error *err);
    int (*idle)(void *context, struct error *err); /* as in read/scan.h */
    void *context;
};
/* 0 at the end, 1 when `idle` ended it, -1. */
int feed_run(struct feed *feed, struct error *err);

/* The hash by which the events of one aggregate find each other. */
uint64_t replay_aggregate_key(const struct events_row *row);
/* The aggregate as a person names it: "workflow.<id>", or the subject. */
void replay_aggregate_name(const struct events_row *row, struct buf *out);
