/* SPDX-License-Identifier: Apache-2.0
 *
 * What chart values say about pods: where the model lies when one starts, environment,
 * probes, budgets, affinity; and what the router believes of pods: labels, aliases,
 * health checks.
 */
#include "stack/stack.h"
#include "tests/harness.h"

#include <string.h>

#define HEAD "servingEngineSpec:\n"
#define MODEL                                                                          \
    "  modelSpec:\n"                                                                   \
    "  - name: m\n"                                                                    \
    "    repository: vllm/vllm-openai\n"                                               \
    "    tag: v0.8.5\n"                                                                \
    "    modelURL: org/model-8b\n"                                                     \
    "    replicaCount: 2\n"                                                            \
    "    requestCPU: 8\n"                                                              \
    "    requestMemory: 48Gi\n"                                                        \
    "    requestGPU: 1\n"                                                              \
    "    vllmConfig: {v1: 1, enablePrefixCaching: true}\n"

static struct stack *parse(const char *text, enum stack_release release)
{
    struct stack *stack = NULL;
    struct err err;
    const struct stack_options options = {.release = release, .name = "demo"};
    harness_note("%s", text);
    REQUIRE_OK(stack_parse(&stack, "v.yaml", text, strlen(text), &options, &err), &err);
    return stack;
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

/* ---- where the model lies ----------------------------------------------------------
 */

#define HOST(path)                                                                     \
    "    extraVolumes: [{name: v, hostPath: {path: /srv}}]\n"                          \
    "    extraVolumeMounts: [{name: v, mountPath: " path "}]\n"

static const struct {
    const char *keys;
    enum stack_cache_kind kind;
    bool one_node;
    uint64_t limit_bytes;
    const char *path;
} caches[] = {
    /* HF_HOME is /tmp without a claim, the claim's folder with one. */
    {"", STACK_CACHE_NONE, false, 0, "/tmp"},
    {"    pvcStorage: 60Gi\n", STACK_CACHE_CLAIM, true, UINT64_C(60) << 30, "/data"},
    {"    pvcStorage: 1Gi\n    pvcAccessMode: [ReadWriteMany]\n", STACK_CACHE_CLAIM,
     false, UINT64_C(1) << 30, "/data"},
    /* A hostPath keeps the model where it is mounted under HF_HOME, and only there. */
    {HOST("/tmp"), STACK_CACHE_HOST, false, 0, "/tmp"},
    {HOST("/"), STACK_CACHE_HOST, false, 0, "/tmp"},
    {HOST("/tmp2"), STACK_CACHE_NONE, false, 0, "/tmp"},
    {HOST("/cache") "    env: [{name: HF_HOME, value: /cache/hf}]\n", STACK_CACHE_HOST,
     false, 0, "/cache/hf"},
    {HOST("/cache") "    pvcStorage: 60Gi\n", STACK_CACHE_CLAIM, true,
     UINT64_C(60) << 30, "/data"},
    {HOST("/data/hub") "    pvcStorage: 60Gi\n"
                       "    env: [{name: HF_HUB_CACHE, value: /data/hub}]\n",
     STACK_CACHE_HOST, false, 0, "/data/hub"},
    {HOST("/cache") "    pvcStorage: 60Gi\n"
                    "    env: [{name: HF_HOME, value: /cache}]\n",
     STACK_CACHE_HOST, false, 0, "/cache"},
    {"    extraVolumes: [{name: v, emptyDir: {sizeLimit: 10Gi}}]\n"
     "    extraVolumeMounts: [{name: v, mountPath: /tmp}]\n",
     STACK_CACHE_NONE, false, UINT64_C(10) << 30, "/tmp"},
    {"    extraVolumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n"
     "    extraVolumeMounts: [{name: v, mountPath: /tmp}]\n",
     STACK_CACHE_CLAIM, false, 0, "/tmp"},
};

static void a_model_is_kept_where_a_volume_covers_its_folder(void)
{
    for (size_t i = 0; i < sizeof caches / sizeof caches[0]; i++) {
        struct text text = {0};
        text_printf(&text, HEAD MODEL "%s", caches[i].keys);
        struct stack *stack = parse(text_str(&text), STACK_TAG);
        const struct stack_cache *cache = &stack->engines[0].cache;
        EXPECT_I64(cache->kind, caches[i].kind);
        EXPECT(cache->one_node == caches[i].one_node);
        EXPECT_U64(cache->limit_bytes, caches[i].limit_bytes);
        EXPECT_STR(cache->path, caches[i].path);
        EXPECT((find(stack, "no_model_cache") != NULL) ==
               (caches[i].kind == STACK_CACHE_NONE));
        stack_delete(stack);
        text_fini(&text);
    }
}

static void a_folder_can_be_given_by_flag_or_be_the_model(void)
{
    static const char flags[] = HEAD
        "  modelSpec:\n"
        "  - {name: m, modelURL: x, vllmConfig: {extraArgs: [--download-dir, /b]}}\n";
    static const char folder[] = HEAD "  modelSpec:\n  - {name: m, modelURL: /b/m}\n";
    struct stack *stack = parse(flags, STACK_TAG);
    EXPECT_STR(stack->engines[0].cache.path, "/b");
    EXPECT(find(stack, "no_model_cache") != NULL);
    stack_delete(stack);
    stack = parse(folder, STACK_TAG);
    EXPECT_STR(stack->engines[0].cache.path, "/b/m");
    EXPECT(find(stack, "no_model_cache") == NULL); /* nothing is downloaded */
    stack_delete(stack);
}

/* ---- environment -------------------------------------------------------------------
 */

/* configs stand below the chart's own variables, env above them; later entries win. */
static void environment_has_an_order(void)
{
    struct stack *stack = parse(
        HEAD "  configs: {VLLM_USE_V1: \"0\", LMCACHE_CHUNK_SIZE: \"64\",\n"
             "            LMCACHE_MAX_LOCAL_CPU_SIZE: \"7\"}\n" MODEL
             "    lmcacheConfig: {enabled: true, cpuOffloadingBufferSize: \"60\"}\n"
             "    env:\n"
             "    - {name: LMCACHE_CHUNK_SIZE, value: \"128\"}\n"
             "    - {name: LMCACHE_CHUNK_SIZE, value: \"512\"}\n"
             "    - {name: LMCACHE_REMOTE_URL, value: \"lm://there:81\"}\n"
             "    - {name: SECRET, valueFrom: {secretKeyRef: {name: a, key: b}}}\n",
        STACK_TAG);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT(!engine->uses_v0); /* v1: 1 of vllmConfig */
    EXPECT_U64(engine->lmcache.chunk_tokens, 512);
    EXPECT_STR(engine->lmcache.remote_url, "lm://there:81");
    EXPECT(find(stack, "unknown_key") == NULL);
    stack_delete(stack);
    /* Without vllmConfig nobody sets VLLM_USE_V1 but configs. */
    stack = parse(HEAD "  configs: {VLLM_USE_V1: \"0\"}\n"
                       "  modelSpec:\n  - {name: m, modelURL: x, repository: v, tag: "
                       "v0.8.5}\n",
                  STACK_TAG);
    EXPECT(stack->engines[0].uses_v0);
    stack_delete(stack);
}

/* LMCache without lmcacheConfig: by flag and environment alone. */
static void a_connector_by_flag_has_tiers(void)
{
    struct stack *stack = parse(
        HEAD "  modelSpec:\n"
             "  - name: m\n    modelURL: x\n    repository: v\n    tag: v0.8.5\n"
             "    vllmConfig:\n      v1: 1\n      extraArgs: [--kv-transfer-config,\n"
             "        '{\"kv_connector\": \"LMCacheConnectorV1\", \"kv_role\": "
             "\"kv_both\"}']\n"
             "    env: [{name: LMCACHE_MAX_LOCAL_CPU_SIZE, value: \"20\"}]\n",
        STACK_TAG);
    EXPECT(stack->engines[0].lmcache.enabled);
    EXPECT_NEAR(stack->engines[0].lmcache.cpu_gb, 20, 0);
    EXPECT_STR(stack->engines[0].lmcache.kv_role, "kv_both");
    stack_delete(stack);
}

/* ---- probes, budgets, affinity -----------------------------------------------------
 */

static void probes_are_the_charts_unless_written(void)
{
    struct stack *stack =
        parse(HEAD "  livenessProbe: {periodSeconds: 20, httpGet: {path: /h}}\n"
                   "  maxUnavailablePodDisruptionBudget: 25%\n" MODEL,
              STACK_TAG);
    const struct stack_engine *engine = &stack->engines[0];
    EXPECT_U64(engine->liveness.initial_s, 15);
    EXPECT_U64(engine->liveness.period_s, 20);
    EXPECT_U64(engine->liveness.failures, 3);
    EXPECT_U64(engine->readiness.period_s, 0); /* none at 0.1.3 */
    EXPECT(!engine->has_budget);               /* it selects no pod */
    EXPECT(find(stack, "budget_without_selector") != NULL);
    stack_delete(stack);
    stack = parse(HEAD "  readinessProbe: {failureThreshold: 9}\n"
                       "  maxUnavailablePodDisruptionBudget: 25%\n" MODEL,
                  STACK_HEAD);
    engine = &stack->engines[0];
    EXPECT_U64(engine->readiness.period_s, 5);
    EXPECT_U64(engine->readiness.failures, 9);
    EXPECT(engine->has_budget);
    EXPECT_STR(engine->budget, "25%");
    stack_delete(stack);
}

static void affinity_of_head_beats_selector_terms(void)
{
    const char *text =
        HEAD MODEL "    nodeSelectorTerms:\n"
                   "    - matchExpressions: [{key: a, operator: Exists}]\n"
                   "    affinity:\n"
                   "      nodeAffinity:\n"
                   "        requiredDuringSchedulingIgnoredDuringExecution:\n"
                   "          nodeSelectorTerms:\n"
                   "          - matchExpressions: [{key: b, operator: In, values: "
                   "[x]}]\n"
                   "      podAntiAffinity: {}\n";
    struct stack *stack = parse(text, STACK_HEAD);
    EXPECT_U64(stack->engines[0].expression_count, 1);
    EXPECT_STR(stack->engines[0].expressions[0].key, "b");
    EXPECT(find(stack, "selector_ignored") != NULL);
    EXPECT(find(stack, "not_simulated") != NULL);
    stack_delete(stack);
    stack = parse(text, STACK_TAG);
    EXPECT_STR(stack->engines[0].expressions[0].key, "a");
    EXPECT(find(stack, "head_only_key") != NULL);
    stack_delete(stack);
}

static void the_head_of_a_ray_cluster_has_a_size_of_its_own(void)
{
    struct stack *stack =
        parse(HEAD "  raySpec: {headNode: {requestGPU: 1}}\n" MODEL, STACK_TAG);
    EXPECT_U64(stack->engines[0].head_cpu_milli, 2000);
    EXPECT_U64(stack->engines[0].head_memory_bytes, UINT64_C(8) << 30);
    EXPECT_U64(stack->engines[0].cpu_milli, 8000);
    stack_delete(stack);
}

/* ---- traps of pods and router ------------------------------------------------------
 */

#define STATIC                                                                         \
    HEAD MODEL "routerSpec:\n  serviceDiscovery: static\n  staticModels: org/model-8b" \
               "\n  staticBackends: http://a.example:8000\n"

static const struct {
    const char *name;
    const char *falls;
    uint32_t line;
    const char *remedy;
    const char *passes;
} traps[] = {
    {"selector_matches_nothing",
     HEAD MODEL "routerSpec:\n  extraArgs: [--k8s-label-selector, app=x]\n", 13,
     "labels that its pods have",
     HEAD
     "  labels: {app: x}\n" MODEL
     "routerSpec:\n  extraArgs: [--k8s-label-selector, \"app=x,model,team!=y\"]\n"},
    {"selector_matches_nothing",
     HEAD MODEL "routerSpec:\n  extraArgs: [--k8s-label-selector, \"model!=m\"]\n", 13,
     "labels that its pods have",
     HEAD MODEL "routerSpec:\n  extraArgs: [--k8s-label-selector, \"model in (x)\"]\n"},
    {"selector_matches_nothing",
     HEAD MODEL "routerSpec:\n  extraArgs: [--k8s-label-selector, \"!model\"]\n", 13,
     "labels that its pods have",
     HEAD MODEL "routerSpec:\n  extraArgs: [--k8s-label-selector, \"!team\"]\n"},
    {"alias_of_alias",
     STATIC "  extraArgs: [--static-aliases, \"a:b,b:org/model-8b\"]\n", 16,
     "name the model", STATIC "  extraArgs: [--static-aliases, a:org/model-8b]\n"},
    {"alias_matches_nothing", STATIC "  extraArgs: [\"--static-aliases=gpt:other\"]\n",
     16, "staticModels",
     STATIC "  extraArgs: [\"--static-aliases=gpt:org/model-8b\"]\n"},
    {"aliases_ignored",
     HEAD MODEL "routerSpec:\n  extraArgs: [--static-aliases, a:org/model-8b]\n", 13,
     "--served-model-name", STATIC "  extraArgs: [--static-aliases, a:org/model-8b]\n"},
    {"checks_without_types", STATIC "  extraArgs: [--static-backend-health-checks]\n",
     16, "as in chat",
     STATIC "  extraArgs: [--static-backend-health-checks, --static-model-types, chat]"
            "\n"},
    {"score_never_well",
     STATIC "  extraArgs: [--static-backend-health-checks, --static-model-types, score]"
            "\n",
     16, "leave health checks out",
     STATIC "  extraArgs: [--static-backend-health-checks, --static-model-types, chat]"
            "\n"},
    {"checks_without_key",
     HEAD
     "  vllmApiKey: secret\n" MODEL
     "routerSpec: {serviceDiscovery: static, staticBackends: \"http://a.example\",\n"
     "  staticModels: m, extraArgs: [--static-backend-health-checks]}\n",
     14, "drop one of the two",
     STATIC "  extraArgs: [--static-backend-health-checks]\n"},
    {"memory_too_small",
     HEAD MODEL "    limitMemory: 50Gi\n    lmcacheConfig:\n"
                "      {enabled: true, cpuOffloadingBufferSize: \"60\"}\n",
     13, "raise limitMemory",
     HEAD MODEL "    limitMemory: 100Gi\n    lmcacheConfig:\n"
                "      {enabled: true, cpuOffloadingBufferSize: \"60\"}\n"},
    {"gated_model",
     HEAD "  modelSpec:\n  - {name: m, modelURL: meta-llama/Llama-3.1-8B}\n", 3,
     "write hf_token",
     HEAD "  modelSpec:\n  - {name: m, modelURL: meta-llama/Llama-3.1-8B, hf_token: x}"
          "\n"},
    {"gated_model",
     HEAD "  modelSpec:\n  - {name: m, modelURL: meta-llama/Llama-3.1-8B}\n", 3,
     "write hf_token",
     HEAD "  modelSpec:\n  - {name: m, modelURL: meta-llama/Llama-3.1-8B, env: [{name: "
          "HF_TOKEN, value: x}]}\n"},
    {"no_router_replica", HEAD MODEL "routerSpec:\n  replicaCount: 0\n", 13, "write 1",
     HEAD MODEL "routerSpec:\n  replicaCount: 1\n"},
    {"init_unknown", HEAD MODEL "    initContainer: {name: i, image: x}\n", 12, "",
     HEAD MODEL},
    {"not_simulated", HEAD "  schedulerName: volcano\n" MODEL, 2, "",
     HEAD "  schedulerName: default-scheduler\n" MODEL},
    {"not_simulated", HEAD MODEL "    requestGPUType: nvidia.com/mig-3g.40gb\n", 12,
     "memory and bandwidth", HEAD MODEL "    requestGPUType: nvidia.com/gpu\n"},
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
            EXPECT_HAS(finding->remedy, traps[i].remedy);
        }
        stack_delete(stack);
        stack = parse(traps[i].passes, STACK_TAG);
        harness_note("%s not in\n%s", traps[i].name, traps[i].passes);
        EXPECT(find(stack, traps[i].name) == NULL);
        stack_delete(stack);
    }
}

