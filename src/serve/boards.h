/*
 * boards: dashboards by uid: those inside the program, and the JSON files below folders of the
 * site's own, which are read anew at each call, so that a changed file shows at once.
 *
 * A site's dashboard goes before a shipped one of the same uid. A file that is no dashboard is
 * listed with what is wrong with it. Limits: BOARDS_MAX files, BOARD_BYTES_MAX each, folders
 * BOARD_DEPTH_MAX deep. Thread-safe; costs reading all files of the folders.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define BOARDS_MAX      1000
#define BOARD_BYTES_MAX (16u << 20)
#define BOARD_DEPTH_MAX 4

struct boards {
    const char *const *folders;
    size_t folder_count;
};

/* EXIT_CODE_USAGE: a folder that cannot be read. */
int boards_check(const struct boards *boards, struct error *err);
/* Appends a JSON array of {uid, title, tags, shipped, problem?}, by title. */
void boards_list(const struct boards *boards, struct buf *ret);
/* Appends the dashboard's own bytes. EXIT_CODE_PROBLEM: there is none of that uid. */
int boards_get(const struct boards *boards, const char *uid, struct buf *ret, struct error *err);
