/* SPDX-License-Identifier: Apache-2.0
 *
 * resource_runtime.c: VLLMRuntime: one engine of the operator. Release 0.1.3 has all in
 * one flat spec; head has groups, of which each key is looked for in its group first.
 *
 * Unlike the chart, the operator always writes both switches: chunked prefill and
 * prefix caching are off unless they are asked for, against vLLM's own defaults.
 */
#include "stack/parts.h"

#include <string.h>

enum { REPLICAS_MAX = 4096, GPUS_MAX = 64 };

/* The maps in which keys stand; at release 0.1.3 all but model are the spec. */
struct groups {
    const struct conf_node *spec;
    const struct conf_node *model;
    const struct conf_node *vllm;
    const struct conf_node *deployment;
    const struct conf_node *lmcache;
};

/* The group where it has the key, else the spec. */
static const struct conf_node *holder(const struct groups *groups,
                                      const struct conf_node *group, const char *key)
{
    return read_has(group, key) ? group : groups->spec;
}

static bool groups_read(struct stack *stack, struct groups *groups, struct err *err)
{
    static const char *const head[] = {"vllmConfig", "deploymentConfig",
                                       "storageConfig", "autoscalingConfig", NULL};
    const struct conf_node *spec = groups->spec;
    only_at(stack, STACK_HEAD, spec, head);
    if (!conf_require(spec, "model", err) ||
        !conf_map(spec, "model", &groups->model, err) ||
        !conf_require(groups->model, "modelURL", err) ||
        !read_map(spec, "lmCacheConfig", &groups->lmcache, err)) {
        return false;
    }
    if (stack->release == STACK_TAG) {
        groups->vllm = spec;
        groups->deployment = spec;
        return true;
    }
    return read_map(spec, "vllmConfig", &groups->vllm, err) &&
           read_map(spec, "deploymentConfig", &groups->deployment, err);
}

static bool image_read(struct stack *stack, struct stack_engine *engine,
                       const struct groups *groups, struct err *err)
{
    const struct conf_node *image = NULL;
    const char *registry = "";
    const char *name = "";
    if (!read_map(holder(groups, groups->deployment, "image"), "image", &image, err) ||
        !read_text(image, "registry", &registry, err) ||
        !read_text(image, "name", &name, err)) {
        return false;
    }
    read_pass(image, (const char *const[]){"pullPolicy", "pullSecretName", NULL});
    engine->image = stack_text(stack, "%.200s%s%.400s", registry,
                               registry[0] != '\0' ? "/" : "", name);
    engine->vllm = image_vllm(engine->image, stack->release);
    return true;
}

static bool size_read(struct stack_engine *engine, const struct groups *groups,
                      struct err *err)
{
    const struct conf_node *resources = NULL;
    const struct conf_node *deployment = groups->deployment;
    uint64_t memory_milli = 0;
    engine->replicas = 1;
    engine->pods = 1;
    engine->gpu_resource = "nvidia.com/gpu";
    if (!read_count(holder(groups, deployment, "replicas"), "replicas",
                    &engine->replicas, 0, REPLICAS_MAX, err) ||
        !read_map(holder(groups, deployment, "resources"), "resources", &resources,
                  err) ||
        !read_quantity(resources, "cpu", &engine->cpu_milli, err) ||
        !read_quantity(resources, "memory", &memory_milli, err) ||
        !read_count(resources, "gpu", &engine->gpus, 0, GPUS_MAX, err)) {
        return false;
    }
    engine->memory_bytes = memory_milli / 1000;
    return true;
}

static bool deployment_read(struct stack *stack, struct stack_engine *engine,
                            const struct groups *groups, struct err *err)
{
    static const char *const strategies[] = {"RollingUpdate", "Recreate", NULL};
    static const char *const pass[] = {
        "runtimeClass",  "shmSize",     "podAnnotations", "sidecarConfig",
        "hfTokenSecret", "hfTokenName", "deployStrategy", NULL};
    const struct conf_node *deployment = groups->deployment;
    const char *key = "deploymentStrategy";
    uint32_t strategy = 0;
    if (read_child(holder(groups, deployment, key), key) != NULL &&
        !conf_enum(holder(groups, deployment, key), key, strategies, &strategy, err)) {
        return false;
    }
    engine->max_surge = strategy == 0 ? "25%" : NULL; /* Kubernetes' own default */
    engine->max_unavailable = "25%";
    engine->startup = (struct stack_probe){0};
    engine->liveness = (struct stack_probe){240, 10, 3};
    engine->readiness = (struct stack_probe){30, 20, 10};
    engine->env.has_token = read_child(holder(groups, deployment, "hfTokenSecret"),
                                       "hfTokenSecret") != NULL;
    if (stack->release == STACK_HEAD) {
        engine->startup = (struct stack_probe){120, 20, 100};
        if (!node_terms_read(stack, engine,
                             holder(groups, deployment, "nodeSelectorTerms"),
                             "nodeSelectorTerms", err) ||
            !tolerations_read(stack, engine, deployment, "toleration", err)) {
            return false;
        }
        read_pass(deployment, pass);
    }
    read_pass(groups->spec,
              (const char *const[]){"hfTokenSecret", "hfTokenName", NULL});
    return true;
}

