/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.c: filters first, one after the other, each counting whom it dropped, because
 * the message of FailedScheduling is that count.
 */
#include "sim/control/nodes.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_BITS = 64 };

const char *const match_operator_names[] = {"In", "NotIn", "Exists", "DoesNotExist",
                                            "Gt", "Lt",    NULL};

struct node {
    struct node_spec spec;
    uint32_t gpus_used;
    uint32_t cpu_used;
    uint64_t memory_used;
    uint64_t images;  /* bit per pool */
    uint64_t weights; /* bit per pool */
    bool schedulable;
};

struct nodes {
    uint32_t count;
    struct node *nodes;
};

struct nodes *nodes_new(const struct node_spec *specs, uint32_t count)
{
    CHECK(count <= NODES_MAX, "%u nodes", count);
    struct nodes *nodes = mem_alloc(1, sizeof *nodes);
    nodes->count = count;
    nodes->nodes = mem_alloc(count, sizeof *nodes->nodes);
    for (uint32_t i = 0; i < count; i++) {
        nodes->nodes[i] = (struct node){.spec = specs[i], .schedulable = true};
    }
    return nodes;
}

void nodes_delete(struct nodes *nodes)
{
    if (nodes != NULL) {
        mem_free(nodes->nodes);
        mem_free(nodes);
    }
}

uint32_t nodes_count(const struct nodes *nodes)
{
    return nodes->count;
}

const char *nodes_name(const struct nodes *nodes, uint32_t node)
{
    CHECK(node < nodes->count, "node %u of %u", node, nodes->count);
    return nodes->nodes[node].spec.name;
}

uint32_t nodes_find(const struct nodes *nodes, const char *name)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (strcmp(nodes->nodes[i].spec.name, name) == 0) {
            return i;
        }
    }
    return NODE_NONE;
}

uint32_t nodes_free_gpus(const struct nodes *nodes, uint32_t node)
{
    CHECK(node < nodes->count, "node %u of %u", node, nodes->count);
    return nodes->nodes[node].spec.gpus - nodes->nodes[node].gpus_used;
}

/* ---- filters --------------------------------------------------------------------- */

static bool tolerated(const struct node_label *taint, const struct pod_request *request)
{
    for (uint32_t i = 0; i < request->toleration_count; i++) {
        const struct node_label *own = &request->tolerations[i];
        const bool key = own->key[0] == '\0' || strcmp(own->key, taint->key) == 0;
        const bool value =
            own->value[0] == '\0' || strcmp(own->value, taint->value) == 0;
        if (key && value) {
            return true;
        }
    }
    return false;
}

static bool taints_tolerated(const struct node *node, const struct pod_request *request)
{
    for (uint32_t i = 0; i < node->spec.taint_count; i++) {
        if (!tolerated(&node->spec.taints[i], request)) {
            return false;
        }
    }
    return true;
}

static const char *label_value(const struct node *node, const char *key)
{
    for (uint32_t i = 0; i < node->spec.label_count; i++) {
        if (strcmp(node->spec.labels[i].key, key) == 0) {
            return node->spec.labels[i].value;
        }
    }
    return strcmp(key, "kubernetes.io/hostname") == 0 ? node->spec.name : NULL;
}

/* Positive: the label's number is greater than the expression's. A text that is no
 * number satisfies neither Gt nor Lt. */
static int compare(const char *value, const struct match_expression *expression)
{
    char *end = NULL;
    char *bound_end = NULL;
    if (value == NULL || expression->value_count == 0) {
        return 0;
    }
    const char *text = expression->values[0];
    const long long have = strtoll(value, &end, 10);
    const long long bound = strtoll(text, &bound_end, 10);
    if (end == value || *end != '\0' || bound_end == text || *bound_end != '\0') {
        return 0;
    }
    return (have > bound) - (have < bound);
}

static bool expression_holds(const struct node *node,
                             const struct match_expression *expression)
{
    const char *value = label_value(node, expression->key);
    bool listed = false;
    for (uint32_t i = 0; value != NULL && i < expression->value_count; i++) {
        listed = listed || strcmp(value, expression->values[i]) == 0;
    }
    switch (expression->how) {
    case MATCH_IN:
        return listed;
    case MATCH_NOT_IN:
        return !listed; /* a node without the label matches, too */
    case MATCH_EXISTS:
        return value != NULL;
    case MATCH_DOES_NOT_EXIST:
        return value == NULL;
    case MATCH_GT:
        return compare(value, expression) > 0;
    case MATCH_LT:
        return compare(value, expression) < 0;
    }
    return false;
}

