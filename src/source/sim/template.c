#include "source/sim/template.h"

#include <stdio.h>

#include "base/error.h"
#include "base/instant.h"
#include "base/memory.h"

enum op_code {
    OP_TEXT,
    OP_AGG,
    OP_EVENT,
    OP_MSG,
    OP_CORR,
    OP_CAUSE,
    OP_OPEN,
    OP_OTHER,
    OP_REF,
    OP_REF2,
    OP_NEW,
    OP_AT,
    OP_AT_OFFSET,
    OP_THEN,
    OP_EPOCH,
    OP_NANOS,
    OP_SEQ,
    OP_NAME,
    OP_KIND,
    OP_RANGE,
    OP_HEX,
    OP_WORD,
};

static const struct {
    const char *name;
    enum op_code code;
} places[] = {
    {"agg", OP_AGG},     {"event", OP_EVENT}, {"corr", OP_CORR},     {"cause", OP_CAUSE},
    {"open", OP_OPEN},   {"other", OP_OTHER}, {"ref", OP_REF},       {"ref2", OP_REF2},
    {"new", OP_NEW},     {"at", OP_AT},       {"at+", OP_AT_OFFSET}, {"then", OP_THEN},
    {"epoch", OP_EPOCH}, {"nanos", OP_NANOS}, {"seq", OP_SEQ},       {"name", OP_NAME},
    {"kind", OP_KIND},   {"msg", OP_MSG},
};

static bool compile_word(struct slice place, struct template_op *op)
{
    for (size_t i = 0; i < word_list_count; i++) {
        if (!slice_eq(slice_of(word_lists[i].name), place))
            continue;
        op->code = (uint8_t)OP_WORD;
        op->list = (uint16_t)i;
        return true;
    }
    return false;
}

static bool compile_place(struct slice place, struct template_op *op)
{
    char copy[32];
    (void)snprintf(copy, sizeof copy, "%.*s", SLICE_ARG(place));
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!strcmp(copy, places[i].name)) {
            op->code = (uint8_t)places[i].code;
            return true;
        }
    }
    if (sscanf(copy, "%u..%u", &op->low, &op->high) == 2 && op->low <= op->high)
        op->code = (uint8_t)OP_RANGE;
    else if (sscanf(copy, "hex%u", &op->low) == 1)
        op->code = (uint8_t)OP_HEX;
    else
        return compile_word(place, op);
    return true;
}

void template_compile(struct template *ret, const char *source)
{
    struct template_op ops[TEMPLATE_OPS_MAX] = {0};
    size_t count = 0;
    *ret = (struct template){.text = xstrdup(source)};
    for (char *at = ret->text; *at; at++) {
        if (*at == '\'')
            *at = '"';
    }
    for (const char *at = ret->text; *at && count < TEMPLATE_OPS_MAX; count++) {
        const char *end = *at == '<' ? strchr(at, '>') : strchr(at, '<');
        if (*at == '<') {
            struct slice place = {at + 1, end ? (size_t)(end - at) - 1 : strlen(at) - 1};
            if (!end || !compile_place(place, &ops[count])) {
                (void)fprintf(stderr, "cim-ops: no such place <%.*s> in '%s'\n", SLICE_ARG(place),
                              source);
                abort();
            }
            at = end + 1;
        } else {
            ops[count].text = (struct slice){at, end ? (size_t)(end - at) : strlen(at)};
            at += ops[count].text.len;
        }
    }
    ret->count = count;
    ret->ops = xmalloc((count ? count : 1) * sizeof *ops);
    memcpy(ret->ops, ops, count * sizeof *ops);
}

void template_done(struct template *t)
{
    free(t->ops);
    free(t->text);
    *t = (struct template){0};
}

/* --- rendering -------------------------------------------------------------------------------- */

static void add_uuid(struct buf *out, const struct uuid *id)
{
    buf_reserve(out, UUID_TEXT_LEN);
    uuid_format(id, out->ptr + out->len);
    out->len += UUID_TEXT_LEN;
}

static void add_derived_uuid(struct buf *out, const struct template_values *v, uint64_t which)
{
    uint64_t high = rng_mix(v->salt + which), low = rng_mix(high);
    struct uuid id = v->id_version == 4 ? uuid_v4(high, low) : uuid_v7(v->at_ns, high, low);
    add_uuid(out, &id);
}

