/* What `up` shows and records while the stack runs. */
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/memory.h"
#include "cmd/up.h"
#include "stack/view.h"

enum {
    WIDTH_DEFAULT = 80,
    LINES_SHOWN_LIVE = 6, /* of a failed part: the table shall fit a screen; status shows all */
};

static void put(const struct buf *text)
{
    (void)fwrite(text->ptr, 1, text->len, stdout);
    (void)fflush(stdout);
}

/* --- on a terminal ---------------------------------------------------------------------------- */

static void screen_size(size_t *ret_width, size_t *ret_height)
{
    struct winsize size;
    bool known = ioctl(1, TIOCGWINSZ, &size) == 0;
    *ret_width = known && size.ws_col >= 60 ? size.ws_col : WIDTH_DEFAULT;
    *ret_height = known && size.ws_row >= 4 ? size.ws_row : 24;
}

static void add_rate(const struct up *up, struct buf *text)
{
    if (!up->rate.has_rate)
        buf_add_str(text, "\nevents per second: not known yet\n");
    else
        buf_addf(text, "\nevents per second: %.1f, %.0f in all\n", up->rate.per_second,
                 up->rate.total);
}

/* Where a person looks next. */
static void add_address(const struct up *up, struct buf *text)
{
    for (size_t i = 0; i < stack_part_count(up->stack); i++) {
        const struct part *part = stack_part(up->stack, i);
        if (!strcmp(part->spec->name, "web") && part->state == PART_RUNNING)
            buf_addf(text, "dashboards and events: %s\n", part->spec->url);
    }
}

static size_t add_lines(struct buf *out, struct slice text, size_t lines_max)
{
    struct slice line;
    size_t lines = 0;
    while (lines < lines_max && slice_cut(&text, '\n', &line) && slice_present(text)) {
        buf_add_slice(out, line);
        buf_add_str(out, "\x1b[K\n"); /* and whatever stood behind it */
        lines++;
    }
    return lines;
}

static void draw(struct up *up)
{
    size_t width, height;
    struct view_row rows[STACK_PARTS_MAX];
    size_t count = stack_part_count(up->stack);
    const char *no_colour = getenv("NO_COLOR");
    screen_size(&width, &height);
    struct view_style style = {.width = width < 100 ? width : 100,
                               .lines_max = LINES_SHOWN_LIVE,
                               .colour = !no_colour || !*no_colour};
    CLEANUP_BUF struct buf text = {0}, out = {0};
    for (size_t i = 0; i < count; i++)
        rows[i] = view_row_of_part(stack_part(up->stack, i));
    view_table(rows, count, &style, &text);
    add_rate(up, &text);
    add_address(up, &text);
    buf_add_str(&text, stack_is_stopping(up->stack) ? "Stopping; Ctrl-C again kills what is left.\n"
                                                    : "Ctrl-C stops all.\n");
    if (up->lines_drawn)
        buf_addf(&out, "\x1b[%zuA\r", up->lines_drawn);
    up->lines_drawn = add_lines(&out, buf_slice(&text), height - 1);
    buf_add_str(&out, "\x1b[J");
    put(&out);
}

/* --- callbacks -------------------------------------------------------------------------------- */

void up_on_change(void *context, const struct part *part)
{
    struct up *up = context;
    if (up->is_live)
        return; /* drawn at the tick, which follows at once */
    struct view_row row = view_row_of_part(part);
    CLEANUP_BUF struct buf line = {0};
    view_change(&row, &line);
    put(&line);
    if (row.state != PART_FAILED)
        return;
    /* Standard output keeps to a line per change. */
    (void)fprintf(stderr, "cim-ops up: %s printed last:\n", row.name);
    for (size_t i = 0; i < row.line_count; i++)
        (void)fprintf(stderr, "  %s\n", row.lines[i]);
}

void up_report(struct up *up, int code, struct slice text)
{
    if (up->report < 0)
        return;
    CLEANUP_BUF struct buf message = {0};
    buf_add(&message, &code, sizeof code);
    buf_add_slice(&message, text);
    ssize_t ignored = write(up->report, message.ptr, message.len);
    (void)ignored; /* nobody waits any more: then nobody is to be told */
    (void)close(up->report);
    up->report = -1;
}

static void report_ready(struct up *up)
{
    CLEANUP_BUF struct buf text = {0};
    for (size_t i = 0; i < stack_part_count(up->stack); i++) {
        const struct part *part = stack_part(up->stack, i);
        bool has_url = part->spec->url && part->spec->url[0];
        buf_addf(&text, "%-13s %s\n", part->spec->name,
                 has_url         ? part->spec->url
                 : part->note[0] ? part->note
                                 : part_state_name(part->state));
    }
    buf_addf(&text, "cim-ops status --dir %s shows them, cim-ops down --dir %s stops them.\n",
             up->dir, up->dir);
    up_report(up, EXIT_CODE_DONE, buf_slice(&text));
}

static void add_trouble(const struct part *part, struct buf *text)
{
    const struct output *output = &part->output;
    buf_addf(text, "%s is %s%s%s", part->spec->name, part_state_name(part->state),
             part->note[0] ? ": " : "", part->note);
    buf_add_str(text, output_count(output) ? "; it printed last:\n" : "\n");
    for (size_t i = 0; i < output_count(output); i++)
        buf_addf(text, "  %s\n", output_line(output, i));
}

/* Detached: once all is well, or something has failed, or time is up, the waiting parent is told.
 */
static void settle_report(struct up *up)
{
    bool is_late = instant_monotonic_ns() >= up->report_until;
    const struct part *trouble = NULL;
    for (size_t i = 0; i < stack_part_count(up->stack); i++) {
        const struct part *part = stack_part(up->stack, i);
        bool is_worse = !trouble || (part->state == PART_FAILED && trouble->state != PART_FAILED);
        if (!part_state_is_well(part->state) && is_worse)
            trouble = part;
    }
    if (!trouble) {
        report_ready(up);
    } else if (is_late || trouble->state == PART_FAILED) {
        CLEANUP_BUF struct buf text = {0};
        add_trouble(trouble, &text);
        buf_addf(&text, "cim-ops up: all is stopped again; %s/%s.out has what it printed\n",
                 up->log_dir, trouble->spec->name);
        /* The parent prints it at once and ends when this process has. */
        up->code = EXIT_CODE_UNREACHABLE;
        stack_stop(up->stack);
        up_report(up, up->code, buf_slice(&text));
    }
}

void up_on_tick(void *context, bool changed)
{
    struct up *up = context;
    struct error err = ERROR_NONE;
    if (changed && record_write(up->dir, up->since_ns, up->stack, &err) < 0 && !up->record_failed) {
        up->record_failed = true; /* once is enough */
        (void)fprintf(stderr, "cim-ops up: %s; cim-ops status will not be right\n", err.text);
    }
    if (up->is_live)
        draw(up);
    if (up->report >= 0 && !stack_is_stopping(up->stack))
        settle_report(up);
}

void up_on_metrics(void *context, long status, struct slice body)
{
    struct up *up = context;
    if (status != 200) {
        up->rate = (struct rate){0};
        return;
    }
    double connected;
    rate_update(&up->rate, body, instant_monotonic_ns());
    if (up->is_foreign && metrics_sum(body, "cim_monitor_nats_connected", &connected))
        stack_set_outside(up->stack, "nats", connected > 0);
}
