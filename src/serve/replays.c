#include "serve/replays.h"

#include <jansson.h>

#include "base/memory.h"
#include "bus/kv.h"

enum { PATIENCE_S = 10, RECORD_BYTES_MAX = 1 << 20 };

struct listing {
    json_t *all;
    size_t total;
};

/* What a replay parked lies under it, with a dot. */
static bool take(void *context, const struct kv_entry *entry)
{
    struct listing *listing = context;
    if (entry->is_deleted || memchr(entry->key.ptr, '.', entry->key.len) ||
        entry->value.len > RECORD_BYTES_MAX)
        return true;
    json_t *record = json_loadb(entry->value.ptr, entry->value.len, 0, NULL);
    listing->total += json_is_object(record);
    if (!json_is_object(record) || json_array_insert(listing->all, 0, record) < 0)
        return true;
    json_decref(record);
    if (json_array_size(listing->all) > REPLAYS_SHOWN_MAX)
        (void)json_array_remove(listing->all, REPLAYS_SHOWN_MAX);
    return true;
}

/* No bucket: nothing was ever replayed. */
static int read_all(struct bus *bus, struct listing *listing, struct error *err)
{
    struct kv_info info;
    if (kv_info(bus, REPLAYS_BUCKET, &info, err) < 0)
        return err->code == EXIT_CODE_PROBLEM ? 0 : -1;
    return kv_each(bus, REPLAYS_BUCKET, "*", take, listing, err);
}

void replays_list(struct pool *pool, struct http_response *response)
{
    struct error err = ERROR_NONE;
    struct listing listing = {.all = json_array()};
    struct events_reader *reader = pool_take(pool, PATIENCE_S, &err);
    int rc = reader ? read_all(reader->bus, &listing, &err) : -1;
    if (reader)
        pool_give_back(pool, reader);
    json_t *body =
        json_pack("{s:o, s:I}", "replays", listing.all, "total", (json_int_t)listing.total);
    CLEANUP_FREE char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    response->content_type = "application/json";
    if (rc < 0)
        http_refuse(response, 502, "%s", err.text);
    else
        buf_add_str(&response->body, text ? text : "{}");
}
