#include "event/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/memory.h"
#include "json/extract.h"

enum member { SUBJECT, HEADERS, PAYLOAD, PAYLOAD_TEXT, PAYLOAD_BASE64, STREAM, SEQ, STORED_AT };
static const char *const members[] = {
    [SUBJECT] = "subject",
    [HEADERS] = "headers",
    [PAYLOAD] = "payload",
    [PAYLOAD_TEXT] = "payload_text",
    [PAYLOAD_BASE64] = "payload_base64",
    [STREAM] = "stream",
    [SEQ] = "seq",
    [STORED_AT] = "stored_at",
};
#define MEMBERS ARRAY_LEN(members)

enum { READ_BYTES = 256 * 1024 };

struct lines {
    char *name;
    int fd;
    struct buf bytes; /* what is read: taken bytes, then unread ones */
    size_t taken;
    size_t searched; /* behind `taken`: no line end in these */
    bool at_end, skipping;
    uint64_t number;
    struct slice raw;
    const char *blamed; /* where in it a complaint points to; NULL: its start */
    struct json_plan *plan;
    int slots[MEMBERS];
    struct json_value values[MEMBERS];
    struct buf texts; /* what had to be decoded */
    struct event_header headers[EVENT_HEADERS_MAX];
};

int lines_open(const char *path, struct lines **ret, struct error *err)
{
    bool is_stdin = !strcmp(path, "-");
    int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot open: %s", path, strerror(errno));
    struct lines *lines = xcalloc(1, sizeof *lines);
    lines->name = xstrdup(is_stdin ? "<stdin>" : path);
    lines->fd = fd;
    lines->plan = json_plan_new();
    for (size_t i = 0; i < MEMBERS; i++)
        lines->slots[i] = json_plan_add(lines->plan, slice_of(members[i]));
    (void)json_plan_compile(lines->plan);
    *ret = lines;
    return 0;
}

void lines_close(struct lines *lines)
{
    if (!lines)
        return;
    (void)close(lines->fd);
    json_plan_free(lines->plan);
    buf_done(&lines->bytes);
    buf_done(&lines->texts);
    free(lines->name);
    free(lines);
}

uint64_t lines_number(const struct lines *lines)
{
    return lines->number;
}

struct slice lines_raw(const struct lines *lines)
{
    return lines->raw;
}

const char *lines_name(const struct lines *lines)
{
    return lines->name;
}

