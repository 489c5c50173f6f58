#include "config/yaml.h"

#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <yaml.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/u64map.h"
#include "base/utf8.h"

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
    current = utf8_cut(current, 160);
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

void yaml_add_place(const struct yaml_node *node, struct buf *ret)
{
    buf_addf(ret, "%s:%zu", node->tree->name, node->node->start_mark.line + 1);
}

/* --- what libyaml lets through ---------------------------------------------------------------- */

static int refuse_duplicates_in(const struct yaml_node *node, struct error *err)
{
    struct u64map seen = {0}; /* hash of a key -> where it stands */
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < yaml_size(node); i++) {
        const struct yaml_node *key = yaml_key_at(node, i);
        struct slice text = yaml_text(key);
        bool fresh;
        if (!yaml_is_scalar(key)) {
            rc = yaml_error(key, err, "a key must be plain text");
            break;
        }
        uint64_t *place = u64map_put(&seen, XXH3_64bits(text.ptr, text.len), &fresh);
        if (!fresh && slice_eq(yaml_text(yaml_key_at(node, (size_t)*place)), text))
            rc = yaml_error(key, err, "the key '%.*s' stands twice in this mapping",
                            SLICE_ARG(text));
        *place = i;
    }
    u64map_done(&seen);
    return rc;
}

/* What lies below a node, itself included, with every alias written out. */
struct extent {
    size_t nodes, depth; /* nodes 0: not measured yet; SIZE_MAX: being measured */
};

/*
 * An anchor stands before its aliases, so that an alias finds its extent in `extents`; only the
 * nesting of the file itself is followed down, and that is bounded already. False: refused, err
 * says why.
 */
static bool measure(const struct yaml_node *node, struct extent *extents, struct error *err)
{
    struct extent *extent = &extents[node - node->tree->nodes], total = {1, 1};
    bool pairs = yaml_is_mapping(node);
    if (extent->nodes == SIZE_MAX)
        return yaml_error(node, err, "an alias inside its own anchor") == 0;
    if (extent->nodes)
        return true;
    extent->nodes = SIZE_MAX;
    for (size_t i = 0; i < yaml_size(node); i++) {
        const struct yaml_node *child = pairs ? yaml_value_at(node, i) : yaml_at(node, i);
        if (!measure(child, extents, err))
            return false;
        struct extent below = extents[child - child->tree->nodes];
        total.nodes += below.nodes + pairs;
        total.depth = below.depth + 1 > total.depth ? below.depth + 1 : total.depth;
        if (total.nodes > YAML_NODES_MAX)
            return yaml_error(node, err, "more than %d values once its aliases are written out",
                              YAML_NODES_MAX) == 0;
        if (total.depth > YAML_DEPTH_MAX)
            return yaml_error(node, err, "nested too deep once its aliases are written out") == 0;
    }
    *extent = total;
    return true;
}

