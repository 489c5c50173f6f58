/* Leaf nodes and gateways: small documents, asked for only where a server has some. */
#include <stdio.h>

#include "base/memory.h"
#include "source/nats/nats.h"

#define LINKS_MAX 256

static void copy(json_t *data, const char *name, const json_t *from, const char *field)
{
    const json_t *value = json_object_get(from, field);
    if (json_is_integer(value))
        (void)json_object_set_new(data, name, json_integer(json_integer_value(value)));
}

/* `connection`: what the server tells of it; in both documents the same fields. */
static void sample(struct nats_watch *watch, const struct nats_server *server, const char *link,
                   const char *type, const char *remote, const json_t *connection)
{
    const char *rtt = json_string_value(json_object_get(connection, "rtt"));
    const char *account = json_string_value(json_object_get(connection, "account"));
    int64_t ns = rtt ? nats_duration(slice_of(rtt)) : -1;
    json_t *data = json_pack("{s:s, s:s, s:s, s:s}", "server", server->name, "cluster",
                             server->cluster, "remote", remote, "link", link);
    if (ns >= 0)
        (void)json_object_set_new(data, "rtt_nanoseconds", json_integer(ns));
    if (account)
        (void)json_object_set_new(data, "account", json_string(account));
    copy(data, "pending_bytes", connection, "pending_bytes");
    copy(data, "in_messages", connection, "in_msgs");
    copy(data, "out_messages", connection, "out_msgs");
    copy(data, "subscriptions", connection, "subscriptions");
    CLEANUP_FREE char *id = xasprintf("%s-%s", server->name, remote);
    source_sample(watch->sink, link, id, type, 0, data);
}

static json_t *document_of(enum nats_answer answer, struct slice text)
{
    return answer == NATS_ANSWERED ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
}

void nats_on_leafz(void *context, const char *key, enum nats_answer answer, struct slice text)
{
    struct nats_watch *watch = context;
    const struct nats_server *server = nats_seen_server(watch, key);
    json_t *document = document_of(answer, text), *leaf;
    size_t i;
    json_array_foreach(json_object_get(document, "leafs"), i, leaf)
    {
        const char *name = json_string_value(json_object_get(leaf, "name"));
        const char *address = json_string_value(json_object_get(leaf, "ip"));
        CLEANUP_FREE char *place =
            xasprintf("%s:%d", address ? address : "",
                      (int)json_integer_value(json_object_get(leaf, "port")));
        if (server && i < LINKS_MAX)
            sample(watch, server, "leaf", "LeafSampled", name && *name ? name : place, leaf);
    }
    json_decref(document);
}

void nats_on_gatewayz(void *context, const char *key, enum nats_answer answer, struct slice text)
{
    struct nats_watch *watch = context;
    const struct nats_server *server = nats_seen_server(watch, key);
    json_t *document = document_of(answer, text), *gateway;
    const char *name;
    json_object_foreach(json_object_get(document, "outbound_gateways"), name, gateway)
    {
        if (server)
            sample(watch, server, "gateway", "GatewaySampled", name,
                   json_object_get(gateway, "connection"));
    }
    json_decref(document);
}
