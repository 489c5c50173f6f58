/*
 * What earlier runs put into a Prometheus data folder: DIR/cim-ops-backfill.json, beside the blocks
 * (Prometheus looks at folders named by a ULID only).
 *
 *     {"version": 1, "metrics": {NAME: {"fingerprint": "hex", "from": RFC 3339, "until": ...,
 *      "complete": true}}}
 *
 * Written before the blocks are moved, with complete false, so that samples of our own are never
 * taken for the beginning of the live series, and again when all is in place.
 */
#include <stdio.h>

#include "act/backfill/backfill_internal.h"
#include "base/file.h"

enum { BYTES_MAX = 16 << 20 };

int done_load(const char *data_dir, struct done *ret, struct error *err)
{
    CLEANUP_BUF struct buf text = {0};
    json_error_t problem = {0};
    ret->path = xasprintf("%s/cim-ops-backfill.json", data_dir);
    if (access(ret->path, F_OK) != 0) {
        ret->root = json_pack("{s:i, s:{}}", "version", 1, "metrics");
        return 0;
    }
    if (file_read(ret->path, BYTES_MAX, &text, err) < 0)
        return -1;
    ret->root = json_loadb(buf_slice(&text).ptr, text.len, 0, &problem);
    if (json_is_object(json_object_get(ret->root, "metrics")) &&
        json_integer_value(json_object_get(ret->root, "version")) == 1)
        return 0;
    return error_set(err, EXIT_CODE_DAMAGED,
                     "%s:%d: %s; it says what was backfilled before: without it, delete the file "
                     "and say --until, or the metrics' history may be doubled",
                     ret->path, problem.line < 1 ? 1 : problem.line,
                     ret->root ? "version 1 with 'metrics' was expected" : problem.text);
}

static int64_t read_time(const json_t *metric, const char *key)
{
    int64_t ns = 0;
    const char *text = json_string_value(json_object_get(metric, key));
    (void)(text && instant_parse_rfc3339(slice_of(text), &ns));
    return ns;
}

bool done_find(const struct done *done, const char *metric, struct done_metric *ret)
{
    const json_t *found = json_object_get(json_object_get(done->root, "metrics"), metric);
    const char *fingerprint = json_string_value(json_object_get(found, "fingerprint"));
    if (!found)
        return false;
    *ret = (struct done_metric){
        .fingerprint = fingerprint ? strtoull(fingerprint, NULL, 16) : 0,
        .from_ns = read_time(found, "from"),
        .until_ns = read_time(found, "until"),
        .complete = json_is_true(json_object_get(found, "complete")),
    };
    return true;
}

void done_set(struct done *done, const char *metric, const struct done_metric *metric_done)
{
    char from[INSTANT_TEXT_MAX], until[INSTANT_TEXT_MAX], fingerprint[17];
    (void)instant_format(metric_done->from_ns, from);
    (void)instant_format(metric_done->until_ns, until);
    (void)snprintf(fingerprint, sizeof fingerprint, "%016llx",
                   (unsigned long long)metric_done->fingerprint);
    (void)json_object_set_new(json_object_get(done->root, "metrics"), metric,
                              json_pack("{s:s, s:s, s:s, s:b}", "fingerprint", fingerprint, "from",
                                        from, "until", until, "complete", metric_done->complete));
}

int done_save(const struct done *done, struct error *err)
{
    CLEANUP_FREE char *text = json_dumps(done->root, JSON_INDENT(2) | JSON_SORT_KEYS);
    return file_write_atomic(done->path, slice_of(text), 0644, err);
}

void done_done(struct done *done)
{
    json_decref(done->root);
    free(done->path);
    *done = (struct done){0};
}
