/*
 * http: a small HTTP server: a table of routes, one handler each. Rests on libmicrohttpd.
 *
 * Handlers run on the server's threads, one per connection at most HTTP_CONNECTIONS_MAX; a slow
 * reader holds only its own connection and what its reply is made from. Replies are gzip-compressed
 * when the client accepts it and they are worth it; long ones only for clients on other machines,
 * as compressing costs more time than it saves on the way to this one.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define HTTP_CONNECTIONS_MAX 64
#define HTTP_BODY_BYTES_MAX  (4u << 20)

struct http_request {
    const char *path;
    const char *accept; /* the Accept header, or "" */
    struct slice body;  /* of a POST */
};

struct http_response {
    unsigned status;          /* 200 unless set */
    const char *content_type; /* text/plain unless set; constant text */
    struct buf body;
    /*
     * For long bodies: called when `body` has been sent, appends the next part to the empty buffer;
     * false when that was the last one. `done` frees the source, whether it was read or not.
     */
    bool (*more)(void *source, struct buf *ret_part);
    void (*done)(void *source);
    void *source;
};

typedef void http_handler(void *context, const struct http_request *request,
                          struct http_response *response);

struct http_route {
    const char *method, *path, *help;
    http_handler *handle;
};

struct http_server;

/*
 * Listens on address:port (port 0: a free one; http_server_port() tells). EXIT_CODE_REFUSED when
 * the port is taken. `routes` must live as long as the server; GET / lists them.
 */
int http_server_start(struct http_server **ret, const char *address, unsigned port,
                      const struct http_route *routes, size_t route_count, void *context,
                      struct error *err);
unsigned http_server_port(const struct http_server *server);
void http_server_stop(struct http_server *server); /* waits for the handlers; NULL is allowed */
