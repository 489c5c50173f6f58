/*
 * command: one verb of the program, declared as data.
 *
 * A verb is a `struct command`: its name, help, example, option table and handler. Parsing,
 * `--help`, environment variables and the configuration file all walk the same table, so they
 * cannot disagree.
 *
 * Precedence of a value: command line, environment, section of the verb in --config FILE, top level
 * of
 * --config FILE, the default in the table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "bus/bus.h"

enum option_kind {
    OPTION_FLAG,     /* bool */
    OPTION_STRING,   /* const char *; NULL when not given and without a default */
    OPTION_U64,      /* uint64_t within min..max */
    OPTION_PORT,     /* uint64_t, 0 to 65535; 0 asks the system for a free one */
    OPTION_DURATION, /* int64_t nanoseconds: 10s, 250ms, 5m, 2h, 1d */
    OPTION_SIZE,     /* uint64_t bytes: 512, 64KiB, 8MiB, 1GiB */
    OPTION_LIST,     /* struct option_list: may be given several times */
    OPTION_TIME,     /* int64_t nanoseconds since 1970: RFC 3339, or a duration before now */
};

#define OPTION_LIST_MAX 64
struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
};

struct option_spec {
    const char *name; /* without the dashes */
    const char *arg;  /* what stands for the value in --help; NULL for a flag */
    const char *help;
    enum option_kind kind;
    size_t offset; /* of the field in the verb's option struct */
    const char *fallback;
    const char *env;
    uint64_t min, max; /* max 0: no bound */
};

struct command {
    const char *name;
    const char *summary;
    const char *operands; /* e.g. "FILE|-", or "" when there are none */
    const char *details;  /* paragraphs for --help, or NULL */
    const char *example;
    const struct option_spec *options;
    size_t option_count;
    size_t values_size; /* of the option struct, which is zeroed before parsing */
    int operands_min, operands_max;
    /* `operands` are the `count` words that are not options. Returns an exit code; with err->text
     * set when that is not 0 and the verb has not spoken for itself. */
    int (*run)(const void *values, int count, char **operands, struct error *err);
};

/* Parses argv (without the verb itself) and runs. Returns the exit code; err as for `run`. */
int command_run(const struct command *command, int argc, char **argv, struct error *err);
/* Which verbs there are: keys of --config FILE are held against all of them. Before command_run().
 */
void command_set_table(const struct command *const *commands, size_t count);
void command_print_help(const struct command *command);

/* Options that many verbs share; `field` is a struct nats_values in the verb's option struct. */
struct nats_values {
    const char *url, *creds, *tls_ca, *tls_cert, *tls_key;
};

#define NATS_OPTIONS(type, field)                                                                  \
    {.name = "nats",                                                                               \
     .arg = "URL",                                                                                 \
     .help = "NATS server, or several with commas between",                                        \
     .kind = OPTION_STRING,                                                                        \
     .offset = offsetof(type, field.url),                                                          \
     .env = "NATS_URL",                                                                            \
     .fallback = "nats://127.0.0.1:4222"},                                                         \
        {.name = "creds",                                                                          \
         .arg = "FILE",                                                                            \
         .help = "NATS credentials file (JWT and nkey)",                                           \
         .kind = OPTION_STRING,                                                                    \
         .offset = offsetof(type, field.creds),                                                    \
         .env = "NATS_CREDS"},                                                                     \
        {.name = "tls-ca",                                                                         \
         .arg = "FILE",                                                                            \
         .help = "CA certificates to trust for NATS",                                              \
         .kind = OPTION_STRING,                                                                    \
         .offset = offsetof(type, field.tls_ca)},                                                  \
        {.name = "tls-cert",                                                                       \
         .arg = "FILE",                                                                            \
         .help = "client certificate for NATS",                                                    \
         .kind = OPTION_STRING,                                                                    \
         .offset = offsetof(type, field.tls_cert)},                                                \
    {                                                                                              \
        .name = "tls-key", .arg = "FILE", .help = "key of the client certificate",                 \
        .kind = OPTION_STRING, .offset = offsetof(type, field.tls_key)                             \
    }

/* Files that must be readable, options that belong together. EXIT_CODE_USAGE, naming the option. */
int nats_values_check(const struct nats_values *values, struct error *err);
/* What a connection under this name (bus_options.name) takes from them. */
struct bus_options nats_bus_options(const struct nats_values *values, const char *name);

/* The verbs; main.c lists them. */
extern const struct command command_up;
extern const struct command command_status;
extern const struct command command_down;
extern const struct command command_monitor;
extern const struct command command_observe;
extern const struct command command_gpu;
extern const struct command command_rules;
extern const struct command command_derive;
extern const struct command command_backfill;
extern const struct command command_replay;
extern const struct command command_inspect;
extern const struct command command_events;
extern const struct command command_web;
extern const struct command command_simulate;
