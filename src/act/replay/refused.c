#include <stdio.h>

#include "act/replay/replay_internal.h"

enum { SUBJECT_SHOWN_MAX = 200 };

bool replay_is_blocked(const struct replay *replay, uint64_t aggregate, uint64_t *ret_seq)
{
    const uint64_t *seq = u64map_get(&replay->blocked, aggregate);
    if (seq && ret_seq)
        *ret_seq = *seq;
    return seq != NULL;
}

static void block(struct replay *replay, uint64_t aggregate, uint64_t seq)
{
    bool fresh;
    uint64_t *at = u64map_put(&replay->blocked, aggregate, &fresh);
    if (fresh)
        *at = seq;
}

static int block_again(void *context, const struct parked *parked, struct error *err)
{
    (void)err;
    block(context, parked->key, parked->seq);
    return 0;
}

int replay_load_blocked(struct replay *replay, struct error *err)
{
    return parked_each(replay->selection.reader.bus, replay->record.id, block_again, replay, err);
}

/* The aggregate's name is found again by its subject: good enough for a list that people read. */
static int park(struct replay *replay, const struct refused *refused, const char *reason,
                struct error *err)
{
    char subject[512];
    (void)snprintf(subject, sizeof subject, "%.*s", SLICE_ARG(refused->subject));
    struct parked parked = {.stream = replay->selection.streams[refused->stream].name,
                            .subject = subject,
                            .aggregate = "",
                            .reason = reason,
                            .seq = refused->seq,
                            .key = refused->aggregate,
                            .tries = refused->tries};
    if (replay->figures.parked >= REPLAY_PARKED_MAX)
        return error_set(err, EXIT_CODE_DAMAGED,
                         "%d events are parked, which is the limit; the next: %s %llu: %s",
                         REPLAY_PARKED_MAX, parked.stream, (unsigned long long)parked.seq, reason);
    if (parked_put(replay->selection.reader.bus, replay->record.id, &parked, err) < 0)
        return error_wrap(err, "an event cannot be parked");
    block(replay, refused->aggregate, refused->seq);
    replay->figures.parked++;
    story_tell(replay, "EventParked",
               json_pack("{s:s, s:I, s:s, s:s}", "stream", parked.stream, "sequence",
                         (json_int_t)parked.seq, "subject", subject, "reason", reason));
    return 0;
}

int replay_refused(struct replay *replay, const struct refused *refused, const char *reason,
                   struct error *err)
{
    const char *stream = replay->selection.streams[refused->stream].name;
    unsigned long long seq = refused->seq;
    struct slice shown = {refused->subject.ptr, refused->subject.len < SUBJECT_SHOWN_MAX
                                                    ? refused->subject.len
                                                    : SUBJECT_SHOWN_MAX};
    switch (replay->options->on_error) {
    case ON_ERROR_PARK: return park(replay, refused, reason, err);
    case ON_ERROR_SKIP:
        if (replay->figures.skipped >= replay->options->skip_max)
            return error_set(err, EXIT_CODE_DAMAGED,
                             "%s %llu (%.*s) was refused: %s; %llu were skipped before, which is "
                             "what --on-error allows",
                             stream, seq, SLICE_ARG(shown), reason,
                             (unsigned long long)replay->figures.skipped);
        replay->figures.skipped++;
        story_tell(replay, "EventSkipped",
                   json_pack("{s:s, s:I, s:s}", "stream", stream, "sequence", (json_int_t)seq,
                             "reason", reason));
        return 0;
    case ON_ERROR_STOP: break;
    }
    return error_set(err, EXIT_CODE_DAMAGED, "%s %llu (%.*s) was refused: %s", stream, seq,
                     SLICE_ARG(shown), reason);
}
