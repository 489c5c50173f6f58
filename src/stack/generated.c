#include "stack/generated.h"

#include <stdio.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/memory.h"

static char *hash_text(struct slice content)
{
    return xasprintf("%016llx\n", (unsigned long long)XXH3_64bits(content.ptr, content.len));
}

static bool is_ours(const char *sum_path, struct slice existing)
{
    CLEANUP_BUF struct buf recorded = {0};
    CLEANUP_FREE char *hash = hash_text(existing);
    return file_read(sum_path, 4096, &recorded, NULL) == 0 &&
           slice_eq(buf_slice(&recorded), slice_of(hash));
}

int generated_write(const char *dir, const char *name, struct slice content,
                    enum generated_outcome *ret, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
    CLEANUP_FREE char *sums = xasprintf("%s/.generated", dir);
    CLEANUP_FREE char *sum_path = xasprintf("%s/%s", sums, name);
    CLEANUP_FREE char *hash = hash_text(content);
    CLEANUP_BUF struct buf existing = {0};

    bool exists = access(path, F_OK) == 0;
    if (exists && file_read(path, GENERATED_BYTES_MAX, &existing, err) < 0)
        return -1;
    bool same = exists && slice_eq(buf_slice(&existing), content);
    *ret = same ? GENERATED_SAME : GENERATED_WRITTEN;
    if (exists && !same && !is_ours(sum_path, buf_slice(&existing))) {
        *ret = GENERATED_KEPT;
        return 0;
    }
    /* The file before its hash: after a crash in between it counts as a person's, never the
     * reverse. */
    if ((!same && file_write_atomic(path, content, 0644, err) < 0) ||
        folder_create(sums, 0755, err) < 0)
        return -1;
    return file_write_atomic(sum_path, slice_of(hash), 0644, err);
}
