/* policy: lower-case header names, identity in the payload, times named after the verb (E9). */
#include "source/sim/facts.h"

#include "base/slice.h"

#define POLICY(TYPE, squashed, from_, to_, weight_, more, fields)                                  \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "policy", .pool = POOL_POLICY, .from = from_,        \
        .to = to_, .weight = weight_, .flags = FACT_TIMED | (more),                                \
        .first = {.subject = "events.policy.<agg>." squashed,                                      \
                  .headers = "event-type: " TYPE "\naggregate-id: <agg>\n"                         \
                             "stream: POLICY_EVENTS\n",                                            \
                  .payload = "{'event_type':'" TYPE "','event_id':'<event>','identity':{"          \
                             "'correlation_id':{'kind':'<kind>','value':'<corr>'},"                \
                             "'causation_id':'<cause>','message_id':'<msg>'},"                     \
                             "'policy_id':'<agg>'," fields "}",                                    \
                  .flags = FORM_ID},                                                               \
    }

/* Stages: 1 drafted, 2 approved, 3 in force, 4 suspended. */
static const struct sim_fact facts[] = {
    POLICY("PolicyCreated", "policycreated", NEW, 1, 1, 0,
           "'name':'<policy>','description':'<rule>','policy_type':'<policytype>',"
           "'created_by':'sec','created_at':'<at>'"),
    POLICY("PolicyApproved", "policyapproved", STAGE(1), 2, 10, 0,
           "'approved_by':'<actor>','approved_at':'<at>'"),
    POLICY("PolicyActivated", "policyactivated", STAGE(2) | STAGE(4), 3, 10, 0,
           "'activated_by':'<actor>','activated_at':'<at>'"),
    POLICY("PolicyEvaluated", "policyevaluated", STAGE(3), 3, 12, 0,
           "'evaluation_id':'<ref>','evaluated_at':'<at>','context_hash':'<hex4>',"
           "'result':'Compliant','execution_time_ms':<1..40>"),
    POLICY("PolicyEvaluated", "policyevaluated", STAGE(3), 3, 4, 0,
           "'evaluation_id':'<ref>','evaluated_at':'<at>','context_hash':'<hex4>',"
           "'result':{'NonCompliant':{'violations':[{'rule_id':'<new>','rule_description':'<rule>',"
           "'severity':'<severity>','details':'<fault>','suggested_remediation':null}]}},"
           "'execution_time_ms':<1..40>"),
    POLICY("PolicyCompliancePassed", "policycompliancepassed", STAGE(3), 3, 4, 0,
           "'evaluation_id':'<ref>','passed_at':'<at>'"),
    POLICY(
        "PolicyViolationDetected", "policyviolationdetected", STAGE(3), 3, 1, FACT_FAILS,
        "'violation_id':'<ref>','severity':'<severity>','details':'<rule>','detected_at':'<at>'"),
    POLICY("PolicySuspended", "policysuspended", STAGE(3), 4, 1, 0,
           "'reason':'<pause>','suspended_by':'<actor>','suspended_at':'<at>'"),
    POLICY("PolicyArchived", "policyarchived", STAGE(4), END, 6, 0,
           "'archived_by':'<actor>','archived_at':'<at>'"),
};

const struct sim_fact_table facts_policy = {facts, ARRAY_LEN(facts)};
