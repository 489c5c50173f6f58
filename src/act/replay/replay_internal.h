/*
 * For siblings in src/act/replay only: one replay at work, and its target.
 *
 *     run.c       plan, guards, the loop, checkpoints, the end
 *     plan.c      what would be done, in figures
 *     pace.c      not faster than was asked for
 *     story.c     each step as an event (ops.replay.>)
 *     refused.c   what becomes of an event that the target will not have
 *     target.c    which target an option means, and what would feed back
 *     target_*.c  the targets; async.c what those that answer later have in common
 */
#pragma once

#include "act/replay/digest.h"
#include "act/replay/record.h"
#include "act/replay/replay.h"
#include "base/progress.h"
#include "base/u64map.h"

struct replay;
struct target;

struct target_kind {
    const char *name;      /* in front of the colon */
    const char *doing;     /* "written to", for people */
    bool with_views;       /* events come with view and aggregate */
    bool once;             /* nothing twice, also after kill -9 */
    size_t memory_bytes;   /* at most, beside the largest message */
    int64_t checkpoint_ns; /* between checkpoints, where they are dear; 0: as usual */
    /* Guards, nothing is changed; appends what would be done, in words. */
    int (*check)(struct target *target, struct buf *words, struct error *err);
    /*
     * Finds or makes what is written to. `state`: what state() said at the checkpoint that is gone
     * on from; NULL: it begins. What stands there by then beyond the checkpoint is found again.
     */
    int (*open)(struct target *target, json_t *state, struct error *err);
    /* Takes an event over, or copies it. May wait for room. */
    int (*take)(struct target *target, const struct replay_event *event, struct error *err);
    /* Deals with answers that have come; waits for one up to wait_ms. NULL: none ever come. */
    int (*poll)(struct target *target, int wait_ms, struct error *err);
    /* Makes durable what was taken, as far as that goes without waiting for answers; positions[i]
     * is then the first sequence that is not, and replay->settled what was counted before it.
     * `all`: waits until that is all of it. */
    int (*settle)(struct target *target, bool all, uint64_t *positions, struct error *err);
    json_t *(*state)(struct target *target); /* behind settle() */
    /* All was taken and is settled. NULL: nothing is left to do. */
    int (*finish)(struct target *target, struct error *err);
    void (*close)(struct target *target); /* also of one that is half open */
    /* Takes what was put there back in, for verify. NULL: it cannot be looked at. */
    int (*read_back)(struct target *target, struct digest *digest, struct error *err);
    /* In its own way, instead. */
    int (*verify)(struct target *target, struct error *err);
};

extern const struct target_kind target_file, target_stream, target_subject, target_core,
    target_service, target_kv;

struct target {
    const struct target_kind *kind;
    struct replay *replay;
    char *where; /* behind the colon */
    void *own;   /* the kind's */
};

struct replay_figures {
    uint64_t read, replayed, bytes; /* read: messages looked at */
    uint64_t skipped, parked, retried;
};

struct pace {
    int64_t began_ns, first_stored_ns;
    uint64_t taken;
};

struct replay {
    const struct replay_options *options;
    struct selection selection;
    struct replay_record record;
    struct target target;
    struct bus *to; /* the target's connection: the selection's, or one of its own */
    bool to_owned;
    uint64_t *positions, *read;    /* per stream: next to be settled; last passed */
    struct replay_figures figures; /* as it goes, for people */
    struct replay_figures
        settled; /* as of `positions`, for the record: so nothing is counted twice */
    struct pace pace;
    struct u64map blocked; /* aggregates with a parked event: to its sequence */
    struct progress progress;
    int64_t checkpoint_ns, told_ns, began_ns, last_stored_ns;
    int64_t silent_until_ns;
    int64_t lease_ns; /* monotonic: the record was last written, so that no other has it */
    uint64_t began_read, told_replayed, story_sequence, expected;
    bool looking; /* the target is opened to be looked at, not to be written to */
    bool resumed, interrupted, cancelled, live, complained, ops_ensured;
    bool lost;  /* another process has it */
    bool aside; /* parked events once more: no part of its course, which its record keeps */
};

/* --- target.c --------------------------------------------------------------------------------- */

