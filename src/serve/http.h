/*
 * http: a small HTTP or HTTPS server: a table of routes, one handler each. Rests on libmicrohttpd.
 *
 * Handlers run on the server's threads, one per connection, of which there is a limit; a slow
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
    const char *method;
    const char *path;   /* decoded, without the query */
    const char *accept; /* the Accept header, or "" */
    struct slice body;  /* of a POST */
    void *connection;   /* for the functions below */
};

/* NULL: not there. The first one where it comes several times. */
const char *http_header(const struct http_request *request, const char *name);
const char *http_parameter(const struct http_request *request, const char *name);
/* All parameters of the query in their order; false from `each` ends it. */
void http_parameters(const struct http_request *request,
                     bool (*each)(void *context, const char *name, const char *value),
                     void *context);
/* The client's address as text. */
void http_client(const struct http_request *request, char ret[static 64]);

#define HTTP_HEADERS_MAX 8

struct http_response {
    unsigned status;          /* 200 unless set */
    const char *content_type; /* text/plain unless set; constant text */
    const char *cache;        /* Cache-Control: no-store unless set; constant text */
    struct buf body;
    bool zipped; /* the body is gzip already, and the client takes it (http_accepts_gzip) */
    struct {
        const char *name; /* constant text */
        char *value;      /* heap; freed by the server */
    } headers[HTTP_HEADERS_MAX];
    size_t header_count;
    /*
     * For long bodies: called when `body` has been sent, appends the next part to the empty buffer;
     * false when that was the last one. `done` frees the source, whether it was read or not.
     * It may wait, as it has its connection's thread to itself; a part of a `live` body is sent as
     * soon as it is there.
     */
    bool (*more)(void *source, struct buf *ret_part);
    void (*done)(void *source);
    void *source;
    bool live;
};

bool http_accepts_gzip(const struct http_request *request);
/* The value is copied. */
void http_add_header(struct http_response *response, const char *name, const char *value);
/* A status with a JSON body: {"error": "..."}. */
void http_refuse(struct http_response *response, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef void http_handler(void *context, const struct http_request *request,
                          struct http_response *response);

/* A path that ends in '*' stands for all that begin with what is before it; the first that fits
 * counts. */
struct http_route {
    const char *method, *path, *help;
    http_handler *handle;
};

struct http_options {
    const char *address; /* IPv4 or IPv6 */
    unsigned port;       /* 0: a free one; http_server_port() tells */
    const struct http_route *routes;
    size_t route_count; /* GET / lists them, unless one of them has it */
    void *context;
    const char *tls_cert, *tls_key; /* PEM texts; both or none */
    unsigned connections_max;       /* 0: HTTP_CONNECTIONS_MAX; further ones are turned away */
    unsigned per_address_max;       /* of them from one address; 0: as many as there are */
    /* Called for each request before its body is read; false: it has filled in the response. NULL:
     * all may come in. */
    bool (*admit)(void *context, const struct http_request *request,
                  struct http_response *response);
    /* Called for each response before it is sent, such as for headers that all have. Or NULL. */
    void (*finish)(void *context, struct http_response *response);
};

struct http_server;

/*
 * EXIT_CODE_REFUSED when the port is taken, EXIT_CODE_USAGE for an address, a certificate or a key
 * that is none. What the options point to must live as long as the server.
 */
int http_server_start(struct http_server **ret, const struct http_options *options,
                      struct error *err);
unsigned http_server_port(const struct http_server *server);
/* Waits for the handlers: live bodies must be made to end before. NULL is allowed. */
void http_server_stop(struct http_server *server);
