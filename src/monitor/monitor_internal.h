/* For siblings in src/monitor only: the service's parts and who touches what. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/instant.h"
#include "bus/ordered.h"
#include "bus/stream.h"
#include "fold/engine.h"
#include "fold/state.h"
#include "metrics/registry.h"
#include "monitor/journal.h"
#include "monitor/monitor.h"
#include "monitor/queue.h"
#include "serve/http.h"

#define TRACKED_MAX       1024
#define CORE_WAITING_MAX  65536
#define CORE_SUBJECTS_MAX MONITOR_CORE_SUBJECTS_MAX
#define FAILURES_PATIENCE 3 /* then a stream does not hold back the others' figures */
#define FORGOTTEN_MAX     32
#define READY_LAG_NS      (30 * NS_PER_SECOND) /* behind for longer: not ready */

struct monitor;

/* See checksums.c. Under the registry's lock. */
struct stream_checksum {
    int64_t window_end_ns;   /* of the last message folded; 0: none since the start */
    struct state_copy *copy; /* to be summed by the main thread; NULL: none */
    bool known;
    uint64_t seq; /* what is known, and at which sequence */
    double value;
};

/* One stream that is, or was, read. Owned by the main thread unless said otherwise. */
struct tracked {
    struct monitor *monitor;
    char *name;
    char **subjects;
    size_t subject_count;
    bool present, listed;
    bool remembered;      /* known from a snapshot only, not seen on the server yet */
    atomic_uint failures; /* to read it while the server answers, in a row */
    atomic_bool has_sources;
    int64_t touched_ns;       /* its snapshot's file; monotonic */
    struct ordered *reader;   /* NULL while not attached */
    int64_t next_try_ns;      /* when attaching failed: not before */
    _Atomic int64_t level_ns; /* monotonic: when it was last read to its end */
    _Atomic uint64_t consumer_resets;

    /* Under the registry's lock (taken before streams_lock where both are): */
    uint64_t live_from; /* messages from this sequence on were stored while we were attached */
    struct stream_state *state;
    int64_t last_stored_at_ns; /* of the last message folded */
    int64_t delay_ns[TALLY_DOMAINS_MAX];
    bool domain_seen[TALLY_DOMAINS_MAX];
    uint64_t saved_seq; /* what the snapshot on disk holds */
    uint64_t saved_changes;
    struct stream_checksum checksum;
    uint64_t changes; /* counts folds and resets, so that idle streams are not saved again */
};

struct core_message {
    struct bus_message message;
    int64_t arrived_ns; /* monotonic */
    bool likely;        /* by the clocks, a stream that stood then captured it */
};

struct monitor {
    const struct monitor_options *options;
    char instance[64];
    struct bus *bus;
    struct rules *rules;
    struct journal *journal;
    struct http_server *http;
    struct queue *queue;     /* messages of core subscriptions, for the fold thread */
    struct ordered_hub *hub; /* run by the fold thread */

    /* Under the registry's lock (replaced as a whole when rules are loaded again). */
    struct registry *registry;
    struct engine *engine;
    pthread_rwlock_t registry_guard; /* read: uses the two above; write: replaces them */

    /* Written by the main thread under streams_lock; other threads read under it. */
    pthread_mutex_t streams_lock;
    struct tracked *tracked[TRACKED_MAX];
    size_t tracked_count;
    struct stream_list known; /* all streams of the account, of any kind */
    bool listed_once;         /* main thread */
    bool no_jetstream;        /* main thread: the last list could not be had for that reason */
    bool save_now;            /* main thread: something was counted that cannot be read again */
    /* Streams that changed while a list was on its way: what it says of them is old. */
    char forgotten[FORGOTTEN_MAX][256];
    size_t forgotten_count;
    uint64_t tracked_overflow;
    char list_problem[1024]; /* why the streams cannot be listed; "" when they can */

    struct stream_state *core_state;
    uint64_t core_changes, core_saved_changes;
    struct bus_subscription *core_subscriptions[CORE_SUBJECTS_MAX];
    char *core_subjects[CORE_SUBJECTS_MAX];
    int64_t core_covered_ns[CORE_SUBJECTS_MAX]; /* since when a stream captures all; 0: none does */
    size_t core_count;
    pthread_mutex_t core_lock;
    struct core_message *core_waiting; /* ring */
    size_t core_head, core_waiting_count;
    uint64_t core_dropped;
    _Atomic uint64_t core_events;

    struct bus_subscription *advisories;
    atomic_bool look_now, link_changed;
    _Atomic uint64_t reconnects;
    _Atomic int64_t link_down_since_ns; /* monotonic; 0: up */
    bool was_connected;

