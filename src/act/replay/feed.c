/* The chosen events, one after the other. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "act/replay/flow.h"
#include "act/replay/selection.h"
#include "base/memory.h"
#include "bus/ordered.h"
#include "read/scan.h"

uint64_t replay_aggregate_key(const struct events_row *row)
{
    struct slice domain = row->view.field[EVENT_DOMAIN], id = row->view.field[EVENT_AGGREGATE_ID];
    struct slice subject = row->input->subject;
    if (row->malformed || !slice_present(id))
        return XXH3_64bits_withSeed(subject.ptr, subject.len, 1);
    return XXH3_64bits_withSeed(id.ptr, id.len,
                                XXH3_64bits(domain.ptr ? domain.ptr : "", domain.len));
}

void replay_aggregate_name(const struct events_row *row, struct buf *out)
{
    struct slice domain = row->view.field[EVENT_DOMAIN], id = row->view.field[EVENT_AGGREGATE_ID];
    if (row->malformed || !slice_present(id)) {
        buf_add_slice(out, row->input->subject);
        return;
    }
    buf_add_slice(out, slice_present(domain) ? domain : SLICE("unknown"));
    buf_add_char(out, '.');
    buf_add_slice(out, id);
}

struct feeding {
    struct feed *feed;
    size_t stream; /* where one is read alone */
    bool ours;     /* who the events are for failed, not the reading */
    struct buf block;
};

/* A message of the client library has its headers one by one: as a block again. */
static struct slice block_of(struct feeding *feeding, const struct event_input *input)
{
    struct buf *block = &feeding->block;
    if (slice_present(input->header_block) || input->header_count <= 0)
        return input->header_block;
    buf_reset(block);
    buf_add_str(block, "NATS/1.0\r\n");
    for (int i = 0; i < input->header_count; i++) {
        buf_add_slice(block, input->headers[i].name);
        buf_add_str(block, ": ");
        buf_add_slice(block, input->headers[i].value);
        buf_add_str(block, "\r\n");
    }
    buf_add_str(block, "\r\n");
    return buf_slice(block);
}

/* Headers that the client library could not tell one by one (too many, or broken): the stored block
 * itself. 1: the message was deleted meanwhile. Costs one request. */
static int fetch_block(struct feeding *feeding, struct replay_event *event, struct error *err)
{
    const struct selection *selection = feeding->feed->selection;
    CLEANUP_BUF struct buf subject = {0}, payload = {0};
    struct error problem = ERROR_NONE;
    int64_t stored_at_ns;
    buf_reset(&feeding->block);
    if (stream_get_message(selection->reader.bus, selection->streams[event->stream].name,
                           event->seq, &subject, &feeding->block, &payload, &stored_at_ns,
                           &problem) == 0) {
        event->header_block = feeding->block.len ? buf_slice(&feeding->block) : SLICE_ABSENT;
        event->input.header_block = event->header_block;
        return 0;
    }
    return problem.code == EXIT_CODE_PROBLEM ? 1 : error_set(err, problem.code, "%s", problem.text);
}

static int hand_over(struct feeding *feeding, struct replay_event *event, struct error *err)
{
    struct feed *feed = feeding->feed;
    struct selection *selection = feed->selection;
    if (selection->flow && !flow_has(selection->flow, event->stream, event->seq))
        return 0;
    if (event->row.input && !events_filter_lets(&selection->reader.filter, &event->row))
        return 0;
    if (event->row.input)
        event->aggregate = replay_aggregate_key(&event->row);
    int rc = feed->each(feed->context, event, err);
    feeding->ours = feeding->ours || rc < 0;
    return rc;
}

static void view_event(struct events_reader *reader, const char *stream, struct replay_event *event)
{
    const char *why = NULL;
    event->row =
        (struct events_row){.stream = stream, .input = &event->input, .payload = event->payload};
    if (engine_view(reader->engine, &event->input, &event->row.view, &event->row.envelope, &why))
        event->row.payload = engine_payload(reader->engine);
    else
        event->row.malformed = why;
}

/* --- one stream ------------------------------------------------------------------------------- */

