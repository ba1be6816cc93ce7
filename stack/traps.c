/* SPDX-License-Identifier: Apache-2.0
 *
 * traps.c: what engines do that nobody would want, as far as the files alone tell. Each
 * says what happens, why, and what to write instead (spec/production-stack.md 6, 7, 9).
 */
#include "stack/parts.h"

#include <inttypes.h>
#include <string.h>

static uint32_t at_least_one(uint32_t count)
{
    return count > 0 ? count : 1;
}

static const struct conf_node *key_of(const struct stack_engine *engine,
                                      const char *key)
{
    const struct conf_node *node = conf_get(engine->where, key);
    return node != NULL ? node : engine->where;
}

/* ---- flags -------------------------------------------------------------------------
 */

static void caching_traps(struct stack *stack, const struct stack_engine *engine)
{
    const struct conf_node *map = conf_get(engine->where, "vllmConfig");
    if (engine->kind == STACK_DEPLOYMENT && map != NULL &&
        !read_has(map, "enablePrefixCaching") &&
        engine->flags.prefix_caching == SWITCH_OFF) {
        findings_add(&stack->findings, FINDING_TRAP, "prefix_caching_off", map,
                     "%s: vllmConfig without enablePrefixCaching turns prefix caching "
                     "off (--no-enable-prefix-caching), against vLLM's default; write "
                     "enablePrefixCaching: true",
                     engine->name);
    }
    if (engine->uses_v0 && engine->has_vllm_config) {
        const struct conf_node *where =
            engine->kind == STACK_RUNTIME ? engine->where : map;
        findings_add(&stack->findings, FINDING_TRAP, "v0_engine", where,
                     "%s: without v1 the pods get VLLM_USE_V1=0: the old engine V0, "
                     "with its defaults (no chunked prefill below 32k of context, 256 "
                     "sequences); write v1: %s",
                     engine->name, engine->kind == STACK_RUNTIME ? "true" : "1");
    }
}

/* How often a flag stands in the engine's arguments; *last: where at last. */
static uint32_t times_given(const struct stack_engine *engine, const char *name,
                            const struct conf_node **last)
{
    uint32_t times = 0;
    for (size_t i = 0; i < engine->args.count; i++) {
        const char *word = engine->args.items[i];
        if (strncmp(word, "--", 2) != 0) {
            continue;
        }
        const char *at = word + 2;
        const char *want = name;
        while (*want != '\0' && (*at == *want || (*at == '_' && *want == '-'))) {
            at++;
            want++;
        }
        if (*want == '\0' && (*at == '\0' || *at == '=')) {
            times++;
            *last = engine->args.where[i];
        }
    }
    return times;
}

static void twice_traps(struct stack *stack, const struct stack_engine *engine)
{
    static const char *const names[] = {"max-model-len",
                                        "dtype",
                                        "tensor-parallel-size",
                                        "max-num-seqs",
                                        "gpu-memory-utilization",
                                        "max-loras",
                                        "pipeline-parallel-size",
                                        "kv-transfer-config",
                                        "port",
                                        NULL};
    for (size_t i = 0; names[i] != NULL; i++) {
        const struct conf_node *last = NULL;
        if (times_given(engine, names[i], &last) > 1) {
            findings_add(&stack->findings, FINDING_WARNING, "flag_twice", last,
                         "%s: --%s is given twice, and the last one counts; drop one",
                         engine->name, names[i]);
        }
    }
}

static void lora_traps(struct stack *stack, const struct stack_engine *engine)
{
    const bool on = engine->flags.lora == SWITCH_ON;
    if (!on && engine->flags.max_loras > 0) {
        findings_add(
            &stack->findings, FINDING_WARNING, "max_loras_without_lora", engine->where,
            "%s: maxLoras without LoRA changes nothing; write enableLoRA: true",
            engine->name);
    }
    if (on && !engine->allows_lora_updates &&
        (stack->has_lora_controller || stack->adapter_count > 0)) {
        findings_add(&stack->findings, FINDING_TRAP, "lora_updates_refused",
                     engine->where,
                     "%s: the engine refuses the controller's load_lora_adapter; add "
                     "{name: VLLM_ALLOW_RUNTIME_LORA_UPDATING, value: \"True\"} to env",
                     engine->name);
    }
}

