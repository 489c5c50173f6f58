/*
 * What the host source is made of. Private to src/source/host/.
 *
 *   files.c        reading /proc and /sys below the root; numbers; what has changed since
 *   system.c       CPU, memory, load, pressure, the kernel's counters, our control group
 *   filesystems.c  space, inodes, read-only
 *   devices.c      disks, network interfaces, temperatures
 *   units.c        failed systemd units
 *   source.c       the source, one look, and the table of events
 *
 * Sources of the formats: Linux, Documentation/filesystems/proc.rst, admin-guide/iostats.rst,
 * accounting/psi.rst, admin-guide/cgroup-v2.rst, hwmon/sysfs-interface.rst.
 *
 * What cannot be read is left out, and "absent" of the sample says why. Files may vanish between
 * two reads. The kernel's running totals are told as what came since the last look, so that sums of
 * them need no care for restarts; the first look has none.
 */
#pragma once

#include "base/buf.h"
#include "source/reading.h"
#include "source/source.h"

#define HOST_THINGS_MAX 256 /* of each: filesystems, disks, interfaces, temperatures */
#define HOST_TEXT_MAX   128
#define HOST_TOTALS_MAX 16
#define HOST_CPUS_MAX   8 /* told one by one up to so many; always all together */

struct host_totals {
    char *key;
    uint64_t values[HOST_TOTALS_MAX];
};

/* What is remembered of one filesystem, interface, sensor or unit, to tell changes. */
struct host_thing {
    char *key;
    int level;     /* filesystems: 0, 80, 95 */
    bool bad;      /* read-only, down, too hot, failed */
    unsigned seen; /* look */
};

struct host_things {
    struct host_thing items[HOST_THINGS_MAX];
    size_t count;
};

struct host {
    const struct source_options *options;
    struct source_sink *sink; /* of the look */
    unsigned looks;
    int64_t now_ns, before_ns; /* monotonic, of this look and the one before */
    json_t *absent;            /* of the look */
    struct host_totals *totals;
    size_t totals_count, totals_room;
    struct host_things filesystems, interfaces, temperatures, units;
    char boot_id[HOST_TEXT_MAX];
    bool under_pressure;
};

/* files.c */

/* The whole file as text without the newline at its end; false it cannot be read. */
bool host_file(const struct host *host, const char *path, struct buf *ret);
/* The same, and why not goes into "absent" under `field`. */
bool host_file_or_absent(struct host *host, const char *path, const char *field, struct buf *ret);
void host_absent(struct host *host, const char *field, const char *reason);
bool host_number_file(const struct host *host, const char *path, int64_t *ret);
/* The next word, separated by blanks; false: there is none. */
bool host_word(struct slice *rest, struct slice *word);
/* False: it is no number, or too large. */
bool host_real(struct slice word, double *ret);
/*
 * What came since the last call with this key; false at the first, and where a total went back (the
 * thing was replaced): then nothing is known of the time between.
 */
bool host_since(struct host *host, const char *key, const uint64_t *now, size_t count,
                uint64_t *since);
/* The remembered thing of that name, made when it is new; NULL: too many. *ret_new may be NULL. */
struct host_thing *host_thing(struct host *host, struct host_things *things, const char *key,
                              bool *ret_new);
/* Calls back for each that was not seen in this look, and forgets it. */
void host_things_gone(struct host *host, struct host_things *things,
                      void (*gone)(struct host *host, const struct host_thing *thing));
void host_things_done(struct host_things *things);
void host_set(json_t *data, const char *name, uint64_t value);
void host_set_text(json_t *data, const char *name, struct slice text);
/* Aggregate and id of a thing of this machine: "<node>-<name>". */
void host_tell(struct host *host, const char *aggregate, const char *name, const char *type,
               json_t *data);
void host_sample(struct host *host, const char *aggregate, const char *name, const char *type,
                 json_t *data);

/* Each adds to the sample of the machine, or tells samples of its own. */
void host_look_system(struct host *host, json_t *data);
void host_look_cgroup(struct host *host, json_t *data);
void host_look_filesystems(struct host *host);
void host_look_disks(struct host *host);
void host_look_interfaces(struct host *host);
void host_look_temperatures(struct host *host);
void host_look_units(struct host *host, json_t *data);
