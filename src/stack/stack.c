#include "stack/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "stack/backoff.h"
#include "stack/http.h"

#define PROBE_STARTING_NS (NS_PER_SECOND / 5)
#define PROBE_RUNNING_NS  (5 * NS_PER_SECOND)
#define PROBE_TIMEOUT_MS  2000
#define PROBE_MISSES_MAX  3
#define TICK_NS           NS_PER_SECOND

struct slot {
    struct part part; /* first: what the caller sees */
    struct stack *stack;
    struct backoff backoff;
    int output_fd;
    unsigned lives;     /* a probe's answer counts only for the life that it was sent in */
    int64_t started_at; /* monotonic, as all below */
    int64_t restart_at;
    int64_t probe_at;
    unsigned probe_life; /* of the probe under way */
    bool probing;
    unsigned probe_misses;
    int64_t kill_at; /* while stopping */
    bool killed;
};

struct stack {
    struct stack_options options;
    struct slot *slots;
    struct http *http;
    sigset_t signals_before;
    int signals; /* signalfd */
    bool changed;
    int64_t tick_at, watch_at;
    bool watching;
    bool stopping;
    int64_t stop_started;
    size_t stop_left; /* parts [0, stop_left) are still to be stopped */
};

static const char *const state_names[] = {
    [PART_WAITING] = "waiting",
    [PART_STARTING] = "starting",
    [PART_RUNNING] = "running",
    [PART_UNRESPONSIVE] = "unresponsive",
    [PART_RESTARTING] = "restarting",
    [PART_FAILED] = "failed",
    [PART_DONE] = "done",
    [PART_STOPPING] = "stopping",
    [PART_STOPPED] = "stopped",
};

const char *part_state_name(enum part_state state)
{
    return state_names[state];
}

bool part_state_parse(struct slice name, enum part_state *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
        if (slice_eq(name, slice_of(state_names[i]))) {
            *ret = (enum part_state)i;
            return true;
        }
    }
    return false;
}

bool part_state_is_well(enum part_state state)
{
    return state == PART_RUNNING || state == PART_DONE;
}

static bool is_outside(const struct part_spec *spec)
{
    return !spec->child.program && !spec->child.task;
}

static void set_state(struct slot *slot, enum part_state state)
{
    if (slot->part.state == state)
        return;
    slot->part.state = state;
    slot->part.since_ns = instant_now_ns();
    slot->stack->changed = true;
    if (slot->stack->options.on_change)
        slot->stack->options.on_change(slot->stack->options.context, &slot->part);
}

static void set_note(struct slot *slot, const char *text)
{
    (void)snprintf(slot->part.note, sizeof slot->part.note, "%s", text);
}

/* --- a life: start, check, death -------------------------------------------------------------- */

static void after_death(struct slot *slot, int64_t now, const char *how)
{
    char delay_text[32];
    int64_t delay_ns;
    if (!backoff_death(&slot->backoff, now - slot->started_at, arc4random(), &delay_ns)) {
        (void)snprintf(slot->part.note, sizeof slot->part.note, "%s; %d quick deaths, given up",
                       how, BACKOFF_QUICK_DEATHS_MAX);
        set_state(slot, PART_FAILED);
        return;
    }
    slot->restart_at = now + delay_ns;
    (void)snprintf(delay_text, sizeof delay_text, "%.1f s", (double)delay_ns / NS_PER_SECOND);
    (void)snprintf(slot->part.note, sizeof slot->part.note, "%s; again in %s", how, delay_text);
    set_state(slot, PART_RESTARTING);
}

static void start(struct slot *slot, int64_t now)
{
    struct error err = ERROR_NONE;
    slot->lives++;
    if (slot->lives > 1)
        slot->part.restarts++;
    slot->started_at = now;
    slot->probe_at = now;
    slot->probe_misses = 0;
    output_forget(&slot->part.output);
    if (child_start(&slot->part.spec->child, &slot->part.pid, &slot->output_fd, &err) < 0) {
        slot->part.pid = 0;
        output_add(&slot->part.output, slice_of(err.text));
        output_end_line(&slot->part.output);
        after_death(slot, now, "cannot start");
        return;
    }
    char when[INSTANT_TEXT_MAX];
    (void)instant_format(instant_now_ns(), when);
    CLEANUP_FREE char *mark = xasprintf("%s started, pid %d", when, (int)slot->part.pid);
    output_mark(&slot->part.output, mark);
    set_note(slot, "");
    set_state(slot, PART_STARTING);
    if (!slot->part.spec->ready_url && !slot->part.spec->child.task)
        set_state(slot, PART_RUNNING);
}

