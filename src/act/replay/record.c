#include "act/replay/record.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/memory.h"
#include "bus/kv.h"

void replay_record_new(struct replay_record *record)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
    unsigned char random[6];
    time_t now = (time_t)(instant_now_ns() / NS_PER_SECOND);
    struct tm utc;
    *record = (struct replay_record){.root = json_object()};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        abort();
    (void)gmtime_r(&now, &utc);
    size_t len = strftime(record->id, sizeof record->id, "%Y%m%d-%H%M%S-", &utc);
    for (size_t i = 0; i < sizeof random; i++)
        record->id[len++] = letters[random[i] % (sizeof letters - 1)];
    replay_record_set(record, "version", json_integer(1));
    replay_record_set(record, "id", json_string(record->id));
    char when[INSTANT_TEXT_MAX];
    (void)instant_format(instant_now_ns(), when);
    replay_record_set(record, "started_at", json_string(when));
}

void replay_record_done(struct replay_record *record)
{
    json_decref(record->root);
    *record = (struct replay_record){0};
}

void replay_record_set(struct replay_record *record, const char *key, json_t *value)
{
    (void)json_object_set_new(record->root, key, value);
}

const char *replay_record_text(const struct replay_record *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record->root, key));
    return text ? text : "";
}

void replay_record_set_state(struct replay_record *record, const char *state, const char *problem)
{
    replay_record_set(record, "state", json_string(state));
    if (problem && *problem)
        replay_record_set(record, "problem", json_string(problem));
    else
        (void)json_object_del(record->root, "problem");
}

