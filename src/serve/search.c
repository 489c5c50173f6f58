#include "serve/search.h"

#include <math.h>
#include <stdio.h>

#include "base/instant.h"
#include "base/memory.h"
#include "json/write.h"

/* --- parameters ------------------------------------------------------------------------------- */

void search_wanted_read(const struct http_request *request, struct search_wanted *ret)
{
    static const char *const names[] = {"stream",      "subject", "domain", "type", "aggregate",
                                        "correlation", "since",   "until",  "where"};
    *ret = (struct search_wanted){0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *text = http_parameter(request, names[i]);
        ret->texts[i] = text && *text ? xstrdup(text) : NULL;
    }
    ret->events = (struct events_wanted){ret->texts[0], ret->texts[1], ret->texts[2],
                                         ret->texts[3], ret->texts[4], ret->texts[5],
                                         ret->texts[6], ret->texts[7], ret->texts[8]};
}

void search_wanted_done(struct search_wanted *wanted)
{
    for (size_t i = 0; i < ARRAY_LEN(wanted->texts); i++)
        free(wanted->texts[i]);
}

bool search_wants_stream(const struct search_wanted *wanted, const char *stream)
{
    struct slice rest = slice_of(wanted->events.stream), item;
    if (!slice_present(rest))
        return true;
    while (slice_cut(&rest, ',', &item)) {
        if (stream && slice_eq(slice_trim(item), slice_of(stream)))
            return true;
    }
    return false;
}

static unsigned status_of(const struct error *err)
{
    switch (err->code) {
    case EXIT_CODE_USAGE: return 400;
    case EXIT_CODE_PROBLEM: return 404;
    case EXIT_CODE_REFUSED: return 503;
    case EXIT_CODE_UNREACHABLE: return 502;
    case EXIT_CODE_DONE:
    case EXIT_CODE_DAMAGED:
    case EXIT_CODE_INTERNAL: break;
    }
    return 500;
}

static void refuse(struct http_response *response, const struct error *err)
{
    http_refuse(response, status_of(err), "%s", err->text);
}

/* 0: what is there is no number. */
static uint64_t number_of(const struct http_request *request, const char *name, uint64_t fallback)
{
    const char *text = http_parameter(request, name);
    uint64_t value;
    if (!text)
        return fallback;
    return slice_u64(slice_of(text), &value) ? value : 0;
}

static void add_instant(struct buf *out, const char *name, int64_t ns)
{
    char text[64];
    json_add_name(out, name);
    json_add_string(out, (struct slice){text, instant_format(ns, text)});
}

/* --- a search --------------------------------------------------------------------------------- */

struct found {
    struct buf *rows; /* a ring of the newest */
    size_t rows_max;
    uint64_t matched;
    uint64_t count[SEARCH_BUCKETS], failed[SEARCH_BUCKETS];
    int64_t since_ns, until_ns;
};

static void take_in(struct found *found, const struct events_row *row)
{
    struct buf *line = &found->rows[found->matched++ % found->rows_max];
    int64_t width = found->until_ns - found->since_ns;
    double place = (double)(row->input->stored_at_ns - found->since_ns) / (double)width;
    size_t at = place <= 0 ? 0 : (size_t)(place * SEARCH_BUCKETS);
    at = at < SEARCH_BUCKETS ? at : SEARCH_BUCKETS - 1;
    found->count[at]++;
    found->failed[at] += row->malformed || slice_present(row->view.field[EVENT_ERROR_TYPE]) ? 1 : 0;
    buf_reset(line);
    events_add_row(line, row);
}

/*
 * Opens the merge from `since` on; where more is stored behind it than may be read, from a later
 * moment on. Events are taken to be spread evenly, and where they are not, tried again.
 */
static int open_narrowed(struct events_reader *reader, int64_t until_ns, struct events_merge **ret,
                         struct error *err)
{
    for (int tries = 0;; tries++) {
        struct events_merge *merge = NULL;
        if (events_merge_open(reader, &merge, err) < 0)
            return -1;
        uint64_t total = events_merge_total(merge);
        if (total <= SEARCH_SCAN_MAX || tries == 5) {
            *ret = merge;
            return 0;
        }
        events_merge_close(merge);
        double share = (double)SEARCH_SCAN_MAX / (double)total * 0.9;
        int64_t width = until_ns - reader->filter.since_ns;
        reader->filter.since_ns = until_ns - (int64_t)((double)width * share);
    }
}

