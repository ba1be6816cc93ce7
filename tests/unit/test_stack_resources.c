/* SPDX-License-Identifier: Apache-2.0
 *
 * Custom resources at both releases (spec/production-stack.md 6), and machines.
 */
#include "stack/nodes.h"
#include "tests/harness.h"

#include <string.h>

#define API "apiVersion: production-stack.vllm.ai/v1alpha1\n"

static struct stack *parse(const char *text, enum stack_release release)
{
    struct stack *stack = NULL;
    struct err err;
    const struct stack_options options = {.release = release};
    harness_note("%s", text);
    REQUIRE_OK(stack_parse(&stack, "c.yaml", text, strlen(text), &options, &err), &err);
    return stack;
}

static void refused(const char *text, enum stack_release release, const char *part)
{
    struct stack *stack = NULL;
    struct err err = {ERR_NONE, ""};
    const struct stack_options options = {.release = release};
    harness_note("%s", text);
    EXPECT_FAILS(stack_parse(&stack, "c.yaml", text, strlen(text), &options, &err),
                 &err, part);
    EXPECT_I64(err.kind, ERR_INPUT);
}

static uint32_t line_of(const struct stack *stack, const char *name)
{
    for (size_t i = 0; i < stack->findings.count; i++) {
        if (strcmp(stack->findings.items[i].name, name) == 0) {
            return stack->findings.items[i].line;
        }
    }
    return 0;
}

static void expect_args(const struct args *args, const char *expected)
{
    struct text out = {0};
    args_print(args, &out);
    EXPECT_STR(text_str(&out), expected);
    text_fini(&out);
}

#define RUNTIME                                                                        \
    API "kind: VLLMRuntime\n"                                                          \
        "metadata: {name: llama, labels: {model: llama}}\n"                            \
        "spec:\n"                                                                      \
        "  model:\n"                                                                   \
        "    modelURL: meta-llama/Llama-3.1-8B-Instruct\n"                             \
        "    maxModelLen: 4096\n"                                                      \
        "    dtype: bfloat16\n"                                                        \
        "    maxNumSeqs: 32\n"

#define FLAT                                                                           \
    RUNTIME "  tensorParallelSize: 2\n"                                                \
            "  gpuMemoryUtilization: \"0.8\"\n"                                        \
            "  maxLoras: 4\n"                                                          \
            "  extraArgs: [--disable-log-requests]\n"                                  \
            "  port: 8001\n"                                                           \
            "  resources: {cpu: \"10\", memory: 32Gi, gpu: \"2\"}\n"                   \
            "  image: {registry: docker.io, name: \"vllm/vllm-openai:v0.8.5\"}\n"      \
            "  replicas: 3\n"                                                          \
            "  deploymentStrategy: Recreate\n"

static void a_runtime_of_the_release_is_flat_and_always_says_both_switches(void)
{
    struct stack *stack = parse(FLAT, STACK_TAG);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT_I64(engine->kind, STACK_RUNTIME);
    EXPECT_STR(engine->object, "llama");
    EXPECT_STR(engine->image, "docker.io/vllm/vllm-openai:v0.8.5");
    EXPECT_U64(engine->vllm, 8005);
    EXPECT_U64(engine->replicas, 3);
    EXPECT_U64(engine->gpus, 2);
    EXPECT_U64(engine->memory_bytes, UINT64_C(32) << 30);
    EXPECT(engine->max_surge == NULL);
    EXPECT(engine->uses_v0);
    expect_args(&engine->args,
                "--host 0.0.0.0 --port 8001 --no-enable-chunked-prefill "
                "--no-enable-prefix-caching --max-model-len 4096 --dtype bfloat16 "
                "--max-num-seqs 32 --tensor-parallel-size 2 --gpu-memory-utilization "
                "0.8 --max-loras 4 --disable-log-requests");
    EXPECT_U64(line_of(stack, "prefix_caching_off"), 4);
    EXPECT_U64(line_of(stack, "chunked_prefill_off"), 4);
    EXPECT(line_of(stack, "v0_engine") > 0);
    stack_delete(stack);
    stack =
        parse(FLAT "  v1: true\n  enablePrefixCaching: true\n"
                   "  enableChunkedPrefill: true\n"
                   "  lmCacheConfig: {enabled: true, cpuOffloadingBufferSize: \"15\","
                   " diskOffloadingBufferSize: \"0\"}\n",
              STACK_TAG);
    engine = &stack->engines[0];
    EXPECT(!engine->uses_v0);
    EXPECT_STR(engine->flags.kv_connector, "LMCacheConnectorV1");
    EXPECT_NEAR(engine->lmcache.cpu_gb, 15, 0);
    EXPECT_U64(line_of(stack, "prefix_caching_off"), 0);
    EXPECT_U64(line_of(stack, "lmcache_size_unit"), 0);
    stack_delete(stack);
    /* The operator's own default of 4Gi is no number of GB. */
    stack = parse(FLAT "  lmCacheConfig:\n    enabled: true\n", STACK_TAG);
    EXPECT_U64(line_of(stack, "lmcache_size_unit"), 19);
    EXPECT_NEAR(stack->engines[0].lmcache.cpu_gb, 0, 0);
    stack_delete(stack);
}

