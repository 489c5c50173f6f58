/* organization: the service's subject without headers, the adapter's with X- headers (E9). */
#include "source/sim/facts.h"

#include "base/slice.h"

#define IDENTITY                                                                                   \
    "'identity':{'correlation_id':{'kind':'<kind>','value':'<corr>'},'causation_id':'<cause>',"    \
    "'message_id':'<msg>'}"
#define BODY(TYPE, before, fields)                                                                 \
    "{'event_type':'" TYPE "','event_id':'<event>'," IDENTITY "," before                           \
    "'organization_id':{'id':'<agg>'}," fields "'occurred_at':'<at>'}"
#define ORGANIZATION(TYPE, token, dotted, from_, to_, weight_, before, fields)                     \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "organization", .pool = POOL_ORGANIZATION,           \
        .from = from_, .to = to_, .weight = weight_, .flags = FACT_TIMED, .twin = TWIN_ID,         \
        .first = {.subject = "organization.events.<agg>." token,                                   \
                  .payload = BODY(TYPE, before, fields),                                           \
                  .flags = FORM_ID},                                                               \
        .second = {.subject = "events.organization.<agg>." dotted,                                 \
                   .headers = "X-Correlation-ID: <corr>\nX-Aggregate-ID: <agg>\n"                  \
                              "X-Event-Type: " TYPE "\n",                                          \
                   .payload = BODY(TYPE, before, fields),                                          \
                   .flags = FORM_ID},                                                              \
    }

static const struct sim_fact facts[] = {
    ORGANIZATION(
        "OrganizationCreated", "created", "created", NEW, 1, 1, "",
        "'name':'<org>','display_name':'<orgname>','organization_type':{'Other':'Research'},"
        "'parent_id':null,'metadata':{},"),
    ORGANIZATION("OrganizationUpdated", "updated", "updated", STAGE(1), 1, 6, "",
                 "'name':'<org>','display_name':'<orgname>',"),
    ORGANIZATION("DepartmentCreated", "department_created", "department.created", STAGE(1), 1, 6,
                 "'department_id':{'id':'<ref>'},",
                 "'parent_department_id':null,'name':'<department>','code':'<code>',"),
    ORGANIZATION("TeamFormed", "team_formed", "team.formed", STAGE(1), 1, 5,
                 "'team_id':{'id':'<ref>'},", "'department_id':null,'name':'<team>',"),
    ORGANIZATION("RoleCreated", "role_created", "role.created", STAGE(1), 1, 5,
                 "'role_id':{'id':'<ref>'},", "'title':'<department> lead',"),
    ORGANIZATION("FacilityCreated", "facility_created", "facility.created", STAGE(1), 1, 3,
                 "'facility_id':{'id':'<ref>'},", "'name':'<place>',"),
    ORGANIZATION("OrganizationStatusChanged", "status_changed", "status.changed", STAGE(1), 1, 3,
                 "", "'new_status':'Active','previous_status':'Pending','reason':null,"),
    ORGANIZATION("OrganizationDissolved", "dissolved", "dissolved", STAGE(1), END, 1, "",
                 "'reason':'merged away',"),
};

const struct sim_fact_table facts_organization = {facts, ARRAY_LEN(facts)};
