/* For siblings in src/bus only: what lies behind the handles. */
#pragma once

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bus/bus.h"

struct bus {
    natsConnection *connection;
    natsOptions *options;
    void (*on_link)(void *context, bool up);
    void *context;
    atomic_bool up, closed;
    /* Users of this structure on the client's threads: bus_close() waits until there is none. */
    pthread_mutex_t users_lock;
    pthread_cond_t users_gone;
    size_t users;
    size_t pending_bytes_max;
    struct bus_options kept; /* what it was opened with, for connections beside it; texts owned */
    char place[256];         /* the URL without credentials, for texts */
};

/* Around what lives on the client's threads: a subscription, the connection itself. */
void bus_enter(struct bus *bus);
void bus_leave(struct bus *bus);
/* Maps a client status to an error: "<what>: <status text> (<place>)". */
int bus_error(const struct bus *bus, natsStatus status, const char *what, struct error *err);
/* bus_request_with(), and whether it failed because nobody listens on the subject. */
int bus_request_asking(struct bus *bus, const char *subject, const struct bus_header *headers,
                       size_t header_count, struct slice payload, int timeout_ms, struct buf *ret,
                       bool *ret_nobody, struct error *err);
/* Fills *message from a client message and takes it over. */
void bus_message_from(natsMsg *msg, struct bus_message *message);
