#include "stack/output.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/memory.h"

static void open_file(struct output *output, int flags)
{
    output->fd = open(output->path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    off_t end = output->fd >= 0 ? lseek(output->fd, 0, SEEK_END) : 0;
    output->written = end > 0 ? (size_t)end : 0;
}

void output_init(struct output *output, const char *path)
{
    *output = (struct output){.fd = -1, .path = path ? xstrdup(path) : NULL};
    if (path)
        open_file(output, O_APPEND);
}

void output_done(struct output *output)
{
    if (output->fd >= 0)
        (void)close(output->fd);
    output->fd = -1;
    free(output->path);
    output->path = NULL;
}

static void turn_file(struct output *output)
{
    CLEANUP_FREE char *old = xasprintf("%s.1", output->path);
    (void)close(output->fd);
    (void)rename(output->path, old);
    open_file(output, O_TRUNC | O_APPEND);
}

static void write_file(struct output *output, struct slice bytes)
{
    if (output->fd < 0)
        return;
    if (output->written + bytes.len > OUTPUT_FILE_MAX && output->written > 0) {
        turn_file(output);
        if (output->fd < 0)
            return;
    }
    ssize_t put = write(output->fd, bytes.ptr, bytes.len);
    if (put > 0)
        output->written += (size_t)put;
}

void output_end_line(struct output *output)
{
    if (!output->partial)
        return;
    output->lines[output->total % OUTPUT_LINES][output->partial] = 0;
    output->total++;
    output->partial = 0;
}

void output_add(struct output *output, struct slice bytes)
{
    write_file(output, bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c == '\n') {
            output_end_line(output);
            continue;
        }
        if (output->partial >= OUTPUT_LINE_MAX || c == '\r')
            continue;
        bool control = c < 0x20 || c == 0x7f;
        output->lines[output->total % OUTPUT_LINES][output->partial++] = control ? ' ' : (char)c;
    }
}

void output_mark(struct output *output, const char *text)
{
    CLEANUP_FREE char *line = xasprintf("--- %s\n", text);
    write_file(output, slice_of(line));
}

void output_forget(struct output *output)
{
    output->total = 0;
    output->partial = 0;
}

size_t output_count(const struct output *output)
{
    /* A line in the making already overwrites the oldest slot. */
    size_t room = output->partial ? OUTPUT_LINES - 1 : OUTPUT_LINES;
    return output->total < room ? output->total : room;
}

const char *output_line(const struct output *output, size_t index)
{
    return output->lines[(output->total - output_count(output) + index) % OUTPUT_LINES];
}

const char *output_last(const struct output *output)
{
    return output->total ? output->lines[(output->total - 1) % OUTPUT_LINES] : "";
}
