/* SPDX-License-Identifier: Apache-2.0
 *
 * roofline.c: step time from a data sheet and measured efficiencies, for dense models,
 * experts and latent attention (spec/vllm-engine.md 10.1 to 10.6; docs/cost-models.md
 * has the equations).
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
 * What a mixed step pays beyond the sum of its parts is not modelled; a scalar per kind
 * of step (scale_decode, scale_mixed) is how a measurement corrects it.
 */
#include "base/mem.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"
#include "sim/times/experts.h"
#include "sim/times/gpu_times.h"

#include <math.h>

enum { ACTIVATION_BYTES = GPU_ACTIVATION_BYTES, BITS_16 = 16 };
static const double narrow_product_floor_s = 5e-6; /* quantise, then multiply: 10.2 */
static const double sampler_s = 100e-6;            /* vllm-engine.md 10.7 */
static const double longest_step_s = 3600.0;

struct roofline {
    struct gpu_spec gpu;
    struct model_spec model;
    struct layer_shape shape; /* for its attention, the same in all layers */
    uint32_t tensor_parallel;
    struct stage stage; /* whose layers `model` has */
    struct rank_group group;
    struct gpu_placement placement;
    struct graph_sizes graphs;
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
    double chunk_pair_s; /* per two token pairs, at peak, all layers, scaled */
    double chunk_kv_s;   /* per token read, all layers, scaled */
    double chunk_floor_s;
    double log2_length[FACT_POINTS_MAX];   /* of gpu.prefill_attention_mfu */
    double chunk_point_s[FACT_POINTS_MAX]; /* one fresh chunk of that length */
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

/* Between two points what a kernel reaches may grow faster than its rows; more rows
 * would then take less time. So no less than at the point below. */
static double product_compute_s(const struct fact_curve *curve, double rows,
                                double row_flops, double peak)
{
    double least_s = 0.0;
    for (uint32_t i = 0; i < curve->count && curve->x[i] <= rows; i++) {
        least_s = row_flops * curve->x[i] / (peak * curve->y[i]);
    }
    return fmax(least_s, row_flops * rows / (peak * curve_at(curve, rows)));
}

/* What products of one weight format reach. */
struct product_facts {
    double peak;
    const struct fact_curve *curve;
    double efficiency;
    double start_s;
    double floor_s;
};

/* Without figures of its own a format computes as 16 bits and only reads less. */
static struct product_facts product_facts_of(const struct roofline *roofline,
                                             uint32_t bits)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    const struct model_spec *model = &roofline->model;
    if (bits == 8 && model->int8 && gpu->int8_ops_per_s > 0) {
        /* No table of int8 products: those of 16 bits, at the other peak. */
        return (struct product_facts){gpu->int8_ops_per_s, &gpu->gemm_mfu,
                                      gpu->gemm_memory_efficiency, 0.0,
                                      narrow_product_floor_s};
    }
    if (bits == 8 && !model->weight_only && gpu->fp8_gemm_mfu.count > 0) {
        return (struct product_facts){gpu->fp8_flops_per_s, &gpu->fp8_gemm_mfu,
                                      gpu->fp8_gemm_memory_efficiency,
                                      gpu->fp8_gemm_start_s, narrow_product_floor_s};
    }
    if (bits == 4 && !model->weight_only && gpu->fp4_gemm_mfu.count > 0) {
        return (struct product_facts){gpu->fp4_flops_per_s, &gpu->fp4_gemm_mfu,
                                      gpu->fp4_gemm_memory_efficiency,
                                      gpu->fp4_gemm_start_s, narrow_product_floor_s};
    }
    return (struct product_facts){gpu->bf16_flops_per_s, &gpu->gemm_mfu,
                                  gpu->gemm_memory_efficiency, 0.0,
                                  gpu->small_kernel_s};
}

/* With the scales of a weight-only format; measured efficiencies include others. */
static double stored_bits(const struct roofline *roofline, uint32_t bits)
{
    const struct model_spec *model = &roofline->model;
    return bits + (bits < BITS_16 && model->weight_only ? model->scale_bits : 0.0);
}

