/* From options to cuts: what was asked for, held against what the server has. */
#include "act/replay/selection.h"

#include <stdio.h>

#include "act/replay/flow.h"
#include "act/replay/narrow.h"
#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"

enum { FILTER_FILE_MAX = 1 << 20, SUBJECTS_MAX = 256 };

/* --- the filter file -------------------------------------------------------------------------- */

static int join_texts(const char *path, const char *key, json_t *list, char **ret,
                      struct error *err)
{
    CLEANUP_BUF struct buf joined = {0};
    if (!json_is_array(list) || !json_array_size(list))
        return error_set(err, EXIT_CODE_USAGE, "%s: %s: a list of names was expected", path, key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || !*text || strchr(text, ','))
            return error_set(err, EXIT_CODE_USAGE,
                             "%s: %s[%zu]: a name without commas was expected", path, key, i);
        buf_addf(&joined, "%s%s", i ? "," : "", text);
    }
    *ret = xstrdup(buf_cstr(&joined));
    return 0;
}

static int read_range(const char *path, json_t *range, struct selection *selection,
                      struct error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(range))
        return error_set(err, EXIT_CODE_USAGE, "%s: time_range: {\"start\", \"end\"} was expected",
                         path);
    json_object_foreach(range, key, value)
    {
        char **place = !strcmp(key, "start") ? &selection->from
                       : !strcmp(key, "end") ? &selection->until
                                             : NULL;
        if (!place)
            return error_set(err, EXIT_CODE_USAGE,
                             "%s: time_range: unknown key '%s'; start and end are known", path,
                             key);
        if (!json_is_string(value))
            return error_set(err, EXIT_CODE_USAGE,
                             "%s: time_range.%s: a time in quotes was expected", path, key);
        *place = xstrdup(json_string_value(value));
    }
    return 0;
}

static int read_filter(struct selection *selection, json_t *root, struct error *err)
{
    const char *path = selection->wanted.filter_file, *key;
    json_t *value;
    if (!json_is_object(root))
        return error_set(err, EXIT_CODE_USAGE, "%s: an object was expected", path);
    json_object_foreach(root, key, value)
    {
        int rc;
        if (!strcmp(key, "event_types"))
            rc = join_texts(path, key, value, &selection->types, err);
        else if (!strcmp(key, "domains"))
            rc = join_texts(path, key, value, &selection->domains, err);
        else if (!strcmp(key, "time_range"))
            rc = read_range(path, value, selection, err);
        else
            rc = error_set(err, EXIT_CODE_USAGE,
                           "%s: unknown key '%s'; event_types, domains and time_range are known",
                           path, key);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int load_filter(struct selection *selection, struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    json_error_t problem;
    const char *path = selection->wanted.filter_file;
    if (!path)
        return 0;
    if (file_read(path, FILTER_FILE_MAX, &text, err) < 0) {
        if (err)
            err->code = EXIT_CODE_USAGE;
        return error_wrap(err, "--filter");
    }
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return error_set(err, EXIT_CODE_USAGE, "--filter: %s:%d:%d: %s", path, problem.line,
                         problem.column, problem.text);
    int rc = read_filter(selection, root, err);
    json_decref(root);
    return rc < 0 ? error_wrap(err, "--filter") : 0;
}

/* What the file says, where the command line does not say it too. */
static int take_filter(struct selection *selection, struct error *err)
{
    const struct {
        const char *option;
        const char *given, *filed;
        const char **place;
    } all[] = {
        {"--type", selection->wanted.events.type, selection->types, &selection->wanted.events.type},
        {"--domain", selection->wanted.events.domain, selection->domains,
         &selection->wanted.events.domain},
        {"--from", selection->wanted.from, selection->from, &selection->wanted.from},
        {"--until", selection->wanted.until, selection->until, &selection->wanted.until},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].given && all[i].filed)
            return error_set(err, EXIT_CODE_USAGE, "%s is given, and %s says it too: one of them",
                             all[i].option, selection->wanted.filter_file);
        if (all[i].filed)
            *all[i].place = all[i].filed;
    }
    return 0;
}

/* --- cuts ------------------------------------------------------------------------------------- */

