#include "bus/bus.h"

#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/bus_internal.h"
#include "bus/wire_server.h"
#include "event/headers.h"

enum {
    CONNECT_TIMEOUT_MS = 3000,
    ROUND_TRIP_TIMEOUT_MS = 2000,
    RECONNECT_WAIT_MS = 250,
    RECONNECT_JITTER_MS = 250,
    PING_INTERVAL_MS = 5000, /* a frozen server is noticed after about three of these */
    PINGS_OUT_MAX = 2,
    SERVERS_MAX = 32,
    CLOSE_TIMEOUT_S = 5,
};

static const size_t pending_bytes_default = 256u << 20;

int bus_error(const struct bus *bus, natsStatus status, const char *what, struct error *err)
{
    bool internal = status == NATS_NO_MEMORY || status == NATS_INVALID_ARG;
    const char *text = natsStatus_GetText(status);
    switch ((int)status) {
    case NATS_NO_RESPONDERS: text = "nobody answers there (is JetStream enabled?)"; break;
    case NATS_NO_SERVER:
        text = "no server answers there; is it running, and is this its port?";
        break;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        text = "the server refuses these credentials; see --creds, or user:password@ in --nats";
        break;
    case NATS_SECURE_CONNECTION_WANTED:
        text = "TLS was asked for, and the server does not speak it";
        break;
    case NATS_SECURE_CONNECTION_REQUIRED:
        text = "the server demands TLS; use tls:// and, if its CA is not public, --tls-ca";
        break;
    case NATS_SSL_ERROR:
        text = "the TLS handshake failed; see --tls-ca, --tls-cert and --tls-key";
        break;
    default: break;
    }
    return error_set(err, internal ? EXIT_CODE_INTERNAL : EXIT_CODE_UNREACHABLE, "%s: %s (%s)",
                     what, text, bus->place);
}

void bus_enter(struct bus *bus)
{
    pthread_mutex_lock(&bus->users_lock);
    bus->users++;
    pthread_mutex_unlock(&bus->users_lock);
}

void bus_leave(struct bus *bus)
{
    pthread_mutex_lock(&bus->users_lock);
    if (--bus->users == 0)
        pthread_cond_broadcast(&bus->users_gone);
    pthread_mutex_unlock(&bus->users_lock);
}

/* Copies the URLs without "user:password@". */
static void describe_place(const char *urls, char *out, size_t room)
{
    struct slice rest = slice_of(urls), url;
    size_t used = 0;
    out[0] = 0;
    while (slice_cut(&rest, ',', &url)) {
        const char *scheme = memmem(url.ptr, url.len, "://", 3);
        size_t head = scheme ? (size_t)(scheme + 3 - url.ptr) : 0;
        const char *at = memrchr(url.ptr + head, '@', url.len - head);
        struct slice host = slice_from(url, at ? (size_t)(at + 1 - url.ptr) : head);
        int more = snprintf(out + used, room - used, "%s%.*s%.*s", used ? "," : "", (int)head,
                            url.ptr, SLICE_ARG(host));
        if (more < 0 || (used += (size_t)more) >= room)
            return;
    }
}

static void link_changed(struct bus *bus, bool up)
{
    atomic_store(&bus->up, up);
    if (bus->on_link)
        bus->on_link(bus->context, up);
}

static void on_disconnected(natsConnection *connection, void *context)
{
    (void)connection;
    link_changed(context, false);
}

static void on_connected(natsConnection *connection, void *context)
{
    (void)connection;
    link_changed(context, true);
}

/* The library's last word about a connection: no other callback of it follows. */
static void on_closed(natsConnection *connection, void *context)
{
    struct bus *bus = context;
    (void)connection;
    atomic_store(&bus->closed, true);
    bus_leave(bus);
}

/* Without a handler the library prints to stderr; readers notice what is missing by sequence. */
static void on_async_error(natsConnection *connection, natsSubscription *subscription,
                           natsStatus status, void *context)
{
    (void)connection;
    (void)subscription;
    (void)status;
    (void)context;
}

/*
 * Older client libraries do not decode %XX in a user or password, newer ones do, and so does the
 * wire: where there is any, the library gets the decoded texts of the first server beside its URLs.
 */
static natsStatus set_decoded_servers(natsOptions *options, const char *urls)
{
    struct wire_servers servers;
    char *texts[WIRE_SERVERS_MAX];
    if (wire_servers_parse(&servers, urls, NULL) < 0)
        return NATS_INVALID_ARG;
    for (size_t i = 0; i < servers.count; i++) {
        const struct wire_server *s = &servers.items[i];
        bool v6 = strchr(s->host, ':') != NULL;
        texts[i] = xasprintf("%s://%s%s%s:%s", s->tls ? "tls" : "nats", v6 ? "[" : "", s->host,
                             v6 ? "]" : "", s->port);
    }
    natsStatus s =
        natsOptions_SetServers(options, (const char **)(uintptr_t)texts, (int)servers.count);
    const struct wire_server *first = &servers.items[0];
    if (s == NATS_OK && first->user)
        s = first->password ? natsOptions_SetUserInfo(options, first->user, first->password)
                            : natsOptions_SetToken(options, first->user);
    for (size_t i = 0; i < servers.count; i++)
        free(texts[i]);
    wire_servers_done(&servers);
    return s;
}

