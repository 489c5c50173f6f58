/* fold_rig: an engine with rules given as text, one stream, and what it reports. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "fold/engine.h"
#include "fold/state.h"
#include "scratch.h"

/* Enough for most: everything under <domain>.<aggregate>.<id>.<type>. */
#define RIG_ENVELOPES                                                                              \
    "envelopes:\n"                                                                                 \
    "  - name: plain\n"                                                                            \
    "    subjects: [\">\"]\n"                                                                      \
    "    domain: \"$subject[0]\"\n"                                                                \
    "    event_type: [$payload.type, $key]\n"                                                      \
    "    aggregate_type: \"$subject[1]\"\n"                                                        \
    "    aggregate_id: [$payload.id, \"$subject[2]\"]\n"                                           \
    "    event_id: $payload.event_id\n"                                                            \
    "    occurred_at: $payload.at\n"                                                               \
    "    severity: $payload.severity\n"                                                            \
    "    error_type: $payload.error_type\n"

struct rig {
    struct scratch scratch;
    struct rules *rules;
    struct registry *registry;
    struct engine *engine;
    struct stream_state *state;
    struct buf reports; /* "what/stream/seq/reason/amount;" each */
};

static inline void rig_report(void *context, enum engine_report what,
                              const struct stream_state *state, uint64_t seq, const char *reason,
                              uint64_t amount)
{
    static const char *const names[] = {[REPORT_MALFORMED] = "malformed",
                                        [REPORT_SUSPECT] = "suspect",
                                        [REPORT_GAP] = "gap",
                                        [REPORT_CHAIN] = "chain"};
    buf_addf(context, "%s/%s/%llu/%s/%llu;", names[what], state_name(state),
             (unsigned long long)seq, reason, (unsigned long long)amount);
}

static inline int rig_load(struct rig *rig, const char *envelopes, const char *metrics,
                           struct error *err)
{
    scratch_open(&rig->scratch);
    scratch_write(&rig->scratch, "envelopes.yaml", envelopes);
    if (metrics)
        scratch_write(&rig->scratch, "m.yaml", metrics);
    return rules_load(rig->scratch.folder, &rig->rules, err);
}

static inline void rig_start(struct rig *rig)
{
    struct error err = ERROR_NONE;
    rig->registry = registry_new();
    registry_set_folds_shown(rig->registry, true);
    if (engine_new(rig->rules, rig->registry, (struct engine_reporter){rig_report, &rig->reports},
                   &rig->engine, &err) < 0)
        fail_msg("%s", err.text);
    rig->state = engine_stream(rig->engine, "S");
}

static inline void rig_open(struct rig *rig, const char *envelopes, const char *metrics)
{
    struct error err = ERROR_NONE;
    *rig = (struct rig){0};
    if (rig_load(rig, envelopes, metrics, &err) < 0)
        fail_msg("%s", err.text);
    rig_start(rig);
}

/* The same with the rules that we ship; the tests run in the repository's root. */
static inline void rig_open_shipped(struct rig *rig)
{
    struct error err = ERROR_NONE;
    *rig = (struct rig){0};
    scratch_open(&rig->scratch);
    if (rules_load("rules", &rig->rules, &err) < 0)
        fail_msg("%s", err.text);
    rig_start(rig);
}

static inline void rig_close(struct rig *rig)
{
    engine_free(rig->engine);
    registry_free(rig->registry);
    rules_free(rig->rules);
    buf_done(&rig->reports);
    scratch_close(&rig->scratch);
}

#define CLEANUP_RIG __attribute__((cleanup(rig_close)))

/* 2026-07-11T12:00:00Z and as many seconds. */
#define RIG_EPOCH_S INT64_C(1783771200)

static inline int rig_fold(struct rig *rig, uint64_t seq, const char *subject, const char *payload)
{
    struct event_input input = {.subject = slice_of(subject),
                                .payload = slice_of(payload),
                                .seq = seq,
                                .stored_at_ns = (RIG_EPOCH_S + (int64_t)seq) * 1000000000};
    return engine_fold(rig->engine, rig->state, &input);
}

static inline char *rig_exposition(struct rig *rig)
{
    struct buf text = {0};
    registry_expose(rig->registry, EXPOSITION_PROMETHEUS, &text);
    (void)buf_cstr(&text);
    return text.ptr;
}

/* One sample line, whole. */
static inline void rig_shows(struct rig *rig, const char *line)
{
    CLEANUP_FREE char *text = rig_exposition(rig);
    CLEANUP_FREE char *want = xasprintf("\n%s\n", line);
    assert_contains(text, want);
}

static inline void rig_shows_no(struct rig *rig, const char *begin)
{
    CLEANUP_FREE char *text = rig_exposition(rig);
    CLEANUP_FREE char *want = xasprintf("\n%s", begin);
    if (strstr(text, want))
        fail_msg("'%s' is in:\n%s", begin, text);
}
