/* Which target is meant, and what would feed back. */
#include <stdio.h>

#include "act/replay/replay_internal.h"
#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"

static const struct target_kind *const kinds[] = {
    &target_file, &target_stream, &target_subject, &target_service, &target_kv,
};

static int unknown(const char *text, struct error *err)
{
    return error_set(err, EXIT_CODE_USAGE,
                     "--target: '%s': file:PATH, - (JSON lines on standard output), stream:NAME, "
                     "subject:PREFIX, kv:BUCKET or service:SUBJECT was expected",
                     text);
}

int target_choose(struct replay *replay, const char *text, struct error *err)
{
    struct slice rest = slice_of(text), name;
    replay->target.replay = replay;
    if (!strcmp(text, "-") || !strcmp(text, "file:-")) {
        replay->target.kind = &target_file;
        replay->target.where = xstrdup("-");
        return 0;
    }
    (void)slice_cut(&rest, ':', &name);
    if (slice_eq(name, SLICE("kv")) && !rest.len)
        rest = SLICE("CIM_PROJECTIONS");
    for (size_t i = 0; i < ARRAY_LEN(kinds) && rest.len; i++) {
        if (!slice_eq(name, slice_of(kinds[i]->name)))
            continue;
        replay->target.kind = kinds[i];
        replay->target.where = xstrndup(rest.ptr, rest.len);
        return 0;
    }
    return unknown(text, err);
}

void target_close(struct target *target)
{
    if (target->kind)
        target->kind->close(target);
    free(target->where);
    *target = (struct target){0};
}

int target_is_same_account(struct replay *replay, bool *ret, struct error *err)
{
    const struct selection *selection = &replay->selection;
    struct stream_info info = {0};
    struct error problem = ERROR_NONE;
    *ret = replay->to == selection->reader.bus;
    if (*ret || !selection->stream_count)
        return 0;
    /* The same stream of the same moment: another address of the same account. */
    const struct selection_stream *stream = &selection->streams[0];
    if (stream_info(replay->to, stream->name, &info, &problem) < 0)
        return problem.code == EXIT_CODE_PROBLEM ? 0
                                                 : error_set(err, problem.code, "%s", problem.text);
    *ret = !strcmp(info.created, stream->created);
    stream_info_done(&info);
    return 0;
}

int target_guard_feedback(struct replay *replay, const char *subject, struct error *err)
{
    const struct selection *selection = &replay->selection;
    bool same = false;
    if (target_is_same_account(replay, &same, err) < 0)
        return -1;
    for (size_t i = 0; same && i < selection->stream_count; i++) {
        const struct selection_stream *stream = &selection->streams[i];
        for (size_t j = 0; j < stream->subject_count; j++) {
            if (subject_filters_overlap(slice_of(stream->subjects[j]), slice_of(subject)))
                return error_set(err, EXIT_CODE_REFUSED,
                                 "the target would feed back: stream %s, which is replayed, takes "
                                 "%s, and with it what goes to %s; choose others by --stream",
                                 stream->name, stream->subjects[j], subject);
        }
    }
    return 0;
}

void target_look_for_others(const struct replay *replay, const struct stream_info *info)
{
    static const int64_t recent_ns = 60 * NS_PER_SECOND;
    int64_t ago = instant_now_ns() - info->last_stored_at_ns;
    if (replay->resumed || replay->options->json)
        return;
    if (info->last_stored_at_ns && ago < recent_ns)
        shown_error(
            "cim-ops replay: stream %s was written to %.0f s ago: is somebody else writing? "
            "This tool stops nobody\n",
            info->name, (double)ago / 1e9);
    if (info->consumer_count)
        shown_error(
            "cim-ops replay: stream %s has %zu consumers, which will see what is replayed\n",
            info->name, info->consumer_count);
    if (info->interest_retention || info->kind == STREAM_WORK_QUEUE)
        shown_error("cim-ops replay: stream %s removes what is consumed: what is gone cannot be "
                    "found again when the replay breaks off, nor verified\n",
                    info->name);
    if (info->limits.per_subject > 0)
        shown_error("cim-ops replay: stream %s keeps %lld messages of a subject at most: what is "
                    "gone cannot be found again when the replay breaks off, nor verified\n",
                    info->name, (long long)info->limits.per_subject);
    if (info->limits.bytes >= 0 && !info->limits.discard_new)
        shown_error("cim-ops replay: stream %s keeps %lld bytes at most and then drops its oldest "
                    "messages\n",
                    info->name, (long long)info->limits.bytes);
}
