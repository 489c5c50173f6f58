#include "events.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"

enum { UUID_LEN = 36, UUIDS_MAX = 64, PLACES_MAX = 128 };

/* A corpus line: subject, payload, then names and values of headers, in one text. */
struct line {
    struct buf text;
    size_t subject_len, payload_len;
    size_t header_lens[2 * EVENT_HEADERS_MAX];
    int header_count;
    struct slice uuids[UUIDS_MAX]; /* distinct ones */
    bool aggregate[UUIDS_MAX];
    size_t uuid_count;
    struct {
        size_t at, uuid;
    } places[PLACES_MAX]; /* where ids stand */
    size_t place_count;
};

static void die(const char *what, const char *more)
{
    (void)fprintf(stderr, "bench: %s: %s\n", what, more);
    exit(2);
}

static bool is_uuid(const char *at, size_t left)
{
    if (left < UUID_LEN)
        return false;
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? at[i] != '-' : !strchr("0123456789abcdef", at[i]))
            return false;
    }
    return true;
}

static void find_uuids(struct line *line)
{
    static const char member[] = "\"aggregate_id\":\"";
    const char *text = line->text.ptr;
    size_t before = sizeof member - 1;
    for (size_t at = 0; at + UUID_LEN <= line->text.len; at++) {
        if (!text[at] || !is_uuid(text + at, line->text.len - at))
            continue;
        size_t i = 0;
        while (i < line->uuid_count && memcmp(line->uuids[i].ptr, text + at, UUID_LEN) != 0)
            i++;
        if (i == UUIDS_MAX || line->place_count == PLACES_MAX)
            die("a corpus line has too many ids", text);
        if (i == line->uuid_count)
            line->uuids[line->uuid_count++] = (struct slice){text + at, UUID_LEN};
        if (at < line->subject_len || (at >= before && !memcmp(text + at - before, member, before)))
            line->aggregate[i] = true;
        line->places[line->place_count].at = at;
        line->places[line->place_count++].uuid = i;
        at += UUID_LEN - 1;
    }
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A text that people or machines name freely: no id, no time, no type. */
static bool is_free(const char *key, const char *text)
{
    static const char *const kept[] = {"type", "status", "severity", "kind",    "domain", "state",
                                       "_id",  "id",     "cid",      "version", "date",   "hash"};
    size_t len = strlen(text);
    int64_t ns;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        if (strstr(key, kept[i]))
            return false;
    }
    return !is_uuid(text, len) && !instant_parse_rfc3339((struct slice){text, len}, &ns);
}

static void vary(json_t *value, const char *key, uint64_t *seed, int depth)
{
    const char *name;
    json_t *member;
    size_t i;
    *seed = mix(*seed + 1);
    if (json_is_object(value) && depth < 16) {
        json_object_foreach(value, name, member) vary(member, name, seed, depth + 1);
    } else if (json_is_array(value) && depth < 16) {
        json_array_foreach(value, i, member)
        {
            if (!json_is_number(member)) /* bytes of a CID, of a payload: as they are */
                vary(member, key, seed, depth + 1);
        }
    } else if (json_is_string(value) && *seed % 2 && is_free(key, json_string_value(value))) {
        CLEANUP_FREE char *longer =
            xasprintf("%s%.*s", json_string_value(value), (int)(*seed / 2 % 10), "-abcdefghi");
        (void)json_string_set(value, longer);
    } else if (json_is_integer(value) && json_integer_value(value) < 1000000 && is_free(key, "")) {
        static const json_int_t below[] = {10, 100, 1000, 10000};
        (void)json_integer_set(value, (json_int_t)(*seed / 4) % below[*seed % 4] & INT32_MAX);
    }
}