/* "kind:where" or "-". EXIT_CODE_USAGE. */
int target_choose(struct replay *replay, const char *text, struct error *err);
void target_close(struct target *target);
/*
 * EXIT_CODE_REFUSED when what is published under these subjects would be stored in a stream of the
 * selection again. `subject` is a filter.
 */
int target_guard_feedback(struct replay *replay, const char *subject, struct error *err);
/* Who else writes there, and who reads: said on stderr, as stopping them is the operator's act. */
void target_look_for_others(const struct replay *replay, const struct stream_info *info);
/* Is the target's account the one of the selection? */
int target_is_same_account(struct replay *replay, bool *ret, struct error *err);

/* --- refused.c -------------------------------------------------------------------------------- */

struct refused {
    size_t stream;
    uint64_t seq, aggregate;
    struct slice subject;
    unsigned tries;
};
/* By --on-error: 0: it is dealt with; EXIT_CODE_DAMAGED: the replay stops here. */
int replay_refused(struct replay *replay, const struct refused *refused, const char *reason,
                   struct error *err);
/* Is an earlier event of the aggregate parked? Then this one is, too. */
bool replay_is_blocked(const struct replay *replay, uint64_t aggregate, uint64_t *ret_seq);
/* What earlier runs of this replay parked. */
int replay_load_blocked(struct replay *replay, struct error *err);

/* --- pace.c ----------------------------------------------------------------------------------- */

/* Waits until the event is due; answers are dealt with meanwhile. */
int pace_wait(struct replay *replay, int64_t stored_at_ns, struct error *err);

/* --- story.c ---------------------------------------------------------------------------------- */

/* `data` is taken over. What cannot be told is said once on stderr and holds nothing up. */
void story_tell(struct replay *replay, const char *type, json_t *data);
json_t *story_figures(const struct replay *replay);

/* --- plan.c ----------------------------------------------------------------------------------- */

struct plan_figures {
    uint64_t messages, events, bytes, aggregates, malformed;
    bool aggregates_cut;
    struct plan_end {
        uint64_t seq;
        int64_t stored_at_ns;
        size_t stream;
    } first, last;
    double events_per_second; /* read here */
};
int plan_make(struct replay *replay, struct plan_figures *ret, struct error *err);
/* `target`: what would be done, in words. */
void plan_show(const struct replay *replay, const struct plan_figures *plan, struct slice target);

/* --- run.c ------------------------------------------------------------------------------------ */

/* As many as the streams that are read have: what is made for them on their server has as many. */
unsigned replay_replicas(const struct replay *replay);

/* Is it time to stop? Cancelled, or a signal. */
bool replay_is_stopped(const struct replay *replay);
/* Writes a checkpoint and tells how it goes, when it is time to; sees a cancel. */
int replay_keep(struct replay *replay, struct error *err);
/*
 * Has the record been written so lately that no other process can have taken it for broken off? A
 * process that was stopped for a while finds out here, before it writes to the target. Where not:
 * replay_renew(); EXIT_CODE_REFUSED: another has it. A server that is away is no failure.
 */
bool replay_has_lease(const struct replay *replay, int64_t now_ns);
int replay_renew(struct replay *replay, struct error *err);
/* The record as it stands, now: before a step that must not be done twice. */
int replay_checkpoint(struct replay *replay, struct error *err);
/* A replay by its record: selection, target and figures, nothing opened but the connections.
 * `options` gets what the record says. */
int replay_open_recorded(struct replay *replay, struct replay_options *options, const char *id,
                         struct error *err);
void replay_close(struct replay *replay);
/* For targets that settle at once: all that was read is settled. */
void replay_pass_read(const struct replay *replay, uint64_t *positions);
/* Figures, and positions of the streams that are there, out of the record. */
void replay_load_figures(struct replay *replay);

/* --- verify.c --------------------------------------------------------------------------------- */

/* Holds the target against the selection and says what it finds. EXIT_CODE_PROBLEM: they differ. */
int verify_target(struct replay *replay, struct error *err);
/* Count and digest of each aggregate of the selection, sorted. */
int verify_selection(struct replay *replay, struct digest *digest, struct error *err);
