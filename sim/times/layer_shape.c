/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_shape.c: grouped-query attention after Llama, MLA and experts after DeepSeek-V3
 * (arXiv 2412.19437, section 2.1).
 *
 * MLA decodes in latent space: heads are not made of cached latents, but queries are
 * taken there and the answer back (weight absorption), which multiplies the same two
 * matrices per token. So one product stands for both ways; only the FLOPs per pair of
 * tokens differ.
 */
#include "sim/times/layer_shape.h"

#include "base/check.h"

#include <math.h>

enum { BITS_16 = 16 };
static const double flops_per_multiply = 2.0;

static void add(struct layer_shape *shape, double inner, double columns, uint32_t bits)
{
    CHECK(shape->count < LAYER_PRODUCTS_MAX, "more than %d products in a layer",
          LAYER_PRODUCTS_MAX);
    shape->products[shape->count++] = (struct layer_product){inner, columns, bits};
}

static void grouped_attention(struct layer_shape *shape, const struct model_spec *model,
                              double tp)
{
    const uint32_t bits = model->weight_bits;
    const double hidden = model->hidden;
    const double query = model->query_heads * (double)model->head_dim / tp;
    const double kv = fmax(1.0, model->kv_heads / tp) * model->head_dim;
    shape->query_width = query;
    shape->kv_width = kv;
    shape->pair_flops = 2.0 * flops_per_multiply * query; /* QK and PV */
    shape->kv_flops = shape->pair_flops;
    add(shape, hidden, query + 2.0 * kv, bits);
    add(shape, query, hidden, bits);
}

static void latent_attention(struct layer_shape *shape, const struct model_spec *model,
                             double tp)
{
    const uint32_t bits = model->weight_bits;
    const double hidden = model->hidden;
    const double heads = model->query_heads / tp;
    const double query = heads * model->head_dim;
    const double value = heads * model->v_head_dim;
    const double rank = model->kv_lora_rank;
    const double latent = rank + model->rope_head_dim;
    shape->query_width = query;
    shape->kv_width = latent / 2.0; /* there are no values beside it */
    shape->pair_flops = flops_per_multiply * (query + value);
    shape->kv_flops = flops_per_multiply * heads * (latent + rank);
    if (model->q_lora_rank > 0) {
        add(shape, hidden, model->q_lora_rank + latent, bits);
        add(shape, model->q_lora_rank, query, bits);
    } else {
        add(shape, hidden, query + latent, bits);
    }
    add(shape, rank, heads * model->nope_head_dim + value, bits);
    add(shape, value, hidden, bits);
}

void layer_shape_of(struct layer_shape *shape, const struct model_spec *model,
                    uint32_t tensor_parallel, bool routed)
{
    const double tp = tensor_parallel;
    const double hidden = model->hidden;
    const double sides = model->mlp_gated ? 2.0 : 1.0;
    *shape = (struct layer_shape){0};
    if (model->kv_lora_rank > 0) {
        latent_attention(shape, model, tp);
    } else {
        grouped_attention(shape, model, tp);
    }
    shape->mlp_width = (routed ? model->shared_width : model->mlp_width) / tp;
    shape->mlp_up = sides * shape->mlp_width;
    if (shape->mlp_width > 0.0) {
        add(shape, hidden, shape->mlp_up, model->weight_bits);
        add(shape, shape->mlp_width, hidden, model->weight_bits);
    }
    if (!routed) {
        return;
    }
    const double width = model->expert_width / tp;
    add(shape, hidden, model->experts, BITS_16); /* the router, on every GPU */
    shape->experts = model->experts;
    shape->experts_per_token = model->experts_per_token;
    shape->expert_up =
        (struct layer_product){hidden, sides * width, model->expert_bits};
    shape->expert_down = (struct layer_product){width, hidden, model->expert_bits};
}

uint32_t layer_shape_routed(const struct model_spec *model)
{
    return model->experts == 0 ? 0 : model->layers - model->dense_layers;
}