static natsStatus set_servers(natsOptions *options, const char *urls)
{
    if (strchr(urls, '%'))
        return set_decoded_servers(options, urls);
    CLEANUP_FREE char *copy = xstrdup(urls);
    const char *servers[SERVERS_MAX];
    int count = 0;
    for (char *at = copy, *next; at && count < SERVERS_MAX; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = 0;
        servers[count++] = at;
    }
    return natsOptions_SetServers(options, servers, count);
}

static natsStatus set_security(natsOptions *options, const struct bus_options *wanted)
{
    natsStatus s = NATS_OK;
    if (wanted->creds)
        s = natsOptions_SetUserCredentialsFromFiles(options, wanted->creds, NULL);
    /* The library takes tls:// for a name only: without this it would speak in the clear. */
    if (s == NATS_OK && (wanted->tls_ca || wanted->tls_cert || strstr(wanted->url, "tls://")))
        s = natsOptions_SetSecure(options, true);
    if (s == NATS_OK && wanted->tls_ca)
        s = natsOptions_LoadCATrustedCertificates(options, wanted->tls_ca);
    if (s == NATS_OK && wanted->tls_cert)
        s = natsOptions_LoadCertificatesChain(options, wanted->tls_cert, wanted->tls_key);
    return s;
}

static natsStatus set_options(struct bus *bus, const struct bus_options *wanted)
{
    natsOptions *o = bus->options;
    natsStatus s = set_servers(o, wanted->url);
    if (s == NATS_OK)
        s = natsOptions_SetName(o, wanted->name ? wanted->name : "cim-ops");
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetMaxReconnect(o, -1);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectWait(o, RECONNECT_WAIT_MS);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectJitter(o, RECONNECT_JITTER_MS, RECONNECT_JITTER_MS);
    if (s == NATS_OK)
        s = natsOptions_SetPingInterval(o, PING_INTERVAL_MS);
    if (s == NATS_OK)
        s = natsOptions_SetMaxPingsOut(o, PINGS_OUT_MAX);
    if (s == NATS_OK)
        s = natsOptions_SetIOBufSize(o, 256 * 1024);
    if (s == NATS_OK)
        s = natsOptions_SetFailRequestsOnDisconnect(o, true);
    if (s == NATS_OK) /* what is published while the link is down fails; nothing is kept back */
        s = natsOptions_SetReconnectBufSize(o, 1);
    if (s == NATS_OK)
        s = natsOptions_UseGlobalMessageDelivery(o, true);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(o, on_async_error, NULL);
    if (s == NATS_OK)
        s = natsOptions_SetDisconnectedCB(o, on_disconnected, bus);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectedCB(o, on_connected, bus);
    if (s == NATS_OK)
        s = natsOptions_SetClosedCB(o, on_closed, bus);
    if (s == NATS_OK && wanted->wait_for_server)
        s = natsOptions_SetRetryOnFailedConnect(o, true, on_connected, bus);
    return s == NATS_OK ? set_security(o, wanted) : s;
}