    pthread_t fold_thread;
    atomic_bool stopping;
    atomic_bool caught_up;   /* every stream has been, once since the start */
    struct family *duration; /* cim_event_processing_duration_seconds */
    struct partition *durations;
    int64_t fold_now_ns;                     /* fold thread: of the batch, like the two below */
    uint64_t fold_counts[TALLY_DOMAINS_MAX]; /* events by domain */
    uint64_t fold_events;
    bool fold_reached_end; /* of a stream */
    /* What waits, by domain, counted by the fold thread once a second. */
    pthread_mutex_t depth_lock;
    struct {
        char domain[DOMAIN_TEXT_MAX];
        uint64_t waiting;
    } depth[TALLY_DOMAINS_MAX];
    size_t depth_count;

    _Atomic size_t checksums_waiting; /* copies of states */
    _Atomic int64_t last_snapshot_ns; /* wall clock; 0: none yet */
    int64_t snapshot_announced_ns;    /* monotonic */
    _Atomic uint64_t alerts_received;
    _Atomic int64_t round_trip_ns; /* to the server, of the last look at the streams; 0, -1: none */
    size_t gone_count;             /* streams that are gone and have a snapshot */
    int state_lock_fd;
    int wake_fd; /* eventfd that ends the main thread's wait */
};

/* monitor.c. Any thread. */
void monitor_wake(struct monitor *monitor);

/* streams.c */
int streams_refresh(struct monitor *monitor, struct error *err);
/* There are no streams: what is known of them is nothing. */
void streams_none(struct monitor *monitor);
void streams_tend(struct monitor *monitor);
void streams_suspect_all(struct monitor *monitor);
void streams_close(struct monitor *monitor);
/* Closes all readers and forgets what was attached; states stay. For new rules. */
void streams_detach_all(struct monitor *monitor);
/* Makes a tracked stream of a name that is not listed (yet): its counters stand in a snapshot. */
void streams_remember(struct monitor *monitor, const char *name);
/* What is known of a stream's subjects is old, until the next list. Any thread. */
void streams_forget_subjects(struct monitor *monitor, struct slice name);
/* Messages not yet folded in a tracked stream; UINT64_MAX: not known. Registry lock held. */
uint64_t tracked_behind(const struct tracked *tracked);
/* For how long at least its end has not been reached, by two clocks: whichever says less. 0: it is
 * at its end. Registry lock held. */
int64_t tracked_lag_ns(const struct tracked *tracked);
/* It was tried often enough: nothing waits for it any more. */
bool tracked_is_unreadable(const struct tracked *tracked);
bool streams_all_caught_up(struct monitor *monitor);

/* core.c */
void core_resubscribe(struct monitor *monitor);
/* Settles messages that arrived before `listed_ns`, when the list of streams was asked for. Blocks.
 */
void core_settle(struct monitor *monitor, int64_t listed_ns);
bool core_is_waiting(struct monitor *monitor);
void core_unsubscribe(struct monitor *monitor);
void core_close(struct monitor *monitor); /* after the bus */

/* folding.c */
ordered_handler
    folding_on_stored; /* the handler of all readers; the context is the tracked stream */
void folding_declare(struct monitor *monitor);
int folding_start(struct monitor *monitor, struct error *err);
void folding_stop(struct monitor *monitor);
struct engine_reporter folding_reporter(struct monitor *monitor);

/* snapshots.c */
int snapshots_open(struct monitor *monitor, struct error *err);
void snapshots_load(struct monitor *monitor, struct stream_state *state);
/* -1: some could not be written; the last reason is in err. The others are. */
int snapshots_write(struct monitor *monitor, struct error *err);
/* The stream is not there any more: after long, or when many are, its snapshot and counters go. */
void snapshots_gone(struct monitor *monitor, struct tracked *tracked);
/* Calls streams_remember() for each stream that has a snapshot. */
void snapshots_remember(struct monitor *monitor);
/* From one engine's state to another's, as if written and read. The fold must stand still. */
void snapshots_carry_over(struct monitor *monitor, const struct engine *old_engine,
                          const struct stream_state *from, struct stream_state *to);

/* checksums.c */
/* A message of this time is about to be folded. Registry lock held. */
void checksums_before(struct monitor *monitor, struct tracked *tracked, int64_t stored_at_ns,
                      int64_t now_ns);
void checksums_tend(struct monitor *monitor);
void checksum_forget(struct monitor *monitor, struct tracked *tracked);

/* self.c: the monitor's own metrics, refreshed under the registry's lock before a scrape. */
void self_declare(struct monitor *monitor);
void self_refresh(struct monitor *monitor);

/* endpoints.c */
int endpoints_start(struct monitor *monitor, struct error *err);