static bool read_line(struct slice json, size_t payload_min, uint64_t variant, struct line *ret)
{
    json_t *root = json_loadb(json.ptr, json.len, 0, NULL);
    json_t *payload = json_object_get(root, "payload"), *value;
    const char *subject = json_string_value(json_object_get(root, "subject")), *name;
    if (!payload || !subject)
        die("a corpus line has no subject or payload", "");
    if (json_is_object(payload) && variant)
        vary(payload, "", &variant, 0);
    CLEANUP_FREE char *compact = json_dumps(payload, JSON_COMPACT | JSON_PRESERVE_ORDER |
                                                         JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    *ret = (struct line){.subject_len = strlen(subject), .payload_len = strlen(compact)};
    bool wanted = ret->payload_len >= payload_min;
    if (wanted) {
        buf_add_str(&ret->text, subject);
        buf_add_str(&ret->text, compact);
        json_object_foreach(json_object_get(root, "headers"), name, value)
        {
            size_t *lens = &ret->header_lens[2 * (size_t)ret->header_count++];
            lens[0] = strlen(name);
            lens[1] = json_string_length(value);
            buf_add_str(&ret->text, name);
            buf_add_str(&ret->text, json_string_value(value));
        }
        find_uuids(ret);
    }
    json_decref(root);
    return wanted;
}

/* The random part behind the last dash, of each occurrence of each id. */
static void renew_ids(const struct line *line, size_t number, size_t event, char *copy)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t p = 0; p < line->place_count; p++) {
        size_t i = line->places[p].uuid;
        uint64_t who = line->aggregate[i] ? event / 64 % BENCH_AGGREGATES : 1000000 + event;
        uint64_t bits = mix(who * 65536 + number / BENCH_VARIANTS * UUIDS_MAX + i + 1);
        for (size_t d = 24; d < UUID_LEN; d++, bits >>= 4)
            copy[line->places[p].at + d] = digits[bits & 15];
    }
}

static void place(const struct line *line, char *at, struct event_header *headers,
                  struct event_input *ret)
{
    *ret = (struct event_input){
        .subject = {at, line->subject_len}, .headers = headers, .header_count = line->header_count};
    at += line->subject_len;
    ret->payload = (struct slice){at, line->payload_len};
    at += line->payload_len;
    for (int h = 0; h < line->header_count; h++) {
        const size_t *lens = &line->header_lens[2 * h];
        headers[h] = (struct event_header){{at, lens[0]}, {at + lens[0], lens[1]}};
        at += lens[0] + lens[1];
    }
}

void bench_events_make(const char *corpus, size_t payload_min, size_t count,
                       struct bench_events *ret)
{
    enum { LINES_MAX = 512 * BENCH_VARIANTS };
    struct line *lines = xcalloc(LINES_MAX, sizeof *lines);
    struct error err = ERROR_NONE;
    CLEANUP_BUF struct buf text = {0};
    if (file_read(corpus, 16u << 20, &text, &err) < 0)
        die("no corpus", err.text);
    *ret = (struct bench_events){.count = count};
    struct slice rest = buf_slice(&text), one;
    while (slice_cut(&rest, '\n', &one) && ret->lines + BENCH_VARIANTS <= LINES_MAX) {
        if (!one.len || !read_line(one, payload_min, 0, &lines[ret->lines]))
            continue;
        for (uint64_t v = 1; v < BENCH_VARIANTS; v++)
            (void)read_line(one, 0, mix(ret->lines + v), &lines[ret->lines + v]);
        ret->lines += BENCH_VARIANTS;
    }
    if (!ret->lines)
        die("the corpus has no such line", corpus);

    size_t bytes = 0, headers = 0;
    for (size_t i = 0; i < count; i++) {
        const struct line *line = &lines[mix(i) % ret->lines];
        bytes += line->text.len + BENCH_PADDING;
        headers += (size_t)line->header_count;
        ret->payload_bytes += line->payload_len;
    }
    ret->bytes = xcalloc(bytes + 1, 1);
    ret->headers = xcalloc(headers + 1, sizeof *ret->headers);
    ret->inputs = xcalloc(count, sizeof *ret->inputs);
    char *at = ret->bytes;
    struct event_header *header = ret->headers;
    for (size_t i = 0; i < count; i++) {
        size_t number = mix(i) % ret->lines;
        const struct line *line = &lines[number];
        memcpy(at, line->text.ptr, line->text.len);
        renew_ids(line, number, i, at);
        place(line, at, header, &ret->inputs[i]);
        /* 2026-07-11T13:00:00Z, later than what the corpus says, and a millisecond an event */
        ret->inputs[i].stored_at_ns = INT64_C(1783774800) * NS_PER_SECOND + (int64_t)i * NS_PER_MS;
        at += line->text.len + BENCH_PADDING;
        header += line->header_count;
    }
    for (size_t i = 0; i < ret->lines; i++)
        buf_done(&lines[i].text);
    free(lines);
    ret->lines /= BENCH_VARIANTS;
}

void bench_events_done(struct bench_events *events)
{
    free(events->inputs);
    free(events->headers);
    free(events->bytes);
    *events = (struct bench_events){0};
}
