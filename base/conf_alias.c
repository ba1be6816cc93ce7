/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_alias.c: names of nodes, copies of trees, and maps merged into maps.
 */
#include "base/conf_alias.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#include <string.h>

/* Which keys a merge meets: found by hash, since a map may have a hundred thousand. */
struct conf_anchors {
    struct map *index; /* document and name -> place in the arrays */
    const char **names;
    struct conf_node **nodes;
    size_t count;
    size_t name_capacity;
    size_t node_capacity;
};

struct conf_anchors *conf_anchors_new(void)
{
    struct conf_anchors *anchors = mem_alloc(1, sizeof *anchors);
    anchors->index = map_new(0, CONF_NODES_MAX);
    return anchors;
}

void conf_anchors_delete(struct conf_anchors *anchors)
{
    if (anchors != NULL) {
        map_delete(anchors->index);
        mem_free(anchors->names);
        mem_free(anchors->nodes);
        mem_free(anchors);
    }
}

void conf_anchors_put(struct conf_anchors *anchors, uint32_t document, const char *name,
                      struct conf_node *node)
{
    void *names = anchors->names;
    void *nodes = anchors->nodes;
    /* Every anchor has a node of its own, whose number is bounded. */
    (void)mem_grow(&names, &anchors->name_capacity, anchors->count + 1, sizeof(char *),
                   CONF_NODES_MAX);
    (void)mem_grow(&nodes, &anchors->node_capacity, anchors->count + 1, sizeof(void *),
                   CONF_NODES_MAX);
    anchors->names = names;
    anchors->nodes = nodes;
    anchors->names[anchors->count] = arena_strdup(node->conf->arena, name);
    anchors->nodes[anchors->count] = node;
    map_put(anchors->index, hash_xxh64(name, strlen(name), document),
            (uint32_t)anchors->count++);
}

struct conf_node *conf_anchors_find(const struct conf_anchors *anchors,
                                    uint32_t document, const char *name)
{
    uint32_t place = 0;
    if (!map_get(anchors->index, hash_xxh64(name, strlen(name), document), &place) ||
        strcmp(anchors->names[place], name) != 0) {
        return NULL;
    }
    return anchors->nodes[place];
}

/* All of a node but its place in a tree. */
static struct conf_node *copy_one(const struct conf_node *source, const char **what)
{
    struct conf_node *copy = conf_node_new(source->conf, source->kind);
    if (copy == NULL) {
        *what = "more than 200000 values, those counted that aliases (*name) repeat; "
                "write less";
        return NULL;
    }
    copy->quoted = source->quoted;
    copy->line = source->line;
    copy->origin = source->origin;
    copy->key = source->key;
    copy->scalar = source->scalar;
    return copy;
}

struct conf_node *conf_node_copy(const struct conf_node *source, uint32_t depth,
                                 const char **what)
{
    struct conf_node *open[CONF_DEPTH_MAX + 1]; /* the copy at each depth below */
    struct conf_node *root = copy_one(source, what);
    if (root == NULL) {
        return NULL;
    }
    root->depth = depth;
    open[0] = root;
    for (const struct conf_node *at = conf_node_walk(source, source); at != NULL;
         at = conf_node_walk(source, at)) {
        const uint32_t below = at->depth - source->depth;
        if (depth + below > CONF_DEPTH_MAX) {
            *what = "nested deeper than 32 levels by an alias (*name); flatten it";
            return NULL;
        }
        struct conf_node *copy = copy_one(at, what);
        if (copy == NULL) {
            return NULL;
        }
        conf_node_adopt(open[below - 1], copy);
        open[below] = copy;
    }
    return root;
}

/* Moves those children of `from` into `map` whose keys it lacks. */
static void move_missing(struct conf_node *map, struct map *keys,
                         const struct conf_node *from)
{
    for (size_t i = 0; i < from->count; i++) {
        struct conf_node *child = from->children[i];
        const uint64_t hash = hash_xxh64(child->key, strlen(child->key), 0);
        uint32_t place = 0;
        if (map_get(keys, hash, &place) &&
            strcmp(map->children[place]->key, child->key) == 0) {
            continue;
        }
        map_put(keys, hash, (uint32_t)map->count);
        conf_node_adopt(map, child);
        for (const struct conf_node *at = conf_node_walk(child, child); at != NULL;
             at = conf_node_walk(child, at)) {
            map->conf->nodes[at->id]->depth = at->parent->depth + 1;
        }
    }
}

/* Takes the child with the key "<<" out; NULL when there is none. */
static struct conf_node *take_merge(struct conf_node *map)
{
    size_t kept = 0;
    struct conf_node *merge = NULL;
    for (size_t i = 0; i < map->count; i++) {
        struct conf_node *child = map->children[i];
        if (strcmp(child->key, "<<") == 0) {
            merge = child;
            continue;
        }
        child->index = kept;
        map->children[kept++] = child;
    }
    map->count = kept;
    return merge;
}

bool conf_node_merge(struct conf_node *map, const char **what)
{
    const struct conf_node *merge = take_merge(map);
    if (merge == NULL) {
        return true;
    }
    bool maps = merge->kind != CONF_SCALAR;
    for (size_t i = 0; merge->kind == CONF_LIST && i < merge->count; i++) {
        maps = maps && merge->children[i]->kind == CONF_MAP;
    }
    if (!maps) {
        *what = "a merge key (<<) takes a map or a list of maps";
        return false;
    }
    struct map *keys = map_new(map->count, CONF_NODES_MAX);
    for (size_t i = 0; i < map->count; i++) {
        const char *key = map->children[i]->key;
        map_put(keys, hash_xxh64(key, strlen(key), 0), (uint32_t)i);
    }
    if (merge->kind == CONF_MAP) {
        move_missing(map, keys, merge);
    }
    for (size_t i = 0; merge->kind == CONF_LIST && i < merge->count; i++) {
        move_missing(map, keys, merge->children[i]);
    }
    map_delete(keys);
    return true;
}
