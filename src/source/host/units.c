/* systemd's failed units, as systemctl lists them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/host/host.h"

#define PATIENCE_NS (2 * NS_PER_SECOND)
#define LIST_MAX    (64u << 10)
#define SHOWN_MAX   32

/* Reads until the other end closes; false: it took too long. */
static bool drain(int fd, struct buf *ret)
{
    int64_t until = instant_monotonic_ns() + PATIENCE_NS;
    for (;;) {
        int64_t left = (until - instant_monotonic_ns()) / NS_PER_MS;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left <= 0 || ret->len > LIST_MAX || poll(&wait, 1, (int)left) < 0)
            return false;
        buf_reserve(ret, 4096);
        ssize_t got = wait.revents ? read(fd, ret->ptr + ret->len, 4096) : -1;
        if (got == 0)
            return true;
        if (got > 0)
            ret->len += (size_t)got;
        else if (wait.revents && errno != EINTR)
            return false;
    }
}

static bool list_failed(struct buf *ret)
{
    char *const words[] = {(char[]){"systemctl"},
                           (char[]){"list-units"},
                           (char[]){"--failed"},
                           (char[]){"--plain"},
                           (char[]){"--no-legend"},
                           (char[]){"--no-pager"},
                           NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    pid_t child;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int code = posix_spawnp(&child, words[0], &actions, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
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

static void unit_recovered(struct host *host, const struct host_thing *thing)
{
    host_tell(host, "unit", thing->key, "UnitRecovered", json_pack("{s:s}", "unit", thing->key));
}

void host_look_units(struct host *host, json_t *data)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word;
    uint64_t count = 0;
    if (host->options->root[0] || access("/run/systemd/system", F_OK) != 0) {
        host_absent(host, "units_failed", "systemd does not run here");
        return;
    }
    if (!list_failed(&text)) {
        host_absent(host, "units_failed", "systemctl did not list them");
        return;
    }
    json_t *shown = json_array();
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        char name[HOST_TEXT_MAX];
        bool is_new;
        if (!host_word(&line, &word))
            continue;
        (void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(word));
        if (count++ < SHOWN_MAX)
            (void)json_array_append_new(shown, json_string(name));
        if (host_thing(host, &host->units, name, &is_new) && is_new)
            host_tell(host, "unit", name, "UnitFailed", json_pack("{s:s}", "unit", name));
    }
    host_set(data, "units_failed", count);
    (void)json_object_set_new(data, "failed_units", shown);
    host_things_gone(host, &host->units, unit_recovered);
}
