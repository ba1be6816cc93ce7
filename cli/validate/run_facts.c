/* SPDX-License-Identifier: Apache-2.0
 *
 * run_facts.c: from facts.json to an engine_config. JSON is YAML here: conf.h reads
 * both and names lines.
 */
#include "cli/validate/run_facts.h"

#include "base/conf.h"

#include <stdio.h>
#include <string.h>

enum { COUNT_MAX = 1 << 30, GRAPH_TOKENS_DEFAULT = 512 };

/* False for absent keys and for null. */
static bool present(const struct conf_node *map, const char *key)
{
    const struct conf_node *value = conf_get(map, key);
    const char *text = value == NULL ? NULL : conf_scalar(value);
    return value != NULL && (text == NULL || text[0] != '\0');
}

/* Absent leaves *out alone. */
static bool read_u32(const struct conf_node *map, const char *key, uint32_t *out,
                     uint32_t min, struct err *err)
{
    return conf_count_u32(map, key, out, min, COUNT_MAX, err);
}

static bool read_bool(const struct conf_node *map, const char *key, bool *out,
                      struct err *err)
{
    return !present(map, key) || conf_bool(map, key, out, err);
}

static bool require_u32(const struct conf_node *map, const char *key, uint32_t *out,
                        uint32_t min, struct err *err)
{
    if (!present(map, key)) {
        return conf_fail(map, err, "%s: is missing, and there is no default for it",
                         key);
    }
    return conf_count_u32(map, key, out, min, COUNT_MAX, err);
}

static bool read_policy(const struct conf_node *map, struct run_facts *facts,
                        struct err *err)
{
    static const char *const policies[] = {"fcfs", "priority", NULL};
    uint32_t policy = 0;
    if (present(map, "policy") && !conf_enum(map, "policy", policies, &policy, err)) {
        return false;
    }
    facts->engine.order = order_policy_find(policies[policy]);
    return true;
}

/* What the run did not record comes under another key, as an assumption. */
static bool read_kv_blocks(const struct conf_node *map, struct run_facts *facts,
                           struct err *err)
{
    if (present(map, "num_gpu_blocks")) {
        return read_u32(map, "num_gpu_blocks", &facts->kv_blocks, 2, err);
    }
    facts->kv_blocks_assumed = true;
    if (present(map, "num_gpu_blocks_assumed")) {
        return read_u32(map, "num_gpu_blocks_assumed", &facts->kv_blocks, 2, err);
    }
    return conf_fail(
        map, err,
        "num_gpu_blocks: is missing; take it from the engine's log or give "
        "num_gpu_blocks_assumed: results are sensitive to it");
}

static bool read_parallel(const struct conf_node *map, struct run_facts *facts,
                          struct err *err)
{
    uint32_t pipeline = 1;
    facts->data_parallel = 1;
    if (!read_u32(map, "tensor_parallel", &facts->engine.tensor_parallel, 1, err) ||
        !read_u32(map, "data_parallel", &facts->data_parallel, 1, err) ||
        !read_u32(map, "pipeline_parallel", &pipeline, 1, err)) {
        return false;
    }
    return pipeline == 1 || conf_fail(conf_get(map, "pipeline_parallel"), err,
                                      "pipeline_parallel: only 1 can be simulated");
}

/* vLLM: min(2 max_num_seqs, 512) unless told otherwise. */
static uint32_t graph_tokens_default(uint32_t max_num_seqs)
{
    return max_num_seqs < GRAPH_TOKENS_DEFAULT / 2 ? 2 * max_num_seqs
                                                   : GRAPH_TOKENS_DEFAULT;
}

