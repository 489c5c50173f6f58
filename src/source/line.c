/* The line on which events leave: acknowledged by JetStream, or printed. */
#include <stdio.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/publisher.h"
#include "bus/stream.h"
#include "source/observe_internal.h"
#include "json/write.h"

enum { BATCH_MAX = 256, SEND_TIMEOUT_MS = 2000 };
#define PAUSE_NS_MAX (5 * NS_PER_SECOND)

/* All but the audit of each API request, which would answer our own reading with more to read. */
static const char *const advisory_subjects[] = {
    "$JS.EVENT.ADVISORY.STREAM.>",          "$JS.EVENT.ADVISORY.CONSUMER.>",
    "$JS.EVENT.ADVISORY.DOMAIN.>",          "$JS.EVENT.ADVISORY.SERVER.>",
    "$JS.EVENT.ADVISORY.API.LIMIT_REACHED",
};

struct delivery_line {
    bool prints, quiet;
    bool advisories; /* still to be captured */
    struct bus_options options;
    struct bus *bus;
    struct publisher *publisher;
    struct own_event batch[BATCH_MAX]; /* on its way; sent again until it is acknowledged */
    bool stored[BATCH_MAX];
    size_t count;
    bool stream_there, complained; /* a stream takes our events, as far as we know */
    int64_t pause_ns, pause_until;
    struct error err;
};

struct delivery_line *line_new(const struct bus_options *nats, bool quiet, bool advisories)
{
    struct delivery_line *line = xcalloc(1, sizeof *line);
    line->prints = !nats;
    line->quiet = quiet;
    line->advisories = advisories;
    if (nats)
        line->options = *nats;
    return line;
}

void line_free(struct delivery_line *line)
{
    if (!line)
        return;
    for (size_t i = 0; i < line->count; i++)
        own_event_done(&line->batch[i]);
    publisher_free(line->publisher);
    bus_close(line->bus);
    free(line);
}

static void print_event(const struct own_event *event)
{
    CLEANUP_BUF struct buf subject = {0};
    json_add_string(&subject, buf_slice(&event->subject));
    (void)printf("{\"subject\":%.*s,\"payload\":%.*s}\n", SLICE_ARG(buf_slice(&subject)),
                 SLICE_ARG(buf_slice(&event->payload)));
}

/* --- JetStream -------------------------------------------------------------------------------- */

static void on_ack(void *context, const struct publisher_ack *ack)
{
    struct delivery_line *line = context;
    if (ack->tag >= line->count)
        return;
    line->stored[ack->tag] = !ack->error;
    line->stream_there = line->stream_there && !ack->no_stream;
    if (ack->error)
        (void)error_set(&line->err, EXIT_CODE_UNREACHABLE, "JetStream did not take %.*s: %s",
                        SLICE_ARG(buf_slice(&line->batch[ack->tag].subject)), ack->error);
}

/* Where there is no such stream yet, again when there is one. Where another stream has them, or we
 * may not, they are not ours to capture. */
static void capture_advisories(struct delivery_line *line)
{
    struct error err = ERROR_NONE;
    if (!line->advisories)
        return;
    int result = stream_add_subjects(line->bus, OPS_STREAM, advisory_subjects,
                                     ARRAY_LEN(advisory_subjects), &err);
    line->advisories = result < 0 && err.code == EXIT_CODE_PROBLEM;
    if (result < 0 && !line->advisories && !line->quiet)
        (void)fprintf(stderr, "cim-ops observe: JetStream's advisories are not captured: %s\n",
                      err.text);
}

/* Where no stream takes our events, they get one. */
static int have_stream(struct delivery_line *line)
{
    struct error err = ERROR_NONE;
    CLEANUP_BUF struct buf name = {0};
    bool created;
    if (line->stream_there)
        return 0;
    if (stream_of_subject(line->bus, OPS_SUBJECT, &name, &err) < 0) {
        if (err.code != EXIT_CODE_PROBLEM) {
            line->err = err;
            return -1;
        }
        if (stream_ensure_ops(line->bus, &created, &line->err) < 0)
            return -1;
    }
    line->stream_there = true;
    capture_advisories(line);
    return 0;
}

