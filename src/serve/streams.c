#include "serve/streams.h"

#include <jansson.h>

#include "base/memory.h"

enum { PATIENCE_S = 10 };

/* One page of a list; 0 when it is there. */
static int ask_page(struct bus *bus, const char *subject, size_t offset, json_t **ret,
                    struct error *err)
{
    CLEANUP_FREE char *request = xasprintf("{\"offset\":%zu}", offset);
    CLEANUP_BUF struct buf reply = {0};
    if (bus_request(bus, subject, slice_of(request), BUS_TIMEOUT_MS, &reply, err) < 0)
        return -1;
    json_t *page = json_loadb(reply.ptr ? reply.ptr : "", reply.len, 0, NULL);
    json_t *error = json_object_get(page, "error");
    const char *text = json_string_value(json_object_get(error, "description"));
    if (page && !error) {
        *ret = page;
        return 0;
    }
    bool missing = json_integer_value(json_object_get(error, "code")) == 404;
    (void)error_set(err, missing ? EXIT_CODE_PROBLEM : EXIT_CODE_UNREACHABLE, "NATS: %s",
                    text ? text : "an answer that is no JSON");
    json_decref(page);
    return -1;
}

static void list(struct pool *pool, const char *subject, const char *what,
                 struct http_response *response)
{
    struct error err = ERROR_NONE;
    struct events_reader *reader = pool_take(pool, PATIENCE_S, &err);
    json_t *all = json_array();
    size_t total = 0;
    int rc = reader ? 0 : -1;
    while (rc == 0 && json_array_size(all) < STREAMS_SHOWN_MAX) {
        json_t *page = NULL;
        rc = ask_page(reader->bus, subject, json_array_size(all), &page, &err);
        json_t *items = json_object_get(page, what);
        size_t got = json_array_size(items);
        total = (size_t)json_integer_value(json_object_get(page, "total"));
        if (got)
            (void)json_array_extend(all, items);
        json_decref(page);
        if (!got || json_array_size(all) >= total)
            break;
    }
    if (reader)
        pool_give_back(pool, reader);
    json_t *body = json_pack("{s:o, s:I}", what, all, "total", (json_int_t)total);
    CLEANUP_FREE char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    response->content_type = "application/json";
    if (rc < 0)
        http_refuse(response, err.code == EXIT_CODE_PROBLEM ? 404 : 502, "%s", err.text);
    else
        buf_add_str(&response->body, text ? text : "{}");
}

void streams_list(struct pool *pool, struct http_response *response)
{
    list(pool, "$JS.API.STREAM.LIST", "streams", response);
}

void streams_consumers(struct pool *pool, const char *stream, struct http_response *response)
{
    CLEANUP_FREE char *subject = xasprintf("$JS.API.CONSUMER.LIST.%s", stream);
    if (!*stream || strpbrk(stream, " .*>/\t\r\n"))
        http_refuse(response, 400, "'%.100s' is no stream's name", stream);
    else
        list(pool, subject, "consumers", response);
}
