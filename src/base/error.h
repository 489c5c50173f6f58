/*
 * error: what went wrong, for whom, and the exit code that says so.
 *
 * Functions that can fail return 0 or -1 (or a pointer or NULL) and take a `struct error *` last.
 * The text is written where the cause is first known; callers add context with error_wrap(); only
 * the program layer (main.c, a service's event) prints it. The storage is the caller's; NULL is
 * allowed and means that the caller does not care for the text.
 */
#pragma once

#include <stdarg.h>

/* Part of the API: the same for each verb (doc/operations/monitoring-guide.md, "Exit codes"). */
enum exit_code {
    EXIT_CODE_DONE = 0,        /* done, healthy */
    EXIT_CODE_PROBLEM = 1,     /* the check found a problem */
    EXIT_CODE_USAGE = 2,       /* usage or bad configuration */
    EXIT_CODE_UNREACHABLE = 3, /* NATS or another service unreachable */
    EXIT_CODE_REFUSED = 4,     /* refused by a guard */
    EXIT_CODE_DAMAGED = 5,     /* data damaged or incomplete */
    EXIT_CODE_INTERNAL = 70,   /* a defect of ours, or the system out of resources */
};

struct error {
    enum exit_code code;
    char text[1024];
};

#define ERROR_NONE ((struct error){0})

/* Both return -1, so that `return error_set(...)` is the usual form. Overlong text is cut. */
int error_set(struct error *err, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "<context>: " before the text that is there. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *exit_code_name(enum exit_code code);
