/* Timestamps: no input breaks the parsers, and what is formatted reads back as the same instant. */
#include <stdlib.h>

#include "base/instant.h"
#include "event/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    int64_t ns, again;
    if (instant_parse_rfc3339(text, &ns)) {
        char out[INSTANT_TEXT_MAX];
        size_t len = instant_format(ns, out);
        if (!instant_parse_rfc3339((struct slice){out, len}, &again) || again != ns)
            abort();
    }
    (void)event_time_parse(text, false, &ns);
    (void)event_time_parse(text, true, &ns);
    (void)duration_parse(text, &ns);
    return 0;
}
