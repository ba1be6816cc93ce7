/* SPDX-License-Identifier: Apache-2.0
 *
 * values_vllm.c: vllmConfig, lmcacheConfig and env of a modelSpec item: the command
 * line of its engine. Order and conditions are those of the chart's template
 * (spec/production-stack.md 7.3), surprises included: no vllmConfig, no flags at all;
 * a vllmConfig without enablePrefixCaching turns prefix caching off.
 */
#include "stack/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- image -------------------------------------------------------------------------
 */

/* Releases of vLLM by their day, for images that are named by a day. */
static const struct {
    uint32_t day;
    uint32_t vllm;
} releases[] = {{20250127, 7000},  {20250319, 8000},  {20250428, 8005},
                {20250528, 9000},  {20250724, 10000}, {20251002, 11000},
                {20251203, 12000}, {20251218, 13000}, {20260120, 14000}};

enum { VLLM_OF_TAG = 8005, VLLM_OF_HEAD = 99000 };

static uint32_t vllm_of_day(uint32_t day)
{
    uint32_t vllm = 0;
    for (size_t i = 0; i < sizeof releases / sizeof releases[0]; i++) {
        if (day >= releases[i].day) {
            vllm = releases[i].vllm;
        }
    }
    return vllm;
}

uint32_t image_vllm(const char *image, enum stack_release release)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    const char *tag = strrchr(image, ':');
    tag = tag != NULL ? tag + 1 : "";
    if (sscanf(tag, "%4u-%2u-%2u", &a, &b, &c) == 3 && a > 2000) {
        return vllm_of_day((a * 100 + b) * 100 + c);
    }
    /* LMCache numbers its images by itself. */
    if (strstr(image, "lmcache") == NULL &&
        (sscanf(tag, "v%3u.%3u.%3u", &a, &b, &c) == 3 ||
         sscanf(tag, "%3u.%3u.%3u", &a, &b, &c) == 3)) {
        return (a * 1000 + b) * 1000 + c;
    }
    if (strcmp(tag, "latest") == 0 || strncmp(tag, "nightly", 7) == 0) {
        return release == STACK_TAG ? VLLM_OF_TAG : VLLM_OF_HEAD;
    }
    return 0;
}

/* ---- vllmConfig --------------------------------------------------------------------
 */

/* A typed field and the flag that the template writes for it. */
static const struct {
    const char *key;
    const char *flag;
} fields[] = {{"maxModelLen", "--max-model-len"},
              {"dtype", "--dtype"},
              {"tensorParallelSize", "--tensor-parallel-size"},
              {"maxNumSeqs", "--max-num-seqs"},
              {"gpuMemoryUtilization", "--gpu_memory_utilization"},
              {"maxLoras", "--max_loras"}};

static bool fields_add(struct stack_engine *engine, const struct conf_node *map,
                       struct err *err)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *value = NULL;
        if (!read_text(map, fields[i].key, &value, err)) {
            return false;
        }
        args_pair(&engine->args, conf_get(map, fields[i].key), fields[i].flag, value);
    }
    engine->tensor_parallel_where = conf_get(map, "tensorParallelSize");
    return true;
}

/* Numbers that the template would write without looking, checked where they stand. */
static bool ranges_check(const struct conf_node *map, struct err *err)
{
    uint32_t count = 0;
    double part = 0;
    return read_count(map, "maxModelLen", &count, 1, 1 << 24, err) &&
           read_count(map, "tensorParallelSize", &count, 1, 64, err) &&
           read_count(map, "pipelineParallelSize", &count, 1, 64, err) &&
           read_count(map, "maxNumSeqs", &count, 1, 65536, err) &&
           read_count(map, "maxLoras", &count, 1, 4096, err) &&
           read_number(map, "gpuMemoryUtilization", &part, 0.01, 1, err);
}

static bool caching_add(struct stack *stack, struct stack_engine *engine,
                        const struct conf_node *map, struct err *err)
{
    bool chunked = false;
    bool caching = false;
    if (!read_truth(map, "enableChunkedPrefill", &chunked, &stack->findings, err) ||
        !read_truth(map, "enablePrefixCaching", &caching, &stack->findings, err)) {
        return false;
    }
    if (read_has(map, "enableChunkedPrefill")) {
        args_add(&engine->args, conf_get(map, "enableChunkedPrefill"),
                 chunked ? "--enable-chunked-prefill" : "--no-enable-chunked-prefill");
    }
    if (caching || engine->kind != STACK_RAY) {
        const struct conf_node *where = conf_get(map, "enablePrefixCaching");
        args_add(&engine->args, where != NULL ? where : map,
                 caching ? "--enable-prefix-caching" : "--no-enable-prefix-caching");
    }
    return true;
}

