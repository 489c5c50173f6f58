/* Which sources there are, and the table of the events that they tell. */
#include <stdio.h>

#include "source/observe_internal.h"

extern const struct source source_nats, source_host, source_gpu;

const struct source *const source_list[] = {
    &source_nats,
    &source_host,
    &source_gpu,
};
const size_t source_count = ARRAY_LEN(source_list);

/* What the agent tells of each source. */
static const struct source_event agent_events[] = {
    {"source", "<node>", "SourceStarted", "the agent begins to look",
     "`version`, `interval_seconds`"},
    {"source", "<node>", "SourceStopped", "the agent ends in order (not after `kill -9`)", ""},
    {"source", "<node>", "SourceSampled", "after every look",
     "`working`, `look_seconds`: how long the look took, `dropped_events`: since the agent's "
     "start, of all its sources, because NATS was away too long"},
    {"source", "<node>", "SourceFailed",
     "nothing could be seen; told again when the reason changes", "`reason`"},
    {"source", "<node>", "SourceRecovered", "it can be seen again", ""},
    {"source", "<node>", "SourceNotResponding",
     "a look takes longer than two intervals: a driver or a server hangs; the other sources go on",
     "`seconds`"},
    {"source", "<node>", "SourceResponding", "that look has ended", ""},
};

static bool row_is(const struct source_event *row, const char *aggregate, const char *type)
{
    return !strcmp(row->type, type) && !strcmp(row->aggregate, aggregate);
}

bool catalogue_has(const struct source *source, const char *aggregate, const char *type)
{
    for (size_t i = 0; i < source->event_count; i++) {
        if (row_is(&source->events[i], aggregate, type))
            return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(agent_events); i++) {
        if (row_is(&agent_events[i], aggregate, type))
            return true;
    }
    return false;
}

static void print_row(const char *domain, const struct source_event *row)
{
    (void)printf("| `ops.%s.%s.%s.%s` | %s | %s |\n", domain, row->aggregate, row->id, row->type,
                 row->when, row->data);
}

void observe_print_types(void)
{
    (void)printf("| subject | when | data |\n|---|---|---|\n");
    for (size_t i = 0; i < source_count; i++) {
        for (size_t n = 0; n < source_list[i]->event_count; n++)
            print_row(source_list[i]->name, &source_list[i]->events[n]);
    }
    for (size_t n = 0; n < ARRAY_LEN(agent_events); n++)
        print_row("<source>", &agent_events[n]);
}

const struct source *observe_source(const char *name)
{
    for (size_t i = 0; i < source_count; i++) {
        if (!strcmp(source_list[i]->name, name))
            return source_list[i];
    }
    return NULL;
}
