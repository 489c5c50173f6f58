/*
 * samples: the lines of an exposition, as things to compare. For tests of rules; not fast.
 */
#pragma once

#include "base/buf.h"

struct sample {
    char *series; /* name{label="value",...}, labels in order of their names */
    char *name;
    double value;
};

struct samples {
    struct sample *items;
    size_t count, room;
};

void samples_done(struct samples *samples);
/* Adds one `name{labels} value` line, or `name{labels}` when `with_value` is false. False: it is
 * not well-formed. */
bool samples_add(struct samples *samples, struct slice line, bool with_value);
/* All of an exposition in the Prometheus text format. */
void samples_read(struct samples *samples, struct slice text);
/* NULL when there is none of that series. */
const struct sample *samples_find(const struct samples *samples, const char *series);
/* Equal but for the last digits of sums. */
bool sample_values_agree(double a, double b);
#define CLEANUP_SAMPLES __attribute__((cleanup(samples_done)))
