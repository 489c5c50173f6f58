/* Rule files: whatever they hold, they are loaded or refused with a place. Input: envelopes.yaml, a
 * line
 * `---8<---`, and a metrics file. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "fold/engine.h"

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
        struct event_input input = {.subject = SLICE("a.b.c"),
                                    .payload = SLICE("{\"a\":{\"b\":1}}"),
                                    .seq = 1,
                                    .stored_at_ns = 1};
        (void)engine_fold(engine, engine_stream(engine, "S"), &input);
    }
    engine_free(engine);
    registry_free(registry);
    rules_free(rules);
    return 0;
}
