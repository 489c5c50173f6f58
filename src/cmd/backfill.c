/* cim-ops backfill: the history of metrics, from the first event, into Prometheus. */
#include <stdio.h>

#include "act/backfill/backfill.h"
#include "base/instant.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "stack/record.h"

#define JOB_DEFAULT        "cim-monitor" /* as in the prometheus.yml of `cim-ops up` */
#define INSTANCE_DEFAULT   "127.0.0.1:9091"
#define PROMETHEUS_DEFAULT "http://127.0.0.1:9090"

struct backfill_values {
    struct nats_values nats;
    const char *rules, *prometheus, *data_dir, *output, *time;
    struct option_list metrics, labels;
    int64_t from_ns, until_ns, step_ns, idle_ns;
    bool dry_run, again;
};

static const struct option_spec options[] = {
    NATS_OPTIONS(struct backfill_values, nats),
    {.name = "rules",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct backfill_values, rules),
     .help = "folder of envelopes.yaml and the metric rules (default: those shipped)"},
    {.name = "metric",
     .arg = "NAME",
     .kind = OPTION_LIST,
     .offset = offsetof(struct backfill_values, metrics),
     .help = "this metric; several: again, or more names behind it (default: all of the rules)"},
    {.name = "from",
     .arg = "TIME",
     .kind = OPTION_TIME,
     .offset = offsetof(struct backfill_values, from_ns),
     .help = "no samples before (default: the first event, or what Prometheus keeps)"},
    {.name = "until",
     .arg = "TIME",
     .kind = OPTION_TIME,
     .offset = offsetof(struct backfill_values, until_ns),
     .help = "no samples behind (default: where Prometheus' own samples of the metric begin)"},
    {.name = "step",
     .arg = "TIME",
     .kind = OPTION_DURATION,
     .fallback = "15s",
     .offset = offsetof(struct backfill_values, step_ns),
     .help = "samples stand this far apart while a series changes"},
    {.name = "idle",
     .arg = "TIME",
     .kind = OPTION_DURATION,
     .fallback = "1m",
     .offset = offsetof(struct backfill_values, idle_ns),
     .help = "and this far while it does not; a multiple of --step, 4m at most"},
    {.name = "time",
     .arg = "WHICH",
     .kind = OPTION_STRING,
     .fallback = "event",
     .offset = offsetof(struct backfill_values, time),
     .help = "event: when it happened, by the event itself; stored: when NATS stored it"},
    {.name = "output",
     .arg = "FORM",
     .kind = OPTION_STRING,
     .fallback = "blocks",
     .offset = offsetof(struct backfill_values, output),
     .help = "blocks in Prometheus' data folder, or openmetrics on standard output"},
    {.name = "prometheus",
     .arg = "URL",
     .kind = OPTION_STRING,
     .offset = offsetof(struct backfill_values, prometheus),
     .help = "whom to ask for labels and the seam (default: that of `cim-ops up`, else "
             "http://127.0.0.1:9090; with --output openmetrics: nobody)"},
    {.name = "prometheus-data",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct backfill_values, data_dir),
     .help = "its data folder (default: as it says itself, else that of `cim-ops up`)"},
    {.name = "label",
     .arg = "NAME=VALUE",
     .kind = OPTION_LIST,
     .offset = offsetof(struct backfill_values, labels),
     .help = "label of the target, such as job=cim-monitor (default: as in Prometheus, else as "
             "`cim-ops up` has it)"},
    {.name = "dry-run",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct backfill_values, dry_run),
     .help = "say what would be done"},
    {.name = "again",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct backfill_values, again),
     .help = "write once more what was backfilled before"},
};

/* --- values ----------------------------------------------------------------------------------- */

static bool is_label_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return name.len > 0;
}

/* The texts go to ret_texts, which the caller frees. */
static int read_labels(const struct option_list *list, struct backfill_options *ret,
                       char **ret_texts, struct error *err)
{
    if (list->count > BACKFILL_LABELS_MAX)
        return error_set(err, EXIT_CODE_USAGE, "--label: at most %d", BACKFILL_LABELS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        struct slice rest = slice_of(list->items[i]), name;
        (void)slice_cut(&rest, '=', &name);
        if (!slice_present(rest) || !rest.len || !is_label_name(name))
            return error_set(err, EXIT_CODE_USAGE,
                             "--label: '%s' is not NAME=VALUE, such as job=cim-monitor",
                             list->items[i]);
        ret_texts[i] = xstrndup(name.ptr, name.len);
        ret->labels[ret->label_count++] = (struct history_label){ret_texts[i], rest.ptr};
    }
    return 0;
}

static int check_values(const struct backfill_values *values, struct error *err)
{
    const int64_t second = NS_PER_SECOND;
    if (values->step_ns < second || values->step_ns % second || 7200 * second % values->step_ns)
        return error_set(err, EXIT_CODE_USAGE,
                         "--step: whole seconds that divide two hours were expected, such as 15s");
    if (values->idle_ns < values->step_ns || values->idle_ns % values->step_ns ||
        values->idle_ns > 240 * second)
        return error_set(err, EXIT_CODE_USAGE,
                         "--idle: a multiple of --step was expected, at most 4m (Prometheus takes "
                         "a series without samples for 5m for gone)");
    if (values->from_ns && values->until_ns && values->from_ns >= values->until_ns)
        return error_set(err, EXIT_CODE_USAGE, "--from: it lies behind --until");
    if (values->until_ns > instant_now_ns())
        return error_set(err, EXIT_CODE_USAGE, "--until: it lies in the future");
    if (strcmp(values->time, "event") != 0 && strcmp(values->time, "stored") != 0)
        return error_set(err, EXIT_CODE_USAGE, "--time: event or stored was expected");
    if (strcmp(values->output, "blocks") != 0 && strcmp(values->output, "openmetrics") != 0)
        return error_set(err, EXIT_CODE_USAGE, "--output: blocks or openmetrics was expected");
    return nats_values_check(&values->nats, err);
}

