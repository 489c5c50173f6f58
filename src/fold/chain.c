#include "fold/chain.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"

/* --- heads --------------------------------------------------------------------------------------
 */

void chain_heads_clear(struct chain_heads *heads)
{
    free(heads->ring);
    u64map_done(&heads->at);
    *heads = (struct chain_heads){0};
}

void chain_heads_gap(struct chain_heads *heads, uint64_t seq)
{
    heads->whole_from = seq;
}

static struct chain_head *find_head(const struct chain_heads *heads, uint64_t key)
{
    const uint64_t *place = u64map_get(&heads->at, key);
    return place ? &heads->ring[*place - 1] : NULL;
}

static void put_head(struct chain_heads *heads, const struct chain_head *head)
{
    struct chain_head *known = find_head(heads, head->key);
    bool fresh;
    if (known) {
        *known = *head;
        return;
    }
    if (!heads->ring)
        heads->ring = xcalloc(CHAIN_HEADS_MAX, sizeof *heads->ring);
    size_t at = (size_t)(heads->total++ % CHAIN_HEADS_MAX);
    if (heads->total > CHAIN_HEADS_MAX)
        (void)u64map_remove(&heads->at, heads->ring[at].key);
    heads->ring[at] = *head;
    *u64map_put(&heads->at, head->key, &fresh) = at + 1;
}

static void forget_head(struct chain_heads *heads, uint64_t key)
{
    struct chain_head *head = find_head(heads, key);
    if (head)
        head->low = head->high = 0; /* its place is kept, so that what is forgotten next is, too */
}

/* What the chain ended in, if that is known and nothing was lost since. */
static const struct chain_head *known_head(const struct chain_heads *heads, uint64_t key)
{
    const struct chain_head *head = key ? find_head(heads, key) : NULL;
    return head && head->stream_seq >= heads->whole_from && (head->low || head->high) ? head : NULL;
}

void chain_heads_encode(const struct chain_heads *heads, struct buf *ret)
{
    uint64_t total = heads->total;
    uint64_t first = total > CHAIN_HEADS_MAX ? total - CHAIN_HEADS_MAX : 0;
    codec_put_u64(ret, heads->whole_from);
    codec_put_u64(ret, heads->at.count);
    for (uint64_t i = first; i < total; i++) {
        const struct chain_head *head = &heads->ring[i % CHAIN_HEADS_MAX];
        codec_put_fixed(ret, head->key);
        codec_put_fixed(ret, head->low);
        codec_put_fixed(ret, head->high);
        codec_put_u64(ret, head->position);
        codec_put_u64(ret, head->stream_seq);
    }
}

void chain_heads_decode(struct chain_heads *heads, bool keep, struct codec_reader *in)
{
    chain_heads_clear(heads);
    uint64_t whole_from = codec_get_u64(in);
    heads->whole_from = keep ? whole_from : 0;
    for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
        struct chain_head head;
        head.key = codec_get_fixed(in);
        head.low = codec_get_fixed(in);
        head.high = codec_get_fixed(in);
        head.position = codec_get_u64(in);
        head.stream_seq = codec_get_u64(in);
        in->ok = in->ok && head.key && heads->at.count < CHAIN_HEADS_MAX;
        if (keep && in->ok)
            put_head(heads, &head);
    }
}

/* --- what the event carries ---------------------------------------------------------------------
 */

struct carried {
    const struct chain_rule *rule;
    struct cid cid, previous;
    enum cid_reading reading, previous_reading;
    bool has_sequence;
    uint64_t sequence;
};

static const struct json_value *value_at(const struct eval *eval, size_t path)
{
    static const struct json_value absent = {0};
    int slot = path == CHAIN_NO_PATH ? -1 : eval->slot_of[path];
    return slot < 0 ? &absent : &eval->values[slot];
}

static bool whole_number(const struct json_value *value, uint64_t *ret)
{
    return value->type == JSON_TYPE_NUMBER && slice_u64(value->raw, ret) && *ret <= INT64_MAX;
}

