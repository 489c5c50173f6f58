/*
 * output: what a child printed: its last lines in memory, all of it in a file of bounded size.
 *
 * The file is cut at OUTPUT_FILE_MAX: it is renamed to "<path>.1", replacing the one before, and
 * begun anew, so that a talkative child holds at most twice that on disk. Lines in memory are cut
 * at OUTPUT_LINE_MAX bytes, and control characters in them are replaced: they go to a terminal. A
 * file that cannot be written is given up silently; the lines in memory stay.
 */
#pragma once

#include "base/slice.h"

#define OUTPUT_LINES    20
#define OUTPUT_LINE_MAX 400
#define OUTPUT_FILE_MAX (1u << 20)

struct output {
    char lines[OUTPUT_LINES][OUTPUT_LINE_MAX + 1];
    size_t total;   /* complete lines ever; line n lies in slot n % OUTPUT_LINES */
    size_t partial; /* bytes of the line that is still being printed */
    char *path;
    int fd;
    size_t written;
};

/* `path` NULL: memory only. */
void output_init(struct output *output, const char *path);
void output_done(struct output *output);
void output_add(struct output *output, struct slice bytes);
/* Ends a line that the child left without a newline. */
void output_end_line(struct output *output);
/* A line of ours, for the file only. */
void output_mark(struct output *output, const char *text);
/* Forgets the lines in memory: a new life begins. The file goes on. */
void output_forget(struct output *output);

size_t output_count(const struct output *output);                   /* lines in memory */
const char *output_line(const struct output *output, size_t index); /* 0: the oldest kept */
const char *output_last(const struct output *output);               /* "" when there is none */
