#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/memory.h"

int file_read(const char *path, size_t bytes_max, struct buf *ret, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot open: %s", path, strerror(errno));
    for (;;) {
        buf_reserve(ret, 65536);
        ssize_t got = read(fd, ret->ptr + ret->len, ret->room - ret->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(err, EXIT_CODE_USAGE, "%s: cannot read: %s", path, strerror(errno));
        if (got == 0)
            return 0;
        ret->len += (size_t)got;
        if (ret->len > bytes_max)
            return error_set(err, EXIT_CODE_USAGE, "%s: larger than %zu bytes", path, bytes_max);
    }
}

static int write_all(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t put = write(fd, bytes.ptr, bytes.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        bytes = slice_from(bytes, (size_t)put);
    }
    return 0;
}

static void sync_folder_of(const char *path)
{
    CLEANUP_FREE char *copy = xstrdup(path);
    CLEANUP_CLOSE int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)fsync(fd);
}

int file_write_atomic(const char *path, struct slice bytes, unsigned mode, struct error *err)
{
    CLEANUP_FREE char *temp = xasprintf("%s.tmp", path);
    CLEANUP_CLOSE int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "%s: cannot create: %s", temp, strerror(errno));
    if (write_all(fd, bytes) < 0 || fsync(fd) < 0 || rename(temp, path) < 0) {
        int cause = errno;
        (void)unlink(temp);
        return error_set(err, EXIT_CODE_INTERNAL, "%s: cannot write: %s", path, strerror(cause));
    }
    sync_folder_of(path);
    return 0;
}

/* Done when the folder is there already; errno says why not. */
static int make_folder(const char *path, unsigned mode)
{
    struct stat st;
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == EEXIST && stat(path, &st) == 0) {
        errno = ENOTDIR;
        return S_ISDIR(st.st_mode) ? 0 : -1;
    }
    return -1;
}

int folder_create(const char *path, unsigned mode, struct error *err)
{
    CLEANUP_FREE char *copy = xstrdup(path);
    if (!*path)
        return error_set(err, EXIT_CODE_USAGE, "cannot create a folder: its name is empty");
    for (char *at = copy + 1;; at++) {
        if (*at && *at != '/')
            continue;
        char kept = *at;
        *at = 0;
        if (make_folder(copy, mode) < 0)
            return error_set(err, EXIT_CODE_USAGE, "%s: cannot create the folder: %s", copy,
                             strerror(errno));
        *at = kept;
        if (!kept)
            return 0;
    }
}

char *program_find(const char *name)
{
    struct slice rest = slice_of(getenv("PATH")), folder;
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
    while (slice_cut(&rest, ':', &folder)) {
        CLEANUP_FREE char *path = xasprintf("%.*s/%s", SLICE_ARG(folder), name);
        struct stat st;
        if (access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
            return TAKE_PTR(path);
    }
    return NULL;
}
