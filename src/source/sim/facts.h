/*
 * facts: what happens in a CIM, and how each fact looks on the wire, as data.
 *
 * A fact moves one aggregate of a pool from a stage to another; the stages of a pool are its life.
 * A fact has a first form and, where the real producers publish it twice, a second. Forms are
 * templates (template.h) in the shapes of shared/events.md and corpus/cim-events.jsonl, key order
 * and header spelling included. One file per domain.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum sim_domain {
    SIM_INFRASTRUCTURE,
    SIM_AGENT,
    SIM_WORKFLOW,
    SIM_PERSON,
    SIM_ORGANIZATION,
    SIM_POLICY,
    SIM_LOCATION,
    SIM_GIT,
    SIM_NETWORK,
    SIM_DOMAINS,
};

/* How a domain's events carry the thread of causes when they are not part of a chain. */
enum sim_flow {
    FLOW_AGGREGATE, /* one correlation for the aggregate's life, cause = its last event */
    FLOW_ROOTED,    /* the same, and the first event is its own correlation and cause */
    FLOW_SINGLE,    /* each event stands alone: correlation = causation = its message id */
};

struct sim_domain_spec {
    const char *name;
    uint8_t weight;     /* of the traffic */
    uint8_t id_version; /* UUID version of its ids */
    enum sim_flow flow;
};
extern const struct sim_domain_spec sim_domains[SIM_DOMAINS];

enum sim_pool {
    POOL_NONE,
    POOL_COMPUTE,
    POOL_FLAT_COMPUTE,
    POOL_FLAT_NETWORK,
    POOL_FLAT_INTERFACE,
    POOL_FLAT_IP,
    POOL_FLAT_CONNECTION,
    POOL_AGENT,
    POOL_MODEL,
    POOL_WORKFLOW,
    POOL_PERSON,
    POOL_ORGANIZATION,
    POOL_POLICY,
    POOL_LOCATION,
    POOL_REPOSITORY,
    POOL_COMMAND,
    POOL_DEVICE,
    POOL_LINK,
    POOL_TOPOLOGY,
    POOL_INVENTORY,
    SIM_POOLS,
};

struct sim_pool_spec {
    enum sim_domain domain;
    uint16_t live_max; /* aggregates alive at --live 2000; less in proportion */
    uint8_t weight;    /* within the domain */
};
extern const struct sim_pool_spec sim_pools[SIM_POOLS];

/* Stages of a life: bit 0 stands for "not there yet". */
#define NEW      (1u << 0)
#define STAGE(n) (1u << (n))
#define END      0xffu
#define STAGES   8

enum form_flag {
    FORM_BYTES = 1,  /* the payload is sent as a JSON array of its byte values */
    FORM_ID = 2,     /* carries an event id by which a repetition shows */
    FORM_MSG_ID = 4, /* has a Nats-Msg-Id: the server itself drops a repetition */
    FORM_OWN_ID = 8, /* with FORM_ID: the id is <ref2>, not the <event> of the other form */
};

struct sim_form {
    const char *subject; /* NULL: there is no such form */
    const char *headers; /* "Name: value\n"...; a line that starts with '?' only within a chain */
    const char *payload;
    const char *event_type; /* NULL: the fact's */
    uint8_t flags;
};

enum fact_flag {
    FACT_OPENS = 1, /* draws a new <open> id, which later facts of the aggregate refer to */
    FACT_TIMED = 2, /* carries a time of its own: can be late */
    FACT_FAILS = 4, /* chosen by --share-failed, never by weight */
};

/* By what the second form of an occurrence is known for a copy of the first. */
enum twin {
    TWIN_NONE,  /* by nothing: two events */
    TWIN_ID,    /* both carry its event id */
    TWIN_TIME,  /* aggregate, type and time */
    TWIN_EVENT, /* aggregate and the bytes of the payload's `event` */
    TWIN_BYTES, /* the same payload */
};

struct sim_fact {
    const char *event_type; /* as the event view must read it */
    const char *aggregate_type;
    uint8_t pool;
    uint8_t other; /* pool from which <other> is taken; POOL_NONE: a fresh id */
    uint16_t from; /* mask of stages */
    uint8_t to;
    uint8_t weight;
    uint8_t flags;
    uint8_t twin;
    struct sim_form first, second;
};

struct sim_fact_table {
    const struct sim_fact *facts;
    size_t count;
};
extern const struct sim_fact_table facts_infrastructure, facts_agent, facts_workflow, facts_person,
    facts_organization, facts_policy, facts_location, facts_git, facts_network;

/* Names of workflows: few, because they become labels. */
#define WORKFLOW_NAMES 8
extern const char *const workflow_names[WORKFLOW_NAMES];

/* Causal chains run through these event types, domain by domain; what is not chosen is left out. */
extern const char *const chain_steps[];
extern const size_t chain_step_count;
