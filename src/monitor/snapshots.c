/* Snapshots on disk: one file per stream, written atomically when something changed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/instant.h"
#include "base/memory.h"
#include "monitor/monitor_internal.h"

#define SNAPSHOT_BYTES_MAX ((size_t)4 << 30)
static const int64_t announce_every_ns = 60 * NS_PER_SECOND;

static char *path_of(const struct monitor *monitor, const char *stream)
{
    return stream[0] ? xasprintf("%s/stream-%s.state", monitor->options->state_dir, stream)
                     : xasprintf("%s/core.state", monitor->options->state_dir);
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

void snapshots_remember(struct monitor *monitor)
{
    static const struct slice head = SLICE("stream-"), tail = SLICE(".state");
    DIR *folder = opendir(monitor->options->state_dir);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct slice name = slice_of(entry->d_name);
        if (name.len <= head.len + tail.len || !slice_starts(name, head) ||
            !slice_eq(slice_from(name, name.len - tail.len), tail))
            continue;
        CLEANUP_FREE char *stream = xstrndup(name.ptr + head.len, name.len - head.len - tail.len);
        streams_remember(monitor, stream);
    }
    if (folder)
        (void)closedir(folder);
}

/* Writes one; the registry's lock is held only while the state is copied. True when written. */
static bool write_one(struct monitor *monitor, struct stream_state *state, struct buf *bytes)
{
    struct error err = ERROR_NONE;
    uint64_t suppressed = 0;
    CLEANUP_FREE char *path = path_of(monitor, state_name(state));
    buf_reset(bytes);
    registry_lock(monitor->registry);
    state_encode(monitor->engine, state, bytes);
    registry_unlock(monitor->registry);
    if (file_write_atomic(path, buf_slice(bytes), 0600, &err) == 0)
        return true;
    const char *id = state_name(state)[0] ? state_name(state) : "core";
    if (journal_may_add(monitor->journal, "SnapshotFailed", &suppressed))
        journal_add(
            monitor->journal, "snapshot", id, "SnapshotFailed",
            json_pack("{s:s, s:I}", "reason", err.text, "suppressed", (json_int_t)suppressed));
    return false;
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

void snapshots_write(struct monitor *monitor)
{
    CLEANUP_BUF struct buf bytes = {0};
    size_t files = 0, written = 0;
    bool worth_saying = false, all = true;
    for (size_t i = 0; i < monitor->tracked_count; i++) {
        struct tracked *tracked = monitor->tracked[i];
        registry_lock(monitor->registry);
        uint64_t changes = tracked->changes, seq = state_seq(tracked->state);
        registry_unlock(monitor->registry);
        if (changes == tracked->saved_changes)
            continue;
        if (!write_one(monitor, tracked->state, &bytes)) {
            all = false;
            continue;
        }
        tracked->saved_changes = changes;
        tracked->saved_seq = seq;
        files++;
        written += bytes.len;
        /* Our own events alone must not keep us writing events about them. */
        worth_saying = worth_saying || strcmp(tracked->name, "CIM-OPS") != 0;
    }
    registry_lock(monitor->registry);
    uint64_t core_changes = monitor->core_changes;
    registry_unlock(monitor->registry);
    if (core_changes != monitor->core_saved_changes &&
        write_one(monitor, monitor->core_state, &bytes)) {
        monitor->core_saved_changes = core_changes;
        files++;
        written += bytes.len;
        worth_saying = true;
    }
    /* One file that cannot be written means that the state is not saved: the time must not move. */
    if (files && all)
        atomic_store(&monitor->last_snapshot_ns, instant_now_ns());
    if (worth_saying)
        announce(monitor, files, written);
}
