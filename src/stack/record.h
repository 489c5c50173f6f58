/*
 * record: what a running stack leaves in its folder for `status`, `down` and a second `up`.
 *
 * <dir>/lock is held with flock() as long as the stack lives; the kernel lets it go with the
 * process. <dir>/stack.json says who holds it and what its parts are doing. It is rewritten
 * atomically on each change and removed at an orderly stop; after a kill -9 it stays, and
 * record_is_alive() tells.
 */
#pragma once

#include "base/buf.h"
#include "stack/stack.h"

#define RECORD_NAME "stack.json"

struct record_part {
    char *name, *url, *note;
    enum part_state state;
    int64_t since_ns;
    uint64_t restarts;
    pid_t pid;
    char **last_lines; /* of a failed part; NULL-terminated, never NULL */
};

struct record {
    pid_t pid;
    uint64_t start_ticks;
    int64_t since_ns;
    char *dir;
    struct record_part *parts;
    size_t part_count;
};

/* `*ret_fd` holds the lock until it is closed. EXIT_CODE_REFUSED when another process has it. */
int record_lock(const char *dir, int *ret_fd, struct error *err);
int record_write(const char *dir, int64_t since_ns, const struct stack *stack, struct error *err);
void record_remove(const char *dir);

/* EXIT_CODE_UNREACHABLE when there is none; EXIT_CODE_DAMAGED when it cannot be read. */
int record_read(const char *dir, struct record *ret, struct error *err);
void record_done(struct record *record);
bool record_is_alive(const struct record *record);

/* The two directions of the text, for record_write/record_read and the tests. */
void record_to_json(const char *dir, int64_t since_ns, const struct stack *stack, struct buf *ret);
int record_from_json(struct slice text, struct record *ret, struct error *err);
