/*
 * viewer: the pages of `cim-ops web`, and the API they stand on.
 *
 *     /, /d/<uid>, /events, ...      pages: one file, ui/index.html, that draws them all
 *     /api/about                     what this is and what it reads
 *     /api/dashboards[/<uid>]        dashboards (serve/boards.h)
 *     /api/prometheus/api/v1/...     queries (serve/proxy.h)
 *     /api/runbooks/<Alert>          what to do about an alert
 *     /api/events[/...]              stored events, one of them, those around it (serve/search.h)
 *     /api/events/tail               events as they come (serve/live.h)
 *     /api/streams[/<name>]          streams, and the consumers of one (serve/streams.h)
 *     /api/stack                     the parts of the local stack
 *
 * Nothing here changes anything: every request reads. A page may load from here only, run no script
 * but ours, and be shown in no frame. Without users (options.access) only this machine is served:
 * requests must name it in their Host header, so that no other site's name can be made to lead
 * here.
 */
#pragma once

#include "bus/bus.h"
#include "serve/access.h"
#include "serve/boards.h"
#include "serve/http.h"
#include "serve/proxy.h"

/* A browser keeps about six. */
#define VIEWER_CONNECTIONS_MAX 256
/* Half of them from one address, when others may look: one visitor shuts nobody out. */

struct viewer_options {
    const char *address;
    unsigned port;
    struct boards boards;
    const char *prometheus; /* URL */
    struct bus_options nats;
    const char *rules_folder;
    /* Appends a JSON object on the local stack; false: none runs. NULL: nothing is known of one. */
    bool (*stack)(void *context, struct buf *ret);
    void *stack_context;
    const char *tls_cert, *tls_key; /* PEM texts; NULL: plain HTTP */
    struct access *access;          /* NULL: no users */
};

struct viewer;

int viewer_start(struct viewer **ret, const struct viewer_options *options, struct error *err);
unsigned viewer_port(const struct viewer *viewer);
void viewer_stop(struct viewer *viewer); /* NULL is allowed */
