/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.c: a deployment for people: engines, router, then everything that will not do
 * what it seems to.
 */
#include "cli/helm/explain.h"

#include "base/unit.h"
#include "cli/helm/flags.h"

#include <inttypes.h>
#include <string.h>

static const char *const kind_names[] = {[STACK_DEPLOYMENT] = "Deployment",
                                         [STACK_RAY] = "RayCluster",
                                         [STACK_RUNTIME] = "VLLMRuntime"};

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void line(struct text *out, const char *label, const char *text)
{
    text_printf(out, "  %-12s%s\n", label, text);
}

/* ---- engines -----------------------------------------------------------------------
 */

static void vllm_print(const struct stack_engine *engine, struct text *out)
{
    text_printf(out, "  %-12s%s", "image", engine->image);
    if (engine->vllm >= 90000) {
        text_add(out, " (taken for vLLM of head)");
    } else if (engine->vllm > 0) {
        text_printf(out, " (vLLM %" PRIu32 ".%" PRIu32 ".%" PRIu32 ")",
                    engine->vllm / 1000000, engine->vllm / 1000 % 1000,
                    engine->vllm % 1000);
    }
    text_printf(out, ", engine %s\n", engine->uses_v0 ? "V0" : "V1");
}

static void pod_print(const struct stack_engine *engine, struct text *out)
{
    char memory[24];
    unit_format_bytes(memory, sizeof memory, engine->memory_bytes);
    if (engine->kind == STACK_RAY) {
        text_printf(out,
                    "  %-12s%" PRIu32 " of one engine: a head with %" PRIu32
                    " GPU%s and %" PRIu32 " worker%s with %" PRIu32 "\n",
                    "pods", engine->pods, engine->head_gpus, plural(engine->head_gpus),
                    engine->pods - 1, plural(engine->pods - 1), engine->gpus);
        return;
    }
    text_printf(out, "  %-12s%" PRIu32 " GPU%s (%s), %g CPUs, %s", "pod", engine->gpus,
                plural(engine->gpus), engine->gpu_resource,
                (double)engine->cpu_milli / 1000, memory);
    if (engine->node_name != NULL) {
        text_printf(out, ", on node %s", engine->node_name);
    }
    text_add(out, "\n");
}

static void cache_print(const struct stack_engine *engine, struct text *out)
{
    static const char *const kinds[] = {
        [STACK_CACHE_NONE] = "which ends with the pod: every start downloads",
        [STACK_CACHE_CLAIM] = "on a claim: the first start downloads",
        [STACK_CACHE_HOST] = "in a folder of the machine: its first pod downloads"};
    text_printf(out, "  %-12s%s, %s%s\n", "weights", engine->cache.path,
                kinds[engine->cache.kind],
                engine->cache.one_node ? "; one node mounts it" : "");
}

static void scale_print(const struct stack_engine *engine, struct text *out)
{
    const struct stack_scale *scale = engine->scale;
    if (scale == NULL) {
        return;
    }
    text_printf(out, "  %-12s%" PRIu32 " to %" PRIu32 ", by KEDA:", "replicas",
                scale->min, scale->max);
    for (size_t i = 0; i < scale->metric_count; i++) {
        const struct stack_scale_metric *metric = &scale->metrics[i];
        text_printf(out, "%s %s %g%s", i == 0 ? "" : ",", metric->name, metric->target,
                    metric->is_value ? " in all" : " each");
    }
    text_printf(out, "; looks every %" PRIu32 " s, idle after %" PRIu32 " s\n",
                scale->poll_s, scale->cooldown_s);
}

static void parallel_print(const struct stack_engine *engine, struct text *out)
{
    const struct engine_flags *flags = &engine->flags;
    const uint32_t tp = flags->tensor_parallel > 0 ? flags->tensor_parallel : 1;
    const uint32_t stages = helm_stages(engine);
    if (stages > 1) {
        text_printf(out,
                    "  %-12stensor parallel %" PRIu32 " x %" PRIu32
                    " pipeline stages = %" PRIu32 " GPUs of one engine\n",
                    "parallel", tp, stages, tp * stages);
    }
}

static void kv_print(const struct helm_engine *engine, struct text *out)
{
    const struct engine_config *config = &engine->config;
    if (!engine->known) {
        text_printf(out, "  %-12sunknown: %s\n", "KV cache",
                    engine->gpu_name[0] == '\0'
                        ? "its GPU is not known (--gpu, --nodes)"
                        : "no model file (--model-file)");
        return;
    }
    if (!engine->fits) {
        line(out, "KV cache", "none: the engine does not start");
        return;
    }
    const uint64_t tokens = (uint64_t)engine->kv_blocks * config->block_tokens;
    text_printf(
        out,
        "  %-12s%" PRIu32 " blocks of %" PRIu32 " tokens = %" PRIu64
        " tokens per engine, %" PRIu64 " in all; %.2f requests of full length\n",
        "KV cache", engine->kv_blocks, config->block_tokens, tokens,
        tokens * engine->from->replicas, (double)tokens / config->max_model_len);
    text_printf(out,
                "  %-12sat most %" PRIu32 " sequences and %" PRIu32
                " tokens, context at most %" PRIu32 " tokens\n",
                "step", config->max_num_seqs, config->max_num_batched_tokens,
                config->max_model_len);
    text_printf(out, "  %-12sprefix caching %s, chunked prefill %s\n", "in force",
                config->prefix_caching ? "on" : "off",
                config->chunked_prefill ? "on" : "off");
}

