/* SPDX-License-Identifier: Apache-2.0
 *
 * lora.c: modules of a dense layer: q, k, v, o, gate, up, down; each slice of a stacked
 * one counts by itself, as vLLM allocates them.
 */
#include "sim/lora.h"

enum { LORAS_MAX = 1024, CPU_LORAS_MAX = 1 << 14, BYTES_PER_VALUE = 2 };

static const uint32_t ranks[] = {1, 8, 16, 32, 64, 128, 256, 320, 512};

static bool rank_is_known(uint32_t rank)
{
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        if (ranks[i] == rank) {
            return true;
        }
    }
    return false;
}

/* A flag that does nothing is a mistake. */
static bool off_check(const struct conf_node *map, struct err *err)
{
    static const char *const keys[] = {"max_loras", "max_cpu_loras", "max_lora_rank",
                                       "fully_sharded_loras"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct conf_node *node = conf_get(map, keys[i]);
        if (node != NULL) {
            return conf_fail(node, err, "%s: means nothing without enable_lora: true",
                             keys[i]);
        }
    }
    return true;
}

static bool on_check(const struct lora_config *lora, const struct conf_node *map,
                     const struct model_spec *model, struct err *err)
{
    if (model->experts > 0 || model->kv_lora_rank > 0) {
        return conf_fail(conf_get(map, "enable_lora"), err,
                         "enable_lora: adapters of experts and of latent attention are "
                         "not modelled; use a dense model instead of %s",
                         model->name);
    }
    if (!rank_is_known(lora->max_rank)) {
        return conf_fail(conf_get(map, "max_lora_rank"), err,
                         "max_lora_rank: %u; vLLM has 1, 8, 16, 32, 64, 128, 256, 320 "
                         "and 512",
                         lora->max_rank);
    }
    if (lora->max_cpu_loras < lora->max_loras) {
        return conf_fail(conf_get(map, "max_cpu_loras"), err,
                         "max_cpu_loras: %u is below max_loras, %u, which vLLM "
                         "refuses; raise it or leave it out",
                         lora->max_cpu_loras, lora->max_loras);
    }
    return true;
}

bool lora_config_load(struct lora_config *lora, const struct conf_node *map,
                      const struct model_spec *model, struct err *err)
{
    *lora = (struct lora_config){.max_loras = 1, .max_rank = 16};
    if (!conf_bool(map, "enable_lora", &lora->enabled, err)) {
        return false;
    }
    if (!lora->enabled) {
        return off_check(map, err);
    }
    if (!conf_u32(map, "max_loras", &lora->max_loras, 1, LORAS_MAX, err)) {
        return false;
    }
    lora->max_cpu_loras = lora->max_loras;
    return conf_u32(map, "max_cpu_loras", &lora->max_cpu_loras, 1, CPU_LORAS_MAX,
                    err) &&
           conf_u32(map, "max_lora_rank", &lora->max_rank, 1, 512, err) &&
           conf_bool(map, "fully_sharded_loras", &lora->fully_sharded, err) &&
           on_check(lora, map, model, err);
}

double lora_values_per_rank(const struct model_spec *model)
{
    const double hidden = model->hidden;
    const double query = (double)model->query_heads * model->head_dim;
    const double kv = (double)model->kv_heads * model->head_dim;
    const double ups = model->mlp_gated ? 2.0 : 1.0; /* gate and up, or up alone */
    const double attention = 2.0 * (hidden + query) + 2.0 * (hidden + kv);
    const double mlp = (ups + 1.0) * (hidden + model->mlp_width);
    return model->layers * (attention + mlp);
}

double lora_bytes(const struct model_spec *model, uint32_t rank)
{
    return lora_values_per_rank(model) * rank * BYTES_PER_VALUE;
}

double lora_gpu_share(const struct lora_config *lora, uint32_t tensor_parallel)
{
    const double part = 1.0 / tensor_parallel;
    return lora->fully_sharded ? part : 0.5 + 0.5 * part;
}

double lora_slots_bytes(const struct lora_config *lora, const struct model_spec *model,
                        uint32_t tensor_parallel)
{
    return lora->enabled ? lora->max_loras * lora_bytes(model, lora->max_rank) *
                               lora_gpu_share(lora, tensor_parallel)
                         : 0.0;
}
