/*
 * stream: JetStream streams of the account: list, look up, create, read one message.
 */
#pragma once

#include "bus/bus.h"

enum stream_kind {
    STREAM_EVENTS,     /* what folds read */
    STREAM_KEY_VALUE,  /* KV_... */
    STREAM_OBJECT,     /* OBJ_... */
    STREAM_WORK_QUEUE, /* retention workqueue: reading would take messages from their workers */
    STREAM_MIRROR,     /* a copy of another stream: its events are counted there */
};

/* -1: no limit. */
struct stream_limits {
    int64_t messages, bytes, message_bytes, per_subject;
    int64_t age_ns;       /* 0: no limit */
    int64_t duplicate_ns; /* for how long a Nats-Msg-Id is known */
    bool discard_new;     /* when full, new messages are refused; else the oldest go */
    bool sealed;
};

struct stream_info {
    char *name;
    char **subjects;
    size_t subject_count;
    char *created; /* as the server wrote it: the stream's incarnation */
    int64_t created_ns;
    enum stream_kind kind;
    bool has_sources;
    char **origins; /* streams that it mirrors or sources */
    size_t origin_count;
    struct stream_limits limits;
    size_t consumer_count;
    unsigned replicas;
    bool interest_retention;
    uint64_t first_seq, last_seq, messages, bytes;
    int64_t last_stored_at_ns; /* 0: empty */
    bool stale;                /* for the list's owner: no longer true */
};

struct stream_list {
    struct stream_info *items;
    size_t count;
    /* Why it cannot be had: the account has no JetStream. Then no stream stores anything now. */
    bool no_jetstream;
};

#define STREAMS_MAX 4096

/* Where our own events are stored, unless a stream of the account takes them already. */
#define OPS_STREAM  "CIM-OPS"
#define OPS_SUBJECT "ops.>"

const char *stream_kind_name(enum stream_kind kind);
int stream_list(struct bus *bus, struct stream_list *ret, struct error *err);
void stream_list_done(struct stream_list *list);
/* err->code is EXIT_CODE_PROBLEM when there is no such stream. */
int stream_info(struct bus *bus, const char *name, struct stream_info *ret, struct error *err);
void stream_info_done(struct stream_info *info);

/* Creates a file stream with limits retention, no expiry. `*ret_created` is false when it stood
 * already. */
int stream_ensure(struct bus *bus, const char *name, const char *const *subjects,
                  size_t subject_count, bool *ret_created, struct error *err);

int stream_ensure_replicated(struct bus *bus, const char *name, const char *const *subjects,
                             size_t subject_count, unsigned replicas, bool *ret_created,
                             struct error *err);

/* OPS_STREAM for OPS_SUBJECT. */
int stream_ensure_ops(struct bus *bus, bool *ret_created, struct error *err);

/*
 * Lets the stream take these subjects, too, besides those it has. Those that it takes already
 * change nothing. Fails when another stream of the account takes one. EXIT_CODE_PROBLEM: there is
 * no such stream.
 */
int stream_add_subjects(struct bus *bus, const char *name, const char *const *subjects,
                        size_t subject_count, struct error *err);

/* The stream that takes this subject, its name appended. EXIT_CODE_PROBLEM: none does. */
int stream_of_subject(struct bus *bus, const char *subject, struct buf *ret, struct error *err);

/*
 * The newest message of each subject of the stream that fits the filter, in no order. Slices are
 * valid during the call. Costs one request, and one for each subject; at most
 * STREAM_SUBJECTS_SHOWN_MAX of them.
 */
#define STREAM_SUBJECTS_SHOWN_MAX 4096
int stream_last_each(struct bus *bus, const char *stream, const char *filter,
                     void (*each)(void *context, struct slice payload, int64_t stored_at_ns),
                     void *context, struct error *err);

/*
 * The subjects under which the stream holds messages now, in no order; slices are valid during the
 * call. *ret_complete: these are all (the server lists 100,000 at most). Costs one request.
 */
int stream_subjects(struct bus *bus, const char *stream,
                    void (*each)(void *context, struct slice subject), void *context,
                    bool *ret_complete, struct error *err);

/* Tokens without blanks, none empty, `*` alone in its token, `>` alone in the last one. */
bool subject_is_filter(struct slice text);
/* Does the subject match the filter (NATS tokens, `*` and `>`)? */
bool subject_matches(struct slice filter, struct slice subject);
/* Does every subject that matches `filter` match `wide`, too? */
bool subject_covers(struct slice wide, struct slice filter);
/* Could one subject match both filters? */
bool subject_filters_overlap(struct slice a, struct slice b);

/*
 * One stored message by sequence: subject and payload appended, headers as the stored block (""
 * when none). EXIT_CODE_PROBLEM: no message at that sequence. Costs one request.
 */
int stream_get_message(struct bus *bus, const char *stream, uint64_t seq, struct buf *ret_subject,
                       struct buf *ret_headers, struct buf *ret_payload, int64_t *ret_stored_at_ns,
                       struct error *err);
