#include "fold/expr.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

size_t rules_path(struct rules *rules, struct slice path)
{
    for (size_t i = 0; i < rules->path_count; i++) {
        if (slice_eq(slice_of(rules->paths[i]), path))
            return i;
    }
    rules->paths = xrealloc(rules->paths, rules->path_count + 1, sizeof *rules->paths);
    rules->paths[rules->path_count] = xstrndup(path.ptr, path.len);
    return rules->path_count++;
}

static const struct {
    struct slice name;
    enum transform_kind kind;
    bool wants_text;
} transform_names[] = {
    {SLICE("pascal"), TRANSFORM_PASCAL, false}, {SLICE("lower"), TRANSFORM_LOWER, false},
    {SLICE("strip"), TRANSFORM_STRIP, true},    {SLICE("prefix"), TRANSFORM_PREFIX, true},
    {SLICE("type"), TRANSFORM_TYPE, false},
};

static int compile_transform(const struct yaml_node *node, struct slice text, struct expr *ret,
                             struct error *err)
{
    struct slice rest = slice_trim(text), name = SLICE_ABSENT;
    (void)slice_cut(&rest, ' ', &name);
    for (size_t i = 0; i < ARRAY_LEN(transform_names); i++) {
        if (!slice_eq(name, transform_names[i].name))
            continue;
        struct slice argument = slice_present(rest) ? slice_trim(rest) : SLICE_ABSENT;
        if (transform_names[i].wants_text != (argument.len > 0))
            return yaml_error(node, err, "'| %.*s' %s", SLICE_ARG(name),
                              transform_names[i].wants_text ? "wants a text behind it"
                                                            : "takes nothing behind it");
        if (ret->transform_count == TRANSFORMS_MAX)
            return yaml_error(node, err, "more than %d transforms", TRANSFORMS_MAX);
        ret->transforms[ret->transform_count++] =
            (struct transform){transform_names[i].kind, argument};
        return 0;
    }
    return yaml_error(
        node, err,
        "unknown transform '%.*s'; pascal, lower, strip TEXT, prefix TEXT and type exist",
        SLICE_ARG(name));
}

/* A number of at most two digits, negative ones too; *text moves behind it. */
static bool cut_index(struct slice *text, int *ret)
{
    bool minus = text->len && text->ptr[0] == '-';
    size_t at = minus, digits = 0;
    int value = 0;
    for (; at < text->len && text->ptr[at] >= '0' && text->ptr[at] <= '9'; at++, digits++)
        value = digits < 2 ? value * 10 + (text->ptr[at] - '0') : SUBJECT_TOKENS_MAX;
    *text = slice_from(*text, at);
    *ret = minus ? -value : value;
    return digits && value < SUBJECT_TOKENS_MAX && !(minus && !value);
}

/* text: "subject[2]", "subject[-1]", "subject[2:]" or "subject[1:-1]" */
static int compile_subject(const struct yaml_node *node, struct slice text, struct expr *ret,
                           struct error *err)
{
    struct slice rest = slice_from(text, strlen("subject["));
    bool sound = cut_index(&rest, &ret->token);
    ret->kind = EXPR_SUBJECT;
    ret->to_end = slice_eq(rest, SLICE(":]"));
    if (sound && !ret->to_end && slice_starts(rest, SLICE(":"))) {
        rest = slice_from(rest, 1);
        sound = cut_index(&rest, &ret->token_end) && ret->token_end != 0 &&
                (ret->token < 0 || ret->token_end < 0 || ret->token < ret->token_end);
    }
    if (!sound || (!ret->to_end && !slice_eq(rest, SLICE("]"))))
        return yaml_error(
            node, err, "'$%.*s': $subject[N], $subject[N:] or $subject[N:M] was expected, below %d",
            SLICE_ARG(text), SUBJECT_TOKENS_MAX);
    return 0;
}

/* json/extract.h, "Paths". */
static int compile_path(struct rules *rules, const struct yaml_node *node, struct slice path,
                        struct expr *ret, struct error *err)
{
    struct slice rest = path, name;
    size_t segments = 0;
    ret->kind = EXPR_PAYLOAD;
    while (path.len && slice_cut(&rest, '.', &name)) {
        segments++;
        if (!name.len || (slice_eq(name, SLICE("#")) && slice_present(rest)))
            return yaml_error(node, err, "'%.*s' is no path: %s", SLICE_ARG(path),
                              name.len ? "'#' stands only at the end" : "a name is empty");
    }
    if (segments > JSON_SEGMENTS_MAX)
        return yaml_error(node, err, "a path of more than %d names", JSON_SEGMENTS_MAX);
    ret->path = rules_path(rules, path);
    return 0;
}

static bool cut_prefix(struct slice *text, struct slice prefix)
{
    if (!slice_starts(*text, prefix))
        return false;
    *text = slice_from(*text, prefix.len);
    return true;
}

