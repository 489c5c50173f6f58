/* Is it right? Counts, order and digests, aggregate by aggregate. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "act/replay/replay_internal.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/shown.h"
#include "json/write.h"

enum { SHOWN_MAX = 20 };

/* --- the selection ---------------------------------------------------------------------------- */

struct digesting {
    struct replay *replay;
    struct digest *digest;
    struct feed feed;
    struct buf name;
};

static int add_event(void *context, const struct replay_event *event, struct error *err)
{
    struct digesting *digesting = context;
    buf_reset(&digesting->name);
    replay_aggregate_name(&event->row, &digesting->name);
    struct digest_event one = {
        .key = event->aggregate,
        .name = buf_slice(&digesting->name),
        .stream = slice_of(digesting->replay->selection.streams[event->stream].name),
        .subject = event->subject,
        .payload = event->payload,
        .seq = event->seq};
    return digest_add(digesting->digest, &one, err);
}

static int look(void *context, struct error *err)
{
    struct digesting *digesting = context;
    struct replay *replay = digesting->replay;
    (void)err;
    progress_show(&replay->progress, digesting->feed.passed, replay->expected);
    return replay_is_stopped(replay);
}

static int digest_selection(struct replay *replay, struct digest *digest, struct error *err)
{
    struct digesting digesting = {.replay = replay, .digest = digest};
    uint64_t *read = xcalloc(replay->selection.stream_count + 1, sizeof *read);
    digesting.feed = (struct feed){.selection = &replay->selection,
                                   .with_views = true,
                                   .read = read,
                                   .each = add_event,
                                   .idle = look,
                                   .context = &digesting};
    if (!replay->options->quiet)
        progress_begin(&replay->progress, "messages");
    int rc = feed_run(&digesting.feed, err);
    progress_clear(&replay->progress);
    free(read);
    buf_done(&digesting.name);
    return rc > 0 ? error_set(err, EXIT_CODE_DAMAGED, "interrupted") : rc;
}

int verify_selection(struct replay *replay, struct digest *digest, struct error *err)
{
    int rc = digest_selection(replay, digest, err);
    digest_sort(digest);
    return rc;
}

/* --- differences ------------------------------------------------------------------------------ */

static int read_back(struct replay *replay, struct digest *digest, struct error *err)
{
    int rc = replay->target.kind->read_back(&replay->target, digest, err);
    digest_sort(digest);
    return rc;
}

/* Once more with a trace of those that differ. */
static int trace(struct replay *replay, const struct digest_difference *differences, size_t count,
                 struct digest *a, struct digest *b, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        bool fresh;
        uint64_t key = differences[i].a ? differences[i].a->key : differences[i].b->key;
        (void)u64map_put(&a->traced, key, &fresh);
        (void)u64map_put(&b->traced, key, &fresh);
    }
    return verify_selection(replay, a, err) < 0 ? -1 : read_back(replay, b, err);
}

static void show_difference(const struct digest_difference *difference)
{
    const struct digest_entry *a = difference->a, *b = difference->b;
    CLEANUP_BUF struct buf name = {0};
    shown_add(&name, slice_of(a ? a->name : b->name));
    unsigned long long at = a && b ? digest_parting(a, b) : a ? a->first : b->first;
    (void)printf("  %s: ", buf_cstr(&name));
    if (!b)
        (void)printf("missing in the target, %llu events from sequence %llu on\n",
                     (unsigned long long)a->count, at);
    else if (!a)
        (void)printf("only in the target, %llu events from sequence %llu on\n",
                     (unsigned long long)b->count, at);
    else
        (void)printf("%llu events, %llu in the target; the first difference is at sequence %llu\n",
                     (unsigned long long)a->count, (unsigned long long)b->count, at);
}

