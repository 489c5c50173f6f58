/*
 * The course of things: which fact comes next, for whom, and what it carries.
 *
 *     sim_next -- a second form still to send? send it
 *              +- malformed?   damage a recent message
 *              +- duplicate?   a recent message again, byte for byte
 *              +- a fact:      of a causal chain, a failure, or by weight
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/sim/malform.h"
#include "source/sim/world.h"

enum {
    CHAINS = 16,
    RECENT = 64,        /* messages kept to be repeated or damaged */
    RECENT_EVERY = 5,   /* ... of so many events */
    OWED_MAX = 1000,    /* failures to be made up for, per domain */
    STALLED_MAX = 1000, /* then the oldest stalled workflow is cancelled */
    TICK_NS = 1000000,  /* per event, where the clock is ours */
};

static const double share_chained = 0.08;

/* One run through chain_steps[]: a person is created, and in the end a device is found. */
struct chain {
    struct uuid corr, last;
    size_t step;
    bool running;
};

struct recent {
    struct buf subject, headers, payload;
    struct sim_account account;
};

struct sim {
    struct sim_config config;
    struct rng course, ids;
    struct world world;
    unsigned domain_weights;
    int64_t clock_ns;
    int64_t first_ns;
    enum sim_domain silent; /* SIM_DOMAINS: all speak */
    struct chain chains[CHAINS];
    uint16_t chain_facts[16];

    struct live stalled[STALLED_MAX];
    size_t stalled_at, stalled_count;
    bool cancel_due;
    struct live to_cancel;
    uint16_t cancel_fact;

    unsigned owed[SIM_DOMAINS]; /* failures that were due when nothing could fail */
    struct recent recent[RECENT];
    uint64_t recent_count, event_count;

    struct template_values values;
    uint16_t second_of; /* fact whose second form is due; FACT_NONE */
    struct sim_account second_account;
    bool in_chain, late;
    struct buf subject, headers, payload, scratch;
};

/* --- set-up ----------------------------------------------------------------------------------- */

static void apply_fault(struct sim_config *config)
{
    switch (config->fault) {
    case FAULT_NONE:
    case FAULT_STALL: break;
    case FAULT_ERRORS: config->shares.failed = 0.3; break;
    case FAULT_DUPLICATES: config->shares.duplicate = 0.2; break;
    case FAULT_MALFORMED: config->shares.malformed = 0.1; break;
    }
}

struct sim *sim_new(const struct sim_config *config)
{
    struct sim *sim = xcalloc(1, sizeof *sim);
    sim->config = *config;
    apply_fault(&sim->config);
    sim->clock_ns = config->start_ns;
    sim->first_ns = config->start_ns ? config->start_ns : instant_now_ns();
    sim->silent = SIM_DOMAINS;
    sim->second_of = FACT_NONE;
    rng_seed(&sim->course, config->seed);
    /* Ids must differ from run to run unless the whole run is to be repeated. */
    rng_seed(&sim->ids, config->seed ^ rng_mix((uint64_t)sim->first_ns));
    world_init(&sim->world, config->live);
    sim->cancel_fact = world_find_fact(&sim->world, "WorkflowCancelled");
    for (size_t i = 0; i < chain_step_count; i++)
        sim->chain_facts[i] = world_find_fact(&sim->world, chain_steps[i]);
    for (size_t d = 0; d < SIM_DOMAINS; d++)
        sim->domain_weights += config->domains[d] ? sim_domains[d].weight : 0;
    return sim;
}

void sim_free(struct sim *sim)
{
    if (!sim)
        return;
    for (size_t i = 0; i < RECENT; i++) {
        buf_done(&sim->recent[i].subject);
        buf_done(&sim->recent[i].headers);
        buf_done(&sim->recent[i].payload);
    }
    buf_done(&sim->subject);
    buf_done(&sim->headers);
    buf_done(&sim->payload);
    buf_done(&sim->scratch);
    world_done(&sim->world);
    free(sim);
}

