/* stream:NAME, and subject:PREFIX where a stream takes what is published (async.h). */
#include <jansson.h>
#include <stdio.h>

#include "act/replay/async.h"
#include "base/memory.h"
#include "read/scan.h"

/* --- streams ---------------------------------------------------------------------------------- */

/* Is every subject of the selection one that these take? */
static bool takes_all(const struct selection *selection, const struct stream_info *info)
{
    for (size_t i = 0; i < selection->stream_count; i++) {
        if (!selection->streams[i].subject_count)
            return false; /* not known */
        for (size_t j = 0; j < selection->streams[i].subject_count; j++) {
            bool taken = false;
            for (size_t k = 0; k < info->subject_count && !taken; k++)
                taken = subject_covers(slice_of(info->subjects[k]),
                                       slice_of(selection->streams[i].subjects[j]));
            if (!taken)
                return false;
        }
    }
    return true;
}

/* What stands before the subjects, by what the stream takes. Heap; NULL: nothing, or an error. */
static int choose_prefix(struct target *target, const struct stream_info *info, bool same,
                         char **ret, struct error *err)
{
    const struct replay *replay = target->replay;
    const char *given = replay->options->prefix;
    *ret = given && *given ? xstrdup(given) : NULL;
    if (given || (!same && takes_all(&replay->selection, info)))
        return 0;
    struct slice subject = slice_of(info->subject_count == 1 ? info->subjects[0] : "");
    if (subject.len > 2 && !strcmp(subject.ptr + subject.len - 2, ".>") &&
        !memchr(subject.ptr, '*', subject.len)) {
        *ret = xstrndup(subject.ptr, subject.len - 2);
        return 0;
    }
    return error_set(
        err, EXIT_CODE_USAGE,
        "stream %s takes subjects that do not say what is to stand before those of the "
        "events; say it by --prefix",
        info->name);
}

/* None there yet: one that takes nothing but this. */
static int create_stream(struct target *target, bool same, struct error *err)
{
    const struct replay *replay = target->replay;
    const struct selection *selection = &replay->selection;
    const char *subjects[256];
    size_t count = 0;
    bool created;
    const char *prefix = replay->options->prefix; /* "": none at all is asked for */
    CLEANUP_FREE char *own = xasprintf("%s.>", prefix && *prefix ? prefix : target->where);
    if (prefix ? *prefix != 0 : same)
        subjects[count++] = own;
    for (size_t i = 0; !count && i < selection->stream_count; i++) {
        for (size_t j = 0; j < selection->streams[i].subject_count && count < 256; j++)
            subjects[count++] = selection->streams[i].subjects[j];
        if (i + 1 < selection->stream_count)
            continue;
    }
    return stream_ensure_replicated(replay->to, target->where, subjects, count,
                                    same ? replay_replicas(replay) : 1, &created, err);
}

/* Is it read itself, by its own name or as the origin of another? */
static int guard_origin(struct target *target, const char *name, bool same, struct error *err)
{
    const struct selection *selection = &target->replay->selection;
    for (size_t i = 0; same && i < selection->stream_count; i++) {
        const struct selection_stream *stream = &selection->streams[i];
        if (!strcmp(stream->name, name))
            return error_set(err, EXIT_CODE_REFUSED,
                             "the target would feed back: stream %s is replayed itself; choose "
                             "others by --stream",
                             name);
        for (size_t j = 0; j < stream->origin_count; j++) {
            if (!strcmp(stream->origins[j], name))
                return error_set(err, EXIT_CODE_REFUSED,
                                 "the target would feed back: stream %s, which is replayed, is "
                                 "sourced from %s",
                                 stream->name, name);
        }
    }
    return 0;
}

static int guard_stream(struct target *target, const struct stream_info *info, const char *prefix,
                        struct error *err)
{
    struct replay *replay = target->replay;
    const struct selection *selection = &replay->selection;
    uint64_t expected = 0;
    for (size_t i = 0; i < selection->stream_count; i++)
        expected += selection->streams[i].messages;
    if (info->limits.sealed)
        return error_set(err, EXIT_CODE_REFUSED, "stream %s is sealed", info->name);
    if (info->limits.messages >= 0 && selection->whole && !replay->resumed &&
        info->messages + expected > (uint64_t)info->limits.messages)
        return error_set(
            err, EXIT_CODE_REFUSED,
            "stream %s holds %lld messages at most, has %llu, and %llu would come: %s; "
            "raise max_msgs",
            info->name, (long long)info->limits.messages, (unsigned long long)info->messages,
            (unsigned long long)expected,
            info->limits.discard_new ? "the last would be refused"
                                     : "it would drop the first ones again");
    CLEANUP_FREE char *filter = prefix ? xasprintf("%s.>", prefix) : NULL;
    return prefix ? target_guard_feedback(replay, filter, err) : 0;
}

