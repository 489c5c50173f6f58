/*
 * Recursive descent into a tree of nodes in one array; leaves are conditions that the rules'
 * compiler makes, so that --where and `when:` never disagree.
 */
#include "fold/where.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "fold/expr.h"

enum node_kind {
    NODE_CONDITION,
    NODE_NOT,
    NODE_AND,
    NODE_OR,
};

struct node {
    enum node_kind kind;
    size_t left, right; /* nodes; of a condition: its index */
};

#define NODES_MAX (4 * WHERE_CONDITIONS_MAX)

struct where {
    struct rules rules; /* only its paths are used */
    struct node nodes[NODES_MAX];
    size_t node_count, root;
    struct condition_list conditions[WHERE_CONDITIONS_MAX];
    struct yaml_document_tree *texts[WHERE_CONDITIONS_MAX]; /* what the conditions point into */
    size_t condition_count;
    struct json_plan *plan;
    int *slot_of;
    struct json_value *values;
    char scratch[16384];
};

struct parser {
    struct where *where;
    const char *text, *at;
    size_t depth;
    struct error *err;
};

static int fail(const struct parser *p, const char *at, const char *what)
{
    size_t column = (size_t)(at - p->text);
    return error_set(p->err, EXIT_CODE_USAGE, "--where:%zu: %s\n  %s\n  %*s^", column + 1, what,
                     p->text, (int)column, "");
}

static void skip_blanks(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n')
        p->at++;
}

static bool is_end(char c)
{
    return !c || c == ' ' || c == '\t' || c == '\n' || c == '(' || c == ')';
}

/* Is this word next? Then it is taken. */
static bool take_word(struct parser *p, struct slice word)
{
    skip_blanks(p);
    if (strncmp(p->at, word.ptr, word.len) != 0 || !is_end(p->at[word.len]))
        return false;
    p->at += word.len;
    return true;
}

