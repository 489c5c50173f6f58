/*
 * labels: the label text of a series, `a="x",b="y"`, as a scrape shows it between the braces.
 *
 * The text is the identity of a series: equal texts are equal label sets. A label without a value
 * is left out. Values are mended first, because one value that is not UTF-8 (a subject may hold any
 * byte) would make a scraper refuse the whole exposition.
 */
#pragma once

#include "metrics/registry.h"

/* Where the value of a label lies in a text, escaped; length 0: there is none. */
struct label_place {
    uint32_t at, len;
};

struct label_text {
    struct buf text;
    struct label_place places[METRIC_LABELS_MAX];
    struct buf scratch;
};

void label_text_done(struct label_text *text);
/* Replaces what `ret` held. */
void label_text_render(const struct metric_spec *spec, const struct slice *values,
                       struct label_text *ret);
/* The same with the labels of `marked` (a bit each) as `__overflow__`. */
void label_text_overflow(const struct metric_spec *spec, unsigned marked, struct label_text *ret);
/* The value's place in the text: escaped. */
struct slice label_text_value(const struct label_text *text, size_t label);
/* Finds the places in a text that label_text_render() made. */
void label_text_places(const struct metric_spec *spec, struct slice text,
                       struct label_place places[static METRIC_LABELS_MAX]);
/* The value as it was before it was escaped; it lies in `scratch` when anything was. */
struct slice label_value_plain(struct slice escaped, struct buf *scratch);
