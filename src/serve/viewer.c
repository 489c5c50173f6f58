#include "serve/viewer.h"

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#include "base/instant.h"
#include "base/memory.h"
#include "serve/assets.h"
#include "serve/live.h"
#include "serve/replays.h"
#include "serve/search.h"
#include "serve/streams.h"

struct viewer {
    struct viewer_options options;
    struct http_server *http;
    struct proxy *proxy;
    struct pool *pool;
    struct live *live;
};

/* --- files ------------------------------------------------------------------------------------ */

static void send_asset(const struct asset *asset, const struct http_request *request,
                       struct http_response *response)
{
    const char *known = http_header(request, "If-None-Match");
    response->content_type = asset->type;
    response->cache = "no-cache"; /* asked for again, sent only when another */
    http_add_header(response, "ETag", asset->etag);
    if (known && strstr(known, asset->etag)) {
        response->status = 304;
        return;
    }
    response->zipped = http_accepts_gzip(request);
    if (response->zipped)
        buf_add(&response->body, asset->gzip, asset->gzip_len);
    else
        asset_plain(asset, &response->body);
}

static void file_or_none(const char *folder, const char *name, const char *suffix,
                         const struct http_request *request, struct http_response *response)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s%s", folder, name, suffix);
    const struct asset *asset = asset_find(path);
    if (asset)
        send_asset(asset, request, response);
    else
        http_refuse(response, 404, "there is no %.100s", name);
}

static void page(void *context, const struct http_request *request, struct http_response *response)
{
    (void)context;
    send_asset(asset_find("ui/index.html"), request, response);
}

/* A person who mistyped an address gets a page that says so. */
static void file(void *context, const struct http_request *request, struct http_response *response)
{
    (void)context;
    bool is_person = strstr(request->accept, "text/html") != NULL;
    file_or_none("ui", request->path + 1, "", request, response);
    if (response->status == 404 && is_person && strncmp(request->path, "/api/", 5) != 0) {
        const struct asset *index = asset_find("ui/index.html");
        buf_reset(&response->body);
        asset_plain(index, &response->body);
        response->content_type = index->type;
    }
}

static void runbook(void *context, const struct http_request *request,
                    struct http_response *response)
{
    (void)context;
    file_or_none("runbooks", request->path + strlen("/api/runbooks/"), ".md", request, response);
}

/* --- API -------------------------------------------------------------------------------------- */

/* "scrape_interval: 5s" of Prometheus's configuration: nothing else of it leaves this process. */
static void find_scrape_interval(struct slice config, char ret[static 32])
{
    static const char key[] = "scrape_interval: ";
    const char *at = memmem(config.ptr, config.len, key, sizeof key - 1);
    size_t len = 0;
    if (!at)
        return;
    at += sizeof key - 1;
    while (len < 31 && at + len < config.ptr + config.len &&
           ((at[len] >= '0' && at[len] <= '9') || (at[len] >= 'a' && at[len] <= 'z')))
        len++;
    memcpy(ret, at, len);
    ret[len] = 0;
}

static void about(void *context, const struct http_request *request, struct http_response *response)
{
    struct viewer *viewer = context;
    CLEANUP_BUF struct buf config = {0};
    char interval[32] = "";
    struct error err = ERROR_NONE;
    (void)request;
    bool reached = proxy_get(viewer->proxy, "status/config", &config, &err) == 0;
    if (reached)
        find_scrape_interval(buf_slice(&config), interval);
    json_t *body = json_pack("{s:s, s:{s:s, s:b}}", "version", CIM_OPS_VERSION, "prometheus", "url",
                             proxy_place(viewer->proxy), "reached", reached);
    json_t *prometheus = json_object_get(body, "prometheus");
    if (interval[0])
        (void)json_object_set_new(prometheus, "scrape_interval", json_string(interval));
    if (!reached)
        (void)json_object_set_new(prometheus, "problem", json_string(err.text));
    CLEANUP_FREE char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    buf_add_str(&response->body, text ? text : "{}");
    response->content_type = "application/json";
}

static void dashboards(void *context, const struct http_request *request,
                       struct http_response *response)
{
    struct viewer *viewer = context;
    (void)request;
    response->content_type = "application/json";
    boards_list(&viewer->options.boards, &response->body);
}

