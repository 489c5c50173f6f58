/*
 * sim: a small CIM that talks, event by event.
 *
 * Keeps a bounded world of living aggregates, lets one thing happen at a time and says how that
 * looks on the wire. Deterministic: the same configuration with `start_ns` gives the same bytes;
 * without it only the course of things is the same, times and ids are those of the moment. No heap
 * allocation per event. Not thread-safe.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "source/sim/facts.h"
#include "source/sim/random.h"

struct sim_shares { /* of all events, 0 to 1 */
    double malformed, duplicate, late, failed, stalled, second;
};

enum sim_fault {
    FAULT_NONE,
    FAULT_ERRORS,
    FAULT_STALL,
    FAULT_DUPLICATES,
    FAULT_MALFORMED,
};

struct sim_config {
    uint64_t seed;
    int64_t start_ns; /* 0: the present, as each event is made */
    uint64_t live;    /* aggregates alive per domain, about */
    bool domains[SIM_DOMAINS];
    struct sim_shares shares;
    enum sim_fault fault;
    int64_t stall_after_ns; /* FAULT_STALL: then the first chosen domain goes silent */
};

/* What one message must do to the metrics; see expect.h. Small, copied about. */
struct sim_account {
    const struct sim_fact *fact; /* NULL: malformed */
    const struct sim_form *form;
    struct uuid aggregate, event;
    int64_t at_ns;
    uint64_t told;   /* the same in both forms of one occurrence of a twin; 0: of others */
    uint16_t series; /* index of (fact, form), below sim_series_count() */
    uint8_t name;    /* of the workflow */
    uint8_t domain;
};

enum sim_sort {
    SORT_FIRST,
    SORT_SECOND,   /* the other form of the event just sent */
    SORT_REPEATED, /* the same bytes again */
    SORT_MALFORMED,
};

/* Slices are valid until the next sim_next(). Headers are lines "Name: value\n". */
struct sim_event {
    struct slice subject, headers, payload;
    enum sim_sort sort;
    bool late;
    struct sim_account account;
};

struct sim;

struct sim *sim_new(const struct sim_config *config);
void sim_free(struct sim *sim);
void sim_next(struct sim *sim, struct sim_event *ret);

/* All (fact, form) pairs of all domains, for tables indexed by sim_account.series. */
size_t sim_series_count(void);
/* False past the end. The event type is the form's where it has one of its own. */
bool sim_series_at(size_t series, const struct sim_fact **ret_fact,
                   const struct sim_form **ret_form, enum sim_domain *ret_domain);

/* A subject of the given form with `x` for each place, to ask whether a stream would take it. */
void sim_sample_subject(const struct sim_form *form, struct buf *ret);