static bool read_sizes(const struct conf_node *map, struct run_facts *facts,
                       struct err *err)
{
    struct engine_config *engine = &facts->engine;
    if (!require_u32(map, "max_num_seqs", &engine->max_num_seqs, 1, err) ||
        !require_u32(map, "max_num_batched_tokens", &engine->max_num_batched_tokens, 1,
                     err) ||
        !read_u32(map, "block_size", &engine->block_tokens, 1, err) ||
        !read_kv_blocks(map, facts, err)) {
        return false;
    }
    const uint64_t room = (uint64_t)(facts->kv_blocks - 1) * engine->block_tokens + 1;
    engine->max_model_len = room < COUNT_MAX ? (uint32_t)room : COUNT_MAX;
    facts->graph_tokens_max = graph_tokens_default(engine->max_num_seqs);
    uint32_t said = engine->max_model_len;
    if (!read_u32(map, "max_model_len", &said, 2, err) ||
        !read_u32(map, "cudagraph_max_tokens", &facts->graph_tokens_max, 0, err)) {
        return false;
    }
    /* vLLM does not count the reserved block when it compares the two. */
    engine->max_model_len = said < engine->max_model_len ? said : engine->max_model_len;
    return true;
}

static enum engine_compat compat_of(const char *version)
{
    unsigned major = 0;
    unsigned minor = 0;
    /* NOLINTNEXTLINE(cert-err34-c): what does not fit is no version, and ends below. */
    if (sscanf(version, "%3u.%3u", &major, &minor) != 2 || major > 0) {
        return ENGINE_V019;
    }
    if (minor < 9) {
        return ENGINE_V085;
    }
    return minor < 12 ? ENGINE_V010 : ENGINE_V019;
}

static bool read_engine(const struct conf_node *map, struct run_facts *facts,
                        struct err *err)
{
    struct engine_config *engine = &facts->engine;
    const enum engine_compat compat = compat_of(facts->vllm_version);
    const bool late = compat >= ENGINE_V019;
    *engine = (struct engine_config){
        .compat = compat,
        .tensor_parallel = 1,
        .block_tokens = 16,
        .prefix_caching = true,
        .chunked_prefill = true,
        .reserve_full_isl = late,
        .async_scheduling = late,
        .gpu_memory_utilization = 0.9,
    };
    const bool ok =
        read_sizes(map, facts, err) && read_parallel(map, facts, err) &&
        read_u32(map, "long_prefill_token_threshold",
                 &engine->long_prefill_token_threshold, 0, err) &&
        read_bool(map, "prefix_caching", &engine->prefix_caching, err) &&
        read_bool(map, "chunked_prefill", &engine->chunked_prefill, err) &&
        read_bool(map, "reserve_full_isl", &engine->reserve_full_isl, err) &&
        read_bool(map, "async_scheduling", &engine->async_scheduling, err) &&
        read_policy(map, facts, err);
    if (ok && !engine->chunked_prefill &&
        engine->max_num_batched_tokens < engine->max_model_len) {
        return conf_fail(
            map, err,
            "chunked_prefill: without it max_num_batched_tokens must reach "
            "max_model_len");
    }
    return ok;
}

/* These are for people: absent is fine, too long is cut. */
static bool read_name(const struct conf_node *root, const char *key,
                      char out[FACT_NAME_BYTES], struct err *err)
{
    const char *text = NULL;
    if (!present(root, key)) {
        return true;
    }
    if (!conf_str(root, key, &text, err)) {
        return false;
    }
    snprintf(out, FACT_NAME_BYTES, "%.*s", FACT_NAME_BYTES - 1, text);
    return true;
}

static bool facts_read(struct run_facts *facts, const struct conf_node *root,
                       struct err *err)
{
    const struct conf_node *engine = NULL;
    const struct conf_node *shape = NULL;
    snprintf(facts->name, sizeof facts->name, "%s", facts->model.name);
    if (!read_name(root, "run", facts->name, err) ||
        !read_name(root, "vllm_version", facts->vllm_version, err) ||
        !conf_require(root, "engine", err) || !conf_map(root, "engine", &engine, err) ||
        !read_engine(engine, facts, err) ||
        !conf_map(root, "model_shape", &shape, err) ||
        !read_u32(shape, "experts", &facts->experts, 0, err) ||
        !read_u32(shape, "experts_per_token", &facts->experts_per_token, 0, err)) {
        return false;
    }
    facts->model.max_position = facts->engine.max_model_len;
    return true;
}

bool run_facts_load(struct run_facts *facts, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    *facts = (struct run_facts){0};
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    const bool ok = calibrate_facts_load(path, &facts->model, &facts->gpu, err) &&
                    facts_read(facts, conf_root(conf), err);
    conf_delete(conf);
    return ok;
}
