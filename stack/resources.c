/* SPDX-License-Identifier: Apache-2.0
 *
 * resources.c: the operator's custom resources: VLLMRuntime, VLLMRouter, CacheServer,
 * LoraAdapter, and StaticRoute of the router-controller of release 0.1.3
 * (spec/production-stack.md 6). Other kinds of Kubernetes are passed over with a note.
 */
#include "stack/parts.h"

#include <string.h>

#define API_GROUP "production-stack.vllm.ai/"

enum { REPLICAS_MAX = 4096 };

static const char *const meta_pass[] = {"namespace",
                                        "annotations",
                                        "finalizers",
                                        "uid",
                                        "resourceVersion",
                                        "generation",
                                        "creationTimestamp",
                                        "ownerReferences",
                                        "managedFields",
                                        "generateName",
                                        NULL};

/* metadata.name; all else of metadata is passed over. */
bool resource_name_read(const struct conf_node *root, const char **name,
                        struct err *err)
{
    const struct conf_node *meta = NULL;
    if (!conf_require(root, "metadata", err) ||
        !conf_map(root, "metadata", &meta, err) || !conf_require(meta, "name", err) ||
        !read_text(meta, "name", name, err)) {
        return false;
    }
    if (*name == NULL) {
        return conf_fail(meta, err, "metadata: name is empty; give one");
    }
    read_pass(meta, meta_pass);
    conf_leave(conf_get(meta, "labels"));
    read_pass(root, (const char *const[]){"status", NULL});
    return true;
}

static bool spec_read(const struct conf_node *root, const struct conf_node **spec,
                      struct err *err)
{
    if (!conf_require(root, "spec", err) || !conf_map(root, "spec", spec, err)) {
        return false;
    }
    return *spec != NULL ||
           conf_fail(conf_get(root, "spec"), err, "spec: is empty; fill it");
}

/* ---- LoraAdapter, CacheServer, StaticRoute ------------------------------------------
 */

static bool adapter_resource_read(struct stack *stack, const struct conf_node *root,
                                  struct err *err)
{
    static const char *const types[] = {"local", "s3", "http", "huggingface", NULL};
    static const char *const pass[] = {"adapterName", "repository",           "pattern",
                                       "maxAdapters", "credentialsSecretRef", NULL};
    const char *key = stack->release == STACK_TAG ? "deploymentConfig"
                                                  : "loraAdapterDeploymentConfig";
    const struct conf_node *spec = NULL;
    const struct conf_node *source = NULL;
    const struct conf_node *placement = NULL;
    struct stack_adapter *adapter = NULL;
    const char *path = NULL;
    uint32_t type = 0;
    if (!stack_add_adapter(stack, root, &adapter, err) ||
        !resource_name_read(root, &adapter->name, err) ||
        !spec_read(root, &spec, err) || !conf_require(spec, "baseModel", err) ||
        !read_text(spec, "baseModel", &adapter->base_model, err) ||
        !conf_require(spec, "adapterSource", err) ||
        !conf_map(spec, "adapterSource", &source, err) ||
        !conf_require(source, "type", err) ||
        !conf_enum(source, "type", types, &type, err) ||
        !read_text(source, "adapterPath", &path, err) ||
        !read_map(spec, key, &placement, err) ||
        !read_count(placement, "replicas", &adapter->replicas, 0, REPLICAS_MAX, err)) {
        return false;
    }
    if (adapter->base_model == NULL) {
        return conf_fail(conf_get(spec, "baseModel"), err,
                         "baseModel: is empty; name the pods' label model");
    }
    adapter->has_replicas = read_child(placement, "replicas") != NULL;
    only_at(stack, STACK_TAG, spec, (const char *const[]){"deploymentConfig", NULL});
    only_at(stack, STACK_HEAD, spec,
            (const char *const[]){"loraAdapterDeploymentConfig", NULL});
    read_pass(source, pass);
    read_pass(placement, (const char *const[]){"algorithm", NULL});
    read_pass(spec, (const char *const[]){"vllmApiKey", NULL});
    if (strcmp(types[type], "local") != 0 &&
        (stack->release == STACK_TAG || strcmp(types[type], "huggingface") != 0)) {
        findings_add(&stack->findings, FINDING_TRAP, "adapter_source", source,
                     "adapterSource: the controller loads no adapters of type %s; put "
                     "it on a volume, with type: local and adapterPath",
                     types[type]);
    } else if (strcmp(types[type], "local") == 0 && path == NULL) {
        findings_add(&stack->findings, FINDING_TRAP, "adapter_source", source,
                     "adapterSource: type local needs adapterPath; name it");
    }
    return true;
}

