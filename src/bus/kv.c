#include "bus/kv.h"

#include "base/instant.h"
#include "base/memory.h"
#include "bus/api.h"
#include "bus/bus_internal.h"
#include "bus/pull.h"
#include "event/headers.h"

enum {
    HEADER_ROOM = 1024, /* of a message's size, for its headers */
    EACH_BATCH = 2 * KV_EACH_HELD / 3,
    PATIENCE_MS = 10000, /* of kv_each() with a link that went down */
    RETRY_MS = 100,
};

/* --- buckets ---------------------------------------------------------------------------------- */

static int check_bucket(const char *bucket, struct error *err)
{
    if (kv_bucket_is_legal(bucket))
        return 0;
    return error_set(err, EXIT_CODE_USAGE,
                     "\"%s\" cannot be the name of a bucket: letters, digits, _ and -, at most %d "
                     "bytes",
                     bucket, KV_BUCKET_MAX);
}

static int check_names(const char *bucket, const char *key, struct error *err)
{
    if (check_bucket(bucket, err) < 0)
        return -1;
    if (kv_key_is_legal(key))
        return 0;
    return error_set(err, EXIT_CODE_USAGE,
                     "\"%s\" cannot be a key: letters, digits, and _ - / = . with no dot first, "
                     "last or doubled, at most %d bytes",
                     key, KV_KEY_MAX);
}

static int no_bucket(const char *bucket, struct error *err)
{
    return error_set(err, EXIT_CODE_PROBLEM, "there is no bucket %s", bucket);
}

static json_t *stream_config(const char *bucket, const struct kv_config *config)
{
    CLEANUP_FREE char *name = xasprintf("KV_%s", bucket);
    CLEANUP_FREE char *subject = xasprintf("$KV.%s.>", bucket);
    json_t *made =
        json_pack("{s:s, s:[s], s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:i, s:i}", "name", name,
                  "subjects", subject, "retention", "limits", "storage", "file", "discard", "new",
                  "max_consumers", -1, "max_msgs", -1, "max_msg_size", -1, "max_bytes",
                  (json_int_t)(config->max_bytes > 0 ? config->max_bytes : -1), "max_age", 0,
                  "max_msgs_per_subject", (int)(config->history ? config->history : 1));
    json_t *more =
        json_pack("{s:i, s:b, s:b, s:b, s:I}", "num_replicas",
                  (int)(config->replicas ? config->replicas : 1), "allow_rollup_hdrs", 1,
                  "deny_delete", 1, "allow_direct", 1, /* a server that does not know it skips it */
                  "duplicate_window", (json_int_t)(120 * NS_PER_SECOND));
    (void)json_object_update(made, more);
    json_decref(more);
    if (config->description)
        (void)json_object_set_new(made, "description", json_string(config->description));
    return made;
}

int kv_ensure(struct bus *bus, const char *bucket, const struct kv_config *config,
              bool *ret_created, struct error *err)
{
    static const struct kv_config usual;
    const struct kv_config *wanted = config ? config : &usual;
    struct kv_info info;
    struct error absent = ERROR_NONE;
    *ret_created = false;
    if (wanted->history > KV_HISTORY_MAX)
        return error_set(err, EXIT_CODE_USAGE, "bucket %s: a history of %u, at most %d", bucket,
                         wanted->history, KV_HISTORY_MAX);
    if (kv_info(bus, bucket, &info, &absent) == 0)
        return 0;
    if (absent.code != EXIT_CODE_PROBLEM)
        return error_set(err, absent.code, "%s", absent.text);

    CLEANUP_FREE char *subject = xasprintf("$JS.API.STREAM.CREATE.KV_%s", bucket);
    json_t *reply = NULL;
    int api_code = 0;
    if (api_call(bus, subject, stream_config(bucket, wanted), &reply, &api_code, err) < 0)
        return api_code == API_NAME_IN_USE ? 0 : -1; /* somebody else was quicker */
    json_decref(reply);
    *ret_created = true;
    return 0;
}

