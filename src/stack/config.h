/*
 * config: the texts of nats-server.conf, prometheus.yml and alertmanager.yml for a local stack.
 *
 * They are made to be read: each choice has its reason beside it. Pure: struct in, text out.
 */
#pragma once

#include "base/buf.h"

struct config_values {
    const char *dir;
    const char *bind; /* IPv4 address to listen on */
    const char *host; /* address at which the parts reach each other */
    uint16_t nats_port, nats_http_port, metrics_port, prometheus_port, alertmanager_port;
    bool has_sync_interval; /* nats-server knows jetstream.sync_interval (2.10 and later) */
    bool has_alerts;        /* alerts.yaml lies beside prometheus.yml */
};

#define CONFIG_SCRAPE_INTERVAL "5s"
#define CONFIG_RETENTION_TIME  "15d"
#define CONFIG_RETENTION_SIZE  "4GB"
#define CONFIG_MONITOR_DEFAULT "http://127.0.0.1:9091/"

void config_nats(const struct config_values *values, struct buf *ret);
void config_prometheus(const struct config_values *values, struct buf *ret);
/*
 * `shipped` is doc/operations/alertmanager-local.yml: taken over with the monitor's address put in
 * place of CONFIG_MONITOR_DEFAULT. Absent: a minimal one that does the same.
 */
void config_alertmanager(const struct config_values *values, struct slice shipped, struct buf *ret);
