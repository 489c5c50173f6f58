/* location: external tag, no time and no correlation anywhere; store `a_b`, adapter `a.b` (E10). */
#include "source/sim/facts.h"

#include "base/slice.h"

#define FORM(TYPE, token, fields)                                                                  \
    {                                                                                              \
        .subject = "events.location.<agg>." token,                                                 \
        .headers = "event-type: " TYPE "\naggregate-id: <agg>\n",                                  \
        .payload = "{'" TYPE "':{'location_id':'<agg>'," fields "}}",                              \
    }
#define LOCATION(TYPE, token, dotted, twin_, from_, to_, weight_, fields)                          \
    {                                                                                              \
        .event_type = TYPE, .aggregate_type = "location", .pool = POOL_LOCATION, .from = from_,    \
        .to = to_, .weight = weight_, .other = POOL_LOCATION, .twin = (twin_),                     \
        .first = FORM(TYPE, token, fields), .second = FORM(TYPE, dotted, fields),                  \
    }

/* Where both say one word, nothing tells the two forms apart: they are two events (TWIN_NONE). */
static const struct sim_fact facts[] = {
    LOCATION("LocationDefined", "defined", "defined", TWIN_NONE, NEW, 1, 1,
             "'name':'<place>','location_type':'Physical','address':{'street1':'<1..90> Quarry Rd',"
             "'street2':null,'locality':'<town>','region':'<county>','country':'EE',"
             "'postal_code':'<51000..51999>'},'coordinates':{'latitude':58.<100..999>7,'longitude':"
             "26.<100..998>9,'altitude':null,'coordinate_system':'WGS84'},'virtual_location':null,"
             "'parent_id':null"),
    LOCATION("LocationUpdated", "updated", "updated", TWIN_NONE, STAGE(1), 1, 5,
             "'name':'<place>','address':null,'coordinates':null,'reason':'survey'"),
    LOCATION("ParentLocationSet", "parent_set", "parent.set", TWIN_BYTES, STAGE(1), 1, 5,
             "'parent_id':'<other>','previous_parent_id':null,'reason':'campus tree'"),
    LOCATION("ParentLocationRemoved", "parent_removed", "parent.removed", TWIN_BYTES, STAGE(1), 1,
             2, "'previous_parent_id':'<other>','reason':'campus tree'"),
    LOCATION("LocationMetadataAdded", "metadata_added", "metadata.added", TWIN_BYTES, STAGE(1), 1,
             6, "'metadata':{'rack':'r<1..40>'},'reason':'survey'"),
    LOCATION("LocationArchived", "archived", "archived", TWIN_NONE, STAGE(1), END, 2,
             "'reason':'closed'"),
};

const struct sim_fact_table facts_location = {facts, ARRAY_LEN(facts)};
