/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.c: machines by hand or by kubectl.
 */
#include "stack/nodes.h"

#include "base/mem.h"
#include "stack/read.h"

#include <stdio.h>
#include <string.h>

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define PRODUCT_LABEL   "nvidia.com/gpu.product"

/* NULL with err when there are too many. */
static struct stack_node *node_add(struct stack_nodes *nodes,
                                   const struct conf_node *where, struct err *err)
{
    if (nodes->count == STACK_NODES_MAX) {
        (void)conf_fail(where, err, "more than %d nodes", STACK_NODES_MAX);
        return NULL;
    }
    struct stack_node *node = &nodes->items[nodes->count++];
    *node = (struct stack_node){.where = where, .gpu_resource = "nvidia.com/gpu"};
    return node;
}

static void label_add(struct stack_node *node, const char *key, const char *value)
{
    if (node->label_count < STACK_NODE_LABELS_MAX) {
        node->labels[node->label_count++] = (struct stack_label){key, value};
    }
}

static bool labels_read(struct stack_node *node, const struct conf_node *map,
                        struct err *err)
{
    const struct conf_node *labels = NULL;
    label_add(node, "kubernetes.io/hostname", node->name);
    if (!read_map(map, "labels", &labels, err)) {
        return false;
    }
    if (conf_count(labels) >= STACK_NODE_LABELS_MAX) {
        return conf_fail(labels, err, "labels: at most %d", STACK_NODE_LABELS_MAX - 1);
    }
    for (size_t i = 0; i < conf_count(labels); i++) {
        const char *key = conf_key_at(labels, i);
        const char *value = "";
        if (!read_text(labels, key, &value, err)) {
            return false;
        }
        if (strcmp(key, "kubernetes.io/hostname") != 0) {
            label_add(node, key, value);
        }
        if (strcmp(key, PRODUCT_LABEL) == 0 && node->gpu == NULL) {
            node->gpu = value;
        }
    }
    return true;
}

static void taint_add(struct stack_node *node, const char *key, const char *value)
{
    if (node->taint_count < sizeof node->taints / sizeof node->taints[0]) {
        node->taints[node->taint_count++] = (struct stack_label){key, value};
    }
}