static int connect_line(struct delivery_line *line)
{
    if (line->bus && bus_is_closed(line->bus)) {
        publisher_free(line->publisher);
        bus_close(line->bus);
        line->publisher = NULL;
        line->bus = NULL;
    }
    if ((!line->bus && bus_open(&line->bus, &line->options, &line->err) < 0) ||
        have_stream(line) < 0)
        return -1;
    if (!line->publisher)
        return publisher_new(line->bus, BATCH_MAX, on_ack, line, &line->publisher, &line->err);
    return 0;
}

static int send_batch(struct delivery_line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        const struct own_event *event = &line->batch[i];
        struct bus_header header = {SLICE("Nats-Msg-Id"), slice_of(event->event_id)};
        if (publisher_send(line->publisher, i, buf_slice(&event->subject), &header, 1,
                           buf_slice(&event->payload), SEND_TIMEOUT_MS, &line->err) < 0)
            return -1;
    }
    return publisher_wait(line->publisher, SEND_TIMEOUT_MS, &line->err);
}

static void keep_unstored(struct delivery_line *line)
{
    size_t kept = 0;
    for (size_t i = 0; i < line->count; i++) {
        if (line->stored[i])
            own_event_done(&line->batch[i]);
        else
            line->batch[kept++] = line->batch[i];
    }
    line->count = kept;
}

static void complain(struct delivery_line *line, struct waiting *waiting)
{
    if (!line->complained && !line->quiet)
        (void)fprintf(stderr, "cim-ops observe: %s; events wait (%zu now, %d at most)\n",
                      line->err.text, waiting_count(waiting) + line->count,
                      2 * OBSERVE_WAITING_MAX);
    line->complained = true;
}

/* Sends what is in the batch. What the link swallowed is sent again under its old id. */
static void deliver(struct delivery_line *line, struct waiting *waiting)
{
    line->err = ERROR_NONE;
    memset(line->stored, 0, sizeof line->stored); /* of an earlier batch: none of this one is */
    if (connect_line(line) == 0 && send_batch(line) < 0) {
        publisher_free(line->publisher);
        line->publisher = NULL;
    }
    keep_unstored(line);
    if (line->count == 0) {
        line->pause_ns = 0;
        if (line->complained && !line->quiet)
            (void)fprintf(stderr, "cim-ops observe: events are published again\n");
        line->complained = false;
        return;
    }
    line->stream_there = false; /* perhaps it has been deleted: look again */
    complain(line, waiting);
    line->pause_ns = line->pause_ns ? 2 * line->pause_ns : 200 * NS_PER_MS;
    if (line->pause_ns > PAUSE_NS_MAX)
        line->pause_ns = PAUSE_NS_MAX;
    line->pause_until = instant_monotonic_ns() + line->pause_ns;
}

/* Nothing is on its way: a link that broke meanwhile is made anew with the next event. */
static void tend_link(struct delivery_line *line)
{
    struct error ignored;
    if (!line->publisher || publisher_poll(line->publisher, 0, &ignored) == 0)
        return;
    publisher_free(line->publisher);
    line->publisher = NULL;
}

void line_turn(struct delivery_line *line, struct waiting *waiting, int wait_ms)
{
    int64_t pause = line->count ? line->pause_until - instant_monotonic_ns() : 0;
    if (pause > 0) {
        struct timespec nap = {.tv_nsec =
                                   pause < wait_ms * NS_PER_MS ? pause : wait_ms * NS_PER_MS};
        (void)nanosleep(&nap, NULL);
        return;
    }
    line->count += waiting_take(waiting, line->batch + line->count, BATCH_MAX - line->count,
                                line->count ? 0 : wait_ms);
    if (!line->count) {
        tend_link(line);
        return;
    }
    if (!line->prints) {
        deliver(line, waiting);
        return;
    }
    for (size_t i = 0; i < line->count; i++) {
        print_event(&line->batch[i]);
        own_event_done(&line->batch[i]);
    }
    (void)fflush(stdout);
    line->count = 0;
}

int line_finish(struct delivery_line *line, struct waiting *waiting, int64_t patience_ns,
                struct error *err)
{
    int64_t until = instant_monotonic_ns() + patience_ns;
    while (line->count || waiting_count(waiting)) {
        if (instant_monotonic_ns() > until)
            return error_set(err, EXIT_CODE_UNREACHABLE, "%zu events could not be published: %s",
                             line->count + waiting_count(waiting), line->err.text);
        line_turn(line, waiting, 50);
    }
    return 0;
}
