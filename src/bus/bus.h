/*
 * bus: a connection to NATS, and requests over it.
 *
 * The only room that includes nats.h. A bus reconnects for ever on its own; requests fail while it
 * is down. Calls are thread-safe; request calls block up to their timeout. Texts of errors name the
 * server without credentials. JetStream API subjects and fields:
 * docs.nats.io/reference/jetstream/api.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

struct bus;

struct bus_options {
    const char *url; /* one or more, separated by commas */
    const char *creds, *tls_ca, *tls_cert, *tls_key;
    const char *name;         /* shown in the server's connection list */
    bool wait_for_server;     /* open succeeds at once and connects in the background */
    size_t pending_bytes_max; /* per subscription, undelivered; 0: 256 MiB */
    /* Called from a thread of the client when the link goes down (false) or comes up (true). */
    void (*on_link)(void *context, bool up);
    void *context;
};

#define BUS_TIMEOUT_MS  5000
#define BUS_HEADERS_MAX 64

int bus_open(struct bus **ret, const struct bus_options *options, struct error *err);
/* Subscriptions and readers must be closed before. When it returns, no handler runs any more. */
void bus_close(struct bus *bus); /* NULL is allowed */
bool bus_is_up(struct bus *bus);
/* The client gave up for good (it does after two refusals of the credentials in a row). */
bool bus_is_closed(struct bus *bus);
/* The largest message the server takes, headers included; 0 while unknown. */
size_t bus_payload_max(struct bus *bus);
int64_t bus_round_trip_ns(struct bus *bus); /* -1 when it failed, or took over two seconds */

struct bus_header {
    struct slice name, value;
};

/* Core publish: at most once. Buffered; see bus_flush(). */
int bus_publish(struct bus *bus, struct slice subject, const char *reply,
                const struct bus_header *headers, size_t header_count, struct slice payload,
                struct error *err);
int bus_flush(struct bus *bus, int timeout_ms, struct error *err);

/*
 * One request, one reply, the reply's bytes appended to *ret. EXIT_CODE_UNREACHABLE when nobody
 * answers in time or the link is down.
 */
int bus_request(struct bus *bus, const char *subject, struct slice payload, int timeout_ms,
                struct buf *ret, struct error *err);

/* The same with headers. A JetStream publish is a request: its reply is the acknowledgement. */
int bus_request_with(struct bus *bus, const char *subject, const struct bus_header *headers,
                     size_t header_count, struct slice payload, int timeout_ms, struct buf *ret,
                     struct error *err);

/* --- messages --------------------------------------------------------------------------------- */

/*
 * One message as it was stored. Slices point into the handle and die with bus_message_release();
 * those of a message without a handle live as long as whoever hands it over says.
 * `seq` is 0 for a message of a core subscription; stored_at_ns is then the time of arrival.
 */
struct bus_message {
    struct slice subject, payload;
    struct slice header_block; /* event/headers.h; absent: none, or the handle's to tell */
    uint64_t seq;
    int64_t stored_at_ns;
    uint64_t pending; /* messages behind this one in the stream when the server sent it */
    void *handle;     /* NULL: the slices are somebody else's */
};

/*
 * The headers, at most `room` of them, parsed on demand: of the block in its order, or of the
 * handle in the order of the client library (allocates). Returns their number, or -1 when the
 * header block is not well-formed.
 */
int bus_message_headers(const struct bus_message *message, struct bus_header *out, size_t room);
void bus_message_release(struct bus_message *message);

/* --- core subscriptions ----------------------------------------------------------------------- */

struct bus_subscription;
/*
 * `on_message` owns the message and must release it. All subscriptions and readers of one bus call
 * from one and the same thread, so handlers never run at the same time and keep the order of
 * arrival; a handler that blocks holds all of them back (that is the back-pressure).
 */
typedef void bus_handler(void *context, struct bus_message *message, const char *reply);
int bus_subscribe(struct bus *bus, const char *subject, bus_handler *on_message, void *context,
                  struct bus_subscription **ret, struct error *err);
void bus_unsubscribe(struct bus_subscription *subscription);
