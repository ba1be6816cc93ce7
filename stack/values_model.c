/* SPDX-License-Identifier: Apache-2.0
 *
 * values_model.c: one item of modelSpec: what pods it makes, how big they are, where
 * they may go.
 */
#include "stack/parts.h"

#include <string.h>

enum { REPLICAS_MAX = 4096, GPUS_MAX = 64, EXPRESSIONS_MAX = 1000 };

/* ---- names and image ---------------------------------------------------------------
 */

static bool is_object_name(const char *name)
{
    const size_t length = strlen(name);
    return length > 0 && length <= 63 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length &&
           name[0] != '-' && name[length - 1] != '-';
}

static bool names_read(struct stack *stack, struct stack_engine *engine,
                       const struct conf_node *model, struct err *err)
{
    const char *repository = NULL;
    const char *tag = NULL;
    if (!read_text(model, "name", &engine->name, err) ||
        !read_text(model, "repository", &repository, err) ||
        !read_text(model, "tag", &tag, err) ||
        !read_text(model, "modelURL", &engine->model_url, err)) {
        return false;
    }
    if (engine->name == NULL || engine->model_url == NULL) {
        return conf_fail(model, err, "modelSpec: key '%s' is missing; add it",
                         engine->name == NULL ? "name" : "modelURL");
    }
    if (!is_object_name(engine->name)) {
        return conf_fail(conf_get(model, "name"), err,
                         "name: \"%.80s\" cannot be part of an object's name; small "
                         "letters, digits and '-' make one, at most 63",
                         engine->name);
    }
    if (repository == NULL || tag == NULL) {
        findings_add(&stack->findings, FINDING_TRAP, "no_image", model,
                     "%s: without %s there is no image to pull and no pod starts; name "
                     "one",
                     engine->name, repository == NULL ? "repository" : "tag");
    }
    engine->image =
        stack_text(stack, "%.500s:%.200s", repository != NULL ? repository : "",
                   tag != NULL ? tag : "");
    engine->vllm = image_vllm(engine->image, stack->release);
    const bool ray = engine->kind == STACK_RAY;
    engine->object = stack_text(stack, "%.100s-%s-%s", stack->name, engine->name,
                                ray ? "raycluster" : "deployment-vllm");
    engine->service =
        stack_text(stack, "%.100s-%s-engine-service", stack->name, engine->name);
    return true;
}

/* Those of all pods, the chart's own and at head podLabels. */
static bool labels_make(struct stack *stack, const struct values_shared *shared,
                        struct stack_engine *engine, struct err *err)
{
    struct text labels = {0};
    const struct conf_node *own = NULL;
    bool good =
        stack->release != STACK_HEAD || read_map(engine->where, "podLabels", &own, err);
    text_printf(&labels, "model=%s,helm-release-name=%.100s%s%s", engine->name,
                stack->name, shared->labels[0] != '\0' ? "," : "", shared->labels);
    for (size_t i = 0; good && i < conf_count(own); i++) {
        const char *key = conf_key_at(own, i);
        const char *value = "";
        good = read_text(own, key, &value, err);
        text_printf(&labels, ",%.255s=%.63s", key, good ? value : "");
    }
    engine->labels = arena_strdup(stack->arena, text_str(&labels));
    text_fini(&labels);
    return good;
}

/* ---- size --------------------------------------------------------------------------
 */

static bool ray_size(const struct values_shared *shared, struct stack_engine *engine,
                     uint32_t workers, struct err *err)
{
    const struct conf_node *head = NULL;
    const struct conf_node *ray =
        shared->ray != NULL ? shared->ray : conf_get(engine->where, "raySpec");
    uint64_t memory_milli = UINT64_C(8000) << 30; /* the chart's 8Gi */
    engine->head_cpu_milli = 2000;
    if (!read_map(ray, "headNode", &head, err) ||
        !read_quantity(head, "requestCPU", &engine->head_cpu_milli, err) ||
        !read_quantity(head, "requestMemory", &memory_milli, err) ||
        !read_count(head, "requestGPU", &engine->head_gpus, 0, GPUS_MAX, err)) {
        return false;
    }
    engine->head_memory_bytes = memory_milli / 1000;
    engine->replicas = 1;
    engine->pods = workers + 1;
    return true;
}

