/* scratch: a temporary folder per test group, gone when the test ends. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct scratch {
    char folder[64];
};

static inline void scratch_open(struct scratch *scratch)
{
    (void)snprintf(scratch->folder, sizeof scratch->folder, "/tmp/cim-ops-unit-XXXXXX");
    assert_non_null(mkdtemp(scratch->folder));
}

/* Of one name in the folder; heap. */
static inline char *scratch_path(const struct scratch *scratch, const char *name)
{
    return xasprintf("%s/%s", scratch->folder, name);
}

static inline void scratch_write(const struct scratch *scratch, const char *name, const char *text)
{
    struct error err = ERROR_NONE;
    CLEANUP_FREE char *path = scratch_path(scratch, name);
    if (file_write_atomic(path, slice_of(text), 0600, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void scratch_remove_all(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        CLEANUP_FREE char *path = xasprintf("%s/%s", folder, entry->d_name);
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            scratch_remove_all(path);
        else
            (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(folder);
}

static inline void scratch_close(struct scratch *scratch)
{
    scratch_remove_all(scratch->folder);
}

#define CLEANUP_SCRATCH __attribute__((cleanup(scratch_close)))
