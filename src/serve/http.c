#include "serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <strings.h>
#include <zlib.h>

#include "base/memory.h"
#include "json/write.h"

enum {
    GZIP_WORTH_BYTES = 1024,
    CONNECTION_TIMEOUT_S = 30,
    LONG_BLOCK_BYTES = 65536,
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_options options;
    unsigned port;
};

/* What one request gathers while its body arrives. */
struct exchange {
    struct buf body;
    bool too_large;
};

static bool gzip(struct slice plain, struct buf *ret)
{
    z_stream z = {0};
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    buf_reserve(ret, deflateBound(&z, plain.len));
    z.next_in = (Bytef *)(uintptr_t)plain.ptr;
    z.avail_in = (uInt)plain.len;
    z.next_out = (Bytef *)ret->ptr;
    z.avail_out = (uInt)ret->room;
    int code = deflate(&z, Z_FINISH);
    ret->len = z.total_out;
    (void)deflateEnd(&z);
    return code == Z_STREAM_END;
}

/* Accept-Encoding: a list of codings, each perhaps with a weight; weight 0 means "not this one". */
static bool accepts_gzip(const char *accepted)
{
    struct slice rest = slice_of(accepted ? accepted : ""), part, coding;
    while (slice_cut(&rest, ',', &part)) {
        struct slice weight = part;
        if (!slice_cut(&weight, ';', &coding))
            continue;
        coding = slice_trim(coding);
        weight = slice_trim(weight);
        if (!slice_eq(coding, SLICE("gzip")) && !slice_eq(coding, SLICE("*")))
            continue;
        bool weighed = weight.len > 2 && weight.ptr[0] == 'q' && weight.ptr[1] == '=';
        return !weighed || strtod(weight.ptr + 2, NULL) > 0; /* the header's text ends in NUL */
    }
    return false;
}

/* --- what handlers ask and say ---------------------------------------------------------------- */

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_parameter(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct parameters {
    bool (*each)(void *context, const char *name, const char *value);
    void *context;
};

static enum MHD_Result on_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    const struct parameters *parameters = context;
    (void)kind;
    return parameters->each(parameters->context, name, value ? value : "") ? MHD_YES : MHD_NO;
}

void http_parameters(const struct http_request *request,
                     bool (*each)(void *context, const char *name, const char *value),
                     void *context)
{
    struct parameters parameters = {each, context};
    (void)MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, on_parameter,
                                    &parameters);
}

bool http_accepts_gzip(const struct http_request *request)
{
    return accepts_gzip(http_header(request, "Accept-Encoding"));
}

void http_add_header(struct http_response *response, const char *name, const char *value)
{
    if (response->header_count == HTTP_HEADERS_MAX)
        abort();
    response->headers[response->header_count].name = name;
    response->headers[response->header_count++].value = xstrdup(value);
}

void http_refuse(struct http_response *response, unsigned status, const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    response->status = status;
    response->content_type = "application/json";
    buf_reset(&response->body);
    buf_add_str(&response->body, "{\"status\":\"error\",\"error\":");
    json_add_string(&response->body, slice_of(text));
    buf_add_str(&response->body, "}\n");
}

/* --- long bodies, sent as they are made ------------------------------------------------------- */

struct long_body {
    struct http_response response; /* whose body is the part at hand */
    size_t sent;                   /* of that part */
    bool more, zipped;
    z_stream z;
};

/* The next part, or false at the end. */
static bool next_part(struct long_body *body)
{
    buf_reset(&body->response.body);
    body->sent = 0;
    if (body->more)
        body->more = body->response.more(body->response.source, &body->response.body);
    return body->response.body.len > 0 || body->more;
}

