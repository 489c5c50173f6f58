#include "config/yaml.h"

#include <stdio.h>
#include <yaml.h>

#include "base/file.h"
#include "base/memory.h"

struct yaml_node {
    struct yaml_document_tree *tree;
    yaml_node_t *node;
};

struct yaml_document_tree {
    char *name;
    struct buf bytes;
    yaml_document_t document;
    struct yaml_node *nodes; /* by libyaml's id - 1 */
};

static void describe(const char *name, struct slice bytes, size_t line, size_t column,
                     const char *text, struct error *err)
{
    struct slice rest = bytes, current = SLICE_ABSENT;
    for (size_t i = 0; i <= line && slice_cut(&rest, '\n', &current); i++) {
    }
    if (current.len > 160)
        current.len = 160;
    int caret = (int)(column < current.len ? column : current.len);
    (void)error_set(err, EXIT_CODE_USAGE, "%s:%zu:%zu: %s\n    %.*s\n    %*s^", name, line + 1,
                    column + 1, text, SLICE_ARG(current), caret, "");
}

int yaml_error(const struct yaml_node *node, struct error *err, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    yaml_mark_t mark = node->node->start_mark;
    describe(node->tree->name, buf_slice(&node->tree->bytes), mark.line, mark.column, text, err);
    return -1;
}

static int refuse_duplicate_keys(struct yaml_document_tree *tree, struct error *err)
{
    size_t count = (size_t)(tree->document.nodes.top - tree->document.nodes.start);
    for (size_t n = 0; n < count; n++) {
        const struct yaml_node *node = &tree->nodes[n];
        for (size_t i = 0; yaml_is_mapping(node) && i < yaml_size(node); i++) {
            const struct yaml_node *key = yaml_key_at(node, i);
            if (!yaml_is_scalar(key))
                return yaml_error(key, err, "a key must be plain text");
            if (yaml_get(node, yaml_text(key).ptr) != yaml_value_at(node, i))
                return yaml_error(key, err, "the key '%.*s' stands twice in this mapping",
                                  SLICE_ARG(yaml_text(key)));
        }
    }
    return 0;
}

static int parse(struct yaml_document_tree *tree, struct error *err)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, EXIT_CODE_INTERNAL, "libyaml: cannot start");
    yaml_parser_set_input_string(&parser, (const unsigned char *)buf_slice(&tree->bytes).ptr,
                                 tree->bytes.len);
    int ok = yaml_parser_load(&parser, &tree->document);
    if (!ok)
        describe(tree->name, buf_slice(&tree->bytes), parser.problem_mark.line,
                 parser.problem_mark.column, parser.problem ? parser.problem : "not YAML", err);
    yaml_parser_delete(&parser);
    return ok ? 0 : -1;
}

int yaml_load_bytes(const char *name, struct slice bytes, struct yaml_document_tree **ret,
                    struct error *err)
{
    struct yaml_document_tree *tree = xcalloc(1, sizeof *tree);
    tree->name = xstrdup(name);
    buf_add_slice(&tree->bytes, bytes);
    if (parse(tree, err) < 0) {
        buf_done(&tree->bytes);
        free(tree->name);
        free(tree);
        return -1;
    }
    size_t count = (size_t)(tree->document.nodes.top - tree->document.nodes.start);
    tree->nodes = xcalloc(count + 1, sizeof *tree->nodes);
    for (size_t i = 0; i < count; i++)
        tree->nodes[i] = (struct yaml_node){tree, tree->document.nodes.start + i};
    if (count == 0) {
        describe(name, bytes, 0, 0, "the file is empty; a mapping was expected", err);
        yaml_free(tree);
        return -1;
    }
    if (refuse_duplicate_keys(tree, err) < 0) {
        yaml_free(tree);
        return -1;
    }
    *ret = tree;
    return 0;
}

int yaml_load_file(const char *path, struct yaml_document_tree **ret, struct error *err)
{
    CLEANUP_BUF struct buf bytes = {0};
    if (file_read(path, YAML_BYTES_MAX, &bytes, err) < 0)
        return -1;
    return yaml_load_bytes(path, buf_slice(&bytes), ret, err);
}

void yaml_free(struct yaml_document_tree *tree)
{
    if (!tree)
        return;
    yaml_document_delete(&tree->document);
    buf_done(&tree->bytes);
    free(tree->nodes);
    free(tree->name);
    free(tree);
}

const struct yaml_node *yaml_root(const struct yaml_document_tree *tree)
{
    return &tree->nodes[0];
}

static const struct yaml_node *by_id(const struct yaml_node *sibling, int id)
{
    return &sibling->tree->nodes[id - 1];
}

bool yaml_is_scalar(const struct yaml_node *node)
{
    return node->node->type == YAML_SCALAR_NODE;
}

bool yaml_is_sequence(const struct yaml_node *node)
{
    return node->node->type == YAML_SEQUENCE_NODE;
}

bool yaml_is_mapping(const struct yaml_node *node)
{
    return node->node->type == YAML_MAPPING_NODE;
}

struct slice yaml_text(const struct yaml_node *node)
{
    if (!yaml_is_scalar(node))
        return SLICE_ABSENT;
    return (struct slice){(const char *)node->node->data.scalar.value,
                          node->node->data.scalar.length};
}

size_t yaml_size(const struct yaml_node *node)
{
    if (yaml_is_sequence(node))
        return (size_t)(node->node->data.sequence.items.top -
                        node->node->data.sequence.items.start);
    if (yaml_is_mapping(node))
        return (size_t)(node->node->data.mapping.pairs.top - node->node->data.mapping.pairs.start);
    return 0;
}

const struct yaml_node *yaml_at(const struct yaml_node *sequence, size_t index)
{
    return by_id(sequence, sequence->node->data.sequence.items.start[index]);
}

const struct yaml_node *yaml_key_at(const struct yaml_node *mapping, size_t index)
{
    return by_id(mapping, mapping->node->data.mapping.pairs.start[index].key);
}

const struct yaml_node *yaml_value_at(const struct yaml_node *mapping, size_t index)
{
    return by_id(mapping, mapping->node->data.mapping.pairs.start[index].value);
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
    for (size_t i = 0; yaml_is_mapping(mapping) && i < yaml_size(mapping); i++) {
        if (slice_eq(yaml_text(yaml_key_at(mapping, i)), slice_of(key)))
            return yaml_value_at(mapping, i);
    }
    return NULL;
}