/* --- the stack that runs here ----------------------------------------------------------------- */

struct local_stack {
    char *dir, *data_dir, *prometheus_url, *monitor_address;
};

static void find_stack(struct local_stack *ret)
{
    struct record record = {0};
    ret->dir = place_stack_dir(NULL, NULL);
    if (!ret->dir)
        return;
    ret->data_dir = xasprintf("%s/prometheus", ret->dir);
    if (record_read(ret->dir, &record, NULL) < 0)
        return;
    for (size_t i = 0; i < record.part_count; i++) {
        const struct record_part *part = &record.parts[i];
        struct slice url = slice_of(part->url), scheme = SLICE("http://");
        if (!strcmp(part->name, "prometheus"))
            ret->prometheus_url = xstrdup(part->url ? part->url : PROMETHEUS_DEFAULT);
        else if (!strcmp(part->name, "monitor") && slice_starts(url, scheme))
            ret->monitor_address =
                xstrndup(url.ptr + scheme.len, strcspn(url.ptr + scheme.len, "/"));
    }
    record_done(&record);
}

static void forget_stack(struct local_stack *stack)
{
    free(stack->dir);
    free(stack->data_dir);
    free(stack->prometheus_url);
    free(stack->monitor_address);
}

/* --- the verb --------------------------------------------------------------------------------- */

static void fill(const struct backfill_values *values, const struct local_stack *stack,
                 struct backfill_options *ret)
{
    bool to_stdout = !strcmp(values->output, "openmetrics");
    const char *asked = stack->prometheus_url ? stack->prometheus_url : PROMETHEUS_DEFAULT;
    ret->nats = nats_bus_options(&values->nats, "cim-ops backfill");
    ret->from_ns = values->from_ns;
    ret->until_ns = values->until_ns;
    ret->step_ns = values->step_ns;
    ret->idle_ns = values->idle_ns;
    ret->by_stored_time = !strcmp(values->time, "stored");
    ret->to_stdout = to_stdout;
    ret->prometheus_url = values->prometheus ? values->prometheus : to_stdout ? NULL : asked;
    ret->data_dir = values->data_dir;
    ret->fallback_dir = stack->data_dir ? stack->data_dir : "data";
    ret->fallback_job = JOB_DEFAULT;
    ret->fallback_instance = stack->monitor_address ? stack->monitor_address : INSTANCE_DEFAULT;
    ret->dry_run = values->dry_run;
    ret->again = values->again;
    ret->quiet = !isatty(STDERR_FILENO);
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct backfill_values *values = opaque;
    struct backfill_options service = {0};
    struct local_stack stack = {0};
    char *texts[BACKFILL_LABELS_MAX] = {0};
    const char *metrics[2 * OPTION_LIST_MAX];
    int code = EXIT_CODE_USAGE;
    if (check_values(values, err) < 0)
        return code;
    for (size_t i = 0; i < values->metrics.count; i++)
        metrics[service.metric_count++] = values->metrics.items[i];
    for (int i = 0; i < count; i++)
        metrics[service.metric_count++] = operands[i];
    CLEANUP_FREE char *rules = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    CLEANUP_FREE char *promtool = place_program("promtool");
    find_stack(&stack);
    fill(values, &stack, &service);
    service.rules_dir = rules;
    service.promtool = promtool;
    service.metrics = metrics;
    if (!rules)
        (void)error_set(err, EXIT_CODE_USAGE,
                        "the shipped rules were not found; name the folder by --rules DIR");
    else if (read_labels(&values->labels, &service, texts, err) == 0)
        code = backfill_run(&service, err);
    forget_stack(&stack);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    return code;
}

const struct command command_backfill = {
    .name = "backfill",
    .summary = "the history of metrics, from the first event, into Prometheus",
    .operands = "[NAME...]",
    .details =
        "From \"I added a rule\" to \"its whole history is in Prometheus\". The streams are "
        "folded\n"
        "as the monitor folds them; each event counts from the time at which it happened (never\n"
        "later than it was stored). Samples end where Prometheus' own begin, so that the live\n"
        "series goes on without a step: load the rule into the monitor first (SIGHUP), and let it\n"
        "be scraped once. The blocks are put into the data folder of Prometheus, which reads them\n"
        "within about a minute; nothing is restarted. Run again, it finds what it did before.\n\n"
        "Figures that are not folded from stored events (queues, memory, messages that no stream\n"
        "captured) have no history. Wants promtool (Debian package prometheus), and Prometheus\n"
        "2.39 or later.",
    .example = "cim-ops backfill --rules my-rules/ --metric my_orders_total\n"
               "  cim-ops backfill --from 7d --dry-run\n"
               "  cim-ops backfill --output openmetrics --metric cim_events_total > history.txt",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct backfill_values),
    .operands_max = OPTION_LIST_MAX,
    .run = run,
};
