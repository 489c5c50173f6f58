#include "fold/ruletest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/memory.h"
#include "config/yaml.h"
#include "event/lines.h"
#include "fold/engine.h"
#include "fold/samples.h"
#include "fold/state.h"
#include "json/extract.h"
#include "json/write.h"

#define RESTARTS_MAX 100 /* of a test with many events */
static const int64_t epoch_ns = INT64_C(1767225600) * NS_PER_SECOND; /* 2026-01-01T00:00:00Z */

struct event {
    char *subject, *payload;
    size_t payload_len;
    struct event_header *headers; /* texts are owned */
    int header_count;
    int64_t stored_at_ns;
};

struct ruletest {
    const char *path;
    struct rules *rules;
    struct event *events;
    size_t event_count, event_room;
    int64_t now_ns;
};

static void drop_events(struct ruletest *test)
{
    for (size_t i = 0; i < test->event_count; i++) {
        struct event *event = &test->events[i];
        for (int h = 0; h < event->header_count; h++) {
            free((void *)(uintptr_t)event->headers[h].name.ptr);
            free((void *)(uintptr_t)event->headers[h].value.ptr);
        }
        free(event->headers);
        free(event->subject);
        free(event->payload);
    }
    test->event_count = 0;
}

static struct event *new_event(struct ruletest *test)
{
    GROW(test->events, test->event_count, test->event_room);
    struct event *event = &test->events[test->event_count++];
    *event = (struct event){0};
    return event;
}

static void add_header(struct event *event, struct slice name, struct slice value)
{
    event->headers =
        xrealloc(event->headers, (size_t)event->header_count + 1, sizeof *event->headers);
    event->headers[event->header_count++] = (struct event_header){
        {xstrndup(name.ptr, name.len), name.len}, {xstrndup(value.ptr, value.len), value.len}};
}

/* Beside the test file, unless it begins with a slash. */
static char *path_beside(const char *file, struct slice name)
{
    const char *slash = strrchr(file, '/');
    if ((name.len && name.ptr[0] == '/') || !slash)
        return xstrndup(name.ptr, name.len);
    return xasprintf("%.*s/%.*s", (int)(slash - file), file, SLICE_ARG(name));
}

/* --- events ----------------------------------------------------------------------------------- */

static void add_json(const struct yaml_node *node, struct buf *out)
{
    bool pairs = yaml_is_mapping(node);
    if (yaml_is_scalar(node)) {
        struct slice text = yaml_text(node);
        double number;
        struct json_value value = {.raw = text, .type = JSON_TYPE_NUMBER};
        bool word = slice_eq(text, SLICE("true")) || slice_eq(text, SLICE("false")) ||
                    slice_eq(text, SLICE("null"));
        if (yaml_is_plain(node) && (word || json_number(&value, &number)))
            buf_add_slice(out, text);
        else
            json_add_string(out, text);
        return;
    }
    buf_add_char(out, pairs ? '{' : '[');
    for (size_t i = 0; i < yaml_size(node); i++) {
        if (i)
            buf_add_char(out, ',');
        if (pairs) {
            json_add_string(out, yaml_text(yaml_key_at(node, i)));
            buf_add_char(out, ':');
        }
        add_json(pairs ? yaml_value_at(node, i) : yaml_at(node, i), out);
    }
    buf_add_char(out, pairs ? '}' : ']');
}

static int read_time(const struct yaml_node *node, int64_t *ret, struct error *err)
{
    int64_t after;
    if (duration_parse(yaml_text(node), &after))
        *ret = epoch_ns + after;
    else if (!event_time_parse(yaml_text(node), false, ret))
        return yaml_error(node, err,
                          "a time such as 2026-01-01T00:00:05Z, or a duration such as 5s since "
                          "2026-01-01T00:00:00Z, was expected");
    return 0;
}

static int read_headers(const struct yaml_node *node, struct event *ret, struct error *err)
{
    if (!yaml_is_mapping(node) || yaml_size(node) > EVENT_HEADERS_MAX)
        return yaml_error(node, err, "'headers' is a mapping from name to text, of at most %d",
                          EVENT_HEADERS_MAX);
    for (size_t i = 0; i < yaml_size(node); i++) {
        if (!yaml_is_scalar(yaml_value_at(node, i)))
            return yaml_error(yaml_value_at(node, i), err, "a text was expected");
        add_header(ret, yaml_text(yaml_key_at(node, i)), yaml_text(yaml_value_at(node, i)));
    }
    return 0;
}

