/* For siblings in src/fold only: what loading rules is made of. */
#pragma once

#include "config/yaml.h"
#include "fold/rules.h"

/* The meaning of a subtree, whatever its comments and layout. */
uint64_t rules_fingerprint(const struct yaml_node *node, uint64_t seed);
/* Appends what an entry of `metrics:` declares to rules->metrics. */
int rules_load_metric(struct rules *rules, const struct yaml_node *node, const char *file,
                      struct error *err);
void rules_free_metric(struct metric_rule *rule);
int rules_load_labels(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                      struct error *err);
/* What only spans, absent rules and ratios have; `ret` has its role, labels come before. */
int rules_load_role(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                    struct error *err);
/* `expires` of a gauge: a duration, or where the event says it in seconds. */
int rules_load_expires(struct rules *rules, const struct yaml_node *node, struct metric_rule *ret,
                       struct error *err);
/* Keys that do not belong to the rule's kind. */
int rules_check_role(const struct yaml_node *node, const struct metric_rule *rule,
                     struct error *err);
/* A text that lives as long as the rules; it is handed over. */
const char *rules_keep(struct rules *rules, char *text);
