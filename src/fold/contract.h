/*
 * contract: the data contracts under rules/schemas/, one JSON Schema per domain and event type.
 *
 * rules/schemas/<domain>/<EventType>.json is for the events that the event view gives this domain
 * and type. It is held against the whole payload as the producer wrote it (an array of byte numbers
 * decoded first). Files in folders whose name begins with _ are there to be referred to. Whether
 * an event has a contract is found out once per class; those without cost nothing.
 *
 * Violations are counted by a metric rule of the engine's own, cim_event_schema_violations_total:
 * so it is saved, resumed and, when a schema has changed, folded anew like the metric of any rule.
 */
#pragma once

#include "fold/engine_internal.h"

/* Reads <folder>/schemas, if there is one; the last step of rules_load(). */
int contracts_load(struct rules *rules, const char *folder, struct error *err);
/* The contract for events of this domain and type, or NULL. */
const struct schema *contract_find(const struct rules *rules, const struct slice *class_fields);
/* The event at hand against its contract; a violation is reported. */
enum schema_verdict contract_check(struct engine *engine, const struct stream_state *state,
                                   const struct schema *contract);