/* rows x inner times inner x columns, weights of so many bits. */
static double product_s(const struct roofline *roofline, double rows, double inner,
                        double columns, uint32_t bits)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    const struct product_facts facts = product_facts_of(roofline, bits);
    const double compute_s =
        product_compute_s(facts.curve, rows, 2.0 * inner * columns, facts.peak);
    const double bytes = inner * columns * stored_bits(roofline, bits) / 8.0 +
                         rows * (inner + columns) * ACTIVATION_BYTES;
    /* The curve includes the start; the bytes come on top of it (the fp8 op tables fit
     * start + bytes / bandwidth within 10 %, max(start, ...) only within 40 %). */
    const double memory_s =
        facts.start_s + bytes / (gpu->memory_bytes_per_s * facts.efficiency);
    return fmax(fmax(compute_s, memory_s), facts.floor_s);
}

/* Experts of one layer on their share of the tokens: each that got one is read once,
 * and multiplies as many rows as come to it in the mean. Before them the tokens are
 * sorted, after them their answers are added. */
static double experts_s(const struct roofline *roofline,
                        const struct layer_shape *shape, double tokens)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    const double rows = tokens * shape->experts_per_token;
    const double active =
        experts_activated(tokens, shape->experts_per_token, shape->experts);
    const struct layer_product *const both[] = {&shape->expert_up, &shape->expert_down};
    double seconds = 0.0;
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        const double weights = both[i]->inner * both[i]->columns;
        const struct product_facts facts = product_facts_of(roofline, both[i]->bits);
        const double compute_s = active * product_compute_s(facts.curve, rows / active,
                                                            2.0 * weights, facts.peak);
        const double bytes =
            active * weights * stored_bits(roofline, both[i]->bits) / 8.0 +
            rows * (both[i]->inner + both[i]->columns) * ACTIVATION_BYTES;
        const double memory_s =
            facts.start_s + bytes / (gpu->memory_bytes_per_s * facts.efficiency);
        seconds += fmax(fmax(compute_s, memory_s), facts.floor_s);
    }
    const double hidden = roofline->model.hidden;
    seconds += gpu_small_s(gpu, rows * shape->expert_up.columns * 1.5 *
                                    ACTIVATION_BYTES); /* activation */
    seconds += gpu_small_s(gpu, 2.0 * rows * hidden * ACTIVATION_BYTES);
    return seconds + gpu_small_s(gpu, (rows + tokens) * hidden * ACTIVATION_BYTES);
}

static double layer_s(const struct roofline *roofline, double tokens, bool routed)
{
    const double hidden = roofline->model.hidden;
    struct layer_shape shape;
    layer_shape_of(&shape, &roofline->model, roofline->tensor_parallel, routed);
    double seconds = 0.0;
    for (uint32_t i = 0; i < shape.count; i++) {
        const struct layer_product *product = &shape.products[i];
        seconds += product_s(roofline, tokens, product->inner, product->columns,
                             product->bits);
    }
    seconds += gpu_layer_small_s(&roofline->gpu, &shape, hidden, tokens);
    if (routed) {
        seconds += experts_s(roofline, &shape, tokens);
    }
    if (roofline->tensor_parallel > 1) {
        seconds += 2.0 * topology_allreduce_s(&roofline->gpu, &roofline->group,
                                              tokens * hidden * ACTIVATION_BYTES);
    }
    return seconds;
}

