/* infrastructure: event store append (E1), the service's byte copy (E2), flat NetBox events (E3).
 */
#include "source/sim/facts.h"

#include "base/slice.h"

/* The inner event; both copies carry the same one. Causation is null: the service never sets it. */
#define INNER(snake, fields)                                                                       \
    "{'type':'" snake "','event_version':1,'event_id':'<event>','aggregate_id':'<agg>',"           \
    "'timestamp':'<at>','correlation_id':'<corr>','causation_id':null," fields "}"

/* The envelope's event_id is the AGGREGATE's id, and so is its causation_id: a bug of the real
 * store. */
#define COMPUTE(TYPE, squashed, snake, token, from_, to_, weight_, fields)                         \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "compute_resource", .pool = POOL_COMPUTE,            \
        .from = from_, .to = to_, .weight = weight_, .flags = FACT_TIMED, .twin = TWIN_ID,         \
        .first = {.subject = "infrastructure.compute.<agg>." squashed,                             \
                  .payload =                                                                       \
                      "{'event_id':'<agg>','aggregate_id':'<agg>','sequence':<seq>,"               \
                      "'timestamp':'<at>','correlation_id':'<corr>','causation_id':'<agg>',"       \
                      "'event_type':'" TYPE "','data':{'aggregate_type':"                          \
                      "'compute_resource','event':" INNER(snake, fields) "},"                      \
                                                                         "'metadata':null}",       \
                  .flags = FORM_ID},                                                               \
        .second = {.subject = "infrastructure.compute.<agg>." token,                               \
                   .payload = INNER(snake, fields),                                                \
                   .flags = FORM_BYTES | FORM_ID},                                                 \
    }

/* Four fields, three tokens, no time and no correlation. */
#define FLAT(TYPE, agg_, verb, pool_, data)                                                        \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = agg_, .pool = pool_, .from = NEW | STAGE(1),         \
        .to = 1, .weight = 1,                                                                      \
        .first = {.subject = "infrastructure." agg_ "." verb,                                      \
                  .payload = "{'event_id':'<event>','aggregate_id':'<agg>','event_type':'" TYPE    \
                             "','data':{" data "}}",                                               \
                  .flags = FORM_ID},                                                               \
    }

static const struct sim_fact facts[] = {
    COMPUTE("ResourceRegistered", "resourceregistered", "resource_registered", "registered", NEW, 1,
            1, "'hostname':'<host>','resource_type':'<resource>'"),
    COMPUTE("OrganizationAssigned", "organizationassigned", "organization_assigned",
            "organization_assigned", STAGE(1), 1, 2, "'organization_id':{'id':'<ref>'}"),
    COMPUTE("LocationAssigned", "locationassigned", "location_assigned", "location_assigned",
            STAGE(1), 1, 2, "'location_id':{'id':'<ref>'}"),
    COMPUTE("OwnerAssigned", "ownerassigned", "owner_assigned", "owner_assigned", STAGE(1), 1, 2,
            "'owner_id':{'id':'<ref>'}"),
    COMPUTE("PolicyAdded", "policyadded", "policy_added", "policy_added", STAGE(1), 1, 2,
            "'policy_id':{'id':'<ref>'}"),
    COMPUTE("AccountConceptAssigned", "accountconceptassigned", "account_concept_assigned",
            "account_concept_assigned", STAGE(1), 1, 1, "'concept_id':'<concept>'"),
    COMPUTE("HardwareDetailsSet", "hardwaredetailsset", "hardware_details_set",
            "hardware_details_set", STAGE(1), 1, 1,
            "'manufacturer':'<vendor>','model':'<model>','serial_number':'SN<10000..99999>'"),
    COMPUTE("AssetTagAssigned", "assettagassigned", "asset_tag_assigned", "asset_tag_assigned",
            STAGE(1), 1, 1, "'asset_tag':'A-<1000..9999>'"),
    COMPUTE("MetadataUpdated", "metadataupdated", "metadata_updated", "metadata_updated", STAGE(1),
            1, 3, "'key':'rack','value':'r<1..40>'"),
    COMPUTE("StatusChanged", "statuschanged", "status_changed", "status_changed", STAGE(1), 1, 5,
            "'from_status':'provisioning','to_status':'active'"),

    FLAT("ComputeRegistered", "compute", "registered", POOL_FLAT_COMPUTE,
         "'id':'srv-<1..400>','hostname':'<host>','resource_type':'<resource>'"),
    FLAT("NetworkDefined", "network", "defined", POOL_FLAT_NETWORK,
         "'id':'net-lab-<10..99>','name':'Lab VLAN <10..99>','cidr':'10.<10..99>.0.0/24',"
         "'vlan_id':<10..99>"),
    FLAT("InterfaceAdded", "interface", "added", POOL_FLAT_INTERFACE,
         "'id':'if-<1..400>','device':'<host>','name':'eth<0..7>'"),
    FLAT("IPAssigned", "ip", "assigned", POOL_FLAT_IP,
         "'id':'ip-<1..400>','interface_id':'if-<1..400>','address':'10.<10..99>.0.<2..254>'"),
    FLAT("ConnectionEstablished", "connection", "established", POOL_FLAT_CONNECTION,
         "'from':'if-<1..400>','to':'if-<401..800>'"),
};

const struct sim_fact_table facts_infrastructure = {facts, ARRAY_LEN(facts)};
