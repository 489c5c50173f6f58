/* Servers and clusters: from varz, routez, healthz and the head of jsz. */
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/nats/nats.h"
#include "source/reading.h"

#define ROUTES_MAX        256
#define ELECTION_PATIENCE (10 * NS_PER_SECOND) /* nats-server takes a quorum as lost after this */

enum {
    VARZ_NAME,
    VARZ_ID,
    VARZ_CLUSTER,
    VARZ_START,
    VARZ_CONFIGURED,
    VARZ_SLOW,
    VARZ_GATEWAY,
    VARZ_COPIED
};
static const struct nats_field varz_fields[] = {
    [VARZ_NAME] = {"server_name", NULL},
    [VARZ_ID] = {"server_id", NULL},
    [VARZ_CLUSTER] = {"cluster.name", NULL},
    [VARZ_START] = {"start", NULL},
    [VARZ_CONFIGURED] = {"config_load_time", NULL},
    [VARZ_SLOW] = {"slow_consumers", "slow_consumers"},
    [VARZ_GATEWAY] = {"gateway.name", NULL},
    [VARZ_COPIED] = {"version", "version"},
    {"connections", "connections"},
    {"total_connections", "total_connections"},
    {"subscriptions", "subscriptions"},
    {"in_msgs", "in_messages"},
    {"out_msgs", "out_messages"},
    {"in_bytes", "in_bytes"},
    {"out_bytes", "out_bytes"},
    {"cpu", "cpu_percent"},
    {"mem", "memory_bytes"},
    {"cores", "cores"},
    {"routes", "routes"},
    {"remotes", "remotes"},
    {"leafnodes", "leaf_nodes"},
    {"max_connections", "max_connections"},
    {"max_payload", "max_payload_bytes"},
    {"jetstream.stats.reserved_storage", "jetstream_storage_reserved_bytes"},
    {"jetstream.stats.reserved_memory", "jetstream_memory_reserved_bytes"},
};

enum {
    JSZ_ACCOUNTS,
    JSZ_DISABLED,
    JSZ_META_LEADER,
    JSZ_META_SIZE,
    JSZ_META_PENDING,
    JSZ_STORAGE,
    JSZ_STORAGE_MAX,
    JSZ_MEMORY,
    JSZ_MEMORY_MAX,
    JSZ_COPIED,
};
static const struct nats_field jsz_fields[] = {
    [JSZ_ACCOUNTS] = {"account_details", NULL},
    [JSZ_DISABLED] = {"disabled", NULL},
    [JSZ_META_LEADER] = {"meta_cluster.leader", NULL},
    [JSZ_META_SIZE] = {"meta_cluster.cluster_size", NULL},
    [JSZ_META_PENDING] = {"meta_cluster.pending", NULL},
    [JSZ_STORAGE] = {"storage", "jetstream_storage_used_bytes"},
    [JSZ_STORAGE_MAX] = {"config.max_storage", "jetstream_storage_limit_bytes"},
    [JSZ_MEMORY] = {"memory", "jetstream_memory_used_bytes"},
    [JSZ_MEMORY_MAX] = {"config.max_memory", "jetstream_memory_limit_bytes"},
    [JSZ_COPIED] = {"streams", "jetstream_streams"},
    {"consumers", "jetstream_consumers"},
    {"messages", "jetstream_messages"},
    {"bytes", "jetstream_bytes"},
    {"accounts", "jetstream_accounts"},
    {"ha_assets", "jetstream_ha_assets"},
    {"api.total", "jetstream_api_requests"},
    {"api.errors", "jetstream_api_errors"},
    {"api.inflight", "jetstream_api_in_flight"},
    {"api.level", "jetstream_api_level"},
};

