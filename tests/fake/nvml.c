/*
 * A library with NVML's names that plays a script: the file that $CIM_FAKE_NVML names, read again
 * with every look. Lines:
 *
 *     gpu 0 uuid=GPU-1 name=Fake used=100 total=1000 temp=50 ...   (memory in MiB, power in mW)
 *     lost 0          calls about GPU 0 give "lost"
 *     unlisted 0      it is not counted any more (the last one only)
 *     xid 0 79        told once; each such line further down is one more
 *     init 9          nvmlInit gives this code
 *     hang            the next call about a GPU does not return
 *
 * A key that a gpu line lacks is "not supported".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GPUS   8
#define TEXT   8192
#define EVENTS 64

static char script[TEXT], lines_of[GPUS][1024];
static int gpu_count, lost[GPUS], hangs, init_code, events_told;
static int event_gpu[EVENTS];
static unsigned event_xid[EVENTS];
static int event_count;

static void read_script(void)
{
    const char *path = getenv("CIM_FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char *rest = script, *line;
    size_t len = file ? fread(script, 1, sizeof script - 1, file) : 0;
    script[len] = 0;
    if (file)
        (void)fclose(file);
    gpu_count = hangs = init_code = event_count = 0;
    memset(lost, 0, sizeof lost);
    while ((line = strsep(&rest, "\n"))) {
        int gpu = 0, at = 0;
        unsigned xid = 0;
        if (sscanf(line, "gpu %d %n", &gpu, &at) == 1 && gpu < GPUS) {
            (void)snprintf(lines_of[gpu], sizeof lines_of[gpu], " %s ", line + at);
            gpu_count = gpu + 1 > gpu_count ? gpu + 1 : gpu_count;
        } else if (sscanf(line, "lost %d", &gpu) == 1) {
            lost[gpu] = 1;
        } else if (sscanf(line, "unlisted %d", &gpu) == 1) {
            gpu_count = gpu;
        } else if (sscanf(line, "xid %d %u", &gpu, &xid) == 2 && event_count < EVENTS) {
            event_gpu[event_count] = gpu;
            event_xid[event_count++] = xid;
        } else if (sscanf(line, "init %d", &init_code) != 1 && !strcmp(line, "hang")) {
            hangs = 1;
        }
    }
}

static int index_of(const void *device)
{
    return (int)((const char(*)[1024])device - lines_of);
}

/* The value of `key=`, or the code that says why there is none. */
static int value(const void *device, const char *key, unsigned long long *ret)
{
    char pattern[64];
    while (hangs)
        (void)sleep(1);
    if (lost[index_of(device)])
        return 15;
    (void)snprintf(pattern, sizeof pattern, " %s=", key);
    const char *at = strstr((const char *)device, pattern);
    if (!at)
        return 3;
    *ret = strtoull(at + strlen(pattern), NULL, 0);
    return 0;
}

static int small(const void *device, const char *key, unsigned *ret)
{
    unsigned long long number = 0;
    int code = value(device, key, &number);
    *ret = (unsigned)number;
    return code;
}

static int text(const void *device, const char *key, char *out, unsigned size)
{
    char pattern[64];
    (void)snprintf(pattern, sizeof pattern, " %s=", key);
    const char *at = strstr((const char *)device, pattern);
    if (!at)
        return 3;
    at += strlen(pattern);
    (void)snprintf(out, size, "%.*s", (int)strcspn(at, " "), at);
    return 0;
}

const char *nvmlErrorString(int code)
{
    return code == 3    ? "Not Supported"
           : code == 9  ? "Driver Not Loaded"
           : code == 15 ? "GPU is lost"
                        : "Unknown Error";
}

#ifdef OLD_DRIVER
#define NAME(newest, older) older
#else
#define NAME(newest, older) newest
#endif

