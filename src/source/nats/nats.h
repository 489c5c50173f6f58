/*
 * What the NATS source is made of. Private to src/source/nats/.
 *
 *   reader*.c   fetches the servers' documents: system account or monitoring pages
 *   parse.c     documents -> reports
 *   servers.c   servers and clusters: samples, transitions
 *   links.c     leaf nodes and gateways
 *   streams.c   streams: the same, from the reports of all their replicas
 *   consumers.c consumers: the same, from their leader
 *   known.c     what is alike for both: reports against what is known
 *   nats.c      the source, one look
 *
 * A report is what one server says of one stream or consumer in one look. Reports are sorted by key
 * and merged with what is known from earlier looks. What a thing tells is taken from its leader,
 * since followers count lag and pending wrongly; replicas are compared to find those that differ.
 *
 * Sources of fields: nats-server's varz, jsz, routez, healthz (docs.nats.io, "Monitoring"); which
 * of them are there differs by version, and what is absent is left out.
 */
#pragma once

#include "source/source.h"
#include "json/array.h"

#define NATS_PAGES_PORT    8222 /* where monitoring pages usually are */
#define NATS_SERVERS_MAX   64
#define NATS_CLUSTERS_MAX  16
#define NATS_NAME_MAX      128
#define NATS_PEERS_MAX     16
#define NATS_STREAMS_MAX   8192  /* reports of one look; what is beyond is counted as left out */
#define NATS_CONSUMERS_MAX 65536 /* likewise */
#define NATS_BODY_MAX      (16u << 20)
#define NATS_REFRESH_LOOKS 6  /* what does not change is sampled every so many looks */
#define NATS_HOLDS_LOOKS   13 /* and holds for so many: one refresh may get lost */

/* --- reading ---------------------------------------------------------------------------------- */

enum nats_document {
    NATS_VARZ,
    NATS_ROUTEZ,
    NATS_HEALTHZ,
    NATS_JSZ,
    NATS_LEAFZ,    /* only where a server has some */
    NATS_GATEWAYZ, /* likewise */
    NATS_DOCUMENTS,
};

enum nats_answer {
    NATS_ANSWERED,
    NATS_NO_ANSWER,  /* it is not there, or hangs */
    NATS_BAD_ANSWER, /* it is there, and this is not what was asked for */
};

/* `key` says which server: its name, or host:port of its pages. `text`: the document, or what is
 * wrong; valid during the call. */
typedef void nats_answer_handler(void *context, const char *key, enum nats_answer answer,
                                 struct slice text);

struct nats_reader;
int nats_reader_new(const struct source_options *options, struct nats_reader **ret,
                    struct error *err);
void nats_reader_free(struct nats_reader *reader);
/*
 * One document of every server. Servers that gave no NATS_VARZ are not asked for others until the
 * next NATS_VARZ. Fails when nobody could be asked.
 */
int nats_reader_read(struct nats_reader *reader, enum nats_document document, size_t expected,
                     nats_answer_handler *handler, void *context, struct error *err);
/* What servers say unasked ($SYS.SERVER.<id>.LAMEDUCK, SHUTDOWN), where there is a system account.
 * Called from a thread of the client. Once. */
void nats_reader_listen(struct nats_reader *reader,
                        void (*handler)(void *, struct slice subject, struct slice payload),
                        void *context);

/* The two ways; the system account first. */
struct nats_system;
int nats_system_new(const struct bus_options *options, struct nats_system **ret, struct error *err);
void nats_system_free(struct nats_system *system);
int nats_system_read(struct nats_system *system, enum nats_document document, size_t expected,
                     nats_answer_handler *handler, void *context, struct error *err);
void nats_system_listen(struct nats_system *system,
                        void (*handler)(void *, struct slice, struct slice), void *context);

struct nats_http;
int nats_http_new(const char *urls, int64_t interval_ns, struct nats_http **ret, struct error *err);
void nats_http_free(struct nats_http *http);
void nats_http_read(struct nats_http *http, enum nats_document document,
                    nats_answer_handler *handler, void *context);

/* --- parsing ---------------------------------------------------------------------------------- */

/* A path in a document, and what the sample calls it; NULL: it is not taken over as it stands. */
struct nats_field {
    const char *path, *name;
};

/* A table of them, ready to be read; the value of row i is values[i]. */
struct nats_fields {
    struct json_plan *plan;
};

