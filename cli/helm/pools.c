/* SPDX-License-Identifier: Apache-2.0
 *
 * pools.c: each engine of a deployment becomes a pool of a scenario.
 */
#include "cli/helm/pools.h"

#include "cli/helm/flags.h"
#include "cli/helm/fleet.h"
#include "cli/helm/scale.h"
#include "sim/control/control.h"

#include <inttypes.h>
#include <string.h>

/* A name between double quotes, whatever is in it. */
void helm_quote(const char *text, struct text *out)
{
    text_add(out, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            text_add(out, "\\");
        }
        text_add_bytes(out, text, 1);
    }
    text_add(out, "\"");
}

/* ---- pools -------------------------------------------------------------------------
 */

static bool label_in(const char *labels, const char *label)
{
    const size_t length = strlen(label);
    while (labels != NULL && *labels != '\0') {
        const size_t item = strcspn(labels, ",");
        if (item == length && memcmp(labels, label, length) == 0) {
            return true;
        }
        labels += item + (labels[item] == ',' ? 1 : 0);
    }
    return false;
}

static bool splits(const struct helm *helm)
{
    const char *logic = helm->stack->router.routing_logic;
    return helm->stack->router.where != NULL &&
           strncmp(logic, "disaggregated_prefill", strlen("disaggregated_prefill")) ==
               0;
}

const char *helm_role(const struct helm *helm, const struct stack_engine *engine)
{
    if (!splits(helm)) {
        return NULL;
    }
    if (label_in(helm_router_flag(helm, "--prefill-model-labels"), engine->name)) {
        return "prefill";
    }
    if (label_in(helm_router_flag(helm, "--decode-model-labels"), engine->name)) {
        return "decode";
    }
    return NULL;
}

static bool pool_known(const struct helm_engine *engine, struct err *err)
{
    const struct stack_engine *from = engine->from;
    if (from->never_starts != NULL) {
        return conf_fail(from->where, err, "%s: the engine never starts: %.300s",
                         from->name, from->never_starts);
    }
    if (from->pods > POD_WORKERS_MAX + 1) {
        return conf_fail(from->where, err,
                         "%s: %" PRIu32 " pods of one engine; a simulation takes %d",
                         from->name, from->pods, POD_WORKERS_MAX + 1);
    }
    if (engine->gpu_name[0] == '\0') {
        return conf_fail(from->where, err,
                         "%s: which GPU it runs on is not known; give --gpu h100_sxm, "
                         "or --nodes nodes.yaml",
                         from->name);
    }
    if (engine->model_name[0] == '\0') {
        return conf_fail(
            from->where, err,
            "%s: no file of configs/models is the model %.100s; write one, "
            "or name one that is like it: --model-file '%.100s=llama_3_1_8b'",
            from->name, from->model_url, from->model_url);
    }
    if (!engine->fits) {
        return conf_fail(from->where, err, "%s: the engine does not start: %.500s",
                         from->name, engine->why.text);
    }
    enum { CHUNK_TOKENS = 256 }; /* LMCache's own */
    const uint32_t given = from->lmcache.chunk_tokens;
    const uint32_t chunk = given > 0 ? given : CHUNK_TOKENS;
    if (helm_has_tiers(from) && chunk % engine->config.block_tokens != 0) {
        return conf_fail(from->where, err,
                         "%s: LMCache's chunks of %" PRIu32 " tokens are no multiple "
                         "of the engine's blocks of %" PRIu32
                         "; set LMCACHE_CHUNK_SIZE in env",
                         from->name, chunk, engine->config.block_tokens);
    }
    return true;
}

/* ---- tiers -------------------------------------------------------------------------
 */

bool helm_has_tiers(const struct stack_engine *engine)
{
    return engine->lmcache.enabled && !engine->lmcache.pd;
}

bool helm_offloads(const struct stack_engine *engine)
{
    enum { VLLM_0_13 = 13000 };
    return !engine->lmcache.enabled && engine->flags.kv_offloading_gib > 0 &&
           engine->vllm >= VLLM_0_13;
}

/* LMCache has 5 GB of host memory unless it is told otherwise, and one buffer for each
 * GPU of an engine; a scenario counts those of an engine together. */
