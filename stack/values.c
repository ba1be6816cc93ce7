/* SPDX-License-Identifier: Apache-2.0
 *
 * values.c: the top of the chart's values: engines, cache server, LoRA, labels. Its
 * routerSpec is values_router.c's, an item of modelSpec values_model.c's.
 */
#include "stack/parts.h"

#include <stdio.h>
#include <string.h>

enum { LABELS_MAX = 100, LABEL_BYTES_MAX = 255, REPLICAS_MAX = 4096 };

/* ---- labels ------------------------------------------------------------------------
 */

/* Helm lays a user's map over the chart's, so the chart's own labels stay unless they
 * are set to null. */
struct label {
    const char *key;
    const char *value;
};

static void label_put(struct label *labels, size_t *count, const char *key,
                      const char *value)
{
    size_t at = 0;
    while (at < *count && strcmp(labels[at].key, key) < 0) {
        at++;
    }
    const bool there = at < *count && strcmp(labels[at].key, key) == 0;
    if (value == NULL) {
        for (size_t i = at; there && i + 1 < *count; i++) {
            labels[i] = labels[i + 1];
        }
        *count -= there ? 1 : 0;
        return;
    }
    if (!there) {
        for (size_t i = *count; i > at; i--) {
            labels[i] = labels[i - 1];
        }
        (*count)++;
    }
    labels[at] = (struct label){key, value};
}

bool values_labels(struct stack *stack, const struct conf_node *spec, const char **out,
                   struct err *err)
{
    struct label labels[LABELS_MAX + 2];
    size_t count = 0;
    const struct conf_node *map = NULL;
    label_put(labels, &count, "environment", "test");
    label_put(labels, &count, "release", "test");
    if (!read_map(spec, "labels", &map, err)) {
        return false;
    }
    if (conf_count(map) > LABELS_MAX) {
        return conf_fail(map, err, "labels: more than %d", LABELS_MAX);
    }
    for (size_t i = 0; i < conf_count(map); i++) {
        const char *key = conf_key_at(map, i);
        const struct conf_node *node = conf_at(map, i);
        const char *value = NULL;
        if (!read_text(map, key, &value, err)) {
            return false;
        }
        if (strlen(key) > LABEL_BYTES_MAX || (value != NULL && strlen(value) > 63)) {
            return conf_fail(node, err,
                             "labels: Kubernetes takes values of 63 characters");
        }
        label_put(labels, &count, key, value);
    }
    struct text selector = {0};
    for (size_t i = 0; i < count; i++) {
        text_printf(&selector, "%s%s=%s", i == 0 ? "" : ",", labels[i].key,
                    labels[i].value);
    }
    *out = arena_strdup(stack->arena, text_str(&selector));
    text_fini(&selector);
    return true;
}

/* ---- servingEngineSpec -------------------------------------------------------------
 */

bool probe_read(const struct conf_node *spec, const char *key,
                struct stack_probe *probe, struct err *err)
{
    static const char *const pass[] = {"httpGet",
                                       "tcpSocket",
                                       "exec",
                                       "grpc",
                                       "successThreshold",
                                       "timeoutSeconds",
                                       "terminationGracePeriodSeconds",
                                       NULL};
    const struct conf_node *map = NULL;
    if (!read_map(spec, key, &map, err) ||
        !read_count(map, "initialDelaySeconds", &probe->initial_s, 0, 1000000, err) ||
        !read_count(map, "periodSeconds", &probe->period_s, 1, 1000000, err) ||
        !read_count(map, "failureThreshold", &probe->failures, 1, 1000000, err)) {
        return false;
    }
    read_pass(map, pass);
    return true;
}

