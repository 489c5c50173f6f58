/* Documents become reports. Large ones are walked element by element: no tree is built. */
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/nats/nats.h"

/* --- values ----------------------------------------------------------------------------------- */

void nats_fields_new(struct nats_fields *fields, const struct nats_field *table, size_t count)
{
    fields->plan = json_plan_new();
    for (size_t i = 0; i < count; i++)
        (void)json_plan_add(fields->plan, slice_of(table[i].path));
    if (json_plan_slots(fields->plan) != count || count > NATS_FIELDS_MAX ||
        !json_plan_compile(fields->plan))
        abort(); /* a path stands twice in a table above */
}

void nats_fields_done(struct nats_fields *fields)
{
    json_plan_free(fields->plan);
}

bool nats_fields_read(const struct nats_fields *fields, struct slice text,
                      struct json_value values[static NATS_FIELDS_MAX], struct json_error *error)
{
    return json_extract(fields->plan, text, values, error);
}

uint64_t nats_u64(const struct json_value *value)
{
    uint64_t number = 0;
    if (value->type == JSON_TYPE_NUMBER)
        (void)slice_u64(value->raw, &number); /* not: negative ones, fractions */
    return number <= INT64_MAX ? number : 0;  /* not: the servers' "no limit" */
}

bool nats_true(const struct json_value *value)
{
    return value->type == JSON_TYPE_TRUE;
}

int64_t nats_time(const struct json_value *value)
{
    int64_t ns = 0;
    if (value->type == JSON_TYPE_STRING)
        (void)instant_parse_rfc3339(value->raw, &ns);
    return ns;
}

void nats_text(const struct json_value *value, char out[static NATS_NAME_MAX])
{
    CLEANUP_BUF struct buf plain = {0};
    out[0] = 0;
    if (value->type != JSON_TYPE_STRING)
        return;
    json_unescape(value->raw, &plain);
    (void)snprintf(out, NATS_NAME_MAX, "%s", buf_cstr(&plain));
}

static int64_t unit_ns(struct slice *text)
{
    static const struct {
        struct slice name;
        int64_t ns;
    } units[] = {
        {SLICE("ns"), 1},
        {SLICE("us"), 1000},
        {SLICE("\xc2\xb5s"), 1000},
        {SLICE("\xce\xbcs"), 1000},
        {SLICE("ms"), NS_PER_MS},
        {SLICE("s"), NS_PER_SECOND},
        {SLICE("m"), 60 * NS_PER_SECOND},
        {SLICE("h"), 3600 * NS_PER_SECOND},
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (slice_starts(*text, units[i].name)) {
            *text = slice_from(*text, units[i].name.len);
            return units[i].ns;
        }
    }
    return 0;
}

int64_t nats_duration(struct slice text)
{
    double sum = 0;
    if (!text.len)
        return -1;
    while (text.len) {
        double value = 0, place = 0;
        size_t at = 0;
        for (; at < text.len; at++) {
            char c = text.ptr[at];
            if (c == '.' && place == 0) {
                place = 1;
                continue;
            }
            if (c < '0' || c > '9')
                break;
            place /= 10;
            value = place > 0 ? value + place * (c - '0') : value * 10 + (c - '0');
        }
        text = slice_from(text, at);
        int64_t unit = at ? unit_ns(&text) : 0;
        sum += value * (double)unit;
        if (!unit || sum > 9e18)
            return -1;
    }
    return (int64_t)sum;
}

/* --- the tables of paths ---------------------------------------------------------------------- */

enum {
    ACCOUNT_NAME,
    ACCOUNT_STREAMS,
};
static const struct nats_field account_fields[] = {
    [ACCOUNT_NAME] = {"name", NULL},
    [ACCOUNT_STREAMS] = {"stream_detail", NULL},
};

