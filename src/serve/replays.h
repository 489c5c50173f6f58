/*
 * replays: the records that `cim-ops replay` keeps in KV CIM_REPLAYS (act/replay/record.h), for a
 * page. As they are written, newest first, REPLAYS_SHOWN_MAX at most. Thread-safe.
 */
#pragma once

#include "serve/http.h"
#include "serve/pool.h"

#define REPLAYS_BUCKET    "CIM_REPLAYS"
#define REPLAYS_SHOWN_MAX 200

/* {replays: [...], total}; none when nothing was ever replayed. */
void replays_list(struct pool *pool, struct http_response *response);
