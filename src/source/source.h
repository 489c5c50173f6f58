/*
 * source: something that is looked at every interval, and what of it becomes events.
 *
 * A source is one `struct source`, in a folder of its own (nats/, host/, gpu/). The agent
 * (source/observe.h) opens it, calls observe() every interval from a thread that belongs to this
 * source alone, and publishes what it tells. A source never touches NATS to publish, knows nothing
 * of other sources, and may hang: the agent says so (SourceNotResponding) and goes on with the
 * others.
 *
 * Two sorts of events:
 *   samples      how it stands: numbers. They say for how long they hold (`valid_seconds`); folds
 *                let series end that were not told again by then.
 *   transitions  what happened: told once, when it is seen.
 *
 * What a thing does not tell is left out of its sample, never 0; why it is missing goes into the
 * sample's "absent" ({field: reason}). Each source lists the types that it tells (struct
 * source_event): the table in doc/operations/events.md is made of them, and a type that is not
 * there is not told.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"
#include "bus/bus.h"

struct source_sink; /* where events go; any thread may tell */

/*
 * `id` says which one of its kind, over all machines of the site. `data` is taken over; the agent
 * adds "node". Never blocks: what cannot be published waits, within limits.
 */
void source_tell(struct source_sink *sink, const char *aggregate, const char *id, const char *type,
                 json_t *data);
/* A sample, with "valid_seconds": of valid_ns, or of three intervals when that is 0. */
void source_sample(struct source_sink *sink, const char *aggregate, const char *id,
                   const char *type, int64_t valid_ns, json_t *data);

struct source_options {
    const char *node; /* this machine's name in events */
    int64_t interval_ns;
    const char *root;      /* put before /proc, /sys and the like; "" but in tests */
    const char *nvml;      /* the NVIDIA library; NULL: libnvidia-ml.so.1 */
    const char *nats_http; /* monitoring addresses of NATS servers, separated by commas; or NULL */
    const struct bus_options *nats_system; /* the system account; or NULL */
    int64_t stall_after_ns;                /* a consumer without progress is stalled after this */
};

/* One row of the table of events: ops.<source>.<aggregate>.<id>.<type>. */
struct source_event {
    const char *aggregate;
    const char *id; /* what the id is, e.g. "<node>" */
    const char *type;
    const char *when; /* markdown, as `data` */
    const char *data; /* but "node", and "valid_seconds" of samples; "" when there is no more */
};

struct source {
    const char *name; /* the verb's word, and the domain of the events */
    const struct source_event *events;
    size_t event_count;
    /*
     * Cheap, and does not wait for anything remote. EXIT_CODE_PROBLEM: there is no such thing on
     * this machine (no GPU); the options' texts live as long as the source.
     */
    int (*open)(const struct source_options *options, void **ret, struct error *err);
    /*
     * One look. Fails when nothing could be seen at all (SourceFailed, and SourceRecovered when it
     * works again); what fails in part is an event of the source's own.
     */
    int (*observe)(void *state, struct source_sink *sink, struct error *err);
    void (*close)(void *state);
};

/* All there are; names as in the verb's operands. */
extern const struct source *const source_list[];
extern const size_t source_count;
