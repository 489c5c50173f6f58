/*
 * file: whole files in and out, atomically, and folders.
 *
 * Texts of errors name the path. file_write_atomic() writes a temporary file beside the target,
 * fsyncs it, renames it over the target and fsyncs the folder: after a crash at any moment the path
 * holds either the old bytes or the new ones.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Appends the file's bytes to *ret. 0, or an errno; EFBIG: larger than `bytes_max`. */
int file_bytes(const char *path, size_t bytes_max, struct buf *ret);
/* Appends the file's bytes to *ret; refuses files larger than `bytes_max`. */
int file_read(const char *path, size_t bytes_max, struct buf *ret, struct error *err);
int file_write_atomic(const char *path, struct slice bytes, unsigned mode, struct error *err);

/* The same piece by piece. Zero-initialised is valid and closed. */
struct file_atomic {
    char *path, *temp;
    int fd; /* while temp is not NULL */
};
int file_atomic_begin(struct file_atomic *file, const char *path, unsigned mode, struct error *err);
int file_atomic_add(struct file_atomic *file, struct slice bytes, struct error *err);
int file_atomic_commit(struct file_atomic *file, struct error *err);
/* After commit: nothing. Else the temporary file is gone, and the path holds what it held. */
void file_atomic_done(struct file_atomic *file);

/* Creates the folder and its parents. Done when it exists already. */
int folder_create(const char *path, unsigned mode, struct error *err);
/* The first PATH entry that holds an executable of that name; heap, or NULL. */
char *program_find(const char *name);
