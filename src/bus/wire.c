#include "bus/wire.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/wire_internal.h"

static const int64_t ping_after_ns = 5 * NS_PER_SECOND;   /* of silence */
static const int64_t leave_within_ns = 2 * NS_PER_SECOND; /* a server in lame duck mode */
static const int64_t away_ns = NS_PER_SECOND;             /* for so long its owner did not listen */
enum { RETRY_FIRST_MS = 100, RETRY_LAST_MS = 2000, RETRY_DOUBLINGS = 5 };
enum { OUT_KEEP_BYTES = 1 << 20 };

/* --- from any thread -------------------------------------------------------------------------- */

uint64_t wire_link(struct wire *wire)
{
    return atomic_load(&wire->link);
}

void wire_wake(struct wire *wire)
{
    (void)eventfd_write(wire->wake_fd, 1);
}

void wire_stop(struct wire *wire)
{
    atomic_store(&wire->stopped, true);
    wire_wake(wire);
}

void wire_problem(struct wire *wire, char *out, size_t room)
{
    pthread_mutex_lock(&wire->lock);
    (void)snprintf(out, room, "%s", wire->problem);
    pthread_mutex_unlock(&wire->lock);
}

static void set_problem(struct wire *wire, const char *text)
{
    pthread_mutex_lock(&wire->lock);
    (void)snprintf(wire->problem, sizeof wire->problem, "%s", text);
    pthread_mutex_unlock(&wire->lock);
}

bool wire_send(struct wire *wire, uint64_t link, const struct slice *parts, size_t count)
{
    pthread_mutex_lock(&wire->lock);
    bool stands = link && atomic_load(&wire->link) == link;
    for (size_t i = 0; stands && i < count; i++)
        buf_add_slice(&wire->out, parts[i]);
    pthread_mutex_unlock(&wire->lock);
    return stands;
}

size_t wire_unsent(struct wire *wire)
{
    pthread_mutex_lock(&wire->lock);
    size_t unsent = wire->out.len - wire->sent;
    pthread_mutex_unlock(&wire->lock);
    return unsent;
}

void wire_set_out_max(struct wire *wire, size_t bytes)
{
    wire->out_max = bytes;
}

/* Queues one command of up to three parts. */
static bool queue(struct wire *wire, uint64_t link, struct slice a, struct slice b, struct slice c)
{
    const struct slice parts[] = {a, b, c};
    return wire_send(wire, link, parts, ARRAY_LEN(parts));
}

bool wire_subscribe(struct wire *wire, uint64_t link, uint64_t sid, const char *subject)
{
    char tail[32];
    int len = snprintf(tail, sizeof tail, " %llu\r\n", (unsigned long long)sid);
    bool stands =
        queue(wire, link, SLICE("SUB "), slice_of(subject), (struct slice){tail, (size_t)len});
    wire_wake(wire);
    return stands;
}

bool wire_unsubscribe(struct wire *wire, uint64_t link, uint64_t sid)
{
    char text[40];
    int len = snprintf(text, sizeof text, "UNSUB %llu\r\n", (unsigned long long)sid);
    bool stands = queue(wire, link, (struct slice){text, (size_t)len}, SLICE(""), SLICE(""));
    wire_wake(wire);
    return stands;
}

bool wire_publish(struct wire *wire, uint64_t link, struct slice subject, struct slice payload)
{
    CLEANUP_BUF struct buf line = {0};
    buf_addf(&line, "PUB %.*s %zu\r\n", SLICE_ARG(subject), payload.len);
    return queue(wire, link, buf_slice(&line), payload, SLICE("\r\n"));
}

/* --- the link --------------------------------------------------------------------------------- */

void wire_give_up(struct wire *wire, const char *why)
{
    if (wire->fd >= 0) {
        if (wire->secured)
            wire_tls_end(wire->tls);
        (void)close(wire->fd);
    }
    wire->fd = -1;
    wire->secured = false;
    wire->begin = wire->end = 0;
    wire->wanted = 1;
    wire->leave_ns = 0;
    pthread_mutex_lock(&wire->lock);
    atomic_store(&wire->link, 0);
    buf_reset(&wire->out);
    wire->sent = 0;
    (void)snprintf(wire->problem, sizeof wire->problem, "%.*s", (int)sizeof wire->problem - 1, why);
    pthread_mutex_unlock(&wire->lock);
}

