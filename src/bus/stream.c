#include "bus/stream.h"

#include <jansson.h>
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/api.h"

const char *stream_kind_name(enum stream_kind kind)
{
    switch (kind) {
    case STREAM_EVENTS: return "events";
    case STREAM_KEY_VALUE: return "kv";
    case STREAM_OBJECT: return "object";
    case STREAM_WORK_QUEUE: return "work_queue";
    case STREAM_MIRROR: return "mirror";
    }
    return "unknown";
}

static enum stream_kind classify(const char *name, json_t *config)
{
    const char *retention = json_string_value(json_object_get(config, "retention"));
    if (!strncmp(name, "KV_", 3))
        return STREAM_KEY_VALUE;
    if (!strncmp(name, "OBJ_", 4))
        return STREAM_OBJECT;
    if (retention && !strcmp(retention, "workqueue"))
        return STREAM_WORK_QUEUE;
    if (json_is_object(json_object_get(config, "mirror")))
        return STREAM_MIRROR;
    return STREAM_EVENTS;
}

static int64_t limit_of(json_t *config, const char *key)
{
    json_t *value = json_object_get(config, key);
    int64_t limit = value ? json_integer_value(value) : 0;
    return limit > 0 ? limit : -1;
}

static bool is_true(json_t *config, const char *key)
{
    return json_is_true(json_object_get(config, key));
}

static void fill_limits(json_t *config, struct stream_limits *ret)
{
    const char *discard = json_string_value(json_object_get(config, "discard"));
    *ret = (struct stream_limits){
        .messages = limit_of(config, "max_msgs"),
        .bytes = limit_of(config, "max_bytes"),
        .message_bytes = limit_of(config, "max_msg_size"),
        .per_subject = limit_of(config, "max_msgs_per_subject"),
        .age_ns = json_integer_value(json_object_get(config, "max_age")),
        .duplicate_ns = json_integer_value(json_object_get(config, "duplicate_window")),
        .discard_new = discard && !strcmp(discard, "new"),
        .sealed = is_true(config, "sealed"),
    };
}

static void add_origin(json_t *origin, struct stream_info *ret)
{
    const char *name = json_string_value(json_object_get(origin, "name"));
    if (!name)
        return;
    ret->origins = xrealloc(ret->origins, ret->origin_count + 1, sizeof *ret->origins);
    ret->origins[ret->origin_count++] = xstrdup(name);
}

static void fill_origins(json_t *config, struct stream_info *ret)
{
    json_t *sources = json_object_get(config, "sources");
    add_origin(json_object_get(config, "mirror"), ret);
    for (size_t i = 0; i < json_array_size(sources); i++)
        add_origin(json_array_get(sources, i), ret);
}

static void fill_info(json_t *item, struct stream_info *ret)
{
    json_t *config = json_object_get(item, "config"), *state = json_object_get(item, "state");
    json_t *subjects = json_object_get(config, "subjects");
    const char *name = json_string_value(json_object_get(config, "name"));
    const char *created = json_string_value(json_object_get(item, "created"));
    const char *retention = json_string_value(json_object_get(config, "retention"));
    *ret = (struct stream_info){
        .name = xstrdup(name ? name : ""),
        .created = xstrdup(created ? created : ""),
        .kind = classify(name ? name : "", config),
        .has_sources = json_array_size(json_object_get(config, "sources")) > 0,
        .interest_retention = retention && !strcmp(retention, "interest"),
        .first_seq = api_u64(state, "first_seq"),
        .last_seq = api_u64(state, "last_seq"),
        .messages = api_u64(state, "messages"),
        .bytes = api_u64(state, "bytes"),
        .consumer_count = (size_t)api_u64(state, "consumer_count"),
        .replicas = (unsigned)api_u64(config, "num_replicas"),
    };
    fill_limits(config, &ret->limits);
    fill_origins(config, ret);
    (void)instant_parse_rfc3339(slice_of(ret->created), &ret->created_ns);
    int64_t when = 0;
    const char *last = json_string_value(json_object_get(state, "last_ts"));
    if (last && instant_parse_rfc3339(slice_of(last), &when) && when > 0)
        ret->last_stored_at_ns = when;
    ret->subject_count = json_array_size(subjects);
    ret->subjects = xcalloc(ret->subject_count + 1, sizeof *ret->subjects);
    for (size_t i = 0; i < ret->subject_count; i++) {
        const char *subject = json_string_value(json_array_get(subjects, i));
        ret->subjects[i] = xstrdup(subject ? subject : "");
    }
}