#define NATS_FIELDS_MAX 40

void nats_fields_new(struct nats_fields *fields, const struct nats_field *table, size_t count);
void nats_fields_done(struct nats_fields *fields);
/* False: not JSON; *error says what. */
bool nats_fields_read(const struct nats_fields *fields, struct slice text,
                      struct json_value values[static NATS_FIELDS_MAX], struct json_error *error);

uint64_t nats_u64(const struct json_value *value); /* 0 when it is no such number */
bool nats_true(const struct json_value *value);
int64_t nats_time(const struct json_value *value); /* 0: none */
void nats_text(const struct json_value *value, char out[static NATS_NAME_MAX]);
/* A Go duration such as 1m2.5s or 269µs; -1: it is none. */
int64_t nats_duration(struct slice text);

struct nats_peer {
    char name[NATS_NAME_MAX];
    bool current, offline;
    uint64_t lag;
    int64_t active_ns; /* since it was heard of */
};

struct stream_state {
    uint64_t messages, bytes, first_seq, last_seq, deleted;
};

/* How each report begins. */
struct report_head {
    char *key; /* account TAB stream, or account TAB stream TAB consumer */
    unsigned server;
    bool clustered, leads;
    char leader[NATS_NAME_MAX];
    int64_t created_ns;
};

struct stream_report {
    struct report_head head;
    struct stream_state state;
    uint64_t subjects, consumers, lost_messages, lost_bytes, max_bytes;
    unsigned replicas; /* as configured */
    bool in_memory;
    struct nats_peer *peers; /* the leader's view; heap */
    size_t peer_count;
};

struct consumer_report {
    struct report_head head;
    bool is_push, push_bound, paused, filtered;
    uint64_t delivered_seq, delivered_stream_seq, floor_seq, floor_stream_seq;
    uint64_t pending, ack_pending, redelivered, waiting, max_ack_pending;
    char *filter; /* heap; NULL: none, or several */
};

/* Everything that was reported in one look. */
struct nats_reports {
    struct stream_report *streams;
    size_t stream_count, stream_room;
    struct consumer_report *consumers;
    size_t consumer_count, consumer_room;
    uint64_t left_out;
};

void nats_reports_sort(struct nats_reports *reports);
void nats_reports_done(struct nats_reports *reports);

/* --- what is known ---------------------------------------------------------------------------- */

enum server_state { SERVER_NEVER_SEEN, SERVER_UP, SERVER_LOST, SERVER_UNREADABLE };

struct nats_server {
    char key[NATS_NAME_MAX], name[NATS_NAME_MAX], id[NATS_NAME_MAX], cluster[NATS_NAME_MAX];
    enum server_state state;
    bool seen;     /* in this look */
    bool sound;    /* and it says that it is healthy: what it does not report is not there */
    bool told_ill; /* ServerUnhealthy */
    bool has_jetstream, jetstream_seen, has_leafs, has_gateways;
    bool read_jsz; /* in this look */
    char problem[256];
    int64_t started_ns, configured_ns;
    uint64_t slow_consumers, storage, storage_max, memory, memory_max;
    int storage_level, memory_level; /* 0, 80, 95 */
    size_t cluster_size;             /* as its routes show it */
    uint64_t meta_size, meta_pending;
    char meta_leader[NATS_NAME_MAX];
    json_t *sample; /* in the making */
};

struct nats_cluster {
    char name[NATS_NAME_MAX], leader[NATS_NAME_MAX];
    size_t size;
    int64_t leaderless_since; /* 0: it has a leader */
    bool told_leaderless, seen;
    bool has_meta;
};

#define NATS_COURSE_MAX 64

/* Where a stream's end was when: to tell for how long a consumer has been behind. */
struct stream_course {
    int64_t at_ns[NATS_COURSE_MAX];
    uint64_t last_seq[NATS_COURSE_MAX];
    size_t count;
};

/* How what is known begins: which one it is, and what is remembered of either kind. */
struct known_head {
    char *key;                               /* as in its reports */
    const char *account, *stream, *consumer; /* in `parts`; consumer: NULL for a stream */
    char *parts, *id;
    uint64_t servers; /* that reported it last, as bits */
    int64_t created_ns;
    bool has_state; /* it was seen before */
    char leader[NATS_NAME_MAX];
    uint64_t sample_hash; /* of the sample told last, at this look */
    unsigned sampled_at;
};