static double tokens_s(const struct roofline *roofline, uint32_t tokens)
{
    const uint32_t padded = graph_sizes_pad(&roofline->graphs, tokens);
    const double message = (double)padded * roofline->model.hidden * ACTIVATION_BYTES;
    double embedding_s = gpu_small_s(&roofline->gpu, 2.0 * message);
    if (roofline->tensor_parallel > 1) {
        embedding_s += topology_allreduce_s(&roofline->gpu, &roofline->group, message);
    }
    const double routed = layer_shape_routed(&roofline->model);
    const double plain = roofline->model.layers - routed;
    const double least_s = graph_sizes_layer_s(&roofline->graphs, tokens);
    double seconds = roofline->stage.embeds ? embedding_s : 0.0;
    if (plain > 0.0) {
        seconds += plain * fmax(layer_s(roofline, padded, false), least_s);
    }
    if (routed > 0.0) {
        seconds += routed * fmax(layer_s(roofline, padded, true), least_s);
    }
    return seconds;
}

/* LM head, its logits gathered from the group, sampler. */
static double rows_s(const struct roofline *roofline, uint32_t rows)
{
    const double tp = roofline->tensor_parallel;
    const double columns = roofline->model.vocabulary / tp;
    if (!roofline->stage.samples) {
        return 0.0;
    }
    return product_s(roofline, rows, roofline->model.hidden, columns, BITS_16) +
           topology_allgather_s(&roofline->gpu, &roofline->group,
                                gpu_logits_bytes(&roofline->model, rows)) +
           sampler_s;
}

/* Of all layers: reading the cache of one token. */
static double attention_read_s(const struct roofline *roofline)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    return roofline->model.layers * roofline->kv_bytes /
           (gpu->memory_bytes_per_s * gpu->decode_attention_efficiency);
}

/* And attending to it. All heads of MLA share one latent, so that their FLOPs count
 * beside its bytes: at most what long prompts reach, as FlashMLA reports. */
static double attention_slope_s(const struct roofline *roofline)
{
    const struct fact_curve *curve = &roofline->gpu.prefill_attention_mfu;
    const double read_s = attention_read_s(roofline);
    const double compute_s =
        roofline->model.layers * roofline->shape.kv_flops /
        (roofline->gpu.bf16_flops_per_s * curve->y[curve->count - 1]);
    return roofline->model.kv_lora_rank > 0 ? fmax(read_s, compute_s) : read_s;
}

static double attention_floor_s(const struct roofline *roofline)
{
    return roofline->model.layers * roofline->gpu.attention_floor_s;
}

/* What is too long is an error of the input (roofline_init), not of the rounding. */
static int64_t capped_fx(double seconds)
{
    return cost_fx_of_s(fmin(seconds, longest_step_s));
}

static void tables_fill(struct roofline *roofline)
{
    const double decode = roofline->scale_decode;
    const double mixed = roofline->scale_mixed;
    for (uint32_t n = 1; n <= roofline->rows_max; n++) {
        const double rows = rows_s(roofline, n);
        roofline->decode_tokens_fx[n] =
            capped_fx(decode * (tokens_s(roofline, n) + rows));
        roofline->mixed_rows_fx[n] = capped_fx(mixed * rows);
    }
    for (uint32_t tokens = 1; tokens <= roofline->tokens_max; tokens++) {
        roofline->mixed_tokens_fx[tokens] =
            capped_fx(mixed * tokens_s(roofline, tokens));
    }
    const double slope_s = attention_slope_s(roofline);
    const double floor_s = attention_floor_s(roofline);
    roofline->decode_slope_fx = capped_fx(decode * slope_s);
    roofline->decode_floor_fx = capped_fx(decode * floor_s);
    roofline->mixed_slope_fx = capped_fx(mixed * slope_s);
    roofline->mixed_floor_fx = capped_fx(mixed * floor_s);
}

static void chunks_init(struct roofline *roofline)
{
    const struct gpu_spec *gpu = &roofline->gpu;
    const double layers = roofline->model.layers;
    /* Pairs come counted twice. */
    roofline->chunk_pair_s = roofline->scale_mixed * layers * 0.5 *
                             roofline->shape.pair_flops / gpu->bf16_flops_per_s;
    roofline->chunk_kv_s = roofline->scale_mixed * attention_read_s(roofline);
    roofline->chunk_floor_s = roofline->scale_mixed * attention_floor_s(roofline);
    const struct fact_curve *curve = &gpu->prefill_attention_mfu;
    for (uint32_t i = 0; i < curve->count; i++) {
        roofline->log2_length[i] = log2(curve->x[i]);
        roofline->chunk_point_s[i] =
            roofline->chunk_pair_s * curve->x[i] * curve->x[i] / curve->y[i];
    }
}