void stream_info_done(struct stream_info *info)
{
    for (size_t i = 0; i < info->subject_count; i++)
        free(info->subjects[i]);
    free(info->subjects);
    for (size_t i = 0; i < info->origin_count; i++)
        free(info->origins[i]);
    free(info->origins);
    free(info->name);
    free(info->created);
    *info = (struct stream_info){0};
}

void stream_list_done(struct stream_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        stream_info_done(&list->items[i]);
    free(list->items);
    *list = (struct stream_list){0};
}

int stream_list(struct bus *bus, struct stream_list *ret, struct error *err)
{
    struct stream_list list = {0};
    size_t room = 0, total = 0;
    *ret = list;
    do {
        json_t *page = NULL;
        int api_code = 0;
        if (api_call(bus, "$JS.API.STREAM.LIST",
                     json_pack("{s:I}", "offset", (json_int_t)list.count), &page, &api_code,
                     err) < 0) {
            stream_list_done(&list);
            ret->no_jetstream = api_code == API_NOBODY || api_code == API_NOT_ENABLED ||
                                api_code == API_NOT_ENABLED_FOR_ACCOUNT;
            return -1;
        }
        json_t *items = json_object_get(page, "streams");
        size_t got = json_array_size(items);
        total = api_u64(page, "total");
        for (size_t i = 0; i < got && list.count < STREAMS_MAX; i++) {
            GROW(list.items, list.count, room);
            fill_info(json_array_get(items, i), &list.items[list.count++]);
        }
        json_decref(page);
        if (got == 0)
            break;
    } while (list.count < total && list.count < STREAMS_MAX);
    *ret = list;
    return 0;
}

int stream_info(struct bus *bus, const char *name, struct stream_info *ret, struct error *err)
{
    CLEANUP_FREE char *subject = xasprintf("$JS.API.STREAM.INFO.%s", name);
    json_t *reply = NULL;
    int api_code = 0;
    if (api_call(bus, subject, NULL, &reply, &api_code, err) < 0)
        return -1;
    fill_info(reply, ret);
    json_decref(reply);
    return 0;
}

int stream_ensure(struct bus *bus, const char *name, const char *const *subjects,
                  size_t subject_count, bool *ret_created, struct error *err)
{
    return stream_ensure_replicated(bus, name, subjects, subject_count, 1, ret_created, err);
}

int stream_ensure_replicated(struct bus *bus, const char *name, const char *const *subjects,
                             size_t subject_count, unsigned replicas, bool *ret_created,
                             struct error *err)
{
    struct stream_info info;
    *ret_created = false;
    struct error absent = ERROR_NONE;
    if (stream_info(bus, name, &info, &absent) == 0) {
        stream_info_done(&info);
        return 0;
    }
    if (absent.code != EXIT_CODE_PROBLEM)
        return error_set(err, absent.code, "%s", absent.text);

    json_t *list = json_array();
    for (size_t i = 0; i < subject_count; i++)
        (void)json_array_append_new(list, json_string(subjects[i]));
    CLEANUP_FREE char *subject = xasprintf("$JS.API.STREAM.CREATE.%s", name);
    json_t *reply = NULL;
    int api_code = 0;
    json_t *config = json_pack("{s:s, s:o, s:s, s:s, s:s, s:i, s:I}", "name", name, "subjects",
                               list, "retention", "limits", "storage", "file", "discard", "old",
                               "num_replicas", (int)replicas, "max_age", (json_int_t)0);
    if (api_call(bus, subject, config, &reply, &api_code, err) < 0)
        return api_code == API_NAME_IN_USE ? 0 : -1; /* somebody else was quicker */
    json_decref(reply);
    *ret_created = true;
    return 0;
}

