#include "monitor/monitor.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

static const int64_t look_every_ns = 10 * NS_PER_SECOND; /* at the list of streams */
static const int64_t look_apart_ns = 20 * NS_PER_MS;
static const int64_t look_for_core_ns = 1 * NS_PER_SECOND; /* while core messages wait for it */
static const int64_t speak_after_ns = 3 * NS_PER_SECOND;   /* of NATS being away */
enum { TICK_MS = 100, JOURNAL_SLICE_MS = 500, FAREWELL_MS = 1500 };

/* --- the link --------------------------------------------------------------------------------- */

void monitor_wake(struct monitor *monitor)
{
    (void)eventfd_write(monitor->wake_fd, 1);
}

/* Client thread. */
static void on_link(void *context, bool up)
{
    struct monitor *monitor = context;
    atomic_store(&monitor->link_down_since_ns, up ? 0 : instant_monotonic_ns());
    atomic_store(&monitor->link_changed, true);
    monitor_wake(monitor);
}

/* Streams made, changed or deleted: look again at once. Client thread. */
static void on_advisory(void *context, struct bus_message *message, const char *reply)
{
    struct monitor *monitor = context;
    struct slice rest = message->subject, name = SLICE_ABSENT;
    (void)reply;
    while (slice_cut(&rest, '.', &name)) /* the last token */
        ;
    streams_forget_subjects(monitor, name);
    atomic_store(&monitor->look_now, true);
    monitor_wake(monitor);
    bus_message_release(message);
}

/* The only words on stderr: NATS or its JetStream is away, and it is back. */
static void speak_of_link(struct monitor *monitor, bool *spoken)
{
    int64_t since = atomic_load(&monitor->link_down_since_ns);
    bool away = since && instant_monotonic_ns() - since > speak_after_ns;
    if (away && !*spoken)
        (void)fprintf(stderr, "cim-ops monitor: NATS cannot be reached; trying on\n");
    if (!since && *spoken)
        (void)fprintf(stderr, "cim-ops monitor: connected to NATS again\n");
    *spoken = away || (*spoken && since);
}

static void link_came_or_went(struct monitor *monitor)
{
    if (!bus_is_up(monitor->bus))
        return;
    if (monitor->was_connected) {
        atomic_fetch_add(&monitor->reconnects, 1);
        streams_suspect_all(monitor);
        journal_add(monitor->journal, "monitor", monitor->instance, "Reconnected", NULL);
    }
    monitor->was_connected = true;
    atomic_store(&monitor->look_now, true);
}

/* --- rules ------------------------------------------------------------------------------------ */

static int build_engine(struct monitor *monitor, struct rules *rules,
                        struct registry **ret_registry, struct engine **ret_engine,
                        struct error *err)
{
    struct registry *registry = registry_new();
    registry_set_now(registry, REGISTRY_MACHINE_TIME);
    registry_set_first_zero(registry, monitor->options->first_zero_ns);
    if (engine_new(rules, registry, folding_reporter(monitor), ret_engine, err) < 0 ||
        engine_set_shard(*ret_engine, monitor->options->shard, err) < 0) {
        engine_free(*ret_engine);
        *ret_engine = NULL;
        registry_free(registry);
        return -1;
    }
    *ret_registry = registry;
    return 0;
}

/*
 * New rules without losing a count: a new registry and engine are built, and the states carried
 * over as if saved and read back. Metrics whose rule did not change keep their cells; the others
 * are folded from the start of the streams. Until that is done, fold-derived series are withheld.
 */