/* --- ids and times ---------------------------------------------------------------------------- */

static struct uuid fresh_id(struct sim *sim, int version)
{
    uint64_t high = rng_next(&sim->ids), low = rng_next(&sim->ids);
    return version == 4 ? uuid_v4(high, low) : uuid_v7(sim->values.then_ns, high, low);
}

/* chrono prints 9 digits mostly; fewer where the source's clock was coarser. */
static int64_t coarsen(int64_t ns, uint64_t draw)
{
    static const struct {
        uint64_t below;
        int64_t unit;
    } clocks[] = {{80, 1}, {90, 1000}, {97, NS_PER_MS}, {100, NS_PER_SECOND}};
    size_t i = 0;
    while (draw >= clocks[i].below)
        i++;
    return ns - ns % clocks[i].unit;
}

static void advance_clock(struct sim *sim)
{
    if (sim->config.start_ns)
        sim->clock_ns += TICK_NS;
    else
        sim->clock_ns = instant_now_ns();
    if (sim->config.fault == FAULT_STALL && sim->silent == SIM_DOMAINS &&
        sim->clock_ns - sim->first_ns >= sim->config.stall_after_ns) {
        sim->silent = 0;
        while (!sim->config.domains[sim->silent])
            sim->silent++;
    }
}

static void set_times(struct sim *sim, const struct sim_fact *fact)
{
    const int64_t late_min_ns = 60 * NS_PER_SECOND, late_spread_ns = 6 * 3600 * NS_PER_SECOND;
    struct template_values *v = &sim->values;
    v->then_ns = sim->clock_ns - (int64_t)rng_below(&sim->course, 1000000);
    int64_t before_ns = (int64_t)rng_below(&sim->course, 20 * 1000000);
    sim->late = rng_chance(&sim->course, sim->config.shares.late) && (fact->flags & FACT_TIMED);
    if (sim->late)
        before_ns = late_min_ns + (int64_t)rng_below(&sim->course, (uint64_t)late_spread_ns);
    v->at_ns = coarsen(v->then_ns - before_ns, rng_below(&sim->course, 100));
}

/* --- forms ------------------------------------------------------------------------------------ */

/* `[123,34,...]`: what serde makes of a Vec<u8> that was JSON already. */
static void add_byte_array(struct slice bytes, struct buf *out)
{
    buf_reserve(out, bytes.len * 4 + 2);
    char *at = out->ptr + out->len;
    *at++ = '[';
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned value = (unsigned char)bytes.ptr[i];
        if (value >= 100)
            *at++ = (char)('0' + value / 100);
        if (value >= 10)
            *at++ = (char)('0' + value / 10 % 10);
        *at++ = (char)('0' + value % 10);
        *at++ = ',';
    }
    at[bytes.len ? -1 : 0] = ']';
    out->len = (size_t)(at - out->ptr) + (bytes.len ? 0 : 1);
}

/* Lines that start with '?' stay only within a chain. */
static void keep_headers(struct sim *sim)
{
    struct slice rest = buf_slice(&sim->scratch), line;
    while (rest.len && slice_cut(&rest, '\n', &line)) {
        bool optional = line.len && line.ptr[0] == '?';
        if (optional && !sim->in_chain)
            continue;
        buf_add_slice(&sim->headers, slice_from(line, optional));
        buf_add_char(&sim->headers, '\n');
    }
}

static void render(struct sim *sim, size_t series, const struct sim_form *form)
{
    const struct form_templates *t = &sim->world.forms[series];
    buf_reset(&sim->subject);
    buf_reset(&sim->headers);
    buf_reset(&sim->payload);
    template_render(&t->subject, &sim->values, &sim->subject);
    if (t->headers.count) {
        buf_reset(&sim->scratch);
        template_render(&t->headers, &sim->values, &sim->scratch);
        keep_headers(sim);
    }
    if (!(form->flags & FORM_BYTES)) {
        template_render(&t->payload, &sim->values, &sim->payload);
        return;
    }
    buf_reset(&sim->scratch);
    template_render(&t->payload, &sim->values, &sim->scratch);
    add_byte_array(buf_slice(&sim->scratch), &sim->payload);
}

