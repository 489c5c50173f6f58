/* Reading small files of the kernel, and remembering what they said. */
#include "source/host/host.h"

#include <stdio.h>

#include "base/memory.h"

#define TOTALS_MAX 4096

bool host_file(const struct host *host, const char *path, struct buf *ret)
{
    return source_file(host->options->root, path, ret) == 0;
}

void host_absent(struct host *host, const char *field, const char *reason)
{
    (void)json_object_set_new(host->absent, field, json_string(reason));
}

bool host_file_or_absent(struct host *host, const char *path, const char *field, struct buf *ret)
{
    int code = source_file(host->options->root, path, ret);
    if (code == 0)
        return true;
    CLEANUP_FREE char *reason = xasprintf("%s: %s", path, strerror(code));
    host_absent(host, field, reason);
    return false;
}

bool host_word(struct slice *rest, struct slice *word)
{
    size_t at = 0, end;
    while (at < rest->len && (rest->ptr[at] == ' ' || rest->ptr[at] == '\t'))
        at++;
    end = at;
    while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != '\t' &&
           rest->ptr[end] != '\n')
        end++;
    if (end == at)
        return false;
    *word = (struct slice){rest->ptr + at, end - at};
    *rest = slice_from(*rest, end);
    return true;
}

bool host_real(struct slice word, double *ret)
{
    char text[64], *end;
    if (!word.len || word.len >= sizeof text)
        return false;
    memcpy(text, word.ptr, word.len);
    text[word.len] = 0;
    *ret = strtod(text, &end);
    return *end == 0 && *ret >= -1e300 && *ret <= 1e300;
}

bool host_number_file(const struct host *host, const char *path, int64_t *ret)
{
    return source_number_file(host->options->root, path, ret);
}

bool host_since(struct host *host, const char *key, const uint64_t *now, size_t count,
                uint64_t *since)
{
    size_t at = 0;
    bool sound = true;
    while (at < host->totals_count && strcmp(host->totals[at].key, key) != 0)
        at++;
    if (at == host->totals_count) {
        if (at == TOTALS_MAX)
            return false;
        GROW(host->totals, host->totals_count, host->totals_room);
        host->totals[host->totals_count++] = (struct host_totals){.key = xstrdup(key)};
        sound = false;
    }
    uint64_t *before = host->totals[at].values;
    for (size_t i = 0; i < count; i++) {
        sound = sound && now[i] >= before[i];
        since[i] = now[i] - before[i];
        before[i] = now[i];
    }
    return sound;
}

struct host_thing *host_thing(struct host *host, struct host_things *things, const char *key,
                              bool *ret_new)
{
    size_t at = 0;
    while (at < things->count && strcmp(things->items[at].key, key) != 0)
        at++;
    if (ret_new)
        *ret_new = at == things->count;
    if (at == HOST_THINGS_MAX)
        return NULL;
    if (at == things->count)
        things->items[things->count++] = (struct host_thing){.key = xstrdup(key)};
    things->items[at].seen = host->looks;
    return &things->items[at];
}

void host_things_gone(struct host *host, struct host_things *things,
                      void (*gone)(struct host *host, const struct host_thing *thing))
{
    for (size_t i = things->count; i-- > 0;) {
        if (things->items[i].seen == host->looks)
            continue;
        gone(host, &things->items[i]);
        free(things->items[i].key);
        things->items[i] = things->items[--things->count];
    }
}

void host_things_done(struct host_things *things)
{
    for (size_t i = 0; i < things->count; i++)
        free(things->items[i].key);
    things->count = 0;
}

void host_set(json_t *data, const char *name, uint64_t value)
{
    if (value <= INT64_MAX)
        (void)json_object_set_new(data, name, json_integer((json_int_t)value));
}

void host_set_text(json_t *data, const char *name, struct slice text)
{
    (void)json_object_set_new(data, name, json_stringn(text.ptr, text.len));
}

void host_tell(struct host *host, const char *aggregate, const char *name, const char *type,
               json_t *data)
{
    CLEANUP_FREE char *id = xasprintf("%s-%s", host->options->node, name);
    source_tell(host->sink, aggregate, id, type, data);
}

void host_sample(struct host *host, const char *aggregate, const char *name, const char *type,
                 json_t *data)
{
    CLEANUP_FREE char *id = xasprintf("%s-%s", host->options->node, name);
    source_sample(host->sink, aggregate, id, type, 0, data);
}
