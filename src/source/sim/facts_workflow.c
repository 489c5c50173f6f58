/* workflow: bare enums with all metadata in headers (E5), and the algebra publisher (E6). */
#include "source/sim/facts.h"

#include "base/slice.h"

/* X-Timestamp is epoch seconds; the message id is also the server's de-duplication id. */
#define HEADERS(TYPE, actor)                                                                       \
    "X-Message-ID: <event>\nX-Correlation-ID: <corr>\nX-Causation-ID: <cause>\n"                   \
    "X-Event-Type: " TYPE                                                                          \
    "\nX-Workflow-ID: <agg>\nX-Sequence: <seq>\nX-Timestamp: <epoch>\n" actor                      \
    "Nats-Msg-Id: <event>\n"
#define HUMAN  "X-Actor: <actor>\n"
#define NOBODY ""

#define BARE(TYPE, squashed, actor, fields)                                                        \
    {                                                                                              \
        .subject = "events.workflow.<agg>." squashed, .headers = HEADERS(TYPE, actor),             \
        .payload = "{'" TYPE "':{'workflow_id':'<agg>'," fields "}}",                              \
        .flags = FORM_ID | FORM_MSG_ID,                                                            \
    }
/* "cim" three times, the correlation id last, no aggregate id in the subject. */
#define ALGEBRA(group, GROUP, TYPE, squashed, context, data)                                       \
    {                                                                                              \
        .subject = "cim.cim.cim.workflow.instance." group "." squashed ".<corr>",                  \
        .payload =                                                                                 \
            "{'id':'<ref2>','event_type':{'" GROUP "':'" TYPE "'},'domain':'workflow',"            \
            "'correlation_id':'<corr>','causation_chain':{'root_correlation':'<corr>',"            \
            "'chain':['<corr>'],'relationships':{}},'timestamp':'<at>','payload':{'data':{" data   \
            "},'metadata':{}},'context':{'workflow_instance_id':'<agg>',"                          \
            "'step_instance_id':" context ",'template_id':null,'domain_context':{}}}",             \
        .flags = FORM_ID | FORM_OWN_ID,                                                            \
    }
#define CONTEXT                                                                                    \
    "{'variables':{'batch':<1..99>},'actor':'<actor>','metadata':{},'correlation_id':'<ref>',"     \
    "'tenant_id':null,'started_at':'<at>','updated_at':'<at>'}"

#define FLOW(TYPE, squashed, from_, to_, weight_, more, actor, fields)                             \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "workflow", .pool = POOL_WORKFLOW, .from = from_,    \
        .to = to_, .weight = weight_, .flags = FACT_TIMED | (more),                                \
        .first = BARE(TYPE, squashed, actor, fields),                                              \
    }
#define STEP(TYPE, squashed, weight_)                                                              \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "workflow", .pool = POOL_WORKFLOW, .from = STAGE(2), \
        .to = 2, .weight = weight_, .flags = FACT_TIMED,                                           \
        .first = ALGEBRA("step", "Step", TYPE, squashed, "'<ref>'", "'name':'<step>'"),            \
    }

/* Stages: 1 created, 2 running, 3 in a step, 4 paused. */
static const struct sim_fact facts[] = {
    FLOW("WorkflowCreated", "workflowcreated", NEW, 1, 1, 0, HUMAN,
         "'name':'<name>','description':'run <1..900>','metadata':{'team':'<team>'},"
         "'created_by':'<actor>','created_at':'<at>'"),
    {.event_type = "WorkflowStarted",
     .aggregate_type = "workflow",
     .pool = POOL_WORKFLOW,
     .from = STAGE(1),
     .to = 2,
     .weight = 12,
     .flags = FACT_TIMED,
     .first = BARE("WorkflowStarted", "workflowstarted", HUMAN,
                   "'context':" CONTEXT ",'started_by':'<actor>','started_at':'<at>'"),
     .second = ALGEBRA("lifecycle", "Lifecycle", "WorkflowStarted", "workflowstarted", "null",
                       "'name':'<name>'")},
    FLOW("StepAdded", "stepadded", STAGE(1) | STAGE(2), 2, 4, 0, NOBODY,
         "'step_id':'<ref>','name':'<step>','description':'<step>','step_type':'Automated',"
         "'config':{},'dependencies':[],'estimated_duration_minutes':<1..60>,'assigned_to':null,"
         "'added_by':'<actor>','added_at':'<at>'"),
    FLOW("StepExecutionStarted", "stepexecutionstarted", STAGE(2), 3, 16, FACT_OPENS, NOBODY,
         "'step_id':'<open>','step_type':'Automated','started_at':'<at>'"),
    FLOW("StepExecutionCompleted", "stepexecutioncompleted", STAGE(3), 2, 12, 0, NOBODY,
         "'step_id':'<open>','execution_result':'Success','execution_time_seconds':<1..90>,"
         "'completed_at':'<at>'"),
    FLOW("StepExecutionFailed", "stepexecutionfailed", STAGE(3), 2, 8, FACT_FAILS, NOBODY,
         "'step_id':'<open>','error':'<fault>','retry_count':<0..3>,'failed_at':'<at>'"),
    /* no time in the payload: only the header and the stream have one */
    FLOW("StepFailed", "stepfailed", STAGE(2) | STAGE(3), 2, 8, FACT_FAILS, NOBODY,
         "'step_id':'<ref>','reason':'<fault>'"),
    FLOW("WorkflowContextVariableSet", "workflowcontextvariableset", STAGE(2), 2, 4, 0, NOBODY,
         "'name':'batch','value':<1..99>,'set_by':'<actor>','set_at':'<at>'"),
    FLOW("TaskAssigned", "taskassigned", STAGE(2), 2, 3, 0, NOBODY,
         "'step_id':'<ref>','assigned_to':'<actor>','assigned_by':'<actor>','assigned_at':'<at>'"),
    STEP("StepStarted", "stepstarted", 3),
    STEP("StepCompleted", "stepcompleted", 3),
    FLOW("WorkflowPaused", "workflowpaused", STAGE(2), 4, 2, 0, HUMAN,
         "'reason':'<pause>','paused_by':'<actor>','paused_at':'<at>'"),
    FLOW("WorkflowResumed", "workflowresumed", STAGE(4), 2, 9, 0, HUMAN,
         "'resumed_by':'<actor>','resumed_at':'<at>'"),
    FLOW("WorkflowCompleted", "workflowcompleted", STAGE(2), END, 9, 0, NOBODY,
         "'final_context':" CONTEXT ",'completed_at':'<at>','duration_seconds':<5..4000>"),
    FLOW("WorkflowFailed", "workflowfailed", STAGE(2) | STAGE(3), END, 1, FACT_FAILS, NOBODY,
         "'error':'<fault>','failure_context':" CONTEXT
         ",'failed_at':'<at>','duration_seconds':<5..4000>,'recovery_actions':[]"),
    FLOW("WorkflowCancelled", "workflowcancelled", STAGE(4), END, 1, 0, HUMAN,
         "'reason':'<pause>','cancelled_by':'<actor>','cancelled_at':'<at>'"),
};

const struct sim_fact_table facts_workflow = {facts, ARRAY_LEN(facts)};
