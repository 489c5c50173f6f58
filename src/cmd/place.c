#include "cmd/place.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

char *place_stack_dir(const char *dir, struct error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (dir && *dir)
        return xstrdup(dir);
    if (state && state[0] == '/') /* the XDG specification has relative ones ignored */
        return xasprintf("%s/cim-ops", state);
    if (home && *home)
        return xasprintf("%s/.local/state/cim-ops", home);
    error_set(err, EXIT_CODE_USAGE, "neither XDG_STATE_HOME nor HOME is set: say --dir DIR");
    return NULL;
}

static char *shipped_below(const char *root, const char *name)
{
    const char *base = strrchr(name, '/');
    CLEANUP_FREE char *full = xasprintf("%s/%s", root, name);
    CLEANUP_FREE char *flat = xasprintf("%s/%s", root, base ? base + 1 : name);
    if (access(full, R_OK) == 0)
        return TAKE_PTR(full);
    return access(flat, R_OK) == 0 ? TAKE_PTR(flat) : NULL;
}

static char *self_path(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    path[len > 0 ? len : 0] = 0;
    return xstrdup(path);
}

char *place_shipped(const char *name)
{
    const char *share = getenv("CIM_OPS_SHARE");
    if (share && *share) /* said in so many words: no other place then */
        return shipped_below(share, name);
    CLEANUP_FREE char *self = self_path();
    CLEANUP_FREE char *source = xasprintf("%s/..", dirname(self));
    char *found = shipped_below(source, name);
    return found ? found : shipped_below("/usr/share/cim-ops", name);
}

char *place_own_program(void)
{
    CLEANUP_FREE char *path = self_path();
    struct stat named, running;
    bool is_same = stat(path, &named) == 0 && stat("/proc/self/exe", &running) == 0 &&
                   named.st_dev == running.st_dev && named.st_ino == running.st_ino;
    return is_same ? TAKE_PTR(path) : xstrdup("/proc/self/exe");
}

char *place_program(const char *name)
{
    static const char *const folders[] = {"/usr/sbin", "/usr/local/bin", "/usr/local/sbin"};
    char *found = program_find(name);
    for (size_t i = 0; i < ARRAY_LEN(folders) && !found; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", folders[i], name);
        found = program_find(path);
    }
    if (!found && getenv("HOME")) {
        CLEANUP_FREE char *path = xasprintf("%s/go/bin/%s", getenv("HOME"), name);
        found = program_find(path);
    }
    return found;
}
