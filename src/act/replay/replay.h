/*
 * replay: stored events once more, chosen, planned, resumable, exact, verified.
 *
 * An act. It reads one selection (selection.h) with its cut fixed at the start, and puts every
 * event of it into one target (target.h), in the order of each aggregate, each event once:
 *
 *     streams ─▶ feed ─▶ view, filter ─▶ target:  file    durable up to a length of the file
 *                                                 stream  acknowledged; found again by its headers
 *                                                 subject as a stream when one takes it, else core
 *                                                 kv      projections, beside the old ones
 *                                                 service a reply to each, or parked
 *
 * What has been done is a record in KV CIM_REPLAYS (record.h), written after the target is durable
 * up to there. After kill -9 of this program or the server, `resume` goes on behind it, and the
 * target ends as if nothing had happened. Bytes of payloads are never touched.
 *
 * Memory: REPLAY_MEMORY says what the plan states; it does not grow with the number of events.
 */
#pragma once

#include <stdio.h>

#include "act/replay/selection.h"

#define REPLAY_BUCKET       "CIM_REPLAYS"
#define REPLAY_ID_MAX       40
#define REPLAY_PARALLEL_MAX 64
#define REPLAY_BATCH_MAX    65536
#define REPLAY_PARKED_MAX   10000 /* of one replay; reaching it stops it */

enum replay_on_error { ON_ERROR_STOP, ON_ERROR_SKIP, ON_ERROR_PARK };

struct replay_options {
    struct bus_options nats;
    struct bus_options to_nats; /* of the target; url NULL: the same */
    const char *rules_dir;
    struct replay_wanted wanted;
    const char *target; /* KIND:WHERE, or - */
    const char *prefix; /* stream targets: what stands before the subjects */
    unsigned parallel;  /* connections, or requests in flight */
    unsigned batch;     /* events in flight, and between two checkpoints at most */
    double rate;        /* events per second at most; 0: no limit */
    double speed;       /* times the original spacing; 0: no waiting */
    enum replay_on_error on_error;
    uint64_t skip_max;
    unsigned retries; /* service targets */
    bool follow, dry_run, verify, keep_old;
    bool json, quiet; /* how it speaks */
    bool (*stopped)(void);
};

/* Plans, and but for a dry run, replays. Speaks on stdout (on stderr where events go there).
 * Returns an exit code; with err->text set when that is not 0 and it has not spoken. */
int replay_run(const struct replay_options *options, struct error *err);
/* Goes on with a replay that was broken off; selection and target are those of its record. */
int replay_resume(const struct replay_options *options, const char *id, struct error *err);

/* --- what there is ---------------------------------------------------------------------------- */

int replay_list(const struct bus_options *nats, bool json, struct error *err);
int replay_status(const struct bus_options *nats, const char *id, bool json, struct error *err);
/* A running one stops at its next checkpoint; one that is not running is closed. */
int replay_cancel(const struct bus_options *nats, const char *id, struct error *err);

/* --- is it right? ----------------------------------------------------------------------------- */

/* Count and digest of each aggregate of the selection, as JSON lines into `path` (digest.h). */
int replay_checksum(const struct replay_options *options, const char *path, struct error *err);
/* `what`: the id of a replay, or a file of replay_checksum(). EXIT_CODE_PROBLEM: they differ. */
int replay_verify(const struct replay_options *options, const char *what, struct error *err);

/* --- what a service refused ------------------------------------------------------------------- */

int replay_parked(const struct replay_options *options, const char *id, bool retry,
                  struct error *err);
