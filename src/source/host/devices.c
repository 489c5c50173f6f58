/* Disks, network interfaces, temperatures. */
#include <dirent.h>
#include <stdio.h>

#include "base/memory.h"
#include "source/host/host.h"

#define SECTOR_BYTES 512 /* of /proc/diskstats, whatever the disk has */

/* --- disks ------------------------------------------------------------------------------------ */

enum {
    DISK_READS,
    DISK_READ_SECTORS,
    DISK_READ_MS,
    DISK_WRITES,
    DISK_WRITE_SECTORS,
    DISK_WRITE_MS,
    DISK_BUSY_MS,
    DISK_WEIGHTED_MS,
    DISK_FIELDS
};

/* Whole disks have a folder of their own; partitions have not. */
static bool is_disk(const struct host *host, const char *name)
{
    static const char *const without[] = {"loop", "ram", "zram", "fd", "sr"};
    CLEANUP_FREE char *path = xasprintf("%s/sys/block/%s", host->options->root, name);
    for (size_t i = 0; i < ARRAY_LEN(without); i++) {
        if (!strncmp(name, without[i], strlen(without[i])))
            return false;
    }
    return access(path, F_OK) == 0;
}

static void set_seconds(json_t *data, const char *name, uint64_t ms)
{
    (void)json_object_set_new(data, name, json_real((double)ms / 1e3));
}

static void sample_disk(struct host *host, const char *name, const uint64_t *total,
                        uint64_t in_flight)
{
    uint64_t since[DISK_FIELDS];
    CLEANUP_FREE char *key = xasprintf("disk %s", name);
    json_t *data = json_pack("{s:s}", "device", name);
    host_set(data, "in_flight", in_flight);
    host_set(data, "read_bytes_total", total[DISK_READ_SECTORS] * SECTOR_BYTES);
    host_set(data, "written_bytes_total", total[DISK_WRITE_SECTORS] * SECTOR_BYTES);
    if (host_since(host, key, total, DISK_FIELDS, since)) {
        host_set(data, "reads", since[DISK_READS]);
        host_set(data, "writes", since[DISK_WRITES]);
        host_set(data, "read_bytes", since[DISK_READ_SECTORS] * SECTOR_BYTES);
        host_set(data, "written_bytes", since[DISK_WRITE_SECTORS] * SECTOR_BYTES);
        set_seconds(data, "read_seconds", since[DISK_READ_MS]);
        set_seconds(data, "write_seconds", since[DISK_WRITE_MS]);
        set_seconds(data, "busy_seconds", since[DISK_BUSY_MS]);
        set_seconds(data, "weighted_seconds", since[DISK_WEIGHTED_MS]);
        double looked = (double)(host->now_ns - host->before_ns) / 1e9;
        double busy = looked > 0 ? (double)since[DISK_BUSY_MS] / 1e3 / looked : 0;
        (void)json_object_set_new(data, "busy_ratio", json_real(busy > 1 ? 1 : busy));
        if (since[DISK_READS])
            (void)json_object_set_new(
                data, "read_latency_seconds",
                json_real((double)since[DISK_READ_MS] / 1e3 / (double)since[DISK_READS]));
        if (since[DISK_WRITES])
            (void)json_object_set_new(
                data, "write_latency_seconds",
                json_real((double)since[DISK_WRITE_MS] / 1e3 / (double)since[DISK_WRITES]));
    }
    host_sample(host, "disk", name, "DiskSampled", data);
}

void host_look_disks(struct host *host)
{
    /* Columns behind the name, as in iostats.rst; the ninth is the only one that is no total. */
    static const int columns[] = {DISK_READS,  -1,           DISK_READ_SECTORS,  DISK_READ_MS,
                                  DISK_WRITES, -1,           DISK_WRITE_SECTORS, DISK_WRITE_MS,
                                  -2,          DISK_BUSY_MS, DISK_WEIGHTED_MS};
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word;
    size_t count = 0;
    if (!host_file_or_absent(host, "/proc/diskstats", "disks", &text))
        return;
    rest = buf_slice(&text);
    while (count < HOST_THINGS_MAX && slice_cut(&rest, '\n', &line)) {
        uint64_t total[DISK_FIELDS] = {0}, in_flight = 0, value;
        char name[HOST_TEXT_MAX];
        size_t column = 0;
        size_t words = 0; /* major and minor number, name */
        while (words < 3 && host_word(&line, &word))
            words++;
        if (words < 3 || word.len >= sizeof name)
            continue;
        (void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(word));
        for (; column < ARRAY_LEN(columns) && host_word(&line, &word) && slice_u64(word, &value);
             column++) {
            if (columns[column] >= 0)
                total[columns[column]] = value;
            else if (columns[column] == -2)
                in_flight = value;
        }
        if (column < ARRAY_LEN(columns) || !is_disk(host, name))
            continue;
        sample_disk(host, name, total, in_flight);
        count++;
    }
}

