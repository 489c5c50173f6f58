/* Users and tokens files, and the Authorization header: a file, a NUL byte, a header. No Argon2 is
 * run: nobody but tokens is known where the header is looked at. */
#include <stdlib.h>

#include "base/memory.h"
#include "serve/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* printf token | sha256sum */
    static const char tokens[] =
        "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0\n";
    const char *text = (const char *)data, *end = size ? memchr(text, 0, size) : NULL;
    struct slice file = {text, end ? (size_t)(end - text) : size};
    struct error err = ERROR_NONE;
    struct access *access = NULL;
    if (access_parse(&access, file, "users", SLICE_ABSENT, "tokens", &err) == 0)
        access_free(access);
    else if (!err.text[0])
        abort(); /* said in words */
    if (access_parse(&access, SLICE_ABSENT, "users", file, "tokens", &err) == 0)
        access_free(access);
    if (!end)
        return 0;
    if (access_parse(&access, SLICE_ABSENT, "users", slice_of(tokens), "tokens", &err) < 0)
        abort();
    CLEANUP_FREE char *header = xstrndup(end + 1, size - file.len - 1);
    bool is_token = !strcmp(header, "Bearer token");
    if ((access_check(access, header, "10.0.0.1", 1) == ACCESS_OK) && !is_token &&
        !strstr(header, "token"))
        abort();
    access_free(access);
    return 0;
}
