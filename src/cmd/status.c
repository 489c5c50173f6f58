/* cim-ops status: what the stack in a folder is doing. */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "stack/view.h"

struct status_values {
    const char *dir, *output;
};

static int print_json(const char *dir, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, RECORD_NAME);
    CLEANUP_BUF struct buf text = {0};
    if (file_read(path, 4u << 20, &text, err) < 0)
        return -1;
    (void)fwrite(text.ptr, 1, text.len, stdout);
    return 0;
}

static void print_table(const struct record *record)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_FREE struct view_row *rows = xcalloc(record->part_count + 1, sizeof *rows);
    const char *no_colour = getenv("NO_COLOR");
    struct view_style style = {
        .width = 80, .lines_max = OUTPUT_LINES, .colour = isatty(1) && (!no_colour || !*no_colour)};
    for (size_t i = 0; i < record->part_count; i++)
        rows[i] = view_row_of_record(&record->parts[i]);
    view_table(rows, record->part_count, &style, &text);
    (void)fwrite(text.ptr, 1, text.len, stdout);
    (void)printf("\ncim-ops up, pid %d, in %s\n", (int)record->pid, record->dir);
}

static bool all_well(const struct record *record)
{
    for (size_t i = 0; i < record->part_count; i++) {
        if (!part_state_is_well(record->parts[i].state))
            return false;
    }
    return true;
}

static int status_run(const void *raw, int count, char **operands, struct error *err)
{
    (void)count, (void)operands;
    const struct status_values *values = raw;
    bool is_json = strcmp(values->output, "json") == 0;
    struct record record;
    if (!is_json && strcmp(values->output, "table") != 0) {
        error_set(err, EXIT_CODE_USAGE, "--output: '%s' is neither table nor json", values->output);
        return EXIT_CODE_USAGE;
    }
    CLEANUP_FREE char *dir = place_stack_dir(values->dir, err);
    if (!dir || record_read(dir, &record, err) < 0)
        return (int)err->code;

    int code = EXIT_CODE_DONE;
    if (!record_is_alive(&record)) {
        error_set(err, EXIT_CODE_UNREACHABLE,
                  "no stack runs in %s (the last one, pid %d, was killed)", dir, (int)record.pid);
        code = EXIT_CODE_UNREACHABLE;
    } else {
        code = all_well(&record) ? EXIT_CODE_DONE : EXIT_CODE_PROBLEM;
        if (!is_json)
            print_table(&record);
        else if (print_json(dir, err) < 0)
            code = (int)err->code;
    }
    record_done(&record);
    return code;
}

static const struct option_spec options[] = {
    {.name = "dir",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct status_values, dir),
     .help = "the folder of the stack (default as for cim-ops up)"},
    {.name = "output",
     .arg = "FORMAT",
     .kind = OPTION_STRING,
     .fallback = "table",
     .offset = offsetof(struct status_values, output),
     .help = "table or json"},
};

const struct command command_status = {
    .name = "status",
    .summary = "what the local stack is doing",
    .operands = "",
    .details = "Exit codes: 0 all parts run; 1 some part does not; 3 no stack runs there.",
    .example = "cim-ops status --output json",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct status_values),
    .run = status_run,
};
