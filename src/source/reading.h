/*
 * reading: what several sources do alike. Small files of the kernel, figures that pass a level.
 */
#pragma once

#include "base/buf.h"

/*
 * The file `path` below `root`, without the white space at its end; *ret is emptied before. 0, or
 * an errno: files of the kernel may vanish while they are read.
 */
int source_file(const char *root, const char *path, struct buf *ret);
/* A whole number, perhaps negative; false: no such file, or something else is in it. */
bool source_number_file(const char *root, const char *path, int64_t *ret);

/*
 * 0, `low` or `high`, in percent: the level that the ratio (0 to 1) has reached, from `before`. It
 * falls only two points below a level, so that a figure that trembles at it is told once.
 */
int source_level(double ratio, int before, int low, int high);
