/* For siblings in src/fold only: what can be said of rules once all files are read. */
#pragma once

#include "fold/rules.h"

/*
 * Refuses what no single file shows: names of the monitor's own metrics, $remembered.NAME without a
 * rule of that name, more than the limits. Finishes the fingerprints: what a metric remembers is
 * part of it.
 */
int rules_check(struct rules *rules, struct error *err);