static bool pipeline_add(struct stack *stack, struct stack_engine *engine,
                         const struct conf_node *map, struct err *err)
{
    const char *stages = NULL;
    const struct conf_node *where = conf_get(map, "pipelineParallelSize");
    if (!read_text(map, "pipelineParallelSize", &stages, err)) {
        return false;
    }
    if (engine->kind == STACK_RAY) {
        args_pair(&engine->args, where, "--pipeline-parallel-size", stages);
        args_pair(&engine->args, NULL, "--distributed-executor-backend", "ray");
    } else if (stages != NULL && strcmp(stages, "1") != 0) {
        findings_add(
            &stack->findings, FINDING_TRAP, "pipeline_parallel_ignored", where,
            "pipelineParallelSize: only the template of Ray clusters reads it, "
            "so this engine runs without pipeline parallelism; give "
            "servingEngineSpec.raySpec, or \"--pipeline-parallel-size\" in "
            "extraArgs where all GPUs are in one pod");
    }
    return true;
}

/* What decides between V0 and V1: the key v1 (at 0.1.3), then env. */
static bool version_read(struct stack *stack, const struct conf_node *map, int *v1,
                         struct err *err)
{
    static const char *const gone[] = {"v1", NULL};
    static const char *const head[] = {"v0", "runner", "convert", NULL};
    const char *value = NULL;
    only_at(stack, STACK_TAG, map, gone);
    only_at(stack, STACK_HEAD, map, head);
    if (stack->release == STACK_HEAD) {
        bool v0 = false;
        const char *runner = "generate";
        if (!read_truth(map, "v0", &v0, &stack->findings, err) ||
            !read_text(map, "runner", &runner, err)) {
            return false;
        }
        if (strcmp(runner, "pooling") == 0) {
            findings_add(&stack->findings, FINDING_WARNING, "not_simulated",
                         conf_get(map, "runner"),
                         "runner: a simulation takes a pooling model for one that "
                         "generates");
        }
        read_pass(map, head);
        *v1 = v0 ? 0 : 1;
        return true;
    }
    if (!read_text(map, "v1", &value, err)) {
        return false;
    }
    *v1 = value != NULL && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
    return true;
}

bool values_vllm_read(struct stack *stack, const struct values_shared *shared,
                      struct stack_engine *engine, struct err *err)
{
    const struct conf_node *model = engine->where;
    const struct conf_node *map = NULL;
    const struct conf_node *extra = NULL;
    const char *parser = NULL;
    bool lora = false;
    bool tool = false;
    int v1 = 1;
    if (!env_configs_read(engine, shared->spec, &v1, err) ||
        !read_truth(model, "enableLoRA", &lora, &stack->findings, err) ||
        !read_truth(model, "enableTool", &tool, &stack->findings, err) ||
        !read_text(model, "toolCallParser", &parser, err) ||
        !read_map(model, "vllmConfig", &map, err)) {
        return false;
    }
    args_pair(&engine->args, NULL, "--host", "0.0.0.0");
    args_add(&engine->args, NULL, "--port");
    args_addf(&engine->args, NULL, "%u", engine->port);
    if (lora) {
        args_add(&engine->args, conf_get(model, "enableLoRA"), "--enable-lora");
    }
    if (tool) {
        args_add(&engine->args, NULL, "--enable-auto-tool-choice");
        args_pair(&engine->args, NULL, "--tool-call-parser", parser);
    }
    if (map != NULL) {
        engine->has_vllm_config = true;
        if (!ranges_check(map, err) || !caching_add(stack, engine, map, err) ||
            !fields_add(engine, map, err) || !pipeline_add(stack, engine, map, err) ||
            !version_read(stack, map, &v1, err) ||
            !read_list_of(map, "extraArgs", CONF_SCALAR, &extra, err)) {
            return false;
        }
        args_list(&engine->args, extra);
    } else if (engine->kind == STACK_RAY) {
        args_pair(&engine->args, NULL, "--distributed-executor-backend", "ray");
    }
    if ((stack->release == STACK_HEAD && !env_read(engine, shared->spec, &v1, err)) ||
        !env_read(engine, model, &v1, err)) {
        return false;
    }
    engine->uses_v0 = v1 == 0 && engine->vllm < 11000;
    if (v1 == 0 && !engine->uses_v0) {
        findings_add(&stack->findings, FINDING_WARNING, "v0_is_gone",
                     map != NULL ? map : model,
                     "%s: VLLM_USE_V1=0 asks %s for the engine V0, which vLLM 0.11 has "
                     "no longer: it may not start; write v1: 1",
                     engine->name, engine->image);
    }
    return true;
}

/* ---- lmcacheConfig -----------------------------------------------------------------
 */

