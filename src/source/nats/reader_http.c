/* The monitoring pages of the servers, by libcurl: one handle each, so that connections stay. */
#include <curl/curl.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/nats/nats.h"

#define TIMEOUT_MS_MIN 1000
#define TIMEOUT_MS_MAX 10000
#define CONNECT_MS_MAX 2000

static const char *const pages[NATS_DOCUMENTS] = {
    [NATS_VARZ] = "/varz",
    [NATS_ROUTEZ] = "/routez",
    [NATS_HEALTHZ] = "/healthz",
    [NATS_JSZ] = "/jsz?accounts=true&streams=true&consumers=true&config=true",
    [NATS_LEAFZ] = "/leafz",
    [NATS_GATEWAYZ] = "/gatewayz",
};

struct page_server {
    char *base;
    char key[NATS_NAME_MAX]; /* host:port: what may be shown */
    CURL *curl;
    bool failed; /* since the last NATS_VARZ */
};

struct nats_http {
    struct page_server servers[NATS_SERVERS_MAX];
    size_t count;
    long timeout_ms;
    struct buf body;
    bool too_large;
};

static void set_key(struct page_server *server)
{
    struct slice rest = slice_of(strstr(server->base, "://") + 3), place = SLICE("");
    (void)slice_cut(&rest, '/', &place);
    const char *at = memrchr(place.ptr, '@', place.len);
    if (at)
        place = slice_from(place, (size_t)(at + 1 - place.ptr));
    (void)snprintf(server->key, sizeof server->key, "%.*s", SLICE_ARG(place));
}

static int add_server(struct nats_http *http, struct slice url, struct error *err)
{
    if (!slice_starts(url, SLICE("http://")) && !slice_starts(url, SLICE("https://")))
        return error_set(err, EXIT_CODE_USAGE,
                         "--nats-http: addresses such as http://127.0.0.1:8222 were expected, with "
                         "commas between");
    if (http->count == NATS_SERVERS_MAX)
        return error_set(err, EXIT_CODE_USAGE, "--nats-http: at most %d servers", NATS_SERVERS_MAX);
    struct page_server *server = &http->servers[http->count];
    while (url.len && url.ptr[url.len - 1] == '/')
        url.len--;
    server->curl = curl_easy_init();
    if (!server->curl)
        return error_set(err, EXIT_CODE_INTERNAL, "libcurl gives no handle");
    server->base = xstrndup(url.ptr, url.len);
    http->count++;
    if (!strstr(server->base, "://"))
        return error_set(err, EXIT_CODE_USAGE, "--nats-http: an address without a host");
    set_key(server);
    return 0;
}

int nats_http_new(const char *urls, int64_t interval_ns, struct nats_http **ret, struct error *err)
{
    struct nats_http *http = xcalloc(1, sizeof *http);
    struct slice rest = slice_of(urls), url;
    int64_t third = interval_ns / 3 / NS_PER_MS;
    http->timeout_ms = third < TIMEOUT_MS_MIN   ? TIMEOUT_MS_MIN
                       : third > TIMEOUT_MS_MAX ? TIMEOUT_MS_MAX
                                                : (long)third;
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    while (slice_cut(&rest, ',', &url)) {
        url = slice_trim(url);
        if (url.len && add_server(http, url, err) < 0) {
            nats_http_free(http);
            return -1;
        }
    }
    if (!http->count) {
        nats_http_free(http);
        return error_set(err, EXIT_CODE_USAGE, "--nats-http: at least one address was expected");
    }
    *ret = http;
    return 0;
}

void nats_http_free(struct nats_http *http)
{
    if (!http)
        return;
    for (size_t i = 0; i < http->count; i++) {
        curl_easy_cleanup(http->servers[i].curl);
        free(http->servers[i].base);
    }
    buf_done(&http->body);
    free(http);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct nats_http *http = context;
    size_t len = size * count;
    http->too_large = http->body.len + len > NATS_BODY_MAX;
    if (http->too_large)
        return 0;
    buf_add(&http->body, bytes, len);
    return len;
}

static enum nats_answer fetch(struct nats_http *http, struct page_server *server,
                              enum nats_document document, struct buf *problem)
{
    char words[CURL_ERROR_SIZE] = "";
    CLEANUP_FREE char *url = xasprintf("%s%s", server->base, pages[document]);
    CURL *curl = server->curl;
    long status = 0;
    buf_reset(&http->body);
    http->too_large = false;
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, http->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                           http->timeout_ms < CONNECT_MS_MAX ? http->timeout_ms
                                                             : (long)CONNECT_MS_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (http->too_large) {
        buf_addf(problem, "%s: more than %u MiB", pages[document], NATS_BODY_MAX >> 20);
        return NATS_BAD_ANSWER;
    }
    if (code != CURLE_OK) {
        buf_addf(problem, "%s", words[0] ? words : curl_easy_strerror(code));
        /* It began to answer: then it is there. */
        return status ? NATS_BAD_ANSWER : NATS_NO_ANSWER;
    }
    /* A server that is not healthy says so with 503, and why in the document. */
    if (status != 200 && !(document == NATS_HEALTHZ && http->body.len)) {
        buf_addf(problem, "%.*s: HTTP status %ld", (int)strcspn(pages[document], "?"),
                 pages[document], status);
        return NATS_BAD_ANSWER;
    }
    return NATS_ANSWERED;
}

void nats_http_read(struct nats_http *http, enum nats_document document,
                    nats_answer_handler *handler, void *context)
{
    for (size_t i = 0; i < http->count; i++) {
        struct page_server *server = &http->servers[i];
        CLEANUP_BUF struct buf problem = {0};
        if (document != NATS_VARZ && server->failed)
            continue;
        enum nats_answer answer = fetch(http, server, document, &problem);
        if (document == NATS_VARZ)
            server->failed = answer != NATS_ANSWERED;
        handler(context, server->key, answer,
                buf_slice(answer == NATS_ANSWERED ? &http->body : &problem));
    }
}