static void reload_rules(struct monitor *monitor)
{
    struct error err = ERROR_NONE;
    struct rules *rules = NULL;
    struct registry *registry = NULL;
    struct engine *engine = NULL;
    if (rules_load(monitor->options->rules_dir, &rules, &err) < 0 ||
        build_engine(monitor, rules, &registry, &engine, &err) < 0) {
        journal_add(monitor->journal, "monitor", monitor->instance, "RulesRejected",
                    json_pack("{s:s}", "reason", err.text));
        rules_free(rules);
        return;
    }
    streams_detach_all(monitor);
    pthread_rwlock_wrlock(&monitor->registry_guard); /* the fold stands still from here on */
    struct registry *old_registry = monitor->registry;
    struct engine *old_engine = monitor->engine;
    struct rules *old_rules = monitor->rules;
    monitor->registry = registry;
    monitor->engine = engine;
    monitor->rules = rules;
    self_declare(monitor);
    folding_declare(monitor);
    struct stream_state *old = monitor->core_state;
    monitor->core_state = engine_stream(engine, "");
    snapshots_carry_over(monitor, old_engine, old, monitor->core_state);
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        struct tracked *tracked = monitor->tracked[i];
        old = tracked->state;
        tracked->state = engine_stream(engine, tracked->name);
        tracked->changes++;
        checksum_forget(monitor, tracked);
        memset(tracked->domain_seen, 0, sizeof tracked->domain_seen);
        snapshots_carry_over(monitor, old_engine, old, tracked->state);
    }
    atomic_store(&monitor->caught_up, false);
    pthread_rwlock_unlock(&monitor->registry_guard);
    engine_free(old_engine);
    registry_free(old_registry);
    rules_free(old_rules);
    journal_add(monitor->journal, "monitor", monitor->instance, "RulesReloaded",
                json_pack("{s:I}", "metrics", (json_int_t)rules->metric_count));
    atomic_store(&monitor->look_now, true);
}

/* --- the loop --------------------------------------------------------------------------------- */

struct schedule {
    int64_t looked_ns, saved_ns, saving_took_ns;
    int64_t without_since_ns; /* JetStream; 0: it is there, or nobody can be asked */
    bool spoken, spoken_of_jetstream;
};

/*
 * NATS answers and has no JetStream. After a while that counts as an answer: no stream stores
 * anything, so what comes by core subscription is all there is, and is counted and shown. When
 * JetStream comes, the figures are withheld until the streams are read.
 */
static void without_jetstream(struct monitor *monitor, struct schedule *schedule, int64_t now)
{
    if (!schedule->without_since_ns)
        schedule->without_since_ns = now;
    if (now - schedule->without_since_ns < speak_after_ns)
        return;
    streams_none(monitor);
    core_resubscribe(monitor);
    core_settle(monitor, now);
    if (!schedule->spoken_of_jetstream) {
        (void)bus_flush(monitor->bus, BUS_TIMEOUT_MS, NULL); /* said when it is so: they count */
        (void)fprintf(stderr, "cim-ops monitor: this account has no JetStream; core events only\n");
    }
    schedule->spoken_of_jetstream = true;
    if (monitor->tracked_count == 0) { /* else figures of streams would be shown that are old */
        registry_lock(monitor->registry);
        registry_set_folds_shown(monitor->registry, true);
        registry_unlock(monitor->registry);
    }
}

static void with_jetstream(struct monitor *monitor, struct schedule *schedule)
{
    schedule->without_since_ns = 0;
    if (!schedule->spoken_of_jetstream)
        return;
    (void)fprintf(stderr, "cim-ops monitor: JetStream is there\n");
    schedule->spoken_of_jetstream = false;
    if (atomic_load(&monitor->caught_up))
        return;
    registry_lock(monitor->registry);
    registry_set_folds_shown(monitor->registry, false);
    registry_unlock(monitor->registry);
}

/* Our own events need a stream; where none captures ops.>, it is the one thing that we create. */
static void ensure_own_stream(struct monitor *monitor)
{
    bool created = false;
    for (size_t i = 0; i < monitor->known.count; i++) {
        const struct stream_info *info = &monitor->known.items[i];
        for (size_t s = 0; s < info->subject_count; s++) {
            if (subject_filters_overlap(slice_of(info->subjects[s]), SLICE("ops.monitor.>")))
                return;
        }
    }
    if (stream_ensure_ops(monitor->bus, &created, NULL) == 0 && created) {
        journal_add(monitor->journal, "stream", OPS_STREAM, "OwnStreamCreated", NULL);
        atomic_store(&monitor->look_now, true);
    }
}

static void look_at_streams(struct monitor *monitor, struct schedule *schedule)
{
    int64_t now = instant_monotonic_ns();
    bool due = now - schedule->looked_ns > look_every_ns || !schedule->looked_ns ||
               (core_is_waiting(monitor) && now - schedule->looked_ns > look_for_core_ns);
    if (!bus_is_up(monitor->bus) || now - schedule->looked_ns < look_apart_ns ||
        (!atomic_exchange(&monitor->look_now, false) && !due))
        return;
    schedule->looked_ns = now;
    struct error err = ERROR_NONE;
    int rc = streams_refresh(monitor, &err);
    pthread_mutex_lock(&monitor->streams_lock);
    (void)snprintf(monitor->list_problem, sizeof monitor->list_problem, "%s",
                   rc < 0 ? err.text : "");
    pthread_mutex_unlock(&monitor->streams_lock);
    if (rc < 0) {
        atomic_store(&monitor->look_now, true);
        schedule->looked_ns = now - look_every_ns + look_for_core_ns;
        if (monitor->no_jetstream)
            without_jetstream(monitor, schedule, now);
        else
            schedule->without_since_ns = 0;
        return;
    }
    with_jetstream(monitor, schedule);
    ensure_own_stream(monitor);
    core_resubscribe(monitor);
    core_settle(monitor, now);
}