enum { ROUTEZ_ROUTES };
static const struct nats_field routez_fields[] = {[ROUTEZ_ROUTES] = {"routes", NULL}};
enum { ROUTE_ID, ROUTE_NAME, ROUTE_RTT, ROUTE_PENDING, ROUTE_IN, ROUTE_OUT, ROUTE_SUBSCRIPTIONS };
static const struct nats_field route_fields[] = {
    [ROUTE_ID] = {"remote_id", NULL},
    [ROUTE_NAME] = {"remote_name", NULL},
    [ROUTE_RTT] = {"rtt", NULL},
    [ROUTE_PENDING] = {"pending_size", NULL},
    [ROUTE_IN] = {"in_msgs", NULL},
    [ROUTE_OUT] = {"out_msgs", NULL},
    [ROUTE_SUBSCRIPTIONS] = {"subscriptions", NULL},
};
enum { HEALTHZ_STATUS, HEALTHZ_ERROR };
static const struct nats_field healthz_fields[] = {
    [HEALTHZ_STATUS] = {"status", NULL},
    [HEALTHZ_ERROR] = {"error", NULL},
};

void nats_servers_begin(struct nats_watch *watch)
{
    if (!watch->varz.plan) {
        nats_fields_new(&watch->varz, varz_fields, ARRAY_LEN(varz_fields));
        nats_fields_new(&watch->jsz, jsz_fields, ARRAY_LEN(jsz_fields));
        nats_fields_new(&watch->routez, routez_fields, ARRAY_LEN(routez_fields));
        nats_fields_new(&watch->route, route_fields, ARRAY_LEN(route_fields));
        nats_fields_new(&watch->healthz, healthz_fields, ARRAY_LEN(healthz_fields));
    }
    watch->answered = 0;
    watch->first_problem[0] = 0;
    for (size_t i = 0; i < watch->server_count; i++) {
        struct nats_server *server = &watch->servers[i];
        server->seen = server->sound = server->read_jsz = false;
        server->cluster_size = 0;
        server->meta_leader[0] = 0;
        server->problem[0] = 0;
    }
}

void nats_servers_done(struct nats_watch *watch)
{
    for (size_t i = 0; i < watch->server_count; i++)
        json_decref(watch->servers[i].sample);
    if (watch->varz.plan) {
        nats_fields_done(&watch->varz);
        nats_fields_done(&watch->jsz);
        nats_fields_done(&watch->routez);
        nats_fields_done(&watch->route);
        nats_fields_done(&watch->healthz);
    }
}

/* --- which server ----------------------------------------------------------------------------- */

static struct nats_server *find(struct nats_watch *watch, const char *key, const char *name)
{
    for (size_t i = 0; *name && i < watch->server_count; i++) {
        if (!strcmp(watch->servers[i].name, name))
            return &watch->servers[i];
    }
    for (size_t i = 0; i < watch->server_count; i++) {
        if (!strcmp(watch->servers[i].key, key))
            return &watch->servers[i];
    }
    return NULL;
}

static struct nats_server *find_or_add(struct nats_watch *watch, const char *key, const char *name)
{
    struct nats_server *server = find(watch, key, name);
    if (!server && watch->server_count < NATS_SERVERS_MAX) {
        server = &watch->servers[watch->server_count++];
        *server = (struct nats_server){0};
    }
    if (server)
        (void)snprintf(server->key, sizeof server->key, "%s", key);
    return server;
}

static const char *shown_name(const struct nats_server *server)
{
    return server->name[0] ? server->name : server->key;
}

/* Every event of a server says which. */
static void tell_server(struct nats_watch *watch, const struct nats_server *server,
                        const char *type, json_t *data)
{
    (void)json_object_set_new(data, "server", json_string(shown_name(server)));
    if (server->cluster[0])
        (void)json_object_set_new(data, "cluster", json_string(server->cluster));
    source_tell(watch->sink, "server", shown_name(server), type, data);
}