/* Slices of GPUs, whose memory the KV arithmetic does not know. */
static void size_warn(struct stack *stack, const struct stack_engine *engine,
                      const char *const *parts)
{
    const struct conf_node *model = engine->where;
    const bool slice = strstr(engine->gpu_resource, "mig-") != NULL;
    for (size_t i = 0; parts[i] != NULL; i++) {
        if (stack->release == STACK_HEAD && read_child(model, parts[i]) != NULL) {
            findings_add(&stack->findings, FINDING_WARNING, "not_simulated",
                         conf_get(model, parts[i]),
                         "%s: %s gives it a part of a GPU, and is taken for a whole "
                         "one; write a file of configs/gpus with that memory",
                         engine->name, parts[i]);
        }
    }
    if (slice) {
        findings_add(&stack->findings, FINDING_WARNING, "not_simulated",
                     conf_get(model, "requestGPUType"),
                     "%s: %.80s is a part of a GPU, and is taken for a whole one; "
                     "write a file of configs/gpus with its memory and bandwidth",
                     engine->name, engine->gpu_resource);
    }
}

static bool size_read(struct stack *stack, const struct values_shared *shared,
                      struct stack_engine *engine, struct err *err)
{
    static const char *const needed[] = {"replicaCount", "requestCPU", "requestMemory",
                                         "requestGPU", NULL};
    static const char *const hami[] = {"requestGPUMem", "requestGPUMemPercentage",
                                       "requestGPUCores", NULL};
    const struct conf_node *model = engine->where;
    uint64_t memory_milli = 0;
    uint64_t limit_milli = 0;
    uint64_t unused = 0;
    uint32_t replicas = 1;
    engine->gpu_resource = "nvidia.com/gpu";
    if (!read_count(model, "replicaCount", &replicas, 0, REPLICAS_MAX, err) ||
        !read_quantity(model, "requestCPU", &engine->cpu_milli, err) ||
        !read_quantity(model, "requestMemory", &memory_milli, err) ||
        !read_quantity(model, "limitCPU", &unused, err) ||
        !read_quantity(model, "limitMemory", &limit_milli, err) ||
        !read_count(model, "requestGPU", &engine->gpus, 0, GPUS_MAX, err) ||
        !read_text(model, "requestGPUType", &engine->gpu_resource, err)) {
        return false;
    }
    const bool raw = stack->release == STACK_HEAD && read_has(model, "resources");
    for (size_t i = 0; needed[i] != NULL && !raw; i++) {
        if (read_child(model, needed[i]) == NULL) {
            findings_add(
                &stack->findings, FINDING_WARNING, "missing_key", model,
                "%s: %s is missing, which the chart's schema demands; write it",
                engine->name, needed[i]);
        }
    }
    size_warn(stack, engine, hami);
    only_at(stack, STACK_HEAD, model, hami);
    if (stack->release == STACK_HEAD) {
        read_pass(model, hami);
    }
    engine->memory_bytes = memory_milli / 1000;
    engine->limit_bytes = limit_milli / 1000;
    engine->replicas = replicas;
    engine->pods = 1;
    return engine->kind != STACK_RAY || ray_size(shared, engine, replicas, err);
}

/* `resources:` of head replaces the single keys. */
static bool resources_read(struct stack *stack, struct stack_engine *engine,
                           struct err *err)
{
    const struct conf_node *map = NULL;
    const struct conf_node *requests = NULL;
    const struct conf_node *limits = NULL;
    uint64_t memory_milli = engine->memory_bytes * 1000;
    uint64_t limit_milli = engine->limit_bytes * 1000;
    if (stack->release != STACK_HEAD) {
        return true;
    }
    if (!read_map(engine->where, "resources", &map, err) ||
        !read_map(map, "requests", &requests, err) ||
        !read_map(map, "limits", &limits, err) ||
        !read_quantity(requests, "cpu", &engine->cpu_milli, err) ||
        !read_quantity(requests, "memory", &memory_milli, err) ||
        !read_quantity(limits, "memory", &limit_milli, err) ||
        !read_count(limits, engine->gpu_resource, &engine->gpus, 0, GPUS_MAX, err) ||
        !read_count(requests, engine->gpu_resource, &engine->gpus, 0, GPUS_MAX, err)) {
        return false;
    }
    engine->memory_bytes = memory_milli / 1000;
    engine->limit_bytes = limit_milli / 1000;
    conf_leave(map);
    return true;
}

/* ---- place -------------------------------------------------------------------------
 */

static bool expression_read(const struct conf_node *node,
                            struct stack_expression *expression, struct err *err)
{
    static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist",
                                            "Gt", "Lt",    NULL};
    uint32_t which = 0;
    if (conf_kind(node) != CONF_MAP) {
        return conf_fail(node, err, "matchExpressions: each item is a map");
    }
    expression->where = node;
    if (!conf_require(node, "key", err) || !conf_require(node, "operator", err) ||
        !read_text(node, "key", &expression->key, err) ||
        !conf_enum(node, "operator", operators, &which, err) ||
        !read_list_of(node, "values", CONF_SCALAR, &expression->values, err)) {
        return false;
    }
    expression->op = operators[which];
    const bool needs_values = which != 2 && which != 3;
    if (needs_values && conf_count(expression->values) == 0) {
        return conf_fail(node, err, "matchExpressions: %s needs values",
                         expression->op);
    }
    return true;
}