static void remember(struct sim *sim, const struct sim_account *account)
{
    if (++sim->event_count % RECENT_EVERY)
        return;
    struct recent *recent = &sim->recent[sim->recent_count++ % RECENT];
    buf_reset(&recent->subject);
    buf_reset(&recent->headers);
    buf_reset(&recent->payload);
    buf_add_slice(&recent->subject, buf_slice(&sim->subject));
    buf_add_slice(&recent->headers, buf_slice(&sim->headers));
    buf_add_slice(&recent->payload, buf_slice(&sim->payload));
    recent->account = *account;
}

static void say(struct sim *sim, enum sim_sort sort, const struct sim_account *account,
                struct sim_event *ret)
{
    *ret = (struct sim_event){
        .subject = buf_slice(&sim->subject),
        .headers = buf_slice(&sim->headers),
        .payload = buf_slice(&sim->payload),
        .sort = sort,
        .late = sim->late,
        .account = *account,
    };
}

/* --- facts ------------------------------------------------------------------------------------ */

static void set_flow(struct sim *sim, const struct sim_domain_spec *domain, struct live *live,
                     struct chain *chain)
{
    struct template_values *v = &sim->values;
    v->msg = fresh_id(sim, domain->id_version);
    v->transaction = chain != NULL;
    sim->in_chain = chain != NULL;
    if (live->seq == 1) { /* the root of its own thread, unless a chain leads here */
        bool rooted = domain->flow == FLOW_ROOTED;
        live->last = rooted ? v->event : fresh_id(sim, domain->id_version);
        live->corr = chain ? chain->corr : rooted ? v->event : live->last;
    }
    if (chain) {
        v->corr = chain->corr;
        v->cause = chain->last;
        chain->last = domain->flow == FLOW_SINGLE ? v->msg : v->event;
    } else if (domain->flow == FLOW_SINGLE) {
        v->corr = v->cause = v->msg;
    } else {
        v->corr = live->corr;
        v->cause = live->last;
    }
    live->last = v->event;
}

/* What makes an occurrence the same, however it is told: what the monitor can go by, no more (times
 * are coarse, so two occurrences may well tell one). 0: nothing does. */
static uint64_t told(const struct sim *sim, const struct sim_account *account)
{
    struct slice payload = buf_slice(&sim->payload);
    uint64_t aggregate = XXH3_64bits(account->aggregate.bytes, sizeof account->aggregate.bytes);
    switch ((enum twin)account->fact->twin) {
    case TWIN_ID: return XXH3_64bits(account->event.bytes, sizeof account->event.bytes);
    case TWIN_TIME: {
        uint64_t parts[] = {(uint64_t)account->at_ns, account->series / 2u};
        return XXH3_64bits_withSeed(parts, sizeof parts, aggregate);
    }
    case TWIN_BYTES: return XXH3_64bits(payload.ptr, payload.len);
    case TWIN_EVENT: {
        const char *event = memmem(payload.ptr, payload.len, "\"event\":", 8);
        const char *end = memmem(payload.ptr, payload.len, "},\"timestamp\":", 14);
        return XXH3_64bits_withSeed(event, (size_t)(end - event), aggregate);
    }
    case TWIN_NONE: break;
    }
    return 0;
}

static void set_other(struct sim *sim, const struct sim_fact *fact, int id_version)
{
    const struct pool *pool = &sim->world.pools[fact->other];
    sim->values.other = fact->other && pool->count
                            ? pool->items[rng_below(&sim->course, pool->count)].id
                            : fresh_id(sim, id_version);
}

