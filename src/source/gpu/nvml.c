/*
 * NVML, NVIDIA's management library. Loaded by name; every function is looked up by itself, so that
 * an older driver gives what it has. Declarations are of our own, after the NVML API reference
 * (docs.nvidia.com/deploy/nvml-api); its ABI is stable, and suffixes such as _v2 mark the changes.
 */
#include <dlfcn.h>
#include <stdio.h>

#include "base/memory.h"
#include "source/gpu/gpu.h"

#define LIBRARY       "libnvidia-ml.so.1"
#define TEXT_MAX      GPU_TEXT_MAX
#define PROCESSES_MAX 64
#define LINKS_MAX     18
#define EVENT_XID     0x8ULL
#define XIDS_MAX      256 /* of one look */

enum {
    NVML_SUCCESS = 0,
    NVML_NOT_SUPPORTED = 3,
    NVML_NO_PERMISSION = 4,
    NVML_INSUFFICIENT_SIZE = 7,
    NVML_LOST = 15,
};

typedef void *gpu_handle;

struct utilization {
    unsigned gpu, memory;
};
struct memory {
    unsigned long long total, free, used;
};
/* What the driver keeps for itself is apart, as nvidia-smi shows it. */
struct memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
#define MEMORY_V2 ((unsigned)sizeof(struct memory_v2) | 2u << 24)
struct pci {
    char bus_legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
};
struct process {
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
};
struct event {
    gpu_handle device;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
};

struct nvml {
    void *library;
    bool started;
    void *events; /* a set; NULL: none */
    struct {
        void *device;
        char uuid[TEXT_MAX]; /* a lost GPU does not tell its own */
    } registered[GPUS_MAX];
    size_t registered_count;
    bool start_again; /* a lost GPU is only seen again by a fresh start */
    char driver[TEXT_MAX];
    int cuda;
};

/* A function of the library, by the newest name that is there; `type` is its pointer type. */
static void *symbol(const struct nvml *nvml, const char *newest, const char *older)
{
    void *found = dlsym(nvml->library, newest);
    return found || !older ? found : dlsym(nvml->library, older);
}

#define FUNCTION(name, newest, older, ...)                                                         \
    int (*name)(__VA_ARGS__) = (int (*)(__VA_ARGS__))(uintptr_t)symbol(nvml, newest, older)

static const char *words_of(const struct nvml *nvml, int code)
{
    const char *(*name)(int) =
        (const char *(*)(int))(uintptr_t)symbol(nvml, "nvmlErrorString", NULL);
    const char *words = name ? name(code) : NULL;
    return words ? words : "an error without a name";
}

/* --- opening ---------------------------------------------------------------------------------- */