struct place {
    bool given, is_seq;
    uint64_t seq;
    int64_t at_ns;
};

static int read_place(const char *option, const char *text, struct place *ret, struct error *err)
{
    *ret = (struct place){.given = text != NULL};
    if (!text)
        return 0;
    if (slice_u64(slice_of(text), &ret->seq)) {
        ret->is_seq = true;
        return ret->seq ? 0 : error_set(err, EXIT_CODE_USAGE, "%s: sequences begin at 1", option);
    }
    return events_time_read(option, text, &ret->at_ns, err);
}

static void format_instant(int64_t ns, char out[static INSTANT_TEXT_MAX])
{
    if (ns)
        (void)instant_format(ns, out);
    else
        (void)snprintf(out, INSTANT_TEXT_MAX, "never");
}

/* The first message stored at that time or later; one behind the last where there is none. */
static int seq_at(struct bus *bus, const struct stream_info *info, int64_t at_ns, uint64_t *ret,
                  struct error *err)
{
    struct pull_options options = {
        .stream = info->name, .start_time_ns = at_ns, .end_seq = info->last_seq, .batch = 1};
    struct pull *pull = NULL;
    struct bus_message message = {0};
    *ret = info->last_seq + 1;
    if (at_ns > info->last_stored_at_ns || !info->messages)
        return 0;
    if (pull_open(bus, &options, &pull, err) < 0)
        return -1;
    int rc = 0;
    while (!pull_ended(pull) && (rc = pull_next(pull, &message, BUS_TIMEOUT_MS, err)) == 0)
        continue;
    if (rc > 0)
        *ret = message.seq;
    bus_message_release(&message);
    pull_close(pull);
    return rc < 0 ? -1 : 0;
}

static int beyond(const struct stream_info *info, const char *option, const char *text,
                  const char *why, struct error *err)
{
    char last[INSTANT_TEXT_MAX];
    format_instant(info->last_stored_at_ns, last);
    return error_set(err, EXIT_CODE_DAMAGED,
                     "%s %s: %s; stream %s has the sequences %llu to %llu, the last stored at %s",
                     option, text, why, info->name, (unsigned long long)info->first_seq,
                     (unsigned long long)info->last_seq, last);
}

static int first_of(struct bus *bus, const struct stream_info *info, const char *text,
                    const struct place *from, uint64_t *ret, struct error *err)
{
    *ret = info->first_seq ? info->first_seq : 1;
    if (!from->given)
        return 0;
    if (!from->is_seq)
        return seq_at(bus, info, from->at_ns, ret, err);
    if (from->seq < info->first_seq)
        return beyond(info, "--from", text, "what was there is gone", err);
    if (from->seq > info->last_seq)
        return beyond(info, "--from", text, "the stream does not reach it", err);
    *ret = from->seq;
    return 0;
}

static int cut_of(struct bus *bus, const struct stream_info *info,
                  const struct replay_wanted *wanted, const struct place *until, uint64_t *ret,
                  struct error *err)
{
    *ret = info->last_seq;
    if (!until->given)
        return 0;
    if (until->is_seq ? until->seq > info->last_seq : until->at_ns > instant_now_ns())
        return beyond(info, "--until", wanted->until,
                      until->is_seq ? "the stream does not reach it" : "it lies in the future",
                      err);
    if (until->is_seq) {
        *ret = until->seq;
    } else {
        if (seq_at(bus, info, until->at_ns + 1, ret, err) < 0)
            return -1;
        (*ret)--;
    }
    if (*ret < info->first_seq && info->first_seq > 1)
        return beyond(info, "--until", wanted->until, "all that was stored by then is gone", err);
    /* A state at a point in time stands on all that was before. */
    if (!wanted->from && info->first_seq > 1) {
        char why[160];
        (void)snprintf(why, sizeof why,
                       "the %llu before the first are gone, so this point in time cannot be "
                       "reached whole (--from %llu takes what there is)",
                       (unsigned long long)info->first_seq - 1,
                       (unsigned long long)info->first_seq);
        return beyond(info, "--until", wanted->until, why, err);
    }
    return 0;
}

