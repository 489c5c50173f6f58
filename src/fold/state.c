#include "fold/state.h"

#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "fold/engine_internal.h"
#include "fold/span.h"
#include "metrics/snapshot.h"

static const struct slice magic = SLICE("CIMSTATE6\n");

const char *state_name(const struct stream_state *state)
{
    return state->name;
}

uint64_t state_seq(const struct stream_state *state)
{
    return state->seq;
}

uint64_t state_next_seq(const struct stream_state *state)
{
    return state->seq + 1;
}

void state_set_now(struct stream_state *state, int64_t now_ns)
{
    state->now_ns = now_ns;
}

const char *state_incarnation(const struct stream_state *state)
{
    return state->created;
}

static void clear_recent(struct stream_state *state)
{
    placemap_done(&state->recent_at);
    state->recent_total = 0;
}

static void clear_remembered(struct stream_state *state)
{
    for (size_t i = 0; state->remembered && i < REMEMBERED_KEYS_MAX; i++)
        free(state->remembered[i].text);
    free(state->remembered);
    state->remembered = NULL;
    state->remembered_total = 0;
    u64map_done(&state->remembered_at);
}

void state_free(struct stream_state *state)
{
    classes_clear(state);
    clear_recent(state);
    clear_remembered(state);
    facts_free(state->facts);
    state->facts = NULL;
    spans_clear(state);
    free(state->spans);
    chain_heads_clear(&state->chains);
    free(state->recent);
    free(state->applied);
    free(state->name);
    free(state);
}

/* --- recent ids and remembered keys ----------------------------------------------------------- */

void state_expect(const struct stream_state *state, uint64_t id)
{
    placemap_prefetch(&state->recent_at, id);
    /* Which id leaves is known long before: fetch the one that leaves some events later. */
    if (state->recent_total >= DUPLICATE_WINDOW)
        placemap_prefetch(&state->recent_at,
                          state->recent[(state->recent_total + 4) % DUPLICATE_WINDOW]);
}

bool state_seen_before(struct stream_state *state, uint64_t id)
{
    if (!state->recent)
        state->recent = xcalloc(DUPLICATE_WINDOW, sizeof *state->recent);
    uint64_t *recent = state->recent;
    struct placemap *map = &state->recent_at;
    uint32_t at = (uint32_t)(state->recent_total % DUPLICATE_WINDOW);
    uint32_t before = placemap_get(map, id, recent, sizeof *recent); /* the oldest still counts */
    if (before != PLACEMAP_NONE)
        placemap_remove(map, id, before, recent, sizeof *recent);
    /* The oldest leaves, unless it has come again since and is known by its later place. */
    if (state->recent_total >= DUPLICATE_WINDOW && before != at)
        placemap_remove(map, recent[at], at, recent, sizeof *recent);
    recent[at] = id;
    placemap_put(map, id, at, recent, sizeof *recent);
    state->recent_total++;
    return before != PLACEMAP_NONE;
}

void state_remember_put(struct stream_state *state, uint64_t key, struct slice text)
{
    bool fresh;
    text = utf8_cut(text, REMEMBERED_BYTES_MAX);
    if (!state->remembered)
        state->remembered = xcalloc(REMEMBERED_KEYS_MAX, sizeof *state->remembered);
    uint64_t *known = u64map_get(&state->remembered_at, key);
    if (known) {
        struct remembered *slot = &state->remembered[*known - 1];
        free(slot->text);
        slot->text = xstrndup(text.ptr, text.len);
        return;
    }
    size_t at = (size_t)(state->remembered_total++ % REMEMBERED_KEYS_MAX);
    struct remembered *slot = &state->remembered[at];
    if (slot->text) {
        (void)u64map_remove(&state->remembered_at, slot->key);
        free(slot->text);
    }
    *slot = (struct remembered){key, xstrndup(text.ptr, text.len)};
    *u64map_put(&state->remembered_at, key, &fresh) = at + 1;
}

struct slice state_remember_get(const struct stream_state *state, uint64_t key)
{
    const uint64_t *place = u64map_get(&state->remembered_at, key);
    return place ? slice_of(state->remembered[*place - 1].text) : SLICE_ABSENT;
}

