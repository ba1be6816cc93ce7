/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.c: reads GPU and model files and refuses what cannot be.
 *
 * The files are tables of figures, so the readers are tables, too: key, unit, range.
 * The ranges are wide; they are there for slips of a unit (GB/s for TB/s is not caught,
 * bytes for gigabytes is), and so that no later arithmetic can overflow.
 */
#include "sim/facts.h"

#include "base/conf.h"
#include "base/unit.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum field_kind {
    FIELD_NUMBER,  /* double, plain or with an SI letter */
    FIELD_BYTES,   /* uint64_t */
    FIELD_RATE,    /* double, written as bytes */
    FIELD_SECONDS, /* double, written as a duration */
    FIELD_U32,
    FIELD_BOOL,
};

struct field {
    const char *key;
    enum field_kind kind;
    bool required;
    size_t offset;
    double min;
    double max;
};

static const double parameters_tolerance = 0.01;

#define GPU(key, kind, required, member, min, max)                                     \
    {                                                                                  \
        key, kind, required, offsetof(struct gpu_spec, member), min, max               \
    }
static const struct field gpu_fields[] = {
    GPU("memory_bytes", FIELD_BYTES, true, memory_bytes, 1 << 28, 1e14),
    GPU("memory_bytes_per_s", FIELD_RATE, true, memory_bytes_per_s, 1e9, 1e15),
    GPU("bf16_flops_per_s", FIELD_NUMBER, true, bf16_flops_per_s, 1e11, 1e18),
    GPU("fp8_flops_per_s", FIELD_NUMBER, false, fp8_flops_per_s, 1e11, 1e18),
    GPU("gemm_memory_efficiency", FIELD_NUMBER, true, gemm_memory_efficiency, .05, 1),
    GPU("fp8_gemm_memory_efficiency", FIELD_NUMBER, false, fp8_gemm_memory_efficiency,
        .05, 1),
    GPU("int8_ops_per_s", FIELD_NUMBER, false, int8_ops_per_s, 1e11, 1e18),
    GPU("fp4_flops_per_s", FIELD_NUMBER, false, fp4_flops_per_s, 1e11, 1e18),
    GPU("fp4_gemm_memory_efficiency", FIELD_NUMBER, false, fp4_gemm_memory_efficiency,
        .05, 1),
    GPU("fp4_gemm_start", FIELD_SECONDS, false, fp4_gemm_start_s, 0, 1e-2),
    GPU("fp8_gemm_start", FIELD_SECONDS, false, fp8_gemm_start_s, 0, 1e-2),
    GPU("decode_attention_efficiency", FIELD_NUMBER, true, decode_attention_efficiency,
        .05, 1),
    GPU("attention_floor", FIELD_SECONDS, true, attention_floor_s, 0, 1e-2),
    GPU("small_kernel", FIELD_SECONDS, true, small_kernel_s, 0, 1e-2),
    GPU("link_bytes_per_s", FIELD_RATE, true, link_bytes_per_s, 1e8, 1e14),
    GPU("link_latency", FIELD_SECONDS, true, link_latency_s, 0, 1),
    GPU("power_w", FIELD_NUMBER, false, power_w, 1, 1e5),
    GPU("power_idle_w", FIELD_NUMBER, false, power_idle_w, 1, 1e5),
    GPU("price_per_hour_low_usd", FIELD_NUMBER, false, price_per_hour_low, 0, 1e4),
    GPU("price_per_hour_high_usd", FIELD_NUMBER, false, price_per_hour_high, 0, 1e4),
};
#undef GPU

#define MODEL(key, kind, required, member, min, max)                                   \
    {                                                                                  \
        key, kind, required, offsetof(struct model_spec, member), min, max             \
    }
