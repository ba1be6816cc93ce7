/* SPDX-License-Identifier: Apache-2.0
 *
 * roofline.c: step time from a data sheet and measured efficiencies, for dense models
 * (spec/vllm-engine.md 10.1 to 10.6).
 *
 *     step = tokens(T) + rows(S) + decode attention + prefill attention
 *
 * tokens(T): matrix products, small kernels and all-reduces of all layers. A product is
 * the larger of its FLOPs over what the GPU reaches at that many rows and its bytes
 * over what it reaches of its bandwidth. rows(S): LM head and sampler. Both are tables,
 * made once. Decode attention reads the KV of the whole context, but no layer takes
 * less than a floor: max(floor, slope * context), with a slope in whole 2^-16 ns per
 * token, is what makes the law of cost.h hold exactly.
 *
 * Decode batches are padded to CUDA-graph sizes. What a mixed step pays beyond the sum
 * of its parts is not modelled; a calibration scalar per kind of step (scale_decode,
 * scale_mixed) is how a measurement corrects it.
 */
#include "base/mem.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"

#include <math.h>

enum { ACTIVATION_BYTES = 2, GRAPH_TOKENS_MAX = 512 };
static const double small_kernel_efficiency = 0.8; /* of peak bandwidth */
static const double sampler_s = 100e-6; /* vllm-engine.md 10.7: "sampler .1" */

struct roofline {
    struct gpu_spec gpu;
    struct model_spec model;
    uint32_t tensor_parallel;
    double scale_decode;
    double scale_mixed;
    double kv_bytes; /* per token and layer on one GPU */
    uint32_t tokens_max;
    uint32_t rows_max;
    int64_t *decode_tokens_fx; /* by batch size, padded, scaled, with its rows */
    int64_t *mixed_tokens_fx;  /* by tokens in the step, scaled */
    int64_t *mixed_rows_fx;    /* by sequences */
    int64_t decode_floor_fx;   /* attention of all layers, whatever the context */
    int64_t decode_slope_fx;   /* and per token of context */
    int64_t mixed_floor_fx;
    int64_t mixed_slope_fx;
};

static double curve_at(const struct fact_curve *curve, double x)
{
    if (x <= curve->x[0]) {
        return curve->y[0];
    }
    for (uint32_t i = 1; i < curve->count; i++) {
        if (x <= curve->x[i]) {
            const double part = (log2(x) - log2(curve->x[i - 1])) /
                                (log2(curve->x[i]) - log2(curve->x[i - 1]));
            return curve->y[i - 1] + part * (curve->y[i] - curve->y[i - 1]);
        }
    }
    return curve->y[curve->count - 1];
}

/* Largest captured graph that the engine would pad to; beyond, no padding. */
static uint32_t graph_tokens(uint32_t tokens)
{
    if (tokens <= 2) {
        return tokens;
    }
    if (tokens <= 4) {
        return 4;
    }
    return tokens <= GRAPH_TOKENS_MAX ? (tokens + 7) / 8 * 8 : tokens;
}

static double product_s(const struct roofline *roofline, double rows, double inner,
                        double columns)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    const double weight_bytes = roofline->model.weight_bits / 8.0;
    const double peak = roofline->model.weight_bits == 8 && gpu->fp8_flops_per_s > 0.0
                            ? gpu->fp8_flops_per_s
                            : gpu->bf16_flops_per_s;
    const double compute_s =
        2.0 * rows * inner * columns / (peak * curve_at(&gpu->gemm_mfu, rows));
    const double bytes =
        inner * columns * weight_bytes + rows * (inner + columns) * ACTIVATION_BYTES;
    const double memory_s =
        bytes / (gpu->memory_bytes_per_s * gpu->gemm_memory_efficiency);
    return fmax(fmax(compute_s, memory_s), gpu->small_kernel_s);
}

static double small_s(const struct roofline *roofline, double bytes)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    return fmax(gpu->small_kernel_s,
                bytes / (gpu->memory_bytes_per_s * small_kernel_efficiency));
}

/* Of one message, after the measured table of the group's size, else a ring. */
static double allreduce_s(const struct roofline *roofline, double bytes)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    const double n = roofline->tensor_parallel;
    for (uint32_t i = 0; i < gpu->allreduce_count; i++) {
        if (gpu->allreduce_tp[i] == roofline->tensor_parallel) {
            const struct fact_curve *curve = &gpu->allreduce_s[i];
            const double last = curve->x[curve->count - 1];
            /* Beyond the table the link's bandwidth decides. */
            return bytes > last ? curve_at(curve, last) * bytes / last
                                : curve_at(curve, bytes);
        }
    }
    return gpu->link_latency_s + 2.0 * (n - 1.0) / n * bytes / gpu->link_bytes_per_s;
}