static bool take_char(struct parser *p, char c)
{
    skip_blanks(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static int add_node(struct parser *p, struct node node, size_t *ret)
{
    if (p->where->node_count == NODES_MAX)
        return fail(p, p->at, "too many conditions");
    *ret = p->where->node_count;
    p->where->nodes[p->where->node_count++] = node;
    return 0;
}

/* --- a condition ------------------------------------------------------------------------------ */

/* A word, quoted or not, appended without its quotes. */
static int operand_word(struct parser *p, const char *stops, struct buf *out)
{
    skip_blanks(p);
    if (*p->at == '"' || *p->at == '\'') {
        const char *open = p->at;
        char quote = *p->at++;
        for (; *p->at && *p->at != quote; p->at++) {
            if (*p->at == '\\' && p->at[1])
                p->at++;
            buf_add_char(out, *p->at);
        }
        if (!*p->at)
            return fail(p, open, "the quote is not closed");
        p->at++;
        return 0;
    }
    const char *begin = p->at;
    while (!is_end(*p->at) && !strchr(stops, *p->at))
        buf_add_char(out, *p->at++);
    return p->at == begin ? fail(p, begin, "a value was expected") : 0;
}

/* A, B, C: with or without parentheses around. */
static int operand_list(struct parser *p, struct buf *out)
{
    bool parentheses = take_char(p, '(');
    do {
        if (out->len)
            buf_add_str(out, ", ");
        skip_blanks(p);
        const char *begin = p->at;
        size_t before = out->len;
        if (operand_word(p, ",", out) < 0)
            return -1;
        for (size_t i = before == 0 ? 0 : before; i < out->len; i++) {
            if (out->ptr[i] == ',' && (*begin == '"' || *begin == '\''))
                return fail(p, begin, "a comma inside an item of a list is not supported; use ~");
        }
    } while (take_char(p, ','));
    if (parentheses && !take_char(p, ')'))
        return fail(p, p->at, "a comma or ) was expected");
    return 0;
}

static int take_operator(struct parser *p, struct buf *out)
{
    skip_blanks(p);
    const char *begin = p->at;
    if (strchr("=!<>~", *p->at) && *p->at) {
        while (*p->at && strchr("=!<>~", *p->at))
            buf_add_char(out, *p->at++);
    } else {
        while (!is_end(*p->at))
            buf_add_char(out, *p->at++);
    }
    return out->len
               ? 0
               : fail(p, begin,
                      "an operator was expected: == != ~ !~ in not-in exists absent > >= < <=");
}

/* One list with one condition, as the rules' files would hold it. */
static int compile_condition(struct parser *p, const char *begin, struct slice text, size_t *ret)
{
    struct where *where = p->where;
    struct error cause = ERROR_NONE;
    CLEANUP_BUF struct buf quoted = {0};
    if (where->condition_count == WHERE_CONDITIONS_MAX)
        return fail(p, begin, "too many conditions");
    buf_add_char(&quoted, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            buf_add_char(&quoted, '\'');
        buf_add_char(&quoted, text.ptr[i]);
    }
    buf_add_char(&quoted, '\'');
    size_t index = where->condition_count;
    int rc = yaml_load_bytes("--where", buf_slice(&quoted), &where->texts[index], &cause);
    if (rc == 0) {
        where->condition_count++;
        rc = condition_list_compile(&where->rules, yaml_root(where->texts[index]),
                                    &where->conditions[index], &cause);
    }
    if (rc < 0) {
        /* "--where:1:1: what\n  the line\n  ^": the place is ours to say, the what is theirs. */
        char *what = cause.text, *line_end = strchr(cause.text, '\n');
        if (line_end)
            *line_end = 0;
        for (int colons = 0; colons < 3 && strchr(what, ':'); colons++)
            what = strchr(what, ':') + 1;
        return fail(p, begin, what + (*what == ' '));
    }
    if (where->conditions[index].items[0].expr.kind == EXPR_REMEMBERED)
        return fail(p, begin, "$remembered is for rules only: a filter sees one event at a time");
    return add_node(p, (struct node){NODE_CONDITION, index, 0}, ret);
}

static int condition(struct parser *p, size_t *ret)
{
    CLEANUP_BUF struct buf text = {0}, word = {0}, operand = {0};
    skip_blanks(p);
    const char *begin = p->at;
    if (*p->at != '$')
        return fail(p, begin, "a condition such as $event_type == PolicyCreated was expected");
    while (!is_end(*p->at) && !strchr("=!<>~", *p->at))
        buf_add_char(&text, *p->at++);
    if (take_operator(p, &word) < 0)
        return -1;
    struct slice name = buf_slice(&word);
    bool bare = slice_eq(name, SLICE("exists")) || slice_eq(name, SLICE("absent"));
    bool list = slice_eq(name, SLICE("in")) || slice_eq(name, SLICE("not-in"));
    if (!bare && (list ? operand_list(p, &operand) : operand_word(p, "", &operand)) < 0)
        return -1;
    buf_addf(&text, " %.*s", SLICE_ARG(name));
    if (!bare) {
        buf_add_char(&text, ' ');
        buf_add_slice(&text, buf_slice(&operand));
    }
    return compile_condition(p, begin, buf_slice(&text), ret);
}

/* --- what stands around conditions ------------------------------------------------------------ */

static int any_of(struct parser *p, size_t *ret);

static int factor(struct parser *p, size_t *ret)
{
    if (p->depth == WHERE_DEPTH_MAX)
        return fail(p, p->at, "nested too deep");
    p->depth++;
    int rc;
    if (take_word(p, SLICE("not"))) {
        size_t inner = 0;
        rc = factor(p, &inner);
        if (rc == 0)
            rc = add_node(p, (struct node){NODE_NOT, inner, 0}, ret);
    } else if (take_char(p, '(')) {
        const char *open = p->at - 1;
        rc = any_of(p, ret);
        if (rc == 0 && !take_char(p, ')'))
            rc = fail(p, *p->at ? p->at : open,
                      *p->at ? "`and`, `or` or ) was expected" : "this ( is not closed");
    } else {
        rc = condition(p, ret);
    }
    p->depth--;
    return rc;
}

static int all_of(struct parser *p, size_t *ret)
{
    int rc = factor(p, ret);
    while (rc == 0 && take_word(p, SLICE("and"))) {
        size_t left = *ret, right = 0;
        rc = factor(p, &right);
        if (rc == 0)
            rc = add_node(p, (struct node){NODE_AND, left, right}, ret);
    }
    return rc;
}

static int any_of(struct parser *p, size_t *ret)
{
    int rc = all_of(p, ret);
    while (rc == 0 && take_word(p, SLICE("or"))) {
        size_t left = *ret, right = 0;
        rc = all_of(p, &right);
        if (rc == 0)
            rc = add_node(p, (struct node){NODE_OR, left, right}, ret);
    }
    return rc;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int make_plan(struct where *where, struct error *err)
{
    if (!where->rules.path_count)
        return 0;
    where->plan = json_plan_new();
    where->slot_of = xcalloc(where->rules.path_count, sizeof *where->slot_of);
    for (size_t i = 0; i < where->rules.path_count; i++)
        where->slot_of[i] = json_plan_add(where->plan, slice_of(where->rules.paths[i]));
    if (!json_plan_compile(where->plan))
        return error_set(err, EXIT_CODE_USAGE, "--where: its paths with * overlap too much");
    where->values = xcalloc(json_plan_slots(where->plan), sizeof *where->values);
    return 0;
}

int where_compile(const char *text, struct where **ret, struct error *err)
{
    struct where *where = xcalloc(1, sizeof *where);
    struct parser p = {where, text, text, 0, err};
    int rc = any_of(&p, &where->root);
    skip_blanks(&p);
    if (rc == 0 && *p.at)
        rc = fail(&p, p.at, "`and`, `or` or the end was expected");
    if (rc == 0)
        rc = make_plan(where, err);
    if (rc < 0)
        where_free(where);
    else
        *ret = where;
    return rc;
}

void where_free(struct where *where)
{
    if (!where)
        return;
    for (size_t i = 0; i < where->condition_count; i++) {
        condition_list_done(&where->conditions[i]);
        yaml_free(where->texts[i]);
    }
    for (size_t i = 0; i < where->rules.path_count; i++)
        free(where->rules.paths[i]);
    free(where->rules.paths);
    json_plan_free(where->plan);
    free(where->slot_of);
    free(where->values);
    free(where);
}

static bool node_holds(struct where *where, struct eval *eval, const struct node *node)
{
    switch (node->kind) {
    case NODE_CONDITION: return conditions_hold(eval, &where->conditions[node->left]);
    case NODE_NOT: return !node_holds(where, eval, &where->nodes[node->left]);
    case NODE_AND:
        return node_holds(where, eval, &where->nodes[node->left]) &&
               node_holds(where, eval, &where->nodes[node->right]);
    case NODE_OR:
        return node_holds(where, eval, &where->nodes[node->left]) ||
               node_holds(where, eval, &where->nodes[node->right]);
    }
    return false;
}

bool where_holds(struct where *where, const struct event_input *input, struct slice payload,
                 const struct event_view *view)
{
    struct json_error problem;
    struct eval eval = {.input = input,
                        .view = view,
                        .slot_of = where->slot_of,
                        .rules = &where->rules,
                        .scratch = where->scratch,
                        .scratch_room = sizeof where->scratch};
    eval_split_subject(&eval);
    if (where->plan && json_extract(where->plan, payload, where->values, &problem))
        eval.values = where->values;
    return node_holds(where, &eval, &where->nodes[where->root]);
}