/* ---- GPUs and memory ---------------------------------------------------------------
 */

static void ray_traps(struct stack *stack, struct stack_engine *engine)
{
    const uint32_t tp = at_least_one(engine->flags.tensor_parallel);
    const uint32_t pp = at_least_one(engine->flags.pipeline_parallel);
    const uint32_t gpus = engine->head_gpus + (engine->pods - 1) * engine->gpus;
    const struct conf_node *map = conf_get(engine->where, "vllmConfig");
    const struct conf_node *where = map != NULL ? map : engine->where;
    if (tp * pp > gpus) {
        findings_add(
            &stack->findings, FINDING_TRAP, "too_few_gpus", where,
            "%s: tensor parallel %u x pipeline parallel %u needs %u GPUs, head "
            "and %u workers have %u: the engine never starts; give more GPUs or "
            "smaller sizes",
            engine->name, tp, pp, tp * pp, engine->pods - 1, gpus);
        engine->never_starts = stack_text(
            stack, "it needs %u GPUs and has %u (tensor x pipeline parallel)", tp * pp,
            gpus);
    } else if (pp != engine->pods) {
        findings_add(&stack->findings, FINDING_WARNING, "stages_and_pods", where,
                     "%s: %u pipeline stages on %u pods (replicaCount counts workers, "
                     "the head comes on top); sized as intended, both are equal",
                     engine->name, pp, engine->pods);
    }
    if (engine->head_gpus != engine->gpus) {
        findings_add(&stack->findings, FINDING_WARNING, "head_and_workers_differ",
                     where, "%s: the head has %u GPUs, a worker %u; give both the same",
                     engine->name, engine->head_gpus, engine->gpus);
    }
}

static void gpu_traps(struct stack *stack, struct stack_engine *engine)
{
    const uint32_t tp = at_least_one(engine->flags.tensor_parallel);
    const uint32_t pp = at_least_one(engine->flags.pipeline_parallel);
    const uint32_t dp = at_least_one(engine->flags.data_parallel);
    const uint32_t wanted = tp * pp * dp;
    if (engine->kind == STACK_RAY) {
        ray_traps(stack, engine);
        return;
    }
    const struct conf_node *where = engine->tensor_parallel_where != NULL
                                        ? engine->tensor_parallel_where
                                        : engine->where;
    if (engine->gpus == 0) {
        findings_add(
            &stack->findings, FINDING_WARNING, "no_gpu", key_of(engine, "requestGPU"),
            "%s: no GPU is asked for, so the pod gets none; write requestGPU: %u",
            engine->name, wanted);
    } else if (wanted > engine->gpus) {
        findings_add(
            &stack->findings, FINDING_TRAP, "too_few_gpus", where,
            "%s: tensor parallel %u x pipeline %u x data %u needs %u GPUs, the "
            "pod has %u, and nothing checks it: the engine never starts; write "
            "requestGPU: %u",
            engine->name, tp, pp, dp, wanted, engine->gpus, wanted);
        engine->never_starts = stack_text(
            stack, "it needs %u GPUs and has %u (tensor x pipeline x data parallel)",
            wanted, engine->gpus);
    } else if (wanted < engine->gpus) {
        findings_add(
            &stack->findings, FINDING_WARNING, "idle_gpus", where,
            "%s: the pod has %u GPUs and uses %u; write tensorParallelSize: %u "
            "or ask for fewer",
            engine->name, engine->gpus, wanted, engine->gpus);
    }
}

