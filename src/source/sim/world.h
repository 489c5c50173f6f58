/*
 * world: the aggregates that are alive, and which facts may befall them.
 *
 * Pools are arrays of fixed size; a life that ends gives its place back. For each pool and stage
 * the facts that are possible are listed beforehand, so that choosing is one draw.
 */
#pragma once

#include "source/sim/sim.h"
#include "source/sim/template.h"

struct live {
    struct uuid id, corr, last, open;
    uint32_t seq;
    uint8_t stage;
    uint8_t name;
    bool stalls;
};

struct pool {
    struct live *items;
    size_t count, room;
};

/* Facts possible in one stage, with the running sum of their weights. */
struct choice {
    uint16_t facts[24];
    uint16_t sums[24];
    size_t count;
};

struct form_templates {
    struct template subject, headers, payload;
};

struct world {
    const struct sim_fact **facts; /* of all domains; fact i has the series 2 i and 2 i + 1 */
    struct form_templates *forms;  /* by series */
    size_t fact_count;
    struct pool pools[SIM_POOLS];
    struct choice usual[SIM_POOLS][STAGES], failing[SIM_POOLS][STAGES];
    bool can_fail[SIM_POOLS];
};

void world_init(struct world *world, uint64_t live);
void world_done(struct world *world);

#define FACT_NONE UINT16_MAX
/* Draws by weight; FACT_NONE when the stage knows none. */
uint16_t choice_draw(const struct choice *choice, struct rng *rng);
/* FACT_NONE: no such type. */
uint16_t world_find_fact(const struct world *world, const char *event_type);
/* A living aggregate in one of the stages of the mask, by a few random probes; -1: none met. */
int64_t world_probe(const struct world *world, unsigned pool, unsigned stages, struct rng *rng);
void world_remove(struct world *world, unsigned pool, size_t at);
