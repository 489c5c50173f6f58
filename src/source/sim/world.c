#include "source/sim/world.h"

#include "base/memory.h"

static const struct sim_fact_table *const tables[SIM_DOMAINS] = {
    [SIM_INFRASTRUCTURE] = &facts_infrastructure,
    [SIM_AGENT] = &facts_agent,
    [SIM_WORKFLOW] = &facts_workflow,
    [SIM_PERSON] = &facts_person,
    [SIM_ORGANIZATION] = &facts_organization,
    [SIM_POLICY] = &facts_policy,
    [SIM_LOCATION] = &facts_location,
    [SIM_GIT] = &facts_git,
    [SIM_NETWORK] = &facts_network,
};

static const uint64_t live_of_specs = 2000; /* what sim_pools[].live_max is stated for */

size_t sim_series_count(void)
{
    size_t count = 0;
    for (size_t d = 0; d < SIM_DOMAINS; d++)
        count += tables[d]->count * 2;
    return count;
}

bool sim_series_at(size_t series, const struct sim_fact **ret_fact,
                   const struct sim_form **ret_form, enum sim_domain *ret_domain)
{
    size_t fact = series / 2;
    for (size_t d = 0; d < SIM_DOMAINS; d++) {
        if (fact < tables[d]->count) {
            *ret_fact = &tables[d]->facts[fact];
            *ret_form = series % 2 ? &(*ret_fact)->second : &(*ret_fact)->first;
            *ret_domain = (enum sim_domain)d;
            return true;
        }
        fact -= tables[d]->count;
    }
    return false;
}

void sim_sample_subject(const struct sim_form *form, struct buf *ret)
{
    bool inside = false;
    for (const char *at = form->subject; *at; at++) {
        if (*at == '<')
            buf_add_char(ret, 'x');
        inside = *at == '<' || (inside && *at != '>');
        if (!inside && *at != '>')
            buf_add_char(ret, *at);
    }
}

static void choice_add(struct choice *choice, size_t fact, unsigned weight)
{
    if (choice->count == ARRAY_LEN(choice->facts))
        abort(); /* our own tables outgrew it */
    unsigned before = choice->count ? choice->sums[choice->count - 1] : 0;
    choice->facts[choice->count] = (uint16_t)fact;
    choice->sums[choice->count++] = (uint16_t)(before + weight);
}

static void compile_form(struct form_templates *ret, const struct sim_form *form)
{
    if (!form->subject)
        return;
    template_compile(&ret->subject, form->subject);
    template_compile(&ret->headers, form->headers ? form->headers : "");
    template_compile(&ret->payload, form->payload);
}

static void add_fact(struct world *world, const struct sim_fact *fact)
{
    size_t at = world->fact_count++;
    world->facts[at] = fact;
    compile_form(&world->forms[2 * at], &fact->first);
    compile_form(&world->forms[2 * at + 1], &fact->second);
    bool fails = fact->flags & FACT_FAILS;
    world->can_fail[fact->pool] |= fails;
    for (unsigned stage = 0; stage < STAGES; stage++) {
        if (fact->from & STAGE(stage))
            choice_add(fails ? &world->failing[fact->pool][stage]
                             : &world->usual[fact->pool][stage],
                       at, fact->weight);
    }
}

void world_init(struct world *world, uint64_t live)
{
    size_t series = sim_series_count();
    *world = (struct world){
        .facts = xcalloc(series / 2, sizeof *world->facts),
        .forms = xcalloc(series, sizeof *world->forms),
    };
    for (size_t d = 0; d < SIM_DOMAINS; d++) {
        for (size_t i = 0; i < tables[d]->count; i++)
            add_fact(world, &tables[d]->facts[i]);
    }
    for (size_t p = 1; p < SIM_POOLS; p++) {
        struct pool *pool = &world->pools[p];
        pool->room = (size_t)(sim_pools[p].live_max * live / live_of_specs);
        if (pool->room < 4)
            pool->room = 4;
        pool->items = xcalloc(pool->room, sizeof *pool->items);
    }
}

void world_done(struct world *world)
{
    for (size_t i = 0; i < 2 * world->fact_count; i++) {
        template_done(&world->forms[i].subject);
        template_done(&world->forms[i].headers);
        template_done(&world->forms[i].payload);
    }
    for (size_t p = 0; p < SIM_POOLS; p++)
        free(world->pools[p].items);
    free(world->forms);
    free(world->facts);
}

uint16_t choice_draw(const struct choice *choice, struct rng *rng)
{
    if (!choice->count)
        return FACT_NONE;
    uint64_t at = rng_below(rng, choice->sums[choice->count - 1]);
    size_t i = 0;
    while (choice->sums[i] <= at)
        i++;
    return choice->facts[i];
}

uint16_t world_find_fact(const struct world *world, const char *event_type)
{
    for (size_t i = 0; i < world->fact_count; i++) {
        if (!strcmp(world->facts[i]->event_type, event_type))
            return (uint16_t)i;
    }
    return FACT_NONE;
}

int64_t world_probe(const struct world *world, unsigned pool, unsigned stages, struct rng *rng)
{
    enum { PROBES = 12 };
    const struct pool *p = &world->pools[pool];
    for (int i = 0; i < PROBES && p->count; i++) {
        size_t at = (size_t)rng_below(rng, p->count);
        if (STAGE(p->items[at].stage) & stages)
            return (int64_t)at;
    }
    return -1;
}

void world_remove(struct world *world, unsigned pool, size_t at)
{
    struct pool *p = &world->pools[pool];
    p->items[at] = p->items[--p->count];
}
