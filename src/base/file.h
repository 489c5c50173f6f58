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

/* Appends the file's bytes to *ret; refuses files larger than `bytes_max`. */
int file_read(const char *path, size_t bytes_max, struct buf *ret, struct error *err);
int file_write_atomic(const char *path, struct slice bytes, unsigned mode, struct error *err);
/* Creates the folder and its parents. Done when it exists already. */
int folder_create(const char *path, unsigned mode, struct error *err);
/* The first PATH entry that holds an executable of that name; heap, or NULL. */
char *program_find(const char *name);
