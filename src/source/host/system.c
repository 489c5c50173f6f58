/* The machine as a whole. */
#include <stdio.h>
#include <sys/utsname.h>

#include "base/instant.h"
#include "base/memory.h"
#include "source/host/host.h"

#define PRESSURE_BEGINS 10.0 /* per cent of the last 10 s in which some task waited for memory */
#define PRESSURE_ENDS   5.0
#define FRESH_BOOT_NS   (600 * NS_PER_SECOND)

/* --- CPU -------------------------------------------------------------------------------------- */

static const char *const cpu_modes[] = {"user",   "nice", "system",  "idle",
                                        "iowait", "irq",  "softirq", "steal"};

static void look_cpu(struct host *host, struct slice name, struct slice rest)
{
    uint64_t ticks[ARRAY_LEN(cpu_modes)] = {0}, since[ARRAY_LEN(cpu_modes)], sum = 0;
    struct slice word;
    double hertz = (double)sysconf(_SC_CLK_TCK);
    char cpu[32];
    for (size_t i = 0; i < ARRAY_LEN(cpu_modes) && host_word(&rest, &word); i++) {
        if (!slice_u64(word, &ticks[i]))
            return;
    }
    (void)snprintf(cpu, sizeof cpu, "%.*s", SLICE_ARG(name));
    CLEANUP_FREE char *key = xasprintf("cpu %s", cpu);
    bool known = host_since(host, key, ticks, ARRAY_LEN(ticks), since);
    for (size_t i = 0; known && i < ARRAY_LEN(cpu_modes); i++)
        sum += since[i];
    for (size_t i = 0; i < ARRAY_LEN(cpu_modes); i++) {
        json_t *data = json_pack("{s:s, s:s, s:f}", "cpu", cpu, "mode", cpu_modes[i],
                                 "seconds_total", (double)ticks[i] / hertz);
        if (known)
            (void)json_object_set_new(data, "seconds", json_real((double)since[i] / hertz));
        if (known && sum)
            (void)json_object_set_new(data, "ratio", json_real((double)since[i] / (double)sum));
        CLEANUP_FREE char *id = xasprintf("%s-%s", cpu, cpu_modes[i]);
        host_sample(host, "cpu", id, "CpuSampled", data);
    }
}

static void look_counters(struct host *host, json_t *data, const uint64_t totals[4])
{
    static const char *const names[] = {"interrupts", "context_switches", "forks"};
    uint64_t since[3];
    if (!host_since(host, "kernel", totals, ARRAY_LEN(names), since))
        return;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        host_set(data, names[i], since[i]);
}

static void look_stat(struct host *host, json_t *data)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word, value;
    size_t cpus = 0;
    uint64_t totals[4] = {0}, number;
    if (!host_file_or_absent(host, "/proc/stat", "cpu", &text))
        return;
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        if (!host_word(&line, &word))
            continue;
        if (slice_starts(word, SLICE("cpu"))) {
            bool all = word.len == 3;
            cpus += !all;
            if (all || cpus <= HOST_CPUS_MAX)
                look_cpu(host, all ? SLICE("all") : slice_from(word, 3), line);
            continue;
        }
        if (!host_word(&line, &value) || !slice_u64(value, &number))
            continue;
        if (slice_eq(word, SLICE("intr")))
            totals[0] = number;
        else if (slice_eq(word, SLICE("ctxt")))
            totals[1] = number;
        else if (slice_eq(word, SLICE("processes")))
            totals[2] = number;
        else if (slice_eq(word, SLICE("btime")))
            host_set(data, "boot_time_seconds", number);
        else if (slice_eq(word, SLICE("procs_running")))
            host_set(data, "processes_running", number);
        else if (slice_eq(word, SLICE("procs_blocked")))
            host_set(data, "processes_blocked", number);
    }
    host_set(data, "cpus", cpus);
    look_counters(host, data, totals);
}

/* --- memory ----------------------------------------------------------------------------------- */

static const struct {
    struct slice name;
    const char *field;
} memory_fields[] = {
    {SLICE("MemTotal:"), "memory_total_bytes"},
    {SLICE("MemFree:"), "memory_free_bytes"},
    {SLICE("MemAvailable:"), "memory_available_bytes"},
    {SLICE("Buffers:"), "memory_buffers_bytes"},
    {SLICE("Cached:"), "memory_cached_bytes"},
    {SLICE("SReclaimable:"), "memory_reclaimable_bytes"},
    {SLICE("Shmem:"), "memory_shared_bytes"},
    {SLICE("Dirty:"), "memory_dirty_bytes"},
    {SLICE("Writeback:"), "memory_writeback_bytes"},
    {SLICE("Active:"), "memory_active_bytes"},
    {SLICE("Inactive:"), "memory_inactive_bytes"},
    {SLICE("Committed_AS:"), "memory_committed_bytes"},
    {SLICE("SwapTotal:"), "swap_total_bytes"},
    {SLICE("SwapFree:"), "swap_free_bytes"},
};