enum {
    STREAM_NAME,
    STREAM_CREATED,
    STREAM_CLUSTER,
    STREAM_LEADER,
    STREAM_PEERS,
    STREAM_REPLICAS,
    STREAM_MAX_BYTES,
    STREAM_STORAGE,
    STREAM_MESSAGES,
    STREAM_BYTES,
    STREAM_FIRST,
    STREAM_LAST,
    STREAM_DELETED,
    STREAM_SUBJECTS,
    STREAM_CONSUMER_COUNT,
    STREAM_LOST_MESSAGES,
    STREAM_LOST_BYTES,
    STREAM_CONSUMERS,
};
static const struct nats_field stream_fields[] = {
    [STREAM_NAME] = {"name", NULL},
    [STREAM_CREATED] = {"created", NULL},
    [STREAM_CLUSTER] = {"cluster", NULL},
    [STREAM_LEADER] = {"cluster.leader", NULL},
    [STREAM_PEERS] = {"cluster.replicas", NULL},
    [STREAM_REPLICAS] = {"config.num_replicas", NULL},
    [STREAM_MAX_BYTES] = {"config.max_bytes", NULL},
    [STREAM_STORAGE] = {"config.storage", NULL},
    [STREAM_MESSAGES] = {"state.messages", NULL},
    [STREAM_BYTES] = {"state.bytes", NULL},
    [STREAM_FIRST] = {"state.first_seq", NULL},
    [STREAM_LAST] = {"state.last_seq", NULL},
    [STREAM_DELETED] = {"state.num_deleted", NULL},
    [STREAM_SUBJECTS] = {"state.num_subjects", NULL},
    [STREAM_CONSUMER_COUNT] = {"state.consumer_count", NULL},
    [STREAM_LOST_MESSAGES] = {"state.lost.msgs", NULL},
    [STREAM_LOST_BYTES] = {"state.lost.bytes", NULL},
    [STREAM_CONSUMERS] = {"consumer_detail", NULL},
};

enum {
    CONSUMER_NAME,
    CONSUMER_CREATED,
    CONSUMER_CLUSTER,
    CONSUMER_LEADER,
    CONSUMER_DELIVER_SUBJECT,
    CONSUMER_FILTER,
    CONSUMER_FILTERS,
    CONSUMER_MAX_ACK_PENDING,
    CONSUMER_DELIVERED,
    CONSUMER_DELIVERED_STREAM,
    CONSUMER_FLOOR,
    CONSUMER_FLOOR_STREAM,
    CONSUMER_ACK_PENDING,
    CONSUMER_REDELIVERED,
    CONSUMER_WAITING,
    CONSUMER_PENDING,
    CONSUMER_PUSH_BOUND,
    CONSUMER_PAUSED,
};
static const struct nats_field consumer_fields[] = {
    [CONSUMER_NAME] = {"name", NULL},
    [CONSUMER_CREATED] = {"created", NULL},
    [CONSUMER_CLUSTER] = {"cluster", NULL},
    [CONSUMER_LEADER] = {"cluster.leader", NULL},
    [CONSUMER_DELIVER_SUBJECT] = {"config.deliver_subject", NULL},
    [CONSUMER_FILTER] = {"config.filter_subject", NULL},
    [CONSUMER_FILTERS] = {"config.filter_subjects", NULL},
    [CONSUMER_MAX_ACK_PENDING] = {"config.max_ack_pending", NULL},
    [CONSUMER_DELIVERED] = {"delivered.consumer_seq", NULL},
    [CONSUMER_DELIVERED_STREAM] = {"delivered.stream_seq", NULL},
    [CONSUMER_FLOOR] = {"ack_floor.consumer_seq", NULL},
    [CONSUMER_FLOOR_STREAM] = {"ack_floor.stream_seq", NULL},
    [CONSUMER_ACK_PENDING] = {"num_ack_pending", NULL},
    [CONSUMER_REDELIVERED] = {"num_redelivered", NULL},
    [CONSUMER_WAITING] = {"num_waiting", NULL},
    [CONSUMER_PENDING] = {"num_pending", NULL},
    [CONSUMER_PUSH_BOUND] = {"push_bound", NULL},
    [CONSUMER_PAUSED] = {"paused", NULL},
};

enum { PEER_NAME, PEER_CURRENT, PEER_OFFLINE, PEER_ACTIVE, PEER_LAG };
static const struct nats_field peer_fields[] = {
    [PEER_NAME] = {"name", NULL},       [PEER_CURRENT] = {"current", NULL},
    [PEER_OFFLINE] = {"offline", NULL}, [PEER_ACTIVE] = {"active", NULL},
    [PEER_LAG] = {"lag", NULL},
};