/* --- network interfaces ----------------------------------------------------------------------- */

enum { NET_COLUMNS = 16 };
static const char *const net_columns[NET_COLUMNS] = {"received_bytes",
                                                     "received_packets",
                                                     "receive_errors",
                                                     "receive_drops",
                                                     NULL,
                                                     NULL,
                                                     NULL,
                                                     "received_multicast",
                                                     "sent_bytes",
                                                     "sent_packets",
                                                     "send_errors",
                                                     "send_drops",
                                                     NULL,
                                                     NULL,
                                                     NULL,
                                                     NULL};

/* "unknown" is what interfaces say that have no carrier to speak of, such as lo. */
static bool is_up(struct slice state)
{
    return slice_eq(state, SLICE("up")) || slice_eq(state, SLICE("unknown"));
}

static void judge_interface(struct host *host, const char *name, bool up)
{
    bool is_new;
    struct host_thing *thing = host_thing(host, &host->interfaces, name, &is_new);
    if (!thing)
        return;
    /* A port without a cable at the start is no news. */
    if (!is_new && thing->bad == up)
        host_tell(host, "interface", name, up ? "InterfaceUp" : "InterfaceDown",
                  json_pack("{s:s}", "interface", name));
    thing->bad = !up;
}

static void look_interface(struct host *host, const char *name, const uint64_t *total)
{
    CLEANUP_FREE char *key = xasprintf("interface %s", name);
    CLEANUP_FREE char *state = xasprintf("/sys/class/net/%s/operstate", name);
    CLEANUP_FREE char *speed = xasprintf("/sys/class/net/%s/speed", name);
    CLEANUP_BUF struct buf text = {0};
    uint64_t since[NET_COLUMNS];
    int64_t megabits;
    json_t *data = json_pack("{s:s}", "interface", name);
    if (host_since(host, key, total, NET_COLUMNS, since)) {
        for (size_t i = 0; i < NET_COLUMNS; i++) {
            if (net_columns[i])
                host_set(data, net_columns[i], since[i]);
        }
    }
    host_set(data, "received_bytes_total", total[0]);
    host_set(data, "sent_bytes_total", total[8]);
    if (host_file(host, state, &text)) {
        host_set(data, "up", is_up(buf_slice(&text)));
        judge_interface(host, name, is_up(buf_slice(&text)));
    }
    if (host_number_file(host, speed, &megabits) && megabits > 0)
        host_set(data, "speed_bytes_per_second", (uint64_t)megabits * 125000);
    host_sample(host, "interface", name, "InterfaceSampled", data);
}

static void interface_gone(struct host *host, const struct host_thing *thing)
{
    if (!thing->bad)
        host_tell(host, "interface", thing->key, "InterfaceDown",
                  json_pack("{s:s, s:b}", "interface", thing->key, "gone", 1));
}

void host_look_interfaces(struct host *host)
{
    CLEANUP_BUF struct buf text = {0};
    struct slice rest, line, word, head;
    size_t count = 0;
    const char *path = host->options->root[0] ? "/proc/1/net/dev" : "/proc/net/dev";
    if (!host_file_or_absent(host, path, "interfaces", &text))
        return;
    rest = buf_slice(&text);
    while (count < HOST_THINGS_MAX && slice_cut(&rest, '\n', &line)) {
        uint64_t total[NET_COLUMNS];
        char name[HOST_TEXT_MAX];
        size_t column = 0;
        if (!memchr(line.ptr, ':', line.len) || !slice_cut(&line, ':', &head))
            continue; /* the two lines of headings */
        head = slice_trim(head);
        while (column < NET_COLUMNS && host_word(&line, &word) && slice_u64(word, &total[column]))
            column++;
        if (column < NET_COLUMNS || !head.len || head.len >= sizeof name)
            continue;
        (void)snprintf(name, sizeof name, "%.*s", SLICE_ARG(head));
        look_interface(host, name, total);
        count++;
    }
    host_things_gone(host, &host->interfaces, interface_gone);
}

