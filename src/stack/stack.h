/*
 * stack: a table of parts, kept running.
 *
 * A part is a program started directly as a child (child.h), a one-shot task, or something outside
 * that is only shown. Parts start when the part they need is ready, are watched by an HTTP check,
 * start again after a death with a growing delay (backoff.h), and stop in the reverse order of the
 * table.
 *
 *   waiting --> starting --> running <--> unresponsive     any --> stopping --> stopped
 *                 ^   |          |              |
 *                 |   v          v              v           a task: starting --> done
 *              restarting <---------------------+
 *                 |
 *                 v five quick deaths
 *               failed
 *
 * One thread, the main thread of the process (see child.h). Signals: SIGINT, SIGTERM, SIGHUP and
 * SIGQUIT stop the stack; a second one kills what is left at once.
 */
#pragma once

#include <sys/types.h>

#include "base/instant.h"
#include "stack/child.h"
#include "stack/output.h"

#define STACK_PARTS_MAX 16
#define STACK_STOP_MS   5000 /* all parts together, SIGKILL included */

enum part_state {
    PART_WAITING,      /* for the part that it needs */
    PART_STARTING,     /* runs, its check has not passed yet */
    PART_RUNNING,      /* ready */
    PART_UNRESPONSIVE, /* runs, but its check has failed several times in a row */
    PART_RESTARTING,   /* died, starts again after its delay */
    PART_FAILED,       /* died quickly too often; given up */
    PART_DONE,         /* a task that ended well */
    PART_STOPPING,
    PART_STOPPED,
};

const char *part_state_name(enum part_state state);
/* False: no such name. */
bool part_state_parse(struct slice name, enum part_state *ret);
/* As it should be: running or done. */
bool part_state_is_well(enum part_state state);

/* All texts are the caller's and outlive the stack. */
struct part_spec {
    const char *name;
    struct child_spec child; /* neither program nor task: outside, only shown */
    const char *url;         /* shown; NULL for none */
    const char *ready_url;   /* answers 200 when the part is ready; NULL: ready once started */
    const char *needs;       /* name of an earlier part that must be ready first; NULL: none */
    unsigned stop_ms;        /* between SIGTERM and SIGKILL; the sum stays below STACK_STOP_MS */
};

/* What is known of a part; read-only for the caller. */
struct part {
    const struct part_spec *spec;
    enum part_state state;
    int64_t since_ns; /* wall clock: when it came into this state */
    unsigned restarts;
    pid_t pid;      /* 0: no process */
    char note[200]; /* why it is so: how it died, what a task said; may be empty */
    struct output output;
};

struct stack;

struct stack_options {
    const struct part_spec *parts;
    size_t part_count;
    const char *log_dir; /* <part>.out files; the folder exists */
    /* Each change of a part's state, at once. */
    void (*on_change)(void *context, const struct part *part);
    /* After changes (changed) and about once a second; the place to draw and to record. */
    void (*on_tick)(void *context, bool changed);
    /* Fetched every watch_ms while the stack runs; NULL: nothing. status 0: no answer. */
    const char *watch_url;
    int watch_ms;
    void (*on_watch)(void *context, long status, struct slice body);
    void *context;
};

int stack_new(const struct stack_options *options, struct stack **ret, struct error *err);
void stack_free(struct stack *stack);
/* Runs until a signal or stack_stop(), and until every child is gone. */
void stack_run(struct stack *stack);
void stack_stop(struct stack *stack);
bool stack_is_stopping(const struct stack *stack);

size_t stack_part_count(const struct stack *stack);
const struct part *stack_part(const struct stack *stack, size_t index);
/* For a part outside: what the caller has found out about it. */
void stack_set_outside(struct stack *stack, const char *name, bool is_up);
