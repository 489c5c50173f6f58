/* Filesystems of this machine's own disks. Those of a network are left out: to ask a server that is
 * gone would hang the look. */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/memory.h"
#include "source/host/host.h"

static const char *const types[] = {"ext2", "ext3",     "ext4",    "xfs",      "btrfs",   "zfs",
                                    "f2fs", "vfat",     "jfs",     "exfat",    "ntfs",    "ntfs3",
                                    "9p",   "bcachefs", "overlay", "virtiofs", "reiserfs"};

struct mount {
    char device[HOST_TEXT_MAX], point[HOST_TEXT_MAX], type[HOST_TEXT_MAX];
    bool read_only;
};

/* Blanks in names are written \040. */
static void copy_name(struct slice word, char out[static HOST_TEXT_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < word.len && len < HOST_TEXT_MAX - 1; i++) {
        if (word.ptr[i] == '\\' && i + 3 < word.len) {
            int code = (word.ptr[i + 1] - '0') * 64 + (word.ptr[i + 2] - '0') * 8 +
                       (word.ptr[i + 3] - '0');
            out[len++] = (char)(code > 0 && code < 128 ? code : '?');
            i += 3;
        } else {
            out[len++] = word.ptr[i];
        }
    }
    out[len] = 0;
}

static bool is_wanted(const struct mount *mount)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        known = known || !strcmp(mount->type, types[i]);
    /* Layers of containers are mounted by the hundred; the root of our own is one. */
    return known && (strcmp(mount->type, "overlay") != 0 || !strcmp(mount->point, "/"));
}

static bool parse_mount(struct slice line, struct mount *ret)
{
    struct slice device, point, type, flags, flag;
    if (!host_word(&line, &device) || !host_word(&line, &point) || !host_word(&line, &type) ||
        !host_word(&line, &flags))
        return false;
    copy_name(device, ret->device);
    copy_name(point, ret->point);
    copy_name(type, ret->type);
    ret->read_only = false;
    while (slice_cut(&flags, ',', &flag))
        ret->read_only = ret->read_only || slice_eq(flag, SLICE("ro"));
    return is_wanted(ret);
}

static void tell(struct host *host, const struct mount *mount, const char *type, json_t *data)
{
    host_set_text(data, "mountpoint", slice_of(mount->point));
    host_set_text(data, "device", slice_of(mount->device));
    host_tell(host, "filesystem", mount->point, type, data);
}

static void judge(struct host *host, const struct mount *mount, double ratio)
{
    bool is_new;
    struct host_thing *thing = host_thing(host, &host->filesystems, mount->point, &is_new);
    if (!thing)
        return;
    int level = source_level(ratio, thing->level, 80, 95);
    if (level != thing->level)
        tell(host, mount, level ? "FilesystemFilling" : "FilesystemRelieved",
             json_pack("{s:i, s:f, s:b}", "level", level, "used_ratio", ratio, "rising",
                       level > thing->level));
    /* What is mounted read-only from the start is meant to be. */
    if (!is_new && mount->read_only != thing->bad)
        tell(host, mount, mount->read_only ? "FilesystemReadOnly" : "FilesystemWritable",
             json_object());
    thing->level = level;
    thing->bad = mount->read_only;
}

static void look(struct host *host, const struct mount *mount)
{
    CLEANUP_FREE char *path = xasprintf("%s%s", host->options->root, mount->point);
    struct statvfs state;
    json_t *data = json_pack("{s:s, s:s, s:s, s:i}", "mountpoint", mount->point, "device",
                             mount->device, "fstype", mount->type, "readonly", mount->read_only);
    if (statvfs(path, &state) < 0) {
        (void)json_object_set_new(data, "absent", json_pack("{s:s}", "size", strerror(errno)));
    } else {
        uint64_t unit = state.f_frsize, size = state.f_blocks * unit;
        uint64_t available = state.f_bavail * unit, used = (state.f_blocks - state.f_bfree) * unit;
        host_set(data, "size_bytes", size);
        host_set(data, "free_bytes", state.f_bfree * unit);
        host_set(data, "available_bytes", available);
        host_set(data, "used_bytes", used);
        if (state.f_files) {
            host_set(data, "inodes", state.f_files);
            host_set(data, "inodes_free", state.f_ffree);
        }
        /* As df counts: what root alone may use is neither. */
        double ratio = used + available ? (double)used / (double)(used + available) : 0;
        (void)json_object_set_new(data, "used_ratio", json_real(ratio));
        judge(host, mount, size ? ratio : 0);
    }
    host_sample(host, "filesystem", mount->point, "FilesystemSampled", data);
}

static void gone(struct host *host, const struct host_thing *thing)
{
    host_tell(host, "filesystem", thing->key, "FilesystemGone",
              json_pack("{s:s}", "mountpoint", thing->key));
}

void host_look_filesystems(struct host *host)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_BUF struct buf devices = {0};
    struct slice rest, line;
    struct mount mount;
    size_t count = 0;
    const char *path = host->options->root[0] ? "/proc/1/mounts" : "/proc/self/mounts";
    if (!host_file_or_absent(host, path, "filesystems", &text))
        return;
    rest = buf_slice(&text);
    while (count < HOST_THINGS_MAX && slice_cut(&rest, '\n', &line)) {
        if (!parse_mount(line, &mount))
            continue;
        /* Bind mounts show the same device again. */
        CLEANUP_FREE char *mark = xasprintf("\n%s\n", mount.device);
        bool is_device = mount.device[0] == '/';
        if (is_device && memmem(devices.ptr ? devices.ptr : "", devices.len, mark, strlen(mark)))
            continue;
        buf_add_str(&devices, mark);
        look(host, &mount);
        count++;
    }
    host_things_gone(host, &host->filesystems, gone);
}