/* --- temperatures ----------------------------------------------------------------------------- */

static void judge_temperature(struct host *host, const char *name, double degrees, double critical)
{
    struct host_thing *thing = host_thing(host, &host->temperatures, name, NULL);
    /* Two degrees below before it is well again. */
    bool hot = thing && degrees >= critical - (thing->bad ? 2 : 0);
    if (!thing || hot == thing->bad)
        return;
    thing->bad = hot;
    host_tell(host, "temperature", name, hot ? "TemperatureCritical" : "TemperatureNormal",
              json_pack("{s:s, s:f, s:f}", "sensor", name, "celsius", degrees, "critical_celsius",
                        critical));
}

static void sample_temperature(struct host *host, const char *chip, const char *sensor,
                               int64_t millidegrees, int64_t critical)
{
    double degrees = (double)millidegrees / 1e3;
    CLEANUP_FREE char *name = xasprintf("%s-%s", chip, sensor);
    json_t *data = json_pack("{s:s, s:s, s:s, s:f}", "sensor", name, "chip", chip, "label", sensor,
                             "celsius", degrees);
    if (critical > 0) {
        (void)json_object_set_new(data, "critical_celsius", json_real((double)critical / 1e3));
        judge_temperature(host, name, degrees, (double)critical / 1e3);
    }
    host_sample(host, "temperature", name, "TemperatureSampled", data);
}

static void look_chip(struct host *host, const char *folder)
{
    CLEANUP_FREE char *name_path = xasprintf("/sys/class/hwmon/%s/name", folder);
    CLEANUP_BUF struct buf chip = {0};
    if (!host_file(host, name_path, &chip) || !chip.len)
        return;
    for (int i = 1; i <= 32; i++) {
        CLEANUP_FREE char *input = xasprintf("/sys/class/hwmon/%s/temp%d_input", folder, i);
        CLEANUP_FREE char *label = xasprintf("/sys/class/hwmon/%s/temp%d_label", folder, i);
        CLEANUP_FREE char *limit = xasprintf("/sys/class/hwmon/%s/temp%d_crit", folder, i);
        CLEANUP_FREE char *plain = xasprintf("temp%d", i);
        CLEANUP_BUF struct buf text = {0};
        int64_t value, critical = 0;
        if (!host_number_file(host, input, &value))
            continue;
        (void)host_number_file(host, limit, &critical);
        bool labelled = host_file(host, label, &text) && text.len;
        sample_temperature(host, buf_cstr(&chip), labelled ? buf_cstr(&text) : plain, value,
                           critical);
    }
}

static void look_zone(struct host *host, const char *folder)
{
    CLEANUP_FREE char *type = xasprintf("/sys/class/thermal/%s/type", folder);
    CLEANUP_FREE char *temperature = xasprintf("/sys/class/thermal/%s/temp", folder);
    CLEANUP_BUF struct buf text = {0};
    int64_t value;
    if (host_file(host, type, &text) && text.len && host_number_file(host, temperature, &value))
        sample_temperature(host, folder, buf_cstr(&text), value, 0);
}

static void each_folder(struct host *host, const char *path, const char *begins,
                        void (*look)(struct host *host, const char *folder))
{
    CLEANUP_FREE char *whole = xasprintf("%s%s", host->options->root, path);
    DIR *dir = opendir(whole);
    const struct dirent *entry;
    size_t count = 0;
    while (dir && count < HOST_THINGS_MAX && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, begins, strlen(begins)) != 0)
            continue;
        look(host, entry->d_name);
        count++;
    }
    if (dir)
        (void)closedir(dir);
}

static void sensor_gone(struct host *host, const struct host_thing *thing)
{
    (void)host;
    (void)thing;
}

void host_look_temperatures(struct host *host)
{
    each_folder(host, "/sys/class/hwmon", "hwmon", look_chip);
    each_folder(host, "/sys/class/thermal", "thermal_zone", look_zone);
    host_things_gone(host, &host->temperatures, sensor_gone);
}
