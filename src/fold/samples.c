#include "fold/samples.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

#define LABELS_MAX 32

void samples_done(struct samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        free(samples->items[i].series);
        free(samples->items[i].name);
    }
    free(samples->items);
    *samples = (struct samples){0};
}

static size_t name_length(struct slice text)
{
    size_t i = 0;
    while (i < text.len && (text.ptr[i] == '_' || text.ptr[i] == ':' ||
                            (text.ptr[i] >= 'a' && text.ptr[i] <= 'z') ||
                            (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z') ||
                            (i && text.ptr[i] >= '0' && text.ptr[i] <= '9')))
        i++;
    return i;
}

static void skip_blanks(struct slice *rest)
{
    *rest = slice_trim(*rest);
}

/* One `name="value"`, as it is written; *rest moves behind it. */
static bool read_label(struct slice *rest, struct slice *ret)
{
    skip_blanks(rest);
    size_t at = name_length(*rest);
    if (!at || at + 1 >= rest->len || rest->ptr[at] != '=' || rest->ptr[at + 1] != '"')
        return false;
    for (at += 2; at < rest->len && rest->ptr[at] != '"'; at++)
        at += rest->ptr[at] == '\\';
    if (at >= rest->len)
        return false;
    *ret = (struct slice){rest->ptr, at + 1};
    *rest = slice_from(*rest, at + 1);
    skip_blanks(rest);
    return true;
}

static int by_text(const void *a, const void *b)
{
    const struct slice *left = a, *right = b;
    size_t shared = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->ptr, right->ptr, shared);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

/* Behind the name: labels in braces, if any; canonical into `out`. */
static bool read_labels(struct slice *rest, struct buf *out)
{
    struct slice labels[LABELS_MAX];
    size_t count = 0;
    if (!rest->len || rest->ptr[0] != '{')
        return true;
    *rest = slice_from(*rest, 1);
    skip_blanks(rest);
    while (rest->len && rest->ptr[0] != '}') {
        if (count == LABELS_MAX || !read_label(rest, &labels[count++]))
            return false;
        if (rest->len && rest->ptr[0] == ',')
            *rest = slice_from(*rest, 1);
        else if (!rest->len || rest->ptr[0] != '}')
            return false;
        skip_blanks(rest);
    }
    if (!rest->len)
        return false;
    *rest = slice_from(*rest, 1);
    qsort(labels, count, sizeof *labels, by_text);
    for (size_t i = 0; i < count; i++) {
        buf_add_char(out, i ? ',' : '{');
        buf_add_slice(out, labels[i]);
    }
    if (count)
        buf_add_char(out, '}');
    return true;
}

static bool read_value(struct slice text, double *ret)
{
    CLEANUP_FREE char *copy = xstrndup(text.ptr, text.len);
    char *end = copy;
    *ret = strtod(copy, &end); /* +Inf and NaN too */
    return text.len && *end == 0;
}

bool samples_add(struct samples *samples, struct slice line, bool with_value)
{
    CLEANUP_BUF struct buf series = {0};
    struct sample sample = {0};
    struct slice rest = slice_trim(line);
    struct slice name = {rest.ptr, name_length(rest)};
    rest = slice_from(rest, name.len);
    buf_add_slice(&series, name);
    if (!name.len || !read_labels(&rest, &series))
        return false;
    rest = slice_trim(rest);
    if (with_value ? !read_value(rest, &sample.value) : rest.len > 0)
        return false;
    sample.name = xstrndup(name.ptr, name.len);
    sample.series = xstrdup(buf_cstr(&series));
    GROW(samples->items, samples->count, samples->room);
    samples->items[samples->count++] = sample;
    return true;
}

void samples_read(struct samples *samples, struct slice text)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        if (line.len && line.ptr[0] != '#')
            (void)samples_add(samples, line, true);
    }
}

const struct sample *samples_find(const struct samples *samples, const char *series)
{
    for (size_t i = 0; i < samples->count; i++) {
        if (!strcmp(samples->items[i].series, series))
            return &samples->items[i];
    }
    return NULL;
}

bool sample_values_agree(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a >= b && a <= b ? true : fabs(a - b) <= 1e-9 * fmax(1, fmax(fabs(a), fabs(b)));
}
