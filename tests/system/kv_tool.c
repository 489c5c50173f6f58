/*
 * kv_tool: bus/kv.h for tests/system/kv.test.mjs. Reads one JSON object a line, {"op": "put",
 * "bucket": ..., "key": ..., "value": ...}, and answers each with one: {"ok": true, ...}, or
 * {"ok": false, "code": exit code, "error": text}. Values are text.
 *
 *     kv_tool nats://127.0.0.1:4222
 */
#include <jansson.h>
#include <stdio.h>

#include "base/memory.h"
#include "bus/kv.h"

struct call {
    struct bus *bus;
    json_t *request, *answer;
    const char *bucket, *key;
    struct slice value;
    uint64_t revision;
    struct error err;
};

static void answer_revision(struct call *call, uint64_t revision)
{
    (void)json_object_set_new(call->answer, "revision", json_integer((json_int_t)revision));
}

static int op_ensure(struct call *call)
{
    const json_t *q = call->request;
    const struct kv_config config = {
        .history = (unsigned)json_integer_value(json_object_get(q, "history")),
        .max_bytes = json_integer_value(json_object_get(q, "max_bytes")),
        .replicas = (unsigned)json_integer_value(json_object_get(q, "replicas")),
        .description = json_string_value(json_object_get(q, "description")),
    };
    bool created = false;
    int rc = kv_ensure(call->bus, call->bucket, &config, &created, &call->err);
    (void)json_object_set_new(call->answer, "created", json_boolean(created));
    return rc;
}

static int op_info(struct call *call)
{
    struct kv_info info = {0};
    int rc = kv_info(call->bus, call->bucket, &info, &call->err);
    json_t *told =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "keys", (json_int_t)info.keys,
                  "values", (json_int_t)info.values, "bytes", (json_int_t)info.bytes, "last_seq",
                  (json_int_t)info.last_seq, "history", (json_int_t)info.history, "max_bytes",
                  (json_int_t)info.max_bytes, "max_value_size", (json_int_t)info.max_value_size,
                  "created_ns", (json_int_t)info.created_ns);
    (void)json_object_update(call->answer, told);
    json_decref(told);
    return rc;
}

static int op_drop(struct call *call)
{
    return kv_drop(call->bus, call->bucket, &call->err);
}

static int op_get(struct call *call)
{
    CLEANUP_BUF struct buf value = {0};
    uint64_t revision = 0;
    int rc = kv_get(call->bus, call->bucket, call->key, &value, &revision, &call->err);
    struct slice text = buf_slice(&value);
    (void)json_object_set_new(call->answer, "value", json_stringn(text.ptr, text.len));
    answer_revision(call, revision);
    return rc;
}

static int op_put(struct call *call)
{
    uint64_t revision = 0;
    int rc = kv_put(call->bus, call->bucket, call->key, call->value, &revision, &call->err);
    answer_revision(call, revision);
    return rc;
}

static int op_update(struct call *call)
{
    uint64_t revision = 0;
    int rc = kv_update(call->bus, call->bucket, call->key, call->value, call->revision, &revision,
                       &call->err);
    answer_revision(call, revision);
    return rc;
}

static int op_delete(struct call *call)
{
    return kv_delete(call->bus, call->bucket, call->key, &call->err);
}

static int op_purge(struct call *call)
{
    return kv_purge_key(call->bus, call->bucket, call->key, &call->err);
}

struct listing {
    struct call *call;
    json_t *entries;
    json_int_t most;
};

static void meddle(struct call *call, json_t *deed)
{
    const char *key = json_string_value(json_object_get(deed, "put"));
    json_int_t pause_ms = json_integer_value(json_object_get(deed, "pause_ms"));
    if (key)
        (void)kv_put(call->bus, call->bucket, key, SLICE("meanwhile"), NULL, &call->err);
    if (pause_ms) { /* the test does something, told by the line on stderr */
        (void)fputs("paused\n", stderr);
        (void)usleep((useconds_t)pause_ms * 1000);
    }
}

static bool list_one(void *context, const struct kv_entry *entry)
{
    struct listing *listing = context;
    json_t *told = json_pack(
        "{s:o, s:o, s:I, s:I, s:b}", "key", json_stringn(entry->key.ptr, entry->key.len), "value",
        json_stringn(entry->value.ptr, entry->value.len), "revision", (json_int_t)entry->revision,
        "stored_at_ns", (json_int_t)entry->stored_at_ns, "deleted", entry->is_deleted);
    (void)json_array_append_new(listing->entries, told);
    size_t so_far = json_array_size(listing->entries);
    if (so_far == 1) /* {"meanwhile": {"put": KEY, "pause_ms": N}} */
        meddle(listing->call, json_object_get(listing->call->request, "meanwhile"));
    return !listing->most || (json_int_t)so_far < listing->most;
}

static int op_each(struct call *call)
{
    struct listing listing = {.call = call, .entries = json_array()};
    listing.most = json_integer_value(json_object_get(call->request, "most"));
    int rc = kv_each(call->bus, call->bucket,
                     json_string_value(json_object_get(call->request, "filter")), list_one,
                     &listing, &call->err);
    (void)json_object_set_new(call->answer, "entries", listing.entries);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(struct call *call);
} ops[] = {
    {"ensure", op_ensure}, {"info", op_info},   {"drop", op_drop},
    {"get", op_get},       {"put", op_put},     {"update", op_update},
    {"delete", op_delete}, {"purge", op_purge}, {"each", op_each},
};

static void run_line(struct bus *bus, const char *line)
{
    struct call call = {.bus = bus, .request = json_loads(line, 0, NULL), .answer = json_object()};
    const char *op = json_string_value(json_object_get(call.request, "op"));
    const char *bucket = json_string_value(json_object_get(call.request, "bucket"));
    const char *key = json_string_value(json_object_get(call.request, "key"));
    json_t *value = json_object_get(call.request, "value");
    call.bucket = bucket ? bucket : "";
    call.key = key ? key : "";
    call.value = (struct slice){json_string_value(value), json_string_length(value)};
    call.revision = (uint64_t)json_integer_value(json_object_get(call.request, "revision"));
    int rc = error_set(&call.err, EXIT_CODE_USAGE, "no such op");
    for (size_t i = 0; op && i < ARRAY_LEN(ops); i++) {
        if (!strcmp(ops[i].name, op)) {
            call.err = ERROR_NONE;
            rc = ops[i].run(&call);
        }
    }
    (void)json_object_set_new(call.answer, "ok", json_boolean(rc == 0));
    if (rc < 0) {
        (void)json_object_set_new(call.answer, "code", json_integer((json_int_t)call.err.code));
        (void)json_object_set_new(call.answer, "error", json_string(call.err.text));
    }
    CLEANUP_FREE char *text = json_dumps(call.answer, JSON_COMPACT);
    (void)puts(text);
    (void)fflush(stdout);
    json_decref(call.answer);
    json_decref(call.request);
}

int main(int argc, char **argv)
{
    const struct bus_options options = {.url = argc > 1 ? argv[1] : "", .name = "kv_tool"};
    CLEANUP_FREE char *line = NULL;
    struct error err = ERROR_NONE;
    struct bus *bus = NULL;
    size_t room = 0;
    if (bus_open(&bus, &options, &err) < 0) {
        (void)fprintf(stderr, "kv_tool: %s\n", err.text);
        return (int)err.code;
    }
    while (getline(&line, &room, stdin) > 0)
        run_line(bus, line);
    bus_close(bus);
    return 0;
}
