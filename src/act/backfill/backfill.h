/*
 * backfill: the history of metrics, folded from the streams, as Prometheus blocks or OpenMetrics.
 *
 * An act: it reads the streams as a monitor would, dates what each event does (metrics/history.h)
 * and puts the samples where Prometheus has none of its own yet. The seam: Prometheus is asked when
 * its first own sample of a metric was taken; what was stored at least SEAM_MARGIN_NS before is
 * folded, and the last sample stands there. The live counter at its first scrape holds all of that,
 * so that it goes on without a reset, and increase() over the seam is the number of events.
 *
 *     streams ─▶ engine ─▶ registry ─▶ history ─▶ text of 2 h ─▶ promtool ─▶ block ─▶ DIR
 *
 * Safe to repeat: DIR/cim-ops-backfill.json says what was put there (done.h). Samples stand on a
 * fixed grid, so that the same events give the same samples, which Prometheus keeps once.
 *
 * Memory: that of the engine and the history; disk: runs and one text of 2 h beside the blocks.
 */
#pragma once

#include "bus/bus.h"
#include "metrics/history.h"

#define SEAM_MARGIN_NS      (5 * NS_PER_SECOND) /* a monitor may be that far behind at a scrape */
#define BACKFILL_LABELS_MAX 16

struct backfill_options {
    struct bus_options nats;
    const char *rules_dir;
    const char *const *metrics; /* none: all that the rules make */
    size_t metric_count;
    int64_t from_ns, until_ns; /* 0: from the first event; until the live series begins */
    int64_t step_ns, idle_ns;
    bool by_stored_time;
    bool to_stdout;             /* OpenMetrics on stdout instead of blocks */
    const char *prometheus_url; /* whom to ask; NULL: nobody */
    const char *data_dir;       /* of Prometheus; NULL: as Prometheus says, else fallback_dir */
    const char *fallback_dir;
    const char *promtool;                             /* NULL: not found */
    struct history_label labels[BACKFILL_LABELS_MAX]; /* given by hand; they win */
    size_t label_count;
    const char *fallback_job, *fallback_instance;
    bool dry_run, again;
    bool quiet; /* no progress */
};

/* Speaks on stdout and, of what is odd, on stderr. Returns an exit code. */
int backfill_run(const struct backfill_options *options, struct error *err);
