#include "serve/proxy.h"

#include <ctype.h>
#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/memory.h"

struct proxy {
    char *base, *place;
    pthread_mutex_t lock;
    CURL *idle[PROXY_IDLE_MAX];
    size_t idle_count;
    atomic_bool stopping;
};

/* --- connections ------------------------------------------------------------------------------ */

static CURL *borrow(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    CURL *curl = proxy->idle_count ? proxy->idle[--proxy->idle_count] : NULL;
    pthread_mutex_unlock(&proxy->lock);
    return curl ? curl : curl_easy_init();
}

static void give_back(struct proxy *proxy, CURL *curl)
{
    curl_easy_reset(curl); /* its connections stay */
    pthread_mutex_lock(&proxy->lock);
    bool kept = proxy->idle_count < PROXY_IDLE_MAX;
    if (kept)
        proxy->idle[proxy->idle_count++] = curl;
    pthread_mutex_unlock(&proxy->lock);
    if (!kept)
        curl_easy_cleanup(curl);
}

/* The address without name and password, and without a '/' at its end. NULL: it is none. */
static char *place_of(const char *url)
{
    CURLU *parts = curl_url();
    char *text = NULL;
    bool good = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
                curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK &&
                (!strncmp(text, "http://", 7) || !strncmp(text, "https://", 8));
    char *place = good ? xstrdup(text) : NULL;
    curl_free(text);
    curl_url_cleanup(parts);
    for (size_t len = place ? strlen(place) : 0; len && place[len - 1] == '/'; len--)
        place[len - 1] = 0;
    return place;
}

int proxy_new(struct proxy **ret, const char *url, struct error *err)
{
    CLEANUP_FREE char *place = place_of(url);
    if (!place)
        return error_set(err, EXIT_CODE_USAGE,
                         "--prometheus: an address such as http://127.0.0.1:9090 was expected");
    struct proxy *proxy = xcalloc(1, sizeof *proxy);
    proxy->base = xstrdup(url);
    for (size_t len = strlen(proxy->base); len && proxy->base[len - 1] == '/'; len--)
        proxy->base[len - 1] = 0;
    proxy->place = TAKE_PTR(place);
    pthread_mutex_init(&proxy->lock, NULL);
    *ret = proxy;
    return 0;
}

void proxy_stop(struct proxy *proxy)
{
    if (proxy)
        atomic_store(&proxy->stopping, true);
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    while (proxy->idle_count)
        curl_easy_cleanup(proxy->idle[--proxy->idle_count]);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy->base);
    free(proxy->place);
    free(proxy);
}

const char *proxy_place(const struct proxy *proxy)
{
    return proxy->place;
}

/* --- asking ----------------------------------------------------------------------------------- */

struct answer {
    struct buf *body;
    bool too_large;
};

static size_t on_bytes(char *bytes, size_t one, size_t count, void *context)
{
    struct answer *answer = context;
    answer->too_large = answer->body->len + count > PROXY_ANSWER_BYTES_MAX;
    if (answer->too_large)
        return 0;
    buf_add(answer->body, bytes, one * count);
    return one * count;
}

/* Asked several times a second, also while nothing comes. Not 0: give up. */
static int on_progress(void *context, curl_off_t all, curl_off_t got, curl_off_t to_send,
                       curl_off_t sent)
{
    const struct proxy *proxy = context;
    (void)all, (void)got, (void)to_send, (void)sent;
    return atomic_load(&proxy->stopping);
}

/* All that Prometheus answers here is JSON; an error of its own, too. */
static bool is_of_prometheus(CURL *curl, long status)
{
    const char *type = NULL;
    (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    return (status == 200 || status >= 400) && type && !strncmp(type, "application/json", 16);
}

static const char *words_of(CURLcode code)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        return "no answer in time";
    if (code == CURLE_COULDNT_CONNECT)
        return "it does not answer; is it running?";
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return "not waited for any longer: the viewer ends";
    return curl_easy_strerror(code);
}

