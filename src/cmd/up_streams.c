/*
 * The streams of a local stack: CIM-EVENTS and CIM-OPS in a server of our own, nothing but CIM-OPS
 * in anybody else's. Runs as a task, in a child: the NATS client has threads of its own, and the
 * process that forks children must have none.
 *
 * What it prints last becomes the note beside the part.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "bus/stream.h"
#include "cmd/up.h"
#include "stack/child.h"

/*
 * Every subject that CIM domains publish events on (events.md, "32 subject layouts"). Subjects of
 * commands and queries are left out: a stream on a request's subject answers the requester itself.
 */
static const char *const event_subjects[] = {
    "cim.>",
    "events.>",
    "infrastructure.>",
    "agent.events.>",
    "agent.model_config.events.>",
    "person.events.>",
    "person.dlq.>",
    "organization.events.>",
    "git.event.>",
    "git.ack.>",
    "network.*.*",
    "local.cim.>",
    "graph.>",
    "graphs.>",
    "keys.events.>",
    "saga.events.>",
    "bridge.event.>",
    "dialog.>",
    "workflows.>",
    "deployment.*.events",
};

static const char *const ops_subjects[] = {OPS_SUBJECT};

#define STREAM_EVENTS_NAME "CIM-EVENTS"

static int open_bus(const struct up *up, struct bus **ret, struct error *err)
{
    struct bus_options options = nats_bus_options(&up->values->nats, "cim-ops up");
    options.url = up->nats_url;
    return bus_open(ret, &options, err);
}

/* The stream that could hold messages of this subject too, or NULL. */
static const struct stream_info *captured_by(const struct stream_list *streams, const char *subject)
{
    for (size_t i = 0; i < streams->count; i++) {
        const struct stream_info *info = &streams->items[i];
        for (size_t n = 0; n < info->subject_count; n++) {
            if (subject_filters_overlap(slice_of(info->subjects[n]), slice_of(subject)))
                return info;
        }
    }
    return NULL;
}

static bool has_stream(const struct stream_list *streams, const char *name)
{
    for (size_t i = 0; i < streams->count; i++) {
        if (strcmp(streams->items[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Creates the stream with those subjects that no other stream captures, and says how it went. */
static int make_stream(struct bus *bus, const struct stream_list *streams, const char *name,
                       const char *const *subjects, size_t count, struct buf *said,
                       struct error *err)
{
    const char *free_subjects[ARRAY_LEN(event_subjects)];
    size_t free_count = 0;
    bool created = false;
    if (said->len)
        buf_add_str(said, ", ");
    buf_add_str(said, name);
    if (has_stream(streams, name)) {
        buf_add_str(said, " was there");
        return 0;
    }
    const struct stream_info *other = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct stream_info *holder = captured_by(streams, subjects[i]);
        if (holder)
            other = holder;
        else
            free_subjects[free_count++] = subjects[i];
    }
    if (free_count == 0) {
        buf_addf(said, " not needed: %s captures %s", other->name, subjects[0]);
        return 0;
    }
    if (stream_ensure(bus, name, free_subjects, free_count, &created, err) < 0)
        return error_wrap(err, "stream %s", name);
    buf_add_str(said, created ? " created" : " was there");
    if (free_count < count)
        buf_addf(said, " (without %zu of %zu subjects, which other streams capture)",
                 count - free_count, count);
    return 0;
}

static int make_streams(const struct up *up, struct bus *bus, struct buf *said, struct error *err)
{
    struct stream_list streams = {0};
    if (stream_list(bus, &streams, err) < 0)
        return -1;
    int result = 0;
    if (!up->is_foreign)
        result = make_stream(bus, &streams, STREAM_EVENTS_NAME, event_subjects,
                             ARRAY_LEN(event_subjects), said, err);
    if (result == 0)
        result = make_stream(bus, &streams, OPS_STREAM, ops_subjects, ARRAY_LEN(ops_subjects), said,
                             err);
    stream_list_done(&streams);
    if (up->is_foreign)
        buf_add_str(said, ", nothing else");
    return result;
}

/* Runs `work` on a bus of its own; what it says or why it failed is printed. Returns an exit code.
 */
static int with_bus(const struct up *up,
                    int (*work)(const struct up *, struct bus *, struct buf *, struct error *))
{
    struct error err = ERROR_NONE;
    struct bus *bus = NULL;
    CLEANUP_BUF struct buf said = {0};
    int result = open_bus(up, &bus, &err);
    if (result == 0)
        result = work(up, bus, &said, &err);
    bus_close(bus);
    (void)printf("%s\n", result == 0 ? buf_cstr(&said) : err.text);
    (void)fflush(stdout);
    return result == 0 ? EXIT_CODE_DONE : (int)err.code;
}

int up_streams_task(void *context)
{
    return with_bus(context, make_streams);
}

static int only_look(const struct up *up, struct bus *bus, struct buf *said, struct error *err)
{
    (void)up, (void)bus, (void)said, (void)err;
    return 0;
}

static int check_server_task(void *context)
{
    return with_bus(context, only_look);
}

int up_check_server(struct up *up, struct error *err)
{
    struct child_spec spec = {.task = check_server_task, .context = up};
    CLEANUP_BUF struct buf output = {0};
    int status = 0;
    if (child_run(&spec, 2 * BUS_TIMEOUT_MS, &output, &status, err) < 0)
        return -1;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CODE_INTERNAL;
    if (code == EXIT_CODE_DONE)
        return 0;
    while (output.len && output.ptr[output.len - 1] == '\n')
        output.len--;
    return error_set(err, (enum exit_code)code, "%s", buf_cstr(&output));
}
