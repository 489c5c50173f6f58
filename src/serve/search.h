/*
 * search: stored events for pages: those of a time range, one of them, and those around it.
 *
 * Parameters: stream, subject, domain, type, aggregate, correlation, since, until, where (see
 * read/events.h), limit. A search reads the streams from `since` on, so its cost is that of the
 * messages in the range: at most SEARCH_SCAN_MAX of them and SEARCH_PATIENCE_S; a range with more
 * is narrowed to its newest part, and the answer says so. Thread-safe.
 */
#pragma once

#include "serve/http.h"
#include "serve/pool.h"

#define SEARCH_SCAN_MAX      500000
#define SEARCH_PATIENCE_S    10
#define SEARCH_ROWS_MAX      1000
#define SEARCH_BUCKETS       60
#define SEARCH_RELATED_MAX   200
#define SEARCH_PAYLOAD_BYTES (256u << 10) /* of one event, on its page; more is had on its own */

/* The texts of a request's parameters, kept. */
struct search_wanted {
    struct events_wanted events;
    char *texts[9];
};
void search_wanted_read(const struct http_request *request, struct search_wanted *ret);
void search_wanted_done(struct search_wanted *wanted);
bool search_wants_stream(const struct search_wanted *wanted, const char *stream);

/* {rows: newest first, matched, read, since, until, whole, buckets: [{at, count, failed}]} */
void search_events(struct pool *pool, const struct http_request *request,
                   struct http_response *response);
/* One event, by stream and seq, in full: the fields, headers, payload or payload_text. */
void search_one(struct pool *pool, const struct http_request *request,
                struct http_response *response);
/* Its payload's bytes. */
void search_payload(struct pool *pool, const struct http_request *request,
                    struct http_response *response);
/* What has to do with it, `span` (15m) before and behind it: {rows: [{..., relations}], ...} */
void search_related(struct pool *pool, const struct http_request *request,
                    struct http_response *response);
