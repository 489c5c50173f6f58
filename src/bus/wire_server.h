/*
 * wire_server: the servers that a wire may connect to: those of the URL, and those that the cluster
 * told of (`connect_urls` in INFO). Tried in turn.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define WIRE_SERVERS_MAX 64

struct wire_server {
    char *host, *port;
    char *user, *password; /* NULL: none. A user without a password is a token */
    char *name;            /* what its certificate must speak of */
    bool tls;              /* tls:// */
    bool discovered;
};

struct wire_servers {
    struct wire_server items[WIRE_SERVERS_MAX];
    size_t count, at; /* at: the one in use, or to be tried next */
};

/*
 * [nats://|tls://][user[:password]@]host[:port], several separated by commas; host may be an IPv6
 * address in brackets; %XX is decoded in user and password. Errors never show the password.
 */
int wire_servers_parse(struct wire_servers *servers, const char *urls, struct error *err);
void wire_servers_done(struct wire_servers *servers);
/* Replaces what was discovered before. Texts are host:port; the current server stays current, and
 * its name is what certificates of addresses without a name must speak of. */
void wire_servers_discovered(struct wire_servers *servers, const char *const *addresses,
                             size_t count);
void wire_servers_next(struct wire_servers *servers);
struct wire_server *wire_servers_current(struct wire_servers *servers);
