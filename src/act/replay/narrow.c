#include "act/replay/narrow.h"

#include "base/memory.h"

struct narrowing {
    struct events_reader *reader;
    struct buf common;
    bool any, all; /* any: there is a subject; all: none was left out */
};

void narrow_join(struct buf *common, struct slice subject)
{
    CLEANUP_BUF struct buf joined = {0};
    struct slice a = buf_slice(common), b = subject, x, y;
    if (!common->len) {
        buf_add_slice(common, subject);
        return;
    }
    while (slice_present(a) && slice_present(b)) {
        (void)slice_cut(&a, '.', &x);
        (void)slice_cut(&b, '.', &y);
        if (joined.len)
            buf_add_char(&joined, '.');
        if (slice_eq(x, SLICE(">"))) {
            buf_add_char(&joined, '>');
            a = b = SLICE_ABSENT;
            break;
        }
        if (slice_present(a) != slice_present(b)) { /* one ends here: no token in common is left */
            buf_add_char(&joined, '>');
            a = b = SLICE_ABSENT;
            break;
        }
        if (slice_eq(x, y))
            buf_add_slice(&joined, x);
        else
            buf_add_char(&joined, '*');
    }
    buf_reset(common);
    buf_add_slice(common, buf_slice(&joined));
}

static bool may_be(struct narrowing *narrowing, struct slice subject)
{
    const struct events_wanted *wanted = narrowing->reader->wanted;
    struct engine *engine = narrowing->reader->engine;
    return engine_subject_may(engine, subject, EVENT_DOMAIN, wanted->domain) &&
           engine_subject_may(engine, subject, EVENT_AGGREGATE_ID, wanted->aggregate) &&
           engine_subject_may(engine, subject, EVENT_TYPE, wanted->type);
}

static void take(void *context, struct slice subject)
{
    struct narrowing *narrowing = context;
    narrowing->any = true;
    if (may_be(narrowing, subject))
        narrow_join(&narrowing->common, subject);
    else
        narrowing->all = false;
}

int narrow_subjects(struct events_reader *reader, const char *stream, char **ret_filter,
                    struct error *err)
{
    const struct events_wanted *wanted = reader->wanted;
    struct narrowing narrowing = {.reader = reader, .all = true};
    bool complete = false;
    *ret_filter = NULL;
    if (!wanted->domain && !wanted->aggregate && !wanted->type)
        return 0;
    int rc = stream_subjects(reader->bus, stream, take, &narrowing, &complete, err);
    /* Where no subject may be, any one of them does: nothing will be chosen. */
    if (rc == 0 && complete && narrowing.any && !narrowing.all)
        *ret_filter =
            xstrdup(narrowing.common.len ? buf_cstr(&narrowing.common) : "cim-ops.no.such.subject");
    buf_done(&narrowing.common);
    return rc;
}
