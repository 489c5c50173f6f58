/* agent: stored and published copy (E4), messages with answers, model configurations. */
#include "source/sim/facts.h"

#include "base/slice.h"

/* The store draws correlation and causation at random: chains do not link through it. */
#define STORED(prefix, token, event)                                                               \
    {                                                                                              \
        .subject = prefix "<agg>." token,                                                          \
        .payload = "{'aggregate_id':'<agg>','sequence':<seq>,'event':" event                       \
                   ",'timestamp':'<then>','correlation_id':'<new>','causation_id':'<new>'}",       \
    }
/* The published copy: sequence 0, correlation equal to causation. */
#define PUBLISHED(prefix, token, event)                                                            \
    {                                                                                              \
        .subject = prefix "<agg>." token,                                                          \
        .payload = "{'aggregate_id':'<agg>','sequence':0,'event':" event                           \
                   ",'timestamp':'<then>','correlation_id':'<ref2>','causation_id':'<ref2>'}",     \
    }

#define BODY(TYPE, fields) "{'type':'" TYPE "','agent_id':'<agg>'," fields "}"
#define AGENT(TYPE, token, from_, to_, weight_, more, fields)                                      \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "agent", .pool = POOL_AGENT, .from = from_,          \
        .to = to_, .weight = weight_, .flags = FACT_TIMED | (more), .twin = TWIN_EVENT,            \
        .first = STORED("agent.events.agent.", token, BODY(TYPE, fields)),                         \
        .second = PUBLISHED("agent.events.agent.", token, BODY(TYPE, fields)),                     \
    }
#define MODEL(TYPE, token, from_, to_, weight_, event)                                             \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "model_config", .pool = POOL_MODEL, .from = from_,   \
        .to = to_, .weight = weight_, .flags = FACT_TIMED,                                         \
        .first = STORED("agent.model_config.events.", token, "{'type':'" TYPE "'," event "}"),     \
    }
#define PARAMETERS                                                                                 \
    "'parameters':{'temperature':0.25,'top_p':1.0,'max_tokens':<1024..8192>,"                      \
    "'frequency_penalty':0.0,'presence_penalty':0.0}"

/* Stages: 1 deployed, 2 configured, 3 active, 4 a message awaits its answer, 5 suspended. */
static const struct sim_fact facts[] = {
    {.event_type = "AgentDeployed",
     .aggregate_type = "agent",
     .pool = POOL_AGENT,
     .from = NEW,
     .to = 1,
     .weight = 1,
     .flags = FACT_TIMED,
     .twin = TWIN_EVENT,
     .other = POOL_PERSON,
     .first = STORED(
         "agent.events.agent.", "deployed",
         BODY("AgentDeployed", "'person_id':'<other>','name':'<agent>','deployed_at':'<at>'")),
     .second = PUBLISHED(
         "agent.events.agent.", "deployed",
         BODY("AgentDeployed", "'person_id':'<other>','name':'<agent>','deployed_at':'<at>'"))},
    AGENT("ModelConfigured", "model_configured", STAGE(1), 2, 10, 0,
          "'config':{'provider':'<provider>','model_name':'<llm>','api_endpoint':"
          "'http://127.0.0.1:11434','temperature':0.5,'top_p':1.0,'max_tokens':<1024..8192>,"
          "'frequency_penalty':0.0,'presence_penalty':0.0,'stop_sequences':[],'system_prompt':''},"
          "'configured_at':'<at>'"),
    AGENT("SystemPromptConfigured", "model_configured", STAGE(2) | STAGE(3), 3, 1, 0,
          "'system_prompt':'Answer as <agent>.','configured_at':'<at>'"),
    AGENT("AgentActivated", "activated", STAGE(2) | STAGE(5), 3, 10, 0, "'activated_at':'<at>'"),
    AGENT("MessageSent", "message.<open>.sent", STAGE(3), 4, 24, FACT_OPENS,
          "'message_id':'<open>','content':'<question>','sent_at':'<at>'"),
    AGENT(
        "ResponseChunkReceived", "message.<open>.chunk.<0..3>", STAGE(4), 4, 3, 0,
        "'message_id':'<open>','chunk':{'chunk_index':<0..3>,'content':'<answer>','is_final':false,"
        "'finish_reason':null},'received_at':'<at>'"),
    AGENT(
        "ResponseCompleted", "message.<open>.completed", STAGE(4), 3, 4, 0,
        "'message_id':'<open>','content':'<answer>','tokens_used':<20..900>,'completed_at':'<at>'"),
    AGENT("ResponseFailed", "message.<open>.failed", STAGE(4), 3, 1, FACT_FAILS,
          "'message_id':'<open>','error':'<fault>','failed_at':'<at>'"),
    AGENT("AgentSuspended", "suspended", STAGE(3), 5, 1, 0,
          "'reason':'<pause>','suspended_at':'<at>'"),
    AGENT("AgentDecommissioned", "decommissioned", STAGE(3) | STAGE(5), END, 1, 0,
          "'reason':'replaced','decommissioned_at':'<at>'"),

    MODEL("Created", "created", NEW, 1, 1,
          "'id':'<agg>','provider':'<provider>','model_name':'<llm>'," PARAMETERS
          ",'constraints':{'max_context_window':200000,'supports_streaming':true,"
          "'supports_function_calling':true,'supports_vision':false},'created_at':'<at>'"),
    MODEL("ParametersUpdated", "parameters_updated", STAGE(1) | STAGE(2), 2, 4,
          "'id':'<agg>'," PARAMETERS ",'updated_at':'<at>'"),
    MODEL("ProviderChanged", "provider_changed", STAGE(1) | STAGE(2), 2, 1,
          "'id':'<agg>','provider':'<provider>','model_name':'<llm>','changed_at':'<at>'"),
    MODEL("Activated", "activated", STAGE(1) | STAGE(3), 2, 2,
          "'id':'<agg>','activated_at':'<at>'"),
    MODEL("Deprecated", "deprecated", STAGE(2), 3, 1,
          "'id':'<agg>','reason':'newer model','deprecated_at':'<at>'"),
};

const struct sim_fact_table facts_agent = {facts, ARRAY_LEN(facts)};
