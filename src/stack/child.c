#include "stack/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/instant.h"
#include "base/memory.h"

extern char **environ;

static bool is_replaced(const char *entry, char *const *env)
{
    size_t name_len = strcspn(entry, "=") + 1;
    for (; *env; env++) {
        if (strncmp(entry, *env, name_len) == 0)
            return true;
    }
    return false;
}

/* The parent's environment under `env`; the array is the caller's, the texts are not copied. */
static char **environment_with(char *const *env)
{
    static char *const none[] = {NULL};
    size_t count = 0, used = 0;
    env = env ? env : none;
    for (char **at = environ; *at; at++)
        count++;
    for (char *const *at = env; *at; at++)
        count++;
    char **all = xcalloc(count + 1, sizeof *all);
    for (char *const *at = env; *at; at++)
        all[used++] = *at;
    for (char **at = environ; *at; at++) {
        if (!is_replaced(*at, env))
            all[used++] = *at;
    }
    return all;
}

static void restore_signals(void)
{
    struct sigaction fallback = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int signal = 1; signal < NSIG; signal++)
        (void)sigaction(signal, &fallback, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Only async-signal-safe calls until the exec: another thread may hold any lock. */
__attribute__((noreturn)) static void become_child(const struct child_spec *spec, char **env,
                                                   pid_t parent, int output, int failure)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died between the fork and the line above */
        _exit(EXIT_CODE_INTERNAL);
    (void)setpgid(0, 0);
    restore_signals();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) {
        ssize_t ignored = write(failure, &errno, sizeof errno);
        (void)ignored;
        _exit(127);
    }
    if (spec->task) {
        (void)close(failure);
        int code = spec->task(spec->context);
        (void)fflush(stdout);
        _exit(code);
    }
    (void)execve(spec->program, spec->argv, env);
    ssize_t ignored = write(failure, &errno, sizeof errno);
    (void)ignored;
    _exit(127);
}

/* 0 when the program runs, else the errno of its exec. Returns at once either way: the pipe is
 * CLOEXEC. */
static int read_failure(int failure)
{
    int cause = 0;
    ssize_t got;
    do
        got = read(failure, &cause, sizeof cause);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof cause ? cause : 0;
}

static pid_t fork_child(const struct child_spec *spec, char **env, int output, int failure)
{
    sigset_t all, before;
    pid_t parent = getpid();
    (void)sigfillset(&all);
    /* Blocked across the fork: a handler of ours must not run in the child. */
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become_child(spec, env, parent, output, failure);
    int cause = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid > 0)
        (void)setpgid(pid, pid); /* in both, so that neither has to wait for the other */
    errno = cause;
    return pid;
}

int child_start(const struct child_spec *spec, pid_t *ret_pid, int *ret_output, struct error *err)
{
    int output[2] = {-1, -1}, failure[2] = {-1, -1};
    const char *name = spec->task ? "a task" : spec->program;
    if (pipe2(output, O_CLOEXEC) < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "%s: no pipe: %s", name, strerror(errno));
    CLEANUP_CLOSE int output_write = output[1];
    if (pipe2(failure, O_CLOEXEC) < 0) {
        (void)close(output[0]);
        return error_set(err, EXIT_CODE_INTERNAL, "%s: no pipe: %s", name, strerror(errno));
    }
    CLEANUP_CLOSE int failure_read = failure[0];
    CLEANUP_FREE char **env = environment_with(spec->env);

    pid_t pid = fork_child(spec, env, output_write, failure[1]);
    int cause = pid < 0 ? errno : 0;
    (void)close(failure[1]);
    if (pid > 0 && (cause = read_failure(failure_read)) != 0)
        (void)waitpid(pid, NULL, 0);
    if (cause) {
        (void)close(output[0]);
        return error_set(err, EXIT_CODE_UNREACHABLE, "%s: cannot start: %s", name, strerror(cause));
    }
    (void)fcntl(output[0], F_SETFL, O_NONBLOCK);
    *ret_pid = pid;
    *ret_output = output[0];
    return 0;
}

void child_signal(pid_t pid, int signal)
{
    if (pid > 1 && kill(-pid, signal) < 0)
        (void)kill(pid, signal);
}

int child_run(const struct child_spec *spec, int timeout_ms, struct buf *ret_output,
              int *ret_status, struct error *err)
{
    pid_t pid = 0;
    int fd = -1;
    if (child_start(spec, &pid, &fd, err) < 0)
        return -1;
    CLEANUP_CLOSE int output = fd;
    int64_t deadline = instant_monotonic_ns() + timeout_ms * NS_PER_MS;
    bool late = false;
    for (;;) {
        int64_t left_ms = (deadline - instant_monotonic_ns()) / NS_PER_MS;
        struct pollfd wait = {.fd = output, .events = POLLIN};
        if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) == 0) {
            late = true;
            break;
        }
        buf_reserve(ret_output, 4096);
        ssize_t got = read(output, ret_output->ptr + ret_output->len, 4096);
        if (got == 0) /* every writer is gone */
            break;
        if (got > 0 && ret_output->len < (1u << 20))
            ret_output->len += (size_t)got;
    }
    if (late)
        child_signal(pid, SIGKILL);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        ;
    if (late)
        return error_set(err, EXIT_CODE_UNREACHABLE, "%s: no end within %d ms",
                         spec->task ? "a task" : spec->program, timeout_ms);
    return 0;
}

void child_status_text(int status, char *out, size_t room)
{
    if (WIFSIGNALED(status))
        (void)snprintf(out, room, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        (void)snprintf(out, room, "exit %d", WEXITSTATUS(status));
}