static bool storage_config_read(struct stack *stack, struct stack_engine *engine,
                                const struct groups *groups, struct err *err)
{
    const struct conf_node *storage = NULL;
    const char *mode = "ReadWriteMany";
    if (stack->release != STACK_HEAD) {
        return true;
    }
    if (!read_map(groups->spec, "storageConfig", &storage, err) ||
        !read_truth(storage, "enabled", &engine->has_storage, &stack->findings, err) ||
        !read_text(storage, "accessMode", &mode, err)) {
        return false;
    }
    engine->storage_rwo = engine->has_storage && strcmp(mode, "ReadWriteOnce") == 0;
    read_pass(storage,
              (const char *const[]){"storageClassName", "size", "mountPath", NULL});
    return autoscaling_read(stack, engine, groups->spec, err);
}

/* ---- arguments ---------------------------------------------------------------------
 */

static const struct {
    const char *key;
    const char *flag;
    bool of_model;
} fields[] = {{"maxModelLen", "--max-model-len", true},
              {"dtype", "--dtype", true},
              {"maxNumSeqs", "--max-num-seqs", true},
              {"tensorParallelSize", "--tensor-parallel-size", false},
              {"gpuMemoryUtilization", "--gpu-memory-utilization", false},
              {"maxLoras", "--max-loras", false}};

static bool switches_add(struct stack *stack, struct stack_engine *engine,
                         const struct groups *groups, struct err *err)
{
    static const struct {
        const char *key;
        const char *flag;
        const char *trap;
    } switches[] = {
        {"enableChunkedPrefill", "enable-chunked-prefill", "chunked_prefill_off"},
        {"enablePrefixCaching", "enable-prefix-caching", "prefix_caching_off"}};
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        const char *key = switches[i].key;
        const struct conf_node *map = holder(groups, groups->vllm, key);
        bool on = false;
        if (!read_truth(map, key, &on, &stack->findings, err)) {
            return false;
        }
        const struct conf_node *where = conf_get(map, key);
        args_addf(&engine->args, where, "--%s%s", on ? "" : "no-", switches[i].flag);
        if (where == NULL) {
            findings_add(&stack->findings, FINDING_TRAP, switches[i].trap, groups->spec,
                         "%.80s: %s is missing, and the operator then writes --no-%s, "
                         "against vLLM's default; write %s: true",
                         engine->name, key, switches[i].flag, key);
        }
    }
    return true;
}

/* A buffer's size: LMCache wants a bare number of GB, the operator hands on what stands
 * there. */
static bool buffer_read(struct stack *stack, const struct stack_lmcache *lmcache,
                        const char *key, double *gb, struct err *err)
{
    const struct conf_node *map = lmcache->where;
    uint64_t milli = 0;
    const char *text = NULL;
    if (!read_quantity(map, key, &milli, err) || !read_text(map, key, &text, err)) {
        return false;
    }
    const bool bare = text != NULL && strspn(text, "0123456789.") == strlen(text);
    *gb = lmcache->enabled && bare ? (double)milli / 1000 : 0;
    if (lmcache->enabled && !bare) {
        const char *otherwise =
            strcmp(key, "cpuOffloadingBufferSize") == 0 ? "4Gi" : "8Gi";
        findings_add(
            &stack->findings, FINDING_TRAP, "lmcache_size_unit",
            text != NULL ? conf_get(map, key) : map,
            "%s: the operator hands %s to LMCache, which wants a bare number of "
            "GB; write it without a unit",
            key, text != NULL ? text : otherwise);
    }
    return true;
}

static bool lmcache_add(struct stack *stack, struct stack_engine *engine,
                        const struct groups *groups, struct err *err)
{
    const struct conf_node *map = groups->lmcache;
    struct stack_lmcache *lmcache = &engine->lmcache;
    if (map == NULL) {
        return true;
    }
    lmcache->where = map;
    lmcache->kv_role = "kv_both";
    read_pass(map, (const char *const[]){"remoteSerde", NULL});
    if (!read_truth(map, "enabled", &lmcache->enabled, &stack->findings, err) ||
        !read_text(map, "remoteUrl", &lmcache->remote_url, err) ||
        !buffer_read(stack, lmcache, "cpuOffloadingBufferSize", &lmcache->cpu_gb,
                     err) ||
        !buffer_read(stack, lmcache, "diskOffloadingBufferSize", &lmcache->disk_gb,
                     err)) {
        return false;
    }
    if (lmcache->enabled) {
        args_add(&engine->args, map, "--kv-transfer-config");
        args_addf(&engine->args, map,
                  "{\"kv_connector\":\"%s\",\"kv_role\":\"kv_both\"}",
                  engine->uses_v0 ? "LMCacheConnector" : "LMCacheConnectorV1");
    }
    return true;
}