static void a_runtime_of_head_has_groups(void)
{
    struct stack *stack =
        parse(RUNTIME "  vllmConfig: {enablePrefixCaching: true, "
                      "enableChunkedPrefill: true, v1: true, tensorParallelSize: 1,\n"
                      "    port: 8000, extraArgs: [--seed, 1]}\n"
                      "  deploymentConfig:\n"
                      "    replicas: 2\n"
                      "    resources: {cpu: 4, memory: 16Gi, gpu: 1}\n"
                      "    image: {name: \"vllm/vllm-openai:v0.13.0\"}\n"
                      "    nodeSelectorTerms:\n"
                      "    - matchExpressions: [{key: a, operator: Exists}]\n"
                      "  storageConfig: {enabled: true, accessMode: ReadWriteOnce}\n"
                      "  autoscalingConfig: {maxReplicas: 4}\n",
              STACK_HEAD);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT_U64(engine->replicas, 2);
    EXPECT_U64(engine->vllm, 13000);
    EXPECT_U64(engine->gpus, 1);
    EXPECT_U64(engine->expression_count, 1);
    EXPECT(engine->has_storage && engine->storage_rwo);
    EXPECT_U64(engine->startup.initial_s, 120);
    EXPECT(line_of(stack, "scales_on_prompts") > 0);
    EXPECT_U64(line_of(stack, "prefix_caching_off"), 0);
    EXPECT_U64(line_of(stack, "unknown_key"), 0);
    stack_delete(stack);
}

static void a_router_of_the_operator_replaces_the_charts(void)
{
    struct stack *stack =
        parse(API "kind: VLLMRouter\nmetadata: {name: r}\n"
                  "spec: {k8sLabelSelector: \"model=llama\", enableRouter: false}\n"
                  "---\nservingEngineSpec: {}\nrouterSpec: {routingLogic: session}\n",
              STACK_HEAD);
    EXPECT(stack->router.of_operator);
    EXPECT_STR(stack->router.routing_logic, "roundrobin");
    expect_args(&stack->router.args,
                "--host 0.0.0.0 --port 80 --service-discovery k8s --k8s-namespace "
                "default --k8s-label-selector model=llama --routing-logic roundrobin");
    EXPECT(line_of(stack, "enable_router_ignored") > 0);
    EXPECT(line_of(stack, "two_routers") > 0);
    stack_delete(stack);
    refused(API "kind: VLLMRouter\nmetadata: {name: r}\nspec: {port: 1}\n---\n" API
                "kind: VLLMRouter\nmetadata: {name: s}\nspec: {port: 2}\n",
            STACK_HEAD, "c.yaml:6: a second VLLMRouter (the first on line 1)");
    refused(API "kind: VLLMRouter\nmetadata: {name: r}\n"
                "spec:\n  routingLogic: prefixaware\n",
            STACK_TAG,
            "c.yaml:5: spec.routingLogic: \"prefixaware\" is not one of "
            "roundrobin, session");
    refused(API "kind: VLLMRouter\nmetadata: {name: r}\nspec:\n", STACK_TAG,
            "c.yaml:4: spec: is empty");
    refused(API "kind: VLLMRouter\nspec: {port: 1}\n", STACK_TAG,
            "c.yaml:1: key 'metadata' is missing");
    refused(API "kind: VLLMRouter\nmetadata: {name: r}\nspec: {replicas: -1}\n",
            STACK_TAG, "c.yaml:4: spec.replicas: \"-1\" is not a whole number");
}

