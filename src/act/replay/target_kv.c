/*
 * kv:BUCKET: projections, folded anew.
 *
 * The documents are built in a bucket beside (BUCKET_NEW_<id>), each with the sequence that it is
 * current to; what is folded twice after a crash changes nothing (fold/projection.h). When all is
 * folded they are held against a fold of their own in memory, and only then put into BUCKET; what
 * is in BUCKET and no longer in the projections is deleted there. kill -9 at any point: the same
 * again.
 *
 *     cache of documents ──(least used, and at each checkpoint)──▶ BUCKET_NEW ──verified──▶ BUCKET
 *
 * Memory: KV_CACHE_BYTES of documents, then PROJECTING_MEMORY to verify them; KV_KNOWN_BYTES for
 * what was ever written, KV_PENDING_BYTES of writes without an answer, PROJECTION_BYTES_MAX for the
 * largest document.
 */
#include <stdio.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "act/replay/projecting.h"
#include "act/replay/replay_internal.h"
#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"
#include "bus/kv.h"
#include "fold/projection.h"

#define KV_CACHE_BYTES ((size_t)192 << 20)
#define KV_KNOWN_BYTES ((size_t)8 << 20)

enum { SHOWN_MAX = 20, EVICT_AT_ONCE = 1024 };

struct cached {
    uint64_t hash;
    char *key;
    struct projection_doc *doc;
    size_t room;
    bool dirty;
    uint32_t newer, older; /* the order of use: index + 1 */
};

struct kv_target {
    struct projection_rules *rules;
    struct projector *projector;
    char *staging;
    bool kept, switched; /* the old one is copied; the new one is in its place */
    struct kv_writes *writes;

    struct cached *cached;
    size_t count, room, bytes;
    uint32_t newest, oldest;
    uint32_t *free_places;
    size_t free_count, free_room;
    struct u64map by_hash;
    uint8_t *known; /* a Bloom filter: was this key ever written? */
    struct buf key, value;
};

/* --- what was ever written -------------------------------------------------------------------- */

static bool is_known(const struct kv_target *kv, uint64_t hash)
{
    size_t bits = KV_KNOWN_BYTES * 8;
    size_t a = hash % bits, b = (hash >> 32 ^ hash * 31) % bits;
    return kv->known[a / 8] >> a % 8 & kv->known[b / 8] >> b % 8 & 1;
}

static void make_known(struct kv_target *kv, uint64_t hash)
{
    size_t bits = KV_KNOWN_BYTES * 8;
    size_t a = hash % bits, b = (hash >> 32 ^ hash * 31) % bits;
    kv->known[a / 8] = (uint8_t)(kv->known[a / 8] | 1u << a % 8);
    kv->known[b / 8] = (uint8_t)(kv->known[b / 8] | 1u << b % 8);
}

/* --- the cache -------------------------------------------------------------------------------- */

static void unlink_place(struct kv_target *kv, uint32_t place)
{
    struct cached *one = &kv->cached[place - 1];
    if (one->newer)
        kv->cached[one->newer - 1].older = one->older;
    else
        kv->newest = one->older;
    if (one->older)
        kv->cached[one->older - 1].newer = one->newer;
    else
        kv->oldest = one->newer;
    one->newer = one->older = 0;
}

static void link_newest(struct kv_target *kv, uint32_t place)
{
    struct cached *one = &kv->cached[place - 1];
    one->older = kv->newest;
    if (kv->newest)
        kv->cached[kv->newest - 1].newer = place;
    kv->newest = place;
    if (!kv->oldest)
        kv->oldest = place;
}

static void forget(struct kv_target *kv, uint32_t place)
{
    struct cached *one = &kv->cached[place - 1];
    unlink_place(kv, place);
    (void)u64map_remove(&kv->by_hash, one->hash);
    kv->bytes -= one->room;
    projection_doc_free(one->doc);
    free(one->key);
    *one = (struct cached){0};
    GROW(kv->free_places, kv->free_count, kv->free_room);
    kv->free_places[kv->free_count++] = place;
}

static int write_dirty(struct kv_target *kv, struct cached *one, struct error *err)
{
    if (!one->dirty)
        return 0;
    buf_reset(&kv->value);
    projection_doc_write(one->doc, &kv->value);
    one->dirty = false;
    make_known(kv, one->hash);
    return kv_writes_put(kv->writes, one->key, buf_slice(&kv->value),
                         projection_doc_is_empty(one->doc), err);
}

