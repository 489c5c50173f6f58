/*
 * kv: NATS key-value buckets.
 *
 * Bucket B is the stream KV_B over the subjects $KV.B.>; a key is the rest of the subject, its
 * value the newest message there, its revision that message's stream sequence. A deletion is a
 * message, too: an empty one with a KV-Operation header (a marker). Source: ADR-8 of
 * nats-architecture-and-design; what is written here the official clients read, and the other way
 * round. Works with nats-server 2.9 and newer.
 *
 * Names of buckets are of A-Z a-z 0-9 _ -; keys of these and / = . with a dot neither first nor
 * last nor doubled. EXIT_CODE_USAGE when one is not; kv_key_of() makes a part of a key of any text.
 *
 * Thread-safe as the bus is. Each call costs one round trip, unless it says otherwise.
 * EXIT_CODE_UNREACHABLE: no answer, or one that passes (no leader); a write may then be stored or
 * not, which kv_get() tells. Writers of many keys send them to kv_add_subject() by a publisher.
 */
#pragma once

#include "bus/bus.h"

#define KV_HISTORY_MAX 64
#define KV_BUCKET_MAX  200  /* bytes of a bucket's name */
#define KV_KEY_MAX     2048 /* bytes of a key: the server's control line takes 4096 with the rest */
#define KV_TOKEN_MAX   480  /* bytes that kv_key_of() makes at most */

/* --- buckets ---------------------------------------------------------------------------------- */

struct kv_config {
    unsigned history; /* values kept of each key, 1 to KV_HISTORY_MAX; 0: 1 */
    /* 0 and -1: no limit. A full bucket refuses writes, which is EXIT_CODE_PROBLEM. */
    int64_t max_bytes;
    unsigned replicas;       /* 0: 1 */
    const char *description; /* NULL: none */
};

/* Makes the bucket; one that is there stays as it is (*ret_created is false). `config` may be NULL.
 */
int kv_ensure(struct bus *bus, const char *bucket, const struct kv_config *config,
              bool *ret_created, struct error *err);

struct kv_info {
    uint64_t keys;   /* markers of deleted ones included */
    uint64_t values; /* older ones of the history included */
    uint64_t bytes;
    uint64_t last_seq; /* the newest revision; 0: never written to */
    unsigned history, replicas;
    int64_t max_bytes, max_value_size; /* -1: no limit of the bucket's */
    int64_t created_ns;
};

/* EXIT_CODE_PROBLEM: there is none. */
int kv_info(struct bus *bus, const char *bucket, struct kv_info *ret, struct error *err);
/* Removes the bucket with all in it. EXIT_CODE_PROBLEM: there was none. */
int kv_drop(struct bus *bus, const char *bucket, struct error *err);

/* --- keys ------------------------------------------------------------------------------------- */

/*
 * Appends the value to *ret_value. EXIT_CODE_PROBLEM: no such key, also because there is no such
 * bucket (kv_info() tells); *ret_revision is then the marker's when it was deleted, else 0. The
 * stream's leader answers, so that what was written before is seen. Both results may be NULL.
 */
int kv_get(struct bus *bus, const char *bucket, const char *key, struct buf *ret_value,
           uint64_t *ret_revision, struct error *err);

/*
 * Writes, whatever was there. EXIT_CODE_PROBLEM: it cannot be stored (no such bucket, bucket full,
 * value too large). ret_revision may be NULL, as below.
 */
int kv_put(struct bus *bus, const char *bucket, const char *key, struct slice value,
           uint64_t *ret_revision, struct error *err);

/*
 * Writes when the key's newest revision is `revision` (compare and set); 0: when there is no such
 * key, or it was deleted (up to three round trips). EXIT_CODE_REFUSED: it is another by now.
 */
int kv_update(struct bus *bus, const char *bucket, const char *key, struct slice value,
              uint64_t revision, uint64_t *ret_revision, struct error *err);

/* Stores a marker; the history stays. Also for a key that is not there. */
int kv_delete(struct bus *bus, const char *bucket, const char *key, struct error *err);
/* Stores a marker and drops the key's history. */
int kv_purge_key(struct bus *bus, const char *bucket, const char *key, struct error *err);

struct kv_entry {
    struct slice key, value; /* valid during the call */
    uint64_t revision;
    int64_t stored_at_ns;
    bool is_deleted; /* a marker; the value is empty */
};

/*
 * The newest value of each key that the filter takes ("a.*", "a.>"; NULL: all), in the order of
 * their revisions, up to what there is when it begins. A key that is written meanwhile comes with
 * its old value, its new one, or (when the link broke) with both, in this order. `each` returns
 * false to end it, and may call kv functions. Holds KV_EACH_HELD messages at most. Costs a round
 * trip for every few dozen keys. EXIT_CODE_PROBLEM: no such bucket.
 */
#define KV_EACH_HELD 96
int kv_each(struct bus *bus, const char *bucket, const char *filter,
            bool (*each)(void *context, const struct kv_entry *entry), void *context,
            struct error *err);

/* The entry that a message of the bucket's stream is, for those who read it themselves. */
void kv_entry_of(const struct bus_message *message, const char *bucket, struct kv_entry *ret);

/* --- names ------------------------------------------------------------------------------------ */

bool kv_bucket_is_legal(const char *bucket);
bool kv_key_is_legal(const char *key);
/* Appends $KV.BUCKET.KEY, where the key's values are published to. */
void kv_add_subject(struct buf *out, const char *bucket, const char *key);

/*
 * Appends a legal part of a key for any text, without dots, so that parts may be joined by them:
 * A-Z a-z 0-9 - _ / stay, any other byte becomes =XX (two upper-case hex digits), and so does the
 * first byte of a text that begins with "_kv", which ADR-8 reserves. The empty text becomes "=".
 * What would get longer than KV_TOKEN_MAX is cut, and "=x" with the BLAKE3 digest of the text in
 * hex put behind. No two texts share a part (of the cut ones: unless BLAKE3 collides).
 */
void kv_key_of(struct buf *out, struct slice text);
/* The text that kv_key_of() made the part of. False: it was cut, or is none of its making. */
bool kv_key_text(struct buf *out, struct slice part);
