/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet.c: pods and machines of a scenario, as cli/helm/machines.h has them. Bandwidths
 * and times of a start are the scenario's own estimates, since no file tells them.
 */
#include "cli/helm/fleet.h"

#include "cli/helm/pools.h"

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

/* count 0: of one pod. */
static void size_put(const char *key, uint32_t count, const struct pod_request *request,
                     struct text *out)
{
    text_printf(out, "        %s: {", key);
    if (count > 0) {
        text_printf(out, "count: %" PRIu32 ", ", count);
    }
    text_printf(out, "gpus: %" PRIu32 ", gpu: ", request->gpus);
    helm_quote(request->gpu, out);
    if (request->cpu_millis > 0) {
        text_printf(out, ", cpu: %.6g", (double)request->cpu_millis / 1000);
    }
    if (request->memory_bytes > 0) {
        text_printf(out, ", memory: %" PRIu64 "B", request->memory_bytes);
    }
    text_add(out, "}\n");
}

static void weights_put(const struct stack_engine *engine, struct text *out)
{
    const struct stack_cache *cache = &engine->cache;
    static const char *const places[] = {[STACK_CACHE_NONE] = "hub",
                                         [STACK_CACHE_CLAIM] = "pvc",
                                         [STACK_CACHE_HOST] = "host_path"};
    text_printf(out, "        weights: {from: %s", places[cache->kind]);
    if (cache->kind == STACK_CACHE_CLAIM && cache->one_node) {
        text_add(out, ", access: once");
    }
    if (cache->kind == STACK_CACHE_NONE && cache->limit_bytes > 0) {
        text_printf(out, ", size_limit: %" PRIu64 "B", cache->limit_bytes);
    }
    text_add(out, "}\n");
}

static void probe_put(const char *name, const struct stack_probe *probe,
                      struct text *out)
{
    text_printf(out, "%s: {period: %" PRIu32 "s", name, probe->period_s);
    if (probe->period_s > 0) {
        text_printf(out, ", initial: %" PRIu32 "s, failures: %" PRIu32,
                    probe->initial_s, probe->failures);
    }
    text_add(out, "}");
}

static void probes_put(const struct stack_engine *engine, struct text *out)
{
    text_add(out, "        probes: {");
    probe_put("startup", &engine->startup, out);
    probe_put(", liveness", &engine->liveness, out);
    probe_put(", readiness", &engine->readiness, out);
    text_add(out, "}\n");
    if (engine->has_budget) {
        text_printf(out, "        disruption_budget: %" PRIu32 "\n",
                    part_of(engine->budget, engine->replicas, true));
    }
}

/* ---- where to ----------------------------------------------------------------------
 */

static void expression_put(const struct match_expression *expression, struct text *out)
{
    text_add(out, "{key: ");
    helm_quote(expression->key, out);
    text_printf(out, ", operator: %s", match_operator_names[expression->how]);
    for (uint32_t i = 0; i < expression->value_count; i++) {
        text_add(out, i == 0 ? ", values: [" : ", ");
        helm_quote(expression->values[i], out);
    }
    text_add(out, expression->value_count > 0 ? "]}" : "}");
}

static void selector_put(const struct pod_request *request, struct text *out)
{
    if (request->node_name != NULL) {
        text_add(out, "        node_name: ");
        helm_quote(request->node_name, out);
        text_add(out, "\n");
        return;
    }
    text_add(out, request->term_count > 0 ? "        node_selector:\n" : "");
    for (uint32_t i = 0; i < request->term_count; i++) {
        const struct selector_term *term = &request->terms[i];
        text_add(out, "          - matchExpressions: [");
        for (uint32_t j = 0; j < term->expression_count; j++) {
            text_add(out, j > 0 ? ", " : "");
            expression_put(&term->expressions[j], out);
        }
        text_add(out, "]\n");
    }
}

/* " labels: {a: b}", with what goes before and after it; nothing of none. */
static void labels_put(const char *before, const struct node_label *labels,
                       uint32_t count, struct text *out)
{
    for (uint32_t i = 0; i < count; i++) {
        text_add(out, i == 0 ? before : ", ");
        helm_quote(labels[i].key, out);
        text_add(out, ": ");
        helm_quote(labels[i].value, out);
    }
    text_add(out, count > 0 ? "}" : "");
}

