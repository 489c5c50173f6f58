/* Snapshots on disk: one file per stream, written atomically when something changed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

#define SNAPSHOT_BYTES_MAX ((size_t)4 << 30)
enum {
    NAME_BYTES_MAX = 200, /* of a stream, in its file's name; else a hash stands there */
    GONE_KEPT_MAX = 256,  /* snapshots of streams that are no more */
    HEAD_BYTES = 4096,    /* a stream's name is in these of its snapshot */
};
static const int64_t gone_kept_ns = 30 * 86400 * NS_PER_SECOND;
static const int64_t touch_every_ns = 86400 * NS_PER_SECOND;
static const int64_t announce_every_ns = 60 * NS_PER_SECOND;

static char *path_of(const struct monitor *monitor, const char *stream)
{
    const char *folder = monitor->options->state_dir;
    size_t len = strlen(stream);
    if (len > NAME_BYTES_MAX)
        return xasprintf("%s/long-%016llx.state", folder,
                         (unsigned long long)XXH3_64bits(stream, len));
    return len ? xasprintf("%s/stream-%s.state", folder, stream)
               : xasprintf("%s/core.state", folder);
}

int snapshots_open(struct monitor *monitor, struct error *err)
{
    const char *folder = monitor->options->state_dir;
    if (folder_create(folder, 0700, err) < 0)
        return -1;
    CLEANUP_FREE char *path = xasprintf("%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot create: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        (void)close(fd);
        return error_set(err, EXIT_CODE_REFUSED,
                         "%s: another monitor keeps its state here; choose another --state",
                         folder);
    }
    monitor->state_lock_fd = fd;
    return 0;
}

void snapshots_load(struct monitor *monitor, struct stream_state *state)
{
    CLEANUP_FREE char *path = path_of(monitor, state_name(state));
    CLEANUP_BUF struct buf bytes = {0};
    struct error err = ERROR_NONE;
    if (access(path, F_OK) != 0 || file_read(path, SNAPSHOT_BYTES_MAX, &bytes, &err) < 0)
        return;
    if (state_decode(monitor->engine, state, buf_slice(&bytes), &err) < 0)
        journal_add(monitor->journal, "snapshot", state_name(state)[0] ? state_name(state) : "core",
                    "SnapshotRejected", json_pack("{s:s, s:s}", "file", path, "reason", err.text));
}

void snapshots_carry_over(struct monitor *monitor, const struct engine *old_engine,
                          const struct stream_state *from, struct stream_state *to)
{
    CLEANUP_BUF struct buf bytes = {0};
    struct error err = ERROR_NONE;
    state_encode(old_engine, from, &bytes);
    if (state_decode(monitor->engine, to, buf_slice(&bytes), &err) < 0)
        journal_add(monitor->journal, "snapshot", state_name(to)[0] ? state_name(to) : "core",
                    "SnapshotRejected", json_pack("{s:s, s:s}", "file", "", "reason", err.text));
}

/* --- what streams there were ------------------------------------------------------------------ */

struct found {
    char *stream;
    int64_t written_ns;
};

struct found_list {
    struct found *items;
    size_t count, room;
};

/* The stream whose snapshot this is, by its name, or for long ones by its first bytes; or NULL. */
static char *stream_of(const char *folder, struct slice name)
{
    static const struct slice head = SLICE("stream-"), tail = SLICE(".state");
    if (name.len <= tail.len || !slice_eq(slice_from(name, name.len - tail.len), tail))
        return NULL;
    if (slice_starts(name, head) && name.len > head.len + tail.len)
        return xstrndup(name.ptr + head.len, name.len - head.len - tail.len);
    if (!slice_starts(name, SLICE("long-")))
        return NULL;
    char bytes[HEAD_BYTES];
    CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name.ptr);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, bytes, sizeof bytes) : 0;
    struct slice stream = state_peek_name((struct slice){bytes, got > 0 ? (size_t)got : 0});
    return stream.len ? xstrndup(stream.ptr, stream.len) : NULL;
}

static int64_t written_ns(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mtim.tv_sec * NS_PER_SECOND + st.st_mtim.tv_nsec : 0;
}

static int newest_first(const void *a, const void *b)
{
    int64_t left = ((const struct found *)a)->written_ns;
    int64_t right = ((const struct found *)b)->written_ns;
    return (left < right) - (left > right);
}

/* The newest first: when there are too many streams, or too many that are gone, the oldest lose. */
void snapshots_remember(struct monitor *monitor)
{
    struct found_list list = {0};
    DIR *folder = opendir(monitor->options->state_dir);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char *stream = stream_of(monitor->options->state_dir, slice_of(entry->d_name));
        if (!stream)
            continue;
        CLEANUP_FREE char *path = xasprintf("%s/%s", monitor->options->state_dir, entry->d_name);
        GROW(list.items, list.count, list.room);
        list.items[list.count++] = (struct found){stream, written_ns(path)};
    }
    if (folder)
        (void)closedir(folder);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, newest_first);
    for (size_t i = 0; i < list.count; i++) {
        streams_remember(monitor, list.items[i].stream);
        free(list.items[i].stream);
    }
    free(list.items);
}

