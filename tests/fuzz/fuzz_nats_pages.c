/* The pages of NATS servers, whatever they hold: the first byte says which. */
#include <stddef.h>
#include <stdint.h>

#include "source/nats/nats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct nats_watch watch;
    struct json_error error;
    static const struct nats_field field = {"account_details", NULL};
    static struct nats_fields page;
    struct json_value accounts[NATS_FIELDS_MAX];
    if (!watch.stream.plan) {
        nats_parsers_new(&watch);
        nats_fields_new(&page, &field, 1);
        watch.server_count = 1;
    }
    if (!size)
        return 0;
    struct slice text = {(const char *)data + 1, size - 1};
    if (data[0] % 2)
        (void)nats_duration(text);
    else if (nats_fields_read(&page, text, accounts, &error))
        nats_parse_accounts(&watch, &watch.servers[0], &accounts[0]);
    nats_reports_sort(&watch.reports);
    nats_reports_done(&watch.reports);
    return 0;
}