int kv_info(struct bus *bus, const char *bucket, struct kv_info *ret, struct error *err)
{
    CLEANUP_FREE char *subject = xasprintf("$JS.API.STREAM.INFO.KV_%s", bucket);
    json_t *reply = NULL;
    int api_code = 0;
    if (check_bucket(bucket, err) < 0)
        return -1;
    if (api_call(bus, subject, NULL, &reply, &api_code, err) < 0)
        return api_code == API_STREAM_NOT_FOUND ? no_bucket(bucket, err) : -1;
    json_t *config = json_object_get(reply, "config"), *state = json_object_get(reply, "state");
    const char *created = json_string_value(json_object_get(reply, "created"));
    *ret = (struct kv_info){
        .keys = api_u64(state, "num_subjects"),
        .values = api_u64(state, "messages"),
        .bytes = api_u64(state, "bytes"),
        .last_seq = api_u64(state, "last_seq"),
        .history = (unsigned)api_u64(config, "max_msgs_per_subject"),
        .replicas = (unsigned)api_u64(config, "num_replicas"),
        .max_bytes = (int64_t)api_u64(config, "max_bytes"),
        .max_value_size = (int64_t)api_u64(config, "max_msg_size"),
    };
    (void)instant_parse_rfc3339(slice_of(created), &ret->created_ns);
    if (ret->max_bytes <= 0)
        ret->max_bytes = -1;
    if (ret->max_value_size <= 0)
        ret->max_value_size = -1;
    json_decref(reply);
    return 0;
}

int kv_drop(struct bus *bus, const char *bucket, struct error *err)
{
    CLEANUP_FREE char *subject = xasprintf("$JS.API.STREAM.DELETE.KV_%s", bucket);
    json_t *reply = NULL;
    int api_code = 0;
    if (check_bucket(bucket, err) < 0)
        return -1;
    if (api_call(bus, subject, NULL, &reply, &api_code, err) < 0)
        return api_code == API_STREAM_NOT_FOUND ? no_bucket(bucket, err) : -1;
    json_decref(reply);
    return 0;
}

/* --- reading one key -------------------------------------------------------------------------- */

/* Any operation but none is a deletion (ADR-8); so is what a server's own limits leave (ADR-48). */
static bool is_marker(const struct bus_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(headers[i].name, SLICE("Nats-Marker-Reason")))
            return true;
        if (slice_eq(headers[i].name, SLICE("KV-Operation")) &&
            !slice_eq(headers[i].value, SLICE("PUT")))
            return true;
    }
    return false;
}

/* Of a stored header block; one that is broken has none. */
static bool block_is_marker(struct slice block)
{
    const struct bus_message message = {.header_block = block};
    struct bus_header headers[BUS_HEADERS_MAX];
    int count = bus_message_headers(&message, headers, ARRAY_LEN(headers));
    return count > 0 && is_marker(headers, (size_t)count);
}