static int compile_reference(struct rules *rules, const struct yaml_node *node, struct slice text,
                             struct expr *ret, struct error *err)
{
    struct slice rest = text;
    enum event_field field = event_field_find(text);
    if (field != EVENT_FIELDS) {
        ret->kind = EXPR_FIELD;
        ret->field = field;
    } else if (slice_starts(text, SLICE("subject["))) {
        return compile_subject(node, text, ret, err);
    } else if (cut_prefix(&rest, SLICE("header.")) && rest.len) {
        ret->kind = EXPR_HEADER;
        ret->text = rest;
    } else if (cut_prefix(&rest, SLICE("payload.")) && rest.len) {
        return compile_path(rules, node, rest, ret, err);
    } else if (slice_eq(text, SLICE("text")) || cut_prefix(&rest, SLICE("text.")) ||
               slice_eq(text, SLICE("raw")) || cut_prefix(&rest, SLICE("raw."))) {
        ret->text_only = text.ptr[0] == 't';
        ret->as_written = text.ptr[0] == 'r';
        return compile_path(rules, node, rest.ptr == text.ptr ? SLICE("") : rest, ret, err);
    } else if (slice_eq(text, SLICE("key")) || slice_eq(text, SLICE("tag"))) {
        ret->tag_only = text.ptr[0] == 't';
        return compile_path(rules, node, SLICE("#"), ret, err);
    } else if ((cut_prefix(&rest, SLICE("key.")) || cut_prefix(&rest, SLICE("tag."))) && rest.len) {
        CLEANUP_FREE char *path = xasprintf("%.*s.#", SLICE_ARG(rest));
        ret->tag_only = text.ptr[0] == 't';
        return compile_path(rules, node, slice_of(path), ret, err);
    } else if (cut_prefix(&rest, SLICE("remembered.")) && rest.len) {
        ret->kind = EXPR_REMEMBERED;
        ret->text = rest;
    } else if (slice_eq(text, SLICE("stored_at"))) {
        ret->kind = EXPR_STORED_AT;
    } else if (slice_eq(text, SLICE("delay"))) {
        ret->kind = EXPR_DELAY;
    } else {
        return yaml_error(
            node, err,
            "unknown reference '$%.*s'; a field of the event view, $subject[N], "
            "$header.NAME, $payload.PATH, $key.PATH, $tag.PATH, $text.PATH, $stored_at, $delay or "
            "$remembered.NAME was expected",
            SLICE_ARG(text));
    }
    return 0;
}

/* `text` is a part of the node's own text, so it lives as long as the rule files. */
static int compile_text(struct rules *rules, const struct yaml_node *node, struct slice text,
                        struct expr *ret, struct error *err)
{
    *ret = (struct expr){.kind = EXPR_CONSTANT, .text = text};
    if (text.len == 0)
        return yaml_error(node, err, "an expression was expected, this is empty");
    if (text.ptr[0] != '$')
        return 0;
    struct slice rest = text, part;
    (void)slice_cut(&rest, '|', &part);
    if (compile_reference(rules, node, slice_trim(slice_from(part, 1)), ret, err) < 0)
        return -1;
    while (slice_cut(&rest, '|', &part)) {
        if (compile_transform(node, part, ret, err) < 0)
            return -1;
    }
    return 0;
}

int expr_compile(struct rules *rules, const struct yaml_node *node, struct expr *ret,
                 struct error *err)
{
    if (!yaml_is_scalar(node))
        return yaml_error(node, err, "an expression was expected");
    return compile_text(rules, node, slice_trim(yaml_text(node)), ret, err);
}

int expr_list_compile(struct rules *rules, const struct yaml_node *node, struct expr_list *ret,
                      struct error *err)
{
    bool many = yaml_is_sequence(node);
    if (yaml_is_mapping(node))
        return rewrite_compile(rules, node, ret, err);
    ret->count = many ? yaml_size(node) : 1;
    ret->items = xcalloc(ret->count + 1, sizeof *ret->items);
    for (size_t i = 0; i < ret->count; i++) {
        if (expr_compile(rules, many ? yaml_at(node, i) : node, &ret->items[i], err) < 0)
            return -1;
    }
    return 0;
}

void expr_list_done(struct expr_list *list)
{
    free(list->items);
    rewrite_free(list->rewrite);
    *list = (struct expr_list){0};
}

bool expr_is_class(const struct expr *expr)
{
    return expr->kind == EXPR_CONSTANT ||
           (expr->kind == EXPR_FIELD && expr->field < EVENT_CLASS_FIELDS);
}

