#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "drain.h"

const char *bench_name = "bench";

void bench_die(const char *what)
{
    (void)fprintf(stderr, "%s: %s: %s\n", bench_name, what, strerror(errno));
    exit(70);
}

/* --- processes -------------------------------------------------------------------------------- */

pid_t bench_spawn(const char *const argv[], const char *output)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        bench_die("fork");
    if (pid)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(70);
    int fd = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)dup2(fd, 1);
    (void)dup2(fd, 2);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

void bench_run(const char *const argv[], const char *log)
{
    int status = 0;
    pid_t pid = bench_spawn(argv, log);
    if (waitpid(pid, &status, 0) < 0 || status != 0) {
        (void)fprintf(stderr, "%s: %s %s failed; its output:\n", bench_name, argv[0], argv[1]);
        CLEANUP_BUF struct buf text = {0};
        if (file_read(log, 1u << 20, &text, NULL) == 0)
            (void)fwrite(text.ptr, 1, text.len, stderr);
        exit(70);
    }
}

static struct figure figure_of(const struct rusage *usage, uint64_t events, double seconds)
{
    double cpu = (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e9 +
                 (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1e3;
    return (struct figure){(double)events / seconds, cpu / (double)events,
                           (double)usage->ru_maxrss / 1024};
}

struct figure bench_wait_as(pid_t pid, uint64_t events, double seconds, const char *what)
{
    struct rusage usage;
    int status = 0;
    if (wait4(pid, &status, 0, &usage) < 0 || status != 0)
        bench_die(what);
    return figure_of(&usage, events, seconds);
}

struct figure bench_wait(pid_t pid, uint64_t events, int64_t began_ns, const char *what)
{
    struct figure figure = bench_wait_as(pid, events, 1, what);
    figure.events_per_s = (double)events / ((double)(instant_monotonic_ns() - began_ns) / 1e9);
    return figure;
}

/* --- the server ------------------------------------------------------------------------------- */

int bench_connect(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

unsigned bench_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        bench_die("no free port");
    (void)close(fd);
    return ntohs(at.sin_port);
}

void bench_send(int fd, const char *text)
{
    for (size_t left = strlen(text); left;) {
        ssize_t put = write(fd, text, left);
        if (put <= 0)
            bench_die("write");
        text += put;
        left -= (size_t)put;
    }
}

static char temp_folder[32]; /* removed at the end; there is one server */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static void remove_temp(void)
{
    (void)nftw(temp_folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void bench_server_start(struct bench_server *server)
{
    (void)snprintf(server->folder, sizeof server->folder, "/tmp/cim-ops-bench-XXXXXX");
    if (!mkdtemp(server->folder))
        bench_die("temporary folder");
    memcpy(temp_folder, server->folder, sizeof temp_folder);
    (void)atexit(remove_temp);
    server->port = bench_free_port();
    server->url = xasprintf("nats://127.0.0.1:%u", server->port);
    server->log = xasprintf("%s/log", server->folder);
    CLEANUP_FREE char *port = xasprintf("%u", server->port);
    CLEANUP_FREE char *store = xasprintf("%s/js", server->folder);
    const char *argv[] = {"nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", store, NULL};
    server->pid = bench_spawn(argv, server->log);
    int64_t until = instant_monotonic_ns() + 20 * NS_PER_SECOND;
    for (int fd; (fd = bench_connect(server->port)) < 0; (void)poll(NULL, 0, 20)) {
        if (instant_monotonic_ns() > until)
            bench_die("the server does not listen");
    }
}

void bench_server_stop(struct bench_server *server)
{
    (void)kill(server->pid, SIGTERM);
    (void)waitpid(server->pid, NULL, 0);
    free(server->url);
    free(server->log);
}

bool bench_api(const struct bench_server *server, const char *name, const char *request,
               struct buf *ret)
{
    struct drain d;
    drain_open(&d, server->port, 1u << 20);
    CLEANUP_FREE char *text = xasprintf("CONNECT {\"verbose\":false}\r\nSUB _INBOX.r 1\r\n"
                                        "PUB $JS.API.%s _INBOX.r %zu\r\n%s\r\n",
                                        name, strlen(request), request);
    bench_send(d.fd, text);
    while (strncmp(drain_line(&d), "MSG _INBOX.r", 12) != 0) {
    }
    buf_reset(ret);
    buf_add_str(ret, drain_line(&d));
    drain_close(&d);
    return !strstr(buf_cstr(ret), "\"error\"");
}

static uint64_t number_behind(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

uint64_t bench_load(const struct bench_server *server, const char *program, uint64_t count)
{
    const char *config =
        "{\"name\":\"CIM-EVENTS\",\"subjects\":[\"cim.>\",\"events.>\","
        "\"infrastructure.>\",\"agent.>\",\"person.>\",\"organization.>\",\"git.>\","
        "\"network.>\"],\"storage\":\"file\",\"retention\":\"limits\","
        "\"num_replicas\":1}";
    CLEANUP_FREE char *events = xasprintf("%llu", (unsigned long long)count);
    const char *load[] = {program,  "simulate", "--nats",  server->url, "--rate", "max",
                          "--seed", "1",        "--count", events,      NULL};
    CLEANUP_BUF struct buf reply = {0};
    if (!bench_api(server, "STREAM.CREATE.CIM-EVENTS", config, &reply))
        bench_die(buf_cstr(&reply));
    (void)printf("loading %s events ...\n", events);
    (void)fflush(stdout);
    bench_run(load, server->log);
    if (!bench_api(server, "STREAM.INFO.CIM-EVENTS", "", &reply))
        bench_die(buf_cstr(&reply));
    return number_behind(buf_cstr(&reply), "\"messages\":");
}

/* --- medians ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double bench_median(const struct figure *figures, size_t count, size_t offset)
{
    double values[BENCH_ROUNDS_MAX];
    for (size_t i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&figures[i] + offset, sizeof values[i]);
    return middle(values, count);
}

double bench_median_ratio(const struct figure *a, const struct figure *b, size_t count)
{
    double values[BENCH_ROUNDS_MAX];
    for (size_t i = 0; i < count; i++)
        values[i] = a[i].events_per_s / b[i].events_per_s;
    return middle(values, count);
}
