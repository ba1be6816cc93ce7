/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_alias.h: anchors, aliases and merge keys of other people's YAML, for conf_yaml.c
 * alone.
 *
 * An alias becomes a copy, node by node, so that whatever it stands for counts against
 * the limits of a file: a bomb of aliases runs into them after a few milliseconds.
 */
#ifndef STACKSIM_BASE_CONF_ALIAS_H
#define STACKSIM_BASE_CONF_ALIAS_H

#include "base/conf_tree.h"

struct conf_anchors;

struct conf_anchors *conf_anchors_new(void);
void conf_anchors_delete(struct conf_anchors *anchors);
/* The name stands for this node from now on, in this document. */
void conf_anchors_put(struct conf_anchors *anchors, uint32_t document, const char *name,
                      struct conf_node *node);
/* NULL when the document has no such anchor so far. */
struct conf_node *conf_anchors_find(const struct conf_anchors *anchors,
                                    uint32_t document, const char *name);

/* A deep copy at this depth, without a parent; keeps lines, shares texts. NULL with
 * *what when the file gets too large or too deep. */
struct conf_node *conf_node_copy(const struct conf_node *source, uint32_t depth,
                                 const char **what);
/* Takes the child "<<" out of the map and moves what the map lacks of it in. False with
 * *what when it is no map and no list of maps. */
NODISCARD bool conf_node_merge(struct conf_node *map, const char **what);

#endif
