#include "source/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/instant.h"
#include "base/memory.h"

#define WORDS_MAX 16

/* Reads until the other end closes; false: it took too long, or was too much. */
static bool drain(int fd, struct buf *ret)
{
    int64_t until = instant_monotonic_ns() + SOURCE_COMMAND_NS;
    for (;;) {
        int64_t left = (until - instant_monotonic_ns()) / NS_PER_MS;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left <= 0 || ret->len > SOURCE_COMMAND_MAX || poll(&wait, 1, (int)left) < 0)
            return false;
        if (!wait.revents)
            continue;
        buf_reserve(ret, 4096);
        ssize_t got = read(fd, ret->ptr + ret->len, 4096);
        if (got == 0)
            return true;
        if (got > 0)
            ret->len += (size_t)got;
        else if (errno != EINTR)
            return false;
    }
}

bool source_command(const char *const *words, struct buf *ret)
{
    char *own[WORDS_MAX + 1] = {NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    pid_t child;
    if (!words[0] || pipe2(ends, O_CLOEXEC) < 0)
        return false;
    for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
        own[i] = xstrdup(words[i]);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int code = posix_spawnp(&child, words[0], &actions, NULL, own, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    for (size_t i = 0; own[i]; i++)
        free(own[i]);
    (void)close(ends[1]);
    bool done = code == 0 && drain(ends[0], ret);
    (void)close(ends[0]);
    if (code)
        return false;
    if (!done)
        (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return done && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
