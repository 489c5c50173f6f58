/* Events as they come. */
#include <stdio.h>

#include "cmd/events.h"

static bool show(void *context, const struct events_row *row)
{
    struct events_run *run = context;
    uint64_t limit = run->values->limit;
    if (!events_filter_lets(&run->reader.filter, row))
        return true;
    return events_printer_print(&run->printer, row) && fflush(stdout) == 0 &&
           (!limit || run->printer.printed < limit);
}

int events_tail(struct events_run *run, struct error *err)
{
    struct events_follow follow = {run->values->last, run->values->core, show, run};
    return events_follow(&run->reader, &follow, err);
}