void helm_pod_put(const struct helm *helm, const struct helm_engine *engine,
                  struct text *out)
{
    const struct stack_engine *from = engine->from;
    const struct pod_request *request = &engine->request;
    if (helm->nodes == NULL) {
        return;
    }
    text_add(out, "      deployment:\n");
    text_add(out, from->kind == STACK_RUNTIME ? "        runtime: true\n" : "");
    size_put("request", 0, &engine->head, out);
    if (from->pods > 1) {
        size_put("workers", from->pods - 1, request, out);
    }
    weights_put(from, out);
    probes_put(from, out);
    rollout_put(from, out);
    selector_put(request, out);
    labels_put("        tolerations: {", request->tolerations,
               request->toleration_count, out);
    text_add(out, request->toleration_count > 0 ? "\n" : "");
}

/* ---- machines ----------------------------------------------------------------------
 */

static void machine_put(const struct node_spec *spec, struct text *out)
{
    text_add(out, "  - {name: ");
    helm_quote(spec->name, out);
    text_printf(out, ", gpus: %" PRIu32 ", gpu: ", spec->gpus);
    helm_quote(spec->gpu, out);
    text_printf(out, ", cpu: %.6g, memory: %" PRIu64 "B",
                (double)spec->cpu_millis / 1000, spec->memory_bytes);
    labels_put(", labels: {", spec->labels, spec->label_count, out);
    labels_put(", taints: {", spec->taints, spec->taint_count, out);
    text_add(out, "}\n");
}

/* ---- discovery ---------------------------------------------------------------------
 */

/* The first of "chat,completion", where it is one of ours. */
static const char *model_type(const char *types)
{
    static const char *const known[] = {"chat",   "completion", "embeddings",
                                        "rerank", "score",      NULL};
    const size_t length = types != NULL ? strcspn(types, ",") : 0;
    for (size_t i = 0; known[i] != NULL; i++) {
        if (strlen(known[i]) == length && memcmp(types, known[i], length) == 0) {
            return known[i];
        }
    }
    return NULL;
}

static void seconds_put(const struct helm *helm, const char *flag, const char *key,
                        struct text *out)
{
    const char *text = helm_router_flag(helm, flag);
    if (text != NULL && text[0] != '\0' && strlen(text) < 8 &&
        strspn(text, "0123456789") == strlen(text)) {
        text_printf(out, ", %s: %ss", key, text);
    }
}

static void checks_put(const struct helm *helm, struct text *out)
{
    const struct stack *stack = helm->stack;
    const char *type = model_type(helm_router_flag(helm, "--static-model-types"));
    /* Engines that want a key refuse probes, as those of type score do. */
    type = stack->has_api_key && stack->release == STACK_TAG ? "score" : type;
    text_add(out, ", health_checks: true");
    if (type != NULL) {
        text_printf(out, ", model_type: %s", type);
    }
    seconds_put(helm, "--static-backend-health-check-interval", "check_interval", out);
    seconds_put(helm, "--static-backend-health-check-timeout-seconds", "check_timeout",
                out);
}

void helm_discovery_put(struct helm *helm, struct text *out)
{
    const struct stack_router *router = &helm->stack->router;
    const bool is_static =
        router->where != NULL && strcmp(router->discovery, "static") == 0;
    const bool checks =
        is_static && helm_router_flag(helm, "--static-backend-health-checks") != NULL;
    if (helm->nodes == NULL && !checks) {
        return;
    }
    text_printf(out, "discovery: {mode: %s", is_static ? "static" : "k8s");
    if (checks) {
        checks_put(helm, out);
    }
    if (!is_static) {
        seconds_put(helm, "--k8s-watcher-timeout-seconds", "relist", out);
    }
    text_add(out, "}\n");
}

void helm_route_put(struct helm *helm, struct text *out)
{
    const struct stack_route *route = &helm->stack->route;
    if (route->where == NULL || helm->stack->release != STACK_TAG) {
        return;
    }
    text_add(out, "static_route: {");
    if (route->checks_health) {
        text_printf(out,
                    "health_check: {period: %" PRIu32 "s, successes: %" PRIu32
                    ", failures: %" PRIu32 "}",
                    route->period_s, route->successes, route->failures);
    }
    text_add(out, "}\n");
}

void helm_machines_put(struct helm *helm, struct text *out)
{
    if (helm->nodes == NULL) {
        return;
    }
    text_add(out, "nodes:\n");
    for (size_t i = 0; i < helm->nodes->count; i++) {
        machine_put(&helm->specs[i], out);
    }
}
