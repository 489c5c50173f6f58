/* cim-ops gpu status: the GPUs of all machines, from their events. */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"
#include "bus/stream.h"
#include "cmd/command.h"

#define ROWS_MAX      1024
#define FORGOTTEN_NS  (24 * 3600 * NS_PER_SECOND) /* samples older than this are not shown */
#define WATCH_EVERY_S 2
#define SAMPLES       "ops.gpu.gpu.*.GpuSampled"

struct gpu_values {
    struct nats_values nats;
    bool watch;
};

struct row {
    char *node, *gpu, *name, *load, *memory, *temperature, *power, *processes, *health;
    bool well;
};

enum { COLUMNS = 9 };

struct fleet {
    struct row rows[ROWS_MAX];
    size_t count;
    int64_t now_ns;
};

static void free_rows(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->count; i++) {
        struct row *row = &fleet->rows[i];
        char *texts[] = {row->node,        row->gpu,   row->name,      row->load,  row->memory,
                         row->temperature, row->power, row->processes, row->health};
        for (size_t n = 0; n < ARRAY_LEN(texts); n++)
            free(texts[n]);
    }
    fleet->count = 0;
}

/* --- one GPU ---------------------------------------------------------------------------------- */

static char *shown(const char *text)
{
    CLEANUP_BUF struct buf out = {0};
    shown_add(&out, slice_of(text ? text : "-"));
    return xstrdup(buf_cstr(&out));
}

static char *text_of(const json_t *data, const char *name)
{
    return shown(json_string_value(json_object_get(data, name)));
}

static bool number_of(const json_t *data, const char *name, double *ret)
{
    const json_t *value = json_object_get(data, name);
    *ret = json_number_value(value);
    return json_is_number(value);
}

/* "-" where the device does not tell. */
static char *number_text(const json_t *data, const char *name, const char *format)
{
    double value;
    return number_of(data, name, &value) ? xasprintf(format, value) : xstrdup("-");
}

static char *pair_text(const json_t *data, const char *used, const char *whole, double unit,
                       const char *format)
{
    double a, b;
    if (!number_of(data, used, &a))
        return xstrdup("-");
    if (!number_of(data, whole, &b))
        b = 0;
    return xasprintf(format, a / unit, b / unit);
}

static char *health_text(const json_t *data, int64_t age_ns, bool *ret_well)
{
    double holds;
    *ret_well = json_integer_value(json_object_get(data, "healthy")) == 1;
    if (number_of(data, "valid_seconds", &holds) && (double)age_ns / 1e9 > holds) {
        *ret_well = false;
        return xasprintf("STALE: last seen %lld s ago", (long long)(age_ns / NS_PER_SECOND));
    }
    return text_of(data, "health");
}

static void on_sample(void *context, struct slice payload, int64_t stored_at_ns)
{
    struct fleet *fleet = context;
    json_t *body = json_loadb(payload.ptr, payload.len, 0, NULL);
    const json_t *data = json_object_get(body, "data");
    int64_t age = fleet->now_ns - stored_at_ns;
    if (fleet->count < ROWS_MAX && data && age < FORGOTTEN_NS) {
        struct row *row = &fleet->rows[fleet->count++];
        *row = (struct row){
            .node = text_of(data, "node"),
            .gpu = number_text(data, "gpu", "%.0f"),
            .name = text_of(data, "name"),
            .load = number_text(data, "utilization_percent", "%.0f %%"),
            .memory = pair_text(data, "memory_used_bytes", "memory_total_bytes", 1 << 20,
                                "%.0f / %.0f MiB"),
            .temperature = number_text(data, "temperature_celsius", "%.0f °C"),
            .power = pair_text(data, "power_watts", "power_limit_watts", 1, "%.0f / %.0f W"),
            .processes = number_text(data, "processes", "%.0f"),
        };
        row->health = health_text(data, age, &row->well);
    }
    json_decref(body);
}

static int by_place(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->node, y->node);
    return order ? order : strverscmp(x->gpu, y->gpu);
}

/* --- the table -------------------------------------------------------------------------------- */

