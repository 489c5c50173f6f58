/*
 * async: the common part of targets that answer later: stream:NAME, subject:PREFIX,
 * service:SUBJECT.
 *
 * How it is exact: an event is on its way once at most, and an aggregate has one on its way at most
 * (flight.h). What was sent and not answered for, because the link broke or this program was
 * killed, is looked for in the target stream itself, behind the sequence that the target had when
 * the oldest of them was taken (the floor, which is in every checkpoint): a stamp (stamp.h) says
 * which event it is. Only what is not there is sent. Bytes of a dead link that the server still
 * reads meet the Nats-Msg-Id of the second sending.
 *
 * A service keeps nothing that could be looked at: after kill -9, up to --parallel requests are
 * sent again, with the same stamp.
 *
 * For target_stream.c and target_service.c only.
 */
#pragma once

#include "act/replay/flight.h"
#include "act/replay/replay_internal.h"
#include "act/replay/stamp.h"
#include "bus/publisher.h"

struct async {
    struct flight flight;
    struct publisher *links[REPLAY_PARALLEL_MAX];
    size_t link_count, sent, sent_max;
    size_t payload_max; /* with headers; 0: not known */
    bool is_service;
    char *stream, *created, *prefix;   /* of the target; stream NULL: a service */
    uint64_t base, last_seq;           /* its last sequence when we began, and as far as we know */
    struct u64map stored;              /* events beyond the frontier that it has */
    uint64_t *stored_last;             /* per stream: the last of them */
    uint64_t stored_floor;             /* behind which they were looked for */
    uint64_t floor;                    /* as of the positions that settle() gave out */
    struct buf block, subject, reason; /* block: of headers, with the stamp */
    struct replay_figures began;       /* what was counted before this process */
    bool broken, failed, silent;       /* silent: it broke because nothing came */
    struct error problem;              /* of either */
    int64_t trouble_ns;                /* since when it does not go on; 0: it does */
    int64_t pause_until, answer_ns;
    unsigned breaks; /* of the link, without an answer in between */
    uint64_t sendings;
};

/* Becomes target->own. */
struct async *async_new(struct target *target);
/* The flight and `count` connections; before async_take(). */
int async_open_links(struct target *target, size_t count, struct error *err);
/* Of the target stream, behind `floor`: which events it has, and its end as it is now. */
int async_find_stored(struct target *target, uint64_t floor, struct error *err);

/* As in struct target_kind. */
int async_take(struct target *target, const struct replay_event *event, struct error *err);
int async_poll(struct target *target, int wait_ms, struct error *err);
int async_settle(struct target *target, bool all, uint64_t *positions, struct error *err);
void async_close(struct target *target);
