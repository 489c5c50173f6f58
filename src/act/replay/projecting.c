#include "act/replay/projecting.h"

#include <stdio.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"
#include "bus/publisher.h"
#include "read/scan.h"

bool projecting_key(const struct events_row *row, struct buf *ret)
{
    struct slice domain = row->view.field[EVENT_DOMAIN], id = row->view.field[EVENT_AGGREGATE_ID];
    buf_reset(ret);
    if (row->malformed || !slice_present(domain) || !slice_present(id))
        return false;
    kv_key_of(ret, domain);
    buf_add_char(ret, '.');
    kv_key_of(ret, id);
    return true;
}

static bool part_is_listed(const char *list, struct slice part)
{
    CLEANUP_BUF struct buf text = {0};
    return !list || (kv_key_text(&text, part) && slice_listed(list, buf_slice(&text)));
}

static bool is_in_scope(const struct selection *selection, struct slice key)
{
    const struct events_wanted *wanted = &selection->wanted.events;
    struct slice domain, id = key;
    return slice_cut(&id, '.', &domain) && slice_present(id) &&
           part_is_listed(wanted->domain, domain) && part_is_listed(wanted->aggregate, id);
}

static bool is_chosen(const struct selection *selection, const char *stream)
{
    for (size_t i = 0; i < selection->stream_count; i++) {
        if (!strcmp(selection->streams[i].name, stream))
            return true;
    }
    return false;
}

enum standing projecting_standing(const struct selection *selection, struct slice key,
                                  struct slice document)
{
    bool chosen = false, others = false;
    const char *stream;
    json_t *number;
    if (!is_in_scope(selection, key))
        return STANDING_OTHERS;
    json_t *root = json_loadb(document.ptr ? document.ptr : "", document.len, 0, NULL);
    json_object_foreach(json_object_get(root, "sequences"), stream, number)
    {
        bool is = is_chosen(selection, stream);
        chosen = chosen || is;
        others = others || !is;
    }
    json_decref(root);
    if (!chosen && !others)
        others = selection->wanted.events.stream != NULL;
    return !others ? STANDING_CHOSEN : chosen ? STANDING_BOTH : STANDING_OTHERS;
}

struct walking {
    const char *bucket;
    bool (*each)(void *context, const struct kv_entry *entry);
    void *context;
    bool ended;
};

static int walk_one(void *context, const struct bus_message *message, struct error *err)
{
    struct walking *walking = context;
    struct kv_entry entry;
    kv_entry_of(message, walking->bucket, &entry);
    walking->ended = !walking->each(walking->context, &entry);
    return walking->ended ? error_set(err, EXIT_CODE_PROBLEM, "ended") : 0;
}

int projecting_each(struct bus *bus, const char *bucket,
                    bool (*each)(void *context, const struct kv_entry *entry), void *context,
                    struct error *err)
{
    struct walking walking = {.bucket = bucket, .each = each, .context = context};
    struct kv_info info = {0};
    CLEANUP_FREE char *stream = xasprintf("KV_%s", bucket);
    if (kv_info(bus, bucket, &info, err) < 0)
        return -1;
    struct scan_options options = {.bus = bus,
                                   .stream = stream,
                                   .first_seq = 1,
                                   .last_seq = info.last_seq,
                                   .newest_only = true,
                                   .each = walk_one,
                                   .context = &walking};
    return info.values && scan_stream(&options, err) < 0 && !walking.ended ? -1 : 0;
}

/* --- writes ----------------------------------------------------------------------------------- */

enum { SEND_TIMEOUT_MS = 5000, WAIT_MS = 100, RETRY_MS = 200, HEADER_ROOM = 64 };
static const int64_t patience_ns = 60 * NS_PER_SECOND;

struct write {
    struct buf subject, value;
    bool is_delete, answered;
};

