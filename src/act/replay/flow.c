#include "act/replay/flow.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/u64map.h"

struct flow {
    struct u64map places;  /* stream and sequence of each */
    struct u64map members; /* ids of events whose effects are of the flow, too */
    struct u64map causes;  /* ids of events that are looked for */
    struct slice correlation;
    bool grown;
};

static uint64_t place_key(size_t stream, uint64_t seq)
{
    uint64_t parts[2] = {stream, seq};
    return XXH3_64bits(parts, sizeof parts);
}

static uint64_t text_key(struct slice text)
{
    return XXH3_64bits(text.ptr, text.len);
}

bool flow_has(const struct flow *flow, size_t stream, uint64_t seq)
{
    return u64map_get(&flow->places, place_key(stream, seq)) != NULL;
}

static bool holds(const struct u64map *map, struct slice text)
{
    return slice_present(text) && u64map_get(map, text_key(text));
}

static void add(struct u64map *map, struct slice text)
{
    bool fresh;
    if (slice_present(text))
        (void)u64map_put(map, text_key(text), &fresh);
}

static int look_at(void *context, const struct replay_event *event, struct error *err)
{
    struct flow *flow = context;
    const struct slice *field = event->row.view.field;
    if (event->row.malformed)
        return 0;
    bool member = (slice_present(field[EVENT_CORRELATION_ID]) &&
                   slice_eq(field[EVENT_CORRELATION_ID], flow->correlation)) ||
                  holds(&flow->members, field[EVENT_CAUSATION_ID]);
    if (!member && !holds(&flow->causes, field[EVENT_ID]))
        return 0;
    bool fresh;
    (void)u64map_put(&flow->places, place_key(event->stream, event->seq), &fresh);
    if (member)
        add(&flow->members, field[EVENT_ID]);
    add(&flow->causes, field[EVENT_CAUSATION_ID]);
    flow->grown = flow->grown || fresh;
    return flow->places.count <= FLOW_EVENTS_MAX
               ? 0
               : error_set(err, EXIT_CODE_REFUSED,
                           "--correlation: the flow has more than %d events; choose a part of it "
                           "by --from and --until",
                           FLOW_EVENTS_MAX);
}

static int find(struct selection *selection, struct flow *flow, struct error *err)
{
    uint64_t *read = xcalloc(selection->stream_count + 1, sizeof *read);
    struct feed feed = {
        .selection = selection, .with_views = true, .read = read, .each = look_at, .context = flow};
    int rc = 0, passes = 0;
    do {
        flow->grown = false;
        rc = feed_run(&feed, err);
    } while (rc == 0 && flow->grown && ++passes < FLOW_PASSES_MAX);
    free(read);
    if (rc == 0 && flow->grown)
        return error_set(err, EXIT_CODE_REFUSED,
                         "--correlation: causes of causes go on past %d passes", FLOW_PASSES_MAX);
    if (rc == 0 && !flow->places.count)
        return error_set(err, EXIT_CODE_PROBLEM, "no event has the correlation id '%.*s'",
                         SLICE_ARG(flow->correlation));
    return rc;
}

int flow_find(struct selection *selection, const char *correlation, struct flow **ret,
              struct error *err)
{
    struct flow *flow = xcalloc(1, sizeof *flow);
    flow->correlation = slice_of(correlation);
    *ret = NULL;
    if (find(selection, flow, err) < 0) {
        flow_free(flow);
        return -1;
    }
    *ret = flow;
    return 0;
}

void flow_free(struct flow *flow)
{
    if (!flow)
        return;
    u64map_done(&flow->places);
    u64map_done(&flow->members);
    u64map_done(&flow->causes);
    free(flow);
}