static void dashboard(void *context, const struct http_request *request,
                      struct http_response *response)
{
    struct viewer *viewer = context;
    const char *uid = request->path + strlen("/api/dashboards/");
    struct error err = ERROR_NONE;
    response->content_type = "application/json";
    if (boards_get(&viewer->options.boards, uid, &response->body, &err) < 0)
        http_refuse(response, err.code == EXIT_CODE_PROBLEM ? 404 : 422, "%s", err.text);
}

static void prometheus(void *context, const struct http_request *request,
                       struct http_response *response)
{
    struct viewer *viewer = context;
    proxy_handle(viewer->proxy, request->path + strlen("/api/prometheus/api/v1/"), request,
                 response);
}

static void events(void *context, const struct http_request *request,
                   struct http_response *response)
{
    static const struct {
        const char *path;
        void (*handle)(struct pool *pool, const struct http_request *request,
                       struct http_response *response);
    } all[] = {{"", search_events},
               {"/one", search_one},
               {"/payload", search_payload},
               {"/related", search_related}};
    struct viewer *viewer = context;
    const char *path = request->path + strlen("/api/events");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!strcmp(path, all[i].path)) {
            all[i].handle(viewer->pool, request, response);
            return;
        }
    }
    http_refuse(response, 404, "/api/events, and /one, /payload, /related, /tail below it");
}

static void tail(void *context, const struct http_request *request, struct http_response *response)
{
    live_handle(((struct viewer *)context)->live, request, response);
}

static void streams(void *context, const struct http_request *request,
                    struct http_response *response)
{
    struct viewer *viewer = context;
    const char *name = request->path + strlen("/api/streams");
    if (*name)
        streams_consumers(viewer->pool, name + (*name == '/'), response);
    else
        streams_list(viewer->pool, response);
}

static void replays(void *context, const struct http_request *request,
                    struct http_response *response)
{
    (void)request;
    replays_list(((struct viewer *)context)->pool, response);
}

static void stack(void *context, const struct http_request *request, struct http_response *response)
{
    const struct viewer_options *options = &((struct viewer *)context)->options;
    (void)request;
    response->content_type = "application/json";
    if (!options->stack || !options->stack(options->stack_context, &response->body))
        http_refuse(response, 404, "no local stack is known here");
}

static void healthz(void *context, const struct http_request *request,
                    struct http_response *response)
{
    (void)context;
    (void)request;
    buf_add_str(&response->body, "alive\n");
}

static const struct http_route routes[] = {
    {"GET", "/", "what is going on", page},
    {"GET", "/d/*", "a dashboard, by uid", page},
    {"GET", "/dashboards", "all dashboards", page},
    {"GET", "/events*", "events", page},
    {"GET", "/alerts*", "alerts and their runbooks", page},
    {"GET", "/streams*", "streams and consumers", page},
    {"GET", "/replays", "replays", page},
    {"GET", "/sources", "sources", page},
    {"GET", "/stack", "the local stack", page},
    {"GET", "/healthz", "200 while the process is alive", healthz},
    {"GET", "/api/about", "what this is and what it reads", about},
    {"GET", "/api/dashboards", "all dashboards", dashboards},
    {"GET", "/api/dashboards/*", "the JSON of one", dashboard},
    {"GET", "/api/events/tail", "events as they come (server-sent events)", tail},
    {"GET", "/api/events*", "stored events", events},
    {"GET", "/api/streams*", "streams; the consumers of one", streams},
    {"GET", "/api/replays", "records of replays", replays},
    {"GET", "/api/stack", "the parts of the local stack", stack},
    {"GET", "/api/runbooks/*", "the runbook of an alert", runbook},
    {"GET", "/api/prometheus/api/v1/*", "queries", prometheus},
    {"POST", "/api/prometheus/api/v1/*", "queries", prometheus},
    {"GET", "/*", "the files of the pages", file},
};

/* --- who may ask ------------------------------------------------------------------------------ */

