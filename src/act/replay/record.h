/*
 * record: what a replay is and how far it has come, in KV CIM_REPLAYS under its id.
 *
 *     {"version": 1, "id", "state", "target", "options": {...}, "selection": {...},
 *      "positions": {"STREAM": next sequence}, "target_state": {...}, "figures": {...},
 *      "by": {"host", "pid"}, "started_at", "updated_at", "problem"}
 *
 * Written by compare and set: one process at a time goes on with a replay; another that took it
 * over, or a cancel, makes the next write of this one fail with EXIT_CODE_REFUSED. No credentials
 * are in it. What a replay parked lies beside it under <id>.parked.<stream>.<sequence>.
 */
#pragma once

#include <jansson.h>

#include "act/replay/replay.h"

/* Not written to for so long while it runs: its process is gone. */
#define RECORD_STALE_NS INT64_C(15000000000)

struct replay_record {
    char id[REPLAY_ID_MAX];
    json_t *root;
    uint64_t revision;
    unsigned replicas; /* of the bucket, when it has to be made; 0: 1 */
};

/* A fresh id: the date, the time and a few random letters, so that lists sort by time. */
void replay_record_new(struct replay_record *record);
void replay_record_done(struct replay_record *record);
/* Creates the bucket when it is not there. */
int replay_record_write(struct replay_record *record, struct bus *bus, struct error *err);
/* The same in the name of who wrote it last. */
int replay_record_put(struct replay_record *record, struct bus *bus, struct error *err);
/* Did this process write it last? */
bool replay_record_is_own(const struct replay_record *record);
/* EXIT_CODE_PROBLEM: there is none of that id. EXIT_CODE_DAMAGED: it is no record. */
int replay_record_load(struct replay_record *record, struct bus *bus, const char *id,
                       struct error *err);

const char *replay_record_text(const struct replay_record *record,
                               const char *key); /* "" when it has none */
void replay_record_set(struct replay_record *record, const char *key, json_t *value);
void replay_record_set_state(struct replay_record *record, const char *state, const char *problem);
/* "running", but not written to for RECORD_STALE_NS or by a process that is gone, is "broken off".
 */
const char *replay_record_state(const struct replay_record *record);
bool replay_record_is_open(const struct replay_record *record); /* can be gone on with */

/* Calls `each` for every record, oldest first. */
int replay_record_each(struct bus *bus,
                       void (*each)(void *context, const struct replay_record *record),
                       void *context, struct error *err);

/* --- parked events ---------------------------------------------------------------------------- */

struct parked {
    const char *stream, *subject, *aggregate, *reason;
    uint64_t seq, key;
    unsigned tries;
};
int parked_put(struct bus *bus, const char *id, const struct parked *parked, struct error *err);
int parked_remove(struct bus *bus, const char *id, const char *stream, uint64_t seq,
                  struct error *err);
/* In the order of their sequences per stream. */
int parked_each(struct bus *bus, const char *id,
                int (*each)(void *context, const struct parked *parked, struct error *err),
                void *context, struct error *err);
