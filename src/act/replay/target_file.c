/*
 * file:PATH and -: JSON lines in the form of event/lines.h.
 *
 * Durable is what has been fsynced; its length is in the checkpoint. A replay that goes on cuts the
 * file there first, so that a half line or lines behind the checkpoint are written once all the
 * same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/replay/replay_internal.h"
#include "base/instant.h"
#include "base/memory.h"
#include "event/lines.h"
#include "json/extract.h"
#include "json/write.h"

enum { WRITE_AT = 1 << 20 };

struct file {
    int fd;
    bool to_stdout;
    uint64_t length, synced; /* bytes */
    struct buf out;
    struct json_plan *any;        /* wants nothing: is it JSON? */
    struct event_header *headers; /* all of them, however many */
    size_t headers_room;
};

static int failed(const struct target *target, const char *what, struct error *err)
{
    int code = errno;
    return error_set(err, code == EPIPE ? EXIT_CODE_PROBLEM : EXIT_CODE_DAMAGED, "%s: %s: %s",
                     target->where, what, strerror(code));
}

static int file_check(struct target *target, struct buf *words, struct error *err)
{
    struct stat is;
    if (!strcmp(target->where, "-")) {
        buf_add_str(words, "JSON lines on standard output");
        return 0;
    }
    buf_addf(words, "file %s, made new, JSON lines", target->where);
    if (!target->replay->resumed && stat(target->where, &is) == 0)
        return error_set(err, EXIT_CODE_REFUSED,
                         "%s is there already; name another file, or remove it", target->where);
    return 0;
}

