/* cim-ops inspect: what the monitor sees in each message of a file, and why. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "config/yaml.h"
#include "event/lines.h"
#include "fold/explain.h"
#include "json/write.h"

struct inspect_values {
    const char *rules, *output;
    bool explain;
};

static const struct option_spec options[] = {
    {.name = "rules",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct inspect_values, rules),
     .help = "folder of envelopes.yaml (default: those shipped)"},
    {.name = "output",
     .arg = "FORM",
     .kind = OPTION_STRING,
     .fallback = "json",
     .offset = offsetof(struct inspect_values, output),
     .help = "json (one object a line) or text"},
    {.name = "explain",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct inspect_values, explain),
     .help = "say which rule gave which field, which envelopes did not fit, and what the CID says"},
};

/* The order in which fields are shown. */
static const enum event_field shown[] = {
    EVENT_DOMAIN,   EVENT_TYPE,           EVENT_AGGREGATE_TYPE, EVENT_AGGREGATE_ID,
    EVENT_ID,       EVENT_CORRELATION_ID, EVENT_CAUSATION_ID,   EVENT_OCCURRED_AT,
    EVENT_SEVERITY, EVENT_ERROR_TYPE};

struct inspection {
    struct rules *rules;
    struct registry *registry;
    struct engine *engine;
    bool text, explain;
    struct buf out;
    uint64_t wrong;
};

/* --- one view --------------------------------------------------------------------------------- */

static void add_member(struct buf *out, const char *name, struct slice text)
{
    if (!slice_present(text))
        return;
    json_add_name(out, name);
    json_add_string(out, text);
}

static struct slice field_text(const struct event_view *view, enum event_field field,
                               char when[static INSTANT_TEXT_MAX])
{
    if (field != EVENT_OCCURRED_AT)
        return view->field[field];
    if (!view->has_occurred_at)
        return SLICE_ABSENT;
    return (struct slice){when, instant_format(view->occurred_at_ns, when)};
}

/* "expression (file:line)" of what gave the field. */
static void add_source(struct buf *out, const struct explanation *seen, enum event_field field)
{
    const struct yaml_node *node = seen->from[field];
    if (!node) {
        buf_add_str(out, "error_classes, by event_type");
        return;
    }
    buf_add_slice(out, yaml_text(node));
    buf_add_str(out, " (");
    yaml_add_place(node, out);
    buf_add_char(out, ')');
}

static void add_missing(struct buf *out, const struct explanation *seen, size_t index)
{
    buf_addf(out, "no $%s.%.*s", seen->tried[index].is_header ? "header" : "payload",
             SLICE_ARG(seen->tried[index].missing));
}

/* "cid_mismatch: chained-content (file:line)"; what is verified says what is known of its link. */
static void add_chain(struct buf *out, const struct chain_finding *chain)
{
    static const char *const verdicts[] = {[CHAIN_NONE] = "",
                                           [CHAIN_VERIFIED] = "verified, ",
                                           [CHAIN_BROKEN] = "broken, ",
                                           [CHAIN_UNVERIFIABLE] = "not verifiable, "};
    buf_addf(out, "%s%s: %.*s (", verdicts[chain->verdict], chain->reason,
             SLICE_ARG(chain->rule->name));
    yaml_add_place(chain->rule->node, out);
    buf_add_char(out, ')');
}

static void explain_json(struct inspection *self, const struct explanation *seen)
{
    CLEANUP_BUF struct buf text = {0};
    struct buf *out = &self->out;
    json_add_name(out, "explain");
    buf_add_char(out, '{');
    if (seen->envelope) {
        yaml_add_place(seen->envelope->node, &text);
        add_member(out, "envelope", buf_slice(&text));
    }
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        if (!seen->from[shown[i]] && !(shown[i] == EVENT_ERROR_TYPE && seen->error_class))
            continue;
        buf_reset(&text);
        add_source(&text, seen, shown[i]);
        add_member(out, event_field_name(shown[i]), buf_slice(&text));
    }
    if (seen->chain.verdict != CHAIN_NONE) {
        buf_reset(&text);
        add_chain(&text, &seen->chain);
        add_member(out, "chain", buf_slice(&text));
    }
    json_add_name(out, "tried");
    buf_add_char(out, '{');
    for (size_t i = 0; i < seen->tried_count; i++) {
        buf_reset(&text);
        add_missing(&text, seen, i);
        add_member(out, seen->tried[i].envelope->name.ptr, buf_slice(&text));
    }
    buf_add_str(out, "}}");
}

static void show_json(struct inspection *self, const struct explanation *seen)
{
    char when[INSTANT_TEXT_MAX];
    buf_add_char(&self->out, '{');
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        add_member(&self->out, event_field_name(shown[i]), field_text(&seen->view, shown[i], when));
    if (seen->envelope)
        add_member(&self->out, "envelope", seen->envelope->name);
    if (self->explain)
        explain_json(self, seen);
    buf_add_str(&self->out, "}\n");
}

