/* The host source: one look, and the table of what it tells. */
#include "base/instant.h"
#include "base/memory.h"
#include "source/host/host.h"

#define HOST        "host", "<node>"
#define FILESYSTEM  "filesystem", "<node>-<mountpoint>"
#define INTERFACE   "interface", "<node>-<interface>"
#define TEMPERATURE "temperature", "<node>-<sensor>"
#define UNIT        "unit", "<node>-<unit>"

static const struct source_event events[] = {
    {HOST, "HostSampled", "every look",
     "`cpus`, `load1`, `load5`, `load15`; `memory_{total,free,available,buffers,cached,reclaimable,"
     "shared,dirty,writeback,active,inactive,committed}_bytes`, `swap_{total,free}_bytes`; "
     "`pressure_{cpu,memory,io}_{some,full}_{avg10,avg60,avg300}`: per cent, `_total`: seconds "
     "since the last look; since the last look `interrupts`, `context_switches`, `forks`, "
     "`page_faults`, `major_page_faults`, `swap_in_pages`, `swap_out_pages`, "
     "`out_of_memory_kills`; `processes_running`, `processes_blocked`; `file_descriptors`, "
     "`file_descriptors_limit`; `boot_time_seconds`, `uptime_seconds`; `units_failed`, "
     "`failed_units`: up to 32 names; "
     "`cgroup_{memory_limit_bytes,memory_used_bytes,cpu_limit_cores,cpu_throttled,"
     "processes_limit,processes}`: of the agent's own; `kernel`, `machine`, `system`, "
     "`kernel_version`, `os`; `absent`"},
    {"cpu", "<node>-<cpu>-<mode>", "CpuSampled",
     "every look, for all CPUs together, and for each where there are no more than 8",
     "`cpu`: `all` or a number, `mode`: `user`, `nice`, `system`, `idle`, `iowait`, `irq`, "
     "`softirq`, `steal`; `seconds_total`: since boot, `seconds`: since the last look, `ratio`"},
    {FILESYSTEM, "FilesystemSampled", "every look, for each filesystem on a disk of this machine",
     "`mountpoint`, `device`, `fstype`, `readonly`: 0 or 1, `size_bytes`, `free_bytes`, "
     "`available_bytes`, `used_bytes`, `used_ratio`: of what is not reserved, `inodes`, "
     "`inodes_free`, `absent`"},
    {FILESYSTEM, "FilesystemFilling", "its use passes 80 % or 95 %, either way",
     "`mountpoint`, `device`, `level`: 80 or 95, `used_ratio`, `rising`"},
    {FILESYSTEM, "FilesystemRelieved", "its use is below 78 % again",
     "as `FilesystemFilling`, `level` is 0"},
    {FILESYSTEM, "FilesystemReadOnly", "it can no longer be written: often after an I/O error",
     "`mountpoint`, `device`"},
    {FILESYSTEM, "FilesystemWritable", "it can be written again", "`mountpoint`, `device`"},
    {FILESYSTEM, "FilesystemGone", "it is not mounted any more", "`mountpoint`"},
    {"disk", "<node>-<device>", "DiskSampled", "every look, for each disk",
     "`device`, `in_flight`, `read_bytes_total`, `written_bytes_total`; since the last look "
     "`reads`, `writes`, `read_bytes`, `written_bytes`, `read_seconds`, `write_seconds`, "
     "`busy_seconds`, `weighted_seconds`; `busy_ratio`, `read_latency_seconds`, "
     "`write_latency_seconds`: of one request"},
    {INTERFACE, "InterfaceSampled", "every look, for each network interface",
     "`interface`, `up`: 0 or 1, `speed_bytes_per_second`, `received_bytes_total`, "
     "`sent_bytes_total`; since the last look `received_{bytes,packets,multicast}`, "
     "`receive_{errors,drops}`, `sent_{bytes,packets}`, `send_{errors,drops}`"},
    {INTERFACE, "InterfaceDown", "it was up, and is not, or is not there", "`interface`, `gone`"},
    {INTERFACE, "InterfaceUp", "it is up again", "`interface`"},
    {TEMPERATURE, "TemperatureSampled", "every look, for each sensor",
     "`sensor`, `chip`, `label`, `celsius`, `critical_celsius`: where the chip names it"},
    {TEMPERATURE, "TemperatureCritical", "it has reached what the chip names critical",
     "`sensor`, `celsius`, `critical_celsius`"},
    {TEMPERATURE, "TemperatureNormal", "it is two degrees below that again",
     "as `TemperatureCritical`"},
    {HOST, "HostRebooted",
     "the machine has been started anew; at the agent's start when that was in the last 10 minutes",
     "`uptime_seconds`"},
    {HOST, "OutOfMemoryKilled", "the kernel has killed processes because memory had run out",
     "`count`: since the last look"},
    {HOST, "MemoryPressureBegan", "tasks waited for memory for more than 10 % of the last 10 s",
     "`waiting_percent`"},
    {HOST, "MemoryPressureEnded", "less than 5 % again", "`waiting_percent`"},
    {UNIT, "UnitFailed", "a systemd unit has failed", "`unit`"},
    {UNIT, "UnitRecovered", "it has not failed any more", "`unit`"},
};

static int open_host(const struct source_options *options, void **ret, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/proc/stat", options->root);
    if (access(path, R_OK) != 0)
        return error_set(err, EXIT_CODE_PROBLEM, "there is no %s: this is no Linux machine", path);
    struct host *host = xcalloc(1, sizeof *host);
    host->options = options;
    *ret = host;
    return 0;
}

static void close_host(void *state)
{
    struct host *host = state;
    for (size_t i = 0; i < host->totals_count; i++)
        free(host->totals[i].key);
    free(host->totals);
    host_things_done(&host->filesystems);
    host_things_done(&host->interfaces);
    host_things_done(&host->temperatures);
    host_things_done(&host->units);
    free(host);
}

static int look(void *state, struct source_sink *sink, struct error *err)
{
    struct host *host = state;
    json_t *data = json_object();
    host->sink = sink;
    host->looks++;
    host->before_ns = host->now_ns;
    host->now_ns = instant_monotonic_ns();
    host->absent = json_object();
    host_look_system(host, data);
    host_look_cgroup(host, data);
    host_look_units(host, data);
    host_look_filesystems(host);
    host_look_disks(host);
    host_look_interfaces(host);
    host_look_temperatures(host);
    bool nothing = !json_object_get(data, "memory_total_bytes") && !json_object_get(data, "load1");
    (void)json_object_set_new(data, "absent", host->absent);
    source_sample(sink, "host", host->options->node, "HostSampled", 0, data);
    if (nothing)
        return error_set(err, EXIT_CODE_PROBLEM, "%s/proc tells nothing", host->options->root);
    return 0;
}

extern const struct source source_host;
const struct source source_host = {
    .name = "host",
    .events = events,
    .event_count = ARRAY_LEN(events),
    .open = open_host,
    .observe = look,
    .close = close_host,
};
