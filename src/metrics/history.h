/*
 * history: what a registry showed at each step of a time grid, written as OpenMetrics with times.
 *
 * Events are folded in stream order, as live; their effects are dated by the moment that the caller
 * gives, in any order. The value of a series at step s is then the sum (largest, newest) of all
 * effects dated up to s. Samples but the last stand at whole multiples of the step since 1970, so
 * that two runs over the same events write the same ones.
 *
 *     fold ──cells touched──▶ changes {series, step, part, amount} ──sort, merge──▶ samples
 *                                     └── runs in a temporary file when memory is full
 *
 * A counter or histogram begins at 0, one step before its first change. While a series does not
 * change it has a sample every `idle` and one just before the next change: its steps stay steps,
 * and no query with a window of two idles or more finds it empty. A counter never falls from one
 * sample to the next, and its last value is to the bit what the cells hold: where the live series
 * goes on, there is no reset.
 *
 * Memory: HISTORY_CHANGES_MAX changes of 24 bytes, 16 bytes per cell and part (a histogram has one
 * per bucket and its sum), and per series. One thread; the registry is not locked.
 */
#pragma once

#include <stdio.h>

#include "base/error.h"
#include "metrics/registry.h"

#define HISTORY_CHANGES_MAX  ((size_t)1 << 21)
#define HISTORY_FAMILIES_MAX 4096

struct history;

struct history_label {
    const char *name, *value;
};

struct history_options {
    int64_t step_ns;                    /* whole seconds, at least one */
    int64_t idle_ns;                    /* a multiple of the step */
    int64_t chunk_ns;                   /* a multiple of the step; 0: everything is one chunk */
    int64_t from_ns;                    /* no samples before */
    const char *temp_dir;               /* of the runs; an unlinked file */
    const struct history_label *labels; /* added to every series, as a scrape would */
    size_t label_count;
    size_t changes_max; /* 0: HISTORY_CHANGES_MAX */
};

/* Begins to watch the registry. Everything in the options is borrowed. */
struct history *history_new(struct registry *registry, const struct history_options *options);
void history_free(struct history *history);

/*
 * This family is wanted, with what was stored up to `until_ns`: samples from `from_ns` on (0: from
 * the first change), on the grid, and a last one at `until_ns` itself. What is stored later is not
 * written, only that a series begins there: it gets a last sample of 0. Before the first moment.
 */
void history_want(struct history *history, const struct family *family, int64_t from_ns,
                  int64_t until_ns);

/* What is written to the registry from now on happened at `event_ns` and was stored at `stored_ns`;
 * an event is never dated behind its being stored. -1: the temporary file cannot be written. */
int history_moment(struct history *history, int64_t event_ns, int64_t stored_ns, struct error *err);

/* After the last moment; then the chunks can be written, in order, each once. */
int history_finish(struct history *history, struct error *err);

struct history_chunk {
    int64_t first_ns, last_ns; /* of its samples, both included */
    uint64_t samples;          /* set by history_write(): lines written */
};

/* False: there is no further one. */
bool history_next(struct history *history, struct history_chunk *ret);
/* Writes the chunk that history_next() gave, `# EOF` included. -1: the file cannot be written. */
int history_write(struct history *history, struct history_chunk *chunk, FILE *out,
                  struct error *err);

struct history_figures {
    uint64_t changes, series, samples;
    size_t runs;
    int64_t first_ns, last_ns; /* of the samples; 0: there are none */
};
/* Of one family that is wanted. */
size_t history_series(const struct history *history, const struct family *family);
struct history_figures history_figures(const struct history *history);
