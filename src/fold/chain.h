/*
 * chain: is the CID that an event carries the CID of its bytes, and does it follow the one before?
 *
 * `chains:` in envelopes.yaml says, per producer, where the CID stands and what was hashed
 * (doc/rules.md, "CID chains"); an envelope names those that its events may carry. Bytes are taken
 * from the message as it was stored, never written anew. Events of envelopes that name none cost
 * nothing.
 *
 * What came last in each chain is remembered per stream, CHAIN_HEADS_MAX of them, the chain begun
 * longest ago forgotten first. A chain whose start was not seen (retention, a forgotten head,
 * messages gone from the stream) is taken up where it is seen: that is no break.
 */
#pragma once

#include "base/codec.h"
#include "base/u64map.h"
#include "event/cid.h"
#include "fold/expr.h"

#define CHAIN_HEADS_MAX 65536 /* per stream */

/* --- rules --------------------------------------------------------------------------------------
 */

enum chain_part_kind {
    CHAIN_TEXT,        /* as it stands */
    CHAIN_VALUE,       /* a value of the payload, its bytes as sent */
    CHAIN_PREVIOUS,    /* the previous CID's text in quotes, or null */
    CHAIN_POSITION,    /* the event's place in its chain, from 0 */
    CHAIN_WITHOUT_CID, /* the whole payload, the CID's value being null */
};

struct chain_part {
    enum chain_part_kind kind;
    struct slice text;
    size_t path; /* index into rules.paths */
};

#define CHAIN_PARTS_MAX 16
struct chain_rule {
    struct slice name;
    size_t cid, previous, sequence, place; /* paths; CHAIN_NO_PATH: the rule has none */
    struct chain_part bytes[CHAIN_PARTS_MAX];
    size_t byte_count;                          /* 0: not known what was hashed */
    size_t order[CHAIN_PARTS_MAX], order_count; /* members as the producer writes them */
    size_t requires[CHAIN_PARTS_MAX], require_count;
    struct expr_list key; /* none: the aggregate */
    bool has_codec;
    uint64_t codec;
    bool positioned; /* $position is hashed */
    bool split;      /* content and CID come in two messages */
    const struct yaml_node *node;
};
#define CHAIN_NO_PATH SIZE_MAX

/* Loads `chains:` into rules->chains, and an envelope's `chain:` (a name or a list of them). */
int chain_rules_load(struct rules *rules, const struct yaml_node *node, struct error *err);
int chain_names_load(const struct rules *rules, const struct yaml_node *node, struct envelope *ret,
                     struct error *err);
void chain_rules_free(struct rules *rules);

/* --- heads --------------------------------------------------------------------------------------
 */

struct chain_head {
    uint64_t key;
    uint64_t low, high;  /* XXH3 of the binary CID; both 0: not known */
    uint64_t position;   /* in its chain; CHAIN_POSITION_UNKNOWN */
    uint64_t stream_seq; /* of the message */
};
#define CHAIN_POSITION_UNKNOWN UINT64_MAX

struct chain_heads {
    struct chain_head *ring; /* CHAIN_HEADS_MAX, made when first needed */
    uint64_t total;
    struct u64map at;    /* key -> place in the ring + 1 */
    uint64_t whole_from; /* stream sequence: of what lies before, something is missing */
};

void chain_heads_clear(struct chain_heads *heads);
/* Messages before `seq` are gone from the stream: heads from before them are not followed on. */
void chain_heads_gap(struct chain_heads *heads, uint64_t seq);
void chain_heads_encode(const struct chain_heads *heads, struct buf *ret);
/* `keep` false: read, and forgotten. */
void chain_heads_decode(struct chain_heads *heads, bool keep, struct codec_reader *in);

/* --- one event ----------------------------------------------------------------------------------
 */

enum chain_verdict {
    CHAIN_NONE, /* the event carries no CID */
    CHAIN_VERIFIED,
    CHAIN_BROKEN,
    CHAIN_UNVERIFIABLE, /* a fake, a hash that we do not know, content that is not here */
};

struct chain_finding {
    enum chain_verdict verdict;
    const char *reason; /* constant; for CHAIN_VERIFIED what is known of the link */
    const struct chain_rule *rule;
};

/*
 * `eval` is that of an event whose view is filled; `heads` go on to the event. `work` is reused
 * from event to event and grows to the largest payload.
 */
struct chain_finding chain_check(struct eval *eval, struct chain_heads *heads, struct buf *work);