struct kv_writes {
    struct bus *bus;
    bool (*stopped)(void); /* then it is not waited for so long; or NULL */
    char *bucket;
    struct publisher *link;
    struct write ring[KV_PENDING_MAX];
    uint64_t head, tail; /* tags */
    size_t bytes;
    bool again, refused; /* an answer says: not stored, may pass; for good */
    char reason[256];
    int64_t trouble_ns;
};

static struct write *write_at(struct kv_writes *writes, uint64_t tag)
{
    return &writes->ring[tag % KV_PENDING_MAX];
}

static void drop_answered(struct kv_writes *writes)
{
    for (; writes->head < writes->tail; writes->head++) {
        struct write *one = write_at(writes, writes->head);
        if (!one->answered)
            break;
        writes->bytes -= one->value.len;
        if (one->value.room > 1 << 16)
            buf_done(&one->value);
    }
}

static void on_ack(void *context, const struct publisher_ack *ack)
{
    struct kv_writes *writes = context;
    if (ack->tag < writes->head || ack->tag >= writes->tail)
        return;
    if (!ack->error) {
        write_at(writes, ack->tag)->answered = true;
        writes->trouble_ns = 0;
        drop_answered(writes);
        return;
    }
    (void)snprintf(writes->reason, sizeof writes->reason, "%s", ack->error);
    writes->again = true;
    writes->refused = writes->refused || !(ack->no_stream || ack->transient);
}

int kv_writes_new(const struct replay *replay, const char *bucket, struct kv_writes **ret,
                  struct error *err)
{
    struct kv_writes *writes = xcalloc(1, sizeof *writes);
    struct bus *bus = replay->to;
    writes->bus = bus;
    writes->stopped = replay->options->stopped;
    writes->bucket = xstrdup(bucket);
    *ret = writes;
    return publisher_new(bus, KV_PENDING_MAX, on_ack, writes, &writes->link, err);
}

void kv_writes_free(struct kv_writes *writes)
{
    if (!writes)
        return;
    publisher_free(writes->link);
    for (size_t i = 0; i < KV_PENDING_MAX; i++) {
        buf_done(&writes->ring[i].subject);
        buf_done(&writes->ring[i].value);
    }
    free(writes->bucket);
    free(writes);
}

static int send_one(struct kv_writes *writes, uint64_t tag, struct error *err)
{
    static const struct bus_header marker = {{"KV-Operation", 12}, {"DEL", 3}};
    const struct write *one = write_at(writes, tag);
    return publisher_send(writes->link, tag, buf_slice(&one->subject), &marker,
                          one->is_delete ? 1 : 0, buf_slice(&one->value), SEND_TIMEOUT_MS, err);
}

/* A fresh link, and all that was not answered for once more, in its order. */
static int send_again(struct kv_writes *writes, struct error *err)
{
    writes->again = false;
    if (publisher_reopen(writes->link, err) < 0)
        return -1;
    for (uint64_t tag = writes->head; tag < writes->tail; tag++) {
        write_at(writes, tag)->answered = false;
        if (send_one(writes, tag, err) < 0)
            return -1;
    }
    return 0;
}

static int mend(struct kv_writes *writes, struct error *problem, struct error *err)
{
    const struct timespec nap = {.tv_nsec = RETRY_MS * NS_PER_MS};
    int64_t now = instant_monotonic_ns();
    if (writes->refused)
        return error_set(err, EXIT_CODE_DAMAGED, "bucket %s: %s", writes->bucket, writes->reason);
    if (!writes->trouble_ns)
        writes->trouble_ns = now;
    do {
        bool is_stopped = writes->stopped && writes->stopped();
        if (instant_monotonic_ns() - writes->trouble_ns >
                (is_stopped ? patience_ns / 12 : patience_ns) ||
            bus_is_closed(writes->bus))
            return error_set(err, EXIT_CODE_UNREACHABLE, "bucket %s: %s", writes->bucket,
                             problem->text[0] ? problem->text : writes->reason);
        (void)nanosleep(&nap, NULL);
    } while (send_again(writes, problem) < 0);
    return 0;
}