static int make_room(struct kv_target *kv, struct error *err)
{
    if (kv->bytes < KV_CACHE_BYTES)
        return 0;
    for (int i = 0; i < EVICT_AT_ONCE && kv->oldest && kv->oldest != kv->newest; i++) {
        uint32_t place = kv->oldest;
        if (write_dirty(kv, &kv->cached[place - 1], err) < 0)
            return -1;
        forget(kv, place);
    }
    return 0;
}

static uint32_t new_place(struct kv_target *kv)
{
    if (kv->free_count)
        return kv->free_places[--kv->free_count];
    GROW(kv->cached, kv->count, kv->room);
    kv->cached[kv->count] = (struct cached){0};
    return (uint32_t)++kv->count;
}

static int load(struct target *target, struct kv_target *kv, struct cached *one, struct error *err)
{
    struct error problem = ERROR_NONE;
    if (!is_known(kv, one->hash))
        return 0;
    if (kv_writes_find(kv->writes, one->key, &kv->value))
        return kv->value.len ? projection_doc_load(one->doc, buf_slice(&kv->value), err) : 0;
    buf_reset(&kv->value);
    if (kv_get(target->replay->to, kv->staging, one->key, &kv->value, NULL, &problem) < 0)
        return problem.code == EXIT_CODE_PROBLEM ? 0
                                                 : error_set(err, problem.code, "%s", problem.text);
    return projection_doc_load(one->doc, buf_slice(&kv->value), err);
}

/* The document of the key in kv->key; NULL: it cannot be had. */
static struct cached *document_of(struct target *target, struct kv_target *kv, struct error *err)
{
    uint64_t hash = XXH3_64bits(kv->key.ptr, kv->key.len);
    const uint64_t *at = u64map_get(&kv->by_hash, hash);
    bool fresh;
    if (at) {
        uint32_t place = (uint32_t)*at;
        if (kv->newest != place) {
            unlink_place(kv, place);
            link_newest(kv, place);
        }
        return &kv->cached[place - 1];
    }
    if (make_room(kv, err) < 0)
        return NULL;
    uint32_t place = new_place(kv);
    struct cached *one = &kv->cached[place - 1];
    *one = (struct cached){
        .hash = hash, .key = xstrdup(buf_cstr(&kv->key)), .doc = projection_doc_new()};
    *u64map_put(&kv->by_hash, hash, &fresh) = place;
    link_newest(kv, place);
    if (load(target, kv, one, err) < 0) {
        forget(kv, place);
        return NULL;
    }
    one->room = projection_doc_room(one->doc);
    kv->bytes += one->room;
    return one;
}

/* --- taking ----------------------------------------------------------------------------------- */

static int kv_take(struct target *target, const struct replay_event *event, struct error *err)
{
    struct kv_target *kv = target->own;
    struct replay *replay = target->replay;
    enum projection_effect effect;
    struct error problem = ERROR_NONE;
    if (!projecting_key(&event->row, &kv->key))
        return 0; /* no aggregate's */
    struct cached *one = document_of(target, kv, err);
    if (!one)
        return -1;
    struct projection_event folded = {.stream =
                                          slice_of(replay->selection.streams[event->stream].name),
                                      .seq = event->seq,
                                      .input = &event->input,
                                      .view = &event->row.view,
                                      .payload = event->row.payload};
    if (projection_apply(kv->projector, one->doc, &folded, &effect, &problem) < 0) {
        struct refused refused = {.stream = event->stream,
                                  .seq = event->seq,
                                  .aggregate = event->aggregate,
                                  .subject = event->subject};
        return problem.code == EXIT_CODE_PROBLEM
                   ? replay_refused(replay, &refused, problem.text, err)
                   : error_set(err, problem.code, "%s", problem.text);
    }
    replay->figures.replayed++;
    replay->figures.bytes += event->payload.len;
    one->dirty = one->dirty || effect != PROJECTION_NONE;
    kv->bytes -= one->room;
    one->room = projection_doc_room(one->doc);
    kv->bytes += one->room;
    return 0;
}

static int kv_poll(struct target *target, int wait_ms, struct error *err)
{
    struct kv_target *kv = target->own;
    return kv_writes_poll(kv->writes, wait_ms, err);
}