/* `form` NULL: a GET. The status, or 0 with err. */
static long ask(struct proxy *proxy, const char *path, const char *form, struct buf *ret,
                struct error *err)
{
    CURL *curl = borrow(proxy);
    if (!curl)
        return error_set(err, EXIT_CODE_INTERNAL, "no more connections can be made"), 0;
    struct answer answer = {.body = ret};
    CLEANUP_FREE char *url = xasprintf("%s/api/v1/%s", proxy->base, path);
    long status = 0, told = 0;
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)PROXY_TIMEOUT_S + 2);
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, proxy);
    if (form)
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (answer.too_large)
        (void)error_set(err, EXIT_CODE_REFUSED,
                        "Prometheus's answer is larger than %u MiB: choose a shorter range or "
                        "fewer series",
                        PROXY_ANSWER_BYTES_MAX >> 20);
    else if (code != CURLE_OK)
        (void)error_set(err, EXIT_CODE_UNREACHABLE, "Prometheus at %s: %s", proxy->place,
                        words_of(code));
    else if (!is_of_prometheus(curl, status))
        (void)error_set(err, EXIT_CODE_UNREACHABLE,
                        "what answers at %s does not speak as Prometheus does (status %ld): is it "
                        "starting, or is --prometheus wrong?",
                        proxy->place, status);
    else
        told = status;
    give_back(proxy, curl);
    return told;
}

int proxy_get(struct proxy *proxy, const char *path, struct buf *ret, struct error *err)
{
    long status = ask(proxy, path, NULL, ret, err);
    if (!status)
        return -1;
    return status == 200 ? 0
                         : error_set(err, EXIT_CODE_UNREACHABLE, "Prometheus at %s: status %ld",
                                     proxy->place, status);
}

/* --- what may be asked ------------------------------------------------------------------------ */

struct parameter {
    char *name, *value;
};

struct parameters {
    struct parameter items[PROXY_PARAMETERS_MAX];
    size_t count;
    bool too_many;
};

static void parameters_done(struct parameters *parameters)
{
    for (size_t i = 0; i < parameters->count; i++) {
        free(parameters->items[i].name);
        free(parameters->items[i].value);
    }
}

static bool keep(void *context, const char *name, const char *value)
{
    struct parameters *parameters = context;
    parameters->too_many = parameters->count == PROXY_PARAMETERS_MAX;
    if (!parameters->too_many)
        parameters->items[parameters->count++] = (struct parameter){xstrdup(name), xstrdup(value)};
    return !parameters->too_many;
}

/* application/x-www-form-urlencoded, as of a POST. */
static char *decoded(struct slice text)
{
    CLEANUP_FREE char *plus = xstrndup(text.ptr ? text.ptr : "", text.len);
    for (char *at = plus; (at = strchr(at, '+'));)
        *at = ' ';
    char *found = curl_easy_unescape(NULL, plus, 0, NULL);
    char *copy = xstrdup(found ? found : "");
    curl_free(found);
    return copy;
}

static void keep_form(struct parameters *parameters, struct slice body)
{
    struct slice pair, name;
    while (body.len && slice_cut(&body, '&', &pair)) {
        if (!pair.len || !slice_cut(&pair, '=', &name))
            continue;
        CLEANUP_FREE char *key = decoded(name);
        CLEANUP_FREE char *value = decoded(pair);
        if (!keep(parameters, key, value))
            return;
    }
}

static const char *value_of(const struct parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->count; i++) {
        if (!strcmp(parameters->items[i].name, name))
            return parameters->items[i].value;
    }
    return NULL;
}

enum { FORM = 1, RANGE = 2 };

static const struct path {
    const char *path;
    unsigned how;
} paths[] = {
    {"query", FORM},
    {"query_range", FORM | RANGE},
    {"labels", FORM},
    {"series", FORM},
    {"rules", 0},
    {"alerts", 0},
    {"targets", 0},
    {"metadata", 0},
    {"status/buildinfo", 0},
};

/* "label/<name>/values" */
static bool is_label_path(const char *path)
{
    if (strncmp(path, "label/", 6) != 0)
        return false;
    const char *name = path + 6, *end = name;
    while (isalnum((unsigned char)*end) || *end == '_')
        end++;
    return end > name && end - name < 256 && !strcmp(end, "/values");
}

static const struct path *path_find(const char *path)
{
    static const struct path label_values = {"label", 0};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (!strcmp(paths[i].path, path))
            return &paths[i];
    }
    return is_label_path(path) ? &label_values : NULL;
}

