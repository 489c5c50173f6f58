/*
 * Blocks are made beside the data folder's own, in a staging folder of it, and moved by rename.
 *
 * Each is marked as made of out-of-order samples ("from-out-of-order" among the hints of its
 * meta.json; Prometheus 2.39 and later). Without the mark Prometheus would take the end of the
 * newest block for the beginning of what its write-ahead log still has to give, and at its next
 * start forget the live samples of all metrics before that time (tsdb/db.go,
 * inOrderBlocksMaxTime()). A compaction with older blocks would lose the mark; so the young ones
 * are marked as not fit for it, too ("failed", tsdb/compact.go, selectDirs()), until Prometheus'
 * own block of that time comes and takes them in.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "act/backfill/backfill_internal.h"
#include "base/file.h"
#include "stack/child.h"

/* Prometheus keeps at most three hours in its head; a block that ends before is safe. */
static const int64_t young_ms = INT64_C(6) * 3600 * 1000;

enum { PROMTOOL_MS = 600000, META_BYTES_MAX = 1 << 20, ULID_LENGTH = 26 };

/* --- the folders ------------------------------------------------------------------------------ */

static bool is_ulid(const char *name)
{
    return strlen(name) == ULID_LENGTH &&
           strspn(name, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ULID_LENGTH;
}

static bool looks_like_prometheus(const char *folder)
{
    static const char *const parts[] = {"wal", "chunks_head", "queries.active"};
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(parts) && !found; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", folder, parts[i]);
        found = access(path, F_OK) == 0;
    }
    DIR *dir = found ? NULL : opendir(folder);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found = is_ulid(entry->d_name);
    if (dir)
        (void)closedir(dir);
    return found;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

int blocks_open(struct blocks *blocks, const char *data_dir, const char *promtool,
                struct error *err)
{
    *blocks = (struct blocks){.data_dir = data_dir, .promtool = promtool, .lock = -1};
    if (access(data_dir, F_OK) != 0 || !looks_like_prometheus(data_dir))
        return error_set(err, EXIT_CODE_USAGE,
                         "%s does not look like a data folder of Prometheus (no wal, no block in "
                         "it): name the one of its --storage.tsdb.path by --prometheus-data DIR",
                         data_dir);
    CLEANUP_FREE char *lock = xasprintf("%s/cim-ops-backfill.lock", data_dir);
    blocks->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (blocks->lock < 0)
        return error_set(err, EXIT_CODE_USAGE,
                         "%s: %s; backfill puts blocks there: run it as the user of Prometheus",
                         lock, strerror(errno));
    if (flock(blocks->lock, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, EXIT_CODE_REFUSED, "another backfill works in %s", data_dir);
    blocks->staging = xasprintf("%s/cim-ops-backfill.tmp", data_dir);
    (void)nftw(blocks->staging, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* of one that was killed */
    return folder_create(blocks->staging, 0755, err);
}

void blocks_close(struct blocks *blocks)
{
    if (blocks->staging)
        (void)nftw(blocks->staging, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (blocks->lock >= 0)
        (void)close(blocks->lock);
    free(blocks->staging);
    *blocks = (struct blocks){.lock = -1};
}

/* --- one block -------------------------------------------------------------------------------- */

static int write_text(const char *path, struct history *history, struct history_chunk *chunk,
                      struct error *err)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return error_set(err, EXIT_CODE_INTERNAL, "%s: cannot create: %s", path, strerror(errno));
    int rc = history_write(history, chunk, out, err);
    if (fclose(out) != 0 && rc == 0)
        rc = error_set(err, EXIT_CODE_INTERNAL, "%s: cannot write: %s", path, strerror(errno));
    else if (rc < 0)
        (void)error_wrap(err, "%s", path);
    return rc;
}

static int run_promtool(const struct blocks *blocks, char *text, char *folder, struct error *err)
{
    char name[] = "promtool", tsdb[] = "tsdb", create[] = "create-blocks-from",
         open_metrics[] = "openmetrics", quietly[] = "-q";
    char *argv[] = {name, tsdb, create, open_metrics, quietly, text, folder, NULL};
    struct child_spec spec = {.program = blocks->promtool, .argv = argv};
    CLEANUP_BUF struct buf output = {0};
    int status = 0;
    if (child_run(&spec, PROMTOOL_MS, &output, &status, err) < 0)
        return -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    char how[64];
    child_status_text(status, how, sizeof how);
    return error_set(err, EXIT_CODE_INTERNAL, "promtool could not make a block (%s): %s", how,
                     output.len ? buf_cstr(&output) : "it said nothing");
}

int blocks_add(struct blocks *blocks, struct history *history, struct history_chunk *chunk,
               struct error *err)
{
    CLEANUP_FREE char *text = xasprintf("%s/samples.txt", blocks->staging);
    CLEANUP_FREE char *made = xasprintf("%s/made", blocks->staging);
    if (write_text(text, history, chunk, err) < 0)
        return -1;
    if (chunk->samples && run_promtool(blocks, text, made, err) < 0)
        return -1;
    blocks->made += chunk->samples > 0;
    (void)unlink(text);
    return 0;
}

/* --- into the data folder --------------------------------------------------------------------- */

static int mark(const char *block, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/meta.json", block);
    CLEANUP_BUF struct buf text = {0};
    if (file_read(path, META_BYTES_MAX, &text, err) < 0)
        return -1;
    json_t *meta = json_loadb(buf_slice(&text).ptr, text.len, 0, NULL);
    json_t *compaction = json_object_get(meta, "compaction");
    int rc = 0;
    if (!json_is_object(compaction)) {
        rc = error_set(err, EXIT_CODE_DAMAGED, "%s: promtool wrote no 'compaction'", path);
    } else {
        int64_t end_ms = json_integer_value(json_object_get(meta, "maxTime"));
        (void)json_object_set_new(compaction, "hints", json_pack("[s]", "from-out-of-order"));
        if (end_ms > instant_now_ns() / NS_PER_MS - young_ms)
            (void)json_object_set_new(compaction, "failed", json_true());
        CLEANUP_FREE char *marked = json_dumps(meta, JSON_INDENT(4));
        rc = file_write_atomic(path, slice_of(marked), 0644, err);
    }
    json_decref(meta);
    return rc;
}

static int move_block(struct blocks *blocks, const char *made, const char *name, struct error *err)
{
    CLEANUP_FREE char *from = xasprintf("%s/%s", made, name);
    CLEANUP_FREE char *to = xasprintf("%s/%s", blocks->data_dir, name);
    if (mark(from, err) < 0)
        return -1;
    if (rename(from, to) < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "%s: cannot move there: %s", to, strerror(errno));
    blocks->moved++;
    return 0;
}

int blocks_move(struct blocks *blocks, struct error *err)
{
    CLEANUP_FREE char *made = xasprintf("%s/made", blocks->staging);
    struct dirent **entries = NULL;
    int count = blocks->made ? scandir(made, &entries, NULL, alphasort) : 0, rc = 0;
    if (count < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "%s: %s", made, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (rc == 0 && is_ulid(entries[i]->d_name))
            rc = move_block(blocks, made, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    return rc;
}