static bool cache_server_resource_read(struct stack *stack,
                                       const struct conf_node *root, struct err *err)
{
    const struct conf_node *spec = NULL;
    const struct conf_node *resources = NULL;
    const char *name = NULL;
    uint32_t port = 8000;
    uint64_t milli = 0;
    struct stack_cache_server *server = &stack->cache_server;
    server->where = root;
    server->replicas = 1;
    if (!resource_name_read(root, &name, err) || !spec_read(root, &spec, err) ||
        !read_count(spec, "replicas", &server->replicas, 0, REPLICAS_MAX, err) ||
        !read_count(spec, "port", &port, 1, 65535, err) ||
        !read_map(spec, "resources", &resources, err) ||
        !read_quantity(resources, "memory", &milli, err)) {
        return false;
    }
    server->memory_bytes = milli / 1000;
    read_pass(resources, (const char *const[]){"cpu", "gpu", NULL});
    read_pass(spec, (const char *const[]){"image", "deploymentStrategy", "env",
                                          "nodeSelectorTerms", NULL});
    return true;
}

static bool static_route_read(struct stack *stack, const struct conf_node *root,
                              struct err *err)
{
    static const char *const discoveries[] = {"static", NULL};
    static const char *const logics[] = {"roundrobin", NULL};
    const struct conf_node *spec = NULL;
    const struct conf_node *reference = NULL;
    const struct conf_node *health = NULL;
    struct stack_route *route = &stack->route;
    const char *name = NULL;
    const char *text = NULL;
    uint32_t unused = 0;
    *route = (struct stack_route){
        .where = root, .period_s = 10, .successes = 1, .failures = 3};
    if (!resource_name_read(root, &name, err) || !spec_read(root, &spec, err) ||
        (read_child(spec, "serviceDiscovery") != NULL &&
         !conf_enum(spec, "serviceDiscovery", discoveries, &unused, err)) ||
        (read_child(spec, "routingLogic") != NULL &&
         !conf_enum(spec, "routingLogic", logics, &unused, err)) ||
        !read_text(spec, "staticBackends", &text, err) ||
        !read_text(spec, "staticModels", &text, err) ||
        !read_text(spec, "configMapName", &text, err) ||
        !read_map(spec, "routerRef", &reference, err) ||
        !read_text(reference, "name", &route->service, err) ||
        !read_map(spec, "healthCheck", &health, err) ||
        !read_count(health, "timeoutSeconds", &unused, 1, 1000000, err) ||
        !read_count(health, "periodSeconds", &route->period_s, 1, 1000000, err) ||
        !read_count(health, "successThreshold", &route->successes, 1, 1000, err) ||
        !read_count(health, "failureThreshold", &route->failures, 1, 1000, err)) {
        return false;
    }
    read_pass(reference, (const char *const[]){"namespace", NULL});
    findings_add(
        &stack->findings, FINDING_TRAP, "static_route", root,
        stack->release == STACK_HEAD
            ? "StaticRoute: release 0.1.5 removed it, nobody reads it; give the "
              "router --dynamic-config-json"
            : "StaticRoute: the router of release 0.1.3 finds the new file but "
              "cannot apply static backends of it (#591), so that the old ones "
              "stay; give the backends on its command line");
    const char *charts = stack_text(stack, "%.100s-router-service", stack->name);
    const bool skipped = route->service != NULL && strcmp(route->service, charts) == 0;
    route->checks_health = route->service != NULL && !skipped;
    if (skipped) {
        findings_add(
            &stack->findings, FINDING_WARNING, "health_check_skipped",
            conf_get(spec, "routerRef"),
            "routerRef: the health of a Service is asked for only where a port "
            "is called http or https or is 8000; that of the chart's router "
            "(router-sport, 80) is not");
    }
    return true;
}

