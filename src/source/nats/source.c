/* The NATS source: one look, and the table of what it tells. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/nats/nats.h"

#define SERVER   "server", "<server>"
#define CLUSTER  "cluster", "<cluster>"
#define STREAM   "stream", "<account>-<stream>"
#define CONSUMER "consumer", "<account>-<stream>-<consumer>"

static const struct source_event events[] = {
    {SERVER, "ServerSampled", "every look",
     "`up`: 1 when it answers, else 0 and no more than `reason`; `server`, `cluster`, `version`, "
     "`connections`, `total_connections`, `subscriptions`, "
     "`in_messages`, `out_messages`, `in_bytes`, `out_bytes`, `slow_consumers`, `cpu_percent`, "
     "`memory_bytes`, `cores`, `routes`, `remotes`, `leaf_nodes`, `max_connections`, "
     "`max_payload_bytes`, `uptime_seconds`, `cluster_size`: itself and those it has routes to; "
     "`healthy`; `jetstream`, and of it `jetstream_{storage,memory}_{used,reserved,limit}_bytes`, "
     "`jetstream_{streams,consumers,messages,bytes,accounts,ha_assets,api_requests,api_errors,"
     "api_in_flight,api_level}`; `absent`: pages that could not be read, and why"},
    {SERVER, "ServerJoined", "a server is seen for the first time, but at the agent's start",
     "`server`, `cluster`"},
    {SERVER, "ServerLost", "a server no longer answers", "`server`, `cluster`, `reason`"},
    {SERVER, "ServerUnreadable", "a server answers, but not with what was asked for",
     "`server`, `reason`"},
    {SERVER, "ServerReturned", "it answers again, and has run all the time", "`server`, `cluster`"},
    {SERVER, "ServerRestarted", "it answers, and has been started anew", "`server`, `cluster`"},
    {SERVER, "ServerShutDown", "it says that it stops (system account only; at once)", "`server`"},
    {SERVER, "LameDuckEntered",
     "it says that it sends its clients away (system account only; at once)", "`server`"},
    {SERVER, "ServerUnhealthy", "its health check fails", "`server`, `cluster`, `reason`"},
    {SERVER, "ServerHealthy", "its health check works again", "`server`, `cluster`"},
    {SERVER, "ConfigReloaded", "it has read its configuration again", "`server`, `cluster`"},
    {SERVER, "SlowConsumersFound", "it has cut off clients that read too slowly",
     "`server`, `cluster`, `count`: since the last look, `total`"},
    {SERVER, "JetStreamDisabled", "JetStream is off, and was on: out of storage, or an I/O error",
     "`server`, `cluster`"},
    {SERVER, "JetStreamEnabled", "JetStream is on again", "`server`, `cluster`"},
    {SERVER, "StorageHigh", "storage in use passes 80 % or 95 % of its limit, either way",
     "`server`, `cluster`, `storage`: `file` or `memory`, `level`: 80 or 95, `used_ratio`, "
     "`used_bytes`, `limit_bytes`, `rising`"},
    {SERVER, "StorageNormal", "storage in use is below 78 % again", "as `StorageHigh`"},
    {"leaf", "<server>-<remote>", "LeafSampled", "every look, for each leaf node of a server",
     "as `RouteSampled`, `link` is `leaf`, `account`"},
    {"gateway", "<server>-<remote>", "GatewaySampled",
     "every look, for each gateway that a server has to another cluster",
     "as `RouteSampled`, `link` is `gateway`, `remote`: the other cluster"},
    {"route", "<server>-<remote>", "RouteSampled",
     "every look, for each server that one has "
     "routes to",
     "`link`: `route`, `server`, `cluster`, `remote`, `rtt_nanoseconds`, `pending_bytes`, "
     "`in_messages`, `out_messages`, `subscriptions`"},
    {CLUSTER, "ClusterSampled", "every look",
     "`cluster`, `servers`: as the best connected one sees it, `answering`: to us; with JetStream "
     "`expected`: in the meta group, `has_meta_leader`, `meta_leader`, `meta_pending`; `left_out`: "
     "streams and consumers beyond our limits"},
    {CLUSTER, "ClusterSizeChanged", "servers have come or gone, or routes have broken",
     "`cluster`, `before`, `servers`, `expected`"},
    {CLUSTER, "MetaLeaderElected", "another server leads the meta group",
     "`cluster`, `leader`, `previous`"},
    {CLUSTER, "MetaQuorumLost",
     "no server leads the meta group for 10 s, or too few are left to elect one",
     "`cluster`, `previous`, `servers`, `expected`"},
    {STREAM, "StreamSampled", "it has changed, or every sixth look",
     "`account`, `stream`, `server`: its leader, `cluster`, `messages`, `bytes`, "
     "`first_sequence`, `last_sequence`, `deleted`, `subjects`, `consumers`, `replicas`, "
     "`replicas_current`, `storage`, `limit_bytes`: where there is one, `quorum`: 0 or 1; when 0, "
     "nothing more is known, `replicas_differ`: 0 or 1"},
    {STREAM, "StreamCreated", "it is new", "`account`, `stream`"},
    {STREAM, "StreamDeleted", "it is gone: all servers that had it are well and do not have it",
     "`account`, `stream`"},
    {STREAM, "StreamRecreated", "another stream has taken its name", "`account`, `stream`"},
    {STREAM, "StreamRolledBack", "its last sequence went back: acknowledged messages are lost",
     "`account`, `stream`, `server`, `last_sequence`, `last_sequence_before`"},
    {STREAM, "StreamMessagesLost", "the server found damaged messages on its disk and dropped them",
     "`account`, `stream`, `server`, `messages`, `bytes`: in all since it started"},
    {STREAM, "StreamLeaderElected", "another server leads it",
     "`account`, `stream`, `leader`, `previous`"},
    {STREAM, "StreamQuorumLost", "no server leads it for 10 s, or too few replicas are left",
     "`account`, `stream`, `previous`, `replicas_answering`, `replicas_needed`"},
    {STREAM, "StreamQuorumRegained", "it has a leader again", "`account`, `stream`, `leader`"},
    {STREAM, "ReplicaLagging",
     "its leader says that a replica is not current, is offline, is 1,000 operations behind or has "
     "been silent for 5 s",
     "`account`, `stream`, `server`, `current`, `offline`, `lag_operations`, `silent_seconds`"},
    {STREAM, "ReplicaCaughtUp", "that replica is current again", "`account`, `stream`, `server`"},
    {STREAM, "ReplicasDiffer",
     "all replicas call themselves current, and do not hold the same messages",
     "`account`, `stream`, `replicas`: for each `server`, `leader`, `messages`, `bytes`, "
     "`first_sequence`, `last_sequence`, `deleted`"},
    {STREAM, "ReplicasAgree", "they hold the same again", "`account`, `stream`"},
    {CONSUMER, "ConsumerSampled", "it has changed or is behind, or every sixth look",
     "`account`, `stream`, `consumer`, `server`: its leader, `cluster`, `kind`: `pull` or `push`, "
     "`lag_messages`, `lag_seconds`: since when there have been messages not delivered, "
     "`ack_pending`, `redelivered`, `waiting`, `delivered_consumer_sequence`, "
     "`delivered_stream_sequence`, `ack_floor_consumer_sequence`, `ack_floor_stream_sequence`, "
     "`delivered`: since the last look, `paused`, `stalled`: 0 or 1, `class`, `filter`"},
    {CONSUMER, "ConsumerCreated", "it is new", "`account`, `stream`, `consumer`"},
    {CONSUMER, "ConsumerDeleted", "it is gone", "`account`, `stream`, `consumer`"},
    {CONSUMER, "ConsumerLeaderElected", "another server leads it",
     "`account`, `stream`, `consumer`, `leader`, `previous`"},
    {CONSUMER, "ConsumerStalled", "it has messages to deliver and makes no progress",
     "`account`, `stream`, `consumer`, `class`: `nobody_pulls` (no client asks), "
     "`ack_pending_full` (clients do not acknowledge), `server_stuck` (clients ask and get "
     "nothing), `ahead_of_stream` (it has delivered what the stream does not have); "
     "`still_seconds`, `pending`, `ack_pending`, `waiting`"},
    {CONSUMER, "ConsumerRecovered", "it makes progress again, or is gone",
     "`account`, `stream`, `consumer`, `class`: what has ended"},
};

static const struct nats_field word_fields[] = {{"server.name", NULL}, {"name", NULL}};

/* The id in $SYS.SERVER.<id>.SHUTDOWN. */
static struct slice server_of(struct slice subject)
{
    struct slice token = SLICE("");
    for (size_t i = 0; i < 3; i++)
        (void)slice_cut(&subject, '.', &token);
    return token;
}