static int read_event(struct ruletest *test, const struct yaml_node *node, int64_t *at_ns,
                      struct error *err)
{
    static const char *const known[] = {"subject", "headers", "payload", "at"};
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "an event", err) < 0)
        return -1;
    const struct yaml_node *subject = yaml_get(node, "subject"), *at = yaml_get(node, "at"),
                           *payload = yaml_get(node, "payload"),
                           *headers = yaml_get(node, "headers");
    if (!subject || !yaml_is_scalar(subject) || !payload)
        return yaml_error(node, err, "an event needs 'subject' and 'payload'");
    if (at && read_time(at, at_ns, err) < 0)
        return -1;
    struct event *event = new_event(test);
    CLEANUP_BUF struct buf text = {0};
    if (yaml_is_scalar(payload))
        buf_add_slice(&text, yaml_text(payload));
    else
        add_json(payload, &text);
    event->subject = xstrndup(yaml_text(subject).ptr, yaml_text(subject).len);
    event->payload = xstrndup(text.ptr, text.len);
    event->payload_len = text.len;
    event->stored_at_ns = *at_ns;
    return headers ? read_headers(headers, event, err) : 0;
}

static void copy_line(struct ruletest *test, const struct event_input *input)
{
    struct event *event = new_event(test);
    event->subject = xstrndup(input->subject.ptr, input->subject.len);
    event->payload = xstrndup(input->payload.ptr, input->payload.len);
    event->payload_len = input->payload.len;
    event->stored_at_ns = input->stored_at_ns;
    for (int h = 0; h < input->header_count; h++)
        add_header(event, input->headers[h].name, input->headers[h].value);
}

static int read_file(struct ruletest *test, const struct yaml_node *node, struct error *err)
{
    CLEANUP_FREE char *path = path_beside(test->path, yaml_text(node));
    struct lines *lines = NULL;
    struct line_event line;
    struct error problem = ERROR_NONE;
    enum lines_outcome outcome;
    if (lines_open(path, &lines, &problem) < 0)
        return yaml_error(node, err, "%s", problem.text);
    while ((outcome = lines_next(lines, &line, &problem)) == LINES_EVENT &&
           test->event_count < RULETEST_EVENTS_MAX)
        copy_line(test, &line.input);
    lines_close(lines);
    if (outcome == LINES_EVENT)
        return yaml_error(node, err, "more than %d events", RULETEST_EVENTS_MAX);
    return outcome == LINES_END ? 0 : yaml_error(node, err, "%s", problem.text);
}

static int read_events(struct ruletest *test, const struct yaml_node *node, struct error *err)
{
    const struct yaml_node *file = yaml_get(node, "file"), *events = yaml_get(node, "events"),
                           *now = yaml_get(node, "now");
    int64_t at_ns = epoch_ns;
    test->now_ns = 0;
    if (!file && !events)
        return yaml_error(node, err, "a test needs 'events' or 'file'");
    if (file && read_file(test, file, err) < 0)
        return -1;
    if (events && !yaml_is_sequence(events))
        return yaml_error(events, err, "a list of events was expected");
    for (size_t i = 0; events && i < yaml_size(events); i++) {
        if (read_event(test, yaml_at(events, i), &at_ns, err) < 0)
            return -1;
    }
    return now ? read_time(now, &test->now_ns, err) : 0;
}

/* --- folding ---------------------------------------------------------------------------------- */

struct fold {
    struct registry *registry;
    struct engine *engine;
    struct stream_state *state;
};

static void ignore_report(void *context, enum engine_report what, const struct stream_state *state,
                          uint64_t seq, const char *reason, uint64_t amount)
{
    (void)context, (void)what, (void)state, (void)seq, (void)reason, (void)amount;
}

static int fold_open(struct fold *fold, const struct rules *rules, struct error *err)
{
    *fold = (struct fold){.registry = registry_new()};
    registry_set_folds_shown(fold->registry, true);
    if (engine_new(rules, fold->registry, (struct engine_reporter){ignore_report, NULL},
                   &fold->engine, err) < 0)
        return -1;
    fold->state = engine_stream(fold->engine, "TEST");
    return 0;
}

static void fold_close(struct fold *fold)
{
    engine_free(fold->engine);
    registry_free(fold->registry);
    *fold = (struct fold){0};
}