static double layer_s(const struct roofline *roofline, double tokens)
{
    const struct model_spec *model = &roofline->model;
    const double tp = roofline->tensor_parallel;
    const double hidden = model->hidden;
    const double query = model->query_heads * (double)model->head_dim / tp;
    const double kv = fmax(1.0, model->kv_heads / tp) * model->head_dim;
    const double width = model->mlp_width / tp;
    const double up = model->mlp_gated ? 2.0 * width : width;
    double seconds = product_s(roofline, tokens, hidden, query + 2.0 * kv) +
                     product_s(roofline, tokens, query, hidden) +
                     product_s(roofline, tokens, hidden, up) +
                     product_s(roofline, tokens, width, hidden);
    /* Residual in, residual out; what the product before has written is still in L2. */
    const double norm_bytes = 2.0 * tokens * hidden * ACTIVATION_BYTES;
    seconds += 2.0 * small_s(roofline, norm_bytes);
    seconds += small_s(roofline, 2.0 * tokens * (query + kv) * ACTIVATION_BYTES);
    seconds += small_s(roofline, 4.0 * tokens * kv * ACTIVATION_BYTES);
    seconds += small_s(roofline, tokens * (up + width) * ACTIVATION_BYTES);
    if (roofline->tensor_parallel > 1) {
        seconds += 2.0 * allreduce_s(roofline, tokens * hidden * ACTIVATION_BYTES);
    }
    return seconds;
}

static double tokens_s(const struct roofline *roofline, uint32_t tokens)
{
    const double hidden = roofline->model.hidden;
    const double embedding_s =
        small_s(roofline, 2.0 * tokens * hidden * ACTIVATION_BYTES);
    return embedding_s + roofline->model.layers * layer_s(roofline, tokens);
}

static double rows_s(const struct roofline *roofline, uint32_t rows)
{
    const double columns =
        (double)roofline->model.vocabulary / roofline->tensor_parallel;
    return product_s(roofline, rows, roofline->model.hidden, columns) + sampler_s;
}

/* Of all layers: reading the context once per token. */
static double attention_slope_s(const struct roofline *roofline)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    return roofline->model.layers * roofline->kv_bytes /
           (gpu->memory_bytes_per_s * gpu->decode_attention_efficiency);
}

static double attention_floor_s(const struct roofline *roofline)
{
    return roofline->model.layers * roofline->gpu.attention_floor_s;
}

static void tables_fill(struct roofline *roofline)
{
    for (uint32_t n = 1; n <= roofline->rows_max; n++) {
        const double rows = rows_s(roofline, n);
        roofline->decode_tokens_fx[n] = cost_fx_of_s(
            roofline->scale_decode * (tokens_s(roofline, graph_tokens(n)) + rows));
        roofline->mixed_rows_fx[n] = cost_fx_of_s(roofline->scale_mixed * rows);
    }
    for (uint32_t tokens = 1; tokens <= roofline->tokens_max; tokens++) {
        const double seconds = tokens_s(roofline, graph_tokens(tokens));
        roofline->mixed_tokens_fx[tokens] =
            cost_fx_of_s(roofline->scale_mixed * seconds);
    }
    const double slope_s = attention_slope_s(roofline);
    const double floor_s = attention_floor_s(roofline);
    roofline->decode_slope_fx = cost_fx_of_s(roofline->scale_decode * slope_s);
    roofline->decode_floor_fx = cost_fx_of_s(roofline->scale_decode * floor_s);
    roofline->mixed_slope_fx = cost_fx_of_s(roofline->scale_mixed * slope_s);
    roofline->mixed_floor_fx = cost_fx_of_s(roofline->scale_mixed * floor_s);
}