static int show_differences(struct replay *replay, const struct digest_difference *differences,
                            size_t count, struct error *err)
{
    struct digest a = {0}, b = {0};
    struct digest_difference *found = xcalloc(DIGEST_TRACED_MAX, sizeof *found);
    size_t traced = count < DIGEST_TRACED_MAX ? count : DIGEST_TRACED_MAX;
    int rc = trace(replay, differences, traced, &a, &b, err);
    if (rc == 0) {
        size_t again = digest_compare(&a, &b, found, DIGEST_TRACED_MAX);
        for (size_t i = 0; i < again && i < SHOWN_MAX; i++)
            show_difference(&found[i]);
        if (count > SHOWN_MAX)
            (void)printf("  and %zu more\n", count - SHOWN_MAX);
    }
    free(found);
    digest_done(&a);
    digest_done(&b);
    return rc;
}

static int compare(struct replay *replay, const struct digest *a, const struct digest *b,
                   struct error *err)
{
    char total_a[DIGEST_TEXT_MAX], total_b[DIGEST_TEXT_MAX], n[NUMBER_TEXT_MAX], m[NUMBER_TEXT_MAX];
    struct digest_difference *differences = xcalloc(DIGEST_TRACED_MAX, sizeof *differences);
    size_t count = digest_compare(a, b, differences, DIGEST_TRACED_MAX);
    int rc = 0;
    digest_total(a, total_a);
    digest_total(b, total_b);
    if (!count) {
        (void)printf("verified: %s events of %s aggregates are the same, in the same order; digest "
                     "%.16s\n",
                     number_text(a->events, n), number_text(a->count, m), total_a);
    } else {
        (void)printf("different: %zu aggregates; %s events chosen, %s in the target\n", count,
                     number_text(a->events, n), number_text(b->events, m));
        rc = show_differences(replay, differences, count, err);
        if (rc == 0)
            rc = error_set(err, EXIT_CODE_PROBLEM, "the target is not what was chosen");
    }
    free(differences);
    return rc;
}

int verify_target(struct replay *replay, struct error *err)
{
    struct digest a = {0}, b = {0};
    if (replay->target.kind->verify)
        return replay->target.kind->verify(&replay->target, err);
    if (!replay->target.kind->read_back)
        return error_set(err, EXIT_CODE_USAGE, "%s:%s keeps nothing that could be verified",
                         replay->target.kind->name, replay->target.where);
    int rc = verify_selection(replay, &a, err);
    if (rc == 0)
        rc = read_back(replay, &b, err);
    if (rc == 0)
        rc = compare(replay, &a, &b, err);
    digest_done(&a);
    digest_done(&b);
    return rc;
}

/* --- checksums in a file ---------------------------------------------------------------------- */

static void add_entry(struct buf *out, const struct digest_entry *entry)
{
    char text[DIGEST_TEXT_MAX];
    digest_text(entry->chain, text);
    buf_add_str(out, "{\"aggregate\":");
    json_add_string(out, slice_of(entry->name));
    buf_addf(out, ",\"events\":%llu,\"first\":%llu,\"last\":%llu,\"digest\":\"%s\"}\n",
             (unsigned long long)entry->count, (unsigned long long)entry->first,
             (unsigned long long)entry->last, text);
}

static void add_head(struct buf *out, const struct replay *replay, const struct digest *digest)
{
    char total[DIGEST_TEXT_MAX];
    digest_total(digest, total);
    json_t *root =
        json_pack("{s:s, s:i, s:I, s:I, s:s, s:o}", "cim_ops", "replay checksum", "version", 1,
                  "events", (json_int_t)digest->events, "aggregates", (json_int_t)digest->count,
                  "digest", total, "selection", selection_to_json(&replay->selection));
    char *text = json_dumps(root, JSON_COMPACT);
    buf_addf(out, "%s\n", text);
    free(text);
    json_decref(root);
}

