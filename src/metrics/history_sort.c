/* Changes in order: a stable merge sort in memory, runs in an unlinked file, merged by a heap. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "metrics/history_internal.h"

enum { WINDOW = 4096, INSERTION = 16 };

/* --- in memory -------------------------------------------------------------------------------- */

static void insert_sort(struct change *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct change moving = items[i];
        size_t at = i;
        for (; at && change_before(&moving, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = moving;
    }
}

static void merge(struct change *items, size_t middle, size_t count, struct change *spare)
{
    if (!change_before(&items[middle], &items[middle - 1]))
        return; /* the usual case: events come in the order of their times */
    memcpy(spare, items, middle * sizeof *items);
    for (size_t left = 0, right = middle, to = 0; left < middle; to++)
        items[to] = right < count && change_before(&items[right], &spare[left]) ? items[right++]
                                                                                : spare[left++];
}

static void merge_sort(struct change *items, size_t count, struct change *spare)
{
    for (size_t i = 0; i < count; i += INSERTION)
        insert_sort(items + i, count - i < INSERTION ? count - i : INSERTION);
    for (size_t width = INSERTION; width < count; width *= 2) {
        for (size_t i = 0; i + width < count; i += 2 * width)
            merge(items + i, width, count - i < 2 * width ? count - i : 2 * width, spare);
    }
}

static uint64_t place_family(uint64_t place)
{
    return place >> SERIES_BITS & ((1u << FAMILY_BITS) - 1);
}

/* Changes of one part at one step become one. */
static void combine(struct changes *changes)
{
    size_t kept = 0;
    for (size_t i = 0; i < changes->count; i++) {
        struct change *last = kept ? &changes->items[kept - 1] : NULL;
        const struct change *item = &changes->items[i];
        if (!last || change_before(last, item)) {
            changes->items[kept++] = *item;
            continue;
        }
        switch (changes->ways[place_family(item->place)]) {
        case WAY_SET: last->amount = item->amount; break;
        case WAY_MAX:
            last->amount = item->amount > last->amount ? item->amount : last->amount;
            break;
        case WAY_ADD: last->amount += item->amount; break;
        }
    }
    changes->count = kept;
}

static void sort_memory(struct changes *changes)
{
    merge_sort(changes->items, changes->count, changes->spare);
    combine(changes);
}

/* --- on disk ---------------------------------------------------------------------------------- */

static int no_room(const struct changes *changes, struct error *err)
{
    return error_set(err, EXIT_CODE_INTERNAL, "%s: a temporary file cannot be written: %s",
                     changes->temp_dir, strerror(errno));
}

static int open_file(struct changes *changes, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/cim-ops-history-XXXXXX", changes->temp_dir);
    changes->fd = mkostemp(path, O_CLOEXEC);
    if (changes->fd < 0)
        return no_room(changes, err);
    (void)unlink(path);
    return 0;
}

static int spill(struct changes *changes, struct error *err)
{
    const char *bytes = (const char *)changes->items;
    size_t left = changes->count * sizeof *changes->items;
    uint64_t at = changes->spilled * sizeof *changes->items;
    if (changes->fd < 0 && open_file(changes, err) < 0)
        return -1;
    while (left) {
        ssize_t put = pwrite(changes->fd, bytes, left, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return no_room(changes, err);
        bytes += put;
        at += (uint64_t)put;
        left -= (size_t)put;
    }
    GROW(changes->runs, changes->run_count, changes->run_room);
    changes->runs[changes->run_count++] =
        (struct run){.at = changes->spilled, .left = changes->count};
    changes->spilled += changes->count;
    changes->count = 0;
    return 0;
}

static int fill(struct changes *changes, struct run *run, struct error *err)
{
    size_t want = run->left < WINDOW ? run->left : WINDOW, got = 0;
    if (!run->window)
        run->window = xcalloc(WINDOW, sizeof *run->window);
    while (got < want * sizeof *run->window) {
        ssize_t part =
            pread(changes->fd, (char *)run->window + got, want * sizeof *run->window - got,
                  (off_t)(run->at * sizeof *run->window + got));
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return error_set(err, EXIT_CODE_INTERNAL, "%s: a temporary file cannot be read: %s",
                             changes->temp_dir, strerror(errno));
        got += (size_t)part;
    }
    run->window_count = want;
    run->window_used = 0;
    run->at += want;
    run->left -= want;
    return 0;
}

/* --- the heap of runs ------------------------------------------------------------------------- */

static const struct change *first_of(const struct changes *changes, size_t run)
{
    return &changes->runs[run].window[changes->runs[run].window_used];
}

/* Equal ones in the order of the runs, which is that of the fold. */
static bool heap_before(const struct changes *changes, size_t a, size_t b)
{
    const struct change *left = first_of(changes, a), *right = first_of(changes, b);
    if (change_before(left, right))
        return true;
    return !change_before(right, left) && a < b;
}

static void sift_down(struct changes *changes, size_t at)
{
    size_t *heap = changes->heap;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < changes->heap_count; child++)
            least = heap_before(changes, heap[child], heap[least]) ? child : least;
        if (least == at)
            return;
        size_t moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

/* --- for siblings ----------------------------------------------------------------------------- */

int changes_add(struct changes *changes, struct change change, struct error *err)
{
    if (!changes->items) {
        changes->items = xcalloc(changes->room, sizeof *changes->items);
        changes->spare = xcalloc(changes->room, sizeof *changes->spare);
    }
    if (changes->count == changes->room) {
        sort_memory(changes);
        if (changes->count > changes->room / 2 && spill(changes, err) < 0)
            return -1;
    }
    changes->items[changes->count++] = change;
    return 0;
}

int changes_sort(struct changes *changes, struct error *err)
{
    sort_memory(changes);
    changes->heap = xcalloc(changes->run_count + 1, sizeof *changes->heap);
    for (size_t i = 0; i < changes->run_count; i++) {
        if (fill(changes, &changes->runs[i], err) < 0)
            return -1;
        changes->heap[changes->heap_count++] = i;
    }
    if (changes->count) { /* what is in memory is the last run */
        GROW(changes->runs, changes->run_count, changes->run_room);
        changes->runs[changes->run_count] =
            (struct run){.window = changes->items, .window_count = changes->count};
        changes->heap[changes->heap_count++] = changes->run_count++;
    }
    for (size_t i = changes->heap_count; i-- > 0;)
        sift_down(changes, i);
    return 0;
}

const struct change *changes_peek(const struct changes *changes)
{
    return changes->heap_count ? first_of(changes, changes->heap[0]) : NULL;
}

int changes_take(struct changes *changes, struct error *err)
{
    struct run *run = &changes->runs[changes->heap[0]];
    run->window_used++;
    if (run->window_used == run->window_count) {
        if (run->left && fill(changes, run, err) < 0)
            return -1;
        if (run->window_used)
            changes->heap[0] = changes->heap[--changes->heap_count];
    }
    sift_down(changes, 0);
    return 0;
}

void changes_done(struct changes *changes)
{
    for (size_t i = 0; i < changes->run_count; i++) {
        if (changes->runs[i].window != changes->items)
            free(changes->runs[i].window);
    }
    free(changes->items);
    free(changes->spare);
    free(changes->runs);
    free(changes->heap);
    free(changes->ways);
    if (changes->fd >= 0)
        (void)close(changes->fd);
}