/* Fills the values and moves the aggregate on; the caller puts `live` back or lets it go. */
static void happen(struct sim *sim, uint16_t fact_at, struct live *live, struct chain *chain,
                   struct sim_event *ret)
{
    const struct sim_fact *fact = sim->world.facts[fact_at];
    enum sim_domain d = sim_pools[fact->pool].domain;
    const struct sim_domain_spec *domain = &sim_domains[d];
    struct template_values *v = &sim->values;
    v->salt = rng_next(&sim->ids);
    v->ids = &sim->ids;
    v->id_version = domain->id_version;
    v->event = fresh_id(sim, domain->id_version);
    if (fact->flags & FACT_OPENS)
        live->open = fresh_id(sim, domain->id_version);
    live->seq++;
    set_flow(sim, domain, live, chain);
    set_other(sim, fact, domain->id_version);
    v->agg = live->id;
    v->open = live->open;
    v->seq = live->seq;
    v->name = slice_of(workflow_names[live->name]);

    struct sim_account account = {
        .fact = fact,
        .form = &fact->first,
        .aggregate = live->id,
        .event = v->event,
        .at_ns = v->at_ns,
        .series = (uint16_t)(2 * fact_at),
        .name = live->name,
        .domain = (uint8_t)d,
    };
    render(sim, account.series, account.form);
    account.told = told(sim, &account);
    remember(sim, &account);
    if (fact->second.subject && rng_chance(&sim->course, sim->config.shares.second)) {
        sim->second_of = fact_at;
        sim->second_account = account;
    }
    live->stage = fact->to;
    say(sim, SORT_FIRST, &account, ret);
}

static void say_second(struct sim *sim, struct sim_event *ret)
{
    struct sim_account account = sim->second_account;
    account.form = &account.fact->second;
    account.series++;
    if (account.form->flags & FORM_OWN_ID)
        account.event.bytes[15] ^= 0xff; /* some other id: only equality matters */
    sim->second_of = FACT_NONE;
    render(sim, account.series, account.form);
    account.told = told(sim, &account);
    remember(sim, &account);
    say(sim, SORT_SECOND, &account, ret);
}

static void begin(struct sim *sim, uint16_t fact_at, struct chain *chain, struct sim_event *ret)
{
    const struct sim_fact *fact = sim->world.facts[fact_at];
    struct pool *pool = &sim->world.pools[fact->pool];
    struct live *live = &pool->items[pool->count];
    set_times(sim, fact);
    *live = (struct live){
        .id = fresh_id(sim, sim_domains[sim_pools[fact->pool].domain].id_version),
        .name = (uint8_t)rng_below(&sim->course, WORKFLOW_NAMES),
        .stalls =
            fact->pool == POOL_WORKFLOW && rng_chance(&sim->course, sim->config.shares.stalled),
    };
    happen(sim, fact_at, live, chain, ret);
    pool->count++;
}

/* A workflow that was born to stall just never speaks again; the list of them is bounded. */
static void stall(struct sim *sim, size_t at)
{
    size_t slot = (sim->stalled_at + sim->stalled_count) % STALLED_MAX;
    if (sim->stalled_count == STALLED_MAX) {
        sim->to_cancel = sim->stalled[sim->stalled_at];
        sim->cancel_due = true;
        sim->stalled_at = (sim->stalled_at + 1) % STALLED_MAX;
        sim->stalled_count--;
    }
    sim->stalled[slot] = sim->world.pools[POOL_WORKFLOW].items[at];
    sim->stalled_count++;
    world_remove(&sim->world, POOL_WORKFLOW, at);
}

