/* SPDX-License-Identifier: Apache-2.0
 *
 * machines.c: from what the files say to what the scheduler asks.
 */
#include "cli/helm/machines.h"

#include "base/mem.h"

#include <string.h>

/* Of what a machine does not tell, nobody runs short. */
enum { CPU_MILLIS_ENDLESS = 1000000 };
static const uint64_t memory_endless_bytes = UINT64_C(1) << 50;

static uint32_t clamp_u32(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* ---- machines ----------------------------------------------------------------------
 */

static bool is_selected(const struct helm *helm, const char *key)
{
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        const struct stack_engine *engine = &helm->stack->engines[i];
        for (size_t j = 0; j < engine->expression_count; j++) {
            if (strcmp(engine->expressions[j].key, key) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* One of each key, as a scenario writes them. */
static void taint_put(struct node_spec *spec, const char *key, const char *value)
{
    for (uint32_t i = 0; i < spec->taint_count; i++) {
        if (strcmp(spec->taints[i].key, key) == 0) {
            return;
        }
    }
    if (spec->taint_count < NODE_TAINTS_MAX) {
        spec->taints[spec->taint_count++] = (struct node_label){key, value};
    }
}

/* Labels that some selector asks for: a node of a cloud has dozens of others. */
static bool spec_make(const struct helm *helm, const struct stack_node *node,
                      struct node_spec *spec, struct err *err)
{
    *spec = (struct node_spec){
        .name = node->name,
        .gpu = node->gpu_resource,
        .gpus = node->gpus,
        .cpu_millis =
            node->cpu_milli > 0 ? clamp_u32(node->cpu_milli) : CPU_MILLIS_ENDLESS,
        .memory_bytes =
            node->memory_bytes > 0 ? node->memory_bytes : memory_endless_bytes,
    };
    for (size_t i = 0; i < node->label_count; i++) {
        if (!is_selected(helm, node->labels[i].key)) {
            continue;
        }
        if (spec->label_count == NODE_LABELS_MAX) {
            return conf_fail(node->where, err,
                             "%.80s: selectors ask for more than %d of its labels",
                             node->name, NODE_LABELS_MAX);
        }
        spec->labels[spec->label_count++] =
            (struct node_label){node->labels[i].key, node->labels[i].value};
    }
    for (size_t i = 0; i < node->taint_count; i++) {
        taint_put(spec, node->taints[i].key, node->taints[i].value);
    }
    if (node->unschedulable) { /* a cordon is a taint, to Kubernetes, too */
        taint_put(spec, "node.kubernetes.io/unschedulable", "");
    }
    return true;
}

bool helm_machines_open(struct helm *helm, struct err *err)
{
    if (helm->nodes == NULL) {
        return true;
    }
    const uint32_t count = (uint32_t)helm->nodes->count;
    helm->specs = mem_alloc(count, sizeof *helm->specs);
    for (uint32_t i = 0; i < count; i++) {
        if (!spec_make(helm, &helm->nodes->items[i], &helm->specs[i], err)) {
            return false;
        }
    }
    helm->machines = nodes_new(helm->specs, count);
    return true;
}

void helm_machines_close(struct helm *helm)
{
    nodes_delete(helm->machines);
    mem_free(helm->specs);
}

/* ---- pods --------------------------------------------------------------------------
 */

static enum match_operator operator_of(const char *name)
{
    uint32_t at = 0;
    while (match_operator_names[at + 1] != NULL &&
           strcmp(match_operator_names[at], name) != 0) {
        at++;
    }
    return (enum match_operator)at;
}

static bool expression_put(const struct stack_expression *from,
                           struct selector_term *term, struct err *err)
{
    const size_t values = conf_count(from->values);
    if (term->expression_count == NODE_TERMS_MAX || values > NODE_VALUES_MAX) {
        return conf_fail(from->where, err,
                         "matchExpressions: at most %d in a term, of %d values each",
                         NODE_TERMS_MAX, NODE_VALUES_MAX);
    }
    struct match_expression *to = &term->expressions[term->expression_count++];
    *to = (struct match_expression){.key = from->key, .how = operator_of(from->op)};
    for (size_t i = 0; i < values; i++) {
        to->values[to->value_count++] = conf_scalar(conf_at(from->values, i));
    }
    return true;
}

static bool selector_make(const struct stack_engine *engine,
                          struct pod_request *request, struct err *err)
{
    for (size_t i = 0; i < engine->expression_count; i++) {
        const struct stack_expression *expression = &engine->expressions[i];
        const bool begins = i == 0 || expression->term != expression[-1].term;
        if (begins && request->term_count == NODE_TERMS_MAX) {
            return conf_fail(expression->where, err,
                             "nodeSelectorTerms: at most %d terms", NODE_TERMS_MAX);
        }
        request->term_count += begins ? 1 : 0;
        if (!expression_put(expression, &request->terms[request->term_count - 1],
                            err)) {
            return false;
        }
    }
    return true;
}

/* The entry of a key: a scenario has one of each. NULL when there is no room. */
static struct node_label *toleration_of(struct pod_request *request, const char *key)
{
    for (uint32_t i = 0; i < request->toleration_count; i++) {
        if (strcmp(request->tolerations[i].key, key) == 0) {
            return &request->tolerations[i];
        }
    }
    if (request->toleration_count == NODE_TAINTS_MAX) {
        return NULL;
    }
    struct node_label *label = &request->tolerations[request->toleration_count++];
    *label = (struct node_label){key, NULL};
    return label;
}

/* Two values of one key come to any value. */
static bool tolerations_make(const struct stack_engine *engine,
                             struct pod_request *request, struct err *err)
{
    for (size_t i = 0; i < engine->toleration_count; i++) {
        const struct stack_label *label = &engine->tolerations[i];
        struct node_label *own = toleration_of(request, label->key);
        if (own == NULL) {
            return conf_fail(engine->where, err, "tolerations: at most %d of them",
                             NODE_TAINTS_MAX);
        }
        const bool first = own->value == NULL;
        own->value = first || strcmp(own->value, label->value) == 0 ? label->value : "";
    }
    return true;
}

static bool some_matches(const struct helm *helm, const struct pod_request *request)
{
    for (uint32_t i = 0; i < nodes_count(helm->machines); i++) {
        if (nodes_selects(helm->machines, i, request)) {
            return true;
        }
    }
    return false;
}

static bool match_check(const struct helm *helm, const struct helm_engine *engine,
                        struct err *err)
{
    const struct stack_engine *from = engine->from;
    if (some_matches(helm, &engine->request)) {
        return true;
    }
    if (from->node_name != NULL) {
        return conf_fail(
            conf_get(from->where, "nodeName"), err,
            "nodeName: there is no node %.80s among the %zu given; its pods "
            "never start; name one of them",
            from->node_name, helm->nodes->count);
    }
    return conf_fail(
        from->expressions[0].where, err,
        "nodeSelectorTerms: none of the %zu nodes has such labels; its pods "
        "stay Pending; change the terms or label a node",
        helm->nodes->count);
}

bool helm_request_make(const struct helm *helm, struct helm_engine *engine,
                       struct err *err)
{
    const struct stack_engine *from = engine->from;
    struct pod_request *request = &engine->request;
    if (helm->nodes == NULL) {
        return true;
    }
    *request = (struct pod_request){
        .gpu = from->gpu_resource,
        .gpus = from->gpus,
        .cpu_millis = clamp_u32(from->cpu_milli),
        .memory_bytes = from->memory_bytes,
        .node_name = from->node_name,
        .bound_node = NODE_NONE,
    };
    if ((from->node_name == NULL && !selector_make(from, request, err)) ||
        !tolerations_make(from, request, err)) {
        return false;
    }
    engine->head = *request;
    if (from->kind == STACK_RAY) {
        engine->head.gpus = from->head_gpus;
        engine->head.cpu_millis = clamp_u32(from->head_cpu_milli);
        engine->head.memory_bytes = from->head_memory_bytes;
    }
    return match_check(helm, engine, err);
}
