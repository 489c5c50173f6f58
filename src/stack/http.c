#include "stack/http.h"

#include <curl/curl.h>

#include "base/memory.h"

struct http {
    CURLM *multi;
    struct request *requests; /* under way */
};

struct request {
    struct request *next, **at;
    CURL *easy;
    struct buf body;
    http_done *done;
    void *context;
};

int http_new(struct http **ret, struct error *err)
{
    struct http *http = xcalloc(1, sizeof *http);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(http->multi = curl_multi_init())) {
        free(http);
        return error_set(err, EXIT_CODE_INTERNAL, "libcurl cannot be set up");
    }
    *ret = http;
    return 0;
}

static void request_free(struct http *http, struct request *request)
{
    *request->at = request->next;
    if (request->next)
        request->next->at = request->at;
    (void)curl_multi_remove_handle(http->multi, request->easy);
    curl_easy_cleanup(request->easy);
    buf_done(&request->body);
    free(request);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    for (struct request *at = http->requests, *next; at; at = next) {
        next = at->next;
        request_free(http, at);
    }
    (void)curl_multi_cleanup(http->multi);
    free(http);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct request *request = context;
    if (request->body.len + size * count > HTTP_BODY_MAX)
        return 0; /* curl ends the transfer with an error */
    buf_add(&request->body, bytes, size * count);
    return size * count;
}

void http_get(struct http *http, const char *url, int timeout_ms, http_done *done, void *context)
{
    struct request *request = xcalloc(1, sizeof *request);
    CURL *easy = curl_easy_init();
    if (!easy) {
        free(request);
        done(context, 0, SLICE_ABSENT);
        return;
    }
    request->easy = easy;
    request->done = done;
    request->context = context;
    request->next = http->requests;
    request->at = &http->requests;
    if (request->next)
        request->next->at = &request->next;
    http->requests = request;

    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    (void)curl_multi_add_handle(http->multi, easy);
}

static void finish(struct http *http, const CURLMsg *message)
{
    char *private = NULL;
    long status = 0;
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    struct request *request = (struct request *)(void *)private;
    if (message->data.result != CURLE_OK)
        status = 0;
    http_done *done = request->done;
    void *context = request->context;
    CLEANUP_BUF struct buf body = request->body;
    request->body = (struct buf){0};
    request_free(http, request);
    done(context, status, buf_slice(&body));
}

void http_wait(struct http *http, struct pollfd *fds, size_t count, int timeout_ms)
{
    CLEANUP_FREE struct curl_waitfd *wait = xcalloc(count + 1, sizeof *wait);
    for (size_t i = 0; i < count; i++)
        wait[i] = (struct curl_waitfd){.fd = fds[i].fd, .events = CURL_WAIT_POLLIN};
    int running = 0, left = 0;
    (void)curl_multi_perform(http->multi, &running);
    (void)curl_multi_poll(http->multi, wait, (unsigned)count, timeout_ms, NULL);
    for (size_t i = 0; i < count; i++)
        fds[i].revents = wait[i].revents;
    (void)curl_multi_perform(http->multi, &running);
    CURLMsg *message;
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            finish(http, message);
    }
}