/* Is everything there that this rule speaks of, but for a CID that comes apart from its content? */
static bool applies(const struct eval *eval, const struct chain_rule *rule)
{
    for (size_t i = 0; i < rule->require_count; i++) {
        if (value_at(eval, rule->requires[i])->type <= JSON_TYPE_NULL)
            return false;
    }
    for (size_t i = 0; i < rule->byte_count; i++) {
        if (rule->bytes[i].kind == CHAIN_VALUE &&
            value_at(eval, rule->bytes[i].path)->type == JSON_TYPE_ABSENT)
            return false;
    }
    return rule->split || value_at(eval, rule->cid)->type > JSON_TYPE_NULL;
}

static bool read_carried(const struct eval *eval, struct carried *ret)
{
    const struct envelope *envelope = eval->envelope;
    ret->rule = NULL;
    for (size_t i = 0; i < envelope->chain_count && !ret->rule; i++) {
        if (applies(eval, envelope->chains[i]))
            ret->rule = envelope->chains[i];
    }
    if (!ret->rule)
        return false;
    ret->reading = cid_parse_json(value_at(eval, ret->rule->cid), &ret->cid);
    ret->previous_reading = cid_parse_json(value_at(eval, ret->rule->previous), &ret->previous);
    ret->has_sequence = whole_number(value_at(eval, ret->rule->sequence), &ret->sequence);
    return true;
}

/* As it stands in the payload: a string with its quotes. */
static struct slice raw_value(const struct json_value *value)
{
    if (value->type == JSON_TYPE_STRING)
        return (struct slice){value->raw.ptr - 1, value->raw.len + 2};
    return value->raw;
}

static void add_without_cid(const struct eval *eval, const struct chain_rule *rule, struct buf *out)
{
    struct slice payload = eval->input->payload, cid = raw_value(value_at(eval, rule->cid));
    size_t before = (size_t)(cid.ptr - payload.ptr);
    buf_add(out, payload.ptr, before);
    buf_add_str(out, "null");
    buf_add_slice(out, slice_from(payload, before + cid.len));
}

static void add_previous(const struct carried *carried, struct buf *out)
{
    char text[CID_TEXT_MAX];
    if (carried->previous_reading != CID_READ) {
        buf_add_str(out, "null");
        return;
    }
    buf_add_char(out, '"');
    buf_add(out, text, cid_text(&carried->previous, text));
    buf_add_char(out, '"');
}

/* The bytes that the producer hashed; valid until `work` changes. */
static struct slice hashed_bytes(const struct eval *eval, const struct carried *carried,
                                 uint64_t position, struct buf *work)
{
    const struct chain_rule *rule = carried->rule;
    if (rule->byte_count == 1 && rule->bytes[0].kind == CHAIN_VALUE)
        return raw_value(value_at(eval, rule->bytes[0].path));
    buf_reset(work);
    for (size_t i = 0; i < rule->byte_count; i++) {
        const struct chain_part *part = &rule->bytes[i];
        switch (part->kind) {
        case CHAIN_TEXT: buf_add_slice(work, part->text); break;
        case CHAIN_VALUE: buf_add_slice(work, raw_value(value_at(eval, part->path))); break;
        case CHAIN_PREVIOUS: add_previous(carried, work); break;
        case CHAIN_POSITION: buf_add_u64(work, position); break;
        case CHAIN_WITHOUT_CID: add_without_cid(eval, rule, work); break;
        }
    }
    return buf_slice(work);
}

/* --- its content --------------------------------------------------------------------------------
 */

/*
 * A program between producer and stream that writes JSON anew (jsonb, a sorting library) keeps the
 * meaning and breaks the CID: it shows in members that are not in the producer's order.
 */
