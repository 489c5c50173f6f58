/*
 * ruletest: rules held against examples: events in, samples expected.
 *
 *     rules: ../../rules                     # a folder; relative to the test file
 *     tests:
 *       - name: a command is answered
 *         file: events.jsonl                 # event/lines.h; before `events`
 *         events:
 *           - {subject: a.b, headers: {N: v}, payload: {id: 1}, at: 5s}
 *         now: 10m                           # for what is overdue while the stream is quiet
 *         expect: ['x_total{a="b"} 1']       # samples that must be there
 *         absent: [y_total]                  # series, or metrics, that must not
 *         only: [x_total]                    # metrics of which `expect` names every series
 *
 * `at` is a time, or a duration since 2026-01-01T00:00:00Z; without it, that of the event before. A
 * payload is the text as it stands, or YAML that becomes JSON. All events are of one stream, TEST.
 *
 * Each test is folded twice: in one go, and with a restart from its snapshot and a redelivery after
 * every event (or some of them, when there are many). Both must come to the same.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define RULETEST_EVENTS_MAX 1000000 /* of a test */

struct ruletest_result {
    const char *file, *name;
    struct slice diff; /* lines that say what was expected and what came; empty: passed */
};

/* Calls `each` for every test of the file. EXIT_CODE_USAGE when the file is not well-formed. */
int ruletest_run(const char *path,
                 void (*each)(void *context, const struct ruletest_result *result), void *context,
                 struct error *err);