void nats_parsers_new(struct nats_watch *watch)
{
    nats_fields_new(&watch->account, account_fields, ARRAY_LEN(account_fields));
    nats_fields_new(&watch->stream, stream_fields, ARRAY_LEN(stream_fields));
    nats_fields_new(&watch->consumer, consumer_fields, ARRAY_LEN(consumer_fields));
    nats_fields_new(&watch->peer, peer_fields, ARRAY_LEN(peer_fields));
}

void nats_parsers_done(struct nats_watch *watch)
{
    nats_fields_done(&watch->account);
    nats_fields_done(&watch->stream);
    nats_fields_done(&watch->consumer);
    nats_fields_done(&watch->peer);
}

/* --- reports ---------------------------------------------------------------------------------- */

static void parse_peers(struct nats_watch *watch, struct stream_report *report, struct slice rest)
{
    struct slice item;
    while (report->peer_count < NATS_PEERS_MAX && json_array_next(&rest, &item)) {
        struct json_value v[NATS_FIELDS_MAX];
        struct json_error error;
        if (!nats_fields_read(&watch->peer, item, v, &error))
            continue;
        if (!report->peers)
            report->peers = xcalloc(NATS_PEERS_MAX, sizeof *report->peers);
        struct nats_peer *peer = &report->peers[report->peer_count++];
        nats_text(&v[PEER_NAME], peer->name);
        peer->current = nats_true(&v[PEER_CURRENT]);
        peer->offline = nats_true(&v[PEER_OFFLINE]);
        peer->lag = nats_u64(&v[PEER_LAG]);
        peer->active_ns = (int64_t)nats_u64(&v[PEER_ACTIVE]);
    }
}

/* No leader field: of a cluster nobody leads it; without a cluster the server has it alone. */
static struct report_head head_of(const struct nats_watch *watch, const struct nats_server *server,
                                  char *key, const struct json_value *cluster,
                                  const struct json_value *leader, const struct json_value *created)
{
    struct report_head head = {.key = key,
                               .server = (unsigned)(server - watch->servers),
                               .clustered = cluster->type == JSON_TYPE_OBJECT,
                               .created_ns = nats_time(created)};
    nats_text(leader, head.leader);
    head.leads = !head.clustered || !strcmp(head.leader, server->name);
    return head;
}

static void parse_consumer(struct nats_watch *watch, const struct nats_server *server,
                           const char *stream_key, struct slice text)
{
    struct json_value v[NATS_FIELDS_MAX];
    struct json_error error;
    struct nats_reports *reports = &watch->reports;
    char name[NATS_NAME_MAX];
    if (reports->consumer_count == NATS_CONSUMERS_MAX) {
        reports->left_out++;
        return;
    }
    if (!nats_fields_read(&watch->consumer, text, v, &error))
        return;
    GROW(reports->consumers, reports->consumer_count, reports->consumer_room);
    struct consumer_report *report = &reports->consumers[reports->consumer_count++];
    nats_text(&v[CONSUMER_NAME], name);
    *report = (struct consumer_report){
        .head = head_of(watch, server, xasprintf("%s\t%s", stream_key, name), &v[CONSUMER_CLUSTER],
                        &v[CONSUMER_LEADER], &v[CONSUMER_CREATED]),
        .is_push = v[CONSUMER_DELIVER_SUBJECT].type == JSON_TYPE_STRING &&
                   v[CONSUMER_DELIVER_SUBJECT].raw.len > 0,
        .push_bound = nats_true(&v[CONSUMER_PUSH_BOUND]),
        .paused = nats_true(&v[CONSUMER_PAUSED]),
        .filtered = v[CONSUMER_FILTER].raw.len > 0 || v[CONSUMER_FILTERS].raw.len > 0,
        .delivered_seq = nats_u64(&v[CONSUMER_DELIVERED]),
        .delivered_stream_seq = nats_u64(&v[CONSUMER_DELIVERED_STREAM]),
        .floor_seq = nats_u64(&v[CONSUMER_FLOOR]),
        .floor_stream_seq = nats_u64(&v[CONSUMER_FLOOR_STREAM]),
        .pending = nats_u64(&v[CONSUMER_PENDING]),
        .ack_pending = nats_u64(&v[CONSUMER_ACK_PENDING]),
        .redelivered = nats_u64(&v[CONSUMER_REDELIVERED]),
        .waiting = nats_u64(&v[CONSUMER_WAITING]),
        .max_ack_pending = nats_u64(&v[CONSUMER_MAX_ACK_PENDING]),
    };
    if (v[CONSUMER_FILTER].type == JSON_TYPE_STRING && v[CONSUMER_FILTER].raw.len)
        report->filter = xstrndup(v[CONSUMER_FILTER].raw.ptr, v[CONSUMER_FILTER].raw.len);
}