/* No less than any step that the engine can ask for, so that none overflows later. */
static double longest_s(const struct roofline *roofline,
                        const struct engine_config *engine)
{
    const double tokens = engine->max_num_batched_tokens;
    const double context = (double)engine->max_num_seqs * engine->max_model_len;
    const double pairs_twice = tokens * (2.0 * engine->max_model_len + tokens);
    double least_mfu = 1.0;
    for (uint32_t i = 0; i < roofline->gpu.prefill_attention_mfu.count; i++) {
        least_mfu = fmin(least_mfu, roofline->gpu.prefill_attention_mfu.y[i]);
    }
    int64_t tables_fx = 0;
    for (uint32_t t = 1; t <= roofline->tokens_max; t++) {
        const int64_t fx = roofline->mixed_tokens_fx[t];
        tables_fx = fx > tables_fx ? fx : tables_fx;
    }
    for (uint32_t n = 1; n <= roofline->rows_max; n++) {
        const int64_t fx = roofline->decode_tokens_fx[n];
        tables_fx = fx > tables_fx ? fx : tables_fx;
    }
    tables_fx += roofline->mixed_rows_fx[roofline->rows_max];
    const double scale = fmax(roofline->scale_decode, roofline->scale_mixed);
    return (double)tables_fx / COST_FX_PER_NS / 1e9 +
           2.0 * scale *
               (attention_floor_s(roofline) + context * attention_slope_s(roofline)) +
           roofline->chunk_pair_s * pairs_twice / least_mfu;
}

static void roofline_fini(void *state)
{
    struct roofline *roofline = state;
    mem_free(roofline->decode_tokens_fx);
    mem_free(roofline->mixed_rows_fx);
    mem_free(roofline->mixed_tokens_fx);
}

static bool roofline_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct roofline *roofline = state;
    roofline->gpu = *setup->gpu;
    roofline->model = *setup->model;
    roofline->tensor_parallel = setup->engine->tensor_parallel;
    roofline->stage = setup->stage;
    roofline->group = setup->group;
    if (setup->placement != NULL) {
        roofline->placement = *setup->placement;
        roofline->group.placement = &roofline->placement;
    }
    roofline->scale_decode = 1.0;
    roofline->scale_mixed = 1.0;
    if (!conf_f64(setup->map, "scale_decode", &roofline->scale_decode, 0.01, 100.0,
                  err) ||
        !conf_f64(setup->map, "scale_mixed", &roofline->scale_mixed, 0.01, 100.0,
                  err)) {
        return false;
    }
    const uint32_t tp = roofline->tensor_parallel;
    layer_shape_of(&roofline->shape, setup->model, tp, false);
    roofline->kv_bytes =
        (double)model_kv_bytes_per_token(setup->model, tp) / setup->model->layers;
    roofline->rows_max =
        setup->engine->max_num_seqs * (1 + setup->engine->speculation.tokens);
    roofline->tokens_max = setup->engine->max_num_batched_tokens;
    roofline->graphs = graph_sizes_of(setup->engine);
    chunks_init(roofline);
    const size_t rows = (size_t)roofline->rows_max + 1;
    roofline->decode_tokens_fx = mem_alloc(rows, sizeof(int64_t));
    roofline->mixed_rows_fx = mem_alloc(rows, sizeof(int64_t));
    roofline->mixed_tokens_fx =
        mem_alloc((size_t)roofline->tokens_max + 1, sizeof(int64_t));
    tables_fill(roofline);
    if (longest_s(roofline, setup->engine) >= longest_step_s) {
        roofline_fini(state);
        return conf_fail(setup->map, err,
                         "cost: the longest step of %s on %s would take more than an "
                         "hour; is a figure of one of them off by a unit?",
                         setup->model->name, setup->gpu->name);
    }
    return true;
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
    const int64_t steps = grow_fx > 0
                              ? (roofline->decode_floor_fx - read_fx) / grow_fx + 1
                              : COST_STEPS_MAX;
    return (struct decode_cost){
        .first_fx = base_fx + roofline->decode_floor_fx,
        .valid_steps = steps < COST_STEPS_MAX ? (uint32_t)steps : COST_STEPS_MAX,
    };
}

