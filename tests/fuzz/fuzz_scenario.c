/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a scenario or an error with a text; GPU and model files alike. What was
 * accepted can be asked for step times.
 */
#include "base/check.h"
#include "sim/scenario.h"
#include "tests/fuzz/fuzz.h"

static void ask_times(const struct scenario *scenario)
{
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        const uint32_t n = pool->engine.max_num_seqs;
        const uint64_t context = (uint64_t)n * (pool->engine.max_model_len - 1);
        const struct decode_cost decode =
            cost_decode(pool->cost, n, context, pool->engine.max_model_len - 1);
        const struct batch_shape shape = {.chunks = 1,
                                          .chunk_tokens_max = 1,
                                          .chunk_tokens = 1,
                                          .chunk_pairs_twice = 1};
        CHECK(decode.first_fx > 0 && decode.grow_fx >= 0 && decode.valid_steps >= 1,
              "a step of %ld", (long)decode.first_fx);
        CHECK(cost_step_fx(pool->cost, &shape) > 0, "a step of no time");
        CHECK(pool->kv_blocks >= 2, "%u blocks", pool->kv_blocks);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scenario *scenario = NULL;
    struct gpu_spec gpu;
    struct model_spec model;
    struct err err = {ERR_NONE, ""};
    /* A big engine makes big tables, which is slow and finds nothing. */
    const char *const overrides[] = {"cluster.pools.0.engine.max_num_batched_tokens=64",
                                     "cluster.pools.0.engine.max_num_seqs=8"};
    const struct scenario_options options = {.overrides = overrides,
                                             .override_count = 2};
    if (scenario_parse(&scenario, "input", (const char *)data, size, &options, &err)) {
        ask_times(scenario);
        scenario_delete(scenario);
    } else {
        CHECK(err.text[0] != '\0' && err.kind != ERR_NONE, "failed without a reason");
    }
    const char *path = fuzz_file(data, size);
    if (gpu_spec_load(&gpu, path, &err)) {
        CHECK(gpu.memory_bytes > 0 && gpu.gemm_mfu.count > 0, "half a GPU");
    }
    if (model_spec_load(&model, path, &err)) {
        CHECK(model_parameters(&model) > 0 && model_kv_bytes_per_token(&model, 1) > 0,
              "half a model");
    }
    return 0;
}