/* What the stream is, or would be; info->name is NULL when it is not there. */
static int look_at_stream(struct target *target, const char *name, const char *prefix,
                          bool *ret_same, struct stream_info *info, char **ret_prefix,
                          struct error *err)
{
    struct replay *replay = target->replay;
    struct error problem = ERROR_NONE;
    *ret_prefix = NULL;
    if (target_is_same_account(replay, ret_same, err) < 0 ||
        guard_origin(target, name, *ret_same, err) < 0)
        return -1;
    if (stream_info(replay->to, name, info, &problem) < 0) {
        *info = (struct stream_info){0};
        return problem.code == EXIT_CODE_PROBLEM ? 0
                                                 : error_set(err, problem.code, "%s", problem.text);
    }
    if (prefix)
        *ret_prefix = xstrdup(prefix);
    else if (choose_prefix(target, info, *ret_same, ret_prefix, err) < 0)
        return -1;
    return guard_stream(target, info, *ret_prefix, err);
}

static int stream_check(struct target *target, struct buf *words, struct error *err)
{
    struct stream_info info = {0};
    CLEANUP_FREE char *prefix = NULL;
    const char *given = target->replay->options->prefix;
    bool same = false;
    int rc = look_at_stream(target, target->where, NULL, &same, &info, &prefix, err);
    if (rc == 0 && !info.name)
        buf_addf(words, "stream %s, made new, for %s%s", target->where,
                 same || given ? (given && *given ? given : target->where) : "the same subjects",
                 same || given ? ".>" : "");
    else if (rc == 0)
        buf_addf(words, "stream %s (%llu messages now), subjects %s%s", info.name,
                 (unsigned long long)info.messages, prefix ? "under " : "as they are",
                 prefix ? prefix : "");
    stream_info_done(&info);
    return rc;
}

static int open_stream(struct target *target, const char *name, const char *prefix, json_t *state,
                       struct error *err)
{
    struct async *async = target->own;
    struct stream_info info = {0};
    bool same = false;
    int rc = look_at_stream(target, name, prefix, &same, &info, &async->prefix, err);
    if (rc == 0 && !info.name) {
        if (state)
            return error_set(err, EXIT_CODE_DAMAGED, "stream %s is no longer there", name);
        if (create_stream(target, same, err) < 0)
            return -1;
        rc = look_at_stream(target, name, prefix, &same, &info, &async->prefix, err);
    }
    if (rc == 0 && info.name) {
        async->stream = xstrdup(name);
        async->created = xstrdup(info.created);
        async->base = async->last_seq = async->floor = info.last_seq;
        target_look_for_others(target->replay, &info);
    }
    stream_info_done(&info);
    return rc;
}

static int go_on_from(struct target *target, json_t *state, struct error *err)
{
    struct async *async = target->own;
    const char *created = json_string_value(json_object_get(state, "created"));
    if (!state)
        return 0;
    free(async->created);
    async->created = xstrdup(created ? created : "");
    async->base = (uint64_t)json_integer_value(json_object_get(state, "base"));
    async->floor = (uint64_t)json_integer_value(json_object_get(state, "floor"));
    return async_find_stored(target, async->floor, err);
}

static int stream_open(struct target *target, json_t *state, struct error *err)
{
    const char *prefix = json_string_value(json_object_get(state, "prefix"));
    (void)async_new(target);
    if (open_stream(target, target->where, prefix, state, err) < 0 ||
        go_on_from(target, state, err) < 0)
        return -1;
    return async_open_links(target, target->replay->options->parallel, err);
}

static json_t *stream_state(struct target *target)
{
    const struct async *async = target->own;
    return json_pack("{s:s, s:s, s:s*, s:I, s:I}", "stream", async->stream, "created",
                     async->created, "prefix", async->prefix, "base", (json_int_t)async->base,
                     "floor", (json_int_t)async->floor);
}

/* --- subjects --------------------------------------------------------------------------------- */

/* The stream that takes what is published; none: *ret_name stays empty. */
static int look_at_subject(struct target *target, struct buf *ret_name, struct error *err)
{
    CLEANUP_FREE char *filter = xasprintf("%s.>", target->where);
    struct error problem = ERROR_NONE;
    if (!subject_is_filter(slice_of(filter)) || strchr(target->where, '*'))
        return error_set(err, EXIT_CODE_USAGE,
                         "--target: '%s' is no prefix of subjects, such as replay.test",
                         target->where);
    if (target_guard_feedback(target->replay, filter, err) < 0)
        return -1;
    if (stream_of_subject(target->replay->to, filter, ret_name, &problem) < 0 &&
        problem.code != EXIT_CODE_PROBLEM)
        return error_set(err, problem.code, "%s", problem.text);
    return 0;
}