int NAME(nvmlInit_v2, nvmlInit)(void)
{
    read_script();
    return init_code;
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlSystemGetDriverVersion(char *out, unsigned size)
{
    (void)snprintf(out, size, "550.54.15");
    return 0;
}

int NAME(nvmlDeviceGetCount_v2, nvmlDeviceGetCount)(unsigned *count)
{
    read_script();
    *count = (unsigned)gpu_count;
    return init_code;
}

int NAME(nvmlDeviceGetHandleByIndex_v2, nvmlDeviceGetHandleByIndex)(unsigned index, void **device)
{
    *device = lines_of[index];
    return 0;
}

int nvmlDeviceGetUUID(void *device, char *out, unsigned size)
{
    return text(device, "uuid", out, size);
}

int nvmlDeviceGetName(void *device, char *out, unsigned size)
{
    return text(device, "name", out, size);
}

int nvmlDeviceGetUtilizationRates(void *device, unsigned out[2])
{
    int code = small(device, "util", &out[0]);
    return code ? code : small(device, "memutil", &out[1]);
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long out[3])
{
    int code = value(device, "total", &out[0]);
    if (code || (code = value(device, "used", &out[2])))
        return code;
    out[0] <<= 20;
    out[2] <<= 20;
    out[1] = out[0] - out[2];
    return 0;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *out)
{
    (void)sensor;
    return small(device, "temp", out);
}

int nvmlDeviceGetTemperatureThreshold(void *device, int type, unsigned *out)
{
    return small(device, type ? "slowdown" : "shutdown", out);
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *out)
{
    return small(device, "power", out);
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *out)
{
    return small(device, "limit", out);
}

int nvmlDeviceGetClockInfo(void *device, int type, unsigned *out)
{
    return small(device, type == 2 ? "memclock" : "sm", out);
}

int nvmlDeviceGetFanSpeed(void *device, unsigned *out)
{
    return small(device, "fan", out);
}

int nvmlDeviceGetTotalEccErrors(void *device, int error, int counter, unsigned long long *out)
{
    (void)counter;
    return value(device, error ? "ecc_u" : "ecc_c", out);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out)
{
    return value(device, "throttle", out);
}

int nvmlEventSetCreate(void **set)
{
    static int only;
    *set = &only;
    return 0;
}

int nvmlEventSetFree(void *set)
{
    (void)set;
    return 0;
}

int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set)
{
    (void)device, (void)types, (void)set;
    return 0;
}

struct event {
    void *device;
    unsigned long long type, data;
};

int NAME(nvmlEventSetWait_v2, nvmlEventSetWait)(void *set, struct event *out, unsigned timeout)
{
    (void)set, (void)timeout;
    if (events_told >= event_count)
        return 10;
    out->device = lines_of[event_gpu[events_told]];
    out->type = 8;
    out->data = event_xid[events_told++];
    return 0;
}

#ifndef OLD_DRIVER
int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    *version = 12040;
    return 0;
}

int nvmlDeviceGetRemappedRows(void *device, unsigned *corrected, unsigned *uncorrected,
                              unsigned *pending, unsigned *failed)
{
    int code = small(device, "remap_pending", pending);
    *corrected = *uncorrected = *failed = 0;
    return code;
}

struct process {
    unsigned pid;
    unsigned long long used;
    unsigned instances[2];
};

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *out)
{
    unsigned pid = 0;
    int code = small(device, "pid", &pid);
    if (code)
        return code;
    *count = 1;
    out[0] = (struct process){.pid = pid, .used = 1 << 20};
    return 0;
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending)
{
    int code = small(device, "mig", current);
    *pending = *current;
    return code;
}

/* Its instances are the GPUs behind it in the script. */
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **instance)
{
    unsigned count = 0;
    if (small(device, "mig", &count) || index >= count)
        return 6;
    *instance = lines_of[GPUS - 1 - (int)index];
    (void)snprintf(*instance, 1024, " uuid=MIG-%u total=100 used=%u ", index, index + 1);
    return 0;
}
#endif
