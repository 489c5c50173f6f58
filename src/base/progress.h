/*
 * progress: one line on stderr that long work keeps up to date, only when stderr is a terminal.
 *
 *     ########................ 1,203,411 events, 214,332/s, 37 %, 9 s left
 *
 * Zero-initialised is silent until progress_begin(). At most ten updates a second; a call costs a
 * look at the clock. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "events", "bytes": behind the number */
    int64_t begun_ns, shown_ns;
    bool on_terminal, shown;
};

void progress_begin(struct progress *progress, const char *what);
/* `total` 0: not known, no share and no time left are shown. */
void progress_show(struct progress *progress, uint64_t done, uint64_t total);
/* Clears the line, so that what is printed next stands at its start. */
void progress_clear(struct progress *progress);
/* 1234567 as "1,234,567", NUL-terminated. */
#define NUMBER_TEXT_MAX 32
const char *number_text(uint64_t value, char out[static NUMBER_TEXT_MAX]);