/* --- sequences -------------------------------------------------------------------------------- */

static void forget_applied(struct engine *engine, struct stream_state *state)
{
    memset(state->applied, 0, engine->rules->metric_count * sizeof *state->applied);
    memset(state->applied_builtin, 0, sizeof state->applied_builtin);
    state->applied_max = 0;
}

void state_begin_incarnation(struct engine *engine, struct stream_state *state, const char *created)
{
    if (state->created[0] && engine->shard.index == 0)
        cell_add(partition_cell1(state->partition, engine->builtin[BUILTIN_RECREATED], state->name),
                 1);
    (void)snprintf(state->created, sizeof state->created, "%s", created);
    state->seq = 0;
    spans_give_up(engine, state);
    chain_heads_clear(&state->chains);
    forget_applied(engine, state);
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t state_known_seq(const struct stream_state *state)
{
    return max_u64(state->seq, state->applied_max);
}

void state_roll_back(struct stream_state *state, uint64_t last_seq)
{
    if (last_seq < state->seq)
        state->seq = last_seq;
    chain_heads_clear(&state->chains);
    /* What comes behind it now are other messages than those that were counted there. */
    if (last_seq < state->applied_max)
        state->applied_max = last_seq;
    for (size_t i = 0; i < BUILTINS; i++) {
        if (last_seq < state->applied_builtin[i])
            state->applied_builtin[i] = last_seq;
    }
    for (size_t i = 0; i < state->rule_count; i++) {
        if (last_seq < state->applied[i])
            state->applied[i] = last_seq;
    }
}

void state_skip_to(struct engine *engine, struct stream_state *state, uint64_t first_seq)
{
    uint64_t from = max_u64(state->seq, state->applied_builtin[BUILTIN_MISSED]);
    if (first_seq <= state->seq + 1)
        return;
    state->seq = first_seq - 1;
    chain_heads_gap(&state->chains, first_seq);
    if (first_seq <= from + 1)
        return; /* gone now, but counted before: a fold over older messages for a new rule */
    if (engine->shard.index)
        return; /* the first shard counts it */
    uint64_t amount = first_seq - from - 1;
    cell_add(partition_cell1(state->partition, engine->builtin[BUILTIN_MISSED], state->name),
             (double)amount);
    engine->reporter.report(engine->reporter.context, REPORT_GAP, state, first_seq,
                            "gone before it could be read", amount);
}

void state_pass(struct engine *engine, struct stream_state *state, uint64_t seq)
{
    state_skip_to(engine, state, seq);
    if (seq > state->seq)
        state->seq = seq;
}

/* --- snapshot --------------------------------------------------------------------------------- */

/*
 *     magic, name, shard: index, count, created, seq,
 *     families: count { name, kind, fingerprint, applied, cells }
 *     recent: total, count { fixed id } oldest first
 *     remembered: total, count { fixed key, text } oldest first
 *     chains: see chain_heads_encode()
 *     facts that wait for their copy: see fold/fact.h
 *     spans: see fold/span.h
 *     checksum: XXH3 over all before it, 8 bytes
 */
static void encode_recent(const struct stream_state *state, struct buf *ret)
{
    uint64_t count =
        state->recent_total < DUPLICATE_WINDOW ? state->recent_total : DUPLICATE_WINDOW;
    codec_put_u64(ret, count);
    for (uint64_t i = state->recent_total - count; i < state->recent_total; i++)
        codec_put_fixed(ret, state->recent[i % DUPLICATE_WINDOW]);
}

static void encode_remembered(const struct stream_state *state, struct buf *ret)
{
    uint64_t total = state->remembered_total;
    uint64_t count = total < REMEMBERED_KEYS_MAX ? total : REMEMBERED_KEYS_MAX;
    codec_put_u64(ret, count);
    for (uint64_t i = total - count; i < total; i++) {
        const struct remembered *slot = &state->remembered[i % REMEMBERED_KEYS_MAX];
        codec_put_fixed(ret, slot->key);
        codec_put_text(ret, slice_of(slot->text));
    }
}

enum { WRITE_BYTES = 1 << 18 };

struct family_part {
    size_t head_end; /* of what stands before the cells, in `heads` */
    struct cells_copy *cells;
};

struct state_copy {
    uint64_t seq;
    bool whole;
    struct family_part *parts;
    size_t part_count;
    struct buf heads; /* the snapshot's own, then one per family */
    size_t head_end;
    struct buf memories;
};

static void copy_family(const struct stream_state *state, const struct family *family,
                        uint64_t fingerprint, uint64_t applied, struct state_copy *ret)
{
    const struct metric_spec *spec = family_spec(family);
    codec_put_text(&ret->heads, slice_of(spec->name));
    codec_put_u64(&ret->heads, (uint64_t)spec->kind);
    codec_put_fixed(&ret->heads, fingerprint);
    codec_put_u64(&ret->heads, applied);
    ret->parts[ret->part_count++] =
        (struct family_part){ret->heads.len, partition_copy_family(state->partition, family)};
}

/* What the counts of the engine itself stand on: what is malformed or missed no rule decides, the
 * others are found where the envelopes say. */
static uint64_t builtin_fingerprint(const struct rules *rules, enum builtin which)
{
    bool of_any_rules =
        which == BUILTIN_MALFORMED || which == BUILTIN_MISSED || which == BUILTIN_RECREATED;
    return of_any_rules ? 0 : rules->envelope_fingerprint;
}

struct state_copy *state_copy_new(const struct engine *engine, const struct stream_state *state)
{
    const struct rules *rules = engine->rules;
    struct state_copy *copy = xcalloc(1, sizeof *copy);
    copy->seq = state->seq;
    copy->whole = state->seq == state_known_seq(state);
    copy->parts = xcalloc(rules->metric_count + BUILTINS, sizeof *copy->parts);
    buf_add_slice(&copy->heads, magic);
    codec_put_text(&copy->heads, slice_of(state->name));
    codec_put_u64(&copy->heads, engine->shard.index);
    codec_put_u64(&copy->heads, engine->shard.count ? engine->shard.count : 1);
    codec_put_text(&copy->heads, slice_of(state->created));
    codec_put_u64(&copy->heads, state->seq);
    codec_put_u64(&copy->heads, rules->metric_count + BUILTINS);
    copy->head_end = copy->heads.len;
    for (size_t i = 0; i < rules->metric_count; i++)
        copy_family(state, engine->families[i], rules->metrics[i].fingerprint,
                    max_u64(state->seq, state->applied[i]), copy);
    for (size_t i = 0; i < BUILTINS; i++)
        copy_family(state, engine->builtin[i], builtin_fingerprint(rules, (enum builtin)i),
                    max_u64(state->seq, state->applied_builtin[i]), copy);
    encode_recent(state, &copy->memories);
    encode_remembered(state, &copy->memories);
    chain_heads_encode(&state->chains, &copy->memories);
    facts_encode(state->facts, &copy->memories);
    spans_encode(engine, state, &copy->memories);
    return copy;
}

void state_copy_free(struct state_copy *copy)
{
    if (!copy)
        return;
    for (size_t i = 0; i < copy->part_count; i++)
        cells_copy_free(copy->parts[i].cells);
    free(copy->parts);
    buf_done(&copy->heads);
    buf_done(&copy->memories);
    free(copy);
}

uint64_t state_copy_seq(const struct state_copy *copy)
{
    return copy->seq;
}

bool state_copy_is_whole(const struct state_copy *copy)
{
    return copy->whole;
}

struct writing {
    state_sink *sink;
    void *context;
    XXH3_state_t *hash;
};

static int put_bytes(const struct writing *writing, struct slice bytes, struct error *err)
{
    XXH3_64bits_update(writing->hash, bytes.ptr, bytes.len);
    return writing->sink ? writing->sink(writing->context, bytes, err) : 0;
}

static int put_cells(const struct writing *writing, struct cells_copy *cells, struct error *err)
{
    CLEANUP_BUF struct buf part = {0};
    bool more = true;
    while (more) {
        buf_reset(&part);
        more = cells_copy_encode(cells, WRITE_BYTES, &part);
        if (put_bytes(writing, buf_slice(&part), err) < 0)
            return -1;
    }
    return 0;
}

static int put_all(const struct writing *writing, const struct state_copy *copy, struct error *err)
{
    size_t at = copy->head_end;
    if (put_bytes(writing, (struct slice){copy->heads.ptr, at}, err) < 0)
        return -1;
    for (size_t i = 0; i < copy->part_count; i++) {
        const struct family_part *part = &copy->parts[i];
        struct slice head = {copy->heads.ptr + at, part->head_end - at};
        if (put_bytes(writing, head, err) < 0 || put_cells(writing, part->cells, err) < 0)
            return -1;
        at = part->head_end;
    }
    return put_bytes(writing, buf_slice(&copy->memories), err);
}

int state_copy_write(struct state_copy *copy, state_sink *sink, void *context,
                     uint64_t *ret_checksum, struct error *err)
{
    struct writing writing = {sink, context, XXH3_createState()};
    CLEANUP_BUF struct buf tail = {0};
    XXH3_64bits_reset(writing.hash);
    int rc = put_all(&writing, copy, err);
    uint64_t checksum = XXH3_64bits_digest(writing.hash);
    XXH3_freeState(writing.hash);
    if (ret_checksum)
        *ret_checksum = checksum;
    codec_put_fixed(&tail, checksum);
    return rc == 0 && sink ? sink(context, buf_slice(&tail), err) : rc;
}

static int append(void *context, struct slice bytes, struct error *err)
{
    (void)err;
    buf_add_slice(context, bytes);
    return 0;
}

void state_encode(const struct engine *engine, const struct stream_state *state, struct buf *ret)
{
    struct state_copy *copy = state_copy_new(engine, state);
    (void)state_copy_write(copy, append, ret, NULL, NULL);
    state_copy_free(copy);
}

/* --- and back --------------------------------------------------------------------------------- */

struct slice state_peek_name(struct slice bytes)
{
    struct codec_reader in = {slice_from(bytes, magic.len), slice_starts(bytes, magic)};
    struct slice name = codec_get_text(&in);
    return in.ok ? name : SLICE_ABSENT;
}

/* The metric of this name that means the same; the number of metrics: none. */
static size_t find_rule(const struct engine *engine, struct slice name, uint64_t fingerprint)
{
    const struct rules *rules = engine->rules;
    size_t i = 0;
    while (i < rules->metric_count && (rules->metrics[i].fingerprint != fingerprint ||
                                       !slice_eq(slice_of(rules->metrics[i].spec.name), name)))
        i++;
    return i;
}

/* Likewise; BUILTINS: none. */
static size_t find_builtin(const struct engine *engine, struct slice name, uint64_t fingerprint)
{
    size_t i = 0;
    while (i < BUILTINS && (builtin_fingerprint(engine->rules, (enum builtin)i) != fingerprint ||
                            !slice_eq(slice_of(family_spec(engine->builtin[i])->name), name)))
        i++;
    return i;
}

/* Rules find events suspect, too: a new one those that were folded already. (What a rule that is
 * gone has found stays counted, since no fold is worth that.) */
static void suspect_anew(struct engine *engine, struct stream_state *state)
{
    partition_clear_family(state->partition, engine->builtin[BUILTIN_SUSPECT]);
    state->applied_builtin[BUILTIN_SUSPECT] = 0;
}

/* False when a current metric found no cells of its own. */
static bool decode_families(struct engine *engine, struct stream_state *state,
                            struct codec_reader *in)
{
    size_t rules = 0, builtins = 0;
    for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
        struct slice name = codec_get_text(in);
        uint64_t kind = codec_get_u64(in);
        uint64_t fingerprint = codec_get_fixed(in);
        uint64_t applied = codec_get_u64(in);
        if (!in->ok || kind > METRIC_DISTINCT) {
            in->ok = false;
            return false;
        }
        struct family *family = NULL; /* of none that we have: passed over */
        size_t rule = find_rule(engine, name, fingerprint);
        size_t builtin = find_builtin(engine, name, fingerprint);
        if (rule < engine->rules->metric_count) {
            family = engine->families[rule];
            state->applied[rule] = applied;
            rules++;
        } else if (builtin < BUILTINS) {
            family = engine->builtin[builtin];
            state->applied_builtin[builtin] = applied;
            builtins++;
        }
        if (family)
            state->applied_max = max_u64(state->applied_max, applied);
        partition_decode_family(state->partition, family, (enum metric_kind)kind, in);
    }
    if (rules != engine->rules->metric_count)
        suspect_anew(engine, state);
    return rules == engine->rules->metric_count && builtins == BUILTINS;
}

