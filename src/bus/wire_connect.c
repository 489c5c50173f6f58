/* One attempt to connect: address, socket, INFO, TLS, CONNECT, the first PONG. */
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/wire_auth.h"
#include "bus/wire_internal.h"

static const int64_t attempt_ns = 3 * NS_PER_SECOND; /* for all of it, name look-up aside */

struct attempt {
    struct wire *wire;
    struct wire_server *server;
    int64_t until_ns;
    struct error *err;
};

static int failed(struct attempt *a, const char *what)
{
    return error_set(a->err, EXIT_CODE_UNREACHABLE, "%s (%s:%s)", what, a->server->host,
                     a->server->port);
}

/* Waits for the socket; ends early when the wire is stopped. */
static int wait_for(struct attempt *a, short events)
{
    while (!atomic_load(&a->wire->stopped)) {
        int64_t left_ms = (a->until_ns - instant_monotonic_ns()) / NS_PER_MS;
        struct pollfd fd = {.fd = a->wire->fd, .events = events};
        if (left_ms <= 0)
            return failed(a, "no answer in time");
        /* In slices, so that a stop is noticed: wake-ups are for others to take. */
        if (poll(&fd, 1, left_ms < 100 ? (int)left_ms : 100) > 0)
            return 0;
    }
    return failed(a, "stopped");
}

/* --- the socket ------------------------------------------------------------------------------- */

static int open_socket(struct attempt *a, const struct addrinfo *address)
{
    int on = 1, code = 0;
    socklen_t len = sizeof code;
    a->wire->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->wire->fd < 0)
        return failed(a, strerror(errno));
    (void)setsockopt(a->wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(a->wire->fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return failed(a, strerror(errno));
    if (wait_for(a, POLLOUT) < 0)
        return -1;
    (void)getsockopt(a->wire->fd, SOL_SOCKET, SO_ERROR, &code, &len);
    return code ? failed(a, strerror(code)) : 0;
}

static int open_any(struct attempt *a)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(a->server->host, a->server->port, &hints, &list), rc = -1;
    if (code)
        return failed(a, gai_strerror(code));
    a->until_ns = instant_monotonic_ns() + attempt_ns;
    for (struct addrinfo *at = list; at && rc < 0; at = at->ai_next) {
        wire_give_up(a->wire, "");
        rc = open_socket(a, at);
    }
    freeaddrinfo(list);
    return rc;
}

/* --- the conversation ------------------------------------------------------------------------- */

static int send_all(struct attempt *a, const char *bytes, size_t len)
{
    while (len) {
        ssize_t put = wire_put(a->wire, bytes, len);
        if (put > 0) {
            bytes += put;
            len -= (size_t)put;
        } else if (errno != EAGAIN && errno != EINTR) {
            return failed(a, strerror(errno));
        } else if (wait_for(a, POLLOUT) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The next frame; its bytes stay in the window until the next call. */
static int next_frame(struct attempt *a, enum wire_kind *ret_kind, struct wire_frame *ret)
{
    struct wire *wire = a->wire;
    for (;;) {
        struct slice unread = {wire->bytes + wire->begin, wire->end - wire->begin};
        *ret_kind = wire_parse(unread, ret);
        if (*ret_kind == WIRE_BROKEN)
            return failed(a, "this is no NATS server");
        if (*ret_kind != WIRE_PARTIAL) {
            wire->begin += ret->used;
            return 0;
        }
        wire->wanted = ret->wanted;
        wire_make_room(wire);
        wire->wanted = 1;
        int came = wire_receive(wire);
        if (came < 0)
            return failed(a, "the server closed the connection");
        if (came == 0 && wait_for(a, POLLIN) < 0)
            return -1;
    }
}

static int read_info(struct attempt *a, json_t **ret)
{
    struct wire_frame frame;
    enum wire_kind kind;
    wire_make_room(a->wire);
    if (next_frame(a, &kind, &frame) < 0)
        return -1;
    if (kind == WIRE_ERROR)
        return failed(a, "the server refuses the connection");
    if (kind != WIRE_INFO || !(*ret = json_loadb(frame.text.ptr, frame.text.len, 0, NULL)))
        return failed(a, "this is no NATS server");
    return 0;
}

/* Credentials never go out in the clear when TLS was asked for. */
static int secure(struct attempt *a, json_t *info)
{
    struct wire *wire = a->wire;
    bool required = json_is_true(json_object_get(info, "tls_required"));
    bool offered = required || json_is_true(json_object_get(info, "tls_available"));
    bool wanted = wire->tls_wanted || a->server->tls;
    if (!required && !wanted)
        return 0;
    if (!offered)
        return failed(a, "TLS was asked for and the server does not offer it");
    if (wire->begin != wire->end)
        return failed(a, "the server spoke before TLS");
    if (wire_tls_begin(wire->tls, wire->fd, a->server->name, a->err) < 0)
        return -1;
    wire->secured = true;
    for (;;) {
        short events = 0;
        int done = wire_tls_shake(wire->tls, &events, a->err);
        if (done)
            return done < 0 ? -1 : 0;
        if (wait_for(a, events) < 0)
            return -1;
    }
}

static int introduce(struct attempt *a, json_t *info)
{
    const char *nonce = json_string_value(json_object_get(info, "nonce"));
    CLEANUP_BUF struct buf text = {0};
    int rc = wire_auth_connect(&text, a->wire->name, a->server, a->wire->creds, nonce ? nonce : "",
                               a->wire->secured, a->err);
    if (rc == 0) {
        buf_add_str(&text, "PING\r\n");
        rc = send_all(a, text.ptr, text.len);
    }
    if (text.ptr)
        explicit_bzero(text.ptr, text.room);
    return rc;
}

/* The server's verdict. */
static int await_pong(struct attempt *a)
{
    struct wire_frame frame;
    enum wire_kind kind;
    for (;;) {
        if (next_frame(a, &kind, &frame) < 0)
            return -1;
        if (kind == WIRE_PONG)
            return 0;
        if (kind == WIRE_PING && send_all(a, "PONG\r\n", 6) < 0)
            return -1;
        if (kind == WIRE_INFO) {
            wire_learn_text(a->wire, frame.text);
            a->server = wire_servers_current(&a->wire->servers); /* the list has moved */
        }
        if (kind == WIRE_ERROR) {
            char text[160];
            (void)snprintf(text, sizeof text, "the server refuses: %.*s", SLICE_ARG(frame.text));
            return failed(a, text);
        }
    }
}

int wire_connect(struct wire *wire, struct error *err)
{
    struct attempt a = {.wire = wire, .server = wire_servers_current(&wire->servers), .err = err};
    json_t *info = NULL;
    int rc = open_any(&a);
    if (rc == 0)
        rc = read_info(&a, &info);
    if (rc == 0)
        rc = secure(&a, info);
    if (rc == 0)
        rc = introduce(&a, info);
    if (rc == 0)
        rc = await_pong(&a);
    /* Where TLS is spoken, addresses that came in the clear are not trusted with credentials; the
     * server tells of changes inside it. */
    if (rc == 0 && !wire->secured)
        wire_learn(wire, info);
    json_decref(info);
    return rc;
}