/* From a thread of the NATS client: what a server says unasked. */
static void on_word(void *context, struct slice subject, struct slice payload)
{
    struct nats_watch *watch = context;
    struct nats_fields fields;
    struct json_value values[NATS_FIELDS_MAX];
    struct json_error error;
    char name[NATS_NAME_MAX];
    bool lame = subject.len >= 8 && !memcmp(subject.ptr + subject.len - 8, "LAMEDUCK", 8);
    nats_fields_new(&fields, word_fields, ARRAY_LEN(word_fields));
    if (!nats_fields_read(&fields, payload, values, &error))
        values[0] = values[1] = (struct json_value){0};
    if (watch->sink) {
        nats_text(&values[values[0].type == JSON_TYPE_STRING ? 0 : 1], name);
        if (!name[0]) /* its id, then */
            (void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(server_of(subject)));
        source_tell(watch->sink, "server", name, lame ? "LameDuckEntered" : "ServerShutDown",
                    json_pack("{s:s}", "server", name));
    }
    nats_fields_done(&fields);
}

/* Does anything listen where a server's pages usually are? Of this machine, so it is known at once.
 */
static bool has_local_pages(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(NATS_PAGES_PORT),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
}

static int open_watch(const struct source_options *options, void **ret, struct error *err)
{
    struct nats_reader *reader;
    if (!options->nats_http && !options->nats_system && !has_local_pages())
        return error_set(err, EXIT_CODE_PROBLEM,
                         "no NATS server has its monitoring pages at 127.0.0.1:%d; name them with "
                         "--nats-http, or the system account with --system-nats",
                         NATS_PAGES_PORT);
    if (nats_reader_new(options, &reader, err) < 0)
        return -1;
    struct nats_watch *watch = xcalloc(1, sizeof *watch);
    watch->options = options;
    watch->reader = reader;
    nats_parsers_new(watch);
    *ret = watch;
    return 0;
}