static void decode_memories(struct stream_state *state, bool keep, struct codec_reader *in)
{
    for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
        uint64_t id = codec_get_fixed(in);
        if (keep && in->ok)
            (void)state_seen_before(state, id);
    }
    for (uint64_t left = codec_get_u64(in); left && in->ok; left--) {
        uint64_t key = codec_get_fixed(in);
        struct slice text = codec_get_text(in);
        if (keep && in->ok)
            state_remember_put(state, key, text);
    }
    chain_heads_decode(&state->chains, keep, in);
    facts_decode(&state->facts, keep, in);
}

void state_clear(struct engine *engine, struct stream_state *state)
{
    classes_clear(state);
    memset(state->builtin, 0, sizeof state->builtin);
    partition_clear(state->partition);
    clear_recent(state);
    clear_remembered(state);
    facts_free(state->facts);
    state->facts = NULL;
    spans_clear(state);
    chain_heads_clear(&state->chains);
    state->resumed = false;
    state->seq = 0;
    state->created[0] = 0;
    forget_applied(engine, state);
}

/* Of another share of the stream: of no use here. */
static bool is_of_shard(const struct engine *engine, struct codec_reader *in, struct error *err)
{
    uint64_t index = codec_get_u64(in), count = codec_get_u64(in);
    uint32_t own = engine->shard.count ? engine->shard.count : 1;
    if (!in->ok || (index == engine->shard.index && count == own))
        return true;
    (void)error_set(
        err, EXIT_CODE_DAMAGED, "the snapshot is of shard %llu/%llu, this monitor is %u/%u",
        (unsigned long long)index + 1, (unsigned long long)count, engine->shard.index + 1, own);
    return false;
}