void snapshots_gone(struct monitor *monitor, struct tracked *tracked)
{
    CLEANUP_FREE char *path = path_of(monitor, tracked->name);
    int64_t age_ns = instant_now_ns() - written_ns(path);
    if (access(path, F_OK) != 0 ||
        (++monitor->gone_count <= GONE_KEPT_MAX && age_ns <= gone_kept_ns))
        return;
    (void)unlink(path);
    registry_lock(monitor->registry);
    state_clear(monitor->engine, tracked->state);
    registry_unlock(monitor->registry);
    journal_add(
        monitor->journal, "snapshot", tracked->name, "SnapshotEvicted",
        json_pack("{s:s, s:I}", "file", path, "age_seconds", (json_int_t)(age_ns / NS_PER_SECOND)));
}

/* --- writing ---------------------------------------------------------------------------------- */

static int add_to_file(void *context, struct slice bytes, struct error *err)
{
    return file_atomic_add(context, bytes, err);
}

static int write_file(const char *path, struct state_copy *copy, size_t *bytes, struct error *err)
{
    struct file_atomic file = {0};
    struct stat st = {0};
    int rc = file_atomic_begin(&file, path, 0600, err);
    if (rc == 0)
        rc = state_copy_write(copy, add_to_file, &file, NULL, err);
    if (rc == 0 && fstat(file.fd, &st) == 0)
        *bytes += (size_t)st.st_size;
    if (rc == 0)
        rc = file_atomic_commit(&file, err);
    file_atomic_done(&file);
    return rc;
}

/* Writes one; the registry's lock is held only while the state is copied. */
static int write_one(struct monitor *monitor, struct stream_state *state, size_t *bytes,
                     struct error *err)
{
    uint64_t suppressed = 0;
    CLEANUP_FREE char *path = path_of(monitor, state_name(state));
    registry_lock(monitor->registry);
    struct state_copy *copy = state_copy_new(monitor->engine, state);
    registry_unlock(monitor->registry);
    int rc = write_file(path, copy, bytes, err);
    state_copy_free(copy);
    const char *id = state_name(state)[0] ? state_name(state) : "core";
    if (rc < 0 && journal_may_add(monitor->journal, "SnapshotFailed", &suppressed))
        journal_add(
            monitor->journal, "snapshot", id, "SnapshotFailed",
            json_pack("{s:s, s:I}", "reason", err->text, "suppressed", (json_int_t)suppressed));
    return rc;
}

/* A stream that stands but brings nothing: its snapshot is not to look abandoned. */
static void touch(struct monitor *monitor, struct tracked *tracked)
{
    int64_t now = instant_monotonic_ns();
    if (!tracked->present || (tracked->touched_ns && now - tracked->touched_ns < touch_every_ns))
        return;
    CLEANUP_FREE char *path = path_of(monitor, tracked->name);
    tracked->touched_ns = now;
    (void)utimensat(AT_FDCWD, path, NULL, 0);
}

static void announce(struct monitor *monitor, size_t files, size_t bytes)
{
    int64_t now = instant_monotonic_ns();
    if (monitor->snapshot_announced_ns && now - monitor->snapshot_announced_ns < announce_every_ns)
        return;
    monitor->snapshot_announced_ns = now;
    json_t *sequences = json_object();
    for (size_t i = 0; i < monitor->tracked_count; i++)
        (void)json_object_set_new(sequences, monitor->tracked[i]->name,
                                  json_integer((json_int_t)monitor->tracked[i]->saved_seq));
    journal_add(monitor->journal, "monitor", monitor->instance, "SnapshotWritten",
                json_pack("{s:I, s:I, s:o}", "files", (json_int_t)files, "bytes", (json_int_t)bytes,
                          "sequences", sequences));
}

int snapshots_write(struct monitor *monitor, struct error *err)
{
    size_t files = 0, written = 0;
    bool worth_saying = false;
    int rc = 0;
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        struct tracked *tracked = monitor->tracked[i];
        registry_lock(monitor->registry);
        uint64_t changes = tracked->changes, seq = state_seq(tracked->state);
        registry_unlock(monitor->registry);
        if (changes == tracked->saved_changes) {
            touch(monitor, tracked);
            continue;
        }
        if (write_one(monitor, tracked->state, &written, err) < 0) {
            rc = -1;
            continue;
        }
        tracked->saved_changes = changes;
        tracked->saved_seq = seq;
        files++;
        /* Our own events alone must not keep us writing events about them. */
        worth_saying = worth_saying || strcmp(tracked->name, OPS_STREAM) != 0;
    }
    registry_lock(monitor->registry);
    uint64_t core_changes = monitor->core_changes;
    registry_unlock(monitor->registry);
    if (core_changes != monitor->core_saved_changes) {
        if (write_one(monitor, monitor->core_state, &written, err) < 0) {
            rc = -1;
        } else {
            monitor->core_saved_changes = core_changes;
            files++;
            worth_saying = true;
        }
    }
    /* One file that cannot be written means that the state is not saved: the time must not move. */
    if (files && rc == 0)
        atomic_store(&monitor->last_snapshot_ns, instant_now_ns());
    if (worth_saying)
        announce(monitor, files, written);
    return rc;
}
