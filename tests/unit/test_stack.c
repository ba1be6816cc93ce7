/* SPDX-License-Identifier: Apache-2.0
 *
 * What chart and operator make of a file: the six examples of spec/production-stack.md
 * 7.7, and every trap with a file that falls into it and one that does not.
 */
#include "stack/stack.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

static struct stack *load(const char *name, enum stack_release release)
{
    struct stack *stack = NULL;
    struct err err;
    const struct stack_options options = {.release = release, .name = "demo"};
    char path[128];
    snprintf(path, sizeof path, "configs/helm/%s.yaml", name);
    harness_note("%s at %s", name, stack_release_name(release));
    REQUIRE_OK(stack_load(&stack, harness_source(path), &options, &err), &err);
    return stack;
}

static struct stack *parse(const char *text, enum stack_release release)
{
    struct stack *stack = NULL;
    struct err err;
    const struct stack_options options = {.release = release, .name = "demo"};
    harness_note("%s", text);
    REQUIRE_OK(stack_parse(&stack, "v.yaml", text, strlen(text), &options, &err), &err);
    return stack;
}

static void expect_args(const struct args *args, const char *expected)
{
    struct text out = {0};
    args_print(args, &out);
    EXPECT_STR(text_str(&out), expected);
    text_fini(&out);
}

static const struct finding *find(const struct stack *stack, const char *name)
{
    for (size_t i = 0; i < stack->findings.count; i++) {
        if (strcmp(stack->findings.items[i].name, name) == 0) {
            return &stack->findings.items[i];
        }
    }
    return NULL;
}

/* ---- the examples ------------------------------------------------------------------
 */

static void example_a_is_four_plain_engines(void)
{
    struct stack *stack = load("plain", STACK_TAG);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT_U64(stack->engine_count, 1);
    EXPECT_STR(engine->object, "demo-chat8b-deployment-vllm");
    EXPECT_STR(engine->service, "demo-chat8b-engine-service");
    EXPECT_U64(engine->service_port, 80);
    EXPECT_U64(engine->replicas, 4);
    EXPECT_U64(engine->gpus, 1);
    EXPECT_U64(engine->cpu_milli, 8000);
    EXPECT_U64(engine->memory_bytes, UINT64_C(48) << 30);
    EXPECT_U64(engine->vllm, 8005);
    EXPECT(!engine->uses_v0);
    EXPECT(engine->has_storage && !engine->storage_rwo);
    EXPECT_STR(engine->max_surge, "100%");
    /* 15 + 10 x 60 = 615 s until a pod that is not up is killed. */
    EXPECT_U64(engine->startup.initial_s +
                   engine->startup.period_s * engine->startup.failures,
               615);
    expect_args(&engine->args,
                "--host 0.0.0.0 --port 8000 --enable-chunked-prefill "
                "--enable-prefix-caching --max-model-len 32768 --max-num-seqs 128 "
                "--gpu_memory_utilization 0.9");
    /* The chart's own labels stay under the user's, keys sorted. */
    expect_args(&stack->router.args,
                "--host 0.0.0.0 --port 8000 --service-discovery k8s --k8s-namespace "
                "default --k8s-label-selector "
                "app=engines,environment=test,release=test,tier=gpu --routing-logic "
                "roundrobin --engine-stats-interval 15 --request-stats-window 60 "
                "--log-stats");
    for (size_t i = 0; i < stack->findings.count; i++) {
        EXPECT(stack->findings.items[i].level != FINDING_TRAP);
    }
    stack_delete(stack);
    /* At head v1 is gone, and nothing else differs. */
    stack = load("plain", STACK_HEAD);
    EXPECT(find(stack, "tag_only_key") != NULL);
    EXPECT_U64(find(stack, "tag_only_key")->line, 15);
    EXPECT(!stack->engines[0].uses_v0);
    stack_delete(stack);
}