static bool is_known_parameter(const char *name)
{
    static const char *const known[] = {"query", "time",    "start",   "end",  "step",
                                        "limit", "match[]", "timeout", "type", "metric"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!strcmp(known[i], name))
            return true;
    }
    return false;
}

/* Seconds, as the viewer sends them. */
static bool number_of(const struct parameters *parameters, const char *name, double *ret)
{
    const char *text = value_of(parameters, name);
    char *end;
    if (!text || !*text)
        return false;
    *ret = strtod(text, &end);
    return !*end && isfinite(*ret);
}

static int check_range(const struct parameters *parameters, struct error *err)
{
    double start, end, step;
    if (!number_of(parameters, "start", &start) || !number_of(parameters, "end", &end) ||
        !number_of(parameters, "step", &step))
        return error_set(err, EXIT_CODE_USAGE,
                         "start, end and step: numbers of seconds were expected");
    if (step <= 0 || end < start)
        return error_set(err, EXIT_CODE_USAGE,
                         "a step above 0 and an end behind the start were expected");
    if (end - start > PROXY_RANGE_MAX_S)
        return error_set(err, EXIT_CODE_USAGE, "the range is longer than 5 years");
    if ((end - start) / step > PROXY_POINTS_MAX)
        return error_set(err, EXIT_CODE_USAGE,
                         "more than %.0f points: choose a shorter range or a larger step",
                         PROXY_POINTS_MAX);
    return 0;
}

static int check(const struct path *path, const struct parameters *parameters, struct error *err)
{
    if (parameters->too_many)
        return error_set(err, EXIT_CODE_USAGE, "more than %d parameters", PROXY_PARAMETERS_MAX);
    for (size_t i = 0; i < parameters->count; i++) {
        const struct parameter *one = &parameters->items[i];
        if (!is_known_parameter(one->name))
            return error_set(err, EXIT_CODE_USAGE, "the parameter '%.50s' is not handed on",
                             one->name);
        if (strlen(one->value) > PROXY_QUERY_BYTES_MAX)
            return error_set(err, EXIT_CODE_USAGE, "%s is longer than %u KiB", one->name,
                             PROXY_QUERY_BYTES_MAX >> 10);
    }
    return path->how & RANGE ? check_range(parameters, err) : 0;
}

static void add_escaped(struct buf *form, const char *name, const char *value)
{
    char *key = curl_easy_escape(NULL, name, 0), *text = curl_easy_escape(NULL, value, 0);
    if (!key || !text)
        abort();
    buf_addf(form, "%s%s=%s", form->len ? "&" : "", key, text);
    curl_free(key);
    curl_free(text);
}

static void build_form(const struct path *path, const struct parameters *parameters,
                       struct buf *form)
{
    for (size_t i = 0; i < parameters->count; i++) {
        if (strcmp(parameters->items[i].name, "timeout") != 0)
            add_escaped(form, parameters->items[i].name, parameters->items[i].value);
    }
    if (path->how & FORM && strncmp(path->path, "query", 5) == 0) {
        char timeout[16];
        (void)snprintf(timeout, sizeof timeout, "%ds", PROXY_TIMEOUT_S);
        add_escaped(form, "timeout", timeout);
    }
}

void proxy_handle(struct proxy *proxy, const char *name, const struct http_request *request,
                  struct http_response *response)
{
    const struct path *path = path_find(name);
    struct parameters parameters = {0};
    struct error err = ERROR_NONE;
    if (!path) {
        http_refuse(response, 403, "Prometheus's /api/v1/%.100s is not among what may be read here",
                    name);
        return;
    }
    http_parameters(request, keep, &parameters);
    if (!strcmp(request->method, "POST"))
        keep_form(&parameters, request->body);
    if (check(path, &parameters, &err) < 0) {
        http_refuse(response, 400, "%s", err.text);
    } else {
        CLEANUP_BUF struct buf form = {0};
        build_form(path, &parameters, &form);
        CLEANUP_FREE char *with = xasprintf("%s?%s", name, form.len ? buf_cstr(&form) : "");
        bool posts = path->how & FORM;
        long status =
            ask(proxy, posts ? name : with, posts ? buf_cstr(&form) : NULL, &response->body, &err);
        response->status = (unsigned)status;
        response->content_type = "application/json";
        if (!status)
            http_refuse(response, 502, "%s", err.text);
    }
    parameters_done(&parameters);
}