/* Each server of the pool in turn, then a pause that grows, with jitter. */
static void failed(struct wire *wire)
{
    wire_servers_next(&wire->servers);
    if (++wire->failures % wire->servers.count != 0)
        return;
    unsigned rounds = wire->failures / (unsigned)wire->servers.count;
    int64_t pause_ms = (int64_t)RETRY_FIRST_MS
                       << (rounds < RETRY_DOUBLINGS ? rounds : RETRY_DOUBLINGS);
    if (pause_ms > RETRY_LAST_MS)
        pause_ms = RETRY_LAST_MS;
    pause_ms = pause_ms / 2 + arc4random_uniform((uint32_t)pause_ms);
    wire->next_try_ns = instant_monotonic_ns() + pause_ms * NS_PER_MS;
}

static void try_to_connect(struct wire *wire)
{
    struct error err = ERROR_NONE;
    if (wire_connect(wire, &err) < 0) {
        wire_give_up(wire, err.text);
        failed(wire);
        return;
    }
    wire->failures = 0;
    wire->heard_ns = wire->pinged_ns = wire->listened_ns = instant_monotonic_ns();
    set_problem(wire, "");
    atomic_store(&wire->link, ++wire->links);
}

int wire_open(struct wire *wire, struct error *err)
{
    char problem[256];
    wire_give_up(wire, "");
    for (size_t i = 0; i < wire->servers.count && !wire_link(wire); i++)
        try_to_connect(wire);
    wire_problem(wire, problem, sizeof problem);
    return wire_link(wire) ? 0 : error_set(err, EXIT_CODE_UNREACHABLE, "%s", problem);
}

static void lost(struct wire *wire, const char *why)
{
    wire_give_up(wire, why);
    wire->next_try_ns = instant_monotonic_ns() + arc4random_uniform(RETRY_FIRST_MS) * NS_PER_MS;
}

/* INFO: who else is there, and whether this server is about to leave. */
void wire_learn(struct wire *wire, const json_t *info)
{
    json_t *urls = json_object_get(info, "connect_urls");
    const char *addresses[WIRE_SERVERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(urls) && count < ARRAY_LEN(addresses); i++) {
        const char *address = json_string_value(json_array_get(urls, i));
        if (address)
            addresses[count++] = address;
    }
    if (json_is_array(urls))
        wire_servers_discovered(&wire->servers, addresses, count);
    /* Not all clients at the same moment. */
    if (json_is_true(json_object_get(info, "ldm")) && wire->servers.count > 1 && !wire->leave_ns)
        wire->leave_ns = instant_monotonic_ns() +
                         arc4random_uniform((uint32_t)(leave_within_ns / 1000)) * INT64_C(1000);
}

void wire_learn_text(struct wire *wire, struct slice text)
{
    json_t *info = json_loadb(text.ptr, text.len, 0, NULL);
    wire_learn(wire, info);
    json_decref(info);
}

/* Silence, and servers that are about to go. False: the link was given up. */
static bool tend(struct wire *wire)
{
    int64_t now = instant_monotonic_ns();
    if (wire->leave_ns && now > wire->leave_ns) {
        wire_servers_next(&wire->servers);
        lost(wire, "the server is about to shut down (lame duck mode)");
        return false;
    }
    if (now - wire->heard_ns > WIRE_SILENCE_NS) {
        wire_servers_next(&wire->servers);
        lost(wire, "the server is silent");
        return false;
    }
    if (now - wire->heard_ns > ping_after_ns && now - wire->pinged_ns > ping_after_ns) {
        wire->pinged_ns = now;
        (void)queue(wire, wire_link(wire), SLICE("PING\r\n"), SLICE(""), SLICE(""));
    }
    return true;
}

/* --- bytes ------------------------------------------------------------------------------------ */