static void read_output(struct slot *slot)
{
    char bytes[16384];
    /* Bounded, so that a child that prints without end does not hold up the others. */
    for (int round = 0; slot->output_fd >= 0 && round < 16; round++) {
        ssize_t got = read(slot->output_fd, bytes, sizeof bytes);
        if (got > 0) {
            output_add(&slot->part.output, (struct slice){bytes, (size_t)got});
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        (void)close(slot->output_fd);
        slot->output_fd = -1;
    }
}

/* True when the child has ended; *ret_status as from waitpid(). */
static bool reap(struct slot *slot, int *ret_status)
{
    siginfo_t info = {0};
    id_t id = (id_t)slot->part.pid;
    if (waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return false;
    /* Whatever the child has left in its group goes with it; before the reaping frees the number.
     */
    (void)kill(-slot->part.pid, SIGKILL);
    (void)waitpid(slot->part.pid, ret_status, 0);
    return true;
}

static void check_life(struct slot *slot, int64_t now)
{
    int status = 0;
    char how[64];
    read_output(slot);
    if (slot->part.pid == 0 || !reap(slot, &status))
        return;
    read_output(slot);
    output_end_line(&slot->part.output);
    if (slot->output_fd >= 0)
        (void)close(slot->output_fd);
    slot->output_fd = -1;
    slot->part.pid = 0;
    child_status_text(status, how, sizeof how);
    output_mark(&slot->part.output, how);
    if (slot->stack->stopping) {
        set_note(slot, slot->killed ? "did not stop in time, killed" : "");
        set_state(slot, PART_STOPPED);
    } else if (slot->part.spec->child.task && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        set_note(slot, output_last(&slot->part.output));
        set_state(slot, PART_DONE);
    } else {
        after_death(slot, now, how);
    }
}

static void on_probe(void *context, long status, struct slice body)
{
    (void)body;
    struct slot *slot = context;
    bool is_current = slot->probe_life == slot->lives && slot->part.pid != 0;
    int64_t now = instant_monotonic_ns();
    slot->probing = false;
    if (!is_current || slot->stack->stopping)
        return;
    if (status == 200) {
        slot->probe_misses = 0;
        slot->probe_at = now + PROBE_RUNNING_NS;
        set_state(slot, PART_RUNNING);
        return;
    }
    slot->probe_at = now + PROBE_STARTING_NS;
    if (slot->part.state == PART_STARTING)
        return;
    slot->probe_at = now + NS_PER_SECOND;
    if (++slot->probe_misses >= PROBE_MISSES_MAX)
        set_state(slot, PART_UNRESPONSIVE);
}

static void probe(struct slot *slot, int64_t now)
{
    if (!slot->part.spec->ready_url || slot->probing || now < slot->probe_at)
        return;
    slot->probing = true;
    slot->probe_life = slot->lives;
    http_get(slot->stack->http, slot->part.spec->ready_url, PROBE_TIMEOUT_MS, on_probe, slot);
}

static bool needs_are_met(const struct stack *stack, const struct part_spec *spec)
{
    for (size_t i = 0; spec->needs && i < stack->options.part_count; i++) {
        const struct part *part = &stack->slots[i].part;
        if (strcmp(part->spec->name, spec->needs) == 0)
            return part_state_is_well(part->state);
    }
    return true;
}

static void step(struct slot *slot, int64_t now)
{
    switch (slot->part.state) {
    case PART_WAITING:
        if (needs_are_met(slot->stack, slot->part.spec))
            start(slot, now);
        break;
    case PART_RESTARTING:
        if (now >= slot->restart_at)
            start(slot, now);
        break;
    case PART_STARTING:
    case PART_RUNNING:
    case PART_UNRESPONSIVE: probe(slot, now); break;
    case PART_FAILED:
    case PART_DONE:
    case PART_STOPPING:
    case PART_STOPPED: break;
    }
}

/* --- the stop --------------------------------------------------------------------------------- */

void stack_stop(struct stack *stack)
{
    if (stack->stopping)
        return;
    stack->stopping = true;
    stack->stop_started = instant_monotonic_ns();
    stack->stop_left = stack->options.part_count;
    int64_t kill_at = stack->stop_started;
    for (size_t i = stack->options.part_count; i-- > 0;) {
        /* Time that one part does not use is there for those after it. */
        kill_at += stack->options.parts[i].stop_ms * NS_PER_MS;
        stack->slots[i].kill_at = kill_at;
    }
}

static void kill_all(struct stack *stack)
{
    for (size_t i = 0; i < stack->options.part_count; i++) {
        stack->slots[i].killed = true;
        child_signal(stack->slots[i].part.pid, SIGKILL);
    }
}

static void step_stop(struct slot *slot, int64_t now)
{
    if (slot->part.state != PART_STOPPING) {
        set_state(slot, PART_STOPPING);
        child_signal(slot->part.pid, SIGTERM);
        child_signal(slot->part.pid, SIGCONT); /* a suspended child cannot end */
    } else if (now >= slot->kill_at && !slot->killed) {
        slot->killed = true;
        child_signal(slot->part.pid, SIGKILL);
    }
}

/* Last part first; one at a time, since those before it in the table are what it talks to. */
static void stop_in_order(struct stack *stack, int64_t now)
{
    while (stack->stop_left > 0) {
        struct slot *slot = &stack->slots[stack->stop_left - 1];
        bool is_hopeless = now - stack->stop_started >= STACK_STOP_MS * NS_PER_MS;
        if (slot->part.pid != 0 && !is_hopeless) {
            step_stop(slot, now);
            return;
        }
        if (slot->part.pid != 0) /* in the kernel's hands: killed, and not gone */
            set_note(slot, "killed, but the kernel holds on to it");
        bool is_over = slot->part.state == PART_FAILED || slot->part.state == PART_DONE;
        if (!is_over && !is_outside(slot->part.spec))
            set_state(slot, PART_STOPPED);
        stack->stop_left--;
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

static void on_watched(void *context, long status, struct slice body)
{
    struct stack *stack = context;
    stack->watching = false;
    stack->options.on_watch(stack->options.context, status, body);
}

static void watch(struct stack *stack, int64_t now)
{
    if (!stack->options.watch_url || stack->watching || stack->stopping || now < stack->watch_at)
        return;
    stack->watching = true;
    stack->watch_at = now + stack->options.watch_ms * NS_PER_MS;
    http_get(stack->http, stack->options.watch_url, stack->options.watch_ms, on_watched, stack);
}

static void sooner(int64_t *at, int64_t candidate)
{
    if (candidate < *at)
        *at = candidate;
}

static int wait_ms(const struct stack *stack, int64_t now)
{
    int64_t at = stack->tick_at;
    if (stack->options.watch_url && !stack->watching && !stack->stopping)
        sooner(&at, stack->watch_at);
    for (size_t i = 0; i < stack->options.part_count; i++) {
        const struct slot *slot = &stack->slots[i];
        if (slot->part.state == PART_STOPPING && !slot->killed)
            sooner(&at, slot->kill_at);
        else if (stack->stopping)
            continue;
        else if (slot->part.state == PART_RESTARTING)
            sooner(&at, slot->restart_at);
        else if (slot->part.pid != 0 && slot->part.spec->ready_url && !slot->probing)
            sooner(&at, slot->probe_at);
    }
    return at <= now ? 0 : (int)((at - now) / NS_PER_MS) + 1;
}

static void read_signals(struct stack *stack)
{
    struct signalfd_siginfo info;
    while (read(stack->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue; /* every round looks at every child anyway */
        if (info.ssi_signo == SIGWINCH)
            stack->changed = true;
        else if (stack->stopping)
            kill_all(stack);
        else
            stack_stop(stack);
    }
}

static void wait_for_something(struct stack *stack)
{
    struct pollfd fds[STACK_PARTS_MAX + 1] = {{.fd = stack->signals, .events = POLLIN}};
    size_t count = 1;
    for (size_t i = 0; i < stack->options.part_count; i++) {
        if (stack->slots[i].output_fd >= 0)
            fds[count++] = (struct pollfd){.fd = stack->slots[i].output_fd, .events = POLLIN};
    }
    http_wait(stack->http, fds, count, wait_ms(stack, instant_monotonic_ns()));
}

static void tick(struct stack *stack, int64_t now)
{
    if (!stack->changed && now < stack->tick_at)
        return;
    bool changed = stack->changed;
    stack->changed = false;
    stack->tick_at = now + TICK_NS;
    if (stack->options.on_tick)
        stack->options.on_tick(stack->options.context, changed);
}

void stack_run(struct stack *stack)
{
    for (;;) {
        int64_t now = instant_monotonic_ns();
        read_signals(stack);
        for (size_t i = 0; i < stack->options.part_count; i++) {
            check_life(&stack->slots[i], now);
            if (!stack->stopping && !is_outside(stack->slots[i].part.spec))
                step(&stack->slots[i], now);
        }
        if (stack->stopping)
            stop_in_order(stack, now);
        watch(stack, now);
        tick(stack, now);
        if (stack->stopping && stack->stop_left == 0)
            return;
        wait_for_something(stack);
    }
}

/* --- life of the stack itself ----------------------------------------------------------------- */

/* Signals that whoever started us has set to be ignored (nohup, a script's `&`) stay ignored. */
static int take_signals(struct stack *stack, struct error *err)
{
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGWINCH};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        struct sigaction action;
        if (sigaction(ours[i], NULL, &action) == 0 &&
            (action.sa_handler != SIG_IGN || ours[i] == SIGCHLD))
            (void)sigaddset(&set, ours[i]);
    }
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, the kernel would reap before we can look */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigprocmask(SIG_BLOCK, &set, &stack->signals_before);
    stack->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return stack->signals >= 0
               ? 0
               : error_set(err, EXIT_CODE_INTERNAL, "signalfd: %s", strerror(errno));
}

int stack_new(const struct stack_options *options, struct stack **ret, struct error *err)
{
    if (options->part_count > STACK_PARTS_MAX)
        return error_set(err, EXIT_CODE_INTERNAL, "more than %d parts", STACK_PARTS_MAX);
    struct stack *stack = xcalloc(1, sizeof *stack);
    stack->options = *options;
    stack->signals = -1;
    stack->slots = xcalloc(options->part_count + 1, sizeof *stack->slots);
    for (size_t i = 0; i < options->part_count; i++) {
        struct slot *slot = &stack->slots[i];
        const struct part_spec *spec = &options->parts[i];
        CLEANUP_FREE char *path = xasprintf("%s/%s.out", options->log_dir, spec->name);
        slot->stack = stack;
        slot->output_fd = -1;
        slot->part.spec = spec;
        slot->part.state = is_outside(spec) ? PART_STARTING : PART_WAITING;
        slot->part.since_ns = instant_now_ns();
        output_init(&slot->part.output, is_outside(spec) ? NULL : path);
    }
    if (take_signals(stack, err) < 0 || http_new(&stack->http, err) < 0) {
        stack_free(stack);
        return -1;
    }
    *ret = stack;
    return 0;
}

void stack_free(struct stack *stack)
{
    if (!stack)
        return;
    http_free(stack->http);
    for (size_t i = 0; i < stack->options.part_count; i++) {
        if (stack->slots[i].output_fd >= 0)
            (void)close(stack->slots[i].output_fd);
        output_done(&stack->slots[i].part.output);
    }
    if (stack->signals >= 0) {
        (void)close(stack->signals);
        (void)sigprocmask(SIG_SETMASK, &stack->signals_before, NULL);
    }
    free(stack->slots);
    free(stack);
}

bool stack_is_stopping(const struct stack *stack)
{
    return stack->stopping;
}

size_t stack_part_count(const struct stack *stack)
{
    return stack->options.part_count;
}

const struct part *stack_part(const struct stack *stack, size_t index)
{
    return &stack->slots[index].part;
}

void stack_set_outside(struct stack *stack, const char *name, bool is_up)
{
    for (size_t i = 0; i < stack->options.part_count; i++) {
        struct slot *slot = &stack->slots[i];
        if (is_outside(slot->part.spec) && strcmp(slot->part.spec->name, name) == 0)
            set_state(slot, is_up ? PART_RUNNING : PART_UNRESPONSIVE);
    }
}