static bool is_reordered(const struct eval *eval, const struct chain_rule *rule)
{
    const char *last = NULL;
    for (size_t i = 0; i < rule->order_count; i++) {
        const struct json_value *value = value_at(eval, rule->order[i]);
        if (value->type == JSON_TYPE_ABSENT)
            continue;
        if (last && value->raw.ptr < last)
            return true;
        last = value->raw.ptr;
    }
    return false;
}

/*
 * Where the event stands in its chain. True: it says so itself, or what came before does. False: it
 * is a guess from the number that the event has in its aggregate, which is another one when the
 * producer began a new chain since.
 */
static bool find_position(const struct eval *eval, const struct carried *carried,
                          const struct chain_head *before, uint64_t *ret)
{
    uint64_t place;
    *ret = CHAIN_POSITION_UNKNOWN;
    if (carried->has_sequence) {
        *ret = carried->sequence;
    } else if (carried->previous_reading == CID_ABSENT) {
        *ret = 0;
    } else if (before && before->position != CHAIN_POSITION_UNKNOWN) {
        *ret = before->position + 1;
    } else {
        if (whole_number(value_at(eval, carried->rule->place), &place) && place)
            *ret = place - 1;
        return false;
    }
    return true;
}

static struct chain_finding broken(const struct carried *carried, const char *reason)
{
    return (struct chain_finding){CHAIN_BROKEN, reason, carried->rule};
}

static struct chain_finding unverifiable(const struct carried *carried, const char *reason)
{
    return (struct chain_finding){CHAIN_UNVERIFIABLE, reason, carried->rule};
}

static struct chain_finding check_content(const struct eval *eval, const struct carried *carried,
                                          uint64_t position, bool certain, struct buf *work)
{
    const struct chain_rule *rule = carried->rule;
    if (rule->has_codec && carried->cid.codec != rule->codec)
        return broken(carried, "wrong_codec");
    if (cid_names(&carried->cid, hashed_bytes(eval, carried, position, work)))
        return (struct chain_finding){CHAIN_VERIFIED, "no link", rule};
    if (is_reordered(eval, rule))
        return broken(carried, "reordered");
    return certain || !rule->positioned ? broken(carried, "cid_mismatch")
                                        : unverifiable(carried, "position_unknown");
}

/* --- its link -----------------------------------------------------------------------------------
 */

static void set_cid(struct chain_head *head, const struct cid *cid)
{
    uint8_t binary[CID_BINARY_MAX];
    XXH128_hash_t hash = XXH3_128bits(binary, cid_binary(cid, binary));
    head->low = hash.low64;
    head->high = hash.high64;
}

static bool has_cid(const struct chain_head *head, const struct cid *cid)
{
    struct chain_head other;
    set_cid(&other, cid);
    return head->low == other.low && head->high == other.high;
}

/* The verdict when the content is as it should be. `before` is NULL when it is not known. */
static struct chain_finding check_link(const struct carried *carried,
                                       const struct chain_head *before, uint64_t position)
{
    struct chain_finding good = {CHAIN_VERIFIED, "follows", carried->rule};
    bool numbered = carried->has_sequence;
    if (before && has_cid(before, &carried->cid)) {
        good.reason = "repeats";
        return good;
    }
    if (carried->previous_reading == CID_ABSENT) {
        good.reason = "begins";
        if (before)
            return broken(carried, "restarted");
        return numbered && position ? broken(carried, "sequence") : good;
    }
    if (!before) {
        good.reason = "start not seen";
        return numbered && !position ? broken(carried, "sequence") : good;
    }
    bool known = before->position != CHAIN_POSITION_UNKNOWN;
    if (!has_cid(before, &carried->previous))
        return broken(carried, numbered && known && position > before->position + 1
                                   ? "gap"
                                   : "previous_mismatch");
    return numbered && known && position != before->position + 1 ? broken(carried, "sequence")
                                                                 : good;
}

