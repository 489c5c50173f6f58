/*
 * proxy: what pages may ask of Prometheus, and nothing else.
 *
 * Only paths that read, only their known parameters, within the limits below; each request is made
 * anew from its checked parts. An answer is handed on as Prometheus gave it, status included; what
 * is no answer of Prometheus's (a redirect, no JSON) is said and not handed on. API:
 * prometheus.io/docs/prometheus/latest/querying/api. Thread-safe.
 */
#pragma once

#include "serve/http.h"

#define PROXY_QUERY_BYTES_MAX  (16u << 10)
#define PROXY_PARAMETERS_MAX   64
#define PROXY_POINTS_MAX       11000.0 /* of each series; Prometheus's own limit */
#define PROXY_RANGE_MAX_S      (5.0 * 366 * 24 * 60 * 60)
#define PROXY_ANSWER_BYTES_MAX (64u << 20)
#define PROXY_TIMEOUT_S        25
#define PROXY_IDLE_MAX         16 /* connections kept */

struct proxy;

/* EXIT_CODE_USAGE: `url` is none. It may hold a name and a password, which are told nobody. */
int proxy_new(struct proxy **ret, const char *url, struct error *err);
/* What is under way ends with an error, what comes later at once. NULL is allowed. */
void proxy_stop(struct proxy *proxy);
void proxy_free(struct proxy *proxy); /* no request may be under way; NULL is allowed */
/* `path`: what follows /api/v1/. */
void proxy_handle(struct proxy *proxy, const char *path, const struct http_request *request,
                  struct http_response *response);
/* A GET of our own; the answer appended to *ret. EXIT_CODE_UNREACHABLE: none, or no success. */
int proxy_get(struct proxy *proxy, const char *path, struct buf *ret, struct error *err);
/* The address without name and password. */
const char *proxy_place(const struct proxy *proxy);
