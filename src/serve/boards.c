#include "serve/boards.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "serve/assets.h"

/* What is known of one dashboard; `json` NULL: it is none. */
struct board {
    const char *file; /* without its folder */
    bool shipped;
    struct buf bytes;
    json_t *json;
    char problem[256];
};

/* False ends the walk. */
typedef bool each_board(void *context, const struct board *board);

static const char *uid_of(const struct board *board, char scratch[static 256])
{
    json_t *inner = json_object_get(board->json, "dashboard"); /* as Grafana's API wraps it */
    json_t *object = inner ? inner : board->json;
    const char *uid = json_string_value(json_object_get(object, "uid"));
    if (!uid || !*uid) /* schema version 2 */
        uid = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
    if (uid && *uid)
        return uid;
    (void)snprintf(scratch, 256, "%s", board->file);
    char *dot = strrchr(scratch, '.');
    if (dot)
        *dot = 0;
    return scratch;
}

static void parse(struct board *board)
{
    json_error_t problem;
    board->json = json_loadb(board->bytes.ptr ? board->bytes.ptr : "", board->bytes.len,
                             JSON_ALLOW_NUL, &problem);
    if (!board->json)
        (void)snprintf(board->problem, sizeof board->problem, "%s line %d: %s", board->file,
                       problem.line, problem.text);
    else if (!json_is_object(board->json))
        (void)snprintf(board->problem, sizeof board->problem,
                       "%s: a dashboard's JSON object was expected", board->file);
}

static bool hand_over(struct board *board, each_board *each, void *context)
{
    if (!board->problem[0])
        parse(board);
    bool go_on = each(context, board);
    json_decref(board->json);
    buf_done(&board->bytes);
    return go_on;
}

static bool is_json(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && name[0] != '.' && !strcmp(name + len - 5, ".json");
}

struct walk {
    each_board *each;
    void *context;
    size_t left;
};

static bool walk_folder(struct walk *walk, const char *path, unsigned depth)
{
    DIR *dir = opendir(path);
    bool go_on = true;
    for (struct dirent *entry; dir && go_on && walk->left && (entry = readdir(dir));) {
        CLEANUP_FREE char *full = xasprintf("%s/%s", path, entry->d_name);
        struct stat info;
        if (entry->d_name[0] == '.' || stat(full, &info) < 0)
            continue;
        if (S_ISDIR(info.st_mode) && depth < BOARD_DEPTH_MAX)
            go_on = walk_folder(walk, full, depth + 1);
        if (!S_ISREG(info.st_mode) || !is_json(entry->d_name))
            continue;
        struct board board = {.file = entry->d_name};
        struct error err = ERROR_NONE;
        walk->left--;
        if (file_read(full, BOARD_BYTES_MAX, &board.bytes, &err) < 0)
            (void)snprintf(board.problem, sizeof board.problem, "%.200s", err.text);
        go_on = hand_over(&board, walk->each, walk->context);
    }
    if (dir)
        (void)closedir(dir);
    return go_on;
}

/* The site's own first, so that they win. */
static void each_of(const struct boards *boards, each_board *each, void *context)
{
    struct walk walk = {each, context, BOARDS_MAX};
    for (size_t i = 0; i < boards->folder_count; i++) {
        if (!walk_folder(&walk, boards->folders[i], 0))
            return;
    }
    for (size_t i = 0; i < asset_count; i++) {
        if (strncmp(assets[i].name, "dashboards/", 11) != 0)
            continue;
        struct board board = {.file = assets[i].name + 11, .shipped = true};
        asset_plain(&assets[i], &board.bytes);
        if (!hand_over(&board, each, context))
            return;
    }
}

int boards_check(const struct boards *boards, struct error *err)
{
    for (size_t i = 0; i < boards->folder_count; i++) {
        DIR *dir = opendir(boards->folders[i]);
        if (!dir)
            return error_set(err, EXIT_CODE_USAGE,
                             "--dashboards: %s: a folder that can be read was expected",
                             boards->folders[i]);
        (void)closedir(dir);
    }
    return 0;
}

/* --- the list --------------------------------------------------------------------------------- */

static bool add_to_list(void *context, const struct board *board)
{
    json_t *list = context;
    char scratch[256];
    const char *uid = uid_of(board, scratch);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!strcmp(json_string_value(json_object_get(json_array_get(list, i), "uid")), uid))
            return true; /* the site's own hides it */
    }
    json_t *inner = json_object_get(board->json, "dashboard");
    json_t *object = inner ? inner : board->json;
    json_t *spec = json_object_get(object, "spec");
    json_t *title = json_object_get(spec ? spec : object, "title");
    json_t *tags = json_object_get(spec ? spec : object, "tags");
    json_t *entry = json_pack(
        "{s:s, s:s, s:O, s:b}", "uid", uid, "title",
        json_is_string(title) && json_string_length(title) ? json_string_value(title) : uid, "tags",
        json_is_array(tags) ? tags : json_null(), "shipped", board->shipped);
    if (!entry)
        return true;
    if (!json_is_array(tags))
        (void)json_object_set_new(entry, "tags", json_array());
    if (board->problem[0])
        (void)json_object_set_new(entry, "problem", json_string(board->problem));
    (void)json_array_append_new(list, entry);
    return true;
}

static int by_title(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    return strcmp(json_string_value(json_object_get(x, "title")),
                  json_string_value(json_object_get(y, "title")));
}

void boards_list(const struct boards *boards, struct buf *ret)
{
    json_t *list = json_array();
    each_of(boards, add_to_list, list);
    size_t count = json_array_size(list);
    json_t **items = xcalloc(count + 1, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = json_array_get(list, i);
    qsort(items, count, sizeof *items, by_title);
    json_t *sorted = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append(sorted, items[i]);
    CLEANUP_FREE char *text = json_dumps(sorted, JSON_COMPACT);
    buf_add_str(ret, text ? text : "[]");
    free(items);
    json_decref(sorted);
    json_decref(list);
}

/* --- one -------------------------------------------------------------------------------------- */

struct wanted {
    const char *uid;
    struct buf *ret;
    bool found;
    char problem[256];
};

static bool take_wanted(void *context, const struct board *board)
{
    struct wanted *wanted = context;
    char scratch[256];
    if (strcmp(uid_of(board, scratch), wanted->uid) != 0)
        return true;
    wanted->found = true;
    memcpy(wanted->problem, board->problem, sizeof wanted->problem);
    if (!board->problem[0])
        buf_add_slice(wanted->ret, buf_slice(&board->bytes));
    return false;
}

int boards_get(const struct boards *boards, const char *uid, struct buf *ret, struct error *err)
{
    struct wanted wanted = {.uid = uid, .ret = ret};
    each_of(boards, take_wanted, &wanted);
    if (!wanted.found)
        return error_set(err, EXIT_CODE_PROBLEM, "there is no dashboard '%.100s'", uid);
    if (wanted.problem[0])
        return error_set(err, EXIT_CODE_DAMAGED, "%s", wanted.problem);
    return 0;
}
