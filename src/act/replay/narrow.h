/*
 * narrow: lets the server choose by subject what the filter would choose by view.
 *
 * A stream's subjects are asked for; those whose envelope says by the subject alone that no event
 * under them can be chosen are left out, and what the others have in common becomes the filter of
 * the consumer (one filter: nats-server 2.9 takes no more). It may let through more than is chosen,
 * never less. Cost: one request; none when nothing is chosen by domain or aggregate.
 */
#pragma once

#include "read/events.h"

/* *ret_filter: heap, or NULL when all subjects are wanted (or there are too many to look at). */
int narrow_subjects(struct events_reader *reader, const char *stream, char **ret_filter,
                    struct error *err);

/* What both filters let through, as one filter in *common (NUL-terminated by its owner): equal
 * tokens stay, others become *, from where one is longer on: >. */
void narrow_join(struct buf *common, struct slice subject);