static int subject_check(struct target *target, struct buf *words, struct error *err)
{
    CLEANUP_BUF struct buf name = {0};
    if (look_at_subject(target, &name, err) < 0)
        return -1;
    buf_addf(words, "subjects under %s, ", target->where);
    if (name.len)
        buf_addf(words, "which stream %s takes", buf_cstr(&name));
    else if (target->replay->options->verify)
        return error_set(err, EXIT_CODE_USAGE,
                         "--verify: no stream takes what is published under %s, so nothing is kept "
                         "that could be verified",
                         target->where);
    else
        buf_add_str(words, "which no stream takes: core NATS, at most once");
    if (!name.len)
        target->kind = &target_core;
    return 0;
}

/* Where a stream takes them, they are acknowledged; else they are gone once they are sent. */
static int subject_open(struct target *target, json_t *state, struct error *err)
{
    struct replay *replay = target->replay;
    CLEANUP_BUF struct buf name = {0};
    if (look_at_subject(target, &name, err) < 0)
        return -1;
    if (!name.len) {
        target->kind = &target_core;
        return target->kind->open(target, state, err);
    }
    (void)async_new(target);
    if (open_stream(target, buf_cstr(&name), target->where, state, err) < 0 ||
        go_on_from(target, state, err) < 0)
        return -1;
    return async_open_links(target, replay->options->parallel, err);
}

/* --- verify ----------------------------------------------------------------------------------- */

struct back {
    struct target *target;
    struct digest *digest;
    struct buf block, name;
};

static struct slice without_prefix(const struct async *async, struct slice subject)
{
    size_t cut = async->prefix ? strlen(async->prefix) + 1 : 0;
    return slice_from(subject, cut);
}

static int take_back(void *context, const struct bus_message *message, struct error *err)
{
    struct back *back = context;
    struct replay *replay = back->target->replay;
    struct events_reader *reader = &replay->selection.reader;
    struct stamp stamp;
    const char *why = NULL;
    if (!stamp_read(message->header_block, &stamp) ||
        !slice_eq(stamp.replay, slice_of(replay->record.id)))
        return 0;
    buf_reset(&back->block);
    buf_reset(&back->name);
    stamp_strip(message->header_block, &back->block);
    struct event_input input = {.subject = without_prefix(back->target->own, message->subject),
                                .payload = message->payload,
                                .header_block =
                                    back->block.len ? buf_slice(&back->block) : SLICE_ABSENT,
                                .seq = stamp.seq,
                                .stored_at_ns = message->stored_at_ns};
    struct events_row row = {.input = &input, .payload = message->payload};
    if (!engine_view(reader->engine, &input, &row.view, &row.envelope, &why))
        row.malformed = why;
    replay_aggregate_name(&row, &back->name);
    struct digest_event event = {.key = replay_aggregate_key(&row),
                                 .name = buf_slice(&back->name),
                                 .stream = stamp.stream,
                                 .subject = input.subject,
                                 .payload = message->payload,
                                 .seq = stamp.seq};
    return digest_add(back->digest, &event, err);
}

static int stream_read_back(struct target *target, struct digest *digest, struct error *err)
{
    struct async *async = target->own;
    struct back back = {.target = target, .digest = digest};
    struct stream_info info = {0};
    if (stream_info(target->replay->to, async->stream, &info, err) < 0)
        return -1;
    struct scan_options options = {.bus = target->replay->to,
                                   .stream = async->stream,
                                   .created = async->created,
                                   .first_seq = async->base + 1,
                                   .last_seq = info.last_seq,
                                   .each = take_back,
                                   .context = &back};
    int rc = info.last_seq > async->base ? scan_stream(&options, err) : 0;
    stream_info_done(&info);
    buf_done(&back.block);
    buf_done(&back.name);
    return rc;
}

/* --- the two ---------------------------------------------------------------------------------- */

const struct target_kind target_stream = {
    .name = "stream",
    .doing = "published into",
    .with_views = true,
    .once = true,
    .memory_bytes = FLIGHT_BYTES_MAX + REPLAY_BATCH_MAX * sizeof(struct slot),
    .check = stream_check,
    .open = stream_open,
    .take = async_take,
    .poll = async_poll,
    .settle = async_settle,
    .state = stream_state,
    .close = async_close,
    .read_back = stream_read_back,
};

const struct target_kind target_subject = {
    .name = "subject",
    .doing = "published under",
    .with_views = true,
    .once = true,
    .memory_bytes = FLIGHT_BYTES_MAX + REPLAY_BATCH_MAX * sizeof(struct slot),
    .check = subject_check,
    .open = subject_open,
    .take = async_take,
    .poll = async_poll,
    .settle = async_settle,
    .state = stream_state,
    .close = async_close,
    .read_back = stream_read_back,
};
