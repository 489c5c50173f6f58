/* cim-ops web: the viewer. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/place.h"
#include "fold/rules.h"
#include "serve/viewer.h"
#include "stack/record.h"

struct web_values {
    struct nats_values nats;
    const char *bind, *prometheus, *rules, *stack;
    const char *web_cert, *web_key, *users, *tokens, *add_user;
    bool add_token;
    struct option_list dashboards;
    uint64_t port;
};

static const struct option_spec options[] = {
    NATS_OPTIONS(struct web_values, nats),
    {.name = "port",
     .arg = "PORT",
     .kind = OPTION_PORT,
     .fallback = "3000",
     .offset = offsetof(struct web_values, port),
     .help = "port to listen on; 0: a free one"},
    {.name = "bind",
     .arg = "ADDRESS",
     .kind = OPTION_STRING,
     .fallback = "127.0.0.1",
     .offset = offsetof(struct web_values, bind),
     .help = "address to listen on"},
    {.name = "prometheus",
     .arg = "URL",
     .kind = OPTION_STRING,
     .env = "PROMETHEUS_URL",
     .fallback = "http://127.0.0.1:9090",
     .offset = offsetof(struct web_values, prometheus),
     .help = "where the figures come from"},
    {.name = "dashboards",
     .arg = "DIR",
     .kind = OPTION_LIST,
     .offset = offsetof(struct web_values, dashboards),
     .help = "folder of more dashboards (Grafana JSON); may be given several times"},
    {.name = "rules",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, rules),
     .help = "folder of envelopes.yaml (default: the one shipped)"},
    {.name = "web-cert",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, web_cert),
     .help = "certificate (PEM) to serve HTTPS with"},
    {.name = "web-key",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, web_key),
     .help = "and its key"},
    {.name = "users",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, users),
     .help = "who may look, with a password each (Argon2 hashes)"},
    {.name = "tokens",
     .arg = "FILE",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, tokens),
     .help = "tokens with which programs may look (SHA-256 digests)"},
    {.name = "add-user",
     .arg = "NAME",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, add_user),
     .help = "put a user into --users, or change the password; asks for it, or reads a line"},
    {.name = "add-token",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct web_values, add_token),
     .help = "put a new token into --tokens and print it, once"},
    {.name = "stack",
     .arg = "DIR",
     .kind = OPTION_STRING,
     .offset = offsetof(struct web_values, stack),
     .help = "folder of a local stack to show (cim-ops up)"},
};

/* Ctrl-C and SIGTERM are waited for, not handled: no thread is interrupted. */
static void wait_for_end(void)
{
    sigset_t ends;
    int which;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    while (sigwait(&ends, &which) != 0)
        ;
}

static void block_ends(void)
{
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* What `up` leaves in its folder, as it is. */
static bool read_stack(void *context, struct buf *ret)
{
    const char *dir = context;
    struct record record;
    struct error ignored = ERROR_NONE;
    if (!dir || record_read(dir, &record, &ignored) < 0)
        return false;
    CLEANUP_FREE char *path = xasprintf("%s/" RECORD_NAME, dir);
    bool alive = record_is_alive(&record) && file_read(path, 1 << 20, ret, &ignored) == 0;
    record_done(&record);
    return alive;
}

static bool is_address(const char *text)
{
    struct in6_addr bytes;
    return inet_pton(AF_INET, text, &bytes) == 1 || inet_pton(AF_INET6, text, &bytes) == 1;
}

/* Of an address. */
static bool is_loopback(const char *address)
{
    return !strncmp(address, "127.", 4) || !strcmp(address, "::1");
}

/* --- users and tokens ------------------------------------------------------------------------- */

/* One line, without echo when a person types it. */
static int ask_password(const char *prompt, char *ret, size_t room, struct error *err)
{
    struct termios shown, hidden;
    bool is_person = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &shown) == 0;
    if (is_person) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)fprintf(stderr, "%s", prompt);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    bool got = fgets(ret, (int)room, stdin) != NULL;
    if (is_person) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        (void)fprintf(stderr, "\n");
    }
    if (!got)
        return error_set(err, EXIT_CODE_USAGE, "a password was expected, on a line of its own");
    ret[strcspn(ret, "\r\n")] = 0;
    return 0;
}

static int add_user(const struct web_values *values, struct error *err)
{
    char first[ACCESS_PASSWORD_MAX + 16], again[sizeof first];
    if (!values->users)
        return error_set(err, EXIT_CODE_USAGE, "--add-user: --users FILE says where to put it");
    int rc = ask_password("Password: ", first, sizeof first, err);
    if (rc == 0 && isatty(STDIN_FILENO) == 1) {
        rc = ask_password("Again: ", again, sizeof again, err);
        if (rc == 0 && strcmp(first, again) != 0)
            rc = error_set(err, EXIT_CODE_USAGE, "the two differ: nothing was changed");
    }
    if (rc == 0)
        rc = access_set_password(values->users, values->add_user, slice_of(first), err);
    explicit_bzero(first, sizeof first);
    explicit_bzero(again, sizeof again);
    return rc;
}

static int add_token(const struct web_values *values, struct error *err)
{
    char token[44];
    if (!values->tokens)
        return error_set(err, EXIT_CODE_USAGE, "--add-token: --tokens FILE says where to put it");
    if (access_add_token(values->tokens, token, err) < 0)
        return -1;
    (void)printf("%s\n", token);
    explicit_bzero(token, sizeof token);
    return 0;
}

