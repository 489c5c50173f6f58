#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

static void *checked(void *ptr, size_t size)
{
    if (!ptr && size) {
        (void)fprintf(stderr, "cim-ops: out of memory (%zu bytes wanted)\n", size);
        _exit(EXIT_CODE_INTERNAL);
    }
    return ptr;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size), size);
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count, size), count * size);
}

void *xrealloc(void *ptr, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        (void)checked(NULL, SIZE_MAX);
    return checked(realloc(ptr, bytes), bytes);
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xstrndup(const char *text, size_t len)
{
    char *copy = xmalloc(len + 1);
    if (len)
        memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        (void)checked(NULL, 1);
    va_end(args);
    return text;
}
