#include "stack/record.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/memory.h"
#include "stack/process.h"

#define RECORD_BYTES_MAX (4u << 20)

int record_lock(const char *dir, int *ret_fd, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot open: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int cause = errno;
        (void)close(fd);
        if (cause != EWOULDBLOCK)
            return error_set(err, EXIT_CODE_INTERNAL, "%s: flock: %s", path, strerror(cause));
        return error_set(err, EXIT_CODE_REFUSED,
                         "%s is held: a stack is starting or stopping there", path);
    }
    *ret_fd = fd;
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *instant_json(int64_t ns)
{
    char text[INSTANT_TEXT_MAX];
    return json_stringn(text, instant_format(ns, text));
}

/* What a child printed need not be UTF-8: then the line is replaced by a word, not by nothing. */
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_string("(not UTF-8)");
}

static json_t *part_json(const struct part *part)
{
    json_t *json = json_object(), *lines = json_array();
    (void)json_object_set_new(json, "name", json_string(part->spec->name));
    (void)json_object_set_new(json, "state", json_string(part_state_name(part->state)));
    if (part->spec->url)
        (void)json_object_set_new(json, "url", text_json(part->spec->url));
    (void)json_object_set_new(json, "restarts", json_integer(part->restarts));
    (void)json_object_set_new(json, "since", instant_json(part->since_ns));
    if (part->pid)
        (void)json_object_set_new(json, "pid", json_integer(part->pid));
    if (part->note[0])
        (void)json_object_set_new(json, "note", text_json(part->note));
    for (size_t i = 0; part->state == PART_FAILED && i < output_count(&part->output); i++)
        (void)json_array_append_new(lines, text_json(output_line(&part->output, i)));
    if (json_array_size(lines))
        (void)json_object_set(json, "last_lines", lines);
    json_decref(lines);
    return json;
}

static int add_to_buf(const char *bytes, size_t len, void *context)
{
    buf_add(context, bytes, len);
    return 0;
}

void record_to_json(const char *dir, int64_t since_ns, const struct stack *stack, struct buf *ret)
{
    uint64_t ticks = 0;
    json_t *json = json_object(), *parts = json_array();
    (void)process_start_ticks(getpid(), &ticks);
    (void)json_object_set_new(json, "pid", json_integer(getpid()));
    (void)json_object_set_new(json, "start_ticks", json_integer((json_int_t)ticks));
    (void)json_object_set_new(json, "since", instant_json(since_ns));
    (void)json_object_set_new(json, "dir", text_json(dir));
    for (size_t i = 0; i < stack_part_count(stack); i++)
        (void)json_array_append_new(parts, part_json(stack_part(stack, i)));
    (void)json_object_set_new(json, "parts", parts);
    (void)json_dump_callback(json, add_to_buf, ret, JSON_INDENT(2));
    json_decref(json);
    buf_add_char(ret, '\n');
}

int record_write(const char *dir, int64_t since_ns, const struct stack *stack, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, RECORD_NAME);
    CLEANUP_BUF struct buf text = {0};
    record_to_json(dir, since_ns, stack, &text);
    return file_write_atomic(path, buf_slice(&text), 0644, err);
}

void record_remove(const char *dir)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, RECORD_NAME);
    (void)unlink(path);
}

/* --- reading ---------------------------------------------------------------------------------- */

static char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return xstrdup(text ? text : "");
}

static int64_t instant_of(const json_t *object, const char *key)
{
    int64_t ns = 0;
    (void)instant_parse_rfc3339(slice_of(json_string_value(json_object_get(object, key))), &ns);
    return ns;
}

static int read_part(const json_t *json, struct record_part *part, struct error *err)
{
    const json_t *lines = json_object_get(json, "last_lines");
    size_t count = json_array_size(lines);
    part->name = text_of(json, "name");
    part->url = text_of(json, "url");
    part->note = text_of(json, "note");
    part->since_ns = instant_of(json, "since");
    part->restarts = (uint64_t)json_integer_value(json_object_get(json, "restarts"));
    part->pid = (pid_t)json_integer_value(json_object_get(json, "pid"));
    part->last_lines = xcalloc(count + 1, sizeof *part->last_lines);
    for (size_t i = 0; i < count; i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        part->last_lines[i] = xstrdup(line ? line : "");
    }
    CLEANUP_FREE char *state = text_of(json, "state");
    if (!part->name[0] || !part_state_parse(slice_of(state), &part->state))
        return error_set(err, EXIT_CODE_DAMAGED, "a part without a name or with the state '%s'",
                         state);
    return 0;
}

int record_from_json(struct slice text, struct record *ret, struct error *err)
{
    json_error_t cause;
    json_t *json = json_loadb(text.ptr, text.len, 0, &cause);
    *ret = (struct record){0};
    if (!json)
        return error_set(err, EXIT_CODE_DAMAGED, "line %d: %s", cause.line, cause.text);
    const json_t *parts = json_object_get(json, "parts");
    size_t count = json_array_size(parts);
    int result = 0;
    ret->pid = (pid_t)json_integer_value(json_object_get(json, "pid"));
    ret->start_ticks = (uint64_t)json_integer_value(json_object_get(json, "start_ticks"));
    ret->since_ns = instant_of(json, "since");
    ret->dir = text_of(json, "dir");
    ret->parts = xcalloc(count + 1, sizeof *ret->parts);
    for (size_t i = 0; result == 0 && i < count; i++) {
        ret->part_count = i + 1;
        result = read_part(json_array_get(parts, i), &ret->parts[i], err);
    }
    if (result == 0 && ret->pid <= 1)
        result = error_set(err, EXIT_CODE_DAMAGED, "no pid");
    json_decref(json);
    if (result < 0)
        record_done(ret);
    return result;
}

int record_read(const char *dir, struct record *ret, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, RECORD_NAME);
    CLEANUP_BUF struct buf text = {0};
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return error_set(err, EXIT_CODE_UNREACHABLE, "no stack runs in %s", dir);
    if (file_read(path, RECORD_BYTES_MAX, &text, err) < 0)
        return -1;
    if (record_from_json(buf_slice(&text), ret, err) < 0)
        return error_wrap(err, "%s", path);
    return 0;
}

void record_done(struct record *record)
{
    for (size_t i = 0; i < record->part_count; i++) {
        struct record_part *part = &record->parts[i];
        for (char **line = part->last_lines; line && *line; line++)
            free(*line);
        free(part->last_lines);
        free(part->name);
        free(part->url);
        free(part->note);
    }
    free(record->parts);
    free(record->dir);
    *record = (struct record){0};
}

bool record_is_alive(const struct record *record)
{
    return process_is_alive(record->pid, record->start_ticks);
}
