/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_nodes.c: machines, and what pods ask of them.
 */
#include "base/mem.h"
#include "sim/scenario_parts.h"

#include <math.h>
#include <string.h>

/* CPUs, as in 0.5 or 8. */
static bool cpus_read(const struct conf_node *map, uint32_t *millis, struct err *err)
{
    double cpus = *millis / 1000.0;
    if (!conf_f64(map, "cpu", &cpus, 0, 100000, err)) {
        return false;
    }
    *millis = (uint32_t)lround(cpus * 1000);
    return true;
}

struct label_room {
    struct node_label *labels;
    uint32_t most;
    uint32_t *count;
};

/* A map of names to values, or of taints to theirs. */
static bool labels_read(const struct conf_node *map, const char *key,
                        struct label_room room, struct err *err)
{
    const struct conf_node *node = NULL;
    if (!conf_map(map, key, &node, err)) {
        return false;
    }
    if (conf_count(node) > room.most) {
        return conf_fail(node, err, "%s: at most %u", key, room.most);
    }
    *room.count = (uint32_t)conf_count(node);
    for (uint32_t i = 0; i < *room.count; i++) {
        const char *value = conf_scalar(conf_at(node, i));
        if (value == NULL) {
            return conf_fail(conf_at(node, i), err, "%s: each is a text", key);
        }
        room.labels[i] = (struct node_label){conf_key_at(node, i), value};
    }
    return true;
}

static bool node_read(const struct conf_node *map, struct node_spec *spec,
                      struct err *err)
{
    *spec = (struct node_spec){.gpu = "nvidia.com/gpu",
                               .cpu_millis = 1000000,
                               .memory_bytes = UINT64_C(1) << 42};
    return conf_require(map, "name", err) && conf_str(map, "name", &spec->name, err) &&
           conf_str(map, "gpu", &spec->gpu, err) &&
           conf_u32(map, "gpus", &spec->gpus, 0, 1024, err) &&
           cpus_read(map, &spec->cpu_millis, err) &&
           conf_bytes(map, "memory", &spec->memory_bytes, err) &&
           labels_read(
               map, "labels",
               (struct label_room){spec->labels, NODE_LABELS_MAX, &spec->label_count},
               err) &&
           labels_read(
               map, "taints",
               (struct label_room){spec->taints, NODE_TAINTS_MAX, &spec->taint_count},
               err);
}

bool scenario_nodes_read(struct scenario_control *control, const struct conf_node *root,
                         struct err *err)
{
    const struct conf_node *list = NULL;
    if (!conf_list(root, "nodes", &list, err)) {
        return false;
    }
    const size_t count = conf_count(list);
    if (count > NODES_MAX) {
        return conf_fail(list, err, "nodes: at most %d", NODES_MAX);
    }
    control->nodes = mem_alloc(count + 1, sizeof *control->nodes);
    for (size_t i = 0; i < count; i++) {
        const struct conf_node *map = conf_at(list, i);
        struct node_spec *spec = &control->nodes[i];
        if (conf_kind(map) != CONF_MAP) {
            return conf_fail(map, err, "nodes: each is a map");
        }
        if (!node_read(map, spec, err)) {
            return false;
        }
        const size_t length = strlen(spec->name);
        if (length == 0 || length >= NODE_NAME_BYTES) {
            return conf_fail(map, err, "name: 1 to %d characters", NODE_NAME_BYTES - 1);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(control->nodes[j].name, spec->name) == 0) {
                return conf_fail(map, err, "name: there is a node %s above",
                                 spec->name);
            }
        }
        control->node_count++;
    }
    return true;
}

/* ---- of a pod -------------------------------------------------------------------- */

static bool expression_read(const struct conf_node *map,
                            struct match_expression *expression, struct err *err)
{
    const struct conf_node *values = NULL;
    uint32_t how = MATCH_IN;
    if (!conf_require(map, "key", err) ||
        !conf_str(map, "key", &expression->key, err) ||
        !conf_enum(map, "operator", match_operator_names, &how, err) ||
        !conf_list(map, "values", &values, err)) {
        return false;
    }
    expression->how = (enum match_operator)how;
    expression->value_count = (uint32_t)conf_count(values);
    if (conf_count(values) > NODE_VALUES_MAX) {
        return conf_fail(values, err, "values: at most %d", NODE_VALUES_MAX);
    }
    for (uint32_t i = 0; i < expression->value_count; i++) {
        expression->values[i] = conf_scalar(conf_at(values, i));
        if (expression->values[i] == NULL) {
            return conf_fail(conf_at(values, i), err, "values: each is a text");
        }
    }
    return true;
}

static bool term_read(const struct conf_node *map, struct selector_term *term,
                      struct err *err)
{
    const struct conf_node *list = NULL;
    if (conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "node_selector: each term is a map");
    }
    if (!conf_require(map, "matchExpressions", err) ||
        !conf_list(map, "matchExpressions", &list, err)) {
        return false;
    }
    if (conf_count(list) > NODE_TERMS_MAX) {
        return conf_fail(list, err, "matchExpressions: at most %d", NODE_TERMS_MAX);
    }
    term->expression_count = (uint32_t)conf_count(list);
    for (uint32_t i = 0; i < term->expression_count; i++) {
        if (conf_kind(conf_at(list, i)) != CONF_MAP) {
            return conf_fail(conf_at(list, i), err, "matchExpressions: each is a map");
        }
        if (!expression_read(conf_at(list, i), &term->expressions[i], err)) {
            return false;
        }
    }
    return true;
}

bool scenario_pod_size_read(const struct conf_node *map, struct pod_request *request,
                            struct err *err)
{
    return conf_str(map, "gpu", &request->gpu, err) &&
           conf_u32(map, "gpus", &request->gpus, 0, 1024, err) &&
           cpus_read(map, &request->cpu_millis, err) &&
           conf_bytes(map, "memory", &request->memory_bytes, err);
}

bool scenario_pod_request_read(const struct conf_node *map, struct pod_request *request,
                               struct err *err)
{
    const struct conf_node *own = NULL;
    const struct conf_node *terms = NULL;
    if (!conf_map(map, "request", &own, err) ||
        !scenario_pod_size_read(own, request, err) ||
        !conf_str(map, "node_name", &request->node_name, err) ||
        !labels_read(map, "tolerations",
                     (struct label_room){request->tolerations, NODE_TAINTS_MAX,
                                         &request->toleration_count},
                     err) ||
        !conf_list(map, "node_selector", &terms, err)) {
        return false;
    }
    if (conf_count(terms) > NODE_TERMS_MAX) {
        return conf_fail(terms, err, "node_selector: at most %d terms", NODE_TERMS_MAX);
    }
    request->term_count = (uint32_t)conf_count(terms);
    for (uint32_t i = 0; i < request->term_count; i++) {
        if (!term_read(conf_at(terms, i), &request->terms[i], err)) {
            return false;
        }
    }
    return true;
}