static void copy_value(json_t *data, const char *name, const struct json_value *value)
{
    double number;
    char text[NATS_NAME_MAX];
    if (value->type == JSON_TYPE_STRING) {
        nats_text(value, text);
        (void)json_object_set_new(data, name, json_string(text));
    } else if (value->type == JSON_TYPE_NUMBER && json_number(value, &number)) {
        uint64_t whole = nats_u64(value);
        if (number < 0 || number > 9e18)
            return; /* "no limit" */
        bool is_whole = whole && (double)whole == number;
        (void)json_object_set_new(data, name,
                                  is_whole || number == 0 ? json_integer((json_int_t)whole)
                                                          : json_real(number));
    }
}

static void copy_fields(json_t *data, const struct nats_field *fields, size_t count,
                        const struct json_value *values)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name)
            copy_value(data, fields[i].name, &values[i]);
    }
}

/* --- varz ------------------------------------------------------------------------------------- */

static json_t *problem_of(const struct nats_server *server)
{
    return json_pack("{s:s}", "reason", server->problem);
}

static void note_problem(struct nats_watch *watch, const char *key, struct nats_server *server,
                         struct slice text)
{
    if (server)
        (void)snprintf(server->problem, sizeof server->problem, "%.*s", SLICE_ARG(text));
    if (!watch->first_problem[0])
        (void)snprintf(watch->first_problem, sizeof watch->first_problem, "%s: %.*s", key,
                       SLICE_ARG(text));
}

static void set_state(struct nats_watch *watch, struct nats_server *server, enum server_state state,
                      const char *type)
{
    if (server->state == state)
        return;
    server->state = state;
    tell_server(watch, server, type, problem_of(server));
}

static void learn_varz(struct nats_watch *watch, struct nats_server *server,
                       const struct json_value *v)
{
    enum server_state before = server->state;
    char id[NATS_NAME_MAX];
    int64_t started = nats_time(&v[VARZ_START]), configured = nats_time(&v[VARZ_CONFIGURED]);
    uint64_t slow = nats_u64(&v[VARZ_SLOW]);
    nats_text(&v[VARZ_ID], id);
    nats_text(&v[VARZ_NAME], server->name);
    nats_text(&v[VARZ_CLUSTER], server->cluster);
    if (!server->name[0])
        (void)snprintf(server->name, sizeof server->name, "%s", id);
    server->state = SERVER_UP;
    bool other = before != SERVER_NEVER_SEEN &&
                 (strcmp(id, server->id) != 0 || started != server->started_ns);
    if (before == SERVER_NEVER_SEEN && !nats_first_look(watch))
        tell_server(watch, server, "ServerJoined", json_object());
    else if (other)
        tell_server(watch, server, "ServerRestarted", json_object());
    else if (before == SERVER_LOST || before == SERVER_UNREADABLE)
        tell_server(watch, server, "ServerReturned", json_object());
    else if (before == SERVER_UP && configured != server->configured_ns)
        tell_server(watch, server, "ConfigReloaded", json_object());
    if (before == SERVER_UP && !other && slow > server->slow_consumers)
        tell_server(watch, server, "SlowConsumersFound",
                    json_pack("{s:I, s:I}", "count", (json_int_t)(slow - server->slow_consumers),
                              "total", (json_int_t)slow));
    (void)snprintf(server->id, sizeof server->id, "%s", id);
    server->started_ns = started;
    server->configured_ns = configured;
    server->slow_consumers = slow;
}