static void parse_stream(struct nats_watch *watch, const struct nats_server *server,
                         const char *account, struct slice text)
{
    struct json_value v[NATS_FIELDS_MAX];
    struct json_error error;
    struct nats_reports *reports = &watch->reports;
    char name[NATS_NAME_MAX];
    if (reports->stream_count == NATS_STREAMS_MAX) {
        reports->left_out++;
        return;
    }
    if (!nats_fields_read(&watch->stream, text, v, &error))
        return;
    nats_text(&v[STREAM_NAME], name);
    GROW(reports->streams, reports->stream_count, reports->stream_room);
    struct stream_report *report = &reports->streams[reports->stream_count++];
    *report = (struct stream_report){
        .head = head_of(watch, server, xasprintf("%s\t%s", account, name), &v[STREAM_CLUSTER],
                        &v[STREAM_LEADER], &v[STREAM_CREATED]),
        .state = {nats_u64(&v[STREAM_MESSAGES]), nats_u64(&v[STREAM_BYTES]),
                  nats_u64(&v[STREAM_FIRST]), nats_u64(&v[STREAM_LAST]),
                  nats_u64(&v[STREAM_DELETED])},
        .subjects = nats_u64(&v[STREAM_SUBJECTS]),
        .consumers = nats_u64(&v[STREAM_CONSUMER_COUNT]),
        .lost_messages = nats_u64(&v[STREAM_LOST_MESSAGES]),
        .lost_bytes = nats_u64(&v[STREAM_LOST_BYTES]),
        .max_bytes = nats_u64(&v[STREAM_MAX_BYTES]),
        .replicas = (unsigned)nats_u64(&v[STREAM_REPLICAS]),
        .in_memory = slice_eq(v[STREAM_STORAGE].raw, SLICE("memory")),
    };
    if (report->head.leads && report->head.clustered)
        parse_peers(watch, report, json_array_of(&v[STREAM_PEERS]));
    CLEANUP_FREE char *key = xstrdup(report->head.key);
    struct slice rest = json_array_of(&v[STREAM_CONSUMERS]), item;
    while (json_array_next(&rest, &item))
        parse_consumer(watch, server, key, item);
}

void nats_parse_accounts(struct nats_watch *watch, const struct nats_server *server,
                         const struct json_value *all)
{
    struct slice accounts = json_array_of(all), account, stream;
    while (json_array_next(&accounts, &account)) {
        struct json_value v[NATS_FIELDS_MAX];
        struct json_error error;
        char name[NATS_NAME_MAX];
        if (!nats_fields_read(&watch->account, account, v, &error))
            continue;
        nats_text(&v[ACCOUNT_NAME], name);
        struct slice streams = json_array_of(&v[ACCOUNT_STREAMS]);
        while (json_array_next(&streams, &stream))
            parse_stream(watch, server, name, stream);
    }
}

/* Both begin with their heads. */
static int by_key(const void *a, const void *b)
{
    const struct report_head *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (int)x->server - (int)y->server;
}

void nats_reports_sort(struct nats_reports *reports)
{
    if (reports->stream_count)
        qsort(reports->streams, reports->stream_count, sizeof *reports->streams, by_key);
    if (reports->consumer_count)
        qsort(reports->consumers, reports->consumer_count, sizeof *reports->consumers, by_key);
}

/* The room stays for the next look. */
static void forget(struct nats_reports *reports)
{
    for (size_t i = 0; i < reports->stream_count; i++) {
        free(reports->streams[i].head.key);
        free(reports->streams[i].peers);
    }
    for (size_t i = 0; i < reports->consumer_count; i++) {
        free(reports->consumers[i].head.key);
        free(reports->consumers[i].filter);
    }
}

void nats_reports_done(struct nats_reports *reports)
{
    forget(reports);
    free(reports->streams);
    free(reports->consumers);
    *reports = (struct nats_reports){0};
}