static int write_checksums(const struct replay *replay, const struct digest *digest,
                           const char *path, struct error *err)
{
    struct file_atomic file = {0};
    CLEANUP_BUF struct buf out = {0};
    bool to_stdout = !path || !strcmp(path, "-");
    int rc = to_stdout ? 0 : file_atomic_begin(&file, path, 0644, err);
    add_head(&out, replay, digest);
    for (size_t i = 0; rc == 0 && i <= digest->count; i++) {
        if (i < digest->count)
            add_entry(&out, &digest->entries[i]);
        if (i < digest->count && out.len < 1 << 16)
            continue;
        if (to_stdout)
            (void)fwrite(out.ptr, 1, out.len, stdout);
        else
            rc = file_atomic_add(&file, buf_slice(&out), err);
        buf_reset(&out);
    }
    if (rc == 0 && !to_stdout)
        rc = file_atomic_commit(&file, err);
    file_atomic_done(&file);
    return rc;
}

int replay_checksum(const struct replay_options *options, const char *path, struct error *err)
{
    struct replay replay = {.options = options};
    struct digest digest = {0};
    char total[DIGEST_TEXT_MAX], n[NUMBER_TEXT_MAX], m[NUMBER_TEXT_MAX];
    int rc = selection_open(&replay.selection, &options->wanted, &options->nats, options->rules_dir,
                            options->stopped, err);
    for (size_t i = 0; i < replay.selection.stream_count; i++)
        replay.expected += replay.selection.streams[i].messages;
    if (rc == 0)
        rc = verify_selection(&replay, &digest, err);
    if (rc == 0 && !digest.events)
        rc = error_set(err, EXIT_CODE_PROBLEM, "no event fits the selection");
    if (rc == 0)
        rc = write_checksums(&replay, &digest, path, err);
    if (rc == 0 && path && strcmp(path, "-") != 0) {
        digest_total(&digest, total);
        (void)printf("%s events of %s aggregates, digest %s\n", number_text(digest.events, n),
                     number_text(digest.count, m), total);
    }
    digest_done(&digest);
    selection_close(&replay.selection);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}

/* --- against such a file ---------------------------------------------------------------------- */

static bool read_hex(const char *text, uint8_t ret[static DIGEST_BYTES])
{
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        unsigned byte;
        if (!text || sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        ret[i] = (uint8_t)byte;
    }
    return true;
}

static int read_entry(const char *path, size_t line, struct slice text, struct digest *ret,
                      struct error *err)
{
    json_t *root = json_loadb(text.ptr, text.len, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "aggregate"));
    const char *digest = json_string_value(json_object_get(root, "digest"));
    struct digest_entry entry = {
        .count = (uint64_t)json_integer_value(json_object_get(root, "events")),
        .first = (uint64_t)json_integer_value(json_object_get(root, "first")),
        .last = (uint64_t)json_integer_value(json_object_get(root, "last"))};
    int rc = 0;
    if (!name || !digest || strlen(digest) != DIGEST_TEXT_MAX - 1 ||
        !read_hex(digest, entry.chain)) {
        rc = error_set(err, EXIT_CODE_DAMAGED, "%s:%zu: no line of 'replay checksum'", path, line);
    } else {
        entry.name = xstrdup(name);
        GROW(ret->entries, ret->count, ret->room);
        ret->entries[ret->count++] = entry;
        ret->events += entry.count;
    }
    json_decref(root);
    return rc;
}

/* `json_t` of the first line, and the entries. */
static int read_checksums(const char *path, json_t **ret_head, struct digest *ret,
                          struct error *err)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t len;
    int rc = 0;
    if (!file)
        return error_set(err, EXIT_CODE_USAGE, "%s: %s", path, strerror(errno));
    while (rc == 0 && (len = getline(&line, &room, file)) > 0) {
        if (!number++)
            *ret_head = json_loadb(line, (size_t)len, 0, NULL);
        else
            rc = read_entry(path, number, (struct slice){line, (size_t)len}, ret, err);
    }
    const char *what = json_string_value(json_object_get(*ret_head, "cim_ops"));
    json_t *streams = json_object_get(json_object_get(*ret_head, "selection"), "streams");
    if (rc == 0 && what && !json_array_size(streams))
        rc =
            error_set(err, EXIT_CODE_DAMAGED, "%s:1: it does not say of which streams it is", path);
    if (rc == 0 && (!what || strcmp(what, "replay checksum") != 0))
        rc = error_set(err, EXIT_CODE_USAGE, "%s:1: no file of 'replay checksum'", path);
    if (rc == 0 &&
        json_integer_value(json_object_get(*ret_head, "aggregates")) != (json_int_t)ret->count)
        rc = error_set(err, EXIT_CODE_DAMAGED, "%s: lines are missing: %zu of %lld aggregates",
                       path, ret->count,
                       (long long)json_integer_value(json_object_get(*ret_head, "aggregates")));
    free(line);
    (void)fclose(file);
    return rc;
}

