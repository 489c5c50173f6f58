/*
 * publish: the plain asynchronous publisher of the client library (nats.c: js_PublishMsgAsync), as
 * a replay into a stream is held against it: the same subjects, headers and payloads, from memory.
 */
#pragma once

#include "server.h"

struct publish_options {
    const char
        *stream;     /* made anew, with the configuration that a replay gives one; then deleted */
    int64_t pending; /* messages without an acknowledgement; 0: the library's default */
    uint64_t events; /* the first of CIM-EVENTS, read before the time begins */
};

/* In a process of its own. Peak memory is not meant: it holds all messages. */
struct figure publish_measure(const struct bench_server *server,
                              const struct publish_options *options);