static void example_b_offloads_to_cpu_memory(void)
{
    struct stack *stack = load("prefix_offload", STACK_TAG);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT_U64(engine->vllm, 8005); /* of 2025-05-17 */
    EXPECT_NEAR(engine->lmcache.cpu_gb, 60, 0);
    EXPECT_STR(engine->flags.kv_connector, "LMCacheConnectorV1");
    EXPECT_STR(engine->flags.kv_role, "kv_both");
    EXPECT(engine->flags.prefix_caching == SWITCH_ON);
    EXPECT_U64(engine->flags.max_model_len, 40960);
    EXPECT_STR(stack->router.routing_logic, "prefixaware");
    EXPECT(find(stack, "prefixaware_chat") != NULL);
    EXPECT(find(stack, "claim_of_one_node") != NULL);
    stack_delete(stack);
    stack = load("prefix_offload", STACK_HEAD);
    EXPECT(find(stack, "prefixaware_chat") == NULL);
    stack_delete(stack);
}

static void example_c_works_with_the_chart_of_head_only(void)
{
    struct stack *stack = load("kv_aware", STACK_TAG);
    EXPECT(stack->engines[0].uses_v0);
    EXPECT_STR(stack->engines[0].flags.kv_connector, "LMCacheConnector");
    EXPECT(find(stack, "v0_engine") != NULL);
    EXPECT(find(stack, "kvaware_fails") != NULL);
    EXPECT(find(stack, "controller_unreachable") != NULL);
    EXPECT(find(stack, "head_only_key") != NULL);
    stack_delete(stack);
    stack = load("kv_aware", STACK_HEAD);
    EXPECT(!stack->engines[0].uses_v0);
    EXPECT_STR(stack->engines[0].flags.kv_connector, "LMCacheConnectorV1");
    EXPECT(find(stack, "kvaware_fails") == NULL);
    EXPECT(find(stack, "controller_unreachable") == NULL);
    EXPECT(find(stack, "head_only_key") == NULL);
    expect_args(&stack->router.args,
                "--host 0.0.0.0 --port 8000 --service-discovery k8s --k8s-namespace "
                "default --k8s-label-selector environment=test,release=test "
                "--routing-logic kvaware --session-key x-user-id "
                "--engine-stats-interval 15 --request-stats-window 60 "
                "--kv-aware-threshold 2000 --lmcache-controller-port 9000 "
                "--lmcache-controller-reply-port 9001");
    stack_delete(stack);
}

static void example_d_is_a_pair(void)
{
    struct stack *stack = load("disaggregated", STACK_TAG);
    EXPECT_U64(stack->engine_count, 2);
    const struct stack_engine *prefill = &stack->engines[0];
    const struct stack_engine *decode = &stack->engines[1];
    /* The merge key carries everything but name and lmcacheConfig over. */
    EXPECT_STR(decode->name, "pd-decode");
    EXPECT_STR(decode->model_url, prefill->model_url);
    EXPECT_U64(decode->flags.max_model_len, 32000);
    EXPECT(prefill->lmcache.pd && decode->lmcache.pd);
    EXPECT_STR(prefill->lmcache.nixl_role, "sender");
    EXPECT_STR(decode->lmcache.nixl_role, "receiver");
    EXPECT_STR(prefill->flags.kv_role, "kv_producer");
    EXPECT_STR(decode->flags.kv_role, "kv_consumer");
    EXPECT_NEAR(prefill->lmcache.cpu_gb, 0, 0);
    EXPECT(find(stack, "router_crash_loop") == NULL);
    EXPECT(find(stack, "label_matches_nothing") == NULL);
    stack_delete(stack);
}

static void example_e_is_one_engine_of_two_pods(void)
{
    struct stack *stack = load("pipeline_parallel", STACK_TAG);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT_I64(engine->kind, STACK_RAY);
    EXPECT_STR(engine->object, "demo-big70b-raycluster");
    EXPECT_U64(engine->replicas, 1);
    EXPECT_U64(engine->pods, 2);
    EXPECT_U64(engine->head_gpus + engine->gpus, 8);
    EXPECT_U64(engine->flags.tensor_parallel, 4);
    EXPECT_U64(engine->flags.pipeline_parallel, 2);
    EXPECT_U64(engine->shm_bytes, UINT64_C(32) << 30);
    /* Ray's template leaves prefix caching to the engine. */
    EXPECT(engine->flags.prefix_caching == SWITCH_UNSET);
    EXPECT(find(stack, "too_few_gpus") == NULL);
    EXPECT(find(stack, "stages_and_pods") == NULL);
    EXPECT(find(stack, "pipeline_parallel_ignored") == NULL);
    stack_delete(stack);
}

