#include "bus/wire_server.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <strings.h>

#include "base/memory.h"

static void server_done(struct wire_server *server)
{
    if (server->password)
        OPENSSL_cleanse(server->password, strlen(server->password));
    free(server->host);
    free(server->port);
    free(server->user);
    free(server->password);
    free(server->name);
    *server = (struct wire_server){0};
}

void wire_servers_done(struct wire_servers *servers)
{
    for (size_t i = 0; i < servers->count; i++)
        server_done(&servers->items[i]);
    *servers = (struct wire_servers){0};
}

/* --- one address ------------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static char *decoded(struct slice text)
{
    char *out = xmalloc(text.len + 1), *to = out;
    for (size_t i = 0; i < text.len; i++) {
        int high = i + 2 < text.len && text.ptr[i] == '%' ? hex_digit(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.ptr[i + 2]) : -1;
        *to++ = low >= 0 ? (char)(high << 4 | low) : text.ptr[i];
        i += low >= 0 ? 2 : 0;
    }
    *to = 0;
    return out;
}

static bool is_port(struct slice text)
{
    uint64_t value;
    return slice_u64(text, &value) && value > 0 && value < 65536;
}

/* host, host:port, [v6], [v6]:port. */
static bool set_address(struct wire_server *server, struct slice text)
{
    struct slice host = text, port = SLICE("4222");
    const char *close = text.len && text.ptr[0] == '[' ? memchr(text.ptr, ']', text.len) : NULL;
    const char *colon = close ? close + 1 : memchr(text.ptr, ':', text.len);
    if (close)
        host = (struct slice){text.ptr + 1, (size_t)(close - text.ptr) - 1};
    if (colon && colon < text.ptr + text.len) {
        if (*colon != ':')
            return false;
        port = slice_from(text, (size_t)(colon - text.ptr) + 1);
        if (!close)
            host.len = (size_t)(colon - text.ptr);
    }
    if (!host.len || !is_port(port))
        return false;
    server->host = xstrndup(host.ptr, host.len);
    server->port = xstrndup(port.ptr, port.len);
    return true;
}

static int parse_one(struct wire_server *server, struct slice url, struct error *err)
{
    *server = (struct wire_server){0};
    const char *scheme = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
    if (scheme) {
        struct slice name = {url.ptr, (size_t)(scheme - url.ptr)};
        server->tls = name.len == 3 && !strncasecmp(name.ptr, "tls", 3);
        if (!server->tls && !(name.len == 4 && !strncasecmp(name.ptr, "nats", 4)))
            return error_set(err, EXIT_CODE_USAGE,
                             "a NATS URL begins with nats:// or tls://, not %.*s://",
                             SLICE_ARG(name));
        url = slice_from(url, name.len + 3);
    }
    const char *at = url.len ? memrchr(url.ptr, '@', url.len) : NULL;
    if (at) {
        struct slice rest = {url.ptr, (size_t)(at - url.ptr)}, user = SLICE_ABSENT;
        (void)slice_cut(&rest, ':', &user);
        server->user = decoded(user);
        server->password = slice_present(rest) ? decoded(rest) : NULL;
        url = slice_from(url, (size_t)(at - url.ptr) + 1);
    }
    while (url.len && url.ptr[url.len - 1] == '/')
        url.len--;
    if (!url.len || !set_address(server, url)) {
        server_done(server);
        return error_set(err, EXIT_CODE_USAGE, "no NATS address: '%.*s'; expected host:port",
                         SLICE_ARG(url));
    }
    server->name = xstrdup(server->host);
    return 0;
}

int wire_servers_parse(struct wire_servers *servers, const char *urls, struct error *err)
{
    struct slice rest = slice_of(urls), url;
    *servers = (struct wire_servers){0};
    while (slice_cut(&rest, ',', &url)) {
        url = slice_trim(url);
        if (!url.len)
            continue;
        if (servers->count == WIRE_SERVERS_MAX) {
            wire_servers_done(servers);
            return error_set(err, EXIT_CODE_USAGE, "more than %d NATS servers", WIRE_SERVERS_MAX);
        }
        if (parse_one(&servers->items[servers->count], url, err) < 0) {
            wire_servers_done(servers);
            return -1;
        }
        servers->count++;
    }
    return servers->count ? 0 : error_set(err, EXIT_CODE_USAGE, "no NATS server is named");
}

/* --- the pool --------------------------------------------------------------------------------- */

struct wire_server *wire_servers_current(struct wire_servers *servers)
{
    return &servers->items[servers->at];
}

void wire_servers_next(struct wire_servers *servers)
{
    servers->at = (servers->at + 1) % servers->count;
}

static bool is_known(const struct wire_servers *servers, const struct wire_server *server)
{
    for (size_t i = 0; i < servers->count; i++) {
        if (!strcmp(servers->items[i].host, server->host) &&
            !strcmp(servers->items[i].port, server->port))
            return true;
    }
    return false;
}

static bool is_numeric(const char *host)
{
    char out[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, out) == 1 || inet_pton(AF_INET6, host, out) == 1;
}

static void add_discovered(struct wire_servers *servers, const char *address)
{
    const struct wire_server *origin = wire_servers_current(servers);
    struct wire_server server = {0};
    if (servers->count == WIRE_SERVERS_MAX || parse_one(&server, slice_of(address), NULL) < 0 ||
        !server.host || !server.port)
        return;
    if (is_known(servers, &server)) {
        server_done(&server);
        return;
    }
    server.discovered = true;
    server.tls = origin->tls;
    server.user = origin->user ? xstrdup(origin->user) : NULL;
    server.password = origin->password ? xstrdup(origin->password) : NULL;
    if (is_numeric(server.host)) {
        free(server.name);
        server.name = xstrdup(origin->name);
    }
    servers->items[servers->count++] = server;
}

void wire_servers_discovered(struct wire_servers *servers, const char *const *addresses,
                             size_t count)
{
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < servers->count; i++) {
        if (servers->items[i].discovered && i != servers->at) {
            server_done(&servers->items[i]);
            continue;
        }
        if (i == servers->at)
            at = kept;
        servers->items[kept++] = servers->items[i];
    }
    servers->count = kept;
    servers->at = at;
    for (size_t i = 0; i < count; i++)
        add_discovered(servers, addresses[i]);
}