static char *kept(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void keep_options(struct bus *bus, const struct bus_options *options)
{
    bus->kept = (struct bus_options){.url = kept(options->url),
                                     .creds = kept(options->creds),
                                     .tls_ca = kept(options->tls_ca),
                                     .tls_cert = kept(options->tls_cert),
                                     .tls_key = kept(options->tls_key),
                                     .name = kept(options->name)};
}

static void drop_options(struct bus *bus)
{
    const char *texts[] = {bus->kept.url,      bus->kept.creds,   bus->kept.tls_ca,
                           bus->kept.tls_cert, bus->kept.tls_key, bus->kept.name};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free((char *)(uintptr_t)texts[i]);
}

int bus_open(struct bus **ret, const struct bus_options *options, struct error *err)
{
    struct bus *bus = xcalloc(1, sizeof *bus);
    bus->on_link = options->on_link;
    bus->context = options->context;
    bus->pending_bytes_max =
        options->pending_bytes_max ? options->pending_bytes_max : pending_bytes_default;
    keep_options(bus, options);
    describe_place(options->url, bus->place, sizeof bus->place);
    pthread_mutex_init(&bus->users_lock, NULL);
    pthread_cond_init(&bus->users_gone, NULL);

    natsStatus s = natsOptions_Create(&bus->options);
    if (s == NATS_OK)
        s = set_options(bus, options);
    if (s != NATS_OK) {
        const char *detail = nats_GetLastError(NULL);
        error_set(err, EXIT_CODE_USAGE, "bad NATS options: %s %s (%s)", natsStatus_GetText(s),
                  detail ? detail : "", bus->place);
        bus_close(bus);
        return -1;
    }
    s = natsConnection_Connect(&bus->connection, bus->options);
    if (s == NATS_OK || s == NATS_NOT_YET_CONNECTED)
        bus_enter(bus); /* until on_closed() */
    if (s == NATS_OK)
        link_changed(bus, true);
    if (s != NATS_OK && !(s == NATS_NOT_YET_CONNECTED && options->wait_for_server)) {
        bus_error(bus, s, "cannot connect to NATS", err);
        bus_close(bus);
        return -1;
    }
    *ret = bus;
    return 0;
}

/* True when no callback runs, and none can begin, that would use the bus or a handler's context. */
static bool wait_for_users(struct bus *bus)
{
    struct timespec until;
    int code = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_TIMEOUT_S;
    pthread_mutex_lock(&bus->users_lock);
    while (bus->users && code == 0)
        code = pthread_cond_timedwait(&bus->users_gone, &bus->users_lock, &until);
    bool gone = bus->users == 0;
    pthread_mutex_unlock(&bus->users_lock);
    return gone;
}

void bus_close(struct bus *bus)
{
    if (!bus)
        return;
    if (bus->connection) {
        natsConnection_Close(bus->connection);
        bool gone = wait_for_users(bus);
        natsConnection_Destroy(bus->connection);
        if (!gone)
            return; /* a handler hangs: better a leak than memory pulled from under it */
    }
    natsOptions_Destroy(bus->options);
    drop_options(bus);
    pthread_mutex_destroy(&bus->users_lock);
    pthread_cond_destroy(&bus->users_gone);
    free(bus);
}

bool bus_is_up(struct bus *bus)
{
    return atomic_load(&bus->up);
}

bool bus_is_closed(struct bus *bus)
{
    return atomic_load(&bus->closed);
}

size_t bus_payload_max(struct bus *bus)
{
    int64_t max = natsConnection_GetMaxPayload(bus->connection);
    return max > 0 ? (size_t)max : 0;
}

int64_t bus_round_trip_ns(struct bus *bus)
{
    int64_t began = instant_monotonic_ns();
    return natsConnection_FlushTimeout(bus->connection, ROUND_TRIP_TIMEOUT_MS) == NATS_OK
               ? instant_monotonic_ns() - began
               : -1;
}

/* --- publish and request ---------------------------------------------------------------------- */

static natsStatus add_headers(natsMsg *msg, const struct bus_header *headers, size_t count)
{
    natsStatus s = NATS_OK;
    for (size_t i = 0; i < count && s == NATS_OK; i++) {
        CLEANUP_FREE char *name = xstrndup(headers[i].name.ptr, headers[i].name.len);
        CLEANUP_FREE char *value = xstrndup(headers[i].value.ptr, headers[i].value.len);
        s = natsMsgHeader_Add(msg, name, value);
    }
    return s;
}

int bus_publish(struct bus *bus, struct slice subject, const char *reply,
                const struct bus_header *headers, size_t header_count, struct slice payload,
                struct error *err)
{
    CLEANUP_FREE char *name = xstrndup(subject.ptr, subject.len);
    natsMsg *msg = NULL;
    natsStatus s = natsMsg_Create(&msg, name, reply, payload.ptr, (int)payload.len);
    if (s == NATS_OK)
        s = add_headers(msg, headers, header_count);
    if (s == NATS_OK)
        s = natsConnection_PublishMsg(bus->connection, msg);
    natsMsg_Destroy(msg);
    return s == NATS_OK ? 0 : bus_error(bus, s, name, err);
}

int bus_flush(struct bus *bus, int timeout_ms, struct error *err)
{
    natsStatus s = natsConnection_FlushTimeout(bus->connection, timeout_ms);
    return s == NATS_OK ? 0 : bus_error(bus, s, "flush", err);
}

int bus_request_asking(struct bus *bus, const char *subject, const struct bus_header *headers,
                       size_t header_count, struct slice payload, int timeout_ms, struct buf *ret,
                       bool *ret_nobody, struct error *err)
{
    natsMsg *msg = NULL, *reply = NULL;
    natsStatus s = natsMsg_Create(&msg, subject, NULL, payload.ptr, (int)payload.len);
    if (s == NATS_OK)
        s = add_headers(msg, headers, header_count);
    if (s == NATS_OK)
        s = natsConnection_RequestMsg(&reply, bus->connection, msg, timeout_ms);
    natsMsg_Destroy(msg);
    *ret_nobody = s == NATS_NO_RESPONDERS;
    if (s != NATS_OK)
        return bus_error(bus, s, subject, err);
    buf_add(ret, natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply));
    natsMsg_Destroy(reply);
    return 0;
}