static int scan(struct events_reader *reader, struct found *found, bool *ret_whole,
                struct error *err)
{
    struct events_merge *merge = NULL;
    struct events_row row;
    int64_t since_ns = reader->filter.since_ns;
    int got = 0;
    if (events_list_streams(reader, &reader->streams, err) < 0 ||
        open_narrowed(reader, found->until_ns, &merge, err) < 0)
        return -1;
    found->since_ns = reader->filter.since_ns;
    while (reader->read <= SEARCH_SCAN_MAX && (got = events_merge_next(merge, &row, err)) > 0) {
        if (events_filter_lets(&reader->filter, &row))
            take_in(found, &row);
    }
    events_merge_close(merge);
    *ret_whole = since_ns == found->since_ns && reader->read <= SEARCH_SCAN_MAX &&
                 !reader->stopped(reader->context);
    return got < 0 ? -1 : 0;
}

static void tell(const struct found *found, const struct events_reader *reader, bool whole,
                 struct buf *out)
{
    size_t kept = found->matched < found->rows_max ? (size_t)found->matched : found->rows_max;
    buf_addf(out, "{\"matched\":%llu,\"read\":%llu,\"whole\":%s",
             (unsigned long long)found->matched, (unsigned long long)reader->read,
             whole ? "true" : "false");
    add_instant(out, "since", found->since_ns);
    add_instant(out, "until", found->until_ns);
    buf_add_str(out, ",\"buckets\":[");
    for (size_t i = 0; i < SEARCH_BUCKETS; i++)
        buf_addf(out, "%s[%llu,%llu]", i ? "," : "", (unsigned long long)found->count[i],
                 (unsigned long long)found->failed[i]);
    buf_add_str(out, "],\"rows\":[");
    for (size_t i = 0; i < kept; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_slice(out, buf_slice(&found->rows[(found->matched - 1 - i) % found->rows_max]));
    }
    buf_add_str(out, "]}\n");
}

static int search(struct events_reader *reader, struct search_wanted *wanted, size_t rows_max,
                  struct http_response *response, struct error *err)
{
    struct found found = {.rows_max = rows_max};
    bool whole = false;
    if (!wanted->events.since)
        wanted->events.since = "1h";
    reader->wanted = &wanted->events;
    if (events_filter_make(&wanted->events, &reader->filter, err) < 0)
        return -1;
    found.until_ns = reader->filter.until_ns ? reader->filter.until_ns : instant_now_ns();
    found.rows = xcalloc(rows_max, sizeof *found.rows);
    int rc = scan(reader, &found, &whole, err);
    if (rc == 0)
        tell(&found, reader, whole, &response->body);
    for (size_t i = 0; i < rows_max; i++)
        buf_done(&found.rows[i]);
    free(found.rows);
    return rc;
}

void search_events(struct pool *pool, const struct http_request *request,
                   struct http_response *response)
{
    struct search_wanted wanted;
    struct error err = ERROR_NONE;
    struct events_reader *reader = pool_take(pool, SEARCH_PATIENCE_S, &err);
    if (!reader) {
        refuse(response, &err);
        return;
    }
    uint64_t rows_max = number_of(request, "limit", 200);
    search_wanted_read(request, &wanted);
    response->content_type = "application/json";
    if (!rows_max || rows_max > SEARCH_ROWS_MAX)
        http_refuse(response, 400, "limit: a number from 1 to %d was expected", SEARCH_ROWS_MAX);
    else if (search(reader, &wanted, (size_t)rows_max, response, &err) < 0)
        refuse(response, &err);
    reader->wanted = NULL;
    pool_give_back(pool, reader);
    search_wanted_done(&wanted);
}

/* --- one event -------------------------------------------------------------------------------- */

struct stored {
    struct buf subject, headers, payload;
    char *stream;
    uint64_t seq;
    int64_t stored_at_ns;
    struct events_message storage;
    struct events_row row;
};

static void stored_done(struct stored *stored)
{
    buf_done(&stored->subject);
    buf_done(&stored->headers);
    buf_done(&stored->payload);
    free(stored->stream);
}

static int fetch(struct events_reader *reader, const struct http_request *request,
                 struct stored *ret, struct error *err)
{
    const char *stream = http_parameter(request, "stream");
    *ret = (struct stored){.seq = number_of(request, "seq", 0)};
    if (!stream || !*stream || strpbrk(stream, " .*>\t\r\n") || !ret->seq || ret->seq > INT64_MAX)
        return error_set(err, EXIT_CODE_USAGE,
                         "stream and seq were expected: a stream's name, a sequence from 1 on");
    ret->stream = xstrdup(stream);
    if (stream_get_message(reader->bus, stream, ret->seq, &ret->subject, &ret->headers,
                           &ret->payload, &ret->stored_at_ns, err) < 0)
        return -1;
    struct bus_message message = {.subject = buf_slice(&ret->subject),
                                  .payload = buf_slice(&ret->payload),
                                  .header_block =
                                      ret->headers.len ? buf_slice(&ret->headers) : SLICE_ABSENT,
                                  .seq = ret->seq,
                                  .stored_at_ns = ret->stored_at_ns};
    events_row_make(reader, ret->stream, &message, &ret->storage, &ret->row);
    return 0;
}

