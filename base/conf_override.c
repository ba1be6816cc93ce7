/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_override.c: assignments from the command line, written into the tree.
 */
#include "base/conf_tree.h"
#include "base/unit.h"

#include <string.h>

struct override {
    struct conf *conf;
    const char *assignment;
    const char *origin;
    struct err *err;
};

static bool override_fail(const struct override *override, const char *what)
{
    return err_set(override->err, ERR_USAGE, "'%s': %s", override->assignment, what);
}

static struct conf_node *override_node(const struct override *override,
                                       enum conf_kind kind)
{
    struct conf_node *node = conf_node_new(override->conf, kind);
    if (node != NULL) {
        node->origin = override->origin;
    }
    return node;
}

/* Position of a list's item from "3"; its count appends. */
static bool list_index(const struct conf_node *list, const char *part, size_t *index)
{
    uint64_t value = 0;
    if (!unit_u64(part, &value, NULL) || value > list->count) {
        return false;
    }
    *index = (size_t)value;
    return true;
}

/* Where `part` leads from `at`, NULL when there is nothing yet. */
static bool override_find(const struct override *override, struct conf_node *at,
                          const char *part, struct conf_node **child)
{
    *child = NULL;
    if (at->kind == CONF_LIST) {
        size_t index = 0;
        if (!list_index(at, part, &index)) {
            return override_fail(override, "a list item is named by its index from 0");
        }
        *child = index < at->count ? at->children[index] : NULL;
        return true;
    }
    *child = conf_node_find(at, part);
    return true;
}

/* Puts `node` at `part` of `at`, over `old` when there is one. */
static void override_put(struct conf_node *at, const char *part, struct conf_node *old,
                         struct conf_node *node)
{
    node->key = at->kind == CONF_MAP ? arena_strdup(at->conf->arena, part) : NULL;
    if (old == NULL) {
        conf_node_adopt(at, node);
        return;
    }
    node->parent = at;
    node->depth = old->depth;
    node->index = old->index;
    at->children[old->index] = node;
}

/* Maps and lists only where somebody clearly means one; all else is taken as it is, so
 * that '#' and ': ' in a file name need no quotes. */
static bool override_value(const struct override *override, const char *value,
                           uint32_t depth, struct conf_node **node)
{
    if (value[0] != '\0' && strchr("[{\"'", value[0]) != NULL) {
        const struct conf_source source = {.origin = override->origin,
                                           .text = value,
                                           .byte_count = strlen(value),
                                           .depth_offset = depth};
        return conf_build(override->conf, &source, node, override->err);
    }
    *node = override_node(override, CONF_SCALAR);
    if (*node == NULL) {
        return override_fail(override, "too many values");
    }
    (*node)->scalar = arena_strdup(override->conf->arena, value);
    return true;
}

/* Follows the dots before the last, making maps on the way. */
static bool override_descend(const struct override *override, struct conf_node **at,
                             char **rest)
{
    for (;;) {
        char *dot = strchr(*rest, '.');
        if ((*rest)[0] == '\0' || (*rest)[0] == '.') {
            return override_fail(override, "a key is empty");
        }
        if (dot == NULL) {
            return true;
        }
        *dot = '\0';
        struct conf_node *child = NULL;
        if (!override_find(override, *at, *rest, &child)) {
            return false;
        }
        if (child == NULL || child->kind == CONF_SCALAR) {
            struct conf_node *fresh = override_node(override, CONF_MAP);
            if (fresh == NULL || (*at)->depth + 2 >= CONF_DEPTH_MAX) {
                return override_fail(override, "too many values or levels");
            }
            override_put(*at, *rest, child, fresh);
            child = fresh;
        }
        *at = child;
        *rest = dot + 1;
    }
}

bool conf_override(struct conf *conf, const char *assignment, struct err *err)
{
    struct text origin = {NULL, 0, 0};
    text_printf(&origin, "--set %.200s", assignment);
    const struct override override = {
        .conf = conf,
        .assignment = assignment,
        .origin = arena_strdup(conf->arena, text_str(&origin)),
        .err = err,
    };
    text_fini(&origin);
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment) {
        return override_fail(&override, "write it like cluster.replicas=16");
    }
    char *path = arena_strdup(conf->arena, assignment);
    path[equals - assignment] = '\0';
    struct conf_node *at = conf->root;
    struct conf_node *old = NULL;
    struct conf_node *node = NULL;
    if (!override_descend(&override, &at, &path) ||
        !override_find(&override, at, path, &old) ||
        !override_value(&override, equals + 1, at->depth + 1, &node)) {
        return false;
    }
    override_put(at, path, old, node);
    return true;
}