static const struct field model_fields[] = {
    MODEL("layers", FIELD_U32, true, layers, 1, 1000),
    MODEL("hidden", FIELD_U32, true, hidden, 1, 1 << 20),
    MODEL("query_heads", FIELD_U32, true, query_heads, 1, 4096),
    MODEL("kv_heads", FIELD_U32, true, kv_heads, 1, 4096),
    MODEL("head_dim", FIELD_U32, true, head_dim, 1, 4096),
    MODEL("mlp_width", FIELD_U32, true, mlp_width, 1, 1 << 24),
    MODEL("mlp_gated", FIELD_BOOL, false, mlp_gated, 0, 1),
    MODEL("vocabulary", FIELD_U32, true, vocabulary, 1, 1 << 24),
    MODEL("tied_embeddings", FIELD_BOOL, false, tied_embeddings, 0, 1),
    MODEL("max_position_tokens", FIELD_U32, true, max_position, 2, 1 << 24),
    MODEL("learned_position_rows", FIELD_U32, false, position_rows, 0, 1 << 24),
    MODEL("weight_bits", FIELD_U32, false, weight_bits, 4, 16),
    MODEL("kv_bits", FIELD_U32, false, kv_bits, 8, 16),
    MODEL("parameters", FIELD_NUMBER, false, parameters, 1e6, 1e13),
    MODEL("experts", FIELD_U32, false, experts, 2, 1 << 16),
    MODEL("experts_per_token", FIELD_U32, false, experts_per_token, 1, 1 << 16),
    MODEL("expert_width", FIELD_U32, false, expert_width, 1, 1 << 24),
    MODEL("shared_expert_width", FIELD_U32, false, shared_width, 0, 1 << 24),
    MODEL("dense_layers", FIELD_U32, false, dense_layers, 0, 1000),
    MODEL("expert_weight_bits", FIELD_U32, false, expert_bits, 4, 16),
    MODEL("kv_lora_rank", FIELD_U32, false, kv_lora_rank, 1, 1 << 16),
    MODEL("q_lora_rank", FIELD_U32, false, q_lora_rank, 0, 1 << 16),
    MODEL("qk_rope_head_dim", FIELD_U32, false, rope_head_dim, 1, 4096),
    MODEL("qk_nope_head_dim", FIELD_U32, false, nope_head_dim, 1, 4096),
    MODEL("v_head_dim", FIELD_U32, false, v_head_dim, 1, 4096),
};
#undef MODEL

static bool field_in_range(const struct conf_node *map, const struct field *field,
                           double value, struct err *err)
{
    if (value >= field->min && value <= field->max) {
        return true;
    }
    return conf_fail(conf_get(map, field->key), err,
                     "%s: %s is not between %g and %g (bytes, seconds); is the unit "
                     "right?",
                     field->key, conf_scalar(conf_get(map, field->key)), field->min,
                     field->max);
}

static bool field_read_double(const struct conf_node *map, const struct field *field,
                              double *out, struct err *err)
{
    uint64_t bytes = 0;
    int64_t ns = 0;
    if (field->kind == FIELD_NUMBER) {
        return conf_f64(map, field->key, out, field->min, field->max, err);
    }
    if (field->kind == FIELD_RATE) {
        if (!conf_bytes(map, field->key, &bytes, err)) {
            return false;
        }
        *out = (double)bytes;
    } else {
        if (!conf_duration_ns(map, field->key, &ns, err)) {
            return false;
        }
        *out = (double)ns / 1e9;
    }
    return field_in_range(map, field, *out, err);
}

static bool field_read(const struct conf_node *map, const struct field *field,
                       void *spec, struct err *err)
{
    if (conf_get(map, field->key) == NULL) {
        return !field->required || conf_require(map, field->key, err);
    }
    unsigned char *at = (unsigned char *)spec + field->offset;
    if (field->kind == FIELD_U32) {
        return conf_u32(map, field->key, (uint32_t *)(void *)at, (uint32_t)field->min,
                        (uint32_t)field->max, err);
    }
    if (field->kind == FIELD_BOOL) {
        return conf_bool(map, field->key, (bool *)(void *)at, err);
    }
    if (field->kind == FIELD_BYTES) {
        uint64_t *bytes = (uint64_t *)(void *)at;
        return conf_bytes(map, field->key, bytes, err) &&
               field_in_range(map, field, (double)*bytes, err);
    }
    return field_read_double(map, field, (double *)(void *)at, err);
}

static bool name_read(const struct conf_node *map, char *out, struct err *err)
{
    const char *name = "";
    if (!conf_require(map, "name", err) || !conf_str(map, "name", &name, err)) {
        return false;
    }
    const int length = snprintf(out, FACT_NAME_BYTES, "%s", name);
    if (length <= 0 || length >= FACT_NAME_BYTES) {
        return conf_fail(conf_get(map, "name"), err, "name: 1 to %d characters",
                         FACT_NAME_BYTES - 1);
    }
    return true;
}

