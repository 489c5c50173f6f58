/* For wire.c and wire_connect.c only. */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bus/wire.h"
#include "bus/wire_server.h"
#include "bus/wire_tls.h"

struct wire {
    struct wire_servers servers;
    char *name, *creds;
    struct wire_tls *tls;
    bool tls_wanted; /* by the options: whatever the URL says */
    bool secured;    /* this link speaks TLS */

    int fd, wake_fd;
    char *bytes; /* begin..end is unread */
    size_t begin, end, room;
    size_t wanted; /* unread bytes that the next frame needs at least */
    int64_t heard_ns, pinged_ns, next_try_ns, leave_ns;
    int64_t listened_ns; /* when the owner last came out of a wait */
    unsigned failures;
    void (*on_error)(void *context, struct slice text);
    void *error_context;
    atomic_bool stopped;
    _Atomic uint64_t link; /* 0: none */
    uint64_t links;        /* made so far */

    pthread_mutex_t lock; /* guards what follows; held for moments */
    struct buf out;
    size_t sent;    /* of `out` */
    size_t out_max; /* unsent; past it the link is given up */
    char problem[256];
};

/* wire.c */
void wire_give_up(struct wire *wire, const char *why); /* the link, if there is one */
void wire_make_room(struct wire *wire);
/* Like recv() into the window: 1 bytes came, 0 none are there, -1 the link is gone (errno). */
int wire_receive(struct wire *wire);
/* Like send(): what was taken, or -1 with errno. */
ssize_t wire_put(struct wire *wire, const char *bytes, size_t len);
void wire_learn(struct wire *wire, const json_t *info);
void wire_learn_text(struct wire *wire, struct slice text);

/* wire_connect.c: one attempt with the current server. */
int wire_connect(struct wire *wire, struct error *err);