void nats_on_varz(void *context, const char *key, enum nats_answer answer, struct slice text)
{
    struct nats_watch *watch = context;
    struct json_value v[NATS_FIELDS_MAX];
    struct json_error error = {0};
    char name[NATS_NAME_MAX] = "";
    CLEANUP_BUF struct buf problem = {0};
    if (answer == NATS_ANSWERED) {
        if (!nats_fields_read(&watch->varz, text, v, &error)) {
            buf_addf(&problem, "varz is no JSON: %s at byte %zu", error.what, error.offset);
        } else {
            nats_text(&v[VARZ_NAME], name);
            if (v[VARZ_ID].type != JSON_TYPE_STRING)
                buf_addf(&problem, "varz has no server_id: not a NATS server's page");
        }
        if (problem.len)
            answer = NATS_BAD_ANSWER;
        if (problem.len)
            text = buf_slice(&problem);
    }
    struct nats_server *server = *key ? find_or_add(watch, key, name) : NULL;
    if (answer != NATS_ANSWERED)
        note_problem(watch, key, server, text);
    if (!server)
        return;
    if (answer == NATS_BAD_ANSWER)
        set_state(watch, server, SERVER_UNREADABLE, "ServerUnreadable");
    if (answer != NATS_ANSWERED)
        return;
    learn_varz(watch, server, v);
    server->seen = true;
    watch->answered++;
    json_decref(server->sample);
    server->sample = json_object();
    copy_fields(server->sample, varz_fields, ARRAY_LEN(varz_fields), v);
    server->has_gateways = v[VARZ_GATEWAY].type == JSON_TYPE_STRING;
    server->has_leafs = json_integer_value(json_object_get(server->sample, "leaf_nodes")) > 0;
    int64_t uptime = instant_now_ns() - server->started_ns;
    if (server->started_ns && uptime > 0)
        (void)json_object_set_new(server->sample, "uptime_seconds",
                                  json_real((double)(uptime / NS_PER_MS) / 1e3));
}

void nats_servers_judge(struct nats_watch *watch)
{
    for (size_t i = 0; i < watch->server_count; i++) {
        struct nats_server *server = &watch->servers[i];
        if (server->seen || server->state == SERVER_UNREADABLE)
            continue;
        if (!server->problem[0])
            (void)snprintf(server->problem, sizeof server->problem, "it does not answer");
        set_state(watch, server, SERVER_LOST, "ServerLost");
    }
}

bool nats_servers_sound(const struct nats_watch *watch, uint64_t servers)
{
    for (size_t i = 0; i < watch->server_count; i++) {
        const struct nats_server *server = &watch->servers[i];
        if (servers >> i & 1 && !(server->seen && server->sound && server->read_jsz))
            return false;
    }
    return true;
}

/* --- the other documents ---------------------------------------------------------------------- */

struct nats_server *nats_seen_server(struct nats_watch *watch, const char *key)
{
    struct nats_server *server = find(watch, key, key);
    return server && server->seen ? server : NULL;
}

/* One page of a server that is otherwise well. */
static void page_failed(struct nats_watch *watch, struct nats_server *server, const char *page,
                        struct slice why)
{
    CLEANUP_FREE char *reason = xasprintf("%s: %.*s", page, SLICE_ARG(why));
    note_problem(watch, server->key, server, slice_of(reason));
    (void)json_object_set_new(server->sample, "absent", json_pack("{s:s}", page, reason));
}

static void sample_route(struct nats_watch *watch, struct nats_server *server,
                         const struct json_value *v, const char *remote)
{
    int64_t rtt = nats_duration(v[ROUTE_RTT].raw);
    json_t *data = json_pack("{s:s, s:s, s:s, s:s}", "server", server->name, "cluster",
                             server->cluster, "remote", remote, "link", "route");
    if (rtt >= 0)
        (void)json_object_set_new(data, "rtt_nanoseconds", json_integer(rtt));
    copy_value(data, "pending_bytes", &v[ROUTE_PENDING]);
    copy_value(data, "in_messages", &v[ROUTE_IN]);
    copy_value(data, "out_messages", &v[ROUTE_OUT]);
    copy_value(data, "subscriptions", &v[ROUTE_SUBSCRIPTIONS]);
    CLEANUP_FREE char *id = xasprintf("%s-%s", server->name, remote);
    source_sample(watch->sink, "route", id, "RouteSampled", 0, data);
}

