/*
 * server: what the benchmarks with a real nats-server share: processes, one server, JetStream's API
 * by hand, figures of the kernel's own accounting, medians.
 *
 * Nothing here may fail: what goes wrong ends the program with a word on stderr. No client library
 * is used in this process, so that a forked peer may use it, and the process stays small, since a
 * child's peak memory counts from its parent's.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"

enum { BENCH_ROUNDS_MAX = 21 };

extern const char *bench_name; /* of the program, for messages */
_Noreturn void bench_die(const char *what);

/* --- processes -------------------------------------------------------------------------------- */

/* Found by PATH, both outputs appended to a file; dies with us. */
pid_t bench_spawn(const char *const argv[], const char *output);
/* Until it has ended well. */
void bench_run(const char *const argv[], const char *log);

struct figure {
    double events_per_s, cpu_ns_per_event, peak_mib;
};
/* Waits for a child that was started at began_ns (monotonic) and is to end well. */
struct figure bench_wait(pid_t pid, uint64_t events, int64_t began_ns, const char *what);
/* The same by another end: seconds were measured elsewhere. */
struct figure bench_wait_as(pid_t pid, uint64_t events, double seconds, const char *what);

/* --- the server ------------------------------------------------------------------------------- */

struct bench_server {
    unsigned port;
    pid_t pid;
    char folder[32]; /* temporary, removed at the end of this process */
    char *url, *log;
};

unsigned bench_free_port(void);
int bench_connect(unsigned port); /* -1: nobody listens */
void bench_send(int fd, const char *text);
/* In a folder of its own, with JetStream. */
void bench_server_start(struct bench_server *server);
void bench_server_stop(struct bench_server *server);
/* One request to $JS.API.<name>. False: there is an error in the reply. */
bool bench_api(const struct bench_server *server, const char *name, const char *request,
               struct buf *ret);
/* CIM-EVENTS, and `count` events of `cim-ops simulate` in it. Returns how many it holds. */
uint64_t bench_load(const struct bench_server *server, const char *program, uint64_t count);

/* --- medians ---------------------------------------------------------------------------------- */

/* `offset`: of a double in the figures. */
double bench_median(const struct figure *figures, size_t count, size_t offset);
/* Of the pairs' events/s. */
double bench_median_ratio(const struct figure *a, const struct figure *b, size_t count);
