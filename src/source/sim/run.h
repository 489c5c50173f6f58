/*
 * run: the simulated world at a pace, into NATS or onto standard output, with its tally.
 */
#pragma once

#include "bus/bus.h"
#include "source/sim/sim.h"

enum run_target {
    RUN_JETSTREAM, /* each event acknowledged */
    RUN_CORE,      /* published, nothing expected back */
    RUN_PRINT,     /* JSON lines on standard output */
    RUN_DRY,       /* made and forgotten: measures the making */
};

struct run_options {
    struct sim_config sim;
    struct bus_options bus;
    enum run_target target;
    double rate;         /* events per second; 0: as fast as it goes */
    uint64_t count;      /* 0: no limit */
    int64_t duration_ns; /* 0: no limit */
    const char *expect;  /* file, or NULL */
    size_t window;
    int64_t patience_ns;
};

/* Runs to the end or until SIGINT or SIGTERM, which is an end like another. */
int sim_run(const struct run_options *options, struct error *err);