static void note_caught_up(struct monitor *monitor)
{
    if (atomic_load(&monitor->caught_up) || !monitor->listed_once || !bus_is_up(monitor->bus) ||
        !streams_all_caught_up(monitor))
        return;
    registry_lock(monitor->registry);
    registry_set_folds_shown(monitor->registry, true);
    registry_unlock(monitor->registry);
    atomic_store(&monitor->caught_up, true);
    journal_add(monitor->journal, "monitor", monitor->instance, "CaughtUp",
                json_pack("{s:I}", "streams", (json_int_t)monitor->tracked_count));
}

static void save_when_due(struct monitor *monitor, struct schedule *schedule)
{
    int64_t now = instant_monotonic_ns(), apart = monitor->options->snapshot_interval_ns;
    /* What takes long to write is written less often: at most a twentieth of the time goes there.
     */
    if (apart < 20 * schedule->saving_took_ns)
        apart = 20 * schedule->saving_took_ns;
    if (!monitor->save_now && now - schedule->saved_ns < apart)
        return;
    struct error err = ERROR_NONE; /* was said as an event; it is tried again */
    monitor->save_now = false;
    schedule->saved_ns = now;
    (void)snapshots_write(monitor, &err);
    schedule->saving_took_ns = instant_monotonic_ns() - now;
}

