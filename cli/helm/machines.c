/* SPDX-License-Identifier: Apache-2.0
 *
 * machines.c: pods and machines of a scenario. Bandwidths and times of a start are the
 * scenario's own estimates, since no file of the stack tells them.
 */
#include "cli/helm/machines.h"

#include "cli/helm/pools.h"
#include "sim/control/nodes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- pods --------------------------------------------------------------------------
 */

/* "25%" of the replicas, rounded up or down as Kubernetes does, or a count. */
static uint32_t part_of(const char *text, uint32_t replicas, bool up)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    const uint64_t bounded = value < 100000 ? value : 100000;
    if (end == NULL || *end != '%') {
        return (uint32_t)bounded;
    }
    return (uint32_t)((bounded * replicas + (up ? 99 : 0)) / 100);
}

static void rollout_put(const struct stack_engine *engine, struct text *out)
{
    const uint32_t replicas = engine->replicas;
    uint32_t surge = 0;
    uint32_t unavailable = replicas;
    if (engine->max_surge != NULL) {
        surge = part_of(engine->max_surge, replicas, true);
        unavailable = part_of(engine->max_unavailable, replicas, false);
        /* Both zero would never get on; Kubernetes makes it one. */
        unavailable = surge == 0 && unavailable == 0 ? 1 : unavailable;
    }
    text_printf(out, "        surge: %" PRIu32 "\n        unavailable: %" PRIu32 "\n",
                surge < replicas ? surge : replicas,
                unavailable < replicas ? unavailable : replicas);
}

static void request_put(const struct stack_engine *engine, struct text *out)
{
    text_printf(out, "        request: {gpus: %" PRIu32 ", gpu: ", engine->gpus);
    helm_quote(engine->gpu_resource, out);
    if (engine->cpu_milli > 0) {
        text_printf(out, ", cpu: %.6g", (double)engine->cpu_milli / 1000);
    }
    if (engine->memory_bytes > 0) {
        text_printf(out, ", memory: %" PRIu64 "B", engine->memory_bytes);
    }
    text_add(out, "}\n");
}

static void weights_put(const struct stack_engine *engine, struct text *out)
{
    const char *from = engine->has_storage      ? "pvc"
                       : engine->has_host_cache ? "host_path"
                                                : "hub";
    text_printf(out, "        weights: {from: %s%s}\n", from,
                engine->has_storage && engine->storage_rwo ? ", access: once" : "");
}

static void probe_put(const struct stack_engine *engine, struct text *out)
{
    const struct stack_probe *probe = &engine->startup;
    if (probe->period_s > 0) {
        text_printf(out,
                    "        probes: {startup: {initial: %" PRIu32 "s, period: %" PRIu32
                    "s, failures: %" PRIu32 "}}\n",
                    probe->initial_s, probe->period_s, probe->failures);
    }
}

/* ---- where to ----------------------------------------------------------------------
 */

/* Whether the scenario's selector can say it. */
static bool selector_fits(const struct stack_engine *engine)
{
    uint32_t in_term = 0;
    for (size_t i = 0; i < engine->expression_count; i++) {
        const struct stack_expression *expression = &engine->expressions[i];
        const bool begins = i == 0 || expression->term != expression[-1].term;
        in_term = begins ? 1 : in_term + 1;
        if (expression->term >= NODE_TERMS_MAX || in_term > NODE_TERMS_MAX ||
            conf_count(expression->values) > NODE_VALUES_MAX ||
            strcmp(expression->op, "Gt") == 0 || strcmp(expression->op, "Lt") == 0) {
            return false;
        }
    }
    return true;
}

static void expression_put(const struct stack_expression *expression, struct text *out)
{
    text_add(out, "{key: ");
    helm_quote(expression->key, out);
    text_printf(out, ", operator: %s", expression->op);
    for (size_t i = 0; i < conf_count(expression->values); i++) {
        text_add(out, i == 0 ? ", values: [" : ", ");
        helm_quote(conf_scalar(conf_at(expression->values, i)), out);
    }
    text_add(out, conf_count(expression->values) > 0 ? "]}" : "}");
}

