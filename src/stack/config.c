#include "stack/config.h"

static void add_head(struct buf *ret, const char *name, const char *what)
{
    buf_addf(
        ret,
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

/* What the configurations say that does not depend on anything. */

static const char nats_addresses_why[] =
    "\n"
    "# Only this machine can reach it: there are no users and no passwords here. `up`\n"
    "# passes both addresses on the command line too, where they win: change them with\n"
    "# --bind, --nats-port and --nats-http-port.\n";

static const char nats_payload[] =
    "# Shown in logs and in the server list.\n"
    "server_name: \"cim-ops-local\"\n"
    "\n"
    "# The largest event it takes. The default, 1 MB, is too small for some CIM payloads;\n"
    "# above 8 MB nats-server itself warns: memory per connection grows with it.\n"
    "max_payload: 8MB\n"
    "\n"
    "jetstream {\n"
    "    # The events themselves. Deleting this folder deletes them.\n"
    "    store_dir: ";

static const char nats_limits[] =
    "\n\n"
    "    # When this share of the disk is used up, the server refuses new events (and says\n"
    "    # so) instead of filling the disk. About 20 million events of 500 bytes.\n"
    "    max_file_store: 10GB\n"
    "\n"
    "    # For memory streams; ours are all on disk.\n"
    "    max_memory_store: 256MB\n"
    "\n"
    "    # How long an acknowledged event may stay in memory of the operating system before\n"
    "    # it is forced onto the disk (fsync). The server acknowledges *before* that: a\n"
    "    # crash of nats-server itself loses nothing, a power cut loses up to this much of\n"
    "    # what publishers took for stored. The default is 2 minutes.\n";

static const char nats_sync_known[] =
    "    # 10s costs a handful of fsyncs a minute and narrows the hole twelvefold. `always`\n"
    "    # closes it, at a few hundred events per second: right for a ledger, not for a\n"
    "    # stack on a developer's machine.\n"
    "    sync_interval: 10s\n"
    "}\n";

static const char nats_sync_unknown[] =
    "    # This nats-server is older than 2.10: it refuses the option, and the 2 minutes\n"
    "    # stand. For a newer one, `up` writes `sync_interval: 10s` here.\n"
    "}\n";

static const char prometheus_global[] =
    "#\n"
    "# On its command line: listens on --bind only; keeps samples for " CONFIG_RETENTION_TIME "\n"
    "# or " CONFIG_RETENTION_SIZE ", whichever comes first, so that it cannot fill the disk.\n"
    "\n"
    "global:\n"
    "  # Often, since one machine has few targets and a person is watching. The monitor\n"
    "  # shows a new counter at 0 for as long (--first-zero " CONFIG_SCRAPE_INTERVAL
    "), or increase() would\n"
    "  # miss its first event: change both together.\n"
    "  scrape_interval: " CONFIG_SCRAPE_INTERVAL "\n"
    "  # Shorter than the interval, so that scrapes cannot pile up.\n"
    "  scrape_timeout: 4s\n"
    "  # Alerts are looked at as often as there is something new to look at.\n"
    "  evaluation_interval: " CONFIG_SCRAPE_INTERVAL "\n"
    "\n";

static const char prometheus_rules[] = "# A copy of doc/operations/alerts.yaml, beside this file.\n"
                                       "rule_files: [\"alerts.yaml\"]\n"
                                       "\n";

static const char prometheus_no_rules[] =
    "# No doc/operations/alerts.yaml was found when this was written.\n"
    "rule_files: []\n"
    "\n";

static const char prometheus_scrape[] =
    "\n"
    "scrape_configs:\n"
    "  # The event monitor: every metric that is folded from events, NATS's own included.\n"
    "  # The alerts know it by this name.\n";

static const char alertmanager_origin[] =
    "#\n"
    "# From doc/operations/alertmanager-local.yml of cim-ops. For real pagers put\n"
    "# doc/operations/alertmanager.yml here.\n"
    "\n";

static const char alertmanager_minimal[] =
    "# Nobody is paged and nothing is lost: every alert becomes an event (ops.alert...)\n"
    "# in the stream CIM-OPS.\n"
    "route:\n"
    "  receiver: events\n"
    "  # Each alert by itself, at once.\n"
    "  group_by: ['...']\n"
    "  group_wait: 0s\n"
    "  # The stream remembers; no reminders.\n"
    "  repeat_interval: 5d\n"
    "\n"
    "receivers:\n"
    "  - name: events\n"
    "    webhook_configs:\n"
    "      # The event monitor.\n"
    "      - url: " CONFIG_MONITOR_DEFAULT "alerts\n"
    "        send_resolved: true\n";

void config_nats(const struct config_values *values, struct buf *ret)
{
    CLEANUP_BUF struct buf store = {0};
    buf_addf(&store, "%s/jetstream", values->dir);
    add_head(ret, "nats-server.conf", "the NATS server of the local stack");
    buf_add_str(ret, nats_addresses_why);
    buf_addf(ret, "listen: \"%s:%u\"\n\n", values->bind, values->nats_port);
    buf_addf(ret,
             "# Monitoring pages; `up` asks /healthz whether it is ready.\nhttp: \"%s:%u\"\n\n",
             values->bind, values->nats_http_port);
    buf_add_str(ret, nats_payload);
    add_quoted(ret, buf_cstr(&store));
    buf_add_str(ret, nats_limits);
    buf_add_str(ret, values->has_sync_interval ? nats_sync_known : nats_sync_unknown);
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
    buf_add_str(ret, prometheus_global);
    buf_add_str(ret, values->has_alerts ? prometheus_rules : prometheus_no_rules);
    buf_addf(ret,
             "alerting:\n"
             "  alertmanagers:\n"
             "    - static_configs:\n"
             "        - targets: [\"%s:%u\"]\n",
             values->host, values->alertmanager_port);
    buf_add_str(ret, prometheus_scrape);
    add_job(ret, "cim-monitor", values->host, values->metrics_port);
    buf_add_str(ret, "\n  # The watchers are watched too.\n");
    add_job(ret, "prometheus", values->host, values->prometheus_port);
    add_job(ret, "alertmanager", values->host, values->alertmanager_port);
}

/* Copies `text` with every `from` replaced. */
static void add_replaced(struct buf *ret, struct slice text, struct slice from, const char *to)
{
    const char *at;
    while (text.len && (at = memmem(text.ptr, text.len, from.ptr, from.len)) != NULL) {
        buf_add(ret, text.ptr, (size_t)(at - text.ptr));
        buf_add_str(ret, to);
        text = slice_from(text, (size_t)(at - text.ptr) + from.len);
    }
    buf_add_slice(ret, text);
}

void config_alertmanager(const struct config_values *values, struct slice shipped, struct buf *ret)
{
    CLEANUP_BUF struct buf monitor = {0};
    buf_addf(&monitor, "http://%s:%u/", values->host, values->metrics_port);
    add_head(ret, "alertmanager.yml", "who is told of an alert of the local stack");
    buf_add_str(ret, alertmanager_origin);
    add_replaced(ret, slice_present(shipped) ? shipped : slice_of(alertmanager_minimal),
                 SLICE(CONFIG_MONITOR_DEFAULT), buf_cstr(&monitor));
}
