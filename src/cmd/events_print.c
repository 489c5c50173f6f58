/* A row of `cim-ops events` as text, as JSON (one object a line) or as CSV (RFC 4180). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/shown.h"
#include "cmd/events.h"

enum {
    WIDTH_MAX = 40, /* a column of text grows up to this; longer values push the line out */
};

int events_columns_parse(const char *option, const char *list, struct events_columns *ret,
                         struct error *err)
{
    struct slice rest = slice_of(list), item;
    ret->count = 0;
    while (slice_cut(&rest, ',', &item)) {
        unsigned column = 0;
        item = slice_trim(item);
        if (slice_eq(item, SLICE("sequence")))
            item = SLICE("seq");
        while (column < COLUMN_VIEW + EVENT_FIELDS &&
               !slice_eq(slice_of(events_column_name(column)), item))
            column++;
        if (column == COLUMN_VIEW + EVENT_FIELDS) {
            CLEANUP_BUF struct buf names = {0};
            for (unsigned i = 0; i < COLUMN_VIEW + EVENT_FIELDS; i++)
                buf_addf(&names, "%s%s", i ? ", " : "", events_column_name(i));
            return error_set(err, EXIT_CODE_USAGE, "%s: '%.*s' is no field; there are %s", option,
                             SLICE_ARG(item), buf_cstr(&names));
        }
        if (ret->count == EVENTS_COLUMNS_MAX)
            return error_set(err, EXIT_CODE_USAGE, "%s: more than %d fields", option,
                             EVENTS_COLUMNS_MAX);
        ret->items[ret->count++] = column;
    }
    return 0;
}

int events_form_parse(const char *output, enum events_form *ret, struct error *err)
{
    static const char *const names[] = {"text", "json", "csv"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (!strcmp(output, names[i])) {
            *ret = (enum events_form)i;
            return 0;
        }
    }
    return error_set(err, EXIT_CODE_USAGE, "--output: '%s'; text, json or csv was expected",
                     output);
}

int events_printer_make(const struct events_values *values, struct events_printer *ret,
                        struct error *err)
{
    static const unsigned shown[] = {COLUMN_STORED_AT,
                                     COLUMN_STREAM,
                                     COLUMN_SEQ,
                                     COLUMN_VIEW + EVENT_DOMAIN,
                                     COLUMN_VIEW + EVENT_TYPE,
                                     COLUMN_VIEW + EVENT_AGGREGATE_ID};
    const char *no_colour = getenv("NO_COLOR");
    *ret = (struct events_printer){
        .full = values->full,
        .colour = isatty(STDOUT_FILENO) == 1 && (!no_colour || !*no_colour),
        .header_due = true,
        .chosen = values->fields != NULL,
    };
    if (events_form_parse(values->output, &ret->form, err) < 0)
        return -1;
    if (values->fields)
        return events_columns_parse("--fields", values->fields, &ret->columns, err);
    if (ret->form == EVENTS_TEXT) {
        memcpy(ret->columns.items, shown, sizeof shown);
        ret->columns.count = ARRAY_LEN(shown);
    } else {
        for (unsigned i = 0; i < COLUMN_VIEW + EVENT_FIELDS; i++)
            ret->columns.items[ret->columns.count++] = i;
    }
    return 0;
}

void events_printer_done(struct events_printer *printer)
{
    buf_done(&printer->line);
}

/* --- text ------------------------------------------------------------------------------------- */

/* What would move the cursor or ring a bell becomes a dot; the rest of UTF-8 stays. */

static const char *colour_of(const struct events_row *row, unsigned column)
{
    bool failed = row->malformed || slice_present(row->view.field[EVENT_ERROR_TYPE]);
    if (column == COLUMN_STORED_AT || column == COLUMN_STREAM || column == COLUMN_SEQ)
        return "2";
    if (column == COLUMN_VIEW + EVENT_DOMAIN)
        return "36";
    return column == COLUMN_VIEW + EVENT_TYPE ? (failed ? "1;31" : "1") : NULL;
}

