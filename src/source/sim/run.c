#include "source/sim/run.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/sim/delivery.h"
#include "source/sim/expect.h"
#include "source/sim/print.h"

enum {
    POLL_MAX_MS = 100, /* how often a slow pace looks at signals */
    PROGRESS_NS = 250000000,
    FLUSH_TIMEOUT_MS = 5000,
};

struct run {
    const struct run_options *options;
    struct sim *sim;
    struct expect *expect; /* NULL: not asked for */
    struct bus *bus;
    struct delivery *delivery;
    int64_t begun_ns, progress_ns;
    uint64_t sent;
    uint64_t by_sort[SORT_MALFORMED + 1];
    uint64_t late;
    bool on_terminal;
};

static volatile sig_atomic_t stop_asked;

static void ask_stop(int signal)
{
    (void)signal;
    stop_asked = 1;
}

static void watch_signals(void)
{
    stop_asked = 0;
    struct sigaction action = {.sa_handler = ask_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void account_stored(void *context, const struct sim_account *account, struct slice stream)
{
    struct run *run = context;
    if (run->expect)
        expect_add(run->expect, account, stream);
}

/* --- one event -------------------------------------------------------------------------------- */

static int send_core(struct run *run, const struct sim_event *event, struct error *err)
{
    struct bus_header headers[BUS_HEADERS_MAX];
    size_t count = headers_cut(event->headers, headers, BUS_HEADERS_MAX);
    if (bus_publish(run->bus, event->subject, NULL, headers, count, event->payload, err) < 0)
        return -1;
    account_stored(run, &event->account, SLICE(""));
    return 0;
}

static int send_event(struct run *run, const struct sim_event *event, struct error *err)
{
    run->by_sort[event->sort]++;
    run->late += event->late;
    switch (run->options->target) {
    case RUN_JETSTREAM: return delivery_send(run->delivery, event, err);
    case RUN_CORE: return send_core(run, event, err);
    case RUN_PRINT: account_stored(run, &event->account, SLICE("")); return print_event(event, err);
    case RUN_DRY: account_stored(run, &event->account, SLICE("")); return 0;
    }
    return 0;
}

/* --- pace and progress ------------------------------------------------------------------------ */

static int wait_ns(struct run *run, int64_t ns, struct error *err)
{
    int ms = (int)(ns / NS_PER_MS < POLL_MAX_MS ? ns / NS_PER_MS : POLL_MAX_MS);
    if (run->delivery && delivery_poll(run->delivery, ms, err) < 0)
        return -1;
    if (run->delivery && ms > 0)
        return 0; /* the poll has waited */
    struct timespec pause = {.tv_nsec = ms ? ms * NS_PER_MS : ns};
    (void)nanosleep(&pause, NULL);
    return 0;
}

/* Holds the pace: event n is due n / rate after the beginning. */
static int wait_turn(struct run *run, struct error *err)
{
    if (run->options->rate <= 0)
        return 0;
    int64_t due_ns = run->begun_ns + (int64_t)((double)run->sent / run->options->rate * 1e9);
    for (;;) {
        int64_t left_ns = due_ns - instant_monotonic_ns();
        if (left_ns <= 0 || stop_asked)
            return 0;
        if (run->options->target == RUN_PRINT && left_ns > NS_PER_MS && print_flush(err) < 0)
            return -1;
        if (wait_ns(run, left_ns, err) < 0)
            return -1;
    }
}

static double seconds_since(int64_t begun_ns)
{
    return (double)(instant_monotonic_ns() - begun_ns) / 1e9;
}

static double share_done(const struct run *run, double seconds)
{
    double by_count = run->options->count ? (double)run->sent / (double)run->options->count : 0;
    double by_time =
        run->options->duration_ns ? seconds * 1e9 / (double)run->options->duration_ns : 0;
    return fmin(fmax(by_count, by_time), 1.0);
}

static void show_progress(struct run *run)
{
    int64_t now_ns = instant_monotonic_ns();
    if (!run->on_terminal || now_ns - run->progress_ns < PROGRESS_NS)
        return;
    run->progress_ns = now_ns;
    double seconds = seconds_since(run->begun_ns), done = share_done(run, seconds);
    (void)fprintf(stderr, "\r\033[K%" PRIu64 " events, %.0f/s", run->sent,
                  (double)run->sent / fmax(seconds, 1e-9));
    if (done > 0)
        (void)fprintf(stderr, ", %.0f %%, %.0f s left", done * 100, seconds / done * (1 - done));
    (void)fflush(stderr);
}

static bool is_over(const struct run *run)
{
    const struct run_options *o = run->options;
    return stop_asked || (o->count && run->sent >= o->count) ||
           (o->duration_ns && instant_monotonic_ns() - run->begun_ns >= o->duration_ns);
}

/* --- the run ---------------------------------------------------------------------------------- */

static int set_up(struct run *run, struct error *err)
{
    const struct run_options *o = run->options;
    if (o->target == RUN_PRINT || o->target == RUN_DRY)
        return 0;
    if (bus_open(&run->bus, &o->bus, err) < 0)
        return -1;
    if (o->target == RUN_CORE)
        return 0;
    const struct delivery_options delivery = {
        .bus = run->bus,
        .window = o->window,
        .patience_ns = o->patience_ns,
        .stop = &stop_asked,
        .on_stored = account_stored,
        .context = run,
    };
    return delivery_new(&delivery, o->sim.domains, &run->delivery, err);
}

static int send_all(struct run *run, struct error *err)
{
    struct sim_event event;
    while (!is_over(run)) {
        if (wait_turn(run, err) < 0)
            return -1;
        if (is_over(run))
            break;
        sim_next(run->sim, &event);
        if (send_event(run, &event, err) < 0)
            return -1;
        run->sent++;
        if (run->on_terminal)
            show_progress(run);
    }
    return 0;
}

static int finish(struct run *run, struct error *err)
{
    switch (run->options->target) {
    case RUN_JETSTREAM: return delivery_finish(run->delivery, err);
    case RUN_CORE: return bus_flush(run->bus, FLUSH_TIMEOUT_MS, err);
    case RUN_PRINT: return print_flush(err);
    case RUN_DRY: return 0;
    }
    return 0;
}

static void say_summary(const struct run *run, double seconds)
{
    const struct delivery_stats none = {0};
    const struct delivery_stats *stats = run->delivery ? delivery_stats(run->delivery) : &none;
    char duplicates[64] = "";
    if (run->expect)
        (void)snprintf(duplicates, sizeof duplicates, " (%" PRIu64 " duplicates to be counted)",
                       expect_duplicates(run->expect));
    (void)fprintf(stderr,
                  "%s%" PRIu64 " events in %.2f s (%.0f/s): %" PRIu64 " malformed, %" PRIu64
                  " repeated, %" PRIu64 " published twice%s, %" PRIu64 " late, %" PRIu64
                  " retried; seed %" PRIu64 "\n",
                  run->on_terminal ? "\r\033[K" : "", run->sent, seconds,
                  (double)run->sent / fmax(seconds, 1e-9), run->by_sort[SORT_MALFORMED],
                  run->by_sort[SORT_REPEATED], run->by_sort[SORT_SECOND], duplicates, run->late,
                  stats->resent, run->options->sim.seed);
    if (stats->breaks)
        (void)fprintf(stderr,
                      "the link broke %" PRIu64 " times: %" PRIu64
                      " events were found stored, %" PRIu64 " sent again\n",
                      stats->breaks, stats->found, stats->resent);
    if (stats->dropped)
        (void)fprintf(stderr,
                      "%" PRIu64
                      " events carried a Nats-Msg-Id that the server knew from an earlier "
                      "run: not stored, not expected\n",
                      stats->dropped);
}

static int check_lost(const struct run *run, struct error *err)
{
    uint64_t lost = run->delivery ? delivery_stats(run->delivery)->lost : 0;
    return lost ? error_set(err, EXIT_CODE_DAMAGED,
                            "the server lost %" PRIu64
                            " events that it had acknowledged, too old to be "
                            "sent again: what was expected is more than what is stored",
                            lost)
                : 0;
}

static int perform(struct run *run, struct error *err)
{
    if (set_up(run, err) < 0)
        return -1;
    run->begun_ns = run->progress_ns = instant_monotonic_ns();
    int rc = send_all(run, err);
    if (rc == 0)
        rc = finish(run, err);
    say_summary(run, seconds_since(run->begun_ns));
    struct error cause = ERROR_NONE;
    if (run->expect && expect_write(run->expect, run->options->expect, &cause) < 0 && rc == 0)
        rc = error_set(err, cause.code, "--expect: %s", cause.text);
    return rc == 0 ? check_lost(run, err) : rc;
}

int sim_run(const struct run_options *options, struct error *err)
{
    struct run run = {
        .options = options,
        .sim = sim_new(&options->sim),
        .expect = options->expect ? expect_new() : NULL,
        .on_terminal = isatty(STDERR_FILENO) == 1,
    };
    watch_signals();
    int rc = perform(&run, err);
    delivery_free(run.delivery);
    bus_close(run.bus);
    expect_free(run.expect);
    sim_free(run.sim);
    return rc;
}
