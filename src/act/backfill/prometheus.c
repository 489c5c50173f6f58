#include <math.h>
#include <stdio.h>

#include "act/backfill/backfill_internal.h"
#include "stack/http.h"

/* Prometheus itself looks back five minutes for a sample; so no sample lies between two looks. */
enum { LOOK_S = 300, LOOKS_MAX = 10000, TIMEOUT_MS = 30000, RECENT_S = 3600 };

struct prometheus {
    char *url;
    struct http *http;
};

int prometheus_new(const char *url, struct prometheus **ret, struct error *err)
{
    struct prometheus *prometheus = xcalloc(1, sizeof *prometheus);
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    prometheus->url = xstrndup(url, len);
    *ret = prometheus;
    return http_new(&prometheus->http, err);
}

void prometheus_free(struct prometheus *prometheus)
{
    if (!prometheus)
        return;
    http_free(prometheus->http);
    free(prometheus->url);
    free(prometheus);
}

/* --- one question ----------------------------------------------------------------------------- */

struct answer {
    long status;
    bool came;
    struct buf body;
};

static void on_answer(void *context, long status, struct slice body)
{
    struct answer *answer = context;
    answer->came = true;
    answer->status = status;
    buf_add_slice(&answer->body, body);
}

/* The `data` of the answer; a new reference. */
static json_t *ask(struct prometheus *prometheus, const char *path, struct error *err)
{
    struct answer answer = {0};
    CLEANUP_FREE char *url = xasprintf("%s/api/v1/%s", prometheus->url, path);
    http_get(prometheus->http, url, TIMEOUT_MS, on_answer, &answer);
    while (!answer.came)
        http_wait(prometheus->http, NULL, 0, 1000);
    json_t *root = json_loadb(buf_slice(&answer.body).ptr, answer.body.len, 0, NULL);
    json_t *data = json_incref(json_object_get(root, "data"));
    const char *problem = json_string_value(json_object_get(root, "error"));
    if (!answer.status)
        (void)error_set(err, EXIT_CODE_UNREACHABLE, "Prometheus does not answer at %s",
                        prometheus->url);
    else if (!data || problem)
        (void)error_set(err, EXIT_CODE_UNREACHABLE, "Prometheus at %s: HTTP %ld: %s",
                        prometheus->url, answer.status, problem ? problem : "no data");
    if (problem) {
        json_decref(data);
        data = NULL;
    }
    json_decref(root);
    buf_done(&answer.body);
    return data;
}

static void add_encoded(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     strchr("-_.~", c);
        if (plain)
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

/* --- settings --------------------------------------------------------------------------------- */

int64_t prometheus_duration(const char *text)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"ms", NS_PER_MS},
                 {"y", 365 * 86400 * NS_PER_SECOND},
                 {"w", 7 * 86400 * NS_PER_SECOND},
                 {"d", 86400 * NS_PER_SECOND},
                 {"h", 3600 * NS_PER_SECOND},
                 {"m", 60 * NS_PER_SECOND},
                 {"s", NS_PER_SECOND}};
    int64_t total = 0, number = 0, part = 0;
    while (*text >= '0' && *text <= '9') {
        for (number = 0; *text >= '0' && *text <= '9' && number < 1000000000; text++)
            number = number * 10 + (*text - '0');
        size_t u = 0;
        while (u < ARRAY_LEN(units) && strncmp(text, units[u].unit, strlen(units[u].unit)) != 0)
            u++;
        if (u == ARRAY_LEN(units) || __builtin_mul_overflow(number, units[u].ns, &part) ||
            __builtin_add_overflow(total, part, &total))
            return 0;
        text += strlen(units[u].unit);
    }
    return *text == 0 || *text == ' ' ? total : 0;
}

int prometheus_settings(struct prometheus *prometheus, char **ret_data_dir,
                        int64_t *ret_retention_ns, struct error *err)
{
    *ret_data_dir = NULL;
    *ret_retention_ns = 0;
    json_t *flags = ask(prometheus, "status/flags", err);
    if (!flags)
        return -1;
    const char *folder = json_string_value(json_object_get(flags, "storage.tsdb.path"));
    if (folder && folder[0] == '/')
        *ret_data_dir = xstrdup(folder);
    json_decref(flags);
    json_t *runtime = ask(prometheus, "status/runtimeinfo", NULL);
    const char *retention = json_string_value(json_object_get(runtime, "storageRetention"));
    *ret_retention_ns = retention ? prometheus_duration(retention) : 0;
    json_decref(runtime);
    return 0;
}

/* --- selectors -------------------------------------------------------------------------------- */

