/*
 * Projections and the trees they are made of. Input: a payload a line, folded into one document:
 * kept as an object and as bytes it is the same, and what is written can be read. Then the whole
 * input as a document.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "fold/projection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "projections:\n"
                           "  - name: all\n"
                           "    fold:\n"
                           "      merge: [$payload.m, $payload]\n"
                           "      append: {list: [$payload.l, $payload.*.l]}\n"
                           "      limit: 3\n"
                           "      set: {t: $payload.t, text: $text, tag: $tag, at: $occurred_at}\n"
                           "      once: {first: $payload.f}\n"
                           "      count: [n, list_dropped]\n"
                           "      remove: [gone]\n"
                           "  - {name: last, when: $payload.x exists, fold: {last: $payload.x}}\n"
                           "  - {name: end, when: $payload.e == 1, fold: {end: true}}\n";

static struct projector *projector_of(void)
{
    char folder[] = "/dev/shm/cim-ops-fuzz-XXXXXX", path[64];
    struct projection_rules *rules = NULL;
    struct error err = ERROR_NONE;
    if (!mkdtemp(folder))
        exit(2);
    (void)snprintf(path, sizeof path, "%s/m.yaml", folder);
    if (file_write_atomic(path, slice_of(text), 0600, &err) < 0 ||
        projection_rules_load(folder, &rules, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    (void)unlink(path);
    (void)rmdir(folder);
    return projector_new(rules);
}

/* It can be read, and is then written the same. */
static void check_readable(struct slice bytes)
{
    struct projection_doc *doc = projection_doc_new();
    CLEANUP_BUF struct buf again = {0};
    if (bytes.len) {
        if (projection_doc_load(doc, bytes, NULL) < 0)
            abort();
        projection_doc_write(doc, &again);
    }
    if (!slice_eq(bytes, buf_slice(&again)))
        abort();
    projection_doc_free(doc);
}

static void fold(struct projector *projector, struct slice lines)
{
    struct projection_doc *doc = projection_doc_new();
    CLEANUP_BUF struct buf bytes = {0}, kept = {0};
    struct slice line;
    uint64_t seq = 0;
    while (slice_cut(&lines, '\n', &line) && ++seq < 64) {
        enum projection_effect one, other;
        const struct event_input input = {.subject = SLICE("d.a"), .payload = line, .seq = seq};
        const struct event_view view = {
            .field = {[EVENT_DOMAIN] = SLICE("d"), [EVENT_AGGREGATE_ID] = SLICE("a")}};
        const struct projection_event event = {SLICE("S"), seq, &input, &view, line};
        int rc = projection_apply(projector, doc, &event, &one, NULL);
        if (projection_apply_bytes(projector, &bytes, &event, &other, NULL) != rc || one != other)
            abort();
        buf_reset(&kept);
        projection_doc_write(doc, &kept);
        if (!slice_eq(buf_slice(&kept), buf_slice(&bytes)))
            abort();
        check_readable(buf_slice(&bytes));
    }
    projection_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct projector *projector;
    struct projection_doc *doc = projection_doc_new();
    CLEANUP_BUF struct buf out = {0};
    struct slice bytes = {(const char *)data, size};
    if (!projector)
        projector = projector_of();
    if (size)
        fold(projector, bytes);
    if (size && projection_doc_load(doc, bytes, NULL) == 0) {
        projection_doc_write(doc, &out);
        check_readable(buf_slice(&out));
    }
    projection_doc_free(doc);
    return 0;
}
