/* AMD: files of the amdgpu driver (Linux, Documentation/gpu/amdgpu/driver-misc.rst, thermal.rst).
 */
#include <dirent.h>
#include <stdio.h>

#include "base/memory.h"
#include "source/gpu/gpu.h"
#include "source/reading.h"

#define VENDOR_AMD "0x1002"

/* A card's folder; texts are read below it. */
struct card {
    char *folder, *hwmon; /* hwmon NULL: none */
    json_t *data, *absent;
};

static bool read_text(const char *folder, const char *name, char out[static GPU_TEXT_MAX])
{
    CLEANUP_FREE char *path = xasprintf("/%s", name);
    CLEANUP_BUF struct buf text = {0};
    out[0] = 0;
    if (source_file(folder, path, &text) == 0)
        (void)snprintf(out, GPU_TEXT_MAX, "%s", buf_cstr(&text));
    return out[0] != 0;
}

static bool read_number(const char *folder, const char *name, double *ret)
{
    CLEANUP_FREE char *path = xasprintf("/%s", name);
    int64_t number;
    if (!source_number_file(folder, path, &number))
        return false;
    *ret = (double)number;
    return true;
}

/* field <- first of two files that is there, divided by `scale`. */
static const struct number {
    const char *field, *file, *other;
    bool in_hwmon;
    double scale;
} numbers[] = {
    {"utilization_percent", "gpu_busy_percent", NULL, false, 1},
    {"memory_utilization_percent", "mem_busy_percent", NULL, false, 1},
    {"memory_total_bytes", "mem_info_vram_total", NULL, false, 1},
    {"memory_used_bytes", "mem_info_vram_used", NULL, false, 1},
    {"temperature_celsius", "temp1_input", NULL, true, 1e3},
    {"temperature_slowdown_celsius", "temp1_crit", NULL, true, 1e3},
    {"power_watts", "power1_average", "power1_input", true, 1e6},
    {"power_limit_watts", "power1_cap", NULL, true, 1e6},
    {"clock_sm_megahertz", "freq1_input", NULL, true, 1e6},
    {"clock_memory_megahertz", "freq2_input", NULL, true, 1e6},
    {"pcie_width", "current_link_width", NULL, false, 1},
};

static void read_card_number(struct card *card, const struct number *number)
{
    const char *folder = number->in_hwmon ? card->hwmon : card->folder;
    double value;
    bool got = folder && (read_number(folder, number->file, &value) ||
                          (number->other && read_number(folder, number->other, &value)));
    if (!got) {
        CLEANUP_FREE char *reason = xasprintf("%s: the driver does not show it", number->file);
        (void)json_object_set_new(card->absent, number->field, json_string(reason));
        return;
    }
    value /= number->scale;
    bool whole = number->scale <= 1 && value >= 0;
    (void)json_object_set_new(card->data, number->field,
                              whole ? json_integer((json_int_t)value) : json_real(value));
}

static void read_fan(struct card *card)
{
    double now, most;
    if (card->hwmon && read_number(card->hwmon, "pwm1", &now) &&
        read_number(card->hwmon, "pwm1_max", &most) && most > 0)
        (void)json_object_set_new(card->data, "fan_percent",
                                  json_integer((json_int_t)(100 * now / most)));
    else
        (void)json_object_set_new(card->absent, "fan_percent",
                                  json_string("pwm1: the driver does not show it"));
}

/* The only folder below `path` whose name begins so; heap, or NULL. */
static char *folder_below(const char *path, const char *begins)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    char *found = NULL;
    while (dir && !found && (entry = readdir(dir))) {
        if (!strncmp(entry->d_name, begins, strlen(begins)))
            found = xasprintf("%s/%s", path, entry->d_name);
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

static void look_at(struct gpu_watch *watch, const char *root, long index)
{
    CLEANUP_FREE char *folder = xasprintf("%s/sys/class/drm/card%ld/device", root, index);
    CLEANUP_FREE char *sensors = xasprintf("%s/hwmon", folder);
    CLEANUP_FREE char *hwmon = folder_below(sensors, "hwmon");
    char text[GPU_TEXT_MAX], id[GPU_TEXT_MAX], name[GPU_TEXT_MAX];
    struct card card = {folder, hwmon, NULL, NULL};
    if (!read_text(folder, "vendor", text) || strcmp(text, VENDOR_AMD) != 0)
        return;
    if (!read_text(folder, "unique_id", id))
        (void)snprintf(id, sizeof id, "card%ld", index);
    if (!read_text(folder, "product_name", name))
        (void)snprintf(name, sizeof name, "AMD GPU");
    CLEANUP_FREE char *uuid = xasprintf("amd-%s", id);
    card.data = json_pack("{s:s, s:s, s:s, s:I}", "type", "amd", "uuid", uuid, "name", name, "gpu",
                          (json_int_t)index);
    card.absent = json_object();
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        read_card_number(&card, &numbers[i]);
    read_fan(&card);
    (void)json_object_set_new(card.data, "absent", card.absent);
    gpu_report(watch, card.data);
}

bool amd_is_here(const char *root)
{
    for (long i = 0; i < GPUS_MAX; i++) {
        CLEANUP_FREE char *folder = xasprintf("%s/sys/class/drm/card%ld/device", root, i);
        char text[GPU_TEXT_MAX];
        if (read_text(folder, "vendor", text) && !strcmp(text, VENDOR_AMD))
            return true;
    }
    return false;
}

void amd_look(struct gpu_watch *watch)
{
    for (long i = 0; i < GPUS_MAX; i++)
        look_at(watch, watch->options->root, i);
}