/* {key: value} by hand, a list of {key, value, effect} by Kubernetes. */
static bool taints_read(struct stack_node *node, const struct conf_node *map,
                        struct err *err)
{
    const struct conf_node *taints = read_child(map, "taints");
    if (taints != NULL && conf_kind(taints) == CONF_MAP) {
        for (size_t i = 0; i < conf_count(taints); i++) {
            const char *value = "";
            const char *key = conf_key_at(taints, i);
            if (!read_text(taints, key, &value, err)) {
                return false;
            }
            taint_add(node, key, value);
        }
        return true;
    }
    if (!read_list_of(map, "taints", CONF_MAP, &taints, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(taints); i++) {
        const struct conf_node *taint = conf_at(taints, i);
        const char *key = "";
        const char *value = "";
        const char *effect = "NoSchedule";
        conf_leave(taint);
        if (!read_text(taint, "key", &key, err) ||
            !read_text(taint, "value", &value, err) ||
            !read_text(taint, "effect", &effect, err)) {
            return false;
        }
        if (strcmp(effect, "PreferNoSchedule") != 0) {
            taint_add(node, key, value);
        }
    }
    return true;
}

/* ---- by hand -----------------------------------------------------------------------
 */

static bool plain_read(struct stack_nodes *nodes, const struct conf_node *map,
                       struct err *err)
{
    struct stack_node node = {.where = map, .gpu_resource = "nvidia.com/gpu"};
    uint64_t memory_milli = 0;
    uint32_t count = 1;
    if (!conf_require(map, "name", err) || !read_text(map, "name", &node.name, err) ||
        !read_count(map, "count", &count, 1, STACK_NODES_MAX, err) ||
        !read_text(map, "gpu", &node.gpu, err) ||
        !read_text(map, "gpu_resource", &node.gpu_resource, err) ||
        !read_count(map, "gpus", &node.gpus, 0, 1024, err) ||
        !read_quantity(map, "cpu", &node.cpu_milli, err) ||
        !read_quantity(map, "memory", &memory_milli, err) ||
        !taints_read(&node, map, err)) {
        return false;
    }
    if (node.name == NULL) {
        return conf_fail(map, err, "name: is empty; give one");
    }
    if (node.gpu != NULL && strchr(node.gpu, '/') != NULL) {
        node.gpu_resource = node.gpu; /* as a scenario's nodes have it */
        node.gpu = NULL;
    }
    node.memory_bytes = memory_milli / 1000;
    for (uint32_t i = 0; i < count; i++) {
        char name[256];
        struct stack_node *added = node_add(nodes, map, err);
        if (added == NULL) {
            return false;
        }
        *added = node;
        if (count > 1) {
            (void)snprintf(name, sizeof name, "%.200s-%u", node.name, i);
            added->name = arena_strdup(nodes->arena, name);
        }
        if (!labels_read(added, map, err)) {
            return false;
        }
    }
    return true;
}

/* ---- by kubectl --------------------------------------------------------------------
 */

static bool kube_read(struct stack_nodes *nodes, const struct conf_node *root,
                      struct err *err)
{
    const struct conf_node *meta = NULL;
    const struct conf_node *spec = NULL;
    const struct conf_node *status = NULL;
    const struct conf_node *capacity = NULL;
    uint64_t memory_milli = 0;
    struct stack_node *node = node_add(nodes, root, err);
    conf_leave(root);
    if (node == NULL) {
        return false;
    }
    if (!conf_require(root, "metadata", err) ||
        !conf_map(root, "metadata", &meta, err) || !conf_require(meta, "name", err) ||
        !read_text(meta, "name", &node->name, err) ||
        !read_map(root, "spec", &spec, err) ||
        !read_truth(spec, "unschedulable", &node->unschedulable, &nodes->findings,
                    err) ||
        !taints_read(node, spec, err) || !read_map(root, "status", &status, err) ||
        !read_map(status, "allocatable", &capacity, err) ||
        (capacity == NULL && !read_map(status, "capacity", &capacity, err)) ||
        !read_count(capacity, "nvidia.com/gpu", &node->gpus, 0, 1024, err) ||
        !read_quantity(capacity, "cpu", &node->cpu_milli, err) ||
        !read_quantity(capacity, "memory", &memory_milli, err)) {
        return false;
    }
    if (node->name == NULL) {
        return conf_fail(meta, err, "metadata: name is empty");
    }
    node->memory_bytes = memory_milli / 1000;
    return labels_read(node, meta, err);
}

/* ---- documents ---------------------------------------------------------------------
 */

static bool list_read(struct stack_nodes *nodes, const struct conf_node *list,
                      struct err *err)
{
    for (size_t i = 0; i < conf_count(list); i++) {
        const struct conf_node *item = conf_at(list, i);
        if (conf_kind(item) != CONF_MAP) {
            return conf_fail(item, err, "each node is a map");
        }
        if (!(read_has(item, "metadata") ? kube_read(nodes, item, err)
                                         : plain_read(nodes, item, err))) {
            return false;
        }
    }
    return true;
}

static bool document_read(struct stack_nodes *nodes, const struct conf_node *root,
                          struct err *err)
{
    static const char *const pass[] = {"apiVersion", "kind", "metadata", NULL};
    const struct conf_node *list = NULL;
    if (conf_kind(root) == CONF_LIST) {
        return list_read(nodes, root, err);
    }
    if (conf_kind(root) == CONF_SCALAR) {
        return conf_scalar(root)[0] == '\0' ||
               conf_fail(root, err, "not a list of nodes");
    }
    const char *kind = conf_scalar(conf_get(root, "kind"));
    if (kind != NULL && strcmp(kind, "Node") == 0) {
        return kube_read(nodes, root, err);
    }
    const char *key = kind != NULL ? "items" : "nodes";
    if (!conf_require(root, key, err) || !conf_list(root, key, &list, err)) {
        return false;
    }
    read_pass(root, pass);
    return list_read(nodes, list, err);
}

static bool names_distinct(const struct stack_nodes *nodes, struct err *err)
{
    for (size_t i = 0; i < nodes->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(nodes->items[i].name, nodes->items[j].name) == 0) {
                return conf_fail(nodes->items[i].where, err,
                                 "name: there is a node %s above; rename one",
                                 nodes->items[i].name);
            }
        }
    }
    return true;
}

static bool finish(struct stack_nodes **out, struct stack_nodes *nodes, struct err *err)
{
    const struct conf_node *documents = conf_root(nodes->conf);
    nodes->arena = arena_new(ARENA_BYTES_MAX);
    nodes->items = arena_alloc(nodes->arena, STACK_NODES_MAX, sizeof *nodes->items);
    for (size_t i = 0; i < conf_count(documents); i++) {
        if (!document_read(nodes, conf_at(documents, i), err)) {
            goto fail;
        }
    }
    read_warn_unknown(documents, &nodes->findings);
    if (nodes->count == 0) {
        (void)conf_fail(documents, err,
                        "no node in it; list one, or leave the file out");
        goto fail;
    }
    if (!names_distinct(nodes, err)) {
        goto fail;
    }
    *out = nodes;
    return true;
fail:
    stack_nodes_delete(nodes);
    return false;
}

bool stack_nodes_load(struct stack_nodes **out, const char *path, struct err *err)
{
    struct stack_nodes *nodes = mem_alloc(1, sizeof *nodes);
    if (!conf_load_documents(&nodes->conf, path, err)) {
        mem_free(nodes);
        return false;
    }
    return finish(out, nodes, err);
}

bool stack_nodes_parse(struct stack_nodes **out, const char *name, const char *text,
                       size_t byte_count, struct err *err)
{
    struct stack_nodes *nodes = mem_alloc(1, sizeof *nodes);
    if (!conf_parse_documents(&nodes->conf, name, text, byte_count, err)) {
        mem_free(nodes);
        return false;
    }
    return finish(out, nodes, err);
}

void stack_nodes_delete(struct stack_nodes *nodes)
{
    if (nodes != NULL) {
        findings_fini(&nodes->findings);
        conf_delete(nodes->conf);
        if (nodes->arena != NULL) {
            arena_delete(nodes->arena);
        }
        mem_free(nodes);
    }
}
