/* What `up` needs before anything starts: programs, ports, files. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/memory.h"
#include "cmd/place.h"
#include "cmd/up.h"
#include "stack/config.h"
#include "stack/generated.h"
#include "stack/process.h"

int up_check_options(struct up *up, struct error *err)
{
    struct in_addr address;
    const char *bind = up->values->bind;
    if (inet_pton(AF_INET, bind, &address) != 1)
        return error_set(err, EXIT_CODE_USAGE, "--bind: '%s' is not an IPv4 address", bind);
    bool is_any = address.s_addr == htonl(INADDR_ANY);
    (void)snprintf(up->host, sizeof up->host, "%s", is_any ? "127.0.0.1" : bind);
    if (up->values->dir && !up->values->dir[0])
        return error_set(err, EXIT_CODE_USAGE, "--dir: a folder was expected, this is empty");
    if (nats_values_check(&up->values->nats, err) < 0)
        return -1;
    up->is_foreign = up->values->nats.url != NULL;
    return 0;
}

/* --- programs --------------------------------------------------------------------------------- */

static const struct {
    const char *names[2];
    const char *package;
    const char *otherwise;
} programs[PROGRAM_COUNT] = {
    [PROGRAM_NATS] = {{"nats-server"}, "nats-server", ", or name a running server with --nats URL"},
    [PROGRAM_PROMETHEUS] = {{"prometheus"}, "prometheus", ""},
    [PROGRAM_ALERTMANAGER] = {{"prometheus-alertmanager", "alertmanager"},
                              "prometheus-alertmanager",
                              ""},
};

int up_find_programs(struct up *up, struct error *err)
{
    up->own_program = place_own_program();
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        if (i == PROGRAM_NATS && up->is_foreign)
            continue;
        for (size_t n = 0; n < 2 && programs[i].names[n] && !up->programs[i]; n++)
            up->programs[i] = place_program(programs[i].names[n]);
        if (!up->programs[i])
            return error_set(err, EXIT_CODE_UNREACHABLE,
                             "%s is not installed (looked in PATH, /usr/sbin, /usr/local/bin, "
                             "/usr/local/sbin and ~/go/bin): install the Debian package %s "
                             "(apt-get install %s)%s",
                             programs[i].names[0], programs[i].package, programs[i].package,
                             programs[i].otherwise);
    }
    return 0;
}

/* --- ports ------------------------------------------------------------------------------------ */

static const struct {
    const char *option;
    size_t offset;
    bool is_nats;
} ports[PORT_COUNT] = {
    [PORT_NATS] = {"--nats-port", offsetof(struct up_values, nats_port), true},
    [PORT_NATS_HTTP] = {"--nats-http-port", offsetof(struct up_values, nats_http_port), true},
    [PORT_METRICS] = {"--metrics-port", offsetof(struct up_values, metrics_port), false},
    [PORT_PROMETHEUS] = {"--prometheus-port", offsetof(struct up_values, prometheus_port), false},
    [PORT_ALERTMANAGER] = {"--alertmanager-port", offsetof(struct up_values, alertmanager_port),
                           false},
    [PORT_WEB] = {"--web-port", offsetof(struct up_values, web_port), false},
};

static int settle_port(struct up *up, size_t index, int *ret_held, struct error *err)
{
    uint16_t port = (uint16_t) * (const uint64_t *)(const void *)((const char *)up->values +
                                                                  ports[index].offset);
    up->ports[index] = port ? port : port_pick(up->values->bind, ret_held);
    if (!up->ports[index])
        return error_set(err, EXIT_CODE_REFUSED, "no free port on %s for %s", up->values->bind,
                         ports[index].option);
    if (port && port_check(up->values->bind, port, err) < 0) {
        size_t used = strlen(err->text);
        (void)snprintf(err->text + used, sizeof err->text - used,
                       ": choose another with %s PORT, or 0 for any that is free",
                       ports[index].option);
        return -1;
    }
    for (size_t i = 0; i < index; i++) {
        if (up->ports[i] == port && port)
            return error_set(err, EXIT_CODE_USAGE, "%s and %s are both %u", ports[i].option,
                             ports[index].option, port);
    }
    return 0;
}