static void look_memory(struct host *host, json_t *data)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word, value;
    uint64_t kib;
    if (!host_file_or_absent(host, "/proc/meminfo", "memory", &text))
        return;
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        if (!host_word(&line, &word) || !host_word(&line, &value) || !slice_u64(value, &kib) ||
            kib > UINT64_MAX / 1024)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(memory_fields); i++) {
            if (slice_eq(word, memory_fields[i].name))
                host_set(data, memory_fields[i].field, kib * 1024);
        }
    }
}

static const struct {
    struct slice name;
    const char *field;
} vm_fields[] = {
    {SLICE("oom_kill"), "out_of_memory_kills"}, {SLICE("pswpin"), "swap_in_pages"},
    {SLICE("pswpout"), "swap_out_pages"},       {SLICE("pgmajfault"), "major_page_faults"},
    {SLICE("pgfault"), "page_faults"},
};

static void look_vmstat(struct host *host, json_t *data)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word, value;
    uint64_t totals[ARRAY_LEN(vm_fields)] = {0}, since[ARRAY_LEN(vm_fields)];
    if (!host_file_or_absent(host, "/proc/vmstat", "virtual_memory", &text))
        return;
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        if (!host_word(&line, &word) || !host_word(&line, &value))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(vm_fields); i++) {
            if (slice_eq(word, vm_fields[i].name))
                (void)slice_u64(value, &totals[i]);
        }
    }
    if (!host_since(host, "vmstat", totals, ARRAY_LEN(totals), since))
        return;
    for (size_t i = 0; i < ARRAY_LEN(vm_fields); i++)
        host_set(data, vm_fields[i].field, since[i]);
    if (since[0])
        source_tell(host->sink, "host", host->options->node, "OutOfMemoryKilled",
                    json_pack("{s:I}", "count", (json_int_t)since[0]));
}

/* --- pressure --------------------------------------------------------------------------------- */

static void judge_pressure(struct host *host, double some)
{
    bool is = host->under_pressure ? some >= PRESSURE_ENDS : some > PRESSURE_BEGINS;
    if (is == host->under_pressure)
        return;
    host->under_pressure = is;
    source_tell(host->sink, "host", host->options->node,
                is ? "MemoryPressureBegan" : "MemoryPressureEnded",
                json_pack("{s:f}", "waiting_percent", some));
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static void look_pressure_line(struct host *host, json_t *data, const char *what, struct slice line)
{
    struct slice share, word, name;
    double value;
    uint64_t total, since;
    if (!host_word(&line, &share))
        return;
    while (host_word(&line, &word)) {
        if (!slice_cut(&word, '=', &name))
            continue;
        CLEANUP_FREE char *field =
            xasprintf("pressure_%s_%.*s_%.*s", what, SLICE_ARG(share), SLICE_ARG(name));
        if (slice_eq(name, SLICE("total"))) {
            if (slice_u64(word, &total) && host_since(host, field, &total, 1, &since))
                (void)json_object_set_new(data, field, json_real((double)since / 1e6));
        } else if (host_real(word, &value)) {
            (void)json_object_set_new(data, field, json_real(value));
            if (!strcmp(field, "pressure_memory_some_avg10"))
                judge_pressure(host, value);
        }
    }
}

static void look_pressure(struct host *host, json_t *data)
{
    static const char *const kinds[] = {"cpu", "memory", "io"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        CLEANUP_BUF struct buf text = {0};
        CLEANUP_FREE char *path = xasprintf("/proc/pressure/%s", kinds[i]);
        CLEANUP_FREE char *field = xasprintf("pressure_%s", kinds[i]);
        struct slice rest, line;
        if (!host_file_or_absent(host, path, field, &text))
            continue;
        rest = buf_slice(&text);
        while (slice_cut(&rest, '\n', &line))
            look_pressure_line(host, data, kinds[i], line);
    }
}

/* --- the rest --------------------------------------------------------------------------------- */

static void look_words(struct host *host, json_t *data, const char *path, const char *field,
                       const char *const *names, size_t count)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, word;
    double value;
    if (!host_file_or_absent(host, path, field, &text))
        return;
    rest = buf_slice(&text);
    for (size_t i = 0; i < count && host_word(&rest, &word); i++) {
        if (names[i] && host_real(word, &value))
            (void)json_object_set_new(data, names[i], json_real(value));
    }
}