/* ---- all ---------------------------------------------------------------------------
 */

typedef bool kind_read_fn(struct stack *, const struct conf_node *, struct err *);

bool resource_read(struct stack *stack, const struct conf_node *root, struct err *err)
{
    static const struct {
        const char *kind;
        kind_read_fn *read;
    } kinds[] = {{"VLLMRuntime", runtime_read},
                 {"VLLMRouter", router_resource_read},
                 {"CacheServer", cache_server_resource_read},
                 {"LoraAdapter", adapter_resource_read},
                 {"StaticRoute", static_route_read}};
    const char *kind = NULL;
    const char *version = NULL;
    if (!conf_require(root, "kind", err) || !conf_require(root, "apiVersion", err) ||
        !conf_str(root, "kind", &kind, err) ||
        !conf_str(root, "apiVersion", &version, err)) {
        return false;
    }
    if (strncmp(version, API_GROUP, strlen(API_GROUP)) != 0) {
        conf_leave(root);
        findings_add(&stack->findings, FINDING_NOTE, "other_object", root,
                     "kind %.80s of %.80s: not the stack's; passed over", kind,
                     version);
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].kind) == 0) {
            return kinds[i].read(stack, root, err);
        }
    }
    return conf_fail(conf_get(root, "kind"), err,
                     "kind: \"%.80s\" is none of VLLMRuntime, VLLMRouter, CacheServer, "
                     "LoraAdapter, StaticRoute",
                     kind);
}

/* ---- VLLMRouter --------------------------------------------------------------------
 */

/* What stands in the spec, before it becomes arguments. */
struct router_spec {
    const struct conf_node *map;
    const char *backends;
    const char *models;
    const char *selector;
    const char *controller_port;
    uint32_t discovery;
    uint32_t logic;
};

static const char *const router_discoveries[] = {"k8s", "static", NULL};
static const char *const router_logics[][5] = {
    [STACK_TAG] = {"roundrobin", "session", NULL},
    [STACK_HEAD] = {"roundrobin", "session", "prefixaware", "kvaware", NULL}};

static bool router_spec_read(struct stack *stack, struct router_spec *spec,
                             struct err *err)
{
    static const char *const pass[] = {"nodeSelectorTerms",
                                       "serviceAccountName",
                                       "image",
                                       "resources",
                                       "env",
                                       "vllmApiKeySecret",
                                       "vllmApiKeyName",
                                       "deploymentStrategy",
                                       NULL};
    static const char *const head[] = {"lmcacheControllerPort", NULL};
    struct stack_router *router = &stack->router;
    const struct conf_node *map = spec->map;
    bool enabled = true;
    router->replicas = 1;
    router->port = 80;
    router->stats_window_s = 60;
    router->scrape_interval_s = 30;
    only_at(stack, STACK_HEAD, map, head);
    if (!read_truth(map, "enableRouter", &enabled, &stack->findings, err) ||
        !read_count(map, "replicas", &router->replicas, 0, REPLICAS_MAX, err) ||
        !read_count(map, "port", &router->port, 1, 65535, err) ||
        (read_child(map, "serviceDiscovery") != NULL &&
         !conf_enum(map, "serviceDiscovery", router_discoveries, &spec->discovery,
                    err)) ||
        (read_child(map, "routingLogic") != NULL &&
         !conf_enum(map, "routingLogic", router_logics[stack->release], &spec->logic,
                    err)) ||
        !read_text(map, "k8sLabelSelector", &spec->selector, err) ||
        !read_text(map, "staticBackends", &spec->backends, err) ||
        !read_text(map, "staticModels", &spec->models, err) ||
        !read_text(map, "sessionKey", &router->session_key, err) ||
        !read_count(map, "engineScrapeInterval", &router->scrape_interval_s, 0, 1000000,
                    err) ||
        !read_count(map, "requestStatsWindow", &router->stats_window_s, 0, 1000000,
                    err) ||
        (stack->release == STACK_HEAD &&
         !read_text(map, "lmcacheControllerPort", &spec->controller_port, err))) {
        return false;
    }
    read_pass(map, pass);
    if (!enabled) {
        findings_add(&stack->findings, FINDING_TRAP, "enable_router_ignored",
                     conf_get(map, "enableRouter"),
                     "enableRouter: the operator does not look at it, the router runs; "
                     "delete the object, or set replicas: 0");
    }
    return true;
}