bool node_terms_read(struct stack *stack, struct stack_engine *engine,
                     const struct conf_node *map, const char *key, struct err *err)
{
    const struct conf_node *terms = NULL;
    size_t count = 0;
    if (!read_list_of(map, key, CONF_MAP, &terms, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(terms); i++) {
        const struct conf_node *list = NULL;
        if (!read_list(conf_at(terms, i), "matchExpressions", &list, err)) {
            return false;
        }
        count += conf_count(list);
        read_pass(conf_at(terms, i), (const char *const[]){"matchFields", NULL});
    }
    if (count > EXPRESSIONS_MAX) {
        return conf_fail(terms, err, "%s: %zu expressions; %d at most", key, count,
                         EXPRESSIONS_MAX);
    }
    struct stack_expression *expressions =
        arena_alloc(stack->arena, count, sizeof *expressions);
    engine->expressions = expressions;
    for (size_t i = 0; i < conf_count(terms); i++) {
        const struct conf_node *list = conf_get(conf_at(terms, i), "matchExpressions");
        for (size_t j = 0; j < conf_count(list); j++) {
            struct stack_expression *expression =
                &expressions[engine->expression_count++];
            expression->term = (uint32_t)i;
            if (!expression_read(conf_at(list, j), expression, err)) {
                return false;
            }
        }
    }
    return true;
}

bool tolerations_read(struct stack *stack, struct stack_engine *engine,
                      const struct conf_node *map, const char *key, struct err *err)
{
    const struct conf_node *list = NULL;
    if (!read_list_of(map, key, CONF_MAP, &list, err)) {
        return false;
    }
    const size_t before = engine->toleration_count;
    struct stack_label *all =
        arena_alloc(stack->arena, before + conf_count(list), sizeof *all);
    for (size_t i = 0; i < before; i++) {
        all[i] = engine->tolerations[i];
    }
    for (size_t i = 0; i < conf_count(list); i++) {
        const struct conf_node *item = conf_at(list, i);
        const char *how = "Equal";
        struct stack_label *label = &all[before + i];
        *label = (struct stack_label){"", ""};
        conf_leave(item);
        if (!read_text(item, "key", &label->key, err) ||
            !read_text(item, "operator", &how, err) ||
            !read_text(item, "value", &label->value, err)) {
            return false;
        }
        label->value = strcmp(how, "Exists") == 0 ? "" : label->value;
    }
    engine->tolerations = all;
    engine->toleration_count = before + conf_count(list);
    return true;
}

/* At head a model has tolerations of its own, beside the common ones or instead. */
static bool own_tolerations(struct stack *stack, struct stack_engine *engine,
                            struct err *err)
{
    const char *policy = "append";
    if (stack->release != STACK_HEAD) {
        return true;
    }
    if (!read_text(engine->where, "tolerationsPolicy", &policy, err)) {
        return false;
    }
    if (strcmp(policy, "override") == 0) {
        engine->toleration_count = 0;
    }
    return tolerations_read(stack, engine, engine->where, "tolerations", err);
}

/* At head `affinity` beats nodeSelectorTerms, also where it says nothing of nodes. */
static bool affinity_read(struct stack *stack, struct stack_engine *engine,
                          const struct conf_node *affinity, struct err *err)
{
    static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
    const struct conf_node *node = NULL;
    const struct conf_node *terms = NULL;
    if (!read_map(affinity, "nodeAffinity", &node, err) ||
        !read_map(node, required, &terms, err) ||
        !node_terms_read(stack, engine, terms, "nodeSelectorTerms", err)) {
        return false;
    }
    if (read_has(affinity, "podAffinity") || read_has(affinity, "podAntiAffinity") ||
        read_has(node, "preferredDuringSchedulingIgnoredDuringExecution")) {
        findings_add(&stack->findings, FINDING_WARNING, "not_simulated", affinity,
                     "%s: a simulation leaves out: affinity other than the required "
                     "one to nodes",
                     engine->name);
    }
    if (read_has(engine->where, "nodeSelectorTerms")) {
        findings_add(
            &stack->findings, FINDING_WARNING, "selector_ignored",
            conf_get(engine->where, "nodeSelectorTerms"),
            "%s: nodeSelectorTerms are ignored where affinity is set; drop one",
            engine->name);
    }
    conf_leave(conf_get(engine->where, "nodeSelectorTerms"));
    conf_leave(affinity);
    return true;
}

static bool place_read(struct stack *stack, struct stack_engine *engine,
                       struct err *err)
{
    const struct conf_node *model = engine->where;
    const struct conf_node *affinity = NULL;
    if (stack->release == STACK_HEAD && !read_map(model, "affinity", &affinity, err)) {
        return false;
    }
    if (affinity != NULL) {
        return own_tolerations(stack, engine, err) &&
               read_text(model, "nodeName", &engine->node_name, err) &&
               affinity_read(stack, engine, affinity, err);
    }
    return own_tolerations(stack, engine, err) &&
           read_text(model, "nodeName", &engine->node_name, err) &&
           node_terms_read(stack, engine, model, "nodeSelectorTerms", err);
}

/* ---- the item ----------------------------------------------------------------------
 */

/* What a run does without, and what a start takes that no file tells. */
static void model_warn(struct stack *stack, const struct stack_engine *engine)
{
    const struct conf_node *model = engine->where;
    if (read_child(model, "initContainer") != NULL) {
        findings_add(&stack->findings, FINDING_NOTE, "init_unknown",
                     conf_get(model, "initContainer"),
                     "%s: how long its init container takes stands in no file; taken "
                     "for no time",
                     engine->name);
    }
}

static void model_pass(struct stack *stack, const struct conf_node *model)
{
    static const char *const pass[] = {
        "imagePullSecret",   "hf_token",    "chatTemplate",   "chatTemplateConfigMap",
        "initContainer",     "annotations", "podAnnotations", "serviceAccountName",
        "priorityClassName", NULL};
    static const char *const head[] = {
        "affinity",         "tolerationsPolicy", "tolerations",
        "podLabels",        "envFromSecret",     "modelRevision",
        "raySpec",          "enabled",           "resources",
        "runtimeClassName", "imagePullPolicy",   "sidecar",
        "labels",           "strategy",          NULL};
    only_at(stack, STACK_HEAD, model, head);
    only_at(stack, STACK_HEAD, model, (const char *const[]){"keda", NULL});
    if (stack->release == STACK_HEAD) {
        read_pass(model, head);
    }
    read_pass(model, pass);
}

static bool kind_read(struct stack *stack, const struct values_shared *shared,
                      struct stack_engine *engine, struct err *err)
{
    bool ray = shared->ray != NULL;
    if (stack->release == STACK_HEAD) {
        const struct conf_node *spec = NULL;
        bool enabled = ray;
        if (!read_map(engine->where, "raySpec", &spec, err) ||
            !read_truth(spec, "enabled", &enabled, &stack->findings, err)) {
            return false;
        }
        ray = enabled || (ray && spec == NULL);
    }
    engine->kind = ray ? STACK_RAY : STACK_DEPLOYMENT;
    return true;
}

bool values_model_read(struct stack *stack, const struct values_shared *shared,
                       const struct conf_node *model, struct err *err)
{
    struct stack_engine *engine = NULL;
    bool enabled = true;
    if (stack->release == STACK_HEAD &&
        !read_truth(model, "enabled", &enabled, &stack->findings, err)) {
        return false;
    }
    if (!enabled) {
        conf_leave(model);
        findings_add(&stack->findings, FINDING_NOTE, "model_off", model,
                     "enabled is false: this model does not run");
        return true;
    }
    if (!stack_add_engine(stack, model, &engine, err)) {
        return false;
    }
    engine->port = shared->port;
    engine->service_port = shared->service_port;
    engine->max_surge = shared->max_surge;
    engine->max_unavailable = shared->max_unavailable;
    engine->startup = shared->startup;
    engine->liveness = shared->liveness;
    engine->readiness = shared->readiness;
    engine->has_budget = shared->budget != NULL;
    engine->budget = shared->budget;
    engine->env.has_token = read_child(model, "hf_token") != NULL ||
                            read_child(model, "envFromSecret") != NULL;
    engine->tolerations = shared->tolerations;
    engine->toleration_count = shared->toleration_count;
    engine->lmcache.remote_url = shared->remote_url;
    if (!kind_read(stack, shared, engine, err) ||
        !names_read(stack, engine, model, err) ||
        !labels_make(stack, shared, engine, err) ||
        !size_read(stack, shared, engine, err) || !resources_read(stack, engine, err) ||
        !storage_read(stack, engine, err) || !place_read(stack, engine, err) ||
        !values_vllm_read(stack, shared, engine, err) ||
        !values_lmcache_read(stack, engine, model, err)) {
        return false;
    }
    if (stack->release == STACK_HEAD && !keda_read(stack, engine, err)) {
        return false;
    }
    if (engine->kind == STACK_RAY) { /* of its own template */
        engine->startup = (struct stack_probe){.period_s = 15, .failures = 30};
        engine->readiness = (struct stack_probe){.period_s = 10, .failures = 1};
    }
    model_warn(stack, engine);
    model_pass(stack, model);
    return true;
}