int kv_writes_poll(struct kv_writes *writes, int wait_ms, struct error *err)
{
    struct error problem = ERROR_NONE;
    const struct timespec nap = {.tv_nsec = (wait_ms < 10 ? wait_ms : 10) * NS_PER_MS};
    bool waits = publisher_in_flight(writes->link) > 0;
    if (!waits && wait_ms > 0)
        (void)nanosleep(&nap, NULL); /* nothing can come; a signal ends it */
    int rc = publisher_poll(writes->link, waits ? wait_ms : 0, &problem);
    return rc < 0 || writes->again ? mend(writes, &problem, err) : 0;
}

int kv_writes_wait(struct kv_writes *writes, struct error *err)
{
    int64_t began = instant_monotonic_ns();
    while (writes->head < writes->tail) {
        uint64_t head = writes->head;
        if (kv_writes_poll(writes, WAIT_MS, err) < 0)
            return -1;
        if (writes->head != head)
            began = instant_monotonic_ns();
        else if (instant_monotonic_ns() - began > patience_ns / 3)
            writes->again = true; /* the link is silent */
    }
    return 0;
}

bool kv_writes_find(const struct kv_writes *writes, const char *key, struct buf *ret)
{
    CLEANUP_BUF struct buf subject = {0};
    kv_add_subject(&subject, writes->bucket, key);
    for (uint64_t tag = writes->tail; tag > writes->head; tag--) {
        const struct write *one = &writes->ring[(tag - 1) % KV_PENDING_MAX];
        if (!slice_eq(buf_slice(&one->subject), buf_slice(&subject)))
            continue;
        buf_reset(ret);
        buf_add_slice(ret, buf_slice(&one->value));
        return true;
    }
    return false;
}

int kv_writes_put(struct kv_writes *writes, const char *key, struct slice value, bool is_delete,
                  struct error *err)
{
    struct error problem = ERROR_NONE;
    size_t most = bus_payload_max(writes->bus);
    if (most && value.len + HEADER_ROOM > most)
        return error_set(err, EXIT_CODE_DAMAGED,
                         "bucket %s: the document %s has %zu bytes, and the server takes messages "
                         "of %zu: raise its max_payload",
                         writes->bucket, key, value.len, most);
    while (writes->tail - writes->head == KV_PENDING_MAX || writes->bytes > KV_PENDING_BYTES) {
        if (kv_writes_poll(writes, WAIT_MS, err) < 0)
            return -1;
    }
    uint64_t tag = writes->tail++;
    struct write *one = write_at(writes, tag);
    buf_reset(&one->subject);
    buf_reset(&one->value);
    kv_add_subject(&one->subject, writes->bucket, key);
    if (!is_delete)
        buf_add_slice(&one->value, value);
    one->is_delete = is_delete;
    one->answered = false;
    writes->bytes += one->value.len;
    int rc = send_one(writes, tag, &problem);
    if (rc == 0 && tag % 64 == 0)
        rc = publisher_poll(writes->link, 0, &problem);
    return rc < 0 || writes->again ? mend(writes, &problem, err) : 0;
}

/* --- verification ----------------------------------------------------------------------------- */

#define UNPACKED_MAX   (PROJECTING_MEMORY / 4)
#define UNPACKED_LEAST (UNPACKED_MAX / 8 * 7) /* when some are packed */
enum { SHOWN_MAX = 20, PACKED_OVERHEAD = 192 };

/* A document that is not touched for a while is kept as its bytes: a fifth of what it takes else.
 */
struct refolded {
    char *key;
    struct projection_doc *doc; /* NULL: packed */
    char *packed;
    uint32_t packed_len;
    bool touched; /* since the hand was here */
};

struct verifying {
    struct replay *replay;
    struct projector *projector;
    const char *bucket;
    struct projecting_figures *figures;
    struct refolded *docs;
    size_t count, room;
    size_t unpacked, hand; /* bytes; where packing goes on */
    struct u64map by_hash;
    uint64_t pass, passes;
    struct buf key, value;
};