static bool term_holds(const struct node *node, const struct selector_term *term)
{
    for (uint32_t i = 0; i < term->expression_count; i++) {
        if (!expression_holds(node, &term->expressions[i])) {
            return false;
        }
    }
    return term->expression_count > 0; /* an empty term matches nobody */
}

static bool selected(const struct node *node, const struct pod_request *request)
{
    for (uint32_t i = 0; i < request->term_count; i++) {
        if (term_holds(node, &request->terms[i])) {
            return true;
        }
    }
    return request->term_count == 0;
}

bool nodes_selects(const struct nodes *nodes, uint32_t node,
                   const struct pod_request *request)
{
    CHECK(node < nodes->count, "node %u of %u", node, nodes->count);
    const struct node *at = &nodes->nodes[node];
    return request->node_name != NULL ? strcmp(at->spec.name, request->node_name) == 0
                                      : selected(at, request);
}

enum lacking { LACKS_NOTHING, LACKS_GPU, LACKS_CPU, LACKS_MEMORY };

static enum lacking lacking(const struct node *node, const struct pod_request *request)
{
    const struct node_spec *spec = &node->spec;
    if (request->gpus > 0 && (strcmp(spec->gpu, request->gpu) != 0 ||
                              spec->gpus - node->gpus_used < request->gpus)) {
        return LACKS_GPU;
    }
    if (spec->cpu_millis - node->cpu_used < request->cpu_millis) {
        return LACKS_CPU;
    }
    return spec->memory_bytes - node->memory_used < request->memory_bytes
               ? LACKS_MEMORY
               : LACKS_NOTHING;
}

/* ---- placing --------------------------------------------------------------------- */

static double part_free(double total, double used, double wanted)
{
    return total > 0 ? (total - used - wanted) / total : 0;
}

/* NodeResourcesFit, LeastAllocated, on CPU and memory. */
static double score(const struct node *node, const struct pod_request *request)
{
    const struct node_spec *spec = &node->spec;
    const double cpu = part_free(spec->cpu_millis, node->cpu_used, request->cpu_millis);
    const double memory =
        part_free((double)spec->memory_bytes, (double)node->memory_used,
                  (double)request->memory_bytes);
    return (cpu + memory) / 2;
}

static void bind(struct nodes *nodes, uint32_t at, const struct pod_request *request)
{
    struct node *node = &nodes->nodes[at];
    node->gpus_used += request->gpus;
    node->cpu_used += request->cpu_millis;
    node->memory_used += request->memory_bytes;
}

void nodes_give(struct nodes *nodes, uint32_t node, const struct pod_request *request)
{
    CHECK(node < nodes->count, "node %u of %u", node, nodes->count);
    struct node *at = &nodes->nodes[node];
    CHECK(at->gpus_used >= request->gpus && at->cpu_used >= request->cpu_millis &&
              at->memory_used >= request->memory_bytes,
          "more is given back to %s than was taken", at->spec.name);
    at->gpus_used -= request->gpus;
    at->cpu_used -= request->cpu_millis;
    at->memory_used -= request->memory_bytes;
}

/* Past the scheduler: selector and NoSchedule taints are not looked at. */
static struct pod_placement admit(struct nodes *nodes,
                                  const struct pod_request *request)
{
    struct pod_placement placement = {.node = nodes_find(nodes, request->node_name)};
    if (placement.node == NODE_NONE) {
        placement.verdict = PLACE_UNKNOWN_NODE;
        placement.reason = "NodeNotFound";
        (void)snprintf(placement.message, sizeof placement.message,
                       "no node %s: the pod stays Pending and is collected later",
                       request->node_name);
        return placement;
    }
    const struct node *node = &nodes->nodes[placement.node];
    const enum lacking what = lacking(node, request);
    if (what == LACKS_NOTHING) {
        bind(nodes, placement.node, request);
        placement.verdict = PLACE_BOUND;
        return placement;
    }
    placement.verdict = PLACE_FAILED;
    if (what == LACKS_GPU) {
        placement.reason = "UnexpectedAdmissionError";
        (void)snprintf(placement.message, sizeof placement.message,
                       "Allocate failed due to requested number of devices unavailable "
                       "for %s. Requested: %u, Available: %u, which is unexpected",
                       request->gpu, request->gpus,
                       strcmp(node->spec.gpu, request->gpu) == 0
                           ? node->spec.gpus - node->gpus_used
                           : 0);
    } else {
        placement.reason = what == LACKS_CPU ? "OutOfcpu" : "OutOfmemory";
        (void)snprintf(placement.message, sizeof placement.message,
                       "Node didn't have enough resource: %s",
                       what == LACKS_CPU ? "cpu" : "memory");
    }
    return placement;
}