static void selector_put(struct helm *helm, const struct stack_engine *engine,
                         struct text *out)
{
    if (engine->node_name != NULL) {
        text_add(out, "        node_name: ");
        helm_quote(engine->node_name, out);
        text_add(out, "\n");
        return;
    }
    if (engine->expression_count == 0) {
        return;
    }
    if (!selector_fits(engine)) {
        findings_add(
            &helm->stack->findings, FINDING_WARNING, "not_simulated", engine->where,
            "%s: a simulation leaves out: a node selector with Gt, Lt, or more "
            "than %d terms, expressions or values",
            engine->name, NODE_TERMS_MAX);
        return;
    }
    text_add(out, "        node_selector:\n");
    for (size_t i = 0; i < engine->expression_count; i++) {
        const struct stack_expression *expression = &engine->expressions[i];
        const bool begins = i == 0 || expression->term != expression[-1].term;
        const bool ends =
            i + 1 == engine->expression_count || expression->term != expression[1].term;
        text_add(out, begins ? "          - matchExpressions: [" : ", ");
        expression_put(expression, out);
        text_add(out, ends ? "]\n" : "");
    }
}

static void tolerations_put(const struct stack_engine *engine, struct text *out)
{
    size_t put = 0;
    for (size_t i = 0; i < engine->toleration_count && put < NODE_TAINTS_MAX; i++) {
        const struct stack_label *label = &engine->tolerations[i];
        bool again = false;
        for (size_t j = 0; j < i; j++) {
            again = again || strcmp(engine->tolerations[j].key, label->key) == 0;
        }
        if (again) {
            continue;
        }
        text_add(out, put++ == 0 ? "        tolerations: {" : ", ");
        helm_quote(label->key, out);
        text_add(out, ": ");
        helm_quote(label->value, out);
    }
    text_add(out, put > 0 ? "}\n" : "");
}

void helm_pod_put(struct helm *helm, const struct stack_engine *engine,
                  struct text *out)
{
    if (helm->nodes == NULL) {
        return;
    }
    if (engine->kind == STACK_RAY) {
        findings_add(&helm->stack->findings, FINDING_WARNING, "not_simulated",
                     engine->where,
                     "%s: a simulation leaves out: where the pods of a Ray cluster go, "
                     "and that all of them fail with one",
                     engine->name);
        return;
    }
    text_add(out, "      deployment:\n");
    request_put(engine, out);
    weights_put(engine, out);
    probe_put(engine, out);
    rollout_put(engine, out);
    selector_put(helm, engine, out);
    tolerations_put(engine, out);
}

/* ---- machines ----------------------------------------------------------------------
 */

static bool is_selected(const struct helm *helm, const char *key)
{
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        const struct stack_engine *engine = helm->engines[i].from;
        for (size_t j = 0; j < engine->expression_count; j++) {
            if (strcmp(engine->expressions[j].key, key) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Labels that some selector asks for. */
static void labels_put(const struct helm *helm, const struct stack_node *node,
                       struct text *out)
{
    size_t put = 0;
    for (size_t i = 0; i < node->label_count && put < NODE_LABELS_MAX; i++) {
        if (is_selected(helm, node->labels[i].key)) {
            text_add(out, put++ == 0 ? ", labels: {" : ", ");
            helm_quote(node->labels[i].key, out);
            text_add(out, ": ");
            helm_quote(node->labels[i].value, out);
        }
    }
    text_add(out, put > 0 ? "}" : "");
}

static void machine_put(const struct helm *helm, const struct stack_node *node,
                        struct text *out)
{
    text_add(out, "  - {name: ");
    helm_quote(node->name, out);
    text_printf(out, ", gpus: %" PRIu32 ", gpu: ", node->gpus);
    helm_quote(node->gpu_resource, out);
    if (node->cpu_milli > 0) {
        text_printf(out, ", cpu: %.6g", (double)node->cpu_milli / 1000);
    }
    if (node->memory_bytes > 0) {
        text_printf(out, ", memory: %" PRIu64 "B", node->memory_bytes);
    }
    labels_put(helm, node, out);
    for (size_t i = 0; i < node->taint_count; i++) {
        text_add(out, i == 0 ? ", taints: {" : ", ");
        helm_quote(node->taints[i].key, out);
        text_add(out, ": ");
        helm_quote(node->taints[i].value, out);
    }
    text_add(out, node->taint_count > 0 ? "}}\n" : "}\n");
}

void helm_machines_put(struct helm *helm, struct text *out)
{
    const struct stack_router *router = &helm->stack->router;
    if (helm->nodes == NULL) {
        return;
    }
    text_add(out, "nodes:\n");
    for (size_t i = 0; i < helm->nodes->count; i++) {
        if (!helm->nodes->items[i].unschedulable) {
            machine_put(helm, &helm->nodes->items[i], out);
        }
    }
    const bool is_static =
        router->where != NULL && strcmp(router->discovery, "static") == 0;
    text_printf(out, "discovery: {mode: %s}\n", is_static ? "static" : "k8s");
}
