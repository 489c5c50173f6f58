/* person: V1 store (E7) and the V2 publisher's form of the same fact (E8). */
#include "source/sim/facts.h"

#include "base/slice.h"

/* EntityId is {"id":...}; correlation and causation are strings drawn at random. */
#define V1(TYPE, token, fields)                                                                    \
    {                                                                                              \
        .subject = "person.events.<agg>." token, .event_type = TYPE,                               \
        .payload = "{'aggregate_id':{'id':'<agg>'},'sequence':<seq>,'event':{'" TYPE               \
                   "':{'person_id':{'id':'<agg>'}," fields "}},'timestamp':'<then>',"              \
                   "'correlation_id':'<new>','causation_id':'<new>'}",                             \
    }
/* Five tokens, the time only in event.data.metadata. */
#define V2(TYPE, token, fields)                                                                    \
    {                                                                                              \
        .subject = "person.events.<agg>.person." token, .event_type = TYPE,                        \
        .payload = "{'event_id':'<event>','aggregate_id':{'id':'<agg>'},'sequence':<seq>,"         \
                   "'event':{'event_type':'" TYPE "','data':{'person_id':{'id':'<agg>'}," fields   \
                   "'metadata':{'version':'1.0','correlation_id':'<corr>','causation_id':"         \
                   "'<cause>','timestamp':'<at>','actor':'<actor>','context':{}}}},"               \
                   "'stream_position':null}",                                                      \
        .flags = FORM_ID,                                                                          \
    }
#define FACT(TYPE, from_, to_, weight_)                                                            \
    .event_type = TYPE, .aggregate_type = "person", .pool = POOL_PERSON, .from = from_, .to = to_, \
    .weight = weight_, .flags = FACT_TIMED, .twin = TWIN_TIME
#define NAME                                                                                       \
    "{'components':{'given_names':['<given>'],'family_names':['<family>'],'patronymic':null,"      \
    "'matronymic':null,'prefixes':[],'suffixes':[]},'preferred_form':null,"                        \
    "'naming_convention':'Western'}"

/* Stages: 1 active, 2 suspended or deactivated. */
static const struct sim_fact facts[] = {
    {FACT("PersonCreated", NEW, 1, 1),
     .first =
         V1("PersonCreated", "created", "'name':" NAME ",'source':'<source>','created_at':'<at>'"),
     .second = V2("Created", "created", "'name':" NAME ",'source':'<source>',")},
    {FACT("NameUpdated", STAGE(1), 1, 6),
     .first =
         V1("NameUpdated", "name_updated",
            "'old_name':" NAME ",'new_name':" NAME ",'change_reason':null,'updated_at':'<at>'"),
     .second = V2("NameUpdated", "name_updated", "'old_name':" NAME ",'new_name':" NAME ",")},
    {FACT("BirthDateSet", STAGE(1), 1, 4),
     .first = V1("BirthDateSet", "birth_date_set",
                 "'birth_date':'19<50..99>-0<1..9>-1<0..9>',"
                 "'set_at':'<at>'"),
     .second = V2("BirthDateSet", "birth_date_set", "'birth_date':'19<50..99>-0<1..9>-1<0..9>',")},
    {FACT("AttributeRecorded", STAGE(1), 1, 8),
     .first = V1("AttributeRecorded", "attribute_recorded",
                 "'attribute':{'attribute_type':'badge','value':'B<1000..9999>'},"
                 "'recorded_at':'<at>'")},
    {FACT("PersonDeactivated", STAGE(1), 2, 1),
     .first = V1("PersonDeactivated", "deactivated", "'reason':'<pause>','deactivated_at':'<at>'")},
    {FACT("PersonReactivated", STAGE(2), 1, 3),
     .first =
         V1("PersonReactivated", "reactivated", "'reason':'returned','reactivated_at':'<at>'")},
    {FACT("PersonMergedInto", STAGE(1) | STAGE(2), END, 1), .other = POOL_PERSON,
     .first = V1("PersonMergedInto", "merged",
                 "'merged_into_id':{'id':'<other>'},'merge_reason':'duplicate','merged_at':'<at>'"),
     .second = V2("PersonMerged", "merged", "'merged_into_id':{'id':'<other>'},")},
    {FACT("Suspended", STAGE(1), 2, 2),
     .first = V2("Suspended", "suspended", "'reason':'<pause>',")},
    {FACT("Activated", STAGE(2), 1, 3),
     .first = V2("Activated", "activated", "'reason':'returned',")},
    {FACT("Archived", STAGE(2), END, 2),
     .first = V2("Archived", "archived", "'reason':'left company',")},
};

const struct sim_fact_table facts_person = {facts, ARRAY_LEN(facts)};