static void memory_traps(struct stack *stack, const struct stack_engine *engine)
{
    const uint32_t tp = at_least_one(engine->flags.tensor_parallel);
    const double gib = 1024.0 * 1024.0 * 1024.0;
    const double buffers = engine->lmcache.cpu_gb * tp;
    const bool limited = engine->limit_bytes > 0;
    const double memory =
        (double)(limited ? engine->limit_bytes : engine->memory_bytes);
    if (engine->lmcache.cpu_gb > 0 && memory > 0 &&
        buffers * 1e9 + (double)engine->shm_bytes > memory) {
        findings_add(
            &stack->findings, FINDING_TRAP, "memory_too_small", engine->lmcache.where,
            "%s: LMCache takes %g GB for each of %u GPUs and /dev/shm up to "
            "%.0f GiB, the pod %s %.0f GiB: %s; raise %s",
            engine->name, engine->lmcache.cpu_gb, tp, (double)engine->shm_bytes / gib,
            limited ? "is limited to" : "asks for", memory / gib,
            limited ? "it is killed when they fill"
                    : "it may land where there is less, and be killed",
            limited ? "limitMemory" : "requestMemory");
    }
}

/* ---- pods --------------------------------------------------------------------------
 */

/* Publishers whose models ask for a licence first. */
static bool is_gated(const char *url)
{
    static const char *const gated[] = {"meta-llama/", "google/gemma", NULL};
    for (size_t i = 0; gated[i] != NULL; i++) {
        if (strncmp(url, gated[i], strlen(gated[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void storage_traps(struct stack *stack, const struct stack_engine *engine)
{
    const uint64_t pods = (uint64_t)engine->replicas * engine->pods;
    if (engine->kind == STACK_RUNTIME && stack->release == STACK_TAG) {
        return;
    }
    if (engine->storage_rwo && pods > 1 && engine->node_name == NULL) {
        findings_add(&stack->findings, FINDING_TRAP, "claim_of_one_node",
                     key_of(engine, "pvcStorage"),
                     "%s: all %" PRIu64 " pods share one claim that only one node can "
                     "mount (ReadWriteOnce): pods on other nodes hang in "
                     "ContainerCreating; write pvcAccessMode: [ReadWriteMany], with a "
                     "storage class that can",
                     engine->name, pods);
    }
    if (engine->cache.kind == STACK_CACHE_NONE && engine->model_url[0] != '/') {
        findings_add(&stack->findings, FINDING_WARNING, "no_model_cache", engine->where,
                     "%s: models go to %.200s, which ends with the pod: every start "
                     "downloads again; write pvcStorage, or mount a volume there (env "
                     "HF_HOME says where)",
                     engine->name, engine->cache.path);
    }
    if (is_gated(engine->model_url) && !engine->env.has_token) {
        findings_add(&stack->findings, FINDING_WARNING, "gated_model",
                     key_of(engine, "modelURL"),
                     "%s: the hub gives %.120s only to those who show a token, and "
                     "there is none: it starts only where the model lies on its volume "
                     "already; write hf_token",
                     engine->name, engine->model_url);
    }
}

static void place_traps(struct stack *stack, const struct stack_engine *engine)
{
    if (engine->node_name == NULL) {
        return;
    }
    if (engine->expression_count > 0) {
        findings_add(
            &stack->findings, FINDING_WARNING, "selector_ignored",
            key_of(engine, "nodeSelectorTerms"),
            "%s: nodeSelectorTerms are ignored where nodeName is set; drop one",
            engine->name);
    }
    if (engine->replicas > 1) {
        findings_add(
            &stack->findings, FINDING_WARNING, "all_on_one_node",
            key_of(engine, "nodeName"),
            "%s: nodeName puts all %u pods on %s, past the scheduler: what does "
            "not fit there fails at once instead of waiting; use "
            "nodeSelectorTerms to let the scheduler choose",
            engine->name, engine->replicas, engine->node_name);
    }
}

static void rollout_traps(struct stack *stack, const struct stack_engine *engine)
{
    if (engine->kind != STACK_DEPLOYMENT || engine->max_surge == NULL ||
        strcmp(engine->max_surge, "100%") != 0 || engine->gpus == 0) {
        return;
    }
    findings_add(
        &stack->findings, FINDING_WARNING, "rollout_needs_spare_gpus", engine->where,
        "%s: an update starts all new pods beside the old ones (maxSurge 100%%) "
        "and needs %u spare GPUs; without them it stalls until its deadline of "
        "1200 s; set servingEngineSpec.strategy, with maxSurge: 0 and "
        "maxUnavailable: 1",
        engine->name, engine->replicas * engine->gpus);
}

/* ---- all ---------------------------------------------------------------------------
 */

static void ray_count_trap(struct stack *stack)
{
    const struct stack_engine *first = NULL;
    for (size_t i = 0; i < stack->engine_count; i++) {
        struct stack_engine *engine = &stack->engines[i];
        if (engine->kind != STACK_RAY) {
            continue;
        }
        if (first != NULL && stack->release == STACK_TAG) {
            findings_add(&stack->findings, FINDING_TRAP, "second_ray_model",
                         engine->where,
                         "%s: a second Ray model in one namespace: release 0.1.3 gives "
                         "both the same config maps (wait-for-ray-script, "
                         "vllm-start-script), and the installation fails; put it into "
                         "another namespace",
                         engine->name);
            engine->never_starts = "release 0.1.3 takes one Ray model per namespace";
        }
        first = engine;
    }
}

static void adapter_traps(struct stack *stack)
{
    uint32_t single = 0;
    const struct stack_adapter *last = NULL;
    for (size_t i = 0; i < stack->adapter_count; i++) {
        const struct stack_adapter *adapter = &stack->adapters[i];
        const struct stack_engine *base = NULL;
        for (size_t j = 0; j < stack->engine_count && base == NULL; j++) {
            const struct stack_engine *engine = &stack->engines[j];
            base = strcmp(engine->name, adapter->base_model) == 0 ? engine : NULL;
        }
        if (adapter->has_replicas && adapter->replicas > 0) {
            single++;
            last = adapter;
        }
        if (base == NULL && stack->engine_count > 0) {
            findings_add(&stack->findings, FINDING_TRAP, "adapter_matches_nothing",
                         adapter->where,
                         "%s: baseModel \"%.80s\" is the name of no engine here, so no "
                         "pod will get it; write the name of a modelSpec item",
                         adapter->name, adapter->base_model);
        } else if (base != NULL && base->kind == STACK_RUNTIME &&
                   stack->release == STACK_TAG) {
            findings_add(&stack->findings, FINDING_TRAP, "adapter_matches_nothing",
                         adapter->where,
                         "%s: pods of a VLLMRuntime have no label model at release "
                         "0.1.3, so no pod will get it; run the engine by the chart",
                         adapter->name);
        } else if (base != NULL && base->flags.lora != SWITCH_ON) {
            findings_add(&stack->findings, FINDING_TRAP, "adapter_without_lora",
                         adapter->where,
                         "%s: its engine %s runs without LoRA; write enableLoRA: true",
                         adapter->name, base->name);
        }
    }
    if (single > 1) {
        findings_add(
            &stack->findings, FINDING_TRAP, "adapters_pile_up", last->where,
            "%u adapters with replicas: the controller puts each on the first "
            "pods by name, whatever the algorithm says, so that all land on the "
            "same; leave replicas out to load them everywhere",
            single);
    }
}

void traps_find(struct stack *stack)
{
    for (size_t i = 0; i < stack->engine_count; i++) {
        struct stack_engine *engine = &stack->engines[i];
        caching_traps(stack, engine);
        twice_traps(stack, engine);
        lora_traps(stack, engine);
        gpu_traps(stack, engine);
        memory_traps(stack, engine);
        storage_traps(stack, engine);
        place_traps(stack, engine);
        rollout_traps(stack, engine);
        if (engine->vllm == 0) {
            findings_add(
                &stack->findings, FINDING_NOTE, "unknown_vllm", key_of(engine, "tag"),
                "%s: the image %s does not tell its vLLM; taken for that of the "
                "stack's release",
                engine->name, engine->image);
        }
    }
    ray_count_trap(stack);
    adapter_traps(stack);
}
