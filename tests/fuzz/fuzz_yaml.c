/* Configuration files: loaded and walked to the last node, or refused with a place and the line. */
#include <stdlib.h>

#include "config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every alias written out: the bounds of the loader must make this end, and soon. */
static size_t walk(const struct yaml_node *node)
{
    size_t total = 1;
    for (size_t i = 0; i < yaml_size(node); i++) {
        const struct yaml_node *child =
            yaml_is_mapping(node) ? yaml_value_at(node, i) : yaml_at(node, i);
        if (yaml_is_mapping(node)) {
            struct slice key = yaml_text(yaml_key_at(node, i));
            if (!slice_present(key) || memchr(key.ptr, 0, key.len))
                abort();
        }
        total += walk(child);
    }
    struct slice text = yaml_text(node);
    if (slice_present(text) && (text.ptr[text.len] != 0 || strlen(text.ptr) != text.len))
        abort();
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_document_tree *tree = NULL;
    struct error err = ERROR_NONE;
    struct slice bytes = {(const char *)data, size};
    if (yaml_load_bytes("f.yaml", bytes, &tree, &err) < 0) {
        if (strncmp(err.text, "f.yaml:", 7) != 0 || err.code != EXIT_CODE_USAGE)
            abort();
        return 0;
    }
    if (walk(yaml_root(tree)) > YAML_NODES_MAX)
        abort();
    if (yaml_error(yaml_root(tree), &err, "x") != -1)
        abort();
    yaml_free(tree);
    return 0;
}
