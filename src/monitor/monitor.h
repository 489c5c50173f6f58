/*
 * monitor: the event monitor service. Event streams in, metrics out.
 *
 * Reads every event stream of the account in order, folds it by the rules, keeps (sequence, state)
 * snapshots in a folder and serves /metrics, /healthz, /readyz. Its own doings are events under
 * ops.monitor.> (doc/operations/events.md); it writes to stderr only while NATS cannot be reached.
 *
 *     NATS ─▶ client thread ─▶ queue ─▶ fold thread ─▶ registry ◀─ HTTP threads
 *               ▲ readers                                  │
 *               └── main thread: finds streams, restarts readers, writes snapshots and own events
 */
#pragma once

#include "bus/bus.h"
#include "fold/shard.h"

#define MONITOR_CORE_SUBJECTS_MAX 32

struct monitor_options {
    struct bus_options nats;
    const char *rules_dir, *state_dir;
    const char *event_subjects; /* core subjects to watch, separated by commas */
    const char *bind;
    unsigned port;
    int64_t first_zero_ns, snapshot_interval_ns;
    struct shard shard;           /* of the messages, see fold/shard.h */
    int64_t checksum_interval_ns; /* the same for all monitors that are to be compared */
    uint64_t queue_messages, queue_bytes;
    bool announce; /* print the address on stdout once listening */
};

/* Runs until SIGINT or SIGTERM; SIGHUP loads the rules again. Returns an exit code. */
int monitor_run(const struct monitor_options *options, struct error *err);
