/*
 * api: requests to the JetStream API whose answers are JSON. For siblings in src/bus only.
 *
 * Subjects, fields and error codes: docs.nats.io/reference/jetstream/api.
 */
#pragma once

#include <jansson.h>

#include "bus/bus.h"

enum api_code {
    API_STREAM_NOT_FOUND = 10059,
    API_NO_MESSAGE_FOUND = 10037,
    API_NAME_IN_USE = 10058,
    API_NOT_ENABLED_FOR_ACCOUNT = 10039,
    API_NOT_ENABLED = 10076,
    API_WRONG_LAST_SEQUENCE = 10071,
    API_WRONG_LAST_SEQUENCE_UNKNOWN = 10164,
    API_STORE_FAILED = 10077, /* mostly a limit of the stream */
    API_NOBODY = -2,          /* ours: no responders */
};

/*
 * One call; takes `request` over (NULL: none); *ret is the decoded reply, the caller's to
 * json_decref(). *ret_api_code: 0 or the error's. err->code is EXIT_CODE_PROBLEM when there is no
 * such stream or message, else EXIT_CODE_UNREACHABLE.
 */
int api_call(struct bus *bus, const char *subject, json_t *request, json_t **ret, int *ret_api_code,
             struct error *err);

static inline uint64_t api_u64(json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* A stored message as STREAM.MSG.GET gives it. Zero-initialised is valid and empty. */
struct api_message {
    struct buf subject, headers, payload; /* headers: the stored block, "" when none */
    uint64_t seq;
    int64_t stored_at_ns;
};

/* `which` (taken over) is {"seq": N} or {"last_by_subj": SUBJECT}; appends to the bufs of *ret. */
int api_message_get(struct bus *bus, const char *stream, json_t *which, struct api_message *ret,
                    int *ret_api_code, struct error *err);
void api_message_done(struct api_message *message);