static void proceed(struct sim *sim, uint16_t fact_at, size_t at, struct chain *chain,
                    struct sim_event *ret)
{
    const struct sim_fact *fact = sim->world.facts[fact_at];
    struct live *live = &sim->world.pools[fact->pool].items[at];
    set_times(sim, fact);
    happen(sim, fact_at, live, chain, ret);
    if (fact->to == END)
        world_remove(&sim->world, fact->pool, at);
    else if (live->stalls && live->stage == 2 && rng_chance(&sim->course, 0.3))
        stall(sim, at);
}

/* --- choosing --------------------------------------------------------------------------------- */

static enum sim_domain draw_domain(struct sim *sim)
{
    for (;;) {
        uint64_t at = rng_below(&sim->course, sim->domain_weights);
        size_t d = 0;
        for (;; d++) {
            unsigned weight = sim->config.domains[d] ? sim_domains[d].weight : 0;
            if (at < weight)
                break;
            at -= weight;
        }
        if ((enum sim_domain)d != sim->silent)
            return (enum sim_domain)d;
    }
}

/* Of the domain's pools by weight; with `failing`, of those in which something can fail. */
static unsigned draw_pool(struct sim *sim, enum sim_domain domain, bool failing)
{
    unsigned sum = 0, found = POOL_NONE;
    for (unsigned p = 1; p < SIM_POOLS; p++) {
        if (sim_pools[p].domain != domain || (failing && !sim->world.can_fail[p]))
            continue;
        sum += sim_pools[p].weight;
        if (rng_below(&sim->course, sum) < sim_pools[p].weight)
            found = p;
    }
    return found;
}

static void usual_fact(struct sim *sim, unsigned pool, struct sim_event *ret)
{
    struct pool *p = &sim->world.pools[pool];
    /* The fuller the pool, the fewer are born: it settles where births and deaths are even. */
    double births = p->count < p->room ? 0.3 * (1.0 - (double)p->count / (double)p->room) : 0.0;
    if (!p->count || rng_chance(&sim->course, births)) {
        begin(sim, choice_draw(&sim->world.usual[pool][0], &sim->course), NULL, ret);
        return;
    }
    size_t at = (size_t)rng_below(&sim->course, p->count);
    proceed(sim, choice_draw(&sim->world.usual[pool][p->items[at].stage], &sim->course), at, NULL,
            ret);
}

/* Fails something, or leads what can fail nearer to it and owes the failure. False: nothing ever
 * fails. */
static bool try_failure(struct sim *sim, enum sim_domain domain, struct sim_event *ret)
{
    unsigned stages = 0, pool = draw_pool(sim, domain, true);
    if (!pool)
        return false;
    for (unsigned stage = 1; stage < STAGES; stage++)
        stages |= sim->world.failing[pool][stage].count ? STAGE(stage) : 0;
    int64_t at = world_probe(&sim->world, pool, stages, &sim->course);
    if (at < 0) {
        sim->owed[domain] += sim->owed[domain] < OWED_MAX;
        usual_fact(sim, pool, ret);
        return true;
    }
    unsigned stage = sim->world.pools[pool].items[at].stage;
    proceed(sim, choice_draw(&sim->world.failing[pool][stage], &sim->course), (size_t)at, NULL,
            ret);
    return true;
}

/* The next step of one chain; false when the chain has nothing to do just now. */
static bool try_chain(struct sim *sim, struct sim_event *ret)
{
    struct chain *chain = &sim->chains[rng_below(&sim->course, CHAINS)];
    if (!chain->running || chain->step == chain_step_count) {
        sim->values.then_ns = sim->clock_ns;
        *chain = (struct chain){.corr = fresh_id(sim, 7), .running = true};
        chain->last = chain->corr;
    }
    uint16_t fact_at = sim->chain_facts[chain->step++];
    const struct sim_fact *fact = sim->world.facts[fact_at];
    const struct pool *pool = &sim->world.pools[fact->pool];
    enum sim_domain domain = sim_pools[fact->pool].domain;
    if (!sim->config.domains[domain] || domain == sim->silent)
        return false;
    if ((fact->from & NEW) && pool->count < pool->room) {
        begin(sim, fact_at, chain, ret);
        return true;
    }
    int64_t at = world_probe(&sim->world, fact->pool, fact->from, &sim->course);
    if (at < 0)
        return false;
    proceed(sim, fact_at, (size_t)at, chain, ret);
    return true;
}