/* Of this machine, and no longer there. */
static bool process_is_gone(const struct replay_record *record)
{
    json_t *by = json_object_get(record->root, "by");
    const char *host = json_string_value(json_object_get(by, "host"));
    pid_t pid = (pid_t)json_integer_value(json_object_get(by, "pid"));
    char own[256] = "";
    (void)gethostname(own, sizeof own - 1);
    return host && !strcmp(host, own) && pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

const char *replay_record_state(const struct replay_record *record)
{
    const char *state = replay_record_text(record, "state");
    int64_t at_ns = 0;
    if (strcmp(state, "running") != 0 && strcmp(state, "cancelling") != 0)
        return state;
    bool stale =
        instant_parse_rfc3339(slice_of(replay_record_text(record, "updated_at")), &at_ns) &&
        instant_now_ns() - at_ns > RECORD_STALE_NS;
    if (!stale && !process_is_gone(record))
        return state;
    return !strcmp(state, "running") ? "broken off" : "cancelled"; /* nobody is left to stop */
}

bool replay_record_is_open(const struct replay_record *record)
{
    const char *state = replay_record_text(record, "state");
    return strcmp(state, "done") != 0 && strcmp(state, "cancelled") != 0 &&
           strcmp(state, "cancelling") != 0;
}

static int store(struct replay_record *record, struct bus *bus, struct error *err)
{
    struct kv_config config = {
        .history = 1, .replicas = record->replicas, .description = "replays of cim-ops"};
    bool created;
    CLEANUP_FREE char *text = json_dumps(record->root, JSON_COMPACT);
    if (!record->revision && kv_ensure(bus, REPLAY_BUCKET, &config, &created, err) < 0)
        return -1;
    return kv_update(bus, REPLAY_BUCKET, record->id, slice_of(text ? text : "{}"), record->revision,
                     &record->revision, err);
}

/* The bucket was removed under a replay that runs: all that it takes to go on is here. */
static bool is_bucket_gone(struct bus *bus)
{
    struct kv_info info;
    struct error problem = ERROR_NONE;
    return kv_info(bus, REPLAY_BUCKET, &info, &problem) < 0 && problem.code == EXIT_CODE_PROBLEM;
}

int replay_record_put(struct replay_record *record, struct bus *bus, struct error *err)
{
    struct error problem = ERROR_NONE;
    int rc = store(record, bus, &problem);
    if (rc < 0 && problem.code == EXIT_CODE_PROBLEM && is_bucket_gone(bus)) {
        record->revision = 0;
        rc = store(record, bus, &problem);
    }
    if (rc == 0)
        return 0;
    return problem.code == EXIT_CODE_REFUSED
               ? error_set(err, EXIT_CODE_REFUSED,
                           "another process has taken replay %s over, or cancelled it", record->id)
               : error_set(err, problem.code, "%s", problem.text);
}

/* Another process of the same host and number, in another container, is another all the same. */
static const char *own_token(void)
{
    static char token[20];
    uint64_t random;
    if (!token[0] && getrandom(&random, sizeof random, 0) == (ssize_t)sizeof random)
        (void)snprintf(token, sizeof token, "%016llx", (unsigned long long)random);
    return token;
}

bool replay_record_is_own(const struct replay_record *record)
{
    json_t *by = json_object_get(record->root, "by");
    const char *token = json_string_value(json_object_get(by, "token"));
    return token && token[0] && !strcmp(token, own_token());
}

int replay_record_write(struct replay_record *record, struct bus *bus, struct error *err)
{
    char when[INSTANT_TEXT_MAX], host[256] = "";
    (void)instant_format(instant_now_ns(), when);
    (void)gethostname(host, sizeof host - 1);
    replay_record_set(record, "updated_at", json_string(when));
    replay_record_set(
        record, "by",
        json_pack("{s:s, s:i, s:s}", "host", host, "pid", (int)getpid(), "token", own_token()));
    return replay_record_put(record, bus, err);
}

/* As replay_record_write() makes it: a target, streams with their cuts, places within them. */
static bool is_record(json_t *root)
{
    json_t *streams = json_object_get(json_object_get(root, "selection"), "streams");
    json_t *positions = json_object_get(root, "positions");
    const char *target = json_string_value(json_object_get(root, "target"));
    bool is_good = target && *target && json_string_value(json_object_get(root, "state")) &&
                   json_array_size(streams) > 0;
    for (size_t i = 0; is_good && i < json_array_size(streams); i++) {
        json_t *stream = json_array_get(streams, i);
        const char *name = json_string_value(json_object_get(stream, "name"));
        json_t *place = name ? json_object_get(positions, name) : NULL;
        is_good = name && json_is_integer(json_object_get(stream, "first")) &&
                  json_is_integer(json_object_get(stream, "cut")) &&
                  (!place || (json_is_integer(place) &&
                              json_integer_value(place) >=
                                  json_integer_value(json_object_get(stream, "first"))));
    }
    return is_good;
}

int replay_record_load(struct replay_record *record, struct bus *bus, const char *id,
                       struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    *record = (struct replay_record){0};
    if (strlen(id) >= sizeof record->id || !kv_key_is_legal(id))
        return error_set(err, EXIT_CODE_USAGE,
                         "'%s' is no id of a replay; 'cim-ops replay list' "
                         "shows them",
                         id);
    if (kv_get(bus, REPLAY_BUCKET, id, &text, &record->revision, err) < 0)
        return err && err->code == EXIT_CODE_PROBLEM
                   ? error_set(err, EXIT_CODE_PROBLEM,
                               "there is no replay '%s'; 'cim-ops replay list' shows them", id)
                   : -1;
    record->root = json_loadb(text.len ? text.ptr : "", text.len, 0, NULL);
    (void)snprintf(record->id, sizeof record->id, "%s", id);
    return is_record(record->root)
               ? 0
               : error_set(err, EXIT_CODE_DAMAGED,
                           "what is in bucket " REPLAY_BUCKET " under %s is no record of a replay",
                           id);
}

/* --- all of them ------------------------------------------------------------------------------ */

struct listing {
    struct replay_record *items;
    size_t count, room;
};

static bool collect(void *context, const struct kv_entry *entry)
{
    struct listing *list = context;
    if (entry->is_deleted || memchr(entry->key.ptr, '.', entry->key.len) ||
        entry->key.len >= REPLAY_ID_MAX)
        return true;
    GROW(list->items, list->count, list->room);
    struct replay_record *record = &list->items[list->count];
    *record =
        (struct replay_record){.revision = entry->revision,
                               .root = json_loadb(entry->value.ptr, entry->value.len, 0, NULL)};
    memcpy(record->id, entry->key.ptr, entry->key.len);
    list->count += record->root != NULL;
    return true;
}

static int by_start(const void *a, const void *b)
{
    return strcmp(replay_record_text(a, "started_at"), replay_record_text(b, "started_at"));
}

int replay_record_each(struct bus *bus,
                       void (*each)(void *context, const struct replay_record *record),
                       void *context, struct error *err)
{
    struct listing list = {0};
    struct kv_info info;
    struct error absent = ERROR_NONE;
    if (kv_info(bus, REPLAY_BUCKET, &info, &absent) < 0)
        return absent.code == EXIT_CODE_PROBLEM ? 0
                                                : error_set(err, absent.code, "%s", absent.text);
    int rc = kv_each(bus, REPLAY_BUCKET, "*", collect, &list, err);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_start);
    for (size_t i = 0; i < list.count; i++) {
        if (rc == 0)
            each(context, &list.items[i]);
        replay_record_done(&list.items[i]);
    }
    free(list.items);
    return rc;
}