static bool takes(const json_t *subjects, const char *wanted)
{
    size_t i;
    json_t *item;
    json_array_foreach(subjects, i, item)
    {
        const char *subject = json_string_value(item);
        if (subject && subject_filters_overlap(slice_of(subject), slice_of(wanted)))
            return true;
    }
    return false;
}

int stream_ensure_ops(struct bus *bus, bool *ret_created, struct error *err)
{
    static const char *const subjects[] = {OPS_SUBJECT};
    return stream_ensure(bus, OPS_STREAM, subjects, ARRAY_LEN(subjects), ret_created, err);
}

int stream_add_subjects(struct bus *bus, const char *name, const char *const *subjects,
                        size_t subject_count, struct error *err)
{
    CLEANUP_FREE char *ask = xasprintf("$JS.API.STREAM.INFO.%s", name);
    CLEANUP_FREE char *change = xasprintf("$JS.API.STREAM.UPDATE.%s", name);
    json_t *reply = NULL, *answer = NULL;
    int api_code = 0;
    if (api_call(bus, ask, NULL, &reply, &api_code, err) < 0)
        return -1;
    json_t *config = json_object_get(reply, "config");
    json_t *list = json_object_get(config, "subjects");
    size_t before = json_array_size(list);
    for (size_t i = 0; i < subject_count; i++) {
        if (!takes(list, subjects[i]))
            (void)json_array_append_new(list, json_string(subjects[i]));
    }
    int result = 0;
    if (json_array_size(list) > before)
        result = api_call(bus, change, json_incref(config), &answer, &api_code, err);
    json_decref(answer);
    json_decref(reply);
    return result;
}

/* --- subjects --------------------------------------------------------------------------------- */

bool subject_is_filter(struct slice text)
{
    struct slice rest = text, token;
    if (!text.len)
        return false;
    while (slice_cut(&rest, '.', &token)) {
        bool wild =
            token.len && (memchr(token.ptr, '*', token.len) || memchr(token.ptr, '>', token.len));
        if (!token.len || (wild && token.len > 1))
            return false;
        if (token.ptr[0] == '>' && slice_present(rest))
            return false;
        for (size_t i = 0; i < token.len; i++) {
            if ((unsigned char)token.ptr[i] <= ' ')
                return false;
        }
    }
    return true;
}

bool subject_matches(struct slice filter, struct slice subject)
{
    struct slice want, have;
    while (slice_cut(&filter, '.', &want)) {
        if (slice_eq(want, SLICE(">")))
            return slice_present(subject);
        if (!slice_cut(&subject, '.', &have) ||
            (!slice_eq(want, SLICE("*")) && !slice_eq(want, have)))
            return false;
    }
    return !slice_present(subject);
}

bool subject_covers(struct slice wide, struct slice filter)
{
    struct slice left = SLICE_ABSENT, right = SLICE_ABSENT;
    for (;;) {
        bool more = slice_cut(&wide, '.', &left), more_filter = slice_cut(&filter, '.', &right);
        if (!more || !more_filter)
            return more == more_filter;
        if (slice_eq(left, SLICE(">")))
            return true;
        if (slice_eq(right, SLICE(">")))
            return false;
        if (!slice_eq(left, SLICE("*")) && !slice_eq(left, right))
            return false;
    }
}

bool subject_filters_overlap(struct slice a, struct slice b)
{
    struct slice left = SLICE_ABSENT, right = SLICE_ABSENT;
    for (;;) {
        bool more_a = slice_cut(&a, '.', &left), more_b = slice_cut(&b, '.', &right);
        if (!more_a || !more_b)
            return more_a == more_b;
        if (slice_eq(left, SLICE(">")) || slice_eq(right, SLICE(">")))
            return true;
        bool wild = slice_eq(left, SLICE("*")) || slice_eq(right, SLICE("*"));
        if (!wild && !slice_eq(left, right))
            return false;
    }
}