static const char *name_of_id(const struct nats_watch *watch, const char *id)
{
    for (size_t i = 0; i < watch->server_count; i++) {
        if (!strcmp(watch->servers[i].id, id))
            return watch->servers[i].name;
    }
    return id;
}

void nats_on_routez(void *context, const char *key, enum nats_answer answer, struct slice text)
{
    struct nats_watch *watch = context;
    struct nats_server *server = nats_seen_server(watch, key);
    struct json_value v[NATS_FIELDS_MAX], route[NATS_FIELDS_MAX];
    struct json_error error;
    char ids[NATS_SERVERS_MAX][NATS_NAME_MAX], id[NATS_NAME_MAX];
    size_t remotes = 0, routes = 0;
    if (!server)
        return;
    if (answer != NATS_ANSWERED || !nats_fields_read(&watch->routez, text, v, &error)) {
        page_failed(watch, server, "routez", answer == NATS_ANSWERED ? slice_of(error.what) : text);
        return;
    }
    struct slice rest = json_array_of(&v[ROUTEZ_ROUTES]), item;
    while (routes++ < ROUTES_MAX && json_array_next(&rest, &item)) {
        size_t at = 0;
        if (!nats_fields_read(&watch->route, item, route, &error))
            continue;
        nats_text(&route[ROUTE_ID], id);
        while (at < remotes && strcmp(ids[at], id) != 0)
            at++;
        if (at < remotes || remotes == NATS_SERVERS_MAX)
            continue; /* several routes to one server: 2.10 pools them */
        memcpy(ids[remotes++], id, sizeof id);
        sample_route(watch, server, route, name_of_id(watch, id));
    }
    server->cluster_size = remotes + 1;
    (void)json_object_set_new(server->sample, "cluster_size",
                              json_integer((json_int_t)remotes + 1));
}

void nats_on_healthz(void *context, const char *key, enum nats_answer answer, struct slice text)
{
    struct nats_watch *watch = context;
    struct nats_server *server = nats_seen_server(watch, key);
    struct json_value v[NATS_FIELDS_MAX];
    struct json_error error;
    char status[NATS_NAME_MAX], why[NATS_NAME_MAX];
    if (!server)
        return;
    if (answer != NATS_ANSWERED || !nats_fields_read(&watch->healthz, text, v, &error)) {
        page_failed(watch, server, "healthz",
                    answer == NATS_ANSWERED ? slice_of(error.what) : text);
        return;
    }
    nats_text(&v[HEALTHZ_STATUS], status);
    nats_text(&v[HEALTHZ_ERROR], why);
    server->sound = !strcmp(status, "ok");
    (void)json_object_set_new(server->sample, "healthy", json_boolean(server->sound));
    if (server->sound == server->told_ill) {
        server->told_ill = !server->sound;
        (void)snprintf(server->problem, sizeof server->problem, "%s", why[0] ? why : status);
        tell_server(watch, server, server->sound ? "ServerHealthy" : "ServerUnhealthy",
                    server->sound ? json_object() : problem_of(server));
    }
}

static void learn_jsz(struct nats_watch *watch, struct nats_server *server,
                      const struct json_value *v)
{
    bool enabled = !nats_true(&v[JSZ_DISABLED]);
    if (enabled)
        copy_fields(server->sample, jsz_fields, ARRAY_LEN(jsz_fields), v);
    (void)json_object_set_new(server->sample, "jetstream", json_boolean(enabled));
    server->storage = nats_u64(&v[JSZ_STORAGE]);
    server->storage_max = nats_u64(&v[JSZ_STORAGE_MAX]);
    server->memory = nats_u64(&v[JSZ_MEMORY]);
    server->memory_max = nats_u64(&v[JSZ_MEMORY_MAX]);
    server->meta_size = nats_u64(&v[JSZ_META_SIZE]);
    server->meta_pending = nats_u64(&v[JSZ_META_PENDING]);
    nats_text(&v[JSZ_META_LEADER], server->meta_leader);
    if (server->jetstream_seen && server->has_jetstream != enabled)
        tell_server(watch, server, enabled ? "JetStreamEnabled" : "JetStreamDisabled",
                    json_object());
    server->has_jetstream = enabled;
    server->jetstream_seen = true;
}