static void tiers_put(const struct stack_engine *engine, struct text *out)
{
    const struct stack_lmcache *lmcache = &engine->lmcache;
    const uint32_t tp =
        engine->flags.tensor_parallel > 0 ? engine->flags.tensor_parallel : 1;
    const uint32_t gpus = tp * helm_stages(engine);
    if (helm_offloads(engine)) {
        text_printf(out,
                    "      tiers: {connector: offloading, cpu: {capacity: %.6gGiB}}\n",
                    engine->flags.kv_offloading_gib);
        return;
    }
    if (!helm_has_tiers(engine)) {
        return;
    }
    text_add(out, "      tiers:\n");
    if (strcmp(lmcache->kv_role, "kv_both") != 0) {
        text_printf(out, "        role: %s\n", lmcache->kv_role + strlen("kv_"));
    }
    if (lmcache->chunk_tokens > 0) {
        text_printf(out, "        chunk_tokens: %" PRIu32 "\n", lmcache->chunk_tokens);
    }
    text_printf(out, "        cpu: {capacity: %.6gGB}\n",
                (lmcache->cpu_gb > 0 ? lmcache->cpu_gb : 5.0) * gpus);
    if (lmcache->disk_gb > 0) {
        text_printf(out, "        disk: {capacity: %.6gGB}\n", lmcache->disk_gb * gpus);
    }
    if (lmcache->remote_url != NULL) {
        text_add(out, "        remote: {}\n");
    }
}

/* Stages, and the machines that they are on: those of a Ray cluster's pods. */
static void parallel_put(struct helm *helm, const struct helm_engine *engine,
                         struct text *out)
{
    const struct stack_engine *from = engine->from;
    const uint32_t stages = helm_stages(from);
    char node[FACT_FILE_BYTES];
    if (stages == 1) {
        return;
    }
    text_printf(out, "      parallel: {pp: %" PRIu32 "}\n", stages);
    if (from->pods == 1) {
        return;
    }
    if (from->head_gpus == from->gpus &&
        helm_node_find(helm->config_dir, engine->gpu_name, node)) {
        text_printf(out,
                    "      placement: {node: %s, nodes: %" PRIu32
                    ", gpus_per_node: %" PRIu32 "}\n",
                    node, from->pods, from->gpus);
        findings_add(&helm->stack->findings, FINDING_NOTE, "node_assumed", from->where,
                     "%s: its machines are taken for those of configs/nodes/%s.yaml",
                     from->name, node);
        return;
    }
    findings_add(&helm->stack->findings, FINDING_WARNING, "not_simulated", from->where,
                 "%s: a simulation leaves out: that its stages are on several machines "
                 "(no file of configs/nodes is theirs, or head and workers differ)",
                 from->name);
}

void helm_cache_server_put(struct helm *helm, struct text *out)
{
    const struct stack_cache_server *server = &helm->stack->cache_server;
    bool wanted = false;
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        const struct stack_engine *engine = helm->engines[i].from;
        wanted =
            wanted || (helm_has_tiers(engine) && engine->lmcache.remote_url != NULL);
    }
    if (!wanted) {
        return;
    }
    const bool sized = server->where != NULL && server->memory_bytes > 0;
    if (!sized) {
        findings_add(&helm->stack->findings, FINDING_NOTE, "cache_server_assumed",
                     server->where,
                     "how much memory the cache server has is not said; 100 GB are "
                     "assumed");
    }
    text_printf(out, "cache_server: {capacity: %" PRIu64 "B}\n",
                sized ? server->memory_bytes : UINT64_C(100000000000));
}

bool helm_pool_put(struct helm *helm, const struct helm_engine *engine,
                   struct text *out, struct err *err)
{
    const struct stack_engine *from = engine->from;
    const char *role = helm_role(helm, from);
    if (!pool_known(engine, err)) {
        return false;
    }
    text_printf(out, "    - name: \"%.63s\"\n", from->name);
    if (role != NULL) {
        text_printf(out, "      role: %s\n", role);
    }
    text_printf(out,
                "      replicas: %" PRIu32 "\n      gpu: %s\n      model: %s\n"
                "      engine: %s\n",
                from->replicas, engine->gpu_name, engine->model_name,
                text_str(&engine->flags));
    parallel_put(helm, engine, out);
    tiers_put(from, out);
    helm_scale_put(from, out);
    helm_pod_put(helm, engine, out);
    return true;
}
