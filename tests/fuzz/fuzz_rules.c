/* Rule files: whatever they hold, they are loaded or refused with a place. Input: envelopes.yaml, a
 * line
 * `---8<---`, and a metrics file. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "fold/advice.h"
#include "fold/engine.h"
#include "fold/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/dev/shm/cim-ops-fuzz-XXXXXX";
static char envelopes[128], metrics[128];

static void clean_up(void)
{
    (void)unlink(envelopes);
    (void)unlink(metrics);
    (void)rmdir(folder);
}

static void write_file(const char *path, struct slice bytes)
{
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes.ptr ? bytes.ptr : "", 1, bytes.len, file) != bytes.len)
        exit(2);
    (void)fclose(file);
}

static void ignore(void *context, enum engine_report what, const struct stream_state *state,
                   uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static void drop(void *context, const char *text)
{
    (void)context, (void)text;
}

/* Some events, hours apart, so that what begins also ends, is late or is given up; then the state's
 * way through a snapshot. */
static void fold(struct engine *engine)
{
    static const struct {
        struct slice subject, payload;
    } events[] = {
        {SLICE("a.b.c"), SLICE("{\"a\":{\"b\":1}}")},
        {SLICE("greenhouse.n-1.events.x"), SLICE("{\"kind\":\"bed_planted\",\"plant\":\"p\"}")},
        {SLICE("greenhouse.n-2.events.x"), SLICE("{\"kind\":\"bed_planted\",\"plant\":\"\"}")},
        {SLICE("greenhouse.n-1.events.x"), SLICE("{\"kind\":\"bed_watered\",\"litres\":1e9}")},
        {SLICE("greenhouse.n-1.events.x"), SLICE("{\"kind\":\"bed_cleared\"}")},
        {SLICE("a.b.c"), SLICE("[]")},
    };
    struct stream_state *state = engine_stream(engine, "S");
    struct buf first = {0}, second = {0};
    struct error err = ERROR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        struct event_input input = {.subject = events[i].subject,
                                    .payload = events[i].payload,
                                    .seq = i + 1,
                                    .stored_at_ns = (int64_t)(i + 1) * 86400 * 1000000000};
        (void)engine_fold(engine, state, &input);
    }
    state_encode(engine, state, &first);
    if (state_decode(engine, state, buf_slice(&first), &err) < 0)
        abort();
    state_encode(engine, state, &second);
    if (!slice_eq(buf_slice(&first), buf_slice(&second)))
        abort();
    buf_done(&first);
    buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice cut = SLICE("---8<---\n");
    if (!envelopes[0]) {
        if (!mkdtemp(folder))
            exit(2);
        (void)snprintf(envelopes, sizeof envelopes, "%s/envelopes.yaml", folder);
        (void)snprintf(metrics, sizeof metrics, "%s/metrics.yaml", folder);
        (void)atexit(clean_up);
    }
    struct slice text = {(const char *)data, size};
    const char *at = size ? memmem(data, size, cut.ptr, cut.len) : NULL;
    size_t first = at ? (size_t)(at - text.ptr) : size;
    write_file(envelopes, (struct slice){text.ptr, first});
    write_file(metrics, at ? slice_from(text, first + cut.len) : SLICE("metrics: []\n"));

    struct rules *rules = NULL;
    struct error err = ERROR_NONE;
    if (rules_load(folder, &rules, &err) < 0) {
        if (!err.text[0])
            abort();
        return 0;
    }
    struct registry *registry = registry_new();
    struct engine *engine = NULL;
    if (engine_new(rules, registry, (struct engine_reporter){ignore, NULL}, &engine, &err) == 0) {
        fold(engine);
        rules_advise(rules, drop, NULL);
    }
    engine_free(engine);
    registry_free(registry);
    rules_free(rules);
    return 0;
}