void nats_on_jsz(void *context, const char *key, enum nats_answer answer, struct slice text)
{
    struct nats_watch *watch = context;
    struct nats_server *server = nats_seen_server(watch, key);
    struct json_value v[NATS_FIELDS_MAX];
    struct json_error error = {0};
    if (!server)
        return;
    if (answer != NATS_ANSWERED || !nats_fields_read(&watch->jsz, text, v, &error)) {
        page_failed(watch, server, "jsz", answer == NATS_ANSWERED ? slice_of(error.what) : text);
        return;
    }
    learn_jsz(watch, server, v);
    nats_parse_accounts(watch, server, &v[JSZ_ACCOUNTS]);
    server->read_jsz = true;
}

/* --- at the end of the look ------------------------------------------------------------------- */

static void judge_level(struct nats_watch *watch, struct nats_server *server, const char *what,
                        uint64_t used, uint64_t limit, int *level)
{
    double ratio = limit ? (double)used / (double)limit : 0;
    int reached = source_level(ratio, *level, 80, 95);
    if (reached == *level)
        return;
    bool higher = reached > *level;
    *level = reached;
    tell_server(watch, server, reached ? "StorageHigh" : "StorageNormal",
                json_pack("{s:s, s:i, s:f, s:I, s:I, s:b}", "storage", what, "level", reached,
                          "used_ratio", ratio, "used_bytes", (json_int_t)used, "limit_bytes",
                          (json_int_t)limit, "rising", higher));
}

static struct nats_cluster *cluster_of(struct nats_watch *watch, const char *name)
{
    for (size_t i = 0; i < watch->cluster_count; i++) {
        if (!strcmp(watch->clusters[i].name, name))
            return &watch->clusters[i];
    }
    if (watch->cluster_count == NATS_CLUSTERS_MAX)
        return NULL;
    struct nats_cluster *cluster = &watch->clusters[watch->cluster_count++];
    *cluster = (struct nats_cluster){0};
    (void)snprintf(cluster->name, sizeof cluster->name, "%s", name);
    return cluster;
}

struct cluster_view {
    size_t size, seen;
    uint64_t expected, pending;
    char leader[NATS_NAME_MAX];
    bool any_jetstream;
};

static struct cluster_view view_of(const struct nats_watch *watch, const char *cluster)
{
    struct cluster_view view = {0};
    for (size_t i = 0; i < watch->server_count; i++) {
        const struct nats_server *server = &watch->servers[i];
        if (!server->seen || strcmp(server->cluster, cluster) != 0)
            continue;
        view.seen++;
        view.any_jetstream = view.any_jetstream || (server->read_jsz && server->meta_size);
        if (server->cluster_size > view.size)
            view.size = server->cluster_size;
        if (server->meta_size > view.expected)
            view.expected = server->meta_size;
        if (server->meta_pending > view.pending)
            view.pending = server->meta_pending;
        /* Who says that it leads itself is believed first. */
        bool own = !strcmp(server->meta_leader, server->name);
        if (server->meta_leader[0] && (own || !view.leader[0]))
            memcpy(view.leader, server->meta_leader, sizeof view.leader);
    }
    if (view.size < view.seen)
        view.size = view.seen == 1 ? 1 : view.size ? view.size : view.seen;
    return view;
}

static void tell_cluster(struct nats_watch *watch, struct nats_cluster *cluster, const char *type,
                         json_t *data)
{
    (void)json_object_set_new(data, "cluster", json_string(cluster->name));
    source_tell(watch->sink, "cluster", cluster->name, type, data);
}

