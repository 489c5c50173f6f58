/*
 * Label values and help, whatever their bytes: each sample line reads back by the rules of the text
 * format, and its values are UTF-8. Input: values, one a line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "metrics/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool sound)
{
    if (!sound)
        abort();
}

/* At the quote that opens a value; returns behind the one that closes it. */
static const char *read_value(const char *at, const char *end)
{
    check(at < end && *at++ == '"');
    while (at < end && *at != '"') {
        size_t len = utf8_length(at, (size_t)(end - at));
        check(len > 0 && *at != '\n');
        if (*at == '\\') {
            check(end - at > 1 && strchr("\\\"n", at[1]) && at[1]);
            len = 2;
        }
        at += len;
    }
    check(at < end);
    return at + 1;
}

static void read_sample(struct slice line)
{
    const char *at = line.ptr, *end = line.ptr + line.len;
    while (at < end && ((*at >= 'a' && *at <= 'z') || *at == '_'))
        at++;
    if (at < end && *at == '{') {
        do {
            at++;
            while (at < end && *at >= 'a' && *at <= 'z')
                at++;
            check(at < end && *at == '=');
            at = read_value(at + 1, end);
        } while (at < end && *at == ',');
        check(at < end && *at++ == '}');
    }
    check(end - at >= 2 && *at == ' ' && at[1] >= '0' && at[1] <= '9');
}

static void read_exposition(struct registry *registry, enum exposition_format format)
{
    struct buf text = {0};
    registry_expose(registry, format, &text);
    struct slice rest = buf_slice(&text), line;
    while (slice_cut(&rest, '\n', &line) && slice_present(rest)) {
        if (!line.len || line.ptr[0] != '#')
            read_sample(line);
    }
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_BUF struct buf help = {0};
    buf_add(&help, data, size);
    for (size_t i = 0; i < help.len; i++)
        help.ptr[i] = help.ptr[i] ? help.ptr[i] : ' ';
    const struct metric_spec spec = {.name = "x_total",
                                     .help = buf_cstr(&help),
                                     .kind = METRIC_COUNTER,
                                     .label_count = 2,
                                     .labels = {"a", "b"},
                                     .series_max = 5};
    struct registry *registry = registry_new();
    registry_set_folds_shown(registry, true);
    struct family *family = registry_family(registry, &spec);
    struct partition *partition = registry_partition(registry, "S");
    struct slice rest = {(const char *)data, size};
    struct slice values[METRIC_LABELS_MAX] = {SLICE_ABSENT};
    for (size_t i = 0; i < 8 && slice_cut(&rest, '\n', &values[i % 2]); i++)
        cell_add(partition_cell(partition, family, values), 1);
    read_exposition(registry, EXPOSITION_PROMETHEUS);
    read_exposition(registry, EXPOSITION_OPENMETRICS);
    registry_free(registry);
    return 0;
}
