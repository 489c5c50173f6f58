/* What the monitor serves over HTTP. */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/instant.h"
#include "base/memory.h"
#include "event/own.h"
#include "monitor/monitor_internal.h"

enum {
    ALERT_ACK_TIMEOUT_MS = 3000,
    METRICS_WHOLE_BYTES = 1 << 20, /* longer expositions are sent in parts */
    METRICS_PART_BYTES = 256 << 10,
};

/* --- metrics ---------------------------------------------------------------------------------- */

static bool more_metrics(void *source, struct buf *ret_part)
{
    return scrape_render(source, METRICS_PART_BYTES, ret_part);
}

static void metrics_done(void *source)
{
    scrape_free(source);
}

/* Numbers are copied under the lock; text is made from them while folds go on. */
static void metrics(void *context, const struct http_request *request,
                    struct http_response *response)
{
    struct monitor *monitor = context;
    bool open = strstr(request->accept, "application/openmetrics-text") != NULL;
    pthread_rwlock_rdlock(&monitor->registry_guard);
    registry_lock(monitor->registry);
    self_refresh(monitor);
    struct scrape *scrape =
        registry_scrape(monitor->registry, open ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS);
    registry_unlock(monitor->registry);
    pthread_rwlock_unlock(&monitor->registry_guard);
    response->content_type = open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                  : "text/plain; version=0.0.4; charset=utf-8";
    if (scrape_render(scrape, METRICS_WHOLE_BYTES, &response->body)) {
        response->more = more_metrics;
        response->done = metrics_done;
        response->source = scrape;
    } else {
        scrape_free(scrape);
    }
}

/* --- health ----------------------------------------------------------------------------------- */

static void healthz(void *context, const struct http_request *request,
                    struct http_response *response)
{
    (void)context;
    (void)request;
    buf_add_str(&response->body, "alive\n");
}

struct readiness {
    json_t *streams;
    uint64_t behind;
    bool all_told, all_readable, lagging;
};

/* Registry lock and streams_lock held. */
static void look_at(struct readiness *found, const struct tracked *tracked, bool connected)
{
    uint64_t behind = tracked_behind(tracked);
    bool told = behind != UINT64_MAX && connected, readable = !tracked_is_unreadable(tracked);
    json_t *entry = json_pack("{s:s, s:I}", "stream", tracked->name, "sequence",
                              (json_int_t)state_seq(tracked->state));
    /* While NATS is away, what waits there is not known. */
    (void)json_object_set_new(entry, "behind",
                              told ? json_integer((json_int_t)behind) : json_null());
    if (!readable)
        (void)json_object_set_new(entry, "unreadable", json_true());
    (void)json_array_append_new(found->streams, entry);
    found->behind += told ? behind : 0;
    found->all_told = found->all_told && told;
    found->all_readable = found->all_readable && readable;
    found->lagging = found->lagging || tracked_lag_ns(tracked) > READY_LAG_NS;
}

/*
 * Ready: connected, and every stream was read to its end once since the start and is not behind for
 * longer than READY_LAG_NS since. The body says how far behind each one is.
 */
static void readyz(void *context, const struct http_request *request,
                   struct http_response *response)
{
    struct monitor *monitor = context;
    (void)request;
    struct readiness found = {json_array(), 0, true, true, false};
    char problem[sizeof monitor->list_problem];
    bool connected = bus_is_up(monitor->bus), caught_up = atomic_load(&monitor->caught_up);
    pthread_rwlock_rdlock(&monitor->registry_guard);
    registry_lock(monitor->registry);
    pthread_mutex_lock(&monitor->streams_lock);
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        if (monitor->tracked[i]->present)
            look_at(&found, monitor->tracked[i], connected);
    }
    memcpy(problem, monitor->list_problem, sizeof problem);
    pthread_mutex_unlock(&monitor->streams_lock);
    registry_unlock(monitor->registry);
    pthread_rwlock_unlock(&monitor->registry_guard);

    bool ready = connected && caught_up && found.all_readable && !found.lagging;
    json_t *body = json_pack(
        "{s:b, s:b, s:o, s:o}", "ready", ready, "nats_connected", connected, "behind",
        found.all_told && caught_up ? json_integer((json_int_t)found.behind) : json_null(),
        "streams", found.streams);
    if (connected && problem[0])
        (void)json_object_set_new(body, "reason", json_string(problem));
    CLEANUP_FREE char *text = json_dumps(body, JSON_INDENT(2));
    json_decref(body);
    buf_addf(&response->body, "%s\n", text ? text : "{}");
    response->status = ready ? 200 : 503;
    response->content_type = "application/json";
}

