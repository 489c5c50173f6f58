/* How many events of which kind: counts by any fields, with first, last and rate. */
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/instant.h"
#include "base/memory.h"
#include "base/shown.h"
#include "base/u64map.h"
#include "cmd/events.h"
#include "json/write.h"

enum {
    GROUPS_MAX = 100000,
};

struct group {
    char *values; /* one per column, each with a NUL behind it; absent ones as "" */
    size_t len;
    uint64_t count, bytes;
    int64_t first_ns, last_ns;
};

struct stats {
    struct events_columns columns;
    struct group *groups;
    size_t group_count, group_room;
    struct u64map by_values; /* hash -> index + 1 */
    struct group rest;       /* past GROUPS_MAX */
    struct buf key;
};

static struct group *group_of(struct stats *stats, const struct events_row *row)
{
    char scratch[64];
    buf_reset(&stats->key);
    for (size_t i = 0; i < stats->columns.count; i++) {
        struct slice text = events_column_text(row, stats->columns.items[i], scratch);
        shown_add(&stats->key, slice_present(text) ? text : SLICE("-"));
        buf_add_char(&stats->key, 0);
    }
    struct slice key = buf_slice(&stats->key);
    uint64_t hash = XXH3_64bits(key.ptr, key.len);
    for (;; hash++) {
        bool fresh = false;
        uint64_t *at = u64map_get(&stats->by_values, hash);
        if (at) {
            struct group *group = &stats->groups[*at - 1];
            if (group->len == key.len && !memcmp(group->values, key.ptr, key.len))
                return group;
            continue;
        }
        if (stats->group_count == GROUPS_MAX)
            return &stats->rest;
        GROW(stats->groups, stats->group_count, stats->group_room);
        stats->groups[stats->group_count] =
            (struct group){.values = xmalloc(key.len + 1), .len = key.len};
        memcpy(stats->groups[stats->group_count].values, key.ptr, key.len);
        *u64map_put(&stats->by_values, hash, &fresh) = ++stats->group_count;
        return &stats->groups[stats->group_count - 1];
    }
}

static void count(struct stats *stats, const struct events_row *row)
{
    struct group *group = group_of(stats, row);
    int64_t at = row->input->stored_at_ns;
    if (!group->count || at < group->first_ns)
        group->first_ns = at;
    if (!group->count || at > group->last_ns)
        group->last_ns = at;
    group->count++;
    group->bytes += row->input->payload.len;
}

static int by_count(const void *a, const void *b)
{
    const struct group *left = a, *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->values, right->values, len);
    return order ? order : left->len < right->len ? -1 : left->len > right->len;
}

static const char *value_at(const struct group *group, size_t index)
{
    const char *at = group->values;
    while (index--)
        at += strlen(at) + 1;
    return at;
}