static int kv_settle(struct target *target, bool all, uint64_t *positions, struct error *err)
{
    struct kv_target *kv = target->own;
    struct replay *replay = target->replay;
    (void)all;
    for (size_t i = 0; i < kv->count; i++) {
        if (kv->cached[i].key && write_dirty(kv, &kv->cached[i], err) < 0)
            return -1;
    }
    if (kv_writes_wait(kv->writes, err) < 0)
        return -1;
    replay_pass_read(target->replay, positions);
    replay->settled = replay->figures;
    return 0;
}

static json_t *kv_state(struct target *target)
{
    const struct kv_target *kv = target->own;
    char rules[24];
    (void)snprintf(rules, sizeof rules, "%016llx",
                   (unsigned long long)projection_rules_fingerprint(kv->rules));
    return json_pack("{s:s, s:s, s:b, s:b}", "staging", kv->staging, "rules", rules, "kept",
                     kv->kept, "switched", kv->switched);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Of a part of its events, a document is not what the whole ones in the bucket are. */
static const char *partial_by(const struct selection *selection)
{
    const struct replay_wanted *wanted = &selection->wanted;
    return wanted->from             ? "--from"
           : wanted->events.type    ? "--type"
           : wanted->events.where   ? "--where"
           : wanted->events.subject ? "--subject"
           : selection->correlation ? "--correlation"
                                    : NULL;
}

static int kv_check(struct target *target, struct buf *words, struct error *err)
{
    struct replay *replay = target->replay;
    struct kv_info info = {0};
    struct error problem = ERROR_NONE;
    const char *part = partial_by(&replay->selection);
    CLEANUP_FREE char *subjects = xasprintf("$KV.%s.>", target->where);
    if (!kv_bucket_is_legal(target->where))
        return error_set(err, EXIT_CODE_USAGE,
                         "--target: '%s' is no name of a bucket (A-Z a-z 0-9 _ -)", target->where);
    if (target_guard_feedback(replay, subjects, err) < 0)
        return -1;
    int rc = kv_info(replay->to, target->where, &info, &problem);
    if (rc < 0 && problem.code != EXIT_CODE_PROBLEM)
        return error_set(err, problem.code, "%s", problem.text);
    if (rc == 0 && info.keys && part && !replay->resumed)
        return error_set(err, EXIT_CODE_REFUSED,
                         "bucket %s has %llu documents, and with %s those of a part of the events "
                         "would replace whole ones; name another bucket",
                         target->where, (unsigned long long)info.keys, part);
    buf_addf(words,
             "bucket %s (%llu keys now%s), built beside, verified, then switched: what no "
             "chosen event makes is deleted there%s",
             target->where, (unsigned long long)info.keys, rc < 0 ? "; made new" : "",
             replay->options->keep_old ? "; the old one is kept" : "");
    return 0;
}

/* As for a stream, which a bucket is. */
static int look_for_others(const struct target *target, struct error *err)
{
    CLEANUP_FREE char *name = xasprintf("KV_%s", target->where);
    struct stream_info info = {0};
    struct error problem = ERROR_NONE;
    if (stream_info(target->replay->to, name, &info, &problem) < 0)
        return problem.code == EXIT_CODE_PROBLEM ? 0
                                                 : error_set(err, problem.code, "%s", problem.text);
    target_look_for_others(target->replay, &info);
    stream_info_done(&info);
    return 0;
}

static bool remember_key(void *context, const struct kv_entry *entry)
{
    make_known(context, XXH3_64bits(entry->key.ptr, entry->key.len));
    return true;
}

/* Documents that other rules made do not go together with what comes. */
static int check_rules(const struct replay *replay, const struct kv_target *kv, json_t *state,
                       struct error *err)
{
    const char *text = json_string_value(json_object_get(state, "rules"));
    if (!text || strtoull(text, NULL, 16) == projection_rules_fingerprint(kv->rules))
        return 0;
    return error_set(err, EXIT_CODE_REFUSED,
                     "the projections of %s are not those that replay %s began with: name their "
                     "folder by --rules, or start another replay",
                     replay->options->rules_dir, replay->record.id);
}

/* What was built is gone: all is folded once more. */
static void begin_again(struct replay *replay)
{
    for (size_t i = 0; i < replay->selection.stream_count; i++) {
        replay->positions[i] = replay->selection.streams[i].first;
        replay->read[i] = replay->positions[i] - 1;
    }
    replay->figures = (struct replay_figures){.retried = replay->figures.retried};
    replay->settled = replay->figures;
}

static int kv_open(struct target *target, json_t *state, struct error *err)
{
    struct kv_target *kv = xcalloc(1, sizeof *kv);
    struct replay *replay = target->replay;
    struct kv_config config = {.history = 1, .description = "projections on their way"};
    config.replicas = replay->to_owned ? 1 : replay_replicas(replay);
    const char *staging = json_string_value(json_object_get(state, "staging"));
    bool created;
    target->own = kv;
    if (projection_rules_load(replay->options->rules_dir, &kv->rules, err) < 0)
        return -1;
    kv->projector = projector_new(kv->rules);
    kv->staging =
        staging ? xstrdup(staging) : xasprintf("%s_NEW_%s", target->where, replay->record.id);
    if (check_rules(replay, kv, state, err) < 0)
        return -1;
    kv->kept = json_is_true(json_object_get(state, "kept"));
    kv->switched = json_is_true(json_object_get(state, "switched"));
    if (replay->looking)
        return 0;
    kv->known = xcalloc(1, KV_KNOWN_BYTES);
    if (kv->switched) /* it broke off behind the switch: nothing is left but to tidy up */
        return kv_writes_new(replay, kv->staging, &kv->writes, err);
    if (look_for_others(target, err) < 0 ||
        kv_ensure(replay->to, kv->staging, &config, &created, err) < 0 ||
        (!created && projecting_each(replay->to, kv->staging, remember_key, kv, err) < 0))
        return -1;
    if (created && state)
        begin_again(replay);
    return kv_writes_new(replay, kv->staging, &kv->writes, err);
}

static void empty_cache(struct kv_target *kv)
{
    while (kv->oldest)
        forget(kv, kv->oldest);
}

static void kv_close(struct target *target)
{
    struct kv_target *kv = target->own;
    if (!kv)
        return;
    kv_writes_free(kv->writes);
    empty_cache(kv);
    projector_free(kv->projector);
    projection_rules_free(kv->rules);
    u64map_done(&kv->by_hash);
    buf_done(&kv->key);
    buf_done(&kv->value);
    free(kv->free_places);
    free(kv->cached);
    free(kv->known);
    free(kv->staging);
    free(kv);
    target->own = NULL;
}

/* --- the switch ------------------------------------------------------------------------------- */

struct switching {
    struct target *target;
    struct kv_writes *writes;
    struct u64map fresh; /* hash of each key that is in the new one: to the hash of its value */
    uint64_t put, deleted, same;
    uint64_t bytes, largest; /* that the bucket will hold; of one document */
    uint64_t looked;
    struct error problem;
    bool failed;
};

enum { KEEP_EVERY = 256, RECORD_BYTES = 34 }; /* of a message in a file store, beside its own */

/* This takes a while: the record says meanwhile that somebody is at it. */
static bool go_on(struct switching *switching)
{
    if (++switching->looked % KEEP_EVERY == 0 &&
        replay_keep(switching->target->replay, &switching->problem) < 0)
        switching->failed = true;
    return !switching->failed;
}

static uint64_t stored_bytes(const struct switching *switching, const struct kv_entry *entry)
{
    return sizeof "$KV.." - 1 + strlen(switching->target->where) + entry->key.len +
           entry->value.len + RECORD_BYTES;
}

static uint64_t hash_of(struct slice bytes)
{
    return XXH3_64bits(bytes.ptr ? bytes.ptr : "", bytes.len);
}

static bool note_fresh(void *context, const struct kv_entry *entry)
{
    struct switching *switching = context;
    bool fresh;
    uint64_t bytes = stored_bytes(switching, entry);
    if (entry->is_deleted)
        return true;
    *u64map_put(&switching->fresh, hash_of(entry->key), &fresh) = hash_of(entry->value);
    switching->bytes += bytes;
    if (entry->value.len > switching->largest)
        switching->largest = entry->value.len;
    return go_on(switching);
}

/* What stays beside the new ones: documents of others, and marks of what is deleted. */
static enum standing standing_of(const struct switching *switching, const struct kv_entry *entry)
{
    return projecting_standing(&switching->target->replay->selection, entry->key, entry->value);
}

/* Of a document that stands on other streams, too, the chosen events make a part only. */
static bool note_old(void *context, const struct kv_entry *entry)
{
    struct switching *switching = context;
    bool fresh = u64map_get(&switching->fresh, hash_of(entry->key)) != NULL;
    enum standing standing = entry->is_deleted ? STANDING_CHOSEN : standing_of(switching, entry);
    if (standing == STANDING_BOTH || (fresh && standing == STANDING_OTHERS)) {
        (void)error_set(&switching->problem, EXIT_CODE_REFUSED,
                        "document %.*s in bucket %s stands on streams that are not chosen: choose "
                        "them, too, or name another bucket; nothing in it was changed",
                        SLICE_ARG(entry->key), switching->target->where);
        switching->failed = true;
    }
    if (!fresh)
        switching->bytes += stored_bytes(switching, entry);
    return go_on(switching);
}

static bool write_one(struct switching *switching, struct slice key, struct slice value,
                      bool is_delete)
{
    CLEANUP_FREE char *name = xstrndup(key.ptr, key.len);
    if (kv_writes_put(switching->writes, name, value, is_delete, &switching->problem) < 0)
        switching->failed = true;
    return go_on(switching);
}

/* Those of the old one: equal ones need nothing, those that are gone are deleted. */
static bool sort_old(void *context, const struct kv_entry *entry)
{
    struct switching *switching = context;
    uint64_t hash = hash_of(entry->key);
    const uint64_t *fresh = u64map_get(&switching->fresh, hash);
    if (entry->is_deleted)
        return true;
    if (fresh && *fresh == hash_of(entry->value)) {
        (void)u64map_remove(&switching->fresh, hash);
        switching->same++;
    } else if (!fresh && standing_of(switching, entry) == STANDING_CHOSEN) {
        switching->deleted++;
        return write_one(switching, entry->key, SLICE(""), true);
    }
    return true;
}

static bool put_fresh(void *context, const struct kv_entry *entry)
{
    struct switching *switching = context;
    if (entry->is_deleted || !u64map_get(&switching->fresh, hash_of(entry->key)))
        return true;
    switching->put++;
    return write_one(switching, entry->key, entry->value, false);
}

static int each(struct switching *switching, const char *bucket,
                bool (*call)(void *context, const struct kv_entry *entry), struct error *err)
{
    if (projecting_each(switching->target->replay->to, bucket, call, switching, err) < 0)
        return -1;
    return switching->failed
               ? error_set(err, switching->problem.code, "%s", switching->problem.text)
               : 0;
}

static int switch_over(struct target *target, struct switching *switching, struct error *err)
{
    const struct kv_target *kv = target->own;
    if (kv_writes_new(target->replay, target->where, &switching->writes, err) < 0 ||
        each(switching, target->where, sort_old, err) < 0 ||
        each(switching, kv->staging, put_fresh, err) < 0)
        return -1;
    return kv_writes_wait(switching->writes, err);
}

static bool copy_old(void *context, const struct kv_entry *entry)
{
    struct switching *switching = context;
    return entry->is_deleted || write_one(switching, entry->key, entry->value, false);
}

/* A copy of what is about to be replaced. */
static int keep_old(struct target *target, struct error *err)
{
    struct replay *replay = target->replay;
    struct kv_config config = {.history = 1, .description = "projections as they were"};
    CLEANUP_FREE char *name = xasprintf("%s_OLD_%s", target->where, replay->record.id);
    struct switching copying = {.target = target};
    bool created;
    if (!replay->options->keep_old)
        return 0;
    int rc = kv_ensure(replay->to, name, &config, &created, err);
    if (rc == 0)
        rc = kv_writes_new(replay, name, &copying.writes, err);
    if (rc == 0)
        rc = each(&copying, target->where, copy_old, err);
    if (rc == 0)
        rc = kv_writes_wait(copying.writes, err);
    kv_writes_free(copying.writes);
    if (rc == 0 && !replay->options->json)
        (void)printf("the old documents are in bucket %s\n", name);
    return rc;
}

/* Asked before anything is changed, so that it is either the old ones or the new ones. */
static int check_size(struct target *target, const struct switching *switching, struct error *err)
{
    struct kv_info old;
    if (kv_info(target->replay->to, target->where, &old, err) < 0)
        return -1;
    if (old.max_bytes > 0 && switching->bytes + switching->largest > (uint64_t)old.max_bytes)
        return error_set(err, EXIT_CODE_REFUSED,
                         "bucket %s holds %lld bytes at most, and with the projections it would "
                         "take %llu: raise its max_bytes; nothing in it was changed",
                         target->where, (long long)old.max_bytes,
                         (unsigned long long)(switching->bytes + switching->largest));
    if (old.max_value_size > 0 && switching->largest > (uint64_t)old.max_value_size)
        return error_set(
            err, EXIT_CODE_REFUSED,
            "bucket %s takes values of %lld bytes at most, and one projection has %llu: "
            "raise its max_msg_size; nothing in it was changed",
            target->where, (long long)old.max_value_size, (unsigned long long)switching->largest);
    return 0;
}

static int replace(struct target *target, struct switching *switching, struct error *err)
{
    struct kv_target *kv = target->own;
    struct replay *replay = target->replay;
    struct kv_config config = {.replicas = replay->to_owned ? 1 : replay_replicas(replay)};
    bool created;
    if (kv_ensure(replay->to, target->where, &config, &created, err) < 0 ||
        each(switching, kv->staging, note_fresh, err) < 0 ||
        each(switching, target->where, note_old, err) < 0 || check_size(target, switching, err) < 0)
        return -1;
    /* Once it is switched in part, what stands there is not the old one any more. */
    if (!kv->kept && keep_old(target, err) < 0)
        return -1;
    kv->kept = true;
    if (replay_checkpoint(replay, err) < 0)
        return -1;
    if (replay_is_stopped(
            replay)) { /* the last moment: it is either the old ones or the new ones */
        replay->interrupted = !replay->cancelled;
        return error_set(err, EXIT_CODE_DAMAGED, "stopped before the switch");
    }
    if (switch_over(target, switching, err) < 0)
        return -1;
    kv->switched = true;
    return replay_checkpoint(replay, err);
}

static int drop_staging(struct target *target, struct error *err)
{
    const struct kv_target *kv = target->own;
    struct error problem = ERROR_NONE;
    return kv_drop(target->replay->to, kv->staging, &problem) == 0 ||
                   problem.code == EXIT_CODE_PROBLEM
               ? 0
               : error_set(err, problem.code, "%s", problem.text);
}

static int kv_finish(struct target *target, struct error *err)
{
    struct kv_target *kv = target->own;
    struct replay *replay = target->replay;
    struct switching switching = {.target = target};
    struct projecting_figures figures = {0};
    if (kv->switched || !replay->figures.replayed) /* no event fits: no reason to empty a bucket */
        return drop_staging(target, err);
    empty_cache(kv); /* all is written: the room is for those that it is held against */
    if (projecting_verify(replay, kv->rules, kv->staging, &figures, err) < 0)
        return -1;
    story_tell(
        replay, "ProjectionVerified",
        json_pack("{s:I, s:s}", "documents", (json_int_t)figures.documents, "bucket", kv->staging));
    int rc = replace(target, &switching, err);
    kv_writes_free(switching.writes);
    u64map_done(&switching.fresh);
    if (rc < 0)
        return -1;
    story_tell(replay, "ProjectionSwitched",
               json_pack("{s:s, s:I, s:I, s:I}", "bucket", target->where, "written",
                         (json_int_t)switching.put, "deleted", (json_int_t)switching.deleted,
                         "unchanged", (json_int_t)switching.same));
    if (!replay->options->json)
        (void)printf(
            "verified %llu documents; %llu written to %s, %llu deleted, %llu as they were\n",
            (unsigned long long)figures.documents, (unsigned long long)switching.put, target->where,
            (unsigned long long)switching.deleted, (unsigned long long)switching.same);
    return drop_staging(target, err);
}

static int kv_verify(struct target *target, struct error *err)
{
    struct kv_target *kv = target->own;
    struct projecting_figures figures = {0};
    if (projecting_verify(target->replay, kv->rules, target->where, &figures, err) < 0)
        return -1;
    (void)printf("verified: %llu documents in %s are what a fold of the selection gives\n",
                 (unsigned long long)figures.documents, target->where);
    return 0;
}

const struct target_kind target_kv = {
    .name = "kv",
    .doing = "folded into",
    .with_views = true,
    .once = true,
    .memory_bytes = PROJECTING_MEMORY + KV_KNOWN_BYTES + 2 * KV_PENDING_BYTES,
    .checkpoint_ns = 5 * NS_PER_SECOND,
    .check = kv_check,
    .open = kv_open,
    .take = kv_take,
    .poll = kv_poll,
    .settle = kv_settle,
    .state = kv_state,
    .finish = kv_finish,
    .close = kv_close,
    .verify = kv_verify,
};