static void lmcache_print(const struct stack_engine *engine, struct text *out)
{
    const struct stack_lmcache *lmcache = &engine->lmcache;
    if (lmcache->where == NULL || !lmcache->enabled) {
        return;
    }
    text_printf(out, "  %-12s%s", "LMCache",
                engine->flags.kv_connector != NULL ? engine->flags.kv_connector : "on");
    if (lmcache->cpu_gb > 0) {
        text_printf(out, ", %g GB of CPU memory per GPU", lmcache->cpu_gb);
    }
    if (lmcache->disk_gb > 0) {
        text_printf(out, ", %g GB of disk", lmcache->disk_gb);
    }
    if (lmcache->remote_url != NULL) {
        text_printf(out, ", remote %s", lmcache->remote_url);
    }
    if (lmcache->pd) {
        text_printf(out, ", %s of disaggregated prefill",
                    lmcache->nixl_role != NULL ? lmcache->nixl_role : "a leg");
    }
    text_add(out, "\n");
}

static void command_print(const struct stack_engine *engine, struct text *out)
{
    text_printf(out, "  %-12s%s%s ", "command",
                engine->kind == STACK_RUNTIME
                    ? "python3 -m vllm.entrypoints.openai.api_server --model "
                    : "vllm serve ",
                engine->model_url);
    args_print(&engine->args, out);
    text_add(out, "\n");
}

static void engine_print(const struct helm_engine *engine, struct text *out)
{
    const struct stack_engine *from = engine->from;
    const char *name = strcmp(from->object, from->name) == 0 ? "" : from->object;
    text_printf(out, "\nengine %s: %" PRIu32 " x %s%s%s\n", from->name, from->replicas,
                kind_names[from->kind], name[0] != '\0' ? " " : "", name);
    vllm_print(from, out);
    text_printf(out, "  %-12s%s", "model", from->model_url);
    if (engine->model_name[0] != '\0') {
        text_printf(out, " (configs/models/%s.yaml)", engine->model_name);
    }
    text_add(out, "\n");
    pod_print(from, out);
    scale_print(from, out);
    cache_print(from, out);
    if (engine->placed.length > 0) {
        line(out, "nodes", text_str(&engine->placed));
    }
    if (engine->gpu_name[0] != '\0') {
        text_printf(out, "  %-12sconfigs/gpus/%s.yaml\n", "GPU", engine->gpu_name);
    }
    parallel_print(from, out);
    kv_print(engine, out);
    lmcache_print(from, out);
    text_printf(out, "  %-12s%s:%" PRIu32 "\n", "Service", from->service,
                from->service_port);
    command_print(from, out);
}

/* ---- router ------------------------------------------------------------------------
 */

static void router_print(const struct helm *helm, struct text *out)
{
    const struct stack_router *router = &helm->stack->router;
    if (router->where == NULL) {
        text_add(out, "\nno router\n");
        return;
    }
    text_printf(out, "\nrouter: %" PRIu32 " x %s\n", router->replicas,
                router->of_operator ? "VLLMRouter" : "Deployment");
    line(out, "routing", router->routing_logic);
    if (strcmp(router->discovery, "k8s") == 0) {
        text_printf(out, "  %-12spods of namespace %s%s%s\n", "engines",
                    helm->stack->kube_namespace,
                    router->selector[0] != '\0' ? " with the labels " : "",
                    router->selector);
    } else {
        line(out, "engines", "a static list");
    }
    text_printf(out, "  %-12svllm-router ", "command");
    args_print(&router->args, out);
    text_add(out, "\n");
}

static void adapters_print(const struct stack *stack, struct text *out)
{
    for (size_t i = 0; i < stack->adapter_count; i++) {
        const struct stack_adapter *adapter = &stack->adapters[i];
        text_printf(out, "\nadapter %s: on ", adapter->name);
        if (adapter->has_replicas) {
            text_printf(out, "the first %" PRIu32 " ready pod%s by name of %s\n",
                        adapter->replicas, plural(adapter->replicas),
                        adapter->base_model);
        } else {
            text_printf(out, "every ready pod of %s\n", adapter->base_model);
        }
    }
}

static void findings_print(const struct findings *findings, enum finding_level level,
                           const char *title, struct text *out)
{
    bool first = true;
    for (size_t i = 0; i < findings->count; i++) {
        if (findings->items[i].level != level) {
            continue;
        }
        text_printf(out, "%s%s  ", first ? title : "", first ? "\n" : "");
        finding_print(&findings->items[i], out);
        text_add(out, "\n");
        first = false;
    }
}

void helm_explain_text(const struct helm *helm, const char *path, struct text *out)
{
    const struct stack *stack = helm->stack;
    text_printf(
        out, "%s, as %s of the Production Stack reads it, as Helm release \"%s\"\n",
        path, stack->release == STACK_TAG ? "release 0.1.3" : "head", stack->name);
    for (size_t i = 0; i < stack->engine_count; i++) {
        engine_print(&helm->engines[i], out);
    }
    router_print(helm, out);
    adapters_print(stack, out);
    if (stack->cache_server.where != NULL) {
        char memory[24];
        unit_format_bytes(memory, sizeof memory, stack->cache_server.memory_bytes);
        text_printf(out, "\ncache server: %" PRIu32 ", %s\n",
                    stack->cache_server.replicas, memory);
    }
    findings_print(&stack->findings, FINDING_TRAP, "\ntraps", out);
    findings_print(&stack->findings, FINDING_WARNING, "\nwarnings", out);
    findings_print(&stack->findings, FINDING_NOTE, "\nassumed", out);
    if (stack->findings.dropped > 0) {
        text_printf(out, "\n%zu more of the kind\n", stack->findings.dropped);
    }
}
