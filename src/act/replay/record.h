/*
 * record: what a replay is and how far it has come, in KV CIM_REPLAYS under its id.
 *
 *     {"version": 1, "id", "state", "target", "options": {...}, "selection": {...},
 *      "positions": {"STREAM": next sequence}, "target_state": {...}, "figures": {...},
 *      "by": {"host", "pid"}, "started_at", "updated_at", "problem"}
 *
 * Written by compare and set: one process at a time goes on with a replay; another that took it over,
 * or a cancel, makes the next write of this one fail with EXIT_CODE_REFUSED. No credentials are in it.
 * What a replay parked lies beside it under <id>.parked.<stream>.<sequence>.
 */
#pragma once

#include <jansson.h>

#include "act/replay/replay.h"

/* Not written to for so long while it runs: its process is gone. */
#define RECORD_STALE_NS INT64_C(15000000000)

struct record {
    char id[REPLAY_ID_MAX];
    json_t *root;
    uint64_t revision;
};

/* A fresh id: the date, the time and a few random letters, so that lists sort by time. */
void record_new(struct record *record);
void record_done(struct record *record);
/* Creates the bucket when it is not there. */
int record_write(struct record *record, struct bus *bus, struct error *err);
/* EXIT_CODE_PROBLEM: there is none of that id. */
int record_load(struct record *record, struct bus *bus, const char *id, struct error *err);

const char *record_text(const struct record *record, const char *key); /* "" when it has none */
void record_set(struct record *record, const char *key, json_t *value);
void record_set_state(struct record *record, const char *state, const char *problem);
/* "running" and not written to for RECORD_STALE_NS is "broken off". */
const char *record_state(const struct record *record);
bool record_is_open(const struct record *record); /* can be gone on with */

/* Calls `each` for every record, oldest first. */
int record_each(struct bus *bus, void (*each)(void *context, const struct record *record),
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