static int on_message(void *context, const struct bus_message *message, struct error *err)
{
    struct feeding *feeding = context;
    struct feed *feed = feeding->feed;
    struct selection *selection = feed->selection;
    struct replay_event event = {
        .stream = feeding->stream,
        .seq = message->seq,
        .stored_at_ns = message->stored_at_ns,
        .subject = message->subject,
        .header_block = message->header_block,
        .payload = message->payload,
    };
    event.input = (struct event_input){.subject = message->subject,
                                       .payload = message->payload,
                                       .header_block = message->header_block,
                                       .seq = message->seq,
                                       .stored_at_ns = message->stored_at_ns};
    if (feed->with_views || selection->reader.filter.only_views)
        view_event(&selection->reader, selection->streams[feeding->stream].name, &event);
    if (hand_over(feeding, &event, err) < 0)
        return -1; /* not taken, so not passed */
    feed->read[feeding->stream] = message->seq;
    feed->passed++;
    return 0;
}

static int on_idle(void *context, struct error *err)
{
    struct feeding *feeding = context;
    int rc = feeding->feed->idle(feeding->feed->context, err);
    feeding->ours = feeding->ours || rc < 0;
    return rc;
}

static uint64_t start_of(const struct feed *feed, size_t stream)
{
    uint64_t first = feed->selection->streams[stream].first;
    uint64_t position = feed->positions ? feed->positions[stream] : 0;
    return position > first ? position : first;
}

static int run_one(struct feeding *feeding, uint64_t first, uint64_t last, struct error *err)
{
    struct feed *feed = feeding->feed;
    const struct selection_stream *stream = &feed->selection->streams[feeding->stream];
    struct scan_options options = {
        .bus = feed->selection->reader.bus,
        .stream = stream->name,
        .created = stream->created,
        .filter = feed->selection->server_filter,
        .first_seq = first,
        .last_seq = last,
        .each = on_message,
        .idle = feed->idle ? on_idle : NULL,
        .context = feeding,
    };
    return scan_stream(&options, err);
}

/* --- several ---------------------------------------------------------------------------------- */

static size_t stream_index(const struct selection *selection, const char *name)
{
    size_t i = 0;
    while (i < selection->stream_count && strcmp(selection->streams[i].name, name) != 0)
        i++;
    return i;
}

static int merge_all(struct feeding *feeding, struct events_merge *merge, struct error *err)
{
    struct feed *feed = feeding->feed;
    struct events_row row;
    uint64_t since_idle = 0;
    int got;
    while ((got = events_merge_next(merge, &row, err)) > 0) {
        struct replay_event event = {
            .stream = stream_index(feed->selection, row.stream),
            .seq = row.input->seq,
            .stored_at_ns = row.input->stored_at_ns,
            .subject = row.input->subject,
            .payload = row.input->payload,
            .row = row,
            .input = *row.input,
        };
        event.header_block = block_of(feeding, row.input);
        int count = row.input->header_count, gone = 0;
        if (count < 0 || count >= EVENT_HEADERS_MAX)
            gone = fetch_block(feeding, &event, err);
        if (gone < 0 || (gone == 0 && hand_over(feeding, &event, err) < 0))
            return -1;
        feed->read[event.stream] = event.seq;
        feed->passed++;
        if (feed->idle && since_idle++ % 64 == 0 && (got = on_idle(feeding, err)) != 0)
            return got;
    }
    return got == 0 && feed->idle ? on_idle(feeding, err) : got;
}

/* Were they all the time the streams that were chosen? */
static int check_streams(const struct selection *selection, struct error *err)
{
    for (size_t i = 0; i < selection->stream_count; i++) {
        const struct selection_stream *stream = &selection->streams[i];
        struct stream_info info = {0};
        if (stream_info(selection->reader.bus, stream->name, &info, err) < 0)
            return -1;
        bool same = !strcmp(info.created, stream->created);
        if (!same)
            (void)error_set(err, EXIT_CODE_DAMAGED,
                            "stream %s was created anew at %s while it was read: it is another one",
                            stream->name, info.created);
        stream_info_done(&info);
        if (!same)
            return -1;
    }
    return 0;
}

