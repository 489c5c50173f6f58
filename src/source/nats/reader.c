/* Which way the servers are asked: the system account where it works, else their pages. */
#include "base/memory.h"
#include "source/nats/nats.h"

struct nats_reader {
    struct nats_system *system;
    struct nats_http *http;
    bool by_system; /* the way of this look */
};

int nats_reader_new(const struct source_options *options, struct nats_reader **ret,
                    struct error *err)
{
    struct nats_reader *reader = xcalloc(1, sizeof *reader);
    CLEANUP_FREE char *local = xasprintf("http://127.0.0.1:%d", NATS_PAGES_PORT);
    const char *pages = options->nats_http;
    if (!pages && !options->nats_system)
        pages = local;
    if ((options->nats_system && nats_system_new(options->nats_system, &reader->system, err) < 0) ||
        (pages && nats_http_new(pages, options->interval_ns, &reader->http, err) < 0)) {
        nats_reader_free(reader);
        return -1;
    }
    *ret = reader;
    return 0;
}

void nats_reader_free(struct nats_reader *reader)
{
    if (!reader)
        return;
    nats_system_free(reader->system);
    nats_http_free(reader->http);
    free(reader);
}

int nats_reader_read(struct nats_reader *reader, enum nats_document document, size_t expected,
                     nats_answer_handler *handler, void *context, struct error *err)
{
    if (document == NATS_VARZ)
        reader->by_system = reader->system != NULL;
    if (reader->by_system) {
        int result = nats_system_read(reader->system, document, expected, handler, context, err);
        if (result == 0 || document != NATS_VARZ || !reader->http)
            return result;
        reader->by_system = false;
    }
    nats_http_read(reader->http, document, handler, context);
    return 0;
}

void nats_reader_listen(struct nats_reader *reader,
                        void (*handler)(void *, struct slice, struct slice), void *context)
{
    if (reader->system)
        nats_system_listen(reader->system, handler, context);
}