__attribute__((format(printf, 3, 4))) static int bad(const struct lines *lines, struct error *err,
                                                     const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t column = lines->blamed ? (size_t)(lines->blamed - lines->raw.ptr) : 0;
    return error_set(err, EXIT_CODE_DAMAGED, "%s:%llu:%zu: %s", lines->name,
                     (unsigned long long)lines->number, column + 1, text);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static int read_more(struct lines *lines, struct error *err)
{
    if (lines->taken) {
        lines->bytes.len -= lines->taken;
        memmove(lines->bytes.ptr, lines->bytes.ptr + lines->taken, lines->bytes.len);
        lines->taken = 0;
    }
    buf_reserve(&lines->bytes, READ_BYTES);
    ssize_t got;
    do
        got = read(lines->fd, lines->bytes.ptr + lines->bytes.len, READ_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot read: %s", lines->name, strerror(errno));
    lines->at_end = got == 0;
    lines->bytes.len += (size_t)got;
    return 0;
}

/* Takes the next line into lines->raw. 1: there is one, 0: the end, -1: bad, -2: failed. */
static int take_line(struct lines *lines, struct error *err)
{
    for (;;) {
        struct slice rest = slice_from(buf_slice(&lines->bytes), lines->taken);
        struct slice fresh = slice_from(rest, lines->searched);
        const char *lf = fresh.len ? memchr(fresh.ptr, '\n', fresh.len) : NULL;
        if (lf || (lines->at_end && rest.len)) {
            lines->raw = (struct slice){rest.ptr, lf ? (size_t)(lf - rest.ptr) : rest.len};
            lines->taken += lines->raw.len + (lf != NULL);
            lines->searched = 0;
            lines->number += !lines->skipping;
            bool was_skipping = lines->skipping;
            lines->skipping = false;
            if (was_skipping)
                continue;
            return 1;
        }
        if (lines->at_end)
            return 0;
        lines->searched = rest.len;
        if (lines->skipping || rest.len > LINE_BYTES_MAX) {
            bool first = !lines->skipping;
            lines->taken += rest.len;
            lines->searched = 0;
            lines->skipping = true;
            lines->number += first;
            lines->raw = SLICE("");
            if (first)
                return bad(lines, err, "the line is longer than %zu bytes", LINE_BYTES_MAX);
        }
        if (read_more(lines, err) < 0)
            return -2;
    }
}

/* --- members ---------------------------------------------------------------------------------- */

static const struct json_value *value_of(const struct lines *lines, enum member member)
{
    return &lines->values[lines->slots[member]];
}

/* Into lines->texts, whose room was made before: slices into it stay valid. */
static struct slice decoded(struct lines *lines, struct slice raw)
{
    size_t begin = lines->texts.len;
    if (!memchr(raw.ptr, '\\', raw.len))
        return raw;
    json_unescape(raw, &lines->texts);
    return slice_from(buf_slice(&lines->texts), begin);
}

static int text_member(struct lines *lines, enum member member, struct slice *ret,
                       struct error *err)
{
    const struct json_value *value = value_of(lines, member);
    *ret = SLICE_ABSENT;
    lines->blamed = value->raw.ptr;
    if (value->type <= JSON_TYPE_NULL)
        return 0;
    if (value->type != JSON_TYPE_STRING)
        return bad(lines, err, "'%s' is no string", members[member]);
    *ret = decoded(lines, value->raw);
    return 0;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648, section 4, padded. */
static bool base64_decode(struct slice text, struct buf *ret)
{
    if (text.len % 4)
        return false;
    for (size_t i = 0; i < text.len; i += 4) {
        uint32_t bits = 0;
        size_t pads = 0;
        for (size_t k = 0; k < 4; k++) {
            char c = text.ptr[i + k];
            bool pad = c == '=' && i + 4 == text.len && k >= 2;
            int digit = pad ? 0 : base64_digit(c);
            if (digit < 0 || (pads && !pad))
                return false;
            pads += pad;
            bits = bits << 6 | (uint32_t)digit;
        }
        for (size_t k = 0; k < 3 - pads; k++)
            buf_add_char(ret, (char)(bits >> (16 - 8 * k) & 0xff));
    }
    return true;
}

static int read_payload(struct lines *lines, struct slice *ret, struct error *err)
{
    const struct json_value *value = value_of(lines, PAYLOAD);
    struct slice text = SLICE_ABSENT, base64 = SLICE_ABSENT;
    if (text_member(lines, PAYLOAD_TEXT, &text, err) < 0 ||
        text_member(lines, PAYLOAD_BASE64, &base64, err) < 0)
        return -1;
    int given = (value->type != JSON_TYPE_ABSENT) + slice_present(text) + slice_present(base64);
    lines->blamed = NULL;
    if (given != 1)
        return bad(lines, err,
                   "one of 'payload', 'payload_text' and 'payload_base64' was expected");
    *ret = text;
    if (slice_present(base64)) {
        size_t begin = lines->texts.len;
        lines->blamed = value_of(lines, PAYLOAD_BASE64)->raw.ptr;
        if (!base64_decode(base64, &lines->texts))
            return bad(lines, err, "'payload_base64' is no padded base64");
        *ret = slice_from(buf_slice(&lines->texts), begin);
    } else if (value->type == JSON_TYPE_STRING) {
        *ret = (struct slice){value->raw.ptr - 1, value->raw.len + 2}; /* with its quotes */
    } else if (value->type != JSON_TYPE_ABSENT) {
        *ret = value->raw;
    }
    return 0;
}

/* --- headers ---------------------------------------------------------------------------------- */

/* The walk below goes over JSON that is known to be well-formed. */
static void skip_space(struct slice *at)
{
    while (at->len && strchr(" \t\r\n,:", at->ptr[0]))
        *at = slice_from(*at, 1);
}

/* At an opening quote: the raw text; *at moves behind the closing one. */
static struct slice take_string(struct slice *at)
{
    size_t end = 1;
    while (at->ptr[end] != '"')
        end += at->ptr[end] == '\\' ? 2 : 1;
    struct slice raw = {at->ptr + 1, end - 1};
    *at = slice_from(*at, end + 1);
    return raw;
}

static int add_header(struct lines *lines, struct event_input *input, struct slice name,
                      struct slice value, struct error *err)
{
    if (input->header_count == EVENT_HEADERS_MAX)
        return bad(lines, err, "more than %d headers", EVENT_HEADERS_MAX);
    lines->headers[input->header_count++] =
        (struct event_header){decoded(lines, name), decoded(lines, value)};
    return 0;
}

static int read_headers(struct lines *lines, struct event_input *input, struct error *err)
{
    const struct json_value *value = value_of(lines, HEADERS);
    struct slice at = {value->raw.ptr, value->raw.len};
    input->headers = lines->headers;
    lines->blamed = value->raw.ptr;
    if (value->type <= JSON_TYPE_NULL)
        return 0;
    if (value->type != JSON_TYPE_OBJECT)
        return bad(lines, err, "'headers' is no object from names to texts");
    at = slice_from(at, 1);
    for (;;) {
        skip_space(&at);
        if (!at.len || at.ptr[0] == '}')
            return 0;
        struct slice name = take_string(&at);
        skip_space(&at);
        bool is_list = at.ptr[0] == '[';
        if (is_list)
            at = slice_from(at, 1);
        do {
            skip_space(&at);
            if (is_list && at.ptr[0] == ']')
                break;
            lines->blamed = at.ptr;
            if (at.ptr[0] != '"')
                return bad(lines, err, "header '%.*s' is no text and no list of texts",
                           SLICE_ARG(name));
            if (add_header(lines, input, name, take_string(&at), err) < 0)
                return -1;
        } while (is_list);
        if (is_list)
            at = slice_from(at, 1);
    }
}

/* --- one line --------------------------------------------------------------------------------- */

static int read_seq(struct lines *lines, uint64_t *ret, struct error *err)
{
    const struct json_value *value = value_of(lines, SEQ);
    uint64_t seq = 0;
    lines->blamed = value->raw.ptr;
    if (value->type <= JSON_TYPE_NULL)
        return 0;
    bool sound = value->type == JSON_TYPE_NUMBER;
    for (size_t i = 0; i < value->raw.len && sound; i++) {
        char c = value->raw.ptr[i];
        sound = c >= '0' && c <= '9' && !__builtin_mul_overflow(seq, 10, &seq) &&
                !__builtin_add_overflow(seq, (uint64_t)(c - '0'), &seq);
    }
    if (!sound || !seq)
        return bad(lines, err, "'seq' is no whole number from 1 up");
    *ret = seq;
    return 0;
}

static int read_stored_at(struct lines *lines, int64_t *ret, struct error *err)
{
    const struct json_value *value = value_of(lines, STORED_AT);
    lines->blamed = value->raw.ptr;
    if (value->type <= JSON_TYPE_NULL)
        return 0;
    bool timely = value->type == JSON_TYPE_STRING || value->type == JSON_TYPE_NUMBER ||
                  value->type == JSON_TYPE_OBJECT;
    if (!timely || !event_time_parse(value->raw, value->type == JSON_TYPE_OBJECT, ret))
        return bad(lines, err, "'stored_at' is no time, such as \"2026-07-11T12:00:00Z\"");
    return 0;
}

static int read_line(struct lines *lines, struct line_event *ret, struct error *err)
{
    struct json_error problem = {"", 0};
    size_t first = 0;
    while (first < lines->raw.len && strchr(" \t\r", lines->raw.ptr[first]))
        first++;
    if (!json_extract(lines->plan, lines->raw, lines->values, &problem)) {
        lines->blamed = lines->raw.ptr + problem.offset;
        return bad(lines, err, "not JSON: %s", problem.what);
    }
    if (lines->raw.ptr[first] != '{')
        return bad(lines, err, "an object with 'subject' and 'payload' was expected");
    lines->texts.len = 0;
    buf_reserve(&lines->texts, lines->raw.len * 3 + 16); /* whatever is decoded: it never moves */
    *ret = (struct line_event){.stream = SLICE_ABSENT};
    if (text_member(lines, SUBJECT, &ret->input.subject, err) < 0)
        return -1;
    if (!ret->input.subject.len)
        return bad(lines, err, "'subject' is missing or empty");
    if (text_member(lines, STREAM, &ret->stream, err) < 0 ||
        read_headers(lines, &ret->input, err) < 0 ||
        read_payload(lines, &ret->input.payload, err) < 0 ||
        read_seq(lines, &ret->input.seq, err) < 0)
        return -1;
    return read_stored_at(lines, &ret->input.stored_at_ns, err);
}

static bool is_blank(struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (!strchr(" \t\r", line.ptr[i]) || !line.ptr[i])
            return false;
    }
    return true;
}

enum lines_outcome lines_next(struct lines *lines, struct line_event *ret, struct error *err)
{
    for (;;) {
        lines->blamed = NULL;
        int taken = take_line(lines, err);
        if (taken <= 0)
            return taken == 0 ? LINES_END : taken == -1 ? LINES_BAD : LINES_FAILED;
        if (lines->number == 1 && slice_starts(lines->raw, SLICE("\xef\xbb\xbf")))
            lines->raw = slice_from(lines->raw, 3);
        if (is_blank(lines->raw))
            continue;
        return read_line(lines, ret, err) < 0 ? LINES_BAD : LINES_EVENT;
    }
}