static void cancel_stalled(struct sim *sim, struct sim_event *ret)
{
    sim->cancel_due = false;
    set_times(sim, sim->world.facts[sim->cancel_fact]);
    happen(sim, sim->cancel_fact, &sim->to_cancel, NULL, ret);
}

/* A recent message of a domain that still speaks; NULL when there is none that serves. */
static const struct recent *draw_recent(struct sim *sim, bool repeatable)
{
    uint64_t count = sim->recent_count < RECENT ? sim->recent_count : RECENT;
    uint64_t from = count ? rng_below(&sim->course, count) : 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct recent *recent = &sim->recent[(from + i) % count];
        unsigned flags = recent->account.form->flags;
        bool serves = !repeatable || ((flags & FORM_ID) && !(flags & FORM_MSG_ID));
        if (serves && recent->account.domain != sim->silent)
            return recent;
    }
    return NULL;
}

static void copy_recent(struct sim *sim, const struct recent *recent)
{
    buf_reset(&sim->subject);
    buf_reset(&sim->headers);
    buf_reset(&sim->payload);
    buf_add_slice(&sim->subject, buf_slice(&recent->subject));
    buf_add_slice(&sim->headers, buf_slice(&recent->headers));
    buf_add_slice(&sim->payload, buf_slice(&recent->payload));
    sim->late = false;
}

static void drop_msg_id(struct buf *headers)
{
    struct slice rest = buf_slice(headers), line;
    size_t kept = 0;
    while (rest.len && slice_cut(&rest, '\n', &line)) {
        if (slice_starts(line, SLICE("Nats-Msg-Id:")))
            continue;
        memmove(headers->ptr + kept, line.ptr, line.len + 1);
        kept += line.len + 1;
    }
    headers->len = kept;
}

static bool try_repeat(struct sim *sim, struct sim_event *ret)
{
    const struct recent *recent = draw_recent(sim, true);
    if (!recent)
        return false;
    copy_recent(sim, recent);
    say(sim, SORT_REPEATED, &recent->account, ret);
    return true;
}

static bool try_malformed(struct sim *sim, struct sim_event *ret)
{
    const struct recent *recent = draw_recent(sim, false);
    if (!recent)
        return false;
    copy_recent(sim, recent);
    drop_msg_id(&sim->headers);
    buf_reset(&sim->payload);
    malform(buf_slice(&recent->payload), &sim->course, &sim->payload);
    struct sim_account account = {.domain = recent->account.domain};
    say(sim, SORT_MALFORMED, &account, ret);
    return true;
}

void sim_next(struct sim *sim, struct sim_event *ret)
{
    advance_clock(sim);
    if (sim->second_of != FACT_NONE) {
        say_second(sim, ret);
        return;
    }
    if (rng_chance(&sim->course, sim->config.shares.malformed) && try_malformed(sim, ret))
        return;
    if (rng_chance(&sim->course, sim->config.shares.duplicate) && try_repeat(sim, ret))
        return;
    if (sim->cancel_due && sim->silent != SIM_WORKFLOW) {
        cancel_stalled(sim, ret);
        return;
    }
    if (rng_chance(&sim->course, share_chained) && try_chain(sim, ret))
        return;
    enum sim_domain domain = draw_domain(sim);
    bool fails = rng_chance(&sim->course, sim->config.shares.failed);
    if (!fails && sim->owed[domain]) {
        sim->owed[domain]--;
        fails = true;
    }
    if (!fails || !try_failure(sim, domain, ret))
        usual_fact(sim, draw_pool(sim, domain, false), ret);
}