static bool transfer_read(struct stack *stack, struct stack_engine *engine,
                          const struct conf_node *map, struct err *err)
{
    struct stack_lmcache *lmcache = &engine->lmcache;
    bool nixl = false;
    uint32_t port = 0;
    static const char *const pass[] = {"nixlBufferSize", "nixlBufferDevice",
                                       "nixlEnableGc", NULL};
    static const char *const head[] = {
        "controllerReplyPort", "workerPorts",       "p2pHost",       "p2pInitPorts",
        "workerHeartbeatTime", "logLevel",          "nixlProxyHost", "nixlProxyPort",
        "nixlPeerInitPort",    "nixlPeerAllocPort", "nixlBackends",  "enableP2P",
        "chunkSize",           "localCpu",          "remoteUrl",     NULL};
    const char *host = NULL;
    only_at(stack, STACK_HEAD, map, head);
    if (stack->release == STACK_HEAD && read_child(map, "p2pHost") != NULL) {
        findings_add(&stack->findings, FINDING_WARNING, "not_simulated",
                     conf_get(map, "p2pHost"),
                     "%s: a simulation leaves out: KV that engines fetch from each "
                     "other's host memory",
                     engine->name);
    }
    if (stack->release == STACK_HEAD) {
        read_pass(map, head);
    }
    read_pass(map, pass);
    return read_truth(map, "enablePD", &lmcache->pd, &stack->findings, err) &&
           read_truth(map, "enableNixl", &nixl, &stack->findings, err) &&
           read_text(map, "nixlRole", &lmcache->nixl_role, err) &&
           read_text(map, "nixlPeerHost", &host, err) &&
           read_count(map, "nixlPeerPort", &port, 1, 65535, err);
}

static bool controller_read(struct stack *stack, struct stack_engine *engine,
                            const struct conf_node *map, struct err *err)
{
    const char *unused = NULL;
    uint32_t port = 0;
    return read_truth(map, "enableController", &engine->lmcache.controller,
                      &stack->findings, err) &&
           read_text(map, "instanceId", &unused, err) &&
           read_count(map, "controllerPort", &port, 1, 65535, err) &&
           read_text(map, "workerPort", &unused, err);
}

static void connector_add(struct stack *stack, struct stack_engine *engine,
                          const struct conf_node *map)
{
    const bool pd_key = read_has(map, "enablePD");
    const bool v1 = stack->release == STACK_HEAD || !engine->uses_v0;
    const char *role =
        engine->lmcache.kv_role != NULL ? engine->lmcache.kv_role : "kv_both";
    args_add(&engine->args, map, "--kv-transfer-config");
    args_addf(&engine->args, map, "{\"kv_connector\":\"%s\",\"kv_role\":\"%.60s\"}",
              pd_key || v1 ? "LMCacheConnectorV1" : "LMCacheConnector", role);
    if (pd_key && !engine->lmcache.pd) {
        findings_add(&stack->findings, FINDING_TRAP, "pd_key_selects",
                     conf_get(map, "enablePD"),
                     "enablePD: false selects the connector of disaggregated prefill "
                     "all the same, for the template only asks whether the key is "
                     "there; drop the key");
    }
}

bool values_lmcache_read(struct stack *stack, struct stack_engine *engine,
                         const struct conf_node *model, struct err *err)
{
    static const char *const roles[] = {"kv_both", "kv_producer", "kv_consumer", NULL};
    struct stack_lmcache *lmcache = &engine->lmcache;
    const struct conf_node *map = NULL;
    uint32_t role = 0;
    double disk_gb = 0;
    if (!read_map(model, "lmcacheConfig", &map, err)) {
        return false;
    }
    if (map == NULL) {
        return true;
    }
    lmcache->where = map;
    lmcache->kv_role = roles[0];
    if (!engine->has_vllm_config) {
        return conf_fail(map, err,
                         "lmcacheConfig: the chart's template fails where there is no "
                         "vllmConfig; add one");
    }
    if (!read_truth(map, "enabled", &lmcache->enabled, &stack->findings, err) ||
        !read_number(map, "cpuOffloadingBufferSize", &lmcache->cpu_gb, 0, 1e6, err) ||
        !read_number(map, "diskOffloadingBufferSize", &disk_gb, 0, 1e6, err) ||
        (read_child(map, "kvRole") != NULL &&
         !conf_enum(map, "kvRole", roles, &role, err)) ||
        !transfer_read(stack, engine, map, err) ||
        !controller_read(stack, engine, map, err)) {
        return false;
    }
    lmcache->kv_role = roles[role];
    if (!lmcache->enabled) {
        lmcache->cpu_gb = 0;
        lmcache->disk_gb = 0;
        return true;
    }
    if (engine->kind == STACK_RAY) {
        lmcache->disk_gb = disk_gb;
    } else if (disk_gb > 0 && engine->env.disk_gb <= 0) {
        findings_add(&stack->findings, FINDING_TRAP, "disk_tier_ignored",
                     conf_get(map, "diskOffloadingBufferSize"),
                     "diskOffloadingBufferSize: the Deployment sets no path for it, so "
                     "there is no disk tier; set LMCACHE_LOCAL_DISK and "
                     "LMCACHE_MAX_LOCAL_DISK_SIZE in env");
    }
    if (lmcache->pd) {
        lmcache->cpu_gb = 0; /* the template turns the CPU tier off */
    }
    connector_add(stack, engine, map);
    return true;
}