static void show_text(struct inspection *self, const struct event_input *input,
                      const struct explanation *seen)
{
    char when[INSTANT_TEXT_MAX];
    struct buf *out = &self->out;
    shown_add(out, input->subject);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        struct slice text = field_text(&seen->view, shown[i], when);
        if (!slice_present(text))
            continue;
        buf_addf(out, "  %-15s ", event_field_name(shown[i]));
        shown_add(out, text);
        if (self->explain) {
            buf_add_str(out, "   <- ");
            add_source(out, seen, shown[i]);
        }
        buf_add_char(out, '\n');
    }
    if (seen->envelope)
        buf_addf(out, "  %-15s %.*s", "envelope", SLICE_ARG(seen->envelope->name));
    if (seen->envelope && self->explain) {
        buf_add_str(out, "   <- ");
        yaml_add_place(seen->envelope->node, out);
    }
    buf_add_char(out, '\n');
    if (self->explain && seen->chain.verdict != CHAIN_NONE) {
        buf_addf(out, "  %-15s ", "chain");
        add_chain(out, &seen->chain);
        buf_add_char(out, '\n');
    }
    for (size_t i = 0; self->explain && i < seen->tried_count; i++) {
        buf_addf(out, "  %-15s %s: ", "not", seen->tried[i].envelope->name.ptr);
        add_missing(out, seen, i);
        buf_add_char(out, '\n');
    }
}

/* --- the file --------------------------------------------------------------------------------- */

/* A payload that cannot be read stands somewhere in its line, unless it was decoded from there. */
static size_t payload_column(const struct lines *lines, const struct event_input *input)
{
    struct slice raw = lines_raw(lines);
    bool inside = input->payload.ptr >= raw.ptr && input->payload.ptr <= raw.ptr + raw.len;
    return inside ? (size_t)(input->payload.ptr - raw.ptr) + 1 : 1;
}

static void inspect_line(struct inspection *self, const struct lines *lines,
                         const struct event_input *input)
{
    struct explanation seen;
    const char *why;
    if (!engine_explain(self->engine, input, &seen, &why)) {
        shown_error("cim-ops inspect: %s:%" PRIu64 ":%zu: the payload is no event: %s\n",
                    lines_name(lines), lines_number(lines), payload_column(lines, input), why);
        self->wrong++;
    } else if (self->text) {
        show_text(self, input, &seen);
    } else {
        show_json(self, &seen);
    }
}

static int inspect_lines(struct inspection *self, struct lines *lines, struct error *err)
{
    struct line_event event;
    struct error problem = ERROR_NONE;
    enum lines_outcome outcome;
    while ((outcome = lines_next(lines, &event, &problem)) < LINES_END) {
        buf_reset(&self->out);
        if (outcome == LINES_EVENT)
            inspect_line(self, lines, &event.input);
        else if (++self->wrong)
            shown_error("cim-ops inspect: %s\n", problem.text);
        if (fwrite(buf_slice(&self->out).ptr, 1, self->out.len, stdout) != self->out.len)
            return error_set(err, EXIT_CODE_INTERNAL, "the output cannot be written");
    }
    if (outcome == LINES_FAILED)
        return error_set(err, problem.code, "%s", problem.text);
    return fflush(stdout) == 0 ? 0
                               : error_set(err, EXIT_CODE_INTERNAL, "the output cannot be written");
}

static void ignore_report(void *context, enum engine_report what, const struct stream_state *state,
                          uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static int inspect_file(struct inspection *self, const char *file, struct error *err)
{
    struct engine_reporter reporter = {ignore_report, NULL};
    struct lines *lines = NULL;
    if (lines_open(file, &lines, err) < 0)
        return -1;
    self->registry = registry_new();
    int rc = engine_new(self->rules, self->registry, reporter, &self->engine, err);
    if (rc == 0)
        rc = inspect_lines(self, lines, err);
    engine_free(self->engine);
    registry_free(self->registry);
    lines_close(lines);
    buf_done(&self->out);
    return rc;
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct inspect_values *values = opaque;
    CLEANUP_FREE char *folder = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    struct inspection self = {.text = !strcmp(values->output, "text"), .explain = values->explain};
    (void)count;
    if (!self.text && strcmp(values->output, "json") != 0)
        return (error_set(err, EXIT_CODE_USAGE, "--output: json or text was expected"), 2);
    if (!folder)
        return (error_set(err, EXIT_CODE_USAGE, "the shipped rules were not found; name a folder"),
                2);
    int rc = rules_load(folder, &self.rules, err);
    if (rc == 0)
        rc = inspect_file(&self, operands[0], err);
    rules_free(self.rules);
    if (rc < 0)
        return (int)err->code;
    return self.wrong ? EXIT_CODE_DAMAGED : EXIT_CODE_DONE;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "the event view of each message in a file, and which rule gave it",
    .operands = "FILE.jsonl|-",
    .details =
        "Each line is one message: {\"subject\":\"…\",\"headers\":{…},\"payload\":…}; a payload "
        "that\n"
        "is no JSON goes into payload_text or payload_base64. A line that cannot be read is named\n"
        "(file:line:column) and passed over; the exit code is then 5.",
    .example = "cim-ops inspect --explain events.jsonl",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct inspect_values),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