/* A map of x: y. */
static bool curve_read(const struct conf_node *map, const char *key, double y_max,
                       struct fact_curve *curve, struct err *err)
{
    const struct conf_node *points = NULL;
    if (!conf_require(map, key, err) || !conf_map(map, key, &points, err)) {
        return false;
    }
    curve->count = (uint32_t)conf_count(points);
    if (conf_count(points) == 0 || conf_count(points) > FACT_POINTS_MAX) {
        return conf_fail(conf_get(map, key), err, "%s: 1 to %d points \"x: y\"", key,
                         FACT_POINTS_MAX);
    }
    for (uint32_t i = 0; i < curve->count; i++) {
        const char *x_text = conf_key_at(points, i);
        double *x = &curve->x[i];
        struct err why;
        if (!unit_number(x_text, x, &why) || *x < 1.0 || *x > 1e15) {
            return conf_fail(conf_at(points, i), err,
                             "%s: %s is no number of 1 or more", key, x_text);
        }
        if (i > 0 && *x <= curve->x[i - 1]) {
            return conf_fail(conf_at(points, i), err,
                             "%s: %s is not above the point before; sort them", key,
                             x_text);
        }
        if (!conf_f64(points, x_text, &curve->y[i], 1e-6, y_max, err)) {
            return false;
        }
    }
    return true;
}

/* allreduce_us: {2: {16384: 4.5, ...}, 4: ...}: group size, bytes, microseconds. */
static bool allreduce_read(const struct conf_node *map, struct gpu_spec *gpu,
                           struct err *err)
{
    const struct conf_node *groups = NULL;
    if (!conf_map(map, "allreduce_us", &groups, err)) {
        return false;
    }
    if (conf_count(groups) > FACT_TP_MAX) {
        return conf_fail(groups, err, "allreduce_us: at most %d group sizes",
                         FACT_TP_MAX);
    }
    gpu->allreduce_count = (uint32_t)conf_count(groups);
    for (uint32_t i = 0; i < gpu->allreduce_count; i++) {
        const char *text = conf_key_at(groups, i);
        uint64_t size = 0;
        struct err why;
        if (!unit_u64(text, &size, &why) || size < 2 || size > 1024 ||
            (i > 0 && size <= gpu->allreduce_tp[i - 1])) {
            return conf_fail(conf_at(groups, i), err,
                             "allreduce_us: %s: group sizes are whole numbers from 2 "
                             "to 1024 and ascend",
                             text);
        }
        gpu->allreduce_tp[i] = (uint32_t)size;
        struct fact_curve *curve = &gpu->allreduce_s[i];
        if (!curve_read(groups, text, 1e8, curve, err)) {
            return false;
        }
        for (uint32_t j = 0; j < curve->count; j++) {
            curve->y[j] /= 1e6;
        }
    }
    return true;
}

