/* SPDX-License-Identifier: Apache-2.0
 *
 * values_router.c: routerSpec, and the command line that the chart's template makes of
 * it. Always k8s discovery by default, and never --k8s-port.
 */
#include "stack/parts.h"

#include <string.h>

enum { REPLICAS_MAX = 256 };

/* What stands in routerSpec, before it becomes arguments. */
struct spec {
    const struct conf_node *map;
    bool enabled;
    const char *backends;
    const char *models;
    const char *k8s_type;
    const char *reply_port;
    const char *min_match;
    const char *scrape;
    const char *window;
    const char *controller_port;
    const char *labels; /* of the engines; NULL = no engines */
    bool pd;
};

static bool head_read(struct stack *stack, struct spec *spec, struct err *err)
{
    static const char *const known[] = {"k8sServiceDiscoveryType",
                                        "prefixMinMatchLength",
                                        "lmcacheControllerReplyPort",
                                        "autoscaling",
                                        "pdb",
                                        "route",
                                        "otel",
                                        "extraPorts",
                                        "startupProbe",
                                        "readinessProbe",
                                        "env",
                                        "extraVolumes",
                                        "extraVolumeMounts",
                                        "imagePullSecrets",
                                        "affinity",
                                        "tolerations",
                                        "serviceAccountName",
                                        NULL};
    const struct conf_node *otel = NULL;
    const char *endpoint = NULL;
    only_at(stack, STACK_HEAD, spec->map, known);
    if (stack->release != STACK_HEAD) {
        return true;
    }
    if (!read_text(spec->map, "k8sServiceDiscoveryType", &spec->k8s_type, err) ||
        !read_text(spec->map, "prefixMinMatchLength", &spec->min_match, err) ||
        !read_text(spec->map, "lmcacheControllerReplyPort", &spec->reply_port, err) ||
        !read_map(spec->map, "otel", &otel, err) ||
        !read_text(otel, "endpoint", &endpoint, err) ||
        !volumes_check(spec->map, err)) {
        return false;
    }
    read_pass(spec->map, known);
    return true;
}

static bool spec_read(struct stack *stack, struct spec *spec, struct err *err)
{
    static const char *const pass[] = {"repository",
                                       "tag",
                                       "imagePullPolicy",
                                       "serviceType",
                                       "resources",
                                       "strategy",
                                       "labels",
                                       "ingress",
                                       "nodeSelectorTerms",
                                       "vllmApiKey",
                                       "livenessProbe",
                                       "hf_token",
                                       "priorityClassName",
                                       "serviceAnnotations",
                                       "podAnnotations",
                                       "annotations",
                                       "nodeSelector",
                                       NULL};
    struct stack_router *router = &stack->router;
    const struct conf_node *map = spec->map;
    uint32_t port = 0;
    router->discovery = "k8s";
    router->routing_logic = "roundrobin";
    router->replicas = 1;
    router->port = 8000;
    router->scrape_interval_s = 15;
    router->stats_window_s = 60;
    spec->scrape = "15";
    spec->window = "60";
    if (!read_count(map, "replicaCount", &router->replicas, 0, REPLICAS_MAX, err) ||
        !read_count(map, "containerPort", &router->port, 1, 65535, err) ||
        !read_count(map, "servicePort", &port, 1, 65535, err) ||
        !read_text(map, "serviceDiscovery", &router->discovery, err) ||
        !read_text(map, "staticBackends", &spec->backends, err) ||
        !read_text(map, "staticModels", &spec->models, err) ||
        !read_text(map, "routingLogic", &router->routing_logic, err) ||
        !read_text(map, "sessionKey", &router->session_key, err) ||
        !read_count(map, "engineScrapeInterval", &router->scrape_interval_s, 0, 1000000,
                    err) ||
        !read_count(map, "requestStatsWindow", &router->stats_window_s, 0, 1000000,
                    err) ||
        !read_text(map, "engineScrapeInterval", &spec->scrape, err) ||
        !read_text(map, "requestStatsWindow", &spec->window, err) ||
        !read_text(map, "lmcacheControllerPort", &spec->controller_port, err) ||
        !read_truth(map, "enablePD", &spec->pd, &stack->findings, err)) {
        return false;
    }
    read_pass(map, pass);
    return head_read(stack, spec, err);
}

