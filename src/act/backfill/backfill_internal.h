/* For siblings in src/act/backfill only. */
#pragma once

#include <jansson.h>

#include "act/backfill/backfill.h"
#include "base/instant.h"
#include "base/memory.h"
#include "bus/stream.h"
#include "fold/engine.h"
#include "fold/state.h"

/* --- prometheus.c: what a running Prometheus knows -------------------------------------------- */

struct prometheus;

int prometheus_new(const char *url, struct prometheus **ret, struct error *err);
void prometheus_free(struct prometheus *prometheus);
/* EXIT_CODE_UNREACHABLE when it does not answer. NULL and 0 for what it does not say. */
int prometheus_settings(struct prometheus *prometheus, char **ret_data_dir,
                        int64_t *ret_retention_ns, struct error *err);
/*
 * The target's labels of a series of that name (job, instance ...), those that the rule does not
 * make itself: appended to *ret, texts on the heap. EXIT_CODE_REFUSED when targets differ.
 */
int prometheus_labels(struct prometheus *prometheus, const struct metric_spec *spec,
                      const struct history_label *given, size_t given_count,
                      struct history_label *ret, size_t *ret_count, struct error *err);
/* The time of the first sample with these labels since `since_ns` and later than `behind_ns`; 0:
 * there is none. */
int prometheus_first_sample(struct prometheus *prometheus, const struct metric_spec *spec,
                            const struct history_label *labels, size_t label_count,
                            int64_t since_ns, int64_t behind_ns, int64_t now_ns, int64_t *ret_ns,
                            struct error *err);
/* "15d", "1d12h30m", "15d or 4GB". 0: not a duration. */
int64_t prometheus_duration(const char *text);

/* --- done.c: what was put there before ----------------------------------------------------------
 */

struct done_metric {
    uint64_t fingerprint; /* of rule, labels, step and the like: what the samples depend on */
    int64_t from_ns, until_ns;
    bool complete; /* its blocks are all in place */
};

struct done {
    char *path;
    json_t *root;
};

int done_load(const char *data_dir, struct done *ret, struct error *err);
bool done_find(const struct done *done, const char *metric, struct done_metric *ret);
void done_set(struct done *done, const char *metric, const struct done_metric *metric_done);
int done_save(const struct done *done, struct error *err);
void done_done(struct done *done);

/* --- blocks.c: samples into blocks, blocks into the data folder ---------------------------------
 */

struct blocks {
    const char *data_dir, *promtool;
    char *staging; /* DIR/cim-ops-backfill.tmp */
    int lock;
    size_t made, moved;
};

/* EXIT_CODE_REFUSED when another backfill works there; EXIT_CODE_USAGE when DIR is none of
 * Prometheus. */
int blocks_open(struct blocks *blocks, const char *data_dir, const char *promtool,
                struct error *err);
/* Writes the history's current chunk as a block, in the staging folder. */
int blocks_add(struct blocks *blocks, struct history *history, struct history_chunk *chunk,
               struct error *err);
/* All of them into the data folder, each by one rename. */
int blocks_move(struct blocks *blocks, struct error *err);
void blocks_close(struct blocks *blocks);

/* --- fold.c: the streams ------------------------------------------------------------------------
 */

struct fold_options {
    struct bus *bus;
    const struct stream_list *streams;
    struct engine *engine;
    struct history *history;
    bool by_stored_time, quiet;
    int64_t stop_ns; /* messages stored later are not wanted */
};

struct fold_figures {
    uint64_t messages, events;
    int64_t took_ns;
};

int fold_streams(const struct fold_options *options, struct fold_figures *ret, struct error *err);

/* Progress on a terminal: a line that is written over. */
void backfill_progress(bool quiet, const char *format, ...) __attribute__((format(printf, 2, 3)));