static void keep_stream(const struct stream_info *info, struct selection_stream *ret)
{
    *ret = (struct selection_stream){
        .name = xstrdup(info->name),
        .created = xstrdup(info->created),
        .stream_first = info->first_seq,
        .bytes = info->messages ? info->bytes / info->messages : 0,
        .last_stored_at_ns = info->last_stored_at_ns,
        .replicas = info->replicas,
        .subject_count = info->subject_count,
        .subjects = xcalloc(info->subject_count + 1, sizeof *ret->subjects),
        .origin_count = info->origin_count,
        .origins = xcalloc(info->origin_count + 1, sizeof *ret->origins),
    };
    for (size_t i = 0; i < info->subject_count; i++)
        ret->subjects[i] = xstrdup(info->subjects[i]);
    for (size_t i = 0; i < info->origin_count; i++)
        ret->origins[i] = xstrdup(info->origins[i]);
}

/* --- what comes from other streams ------------------------------------------------------------ */

static void add_subject(struct selection_stream *stream, struct slice filter)
{
    for (size_t i = 0; i < stream->subject_count; i++) {
        if (subject_covers(slice_of(stream->subjects[i]), filter))
            return;
    }
    if (stream->subject_count == SUBJECTS_MAX)
        return;
    stream->subjects =
        xrealloc(stream->subjects, stream->subject_count + 1, sizeof *stream->subjects);
    stream->subjects[stream->subject_count++] = xstrndup(filter.ptr, filter.len);
}

/* By its first token: few, whatever comes. */
static void add_first_token(void *context, struct slice subject)
{
    struct slice token = SLICE_ABSENT;
    CLEANUP_BUF struct buf filter = {0};
    (void)slice_cut(&subject, '.', &token);
    buf_add_slice(&filter, token);
    buf_add_str(&filter, slice_present(subject) ? ".>" : "");
    add_subject(context, buf_slice(&filter));
}

/* A mirror, or what sources others, holds subjects that its own configuration does not name: those
 * that the others take, and those that it has. */
static int add_origin_subjects(struct bus *bus, struct selection_stream *stream, struct error *err)
{
    bool complete;
    for (size_t i = 0; i < stream->origin_count; i++) {
        struct stream_info origin = {0};
        struct error absent;
        if (stream_info(bus, stream->origins[i], &origin, &absent) < 0)
            continue; /* of another account, or gone */
        for (size_t j = 0; j < origin.subject_count; j++)
            add_subject(stream, slice_of(origin.subjects[j]));
        stream_info_done(&origin);
    }
    return stream->origin_count
               ? stream_subjects(bus, stream->name, add_first_token, stream, &complete, err)
               : 0;
}

static void count_messages(const struct stream_info *info, struct selection_stream *stream)
{
    uint64_t span = stream->first > stream->cut ? 0 : stream->cut - stream->first + 1;
    stream->messages = span < info->messages ? span : info->messages;
}