int up_settle_ports(struct up *up, struct error *err)
{
    int held[PORT_COUNT], result = 0;
    for (size_t i = 0; i < PORT_COUNT; i++)
        held[i] = -1;
    /* Picked ports stay held until all are settled, so that none is picked twice. */
    for (size_t i = 0; i < PORT_COUNT && result == 0; i++) {
        if (!(ports[i].is_nats && up->is_foreign))
            result = settle_port(up, i, &held[i], err);
    }
    for (size_t i = 0; i < PORT_COUNT; i++) {
        if (held[i] >= 0)
            (void)close(held[i]);
    }
    return result;
}

/* --- files ------------------------------------------------------------------------------------ */

static int put_file(const struct up *up, const char *name, struct slice content, struct error *err)
{
    enum generated_outcome outcome;
    if (generated_write(up->dir, name, content, &outcome, err) < 0)
        return -1;
    if (outcome == GENERATED_KEPT)
        (void)fprintf(stderr,
                      "cim-ops up: %s/%s is kept as it is: it was edited since cim-ops wrote it "
                      "(delete it to get a fresh one)\n",
                      up->dir, name);
    return 0;
}

/* A file that ships with cim-ops, appended to *ret; false in *ret_found when there is none. */
static int read_shipped(const char *name, struct buf *ret, bool *ret_found, struct error *err)
{
    CLEANUP_FREE char *source = place_shipped(name);
    *ret_found = source != NULL;
    return source ? file_read(source, GENERATED_BYTES_MAX, ret, err) : 0;
}

/* Asks the server itself rather than its version: does it take this configuration? */
static bool nats_accepts(const struct up *up, struct slice config)
{
    CLEANUP_FREE char *path = xasprintf("%s/.nats-server.try.conf", up->dir);
    char name[] = "nats-server", test_only[] = "-t", from[] = "-c";
    char *argv[] = {name, test_only, from, path, NULL};
    struct child_spec spec = {.program = up->programs[PROGRAM_NATS], .argv = argv};
    CLEANUP_BUF struct buf output = {0};
    int status = 1;
    bool ok = file_write_atomic(path, config, 0644, NULL) == 0 &&
              child_run(&spec, 5000, &output, &status, NULL) == 0;
    (void)unlink(path);
    return ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int put_nats_config(const struct up *up, struct config_values *values, struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    values->has_sync_interval = true;
    config_nats(values, &text);
    if (!nats_accepts(up, buf_slice(&text))) {
        values->has_sync_interval = false;
        buf_reset(&text);
        config_nats(values, &text);
    }
    return put_file(up, "nats-server.conf", buf_slice(&text), err);
}

static int put_prometheus_files(const struct up *up, struct config_values *values,
                                struct error *err)
{
    CLEANUP_BUF struct buf alerts = {0}, text = {0};
    if (read_shipped("doc/operations/alerts.yaml", &alerts, &values->has_alerts, err) < 0 ||
        (values->has_alerts && put_file(up, "alerts.yaml", buf_slice(&alerts), err) < 0))
        return -1;
    config_prometheus(values, &text);
    return put_file(up, "prometheus.yml", buf_slice(&text), err);
}

static int put_alertmanager_config(const struct up *up, const struct config_values *values,
                                   struct error *err)
{
    CLEANUP_BUF struct buf shipped = {0}, text = {0};
    bool found;
    if (read_shipped("doc/operations/alertmanager-local.yml", &shipped, &found, err) < 0)
        return -1;
    config_alertmanager(values, found ? buf_slice(&shipped) : SLICE_ABSENT, &text);
    return put_file(up, "alertmanager.yml", buf_slice(&text), err);
}

int up_write_files(struct up *up, struct error *err)
{
    struct config_values values = {
        .dir = up->dir,
        .bind = up->values->bind,
        .host = up->host,
        .nats_port = up->ports[PORT_NATS],
        .nats_http_port = up->ports[PORT_NATS_HTTP],
        .metrics_port = up->ports[PORT_METRICS],
        .prometheus_port = up->ports[PORT_PROMETHEUS],
        .alertmanager_port = up->ports[PORT_ALERTMANAGER],
    };
    if (!up->is_foreign && put_nats_config(up, &values, err) < 0)
        return -1;
    if (put_prometheus_files(up, &values, err) < 0 || put_alertmanager_config(up, &values, err) < 0)
        return -1;
    up->rules_dir = place_shipped("rules");
    return 0;
}
