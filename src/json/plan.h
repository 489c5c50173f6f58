/* For siblings in src/json only: the compiled trie of a plan. */
#pragma once

#include "json/extract.h"

#define JSON_NODE_NONE UINT32_MAX

/* A name's first and last eight bytes, zeros behind what is shorter: they and its length tell names
 * of up to 16 bytes apart, longer ones nearly always. */
struct json_edge {
    struct slice name;
    uint64_t first, last;
    uint32_t node;
    uint16_t next; /* edge of the same hash + 1; 0: none */
};

struct json_node {
    struct json_edge *edges;
    size_t edge_count, edge_room;
    uint16_t
        *table; /* made by json_plan_compile(): hash of a name -> its first edge + 1; 0: none */
    uint32_t table_shift;
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

static inline uint32_t json_name_hash(uint64_t first, size_t len, uint32_t shift)
{
    return (uint32_t)(((first ^ len) * UINT64_C(0x9e3779b97f4a7c15)) >> shift);
}

/*
 * The node for a member of this name inside an object at `node`. `first` and `last` are as in an
 * edge: the caller knows how far it may read.
 */
static inline uint32_t json_plan_child(const struct json_node *node, struct slice name,
                                       uint64_t first, uint64_t last)
{
    size_t at = node->table ? node->table[json_name_hash(first, name.len, node->table_shift)] : 0;
    while (at) {
        const struct json_edge *edge = &node->edges[at - 1];
        if (edge->first == first && edge->last == last && edge->name.len == name.len &&
            (name.len <= 16 || memcmp(edge->name.ptr, name.ptr, name.len) == 0))
            return edge->node;
        at = edge->next;
    }
    return node->any;
}

/* Up to eight bytes of a name, zeros behind them. */
static inline uint64_t json_name_bytes(const char *at, size_t len)
{
    uint64_t bytes = 0;
    memcpy(&bytes, at, len < 8 ? len : 8);
    return bytes;
}

static inline uint64_t json_name_first(struct slice name)
{
    return json_name_bytes(name.ptr, name.len);
}

/* Of names longer than eight; 0 for the others, which `first` holds whole. */
static inline uint64_t json_name_last(struct slice name)
{
    return name.len > 8 ? json_name_bytes(name.ptr + name.len - 8, 8) : 0;
}