static int cut_streams(struct selection *selection, struct error *err)
{
    const struct replay_wanted *wanted = &selection->wanted;
    struct stream_list *list = &selection->reader.streams;
    struct place from, until;
    if (read_place("--from", wanted->from, &from, err) < 0 ||
        read_place("--until", wanted->until, &until, err) < 0)
        return -1;
    if ((from.is_seq || until.is_seq) && list->count != 1)
        return error_set(err, EXIT_CODE_USAGE,
                         "%s: a sequence belongs to one stream, and %zu are chosen; name one by "
                         "--stream, or say a time",
                         from.is_seq ? "--from" : "--until", list->count);
    selection->streams = xcalloc(list->count + 1, sizeof *selection->streams);
    for (size_t i = 0; i < list->count; i++) {
        struct stream_info *info = &list->items[i];
        struct selection_stream *stream = &selection->streams[selection->stream_count++];
        keep_stream(info, stream);
        if (first_of(selection->reader.bus, info, wanted->from, &from, &stream->first, err) < 0 ||
            cut_of(selection->reader.bus, info, wanted, &until, &stream->cut, err) < 0)
            return -1;
        count_messages(info, stream);
        if (add_origin_subjects(selection->reader.bus, stream, err) < 0)
            return -1;
    }
    if (from.given && until.given && !from.is_seq && !until.is_seq && from.at_ns > until.at_ns)
        return error_set(err, EXIT_CODE_USAGE, "--from %s is behind --until %s", wanted->from,
                         wanted->until);
    if (from.is_seq && until.is_seq && from.seq > until.seq)
        return error_set(err, EXIT_CODE_USAGE, "--from %s is behind --until %s", wanted->from,
                         wanted->until);
    return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool ask_stopped(void *context)
{
    bool (*stopped)(void) = ((struct selection *)context)->stopped;
    return stopped && stopped();
}

/* All but the streams. */
static int open_reader(struct selection *selection, const struct replay_wanted *wanted,
                       const struct bus_options *nats, const char *rules_dir, bool (*stopped)(void),
                       struct error *err)
{
    *selection = (struct selection){
        .wanted = *wanted, .correlation = wanted->events.correlation, .stopped = stopped};
    selection->wanted.events.correlation = NULL;
    struct events_reader *reader = &selection->reader;
    reader->stopped = ask_stopped;
    reader->context = selection;
    reader->by_sequence = true;
    reader->wanted = &selection->wanted.events;
    if (load_filter(selection, err) < 0 || take_filter(selection, err) < 0 ||
        events_filter_make(reader->wanted, &reader->filter, err) < 0)
        return -1;
    return events_reader_open(reader, nats, rules_dir, err);
}

static int narrow(struct selection *selection, struct error *err)
{
    const struct events_wanted *wanted = &selection->wanted.events;
    bool by_view = selection->reader.filter.only_views || selection->correlation;
    selection->whole = !by_view && !wanted->subject;
    if (wanted->subject)
        selection->server_filter = xstrdup(wanted->subject);
    else if (by_view && !selection->correlation && selection->stream_count == 1)
        return narrow_subjects(&selection->reader, selection->streams[0].name,
                               &selection->server_filter, err);
    return 0;
}

/* One flow is more than what bears its id: the filter gives way to the list of its events. */
static int find_flow(struct selection *selection, struct error *err)
{
    return selection->correlation
               ? flow_find(selection, selection->correlation, &selection->flow, err)
               : 0;
}

/* Unless it is asked for by name, or nothing else would be left. */
static void leave_out(struct selection *selection, const char *name)
{
    struct stream_list *list = &selection->reader.streams;
    size_t kept = 0;
    if (selection->wanted.events.stream || !name || list->count == 1)
        return;
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->items[i].name, name))
            stream_info_done(&list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

static int find_streams(struct selection *selection, struct error *err)
{
    if (events_list_streams(&selection->reader, &selection->reader.streams, err) < 0)
        return -1;
    leave_out(selection, OPS_STREAM); /* what cim-ops tells of itself */
    leave_out(selection, selection->wanted.target_stream);
    return selection->reader.streams.count
               ? 0
               : error_set(err, EXIT_CODE_PROBLEM, "there is no event stream to replay");
}

int selection_open(struct selection *selection, const struct replay_wanted *wanted,
                   const struct bus_options *nats, const char *rules_dir, bool (*stopped)(void),
                   struct error *err)
{
    if (open_reader(selection, wanted, nats, rules_dir, stopped, err) < 0 ||
        find_streams(selection, err) < 0 || cut_streams(selection, err) < 0 ||
        narrow(selection, err) < 0)
        return -1;
    return find_flow(selection, err);
}

void selection_close(struct selection *selection)
{
    for (size_t i = 0; i < selection->stream_count; i++) {
        struct selection_stream *stream = &selection->streams[i];
        for (size_t j = 0; j < stream->subject_count; j++)
            free(stream->subjects[j]);
        for (size_t j = 0; j < stream->origin_count; j++)
            free(stream->origins[j]);
        free(stream->subjects);
        free(stream->origins);
        free(stream->name);
        free(stream->created);
    }
    free(selection->streams);
    flow_free(selection->flow);
    events_reader_close(&selection->reader);
    events_filter_done(&selection->reader.filter);
    free(selection->server_filter);
    free(selection->types);
    free(selection->domains);
    free(selection->from);
    free(selection->until);
    *selection = (struct selection){0};
}

/* --- in records ------------------------------------------------------------------------------- */

static const struct {
    const char *key;
    size_t offset;
} wanted_texts[] = {
    {"stream", offsetof(struct replay_wanted, events.stream)},
    {"subject", offsetof(struct replay_wanted, events.subject)},
    {"domain", offsetof(struct replay_wanted, events.domain)},
    {"type", offsetof(struct replay_wanted, events.type)},
    {"aggregate", offsetof(struct replay_wanted, events.aggregate)},
    {"correlation", offsetof(struct replay_wanted, events.correlation)},
    {"where", offsetof(struct replay_wanted, events.where)},
    {"from", offsetof(struct replay_wanted, from)},
    {"until", offsetof(struct replay_wanted, until)},
};

json_t *selection_to_json(const struct selection *selection)
{
    json_t *wanted = json_object(), *streams = json_array();
    for (size_t i = 0; i < ARRAY_LEN(wanted_texts); i++) {
        const char *text;
        memcpy(&text, (const char *)&selection->wanted + wanted_texts[i].offset, sizeof text);
        if (text)
            (void)json_object_set_new(wanted, wanted_texts[i].key, json_string(text));
    }
    if (selection->correlation)
        (void)json_object_set_new(wanted, "correlation", json_string(selection->correlation));
    for (size_t i = 0; i < selection->stream_count; i++) {
        const struct selection_stream *stream = &selection->streams[i];
        (void)json_array_append_new(streams, json_pack("{s:s, s:s, s:I, s:I}", "name", stream->name,
                                                       "created", stream->created, "first",
                                                       (json_int_t)stream->first, "cut",
                                                       (json_int_t)stream->cut));
    }
    return json_pack("{s:o, s:o}", "wanted", wanted, "streams", streams);
}

static int reopen_stream(struct selection *selection, json_t *item, struct error *err)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *created = json_string_value(json_object_get(item, "created"));
    struct stream_info info = {0};
    if (!name || !created)
        return error_set(err, EXIT_CODE_DAMAGED, "the record of the replay cannot be read");
    if (stream_info(selection->reader.bus, name, &info, err) < 0)
        return err && err->code == EXIT_CODE_PROBLEM
                   ? error_set(err, EXIT_CODE_DAMAGED, "stream %s is no longer there", name)
                   : -1;
    int rc = 0;
    struct selection_stream *stream = &selection->streams[selection->stream_count++];
    keep_stream(&info, stream);
    stream->first = (uint64_t)json_integer_value(json_object_get(item, "first"));
    stream->cut = (uint64_t)json_integer_value(json_object_get(item, "cut"));
    count_messages(&info, stream);
    if (strcmp(created, info.created) != 0)
        rc = error_set(err, EXIT_CODE_DAMAGED,
                       "stream %s was created anew at %s; the replay began with the one of %s",
                       name, info.created, created);
    stream_info_done(&info);
    return rc < 0 ? -1 : add_origin_subjects(selection->reader.bus, stream, err);
}

int selection_reopen(struct selection *selection, json_t *json, const struct bus_options *nats,
                     const char *rules_dir, bool (*stopped)(void), struct error *err)
{
    struct replay_wanted wanted = {0};
    json_t *texts = json_object_get(json, "wanted"), *streams = json_object_get(json, "streams");
    for (size_t i = 0; i < ARRAY_LEN(wanted_texts); i++) {
        const char *text = json_string_value(json_object_get(texts, wanted_texts[i].key));
        memcpy((char *)&wanted + wanted_texts[i].offset, &text, sizeof text);
    }
    if (open_reader(selection, &wanted, nats, rules_dir, stopped, err) < 0)
        return -1;
    selection->streams = xcalloc(json_array_size(streams) + 1, sizeof *selection->streams);
    for (size_t i = 0; i < json_array_size(streams); i++) {
        if (reopen_stream(selection, json_array_get(streams, i), err) < 0)
            return -1;
    }
    return narrow(selection, err) < 0 ? -1 : find_flow(selection, err);
}
