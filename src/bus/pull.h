/*
 * pull: messages of one stream, fetched in batches when the caller asks for the next one.
 *
 * An ephemeral pull consumer without acknowledgements. The caller sets the pace, so several streams
 * can be read side by side and merged without one holding another back; `ordered` is for those who
 * want every message as it comes. Ends at the last message that matched when the reader was opened
 * (its cut), or never (`follow`). When the consumer is lost (restart of the server, link down) the
 * reader makes a new one behind the last message it handed over: nothing twice, nothing left out.
 *
 * One thread. Cost: one request per `batch` messages, asked for before the last batch is used up.
 * API subjects and fields: docs.nats.io/reference/jetstream/api, ADR-13 of
 * nats-architecture-and-design.
 */
#pragma once

#include "bus/bus.h"

struct pull;

struct pull_options {
    const char *stream;
    uint64_t start_seq;    /* 0: the first, or as start_time_ns says */
    int64_t start_time_ns; /* stored then or later; 0: not by time */
    uint64_t end_seq;      /* the cut: nothing behind it; 0: what there is when opened */
    const char *filter;    /* of subjects; NULL: all */
    unsigned batch;        /* messages asked for at once; 0: 512 */
    bool follow;
    /* Only the newest message of each subject, and then (`follow`) what comes. The start is not
     * looked at. When the consumer was lost, a subject that got a newer message comes again. */
    bool last_per_subject;
};

int pull_open(struct bus *bus, const struct pull_options *options, struct pull **ret,
              struct error *err);
void pull_close(struct pull *pull);
/*
 * 1: *message is the caller's to release; 0: nothing came in time, or the end (pull_ended()).
 * EXIT_CODE_UNREACHABLE after BUS_TIMEOUT_MS without an answer; EXIT_CODE_REFUSED when the server
 * will not have the consumer (the stream is gone, no permission).
 */
int pull_next(struct pull *pull, struct bus_message *message, int timeout_ms, struct error *err);
bool pull_ended(const struct pull *pull);
/* Matching messages between here and the cut, as of the server's last word. */
uint64_t pull_left(const struct pull *pull);