static int check_tree(struct yaml_document_tree *tree, struct error *err)
{
    size_t count = (size_t)(tree->document.nodes.top - tree->document.nodes.start);
    CLEANUP_FREE struct extent *extents = xcalloc(count, sizeof *extents);
    for (size_t n = 0; n < count; n++) {
        const struct yaml_node *node = &tree->nodes[n];
        struct slice text = yaml_text(node);
        if (text.len && memchr(text.ptr, 0, text.len))
            return yaml_error(node, err, "a text may not hold a NUL character");
        if (yaml_is_mapping(node) && refuse_duplicates_in(node, err) < 0)
            return -1;
    }
    return measure(yaml_root(tree), extents, err) ? 0 : -1;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* libyaml tells only the offset of a byte that it cannot read. */
static void describe_offset(const char *name, struct slice bytes, size_t offset, const char *text,
                            struct error *err)
{
    size_t line = 0, column = 0;
    for (size_t i = 0; i < offset && i < bytes.len; i++) {
        column = bytes.ptr[i] == '\n' ? 0 : column + 1;
        line += bytes.ptr[i] == '\n';
    }
    describe(name, bytes, line, column, text, err);
}

static int complain(const struct yaml_document_tree *tree, const yaml_parser_t *parser,
                    struct error *err)
{
    const char *text = parser->problem ? parser->problem : "not YAML";
    struct slice bytes = buf_slice(&tree->bytes);
    if (parser->error == YAML_READER_ERROR)
        describe_offset(tree->name, bytes, parser->problem_offset, text, err);
    else
        describe(tree->name, bytes, parser->problem_mark.line, parser->problem_mark.column, text,
                 err);
    return -1;
}

struct bounds {
    size_t depth, documents, anchors;
};

/* NULL, or which bound this event breaks. */
static const char *note_event(struct bounds *bounds, const yaml_event_t *event)
{
    const unsigned char *anchor = NULL;
    if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT) {
        bounds->depth++;
        anchor = event->type == YAML_MAPPING_START_EVENT ? event->data.mapping_start.anchor
                                                         : event->data.sequence_start.anchor;
    } else if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT) {
        bounds->depth--;
    } else if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
    } else if (event->type == YAML_DOCUMENT_START_EVENT) {
        bounds->documents++;
    }
    bounds->anchors += anchor != NULL;
    if (bounds->depth > YAML_DEPTH_MAX)
        return "nested too deep";
    if (bounds->documents > 1)
        return "a second document begins here; one was expected";
    return bounds->anchors > YAML_ANCHORS_MAX ? "too many anchors" : NULL;
}

/*
 * Looks at the events before any tree is built: over nesting and anchors libyaml's own loader takes
 * quadratic time.
 */
static int check_bounds(const struct yaml_document_tree *tree, yaml_parser_t *parser,
                        struct error *err)
{
    struct bounds bounds = {0};
    const char *broken = NULL;
    for (bool more = true; more && !broken;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return complain(tree, parser, err);
        broken = note_event(&bounds, &event);
        if (broken)
            describe(tree->name, buf_slice(&tree->bytes), event.start_mark.line,
                     event.start_mark.column, broken, err);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return broken ? -1 : 0;
}

static int with_parser(struct yaml_document_tree *tree, bool only_bounds, struct error *err)
{
    yaml_parser_t parser;
    int rc = 0;
    if (!yaml_parser_initialize(&parser))
        return error_set(err, EXIT_CODE_INTERNAL, "libyaml: cannot start");
    struct slice bytes = buf_slice(&tree->bytes);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes.ptr, bytes.len);
    if (only_bounds)
        rc = check_bounds(tree, &parser, err);
    else if (!yaml_parser_load(&parser, &tree->document))
        rc = complain(tree, &parser, err);
    yaml_parser_delete(&parser);
    return rc;
}

static int parse(struct yaml_document_tree *tree, struct error *err)
{
    return with_parser(tree, true, err) < 0 ? -1 : with_parser(tree, false, err);
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
    if (check_tree(tree, err) < 0) {
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

bool yaml_is_plain(const struct yaml_node *node)
{
    return yaml_is_scalar(node) && node->node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
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
    for (size_t i = 0; mapping && yaml_is_mapping(mapping) && i < yaml_size(mapping); i++) {
        if (slice_eq(yaml_text(yaml_key_at(mapping, i)), slice_of(key)))
            return yaml_value_at(mapping, i);
    }
    return NULL;
}

int yaml_check_keys(const struct yaml_node *node, const char *const *known, size_t count,
                    const char *what, struct error *err)
{
    if (!yaml_is_mapping(node))
        return yaml_error(node, err, "%s was expected: a mapping", what);
    for (size_t i = 0; i < yaml_size(node); i++) {
        struct slice key = yaml_text(yaml_key_at(node, i));
        size_t k = 0;
        while (k < count && !slice_eq(key, slice_of(known[k])))
            k++;
        if (k < count)
            continue;
        char list[256] = "";
        size_t used = 0;
        for (k = 0; k < count && used < sizeof list; k++)
            used +=
                (size_t)snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", known[k]);
        return yaml_error(yaml_key_at(node, i), err, "unknown key '%.*s' in %s; known: %s",
                          SLICE_ARG(key), what, list);
    }
    return 0;
}
