/* SPDX-License-Identifier: Apache-2.0
 *
 * quantization.c: what a format means for bytes and for products.
 *
 * fp8, int8 and nvfp4 quantise activations, too, and multiply at the tensor cores' rate
 * for the format, where the GPU has one. awq and gptq, and fp8 or nvfp4 on a GPU
 * without them, are weight-only, as vLLM runs them with Marlin: weights are widened on
 * the way to 16-bit products, so that only fewer bytes are read. Scales come beside the
 * weights: one of 16 bits for every 128 weights of 4 bits (awq: and a zero point of 4),
 * one of 8 for every 16 of nvfp4 (spec/vllm-engine.md 10.2: 1 to 6 %).
 */
#include "sim/quantization.h"

#include <stdio.h>
#include <string.h>

struct format {
    const char *name;
    double scale_bits; /* per weight */
    uint32_t bits;
    bool weight_only; /* always */
};

static const struct format formats[] = {
    {"none", 0.0, 16, false},        {"fp8", 0.0, 8, false},
    {"int8", 0.0, 8, false},         {"awq", (16.0 + 4.0) / 128.0, 4, true},
    {"gptq", 16.0 / 128.0, 4, true}, {"nvfp4", 8.0 / 16.0, 4, false},
};
enum { FORMAT_NONE, FORMAT_FP8, FORMAT_INT8, FORMAT_AWQ, FORMAT_GPTQ, FORMAT_NVFP4 };
enum { FORMATS = sizeof formats / sizeof formats[0] };

static bool int8_check(const struct gpu_spec *gpu, const struct conf_node *where,
                       struct err *err)
{
    return gpu->int8_ops_per_s > 0 || gpu->fp8_flops_per_s > 0 ||
           conf_fail(where, err,
                     "quantization: the file of %s has no int8_ops_per_s, and int8 "
                     "multiplies at that rate; add it, or use awq or gptq",
                     gpu->name);
}

static bool weights_apply(struct model_spec *model, const struct gpu_spec *gpu,
                          const struct conf_node *map, uint32_t which, struct err *err)
{
    const struct format *format = &formats[which];
    const struct conf_node *where = conf_get(map, "quantization");
    if (which == FORMAT_NONE) {
        return true;
    }
    if (model->weight_bits < 16 || (model->experts > 0 && model->expert_bits < 16)) {
        return conf_fail(where, err,
                         "quantization: the file of %s has %u-bit weights already; "
                         "leave it out",
                         model->name,
                         model->weight_bits < 16 ? model->weight_bits
                                                 : model->expert_bits);
    }
    if (which == FORMAT_INT8 && !int8_check(gpu, where, err)) {
        return false;
    }
    model->weight_bits = format->bits;
    model->expert_bits = model->experts > 0 ? format->bits : model->expert_bits;
    model->scale_bits = format->scale_bits;
    model->weight_only = format->weight_only ||
                         (which == FORMAT_FP8 && gpu->fp8_flops_per_s == 0) ||
                         (which == FORMAT_NVFP4 && gpu->fp4_flops_per_s == 0);
    model->int8 = which == FORMAT_INT8;
    (void)snprintf(model->format, sizeof model->format, "%s weights%s", format->name,
                   model->weight_only ? " (16-bit products)" : "");
    return true;
}

/* spec/vllm-engine.md 1.11: without FlashAttention 3, which is for Hopper, 0.8.x fell
 * back to the V0 engine, which is not modelled. */
static bool kv_check(const struct gpu_spec *gpu, const struct conf_node *map,
                     struct err *err)
{
    const char *compat = "v019";
    const bool hopper =
        strstr(gpu->name, "H100") != NULL || strstr(gpu->name, "H200") != NULL;
    return conf_str(map, "compat", &compat, err) &&
           (strcmp(compat, "v085") != 0 || hopper ||
            conf_fail(conf_get(map, "kv_cache_dtype"), err,
                      "kv_cache_dtype: compat v085 had 8-bit caches on Hopper GPUs "
                      "only; use a later compat than v085 on %s",
                      gpu->name));
}

static bool kv_apply(struct model_spec *model, const struct gpu_spec *gpu,
                     const struct conf_node *map, uint32_t bits, struct err *err)
{
    if (bits == 0 || bits == model->kv_bits) {
        return true;
    }
    if (bits == 8 && !kv_check(gpu, map, err)) {
        return false;
    }
    model->kv_bits = bits;
    const size_t used = strlen(model->format);
    (void)snprintf(model->format + used, sizeof model->format - used, "%s%s KV cache",
                   used > 0 ? ", " : "", bits == 8 ? "fp8" : "16-bit");
    return true;
}

bool quantization_apply(struct model_spec *model, const struct gpu_spec *gpu,
                        const struct conf_node *map, struct err *err)
{
    static const char *const dtypes[] = {"auto",     "fp8",     "fp8_e4m3", "fp8_e5m2",
                                         "bfloat16", "float16", NULL};
    static const uint32_t dtype_bits[] = {0, 8, 8, 8, 16, 16};
    const char *names[FORMATS + 1] = {0};
    uint32_t which = FORMAT_NONE;
    uint32_t dtype = 0;
    for (size_t i = 0; i < FORMATS; i++) {
        names[i] = formats[i].name;
    }
    return conf_enum(map, "quantization", names, &which, err) &&
           conf_enum(map, "kv_cache_dtype", dtypes, &dtype, err) &&
           weights_apply(model, gpu, map, which, err) &&
           kv_apply(model, gpu, map, dtype_bits[dtype], err);
}
