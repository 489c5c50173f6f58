/* network: PascalCase type token, no id in the subject, id and time only in headers. */
#include "source/sim/facts.h"

#include "base/slice.h"

#define NETWORK(TYPE, agg_, pool_, from_, to_, weight_, more, fields)                              \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = agg_, .pool = pool_, .from = from_, .to = to_,       \
        .weight = weight_, .flags = FACT_TIMED | (more),                                           \
        .first = {.subject = "network." agg_ "." TYPE,                                             \
                  .headers = "Nats-Msg-Id: <agg>-" TYPE "-<nanos>\nCIM-Aggregate-Id: <agg>\n"      \
                             "CIM-Event-Type: " TYPE "\nCIM-Timestamp: <at+>\n"                    \
                             "?CIM-Correlation-Id: <corr>\n",                                      \
                  .payload = "{'" TYPE "':{" fields "}}",                                          \
                  .flags = FORM_ID | FORM_MSG_ID},                                                 \
    }
#define DEVICE(TYPE, from_, to_, weight_, more, fields)                                            \
    NETWORK(TYPE, "device", POOL_DEVICE, from_, to_, weight_, more, "'device_id':'<agg>'" fields)
#define LINK(TYPE, from_, to_, weight_, fields)                                                    \
    NETWORK(TYPE, "connection", POOL_LINK, from_, to_, weight_, 0,                                 \
            "'connection_id':'<agg>'," fields)

/* Stages of a device: 1 discovered, 2 provisioned, 3 being configured, 4 in service. */
static const struct sim_fact facts[] = {
    DEVICE("DeviceDiscovered", NEW, 1, 1, 0,
           ",'mac':[2,66,172,<0..255>,<0..254>,<1..255>],'device_type':'<device>',"
           "'ip_address':'10.30.0.<2..254>'"),
    DEVICE("DeviceAdopting", STAGE(1), 1, 2, 0, ""),
    DEVICE("DeviceProvisioned", STAGE(1), 2, 8, 0, ",'name':'<host>'"),
    DEVICE("DeviceConfiguring", STAGE(2) | STAGE(4), 3, 6, 0, ",'profile':'<profile>'"),
    DEVICE("DeviceConfigured", STAGE(3), 4, 6, 0, ",'profile':'<profile>'"),
    DEVICE("DeviceRenamed", STAGE(2) | STAGE(4), 2, 1, 0,
           ",'old_name':'<host>','new_name':'<host>'"),
    DEVICE("DeviceError", STAGE(1) | STAGE(2) | STAGE(3) | STAGE(4), 2, 1, FACT_FAILS,
           ",'error':'<fault>'"),
    DEVICE("DeviceDecommissioned", STAGE(4), END, 1, 0, ",'reason':'replaced'"),

    LINK("ConnectionEstablished", NEW, 1, 1, "'from_device':'<ref>','to_device':'<ref2>'"),
    LINK("ConnectionLinkChanged", STAGE(1) | STAGE(2), 2, 3, "'link_up':false,'speed':null"),
    LINK("ConnectionLinkChanged", STAGE(1) | STAGE(2), 1, 6, "'link_up':true,'speed':<1..10>000"),
    LINK("ConnectionRemoved", STAGE(2), END, 1, "'reason':'<fault>'"),

    NETWORK("TopologyCreated", "topology", POOL_TOPOLOGY, NEW | STAGE(1), 1, 1, 0,
            "'topology_id':'<agg>','name':'lab-<1..9>'"),
    NETWORK("IpAddressAllocated", "inventory", POOL_INVENTORY, NEW | STAGE(1), 1, 1, 0,
            "'subnet_id':'<agg>','ip_address':'10.30.0.<2..254>','device_id':'<ref>'"),
};

const struct sim_fact_table facts_network = {facts, ARRAY_LEN(facts)};
