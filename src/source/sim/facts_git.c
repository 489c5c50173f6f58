/* git: envelope with headers, bare event with headers, simple event, acknowledgements (E11). */
#include "source/sim/facts.h"

#include "base/slice.h"

#define HEADERS(TYPE, id, corr, cause, more)                                                       \
    "X-Event-ID: " id "\nX-Event-Type: " TYPE "\nX-Correlation-ID: " corr                          \
    "\nX-Causation-ID: " cause "\nX-Aggregate-ID: <agg>\nX-Timestamp: <at+>\nX-Domain: git\n" more
#define ENVELOPE(TYPE, fields)                                                                     \
    .headers = HEADERS(TYPE, "<event>", "<corr>", "<cause>",                                       \
                       "X-Schema-Version: 1\nX-User-ID: dev-<1..60>\n"),                           \
    .payload = "{'metadata':{'event_id':'<event>','correlation_id':'<corr>','causation_id':"       \
               "'<cause>','occurred_at':'<at>','schema_version':1,'user_id':'dev-<1..60>'},"       \
               "'event':{'event_type':'" TYPE "','repository_id':'<agg>'," fields                  \
               "'timestamp':'<then>'}}",                                                           \
    .flags = FORM_ID
/* publish_event: ids only in the headers, the correlation fresh for each event */
#define BARE(TYPE, fields)                                                                         \
    .headers = HEADERS(TYPE, "<event>", "<new>", "<event>", ""),                                   \
    .payload = "{'event_type':'" TYPE "','repository_id':'<agg>'," fields "'timestamp':'<at>'}",   \
    .flags = FORM_ID
#define SIMPLE(TYPE, data)                                                                         \
    .payload = "{'data':{" data "},'event_id':'<event>','event_type':'" TYPE                       \
               "','repository_id':'<agg>','timestamp':'<at+>'}",                                   \
    .flags = FORM_ID

#define GIT(TYPE, agg_, verb, from_, weight_, form)                                                \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = agg_, .pool = POOL_REPOSITORY, .from = from_,        \
        .to = 1, .weight = weight_, .flags = FACT_TIMED,                                           \
        .first = {.subject = "git.event." agg_ "." verb, form},                                    \
    }
#define ACK(STATUS, from_, to_, weight_, more, error_, ms)                                         \
    {                                                                                              \
        .event_type = "Command" STATUS, .aggregate_type = "command", .pool = POOL_COMMAND,         \
        .from = from_, .to = to_, .weight = weight_, .flags = FACT_TIMED | (more),                 \
        .first = {.subject = "git.ack.<agg>",                                                      \
                  .payload = "{'command_id':'<agg>','status':'" STATUS                             \
                             "','handler_id':'<handler>','timestamp':'<at>','message':null,"       \
                             "'error':" error_ ",'duration_ms':" ms "}"},                          \
    }

static const struct sim_fact facts[] = {
    GIT("RepositoryCloned", "repository", "cloned", NEW, 1,
        BARE("RepositoryCloned",
             "'remote_url':'https://git.example.org/ops/<repo>.git','local_path':'/srv/<repo>',")),
    GIT("RepositoryAnalyzed", "repository", "analyzed", STAGE(1), 2,
        SIMPLE("RepositoryAnalyzed", "'commits':<1..4000>")),
    GIT("CommitAnalyzed", "commit", "analyzed", STAGE(1), 8,
        ENVELOPE("CommitAnalyzed",
                 "'commit_hash':'<hex40>','parents':['<hex40>'],'author':{'name':'<author>',"
                 "'email':'<mail>'},'message':'<commit>','files_changed':[{'path':'<file>',"
                 "'change_type':'<change>','additions':<1..200>,'deletions':<0..90>}],"
                 "'commit_timestamp':'<at>',")),
    GIT("MergeDetected", "commit", "merged", STAGE(1), 1,
        ENVELOPE("MergeDetected", "'merge_commit':'<hex40>','source_branch':'<branch>',"
                                  "'target_branch':'main',")),
    GIT("BranchCreated", "branch", "created", STAGE(1), 3,
        BARE("BranchCreated", "'branch_name':'<branch>','commit_hash':'<hex40>','source_branch':"
                              "'main',")),
    GIT("BranchDeleted", "branch", "deleted", STAGE(1), 2,
        BARE("BranchDeleted", "'branch_name':'<branch>',")),
    GIT("TagCreated", "tag", "created", STAGE(1), 1,
        ENVELOPE("TagCreated", "'tag_name':'v1.<0..40>','commit_hash':'<hex40>',")),

    /* a command is answered once: received, perhaps in work, then an end */
    ACK("Received", NEW, 1, 1, 0, "null", "null"),
    ACK("Processing", STAGE(1), 2, 3, 0, "null", "null"),
    ACK("Completed", STAGE(1) | STAGE(2), END, 5, 0, "null", "<3..900>"),
    ACK("Failed", STAGE(1) | STAGE(2), END, 4, FACT_FAILS, "'<fault>'", "<3..900>"),
    ACK("Rejected", STAGE(1), END, 2, FACT_FAILS, "'<fault>'", "<1..5>"),
    ACK("TimedOut", STAGE(1) | STAGE(2), END, 2, FACT_FAILS, "'deadline exceeded'", "30000"),
};

const struct sim_fact_table facts_git = {facts, ARRAY_LEN(facts)};
