/* SPDX-License-Identifier: Apache-2.0
 *
 * explain_json.c: the same for scripts.
 */
#include "base/json.h"
#include "base/mem.h"
#include "cli/helm/explain.h"

static struct json *args_json(const struct args *args)
{
    struct json *array = json_array();
    for (size_t i = 0; i < args->count; i++) {
        json_push_str(array, args->items[i]);
    }
    return array;
}

static void put_text(struct json *object, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        json_put_str(object, key, value);
    }
}

static void in_force_put(struct json *object, const struct helm_engine *engine)
{
    const struct engine_config *config = &engine->config;
    if (!engine->known) {
        return;
    }
    if (!engine->fits) {
        json_put_str(object, "does_not_start", engine->why.text);
        return;
    }
    json_put_u64(object, "kv_blocks", engine->kv_blocks);
    json_put_u64(object, "kv_tokens",
                 (uint64_t)engine->kv_blocks * config->block_tokens);
    json_put_u64(object, "block_tokens", config->block_tokens);
    json_put_u64(object, "tensor_parallel", config->tensor_parallel);
    json_put_u64(object, "max_model_len", config->max_model_len);
    json_put_u64(object, "max_num_seqs", config->max_num_seqs);
    json_put_u64(object, "max_num_batched_tokens", config->max_num_batched_tokens);
    json_put_bool(object, "prefix_caching", config->prefix_caching);
    json_put_bool(object, "chunked_prefill", config->chunked_prefill);
}

static struct json *engine_json(const struct helm_engine *engine)
{
    static const char *const kinds[] = {[STACK_DEPLOYMENT] = "Deployment",
                                        [STACK_RAY] = "RayCluster",
                                        [STACK_RUNTIME] = "VLLMRuntime"};
    const struct stack_engine *from = engine->from;
    struct json *object = json_object();
    json_put_str(object, "name", from->name);
    json_put_str(object, "kind", kinds[from->kind]);
    json_put_str(object, "object", from->object);
    json_put_str(object, "service", from->service);
    json_put_u64(object, "line", conf_line(from->where));
    json_put_str(object, "image", from->image);
    json_put_str(object, "engine", from->uses_v0 ? "V0" : "V1");
    json_put_str(object, "model_url", from->model_url);
    json_put_str(object, "served_name", stack_served_name(from));
    put_text(object, "model", engine->model_name);
    put_text(object, "gpu", engine->gpu_name);
    put_text(object, "node_name", from->node_name);
    put_text(object, "nodes", text_str(&engine->placed));
    json_put_u64(object, "replicas", from->replicas);
    json_put_u64(object, "pods_per_engine", from->pods);
    json_put_u64(object, "gpus_per_pod", from->gpus);
    json_put_u64(object, "gpus_per_engine",
                 from->kind == STACK_RAY
                     ? from->head_gpus + (from->pods - 1) * from->gpus
                     : from->gpus);
    json_put_u64(object, "memory_bytes", from->memory_bytes);
    json_put_f64(object, "lmcache_cpu_gb", from->lmcache.cpu_gb);
    in_force_put(object, engine);
    json_put(object, "args", args_json(&from->args));
    return object;
}

static struct json *finding_json(const struct finding *finding)
{
    struct json *object = json_object();
    json_put_str(object, "level", finding_level_name(finding->level));
    json_put_str(object, "name", finding->name);
    if (finding->file != NULL) {
        json_put_str(object, "file", finding->file);
        json_put_u64(object, "line", finding->line);
    }
    json_put_str(object, "what", finding->what);
    put_text(object, "remedy", finding->remedy);
    return object;
}

static struct json *router_json(const struct stack_router *router)
{
    struct json *object = json_object();
    json_put_u64(object, "replicas", router->replicas);
    json_put_str(object, "discovery", router->discovery);
    put_text(object, "selector", router->selector);
    json_put_str(object, "routing_logic", router->routing_logic);
    put_text(object, "session_key", router->session_key);
    json_put(object, "args", args_json(&router->args));
    return object;
}

void helm_explain_json(const struct helm *helm, const char *path, struct text *out)
{
    const struct stack *stack = helm->stack;
    struct json *root = json_object();
    struct json *engines = json_array();
    struct json *adapters = json_array();
    struct json *findings = json_array();
    json_put_str(root, "file", path);
    json_put_str(root, "compat", stack_release_name(stack->release));
    json_put_str(root, "release", stack->name);
    for (size_t i = 0; i < stack->engine_count; i++) {
        json_push(engines, engine_json(&helm->engines[i]));
    }
    for (size_t i = 0; i < stack->adapter_count; i++) {
        struct json *adapter = json_object();
        json_put_str(adapter, "name", stack->adapters[i].name);
        json_put_str(adapter, "base_model", stack->adapters[i].base_model);
        if (stack->adapters[i].has_replicas) {
            json_put_u64(adapter, "replicas", stack->adapters[i].replicas);
        }
        json_push(adapters, adapter);
    }
    for (size_t i = 0; i < stack->findings.count; i++) {
        json_push(findings, finding_json(&stack->findings.items[i]));
    }
    json_put(root, "engines", engines);
    if (stack->router.where != NULL) {
        json_put(root, "router", router_json(&stack->router));
    }
    json_put(root, "adapters", adapters);
    json_put(root, "findings", findings);
    char *printed = json_print(root, true);
    text_printf(out, "%s\n", printed);
    mem_free(printed);
    json_delete(root);
}
