/*
 * up: what the steps of `cim-ops up` share. Private to src/cmd/up*.c.
 *
 *   up.c          the verb: options, the order of the steps, --detach
 *   up_prepare.c  programs, ports, generated files
 *   up_parts.c    the table of parts
 *   up_streams.c  the streams of our own, made by a task
 *   up_view.c     what is shown and recorded while it runs
 */
#pragma once

#include <netinet/in.h>

#include "cmd/command.h"
#include "stack/rate.h"
#include "stack/stack.h"

struct up_values {
    struct nats_values nats; /* url NULL: a server of our own */
    const char *dir, *bind;
    uint64_t nats_port, nats_http_port, prometheus_port, metrics_port, alertmanager_port, web_port;
    bool demo, detach;
};

enum up_port {
    PORT_NATS,
    PORT_NATS_HTTP,
    PORT_METRICS,
    PORT_PROMETHEUS,
    PORT_ALERTMANAGER,
    PORT_WEB,
    PORT_COUNT,
};

enum up_program { PROGRAM_NATS, PROGRAM_PROMETHEUS, PROGRAM_ALERTMANAGER, PROGRAM_COUNT };

#define UP_WORDS_MAX 24

/* One command line in the making; `owned` of its words are freed with it. */
struct up_words {
    char *items[UP_WORDS_MAX + 1];
    size_t count;
};

struct up {
    const struct up_values *values;
    char *dir, *log_dir;
    int lock;
    bool is_foreign;            /* the NATS server is not ours */
    char host[INET_ADDRSTRLEN]; /* at which the parts reach each other */
    uint16_t ports[PORT_COUNT];
    char *programs[PROGRAM_COUNT], *own_program;
    char *rules_dir; /* NULL: none found */

    /* up_parts.c */
    struct part_spec parts[STACK_PARTS_MAX];
    size_t part_count;
    struct up_words words[STACK_PARTS_MAX];
    char *texts[32]; /* URLs and the like that parts point to */
    size_t text_count;
    char *nats_url;   /* with its credentials: for the environment of children, never shown */
    char *nats_place; /* without them */
    char *env[2];     /* NATS_URL=... */

    /* while it runs */
    struct stack *stack;
    int64_t since_ns;
    struct rate rate;
    char *watch_url;
    bool is_live;       /* draw a table in place, rather than a line per change */
    size_t lines_drawn; /* of that table */
    bool record_failed;
    int report;           /* --detach: where the waiting parent reads; -1 */
    int64_t report_until; /* monotonic */
    int code;             /* what the program ends with */
};

/* up_prepare.c: each sets err and returns -1 where it cannot go on */
int up_find_programs(struct up *up, struct error *err);
int up_settle_ports(struct up *up, struct error *err);
int up_write_files(struct up *up, struct error *err);
/* The values of --bind and NATS; before the others. */
int up_check_options(struct up *up, struct error *err);

/* up_parts.c */
void up_make_parts(struct up *up);
void up_free_parts(struct up *up);

/* up_streams.c */
int up_streams_task(void *up);
/* Does the foreign server answer? In a child of its own, so that this process has no other threads.
 */
int up_check_server(struct up *up, struct error *err);

/* up_view.c: the callbacks of struct stack_options, `context` is the struct up */
void up_on_change(void *context, const struct part *part);
void up_on_tick(void *context, bool changed);
void up_on_metrics(void *context, long status, struct slice body);
/* --detach: tells the parent how it went and lets it go. */
void up_report(struct up *up, int code, struct slice text);