static const struct {
    struct slice word;
    enum condition_kind kind;
} operators[] = {
    {SLICE("=="), CONDITION_EQ},         {SLICE("!="), CONDITION_NE},
    {SLICE("~"), CONDITION_MATCH},       {SLICE("!~"), CONDITION_NO_MATCH},
    {SLICE("in"), CONDITION_IN},         {SLICE("not-in"), CONDITION_NOT_IN},
    {SLICE("exists"), CONDITION_EXISTS}, {SLICE("absent"), CONDITION_ABSENT},
    {SLICE(">"), CONDITION_GT},          {SLICE(">="), CONDITION_GE},
    {SLICE("<"), CONDITION_LT},          {SLICE("<="), CONDITION_LE},
};

/* Sets ret->kind last, so that only a compiled regular expression is ever freed. */
static int compile_operand(const struct yaml_node *node, enum condition_kind kind,
                           struct condition *ret, struct error *err)
{
    CLEANUP_FREE char *copy = xstrndup(ret->operand.ptr, ret->operand.len);
    bool bare = kind == CONDITION_EXISTS || kind == CONDITION_ABSENT;
    if (bare != (copy[0] == 0))
        return yaml_error(node, err,
                          bare ? "nothing may stand behind exists or absent"
                               : "a value was expected behind the operator");
    if (kind == CONDITION_MATCH || kind == CONDITION_NO_MATCH) {
        char text[128];
        int code = regcomp(&ret->regex, copy, REG_EXTENDED | REG_NOSUB);
        if (code) {
            (void)regerror(code, &ret->regex, text, sizeof text);
            return yaml_error(node, err, "not an extended regular expression: %s", text);
        }
    }
    if (kind >= CONDITION_GT) {
        struct json_value number = {.raw = ret->operand, .type = JSON_TYPE_NUMBER};
        if (!json_number(&number, &ret->number))
            return yaml_error(node, err, "'%s' is not a number", copy);
    }
    ret->kind = kind;
    return 0;
}

static int compile_condition(struct rules *rules, const struct yaml_node *node,
                             struct condition *ret, struct error *err)
{
    struct slice rest = slice_trim(yaml_text(node)), left = SLICE_ABSENT, word = SLICE_ABSENT;
    *ret = (struct condition){.kind = CONDITION_EXISTS};
    if (!yaml_is_scalar(node) || !slice_cut(&rest, ' ', &left) || !slice_present(rest))
        return yaml_error(node, err,
                          "a condition was expected, such as: $event_type == PolicyCreated");
    if (left.len == 0 || left.ptr[0] != '$')
        return yaml_error(node, err, "a condition begins with a reference such as $event_type");
    if (compile_text(rules, node, left, &ret->expr, err) < 0)
        return -1;
    rest = slice_trim(rest);
    (void)slice_cut(&rest, ' ', &word);
    ret->operand = slice_present(rest) ? slice_trim(rest) : SLICE_ABSENT;
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (slice_eq(word, operators[i].word))
            return compile_operand(node, operators[i].kind, ret, err);
    }
    return yaml_error(node, err,
                      "unknown operator '%.*s'; == != ~ !~ in not-in exists absent > >= < <= exist",
                      SLICE_ARG(word));
}

int condition_list_compile(struct rules *rules, const struct yaml_node *node,
                           struct condition_list *ret, struct error *err)
{
    bool many = yaml_is_sequence(node);
    size_t count = many ? yaml_size(node) : 1;
    ret->items = xcalloc(count + 1, sizeof *ret->items);
    ret->class_only = true;
    for (size_t i = 0; i < count; i++) {
        struct condition *item = &ret->items[ret->count];
        int rc = compile_condition(rules, many ? yaml_at(node, i) : node, item, err);
        ret->count++;
        if (rc < 0)
            return -1;
        ret->class_only = ret->class_only && expr_is_class(&item->expr);
    }
    return 0;
}

void condition_list_done(struct condition_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind == CONDITION_MATCH || list->items[i].kind == CONDITION_NO_MATCH)
            regfree(&list->items[i].regex);
    }
    free(list->items);
    *list = (struct condition_list){0};
}

int filter_list_compile(const struct yaml_node *node, struct filter_list *ret, struct error *err)
{
    bool many = yaml_is_sequence(node);
    ret->count = many ? yaml_size(node) : 1;
    ret->items = xcalloc(ret->count + 1, sizeof *ret->items);
    for (size_t i = 0; i < ret->count; i++) {
        const struct yaml_node *item = many ? yaml_at(node, i) : node;
        struct slice rest = yaml_text(item), token;
        if (!yaml_is_scalar(item) || !rest.len)
            return yaml_error(item, err, "a subject filter was expected, such as events.policy.>");
        ret->items[i] = rest;
        while (slice_cut(&rest, '.', &token)) {
            if (!token.len || (slice_eq(token, SLICE(">")) && slice_present(rest)))
                return yaml_error(item, err, "not a subject filter: %s",
                                  token.len ? "'>' stands only at the end" : "an empty token");
        }
    }
    return 0;
}