/* The Host header without its port. */
static struct slice host_of(const struct http_request *request)
{
    const char *host = http_header(request, "Host");
    struct slice name = slice_of(host ? host : "");
    const char *end = name.len && name.ptr[0] == '[' ? memchr(name.ptr, ']', name.len)
                                                     : memchr(name.ptr, ':', name.len);
    if (end)
        name.len = (size_t)(end - name.ptr) + (name.ptr[0] == '[');
    return name;
}

static bool is_this_machine(struct slice host)
{
    bool is_localhost = host.len == 9 && !strncasecmp(host.ptr, "localhost", 9);
    return is_localhost || slice_eq(host, SLICE("[::1]")) ||
           (slice_starts(host, SLICE("127.")) && strspn(host.ptr, "0123456789.") >= host.len);
}

/* A right name and password, or token; what else is said so. */
static bool is_user(struct viewer *viewer, const struct http_request *request,
                    struct http_response *response)
{
    char address[64];
    http_client(request, address);
    switch (access_check(viewer->options.access, http_header(request, "Authorization"), address,
                         instant_monotonic_ns())) {
    case ACCESS_OK: return true;
    case ACCESS_LATER:
        http_add_header(response, "Retry-After", "60");
        http_refuse(response, 429, "too many wrong tries: wait a minute");
        return false;
    case ACCESS_DENIED: break;
    }
    http_add_header(response, "WWW-Authenticate", "Basic realm=\"cim-ops\", charset=\"UTF-8\"");
    http_refuse(response, 401, "a name and a password, or a token, are needed");
    return false;
}

static bool admit(void *context, const struct http_request *request, struct http_response *response)
{
    struct viewer *viewer = context;
    const char *site = http_header(request, "Sec-Fetch-Site");
    if (viewer->options.access && !is_user(viewer, request, response))
        return false;
    if (!viewer->options.access && !is_this_machine(host_of(request))) {
        http_refuse(response, 403,
                    "without users this viewer answers as localhost and 127.0.0.1 only");
        return false;
    }
    /* "same-site" is another port of this machine, or a neighbour of this name: not ours either. */
    bool is_own = !site || !strcmp(site, "same-origin") || !strcmp(site, "none");
    if (!is_own && !strncmp(request->path, "/api/", 5)) {
        http_refuse(response, 403, "another site's page may not ask here");
        return false;
    }
    return true;
}

static void finish(void *context, struct http_response *response)
{
    (void)context;
    http_add_header(response, "Content-Security-Policy",
                    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                    "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'");
    http_add_header(response, "Referrer-Policy", "no-referrer");
    http_add_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    http_add_header(response, "Cross-Origin-Resource-Policy", "same-origin");
}

/* --- the whole -------------------------------------------------------------------------------- */

int viewer_start(struct viewer **ret, const struct viewer_options *options, struct error *err)
{
    struct viewer *viewer = xcalloc(1, sizeof *viewer);
    viewer->options = *options;
    struct http_options http = {.address = options->address,
                                .port = options->port,
                                .routes = routes,
                                .route_count = ARRAY_LEN(routes),
                                .context = viewer,
                                .connections_max = VIEWER_CONNECTIONS_MAX,
                                .per_address_max = options->access ? VIEWER_CONNECTIONS_MAX / 2 : 0,
                                .tls_cert = options->tls_cert,
                                .tls_key = options->tls_key,
                                .admit = admit,
                                .finish = finish};
    pool_new(&viewer->pool, &viewer->options.nats, options->rules_folder);
    live_new(&viewer->live, &viewer->options.nats, options->rules_folder);
    if (boards_check(&options->boards, err) < 0 ||
        proxy_new(&viewer->proxy, options->prometheus, err) < 0 ||
        http_server_start(&viewer->http, &http, err) < 0) {
        viewer_stop(viewer);
        return -1;
    }
    *ret = viewer;
    return 0;
}

unsigned viewer_port(const struct viewer *viewer)
{
    return http_server_port(viewer->http);
}

void viewer_stop(struct viewer *viewer)
{
    if (!viewer)
        return;
    pool_stop(viewer->pool);
    live_stop(viewer->live);
    proxy_stop(viewer->proxy);
    http_server_stop(viewer->http);
    live_free(viewer->live);
    pool_free(viewer->pool);
    proxy_free(viewer->proxy);
    free(viewer);
}