/* A process that stands still has it still: what it writes when it wakes would go in between. */
static int lock(const struct target *target, const struct file *file, struct error *err)
{
    if (flock(file->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return 0;
    return error_set(err, EXIT_CODE_REFUSED, "%s is being written to by another process",
                     target->where);
}

static int open_fresh(struct target *target, struct file *file, struct error *err)
{
    file->fd = open(target->where, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file->fd >= 0)
        return lock(target, file, err);
    if (errno == EEXIST)
        return error_set(err, EXIT_CODE_REFUSED,
                         "%s is there already; name another file, or remove it", target->where);
    return error_set(err, EXIT_CODE_USAGE, "%s: %s", target->where, strerror(errno));
}

static int open_again(struct target *target, struct file *file, uint64_t length, struct error *err)
{
    struct stat is;
    file->fd = open(target->where, O_WRONLY | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &is) < 0)
        return failed(target, "cannot be gone on with", err);
    if (lock(target, file, err) < 0)
        return -1;
    if ((uint64_t)is.st_size < length)
        return error_set(err, EXIT_CODE_DAMAGED,
                         "%s has %lld bytes, and %llu were written: it is another file, or was cut",
                         target->where, (long long)is.st_size, (unsigned long long)length);
    if (ftruncate(file->fd, (off_t)length) < 0 || lseek(file->fd, (off_t)length, SEEK_SET) < 0)
        return failed(target, "cannot be cut at the checkpoint", err);
    file->length = file->synced = length;
    return 0;
}

static int file_open(struct target *target, json_t *state, struct error *err)
{
    struct file *file = xcalloc(1, sizeof *file);
    target->own = file;
    file->any = json_plan_new();
    (void)json_plan_compile(file->any);
    file->fd = -1;
    file->to_stdout = !strcmp(target->where, "-");
    if (target->replay->looking)
        return 0;
    if (file->to_stdout) {
        file->fd = STDOUT_FILENO;
        return state ? error_set(err, EXIT_CODE_REFUSED,
                                 "what went to standard output cannot be gone on with")
                     : 0;
    }
    json_int_t length = json_integer_value(json_object_get(state, "bytes"));
    return state ? open_again(target, file, (uint64_t)length, err) : open_fresh(target, file, err);
}

static int write_out(struct target *target, struct file *file, struct error *err)
{
    for (size_t at = 0; at < file->out.len;) {
        ssize_t put = write(file->fd, file->out.ptr + at, file->out.len - at);
        if (put < 0 && errno != EINTR) {
            int rc = failed(target, "cannot be written", err);
            memmove(file->out.ptr, file->out.ptr + at, file->out.len - at);
            file->out.len -= at; /* perhaps there is room later */
            return rc;
        }
        at += put > 0 ? (size_t)put : 0;
        file->length += put > 0 ? (uint64_t)put : 0;
    }
    buf_reset(&file->out);
    return 0;
}

/* Blanks around a value would be lost between the commas of a line. */
static bool goes_as_json(const struct file *file, const struct replay_event *event)
{
    struct slice payload = event->payload;
    struct json_error error;
    if (!payload.len || strchr(" \t\r\n", payload.ptr[0]) ||
        strchr(" \t\r\n", payload.ptr[payload.len - 1]))
        return false;
    return event->row.input || json_extract(file->any, payload, NULL, &error);
}

/* How many; 0 where the block is broken: then it cannot be said what they are. */
static int read_headers(struct file *file, struct slice block)
{
    for (;;) {
        int count = event_headers_parse(block, file->headers, (int)file->headers_room);
        if (count < 0 || (size_t)count < file->headers_room)
            return count < 0 ? 0 : count;
        free(file->headers);
        file->headers_room = file->headers_room ? 2 * file->headers_room : EVENT_HEADERS_MAX + 1;
        file->headers = xcalloc(file->headers_room, sizeof *file->headers);
    }
}

static void add_line(struct replay *replay, struct file *file, const struct replay_event *event)
{
    struct buf *out = &file->out;
    struct event_input input = event->input;
    struct events_row row = {.input = &input, .malformed = event->row.malformed};
    char when[INSTANT_TEXT_MAX];
    size_t length = instant_format(event->stored_at_ns, when);
    if (slice_present(input.header_block)) {
        input.header_count = read_headers(file, input.header_block);
        input.headers = file->headers;
    }
    buf_add_slice(out, SLICE("{\"subject\":"));
    json_add_string(out, event->subject);
    buf_add_slice(out, SLICE(",\"stream\":"));
    json_add_string(out, slice_of(replay->selection.streams[event->stream].name));
    buf_add_slice(out, SLICE(",\"seq\":"));
    buf_add_u64(out, event->seq);
    buf_add_slice(out, SLICE(",\"stored_at\":\""));
    buf_add(out, when, length);
    buf_add_char(out, '"');
    if (!row.malformed && !goes_as_json(file, event))
        row.malformed = "no JSON";
    events_add_message(out, &row);
    buf_add_str(out, "}\n");
}

static int file_take(struct target *target, const struct replay_event *event, struct error *err)
{
    struct file *file = target->own;
    /* Before it is taken: what fails here is not in the file, and comes again. */
    if (file->out.len >= WRITE_AT && write_out(target, file, err) < 0)
        return -1;
    add_line(target->replay, file, event);
    target->replay->figures.replayed++;
    target->replay->figures.bytes += event->payload.len;
    return 0;
}

static int file_settle(struct target *target, bool all, uint64_t *positions, struct error *err)
{
    struct file *file = target->own;
    (void)all;
    if (write_out(target, file, err) < 0)
        return -1;
    if (!file->to_stdout && file->length != file->synced && fdatasync(file->fd) < 0)
        return failed(target, "cannot be written", err);
    file->synced = file->length;
    replay_pass_read(target->replay, positions);
    target->replay->settled = target->replay->figures;
    return 0;
}

static json_t *file_state(struct target *target)
{
    const struct file *file = target->own;
    return json_pack("{s:I}", "bytes", (json_int_t)file->synced);
}

static void file_close(struct target *target)
{
    struct file *file = target->own;
    if (!file)
        return;
    if (file->fd >= 0 && !file->to_stdout)
        (void)close(file->fd);
    buf_done(&file->out);
    free(file->headers);
    json_plan_free(file->any);
    free(file);
    target->own = NULL;
}

/* --- verify ----------------------------------------------------------------------------------- */

static int take_line(struct target *target, const struct line_event *line, struct digest *digest,
                     struct buf *name, struct error *err)
{
    struct events_reader *reader = &target->replay->selection.reader;
    struct events_row row = {.input = &line->input, .payload = line->input.payload};
    const char *why = NULL;
    if (!engine_view(reader->engine, &line->input, &row.view, &row.envelope, &why))
        row.malformed = why;
    buf_reset(name);
    replay_aggregate_name(&row, name);
    struct digest_event event = {.key = replay_aggregate_key(&row),
                                 .name = buf_slice(name),
                                 .stream = line->stream,
                                 .subject = line->input.subject,
                                 .payload = line->input.payload,
                                 .seq = line->input.seq};
    return digest_add(digest, &event, err);
}

static int file_read_back(struct target *target, struct digest *digest, struct error *err)
{
    struct lines *lines = NULL;
    struct line_event line;
    enum lines_outcome outcome;
    CLEANUP_BUF struct buf name = {0};
    int rc = 0;
    if (!strcmp(target->where, "-"))
        return error_set(err, EXIT_CODE_USAGE, "what went to standard output cannot be verified");
    if (lines_open(target->where, &lines, err) < 0)
        return -1;
    while (rc == 0 && (outcome = lines_next(lines, &line, err)) != LINES_END) {
        if (outcome == LINES_EVENT)
            rc = take_line(target, &line, digest, &name, err);
        else
            rc = err ? (err->code = EXIT_CODE_DAMAGED, -1) : -1;
    }
    lines_close(lines);
    return rc;
}

const struct target_kind target_file = {
    .name = "file",
    .doing = "written to",
    .once = true,
    .memory_bytes = 2 * WRITE_AT,
    .check = file_check,
    .open = file_open,
    .take = file_take,
    .settle = file_settle,
    .state = file_state,
    .close = file_close,
    .read_back = file_read_back,
};