static void close_watch(void *state)
{
    struct nats_watch *watch = state;
    nats_reader_free(watch->reader); /* first: its threads speak of the rest */
    nats_servers_done(watch);
    nats_streams_done(watch);
    nats_consumers_done(watch);
    nats_reports_done(&watch->reports);
    nats_parsers_done(watch);
    free(watch);
}

static bool has_leafs(const struct nats_server *server)
{
    return server->has_leafs;
}

static bool has_gateways(const struct nats_server *server)
{
    return server->has_gateways;
}

/* What is read after NATS_VARZ, in this order. */
static const struct document {
    enum nats_document document;
    nats_answer_handler *handler;
    bool (*concerns)(const struct nats_server *server); /* NULL: every one */
} documents[] = {
    {NATS_ROUTEZ, nats_on_routez, NULL},
    {NATS_HEALTHZ, nats_on_healthz, NULL},
    {NATS_JSZ, nats_on_jsz, NULL},
    {NATS_LEAFZ, nats_on_leafz, has_leafs},
    {NATS_GATEWAYZ, nats_on_gatewayz, has_gateways},
};

static bool is_wanted(const struct nats_watch *watch, const struct document *document)
{
    bool wanted = !document->concerns;
    for (size_t i = 0; i < watch->server_count && !wanted; i++)
        wanted = watch->servers[i].seen && document->concerns(&watch->servers[i]);
    return wanted;
}

static int look(void *state, struct source_sink *sink, struct error *err)
{
    struct nats_watch *watch = state;
    size_t expected = 0;
    if (!watch->sink) {
        watch->sink = sink;
        nats_reader_listen(watch->reader, on_word, watch);
    }
    for (size_t i = 0; i < watch->server_count; i++)
        expected += watch->servers[i].state == SERVER_UP;
    watch->looks++;
    nats_servers_begin(watch);
    int result = nats_reader_read(watch->reader, NATS_VARZ, expected, nats_on_varz, watch, err);
    nats_servers_judge(watch);
    if (result == 0 && !watch->answered)
        result = error_set(err, EXIT_CODE_UNREACHABLE, "no NATS server can be read: %s",
                           watch->first_problem);
    for (size_t i = 0; result == 0 && i < ARRAY_LEN(documents); i++) {
        if (is_wanted(watch, &documents[i]))
            (void)nats_reader_read(watch->reader, documents[i].document, watch->answered,
                                   documents[i].handler, watch, NULL);
    }
    watch->now_ns = instant_monotonic_ns();
    nats_reports_sort(&watch->reports);
    if (result == 0) {
        nats_streams_judge(watch);
        nats_consumers_judge(watch);
        nats_servers_tell(watch);
    }
    nats_reports_done(&watch->reports);
    return result;
}

extern const struct source source_nats;
const struct source source_nats = {
    .name = "nats",
    .events = events,
    .event_count = ARRAY_LEN(events),
    .open = open_watch,
    .observe = look,
    .close = close_watch,
};
