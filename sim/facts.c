/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.c: reads GPU and model files and refuses what cannot be.
 */
#include "sim/facts.h"

#include "base/conf.h"

#include <math.h>
#include <stdio.h>

static const double parameters_tolerance = 0.02;

/* "989T": a number with an SI letter. */
static bool read_number(const struct conf_node *map, const char *key, double *out,
                        struct err *err)
{
    return conf_f64(map, key, out, 0.0, 1e30, err);
}

static bool read_rate(const struct conf_node *map, const char *key, double *out,
                      struct err *err)
{
    uint64_t bytes = (uint64_t)*out;
    if (!conf_bytes(map, key, &bytes, err)) {
        return false;
    }
    *out = (double)bytes;
    return true;
}

static bool read_seconds(const struct conf_node *map, const char *key, double *out,
                         struct err *err)
{
    int64_t ns = (int64_t)(*out * 1e9);
    if (!conf_duration_ns(map, key, &ns, err)) {
        return false;
    }
    *out = (double)ns / 1e9;
    return true;
}

static bool read_name(const struct conf_node *map, char *out, struct err *err)
{
    const char *name = NULL;
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

/* [[x, y], ...] or {x: y, ...} would both do; a map of x: y reads better in the file.
 */
static bool read_curve(const struct conf_node *map, const char *key, double y_max,
                       struct fact_curve *curve, struct err *err)
{
    const struct conf_node *points = NULL;
    if (!conf_require(map, key, err) || !conf_map(map, key, &points, err)) {
        return false;
    }
    curve->count = (uint32_t)conf_count(points);
    if (curve->count == 0 || curve->count > FACT_POINTS_MAX) {
        return conf_fail(points, err, "%s: 1 to %d points", key, FACT_POINTS_MAX);
    }
    for (uint32_t i = 0; i < curve->count; i++) {
        const char *x_text = conf_key_at(points, i);
        double x = 0.0;
        if (sscanf(x_text, "%lf", &x) != 1 || x <= 0.0 ||
            (i > 0 && x <= curve->x[i - 1])) {
            return conf_fail(conf_at(points, i), err, "%s: %s: points must ascend", key,
                             x_text);
        }
        curve->x[i] = x;
        if (!conf_f64(points, x_text, &curve->y[i], 1e-9, y_max, err)) {
            return false;
        }
    }
    return true;
}

/* allreduce_us: {2: {16384: 4.5, ...}, 4: ...}: group size, bytes, microseconds. */
static bool read_allreduce(const struct conf_node *map, struct gpu_spec *gpu,
                           struct err *err)
{
    const struct conf_node *groups = NULL;
    if (!conf_map(map, "allreduce_us", &groups, err)) {
        return false;
    }
    gpu->allreduce_count = (uint32_t)conf_count(groups);
    if (gpu->allreduce_count > FACT_TP_MAX) {
        return conf_fail(groups, err, "allreduce_us: at most %d group sizes",
                         FACT_TP_MAX);
    }
    for (uint32_t i = 0; i < gpu->allreduce_count; i++) {
        const char *size = conf_key_at(groups, i);
        if (sscanf(size, "%u", &gpu->allreduce_tp[i]) != 1 ||
            gpu->allreduce_tp[i] < 2) {
            return conf_fail(groups, err, "allreduce_us: %s is no group size", size);
        }
        struct fact_curve *curve = &gpu->allreduce_s[i];
        if (!read_curve(groups, size, 1e9, curve, err)) {
            return false;
        }
        for (uint32_t j = 0; j < curve->count; j++) {
            curve->y[j] /= 1e6;
        }
    }
    return true;
}

static bool gpu_read(const struct conf_node *map, struct gpu_spec *gpu, struct err *err)
{
    static const char *const needed[] = {"memory_bytes",
                                         "memory_bytes_per_s",
                                         "bf16_flops_per_s",
                                         "gemm_memory_efficiency",
                                         "decode_attention_efficiency",
                                         "attention_floor",
                                         "small_kernel"};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (!conf_require(map, needed[i], err)) {
            return false;
        }
    }
    gpu->link_bytes_per_s = 25e9;
    gpu->link_latency_s = 10e-6;
    const bool ok =
        read_name(map, gpu->name, err) &&
        conf_bytes(map, "memory_bytes", &gpu->memory_bytes, err) &&
        read_rate(map, "memory_bytes_per_s", &gpu->memory_bytes_per_s, err) &&
        read_number(map, "bf16_flops_per_s", &gpu->bf16_flops_per_s, err) &&
        read_number(map, "fp8_flops_per_s", &gpu->fp8_flops_per_s, err) &&
        conf_f64(map, "gemm_memory_efficiency", &gpu->gemm_memory_efficiency, 0.05, 1.0,
                 err) &&
        read_curve(map, "gemm_mfu", 1.0, &gpu->gemm_mfu, err) &&
        conf_f64(map, "decode_attention_efficiency", &gpu->decode_attention_efficiency,
                 0.05, 1.0, err) &&
        read_seconds(map, "attention_floor", &gpu->attention_floor_s, err) &&
        read_curve(map, "prefill_attention_mfu", 1.0, &gpu->prefill_attention_mfu,
                   err) &&
        read_seconds(map, "small_kernel", &gpu->small_kernel_s, err) &&
        read_allreduce(map, gpu, err) &&
        read_rate(map, "link_bytes_per_s", &gpu->link_bytes_per_s, err) &&
        read_seconds(map, "link_latency", &gpu->link_latency_s, err) &&
        read_number(map, "power_w", &gpu->power_w, err) &&
        read_number(map, "price_per_hour_low_usd", &gpu->price_per_hour_low, err) &&
        read_number(map, "price_per_hour_high_usd", &gpu->price_per_hour_high, err);
    if (ok && (gpu->memory_bytes == 0 || gpu->memory_bytes_per_s <= 0.0 ||
               gpu->bf16_flops_per_s <= 0.0)) {
        return conf_fail(map, err, "memory, bandwidth and FLOPS must not be 0");
    }
    return ok;
}