static const char *not_empty(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static void discovery_add(struct stack *stack, const struct spec *spec)
{
    struct stack_router *router = &stack->router;
    struct args *args = &router->args;
    const struct conf_node *map = spec->map;
    args_pair(args, conf_get(map, "serviceDiscovery"), "--service-discovery",
              router->discovery);
    if (strcmp(router->discovery, "static") == 0) {
        args_pair(args, conf_get(map, "staticBackends"), "--static-backends",
                  not_empty(spec->backends));
        args_pair(args, conf_get(map, "staticModels"), "--static-models",
                  not_empty(spec->models));
        return;
    }
    args_pair(args, NULL, "--k8s-namespace", stack->kube_namespace);
    if (spec->labels != NULL) {
        args_pair(args, NULL, "--k8s-label-selector", spec->labels);
    }
    args_pair(args, conf_get(map, "k8sServiceDiscoveryType"),
              "--k8s-service-discovery-type", not_empty(spec->k8s_type));
    router->selector = spec->labels != NULL ? spec->labels : "";
}

static bool args_make(struct stack *stack, const struct spec *spec, struct err *err)
{
    struct stack_router *router = &stack->router;
    struct args *args = &router->args;
    const struct conf_node *map = spec->map;
    const struct conf_node *extra = NULL;
    if (!read_list_of(map, "extraArgs", CONF_SCALAR, &extra, err)) {
        return false;
    }
    router->session_key = not_empty(router->session_key);
    args_pair(args, NULL, "--host", "0.0.0.0");
    args_add(args, conf_get(map, "containerPort"), "--port");
    args_addf(args, conf_get(map, "containerPort"), "%u", router->port);
    discovery_add(stack, spec);
    args_pair(args, conf_get(map, "routingLogic"), "--routing-logic",
              router->routing_logic);
    args_pair(args, conf_get(map, "sessionKey"), "--session-key", router->session_key);
    if (router->scrape_interval_s > 0) {
        args_pair(args, conf_get(map, "engineScrapeInterval"),
                  "--engine-stats-interval", spec->scrape);
    }
    if (router->stats_window_s > 0) {
        args_pair(args, conf_get(map, "requestStatsWindow"), "--request-stats-window",
                  spec->window);
    }
    args_pair(args, conf_get(map, "prefixMinMatchLength"), "--prefix-min-match-length",
              not_empty(spec->min_match));
    args_list(args, extra);
    if (spec->pd) {
        args_add(args, conf_get(map, "enablePD"), "--disaggregated-prefill");
    }
    args_pair(args, conf_get(map, "lmcacheControllerPort"), "--lmcache-controller-port",
              not_empty(spec->controller_port));
    args_pair(args, conf_get(map, "lmcacheControllerReplyPort"),
              "--lmcache-controller-reply-port", not_empty(spec->reply_port));
    return true;
}

bool values_router_read(struct stack *stack, const struct conf_node *root,
                        const char *labels, struct err *err)
{
    struct spec spec = {.enabled = true, .labels = labels};
    if (!read_map(root, "routerSpec", &spec.map, err) ||
        !read_truth(spec.map, "enableRouter", &spec.enabled, &stack->findings, err)) {
        return false;
    }
    if (stack->router.where != NULL) {
        conf_leave(spec.map);
        findings_add(&stack->findings, FINDING_WARNING, "two_routers", spec.map,
                     "routerSpec: a VLLMRouter stands in the same file and is the one "
                     "that counts here; set enableRouter: false");
        return true;
    }
    if (!spec.enabled) {
        conf_leave(spec.map);
        findings_add(&stack->findings, FINDING_NOTE, "router_off",
                     conf_get(spec.map, "enableRouter"),
                     "enableRouter is false: no router runs; clients ask an engine's "
                     "Service");
        return true;
    }
    stack->router.where = spec.map != NULL ? spec.map : root;
    return spec_read(stack, &spec, err) && args_make(stack, &spec, err);
}
