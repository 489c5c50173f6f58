/* For siblings in src/json only: the compiled trie of a plan. */
#pragma once

#include "json/extract.h"

#define JSON_NODE_NONE UINT32_MAX

struct json_edge {
    struct slice name;
    uint32_t node;
};

struct json_node {
    struct json_edge *edges;
    size_t edge_count, edge_room;
    uint32_t any;    /* the node for members without an edge of their own */
    uint16_t *slots; /* filled with this node's value */
    size_t slot_count, slot_room;
    uint16_t *tag_slots; /* filled with the first member's name */
    size_t tag_count, tag_room;
};

struct json_plan {
    struct json_node *nodes; /* 0 is the root */
    size_t node_count, node_room;
    char **paths;
    size_t path_count, path_room;
    bool compiled;
};
