/*
 * yaml: configuration and rule files, read with the place of every value kept.
 *
 * A thin tree over libyaml's document. Every complaint names file, line and column, shows the line
 * itself and says what was expected: yaml_error() builds that text. Aliases are resolved by
 * libyaml; merge keys (`<<`) are not. Refused: duplicate keys in a mapping, a second document, an
 * alias inside its own anchor, a NUL in a text. Nodes and their texts live as long as the tree.
 * Texts are NUL-terminated. Bounded: YAML_BYTES_MAX of a file, YAML_ANCHORS_MAX, and YAML_DEPTH_MAX
 * of nesting and YAML_NODES_MAX with every alias written out, so that walking a tree ends soon.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define YAML_BYTES_MAX   (4u << 20)
#define YAML_DEPTH_MAX   64
#define YAML_ANCHORS_MAX 1000
#define YAML_NODES_MAX   2000000

struct yaml_document_tree;
struct yaml_node;

int yaml_load_file(const char *path, struct yaml_document_tree **ret, struct error *err);
/* `name` stands for the file in errors; the bytes are copied. */
int yaml_load_bytes(const char *name, struct slice bytes, struct yaml_document_tree **ret,
                    struct error *err);
void yaml_free(struct yaml_document_tree *tree);

const struct yaml_node *yaml_root(const struct yaml_document_tree *tree);
bool yaml_is_scalar(const struct yaml_node *node);
bool yaml_is_sequence(const struct yaml_node *node);
bool yaml_is_mapping(const struct yaml_node *node);
/* A scalar without quotes: what may be a number, true, false or null. */
bool yaml_is_plain(const struct yaml_node *node);
struct slice yaml_text(const struct yaml_node *node); /* of a scalar; absent for others */

size_t yaml_size(const struct yaml_node *node); /* items, or pairs */
const struct yaml_node *yaml_at(const struct yaml_node *sequence, size_t index);
const struct yaml_node *yaml_key_at(const struct yaml_node *mapping, size_t index);
const struct yaml_node *yaml_value_at(const struct yaml_node *mapping, size_t index);
/* NULL when the node is NULL or no mapping or has no such key. */
const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key);

/* Sets err (EXIT_CODE_USAGE) to "<file>:<line>:<column>: <text>" and the line with a caret below.
 */
int yaml_error(const struct yaml_node *node, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "<file>:<line>" of the node, for reports. */
void yaml_add_place(const struct yaml_node *node, struct buf *ret);
/* A mapping, and no key in it but those known; `what` names it in the complaint. */
int yaml_check_keys(const struct yaml_node *node, const char *const *known, size_t count,
                    const char *what, struct error *err);
