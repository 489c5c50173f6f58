/*
 * endtoend: events per second folded through a real nats-server, against a bare socket that only
 * drains the same consumer, in one run, in turn.
 *
 *     endtoend CIM-OPS RULES [events] [rounds] [JSON file]
 *
 * Starts its own nats-server (from PATH) in a temporary folder, loads it with `cim-ops simulate`,
 * then repeats: drain, monitor, backfill (the history of all metrics, as Prometheus blocks,
 * promtool included), drain ... Figures are medians; the CPU time and peak memory are the kernel's
 * own accounting of the finished process (wait4). Nothing is asserted.
 */
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

#include "base/buf.h"
#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"

enum { ROUNDS_MAX = 21, DEADLINE_S = 240 };

static void die(const char *what)
{
    (void)fprintf(stderr, "endtoend: %s: %s\n", what, strerror(errno));
    exit(70);
}

struct figure {
    double events_per_s, cpu_ns_per_event, peak_mib;
};

/* --- processes -------------------------------------------------------------------------------- */

static pid_t spawn(const char *const argv[], const char *output)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        die("fork");
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

static int connect_to(unsigned port)
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

static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        die("no free port");
    (void)close(fd);
    return ntohs(at.sin_port);
}

static void wait_for_port(unsigned port)
{
    int64_t until = instant_monotonic_ns() + 20 * NS_PER_SECOND;
    for (int fd; (fd = connect_to(port)) < 0; (void)poll(NULL, 0, 20)) {
        if (instant_monotonic_ns() > until)
            die("the server does not listen");
    }
}