ssize_t wire_put(struct wire *wire, const char *bytes, size_t len)
{
    return wire->secured ? wire_tls_write(wire->tls, bytes, len)
                         : send(wire->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void wire_flush(struct wire *wire)
{
    if (wire->fd < 0)
        return;
    pthread_mutex_lock(&wire->lock);
    while (wire->sent < wire->out.len) {
        ssize_t put = wire_put(wire, wire->out.ptr + wire->sent, wire->out.len - wire->sent);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break; /* a broken link is noticed by reading */
        wire->sent += (size_t)put;
    }
    size_t unsent = wire->out.len - wire->sent;
    bool flooded = unsent > wire->out_max;
    if (wire->sent > unsent) { /* what is sent goes, at little cost */
        memmove(wire->out.ptr, wire->out.ptr + wire->sent, unsent);
        wire->out.len = unsent;
        wire->sent = 0;
    }
    if (!unsent && wire->out.room > OUT_KEEP_BYTES)
        buf_done(&wire->out);
    pthread_mutex_unlock(&wire->lock);
    if (flooded)
        lost(wire, "the server does not take what is sent");
}

/* Unread bytes to the front; as much room as the next frame needs, and not much more for long. */
void wire_make_room(struct wire *wire)
{
    size_t unread = wire->end - wire->begin;
    if (unread && wire->begin)
        memmove(wire->bytes, wire->bytes + wire->begin, unread);
    wire->begin = 0;
    wire->end = unread;
    size_t room = wire->wanted > WIRE_WINDOW_BYTES ? wire->wanted : WIRE_WINDOW_BYTES;
    if (room > wire->room ||
        (wire->room > 2 * (size_t)WIRE_WINDOW_BYTES && room < wire->room / 2)) {
        wire->bytes = xrealloc(wire->bytes, room, 1);
        wire->room = room;
    }
}

int wire_receive(struct wire *wire)
{
    bool any = false;
    while (wire->end < wire->room) {
        char *at = wire->bytes + wire->end;
        size_t room = wire->room - wire->end;
        ssize_t got = wire->secured ? wire_tls_read(wire->tls, at, room)
                                    : recv(wire->fd, at, room, MSG_DONTWAIT);
        if (got > 0) {
            wire->end += (size_t)got;
            any = true;
            if (wire->secured)
                continue; /* a record at a time: more may be there */
            return 1;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return any;
        return any ? 1 : -1; /* what came before the end is still good */
    }
    return 1;
}

static bool take_in(struct wire *wire)
{
    int came = wire_receive(wire);
    if (came < 0)
        lost(wire, "the connection was lost");
    if (came > 0)
        wire->heard_ns = instant_monotonic_ns();
    return came > 0;
}

static void wait_for(struct wire *wire, int64_t timeout_ms)
{
    eventfd_t woken;
    pthread_mutex_lock(&wire->lock);
    bool unsent = wire->sent < wire->out.len;
    pthread_mutex_unlock(&wire->lock);
    struct pollfd fds[] = {{.fd = wire->wake_fd, .events = POLLIN},
                           {.fd = wire->fd, .events = unsent ? POLLIN | POLLOUT : POLLIN}};
    if (atomic_load(&wire->stopped))
        return;
    if (poll(fds, ARRAY_LEN(fds), timeout_ms > 0 ? (int)timeout_ms : 0) > 0 && fds[0].revents)
        (void)eventfd_read(wire->wake_fd, &woken);
}

static bool wait_once(struct wire *wire, int timeout_ms)
{
    if (wire->fd < 0) {
        int64_t left_ms = (wire->next_try_ns - instant_monotonic_ns()) / NS_PER_MS;
        if (left_ms > 0)
            wait_for(wire, left_ms < timeout_ms ? left_ms + 1 : timeout_ms);
        if (instant_monotonic_ns() >= wire->next_try_ns && !atomic_load(&wire->stopped))
            try_to_connect(wire);
        return wire->fd >= 0;
    }
    wire_make_room(wire);
    wire_flush(wire);
    if (wire->fd < 0)
        return false;
    if (take_in(wire))
        return true;
    if (wire->fd < 0 || !tend(wire) || timeout_ms <= 0)
        return false;
    wait_for(wire, timeout_ms);
    wire_flush(wire);
    return wire->fd >= 0 && take_in(wire);
}

bool wire_wait(struct wire *wire, int timeout_ms)
{
    int64_t now = instant_monotonic_ns();
    if (now - wire->listened_ns > away_ns) /* what we did not listen to was no silence */
        wire->heard_ns += now - wire->listened_ns;
    bool came = wait_once(wire, timeout_ms);
    wire->listened_ns = instant_monotonic_ns();
    return came;
}

/* --- messages --------------------------------------------------------------------------------- */

static struct slice unread(const struct wire *wire)
{
    if (wire->begin == wire->end)
        return SLICE_ABSENT; /* and there may be no room for any yet */
    return (struct slice){wire->bytes + wire->begin, wire->end - wire->begin};
}

static void on_control(struct wire *wire, enum wire_kind kind, struct slice text)
{
    if (kind == WIRE_PING)
        (void)queue(wire, wire_link(wire), SLICE("PONG\r\n"), SLICE(""), SLICE(""));
    else if (kind == WIRE_INFO)
        wire_learn_text(wire, text);
    else if (kind == WIRE_ERROR && wire->on_error)
        wire->on_error(wire->error_context, text);
}

bool wire_next(struct wire *wire, struct wire_message *ret)
{
    struct wire_frame frame;
    while (wire->end - wire->begin >= wire->wanted) {
        enum wire_kind kind = wire_parse(unread(wire), &frame);
        if (kind == WIRE_PARTIAL) {
            wire->wanted = frame.wanted;
            return false;
        }
        if (kind == WIRE_BROKEN) {
            lost(wire, "the server sent what is not the NATS protocol");
            return false;
        }
        wire->begin += frame.used;
        wire->wanted = 1;
        if (kind == WIRE_MESSAGE) {
            *ret = frame.message;
            return true;
        }
        on_control(wire, kind, frame.text);
    }
    return false;
}

void wire_each_waiting(struct wire *wire,
                       void (*each)(void *context, const struct wire_message *message),
                       void *context)
{
    struct slice rest = unread(wire);
    struct wire_frame frame;
    for (;;) {
        enum wire_kind kind = wire_parse(rest, &frame);
        if (kind == WIRE_PARTIAL || kind == WIRE_BROKEN)
            return;
        if (kind == WIRE_MESSAGE)
            each(context, &frame.message);
        rest = slice_from(rest, frame.used);
    }
}

void wire_on_error(struct wire *wire, void (*on_error)(void *context, struct slice text),
                   void *context)
{
    wire->on_error = on_error;
    wire->error_context = context;
}

/* --- life ------------------------------------------------------------------------------------- */

int wire_new(struct wire **ret, const struct bus_options *options, struct error *err)
{
    struct wire *wire = xcalloc(1, sizeof *wire);
    wire->fd = -1;
    wire->wanted = 1;
    wire->out_max = WIRE_OUT_MAX;
    pthread_mutex_init(&wire->lock, NULL);
    wire->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wire->name = xstrdup(options->name ? options->name : "cim-ops");
    wire->creds = options->creds ? xstrdup(options->creds) : NULL;
    wire->tls_wanted = options->tls_ca || options->tls_cert;
    int rc = wire->wake_fd < 0 ? error_set(err, EXIT_CODE_INTERNAL, "cannot make an eventfd") : 0;
    if (rc == 0)
        rc = wire_servers_parse(&wire->servers, options->url, err);
    if (rc == 0)
        rc = wire_tls_new(&wire->tls, options->tls_ca, options->tls_cert, options->tls_key, err);
    if (rc < 0) {
        wire_free(wire);
        return -1;
    }
    wire->servers.at = arc4random_uniform((uint32_t)wire->servers.count);
    *ret = wire;
    return 0;
}

void wire_free(struct wire *wire)
{
    if (!wire)
        return;
    wire_give_up(wire, "");
    wire_servers_done(&wire->servers);
    wire_tls_free(wire->tls);
    if (wire->wake_fd >= 0)
        (void)close(wire->wake_fd);
    pthread_mutex_destroy(&wire->lock);
    buf_done(&wire->out);
    free(wire->bytes);
    free(wire->name);
    free(wire->creds);
    free(wire);
}