static void add_selector(struct buf *out, const struct metric_spec *spec,
                         const struct history_label *labels, size_t label_count)
{
    buf_addf(out, "%s%s{", spec->name, spec->kind == METRIC_HISTOGRAM ? "_count" : "");
    for (size_t i = 0; i < label_count; i++) {
        buf_addf(out, "%s%s=\"", i ? "," : "", labels[i].name);
        for (const char *at = labels[i].value; *at; at++) {
            if (*at == '"' || *at == '\\')
                buf_add_char(out, '\\');
            buf_add_char(out, *at);
        }
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
}

/* --- labels ----------------------------------------------------------------------------------- */

static bool is_own_label(const struct metric_spec *spec, const char *name)
{
    bool own = !strcmp(name, "__name__") || !strcmp(name, "le");
    for (size_t i = 0; i < spec->label_count && !own; i++)
        own = !strcmp(name, spec->labels[i]);
    return own || !strncmp(name, "exported_", strlen("exported_"));
}

static int take_label(const char *metric, const char *name, const char *value,
                      struct history_label *ret, size_t *ret_count, struct error *err)
{
    for (size_t i = 0; i < *ret_count; i++) {
        if (strcmp(ret[i].name, name) != 0)
            continue;
        if (!strcmp(ret[i].value, value))
            return 0;
        return error_set(err, EXIT_CODE_REFUSED,
                         "Prometheus has %s from several targets (%s is \"%s\" and \"%s\"): say "
                         "whose history it is, as by --label %s=%s",
                         metric, name, ret[i].value, value, name, value);
    }
    if (*ret_count == BACKFILL_LABELS_MAX)
        return error_set(err, EXIT_CODE_REFUSED, "%s has more than %d labels of its target", metric,
                         BACKFILL_LABELS_MAX);
    ret[(*ret_count)++] = (struct history_label){xstrdup(name), xstrdup(value)};
    return 0;
}

int prometheus_labels(struct prometheus *prometheus, const struct metric_spec *spec,
                      const struct history_label *given, size_t given_count,
                      struct history_label *ret, size_t *ret_count, struct error *err)
{
    CLEANUP_BUF struct buf selector = {0}, path = {0};
    add_selector(&selector, spec, given, given_count);
    buf_add_str(&path, "series?match[]=");
    add_encoded(&path, buf_cstr(&selector));
    /* The targets of today: one that has moved had other labels. */
    buf_addf(&path, "&start=%lld", (long long)(instant_now_ns() / NS_PER_SECOND - RECENT_S));
    json_t *series = ask(prometheus, buf_cstr(&path), err), *labels, *value;
    const char *name;
    size_t index;
    int rc = series ? 0 : -1;
    json_array_foreach(series, index, labels)
    {
        json_object_foreach(labels, name, value)
        {
            if (rc == 0 && !is_own_label(spec, name))
                rc = take_label(spec->name, name, json_string_value(value), ret, ret_count, err);
        }
    }
    json_decref(series);
    return rc;
}

/* --- the first sample ------------------------------------------------------------------------- */

/* Of all series; those up to `behind` (seconds) are passed over. */
static double first_value_time(const json_t *data, double behind)
{
    double first = INFINITY;
    const json_t *results = json_object_get(data, "result"), *series;
    size_t index, at;
    json_array_foreach(results, index, series)
    {
        const json_t *values = json_object_get(series, "values"), *value;
        json_array_foreach(values, at, value)
        {
            double time = json_number_value(json_array_get(value, 0));
            if (time > behind && time < first)
                first = time;
        }
    }
    return first;
}

/* The first of the looks, LOOK_S apart, at which there is a value; INFINITY: none. -1: failed. */
static int look_between(struct prometheus *prometheus, const char *selector, int64_t from_s,
                        int64_t to_s, double *ret, struct error *err)
{
    CLEANUP_BUF struct buf expression = {0}, path = {0};
    buf_addf(&expression, "count(%s)", selector);
    buf_add_str(&path, "query_range?query=");
    add_encoded(&path, buf_cstr(&expression));
    buf_addf(&path, "&start=%lld&end=%lld&step=%d", (long long)from_s, (long long)to_s, LOOK_S);
    json_t *data = ask(prometheus, buf_cstr(&path), err);
    *ret = first_value_time(data, 0);
    json_decref(data);
    return data ? 0 : -1;
}

int prometheus_first_sample(struct prometheus *prometheus, const struct metric_spec *spec,
                            const struct history_label *labels, size_t label_count,
                            int64_t since_ns, int64_t behind_ns, int64_t now_ns, int64_t *ret_ns,
                            struct error *err)
{
    CLEANUP_BUF struct buf selector = {0}, path = {0}, window = {0};
    double seen = INFINITY;
    int64_t now_s = now_ns / NS_PER_SECOND + 1;
    *ret_ns = 0;
    if (since_ns < behind_ns + (LOOK_S + 1) * NS_PER_SECOND && behind_ns)
        since_ns = behind_ns + (LOOK_S + 1) * NS_PER_SECOND; /* a look sees what is behind it */
    add_selector(&selector, spec, labels, label_count);
    for (int64_t from = since_ns / NS_PER_SECOND; from <= now_s && isinf(seen);
         from += (int64_t)LOOK_S * LOOKS_MAX) {
        int64_t to = from + (int64_t)LOOK_S * (LOOKS_MAX - 1);
        if (look_between(prometheus, buf_cstr(&selector), from, to < now_s ? to : now_s, &seen,
                         err) < 0)
            return -1;
    }
    /* The looks end on a multiple of LOOK_S; what came since is seen by one more, now. */
    if (isinf(seen) && look_between(prometheus, buf_cstr(&selector), now_s, now_s, &seen, err) < 0)
        return -1;
    if (isinf(seen))
        return 0;
    buf_addf(&window, "%s[%ds]", buf_cstr(&selector), LOOK_S + 1);
    buf_add_str(&path, "query?query=");
    add_encoded(&path, buf_cstr(&window));
    buf_addf(&path, "&time=%.3f", seen);
    json_t *data = ask(prometheus, buf_cstr(&path), err);
    double first = first_value_time(data, (double)behind_ns / 1e9);
    if (data && !isinf(first))
        *ret_ns = (int64_t)(first * 1e9);
    json_decref(data);
    return data ? 0 : -1;
}