/* 0: nothing came; else the signal. */
static int next_signal(struct monitor *monitor, int fd, int timeout_ms)
{
    struct pollfd wait[] = {{.fd = fd, .events = POLLIN},
                            {.fd = monitor->wake_fd, .events = POLLIN}};
    struct signalfd_siginfo info;
    eventfd_t woken;
    if (poll(wait, ARRAY_LEN(wait), timeout_ms) <= 0)
        return 0;
    if (wait[1].revents)
        (void)eventfd_read(monitor->wake_fd, &woken);
    if (!wait[0].revents || read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    return (int)info.ssi_signo;
}

/* What came by core subscription and waits for a list of streams is settled before the end. */
static void last_look(struct monitor *monitor, struct schedule *schedule)
{
    if (!core_is_waiting(monitor))
        return;
    schedule->looked_ns = 0;
    look_at_streams(monitor, schedule);
}

static int run_until_told(struct monitor *monitor, int signals, struct error *err)
{
    struct schedule schedule = {.saved_ns = instant_monotonic_ns()};
    for (;;) {
        int signal = next_signal(monitor, signals, TICK_MS);
        if (signal == SIGHUP)
            reload_rules(monitor);
        else if (signal)
            break;
        if (bus_is_closed(monitor->bus))
            return error_set(err, EXIT_CODE_UNREACHABLE,
                             "the NATS client gave the connection up: the server refuses it again "
                             "and again; look at --creds and at the server's log");
        speak_of_link(monitor, &schedule.spoken);
        if (atomic_exchange(&monitor->link_changed, false))
            link_came_or_went(monitor);
        look_at_streams(monitor, &schedule);
        streams_tend(monitor);
        note_caught_up(monitor);
        checksums_tend(monitor);
        save_when_due(monitor, &schedule);
        (void)journal_flush(monitor->journal, JOURNAL_SLICE_MS);
    }
    last_look(monitor, &schedule);
    return 0;
}

/* --- start and stop --------------------------------------------------------------------------- */

static int block_signals(struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread is started: all inherit it */
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd >= 0 ? fd : error_set(err, EXIT_CODE_INTERNAL, "cannot watch for signals");
}

static int start_parts(struct monitor *monitor, struct error *err)
{
    struct bus_options nats = monitor->options->nats;
    nats.name = monitor->instance;
    nats.wait_for_server = true;
    nats.on_link = on_link;
    nats.context = monitor;
    if (rules_load(monitor->options->rules_dir, &monitor->rules, err) < 0 ||
        build_engine(monitor, monitor->rules, &monitor->registry, &monitor->engine, err) < 0 ||
        snapshots_open(monitor, err) < 0)
        return -1;
    monitor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (monitor->wake_fd < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "cannot make an eventfd");
    atomic_store(&monitor->link_down_since_ns, instant_monotonic_ns());
    if (bus_open(&monitor->bus, &nats, err) < 0)
        return -1;
    monitor->journal = journal_new(monitor->bus, monitor->instance);
    if (ordered_hub_open(monitor->bus, &monitor->hub, err) < 0)
        return -1;
    monitor->queue = queue_new(monitor->options->queue_messages, monitor->options->queue_bytes);
    self_declare(monitor);
    monitor->core_state = engine_stream(monitor->engine, "");
    snapshots_load(monitor, monitor->core_state);
    snapshots_remember(monitor);
    if (folding_start(monitor, err) < 0 || endpoints_start(monitor, err) < 0)
        return -1;
    (void)bus_subscribe(monitor->bus, "$JS.EVENT.ADVISORY.STREAM.*.*", on_advisory, monitor,
                        &monitor->advisories, NULL);
    return 0;
}

static void announce_start(struct monitor *monitor)
{
    unsigned port = http_server_port(monitor->http);
    if (monitor->options->announce) {
        (void)printf("http://%s:%u/metrics\n", monitor->options->bind, port);
        (void)fflush(stdout);
    }
    journal_add(monitor->journal, "monitor", monitor->instance, "MonitorStarted",
                json_pack("{s:s, s:I, s:I}", "version", CIM_OPS_VERSION, "pid",
                          (json_int_t)getpid(), "port", (json_int_t)port));
}

/*
 * In the order of the flow, so that what was read is folded, and what was folded is saved. -1: the
 * last of it could not be saved.
 */
static int stop_parts(struct monitor *monitor, struct error *err)
{
    struct error problem = ERROR_NONE;
    int rc = 0;
    if (monitor->hub)
        streams_detach_all(monitor);
    atomic_store(&monitor->stopping, true);
    if (monitor->fold_thread)
        folding_stop(monitor);
    if (monitor->http) {
        rc = snapshots_write(monitor, &problem);
        journal_add(monitor->journal, "monitor", monitor->instance, "MonitorStopped", NULL);
        (void)journal_flush(monitor->journal, FAREWELL_MS);
    }
    http_server_stop(monitor->http);
    core_unsubscribe(monitor);
    bus_unsubscribe(monitor->advisories);
    ordered_hub_close(monitor->hub);
    bus_close(monitor->bus);
    streams_close(monitor);
    core_close(monitor);
    queue_free(monitor->queue);
    journal_free(monitor->journal);
    engine_free(monitor->engine);
    registry_free(monitor->registry);
    rules_free(monitor->rules);
    if (monitor->state_lock_fd > 0)
        (void)close(monitor->state_lock_fd);
    if (monitor->wake_fd > 0)
        (void)close(monitor->wake_fd);
    return rc == 0
               ? 0
               : error_set(err, EXIT_CODE_DAMAGED,
                           "the last state is not saved: %s; the next start folds again from the "
                           "state before it",
                           problem.text);
}

int monitor_run(const struct monitor_options *options, struct error *err)
{
    struct monitor *monitor = xcalloc(1, sizeof *monitor);
    monitor->options = options;
    pthread_rwlock_init(&monitor->registry_guard, NULL);
    pthread_mutex_init(&monitor->streams_lock, NULL);
    pthread_mutex_init(&monitor->core_lock, NULL);
    pthread_mutex_init(&monitor->depth_lock, NULL);
    char host[32] = "host";
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(monitor->instance, sizeof monitor->instance, "%s-%d", host, (int)getpid());

    struct error at_stop = ERROR_NONE;
    int signals = block_signals(err), code = EXIT_CODE_DONE;
    if (signals < 0 || start_parts(monitor, err) < 0) {
        code = (int)err->code;
    } else {
        announce_start(monitor);
        if (run_until_told(monitor, signals, err) < 0)
            code = (int)err->code;
    }
    if (stop_parts(monitor, code == EXIT_CODE_DONE ? err : &at_stop) < 0 && code == EXIT_CODE_DONE)
        code = (int)err->code;
    if (signals >= 0)
        (void)close(signals);
    free(monitor);
    return code;
}