static const struct {
    const char *text;
    const char *part;
} wrongs[] = {
    {STATIC "  extraArgs: [--static-aliases, \"a:b,b:a\"]\n",
     "v.yaml:16: --static-aliases: \"a\" means itself in the end"},
    {STATIC "  extraArgs: [--static-aliases, \"x:a,a:b,b:c,c:a\"]\n",
     "v.yaml:16: --static-aliases: \"a\" means itself in the end"},
    {STATIC "  extraArgs: [--static-aliases, \"m:m\"]\n", "\"m\" means itself"},
    {STATIC "  extraArgs: [--static-aliases, \"gpt\"]\n",
     "v.yaml:16: --static-aliases: \"gpt\" is not alias:model"},
    {STATIC "  extraArgs: [--static-aliases, \"a:b:c\"]\n", "is not alias:model"},
    {STATIC "  extraArgs: [--static-aliases, \":b\"]\n", "is not alias:model"},
    {STATIC "  extraArgs: [--static-aliases, --log-stats]\n", NULL},
    {HEAD MODEL "    env: [{value: x}]\n", "key 'name' is missing"},
    {HEAD "  configs: {LMCACHE_CHUNK_SIZE: many}\n" MODEL, "v.yaml:2:"},
    {HEAD MODEL "    extraVolumes: [{name: v, emptyDir: {sizeLimit: big}}]\n",
     "v.yaml:12: sizeLimit: \"big\" is no quantity"},
};