/* The aggregate's text, or the rule's own key; 0: there is none. */
static uint64_t chain_key(struct eval *eval, const struct chain_rule *rule)
{
    size_t index = (size_t)(rule - eval->rules->chains);
    const struct expr_list *list =
        rule->key.count ? &rule->key : &eval->envelope->fields[EVENT_AGGREGATE_ID];
    struct slice text = expr_list_text(eval, list);
    if (!slice_present(text) && !rule->split)
        text = eval->input->subject;
    if (!slice_present(text))
        return 0;
    uint64_t key = XXH3_64bits_withSeed(text.ptr, text.len, index + 1);
    return key ? key : 1;
}

static struct chain_finding check_linked(struct eval *eval, struct chain_heads *heads,
                                         const struct carried *carried, struct buf *work)
{
    struct chain_head next = {.key = chain_key(eval, carried->rule)};
    const struct chain_head *before = next.key ? known_head(heads, next.key) : NULL;
    bool certain = find_position(eval, carried, before, &next.position);
    struct chain_finding content = check_content(eval, carried, next.position, certain, work);
    struct chain_finding link = check_link(carried, before, next.position);
    /* A position is handed on only when it is known to be right. */
    if (content.verdict != CHAIN_VERIFIED && !carried->has_sequence)
        next.position = CHAIN_POSITION_UNKNOWN;
    next.stream_seq = eval->input->seq;
    set_cid(&next, &carried->cid);
    if (next.key)
        put_head(heads, &next);
    if (content.verdict == CHAIN_BROKEN || link.verdict == CHAIN_VERIFIED)
        return content.verdict == CHAIN_VERIFIED ? link : content;
    return link;
}

/* --- content and CID in two messages ------------------------------------------------------------
 */

/* The content comes first and its CID is kept; then the CID comes under the same key. */
static struct chain_finding check_split(struct eval *eval, struct chain_heads *heads,
                                        const struct carried *carried, struct buf *work)
{
    const struct chain_rule *rule = carried->rule;
    struct chain_head kept = {.key = chain_key(eval, rule)};
    if (carried->reading != CID_READ) {
        struct cid cid;
        if (!kept.key)
            return (struct chain_finding){CHAIN_NONE, "", rule};
        cid_of(rule->codec, CID_HASH_BLAKE3, hashed_bytes(eval, carried, 0, work), &cid);
        set_cid(&kept, &cid);
        kept.stream_seq = eval->input->seq;
        put_head(heads, &kept);
        return (struct chain_finding){CHAIN_NONE, "", rule};
    }
    if (carried->cid.codec != rule->codec)
        return broken(carried, "wrong_codec");
    const struct chain_head *content = kept.key ? known_head(heads, kept.key) : NULL;
    if (!content)
        return unverifiable(carried, "content_elsewhere");
    if (!has_cid(content, &carried->cid))
        return broken(carried, "cid_mismatch");
    return (struct chain_finding){CHAIN_VERIFIED, "content came before", rule};
}

struct chain_finding chain_check(struct eval *eval, struct chain_heads *heads, struct buf *work)
{
    struct carried carried;
    if (!eval->envelope || !read_carried(eval, &carried))
        return (struct chain_finding){0};
    if (carried.rule->split)
        return check_split(eval, heads, &carried, work);
    enum cid_reading worse = carried.reading != CID_READ              ? carried.reading
                             : carried.previous_reading == CID_ABSENT ? CID_READ
                                                                      : carried.previous_reading;
    if (worse == CID_READ && !carried.rule->byte_count)
        return unverifiable(&carried, "content_unknown");
    if (worse == CID_READ)
        return carried.rule->previous == CHAIN_NO_PATH
                   ? check_content(eval, &carried, 0, true, work)
                   : check_linked(eval, heads, &carried, work);
    if (carried.rule->previous != CHAIN_NO_PATH)
        forget_head(heads, chain_key(eval, carried.rule));
    if (worse == CID_MALFORMED)
        return broken(&carried, "malformed_cid");
    return unverifiable(&carried, worse == CID_FAKE ? "fake" : "unsupported");
}
