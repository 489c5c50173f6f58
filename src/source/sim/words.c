/* Word lists for templates, and the small tables of the simulated world. */
#include "source/sim/facts.h"
#include "source/sim/template.h"

const struct sim_domain_spec sim_domains[SIM_DOMAINS] = {
    [SIM_INFRASTRUCTURE] = {"infrastructure", 14, 7, FLOW_AGGREGATE},
    [SIM_AGENT] = {"agent", 16, 7, FLOW_AGGREGATE},
    [SIM_WORKFLOW] = {"workflow", 18, 4, FLOW_ROOTED},
    [SIM_PERSON] = {"person", 10, 7, FLOW_AGGREGATE},
    [SIM_ORGANIZATION] = {"organization", 8, 7, FLOW_SINGLE},
    [SIM_POLICY] = {"policy", 8, 7, FLOW_SINGLE},
    [SIM_LOCATION] = {"location", 6, 7, FLOW_AGGREGATE},
    [SIM_GIT] = {"git", 10, 4, FLOW_AGGREGATE},
    [SIM_NETWORK] = {"network", 10, 7, FLOW_AGGREGATE},
};

const struct sim_pool_spec sim_pools[SIM_POOLS] = {
    [POOL_COMPUTE] = {SIM_INFRASTRUCTURE, 500, 10},
    [POOL_FLAT_COMPUTE] = {SIM_INFRASTRUCTURE, 50, 1},
    [POOL_FLAT_NETWORK] = {SIM_INFRASTRUCTURE, 50, 1},
    [POOL_FLAT_INTERFACE] = {SIM_INFRASTRUCTURE, 50, 1},
    [POOL_FLAT_IP] = {SIM_INFRASTRUCTURE, 50, 1},
    [POOL_FLAT_CONNECTION] = {SIM_INFRASTRUCTURE, 50, 1},
    [POOL_AGENT] = {SIM_AGENT, 2000, 12},
    [POOL_MODEL] = {SIM_AGENT, 100, 1},
    [POOL_WORKFLOW] = {SIM_WORKFLOW, 1000, 1},
    [POOL_PERSON] = {SIM_PERSON, 2000, 1},
    [POOL_ORGANIZATION] = {SIM_ORGANIZATION, 500, 1},
    [POOL_POLICY] = {SIM_POLICY, 1000, 1},
    [POOL_LOCATION] = {SIM_LOCATION, 1000, 1},
    [POOL_REPOSITORY] = {SIM_GIT, 200, 3},
    [POOL_COMMAND] = {SIM_GIT, 200, 2},
    [POOL_DEVICE] = {SIM_NETWORK, 1500, 6},
    [POOL_LINK] = {SIM_NETWORK, 500, 3},
    [POOL_TOPOLOGY] = {SIM_NETWORK, 20, 1},
    [POOL_INVENTORY] = {SIM_NETWORK, 50, 1},
};

const char *const workflow_names[WORKFLOW_NAMES] = {
    "nightly-reindex", "onboard-person",   "deploy-agent",  "rotate-keys",
    "backup-verify",   "provision-device", "review-policy", "release-train",
};

const char *const chain_steps[] = {
    "PersonCreated",  "DepartmentCreated", "AgentDeployed",   "WorkflowCreated",
    "CommitAnalyzed", "PolicyEvaluated",   "LocationDefined", "DeviceDiscovered",
};
const size_t chain_step_count = ARRAY_LEN(chain_steps);

#define WORDS(name, ...) static const char *const words_##name[] = {__VA_ARGS__}
#define LIST(name)                                                                                 \
    {                                                                                              \
#name, words_##name, ARRAY_LEN(words_##name)                                               \
    }

WORDS(host, "edge-r7.lab.internal", "core-a1.lab.internal", "gpu-03.lab.internal",
      "store-2.lab.internal", "node-14.lab.internal", "gw-west.lab.internal");