void search_one(struct pool *pool, const struct http_request *request,
                struct http_response *response)
{
    struct stored stored = {0};
    struct error err = ERROR_NONE;
    struct events_reader *reader = pool_take(pool, SEARCH_PATIENCE_S, &err);
    response->content_type = "application/json";
    if (!reader || fetch(reader, request, &stored, &err) < 0) {
        refuse(response, &err);
    } else {
        struct buf *out = &response->body;
        bool cut = stored.payload.len > SEARCH_PAYLOAD_BYTES;
        events_add_row(out, &stored.row);
        out->len--; /* the brace: there is more to it */
        buf_addf(out, ",\"payload_bytes\":%zu", stored.payload.len);
        if (cut) {
            stored.row.malformed = "cut"; /* as text, then, not as JSON */
            stored.storage.input.payload.len = SEARCH_PAYLOAD_BYTES;
            json_add_name(out, "payload_cut");
            buf_add_str(out, "true");
        }
        events_add_message(out, &stored.row);
        buf_add_str(out, "}\n");
    }
    stored_done(&stored);
    if (reader)
        pool_give_back(pool, reader);
}

void search_payload(struct pool *pool, const struct http_request *request,
                    struct http_response *response)
{
    struct stored stored = {0};
    struct error err = ERROR_NONE;
    struct events_reader *reader = pool_take(pool, SEARCH_PATIENCE_S, &err);
    if (!reader || fetch(reader, request, &stored, &err) < 0) {
        refuse(response, &err);
    } else {
        for (char *at = stored.stream; *at; at++) /* what a quoted name and any disk take */
            *at = (char)((*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') ||
                                 (*at >= 'a' && *at <= 'z') || *at == '-'
                             ? *at
                             : '_');
        CLEANUP_FREE char *name = xasprintf("attachment; filename=\"%s-%llu.json\"", stored.stream,
                                            (unsigned long long)stored.seq);
        response->content_type = "application/octet-stream";
        http_add_header(response, "Content-Disposition", name);
        buf_add_slice(&response->body, buf_slice(&stored.payload));
    }
    stored_done(&stored);
    if (reader)
        pool_give_back(pool, reader);
}

/* --- what has to do with it ------------------------------------------------------------------- */

/* The fields of the event in the middle, kept while others are read. */
struct middle {
    char *field[EVENT_FIELDS];
    const char *stream;
    uint64_t seq;
};

static bool is_same(const char *kept, struct slice text)
{
    return kept && *kept && slice_present(text) && slice_eq(slice_of(kept), text);
}

/* Appends the relations as a JSON array; false: none. */
static bool add_relations(const struct middle *middle, const struct events_row *row,
                          struct buf *out)
{
    const struct slice *field = row->view.field;
    const struct {
        const char *name;
        bool holds;
    } relations[] = {
        {"self", row->input->seq == middle->seq && !strcmp(row->stream, middle->stream)},
        {"aggregate", is_same(middle->field[EVENT_AGGREGATE_ID], field[EVENT_AGGREGATE_ID])},
        {"correlation", is_same(middle->field[EVENT_CORRELATION_ID], field[EVENT_CORRELATION_ID])},
        {"cause", is_same(middle->field[EVENT_CAUSATION_ID], field[EVENT_ID])},
        {"effect", is_same(middle->field[EVENT_ID], field[EVENT_CAUSATION_ID])},
    };
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(relations); i++) {
        if (!relations[i].holds)
            continue;
        buf_addf(out, "%s\"%s\"", any ? "," : "", relations[i].name);
        any = true;
    }
    return any;
}

struct related {
    struct middle middle;
    int64_t at_ns;
    struct buf before[SEARCH_RELATED_MAX / 2]; /* a ring of the last ones before it */
    uint64_t before_count;
    struct buf behind;
    uint64_t behind_count;
};

