/* A set of schema files: reading them in, finding them again. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/memory.h"
#include "schema/schema_internal.h"
#include "schema/uri.h"

enum { FOLDER_DEPTH_MAX = 8 };

struct schema_set *schema_set_new(const struct schema_options *options)
{
    struct schema_set *set = xcalloc(1, sizeof *set);
    set->base = xstrdup(options && options->base ? options->base : "cim-ops:/schemas/");
    set->allow_unknown = options && options->allow_unknown;
    return set;
}

static void free_file(struct schema_file *file)
{
    document_done(&file->document);
    buf_done(&file->text);
    free(file->resource_of);
    free(file->schema_of);
    free(file->path);
    free(file->name);
    free(file->uri);
    free(file);
}

void schema_set_free(struct schema_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->schema_count; i++)
        schema_free(set->schemas[i]);
    for (size_t i = 0; i < set->resource_count; i++) {
        free(set->resources[i]->anchors);
        free(set->resources[i]->uri);
        free(set->resources[i]);
    }
    for (size_t i = 0; i < set->file_count; i++)
        free_file(set->files[i]);
    free(set->schemas);
    free(set->resources);
    free(set->files);
    free(set->dynamic_names);
    free(set->base);
    free(set);
}

/* --- files ------------------------------------------------------------------------------------ */

static int parse(struct schema_file *file, struct error *err)
{
    struct json_error problem = {"", 0};
    struct json_plan *plan = json_plan_new();
    (void)json_plan_compile(plan);
    bool sound = json_extract(plan, buf_slice(&file->text), NULL, &problem);
    json_plan_free(plan);
    if (!sound) {
        size_t line = 1, column = 1;
        for (size_t i = 0; i < problem.offset && i < file->text.len; i++) {
            column = file->text.ptr[i] == '\n' ? 1 : column + 1;
            line += file->text.ptr[i] == '\n';
        }
        return error_set(err, EXIT_CODE_USAGE, "%s:%zu:%zu: not JSON: %s", file->path, line, column,
                         problem.what);
    }
    if (document_read(&file->document, buf_slice(&file->text)) != DOCUMENT_READ)
        return error_set(err, EXIT_CODE_USAGE, "%s: too large for a schema", file->path);
    return 0;
}

int schema_set_add_file(struct schema_set *set, const char *path, const char *name,
                        struct error *err)
{
    if (set->file_count == SCHEMA_FILES_MAX)
        return error_set(err, EXIT_CODE_USAGE, "%s: more than %d schema files", path,
                         SCHEMA_FILES_MAX);
    struct schema_file *file = xcalloc(1, sizeof *file);
    file->path = xstrdup(path);
    file->name = xstrdup(name);
    CLEANUP_BUF struct buf uri = {0};
    uri_resolve(slice_of(set->base), slice_of(name), &uri);
    file->uri = xstrdup(buf_cstr(&uri));
    if (file_read(path, SCHEMA_BYTES_MAX, &file->text, err) < 0 || parse(file, err) < 0) {
        err->code = EXIT_CODE_USAGE;
        free_file(file);
        return -1;
    }
    file->resource_of = xcalloc(file->document.count, sizeof(struct resource *));
    file->schema_of = xcalloc(file->document.count, sizeof(struct schema *));
    GROW(set->files, set->file_count, set->file_room);
    set->files[set->file_count++] = file;
    /* A sum, so that the order does not matter. */
    set->fingerprint +=
        XXH3_64bits_withSeed(file->text.ptr, file->text.len, XXH3_64bits(name, strlen(name)));
    return schema_index(set, file, err);
}

static int add_folder(struct schema_set *set, const char *folder, const char *prefix, int depth,
                      struct error *err);

static int add_entry(struct schema_set *set, const char *folder, const char *prefix,
                     const char *entry, int depth, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", folder, entry);
    struct stat status;
    size_t len = strlen(entry);
    if (stat(path, &status) < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot be read", path);
    if (S_ISDIR(status.st_mode)) {
        CLEANUP_FREE char *inner = xasprintf("%s%s/", prefix, entry);
        return depth == FOLDER_DEPTH_MAX
                   ? error_set(err, EXIT_CODE_USAGE, "%s: folders nested too deep", path)
                   : add_folder(set, path, inner, depth + 1, err);
    }
    if (len < 6 || strcmp(entry + len - 5, ".json") != 0)
        return 0;
    CLEANUP_FREE char *name = xasprintf("%s%s", prefix, entry);
    return schema_set_add_file(set, path, name, err);
}

static int add_folder(struct schema_set *set, const char *folder, const char *prefix, int depth,
                      struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort), rc = 0;
    if (count < 0)
        return error_set(err, EXIT_CODE_USAGE, "%s: cannot read this folder of schemas", folder);
    for (int i = 0; i < count; i++) {
        if (rc == 0 && entries[i]->d_name[0] != '.')
            rc = add_entry(set, folder, prefix, entries[i]->d_name, depth, err);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int schema_set_add_folder(struct schema_set *set, const char *folder, struct error *err)
{
    return add_folder(set, folder, "", 0, err);
}

/* --- finding ---------------------------------------------------------------------------------- */

int schema_set_compile(struct schema_set *set, struct error *err)
{
    for (size_t i = 0; i < set->file_count; i++)
        (void)schema_begin(set, set->files[i], 0);
    return schema_finish(set, err);
}

static struct schema_file *find_file(const struct schema_set *set, struct slice name)
{
    for (size_t i = 0; i < set->file_count; i++) {
        if (slice_eq(slice_of(set->files[i]->name), name))
            return set->files[i];
    }
    return NULL;
}

int schema_set_get(struct schema_set *set, const char *name, struct schema **ret, struct error *err)
{
    struct schema_file *file = find_file(set, slice_of(name));
    if (!file)
        return error_set(err, EXIT_CODE_USAGE, "there is no schema file %s", name);
    *ret = schema_begin(set, file, 0);
    return schema_finish(set, err);
}

const struct schema *schema_set_find(const struct schema_set *set, struct slice domain,
                                     struct slice event_type)
{
    CLEANUP_BUF struct buf name = {0};
    buf_add_slice(&name, domain);
    buf_add_char(&name, '/');
    buf_add_slice(&name, event_type);
    buf_add_str(&name, ".json");
    const struct schema_file *file = find_file(set, buf_slice(&name));
    return file ? file->schema_of[0] : NULL;
}

size_t schema_set_count(const struct schema_set *set)
{
    return set->file_count;
}

uint64_t schema_set_fingerprint(const struct schema_set *set)
{
    return set->fingerprint;
}