static void add_cell(struct events_printer *printer, const struct events_row *row, size_t index)
{
    char scratch[64];
    unsigned column = printer->columns.items[index];
    struct slice text = events_column_text(row, column, scratch);
    if (column == COLUMN_STORED_AT && !printer->chosen)
        text.len = sizeof "2026-07-11T12:00:27.671" - 1;
    const char *colour = printer->colour ? colour_of(row, column) : NULL;
    if (colour)
        buf_addf(&printer->line, "\033[%sm", colour);
    size_t begin = printer->line.len;
    shown_add(&printer->line, slice_present(text) ? text : SLICE("-"));
    size_t width = printer->line.len - begin;
    if (colour)
        buf_add_str(&printer->line, "\033[0m");
    if (width > printer->widths[index])
        printer->widths[index] = width < WIDTH_MAX ? width : WIDTH_MAX;
    if (index + 1 == printer->columns.count)
        return;
    for (; width < printer->widths[index]; width++)
        buf_add_char(&printer->line, ' ');
    buf_add_str(&printer->line, "  ");
}

static void add_text(struct events_printer *printer, const struct events_row *row)
{
    for (size_t i = 0; i < printer->columns.count; i++)
        add_cell(printer, row, i);
    if (row->malformed)
        buf_addf(&printer->line, "  (malformed: %s)", row->malformed);
    buf_add_char(&printer->line, '\n');
    if (!printer->full)
        return;
    buf_add_str(&printer->line, "    subject: ");
    shown_add(&printer->line, row->input->subject);
    for (int i = 0; i < row->input->header_count; i++) {
        buf_add_str(&printer->line, "\n    ");
        shown_add(&printer->line, row->input->headers[i].name);
        buf_add_str(&printer->line, ": ");
        shown_add(&printer->line, row->input->headers[i].value);
    }
    buf_add_str(&printer->line, "\n    ");
    shown_add(&printer->line, row->payload);
    buf_add_char(&printer->line, '\n');
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void add_json(struct events_printer *printer, const struct events_row *row)
{
    struct buf *out = &printer->line;
    buf_add_char(out, '{');
    for (size_t i = 0; i < printer->columns.count; i++)
        events_add_field(out, row, printer->columns.items[i]);
    if (printer->full)
        events_add_message(out, row);
    buf_add_str(out, "}\n");
}

/* --- CSV -------------------------------------------------------------------------------------- */

void events_add_csv(struct buf *out, struct slice text)
{
    bool plain = true;
    for (size_t i = 0; i < text.len && plain; i++)
        plain = !strchr(",\"\r\n", text.ptr[i]) || !text.ptr[i];
    if (plain) {
        buf_add_slice(out, text);
        return;
    }
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buf_add_char(out, '"');
        buf_add_char(out, text.ptr[i]);
    }
    buf_add_char(out, '"');
}

static void add_csv(struct events_printer *printer, const struct events_row *row)
{
    char scratch[64];
    struct buf *out = &printer->line;
    for (size_t i = 0; printer->header_due && i < printer->columns.count; i++)
        buf_addf(out, "%s%s", i ? "," : "", events_column_name(printer->columns.items[i]));
    if (printer->header_due)
        buf_addf(out, "%s\r\n", printer->full ? ",payload" : "");
    printer->header_due = false;
    for (size_t i = 0; i < printer->columns.count; i++) {
        if (i)
            buf_add_char(out, ',');
        events_add_csv(out, events_column_text(row, printer->columns.items[i], scratch));
    }
    if (printer->full) {
        buf_add_char(out, ',');
        events_add_csv(out, row->payload);
    }
    buf_add_str(out, "\r\n");
}

bool events_printer_print(struct events_printer *printer, const struct events_row *row)
{
    buf_reset(&printer->line);
    switch (printer->form) {
    case EVENTS_TEXT: add_text(printer, row); break;
    case EVENTS_JSON: add_json(printer, row); break;
    case EVENTS_CSV: add_csv(printer, row); break;
    }
    printer->printed++;
    return fwrite(printer->line.ptr, 1, printer->line.len, stdout) == printer->line.len;
}