/* `sources:` says where the figures come from; any keys, all of them known. */
static void sources_skip(const struct conf_node *map)
{
    const struct conf_node *sources = conf_get(map, "sources");
    for (size_t i = 0; i < conf_count(sources); i++) {
        if (conf_kind(sources) == CONF_MAP) {
            conf_key_at(sources, i);
        }
    }
}

bool gpu_spec_load(struct gpu_spec *gpu, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    *gpu = (struct gpu_spec){0};
    const struct conf_node *map = conf_root(conf);
    sources_skip(map);
    const bool ok = gpu_read(map, gpu, err) && conf_done(map, err);
    conf_delete(conf);
    return ok;
}

static bool model_read(const struct conf_node *map, struct model_spec *model,
                       struct err *err)
{
    static const char *const needed[] = {
        "layers",   "hidden",    "query_heads", "kv_heads",
        "head_dim", "mlp_width", "vocabulary",  "max_position_tokens"};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (!conf_require(map, needed[i], err)) {
            return false;
        }
    }
    model->mlp_gated = true;
    model->weight_bits = 16;
    model->kv_bits = 16;
    const uint32_t most = 1 << 24;
    const bool ok =
        read_name(map, model->name, err) &&
        conf_u32(map, "layers", &model->layers, 1, 1000, err) &&
        conf_u32(map, "hidden", &model->hidden, 1, most, err) &&
        conf_u32(map, "query_heads", &model->query_heads, 1, 4096, err) &&
        conf_u32(map, "kv_heads", &model->kv_heads, 1, 4096, err) &&
        conf_u32(map, "head_dim", &model->head_dim, 1, 4096, err) &&
        conf_u32(map, "mlp_width", &model->mlp_width, 1, most, err) &&
        conf_bool(map, "mlp_gated", &model->mlp_gated, err) &&
        conf_u32(map, "vocabulary", &model->vocabulary, 1, most, err) &&
        conf_bool(map, "tied_embeddings", &model->tied_embeddings, err) &&
        conf_u32(map, "max_position_tokens", &model->max_position, 1, most, err) &&
        conf_u32(map, "weight_bits", &model->weight_bits, 4, 16, err) &&
        conf_u32(map, "kv_bits", &model->kv_bits, 8, 16, err) &&
        read_number(map, "parameters", &model->parameters, err);
    if (!ok) {
        return false;
    }
    if (model->query_heads % model->kv_heads != 0) {
        return conf_fail(conf_get(map, "kv_heads"), err,
                         "kv_heads: %u does not divide %u query heads", model->kv_heads,
                         model->query_heads);
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

bool model_spec_load(struct model_spec *model, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    *model = (struct model_spec){0};
    const struct conf_node *map = conf_root(conf);
    sources_skip(map);
    const bool ok = model_read(map, model, err) && conf_done(map, err);
    conf_delete(conf);
    return ok;
}

static double layer_parameters(const struct model_spec *model)
{
    const double hidden = model->hidden;
    const double query = (double)model->query_heads * model->head_dim;
    const double kv = (double)model->kv_heads * model->head_dim;
    const double matrices = model->mlp_gated ? 3.0 : 2.0;
    const double norms = 2.0 * hidden;
    return hidden * (query + 2.0 * kv) + query * hidden +
           matrices * hidden * model->mlp_width + norms;
}

static double embedding_parameters(const struct model_spec *model)
{
    const double one = (double)model->vocabulary * model->hidden;
    return model->tied_embeddings ? one : 2.0 * one;
}

double model_parameters(const struct model_spec *model)
{
    return model->layers * layer_parameters(model) + embedding_parameters(model);
}

uint64_t model_weight_bytes(const struct model_spec *model, uint32_t tensor_parallel)
{
    /* Quantised checkpoints keep the embeddings in 16 bits. */
    const double bytes =
        model->layers * layer_parameters(model) * (model->weight_bits / 8.0) +
        embedding_parameters(model) * 2.0;
    return (uint64_t)llround(bytes / tensor_parallel);
}

uint64_t model_kv_bytes_per_token(const struct model_spec *model,
                                  uint32_t tensor_parallel)
{
    const uint32_t split = model->kv_heads / tensor_parallel;
    const uint64_t heads = split > 0 ? split : 1;
    return 2 * heads * model->head_dim * (model->kv_bits / 8) * model->layers;
}
