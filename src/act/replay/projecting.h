/*
 * projecting: projections in buckets: keys, writes that are answered for, and verification.
 *
 * For target_kv.c only.
 */
#pragma once

#include "act/replay/replay_internal.h"
#include "bus/kv.h"
#include "fold/projection.h"

/* <domain>.<aggregate id>, each made legal by kv_key_of(), in *ret (reset before). False: the event
 * is of no aggregate. */
bool projecting_key(const struct events_row *row, struct buf *ret);
/* Streams whose events a stored document has folded (its `sequences`), beside those chosen. */
enum standing {
    STANDING_CHOSEN, /* on chosen ones alone; also what is no document, where all streams are chosen
                      */
    STANDING_OTHERS, /* on others alone, or the selection would never write its key */
    STANDING_BOTH,
};
/* Only what stands on chosen streams alone may be replaced or deleted. */
enum standing projecting_standing(const struct selection *selection, struct slice key,
                                  struct slice document);

/*
 * As kv_each(), at the speed of the wire (read/scan.h), for a bucket that nobody else writes to: a
 * key that is written meanwhile may come with neither value.
 */
int projecting_each(struct bus *bus, const char *bucket,
                    bool (*each)(void *context, const struct kv_entry *entry), void *context,
                    struct error *err);

/* --- writes ----------------------------------------------------------------------------------- */

/*
 * Writes to a bucket, at the speed of the wire. Each is kept until it is answered for, and sent
 * again in its order when the link breaks; the bucket then holds the last value of each key all the
 * same. Bounded: KV_PENDING_MAX writes of KV_PENDING_BYTES. EXIT_CODE_DAMAGED: the bucket will not
 * have it (full, too large); EXIT_CODE_UNREACHABLE: patience ran out.
 */
#define KV_PENDING_MAX   1024
#define KV_PENDING_BYTES ((size_t)32 << 20)

struct kv_writes;
int kv_writes_new(const struct replay *replay, const char *bucket, struct kv_writes **ret,
                  struct error *err);
void kv_writes_free(struct kv_writes *writes); /* NULL is allowed */
int kv_writes_put(struct kv_writes *writes, const char *key, struct slice value, bool is_delete,
                  struct error *err);
/* The value of the key that is on its way, in *ret (reset before), empty for one that deletes.
 * False: none is. */
bool kv_writes_find(const struct kv_writes *writes, const char *key, struct buf *ret);
int kv_writes_poll(struct kv_writes *writes, int wait_ms, struct error *err);
int kv_writes_wait(struct kv_writes *writes, struct error *err); /* until all are answered for */

/* --- verification ----------------------------------------------------------------------------- */

/* Of documents in memory, most of them packed; what is more takes more passes over the selection.
 */
#define PROJECTING_MEMORY ((size_t)256 << 20)

struct projecting_figures {
    uint64_t documents, different;
};
/*
 * Folds the selection once more, in memory, and holds it against the bucket, byte by byte. Says
 * what differs on stdout. EXIT_CODE_PROBLEM: something does.
 */
int projecting_verify(struct replay *replay, const struct projection_rules *rules,
                      const char *bucket, struct projecting_figures *ret, struct error *err);
