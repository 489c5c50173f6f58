/* Streams and consumers: what is reported against what is known, for both alike. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "source/nats/nats.h"

static void init(struct known_head *known, const char *key)
{
    known->key = xstrdup(key);
    known->parts = xstrdup(key);
    known->account = known->parts;
    char *tab = strchr(known->parts, '\t');
    *tab = 0;
    known->stream = tab + 1;
    tab = strchr(tab + 1, '\t');
    if (tab) {
        *tab = 0;
        known->consumer = tab + 1;
    }
    known->id = known->consumer
                    ? xasprintf("%s-%s-%s", known->account, known->stream, known->consumer)
                    : xasprintf("%s-%s", known->account, known->stream);
}

static void done(struct known_head *known)
{
    free(known->key);
    free(known->parts);
    free(known->id);
}

/* --- events ----------------------------------------------------------------------------------- */

static void say_which(const struct known_head *known, json_t *data)
{
    (void)json_object_set_new(data, "account", json_string(known->account));
    (void)json_object_set_new(data, "stream", json_string(known->stream));
    if (known->consumer)
        (void)json_object_set_new(data, "consumer", json_string(known->consumer));
}

void nats_known_tell(struct nats_watch *watch, const struct known_kind *kind,
                     const struct known_head *known, const char *type, json_t *data)
{
    say_which(known, data);
    source_tell(watch->sink, kind->aggregate, known->id, type, data);
}

void nats_known_sample(struct nats_watch *watch, const struct known_kind *kind,
                       const struct known_head *known, const char *type, json_t *data)
{
    say_which(known, data);
    source_sample(watch->sink, kind->aggregate, known->id, type,
                  NATS_HOLDS_LOOKS * watch->options->interval_ns, data);
}

bool nats_sample_due(const struct nats_watch *watch, struct known_head *known, uint64_t hash)
{
    /* Each thing has its own turn, so that they do not all come in one look. */
    unsigned turn = (unsigned)(XXH3_64bits(known->key, strlen(known->key)) % NATS_REFRESH_LOOKS);
    bool due = hash != known->sample_hash || !known->sampled_at ||
               watch->looks % NATS_REFRESH_LOOKS == turn ||
               watch->looks - known->sampled_at >= NATS_REFRESH_LOOKS;
    known->sample_hash = hash;
    if (due)
        known->sampled_at = watch->looks;
    return due;
}

/* --- all of them ------------------------------------------------------------------------------ */

static const struct report_head *report_at(const struct known_kind *kind, const void *reports,
                                           size_t at)
{
    return (const void *)((const char *)reports + at * kind->report_size);
}

static struct known_head *known_at(const struct known_kind *kind, const struct known_list *list,
                                   size_t at)
{
    return (void *)((char *)list->items + at * kind->known_size);
}

/* One that nobody reports. True: it stays, since who has it does not answer. */
static bool stays(struct nats_watch *watch, const struct known_kind *kind, struct known_head *known)
{
    if (!nats_servers_sound(watch, known->servers))
        return true;
    if (kind->going)
        kind->going(watch, known);
    nats_known_tell(watch, kind, known, kind->deleted, json_object());
    done(known);
    return false;
}

static size_t end_of_same(const struct known_kind *kind, const void *reports, size_t count,
                          size_t at)
{
    size_t end = at;
    while (end < count &&
           !strcmp(report_at(kind, reports, end)->key, report_at(kind, reports, at)->key))
        end++;
    return end;
}

static void note_servers(struct known_head *known, const struct known_kind *kind,
                         const void *reports, size_t count)
{
    known->servers = 0;
    for (size_t i = 0; i < count; i++)
        known->servers |= UINT64_C(1) << report_at(kind, reports, i)->server;
}

void nats_known_merge(struct nats_watch *watch, const struct known_kind *kind,
                      struct known_list *list, const void *reports, size_t count)
{
    struct known_list next = {.items = xcalloc(list->count + count + 1, kind->known_size)};
    size_t old = 0, at = 0;
    while (old < list->count || at < count) {
        int order = old == list->count ? 1
                    : at == count
                        ? -1
                        : strcmp(known_at(kind, list, old)->key, report_at(kind, reports, at)->key);
        struct known_head *before = order <= 0 ? known_at(kind, list, old++) : NULL;
        if (order < 0 && !stays(watch, kind, before))
            continue;
        struct known_head *known = known_at(kind, &next, next.count++);
        if (before)
            memcpy(known, before, kind->known_size);
        if (order < 0)
            continue;
        const struct report_head *report = report_at(kind, reports, at);
        size_t end = end_of_same(kind, reports, count, at);
        if (!before) {
            init(known, report->key);
            if (!nats_first_look(watch))
                nats_known_tell(watch, kind, known, kind->created, json_object());
        }
        note_servers(known, kind, report, end - at);
        kind->judge(watch, known, report, end - at);
        at = end;
    }
    free(list->items);
    *list = next;
}

void nats_known_done(const struct known_kind *kind, struct known_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        done(known_at(kind, list, i));
    free(list->items);
    *list = (struct known_list){0};
}