static ssize_t read_plain(void *context, uint64_t pos, char *out, size_t room)
{
    struct long_body *body = context;
    (void)pos;
    while (body->sent == body->response.body.len) {
        if (!next_part(body))
            return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t left = body->response.body.len - body->sent, len = left < room ? left : room;
    memcpy(out, body->response.body.ptr + body->sent, len);
    body->sent += len;
    return (ssize_t)len;
}

static ssize_t read_zipped(void *context, uint64_t pos, char *out, size_t room)
{
    struct long_body *body = context;
    (void)pos;
    body->z.next_out = (Bytef *)out;
    body->z.avail_out = (uInt)room;
    while (body->z.avail_out == room) {
        bool last = false;
        while (body->sent == body->response.body.len && !last)
            last = !next_part(body);
        body->z.next_in = (Bytef *)body->response.body.ptr + body->sent;
        body->z.avail_in = (uInt)(body->response.body.len - body->sent);
        int code = deflate(&body->z, last ? Z_FINISH : Z_NO_FLUSH);
        body->sent = body->response.body.len - body->z.avail_in;
        if (code == Z_STREAM_END && body->z.avail_out == room)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return (ssize_t)(room - body->z.avail_out);
}

static void free_long(void *context)
{
    struct long_body *body = context;
    if (body->zipped)
        (void)deflateEnd(&body->z);
    body->response.done(body->response.source);
    buf_done(&body->response.body);
    free(body);
}

static const struct sockaddr *client_address(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}

void http_client(const struct http_request *request, char ret[static 64])
{
    const struct sockaddr *address = client_address(request->connection);
    struct sockaddr_storage place = {0};
    ret[0] = 0;
    if (!address)
        return;
    memcpy(&place, address,
           address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in));
    const void *bytes = place.ss_family == AF_INET6
                            ? (const void *)&((struct sockaddr_in6 *)&place)->sin6_addr
                            : (const void *)&((struct sockaddr_in *)&place)->sin_addr;
    (void)inet_ntop(place.ss_family, bytes, ret, 64);
}

static bool is_on_this_machine(struct MHD_Connection *connection)
{
    const struct sockaddr *address = client_address(connection);
    if (!address)
        return false;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static struct MHD_Response *long_response(struct http_response *response, bool *zipped)
{
    struct long_body *body = xcalloc(1, sizeof *body);
    body->response = *response;
    response->body = (struct buf){0};
    body->more = true;
    *zipped =
        *zipped && deflateInit2(&body->z, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK;
    body->zipped = *zipped;
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, LONG_BLOCK_BYTES,
                                          body->zipped ? read_zipped : read_plain, body, free_long);
    if (!r)
        free_long(body);
    return r;
}

static struct MHD_Response *short_response(struct http_response *response, bool *zipped)
{
    struct buf packed = {0};
    bool is_due = *zipped && !response->zipped && response->body.len >= GZIP_WORTH_BYTES &&
                  response->body.len < UINT32_MAX && gzip(buf_slice(&response->body), &packed);
    *zipped = is_due || response->zipped;
    if (is_due) {
        buf_done(&response->body);
        response->body = packed;
    } else {
        buf_done(&packed);
    }
    buf_reserve(&response->body, 1); /* the library wants bytes that it can free, even for none */
    struct MHD_Response *r = MHD_create_response_from_buffer(response->body.len, response->body.ptr,
                                                             MHD_RESPMEM_MUST_FREE);
    response->body = (struct buf){0};
    return r;
}

static void add_headers(struct MHD_Response *r, const struct http_response *response)
{
    const char *type =
        response->content_type ? response->content_type : "text/plain; charset=utf-8";
    (void)MHD_add_response_header(r, "Content-Type", type);
    (void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(r, "Cache-Control",
                                  response->cache ? response->cache : "no-store");
    for (size_t i = 0; i < response->header_count; i++)
        (void)MHD_add_response_header(r, response->headers[i].name, response->headers[i].value);
}

static enum MHD_Result reply(const struct http_server *server, const struct http_request *request,
                             struct http_response *response)
{
    if (server->options.finish)
        server->options.finish(server->options.context, response);
    bool zipped = http_accepts_gzip(request);
    if (response->more)
        zipped = zipped && !response->live && !is_on_this_machine(request->connection);
    struct http_response sent = *response; /* the two below take its body and source */
    struct MHD_Response *r =
        response->more ? long_response(response, &zipped) : short_response(response, &zipped);
    enum MHD_Result queued = MHD_NO;
    if (r) {
        add_headers(r, &sent);
        if (zipped)
            (void)MHD_add_response_header(r, "Content-Encoding", "gzip");
        queued = MHD_queue_response(request->connection, sent.status ? sent.status : 200, r);
        MHD_destroy_response(r);
    }
    for (size_t i = 0; i < sent.header_count; i++)
        free(sent.headers[i].value);
    return queued;
}

/* --- requests --------------------------------------------------------------------------------- */

static void list_routes(const struct http_options *options, struct buf *ret)
{
    for (size_t i = 0; i < options->route_count; i++)
        buf_addf(ret, "%-5s %-10s %s\n", options->routes[i].method, options->routes[i].path,
                 options->routes[i].help);
}

static bool fits(const char *route, const char *path)
{
    size_t len = strlen(route);
    return len && route[len - 1] == '*' ? !strncmp(route, path, len - 1) : !strcmp(route, path);
}

static void dispatch(const struct http_options *options, const struct http_request *request,
                     struct http_response *response)
{
    const char *allow = NULL;
    bool head = !strcmp(request->method, "HEAD");
    for (size_t i = 0; i < options->route_count; i++) {
        const struct http_route *route = &options->routes[i];
        if (!fits(route->path, request->path))
            continue;
        if (!strcmp(route->method, request->method) || (head && !strcmp(route->method, "GET"))) {
            route->handle(options->context, request, response);
            return;
        }
        allow = route->method;
    }
    if (!strcmp(request->path, "/") && !allow) {
        list_routes(options, &response->body);
        return;
    }
    response->status = allow ? 405 : 404;
    if (allow)
        http_add_header(response, "Allow", allow);
    buf_addf(&response->body, "%s\n", allow ? "method not allowed" : "not found; / lists what is");
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **slot)
{
    (void)version;
    struct http_server *server = context;
    const struct http_options *options = &server->options;
    struct exchange *exchange = *slot;
    const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
    struct http_request request = {
        .method = method, .path = url, .accept = accept ? accept : "", .connection = connection};
    struct http_response response = {0};
    if (!exchange) { /* the headers are there */
        *slot = xcalloc(1, sizeof *exchange);
        if (!options->admit || options->admit(options->context, &request, &response))
            return MHD_YES;
        return reply(server, &request, &response);
    }
    if (*upload_size) {
        exchange->too_large =
            exchange->too_large || exchange->body.len + *upload_size > HTTP_BODY_BYTES_MAX;
        if (!exchange->too_large)
            buf_add(&exchange->body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    request.body = buf_slice(&exchange->body);
    if (exchange->too_large) {
        response.status = 413;
        buf_add_str(&response.body, "the body is larger than 4 MiB\n");
    } else {
        dispatch(options, &request, &response);
    }
    return reply(server, &request, &response);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    struct exchange *exchange = *slot;
    if (exchange)
        buf_done(&exchange->body);
    free(exchange);
    *slot = NULL;
}

static int parse_address(const char *text, unsigned port, struct sockaddr_storage *ret,
                         struct error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return 0;
    }
    return error_set(err, EXIT_CODE_USAGE,
                     "'%s' is no IP address to listen on; for example 127.0.0.1", text);
}

static bool can_speak_tls(void)
{
    return MHD_is_feature_supported(MHD_FEATURE_SSL) == MHD_YES;
}

static int start_failed(const struct http_options *options, int cause, struct error *err)
{
    if (options->tls_cert && (!cause || cause == EAGAIN))
        return error_set(err, EXIT_CODE_USAGE,
                         "the certificate and its key were not taken: PEM files that belong "
                         "together were expected, the key without a password");
    return error_set(err, EXIT_CODE_REFUSED,
                     "cannot listen on %s port %u: %s; choose another port or stop what has it",
                     options->address, options->port, cause ? strerror(cause) : "unknown cause");
}

int http_server_start(struct http_server **ret, const struct http_options *options,
                      struct error *err)
{
    struct sockaddr_storage place;
    if (parse_address(options->address, options->port, &place, err) < 0)
        return -1;
    if (options->tls_cert && !can_speak_tls())
        return error_set(err, EXIT_CODE_USAGE, "this libmicrohttpd was built without TLS");
    struct http_server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    unsigned connections =
        options->connections_max ? options->connections_max : HTTP_CONNECTIONS_MAX;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    if (place.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key},
        {MHD_OPTION_END, 0, NULL},
    };
    if (options->tls_cert)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[2];
    /* The library's own SO_REUSEADDR is left as it is: the option for it would set SO_REUSEPORT
     * too, and a taken port would be shared silently. */
    errno = 0;
    server->daemon = MHD_start_daemon(
        flags, (uint16_t)options->port, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
        &place, MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->per_address_max, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (!server->daemon) {
        int cause = errno;
        free(server);
        return start_failed(options, cause, err);
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info ? info->port : options->port;
    *ret = server;
    return 0;
}

unsigned http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
