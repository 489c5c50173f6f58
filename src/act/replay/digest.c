#include "act/replay/digest.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/codec.h"
#include "base/memory.h"
#include "event/blake3.h"

void digest_done(struct digest *digest)
{
    for (size_t i = 0; i < digest->count; i++) {
        free(digest->entries[i].name);
        free(digest->entries[i].steps);
    }
    free(digest->entries);
    u64map_done(&digest->by_key);
    u64map_done(&digest->traced);
    buf_done(&digest->scratch);
    *digest = (struct digest){0};
}

static struct digest_entry *entry_of(struct digest *digest, const struct digest_event *event)
{
    bool fresh;
    uint64_t *at = u64map_put(&digest->by_key, event->key, &fresh);
    if (!fresh)
        return &digest->entries[*at - 1];
    if (digest->count == DIGEST_AGGREGATES_MAX)
        return NULL;
    GROW(digest->entries, digest->count, digest->room);
    *at = digest->count + 1;
    digest->entries[digest->count] = (struct digest_entry){
        .name = xstrndup(event->name.ptr, event->name.len), .key = event->key, .first = event->seq};
    return &digest->entries[digest->count++];
}

static void trace(struct digest *digest, struct digest_entry *entry, uint64_t seq,
                  struct slice bytes)
{
    if (digest->steps++ >= DIGEST_TRACE_EVENTS)
        return;
    GROW(entry->steps, entry->step_count, entry->step_room);
    entry->steps[entry->step_count++] =
        (struct digest_step){seq, XXH3_64bits(bytes.ptr, bytes.len)};
}

int digest_add(struct digest *digest, const struct digest_event *event, struct error *err)
{
    struct buf *text = &digest->scratch;
    if (digest->traced.count && !u64map_get(&digest->traced, event->key))
        return 0;
    struct digest_entry *entry = entry_of(digest, event);
    if (!entry)
        return error_set(err, EXIT_CODE_REFUSED,
                         "more than %d aggregates: choose a part of them, by --domain or --stream",
                         DIGEST_AGGREGATES_MAX);
    buf_reset(text);
    buf_add(text, entry->chain, DIGEST_BYTES);
    codec_put_text(text, event->stream);
    codec_put_u64(text, event->seq);
    codec_put_text(text, event->subject);
    codec_put_text(text, event->payload);
    if (digest->traced.count)
        trace(digest, entry, event->seq, slice_from(buf_slice(text), DIGEST_BYTES));
    blake3(buf_slice(text), entry->chain);
    entry->count++;
    entry->last = event->seq;
    digest->events++;
    digest->bytes += event->payload.len;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct digest_entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->key > y->key) - (x->key < y->key);
}

/* Where keys are not known, two of the same name are told apart by what is in them. */
static int by_all(const void *a, const void *b)
{
    const struct digest_entry *x = a, *y = b;
    int order = by_name(a, b);
    return order ? order : memcmp(x->chain, y->chain, DIGEST_BYTES);
}

void digest_sort(struct digest *digest)
{
    if (digest->count)
        qsort(digest->entries, digest->count, sizeof *digest->entries, by_all);
    u64map_done(&digest->by_key);
    digest->by_key = (struct u64map){0};
}

void digest_text(const uint8_t bytes[static DIGEST_BYTES], char ret[static DIGEST_TEXT_MAX])
{
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        ret[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    ret[DIGEST_TEXT_MAX - 1] = 0;
}

void digest_total(const struct digest *digest, char ret[static DIGEST_TEXT_MAX])
{
    uint8_t bytes[DIGEST_BYTES];
    CLEANUP_BUF struct buf all = {0};
    for (size_t i = 0; i < digest->count; i++) {
        const struct digest_entry *entry = &digest->entries[i];
        codec_put_text(&all, slice_of(entry->name));
        codec_put_u64(&all, entry->count);
        buf_add(&all, entry->chain, DIGEST_BYTES);
    }
    blake3(buf_slice(&all), bytes);
    digest_text(bytes, ret);
}

static bool differ(const struct digest_entry *a, const struct digest_entry *b)
{
    return a->count != b->count || memcmp(a->chain, b->chain, DIGEST_BYTES) != 0;
}

size_t digest_compare(const struct digest *a, const struct digest *b, struct digest_difference *ret,
                      size_t room)
{
    size_t i = 0, j = 0, found = 0;
    while (i < a->count || j < b->count) {
        const struct digest_entry *x = i < a->count ? &a->entries[i] : NULL;
        const struct digest_entry *y = j < b->count ? &b->entries[j] : NULL;
        int order = !x ? 1 : !y ? -1 : by_name(x, y);
        i += order <= 0;
        j += order >= 0;
        if (order == 0 && !differ(x, y))
            continue;
        if (found++ < room)
            ret[found - 1] =
                (struct digest_difference){order <= 0 ? x : NULL, order >= 0 ? y : NULL};
    }
    return found;
}

uint64_t digest_parting(const struct digest_entry *a, const struct digest_entry *b)
{
    size_t i = 0;
    while (i < a->step_count && i < b->step_count && a->steps[i].seq == b->steps[i].seq &&
           a->steps[i].hash == b->steps[i].hash)
        i++;
    if (i < a->step_count && i < b->step_count)
        return a->steps[i].seq < b->steps[i].seq ? a->steps[i].seq : b->steps[i].seq;
    return i < a->step_count ? a->steps[i].seq : i < b->step_count ? b->steps[i].seq : 0;
}