static void judge_meta(struct nats_watch *watch, struct nats_cluster *cluster,
                       const struct cluster_view *view)
{
    if (!view->any_jetstream)
        return;
    if (view->leader[0]) {
        bool changed = strcmp(view->leader, cluster->leader) != 0;
        if ((changed && cluster->leader[0]) || cluster->told_leaderless)
            tell_cluster(
                watch, cluster, "MetaLeaderElected",
                json_pack("{s:s, s:s}", "leader", view->leader, "previous", cluster->leader));
        memcpy(cluster->leader, view->leader, sizeof cluster->leader);
        cluster->leaderless_since = 0;
        cluster->told_leaderless = false;
        return;
    }
    if (!cluster->leaderless_since)
        cluster->leaderless_since = watch->now_ns;
    bool too_few = view->expected && view->seen < view->expected / 2 + 1;
    if (!cluster->told_leaderless &&
        (too_few || watch->now_ns - cluster->leaderless_since >= ELECTION_PATIENCE)) {
        cluster->told_leaderless = true;
        tell_cluster(watch, cluster, "MetaQuorumLost",
                     json_pack("{s:s, s:I, s:I}", "previous", cluster->leader, "servers",
                               (json_int_t)view->seen, "expected", (json_int_t)view->expected));
    }
}

static void judge_cluster(struct nats_watch *watch, struct nats_cluster *cluster)
{
    struct cluster_view view = view_of(watch, cluster->name);
    if (cluster->seen && view.size != cluster->size)
        tell_cluster(watch, cluster, "ClusterSizeChanged",
                     json_pack("{s:I, s:I, s:I}", "before", (json_int_t)cluster->size, "servers",
                               (json_int_t)view.size, "expected", (json_int_t)view.expected));
    cluster->size = view.size;
    cluster->seen = true;
    judge_meta(watch, cluster, &view);
    json_t *data = json_pack("{s:s, s:I, s:I}", "cluster", cluster->name, "servers",
                             (json_int_t)view.size, "answering", (json_int_t)view.seen);
    if (view.any_jetstream) {
        (void)json_object_set_new(data, "expected", json_integer((json_int_t)view.expected));
        (void)json_object_set_new(data, "has_meta_leader", json_boolean(view.leader[0] != 0));
        (void)json_object_set_new(data, "meta_pending", json_integer((json_int_t)view.pending));
        if (view.leader[0])
            (void)json_object_set_new(data, "meta_leader", json_string(view.leader));
    }
    (void)json_object_set_new(data, "left_out", json_integer((json_int_t)watch->reports.left_out));
    source_sample(watch->sink, "cluster", cluster->name, "ClusterSampled", 0, data);
}

static void sample_missing(struct nats_watch *watch, const struct nats_server *server)
{
    source_sample(watch->sink, "server", shown_name(server), "ServerSampled", 0,
                  json_pack("{s:s, s:s, s:i, s:s}", "server", shown_name(server), "cluster",
                            server->cluster, "up", 0, "reason", server->problem));
}

void nats_servers_tell(struct nats_watch *watch)
{
    for (size_t i = 0; i < watch->server_count; i++) {
        struct nats_server *server = &watch->servers[i];
        if (!server->seen) {
            sample_missing(watch, server);
            continue;
        }
        (void)json_object_set_new(server->sample, "up", json_integer(1));
        if (server->read_jsz) {
            judge_level(watch, server, "file", server->storage, server->storage_max,
                        &server->storage_level);
            judge_level(watch, server, "memory", server->memory, server->memory_max,
                        &server->memory_level);
        }
        (void)cluster_of(watch, server->cluster);
        (void)json_object_set_new(server->sample, "server", json_string(server->name));
        (void)json_object_set_new(server->sample, "cluster", json_string(server->cluster));
        source_sample(watch->sink, "server", server->name, "ServerSampled", 0, server->sample);
        server->sample = NULL;
    }
    for (size_t i = 0; i < watch->cluster_count; i++)
        judge_cluster(watch, &watch->clusters[i]);
}
