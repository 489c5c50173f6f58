/* cim-ops up: the whole local stack as child processes. */
#include "cmd/up.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/memory.h"
#include "cmd/place.h"
#include "stack/record.h"

#define READY_WITHIN_NS (120 * NS_PER_SECOND) /* --detach */
#define WATCH_MS        2000

/* --- the folder ------------------------------------------------------------------------------- */

static int refuse_second(const char *dir, struct error *err)
{
    struct record record;
    if (record_read(dir, &record, NULL) < 0)
        return -1; /* just starting, perhaps: what the lock said stands */
    if (record_is_alive(&record))
        error_set(err, EXIT_CODE_REFUSED,
                  "a stack runs already in %s (pid %d): 'cim-ops status --dir %s' shows it, "
                  "'cim-ops down --dir %s' stops it, --dir takes another folder",
                  dir, (int)record.pid, dir, dir);
    record_done(&record);
    return -1;
}

static int open_dir(struct up *up, struct error *err)
{
    CLEANUP_FREE char *wanted = place_stack_dir(up->values->dir, err);
    if (!wanted || folder_create(wanted, 0755, err) < 0)
        return -1;
    up->dir = realpath(wanted, NULL);
    if (!up->dir)
        return error_set(err, EXIT_CODE_USAGE, "%s: %s", wanted, strerror(errno));
    up->log_dir = xasprintf("%s/log", up->dir);
    if (record_lock(up->dir, &up->lock, err) < 0)
        return err->code == EXIT_CODE_REFUSED ? refuse_second(up->dir, err) : -1;
    record_remove(up->dir); /* of a stack that was killed */
    return folder_create(up->log_dir, 0755, err);
}

/* --- running ---------------------------------------------------------------------------------- */

static int supervise(struct up *up, struct error *err)
{
    struct stack_options options = {
        .parts = up->parts,
        .part_count = up->part_count,
        .log_dir = up->log_dir,
        .on_change = up_on_change,
        .on_tick = up_on_tick,
        .watch_url = up->watch_url,
        .watch_ms = WATCH_MS,
        .on_watch = up_on_metrics,
        .context = up,
    };
    if (stack_new(&options, &up->stack, err) < 0)
        return -1;
    up->since_ns = instant_now_ns();
    if (up->is_foreign) /* it has just been asked */
        stack_set_outside(up->stack, "nats", true);
    stack_run(up->stack);
    record_remove(up->dir);
    stack_free(up->stack);
    up->stack = NULL;
    return 0;
}

static int run_foreground(struct up *up, struct error *err)
{
    const char *terminal = getenv("TERM");
    up->is_live = isatty(1) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
    return supervise(up, err);
}

/* --- --detach --------------------------------------------------------------------------------- */

/* The child: a session of its own, its words into DIR/log/up.out. Does not return. */
__attribute__((noreturn)) static void run_background(struct up *up, int report)
{
    CLEANUP_FREE char *path = xasprintf("%s/up.out", up->log_dir);
    struct error err = ERROR_NONE;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    (void)setsid();
    if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        error_set(&err, EXIT_CODE_INTERNAL, "%s: %s", path, strerror(errno));
    up->report = report;
    up->report_until = instant_monotonic_ns() + READY_WITHIN_NS;
    if (!err.text[0])
        (void)supervise(up, &err);
    if (err.text[0]) {
        up->code = (int)err.code;
        up_report(up, up->code, slice_of(err.text));
    } else if (up->report >= 0) {
        up_report(up, EXIT_CODE_PROBLEM, SLICE("stopped before all parts were ready\n"));
    }
    _exit(up->code);
}

