/*
 * place: where a local stack lives, and where the files are that come with the program.
 */
#pragma once

#include "base/error.h"

/* `dir`, else $XDG_STATE_HOME/cim-ops, else ~/.local/state/cim-ops. Heap. NULL: no HOME either. */
char *place_stack_dir(const char *dir, struct error *err);

/*
 * The file or folder `name` ("rules", "doc/operations/alerts.yaml") that ships with cim-ops: below
 * $CIM_OPS_SHARE, else beside the source tree that the program was built in, else in
 * /usr/share/cim-ops; with or without its "doc/operations/". Heap, or NULL.
 */
char *place_shipped(const char *name);

/* The path of this very program; falls back to /proc/self/exe when its file has been replaced.
 * Heap. */
char *place_own_program(void);

/* In PATH, then where Debian and Go put servers, which is not in everybody's PATH. Heap, or NULL.
 */
char *place_program(const char *name);