/* How many nodes each filter dropped, in the order of the message. */
enum dropped {
    DROP_CORDON,
    DROP_TAINT,
    DROP_SELECTOR,
    DROP_CPU,
    DROP_MEMORY,
    DROP_GPU,
    DROP_COUNT
};

static enum dropped filter(const struct node *node, const struct pod_request *request)
{
    if (!node->schedulable) {
        return DROP_CORDON;
    }
    if (!taints_tolerated(node, request)) {
        return DROP_TAINT;
    }
    if (!selected(node, request)) {
        return DROP_SELECTOR;
    }
    switch (lacking(node, request)) {
    case LACKS_CPU:
        return DROP_CPU;
    case LACKS_MEMORY:
        return DROP_MEMORY;
    case LACKS_GPU:
        return DROP_GPU;
    case LACKS_NOTHING:
        break;
    }
    return DROP_COUNT;
}

static void explain(struct pod_placement *placement, const struct nodes *nodes,
                    const uint32_t *dropped, const struct pod_request *request)
{
    static const char *const texts[] = {
        "node(s) were unschedulable",
        "node(s) had untolerated taint",
        "node(s) didn't match Pod's node affinity/selector",
        "Insufficient cpu",
        "Insufficient memory",
        "Insufficient"};
    struct text text = {0};
    const char *separator = ":";
    text_printf(&text, "0/%u nodes are available", nodes->count);
    for (uint32_t i = 0; i < DROP_COUNT; i++) {
        if (dropped[i] > 0) {
            text_printf(&text, "%s %u %s%s%s", separator, dropped[i], texts[i],
                        i == DROP_GPU ? " " : "", i == DROP_GPU ? request->gpu : "");
            separator = ",";
        }
    }
    (void)snprintf(placement->message, sizeof placement->message, "%s",
                   text_str(&text));
    text_fini(&text);
}

struct pod_placement nodes_place(struct nodes *nodes, const struct pod_request *request)
{
    if (request->node_name != NULL) {
        return admit(nodes, request);
    }
    struct pod_placement placement = {
        .verdict = PLACE_PENDING, .node = NODE_NONE, .reason = "FailedScheduling"};
    uint32_t dropped[DROP_COUNT] = {0};
    double best = 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        const enum dropped why = filter(&nodes->nodes[i], request);
        if (why != DROP_COUNT) {
            dropped[why]++;
            continue;
        }
        const double own = score(&nodes->nodes[i], request);
        if (placement.node == NODE_NONE || own > best) {
            best = own;
            placement.node = i;
        }
    }
    if (placement.node == NODE_NONE) {
        explain(&placement, nodes, dropped, request);
        return placement;
    }
    bind(nodes, placement.node, request);
    placement.verdict = PLACE_BOUND;
    if (request->bound_node != NODE_NONE && request->bound_node != placement.node) {
        placement.verdict = PLACE_VOLUME;
        placement.reason = "FailedAttachVolume";
        (void)snprintf(placement.message, sizeof placement.message,
                       "Multi-Attach error: the ReadWriteOnce volume is attached to %s",
                       nodes_name(nodes, request->bound_node));
    }
    return placement;
}

void nodes_set_schedulable(struct nodes *nodes, uint32_t node, bool schedulable)
{
    CHECK(node < nodes->count, "node %u of %u", node, nodes->count);
    nodes->nodes[node].schedulable = schedulable;
}

bool nodes_has(const struct nodes *nodes, uint32_t node, uint32_t pool, bool image)
{
    CHECK(node < nodes->count && pool < POOL_BITS, "node %u, pool %u", node, pool);
    const struct node *at = &nodes->nodes[node];
    return ((image ? at->images : at->weights) >> pool & 1) != 0;
}

void nodes_note(struct nodes *nodes, uint32_t node, uint32_t pool, bool image)
{
    CHECK(node < nodes->count && pool < POOL_BITS, "node %u, pool %u", node, pool);
    uint64_t *bits = image ? &nodes->nodes[node].images : &nodes->nodes[node].weights;
    *bits |= UINT64_C(1) << pool;
}
