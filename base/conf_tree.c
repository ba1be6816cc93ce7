/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_tree.c: nodes come from the conf's arena, their arrays from the heap.
 */
#include "base/conf_tree.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

#define ARENA_BYTES_MAX ((size_t)256 << 20)

struct conf_node *conf_node_new(struct conf *conf, enum conf_kind kind)
{
    void *nodes = conf->nodes;
    if (!mem_grow(&nodes, &conf->node_capacity, conf->node_count + 1, sizeof(void *),
                  CONF_NODES_MAX)) {
        return NULL;
    }
    conf->nodes = nodes;
    struct conf_node *node = arena_alloc(conf->arena, 1, sizeof *node);
    node->marks = arena_alloc(conf->arena, 1, sizeof *node->marks);
    node->kind = kind;
    node->conf = conf;
    node->id = (uint32_t)conf->node_count;
    conf->nodes[conf->node_count++] = node;
    return node;
}

void conf_node_adopt(struct conf_node *parent, struct conf_node *child)
{
    void *children = parent->children;
    const bool grown = mem_grow(&children, &parent->capacity, parent->count + 1,
                                sizeof(void *), CONF_NODES_MAX);
    CHECK(grown, "%zu children exceed the %d nodes of a file", parent->count + 1,
          CONF_NODES_MAX);
    parent->children = children;
    child->parent = parent;
    child->depth = parent->depth + 1;
    child->index = parent->count;
    parent->children[parent->count++] = child;
}

struct conf *conf_new(void)
{
    struct conf *conf = mem_alloc(1, sizeof *conf);
    conf->arena = arena_new(ARENA_BYTES_MAX);
    return conf;
}

void conf_delete(struct conf *conf)
{
    if (conf == NULL) {
        return;
    }
    for (size_t i = 0; i < conf->node_count; i++) {
        mem_free(conf->nodes[i]->children);
        mem_free(conf->nodes[i]->marks->asked);
    }
    mem_free(conf->nodes);
    arena_delete(conf->arena);
    mem_free(conf);
}

struct conf_node *conf_node_find(const struct conf_node *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->children[i]->key, key) == 0) {
            return map->children[i];
        }
    }
    return NULL;
}

const struct conf_node *conf_node_walk_past(const struct conf_node *top,
                                            const struct conf_node *node)
{
    while (node != top && node->index + 1 >= node->parent->count) {
        node = node->parent;
    }
    return node == top ? NULL : node->parent->children[node->index + 1];
}

const struct conf_node *conf_node_walk(const struct conf_node *top,
                                       const struct conf_node *node)
{
    return node->count > 0 ? node->children[0] : conf_node_walk_past(top, node);
}
