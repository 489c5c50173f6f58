/*
 * memory: allocation that cannot fail quietly, and scope-bound cleanup.
 *
 * Out of memory is not an operating error that a caller could mend: the x-forms print one line and
 * end the process with EXIT_CODE_INTERNAL; the state on disk stays as the last snapshot left it.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/slice.h"

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t count, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len); /* `text` may be NULL when len is 0 */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes room for one more element in a heap array that doubles: GROW(list, count, room). */
#define GROW(array, count, room)                                                                   \
    do {                                                                                           \
        if ((count) == (room)) {                                                                   \
            (room) = (room) ? (room)*2 : 8;                                                        \
            (array) = xrealloc((array), (room), sizeof *(array));                                  \
        }                                                                                          \
    } while (0)

static inline void cleanup_free_(void *slot)
{
    free(*(void **)slot);
}

static inline void cleanup_close_(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

#define CLEANUP_FREE  __attribute__((cleanup(cleanup_free_)))
#define CLEANUP_CLOSE __attribute__((cleanup(cleanup_close_)))

/* Hands a value on and empties the slot that a CLEANUP_ attribute watches. */
static inline void *take_ptr_(void *slot)
{
    void *value = *(void **)slot;
    *(void **)slot = NULL;
    return value;
}
#define TAKE_PTR(var) ((__typeof__(var))take_ptr_(&(var)))
