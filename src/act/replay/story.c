#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "act/replay/replay_internal.h"
#include "base/instant.h"
#include "base/shown.h"
#include "event/own.h"

enum { TELL_TIMEOUT_MS = 2000 };
static const int64_t silence_ns = 30 * NS_PER_SECOND; /* after one that could not be told */

/* Resident memory; 0: not known. */
static uint64_t memory_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    int got = file ? fscanf(file, "%lu %lu", &pages, &resident) : 0;
    if (file)
        (void)fclose(file);
    return got == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

json_t *story_figures(const struct replay *replay)
{
    const struct replay_figures *figures = &replay->figures;
    int64_t now = instant_monotonic_ns();
    double seconds = (double)(now - replay->told_ns + 1) / 1e9;
    json_t *data = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:f}", "target",
        replay_record_text(&replay->record, "target"), "read", (json_int_t)figures->read,
        "replayed", (json_int_t)figures->replayed, "skipped", (json_int_t)figures->skipped,
        "parked", (json_int_t)figures->parked, "retried", (json_int_t)figures->retried,
        "events_per_second", (double)(figures->replayed - replay->told_replayed) / seconds);
    if (memory_bytes())
        (void)json_object_set_new(data, "memory_bytes", json_integer((json_int_t)memory_bytes()));
    if (replay->last_stored_ns)
        (void)json_object_set_new(
            data, "lag_seconds",
            json_real((double)(instant_now_ns() - replay->last_stored_ns) / 1e9));
    return data;
}

void story_tell(struct replay *replay, const char *type, json_t *data)
{
    struct own_event event;
    struct error problem = ERROR_NONE;
    struct buf reply = {0};
    bool created;
    struct bus *bus = replay->selection.reader.bus;
    /* Nothing is told where nothing is kept; and what cannot be told holds nothing up. */
    int64_t now = instant_monotonic_ns();
    if (!replay->record.id[0] || now < replay->silent_until_ns) {
        json_decref(data);
        return;
    }
    (void)json_object_set_new(data, "replay", json_string(replay->record.id));
    own_event_build(&event, "replay", "replay", replay->record.id, type, ++replay->story_sequence,
                    replay->record.id, NULL, data);
    struct bus_header header = {SLICE("Nats-Msg-Id"), slice_of(event.event_id)};
    const char *name = buf_cstr(&event.subject);
    int rc = 0;
    if (!replay->ops_ensured)
        rc = stream_ensure_ops(bus, &created, &problem);
    replay->ops_ensured = rc == 0;
    if (rc == 0)
        rc = bus_request_with(bus, name, &header, 1, buf_slice(&event.payload), TELL_TIMEOUT_MS,
                              &reply, &problem);
    if (rc < 0)
        replay->silent_until_ns = instant_monotonic_ns() + silence_ns;
    if (rc < 0 && !replay->complained)
        shown_error("cim-ops replay: its events cannot be stored: %s\n", problem.text);
    replay->complained = replay->complained || rc < 0;
    buf_done(&reply);
    own_event_done(&event);
}