/* --- one message ------------------------------------------------------------------------------ */

int stream_get_message(struct bus *bus, const char *stream, uint64_t seq, struct buf *ret_subject,
                       struct buf *ret_headers, struct buf *ret_payload, int64_t *ret_stored_at_ns,
                       struct error *err)
{
    struct api_message message = {0};
    int api_code = 0;
    int rc = api_message_get(bus, stream, json_pack("{s:I}", "seq", (json_int_t)seq), &message,
                             &api_code, err);
    if (rc == 0) {
        buf_add_slice(ret_subject, buf_slice(&message.subject));
        buf_add_slice(ret_headers, buf_slice(&message.headers));
        buf_add_slice(ret_payload, buf_slice(&message.payload));
        *ret_stored_at_ns = message.stored_at_ns;
    }
    api_message_done(&message);
    return rc;
}

int stream_of_subject(struct bus *bus, const char *subject, struct buf *ret, struct error *err)
{
    json_t *reply = NULL;
    int api_code = 0;
    if (api_call(bus, "$JS.API.STREAM.NAMES", json_pack("{s:s}", "subject", subject), &reply,
                 &api_code, err) < 0)
        return -1;
    const char *name = json_string_value(json_array_get(json_object_get(reply, "streams"), 0));
    int rc = 0;
    if (name)
        buf_add_str(ret, name);
    else
        rc = error_set(err, EXIT_CODE_PROBLEM, "no stream takes %s", subject);
    json_decref(reply);
    return rc;
}

static int last_of(struct bus *bus, const char *stream, const char *subject,
                   void (*each)(void *context, struct slice payload, int64_t stored_at_ns),
                   void *context, struct error *err)
{
    struct api_message message = {0};
    int api_code = 0;
    int rc = api_message_get(bus, stream, json_pack("{s:s}", "last_by_subj", subject), &message,
                             &api_code, err);
    if (rc == 0)
        each(context, buf_slice(&message.payload), message.stored_at_ns);
    api_message_done(&message);
    return rc;
}

int stream_last_each(struct bus *bus, const char *stream, const char *filter,
                     void (*each)(void *context, struct slice payload, int64_t stored_at_ns),
                     void *context, struct error *err)
{
    CLEANUP_FREE char *ask = xasprintf("$JS.API.STREAM.INFO.%s", stream);
    json_t *reply = NULL;
    int api_code = 0, rc = 0;
    size_t count = 0;
    const char *subject;
    json_t *number;
    if (api_call(bus, ask, json_pack("{s:s}", "subjects_filter", filter), &reply, &api_code, err) <
        0)
        return -1;
    json_t *subjects = json_object_get(json_object_get(reply, "state"), "subjects");
    json_object_foreach(subjects, subject, number)
    {
        if (rc < 0 || count++ == STREAM_SUBJECTS_SHOWN_MAX)
            break;
        rc = last_of(bus, stream, subject, each, context, err);
    }
    json_decref(reply);
    return rc;
}

int stream_subjects(struct bus *bus, const char *stream,
                    void (*each)(void *context, struct slice subject), void *context,
                    bool *ret_complete, struct error *err)
{
    CLEANUP_FREE char *ask = xasprintf("$JS.API.STREAM.INFO.%s", stream);
    json_t *reply = NULL, *number;
    int api_code = 0;
    const char *subject;
    if (api_call(bus, ask, json_pack("{s:s}", "subjects_filter", ">"), &reply, &api_code, err) < 0)
        return -1;
    json_t *state = json_object_get(reply, "state");
    json_t *subjects = json_object_get(state, "subjects");
    json_object_foreach(subjects, subject, number) each(context, slice_of(subject));
    *ret_complete = json_object_size(subjects) >= api_u64(state, "num_subjects");
    json_decref(reply);
    return 0;
}