static void pack(struct verifying *verifying, struct refolded *one)
{
    buf_reset(&verifying->value);
    projection_doc_write(one->doc, &verifying->value);
    verifying->unpacked -= projection_doc_room(one->doc);
    projection_doc_free(one->doc);
    one->doc = NULL;
    one->packed_len = (uint32_t)verifying->value.len;
    one->packed = one->packed_len ? xmalloc(one->packed_len) : NULL;
    if (one->packed)
        memcpy(one->packed, verifying->value.ptr, one->packed_len);
}

/* Round the documents; those that were touched since the last round stay. */
static void pack_some(struct verifying *verifying)
{
    while (verifying->unpacked > UNPACKED_LEAST) {
        struct refolded *one = &verifying->docs[verifying->hand++ % verifying->count];
        if (one->doc && !one->touched)
            pack(verifying, one);
        one->touched = false;
    }
}

static int unpack(struct verifying *verifying, struct refolded *one, struct error *err)
{
    one->doc = projection_doc_new();
    int rc = one->packed_len
                 ? projection_doc_load(one->doc, (struct slice){one->packed, one->packed_len}, err)
                 : 0;
    free(one->packed);
    one->packed = NULL;
    one->packed_len = 0;
    verifying->unpacked += projection_doc_room(one->doc);
    return rc;
}

static bool is_empty(const struct refolded *one)
{
    return one->doc ? projection_doc_is_empty(one->doc) : !one->packed_len;
}

static void forget(struct verifying *verifying, struct refolded *one)
{
    if (one->doc)
        verifying->unpacked -= projection_doc_room(one->doc);
    projection_doc_free(one->doc);
    free(one->packed);
    one->doc = NULL;
    one->packed = NULL;
    one->packed_len = 0;
}

static bool is_of_pass(const struct verifying *verifying, uint64_t hash)
{
    return hash % verifying->passes == verifying->pass;
}

/* The one of the key in verifying->key. */
static struct refolded *document_of(struct verifying *verifying, uint64_t hash, struct error *err)
{
    bool fresh;
    if (verifying->unpacked > UNPACKED_MAX)
        pack_some(verifying);
    uint64_t *at = u64map_put(&verifying->by_hash, hash, &fresh);
    if (fresh) {
        GROW(verifying->docs, verifying->count, verifying->room);
        verifying->docs[verifying->count] =
            (struct refolded){.key = xstrdup(buf_cstr(&verifying->key))};
        *at = verifying->count++;
    }
    struct refolded *one = &verifying->docs[*at];
    one->touched = true;
    return one->doc || unpack(verifying, one, err) == 0 ? one : NULL;
}

static int refold(void *context, const struct replay_event *event, struct error *err)
{
    struct verifying *verifying = context;
    enum projection_effect effect;
    struct error problem = ERROR_NONE;
    if (!projecting_key(&event->row, &verifying->key))
        return 0;
    uint64_t hash = XXH3_64bits(verifying->key.ptr, verifying->key.len);
    if (!is_of_pass(verifying, hash))
        return 0;
    struct refolded *one = document_of(verifying, hash, err);
    if (!one)
        return -1;
    struct projection_event folded = {
        .stream = slice_of(verifying->replay->selection.streams[event->stream].name),
        .seq = event->seq,
        .input = &event->input,
        .view = &event->row.view,
        .payload = event->row.payload};
    verifying->unpacked -= projection_doc_room(one->doc);
    int rc = projection_apply(verifying->projector, one->doc, &folded, &effect, &problem);
    verifying->unpacked += projection_doc_room(one->doc);
    if (rc < 0 && problem.code != EXIT_CODE_PROBLEM) /* too much for it: left out here as there */
        return error_set(err, problem.code, "%s", problem.text);
    return 0;
}