/* Characters, not bytes: the degree sign is two. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void print_cells(const char *const *cells, const size_t *widths, const char *colour)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        bool last = i == COLUMNS - 1;
        size_t pad = last ? 0 : widths[i] - width_of(cells[i]) + 2;
        bool right = i >= 3 && !last;
        if (right)
            (void)printf("%*s%s  ", (int)(pad - 2), "", cells[i]);
        else
            (void)printf("%s%s%s%*s", last ? colour : "", cells[i],
                         last && *colour ? "\033[0m" : "", (int)pad, "");
    }
    (void)printf("\n");
}

static void print_fleet(const struct fleet *fleet)
{
    static const char *const heads[COLUMNS] = {"NODE", "GPU",   "NAME", "LOAD",  "MEMORY",
                                               "TEMP", "POWER", "PROC", "HEALTH"};
    const char *no_colour = getenv("NO_COLOR");
    bool colour = isatty(STDOUT_FILENO) == 1 && (!no_colour || !*no_colour);
    size_t widths[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        widths[i] = width_of(heads[i]);
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            print_cells(heads, widths, "");
        for (size_t r = 0; r < fleet->count; r++) {
            const struct row *row = &fleet->rows[r];
            const char *const cells[COLUMNS] = {row->node,  row->gpu,       row->name,
                                                row->load,  row->memory,    row->temperature,
                                                row->power, row->processes, row->health};
            for (size_t i = 0; pass == 0 && i < COLUMNS; i++) {
                size_t width = width_of(cells[i]);
                widths[i] = width > widths[i] ? width : widths[i];
            }
            if (pass == 1)
                print_cells(cells, widths, !colour ? "" : row->well ? "\033[32m" : "\033[31m");
        }
    }
}

/* --- the verb --------------------------------------------------------------------------------- */

static int show(struct bus *bus, struct fleet *fleet, bool again, struct error *err)
{
    struct buf stream = {0};
    free_rows(fleet);
    fleet->now_ns = instant_now_ns();
    int result = stream_of_subject(bus, SAMPLES, &stream, err);
    if (result == 0)
        result = stream_last_each(bus, buf_cstr(&stream), SAMPLES, on_sample, fleet, err);
    buf_done(&stream);
    if (result < 0)
        return (int)err->code;
    if (again)
        (void)printf("\033[H\033[J");
    if (!fleet->count)
        return error_set(
                   err, EXIT_CODE_PROBLEM,
                   "no GPU has been seen in the last 24 hours: does 'cim-ops observe gpu' run "
                   "where they are?"),
               EXIT_CODE_PROBLEM;
    qsort(fleet->rows, fleet->count, sizeof *fleet->rows, by_place);
    print_fleet(fleet);
    (void)fflush(stdout);
    for (size_t i = 0; i < fleet->count; i++) {
        if (!fleet->rows[i].well)
            return EXIT_CODE_PROBLEM;
    }
    return EXIT_CODE_DONE;
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct gpu_values *values = opaque;
    struct bus *bus = NULL;
    (void)count;
    if (strcmp(operands[0], "status") != 0)
        return error_set(err, EXIT_CODE_USAGE, "'%s' was not expected; 'status' is what there is",
                         operands[0]),
               EXIT_CODE_USAGE;
    if (nats_values_check(&values->nats, err) < 0)
        return EXIT_CODE_USAGE;
    struct bus_options options = nats_bus_options(&values->nats, "cim-ops gpu");
    if (bus_open(&bus, &options, err) < 0)
        return (int)err->code;
    struct fleet *fleet = xcalloc(1, sizeof *fleet);
    bool live = values->watch && isatty(STDOUT_FILENO) == 1;
    int code;
    for (;;) {
        struct timespec pause = {.tv_sec = WATCH_EVERY_S};
        code = show(bus, fleet, live, err);
        if (!values->watch || (code != EXIT_CODE_DONE && code != EXIT_CODE_PROBLEM))
            break;
        (void)nanosleep(&pause, NULL);
    }
    free_rows(fleet);
    free(fleet);
    bus_close(bus);
    return code;
}

static const struct option_spec options[] = {
    NATS_OPTIONS(struct gpu_values, nats),
    {.name = "watch",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct gpu_values, watch),
     .help = "show it again every two seconds, until Ctrl-C"},
};

const struct command command_gpu = {
    .name = "gpu",
    .summary = "the GPUs of all machines, and how they are",
    .operands = "status",
    .details =
        "Shows the newest sample of every GPU that 'cim-ops observe gpu' told of in the last\n"
        "24 hours, on all machines of the site. A sample that no longer holds is STALE.\n"
        "\n"
        "Exit codes: 0 all are HEALTHY, 1 one is not or there is none, 3 NATS unreachable.",
    .example = "cim-ops gpu status --watch",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct gpu_values),
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
