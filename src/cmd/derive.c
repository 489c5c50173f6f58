/* cim-ops derive: folds a file of events and prints the exposition. */
#include <stdio.h>

#include "base/memory.h"
#include "base/shown.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "event/lines.h"
#include "fold/engine.h"
#include "fold/state.h"

#define STREAM_DEFAULT "FILE"
#define STREAMS_MAX    1024

struct derive_values {
    const char *rules, *output, *stream, *shard;
};

static const struct option_spec options[] = {
    {.name = "rules",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct derive_values, rules),
     .help = "folder of envelopes.yaml and the metric rules (default: those shipped)"},
    {.name = "output",
     .arg = "FORM",
     .kind = OPTION_STRING,
     .fallback = "prometheus",
     .offset = offsetof(struct derive_values, output),
     .help = "prometheus or openmetrics"},
    {.name = "stream",
     .arg = "NAME",
     .kind = OPTION_STRING,
     .fallback = STREAM_DEFAULT,
     .offset = offsetof(struct derive_values, stream),
     .help = "the stream of lines that name none"},
    {.name = "shard",
     .arg = "I/N",
     .kind = OPTION_STRING,
     .offset = offsetof(struct derive_values, shard),
     .help = "fold what the I-th of N monitors would count"},
};

struct derive {
    const struct derive_values *values;
    struct rules *rules;
    struct registry *registry;
    struct engine *engine;
    struct stream_state *state; /* of the line before */
    struct stream_state *states[STREAMS_MAX];
    size_t state_count;
    uint64_t lines_bad;
};

static void ignore_report(void *context, enum engine_report what, const struct stream_state *state,
                          uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

__attribute__((format(printf, 3, 4))) static void
complain(struct derive *derive, const struct lines *lines, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    derive->lines_bad++;
    shown_error("cim-ops derive: %s:%llu: %s\n", lines_name(lines),
                (unsigned long long)lines_number(lines), text);
}

/* NULL: one stream too many. */
static struct stream_state *state_of(struct derive *derive, struct slice name)
{
    if (derive->state && slice_eq(slice_of(state_name(derive->state)), name))
        return derive->state;
    for (size_t i = 0; i < derive->state_count; i++) {
        if (slice_eq(slice_of(state_name(derive->states[i])), name))
            return derive->state = derive->states[i];
    }
    if (derive->state_count == STREAMS_MAX)
        return NULL;
    CLEANUP_FREE char *text = xstrndup(name.ptr, name.len);
    derive->state = engine_stream(derive->engine, text);
    return derive->states[derive->state_count++] = derive->state;
}

static void fold(struct derive *derive, const struct lines *lines, const struct line_event *event)
{
    struct stream_state *state = state_of(
        derive, slice_present(event->stream) ? event->stream : slice_of(derive->values->stream));
    if (!state)
        complain(derive, lines, "the lines name more than %d streams: not folded", STREAMS_MAX);
    else if (event->input.seq && event->input.seq <= state_seq(state))
        complain(derive, lines,
                 "'seq' %llu is not behind %llu, the last one of stream %s: not folded",
                 (unsigned long long)event->input.seq, (unsigned long long)state_seq(state),
                 state_name(state));
    else
        (void)engine_fold(derive->engine, state, &event->input);
}

static int fold_all(struct derive *derive, const char *path, struct error *err)
{
    struct lines *lines = NULL;
    struct line_event event;
    struct error problem = ERROR_NONE;
    enum lines_outcome outcome;
    if (lines_open(path, &lines, err) < 0)
        return -1;
    while ((outcome = lines_next(lines, &event, &problem)) < LINES_END) {
        if (outcome == LINES_EVENT)
            fold(derive, lines, &event);
        else if (++derive->lines_bad)
            shown_error("cim-ops derive: %s\n", problem.text);
    }
    lines_close(lines);
    return outcome == LINES_FAILED ? error_set(err, problem.code, "%s", problem.text) : 0;
}

static int print(const struct derive *derive, enum exposition_format format, struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    registry_expose(derive->registry, format, &text);
    if (fwrite(text.ptr ? text.ptr : "", 1, text.len, stdout) != text.len || fflush(stdout) != 0)
        return error_set(err, EXIT_CODE_INTERNAL, "the output cannot be written");
    return 0;
}

static int read_form(const char *text, enum exposition_format *ret, struct error *err)
{
    bool is_open = !strcmp(text, "openmetrics");
    *ret = is_open ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS;
    return is_open || !strcmp(text, "prometheus")
               ? 0
               : error_set(err, EXIT_CODE_USAGE,
                           "--output: prometheus or openmetrics was expected");
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    struct derive derive = {.values = opaque};
    enum exposition_format format;
    struct shard shard = {0};
    struct engine_reporter reporter = {ignore_report, NULL};
    (void)count;
    CLEANUP_FREE char *folder =
        derive.values->rules ? xstrdup(derive.values->rules) : place_shipped("rules");
    if (!folder)
        return error_set(err, EXIT_CODE_USAGE,
                         "the shipped rules were not found; name the folder by --rules DIR"),
               EXIT_CODE_USAGE;
    derive.registry = registry_new();
    registry_set_folds_shown(derive.registry, true);
    if (read_form(derive.values->output, &format, err) == 0 &&
        (!derive.values->shard || shard_parse(derive.values->shard, &shard, err) == 0) &&
        rules_load(folder, &derive.rules, err) == 0 &&
        engine_new(derive.rules, derive.registry, reporter, &derive.engine, err) == 0 &&
        engine_set_shard(derive.engine, shard, err) == 0 &&
        fold_all(&derive, operands[0], err) == 0)
        (void)print(&derive, format, err);
    engine_free(derive.engine);
    registry_free(derive.registry);
    rules_free(derive.rules);
    if (err->text[0])
        return (int)err->code;
    return derive.lines_bad ? EXIT_CODE_DAMAGED : EXIT_CODE_DONE;
}

const struct command command_derive = {
    .name = "derive",
    .summary = "fold a file of events and print the metrics",
    .operands = "FILE.jsonl|-",
    .details =
        "One JSON object a line: subject and payload, and, where known, headers, stream, seq and\n"
        "stored_at; the payload's bytes are taken as they are written. What the rules say becomes\n"
        "metrics, exactly as `cim-ops monitor` would fold the same messages from a stream. Lines\n"
        "without seq are folded in the order of the file; without stored_at, what stands on that\n"
        "time ($stored_at, $delay) is absent. Lines that cannot be used are named on stderr and\n"
        "passed over; the exit code is 5 then.",
    .example = "cim-ops derive --rules my-rules/ events.jsonl\n"
               "  cim-ops derive - < tests/corpus/cim-events.jsonl | promtool check metrics",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct derive_values),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