static int fold_one(struct fold *fold, const struct event *event, uint64_t seq)
{
    struct event_input input = {.subject = slice_of(event->subject),
                                .payload = {event->payload, event->payload_len},
                                .headers = event->headers,
                                .header_count = event->header_count,
                                .seq = seq,
                                .stored_at_ns = event->stored_at_ns};
    return engine_fold(fold->engine, fold->state, &input);
}

static int restart(struct fold *fold, const struct rules *rules, struct error *err)
{
    CLEANUP_BUF struct buf snapshot = {0};
    state_encode(fold->engine, fold->state, &snapshot);
    fold_close(fold);
    return fold_open(fold, rules, err) < 0
               ? -1
               : state_decode(fold->engine, fold->state, buf_slice(&snapshot), err);
}

static int fold_events(const struct ruletest *test, bool broken, struct samples *ret,
                       struct error *err)
{
    struct fold fold;
    CLEANUP_BUF struct buf text = {0};
    size_t every = test->event_count / RESTARTS_MAX + 1;
    int rc = fold_open(&fold, test->rules, err);
    for (size_t i = 0; rc == 0 && i < test->event_count; i++) {
        (void)fold_one(&fold, &test->events[i], i + 1);
        if (broken && (i + 1) % every == 0) {
            rc = restart(&fold, test->rules, err);
            if (rc == 0 && fold_one(&fold, &test->events[i], i + 1) != -1)
                rc = error_set(err, EXIT_CODE_INTERNAL, "a redelivery was counted");
        }
    }
    if (rc == 0) {
        state_set_now(fold.state, test->now_ns);
        registry_set_now(fold.registry, test->now_ns);
        registry_expose(fold.registry, EXPOSITION_PROMETHEUS, &text);
        samples_read(ret, buf_slice(&text));
    }
    fold_close(&fold);
    return rc;
}

/* --- what is expected ------------------------------------------------------------------------- */

static int read_lines(const struct yaml_node *node, bool with_value, struct samples *ret,
                      struct error *err)
{
    bool many = yaml_is_sequence(node);
    for (size_t i = 0; i < (many ? yaml_size(node) : 1); i++) {
        const struct yaml_node *item = many ? yaml_at(node, i) : node;
        struct slice rest = yaml_text(item), line;
        if (!yaml_is_scalar(item))
            return yaml_error(item, err, "a text was expected");
        while (slice_cut(&rest, '\n', &line)) {
            line = slice_trim(line);
            if (line.len && line.ptr[0] != '#' && !samples_add(ret, line, with_value))
                return yaml_error(item, err, "%s was expected, not: %.*s",
                                  with_value ? "a sample such as x_total{a=\"b\"} 1"
                                             : "a series such as x_total{a=\"b\"}, or a metric",
                                  SLICE_ARG(line));
        }
    }
    return 0;
}

static bool is_one_of(const struct samples *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (!strcmp(names->items[i].name, name))
            return true;
    }
    return false;
}

static void say(struct buf *diff, char sign, const struct sample *sample)
{
    buf_addf(diff, "  %c %s %.15g\n", sign, sample->series, sample->value);
}

/* What came under the same name, so that a wrong label is seen at once. */
static void say_others(struct buf *diff, const struct samples *have, const struct samples *want,
                       const char *name)
{
    for (size_t i = 0; i < have->count; i++) {
        if (!strcmp(have->items[i].name, name) && !samples_find(want, have->items[i].series))
            say(diff, '+', &have->items[i]);
    }
}

static bool told_before(const struct samples *want, size_t index, const struct samples *have)
{
    for (size_t i = 0; i < index; i++) {
        if (!strcmp(want->items[i].name, want->items[index].name) &&
            !samples_find(have, want->items[i].series))
            return true;
    }
    return false;
}

static void compare(const struct samples *have, const struct samples *want,
                    const struct samples *only, struct buf *diff)
{
    for (size_t i = 0; i < want->count; i++) {
        const struct sample *wanted = &want->items[i];
        const struct sample *got = samples_find(have, wanted->series);
        if (got && sample_values_agree(got->value, wanted->value))
            continue;
        say(diff, '-', wanted);
        if (got)
            say(diff, '+', got);
        else if (!is_one_of(only, wanted->name) && !told_before(want, i, have))
            say_others(diff, have, want, wanted->name);
    }
    for (size_t i = 0; i < have->count; i++) {
        if (is_one_of(only, have->items[i].name) && !samples_find(want, have->items[i].series))
            say(diff, '+', &have->items[i]);
    }
}