int bus_request_with(struct bus *bus, const char *subject, const struct bus_header *headers,
                     size_t header_count, struct slice payload, int timeout_ms, struct buf *ret,
                     struct error *err)
{
    bool nobody;
    return bus_request_asking(bus, subject, headers, header_count, payload, timeout_ms, ret,
                              &nobody, err);
}

int bus_request(struct bus *bus, const char *subject, struct slice payload, int timeout_ms,
                struct buf *ret, struct error *err)
{
    return bus_request_with(bus, subject, NULL, 0, payload, timeout_ms, ret, err);
}

/* --- messages --------------------------------------------------------------------------------- */

void bus_message_from(natsMsg *msg, struct bus_message *message)
{
    *message = (struct bus_message){
        .subject = slice_of(natsMsg_GetSubject(msg)),
        .payload = {natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)},
        .handle = msg,
    };
    if (!message->payload.ptr)
        message->payload = SLICE("");
}

static int headers_of_block(struct slice block, struct bus_header *out, size_t room)
{
    struct event_headers walk;
    struct event_header header;
    size_t used = 0;
    if (!block.len)
        return 0;
    for (bool more = event_headers_begin(&walk, block, NULL); more;) {
        more = event_headers_next(&walk, &header);
        if (more && used < room)
            out[used++] = (struct bus_header){header.name, header.value};
    }
    return walk.broken ? -1 : (int)used;
}

int bus_message_headers(const struct bus_message *message, struct bus_header *out, size_t room)
{
    if (!message->handle)
        return headers_of_block(message->header_block, out, room);
    const char **keys = NULL;
    int count = 0, used = 0;
    natsStatus s = natsMsgHeader_Keys(message->handle, &keys, &count);
    if (s == NATS_NOT_FOUND)
        return 0;
    if (s != NATS_OK)
        return -1;
    for (int i = 0; i < count; i++) {
        const char **values = NULL;
        int value_count = 0;
        if (natsMsgHeader_Values(message->handle, keys[i], &values, &value_count) != NATS_OK)
            continue;
        for (int v = 0; v < value_count && (size_t)used < room; v++)
            out[used++] =
                (struct bus_header){slice_of(keys[i]), slice_of(values[v] ? values[v] : "")};
        free((void *)values);
    }
    free(keys);
    return used;
}

void bus_message_release(struct bus_message *message)
{
    natsMsg_Destroy(message->handle);
    message->handle = NULL;
}

/* --- core subscriptions ----------------------------------------------------------------------- */

struct bus_subscription {
    struct bus *bus;
    natsSubscription *handle;
    bus_handler *on_message;
    void *context;
};

static void deliver(natsConnection *connection, natsSubscription *handle, natsMsg *msg,
                    void *context)
{
    (void)connection;
    (void)handle;
    struct bus_subscription *subscription = context;
    struct bus_message message;
    bus_message_from(msg, &message);
    message.stored_at_ns = instant_now_ns();
    subscription->on_message(subscription->context, &message, natsMsg_GetReply(msg));
}

/* The library calls this once no callback of the subscription can run any more. */
static void subscription_complete(void *context)
{
    struct bus_subscription *subscription = context;
    bus_leave(subscription->bus);
    free(subscription);
}

int bus_subscribe(struct bus *bus, const char *subject, bus_handler *on_message, void *context,
                  struct bus_subscription **ret, struct error *err)
{
    struct bus_subscription *subscription = xcalloc(1, sizeof *subscription);
    subscription->bus = bus;
    subscription->on_message = on_message;
    subscription->context = context;
    natsStatus s = natsConnection_Subscribe(&subscription->handle, bus->connection, subject,
                                            deliver, subscription);
    if (s != NATS_OK) {
        free(subscription);
        return bus_error(bus, s, subject, err);
    }
    bus_enter(bus); /* until subscription_complete() */
    int bytes = bus->pending_bytes_max > INT32_MAX ? INT32_MAX : (int)bus->pending_bytes_max;
    (void)natsSubscription_SetPendingLimits(subscription->handle, -1, bytes);
    *ret = subscription;
    return 0;
}

void bus_unsubscribe(struct bus_subscription *subscription)
{
    if (!subscription)
        return;
    natsSubscription *handle = subscription->handle;
    if (natsSubscription_SetOnCompleteCB(handle, subscription_complete, subscription) != NATS_OK)
        subscription_complete(subscription);
    natsSubscription_Destroy(handle);
}
