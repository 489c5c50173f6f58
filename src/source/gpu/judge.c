/* What happened to a GPU, and how it is, in words. */
#include <stdio.h>

#include "base/memory.h"
#include "source/gpu/gpu.h"
#include "source/reading.h"

/* Bits of throttle_reasons: NVML API reference, "nvmlClocksEventReasons". */
#define REASON_POWER_CAP   0x04u
#define REASON_HW_SLOWDOWN 0x08u
#define REASON_SW_THERMAL  0x20u
#define REASON_HW_THERMAL  0x40u
#define REASON_POWER_BRAKE 0x80u

static const struct {
    unsigned bit;
    const char *name;
} reasons[] = {
    {0x01, "idle"},
    {0x02, "clocks_setting"},
    {REASON_POWER_CAP, "power_cap"},
    {REASON_HW_SLOWDOWN, "hardware_slowdown"},
    {0x10, "sync_boost"},
    {REASON_SW_THERMAL, "software_thermal"},
    {REASON_HW_THERMAL, "hardware_thermal"},
    {REASON_POWER_BRAKE, "power_brake"},
    {0x100, "display_clocks"},
};

static bool number_of(const json_t *data, const char *name, double *ret)
{
    const json_t *value = json_object_get(data, name);
    *ret = json_number_value(value);
    return value != NULL;
}

static uint64_t count_of(const json_t *data, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(data, name));
    return value > 0 ? (uint64_t)value : 0;
}

static struct gpu_known *find(struct gpu_watch *watch, const char *uuid)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (!strcmp(watch->gpus[i].uuid, uuid))
            return &watch->gpus[i];
    }
    return NULL;
}

/* Every event of a GPU says which, in the same fields as its samples. */
static void identify(const struct gpu_known *gpu, json_t *data)
{
    (void)json_object_set_new(data, "type", json_string(gpu->type));
    (void)json_object_set_new(data, "uuid", json_string(gpu->uuid));
    (void)json_object_set_new(data, "name", json_string(gpu->name));
    (void)json_object_set_new(data, "gpu", json_integer(gpu->index));
}

static void tell(struct gpu_watch *watch, const struct gpu_known *gpu, const char *type,
                 json_t *data)
{
    identify(gpu, data);
    if (gpu->fresh)
        (void)json_object_set_new(data, "at_start", json_true());
    source_tell(watch->sink, "gpu", gpu->uuid, type, data);
}

void gpu_begin(struct gpu_watch *watch)
{
    watch->looks++;
    for (size_t i = 0; i < watch->count; i++)
        watch->gpus[i].seen = false;
}

/* --- transitions ------------------------------------------------------------------------------ */

static void judge_memory(struct gpu_watch *watch, struct gpu_known *gpu, const json_t *data)
{
    double used, total;
    if (!number_of(data, "memory_used_bytes", &used) ||
        !number_of(data, "memory_total_bytes", &total) || total <= 0)
        return;
    double ratio = used / total;
    int reached = source_level(ratio, gpu->memory_level, 90, 95);
    if (reached == gpu->memory_level)
        return;
    bool rising = reached > gpu->memory_level;
    gpu->memory_level = reached;
    tell(watch, gpu, reached ? "GpuMemoryHigh" : "GpuMemoryNormal",
         json_pack("{s:i, s:f, s:b}", "level", reached, "used_ratio", ratio, "rising", rising));
}

static void judge_throttle(struct gpu_watch *watch, struct gpu_known *gpu, bool *was, bool is,
                           const char *class, const json_t *words)
{
    if (is == *was)
        return;
    *was = is;
    json_t *data = json_pack("{s:s}", "class", class);
    if (is)
        (void)json_object_set_new(data, "reasons", json_deep_copy(words));
    tell(watch, gpu, is ? "GpuThrottleBegan" : "GpuThrottleEnded", data);
}

static void judge_clocks(struct gpu_watch *watch, struct gpu_known *gpu, json_t *data)
{
    if (!json_object_get(data, "throttle_reasons"))
        return;
    uint64_t bits = count_of(data, "throttle_reasons");
    json_t *words = json_array();
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (bits & reasons[i].bit)
            (void)json_array_append_new(words, json_string(reasons[i].name));
    }
    /* A slowdown by hardware without a word of power is mostly heat. */
    bool thermal = bits & (REASON_SW_THERMAL | REASON_HW_THERMAL) ||
                   (bits & REASON_HW_SLOWDOWN && !(bits & REASON_POWER_BRAKE));
    bool power = bits & (REASON_POWER_CAP | REASON_POWER_BRAKE);
    judge_throttle(watch, gpu, &gpu->throttled_thermal, thermal, "thermal", words);
    judge_throttle(watch, gpu, &gpu->throttled_power, power, "power", words);
    (void)json_object_set_new(data, "throttle_words", words);
    (void)json_object_set_new(data, "throttled_thermal", json_integer(thermal));
    (void)json_object_set_new(data, "throttled_power", json_integer(power));
}

