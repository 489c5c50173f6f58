/*
 * scan: the messages of one stream from a place to a cut, each once, in stream order, at the speed
 * of the wire (bus/ordered.h).
 *
 * Rides out lost links and servers that restart: it goes on behind the last message handed over.
 * Nothing is acknowledged, changed or taken away. One thread. Memory: the wire's window.
 */
#pragma once

#include "bus/bus.h"

#define SCAN_FOLLOW UINT64_MAX /* as the cut: there is none */

struct scan_options {
    struct bus *bus;
    const char *stream;
    const char *created; /* its incarnation (stream_info.created); another one is an error */
    const char *filter;  /* of subjects; NULL: all */
    uint64_t first_seq, last_seq; /* both are read */
    bool newest_only;             /* of each subject; first_seq is not looked at */
    int64_t patience_ns;          /* for a server that is away; 0: 30 s */
    /* The message's slices are valid during the call. -1 ends the scan with what stands in err. */
    int (*each)(void *context, const struct bus_message *message, struct error *err);
    /* Called at least four times a second, between messages. 1 ends the scan in order, -1 as above.
     */
    int (*idle)(void *context, struct error *err);
    void *context;
};

/*
 * 0: everything up to the cut was handed over; 1: `idle` ended it. EXIT_CODE_UNREACHABLE: patience
 * ran out; EXIT_CODE_DAMAGED: another stream has taken the name; EXIT_CODE_REFUSED: the server will
 * not let it be read.
 */
int scan_stream(const struct scan_options *options, struct error *err);
