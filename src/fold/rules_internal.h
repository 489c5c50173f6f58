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
