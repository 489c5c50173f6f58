/* The GPU source: one look, and the table of what it tells. */
#include "base/instant.h"
#include "base/memory.h"
#include "source/gpu/gpu.h"

#define GPU "gpu", "<uuid>"
#define WHICH                                                                                      \
    "`type`: `nvidia`, `amd` or `metal`, `uuid`, `name`, `gpu`: its number on the machine; "

static const struct source_event events[] = {
    {GPU, "GpuSampled", "every look; of one that is lost only `available` and `health`",
     WHICH
     "`available`: 1, or 0 when it is lost; `health`: `HEALTHY`, or `WARNING:` or `CRITICAL:` and "
     "why; `healthy`; `utilization_percent`, `memory_utilization_percent`, `encoder_percent`, "
     "`decoder_percent`, `memory_{total,used,free,reserved}_bytes`, `temperature_celsius`, "
     "`temperature_{slowdown,shutdown}_celsius`, `power_watts`, `power_limit_watts`, "
     "`energy_joules`: since the driver started, `clock_{graphics,sm,memory,sm_max}_megahertz`, "
     "`fan_percent`, `ecc_{corrected,uncorrected}`: since the driver started, `…_aggregate`: ever, "
     "`remapped_rows_{corrected,uncorrected,pending,failed}`, `throttle_reasons`: bits, "
     "`throttle_words`, `throttled_thermal`, `throttled_power`, `pcie_generation`, `pcie_width`, "
     "`pcie_replays`, `nvlinks`, `nvlinks_active`, `nvlink_errors`, `performance_state`, "
     "`processes`: how many, `process_list`: `pid`, `memory_bytes`, up to 64; `mig`, `bus`, "
     "`driver`, `cuda`; `absent`: what the device does not tell, and why"},
    {"instance", "<uuid>", "GpuInstanceSampled", "every look, for each MIG instance",
     "`type`, `uuid`, `name`, `gpu`: number of the GPU and of the instance, such as `0:1`, "
     "`memory_total_bytes`, `memory_used_bytes`"},
    {GPU, "GpuFound", "a GPU is seen for the first time, but at the agent's start", WHICH},
    {GPU, "GpuLost", "the driver has lost it, or does not list it any more", WHICH "`reason`"},
    {GPU, "GpuReturned", "it is there again", WHICH},
    {GPU, "GpuXid", "each time the driver reports an error of the GPU",
     WHICH "`xid`: NVIDIA's number, `meaning`"},
    {GPU, "GpuEccError",
     "memory errors were counted; uncorrected ones also when they are there at the agent's start",
     WHICH "`kind`: `corrected` or `uncorrected`, `count`: since the last look, `total`, "
           "`at_start`: it was so before the agent looked, and is no new error"},
    {GPU, "GpuRowsRemapped", "memory rows wait to be replaced, or could not be",
     WHICH "`pending`, `failed`"},
    {GPU, "GpuThrottleBegan", "it is slowed down",
     WHICH "`class`: `thermal` or `power`, `reasons`: as the driver names them, `at_start`"},
    {GPU, "GpuThrottleEnded", "it is not any more", WHICH "`class`"},
    {GPU, "GpuMemoryHigh", "its memory in use passes 90 % or 95 %, either way",
     WHICH "`level`: 90 or 95, `used_ratio`, `rising`"},
    {GPU, "GpuMemoryNormal", "its memory in use is below 88 % again", "as `GpuMemoryHigh`"},
};

static int open_gpus(const struct source_options *options, void **ret, struct error *err)
{
    struct error why = ERROR_NONE;
    struct nvml *nvml = NULL;
    if (nvml_open(options->nvml, &nvml, &why) < 0) {
        if (why.code != EXIT_CODE_PROBLEM)
            return error_set(err, why.code, "--nvml: %s", why.text);
        if (!amd_is_here(options->root) && !apple_is_here())
            return error_set(err, EXIT_CODE_PROBLEM,
                             "there is no GPU here that could be looked at: no AMD card, no ioreg, "
                             "and for NVIDIA %s",
                             why.text);
    }
    struct gpu_watch *watch = xcalloc(1, sizeof *watch);
    watch->options = options;
    watch->nvml = nvml;
    watch->apple = apple_is_here();
    *ret = watch;
    return 0;
}

static void close_gpus(void *state)
{
    struct gpu_watch *watch = state;
    nvml_close(watch->nvml);
    free(watch);
}

static int look(void *state, struct source_sink *sink, struct error *err)
{
    struct gpu_watch *watch = state;
    int result = 0;
    watch->sink = sink;
    watch->now_ns = instant_monotonic_ns();
    gpu_begin(watch);
    if (watch->nvml)
        result = nvml_look(watch->nvml, watch, err);
    amd_look(watch);
    if (watch->apple && !apple_look(watch) && result == 0)
        result = error_set(err, EXIT_CODE_PROBLEM, "ioreg told nothing that can be read");
    if (result == 0) /* else nobody knows who is there */
        gpu_end(watch);
    return result;
}

extern const struct source source_gpu;
const struct source source_gpu = {
    .name = "gpu",
    .events = events,
    .event_count = ARRAY_LEN(events),
    .open = open_gpus,
    .observe = look,
    .close = close_gpus,
};