static void look_boot(struct host *host, const json_t *data)
{
    CLEANUP_BUF struct buf text = {0};
    double uptime = json_number_value(json_object_get(data, "uptime_seconds"));
    if (!host_file_or_absent(host, "/proc/sys/kernel/random/boot_id", "boot_id", &text))
        return;
    bool changed = host->boot_id[0] && strcmp(host->boot_id, buf_cstr(&text)) != 0;
    bool fresh = !host->boot_id[0] && uptime > 0 && uptime < (double)FRESH_BOOT_NS / 1e9;
    (void)snprintf(host->boot_id, sizeof host->boot_id, "%s", buf_cstr(&text));
    if (changed || fresh)
        source_tell(host->sink, "host", host->options->node, "HostRebooted",
                    json_pack("{s:f}", "uptime_seconds", uptime));
}

static void look_names(struct host *host, json_t *data)
{
    CLEANUP_BUF struct buf text = {0};
    struct utsname names;
    struct slice rest, line;
    if (!host->options->root[0] && uname(&names) == 0) {
        host_set_text(data, "kernel", slice_of(names.release));
        host_set_text(data, "machine", slice_of(names.machine));
        host_set_text(data, "system", slice_of(names.sysname));
        host_set_text(data, "kernel_version", slice_of(names.version));
    } else if (host_file(host, "/proc/sys/kernel/osrelease", &text)) {
        host_set_text(data, "kernel", buf_slice(&text));
    }
    if (!host_file_or_absent(host, "/etc/os-release", "os", &text))
        return;
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        if (!slice_starts(line, SLICE("PRETTY_NAME=")))
            continue;
        line = slice_from(line, sizeof "PRETTY_NAME=" - 1);
        if (line.len >= 2 && line.ptr[0] == '"')
            line = (struct slice){line.ptr + 1, line.len - 2};
        host_set_text(data, "os", line);
    }
}

void host_look_system(struct host *host, json_t *data)
{
    static const char *const loads[] = {"load1", "load5", "load15"};
    static const char *const uptimes[] = {"uptime_seconds"};
    static const char *const files[] = {"file_descriptors", NULL, "file_descriptors_limit"};
    look_stat(host, data);
    look_memory(host, data);
    look_vmstat(host, data);
    look_pressure(host, data);
    look_words(host, data, "/proc/loadavg", "load", loads, ARRAY_LEN(loads));
    look_words(host, data, "/proc/uptime", "uptime", uptimes, ARRAY_LEN(uptimes));
    look_words(host, data, "/proc/sys/fs/file-nr", "file_descriptors", files, ARRAY_LEN(files));
    look_boot(host, data);
    look_names(host, data);
}

/* --- our control group ------------------------------------------------------------------------ */

static void look_limit(struct host *host, json_t *data, const char *group, const char *file,
                       const char *field)
{
    CLEANUP_FREE char *path = xasprintf("/sys/fs/cgroup%s/%s", group, file);
    int64_t value;
    if (host_number_file(host, path, &value) && value >= 0)
        host_set(data, field, (uint64_t)value); /* "max": there is no limit */
}

static void look_cpu_limit(struct host *host, json_t *data, const char *group)
{
    CLEANUP_FREE char *path = xasprintf("/sys/fs/cgroup%s/cpu.max", group);
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, quota, period;
    double share, whole;
    if (!host_file(host, path, &text))
        return;
    rest = buf_slice(&text);
    if (host_word(&rest, &quota) && host_word(&rest, &period) && host_real(quota, &share) &&
        host_real(period, &whole) && whole > 0)
        (void)json_object_set_new(data, "cgroup_cpu_limit_cores", json_real(share / whole));
}

static void look_throttling(struct host *host, json_t *data, const char *group)
{
    CLEANUP_FREE char *path = xasprintf("/sys/fs/cgroup%s/cpu.stat", group);
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word, value;
    uint64_t total, since;
    if (!host_file(host, path, &text))
        return;
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        if (host_word(&line, &word) && slice_eq(word, SLICE("nr_throttled")) &&
            host_word(&line, &value) && slice_u64(value, &total) &&
            host_since(host, "cgroup", &total, 1, &since))
            host_set(data, "cgroup_cpu_throttled", since);
    }
}

void host_look_cgroup(struct host *host, json_t *data)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, group = SLICE_ABSENT;
    if (!host_file_or_absent(host, "/proc/self/cgroup", "cgroup", &text))
        return;
    rest = buf_slice(&text);
    while (slice_cut(&rest, '\n', &line)) {
        if (slice_starts(line, SLICE("0::")))
            group = slice_from(line, 3);
    }
    if (!slice_present(group)) {
        host_absent(host, "cgroup", "no control group of version 2");
        return;
    }
    CLEANUP_FREE char *name = xstrndup(group.ptr, group.len);
    look_limit(host, data, name, "memory.max", "cgroup_memory_limit_bytes");
    look_limit(host, data, name, "memory.current", "cgroup_memory_used_bytes");
    look_limit(host, data, name, "pids.max", "cgroup_processes_limit");
    look_limit(host, data, name, "pids.current", "cgroup_processes");
    look_cpu_limit(host, data, name);
    look_throttling(host, data, name);
}
