/*
 * advice: what is allowed in rules but probably not meant: labels that look personal, that are free
 * text, or whose values have no bound.
 *
 * Only what a rule names can become a label: there is no way to copy all fields of an event. What a
 * rule does name is looked at here, by the words of the field's name. `accept: {label: reason}` in
 * the metric, or `accept: reason` in the remember rule, says that somebody has thought about it.
 */
#pragma once

#include "fold/rules.h"

/* Calls `each` with "<file>:<line>:<column>: warning: <text>" and the line; returns how many. */
size_t rules_advise(const struct rules *rules, void (*each)(void *context, const char *text),
                    void *context);
