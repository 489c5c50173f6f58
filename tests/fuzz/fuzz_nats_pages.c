/* The pages of NATS servers, whatever they hold: the first byte says which. */
#include <stddef.h>
#include <stdint.h>

#include "source/nats/nats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct nats_watch watch;
    struct json_error error;
    if (!watch.stream.plan) {
        nats_parsers_new(&watch);
        watch.server_count = 1;
    }
    if (!size)
        return 0;
    struct slice text = {(const char *)data + 1, size - 1};
    if (data[0] % 2)
        (void)nats_duration(text);
    else
        (void)nats_parse_jsz(&watch, &watch.servers[0], text, &error);
    nats_reports_sort(&watch.reports);
    nats_reports_done(&watch.reports);
    return 0;
}