static int run_merged(struct feeding *feeding, struct error *err)
{
    struct feed *feed = feeding->feed;
    struct selection *selection = feed->selection;
    struct events_reader *reader = &selection->reader;
    struct stream_info *infos = xcalloc(selection->stream_count + 1, sizeof *infos);
    struct stream_list kept = reader->streams;
    struct events_merge *merge = NULL;
    for (size_t i = 0; i < selection->stream_count; i++) {
        const struct selection_stream *stream = &selection->streams[i];
        infos[i] = (struct stream_info){.name = stream->name,
                                        .first_seq = start_of(feed, i),
                                        .last_seq = stream->cut,
                                        .messages = stream->messages};
    }
    reader->streams = (struct stream_list){.items = infos, .count = selection->stream_count};
    int rc = events_merge_open(reader, &merge, err);
    if (rc == 0)
        rc = merge_all(feeding, merge, err);
    if (rc == 0)
        rc = check_streams(selection, err);
    if (merge)
        events_merge_close(merge);
    reader->streams = kept;
    free(infos);
    return rc;
}

/* --- what comes behind the cut ---------------------------------------------------------------- */

enum { LIVE_WAIT_MS = 200, LIVE_CONNECT_MS = 2000 };

struct live {
    struct feeding feeding;
    struct ordered *reader;
    struct live_all *all;
};

struct live_all {
    bool failed;
    struct error problem;
};

static void on_live(void *context, const struct bus_message *message)
{
    struct live *live = context;
    if (!live->all->failed)
        live->all->failed = on_message(&live->feeding, message, &live->all->problem) < 0;
}

static void mend_live(struct ordered_hub *hub, struct live *lives, size_t count)
{
    struct error ignored;
    if (ordered_hub_connect(hub, LIVE_CONNECT_MS, &ignored) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        if (ordered_trouble(lives[i].reader))
            (void)ordered_restart(lives[i].reader, ordered_next_seq(lives[i].reader), &ignored);
    }
}

static int run_live(struct feed *feed, struct ordered_hub *hub, struct live *lives, size_t count,
                    struct error *err)
{
    const struct live_all *all = lives[0].all;
    for (;;) {
        if (ordered_hub_wait(hub, LIVE_WAIT_MS))
            ordered_hub_deliver(hub);
        if (all->failed)
            return error_set(err, all->problem.code, "%s", all->problem.text);
        int asked = feed->idle ? feed->idle(feed->context, err) : 0;
        if (asked)
            return asked;
        mend_live(hub, lives, count);
    }
}

static int follow(struct feed *feed, struct error *err)
{
    const struct selection *selection = feed->selection;
    struct ordered_hub *hub = NULL;
    struct live *lives = xcalloc(selection->stream_count + 1, sizeof *lives);
    struct live_all all = {0};
    int rc = ordered_hub_open(selection->reader.bus, &hub, err);
    if (rc == 0)
        rc = ordered_hub_connect(hub, LIVE_CONNECT_MS, err);
    for (size_t i = 0; i < selection->stream_count && rc == 0; i++) {
        uint64_t next =
            feed->read[i] > selection->streams[i].cut ? feed->read[i] : selection->streams[i].cut;
        lives[i] = (struct live){.feeding = {.feed = feed, .stream = i}, .all = &all};
        /* Not the narrowed filter: subjects that it was made of are those of then. */
        rc = ordered_open(hub, selection->streams[i].name, selection->wanted.events.subject,
                          next + 1, on_live, &lives[i], &lives[i].reader, err);
        if (rc == 0)
            rc = ordered_begin(lives[i].reader, err);
    }
    if (rc == 0)
        rc = run_live(feed, hub, lives, selection->stream_count, err);
    for (size_t i = 0; i < selection->stream_count; i++)
        ordered_close(lives[i].reader);
    ordered_hub_close(hub);
    free(lives);
    return rc;
}

/* ---------------------------------------------------------------------------------------------- */

int feed_run(struct feed *feed, struct error *err)
{
    struct feeding feeding = {.feed = feed};
    int rc = 0;
    if (feed->selection->stream_count == 1)
        rc = run_one(&feeding, start_of(feed, 0), feed->selection->streams[0].cut, err);
    else if (feed->selection->stream_count > 1)
        rc = run_merged(&feeding, err);
    if (rc == 0 && feed->follow && feed->selection->stream_count)
        rc = follow(feed, err);
    if (rc < 0 && !feeding.ours && err && err->code == EXIT_CODE_PROBLEM)
        err->code = EXIT_CODE_DAMAGED; /* a stream that was there when we began */
    buf_done(&feeding.block);
    return rc;
}
