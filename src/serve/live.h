/*
 * live: events as they come, for any number of pages, each with a filter of its own.
 *
 * One reader follows all event streams as long as anybody watches (and LIVE_LINGER_S longer), and
 * an event is put into words once however many watch. Each watcher has a queue of
 * LIVE_QUEUE_BYTES_MAX; what does not fit is dropped, counted, and said. Sent as server-sent events
 * (html.spec.whatwg.org, "Server-sent events"): data: the row as JSON; event "dropped", data: how
 * many; event "state", data: {"connected": true} or {"connected": false, "problem": "..."}.
 * A subject is matched here, as all streams are read by one. Thread-safe.
 */
#pragma once

#include "read/events.h"
#include "serve/http.h"

#define LIVE_WATCHERS_MAX    32
#define LIVE_QUEUE_BYTES_MAX (2u << 20)
#define LIVE_LINGER_S        20

struct live;

/* `nats` and `rules_folder` must live as long as it. Does not connect yet. */
void live_new(struct live **ret, const struct bus_options *nats, const char *rules_folder);
/* Ends the bodies of all watchers, so that the server can stop. */
void live_stop(struct live *live);
void live_free(struct live *live); /* stopped, and no watcher is left; NULL is allowed */

/* The parameters are those of serve/search.h. */
void live_handle(struct live *live, const struct http_request *request,
                 struct http_response *response);