static struct figure figure_of(const struct rusage *usage, uint64_t events, double seconds)
{
    double cpu = (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e9 +
                 (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1e3;
    return (struct figure){(double)events / seconds, cpu / (double)events,
                           (double)usage->ru_maxrss / 1024};
}

/* --- the bare socket -------------------------------------------------------------------------- */

struct drain {
    int fd;
    char *bytes; /* a window on the stream of bytes: begin..end is unread */
    size_t begin, end, room;
};

static void send_text(int fd, const char *text)
{
    for (size_t left = strlen(text); left;) {
        ssize_t put = write(fd, text, left);
        if (put <= 0)
            die("write");
        text += put;
        left -= (size_t)put;
    }
}

static void fill(struct drain *d)
{
    if (d->begin) {
        memmove(d->bytes, d->bytes + d->begin, d->end - d->begin);
        d->end -= d->begin;
        d->begin = 0;
    }
    ssize_t got = read(d->fd, d->bytes + d->end, d->room - d->end);
    if (got <= 0)
        die("the server closed the connection");
    d->end += (size_t)got;
}

/* One protocol line without its CRLF, NUL-terminated in place. */
static char *line(struct drain *d)
{
    for (;;) {
        char *at = d->bytes + d->begin, *lf = memchr(at, '\n', d->end - d->begin);
        if (lf) {
            d->begin += (size_t)(lf - at) + 1;
            lf[-1] = 0;
            return at;
        }
        fill(d);
    }
}

static void skip(struct drain *d, size_t count)
{
    while (d->end - d->begin < count) {
        count -= d->end - d->begin;
        d->begin = d->end;
        fill(d);
    }
    d->begin += count;
}

/* Reads until `events` messages of the stream have passed; answers flow control. */
static void drain_all(struct drain *d, uint64_t events)
{
    for (uint64_t seen = 0; seen < events;) {
        char *text = line(d), *words[6];
        size_t count = 0;
        bool with_headers = text[0] == 'H';
        if (!strncmp(text, "PING", 4)) {
            send_text(d->fd, "PONG\r\n");
            continue;
        }
        if (text[0] != 'M' && !with_headers)
            continue;
        for (char *at = text, *next; at && count < ARRAY_LEN(words); at = next) {
            next = strchr(at, ' ');
            if (next)
                *next++ = 0;
            words[count++] = at;
        }
        /* MSG subject sid [reply] total; HMSG subject sid [reply] headers total */
        size_t total = strtoul(words[count - 1], NULL, 10);
        bool has_reply = count == (with_headers ? 6u : 5u);
        char answer[256] = "";
        if (has_reply && !strncmp(words[3], "$JS.ACK.", 8))
            seen++;
        else if (has_reply && with_headers)
            (void)snprintf(answer, sizeof answer, "PUB %s 0\r\n\r\n", words[3]);
        skip(d, total + 2);
        if (answer[0])
            send_text(d->fd, answer);
    }
}

static void drain_child(unsigned port, const char *stream, uint64_t events)
{
    struct drain d = {.fd = connect_to(port), .room = 1u << 20};
    d.bytes = xmalloc(d.room);
    char config[512], request[1024];
    int id = (int)getpid(); /* an inbox of its own: the last one's consumer lingers for 5 s */
    (void)snprintf(
        config, sizeof config,
        "{\"stream_name\":\"%s\",\"config\":{\"deliver_subject\":\"_INBOX.d%d\","
        "\"deliver_policy\":\"all\",\"ack_policy\":\"none\",\"max_deliver\":1,"
        "\"flow_control\":true,\"idle_heartbeat\":2000000000,\"replay_policy\":\"instant\","
        "\"mem_storage\":true,\"num_replicas\":1}}",
        stream, id);
    (void)snprintf(request, sizeof request,
                   "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB _INBOX.d%d 1\r\n"
                   "PUB $JS.API.CONSUMER.CREATE.%s _INBOX.r %zu\r\n%s\r\n",
                   id, stream, strlen(config), config);
    send_text(d.fd, request);
    drain_all(&d, events);
    _exit(0);
}

static struct figure measure_drain(unsigned port, uint64_t events)
{
    struct rusage usage;
    int status = 0;
    int64_t began = instant_monotonic_ns();
    pid_t pid = fork();
    if (pid == 0)
        drain_child(port, "CIM-EVENTS", events);
    if (wait4(pid, &status, 0, &usage) < 0 || status != 0)
        die("the drain failed");
    return figure_of(&usage, events, (double)(instant_monotonic_ns() - began) / 1e9);
}

/* --- the monitor ------------------------------------------------------------------------------ */

static bool is_ready(unsigned port)
{
    char answer[64] = "";
    int fd = connect_to(port);
    if (fd < 0)
        return false;
    send_text(fd, "GET /readyz HTTP/1.0\r\n\r\n");
    ssize_t got = read(fd, answer, sizeof answer - 1);
    (void)close(fd);
    return got > 0 && strstr(answer, " 200 ");
}

static struct figure measure_monitor(const char *program, const char *rules, const char *folder,
                                     unsigned port, uint64_t events, size_t round)
{
    struct rusage usage;
    int status = 0;
    unsigned metrics_port = free_port();
    CLEANUP_FREE char *url = xasprintf("nats://127.0.0.1:%u", port);
    CLEANUP_FREE char *state = xasprintf("%s/state-%zu", folder, round);
    CLEANUP_FREE char *log = xasprintf("%s/monitor.out", folder);
    CLEANUP_FREE char *metrics = xasprintf("%u", metrics_port);
    const char *argv[] = {program,   "monitor", "--nats",         url,     "--rules", rules,
                          "--state", state,     "--metrics-port", metrics, NULL};
    int64_t began = instant_monotonic_ns(), until = began + DEADLINE_S * NS_PER_SECOND;
    pid_t pid = spawn(argv, log);
    while (!is_ready(metrics_port)) {
        if (instant_monotonic_ns() > until || waitpid(pid, &status, WNOHANG) == pid)
            die("the monitor did not get ready; see monitor.out");
        (void)poll(NULL, 0, 10);
    }
    double seconds = (double)(instant_monotonic_ns() - began) / 1e9;
    (void)kill(pid, SIGTERM);
    if (wait4(pid, &status, 0, &usage) < 0 || status != 0)
        die("the monitor failed");
    return figure_of(&usage, events, seconds);
}

/* --- the history ------------------------------------------------------------------------------ */

/* What looks like the data folder of a Prometheus that is not running. */
static char *empty_data_folder(const char *folder, size_t round)
{
    struct error err = ERROR_NONE;
    char *data = xasprintf("%s/data-%zu", folder, round);
    CLEANUP_FREE char *wal = xasprintf("%s/wal", data);
    if (folder_create(wal, 0755, &err) < 0)
        die(err.text);
    return data;
}

static struct figure measure_backfill(const char *program, const char *rules, const char *folder,
                                      unsigned port, uint64_t events, size_t round)
{
    struct rusage usage;
    int status = 0;
    CLEANUP_FREE char *url = xasprintf("nats://127.0.0.1:%u", port);
    CLEANUP_FREE char *data = empty_data_folder(folder, round);
    CLEANUP_FREE char *log = xasprintf("%s/backfill.out", folder);
    const char *argv[] = {program,   "backfill",     "--nats",
                          url,       "--rules",      rules,
                          "--until", "0s",           "--prometheus-data",
                          data,      "--prometheus", "http://127.0.0.1:1",
                          NULL};
    int64_t began = instant_monotonic_ns();
    pid_t pid = spawn(argv, log);
    if (wait4(pid, &status, 0, &usage) < 0 || status != 0)
        die("backfill failed; see backfill.out");
    return figure_of(&usage, events, (double)(instant_monotonic_ns() - began) / 1e9);
}

/* --- figures ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct figure *figures, size_t count, size_t offset)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&figures[i] + offset, sizeof values[i]);
    qsort(values, count, sizeof values[0], compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static double median_ratio(const struct figure *a, const struct figure *b, size_t count)
{
    double values[ROUNDS_MAX];
    for (size_t i = 0; i < count; i++)
        values[i] = a[i].events_per_s / b[i].events_per_s;
    qsort(values, count, sizeof values[0], compare);
    return values[count / 2];
}

static void report(const struct figure *drain, const struct figure *monitor,
                   const struct figure *backfill, size_t rounds, uint64_t events, const char *json)
{
    const struct figure *rows[] = {drain, monitor, backfill};
    const char *names[] = {"bare socket drain", "cim-ops monitor", "cim-ops backfill"};
    CLEANUP_BUF struct buf out = {0};
    (void)printf("\n%-20s %14s %16s %12s\n", "end to end", "events/s", "CPU ns/event", "peak MiB");
    buf_addf(&out, "{\"bench\": \"endtoend\", \"events\": %llu, \"rounds\": %zu, \"rows\": [",
             (unsigned long long)events, rounds);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double rate = median(rows[i], rounds, offsetof(struct figure, events_per_s));
        double cpu = median(rows[i], rounds, offsetof(struct figure, cpu_ns_per_event));
        double peak = median(rows[i], rounds, offsetof(struct figure, peak_mib));
        (void)printf("%-20s %14.0f %16.0f %12.1f\n", names[i], rate, cpu, peak);
        buf_addf(&out,
                 "%s{\"name\": \"%s\", \"events_per_s\": %.0f, \"cpu_ns_per_event\": %.0f, "
                 "\"peak_mib\": %.1f}",
                 i ? ", " : "", names[i], rate, cpu, peak);
    }
    double ratio = median_ratio(monitor, drain, rounds);
    double history = median_ratio(backfill, monitor, rounds);
    (void)printf("\nmonitor / drain: %.2f (median of %zu pairs, %llu events each)\n", ratio, rounds,
                 (unsigned long long)events);
    (void)printf("backfill / monitor: %.2f\n", history);
    buf_addf(&out, "], \"ratio\": %.3f, \"backfill_ratio\": %.3f}\n", ratio, history);
    struct error err = ERROR_NONE;
    if (json && file_write_atomic(json, buf_slice(&out), 0644, &err) < 0)
        (void)fprintf(stderr, "endtoend: %s\n", err.text);
}

/* --- the run ---------------------------------------------------------------------------------- */

static char temp_folder[] = "/tmp/cim-ops-bench-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static void remove_temp(void)
{
    (void)nftw(temp_folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void run_to_end(const char *const argv[], const char *log)
{
    int status = 0;
    pid_t pid = spawn(argv, log);
    if (waitpid(pid, &status, 0) < 0 || status != 0) {
        (void)fprintf(stderr, "endtoend: %s %s failed; its output:\n", argv[0], argv[1]);
        CLEANUP_BUF struct buf text = {0};
        if (file_read(log, 1u << 20, &text, NULL) == 0)
            (void)fwrite(text.ptr, 1, text.len, stderr);
        exit(70);
    }
}

/* JetStream's API by hand: one publish, one reply. */
static void create_stream(unsigned port)
{
    struct drain d = {.fd = connect_to(port), .room = 1u << 16};
    d.bytes = xmalloc(d.room);
    const char *config =
        "{\"name\":\"CIM-EVENTS\",\"subjects\":[\"cim.>\",\"events.>\","
        "\"infrastructure.>\",\"agent.>\",\"person.>\",\"organization.>\",\"git.>\","
        "\"network.>\"],\"storage\":\"file\",\"retention\":\"limits\","
        "\"num_replicas\":1}";
    char request[1024];
    (void)snprintf(request, sizeof request,
                   "CONNECT {\"verbose\":false}\r\nSUB _INBOX.r 1\r\n"
                   "PUB $JS.API.STREAM.CREATE.CIM-EVENTS _INBOX.r %zu\r\n%s\r\n",
                   strlen(config), config);
    send_text(d.fd, request);
    while (strncmp(line(&d), "MSG _INBOX.r", 12) != 0) {
    }
    if (strstr(line(&d), "\"error\""))
        die("the stream cannot be created");
    (void)close(d.fd);
    free(d.bytes);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: endtoend CIM-OPS RULES [events] [rounds] [JSON file]\n");
        return 2;
    }
    uint64_t events = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;
    size_t rounds = argc > 4 ? strtoul(argv[4], NULL, 10) : 5;
    struct figure drain[ROUNDS_MAX], monitor[ROUNDS_MAX], backfill[ROUNDS_MAX];
    if (rounds < 1 || rounds > ROUNDS_MAX || !mkdtemp(temp_folder))
        die("temporary folder, or rounds");
    (void)atexit(remove_temp);

    unsigned port = free_port();
    CLEANUP_FREE char *port_text = xasprintf("%u", port), *store = xasprintf("%s/js", temp_folder),
                      *log = xasprintf("%s/log", temp_folder),
                      *url = xasprintf("nats://127.0.0.1:%u", port),
                      *count = xasprintf("%llu", (unsigned long long)events);
    const char *server[] = {"nats-server", "-a",  "127.0.0.1", "-p", port_text,
                            "-js",         "-sd", store,       NULL};
    pid_t nats = spawn(server, log);
    wait_for_port(port);
    create_stream(port);
    (void)printf("loading %s events ...\n", count);
    (void)fflush(stdout);
    const char *load[] = {argv[1],  "simulate", "--nats",  url,   "--rate", "max",
                          "--seed", "1",        "--count", count, NULL};
    run_to_end(load, log);
    events -= events /
              1000; /* a few may be refused by the server as repeated: read what surely is there */

    for (size_t i = 0; i < rounds; i++) {
        drain[i] = measure_drain(port, events);
        monitor[i] = measure_monitor(argv[1], argv[2], temp_folder, port, events, i);
        backfill[i] = measure_backfill(argv[1], argv[2], temp_folder, port, events, i);
        (void)printf("round %zu: drain %.0f/s at %.0f ns, monitor %.0f/s at %.0f ns CPU/event, "
                     "ratio %.2f; backfill %.0f/s, ratio %.2f\n",
                     i + 1, drain[i].events_per_s, drain[i].cpu_ns_per_event,
                     monitor[i].events_per_s, monitor[i].cpu_ns_per_event,
                     monitor[i].events_per_s / drain[i].events_per_s, backfill[i].events_per_s,
                     backfill[i].events_per_s / monitor[i].events_per_s);
        (void)fflush(stdout);
    }
    report(drain, monitor, backfill, rounds, events, argc > 5 ? argv[5] : NULL);
    (void)kill(nats, SIGTERM);
    (void)waitpid(nats, NULL, 0);
    return 0;
}
