#include "base/error.h"

#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum exit_code code, const char *format, ...)
{
    if (!err)
        return -1;
    err->code = code;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    if (!err)
        return -1;
    char cause[sizeof err->text];
    memcpy(cause, err->text, sizeof cause);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        (void)snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", cause);
    return -1;
}

const char *exit_code_name(enum exit_code code)
{
    switch (code) {
    case EXIT_CODE_DONE: return "done";
    case EXIT_CODE_PROBLEM: return "problem found";
    case EXIT_CODE_USAGE: return "usage or bad configuration";
    case EXIT_CODE_UNREACHABLE: return "service unreachable";
    case EXIT_CODE_REFUSED: return "refused by a guard";
    case EXIT_CODE_DAMAGED: return "data damaged or incomplete";
    case EXIT_CODE_INTERNAL: return "internal error";
    }
    return "unknown";
}