/* Keys are not in the file; names are what is compared. */
static void forget_keys(struct digest *digest)
{
    for (size_t i = 0; i < digest->count; i++)
        digest->entries[i].key = 0;
    digest_sort(digest);
}

static int compare_with_file(struct digest *now, struct digest *then, struct error *err)
{
    struct digest_difference *found = xcalloc(SHOWN_MAX, sizeof *found);
    char n[NUMBER_TEXT_MAX], m[NUMBER_TEXT_MAX];
    forget_keys(now);
    forget_keys(then);
    size_t count = digest_compare(then, now, found, SHOWN_MAX);
    if (!count)
        (void)printf("verified: %s events of %s aggregates are as they were\n",
                     number_text(now->events, n), number_text(now->count, m));
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++) {
        const struct digest_entry *a = found[i].a, *b = found[i].b;
        CLEANUP_BUF struct buf name = {0};
        shown_add(&name, slice_of(a ? a->name : b->name));
        (void)printf("  %s: %llu events then, %llu now%s\n", buf_cstr(&name),
                     a ? (unsigned long long)a->count : 0, b ? (unsigned long long)b->count : 0,
                     a && b && a->count == b->count ? ", of other content or order" : "");
    }
    free(found);
    return count ? error_set(err, EXIT_CODE_PROBLEM, "%zu aggregates are not as they were", count)
                 : 0;
}

static int verify_file(const struct replay_options *options, const char *path, struct error *err)
{
    struct replay replay = {.options = options};
    struct digest then = {0}, now = {0};
    json_t *head = NULL;
    int rc = read_checksums(path, &head, &then, err);
    if (rc == 0)
        rc = selection_reopen(&replay.selection, json_object_get(head, "selection"), &options->nats,
                              options->rules_dir, options->stopped, err);
    for (size_t i = 0; i < replay.selection.stream_count; i++)
        replay.expected += replay.selection.streams[i].messages;
    if (rc == 0)
        rc = verify_selection(&replay, &now, err);
    if (rc == 0)
        rc = compare_with_file(&now, &then, err);
    digest_done(&then);
    digest_done(&now);
    if (head)
        selection_close(&replay.selection);
    json_decref(head);
    return rc;
}

static int verify_recorded(const struct replay_options *options, const char *id, struct error *err)
{
    struct replay_options own = *options;
    struct replay replay = {0};
    int rc = replay_open_recorded(&replay, &own, id, err);
    replay.looking = true;
    /* Behind the cut a follower went on as far as its record says. */
    for (size_t i = 0; rc == 0 && own.follow && i < replay.selection.stream_count; i++) {
        struct selection_stream *stream = &replay.selection.streams[i];
        if (replay.positions[i] > stream->cut + 1)
            stream->cut = replay.positions[i] - 1;
    }
    if (rc == 0)
        rc = replay.target.kind->open(&replay.target,
                                      json_object_get(replay.record.root, "target_state"), err);
    if (rc == 0)
        rc = verify_target(&replay, err);
    replay_close(&replay);
    return rc;
}

int replay_verify(const struct replay_options *options, const char *what, struct error *err)
{
    struct stat is;
    bool is_file = strchr(what, '/') || stat(what, &is) == 0;
    int rc = is_file ? verify_file(options, what, err) : verify_recorded(options, what, err);
    return rc == 0 ? EXIT_CODE_DONE : (int)err->code;
}