struct known_stream {
    struct known_head head;
    struct stream_state state;
    int64_t leaderless_since; /* 0: it has a leader */
    bool told_quorum_lost, told_differ;
    char lagging[NATS_PEERS_MAX][NATS_NAME_MAX];
    size_t lagging_count;
    uint64_t lost_messages;
    struct stream_course course;
};

struct known_consumer {
    struct known_head head;
    uint64_t delivered_seq, floor_stream_seq; /* what progress is judged by */
    int64_t progressed_ns;
    const char *stalled; /* the class that was told; NULL: it is not */
};

/* Sorted by key. */
struct known_list {
    void *items; /* struct known_stream or known_consumer */
    size_t count;
};

struct nats_watch {
    const struct source_options *options;
    struct source_sink *sink; /* of the look */
    struct nats_reader *reader;
    struct nats_fields varz, jsz, routez, route, healthz, account, stream, consumer, peer;
    struct nats_server servers[NATS_SERVERS_MAX];
    size_t server_count;
    struct nats_cluster clusters[NATS_CLUSTERS_MAX];
    size_t cluster_count;
    struct known_list streams, consumers;
    struct nats_reports reports;
    unsigned looks;
    int64_t now_ns; /* monotonic, of the look */
    size_t answered;
    char first_problem[256];
};

/* parse.c */
void nats_parsers_new(struct nats_watch *watch);
void nats_parsers_done(struct nats_watch *watch);
/* Adds the streams and consumers of one server: "account_details" of its jsz. */
void nats_parse_accounts(struct nats_watch *watch, const struct nats_server *server,
                         const struct json_value *all);

/* servers.c: handlers of the documents, and what is made of them */
void nats_servers_begin(struct nats_watch *watch);
nats_answer_handler nats_on_varz, nats_on_routez, nats_on_healthz, nats_on_jsz;
/* After NATS_VARZ: who is lost. */
void nats_servers_judge(struct nats_watch *watch);
/* The server of that key or name, if it has answered in this look; else NULL. */
struct nats_server *nats_seen_server(struct nats_watch *watch, const char *key);
/* At the end of the look. */
void nats_servers_tell(struct nats_watch *watch);
void nats_servers_done(struct nats_watch *watch);

/* links.c */
nats_answer_handler nats_on_leafz, nats_on_gatewayz;

/* known.c */

struct known_kind {
    const char *aggregate;          /* of its events */
    const char *created, *deleted;  /* their types */
    size_t known_size, report_size; /* both begin with their heads */
    /* All reports of the look on one thing. */
    void (*judge)(struct nats_watch *watch, void *known, const void *reports, size_t count);
    /* Before `deleted` is told; or NULL. */
    void (*going)(struct nats_watch *watch, void *known);
};

/*
 * What was known and what is reported become what is known: new things and those that are gone are
 * told. Gone is what no server reports, while all that had it are heard and sound.
 */
void nats_known_merge(struct nats_watch *watch, const struct known_kind *kind,
                      struct known_list *list, const void *reports, size_t count);
void nats_known_done(const struct known_kind *kind, struct known_list *list);
/* An event of it; says which it is. */
void nats_known_tell(struct nats_watch *watch, const struct known_kind *kind,
                     const struct known_head *known, const char *type, json_t *data);
/* A sample of it, which holds until the next refresh. */
void nats_known_sample(struct nats_watch *watch, const struct known_kind *kind,
                       const struct known_head *known, const char *type, json_t *data);
/* Is a sample due: what it says (its hash) has changed, or it is its turn? */
bool nats_sample_due(const struct nats_watch *watch, struct known_head *known, uint64_t hash);

/* streams.c */
void nats_streams_judge(struct nats_watch *watch);
const struct known_stream *nats_stream_find(const struct nats_watch *watch, const char *account,
                                            const char *stream);
void nats_streams_done(struct nats_watch *watch);

/* consumers.c; after the streams */
void nats_consumers_judge(struct nats_watch *watch);
void nats_consumers_done(struct nats_watch *watch);

/* Has each of these servers been heard in this look, and is it sound? Then silence means absence.
 */
bool nats_servers_sound(const struct nats_watch *watch, uint64_t servers);
static inline bool nats_first_look(const struct nats_watch *watch)
{
    return watch->looks == 1;
}
