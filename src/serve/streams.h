/*
 * streams: what JetStream says of the account's streams and consumers, for pages.
 *
 * As the server answers it (docs.nats.io/reference/jetstream/api, STREAM.LIST, CONSUMER.LIST), at
 * most STREAMS_SHOWN_MAX of each. Thread-safe.
 */
#pragma once

#include "serve/http.h"
#include "serve/pool.h"

#define STREAMS_SHOWN_MAX 2048

/* {streams: [...], total} */
void streams_list(struct pool *pool, struct http_response *response);
/* {consumers: [...], total} of one stream */
void streams_consumers(struct pool *pool, const char *stream, struct http_response *response);