int kv_get(struct bus *bus, const char *bucket, const char *key, struct buf *ret_value,
           uint64_t *ret_revision, struct error *err)
{
    CLEANUP_FREE char *stream = xasprintf("KV_%s", bucket);
    CLEANUP_BUF struct buf subject = {0};
    struct api_message message = {0};
    int api_code = 0;
    if (ret_revision)
        *ret_revision = 0;
    if (check_names(bucket, key, err) < 0)
        return -1;
    kv_add_subject(&subject, bucket, key);
    json_t *which = json_pack("{s:s}", "last_by_subj", buf_cstr(&subject));
    int rc = api_message_get(bus, stream, which, &message, &api_code, err);
    if (rc < 0 && api_code == API_STREAM_NOT_FOUND)
        no_bucket(bucket, err);
    else if (rc < 0 && api_code == API_NO_MESSAGE_FOUND)
        error_set(err, EXIT_CODE_PROBLEM, "bucket %s: there is no key %s", bucket, key);
    else if (rc == 0 && block_is_marker(buf_slice(&message.headers)))
        rc = error_set(err, EXIT_CODE_PROBLEM, "bucket %s: the key %s was deleted", bucket, key);
    else if (rc == 0 && ret_value)
        buf_add_slice(ret_value, buf_slice(&message.payload));
    if (ret_revision)
        *ret_revision = message.seq;
    api_message_done(&message);
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* What the server says to a write: {"stream","seq"}, or {"error":{...}}. */
static int read_answer(const char *bucket, const char *key, struct slice bytes,
                       uint64_t *ret_revision, struct error *err)
{
    json_t *answer = json_loadb(bytes.ptr, bytes.len, 0, NULL);
    json_t *failure = json_object_get(answer, "error");
    const char *text = json_string_value(json_object_get(failure, "description"));
    int code = (int)json_integer_value(json_object_get(failure, "code"));
    uint64_t seq = api_u64(answer, "seq");
    int rc = 0;
    int api_code = (int)json_integer_value(json_object_get(failure, "err_code"));
    bool raced = api_code == API_WRONG_LAST_SEQUENCE || api_code == API_WRONG_LAST_SEQUENCE_UNKNOWN;
    bool lasting = failure && (code != 503 || api_code == API_STORE_FAILED);
    if (raced)
        rc = error_set(err, EXIT_CODE_REFUSED,
                       "bucket %s: the key %s has another revision by now: %s", bucket, key, text);
    else if (failure || !seq)
        rc = error_set(err, lasting ? EXIT_CODE_PROBLEM : EXIT_CODE_UNREACHABLE,
                       "bucket %s: the key %s was not stored: %s (%d)", bucket, key,
                       text ? text : "unreadable reply", api_code);
    else if (ret_revision)
        *ret_revision = seq;
    json_decref(answer);
    return rc;
}

/* Nobody takes the subject: because there is no bucket, or no JetStream? */
static int nobody_took(struct bus *bus, const char *bucket, struct error *err)
{
    struct kv_info info;
    if (kv_info(bus, bucket, &info, err) < 0)
        return -1;
    return error_set(err, EXIT_CODE_UNREACHABLE, "bucket %s: nobody takes writes now", bucket);
}

static int store(struct bus *bus, const char *bucket, const char *key, struct slice value,
                 const struct bus_header *headers, size_t header_count, uint64_t *ret_revision,
                 struct error *err)
{
    CLEANUP_BUF struct buf subject = {0}, reply = {0};
    size_t most = bus_payload_max(bus);
    bool nobody = false;
    if (check_names(bucket, key, err) < 0)
        return -1;
    if (most && value.len + HEADER_ROOM > most)
        return error_set(err, EXIT_CODE_PROBLEM,
                         "bucket %s: the key %s has %zu bytes; the server takes messages of %zu",
                         bucket, key, value.len, most);
    kv_add_subject(&subject, bucket, key);
    if (bus_request_asking(bus, buf_cstr(&subject), headers, header_count, value, BUS_TIMEOUT_MS,
                           &reply, &nobody, err) < 0)
        return nobody ? nobody_took(bus, bucket, err) : -1;
    return read_answer(bucket, key, buf_slice(&reply), ret_revision, err);
}

int kv_put(struct bus *bus, const char *bucket, const char *key, struct slice value,
           uint64_t *ret_revision, struct error *err)
{
    return store(bus, bucket, key, value, NULL, 0, ret_revision, err);
}

static int store_at(struct bus *bus, const char *bucket, const char *key, struct slice value,
                    uint64_t revision, uint64_t *ret_revision, struct error *err)
{
    CLEANUP_BUF struct buf expected = {0};
    buf_add_u64(&expected, revision);
    const struct bus_header header = {SLICE("Nats-Expected-Last-Subject-Sequence"),
                                      buf_slice(&expected)};
    return store(bus, bucket, key, value, &header, 1, ret_revision, err);
}

int kv_update(struct bus *bus, const char *bucket, const char *key, struct slice value,
              uint64_t revision, uint64_t *ret_revision, struct error *err)
{
    struct error first = ERROR_NONE, gone = ERROR_NONE;
    if (store_at(bus, bucket, key, value, revision, ret_revision, &first) == 0)
        return 0;
    /* A marker is a message on the subject as well: then it is to follow that one (ADR-8). */
    uint64_t marker = 0;
    bool deleted = revision == 0 && first.code == EXIT_CODE_REFUSED &&
                   kv_get(bus, bucket, key, NULL, &marker, &gone) < 0 &&
                   gone.code == EXIT_CODE_PROBLEM && marker;
    if (deleted)
        return store_at(bus, bucket, key, value, marker, ret_revision, err);
    return error_set(err, first.code, "%s", first.text);
}

int kv_delete(struct bus *bus, const char *bucket, const char *key, struct error *err)
{
    const struct bus_header header = {SLICE("KV-Operation"), SLICE("DEL")};
    return store(bus, bucket, key, SLICE(""), &header, 1, NULL, err);
}

int kv_purge_key(struct bus *bus, const char *bucket, const char *key, struct error *err)
{
    const struct bus_header headers[] = {{SLICE("KV-Operation"), SLICE("PURGE")},
                                         {SLICE("Nats-Rollup"), SLICE("sub")}};
    return store(bus, bucket, key, SLICE(""), headers, ARRAY_LEN(headers), NULL, err);
}

/* --- all keys --------------------------------------------------------------------------------- */

void kv_entry_of(const struct bus_message *message, const char *bucket, struct kv_entry *ret)
{
    struct bus_header headers[BUS_HEADERS_MAX];
    int count = bus_message_headers(message, headers, ARRAY_LEN(headers));
    *ret = (struct kv_entry){
        .key = slice_from(message->subject, strlen("$KV.") + strlen(bucket) + 1),
        .value = message->payload,
        .revision = message->seq,
        .stored_at_ns = message->stored_at_ns,
        .is_deleted = count > 0 && is_marker(headers, (size_t)count),
    };
}

/* 1, 0 at the end, or -1 when nothing came for PATIENCE_MS, link and consumer renewed meanwhile. */
static int next_message(struct pull *pull, struct bus_message *message, struct error *err)
{
    int64_t until = instant_monotonic_ns() + PATIENCE_MS * NS_PER_MS;
    while (!pull_ended(pull)) {
        struct error problem = ERROR_NONE;
        int got = pull_next(pull, message, BUS_TIMEOUT_MS, &problem);
        if (got > 0)
            return 1;
        bool late = instant_monotonic_ns() > until;
        if (got < 0 && (late || problem.code == EXIT_CODE_REFUSED))
            return error_set(err, problem.code, "%s", problem.text);
        if (got == 0 && late && !pull_ended(pull))
            return error_set(err, EXIT_CODE_UNREACHABLE, "%llu keys did not come in time",
                             (unsigned long long)pull_left(pull));
        if (got < 0)
            (void)usleep(RETRY_MS * 1000);
    }
    return 0;
}

static int each_of(struct pull *pull, const char *bucket,
                   bool (*each)(void *context, const struct kv_entry *entry), void *context,
                   struct error *err)
{
    struct bus_message message;
    bool more = true;
    int got = 0;
    while (more && (got = next_message(pull, &message, err)) > 0) {
        struct kv_entry entry;
        kv_entry_of(&message, bucket, &entry);
        more = each(context, &entry);
        bus_message_release(&message);
    }
    return got < 0 ? -1 : 0;
}

int kv_each(struct bus *bus, const char *bucket, const char *filter,
            bool (*each)(void *context, const struct kv_entry *entry), void *context,
            struct error *err)
{
    CLEANUP_FREE char *stream = xasprintf("KV_%s", bucket);
    CLEANUP_FREE char *subject = xasprintf("$KV.%s.%s", bucket, filter ? filter : ">");
    const struct pull_options options = {
        .stream = stream, .filter = subject, .batch = EACH_BATCH, .last_per_subject = true};
    struct kv_info info;
    struct pull *pull = NULL;
    if (kv_info(bus, bucket, &info, err) < 0)
        return -1;
    if (pull_open(bus, &options, &pull, err) < 0)
        return error_wrap(err, "bucket %s", bucket);
    int rc = each_of(pull, bucket, each, context, err);
    pull_close(pull);
    return rc < 0 ? error_wrap(err, "bucket %s", bucket) : 0;
}