/* Reads the child's report to its end; a Ctrl-C meanwhile is for the child. */
static void await_report(pid_t child, int report, struct buf *ret)
{
    sigset_t set, before;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    CLEANUP_CLOSE int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
        struct pollfd fds[] = {{.fd = report, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        struct signalfd_siginfo info;
        (void)poll(fds, ARRAY_LEN(fds), -1);
        if (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
            (void)kill(child, SIGTERM);
        if (!fds[0].revents)
            continue;
        buf_reserve(ret, 4096);
        ssize_t got = read(report, ret->ptr + ret->len, 4096);
        if (got == 0 || (got < 0 && errno != EINTR))
            break;
        if (got > 0)
            ret->len += (size_t)got;
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static int run_detached(struct up *up, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "no pipe: %s", strerror(errno));
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "cannot fork: %s", strerror(errno));
    if (child == 0) {
        (void)close(ends[0]);
        run_background(up, ends[1]);
    }
    (void)close(ends[1]);
    CLEANUP_CLOSE int report = ends[0];
    CLEANUP_BUF struct buf text = {0};
    await_report(child, report, &text);

    int code = EXIT_CODE_INTERNAL;
    if (text.len < sizeof code)
        return error_set(err, EXIT_CODE_INTERNAL,
                         "the background process ended without a word; "
                         "see %s/up.out",
                         up->log_dir);
    memcpy(&code, text.ptr, sizeof code);
    struct slice words = slice_from(buf_slice(&text), sizeof code);
    if (code != EXIT_CODE_DONE) {
        (void)waitpid(child, NULL, 0); /* until all has stopped */
        (void)fprintf(stderr, "cim-ops up: %.*s", SLICE_ARG(words));
    } else {
        (void)printf("%.*s", SLICE_ARG(words));
    }
    up->code = code;
    return 0;
}

/* --- the verb --------------------------------------------------------------------------------- */

static int up_steps(struct up *up, struct error *err)
{
    if (up_check_options(up, err) < 0 || open_dir(up, err) < 0 || up_find_programs(up, err) < 0 ||
        up_settle_ports(up, err) < 0 || up_write_files(up, err) < 0)
        return -1;
    up_make_parts(up);
    if (up->is_foreign && up_check_server(up, err) < 0)
        return -1;
    if (up->is_foreign)
        (void)fprintf(stderr,
                      "cim-ops up: %s is not our server: nothing is created there but the stream "
                      "CIM-OPS%s\n",
                      up->nats_place,
                      up->values->demo ? ", and --demo is left out: no made-up events go there"
                                       : "");
    return up->values->detach ? run_detached(up, err) : run_foreground(up, err);
}

static int up_run(const void *values, int count, char **operands, struct error *err)
{
    (void)count, (void)operands;
    struct up up = {.values = values, .lock = -1, .report = -1, .code = EXIT_CODE_DONE};
    if (up_steps(&up, err) < 0)
        up.code = (int)err->code;
    up_free_parts(&up);
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        free(up.programs[i]);
    free(up.own_program);
    free(up.rules_dir);
    free(up.log_dir);
    free(up.dir);
    if (up.lock >= 0)
        (void)close(up.lock);
    return up.code;
}

static const struct option_spec options[] = {
    {.name = "dir",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct up_values, dir),
     .help = "where the stack keeps everything (default $XDG_STATE_HOME/cim-ops, else "
             "~/.local/state/cim-ops)"},
    {.name = "demo",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct up_values, demo),
     .help = "also publish gentle, made-up CIM traffic (never into a server that is not ours)"},
    {.name = "detach",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct up_values, detach),
     .help = "return once all parts are ready, and leave them running"},
    {.name = "nats",
     .arg = "URL",
     .kind = OPTION_STRING,
     .env = "NATS_URL",
     .offset = offsetof(struct up_values, nats.url),
     .help = "use this NATS server and start none"},
    {.name = "creds",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .env = "NATS_CREDS",
     .offset = offsetof(struct up_values, nats.creds),
     .help = "NATS credentials file"},
    {.name = "tls-ca",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .offset = offsetof(struct up_values, nats.tls_ca),
     .help = "CA certificates to trust for NATS"},
    {.name = "tls-cert",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .offset = offsetof(struct up_values, nats.tls_cert),
     .help = "client certificate for NATS"},
    {.name = "tls-key",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .offset = offsetof(struct up_values, nats.tls_key),
     .help = "key of the client certificate"},
    {.name = "bind",
     .arg = "ADDRESS",
     .kind = OPTION_STRING,
     .fallback = "127.0.0.1",
     .offset = offsetof(struct up_values, bind),
     .help = "IPv4 address that all parts listen on"},
#define PORT(option, field, number, what)                                                          \
    {                                                                                              \
        .name = (option), .arg = "PORT", .kind = OPTION_PORT, .fallback = (number),                \
        .offset = offsetof(struct up_values, field), .help = (what)                                \
    }
    PORT("nats-port", nats_port, "4222", "of NATS; 0, as for all ports: any that is free"),
    PORT("nats-http-port", nats_http_port, "8222", "of NATS's monitoring pages"),
    PORT("metrics-port", metrics_port, "9091", "of the event monitor"),
    PORT("prometheus-port", prometheus_port, "9090", "of Prometheus"),
    PORT("alertmanager-port", alertmanager_port, "9093", "of Alertmanager"),
    PORT("web-port", web_port, "3000", "of the viewer"),
};

static const char details[] =
    "Starts the parts as child processes and keeps them running: one that dies comes back\n"
    "after 0.5 s, then 1 s, 2 s ... 30 s; after five deaths within 10 s of their start it is\n"
    "shown as failed, with what it printed last. Ctrl-C or SIGTERM stops all within 5 s. No\n"
    "part outlives this process, however it ends.\n"
    "\n"
    "On a terminal it shows a live table, in a pipe one line per change. DIR holds the\n"
    "generated configurations (edit one and it is kept), the data, and log/<part>.out.\n"
    "\n"
    "In a NATS server of its own it creates the streams CIM-EVENTS and CIM-OPS. In one that\n"
    "you name with --nats it creates CIM-OPS (ops.>, and JetStream's advisories where they are\n"
    "observed) and nothing else.\n"
    "\n"
    "Exit codes: 0 stopped as asked; 2 bad options; 3 a program is not installed, the named\n"
    "NATS server does not answer, or with --detach a part did not become ready; 4 a port is\n"
    "taken or a stack runs already in DIR; 70 internal.";

const struct command command_up = {
    .name = "up",
    .summary = "run the whole local stack: NATS, event monitor, Prometheus, Alertmanager",
    .operands = "",
    .details = details,
    .example = "cim-ops up --demo",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct up_values),
    .run = up_run,
};
