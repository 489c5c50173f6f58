/*
 * view: what an event is to every fold, whatever its envelope.
 *
 * A field that the event does not carry is absent (slice_present() is false), never empty or zero.
 * Slices point into the message or into tables that live as long as the rules.
 */
#pragma once

#include "base/slice.h"
#include "event/headers.h"

enum event_field {
    EVENT_DOMAIN,
    EVENT_TYPE,
    EVENT_AGGREGATE_TYPE,
    EVENT_SEVERITY,
    EVENT_ERROR_TYPE,
    /* The five above have few values ("class" fields); those below differ from event to event. */
    EVENT_AGGREGATE_ID,
    EVENT_ID,
    EVENT_CORRELATION_ID,
    EVENT_CAUSATION_ID,
    EVENT_OCCURRED_AT,
    EVENT_FIELDS,
};
#define EVENT_CLASS_FIELDS EVENT_AGGREGATE_ID

/*
 * One message as it is stored; everything is borrowed for the duration of a call. Its headers are
 * given as the raw block (from NATS), or one by one (from JSON); where a block is given, `headers`
 * are not looked at.
 */
struct event_input {
    struct slice subject, payload;
    struct slice header_block; /* see event/headers.h; absent: `headers` stand */
    const struct event_header *headers;
    int header_count;     /* -1: they were not well-formed */
    uint64_t seq;         /* 0: not from a stream */
    int64_t stored_at_ns; /* 0: not known (a line of a file that does not say) */
};

struct event_view {
    struct slice field[EVENT_FIELDS];
    bool has_occurred_at;
    int64_t occurred_at_ns;
};

const char *event_field_name(enum event_field field);
/* EVENT_FIELDS when there is none of that name. */
enum event_field event_field_find(struct slice name);

/* The value of the first header of that name (event_header_is()); absent when there is none. */
struct slice event_header_find(const struct event_input *input, struct slice wanted);

/*
 * Every timestamp form of events.md: RFC 3339 text, a date alone (its first instant), epoch seconds
 * as text or number (fractions too), milliseconds, microseconds or nanoseconds by magnitude,
 * {secs_since_epoch,nanos_since_epoch}. `is_object` says that `text` is the raw JSON object. False:
 * none of these.
 */
bool event_time_parse(struct slice text, bool is_object, int64_t *ret_ns);

/*
 * PascalCase from snake_case, kebab-case, dotted or mixed text: each part's first letter is raised,
 * the rest stays. Writes at most `room` bytes; returns the length. `resource_registered` gives
 * ResourceRegistered; `registered` Registered; `DeviceDiscovered` itself.
 */
size_t event_type_pascal(struct slice text, char *out, size_t room);
/* Lower case without `_`, `-`, `.` and spaces: how spellings of one type compare equal. */
size_t event_type_squash(struct slice text, char *out, size_t room);
