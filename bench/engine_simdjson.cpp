#include <string>

#include <simdjson.h>

#include "engine_peer.h"

void *simdjson_peer_new(void)
{
    return new simdjson::dom::parser();
}

void simdjson_peer_free(void *peer)
{
    delete static_cast<simdjson::dom::parser *>(peer);
}

bool simdjson_peer_parse(void *peer, const char *text, size_t len)
{
    simdjson::dom::element element;
    return static_cast<simdjson::dom::parser *>(peer)->parse(text, len, false).get(element) ==
           simdjson::SUCCESS;
}

const char *simdjson_peer_name(void)
{
    static const std::string name =
        "simdjson DOM, " + simdjson::get_active_implementation()->name();
    return name.c_str();
}