static bool roofline_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct roofline *roofline = state;
    roofline->gpu = *setup->gpu;
    roofline->model = *setup->model;
    roofline->tensor_parallel = setup->engine->tensor_parallel;
    roofline->scale_decode = 1.0;
    roofline->scale_mixed = 1.0;
    if (!conf_f64(setup->map, "scale_decode", &roofline->scale_decode, 0.01, 100.0,
                  err) ||
        !conf_f64(setup->map, "scale_mixed", &roofline->scale_mixed, 0.01, 100.0,
                  err)) {
        return false;
    }
    const uint32_t tp = roofline->tensor_parallel;
    roofline->kv_bytes =
        (double)model_kv_bytes_per_token(setup->model, tp) / setup->model->layers;
    roofline->rows_max = setup->engine->max_num_seqs;
    roofline->tokens_max = setup->engine->max_num_batched_tokens;
    roofline->decode_tokens_fx =
        mem_alloc((size_t)roofline->rows_max + 1, sizeof(int64_t));
    roofline->mixed_rows_fx =
        mem_alloc((size_t)roofline->rows_max + 1, sizeof(int64_t));
    roofline->mixed_tokens_fx =
        mem_alloc((size_t)roofline->tokens_max + 1, sizeof(int64_t));
    tables_fill(roofline);
    return true;
}

static void roofline_fini(void *state)
{
    struct roofline *roofline = state;
    mem_free(roofline->decode_tokens_fx);
    mem_free(roofline->mixed_rows_fx);
    mem_free(roofline->mixed_tokens_fx);
}

static struct decode_cost roofline_decode(const void *state, uint32_t decodes,
                                          uint64_t context, uint32_t context_max)
{
    const struct roofline *roofline = state;
    (void)context_max;
    const int64_t base_fx = roofline->decode_tokens_fx[decodes];
    /* Each new token attends to itself, too. */
    const int64_t read_fx = roofline->decode_slope_fx * (int64_t)(context + decodes);
    const int64_t grow_fx = roofline->decode_slope_fx * (int64_t)decodes;
    if (read_fx >= roofline->decode_floor_fx) {
        return (struct decode_cost){base_fx + read_fx, grow_fx, COST_STEPS_MAX};
    }
    const int64_t steps = (roofline->decode_floor_fx - read_fx) / grow_fx + 1;
    return (struct decode_cost){
        .first_fx = base_fx + roofline->decode_floor_fx,
        .valid_steps = steps < COST_STEPS_MAX ? (uint32_t)steps : COST_STEPS_MAX,
    };
}

/* Chunks: causal FLOPs at the speed of their mean length, or the KV of what came before
 * read once, whichever is longer. */
static double chunks_attention_s(const struct roofline *roofline,
                                 const struct batch_shape *shape)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    const double layers = roofline->model.layers;
    const double width = roofline->model.query_heads *
                         (double)roofline->model.head_dim / roofline->tensor_parallel;
    const double length = (double)shape->chunk_tokens / shape->chunks;
    const double flops = 2.0 * (double)shape->chunk_pairs_twice * width;
    const double compute_s =
        flops / (gpu->bf16_flops_per_s * curve_at(&gpu->prefill_attention_mfu, length));
    const double bytes =
        (double)(shape->chunk_context + shape->chunk_tokens) * roofline->kv_bytes;
    const double memory_s =
        bytes / (gpu->memory_bytes_per_s * gpu->decode_attention_efficiency);
    return layers * fmax(fmax(compute_s, memory_s), gpu->attention_floor_s);
}

static int64_t roofline_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct roofline *roofline = state;
    const uint64_t tokens = shape->decodes + shape->chunk_tokens;
    int64_t fx = roofline->mixed_tokens_fx[tokens] +
                 roofline->mixed_rows_fx[shape->decodes + shape->chunks];
    if (shape->decodes > 0) {
        const int64_t read_fx = roofline->mixed_slope_fx *
                                (int64_t)(shape->decode_context + shape->decodes);
        fx += read_fx > roofline->mixed_floor_fx ? read_fx : roofline->mixed_floor_fx;
    }
    return fx +
           cost_fx_of_s(roofline->scale_mixed * chunks_attention_s(roofline, shape));
}

static void roofline_describe(const void *state, struct text *out)
{
    const struct roofline *roofline = state;
    if (roofline->scale_decode == 1.0 && roofline->scale_mixed == 1.0) {
        text_add(out, "uncalibrated (data sheet with published kernel efficiencies)");
    } else {
        text_printf(out, "scaled by %g (decode) and %g (mixed)", roofline->scale_decode,
                    roofline->scale_mixed);
    }
}

const struct cost_model cost_model_roofline = {
    .name = "roofline",
    .help = "from the GPU's data sheet, measured efficiencies and the model's shape",
    .state_bytes = sizeof(struct roofline),
    .init = roofline_init,
    .fini = roofline_fini,
    .step_fx = roofline_step_fx,
    .decode = roofline_decode,
    .describe = roofline_describe,
};
