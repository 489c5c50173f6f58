/* cim-ops down: stops the stack in a folder. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>

#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "stack/record.h"

#define DOWN_WITHIN_MS 10000

struct down_values {
    const char *dir;
};

/* True when the process is gone within the time. */
static bool await_end(int process, int timeout_ms)
{
    int64_t until = instant_monotonic_ns() + timeout_ms * NS_PER_MS;
    for (;;) {
        int64_t left_ms = (until - instant_monotonic_ns()) / NS_PER_MS;
        struct pollfd wait = {.fd = process, .events = POLLIN};
        int ready = poll(&wait, 1, left_ms > 0 ? (int)left_ms : 0);
        if (ready > 0 || (ready == 0 && left_ms <= 0))
            return ready > 0;
    }
}

static int stop(const char *dir, const struct record *record, struct error *err)
{
    /* First a handle, then the look at who it is: the pid cannot change hands in between. */
    CLEANUP_CLOSE int process = pidfd_open(record->pid, 0);
    int64_t started = instant_monotonic_ns();
    if (process < 0 || !record_is_alive(record))
        return error_set(err, EXIT_CODE_UNREACHABLE,
                         "no stack runs in %s (the last one, pid %d, was killed)", dir,
                         (int)record->pid);
    if (pidfd_send_signal(process, SIGTERM, NULL, 0) < 0)
        return error_set(err, EXIT_CODE_REFUSED, "pid %d: %s", (int)record->pid, strerror(errno));
    if (await_end(process, DOWN_WITHIN_MS)) {
        (void)printf("stopped the stack in %s (pid %d) in %.1f s\n", dir, (int)record->pid,
                     (double)(instant_monotonic_ns() - started) / NS_PER_SECOND);
        return 0;
    }
    /* Its children die with it: see stack/child.h. */
    (void)pidfd_send_signal(process, SIGKILL, NULL, 0);
    (void)await_end(process, DOWN_WITHIN_MS);
    return error_set(err, EXIT_CODE_PROBLEM,
                     "the stack in %s (pid %d) did not stop within %d s and was killed", dir,
                     (int)record->pid, DOWN_WITHIN_MS / 1000);
}

static int down_run(const void *raw, int count, char **operands, struct error *err)
{
    (void)count, (void)operands;
    const struct down_values *values = raw;
    struct record record;
    CLEANUP_FREE char *dir = place_stack_dir(values->dir, err);
    if (!dir || record_read(dir, &record, err) < 0)
        return (int)err->code;
    int code = stop(dir, &record, err) < 0 ? (int)err->code : EXIT_CODE_DONE;
    record_done(&record);
    return code;
}

static const struct option_spec options[] = {
    {.name = "dir",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct down_values, dir),
     .help = "the folder of the stack (default as for cim-ops up)"},
};

const struct command command_down = {
    .name = "down",
    .summary = "stop the local stack",
    .operands = "",
    .details = "Asks `cim-ops up` to stop its parts in order and waits for it, 10 s at most.\n\n"
               "Exit codes: 0 stopped; 1 it had to be killed; 3 no stack runs there.",
    .example = "cim-ops down",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct down_values),
    .run = down_run,
};
