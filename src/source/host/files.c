/* Reading small files of the kernel, and remembering what they said. */
#include "source/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/memory.h"

#define FILE_BYTES_MAX (4u << 20)
#define TOTALS_MAX     4096

bool host_file(const struct host *host, const char *path, struct buf *ret)
{
    CLEANUP_FREE char *whole = xasprintf("%s%s", host->options->root, path);
    CLEANUP_CLOSE int fd = open(whole, O_RDONLY | O_CLOEXEC);
    buf_reset(ret);
    if (fd < 0)
        return false;
    for (;;) {
        buf_reserve(ret, 4096);
        ssize_t got = read(fd, ret->ptr + ret->len, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        ret->len += (size_t)got;
        if (ret->len > FILE_BYTES_MAX) {
            errno = EFBIG;
            return false;
        }
    }
    while (ret->len && ret->ptr[ret->len - 1] == '\n')
        ret->len--;
    return true;
}

void host_absent(struct host *host, const char *field, const char *reason)
{
    (void)json_object_set_new(host->absent, field, json_string(reason));
}

bool host_file_or_absent(struct host *host, const char *path, const char *field, struct buf *ret)
{
    if (host_file(host, path, ret))
        return true;
    CLEANUP_FREE char *reason = xasprintf("%s: %s", path, strerror(errno));
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

bool host_u64(struct slice word, uint64_t *ret)
{
    uint64_t value = 0;
    if (!word.len)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        if (c < '0' || c > '9' || value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(c - '0');
    }
    *ret = value;
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
    CLEANUP_BUF struct buf text = {0};
    uint64_t value;
    if (!host_file(host, path, &text) || !text.len)
        return false;
    bool negative = text.ptr[0] == '-';
    if (!host_u64(slice_from(buf_slice(&text), negative), &value) || value > INT64_MAX)
        return false;
    *ret = negative ? -(int64_t)value : (int64_t)value;
    return true;
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

int host_level(double ratio, int before)
{
    int reached = ratio >= 0.95 ? 95 : ratio >= 0.80 ? 80 : 0;
    bool clearly = ratio < (double)before / 100 - 0.02;
    return reached < before && !clearly ? before : reached;
}