static void take_related(struct related *related, const struct events_row *row)
{
    CLEANUP_BUF struct buf relations = {0};
    if (row->malformed || !add_relations(&related->middle, row, &relations))
        return;
    CLEANUP_BUF struct buf line = {0};
    events_add_row(&line, row);
    line.len--;
    buf_addf(&line, ",\"relations\":[%.*s]}", SLICE_ARG(buf_slice(&relations)));
    if (row->input->stored_at_ns < related->at_ns) {
        struct buf *slot = &related->before[related->before_count++ % ARRAY_LEN(related->before)];
        buf_reset(slot);
        buf_add_slice(slot, buf_slice(&line));
    } else if (related->behind_count++ <= SEARCH_RELATED_MAX / 2) {
        buf_addf(&related->behind, "%s", related->behind.len ? "," : "");
        buf_add_slice(&related->behind, buf_slice(&line));
    }
}

static void tell_related(const struct related *related, const struct events_reader *reader,
                         bool whole, struct buf *out)
{
    const size_t room = ARRAY_LEN(related->before);
    size_t kept = related->before_count < room ? (size_t)related->before_count : room;
    bool all = kept == related->before_count && related->behind_count <= SEARCH_RELATED_MAX / 2 + 1;
    buf_addf(out, "{\"read\":%llu,\"whole\":%s,\"all\":%s", (unsigned long long)reader->read,
             whole ? "true" : "false", all ? "true" : "false");
    add_instant(out, "since", reader->filter.since_ns);
    add_instant(out, "until", reader->filter.until_ns);
    buf_add_str(out, ",\"rows\":[");
    for (size_t i = 0; i < kept; i++) {
        const struct buf *line = &related->before[(related->before_count - kept + i) % room];
        buf_addf(out, "%s%.*s", i ? "," : "", SLICE_ARG(buf_slice(line)));
    }
    if (kept && related->behind.len)
        buf_add_char(out, ',');
    buf_add_slice(out, buf_slice(&related->behind));
    buf_add_str(out, "]}\n");
}

static int read_around(struct events_reader *reader, struct related *related, bool *ret_whole,
                       struct error *err)
{
    struct events_merge *merge = NULL;
    struct events_row row;
    int got = 0;
    if (events_list_streams(reader, &reader->streams, err) < 0 ||
        events_merge_open(reader, &merge, err) < 0)
        return -1;
    while (reader->read <= SEARCH_SCAN_MAX && (got = events_merge_next(merge, &row, err)) > 0)
        take_related(related, &row);
    events_merge_close(merge);
    *ret_whole = reader->read <= SEARCH_SCAN_MAX && !reader->stopped(reader->context);
    return got < 0 ? -1 : 0;
}

static int relate(struct events_reader *reader, const struct http_request *request,
                  struct http_response *response, struct error *err)
{
    static const struct events_wanted all = {0};
    struct stored stored;
    struct related *related = xcalloc(1, sizeof *related);
    const char *span = http_parameter(request, "span");
    int64_t span_ns = 0;
    bool whole = false;
    int rc = fetch(reader, request, &stored, err);
    if (rc == 0 && (!duration_parse(slice_of(span ? span : "15m"), &span_ns) || span_ns <= 0))
        rc = error_set(err, EXIT_CODE_USAGE, "span: a duration such as 15m was expected");
    if (rc == 0) {
        for (size_t i = 0; i < EVENT_FIELDS; i++) {
            struct slice text = stored.row.view.field[i];
            if (!stored.row.malformed && slice_present(text))
                related->middle.field[i] = xstrndup(text.ptr, text.len);
        }
        related->middle.stream = stored.stream;
        related->middle.seq = stored.seq;
        related->at_ns = stored.stored_at_ns;
        reader->wanted = &all;
        reader->filter = (struct events_filter){.wanted = &all,
                                                .since_ns = stored.stored_at_ns - span_ns,
                                                .until_ns = stored.stored_at_ns + span_ns};
        rc = read_around(reader, related, &whole, err);
    }
    if (rc == 0)
        tell_related(related, reader, whole, &response->body);
    for (size_t i = 0; i < ARRAY_LEN(related->before); i++)
        buf_done(&related->before[i]);
    for (size_t i = 0; i < EVENT_FIELDS; i++)
        free(related->middle.field[i]);
    buf_done(&related->behind);
    free(related);
    stored_done(&stored);
    return rc;
}

void search_related(struct pool *pool, const struct http_request *request,
                    struct http_response *response)
{
    struct error err = ERROR_NONE;
    struct events_reader *reader = pool_take(pool, SEARCH_PATIENCE_S, &err);
    response->content_type = "application/json";
    if (!reader || relate(reader, request, response, &err) < 0)
        refuse(response, &err);
    if (reader)
        pool_give_back(pool, reader);
}
