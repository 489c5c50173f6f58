#include "bus/api.h"

#include "base/instant.h"
#include "base/memory.h"
#include "bus/bus_internal.h"

int api_call(struct bus *bus, const char *subject, json_t *request, json_t **ret, int *ret_api_code,
             struct error *err)
{
    CLEANUP_BUF struct buf reply = {0};
    CLEANUP_FREE char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    bool nobody = false;
    int rc = bus_request_asking(bus, subject, NULL, 0, slice_of(text ? text : ""), BUS_TIMEOUT_MS,
                                &reply, &nobody, err);
    *ret_api_code = nobody ? API_NOBODY : 0;
    if (rc < 0)
        return -1;
    json_error_t problem;
    json_t *root = json_loadb(reply.ptr ? reply.ptr : "", reply.len, 0, &problem);
    if (!root)
        return error_set(err, EXIT_CODE_UNREACHABLE, "%s: the reply is not JSON: %s", subject,
                         problem.text);
    json_t *failure = json_object_get(root, "error");
    *ret_api_code = 0;
    if (failure) {
        int code = (int)json_integer_value(json_object_get(failure, "err_code"));
        const char *description = json_string_value(json_object_get(failure, "description"));
        *ret_api_code = code ? code : -1;
        bool absent = code == API_STREAM_NOT_FOUND || code == API_NO_MESSAGE_FOUND;
        error_set(err, absent ? EXIT_CODE_PROBLEM : EXIT_CODE_UNREACHABLE, "%s: %s (%d)", subject,
                  description ? description : "unknown error", code);
        json_decref(root);
        return -1;
    }
    *ret = root;
    return 0;
}

/* --- one message ------------------------------------------------------------------------------ */

/* RFC 4648 base 64 with padding, as Go's encoding/json writes []byte. */
static int base64_decode(struct slice text, struct buf *ret)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++) {
        const char *at = text.ptr[i] ? strchr(alphabet, text.ptr[i]) : NULL;
        if (!at)
            return -1;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_add_char(ret, (char)(bits >> count & 0xff));
        }
    }
    return 0;
}

static int decode_field(json_t *message, const char *key, struct buf *ret)
{
    json_t *value = json_object_get(message, key);
    return value ? base64_decode(
                       (struct slice){json_string_value(value), json_string_length(value)}, ret)
                 : 0;
}

int api_message_get(struct bus *bus, const char *stream, json_t *which, struct api_message *ret,
                    int *ret_api_code, struct error *err)
{
    CLEANUP_FREE char *ask = xasprintf("$JS.API.STREAM.MSG.GET.%s", stream);
    json_t *reply = NULL;
    if (api_call(bus, ask, which, &reply, ret_api_code, err) < 0)
        return -1;
    json_t *message = json_object_get(reply, "message");
    const char *subject = json_string_value(json_object_get(message, "subject"));
    const char *time = json_string_value(json_object_get(message, "time"));
    int rc = 0;
    ret->seq = api_u64(message, "seq");
    if (!subject || decode_field(message, "hdrs", &ret->headers) < 0 ||
        decode_field(message, "data", &ret->payload) < 0 ||
        !instant_parse_rfc3339(slice_of(time), &ret->stored_at_ns))
        rc = error_set(err, EXIT_CODE_DAMAGED, "%s: the message at %llu cannot be read", ask,
                       (unsigned long long)ret->seq);
    else
        buf_add_str(&ret->subject, subject);
    json_decref(reply);
    return rc;
}

void api_message_done(struct api_message *message)
{
    buf_done(&message->subject);
    buf_done(&message->headers);
    buf_done(&message->payload);
}