static bool version_read(struct stack *stack, struct stack_engine *engine,
                         const struct groups *groups, struct err *err)
{
    const struct conf_node *map = holder(groups, groups->vllm, "v1");
    bool v1 = false;
    if (!read_truth(map, "v1", &v1, &stack->findings, err)) {
        return false;
    }
    int use = v1 ? 1 : 0;
    if (!env_read(engine, holder(groups, groups->vllm, "env"), &use, err)) {
        return false;
    }
    engine->uses_v0 = use == 0 && engine->vllm < 11000;
    return true;
}

static bool args_make(struct stack *stack, struct stack_engine *engine,
                      const struct groups *groups, struct err *err)
{
    const struct conf_node *extra = NULL;
    const char *parser = NULL;
    bool lora = false;
    bool tool = false;
    engine->port = 8000;
    if (!read_count(holder(groups, groups->vllm, "port"), "port", &engine->port, 1,
                    65535, err) ||
        !read_truth(groups->model, "enableLoRA", &lora, &stack->findings, err) ||
        !read_truth(groups->model, "enableTool", &tool, &stack->findings, err) ||
        !read_text(groups->model, "toolCallParser", &parser, err)) {
        return false;
    }
    args_pair(&engine->args, NULL, "--host", "0.0.0.0");
    args_add(&engine->args, NULL, "--port");
    args_addf(&engine->args, NULL, "%u", engine->port);
    if (lora) {
        args_add(&engine->args, conf_get(groups->model, "enableLoRA"), "--enable-lora");
    }
    if (tool) {
        args_add(&engine->args, NULL, "--enable-auto-tool-choice");
        args_pair(&engine->args, NULL, "--tool-call-parser", parser);
    }
    if (!switches_add(stack, engine, groups, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *key = fields[i].key;
        const struct conf_node *map =
            holder(groups, fields[i].of_model ? groups->model : groups->vllm, key);
        const char *value = NULL;
        if (!read_text(map, key, &value, err)) {
            return false;
        }
        args_pair(&engine->args, conf_get(map, key), fields[i].flag, value);
        if (strcmp(key, "tensorParallelSize") == 0) {
            engine->tensor_parallel_where = conf_get(map, key);
        }
    }
    if (!lmcache_add(stack, engine, groups, err) ||
        !read_list_of(holder(groups, groups->vllm, "extraArgs"), "extraArgs",
                      CONF_SCALAR, &extra, err)) {
        return false;
    }
    args_list(&engine->args, extra);
    return true;
}

/* Of release 0.1.3 its name alone; head hands on those of the object. */
static const char *runtime_labels(struct stack *stack, const struct conf_node *root,
                                  const char *name)
{
    const struct conf_node *own = conf_get(conf_get(root, "metadata"), "labels");
    struct text labels = {0};
    text_printf(&labels, "app=%.200s", name);
    for (size_t i = 0; stack->release == STACK_HEAD && i < conf_count(own); i++) {
        const char *value = conf_scalar(conf_at(own, i));
        text_printf(&labels, ",%.255s=%.63s", conf_name(conf_at(own, i)),
                    value != NULL ? value : "");
    }
    const char *made = arena_strdup(stack->arena, text_str(&labels));
    text_fini(&labels);
    return made;
}

bool runtime_read(struct stack *stack, const struct conf_node *root, struct err *err)
{
    struct stack_engine *engine = NULL;
    struct groups groups = {0};
    if (!stack_add_engine(stack, root, &engine, err)) {
        return false;
    }
    engine->kind = STACK_RUNTIME;
    engine->has_vllm_config = true;
    engine->service_port = 80;
    if (!conf_require(root, "spec", err) ||
        !conf_map(root, "spec", &groups.spec, err)) {
        return false;
    }
    if (groups.spec == NULL) {
        return conf_fail(conf_get(root, "spec"), err, "spec: is empty; fill it");
    }
    if (!resource_name_read(root, &engine->name, err) ||
        !groups_read(stack, &groups, err) ||
        !read_text(groups.model, "modelURL", &engine->model_url, err) ||
        !image_read(stack, engine, &groups, err) || !size_read(engine, &groups, err) ||
        !deployment_read(stack, engine, &groups, err) ||
        !storage_config_read(stack, engine, &groups, err) ||
        !version_read(stack, engine, &groups, err) ||
        !args_make(stack, engine, &groups, err)) {
        return false;
    }
    if (engine->name == NULL || engine->model_url == NULL) {
        return conf_fail(root, err, "metadata.name and spec.model.modelURL are needed");
    }
    engine->labels = runtime_labels(stack, root, engine->name);
    engine->object = engine->name;
    engine->service = engine->name;
    return true;
}