static void judge_count(struct gpu_watch *watch, struct gpu_known *gpu, const char *kind,
                        uint64_t *before, uint64_t now)
{
    uint64_t more = now >= *before ? now - *before : now; /* less: it counts from 0 again */
    *before = now;
    if (more)
        tell(watch, gpu, "GpuEccError",
             json_pack("{s:s, s:I, s:I}", "kind", kind, "count", (json_int_t)more, "total",
                       (json_int_t)now));
}

static void judge_errors(struct gpu_watch *watch, struct gpu_known *gpu, const json_t *data)
{
    bool counts = json_object_get(data, "ecc_uncorrected") != NULL;
    uint64_t corrected = count_of(data, "ecc_corrected");
    uint64_t uncorrected = count_of(data, "ecc_uncorrected");
    if (counts && !gpu->ecc_known) {
        gpu->ecc_corrected = corrected;
        gpu->ecc_uncorrected = 0; /* what is there already must be told */
        gpu->ecc_known = true;
    }
    if (counts) {
        judge_count(watch, gpu, "corrected", &gpu->ecc_corrected, corrected);
        judge_count(watch, gpu, "uncorrected", &gpu->ecc_uncorrected, uncorrected);
    }
    bool remap = count_of(data, "remapped_rows_pending") || count_of(data, "remapped_rows_failed");
    if (remap && !gpu->told_remap)
        tell(watch, gpu, "GpuRowsRemapped",
             json_pack("{s:b, s:b}", "pending", count_of(data, "remapped_rows_pending") != 0,
                       "failed", count_of(data, "remapped_rows_failed") != 0));
    gpu->told_remap = remap;
}

/* --- health ----------------------------------------------------------------------------------- */

static void add_reason(struct buf *list, const char *reason)
{
    buf_add_str(list, list->len ? ", " : "");
    buf_add_str(list, reason);
}

static void add_xid(struct buf *list, uint64_t xid)
{
    buf_addf(list, "%sXID %llu: %s", list->len ? ", " : "", (unsigned long long)xid,
             xid_meaning(xid));
}

static void judge_health(struct gpu_watch *watch, const struct gpu_known *gpu, json_t *data)
{
    CLEANUP_BUF struct buf bad = {0};
    CLEANUP_BUF struct buf odd = {0};
    CLEANUP_BUF struct buf words = {0};
    double celsius, limit;
    if (count_of(data, "remapped_rows_failed"))
        add_reason(&bad, "bad memory rows could not be replaced");
    if (count_of(data, "ecc_uncorrected"))
        add_reason(&bad, "uncorrected memory errors");
    if (gpu->last_xid_ns && watch->now_ns - gpu->last_xid_ns < GPU_XID_HOLD_NS)
        add_xid(xid_is_of_program(gpu->last_xid) ? &odd : &bad, gpu->last_xid);
    if (count_of(data, "remapped_rows_pending"))
        add_reason(&odd, "memory rows wait for a reset to be replaced");
    if (gpu->throttled_thermal)
        add_reason(&odd, "slowed down by heat");
    if (gpu->memory_level == 95)
        add_reason(&odd, "memory above 95 %");
    if (number_of(data, "temperature_celsius", &celsius) &&
        number_of(data, "temperature_slowdown_celsius", &limit) && celsius >= limit)
        add_reason(&odd, "too hot");
    if (bad.len)
        buf_addf(&words, "CRITICAL: %s%s%s", buf_cstr(&bad), odd.len ? ", " : "", buf_cstr(&odd));
    else if (odd.len)
        buf_addf(&words, "WARNING: %s", buf_cstr(&odd));
    else
        buf_add_str(&words, "HEALTHY");
    (void)json_object_set_new(data, "health", json_string(buf_cstr(&words)));
    (void)json_object_set_new(data, "healthy", json_integer(!bad.len && !odd.len));
}

/* --- one GPU ---------------------------------------------------------------------------------- */

/* The place of a GPU that was lost before anybody knew its uuid. */
static struct gpu_known *find_nameless(struct gpu_watch *watch, long index)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (!watch->gpus[i].name[0] && watch->gpus[i].lost && watch->gpus[i].index == index)
            return &watch->gpus[i];
    }
    return NULL;
}

