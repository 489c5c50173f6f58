/* Stored events, merged over the streams by the time they were stored. */
#include <stdio.h>
#include <unistd.h>

#include "cmd/events.h"

int events_query(struct events_run *run, struct error *err)
{
    struct events_merge *merge = NULL;
    struct events_row row;
    struct progress progress = {0};
    int got;
    if (events_merge_open(&run->reader, &merge, err) < 0)
        return -1;
    if (isatty(STDOUT_FILENO) != 1) /* else the events themselves are the progress */
        progress_begin(&progress, "events read");
    while ((got = events_merge_next(merge, &row, err)) > 0) {
        progress_show(&progress, run->reader.read, events_merge_total(merge));
        if (!events_filter_lets(&run->reader.filter, &row))
            continue;
        if (!events_printer_print(&run->printer, &row) ||
            (run->values->limit && run->printer.printed >= run->values->limit))
            break;
    }
    progress_clear(&progress);
    events_merge_close(merge);
    return got < 0 ? -1 : 0;
}
