/*
 * child: one child process, started so that it cannot outlive its parent.
 *
 * Contract of child_start():
 *  1. Call it from the main thread: the kernel ties PR_SET_PDEATHSIG to the thread that forked. The
 *     child is killed by the kernel when its parent dies, however the parent dies.
 *  2. A program that cannot be executed is an error here (its errno comes through a pipe), not a
 * child that dies at once.
 *  3. The child leads a process group of its own: Ctrl-C on the terminal reaches the parent alone,
 * and child_signal() reaches whatever the child has started itself.
 *  4. The child has default signal dispositions, an empty mask, /dev/null as input, and one pipe as
 * both output and error; no other descriptor of the parent (all are CLOEXEC).
 *  5. The caller reaps the pid with waitpid() and closes the output.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct child_spec {
    const char *program;        /* path; NULL for a task */
    char *const *argv;          /* NULL-terminated, argv[0] included */
    char *const *env;           /* NULL-terminated "NAME=value", over the parent's own; or NULL */
    int (*task)(void *context); /* runs in the child instead of a program; returns its exit code */
    void *context;
};

int child_start(const struct child_spec *spec, pid_t *ret_pid, int *ret_output, struct error *err);
/* To the child's whole group. */
void child_signal(pid_t pid, int signal);

/*
 * Starts, waits at most timeout_ms (then SIGKILL), appends what it printed to *ret_output and says
 * how it ended (as waitpid does). EXIT_CODE_UNREACHABLE when it took too long.
 */
int child_run(const struct child_spec *spec, int timeout_ms, struct buf *ret_output,
              int *ret_status, struct error *err);

/* "exit 1", "signal 9 (Killed)". */
void child_status_text(int status, char *out, size_t room);
