/* SPDX-License-Identifier: Apache-2.0
 *
 * gpu_times.c: spec/vllm-engine.md 10.3 and 10.4.
 */
#include "sim/times/gpu_times.h"

#include <math.h>

enum { LOGIT_BYTES = 2, GRAPH_TOKENS_MAX = 512, GRAPH_WIDE_FROM = 256 };
static const double small_kernel_efficiency = 0.8; /* of peak bandwidth */
static const double eager_layer_s = 12 * 4.5e-6;

double gpu_small_s(const struct gpu_spec *gpu, double bytes)
{
    return fmax(gpu->small_kernel_s,
                bytes / (gpu->memory_bytes_per_s * small_kernel_efficiency));
}

double gpu_layer_small_s(const struct gpu_spec *gpu, const struct layer_shape *shape,
                         double hidden, double tokens)
{
    const double all = tokens * GPU_ACTIVATION_BYTES;
    /* Residual in, residual out; what the product before has written is still in L2. */
    double seconds = 2.0 * gpu_small_s(gpu, 2.0 * all * hidden);
    seconds += gpu_small_s(gpu, 2.0 * all * (shape->query_width + shape->kv_width));
    seconds += gpu_small_s(gpu, 4.0 * all * shape->kv_width);
    if (shape->mlp_width > 0.0) {
        seconds += gpu_small_s(gpu, all * (shape->mlp_up + shape->mlp_width));
    }
    return seconds;
}

double gpu_message_s(const struct fact_curve *curve, double bytes)
{
    if (bytes <= curve->x[0]) {
        return curve->y[0];
    }
    for (uint32_t i = 1; i < curve->count; i++) {
        if (bytes <= curve->x[i]) {
            const double part =
                (bytes - curve->x[i - 1]) / (curve->x[i] - curve->x[i - 1]);
            return curve->y[i - 1] + part * (curve->y[i] - curve->y[i - 1]);
        }
    }
    const uint32_t last = curve->count - 1;
    return curve->y[last] * bytes / curve->x[last];
}

double gpu_allreduce_s(const struct gpu_spec *gpu, uint32_t ranks, double bytes)
{
    const double n = ranks;
    for (uint32_t i = 0; i < gpu->allreduce_count; i++) {
        if (gpu->allreduce_tp[i] == ranks) {
            return gpu_message_s(&gpu->allreduce_s[i], bytes);
        }
    }
    return gpu->link_latency_s + 2.0 * (n - 1.0) / n * bytes / gpu->link_bytes_per_s;
}

double gpu_logits_bytes(const struct model_spec *model, double rows)
{
    return rows * model->vocabulary * LOGIT_BYTES;
}

struct graph_sizes graph_sizes_of(const struct engine_config *engine)
{
    const bool late = engine->compat == ENGINE_V019 || engine->compat == ENGINE_HEAD;
    struct graph_sizes sizes = {
        .wide_from = late ? GRAPH_WIDE_FROM : GRAPH_TOKENS_MAX,
    };
    uint32_t limit = engine->max_num_batched_tokens;
    const uint64_t rows =
        2 * (uint64_t)engine->max_num_seqs * (1 + engine->speculation.tokens);
    if (late && rows < limit) {
        limit = (uint32_t)rows;
    }
    limit = limit < GRAPH_TOKENS_MAX ? limit : GRAPH_TOKENS_MAX;
    if (limit > sizes.wide_from) {
        limit = limit / 16 * 16;
    } else if (limit >= 8) {
        limit = limit / 8 * 8;
    } else {
        limit = limit >= 4 ? 4 : limit < 2 ? 1 : 2;
    }
    sizes.tokens_max = limit;
    return sizes;
}

uint32_t graph_sizes_pad(const struct graph_sizes *sizes, uint32_t tokens)
{
    if (tokens <= 2 || tokens > sizes->tokens_max) {
        return tokens;
    }
    if (tokens <= 4) {
        return 4;
    }
    const uint32_t step = tokens > sizes->wide_from ? 16 : 8;
    return (tokens + step - 1) / step * step;
}

double graph_sizes_layer_s(const struct graph_sizes *sizes, uint32_t tokens)
{
    return tokens > sizes->tokens_max ? eager_layer_s : 0.0;
}