WORDS(resource, "physical_server", "virtual_machine", "layer3_switch", "edge_device", "n_a_s");
WORDS(vendor, "Supermicro", "Dell", "Lenovo", "Juniper");
WORDS(model, "X13-8U", "R760", "SR650", "EX4400");
WORDS(concept, "acct-research", "acct-operations", "acct-lab");
WORDS(agent, "sage-west", "sage-east", "scout-2", "clerk-7", "warden", "scribe-lab");
WORDS(provider, "ollama", "anthropic", "openai");
WORDS(llm, "qwen3:8b", "m-large", "m-small", "llama3.3:70b");
WORDS(pause, "token budget exceeded", "waiting for review", "maintenance window", "badge lost");
WORDS(fault, "dependency failed", "connection refused", "deadline exceeded", "permission denied",
      "checksum mismatch", "lock timeout");
WORDS(question, "status of rack 7?", "summarise the night run", "which nodes are hot?",
      "draft the change note");
WORDS(answer, "pool drained", "all green", "two nodes above 80 C", "draft attached",
      "r\xc3\xa4"
      "ck 7 k\xc3\xb6hl");
WORDS(step, "fetch", "validate", "transform", "publish", "notify");
WORDS(actor, "ops", "hr-sync", "scheduler", "maria");
WORDS(team, "search", "platform", "lab", "field");
WORDS(given, "Maria", "Kaja", "J\xc3\xbcri", "Anna", "Tarvo", "Liis", "Paul", "In\xc3\xa9s");
WORDS(family, "Kask", "Saar", "Tamm", "M\xc3\xa4gi", "Rebane", "Ilves", "Olsen");
WORDS(source, "hris", "import", "self-service");
WORDS(org, "northwind-lab", "quarry-works", "harbor-compute", "midland-grid");
WORDS(orgname, "Northwind Lab", "Quarry Works", "Harbor Compute", "Midland Grid");
WORDS(department, "Operations", "Research", "Security", "Field Service");
WORDS(code, "OPS", "RND", "SEC", "FLD");
WORDS(policy, "mfa-required", "tls-minimum", "backup-daily", "two-person-rule");
WORDS(policytype, "access", "network", "retention");
WORDS(severity, "Low", "Medium", "High", "Critical");
WORDS(rule, "tls>=1.2", "mfa on console", "backup younger than 24 h", "no shared keys");
WORDS(place, "Rack hall B", "Rack hall A", "North yard", "Workshop 2");
WORDS(town, "Tartu", "P\xc3\xa4rnu", "Narva", "Viljandi");
WORDS(county, "Tartumaa", "P\xc3\xa4rnumaa", "Ida-Virumaa");
WORDS(repo, "wal", "scheduler", "ledger", "atlas", "probe");
WORDS(branch, "main", "release-2", "fix-retry", "feature-lag");
WORDS(file, "src/sched.c", "src/wal.c", "doc/guide.md", "flake.nix");
WORDS(change, "Modified", "Added", "Deleted");
WORDS(commit, "tune scheduler", "fix retry order", "add lag gauge", "bump inputs");
WORDS(author, "Kaja Saar", "Paul Olsen", "Liis Tamm");
WORDS(mail, "kaja@example.org", "paul@example.org", "liis@example.org");
WORDS(handler, "git-1", "git-2", "git-3");
WORDS(device, "AccessPoint", "Switch", "Gateway", "Router");
WORDS(profile, "edge-default", "core-default", "guest");

const struct word_list word_lists[] = {
    LIST(host),       LIST(resource), LIST(vendor), LIST(model),      LIST(concept),
    LIST(agent),      LIST(provider), LIST(llm),    LIST(pause),      LIST(fault),
    LIST(question),   LIST(answer),   LIST(step),   LIST(actor),      LIST(team),
    LIST(given),      LIST(family),   LIST(source), LIST(org),        LIST(orgname),
    LIST(department), LIST(code),     LIST(policy), LIST(policytype), LIST(severity),
    LIST(rule),       LIST(place),    LIST(town),   LIST(county),     LIST(repo),
    LIST(branch),     LIST(file),     LIST(change), LIST(commit),     LIST(author),
    LIST(mail),       LIST(handler),  LIST(device), LIST(profile),
};
const size_t word_list_count = ARRAY_LEN(word_lists);
