/* The peer in C++: simdjson's DOM parser, one for all documents as its manual advises. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void *simdjson_peer_new(void);
void simdjson_peer_free(void *peer);
/* `text` has SIMDJSON_PADDING readable bytes behind it. False: it is not JSON. */
bool simdjson_peer_parse(void *peer, const char *text, size_t len);
const char *simdjson_peer_name(void);

#ifdef __cplusplus
}
#endif
