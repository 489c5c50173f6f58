/*
 * http: GET requests that run beside an event loop, for ready checks and for reading a part's
 * metrics.
 *
 * One thread. http_wait() is the loop's only place of waiting: it takes the caller's descriptors
 * too. Answers are cut off at HTTP_BODY_MAX (status 0 then, as for no answer). No proxy is ever
 * asked: the parts are on this machine.
 */
#pragma once

#include <poll.h>

#include "base/buf.h"
#include "base/error.h"

#define HTTP_BODY_MAX (32u << 20)

struct http;

/* `status` 0: no answer in time. `body` lives during the call. New requests may be started from it.
 */
typedef void http_done(void *context, long status, struct slice body);

int http_new(struct http **ret, struct error *err);
void http_free(struct http *http); /* drops requests under way without calling back */
void http_get(struct http *http, const char *url, int timeout_ms, http_done *done, void *context);
/* Waits for a descriptor (POLLIN), an answer, or the timeout; calls back for what has come in. */
void http_wait(struct http *http, struct pollfd *fds, size_t count, int timeout_ms);