/* --- serving ---------------------------------------------------------------------------------- */

struct safety {
    struct access *access;
    struct buf cert, key;
};

static void safety_done(struct safety *safety)
{
    access_free(safety->access);
    buf_done(&safety->cert);
    if (safety->key.ptr)
        explicit_bzero(safety->key.ptr, safety->key.len);
    buf_done(&safety->key);
}

/* Other machines: only with TLS and users. */
static int make_safe(const struct web_values *values, struct safety *ret, struct error *err)
{
    enum { PEM_BYTES_MAX = 1 << 20 };
    if (!values->web_cert != !values->web_key)
        return error_set(err, EXIT_CODE_USAGE, "--web-cert and --web-key belong together");
    if (!is_address(values->bind))
        return error_set(err, EXIT_CODE_USAGE,
                         "--bind: '%s' is no IP address to listen on; for example 127.0.0.1",
                         values->bind);
    bool has_users = values->users || values->tokens;
    if (!is_loopback(values->bind) && (!values->web_cert || !has_users))
        return error_set(err, EXIT_CODE_REFUSED,
                         "--bind %s lets other machines look: that takes TLS (--web-cert, "
                         "--web-key) and users (--users or --tokens)",
                         values->bind);
    if (has_users && access_load(&ret->access, values->users, values->tokens, err) < 0)
        return -1;
    if (!values->web_cert)
        return 0;
    struct stat info;
    if (stat(values->web_key, &info) == 0 && info.st_mode & S_IRWXO)
        return error_set(err, EXIT_CODE_USAGE,
                         "--web-key: %s: everybody on this machine may read it; chmod o= %s",
                         values->web_key, values->web_key);
    if (file_read(values->web_cert, PEM_BYTES_MAX, &ret->cert, err) < 0 ||
        file_read(values->web_key, PEM_BYTES_MAX, &ret->key, err) < 0) {
        err->code = EXIT_CODE_USAGE;
        return -1;
    }
    return 0;
}

static int serve(const struct web_values *values, struct safety *safety, const char *rules,
                 struct error *err)
{
    struct viewer *viewer = NULL;
    struct viewer_options service = {
        .address = values->bind,
        .port = (unsigned)values->port,
        .boards = {values->dashboards.items, values->dashboards.count},
        .prometheus = values->prometheus,
        .nats = nats_bus_options(&values->nats, "cim-ops web"),
        .rules_folder = rules,
        .stack = read_stack,
        .stack_context = (void *)(uintptr_t)values->stack,
        .tls_cert = safety->cert.len ? buf_cstr(&safety->cert) : NULL,
        .tls_key = safety->key.len ? buf_cstr(&safety->key) : NULL,
        .access = safety->access,
    };
    struct rules *loaded = NULL; /* said at once rather than with the first event */
    if (rules_load(rules, &loaded, err) < 0)
        return EXIT_CODE_USAGE;
    rules_free(loaded);
    block_ends();
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    if (viewer_start(&viewer, &service, err) < 0)
        return (int)err->code;
    bool is_v6 = strchr(values->bind, ':') != NULL;
    (void)printf("cim-ops web: %s://%s%s%s:%u\n", service.tls_cert ? "https" : "http",
                 is_v6 ? "[" : "", values->bind, is_v6 ? "]" : "", viewer_port(viewer));
    (void)fflush(stdout);
    wait_for_end();
    viewer_stop(viewer);
    return EXIT_CODE_DONE;
}

static int run(const void *opaque, int count, char **operands, struct error *err)
{
    const struct web_values *values = opaque;
    (void)count;
    (void)operands;
    if (values->add_user || values->add_token) {
        int rc = values->add_user ? add_user(values, err) : add_token(values, err);
        return rc < 0 ? (int)err->code : EXIT_CODE_DONE;
    }
    CLEANUP_FREE char *rules = values->rules ? xstrdup(values->rules) : place_shipped("rules");
    if (!rules)
        (void)error_set(err, EXIT_CODE_USAGE,
                        "the shipped rules were not found; name the folder by --rules DIR");
    if (!rules || nats_values_check(&values->nats, err) < 0)
        return EXIT_CODE_USAGE;
    struct safety safety = {0};
    int code =
        make_safe(values, &safety, err) < 0 ? (int)err->code : serve(values, &safety, rules, err);
    safety_done(&safety);
    return code;
}

const struct command command_web = {
    .name = "web",
    .summary = "the viewer: dashboards, events, alerts in a browser",
    .operands = "",
    .details =
        "Shows Grafana dashboards without Grafana, and the events themselves. It only reads, and\n"
        "needs nothing from the internet. Without users it serves this machine only; another\n"
        "--bind takes TLS and users: --add-user NAME --users FILE asks for a password and puts\n"
        "its Argon2 hash into the file. doc/viewer.md tells more.",
    .example = "cim-ops web --dashboards /etc/cim-ops/dashboards\n"
               "  cim-ops web --bind 0.0.0.0 --web-cert cert.pem --web-key key.pem --users users",
    .options = options,
    .option_count = ARRAY_LEN(options),
    .values_size = sizeof(struct web_values),
    .run = run,
};