static void learn(struct gpu_known *gpu, const json_t *data)
{
    const char *type = json_string_value(json_object_get(data, "type"));
    const char *name = json_string_value(json_object_get(data, "name"));
    (void)snprintf(gpu->name, sizeof gpu->name, "%s", name ? name : "");
    gpu->type = !type                    ? "nvidia"
                : !strcmp(type, "amd")   ? "amd"
                : !strcmp(type, "metal") ? "metal"
                                         : "nvidia";
    gpu->index = (long)json_integer_value(json_object_get(data, "gpu"));
}

void gpu_report(struct gpu_watch *watch, json_t *data)
{
    const char *uuid = json_string_value(json_object_get(data, "uuid"));
    struct gpu_known *gpu = find(watch, uuid ? uuid : "");
    if (!gpu) {
        gpu = find_nameless(watch, (long)json_integer_value(json_object_get(data, "gpu")));
        if (gpu)
            (void)snprintf(gpu->uuid, sizeof gpu->uuid, "%s", uuid ? uuid : "");
    }
    bool is_new = !gpu;
    if (is_new && watch->count == GPUS_MAX) {
        json_decref(data);
        return;
    }
    if (is_new) {
        gpu = &watch->gpus[watch->count++];
        *gpu = (struct gpu_known){0};
        (void)snprintf(gpu->uuid, sizeof gpu->uuid, "%s", uuid ? uuid : "");
    }
    learn(gpu, data);
    if (is_new && watch->looks > 1)
        tell(watch, gpu, "GpuFound", json_object());
    if (gpu->lost)
        tell(watch, gpu, "GpuReturned", json_object());
    gpu->seen = true;
    gpu->lost = false;
    gpu->fresh = is_new;
    judge_memory(watch, gpu, data);
    judge_clocks(watch, gpu, data);
    judge_errors(watch, gpu, data);
    gpu->fresh = false;
    judge_health(watch, gpu, data);
    (void)json_object_set_new(data, "available", json_integer(1));
    source_sample(watch->sink, "gpu", gpu->uuid, "GpuSampled", 0, data);
}

static void lose(struct gpu_watch *watch, struct gpu_known *gpu, const char *reason)
{
    if (!gpu->lost)
        tell(watch, gpu, "GpuLost", json_pack("{s:s}", "reason", reason));
    gpu->lost = true;
    CLEANUP_FREE char *health = xasprintf("CRITICAL: lost: %s", reason);
    json_t *data = json_pack("{s:i, s:i, s:s}", "available", 0, "healthy", 0, "health", health);
    identify(gpu, data);
    source_sample(watch->sink, "gpu", gpu->uuid, "GpuSampled", 0, data);
}

void gpu_report_lost(struct gpu_watch *watch, const char *uuid, long index, const char *reason)
{
    struct gpu_known *gpu = uuid ? find(watch, uuid) : NULL;
    for (size_t i = 0; !gpu && i < watch->count; i++) {
        if (watch->gpus[i].index == index && !strcmp(watch->gpus[i].type, "nvidia"))
            gpu = &watch->gpus[i];
    }
    if (!gpu) {
        if (watch->count == GPUS_MAX)
            return;
        gpu = &watch->gpus[watch->count++];
        *gpu = (struct gpu_known){.type = "nvidia", .index = index};
        if (uuid)
            (void)snprintf(gpu->uuid, sizeof gpu->uuid, "%s", uuid);
        else
            (void)snprintf(gpu->uuid, sizeof gpu->uuid, "%s-gpu%ld", watch->options->node, index);
    }
    gpu->seen = true;
    lose(watch, gpu, reason);
}

void gpu_xid(struct gpu_watch *watch, const char *uuid, uint64_t xid)
{
    struct gpu_known *gpu = find(watch, uuid);
    struct gpu_known unknown = {.type = "nvidia"};
    if (gpu) {
        gpu->last_xid = xid;
        gpu->last_xid_ns = watch->now_ns;
    } else {
        (void)snprintf(unknown.uuid, sizeof unknown.uuid, "%s", uuid);
    }
    tell(watch, gpu ? gpu : &unknown, "GpuXid",
         json_pack("{s:I, s:s}", "xid", (json_int_t)xid, "meaning", xid_meaning(xid)));
}

void gpu_end(struct gpu_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (!watch->gpus[i].seen)
            lose(watch, &watch->gpus[i], "the driver does not list it any more");
    }
}
