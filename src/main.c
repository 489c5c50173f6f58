/* The table of contents: every verb of cim-ops, and the one place that prints an error. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/shown.h"
#include "cmd/command.h"

static const struct command *const commands[] = {
    &command_up,       /* the whole local stack: NATS, monitor, Prometheus, Alertmanager */
    &command_status,   /* what that stack is doing */
    &command_down,     /* stop it */
    &command_monitor,  /* the event monitor: event streams in, metrics out */
    &command_observe,  /* NATS servers, the machine, its GPUs: what is seen becomes events */
    &command_gpu,      /* the GPUs of all machines, and how they are */
    &command_rules,    /* check rules, list the metrics they make */
    &command_backfill, /* the history of metrics, into Prometheus */
    &command_replay,   /* stored events once more: exact, resumable, verified */
    &command_derive,   /* fold a file of events and print the metrics */
    &command_inspect,  /* the event view of messages in a file */
    &command_events,   /* the events themselves: tail, query, stats */
    &command_web,      /* the viewer: dashboards, events, alerts in a browser */
    &command_simulate, /* CIM traffic in the real shapes */
};

static const size_t command_count = sizeof commands / sizeof *commands;

static int print_help(FILE *out)
{
    (void)fprintf(out, "cim-ops: the operations system of the Composable Information Machine\n\n"
                       "Usage: cim-ops VERB [options]\n\nVerbs:\n");
    for (size_t i = 0; i < command_count; i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(out,
                  "\n'cim-ops VERB --help' tells more, with an example.\n"
                  "Exit codes: 0 done, 1 the check found a problem, 2 usage or bad configuration,\n"
                  "3 NATS or another service unreachable, 4 refused by a guard, 5 data damaged or\n"
                  "incomplete, 70 internal.\n");
    return out == stdout ? EXIT_CODE_DONE : EXIT_CODE_USAGE;
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return print_help(stderr);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return print_help(stdout);
    if (!strcmp(argv[1], "--version"))
        return printf("cim-ops %s\n", CIM_OPS_VERSION) < 0;
    command_set_table(commands, command_count);
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(argv[1], commands[i]->name) != 0)
            continue;
        struct error err = ERROR_NONE;
        int code = command_run(commands[i], argc - 2, argv + 2, &err);
        if (code != EXIT_CODE_DONE && err.text[0])
            shown_error("cim-ops %s: %s\n", argv[1], err.text);
        return code;
    }
    shown_error("cim-ops: unknown verb '%s'; 'cim-ops --help' lists them\n", argv[1]);
    return EXIT_CODE_USAGE;
}

/* What did not reach its place was not done, whatever the verb thinks. */
int main(int argc, char **argv)
{
    int code = run(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_CODE_DONE) {
        shown_error("cim-ops: the output could not be written: %s\n", strerror(errno));
        return EXIT_CODE_INTERNAL;
    }
    return code;
}
