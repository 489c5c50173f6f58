#include "event/view.h"

#include <stdlib.h>

#include "base/instant.h"

static const char *const field_names[EVENT_FIELDS] = {
    [EVENT_DOMAIN] = "domain",
    [EVENT_TYPE] = "event_type",
    [EVENT_AGGREGATE_TYPE] = "aggregate_type",
    [EVENT_SEVERITY] = "severity",
    [EVENT_ERROR_TYPE] = "error_type",
    [EVENT_AGGREGATE_ID] = "aggregate_id",
    [EVENT_ID] = "event_id",
    [EVENT_CORRELATION_ID] = "correlation_id",
    [EVENT_CAUSATION_ID] = "causation_id",
    [EVENT_OCCURRED_AT] = "occurred_at",
};

const char *event_field_name(enum event_field field)
{
    return field < EVENT_FIELDS ? field_names[field] : "";
}

enum event_field event_field_find(struct slice name)
{
    for (size_t i = 0; i < EVENT_FIELDS; i++) {
        if (slice_eq(slice_of(field_names[i]), name))
            return (enum event_field)i;
    }
    return EVENT_FIELDS;
}

static struct slice find_in_block(struct slice block, struct slice wanted)
{
    struct event_headers walk;
    struct event_header header;
    bool more = event_headers_begin(&walk, block, NULL);
    while (more && event_headers_next(&walk, &header)) {
        if (event_header_is(header.name, wanted))
            return header.value;
    }
    return SLICE_ABSENT;
}

struct slice event_header_find(const struct event_input *input, struct slice wanted)
{
    if (slice_present(input->header_block))
        return find_in_block(input->header_block, wanted);
    for (int i = 0; i < input->header_count; i++) {
        if (event_header_is(input->headers[i].name, wanted))
            return input->headers[i].value;
    }
    return SLICE_ABSENT;
}

/* --- time ------------------------------------------------------------------------------------- */

/* The number behind `"key":` in a flat JSON object that is known to be well-formed. */
static bool member_number(struct slice object, struct slice key, int64_t *ret)
{
    const char *at = memmem(object.ptr, object.len, key.ptr, key.len);
    const char *end = object.ptr + object.len;
    if (!at)
        return false;
    for (at += key.len; at < end && strchr("\": \t\r\n", *at) && *at; at++) {
    }
    const char *first = at;
    int64_t value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
            return false;
    }
    *ret = value;
    return at > first;
}

static bool scale_epoch(double value, int64_t whole, int64_t *ret_ns)
{
    /* Seconds reach 1e11 in the year 5138, milliseconds start there in 1973. */
    double magnitude = value < 0 ? -value : value;
    if (magnitude < 1e11) {
        int64_t ns, fraction = (int64_t)((value - (double)whole) * 1e9);
        return !__builtin_mul_overflow(whole, NS_PER_SECOND, &ns) &&
               !__builtin_add_overflow(ns, fraction, ret_ns);
    }
    int64_t factor = magnitude < 1e14 ? NS_PER_MS : magnitude < 1e17 ? 1000 : 1;
    return !__builtin_mul_overflow(whole, factor, ret_ns);
}

static bool parse_epoch(struct slice text, int64_t *ret_ns)
{
    char copy[40], *end = NULL;
    if (!text.len || text.len >= sizeof copy ||
        (text.ptr[0] != '-' && (text.ptr[0] < '0' || text.ptr[0] > '9')))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    if (strspn(copy, "0123456789+-.eE") != text.len) /* strtod() reads hexadecimal too */
        return false;
    double value = strtod(copy, &end);
    if (*end || !(value > -9.2e18 && value < 9.2e18))
        return false;
    /* All nineteen digits of nanoseconds count; a double holds sixteen. With an exponent, the
     * double is what there is. */
    int64_t whole = strpbrk(copy, "eE") ? (int64_t)value : strtoll(copy, NULL, 10);
    return scale_epoch(value, whole, ret_ns);
}

/* YYYY-MM-DD: its first instant, by UTC. */
static bool parse_date(struct slice text, int64_t *ret_ns)
{
    static const char midnight[] = "T00:00:00Z";
    char full[10 + sizeof midnight];
    if (text.len != 10 || text.ptr[4] != '-')
        return false;
    memcpy(full, text.ptr, 10);
    memcpy(full + 10, midnight, sizeof midnight);
    return instant_parse_rfc3339((struct slice){full, sizeof full - 1}, ret_ns);
}

bool event_time_parse(struct slice text, bool is_object, int64_t *ret_ns)
{
    if (is_object) {
        int64_t seconds, nanos = 0;
        if (!member_number(text, SLICE("secs_since_epoch"), &seconds))
            return false;
        (void)member_number(text, SLICE("nanos_since_epoch"), &nanos);
        return !__builtin_mul_overflow(seconds, NS_PER_SECOND, &seconds) &&
               !__builtin_add_overflow(seconds, nanos, ret_ns);
    }
    return instant_parse_rfc3339(text, ret_ns) || parse_date(text, ret_ns) ||
           parse_epoch(text, ret_ns);
}

/* --- type names ------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == '_' || c == '-' || c == '.' || c == ' ';
}

size_t event_type_pascal(struct slice text, char *out, size_t room)
{
    size_t used = 0;
    bool raise = true;
    for (size_t i = 0; i < text.len && used < room; i++) {
        char c = text.ptr[i];
        if (is_separator(c)) {
            raise = true;
            continue;
        }
        out[used++] = raise && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        raise = false;
    }
    return used;
}

size_t event_type_squash(struct slice text, char *out, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < text.len && used < room; i++) {
        char c = text.ptr[i];
        if (!is_separator(c))
            out[used++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return used;
}