static bool decode_body(struct engine *engine, struct stream_state *state, struct codec_reader *in,
                        struct error *err)
{
    struct slice name = codec_get_text(in);
    if (!is_of_shard(engine, in, err))
        return false;
    struct slice created = codec_get_text(in);
    uint64_t seq = codec_get_u64(in);
    in->ok = in->ok && slice_eq(name, slice_of(state->name)) && created.len < sizeof state->created;
    if (!in->ok)
        return true;
    (void)snprintf(state->created, sizeof state->created, "%.*s", SLICE_ARG(created));
    /* A metric without cells of its own needs the stream from its start; memories are then rebuilt
     * too. */
    bool whole = decode_families(engine, state, in);
    state->seq = whole ? seq : 0;
    state->resumed = true;
    decode_memories(state, whole, in);
    spans_decode(engine, state, in);
    return true;
}

int state_decode(struct engine *engine, struct stream_state *state, struct slice bytes,
                 struct error *err)
{
    state_clear(engine, state);
    struct codec_reader in = {slice_from(bytes, magic.len), true};
    if (!slice_starts(bytes, magic) || in.rest.len < 8)
        return error_set(err, EXIT_CODE_DAMAGED, "not a snapshot of this version");
    in.rest.len -= 8;
    struct codec_reader tail = {slice_from(bytes, bytes.len - 8), true};
    if (codec_get_fixed(&tail) != XXH3_64bits(bytes.ptr, bytes.len - 8))
        return error_set(err, EXIT_CODE_DAMAGED, "the checksum does not match");
    if (!decode_body(engine, state, &in, err)) {
        state_clear(engine, state);
        return -1;
    }
    if (in.ok && !in.rest.len)
        return 0;
    state_clear(engine, state);
    return error_set(err, EXIT_CODE_DAMAGED, "the snapshot is not well-formed");
}
