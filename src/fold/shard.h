/*
 * shard: one of several folds that share the work of the same streams.
 *
 * All of them see every message, since only the message tells whose it is; each counts its own. An
 * event belongs to the shard of its domain and aggregate id (of its subject, where it has none), a
 * message that is no event to that of its subject, a key of a distinct set or a span to that of the
 * key, and what belongs to a whole stream (gaps) to the first. So counters, histograms and distinct
 * sets of all shards add up to those of one fold. What must be known of every event to judge the
 * next (ids seen, remembered values, chains) is kept by each.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define SHARDS_MAX 4096

struct shard {
    uint32_t index; /* from 0 */
    uint32_t count; /* 0 and 1: not divided */
};

/* "2/3": the second of three. EXIT_CODE_USAGE when it is none. */
int shard_parse(const char *text, struct shard *ret, struct error *err);

static inline bool shard_is_divided(struct shard shard)
{
    return shard.count > 1;
}

static inline bool shard_has(struct shard shard, uint64_t hash)
{
    /* The upper half: the lower one picks places in tables. */
    return shard.count <= 1 || (uint32_t)(hash >> 32) % shard.count == shard.index;
}

uint64_t shard_hash_subject(struct slice subject);
uint64_t shard_hash_aggregate(struct slice domain, struct slice aggregate_id);
