#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/memory.h"

/* 0, or an errno. */
static int read_all(int fd, size_t bytes_max, struct buf *ret)
{
    for (;;) {
        buf_reserve(ret, 65536);
        ssize_t got = read(fd, ret->ptr + ret->len, ret->room - ret->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : 0;
        ret->len += (size_t)got;
        if (ret->len > bytes_max)
            return EFBIG;
    }
}

int file_bytes(const char *path, size_t bytes_max, struct buf *ret)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? errno : read_all(fd, bytes_max, ret);
}

int file_read(const char *path, size_t bytes_max, struct buf *ret, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot open: %s", path, strerror(errno));
    int code = read_all(fd, bytes_max, ret);
    if (code == EFBIG)
        return error_set(err, EXIT_CODE_USAGE, "%s: larger than %zu bytes", path, bytes_max);
    return code ? error_set(err, EXIT_CODE_USAGE, "%s: cannot read: %s", path, strerror(code)) : 0;
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

static int cannot(struct file_atomic *file, const char *what, struct error *err)
{
    return error_set(err, EXIT_CODE_INTERNAL, "%s: cannot %s: %s", file->path, what,
                     strerror(errno));
}

int file_atomic_begin(struct file_atomic *file, const char *path, unsigned mode, struct error *err)
{
    CLEANUP_FREE char *temp = xasprintf("%s.tmp", path);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return error_set(err, EXIT_CODE_INTERNAL, "%s: cannot create: %s", temp, strerror(errno));
    *file = (struct file_atomic){xstrdup(path), TAKE_PTR(temp), fd};
    return 0;
}

int file_atomic_add(struct file_atomic *file, struct slice bytes, struct error *err)
{
    return write_all(file->fd, bytes) < 0 ? cannot(file, "write", err) : 0;
}

int file_atomic_commit(struct file_atomic *file, struct error *err)
{
    if (fsync(file->fd) < 0 || rename(file->temp, file->path) < 0)
        return cannot(file, "write", err);
    sync_folder_of(file->path);
    free(file->temp);
    file->temp = NULL;
    (void)close(file->fd);
    return 0;
}

void file_atomic_done(struct file_atomic *file)
{
    if (file->temp) {
        (void)unlink(file->temp);
        (void)close(file->fd);
    }
    free(file->temp);
    free(file->path);
    *file = (struct file_atomic){0};
}

int file_write_atomic(const char *path, struct slice bytes, unsigned mode, struct error *err)
{
    struct file_atomic file = {0};
    int rc = file_atomic_begin(&file, path, mode, err) < 0 ||
                     file_atomic_add(&file, bytes, err) < 0 || file_atomic_commit(&file, err) < 0
                 ? -1
                 : 0;
    file_atomic_done(&file);
    return rc;
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