/* --- parked events ---------------------------------------------------------------------------- */

static void parked_key(struct buf *out, const char *id, const char *stream, uint64_t seq)
{
    buf_addf(out, "%s.parked.", id);
    kv_key_of(out, slice_of(stream));
    buf_addf(out, ".%llu", (unsigned long long)seq);
}

int parked_put(struct bus *bus, const char *id, const struct parked *parked, struct error *err)
{
    CLEANUP_BUF struct buf key = {0};
    char hash[24], when[INSTANT_TEXT_MAX];
    (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)parked->key);
    (void)instant_format(instant_now_ns(), when);
    json_t *root = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:i, s:s}", "stream", parked->stream,
                             "sequence", (json_int_t)parked->seq, "subject", parked->subject,
                             "aggregate", parked->aggregate, "key", hash, "reason", parked->reason,
                             "tries", (int)parked->tries, "at", when);
    CLEANUP_FREE char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    parked_key(&key, id, parked->stream, parked->seq);
    return text ? kv_put(bus, REPLAY_BUCKET, buf_cstr(&key), slice_of(text), NULL, err)
                : error_set(err, EXIT_CODE_INTERNAL, "the parked event %s %llu cannot be written",
                            parked->stream, (unsigned long long)parked->seq);
}

int parked_remove(struct bus *bus, const char *id, const char *stream, uint64_t seq,
                  struct error *err)
{
    CLEANUP_BUF struct buf key = {0};
    parked_key(&key, id, stream, seq);
    return kv_purge_key(bus, REPLAY_BUCKET, buf_cstr(&key), err);
}

struct parked_item {
    json_t *root;
    const char *stream;
    uint64_t seq;
};

struct parked_list {
    struct parked_item *items;
    size_t count, room;
};

static bool collect_parked(void *context, const struct kv_entry *entry)
{
    struct parked_list *list = context;
    if (entry->is_deleted)
        return true;
    json_t *root = json_loadb(entry->value.ptr, entry->value.len, 0, NULL);
    const char *stream = json_string_value(json_object_get(root, "stream"));
    if (!stream) {
        json_decref(root);
        return true;
    }
    GROW(list->items, list->count, list->room);
    list->items[list->count++] = (struct parked_item){
        root, stream, (uint64_t)json_integer_value(json_object_get(root, "sequence"))};
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct parked_item *x = a, *y = b;
    int order = strcmp(x->stream, y->stream);
    return order ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

static const char *text_of(json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text ? text : "";
}

int parked_each(struct bus *bus, const char *id,
                int (*each)(void *context, const struct parked *parked, struct error *err),
                void *context, struct error *err)
{
    struct parked_list list = {0};
    CLEANUP_FREE char *filter = xasprintf("%s.parked.>", id);
    int rc = kv_each(bus, REPLAY_BUCKET, filter, collect_parked, &list, err);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_place);
    for (size_t i = 0; i < list.count; i++) {
        json_t *root = list.items[i].root;
        struct parked parked = {
            .stream = list.items[i].stream,
            .subject = text_of(root, "subject"),
            .aggregate = text_of(root, "aggregate"),
            .reason = text_of(root, "reason"),
            .seq = list.items[i].seq,
            .key = strtoull(text_of(root, "key"), NULL, 16),
            .tries = (unsigned)json_integer_value(json_object_get(root, "tries")),
        };
        if (rc == 0)
            rc = each(context, &parked, err);
        json_decref(root);
    }
    free(list.items);
    return rc;
}
