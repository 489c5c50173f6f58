/*
 * A whole message through the engine with the shipped rules, then both expositions.
 * Input: the subject, a line feed, `name:value` lines, an empty line, the payload; more such
 * messages behind a byte 0x1e, so that a fact and its copy meet.
 */
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fold/engine_internal.h"
#include "fold/explain.h"
#include "fold/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct registry *registry;
static struct engine *engine;

static void ignore(void *context, enum engine_report what, const struct stream_state *state,
                   uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static void start(void)
{
    static struct rules *rules;
    struct error err = ERROR_NONE;
    const char *folder = getenv("CIM_OPS_RULES");
    if (rules_load(folder ? folder : "rules", &rules, &err) < 0) {
        (void)fprintf(stderr, "fuzz_event: %s\n", err.text);
        exit(2);
    }
    registry = registry_new();
    registry_set_folds_shown(registry, true);
    if (engine_new(rules, registry, (struct engine_reporter){ignore, NULL}, &engine, &err) < 0)
        exit(2);
}

/* Every line of an exposition is a comment or ends in a value: nothing a label holds breaks it. */
static void check_exposition(enum exposition_format format)
{
    struct buf out = {0};
    registry_expose(registry, format, &out);
    struct slice rest = buf_slice(&out), line;
    while (slice_cut(&rest, '\n', &line) && slice_present(rest)) {
        if (line.len && line.ptr[0] != '#' && !memchr(line.ptr, ' ', line.len))
            abort();
    }
    buf_done(&out);
}

/* What every fold reads of a view; the rest only where a rule asks for it. */
struct noted {
    uint64_t class_fields[EVENT_CLASS_FIELDS], id;
    int64_t occurred_at_ns;
};

static uint64_t hash_of(struct slice text)
{
    return slice_present(text) ? XXH3_64bits(text.ptr, text.len) : 0;
}

static struct noted note(const struct event_view *view)
{
    struct noted noted = {.id = hash_of(view->field[EVENT_ID])};
    noted.occurred_at_ns = view->has_occurred_at ? view->occurred_at_ns : INT64_MIN;
    for (size_t f = 0; f < EVENT_CLASS_FIELDS; f++)
        noted.class_fields[f] = hash_of(view->field[f]);
    return noted;
}

/* Folded, by a course mostly, and viewed the long way: they see the same. A fold must not depend on
 * having been looked at in between. */
static void take_message(struct slice rest)
{
    static uint64_t seq;
    struct event_header headers[EVENT_HEADERS_MAX];
    struct event_input input = {.headers = headers, .stored_at_ns = INT64_C(1780000000000000000)};
    struct slice line = SLICE_ABSENT;
    (void)slice_cut(&rest, '\n', &input.subject);
    while (slice_cut(&rest, '\n', &line) && line.len && input.header_count < EVENT_HEADERS_MAX) {
        struct slice value = line, name = SLICE_ABSENT;
        (void)slice_cut(&value, ':', &name);
        headers[input.header_count++] =
            (struct event_header){name, slice_present(value) ? value : SLICE("")};
    }
    input.payload = slice_present(rest) ? rest : SLICE("");
    input.seq = ++seq;
    struct explanation seen;
    const char *why = NULL;
    struct engine_overflows before = engine_overflows(engine), after;
    int folded = engine_fold(engine, engine_stream(engine, "FUZZ"), &input);
    after = engine_overflows(engine);
    bool is_kept = memcmp(&before, &after, sizeof before) == 0; /* what its view points to */
    struct noted by_course = {{0}};
    if (is_kept)
        by_course = note(&engine->view);
    (void)engine_explain(engine, &input, &seen, &why);
    if ((folded >= 0) != !why)
        abort();
    if (folded < 0 || !is_kept)
        return;
    struct noted long_way = note(&engine->view);
    if (memcmp(&by_course, &long_way, sizeof by_course) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t runs;
    struct slice rest = {(const char *)data, size}, message = SLICE_ABSENT;
    if (!engine)
        start();
    while (slice_cut(&rest, '\x1e', &message))
        take_message(message);
    if (++runs % 256 == 0) {
        check_exposition(EXPOSITION_PROMETHEUS);
        check_exposition(EXPOSITION_OPENMETRICS);
        partition_clear(registry_partition(registry, "none"));
    }
    return 0;
}