/* The text of a key where it was written, since the operator leaves out zero. */
static void count_pair(struct stack *stack, const struct router_spec *spec,
                       const char *key, const char *flag)
{
    const char *text = conf_scalar(read_child(spec->map, key));
    if (text != NULL && strcmp(text, "0") != 0) {
        args_pair(&stack->router.args, conf_get(spec->map, key), flag, text);
    }
}

static const char *not_empty(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static bool router_args_make(struct stack *stack, const struct router_spec *spec,
                             struct err *err)
{
    struct stack_router *router = &stack->router;
    struct args *args = &router->args;
    const struct conf_node *map = spec->map;
    const struct conf_node *extra = NULL;
    if (!read_list_of(map, "extraArgs", CONF_SCALAR, &extra, err)) {
        return false;
    }
    router->discovery = router_discoveries[spec->discovery];
    router->routing_logic = router_logics[stack->release][spec->logic];
    router->session_key = not_empty(router->session_key);
    router->selector = spec->selector != NULL ? spec->selector : "";
    args_pair(args, NULL, "--host", "0.0.0.0");
    args_add(args, conf_get(map, "port"), "--port");
    args_addf(args, conf_get(map, "port"), "%u", router->port);
    args_pair(args, conf_get(map, "serviceDiscovery"), "--service-discovery",
              router->discovery);
    if (spec->discovery == 0) {
        args_pair(args, NULL, "--k8s-namespace", stack->kube_namespace);
        args_pair(args, conf_get(map, "k8sLabelSelector"), "--k8s-label-selector",
                  not_empty(spec->selector));
    } else {
        args_pair(args, conf_get(map, "staticBackends"), "--static-backends",
                  not_empty(spec->backends));
        args_pair(args, conf_get(map, "staticModels"), "--static-models",
                  not_empty(spec->models));
    }
    args_pair(args, conf_get(map, "routingLogic"), "--routing-logic",
              router->routing_logic);
    args_pair(args, conf_get(map, "sessionKey"), "--session-key", router->session_key);
    count_pair(stack, spec, "engineScrapeInterval", "--engine-stats-interval");
    count_pair(stack, spec, "requestStatsWindow", "--request-stats-window");
    args_pair(args, conf_get(map, "lmcacheControllerPort"), "--lmcache-controller-port",
              not_empty(spec->controller_port));
    args_list(args, extra);
    return true;
}

bool router_resource_read(struct stack *stack, const struct conf_node *root,
                          struct err *err)
{
    struct router_spec spec = {0};
    const char *name = NULL;
    if (stack->router.where != NULL && stack->router.of_operator) {
        return conf_fail(root, err,
                         "a second VLLMRouter (the first on line %u); this "
                         "reader takes one at a time",
                         conf_line(stack->router.where));
    }
    args_fini(&stack->router.args);
    stack->router = (struct stack_router){.where = root, .of_operator = true};
    args_init(&stack->router.args, stack->arena);
    return resource_name_read(root, &name, err) && spec_read(root, &spec.map, err) &&
           router_spec_read(stack, &spec, err) && router_args_make(stack, &spec, err);
}