static bool strategy_read(struct values_shared *shared, struct err *err)
{
    const struct conf_node *map = NULL;
    const struct conf_node *rolling = NULL;
    const char *type = "RollingUpdate";
    shared->max_unavailable = "0";
    shared->max_surge = "100%";
    if (!read_map(shared->spec, "strategy", &map, err) ||
        !read_text(map, "type", &type, err) ||
        !read_map(map, "rollingUpdate", &rolling, err) ||
        !read_text(rolling, "maxSurge", &shared->max_surge, err) ||
        !read_text(rolling, "maxUnavailable", &shared->max_unavailable, err)) {
        return false;
    }
    if (strcmp(type, "Recreate") == 0) {
        shared->max_surge = NULL;
        return true;
    }
    if (strcmp(type, "RollingUpdate") != 0) {
        return conf_fail(conf_get(map, "type"), err,
                         "strategy: \"%.60s\" is neither RollingUpdate nor Recreate",
                         type);
    }
    return true;
}

static bool ray_read(struct stack *stack, struct values_shared *shared, struct err *err)
{
    static const char *const pass[] = {"runtimeClassName", "annotations", "labels",
                                       "resources", NULL};
    const struct conf_node *head = NULL;
    uint64_t unused = 0;
    uint32_t count = 0;
    shared->ray = conf_get(shared->spec, "raySpec");
    if (shared->ray == NULL) {
        return true;
    }
    if (stack->release == STACK_HEAD && !read_has(shared->ray, "headNode")) {
        shared->ray = NULL;
        return true;
    }
    if (!read_map(shared->spec, "raySpec", &head, err) ||
        !read_map(shared->ray, "headNode", &head, err)) {
        return false;
    }
    read_pass(head, pass);
    read_pass(shared->ray, (const char *const[]){"enabled", NULL});
    return read_quantity(head, "requestCPU", &unused, err) &&
           read_quantity(head, "requestMemory", &unused, err) &&
           read_count(head, "requestGPU", &count, 0, 64, err);
}

static void shared_pass(struct stack *stack, const struct conf_node *spec)
{
    static const char *const pass[] = {"vllmApiKey",
                                       "runtimeClassName",
                                       "securityContext",
                                       "containerSecurityContext",
                                       "maxUnavailablePodDisruptionBudget",
                                       "resources",
                                       "annotations",
                                       NULL};
    static const char *const head[] = {"readinessProbe",
                                       "extraPorts",
                                       "env",
                                       "sidecar",
                                       "serviceMonitor",
                                       "affinity",
                                       "podAnnotations",
                                       "serviceAnnotations",
                                       "priorityClassName",
                                       "serviceAccountName",
                                       "imagePullSecrets",
                                       "volumeMounts",
                                       "volumes",
                                       NULL};
    only_at(stack, STACK_HEAD, spec, head);
    if (stack->release == STACK_HEAD) {
        read_pass(spec, head);
    }
    read_pass(spec, pass);
}

static bool scheduler_read(struct stack *stack, const struct conf_node *spec,
                           struct err *err)
{
    const char *name = NULL;
    if (!read_text(spec, "schedulerName", &name, err)) {
        return false;
    }
    if (name != NULL && name[0] != '\0' && strcmp(name, "default-scheduler") != 0) {
        findings_add(
            &stack->findings, FINDING_WARNING, "not_simulated",
            conf_get(spec, "schedulerName"),
            "schedulerName: pods are placed as Kubernetes' own scheduler does, "
            "whatever %.80s would do",
            name);
    }
    return true;
}

/* The chart of 0.1.3 writes a budget that selects no pod. */
static bool budget_read(struct stack *stack, struct values_shared *shared,
                        struct err *err)
{
    const char *text = NULL;
    if (!read_text(shared->spec, "maxUnavailablePodDisruptionBudget", &text, err)) {
        return false;
    }
    const bool given = text != NULL && text[0] != '\0';
    if (stack->release == STACK_HEAD) {
        shared->budget = given ? text : "1";
    } else if (given) {
        findings_add(
            &stack->findings, FINDING_TRAP, "budget_without_selector",
            conf_get(shared->spec, "maxUnavailablePodDisruptionBudget"),
            "maxUnavailablePodDisruptionBudget: the chart's budget has no "
            "selector and protects no pod; write a PodDisruptionBudget of your "
            "own");
    }
    return true;
}