static void wrong_files_are_refused_with_line_and_reason(void)
{
    const struct stack_options options = {.release = STACK_TAG};
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct stack *stack = NULL;
        struct err err = {ERR_NONE, ""};
        const char *text = wrongs[i].text;
        harness_note("%s", text);
        if (wrongs[i].part == NULL) {
            REQUIRE_OK(
                stack_parse(&stack, "v.yaml", text, strlen(text), &options, &err),
                &err);
            stack_delete(stack);
            continue;
        }
        EXPECT_FAILS(stack_parse(&stack, "v.yaml", text, strlen(text), &options, &err),
                     &err, wrongs[i].part);
        EXPECT_I64(err.kind, ERR_INPUT);
    }
}

HARNESS_MAIN("stack_pods", TEST(a_model_is_kept_where_a_volume_covers_its_folder),
             TEST(a_folder_can_be_given_by_flag_or_be_the_model),
             TEST(environment_has_an_order), TEST(a_connector_by_flag_has_tiers),
             TEST(probes_are_the_charts_unless_written),
             TEST(affinity_of_head_beats_selector_terms),
             TEST(the_head_of_a_ray_cluster_has_a_size_of_its_own),
             TEST(each_trap_is_found_on_its_line_and_only_there),
             TEST(wrong_files_are_refused_with_line_and_reason))
