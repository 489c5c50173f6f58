#include "stack/config.h"

static void add_head(struct buf *ret, const char *name, const char *what)
{
    buf_addf(ret,
             "# %s: %s\n"
             "#\n"
             "# Written by `cim-ops up`, anew at each start for as long as nobody has changed it. Edit\n"
             "# it and it is yours: it is then kept as it is. Delete it to get a fresh one.\n",
             name, what);
}

/* A string of nats-server's configuration language, which knows \" and \\. */
static void add_quoted(struct buf *ret, const char *text)
{
    buf_add_char(ret, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_add_char(ret, '\\');
        buf_add_char(ret, *text);
    }
    buf_add_char(ret, '"');
}

static void add_sync_interval(const struct config_values *values, struct buf *ret)
{
    buf_add_str(
        ret,
        "    # How long an acknowledged event may stay in memory of the operating system before it\n"
        "    # is forced onto the disk (fsync). The server acknowledges *before* that: a crash of\n"
        "    # nats-server itself loses nothing, a power cut loses up to this much of what publishers\n"
        "    # took for stored. The default is 2 minutes.\n");
    if (values->has_sync_interval)
        buf_add_str(
            ret,
            "    # 10s costs a handful of fsyncs a minute and narrows the hole twelvefold. `always`\n"
            "    # closes it, at a few hundred events per second: right for a ledger, not for a\n"
            "    # stack on a developer's machine.\n"
            "    sync_interval: 10s\n");
    else
        buf_add_str(
            ret,
            "    # This nats-server is older than 2.10: it refuses the option, and the 2 minutes\n"
            "    # stand. For a newer one, `up` writes `sync_interval: 10s` here.\n");
}

void config_nats(const struct config_values *values, struct buf *ret)
{
    add_head(ret, "nats-server.conf", "the NATS server of the local stack");
    buf_addf(ret,
             "\n"
             "# Only this machine can reach it: there are no users and no passwords here. `up` passes\n"
             "# both addresses on the command line too, where they win: change them with --bind,\n"
             "# --nats-port and --nats-http-port.\n"
             "listen: \"%s:%u\"\n"
             "\n"
             "# Monitoring pages (/varz, /jsz, /healthz): `up` asks /healthz whether it is ready.\n"
             "http: \"%s:%u\"\n"
             "\n"
             "# Shown in logs and in the server list.\n"
             "server_name: \"cim-ops-local\"\n"
             "\n"
             "# The largest event it takes. The default, 1 MB, is too small for some CIM payloads;\n"
             "# above 8 MB nats-server itself warns: memory per connection grows with it.\n"
             "max_payload: 8MB\n"
             "\n",
             values->bind, values->nats_port, values->bind, values->nats_http_port);
    buf_add_str(ret, "jetstream {\n"
                     "    # The events themselves. Deleting this folder deletes them.\n"
                     "    store_dir: ");
    CLEANUP_BUF struct buf store = {0};
    buf_addf(&store, "%s/jetstream", values->dir);
    add_quoted(ret, buf_cstr(&store));
    buf_add_str(ret,
                "\n\n"
                "    # When the disk share is used up the server refuses new events (and says so) instead\n"
                "    # of filling the disk. About 20 million events of 500 bytes.\n"
                "    max_file_store: 10GB\n"
                "\n"
                "    # For memory streams; ours are all on disk.\n"
                "    max_memory_store: 256MB\n"
                "\n");
    add_sync_interval(values, ret);
    buf_add_str(ret, "}\n");
}

static void add_job(struct buf *ret, const char *name, const char *host, uint16_t port)
{
    buf_addf(ret,
             "  - job_name: %s\n"
             "    static_configs:\n"
             "      - targets: [\"%s:%u\"]\n",
             name, host, port);
}

void config_prometheus(const struct config_values *values, struct buf *ret)
{
    add_head(ret, "prometheus.yml", "the metrics store of the local stack");
    buf_add_str(
        ret,
        "#\n"
        "# On its command line: listens on --bind only; keeps samples for " CONFIG_RETENTION_TIME
        " or " CONFIG_RETENTION_SIZE ", whichever\n"
        "# comes first, so that it cannot fill the disk.\n"
        "\n"
        "global:\n"
        "  # Often, since one machine has few targets and a person is watching. The monitor shows a new\n"
        "  # counter at 0 for as long (--first-zero " CONFIG_SCRAPE_INTERVAL
        "), or increase() would miss its first event:\n"
        "  # change both together.\n"
        "  scrape_interval: " CONFIG_SCRAPE_INTERVAL "\n"
        "  # Shorter than the interval, so that scrapes cannot pile up.\n"
        "  scrape_timeout: 4s\n"
        "  # Alerts are looked at as often as there is something new to look at.\n"
        "  evaluation_interval: " CONFIG_SCRAPE_INTERVAL "\n"
        "\n");
    if (values->has_alerts)
        buf_add_str(ret, "# A copy of doc/operations/alerts.yaml, beside this file.\n"
                         "rule_files: [\"alerts.yaml\"]\n\n");
    else
        buf_add_str(ret, "# No doc/operations/alerts.yaml was found when this was written.\n"
                         "rule_files: []\n\n");
    buf_addf(ret,
             "alerting:\n"
             "  alertmanagers:\n"
             "    - static_configs:\n"
             "        - targets: [\"%s:%u\"]\n"
             "\n"
             "scrape_configs:\n"
             "  # The event monitor: every metric that is folded from events, NATS's own included.\n"
             "  # The alerts know it by this name.\n",
             values->host, values->alertmanager_port);
    add_job(ret, "cim-monitor", values->host, values->metrics_port);
    buf_add_str(ret, "\n  # The watchers are watched too.\n");
    add_job(ret, "prometheus", values->host, values->prometheus_port);
    add_job(ret, "alertmanager", values->host, values->alertmanager_port);
}

void config_alertmanager(const struct config_values *values, struct buf *ret)
{
    (void)values;
    add_head(ret, "alertmanager.yml", "who is told of an alert");
    buf_add_str(ret,
                "\n"
                "# A receiver without a destination: alerts are kept, grouped and shown in Alertmanager's\n"
                "# own pages, and nobody is paged. doc/operations/alertmanager.yml of the cim-ops source\n"
                "# shows PagerDuty and Slack.\n"
                "route:\n"
                "  receiver: local\n"
                "  # One notification per alert and domain, not one per series.\n"
                "  group_by: [alertname, domain]\n"
                "  # Time for alerts of one cause to come together.\n"
                "  group_wait: 10s\n"
                "  group_interval: 1m\n"
                "  repeat_interval: 4h\n"
                "\n"
                "receivers:\n"
                "  - name: local\n"
                "\n"
                "# A critical alert mutes the warning about the same thing.\n"
                "inhibit_rules:\n"
                "  - source_matchers: [severity=\"critical\"]\n"
                "    target_matchers: [severity=\"warning\"]\n"
                "    equal: [alertname, domain]\n");
}
