/* Property lists, whatever they hold. */
#include <stddef.h>
#include <stdint.h>

#include "source/gpu/plist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_decref(plist_parse((struct slice){(const char *)data, size}));
    return 0;
}