bool fact_sources_read(const struct conf_node *map, struct err *err)
{
    const struct conf_node *sources = NULL;
    if (!conf_map(map, "sources", &sources, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(sources); i++) {
        const char *text = NULL;
        if (!conf_str(sources, conf_key_at(sources, i), &text, err)) {
            return false;
        }
    }
    return true;
}

/* Products of 8 or 4 bits: the last key is a curve; it needs the two before it, its
 * peak and its efficiency. */
static bool narrow_curve_read(const struct conf_node *map, const char *const keys[3],
                              struct fact_curve *curve, struct err *err)
{
    return conf_get(map, keys[2]) == NULL ||
           (conf_require(map, keys[0], err) && conf_require(map, keys[1], err) &&
            curve_read(map, keys[2], 1.0, curve, err));
}

static bool gpu_read(const struct conf_node *map, struct gpu_spec *gpu, struct err *err)
{
    if (!name_read(map, gpu->name, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(gpu_fields) / sizeof(gpu_fields[0]); i++) {
        if (!field_read(map, &gpu_fields[i], gpu, err)) {
            return false;
        }
    }
    if (!curve_read(map, "gemm_mfu", 1.0, &gpu->gemm_mfu, err) ||
        !curve_read(map, "prefill_attention_mfu", 1.0, &gpu->prefill_attention_mfu,
                    err) ||
        !allreduce_read(map, gpu, err)) {
        return false;
    }
    static const char *const fp8_keys[] = {
        "fp8_flops_per_s", "fp8_gemm_memory_efficiency", "fp8_gemm_mfu"};
    static const char *const fp4_keys[] = {
        "fp4_flops_per_s", "fp4_gemm_memory_efficiency", "fp4_gemm_mfu"};
    if (!narrow_curve_read(map, fp8_keys, &gpu->fp8_gemm_mfu, err) ||
        !narrow_curve_read(map, fp4_keys, &gpu->fp4_gemm_mfu, err)) {
        return false;
    }
    if (gpu->price_per_hour_low > gpu->price_per_hour_high) {
        return conf_fail(conf_get(map, "price_per_hour_low_usd"), err,
                         "price_per_hour_low_usd: above price_per_hour_high_usd");
    }
    return true;
}

bool gpu_spec_load(struct gpu_spec *gpu, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    *gpu = (struct gpu_spec){0};
    const struct conf_node *map = conf_root(conf);
    const bool ok =
        fact_sources_read(map, err) && gpu_read(map, gpu, err) && conf_done(map, err);
    conf_delete(conf);
    return ok;
}

/* Keys that go together: all of them with the first, none without it. */
static bool together(const struct conf_node *map, const char *const *keys,
                     struct err *err)
{
    const bool first = conf_get(map, keys[0]) != NULL;
    for (size_t i = 1; keys[i] != NULL; i++) {
        const struct conf_node *node = conf_get(map, keys[i]);
        if (first && node == NULL) {
            return conf_fail(conf_get(map, keys[0]), err, "%s: needs %s, too", keys[0],
                             keys[i]);
        }
        if (!first && node != NULL) {
            return conf_fail(node, err, "%s: means nothing without %s", keys[i],
                             keys[0]);
        }
    }
    return true;
}

static bool bits_check(const struct conf_node *map, const char *key, uint32_t bits,
                       struct err *err)
{
    return bits == 4 || bits == 8 || bits == 16 ||
           conf_fail(conf_get(map, key), err, "%s: %u; it must be 4, 8 or 16", key,
                     bits);
}

static bool experts_check(const struct conf_node *map, const struct model_spec *model,
                          struct err *err)
{
    static const char *const keys[] = {"experts", "experts_per_token", "expert_width",
                                       NULL};
    static const char *const optional[] = {"shared_expert_width", "dense_layers",
                                           "expert_weight_bits"};
    if (!together(map, keys, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        if (model->experts == 0 && conf_get(map, optional[i]) != NULL) {
            return conf_fail(conf_get(map, optional[i]), err,
                             "%s: means nothing without experts", optional[i]);
        }
    }
    if (model->experts_per_token > model->experts) {
        return conf_fail(conf_get(map, "experts_per_token"), err,
                         "experts_per_token: %u of %u experts",
                         model->experts_per_token, model->experts);
    }
    if (model->dense_layers >= model->layers) {
        return conf_fail(conf_get(map, "dense_layers"), err,
                         "dense_layers: %u of %u layers leave none for experts",
                         model->dense_layers, model->layers);
    }
    return bits_check(map, "expert_weight_bits", model->expert_bits, err);
}

static bool latent_check(const struct conf_node *map, const struct model_spec *model,
                         struct err *err)
{
    static const char *const keys[] = {"kv_lora_rank", "qk_rope_head_dim",
                                       "qk_nope_head_dim", "v_head_dim", NULL};
    if (!together(map, keys, err)) {
        return false;
    }
    if (model->kv_lora_rank == 0) {
        return model->q_lora_rank == 0 ||
               conf_fail(conf_get(map, "q_lora_rank"), err,
                         "q_lora_rank: means nothing without kv_lora_rank");
    }
    return model->head_dim == model->nope_head_dim + model->rope_head_dim ||
           conf_fail(conf_get(map, "head_dim"), err,
                     "head_dim: %u, but the parts of a key with and without rope make "
                     "%u",
                     model->head_dim, model->nope_head_dim + model->rope_head_dim);
}

static bool model_check(const struct conf_node *map, const struct model_spec *model,
                        struct err *err)
{
    if (model->query_heads % model->kv_heads != 0) {
        return conf_fail(conf_get(map, "kv_heads"), err,
                         "kv_heads: %u does not divide the %u query heads",
                         model->kv_heads, model->query_heads);
    }
    if (!bits_check(map, "weight_bits", model->weight_bits, err) ||
        !experts_check(map, model, err) || !latent_check(map, model, err)) {
        return false;
    }
    if (model->kv_bits != 8 && model->kv_bits != 16) {
        return conf_fail(conf_get(map, "kv_bits"), err,
                         "kv_bits: %u; it must be 8 or 16", model->kv_bits);
    }
    const double computed = model_parameters(model);
    if (model->parameters > 0.0 &&
        fabs(computed / model->parameters - 1.0) > parameters_tolerance) {
        return conf_fail(conf_get(map, "parameters"), err,
                         "parameters: %.4g published, but these shapes make %.4g; one "
                         "of them is wrong",
                         model->parameters, computed);
    }
    return true;
}

static bool model_read(const struct conf_node *map, struct model_spec *model,
                       struct err *err)
{
    model->mlp_gated = true;
    model->weight_bits = 16;
    model->kv_bits = 16;
    if (!name_read(map, model->name, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(model_fields) / sizeof(model_fields[0]); i++) {
        if (!field_read(map, &model_fields[i], model, err)) {
            return false;
        }
    }
    if (model->expert_bits == 0) {
        model->expert_bits = model->weight_bits;
    }
    return model_check(map, model, err);
}

bool model_spec_load(struct model_spec *model, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    *model = (struct model_spec){0};
    const struct conf_node *map = conf_root(conf);
    const bool ok = fact_sources_read(map, err) && model_read(map, model, err) &&
                    conf_done(map, err);
    conf_delete(conf);
    return ok;
}

/* Of one layer's attention; MLA: queries (maybe through a latent), the latent of keys
 * and values with rope's part, what makes heads of it, and the way out. */
static double attention_parameters(const struct model_spec *model)
{
    const double hidden = model->hidden;
    const double heads = model->query_heads;
    const double query = heads * model->head_dim;
    if (model->kv_lora_rank == 0) {
        const double kv = (double)model->kv_heads * model->head_dim;
        return hidden * (query + 2.0 * kv) + query * hidden;
    }
    const double rank = model->kv_lora_rank;
    const double value = heads * model->v_head_dim;
    const double queries = model->q_lora_rank == 0
                               ? hidden * query
                               : model->q_lora_rank * (hidden + query + 1.0);
    return queries + hidden * (rank + model->rope_head_dim) + rank +
           rank * (heads * model->nope_head_dim + value) + value * hidden;
}

static double matrices_of(const struct model_spec *model)
{
    return model->mlp_gated ? 3.0 : 2.0;
}

static double expert_layers(const struct model_spec *model)
{
    return model->experts == 0 ? 0.0 : (double)model->layers - model->dense_layers;
}

/* Of all layers but what is in experts. */
static double plain_parameters(const struct model_spec *model)
{
    const double hidden = model->hidden;
    const double matrices = matrices_of(model);
    const double routed = expert_layers(model);
    const double norms = 2.0 * hidden;
    return model->layers * (attention_parameters(model) + norms) +
           (model->layers - routed) * matrices * hidden * model->mlp_width +
           routed * hidden * (model->experts + matrices * model->shared_width);
}

static double routed_parameters(const struct model_spec *model)
{
    return expert_layers(model) * model->experts * matrices_of(model) * model->hidden *
           model->expert_width;
}

static double embedding_parameters(const struct model_spec *model)
{
    const double one = (double)model->vocabulary * model->hidden;
    return (model->tied_embeddings ? one : 2.0 * one) +
           (double)model->position_rows * model->hidden;
}

double model_parameters(const struct model_spec *model)
{
    return plain_parameters(model) + routed_parameters(model) +
           embedding_parameters(model);
}

uint64_t model_weight_bytes(const struct model_spec *model, uint32_t tensor_parallel)
{
    /* Quantised checkpoints keep the embeddings in 16 bits. */
    const double bytes =
        plain_parameters(model) * ((model->weight_bits + model->scale_bits) / 8.0) +
        routed_parameters(model) * ((model->expert_bits + model->scale_bits) / 8.0) +
        embedding_parameters(model) * 2.0;
    return (uint64_t)llround(bytes / tensor_parallel);
}

uint64_t model_kv_bytes_per_token(const struct model_spec *model,
                                  uint32_t tensor_parallel)
{
    const uint64_t bytes = model->kv_bits / 8;
    if (model->kv_lora_rank > 0) {
        const uint64_t latent = (uint64_t)model->kv_lora_rank + model->rope_head_dim;
        return latent * bytes * model->layers;
    }
    const uint32_t split = model->kv_heads / tensor_parallel;
    const uint64_t heads = split > 0 ? split : 1;
    return 2 * heads * model->head_dim * bytes * model->layers;
}
