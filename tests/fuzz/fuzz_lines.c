/*
 * Stored messages as JSON lines: whatever a file holds, each line gives an event or an error that
 * names it, and reading goes on behind it to the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "event/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_event(const struct line_event *event)
{
    const struct event_input *input = &event->input;
    check(slice_present(input->subject) && slice_present(input->payload));
    check(input->header_count >= 0 && input->header_count <= EVENT_HEADERS_MAX);
    /* Read all that is given, so that the sanitizer sees where it lies. */
    size_t sum = 0;
    for (size_t i = 0; i < input->subject.len; i++)
        sum += (unsigned char)input->subject.ptr[i];
    for (size_t i = 0; i < input->payload.len; i++)
        sum += (unsigned char)input->payload.ptr[i];
    for (int h = 0; h < input->header_count; h++) {
        struct event_header header = input->headers[h];
        check(slice_present(event_header_find(input, header.name)) || !header.name.len);
        for (size_t i = 0; i < header.value.len; i++)
            sum += (unsigned char)header.value.ptr[i];
    }
    check(sum != SIZE_MAX);
}

static size_t count_line_ends(const uint8_t *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += data[i] == '\n';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], begin[80];
    int fd = memfd_create("lines", 0);
    struct error err = ERROR_NONE;
    struct lines *lines;
    struct line_event event;
    uint64_t last = 0;
    check(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    check(lines_open(path, &lines, &err) == 0);
    for (;;) {
        err = ERROR_NONE;
        enum lines_outcome outcome = lines_next(lines, &event, &err);
        check(outcome != LINES_FAILED);
        if (outcome == LINES_END)
            break;
        uint64_t number = lines_number(lines);
        check(number > last);
        last = number;
        if (outcome == LINES_EVENT) {
            check_event(&event);
            continue;
        }
        int len = snprintf(begin, sizeof begin, "%s:%llu:", path, (unsigned long long)number);
        check(len > 0 && !strncmp(err.text, begin, (size_t)len));
    }
    check(last <= count_line_ends(data, size) + 1);
    lines_close(lines);
    (void)close(fd);
    return 0;
}