static void example_f_pins_two_engines_and_has_an_adapter(void)
{
    struct stack *stack = load("lora_pinned", STACK_TAG);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT_STR(engine->node_name, "gpu-node-07");
    EXPECT(engine->flags.lora == SWITCH_ON);
    EXPECT_U64(engine->flags.max_loras, 4);
    EXPECT(engine->allows_lora_updates);
    EXPECT(stack->has_lora_controller);
    EXPECT_U64(stack->adapter_count, 1);
    EXPECT_STR(stack->adapters[0].name, "legal");
    EXPECT_STR(stack->adapters[0].base_model, "base8b");
    EXPECT(stack->adapters[0].has_replicas && stack->adapters[0].replicas == 1);
    EXPECT(find(stack, "all_on_one_node") != NULL);
    EXPECT(find(stack, "adapter_matches_nothing") == NULL);
    EXPECT(find(stack, "lora_updates_refused") == NULL);
    /* All pods are where the claim is. */
    EXPECT(find(stack, "claim_of_one_node") == NULL);
    stack_delete(stack);
    /* Head calls the field loraAdapterDeploymentConfig. */
    stack = load("lora_pinned", STACK_HEAD);
    EXPECT(!stack->adapters[0].has_replicas);
    EXPECT(find(stack, "unknown_key") == NULL);
    EXPECT(find(stack, "tag_only_key") != NULL);
    stack_delete(stack);
}

/* ---- traps -------------------------------------------------------------------------
 */

#define HEAD "servingEngineSpec:\n"
#define MODEL                                                                          \
    "  modelSpec:\n"                                                                   \
    "  - name: m\n"                                                                    \
    "    repository: vllm/vllm-openai\n"                                               \
    "    tag: v0.8.5\n"                                                                \
    "    modelURL: meta-llama/Llama-3.1-8B-Instruct\n"                                 \
    "    replicaCount: 2\n"                                                            \
    "    requestCPU: 8\n"                                                              \
    "    requestMemory: 48Gi\n"                                                        \
    "    requestGPU: 1\n"
#define GOOD "    vllmConfig: {v1: 1, enablePrefixCaching: true}\n"

