/*
 * Apple Silicon: what `ioreg` tells of the accelerator, and, where it may be run (root),
 * `powermetrics` of its power and clock. Both print property lists.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "source/command.h"
#include "source/gpu/gpu.h"
#include "source/gpu/plist.h"

static json_t *output_of(const char *const *words)
{
    CLEANUP_BUF struct buf text = {0};
    return source_command(words, &text) ? plist_parse(buf_slice(&text)) : NULL;
}

bool apple_is_here(void)
{
    CLEANUP_FREE char *program = program_find("ioreg");
    return program != NULL;
}

static void copy_number(json_t *data, json_t *absent, const char *field, const json_t *from,
                        const char *key, double scale)
{
    const json_t *value = json_object_get(from, key);
    if (!json_is_number(value)) {
        CLEANUP_FREE char *reason = xasprintf("ioreg does not tell '%s'", key);
        (void)json_object_set_new(absent, field, json_string(reason));
        return;
    }
    double number = json_number_value(value) * scale;
    (void)json_object_set_new(data, field,
                              json_is_integer(value) && number >= 0 && scale >= 1
                                  ? json_integer((json_int_t)number)
                                  : json_real(number));
}

/* powermetrics: energy in millijoules over elapsed_ns, clock in MHz. */
static void add_power(json_t *data, json_t *absent)
{
    static const char *const words[] = {"powermetrics", "--samplers", "gpu_power", "-n",    "1",
                                        "-i",           "200",        "-f",        "plist", NULL};
    json_t *all = output_of(words);
    const json_t *gpu = json_object_get(all, "gpu");
    const json_t *energy = json_object_get(gpu, "gpu_energy");
    const json_t *clock = json_object_get(gpu, "freq_hz");
    double elapsed = json_number_value(json_object_get(all, "elapsed_ns"));
    if (json_is_number(energy) && elapsed > 0)
        (void)json_object_set_new(data, "power_watts",
                                  json_real(json_number_value(energy) / 1e3 / (elapsed / 1e9)));
    else
        (void)json_object_set_new(absent, "power_watts",
                                  json_string("powermetrics did not tell it (it needs root)"));
    if (json_is_number(clock))
        (void)json_object_set_new(data, "clock_sm_megahertz", json_real(json_number_value(clock)));
    json_decref(all);
}

static void look_at(struct gpu_watch *watch, const json_t *entry, size_t index)
{
    const json_t *stats = json_object_get(entry, "PerformanceStatistics");
    const char *model = json_string_value(json_object_get(entry, "model"));
    json_int_t id = json_integer_value(json_object_get(entry, "IORegistryEntryID"));
    CLEANUP_FREE char *uuid =
        id ? xasprintf("metal-%lld", (long long)id) : xasprintf("metal-%zu", index);
    json_t *absent = json_object();
    json_t *data = json_pack("{s:s, s:s, s:s, s:I}", "type", "metal", "uuid", uuid, "name",
                             model ? model : "Apple GPU", "gpu", (json_int_t)index);
    copy_number(data, absent, "utilization_percent", stats, "Device Utilization %", 1);
    copy_number(data, absent, "renderer_percent", stats, "Renderer Utilization %", 1);
    copy_number(data, absent, "memory_used_bytes", stats, "In use system memory", 1);
    copy_number(data, absent, "cores", entry, "gpu-core-count", 1);
    (void)json_object_set_new(absent, "memory_total_bytes",
                              json_string("it is the machine's own memory"));
    (void)json_object_set_new(absent, "temperature_celsius", json_string("macOS does not tell it"));
    add_power(data, absent);
    (void)json_object_set_new(data, "absent", absent);
    gpu_report(watch, data);
}

bool apple_look(struct gpu_watch *watch)
{
    static const char *const words[] = {"ioreg",         "-a", "-r", "-d", "1", "-c",
                                        "IOAccelerator", NULL};
    json_t *entries = output_of(words), *entry;
    size_t i;
    bool sound = json_is_array(entries);
    json_array_foreach(entries, i, entry)
    {
        if (i < GPUS_MAX)
            look_at(watch, entry, i);
    }
    json_decref(entries);
    return sound;
}