/* `absent` says a metric as a whole, or one series of it. */
static void refuse(const struct samples *have, const struct samples *absent, struct buf *diff)
{
    for (size_t i = 0; i < absent->count; i++) {
        const struct sample *not_wanted = &absent->items[i];
        bool whole = !strcmp(not_wanted->name, not_wanted->series);
        for (size_t h = 0; h < have->count; h++) {
            if (!strcmp(whole ? have->items[h].name : have->items[h].series, not_wanted->series))
                say(diff, '+', &have->items[h]);
        }
    }
}

static void compare_folds(const struct samples *straight, const struct samples *broken,
                          struct buf *diff)
{
    CLEANUP_BUF struct buf differences = {0};
    compare(broken, straight, broken, &differences);
    if (differences.len)
        buf_addf(diff, "  with restarts between the events it comes to something else:\n%.*s",
                 SLICE_ARG(buf_slice(&differences)));
}

static int check_expectations(const struct ruletest *test, const struct yaml_node *node,
                              struct buf *diff, struct error *err)
{
    CLEANUP_SAMPLES struct samples have = {0}, broken = {0}, want = {0}, absent = {0}, only = {0};
    const struct yaml_node *expect = yaml_get(node, "expect"),
                           *not_wanted = yaml_get(node, "absent"), *whole = yaml_get(node, "only");
    if (!expect && !not_wanted)
        return yaml_error(node, err, "a test needs 'expect' or 'absent'");
    if ((expect && read_lines(expect, true, &want, err) < 0) ||
        (not_wanted && read_lines(not_wanted, false, &absent, err) < 0) ||
        (whole && read_lines(whole, false, &only, err) < 0))
        return -1;
    if (fold_events(test, false, &have, err) < 0 || fold_events(test, true, &broken, err) < 0)
        return -1;
    compare(&have, &want, &only, diff);
    refuse(&have, &absent, diff);
    compare_folds(&have, &broken, diff);
    return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int run_test(struct ruletest *test, const struct yaml_node *node, struct buf *diff,
                    struct error *err)
{
    static const char *const known[] = {"name",   "events", "file", "now",
                                        "expect", "absent", "only"};
    if (yaml_check_keys(node, known, ARRAY_LEN(known), "a test", err) < 0)
        return -1;
    const struct yaml_node *name = yaml_get(node, "name");
    if (!name || !yaml_is_scalar(name))
        return yaml_error(node, err, "a test needs a 'name'");
    int rc = read_events(test, node, err);
    if (rc == 0)
        rc = check_expectations(test, node, diff, err);
    drop_events(test);
    return rc;
}

static int run_tests(struct ruletest *test, const struct yaml_node *root,
                     void (*each)(void *context, const struct ruletest_result *result),
                     void *context, struct error *err)
{
    static const char *const known[] = {"rules", "tests"};
    const struct yaml_node *folder = yaml_get(root, "rules"), *list = yaml_get(root, "tests");
    if (yaml_check_keys(root, known, ARRAY_LEN(known), "a test file", err) < 0)
        return -1;
    if (!folder || !yaml_is_scalar(folder) || !list || !yaml_is_sequence(list))
        return yaml_error(root, err, "'rules', a folder, and a list 'tests' were expected");
    CLEANUP_FREE char *path = path_beside(test->path, yaml_text(folder));
    if (rules_load(path, &test->rules, err) < 0)
        return -1;
    for (size_t i = 0; i < yaml_size(list); i++) {
        CLEANUP_BUF struct buf diff = {0};
        if (run_test(test, yaml_at(list, i), &diff, err) < 0)
            return -1;
        struct ruletest_result result = {.file = test->path,
                                         .name = yaml_text(yaml_get(yaml_at(list, i), "name")).ptr,
                                         .diff = buf_slice(&diff)};
        each(context, &result);
    }
    return 0;
}

int ruletest_run(const char *path,
                 void (*each)(void *context, const struct ruletest_result *result), void *context,
                 struct error *err)
{
    struct ruletest test = {.path = path};
    struct yaml_document_tree *tree = NULL;
    if (yaml_load_file(path, &tree, err) < 0)
        return -1;
    int rc = run_tests(&test, yaml_root(tree), each, context, err);
    rules_free(test.rules);
    free(test.events);
    yaml_free(tree);
    return rc;
}