static const struct {
    const char *name;
    const char *falls; /* at the tag */
    uint32_t line;
    const char *remedy;
    const char *passes;
} traps[] = {
    {"prefix_caching_off", HEAD MODEL "    vllmConfig: {v1: 1}\n", 11,
     "write enablePrefixCaching: true", HEAD MODEL GOOD},
    {"v0_engine", HEAD MODEL "    vllmConfig: {enablePrefixCaching: true}\n", 11,
     "write v1: 1", HEAD MODEL},
    {"pipeline_parallel_ignored",
     HEAD MODEL "    vllmConfig: {v1: 1, enablePrefixCaching: true,\n"
                "      pipelineParallelSize: 2}\n",
     12, "--pipeline-parallel-size",
     HEAD "  raySpec: {headNode: {requestGPU: 1}}\n" MODEL
          "    vllmConfig: {v1: 1, pipelineParallelSize: 3}\n"},
    {"too_few_gpus",
     HEAD MODEL "    vllmConfig: {v1: 1, enablePrefixCaching: true,\n"
                "      tensorParallelSize: 2}\n",
     12, "write requestGPU: 2", HEAD MODEL GOOD},
    {"too_few_gpus",
     HEAD "  raySpec: {headNode: {requestGPU: 1}}\n" MODEL
          "    vllmConfig: {v1: 1, tensorParallelSize: 2, pipelineParallelSize: 3}\n",
     12, "give more GPUs",
     HEAD "  raySpec: {headNode: {requestGPU: 1}}\n" MODEL
          "    vllmConfig: {v1: 1, pipelineParallelSize: 3}\n"},
    {"idle_gpus",
     HEAD MODEL "    vllmConfig: {v1: 1, tensorParallelSize: 1}\n"
                "  - {name: n, modelURL: x, requestGPU: 4}\n",
     12, "tensorParallelSize: 4", HEAD MODEL GOOD},
    {"router_crash_loop", HEAD MODEL GOOD "routerSpec: {enablePD: true}\n", 12,
     "drop the key", HEAD MODEL GOOD "routerSpec: {}\n"},
    {"budget_without_selector",
     HEAD "  maxUnavailablePodDisruptionBudget: \"1\"\n" MODEL GOOD, 2,
     "write a PodDisruptionBudget",
     HEAD "  maxUnavailablePodDisruptionBudget: \"\"\n" MODEL GOOD},
    {"port_not_discovered",
     HEAD "  containerPort: 8080\n" MODEL GOOD
          "routerSpec:\n  routingLogic: roundrobin\n",
     13, "\"--k8s-port\", \"8080\"",
     HEAD "  containerPort: 8080\n" MODEL GOOD
          "routerSpec:\n  extraArgs: [\"--k8s-port\", \"8080\"]\n"},
    {"claim_of_one_node", HEAD MODEL GOOD "    pvcStorage: 10Gi\n", 12, "ReadWriteMany",
     HEAD MODEL GOOD "    pvcStorage: 10Gi\n    pvcAccessMode: [ReadWriteMany]\n"},
    {"rollout_needs_spare_gpus", HEAD MODEL GOOD, 3, "maxSurge: 0",
     HEAD "  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}\n" MODEL GOOD},
    {"no_model_cache", HEAD MODEL GOOD, 3, "write pvcStorage",
     HEAD MODEL GOOD "    pvcStorage: 10Gi\n"},
    {"pd_key_selects",
     HEAD MODEL GOOD "    lmcacheConfig: {enabled: true, enablePD: false}\n", 12,
     "drop the key", HEAD MODEL GOOD "    lmcacheConfig: {enabled: true}\n"},
    {"disk_tier_ignored",
     HEAD MODEL GOOD
     "    lmcacheConfig: {enabled: true, diskOffloadingBufferSize: \"20\"}\n",
     12, "LMCACHE_LOCAL_DISK",
     HEAD "  raySpec: {headNode: {requestGPU: 1}}\n" MODEL GOOD
          "    lmcacheConfig: {enabled: true, diskOffloadingBufferSize: \"20\"}\n"},
    {"memory_too_small",
     HEAD MODEL GOOD
     "    lmcacheConfig: {enabled: true, cpuOffloadingBufferSize: \"60\"}\n",
     12, "raise requestMemory",
     HEAD MODEL GOOD
     "    lmcacheConfig: {enabled: true, cpuOffloadingBufferSize: \"40\"}\n"},
    {"no_session_key", HEAD MODEL GOOD "routerSpec:\n  routingLogic: session\n", 13,
     "sessionKey: x-user-id",
     HEAD MODEL GOOD "routerSpec: {routingLogic: session, sessionKey: x}\n"},
    {"unknown_routing_logic", HEAD MODEL GOOD "routerSpec:\n  routingLogic: rr\n", 13,
     "write roundrobin", HEAD MODEL GOOD},
    {"prefixaware_chat", HEAD MODEL GOOD "routerSpec:\n  routingLogic: prefixaware\n",
     13, "use session", HEAD MODEL GOOD},
    {"kvaware_fails", HEAD MODEL GOOD "routerSpec:\n  routingLogic: kvaware\n", 13,
     "use session", HEAD MODEL GOOD},
    {"kvaware_without_controller",
     HEAD MODEL GOOD "routerSpec:\n  routingLogic: kvaware\n", 13,
     "enableController: true",
     HEAD MODEL GOOD "    lmcacheConfig: {enabled: true, enableController: true}\n"
                     "routerSpec:\n  routingLogic: kvaware\n"},
    {"no_pd_labels",
     HEAD MODEL GOOD "routerSpec:\n  routingLogic: disaggregated_prefill\n", 13,
     "add it to extraArgs", HEAD MODEL GOOD},
    {"label_matches_nothing",
     HEAD MODEL GOOD "routerSpec:\n  routingLogic: disaggregated_prefill\n"
                     "  extraArgs: [\"--prefill-model-labels\", \"m\",\n"
                     "              \"--decode-model-labels\", \"mm\"]\n",
     15, "name of a modelSpec item",
     HEAD MODEL GOOD "routerSpec:\n  routingLogic: disaggregated_prefill\n"
                     "  extraArgs: [\"--prefill-model-labels\", \"m\",\n"
                     "              \"--decode-model-labels\", \"m\"]\n"},
    {"pd_without_routing",
     HEAD MODEL GOOD "    lmcacheConfig: {enabled: true, enablePD: true}\n", 12,
     "routingLogic: disaggregated_prefill", HEAD MODEL GOOD},
    {"no_static_backends", HEAD MODEL GOOD "routerSpec:\n  serviceDiscovery: static\n",
     12, "name them",
     HEAD MODEL GOOD "routerSpec: {serviceDiscovery: static, staticBackends: "
                     "\"http://a:80\", staticModels: m}\n"},
    {"routers_share_nothing", HEAD MODEL GOOD "routerSpec:\n  replicaCount: 2\n", 12,
     "", HEAD MODEL GOOD},
    {"selector_ignored",
     HEAD MODEL GOOD "    nodeName: a\n    nodeSelectorTerms:\n"
                     "    - matchExpressions: [{key: k, operator: Exists}]\n",
     13, "drop one", HEAD MODEL GOOD "    nodeName: a\n"},
    {"all_on_one_node", HEAD MODEL GOOD "    nodeName: a\n", 12, "nodeSelectorTerms",
     HEAD MODEL GOOD},
    {"shm_not_mounted", HEAD MODEL GOOD "    shmSize: 1Gi\n", 12, "or drop shmSize",
     HEAD MODEL "    shmSize: 1Gi\n    vllmConfig: {v1: 1, tensorParallelSize: 1}\n"},
    {"max_loras_without_lora", HEAD MODEL "    vllmConfig: {v1: 1, maxLoras: 4}\n", 3,
     "enableLoRA: true",
     HEAD MODEL "    vllmConfig: {v1: 1, maxLoras: 4}\n    enableLoRA: true\n"},
    {"lora_updates_refused",
     HEAD MODEL GOOD "    enableLoRA: true\nloraController: {enabled: true}\n", 3,
     "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
     HEAD MODEL GOOD "    enableLoRA: true\n    env:\n"
                     "    - {name: VLLM_ALLOW_RUNTIME_LORA_UPDATING, value: \"True\"}\n"
                     "loraController: {enabled: true}\n"},
    {"quoted_false", HEAD MODEL GOOD "    enableLoRA: \"false\"\n", 12,
     "without quotes", HEAD MODEL GOOD "    enableLoRA: false\n"},
    {"flag_twice",
     HEAD MODEL "    vllmConfig: {v1: 1, maxModelLen: 8192,\n"
                "      extraArgs: [\"--max_model_len=4096\"]}\n",
     12, "drop one",
     HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [\"--max_model_len=4096\"]}\n"},
    {"flag_and_value_in_one",
     HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [\"--seed 4\"]}\n", 11,
     "as two items",
     HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [\"--seed\", \"4\"]}\n"},
    {"unknown_engine_flag",
     HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [\"--max-num-seq\", \"4\"]}\n", 11,
     "did you mean --max-num-seqs?",
     HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [\"--max-num-seqs\", \"4\"]}\n"},
    {"unknown_key", HEAD MODEL "    vllmConfig: {v1: 1, maxModelLenn: 4}\n", 11,
     "did you mean 'maxModelLen'?", HEAD MODEL GOOD},
    {"second_ray_model",
     HEAD "  raySpec: {headNode: {requestGPU: 1}}\n" MODEL GOOD
          "  - {name: n, modelURL: x, requestGPU: 1}\n",
     13, "another namespace",
     HEAD "  raySpec: {headNode: {requestGPU: 1}}\n" MODEL GOOD},
    {"no_gpu", HEAD MODEL GOOD "  - {name: n, modelURL: x}\n", 12, "requestGPU: 1",
     HEAD MODEL GOOD},
    {"no_image", HEAD MODEL GOOD "  - {name: n, modelURL: x}\n", 12, "name one",
     HEAD MODEL GOOD},
};

static void each_trap_is_found_on_its_line_and_only_there(void)
{
    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++) {
        struct stack *stack = parse(traps[i].falls, STACK_TAG);
        const struct finding *finding = find(stack, traps[i].name);
        harness_note("%s in\n%s", traps[i].name, traps[i].falls);
        EXPECT(finding != NULL);
        if (finding != NULL) {
            EXPECT_U64(finding->line, traps[i].line);
            EXPECT_STR(finding->file, "v.yaml");
            EXPECT_HAS(finding->remedy, traps[i].remedy);
        }
        stack_delete(stack);
        stack = parse(traps[i].passes, STACK_TAG);
        harness_note("%s not in\n%s", traps[i].name, traps[i].passes);
        EXPECT(find(stack, traps[i].name) == NULL);
        stack_delete(stack);
    }
}

static void without_vllm_config_there_are_no_flags(void)
{
    struct stack *stack = parse(HEAD MODEL, STACK_TAG);
    expect_args(&stack->engines[0].args, "--host 0.0.0.0 --port 8000");
    EXPECT(!stack->engines[0].uses_v0);
    stack_delete(stack);
    stack = parse(HEAD MODEL "    vllmConfig: {}\n", STACK_TAG);
    expect_args(&stack->engines[0].args,
                "--host 0.0.0.0 --port 8000 --no-enable-prefix-caching");
    EXPECT(stack->engines[0].uses_v0);
    stack_delete(stack);
}

static void helm_lays_labels_over_the_charts(void)
{
    struct stack *stack =
        parse(HEAD "  labels: {environment: null, b: 1, a: x}\n" MODEL, STACK_TAG);
    EXPECT_STR(stack->router.selector, "a=x,b=1,release=test");
    stack_delete(stack);
    stack = parse(HEAD "  enableEngine: false\n" MODEL, STACK_TAG);
    EXPECT_STR(stack->router.selector, "");
    EXPECT_U64(stack->engine_count, 0);
    stack_delete(stack);
}

static void the_last_of_two_flags_counts(void)
{
    struct stack *stack = parse(
        HEAD MODEL "    vllmConfig: {v1: 1, maxModelLen: 8192, extraArgs: [\n"
                   "      --max-model-len, 32k, --tensor_parallel_size=2, -q, fp8,\n"
                   "      --served-model-name, a, b, --enable-lora,\n"
                   "      --no-enable-chunked-prefill, --max-loras, 3]}\n",
        STACK_TAG);
    const struct engine_flags *flags = &stack->engines[0].flags;
    EXPECT_U64(flags->max_model_len, 32000);
    EXPECT_U64(flags->tensor_parallel, 2);
    EXPECT_STR(flags->quantization, "fp8");
    EXPECT_STR(stack_served_name(&stack->engines[0]), "a");
    EXPECT(flags->lora == SWITCH_ON);
    EXPECT(flags->chunked_prefill == SWITCH_OFF);
    EXPECT_U64(flags->max_loras, 3);
    stack_delete(stack);
}

/* ---- wrong input -------------------------------------------------------------------
 */

static const struct {
    const char *text;
    const char *part;
} wrongs[] = {
    {"servingEngineSpec: [1]\n", "v.yaml:1: servingEngineSpec: is a list; it must be a "
                                 "map"},
    {HEAD "  modelSpec: {a: 1}\n", "v.yaml:2: servingEngineSpec.modelSpec: is a map"},
    {HEAD "  modelSpec: [5]\n", "v.yaml:2: modelSpec: each item is a map"},
    {HEAD "  modelSpec:\n  - {name: m}\n", "v.yaml:3: modelSpec: key 'modelURL' is "
                                           "missing"},
    {HEAD "  modelSpec:\n  - {name: M_1, modelURL: x}\n",
     "v.yaml:3: name: \"M_1\" cannot be part of an object's name"},
    {HEAD MODEL "    shmSize: 20GiB\n", "v.yaml:11: shmSize: \"20GiB\" is no quantity"},
    {HEAD "  modelSpec:\n  - {name: m, modelURL: x,\n     replicaCount: -1}\n",
     "v.yaml:4: servingEngineSpec.modelSpec.0.replicaCount: \"-1\" is not a whole "
     "number from 0"},
    {HEAD MODEL "    vllmConfig: {maxModelLen: 8k}\n",
     "v.yaml:11: servingEngineSpec.modelSpec.0.vllmConfig.maxModelLen: \"8k\""},
    {HEAD MODEL "    vllmConfig: {gpuMemoryUtilization: 1.5}\n", "outside 0.01 to 1"},
    {HEAD MODEL "    lmcacheConfig: {enabled: true}\n",
     "v.yaml:11: lmcacheConfig: the chart's template fails where there is no"},
    {HEAD MODEL GOOD "    lmcacheConfig: {kvRole: both}\n",
     "v.yaml:12: servingEngineSpec.modelSpec.0.lmcacheConfig.kvRole: \"both\" is not "
     "one of kv_both"},
    {HEAD MODEL "    extraVolumes: [{name: a, emptyDir: {}}]\n"
                "    extraVolumeMounts:\n    - {name: b, mountPath: /x}\n",
     "v.yaml:13: extraVolumeMounts: no volume \"b\" stands in extraVolumes"},
    {HEAD MODEL "    extraVolumeMounts:\n    - {name: b}\n",
     "v.yaml:12: extraVolumeMounts: key 'mountPath' is missing"},
    {HEAD MODEL "    nodeSelectorTerms:\n    - matchExpressions:\n"
                "      - {key: a, operator: Is}\n",
     "v.yaml:13: servingEngineSpec.modelSpec.0.nodeSelectorTerms.0.matchExpressions.0."
     "operator: \"Is\" is not one of In, NotIn"},
    {HEAD MODEL "    nodeSelectorTerms:\n    - matchExpressions:\n"
                "      - {key: a, operator: In}\n",
     "v.yaml:13: matchExpressions: In needs values"},
    {HEAD MODEL "  - {name: m, modelURL: x}\n",
     "v.yaml:11: name: m is there already (line 3)"},
    {HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [\"--max-num-seqs\"]}\n",
     "v.yaml:11: --max-num-seqs: its value is missing"},
    {HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [--max-num-seqs, many]}\n",
     "v.yaml:11: --max-num-seqs: \"many\" is not a whole number;"},
    {HEAD MODEL "    vllmConfig: {v1: 1, extraArgs: [--kv-transfer-config, \"{\"]}\n",
     "v.yaml:11: --kv-transfer-config: not JSON"},
    {HEAD "  strategy: {type: BlueGreen}\n",
     "v.yaml:2: strategy: \"BlueGreen\" is neither RollingUpdate nor Recreate"},
    {HEAD "  modelSpec: &a\n  - *a\n", "v.yaml:3: alias *a stands inside of what it"},
    {"routerSpec: {replicaCount: -2}\n", "v.yaml:1: routerSpec.replicaCount: \"-2\""},
    {"kind: Deployment\nmetadata: {}\n", "v.yaml:1: key 'apiVersion' is missing"},
    {"kind: VLLMRoute\napiVersion: production-stack.vllm.ai/v1alpha1\n",
     "v.yaml:1: kind: \"VLLMRoute\" is none of VLLMRuntime"},
    {"a: 1\n---\nb: 2\n", "v.yaml:3: a second document of chart values"},
    {"- 1\n", "v.yaml:1: neither chart values nor a custom resource"},
    {"", "v.yaml:1: holds nothing"},
};

static void wrong_files_are_refused_with_line_and_reason(void)
{
    const struct stack_options options = {.release = STACK_TAG};
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct stack *stack = NULL;
        struct err err = {ERR_NONE, ""};
        harness_note("%s", wrongs[i].text);
        EXPECT_FAILS(stack_parse(&stack, "v.yaml", wrongs[i].text,
                                 strlen(wrongs[i].text), &options, &err),
                     &err, wrongs[i].part);
        EXPECT_I64(err.kind, ERR_INPUT);
    }
}

HARNESS_MAIN("stack", TEST(example_a_is_four_plain_engines),
             TEST(example_b_offloads_to_cpu_memory),
             TEST(example_c_works_with_the_chart_of_head_only),
             TEST(example_d_is_a_pair), TEST(example_e_is_one_engine_of_two_pods),
             TEST(example_f_pins_two_engines_and_has_an_adapter),
             TEST(each_trap_is_found_on_its_line_and_only_there),
             TEST(without_vllm_config_there_are_no_flags),
             TEST(helm_lays_labels_over_the_charts), TEST(the_last_of_two_flags_counts),
             TEST(wrong_files_are_refused_with_line_and_reason))