/* --- alerts as events ------------------------------------------------------------------------- */

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The id of an alert's beginning or end: the same however often Alertmanager tells of it. */
static void alert_event_id(json_t *alert, const char *change, const char *at_key, char *ret)
{
    const char *at = text_of(alert, at_key);
    int64_t when_ns = 0;
    (void)instant_parse_rfc3339(slice_of(at), &when_ns);
    CLEANUP_FREE char *name = xasprintf("%s %s %s", text_of(alert, "fingerprint"), change, at);
    own_event_id_of(slice_of(name), when_ns, ret);
}

/* While an alert fires, its end is not known: absent. */
static json_t *alert_data(json_t *alert, bool resolved)
{
    json_t *labels = json_object_get(alert, "labels");
    json_t *data =
        json_pack("{s:s, s:s, s:O*, s:O*, s:s, s:s}", "alertname", text_of(labels, "alertname"),
                  "severity", text_of(labels, "severity"), "labels", labels, "annotations",
                  json_object_get(alert, "annotations"), "starts_at", text_of(alert, "startsAt"),
                  "fingerprint", text_of(alert, "fingerprint"));
    if (resolved && data)
        (void)json_object_set_new(data, "ends_at", json_string(text_of(alert, "endsAt")));
    return data;
}

/* One alert of a notification, stored with its acknowledgement awaited. */
static int store_alert(struct monitor *monitor, json_t *alert, struct error *err)
{
    bool resolved = !strcmp(text_of(alert, "status"), "resolved");
    const char *name = text_of(json_object_get(alert, "labels"), "alertname");
    const char *fingerprint = text_of(alert, "fingerprint");
    char fired_id[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
    alert_event_id(alert, "fired", "startsAt", fired_id);
    memcpy(id, fired_id, sizeof id);
    if (resolved)
        alert_event_id(alert, "resolved", "endsAt", id);
    struct own_event event;
    own_event_build_as(&event, id, "alert", name[0] ? name : "unnamed",
                       fingerprint[0] ? fingerprint : "none",
                       resolved ? "AlertResolved" : "AlertFired", 0, fired_id,
                       resolved ? fired_id : NULL, alert_data(alert, resolved));
    CLEANUP_FREE char *subject = xstrndup(event.subject.ptr, event.subject.len);
    CLEANUP_BUF struct buf reply = {0};
    struct bus_header header = {SLICE("Nats-Msg-Id"), slice_of(event.event_id)};
    int rc = bus_request_with(monitor->bus, subject, &header, 1, buf_slice(&event.payload),
                              ALERT_ACK_TIMEOUT_MS, &reply, err);
    own_event_done(&event);
    if (rc == 0 && !memmem(reply.ptr, reply.len, "\"seq\"", 5))
        rc = error_set(err, EXIT_CODE_UNREACHABLE, "no stream stored it: %.*s",
                       SLICE_ARG(buf_slice(&reply)));
    return rc;
}

/* Alertmanager's webhook, version 4. A 2xx is given only when every alert is stored: else it
 * repeats. */
static void alerts(void *context, const struct http_request *request,
                   struct http_response *response)
{
    struct monitor *monitor = context;
    struct error err = ERROR_NONE;
    json_error_t problem;
    json_t *body = json_loadb(request->body.ptr, request->body.len, 0, &problem);
    json_t *list = json_object_get(body, "alerts");
    if (!json_is_array(list)) {
        response->status = 400;
        buf_addf(&response->body, "an Alertmanager notification was expected: %s\n",
                 body ? "'alerts' is missing" : problem.text);
    }
    for (size_t i = 0; i < json_array_size(list) && !response->status; i++) {
        if (json_is_object(json_object_get(json_array_get(list, i), "labels")))
            continue;
        response->status = 400;
        buf_addf(&response->body, "alerts[%zu] is no alert: an object with 'labels' was expected\n",
                 i);
    }
    for (size_t i = 0; i < json_array_size(list) && !response->status; i++) {
        if (store_alert(monitor, json_array_get(list, i), &err) < 0) {
            response->status = 503;
            buf_addf(&response->body, "not stored, try again: %s\n", err.text);
        } else {
            atomic_fetch_add(&monitor->alerts_received, 1);
        }
    }
    json_decref(body);
}

static const struct http_route routes[] = {
    {"GET", "/metrics", "metrics, as Prometheus text or OpenMetrics by Accept", metrics},
    {"GET", "/healthz", "200 while the process is alive", healthz},
    {"GET", "/readyz", "200 when read to the end once and not behind for long; says how far",
     readyz},
    {"POST", "/alerts", "Alertmanager webhook: alerts become events", alerts},
};

int endpoints_start(struct monitor *monitor, struct error *err)
{
    struct http_options options = {.address = monitor->options->bind,
                                   .port = monitor->options->port,
                                   .routes = routes,
                                   .route_count = ARRAY_LEN(routes),
                                   .context = monitor};
    return http_server_start(&monitor->http, &options, err);
}