static void add_new_uuid(struct buf *out, const struct template_values *v)
{
    uint64_t high = rng_next(v->ids), low = rng_next(v->ids);
    struct uuid id = v->id_version == 4 ? uuid_v4(high, low) : uuid_v7(v->then_ns, high, low);
    add_uuid(out, &id);
}

/* The part up to the seconds changes seldom: the last one is kept per thread. */
static void add_seconds(struct buf *out, int64_t seconds)
{
    static _Thread_local int64_t kept_seconds = INT64_MIN;
    static _Thread_local char kept[INSTANT_TEXT_MAX];
    enum { SECONDS_LEN = sizeof "2026-07-11T12:00:27" - 1 };
    if (seconds != kept_seconds) {
        (void)instant_format(seconds * NS_PER_SECOND, kept);
        kept_seconds = seconds;
    }
    buf_add(out, kept, SECONDS_LEN);
}

void template_add_time(struct buf *out, int64_t ns, const char *zone)
{
    int64_t seconds = ns / NS_PER_SECOND, nanos = ns % NS_PER_SECOND;
    if (nanos < 0) {
        nanos += NS_PER_SECOND;
        seconds--;
    }
    add_seconds(out, seconds);
    if (nanos) {
        char fraction[10] = ".000000000";
        size_t digits = nanos % 1000000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
        int64_t left = nanos;
        for (size_t i = 9; i >= 1; i--, left /= 10)
            fraction[i] = (char)('0' + left % 10);
        buf_add(out, fraction, digits + 1);
    }
    buf_add_str(out, zone);
}

static void add_hex(struct buf *out, const struct template_values *v, uint32_t digits)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t word = 0;
    for (uint32_t i = 0; i < digits; i++) {
        if (i % 16 == 0)
            word = rng_mix(v->salt + digits * 131 + i);
        buf_add_char(out, hex[word & 15]);
        word >>= 4;
    }
}

static uint64_t derived(const struct template_values *v, uint64_t which, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)rng_mix(v->salt ^ which * UINT64_C(0xd6e8feb86659fd93)) *
                       bound) >>
                      64);
}

static void render_op(const struct template_op *op, const struct template_values *v,
                      struct buf *out)
{
    switch ((enum op_code)op->code) {
    case OP_TEXT: buf_add_slice(out, op->text); break;
    case OP_AGG: add_uuid(out, &v->agg); break;
    case OP_EVENT: add_uuid(out, &v->event); break;
    case OP_MSG: add_uuid(out, &v->msg); break;
    case OP_CORR: add_uuid(out, &v->corr); break;
    case OP_CAUSE: add_uuid(out, &v->cause); break;
    case OP_OPEN: add_uuid(out, &v->open); break;
    case OP_OTHER: add_uuid(out, &v->other); break;
    case OP_REF: add_derived_uuid(out, v, 1); break;
    case OP_REF2: add_derived_uuid(out, v, 2); break;
    case OP_NEW: add_new_uuid(out, v); break;
    case OP_AT: template_add_time(out, v->at_ns, "Z"); break;
    case OP_AT_OFFSET: template_add_time(out, v->at_ns, "+00:00"); break;
    case OP_THEN: template_add_time(out, v->then_ns, "Z"); break;
    case OP_EPOCH: buf_add_u64(out, (uint64_t)(v->at_ns / NS_PER_SECOND)); break;
    case OP_NANOS: buf_add_u64(out, (uint64_t)v->then_ns); break;
    case OP_SEQ: buf_add_u64(out, v->seq); break;
    case OP_NAME: buf_add_slice(out, v->name); break;
    case OP_KIND: buf_add_str(out, v->transaction ? "Transaction" : "Single"); break;
    case OP_RANGE:
        buf_add_u64(out, op->low + derived(v, op->low * UINT64_C(100003) + op->high,
                                           (uint64_t)op->high - op->low + 1));
        break;
    case OP_HEX: add_hex(out, v, op->low); break;
    case OP_WORD: {
        const struct word_list *list = &word_lists[op->list];
        buf_add_str(out, list->words[derived(v, 7000u + op->list, list->count)]);
        break;
    }
    }
}

void template_render(const struct template *t, const struct template_values *values,
                     struct buf *out)
{
    for (size_t i = 0; i < t->count; i++)
        render_op(&t->ops[i], values, out);
}