#define ADAPTER(name, config)                                                          \
    "---\n" API "kind: LoraAdapter\nmetadata: {name: " name "}\n"                      \
    "spec: {baseModel: llama, adapterSource: {type: local, adapterPath: /x},\n"        \
    "  " config ": {replicas: 1}}\n"

static void adapters_know_their_traps(void)
{
    struct stack *stack =
        parse(FLAT ADAPTER("a", "deploymentConfig") ADAPTER("b", "deploymentConfig"),
              STACK_TAG);
    EXPECT_U64(stack->adapter_count, 2);
    EXPECT(stack->adapters[1].has_replicas && stack->adapters[1].replicas == 1);
    /* Pods of a VLLMRuntime have no label model at 0.1.3. */
    EXPECT(line_of(stack, "adapter_matches_nothing") > 0);
    EXPECT(line_of(stack, "adapters_pile_up") > 0);
    stack_delete(stack);
    stack = parse(FLAT ADAPTER("a", "loraAdapterDeploymentConfig"), STACK_HEAD);
    EXPECT_U64(line_of(stack, "adapter_matches_nothing"), 0);
    EXPECT(line_of(stack, "adapter_without_lora") > 0);
    EXPECT_U64(line_of(stack, "adapters_pile_up"), 0);
    stack_delete(stack);
    stack = parse(API "kind: LoraAdapter\nmetadata: {name: a}\n"
                      "spec: {baseModel: m, adapterSource: {type: s3}}\n",
                  STACK_HEAD);
    EXPECT(line_of(stack, "adapter_source") > 0);
    stack_delete(stack);
    refused(API "kind: LoraAdapter\nmetadata: {name: a}\n"
                "spec: {baseModel: m, adapterSource: {type: ftp}}\n",
            STACK_TAG, "\"ftp\" is not one of local, s3");
    refused(API "kind: LoraAdapter\nmetadata: {name: a}\nspec: {baseModel: m}\n",
            STACK_TAG, "c.yaml:4: spec: key 'adapterSource' is missing");
}

static void cache_servers_routes_and_other_objects_are_taken(void)
{
    const char *text =
        API "kind: CacheServer\nmetadata: {name: c}\n"
            "spec: {image: {name: x}, resources: {memory: 10Gi}}\n"
            "---\n" API "kind: StaticRoute\nmetadata: {name: s}\n"
            "spec:\n  serviceDiscovery: static\n  routingLogic: roundrobin\n"
            "  staticBackends: http://a:1\n  staticModels: m\n"
            "  routerRef: {name: stack-router-service, namespace: d}\n"
            "---\napiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n";
    struct stack *stack = parse(text, STACK_TAG);
    EXPECT(stack->cache_server.where != NULL);
    EXPECT_U64(stack->cache_server.memory_bytes, UINT64_C(10) << 30);
    EXPECT_U64(line_of(stack, "static_route"), 6);
    EXPECT_U64(line_of(stack, "health_check_skipped"), 14);
    EXPECT_U64(line_of(stack, "other_object"), 16);
    EXPECT_U64(line_of(stack, "unknown_key"), 0);
    stack_delete(stack);
    refused(API "kind: StaticRoute\nmetadata: {name: s}\n"
                "spec: {routingLogic: session}\n",
            STACK_TAG, "\"session\" is not one of roundrobin");
}

/* ---- machines ----------------------------------------------------------------------
 */

static struct stack_nodes *nodes(const char *text)
{
    struct stack_nodes *out = NULL;
    struct err err;
    harness_note("%s", text);
    REQUIRE_OK(stack_nodes_parse(&out, "n.yaml", text, strlen(text), &err), &err);
    return out;
}