/* The chunk curve at the length with as many pairs, as curve_at with one logarithm; as
 * with products, no less than at the point below. */
static double chunks_compute_s(const struct roofline *roofline, double pairs_twice)
{
    const double log2_length = 0.5 * log2(pairs_twice);
    const double peak_s = roofline->chunk_pair_s * pairs_twice;
    const double *x = roofline->log2_length;
    const struct fact_curve *curve = &roofline->gpu.prefill_attention_mfu;
    if (log2_length <= x[0]) {
        return peak_s / curve->y[0];
    }
    for (uint32_t i = 1; i < curve->count; i++) {
        if (log2_length <= x[i]) {
            const double part = (log2_length - x[i - 1]) / (x[i] - x[i - 1]);
            const double mfu = curve->y[i - 1] + part * (curve->y[i] - curve->y[i - 1]);
            return fmax(roofline->chunk_point_s[i - 1], peak_s / mfu);
        }
    }
    return peak_s / curve->y[curve->count - 1];
}

/* Chunks: their causal FLOPs, or reading their KV and that of what came before once,
 * whichever is longer. What a kernel reaches is known for one fresh chunk by its
 * length; a chunk behind a prefix, or several, count as the fresh chunk with as many
 * token pairs. (By length alone, the short chunk behind a long cached prefix came out
 * several times too slow: docs/cost-models.md.) */
static double chunks_attention_s(const struct roofline *roofline,
                                 const struct batch_shape *shape)
{
    const double compute_s =
        chunks_compute_s(roofline, (double)shape->chunk_pairs_twice);
    const double memory_s =
        roofline->chunk_kv_s * (double)(shape->chunk_context + shape->chunk_tokens);
    return fmax(fmax(compute_s, memory_s), roofline->chunk_floor_s);
}

/* Drafts are rows of every product, LM head and sampler included; they attend to the
 * cache as the decode before them does, in one reading of it. */
static int64_t verify_fx(const struct roofline *roofline,
                         const struct batch_shape *shape)
{
    const uint32_t rows = shape->decodes + shape->drafts;
    const int64_t read_fx =
        roofline->decode_slope_fx * (int64_t)(shape->decode_context + rows);
    return roofline->decode_tokens_fx[rows] +
           (read_fx > roofline->decode_floor_fx ? read_fx : roofline->decode_floor_fx);
}

static int64_t roofline_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct roofline *roofline = state;
    if (shape->chunks == 0) {
        return verify_fx(roofline, shape);
    }
    const uint64_t tokens = shape->decodes + shape->drafts + shape->chunk_tokens;
    int64_t fx =
        roofline->mixed_tokens_fx[tokens] +
        roofline->mixed_rows_fx[shape->decodes + shape->drafts + shape->chunks];
    if (shape->decodes > 0) {
        const int64_t read_fx = roofline->mixed_slope_fx *
                                (int64_t)(shape->decode_context + shape->decodes);
        fx += read_fx > roofline->mixed_floor_fx ? read_fx : roofline->mixed_floor_fx;
    }
    return fx + cost_fx_of_s(chunks_attention_s(roofline, shape));
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
    .drafts = DRAFTS_KNOWN,
    .formats = FORMATS_ALL,
    .state_bytes = sizeof(struct roofline),
    .by_stage = true,
    .init = roofline_init,
    .fini = roofline_fini,
    .step_fx = roofline_step_fx,
    .decode = roofline_decode,
    .describe = roofline_describe,
};
