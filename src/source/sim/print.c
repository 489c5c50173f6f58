#include "source/sim/print.h"

#include <errno.h>
#include <stdio.h>

#include "source/sim/delivery.h"

static void add_string(struct buf *ret, struct slice text)
{
    buf_add_char(ret, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            buf_add_char(ret, '\\');
        buf_add_char(ret, text.ptr[i]);
    }
    buf_add_char(ret, '"');
}

static void add_base64(struct buf *ret, struct slice bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned group = (unsigned)(unsigned char)bytes.ptr[i] << 16;
        group |= left > 1 ? (unsigned)(unsigned char)bytes.ptr[i + 1] << 8 : 0;
        group |= left > 2 ? (unsigned)(unsigned char)bytes.ptr[i + 2] : 0;
        buf_add_char(ret, alphabet[group >> 18]);
        buf_add_char(ret, alphabet[group >> 12 & 63]);
        buf_add_char(ret, left > 1 ? alphabet[group >> 6 & 63] : '=');
        buf_add_char(ret, left > 2 ? alphabet[group & 63] : '=');
    }
}

void print_line(const struct sim_event *event, struct buf *ret)
{
    struct bus_header headers[BUS_HEADERS_MAX];
    size_t count = headers_cut(event->headers, headers, BUS_HEADERS_MAX);
    buf_add_str(ret, "{\"subject\":");
    add_string(ret, event->subject);
    buf_add_str(ret, ",\"headers\":{");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(ret, ',');
        add_string(ret, headers[i].name);
        buf_add_char(ret, ':');
        add_string(ret, headers[i].value);
    }
    if (event->sort == SORT_MALFORMED) {
        buf_add_str(ret, "},\"payload_base64\":\"");
        add_base64(ret, event->payload);
        buf_add_str(ret, "\"}");
    } else {
        buf_add_str(ret, "},\"payload\":");
        buf_add_slice(ret, event->payload);
        buf_add_char(ret, '}');
    }
}

int print_event(const struct sim_event *event, struct error *err)
{
    static struct buf line; /* kept: one allocation for the whole run */
    buf_reset(&line);
    print_line(event, &line);
    buf_add_char(&line, '\n');
    if (fwrite_unlocked(line.ptr, 1, line.len, stdout) != line.len)
        return error_set(err, EXIT_CODE_INTERNAL, "standard output: %s", strerror(errno));
    return 0;
}

int print_flush(struct error *err)
{
    return fflush(stdout) == 0
               ? 0
               : error_set(err, EXIT_CODE_INTERNAL, "standard output: %s", strerror(errno));
}