static void machines_are_counted_and_labelled(void)
{
    struct stack_nodes *all =
        nodes("nodes:\n"
              "- {name: a, count: 2, gpu: h100_sxm, gpus: 8, cpu: 64, memory: 1Ti,\n"
              "   labels: {zone: x}, taints: {gpu: \"yes\"}}\n"
              "- {name: b, gpu: nvidia.com/mig-1g.5gb, gpus: 7, cpu: 500m}\n");
    EXPECT_U64(all->count, 3);
    EXPECT_STR(all->items[0].name, "a-0");
    EXPECT_STR(all->items[1].labels[0].value, "a-1");
    EXPECT_STR(all->items[1].labels[1].value, "x");
    EXPECT_STR(all->items[1].gpu, "h100_sxm");
    EXPECT_STR(all->items[1].taints[0].key, "gpu");
    EXPECT_U64(all->items[1].memory_bytes, UINT64_C(1) << 40);
    EXPECT_STR(all->items[2].gpu_resource, "nvidia.com/mig-1g.5gb");
    EXPECT(all->items[2].gpu == NULL);
    EXPECT_U64(all->items[2].cpu_milli, 500);
    stack_nodes_delete(all);
    all = nodes(
        "apiVersion: v1\nkind: Node\n"
        "metadata: {name: n, labels: {nvidia.com/gpu.product: NVIDIA-L4}}\n"
        "spec: {unschedulable: true, taints: [{key: k, effect: NoSchedule},\n"
        "  {key: p, effect: PreferNoSchedule}]}\n"
        "status: {allocatable: {cpu: \"4\", memory: 1024Ki, nvidia.com/gpu: 2}}\n");
    EXPECT_U64(all->items[0].gpus, 2);
    EXPECT_STR(all->items[0].gpu, "NVIDIA-L4");
    EXPECT_U64(all->items[0].memory_bytes, UINT64_C(1) << 20);
    EXPECT_U64(all->items[0].taint_count, 1);
    EXPECT(all->items[0].unschedulable);
    stack_nodes_delete(all);
}

static void wrong_machines_are_refused(void)
{
    static const struct {
        const char *text;
        const char *part;
    } wrongs[] = {
        {"", "no node in it"},
        {"nodes: {a: 1}\n", "n.yaml:1: nodes: is a map; it must be a list"},
        {"nodes: [1]\n", "n.yaml:1: each node is a map"},
        {"nodes:\n- {gpus: 1}\n", "n.yaml:2: nodes.0: key 'name' is missing"},
        {"nodes:\n- {name: a}\n- {name: a}\n", "n.yaml:3: name: there is a node a"},
        {"nodes:\n- {name: a, gpus: -1}\n", "n.yaml:2: nodes.0.gpus: \"-1\""},
        {"nodes:\n- {name: a, memory: lots}\n", "n.yaml:2: memory: \"lots\" is no"},
        {"kind: List\n", "n.yaml:1: key 'items' is missing"},
        {"word\n", "n.yaml:1: not a list of nodes"},
        {"nodes:\n- {name: a, count: 1024}\n- {name: b}\n",
         "n.yaml:3: more than 1024 nodes"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct stack_nodes *out = NULL;
        struct err err = {ERR_NONE, ""};
        harness_note("%s", wrongs[i].text);
        EXPECT_FAILS(stack_nodes_parse(&out, "n.yaml", wrongs[i].text,
                                       strlen(wrongs[i].text), &err),
                     &err, wrongs[i].part);
    }
}

HARNESS_MAIN("stack_resources",
             TEST(a_runtime_of_the_release_is_flat_and_always_says_both_switches),
             TEST(a_runtime_of_head_has_groups),
             TEST(a_router_of_the_operator_replaces_the_charts),
             TEST(adapters_know_their_traps),
             TEST(cache_servers_routes_and_other_objects_are_taken),
             TEST(machines_are_counted_and_labelled), TEST(wrong_machines_are_refused))