/* Events a second between the first and the last; 0 when there is no between. */
static double rate_of(const struct group *group)
{
    double seconds = (double)(group->last_ns - group->first_ns) / 1e9;
    return group->count > 1 && seconds > 0 ? (double)(group->count - 1) / seconds : 0;
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_text(const struct stats *stats, const struct group *total)
{
    size_t widths[EVENTS_COLUMNS_MAX];
    char first[INSTANT_TEXT_MAX], last[INSTANT_TEXT_MAX], number[NUMBER_TEXT_MAX];
    for (size_t c = 0; c < stats->columns.count; c++) {
        widths[c] = strlen(events_column_name(stats->columns.items[c]));
        for (size_t g = 0; g < stats->group_count; g++) {
            size_t len = strlen(value_at(&stats->groups[g], c));
            widths[c] = len > widths[c] ? len : widths[c];
        }
        (void)printf("%-*s  ", (int)widths[c], events_column_name(stats->columns.items[c]));
    }
    (void)printf("%12s  %6s  %10s  %-19s  %-19s\n", "events", "share", "per s", "first", "last");
    for (size_t g = 0; g < stats->group_count; g++) {
        const struct group *group = &stats->groups[g];
        for (size_t c = 0; c < stats->columns.count; c++)
            (void)printf("%-*s  ", (int)widths[c], value_at(group, c));
        (void)instant_format(group->first_ns, first);
        (void)instant_format(group->last_ns, last);
        (void)printf("%12s  %5.1f%%  %10.3g  %.19s  %.19s\n", number_text(group->count, number),
                     100.0 * (double)group->count / (double)total->count, rate_of(group), first,
                     last);
    }
    if (stats->rest.count)
        (void)printf("and %s events in further groups (at most %d are told apart)\n",
                     number_text(stats->rest.count, number), GROUPS_MAX);
    (void)printf("%s events, ", number_text(total->count, number));
    (void)printf("%s bytes of payload", number_text(total->bytes, number));
    (void)printf(", %s groups\n", number_text(stats->group_count, number));
}

static void print_rows(const struct stats *stats, enum events_form form)
{
    CLEANUP_BUF struct buf out = {0};
    for (size_t c = 0; form == EVENTS_CSV && c < stats->columns.count; c++)
        buf_addf(&out, "%s,", events_column_name(stats->columns.items[c]));
    if (form == EVENTS_CSV)
        buf_add_str(&out, "events,bytes,first,last\r\n");
    for (size_t g = 0; g < stats->group_count; g++) {
        const struct group *group = &stats->groups[g];
        char first[INSTANT_TEXT_MAX], last[INSTANT_TEXT_MAX];
        (void)instant_format(group->first_ns, first);
        (void)instant_format(group->last_ns, last);
        if (form == EVENTS_JSON)
            buf_add_char(&out, '{');
        for (size_t c = 0; c < stats->columns.count; c++) {
            struct slice value = slice_of(value_at(group, c));
            if (form == EVENTS_CSV) {
                events_add_csv(&out, value);
                buf_add_char(&out, ',');
            } else if (!slice_eq(value, SLICE("-"))) {
                json_add_name(&out, events_column_name(stats->columns.items[c]));
                json_add_string(&out, value);
            }
        }
        if (form == EVENTS_CSV)
            buf_addf(&out, "%llu,%llu,%s,%s\r\n", (unsigned long long)group->count,
                     (unsigned long long)group->bytes, first, last);
        else
            buf_addf(&out, "%s\"events\":%llu,\"bytes\":%llu,\"first\":\"%s\",\"last\":\"%s\"}\n",
                     out.len && out.ptr[out.len - 1] == '{' ? "" : ",",
                     (unsigned long long)group->count, (unsigned long long)group->bytes, first,
                     last);
    }
    (void)fwrite(out.ptr, 1, out.len, stdout);
}

/* --- the whole -------------------------------------------------------------------------------- */

static int count_all(struct events_run *run, struct stats *stats, struct group *total,
                     struct error *err)
{
    struct events_merge *merge = NULL;
    struct events_row row;
    struct progress progress;
    int got;
    if (events_merge_open(&run->reader, &merge, err) < 0)
        return -1;
    progress_begin(&progress, "events");
    while ((got = events_merge_next(merge, &row, err)) > 0) {
        progress_show(&progress, run->reader.read, events_merge_total(merge));
        if (!events_filter_lets(&run->reader.filter, &row))
            continue;
        count(stats, &row);
        total->count++;
        total->bytes += row.payload.len;
        if (run->values->limit && total->count >= run->values->limit)
            break;
    }
    progress_clear(&progress);
    events_merge_close(merge);
    return got < 0 ? -1 : 0;
}

int events_stats(struct events_run *run, struct error *err)
{
    struct stats stats = {0};
    struct group total = {0};
    int rc = events_columns_parse("--by", run->values->by, &stats.columns, err);
    if (rc == 0)
        rc = count_all(run, &stats, &total, err);
    if (rc == 0) {
        if (stats.group_count)
            qsort(stats.groups, stats.group_count, sizeof *stats.groups, by_count);
        if (run->printer.form == EVENTS_TEXT)
            print_text(&stats, &total);
        else
            print_rows(&stats, run->printer.form);
    }
    for (size_t i = 0; i < stats.group_count; i++)
        free(stats.groups[i].values);
    free(stats.groups);
    u64map_done(&stats.by_values);
    buf_done(&stats.key);
    return rc;
}