static bool models_read(struct stack *stack, const struct values_shared *shared,
                        struct err *err)
{
    const struct conf_node *models = NULL;
    if (!read_list_of(shared->spec, "modelSpec", CONF_MAP, &models, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(models); i++) {
        if (!values_model_read(stack, shared, conf_at(models, i), err)) {
            return false;
        }
    }
    if (conf_count(models) == 0) {
        findings_add(&stack->findings, FINDING_WARNING, "no_models", shared->spec,
                     "modelSpec is empty: no engine will run; describe one");
    }
    return true;
}

bool values_engines_read(struct stack *stack, const struct conf_node *spec,
                         const struct values_shared *outer, struct err *err)
{
    struct values_shared shared = {
        .spec = spec,
        .labels = outer->labels,
        .port = 8000,
        .service_port = 80,
        .startup = {.initial_s = 15, .period_s = 10, .failures = 60},
        .liveness = {.initial_s = 15, .period_s = 10, .failures = 3},
        .remote_url = outer->remote_url,
    };
    const bool head = stack->release == STACK_HEAD;
    if (head) {
        shared.readiness =
            (struct stack_probe){.initial_s = 15, .period_s = 5, .failures = 3};
    }
    bool enabled = true;
    struct stack_engine tolerant = {0};
    if (!tolerations_read(stack, &tolerant, spec, "tolerations", err) ||
        !read_truth(spec, "enableEngine", &enabled, &stack->findings, err) ||
        !read_count(spec, "containerPort", &shared.port, 1, 65535, err) ||
        !read_count(spec, "servicePort", &shared.service_port, 1, 65535, err) ||
        !probe_read(spec, "startupProbe", &shared.startup, err) ||
        !probe_read(spec, "livenessProbe", &shared.liveness, err) ||
        (head && !probe_read(spec, "readinessProbe", &shared.readiness, err)) ||
        !scheduler_read(stack, spec, err) || !budget_read(stack, &shared, err) ||
        !strategy_read(&shared, err) || !ray_read(stack, &shared, err)) {
        return false;
    }
    stack->has_api_key = read_child(spec, "vllmApiKey") != NULL;
    shared.tolerations = tolerant.tolerations;
    shared.toleration_count = tolerant.toleration_count;
    shared_pass(stack, spec);
    if (!enabled) {
        conf_leave(conf_get(spec, "modelSpec"));
        findings_add(
            &stack->findings, FINDING_NOTE, "engines_off",
            conf_get(spec, "enableEngine"),
            "enableEngine is false: no engine runs, and the router watches all "
            "pods of the namespace");
        return true;
    }
    return models_read(stack, &shared, err);
}

/* ---- the others --------------------------------------------------------------------
 */

static bool cache_server_read(struct stack *stack, const struct conf_node *root,
                              const char **remote_url, struct err *err)
{
    static const char *const pass[] = {
        "repository",   "tag",   "imagePullPolicy", "containerPort",     "serde",
        "labels",       "limit", "strategy",        "nodeSelectorTerms", "image",
        "affinity",     "env",   "tolerations",     "livenessProbe",     "replicaCount",
        "enableServer", NULL};
    const struct conf_node *map = NULL;
    const struct conf_node *resources = NULL;
    const struct conf_node *limits = NULL;
    uint32_t port = 81;
    uint64_t milli = 0;
    bool enabled = true;
    if (!read_map(root, "cacheserverSpec", &map, err) ||
        !read_truth(map, "enabled", &enabled, &stack->findings, err) ||
        !read_count(map, "servicePort", &port, 1, 65535, err) ||
        !read_map(map, "resources", &resources, err) ||
        !read_map(resources, "limits", &limits, err) ||
        !read_quantity(limits, "memory", &milli, err)) {
        return false;
    }
    read_pass(map, pass);
    read_pass(resources, (const char *const[]){"requests", NULL});
    read_pass(limits, (const char *const[]){"cpu", NULL});
    if (map != NULL && enabled) {
        stack->cache_server = (struct stack_cache_server){
            .where = map, .replicas = 1, .memory_bytes = milli / 1000};
        *remote_url =
            stack_text(stack, "lm://%s-cache-server-service:%u", stack->name, port);
    }
    return true;
}

static bool chart_adapter_read(struct stack *stack, const struct conf_node *item,
                               struct err *err)
{
    static const char *const pass[] = {"vllmApiKey", "adapterSource", "labels",
                                       "namespace",  "annotations",   NULL};
    struct stack_adapter *adapter = NULL;
    const struct conf_node *placement = NULL;
    if (!stack_add_adapter(stack, item, &adapter, err) ||
        !read_text(item, "name", &adapter->name, err) ||
        !read_text(item, "baseModel", &adapter->base_model, err) ||
        !read_map(item, "loraAdapterDeploymentConfig", &placement, err) ||
        !read_count(placement, "replicas", &adapter->replicas, 0, REPLICAS_MAX, err)) {
        return false;
    }
    adapter->has_replicas = read_child(placement, "replicas") != NULL;
    read_pass(placement, (const char *const[]){"algorithm", NULL});
    read_pass(item, pass);
    if (adapter->name == NULL || adapter->base_model == NULL) {
        return conf_fail(item, err, "loraAdapters: name and baseModel are needed");
    }
    return true;
}

static bool lora_read(struct stack *stack, const struct conf_node *root,
                      struct err *err)
{
    static const char *const pass[] = {"replicaCount",
                                       "image",
                                       "resources",
                                       "extraVolumes",
                                       "extraVolumeMounts",
                                       "env",
                                       "imagePullSecrets",
                                       "annotations",
                                       "podAnnotations",
                                       "podSecurityContext",
                                       "containerSecurityContext",
                                       "webhook",
                                       "nodeSelector",
                                       "affinity",
                                       "tolerations",
                                       "metrics",
                                       "extraArgs",
                                       "labels",
                                       "kubernetesClusterDomain",
                                       NULL};
    static const char *const adapters[] = {"loraAdapters", NULL};
    const struct conf_node *controller = NULL;
    const struct conf_node *list = NULL;
    only_at(stack, STACK_HEAD, root, adapters);
    if (!read_map(root, "loraController", &controller, err) ||
        !read_truth(controller, "enabled", &stack->has_lora_controller,
                    &stack->findings, err) ||
        (stack->release == STACK_HEAD &&
         !read_list_of(root, "loraAdapters", CONF_MAP, &list, err))) {
        return false;
    }
    read_pass(controller, pass);
    for (size_t i = 0; i < conf_count(list); i++) {
        if (!chart_adapter_read(stack, conf_at(list, i), err)) {
            return false;
        }
    }
    return true;
}

bool values_read(struct stack *stack, const struct conf_node *root, struct err *err)
{
    static const char *const pass[] = {"sharedStorage", "nameOverride",
                                       "fullnameOverride", "global", NULL};
    static const char *const head[] = {"sharedPvcStorage",      "extraObjects",
                                       "kube-prometheus-stack", "grafanaDashboards",
                                       "prometheus-adapter",    NULL};
    const struct conf_node *spec = NULL;
    struct values_shared outer = {.labels = ""};
    bool engines = true;
    if (!read_map(root, "servingEngineSpec", &spec, err) ||
        !read_truth(spec, "enableEngine", &engines, &stack->findings, err) ||
        !values_labels(stack, spec, &outer.labels, err) ||
        !cache_server_read(stack, root, &outer.remote_url, err) ||
        !lora_read(stack, root, err) ||
        (spec != NULL && !values_engines_read(stack, spec, &outer, err)) ||
        !values_router_read(stack, root, engines ? outer.labels : NULL, err)) {
        return false;
    }
    if (spec == NULL) {
        findings_add(&stack->findings, FINDING_WARNING, "no_models", root,
                     "no servingEngineSpec: no engine will run; describe one");
    }
    only_at(stack, STACK_HEAD, root, head);
    if (stack->release == STACK_HEAD) {
        read_pass(root, head);
    }
    read_pass(root, pass);
    return true;
}