static int look(void *context, struct error *err)
{
    const struct verifying *verifying = context;
    struct replay *replay = verifying->replay;
    if (!replay->looking && replay_keep(replay, err) < 0)
        return -1;
    if (!replay_is_stopped(replay))
        return 0;
    replay->interrupted = !replay->cancelled;
    return 1;
}

static void differs(struct verifying *verifying, struct slice key, const char *how)
{
    CLEANUP_BUF struct buf clean = {0};
    shown_add(&clean, key);
    if (verifying->figures->different++ < SHOWN_MAX)
        (void)printf("  %s: %s\n", buf_cstr(&clean), how);
}

static bool compare_one(void *context, const struct kv_entry *entry)
{
    struct verifying *verifying = context;
    uint64_t hash = XXH3_64bits(entry->key.ptr, entry->key.len);
    if (!is_of_pass(verifying, hash) || entry->is_deleted ||
        projecting_standing(&verifying->replay->selection, entry->key, entry->value) ==
            STANDING_OTHERS)
        return true;
    const uint64_t *at = u64map_get(&verifying->by_hash, hash);
    struct refolded *mine = at ? &verifying->docs[*at] : NULL;
    if (!mine || is_empty(mine)) {
        differs(verifying, entry->key, "is in the bucket, and no event makes it");
        return true;
    }
    if (mine->doc)
        pack(verifying, mine);
    if (!slice_eq((struct slice){mine->packed, mine->packed_len}, entry->value))
        differs(verifying, entry->key, "is not what its events give");
    verifying->figures->documents++;
    forget(verifying, mine); /* seen */
    return true;
}

static void forget_docs(struct verifying *verifying)
{
    for (size_t i = 0; i < verifying->count; i++) {
        forget(verifying, &verifying->docs[i]);
        free(verifying->docs[i].key);
    }
    verifying->count = verifying->hand = 0;
    u64map_done(&verifying->by_hash);
    verifying->by_hash = (struct u64map){0};
}

static int run_pass(struct verifying *verifying, struct error *err)
{
    struct replay *replay = verifying->replay;
    uint64_t *read = xcalloc(replay->selection.stream_count + 1, sizeof *read);
    struct feed feed = {.selection = &replay->selection,
                        .with_views = true,
                        .read = read,
                        .each = refold,
                        .idle = look,
                        .context = verifying};
    int rc = feed_run(&feed, err);
    free(read);
    if (rc == 0)
        rc = projecting_each(replay->to, verifying->bucket, compare_one, verifying, err);
    for (size_t i = 0; rc == 0 && i < verifying->count; i++) {
        if (!is_empty(&verifying->docs[i]))
            differs(verifying, slice_of(verifying->docs[i].key), "is missing in the bucket");
    }
    forget_docs(verifying);
    return rc > 0 ? error_set(err, EXIT_CODE_DAMAGED, "interrupted while it was verified") : rc;
}

int projecting_verify(struct replay *replay, const struct projection_rules *rules,
                      const char *bucket, struct projecting_figures *ret, struct error *err)
{
    struct verifying verifying = {.replay = replay, .bucket = bucket, .figures = ret};
    struct kv_info info = {0};
    if (kv_info(replay->to, bucket, &info, err) < 0)
        return -1;
    verifying.projector = projector_new(rules);
    verifying.passes = (info.bytes + info.keys * PACKED_OVERHEAD) / (PROJECTING_MEMORY / 4 * 3) + 1;
    int rc = 0;
    for (; rc == 0 && verifying.pass < verifying.passes; verifying.pass++)
        rc = run_pass(&verifying, err);
    projector_free(verifying.projector);
    free(verifying.docs);
    buf_done(&verifying.key);
    buf_done(&verifying.value);
    if (rc == 0 && ret->different)
        rc = error_set(err, EXIT_CODE_PROBLEM, "%llu documents in %s are not what the events give",
                       (unsigned long long)ret->different, bucket);
    return rc;
}
