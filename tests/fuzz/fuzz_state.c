/* Snapshots: no bytes break the reader; what it accepts, it writes, and reads again as the same
 * bytes. */
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/codec.h"
#include "fold/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *context, enum engine_report what, const struct stream_state *state,
                   uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static struct rules *load(void)
{
    struct rules *rules = NULL;
    struct error err = ERROR_NONE;
    const char *folder = getenv("CIM_OPS_RULES");
    if (rules_load(folder ? folder : "rules", &rules, &err) < 0) {
        (void)fprintf(stderr, "fuzz_state: %s\n", err.text);
        exit(2);
    }
    return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules *rules;
    struct registry *registry = registry_new();
    struct engine *engine = NULL;
    struct error err = ERROR_NONE;
    if (!rules)
        rules = load();
    if (engine_new(rules, registry, (struct engine_reporter){ignore, NULL}, &engine, &err) < 0)
        exit(2);
    struct stream_state *state = engine_stream(engine, "S");

    /* The checksum is put right, or nothing behind it would ever be reached. */
    struct buf bytes = {0}, first = {0}, second = {0};
    buf_add(&bytes, data, size);
    codec_put_fixed(&bytes, XXH3_64bits(data, size));
    if (state_decode(engine, state, buf_slice(&bytes), &err) == 0) {
        state_encode(engine, state, &first);
        if (state_decode(engine, state, buf_slice(&first), &err) < 0)
            abort();
        state_encode(engine, state, &second);
        if (!slice_eq(buf_slice(&first), buf_slice(&second)))
            abort();
    }
    buf_done(&bytes);
    buf_done(&first);
    buf_done(&second);
    engine_free(engine);
    registry_free(registry);
    return 0;
}
