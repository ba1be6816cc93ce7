/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_tree.h: what the files of conf share: nodes with parents. Nobody else includes
 * it.
 *
 * Nodes know their parent, so every walk is a loop: a file cannot choose how deep our
 * stack goes. What callers asked for is remembered beside the nodes (`marks`), which
 * lets getters take const nodes.
 */
#ifndef STACKSIM_BASE_CONF_TREE_H
#define STACKSIM_BASE_CONF_TREE_H

#include "base/arena.h"
#include "base/conf.h"

enum {
    CONF_FILE_BYTES_MAX = 16 * 1024 * 1024,
    CONF_DEPTH_MAX = 32,
    CONF_NODES_MAX = 200000,
};

/* What callers did with a node. */
struct conf_marks {
    bool known;
    bool left;          /* to another reader: conf_leave */
    const char **asked; /* keys of a map that getters asked for, present or not */
    size_t asked_count;
    size_t asked_capacity;
};

struct conf_node {
    enum conf_kind kind;
    bool quoted;
    bool document;      /* one of several of a file: paths start below it */
    uint32_t id;        /* its place among the conf's nodes */
    uint32_t line;      /* 0: not from a file */
    uint32_t depth;     /* 0 for the root */
    size_t index;       /* among its parent's children */
    const char *origin; /* name of the file, for messages */
    const char *key;    /* NULL unless child of a map */
    const char *scalar; /* NULL unless CONF_SCALAR */
    struct conf *conf;
    struct conf_node *parent;
    struct conf_node **children;
    size_t count;
    size_t capacity;
    struct conf_marks *marks;
};

struct conf {
    struct arena *arena;
    struct conf_node *root;
    struct conf_node **nodes; /* all of them, for conf_delete */
    size_t node_count;
    size_t node_capacity;
};

struct conf *conf_new(void);

/* NULL when the tree has CONF_NODES_MAX nodes already. */
struct conf_node *conf_node_new(struct conf *conf, enum conf_kind kind);
/* Appends a child. */
void conf_node_adopt(struct conf_node *parent, struct conf_node *child);
/* By key, without marking it as known; NULL when absent. */
struct conf_node *conf_node_find(const struct conf_node *map, const char *key);
/* The node after this one in file order within the tree below top; NULL at the end. */
const struct conf_node *conf_node_walk(const struct conf_node *top,
                                       const struct conf_node *node);
/* The same, but past all that stands below this one. */
const struct conf_node *conf_node_walk_past(const struct conf_node *top,
                                            const struct conf_node *node);

/* A text to read; its root will be put at this depth of the tree. */
struct conf_source {
    const char *origin;
    const char *text;
    size_t byte_count;
    bool from_file; /* nodes get their lines */
    bool foreign;   /* as conf_parse_documents takes it: the root is a list */
    uint32_t depth_offset;
};

/* *root is NULL for an empty text. On false some nodes may be left over in conf,
 * reached from nowhere. */
NODISCARD bool conf_build(struct conf *conf, const struct conf_source *source,
                          struct conf_node **root, struct err *err);

#endif