int nvml_open(const char *path, struct nvml **ret, struct error *err)
{
    void *library = dlopen(path ? path : LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return error_set(err, path ? EXIT_CODE_USAGE : EXIT_CODE_PROBLEM, "%s", dlerror());
    struct nvml *nvml = xcalloc(1, sizeof *nvml);
    nvml->library = library;
    *ret = nvml;
    return 0;
}

static void stop(struct nvml *nvml)
{
    FUNCTION(end, "nvmlShutdown", NULL, void);
    FUNCTION(free_events, "nvmlEventSetFree", NULL, void *);
    if (nvml->events && free_events)
        (void)free_events(nvml->events);
    if (nvml->started && end)
        (void)end();
    nvml->events = NULL;
    nvml->started = false;
    nvml->registered_count = 0;
}

void nvml_close(struct nvml *nvml)
{
    if (!nvml)
        return;
    stop(nvml);
    (void)dlclose(nvml->library);
    free(nvml);
}

static int start(struct nvml *nvml, struct error *err)
{
    FUNCTION(begin, "nvmlInit_v2", "nvmlInit", void);
    FUNCTION(driver, "nvmlSystemGetDriverVersion", NULL, char *, unsigned);
    FUNCTION(cuda, "nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion", int *);
    FUNCTION(make_events, "nvmlEventSetCreate", NULL, void **);
    if (nvml->start_again)
        stop(nvml);
    nvml->start_again = false;
    if (nvml->started)
        return 0;
    int code = begin ? begin() : -1;
    if (code != NVML_SUCCESS)
        return error_set(err, EXIT_CODE_PROBLEM, "NVIDIA's driver does not work: %s",
                         begin ? words_of(nvml, code) : "the library has no nvmlInit");
    nvml->started = true;
    if (!driver || driver(nvml->driver, sizeof nvml->driver) != NVML_SUCCESS)
        nvml->driver[0] = 0;
    if (!cuda || cuda(&nvml->cuda) != NVML_SUCCESS)
        nvml->cuda = 0;
    if (!make_events || make_events(&nvml->events) != NVML_SUCCESS)
        nvml->events = NULL;
    return 0;
}

/* --- one field -------------------------------------------------------------------------------- */

/* One GPU in the making. */
struct reading {
    const struct nvml *nvml;
    gpu_handle device;
    json_t *data, *absent;
    bool lost;
};

/* Is the call's result good? Else the field is absent, with the reason. */
static bool good(struct reading *reading, const char *field, bool there, int code)
{
    if (there && code == NVML_SUCCESS)
        return true;
    reading->lost = reading->lost || (there && code == NVML_LOST);
    (void)json_object_set_new(
        reading->absent, field,
        json_string(!there ? "the driver is too old for it" : words_of(reading->nvml, code)));
    return false;
}

static void set(struct reading *reading, const char *field, unsigned long long value)
{
    (void)json_object_set_new(reading->data, field, json_integer((json_int_t)value));
}

enum shape { SHAPE_U32, SHAPE_U64, SHAPE_TYPED, SHAPE_ECC };

/* Calls that give one number. `scale` divides it; 1: it stays whole. */
static const struct number {
    const char *field, *newest, *older;
    enum shape shape;
    int first, second; /* further arguments */
    double scale;
} numbers[] = {
    {"temperature_celsius", "nvmlDeviceGetTemperature", NULL, SHAPE_TYPED, 0, 0, 1},
    {"temperature_shutdown_celsius", "nvmlDeviceGetTemperatureThreshold", NULL, SHAPE_TYPED, 0, 0,
     1},
    {"temperature_slowdown_celsius", "nvmlDeviceGetTemperatureThreshold", NULL, SHAPE_TYPED, 1, 0,
     1},
    {"power_watts", "nvmlDeviceGetPowerUsage", NULL, SHAPE_U32, 0, 0, 1e3},
    {"power_limit_watts", "nvmlDeviceGetEnforcedPowerLimit", NULL, SHAPE_U32, 0, 0, 1e3},
    {"energy_joules", "nvmlDeviceGetTotalEnergyConsumption", NULL, SHAPE_U64, 0, 0, 1e3},
    {"clock_graphics_megahertz", "nvmlDeviceGetClockInfo", NULL, SHAPE_TYPED, 0, 0, 1},
    {"clock_sm_megahertz", "nvmlDeviceGetClockInfo", NULL, SHAPE_TYPED, 1, 0, 1},
    {"clock_memory_megahertz", "nvmlDeviceGetClockInfo", NULL, SHAPE_TYPED, 2, 0, 1},
    {"clock_sm_max_megahertz", "nvmlDeviceGetMaxClockInfo", NULL, SHAPE_TYPED, 1, 0, 1},
    {"fan_percent", "nvmlDeviceGetFanSpeed", NULL, SHAPE_U32, 0, 0, 1},
    {"ecc_corrected", "nvmlDeviceGetTotalEccErrors", NULL, SHAPE_ECC, 0, 0, 1},
    {"ecc_uncorrected", "nvmlDeviceGetTotalEccErrors", NULL, SHAPE_ECC, 1, 0, 1},
    {"ecc_corrected_aggregate", "nvmlDeviceGetTotalEccErrors", NULL, SHAPE_ECC, 0, 1, 1},
    {"ecc_uncorrected_aggregate", "nvmlDeviceGetTotalEccErrors", NULL, SHAPE_ECC, 1, 1, 1},
    {"throttle_reasons", "nvmlDeviceGetCurrentClocksEventReasons",
     "nvmlDeviceGetCurrentClocksThrottleReasons", SHAPE_U64, 0, 0, 1},
    {"pcie_generation", "nvmlDeviceGetCurrPcieLinkGeneration", NULL, SHAPE_U32, 0, 0, 1},
    {"pcie_width", "nvmlDeviceGetCurrPcieLinkWidth", NULL, SHAPE_U32, 0, 0, 1},
    {"pcie_replays", "nvmlDeviceGetPcieReplayCounter", NULL, SHAPE_U32, 0, 0, 1},
    {"performance_state", "nvmlDeviceGetPerformanceState", NULL, SHAPE_U32, 0, 0, 1},
};

static void read_number(struct reading *reading, const struct number *number)
{
    const struct nvml *nvml = reading->nvml;
    void *there = symbol(nvml, number->newest, number->older);
    unsigned small = 0;
    unsigned long long value = 0;
    int code = 0;
    if (there && number->shape == SHAPE_U32)
        code = ((int (*)(gpu_handle, unsigned *))(uintptr_t)there)(reading->device, &small);
    else if (there && number->shape == SHAPE_U64)
        code =
            ((int (*)(gpu_handle, unsigned long long *))(uintptr_t)there)(reading->device, &value);
    else if (there && number->shape == SHAPE_TYPED)
        code = ((int (*)(gpu_handle, int, unsigned *))(uintptr_t)there)(reading->device,
                                                                        number->first, &small);
    else if (there)
        code = ((int (*)(gpu_handle, int, int, unsigned long long *))(uintptr_t)there)(
            reading->device, number->first, number->second, &value);
    if (!good(reading, number->field, there != NULL, code))
        return;
    value = number->shape == SHAPE_U32 || number->shape == SHAPE_TYPED ? small : value;
    if (number->scale > 1)
        (void)json_object_set_new(reading->data, number->field,
                                  json_real((double)value / number->scale));
    else
        set(reading, number->field, value);
}

/* --- several at once -------------------------------------------------------------------------- */

static void read_load(struct reading *reading)
{
    const struct nvml *nvml = reading->nvml;
    FUNCTION(rates, "nvmlDeviceGetUtilizationRates", NULL, gpu_handle, struct utilization *);
    FUNCTION(encoder, "nvmlDeviceGetEncoderUtilization", NULL, gpu_handle, unsigned *, unsigned *);
    FUNCTION(decoder, "nvmlDeviceGetDecoderUtilization", NULL, gpu_handle, unsigned *, unsigned *);
    FUNCTION(memory_of, "nvmlDeviceGetMemoryInfo", NULL, gpu_handle, struct memory *);
    FUNCTION(memory_v2_of, "nvmlDeviceGetMemoryInfo_v2", NULL, gpu_handle, struct memory_v2 *);
    struct utilization load = {0};
    struct memory memory = {0};
    struct memory_v2 apart = {.version = MEMORY_V2};
    unsigned percent = 0, period = 0;
    if (good(reading, "utilization_percent", rates, rates ? rates(reading->device, &load) : 0)) {
        set(reading, "utilization_percent", load.gpu);
        set(reading, "memory_utilization_percent", load.memory);
    }
    if (good(reading, "encoder_percent", encoder,
             encoder ? encoder(reading->device, &percent, &period) : 0))
        set(reading, "encoder_percent", percent);
    if (good(reading, "decoder_percent", decoder,
             decoder ? decoder(reading->device, &percent, &period) : 0))
        set(reading, "decoder_percent", percent);
    if (memory_v2_of && memory_v2_of(reading->device, &apart) == NVML_SUCCESS) {
        set(reading, "memory_total_bytes", apart.total);
        set(reading, "memory_used_bytes", apart.used);
        set(reading, "memory_free_bytes", apart.free);
        set(reading, "memory_reserved_bytes", apart.reserved);
    } else if (good(reading, "memory", memory_of,
                    memory_of ? memory_of(reading->device, &memory) : 0)) {
        set(reading, "memory_total_bytes", memory.total);
        set(reading, "memory_used_bytes", memory.used);
        set(reading, "memory_free_bytes", memory.free);
    }
}

static void read_rows(struct reading *reading)
{
    const struct nvml *nvml = reading->nvml;
    FUNCTION(rows, "nvmlDeviceGetRemappedRows", NULL, gpu_handle, unsigned *, unsigned *,
             unsigned *, unsigned *);
    unsigned corrected = 0, uncorrected = 0, pending = 0, failed = 0;
    int code = rows ? rows(reading->device, &corrected, &uncorrected, &pending, &failed) : 0;
    if (!good(reading, "remapped_rows", rows, code))
        return;
    set(reading, "remapped_rows_corrected", corrected);
    set(reading, "remapped_rows_uncorrected", uncorrected);
    set(reading, "remapped_rows_pending", pending);
    set(reading, "remapped_rows_failed", failed);
}

static void read_links(struct reading *reading)
{
    const struct nvml *nvml = reading->nvml;
    FUNCTION(state, "nvmlDeviceGetNvLinkState", NULL, gpu_handle, unsigned, unsigned *);
    FUNCTION(errors, "nvmlDeviceGetNvLinkErrorCounter", NULL, gpu_handle, unsigned, int,
             unsigned long long *);
    unsigned active = 0, links = 0;
    unsigned long long sum = 0;
    int code = 0;
    for (unsigned link = 0; state && link < LINKS_MAX; link++) {
        unsigned is = 0;
        unsigned long long count = 0;
        int result = state(reading->device, link, &is);
        if (result != NVML_SUCCESS) {
            code = links ? 0 : result;
            break;
        }
        links++;
        active += is != 0;
        for (int kind = 0; errors && is && kind < 4; kind++) {
            if (errors(reading->device, link, kind, &count) == NVML_SUCCESS)
                sum += count;
        }
    }
    if (!good(reading, "nvlink", state, code))
        return;
    set(reading, "nvlinks", links);
    set(reading, "nvlinks_active", active);
    set(reading, "nvlink_errors", sum);
}

static void read_processes(struct reading *reading)
{
    const struct nvml *nvml = reading->nvml;
    /* Older names have a smaller record; they are left alone. */
    FUNCTION(running, "nvmlDeviceGetComputeRunningProcesses_v3",
             "nvmlDeviceGetComputeRunningProcesses_v2", gpu_handle, unsigned *, struct process *);
    struct process list[2 * PROCESSES_MAX]; /* some drivers write longer records */
    unsigned count = PROCESSES_MAX;
    int code = running ? running(reading->device, &count, list) : 0;
    bool cut = running && code == NVML_INSUFFICIENT_SIZE; /* count is how many there are */
    if (!good(reading, "processes", running, cut ? 0 : code))
        return;
    set(reading, "processes", count);
    json_t *shown = json_array();
    for (unsigned i = 0; !cut && i < count && i < PROCESSES_MAX; i++) {
        json_t *one = json_pack("{s:I}", "pid", (json_int_t)list[i].pid);
        if (list[i].used <= INT64_MAX) /* else: not known */
            (void)json_object_set_new(one, "memory_bytes", json_integer((json_int_t)list[i].used));
        (void)json_array_append_new(shown, one);
    }
    (void)json_object_set_new(reading->data, "process_list", shown);
}

static void read_all(struct reading *reading)
{
    read_load(reading);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        read_number(reading, &numbers[i]);
    read_rows(reading);
    read_links(reading);
    read_processes(reading);
}

/* --- one GPU ---------------------------------------------------------------------------------- */

static int text_of(const struct nvml *nvml, const char *name, gpu_handle device, char *out)
{
    FUNCTION(get, name, NULL, void *, char *, unsigned);
    out[0] = 0;
    int code = get ? get(device, out, TEXT_MAX) : NVML_NOT_SUPPORTED;
    out[TEXT_MAX - 1] = 0;
    return code;
}

static void read_names(struct reading *reading)
{
    const struct nvml *nvml = reading->nvml;
    FUNCTION(pci_of, "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2", gpu_handle,
             struct pci *);
    struct pci pci = {0};
    if (good(reading, "bus", pci_of, pci_of ? pci_of(reading->device, &pci) : 0)) {
        pci.bus_id[sizeof pci.bus_id - 1] = 0;
        (void)json_object_set_new(reading->data, "bus",
                                  json_string(pci.bus_id[0] ? pci.bus_id : pci.bus_legacy));
    }
    if (nvml->driver[0])
        (void)json_object_set_new(reading->data, "driver", json_string(nvml->driver));
    if (nvml->cuda) {
        char version[32];
        (void)snprintf(version, sizeof version, "%d.%d", nvml->cuda / 1000, nvml->cuda % 1000 / 10);
        (void)json_object_set_new(reading->data, "cuda", json_string(version));
    }
}

static void listen_to(struct nvml *nvml, gpu_handle device, const char *uuid)
{
    FUNCTION(enlist, "nvmlDeviceRegisterEvents", NULL, void *, unsigned long long, void *);
    for (size_t i = 0; i < nvml->registered_count; i++) {
        if (!strcmp(nvml->registered[i].uuid, uuid))
            return;
    }
    if (!nvml->events || !enlist || nvml->registered_count == GPUS_MAX)
        return;
    if (enlist(device, EVENT_XID, nvml->events) != NVML_SUCCESS)
        return;
    (void)snprintf(nvml->registered[nvml->registered_count].uuid, TEXT_MAX, "%s", uuid);
    nvml->registered[nvml->registered_count++].device = device;
}

/* The instances that a GPU is divided into: each has a sample of its own. */
static void look_mig(struct gpu_watch *watch, struct reading *whole, long index, const char *name)
{
    const struct nvml *nvml = whole->nvml;
    FUNCTION(mode, "nvmlDeviceGetMigMode", NULL, gpu_handle, unsigned *, unsigned *);
    FUNCTION(instance, "nvmlDeviceGetMigDeviceHandleByIndex", NULL, gpu_handle, unsigned,
             gpu_handle *);
    FUNCTION(memory_of, "nvmlDeviceGetMemoryInfo", NULL, gpu_handle, struct memory *);
    unsigned current = 0, pending = 0;
    if (!good(whole, "mig", mode, mode ? mode(whole->device, &current, &pending) : 0))
        return;
    (void)json_object_set_new(whole->data, "mig", json_boolean(current != 0));
    for (unsigned i = 0; current && instance && i < GPU_MIG_MAX; i++) {
        gpu_handle part;
        char uuid[TEXT_MAX];
        struct memory memory = {0};
        if (instance(whole->device, i, &part) != NVML_SUCCESS ||
            text_of(nvml, "nvmlDeviceGetUUID", part, uuid) != NVML_SUCCESS)
            continue;
        CLEANUP_FREE char *number = xasprintf("%ld:%u", index, i);
        json_t *data = json_pack("{s:s, s:s, s:s, s:s}", "uuid", uuid, "gpu", number, "name", name,
                                 "type", "nvidia");
        if (memory_of && memory_of(part, &memory) == NVML_SUCCESS) {
            (void)json_object_set_new(data, "memory_total_bytes",
                                      json_integer((json_int_t)memory.total));
            (void)json_object_set_new(data, "memory_used_bytes",
                                      json_integer((json_int_t)memory.used));
        }
        source_sample(watch->sink, "instance", uuid, "GpuInstanceSampled", 0, data);
    }
}

static void look_at(struct nvml *nvml, struct gpu_watch *watch, gpu_handle device, long index)
{
    struct reading reading = {
        .nvml = nvml, .device = device, .data = json_object(), .absent = json_object()};
    char uuid[TEXT_MAX], name[TEXT_MAX];
    int code = text_of(nvml, "nvmlDeviceGetUUID", device, uuid);
    if (!uuid[0] && code != NVML_LOST)
        (void)snprintf(uuid, sizeof uuid, "nvidia-%ld", index);
    (void)text_of(nvml, "nvmlDeviceGetName", device, name);
    (void)json_object_set_new(reading.data, "type", json_string("nvidia"));
    (void)json_object_set_new(reading.data, "uuid", json_string(uuid));
    (void)json_object_set_new(reading.data, "name", json_string(name));
    (void)json_object_set_new(reading.data, "gpu", json_integer(index));
    read_names(&reading);
    if (code != NVML_LOST)
        read_all(&reading);
    if (code == NVML_LOST || reading.lost) {
        nvml->start_again = true;
        gpu_report_lost(watch, uuid[0] ? uuid : NULL, index, words_of(nvml, NVML_LOST));
        json_decref(reading.data);
        json_decref(reading.absent);
        return;
    }
    listen_to(nvml, device, uuid);
    look_mig(watch, &reading, index, name);
    if (json_object_size(reading.absent))
        (void)json_object_set(reading.data, "absent", reading.absent);
    json_decref(reading.absent);
    gpu_report(watch, reading.data);
}

static void name_source(const struct nvml *nvml, gpu_handle device, char uuid[TEXT_MAX])
{
    for (size_t i = 0; i < nvml->registered_count; i++) {
        if (nvml->registered[i].device == device) {
            memcpy(uuid, nvml->registered[i].uuid, TEXT_MAX);
            return;
        }
    }
    (void)text_of(nvml, "nvmlDeviceGetUUID", device, uuid);
}

static void drain_events(const struct nvml *nvml, struct gpu_watch *watch)
{
    FUNCTION(next, "nvmlEventSetWait_v2", "nvmlEventSetWait", void *, struct event *, unsigned);
    struct event event = {0};
    char uuid[TEXT_MAX];
    for (size_t i = 0; nvml->events && next && i < XIDS_MAX; i++) {
        if (next(nvml->events, &event, 0) != NVML_SUCCESS)
            return; /* mostly: nothing more */
        name_source(nvml, event.device, uuid);
        if (event.type & EVENT_XID)
            gpu_xid(watch, uuid, event.data);
    }
}

int nvml_look(struct nvml *nvml, struct gpu_watch *watch, struct error *err)
{
    FUNCTION(count_of, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount", unsigned *);
    FUNCTION(handle, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex", unsigned,
             gpu_handle *);
    unsigned count = 0;
    if (nvml->started)
        drain_events(nvml, watch); /* before a lost GPU makes us start again */
    if (start(nvml, err) < 0)
        return -1;
    int code = count_of && handle ? count_of(&count) : NVML_NOT_SUPPORTED;
    if (code != NVML_SUCCESS) {
        nvml->start_again = true;
        return error_set(err, EXIT_CODE_PROBLEM, "NVIDIA's driver does not list its GPUs: %s",
                         words_of(nvml, code));
    }
    for (unsigned i = 0; i < count && i < GPUS_MAX; i++) {
        gpu_handle device;
        code = handle(i, &device);
        if (code == NVML_SUCCESS) {
            look_at(nvml, watch, device, (long)i);
            continue;
        }
        nvml->start_again = true;
        gpu_report_lost(watch, NULL, (long)i, words_of(nvml, code));
    }
    return 0;
}
