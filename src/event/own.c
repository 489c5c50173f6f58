#include "event/own.h"

#include <stdio.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "base/utf8.h"

/* Version 7: 48 bits of milliseconds, version, 12 bits, variant, 62 bits; RFC 9562, section 5.7. */
static void format_uuid(unsigned char b[static 16], int64_t at_ns, char *out)
{
    uint64_t ms = (uint64_t)(at_ns / NS_PER_MS);
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(ms >> (40 - 8 * i));
    b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = "0123456789abcdef"[b[i] >> 4];
        out[at++] = "0123456789abcdef"[b[i] & 15];
    }
    out[at] = 0;
}

void own_event_id(char out[static UUID_TEXT_LEN + 1])
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        abort();
    format_uuid(bytes, instant_now_ns(), out);
}

void own_event_id_of(struct slice name, int64_t at_ns, char out[static UUID_TEXT_LEN + 1])
{
    unsigned char bytes[16];
    XXH128_hash_t hash = XXH3_128bits(name.ptr, name.len);
    memcpy(bytes, &hash, sizeof bytes);
    format_uuid(bytes, at_ns, out);
}

static void add_token(struct buf *subject, const char *token)
{
    if (!*token)
        buf_add_char(subject, '_'); /* a subject cannot hold an empty token */
    for (; *token; token++) {
        bool bad = *token == '.' || *token == '*' || *token == '>' || (unsigned char)*token <= ' ';
        buf_add_char(subject, bad ? '_' : *token);
    }
}

/* Whatever bytes an id is made of: the body stays JSON. */
static json_t *text_or_null(const char *text)
{
    CLEANUP_BUF struct buf clean = {0};
    if (!text)
        return json_null();
    utf8_add_clean(&clean, slice_of(text));
    return json_stringn(buf_slice(&clean).ptr, clean.len);
}

void own_event_build(struct own_event *ret, const char *domain, const char *aggregate,
                     const char *id, const char *type, uint64_t sequence,
                     const char *correlation_id, const char *causation_id, json_t *data)
{
    own_event_build_as(ret, NULL, domain, aggregate, id, type, sequence, correlation_id,
                       causation_id, data);
}

void own_event_build_as(struct own_event *ret, const char *event_id, const char *domain,
                        const char *aggregate, const char *id, const char *type, uint64_t sequence,
                        const char *correlation_id, const char *causation_id, json_t *data)
{
    *ret = (struct own_event){0};
    char when[INSTANT_TEXT_MAX];
    if (event_id)
        memcpy(ret->event_id, event_id, UUID_TEXT_LEN);
    else
        own_event_id(ret->event_id);
    (void)instant_format(instant_now_ns(), when);

    const char *tokens[] = {"ops", domain, aggregate, id, type};
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        if (i)
            buf_add_char(&ret->subject, '.');
        add_token(&ret->subject, tokens[i]);
    }
    json_t *body = json_pack("{s:s, s:o, s:I, s:s, s:o, s:o, s:s, s:o}", "event_id", ret->event_id,
                             "aggregate_id", text_or_null(id), "sequence", (json_int_t)sequence,
                             "timestamp", when, "correlation_id", text_or_null(correlation_id),
                             "causation_id", text_or_null(causation_id), "event_type", type, "data",
                             data ? data : json_object());
    CLEANUP_FREE char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(body);
    buf_add_str(&ret->payload, text ? text : "{}");
}

void own_event_done(struct own_event *event)
{
    buf_done(&event->subject);
    buf_done(&event->payload);
}
