/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_shape.h: what one GPU of a tensor-parallel group multiplies and moves in one
 * transformer layer, from a model's shape alone. Cost models put times to it.
 *
 * Tensor parallelism deals out heads, MLP columns and every expert's columns; whole
 * experts on each GPU (expert parallelism) are the same bytes and the same FLOPs when
 * tokens spread evenly, so they are not told apart.
 */
#ifndef STACKSIM_SIM_TIMES_LAYER_SHAPE_H
#define STACKSIM_SIM_TIMES_LAYER_SHAPE_H

#include "sim/facts.h"

enum { LAYER_PRODUCTS_MAX = 8 };

/* rows x inner times inner x columns; a row is a token. */
struct layer_product {
    double inner;
    double columns;
    uint32_t bits; /* of the weights */
};

struct layer_shape {
    uint32_t count; /* products that every token takes part in */
    struct layer_product products[LAYER_PRODUCTS_MAX];
    double query_width; /* of one token's queries, elements */
    double kv_width;    /* of its keys; as many values (MLA: latent and rope's part) */
    double mlp_width;   /* that every token passes, shared experts included */
    double mlp_up;      /* columns that lead there */
    double pair_flops;  /* of one query token and one key, fresh prompts */
    double kv_flops;    /* of one decode and one cached token */
    /* Experts; 0 = none in this layer. Sizes are of one of them on this GPU. */
    double experts;
    double experts_per_token;
    struct layer_product expert_up;
    struct layer_product expert_down;
};

/* `routed`: a layer with experts; else one of the dense ones. */
void layer_shape_of(struct layer_shape *shape, const struct model_spec *model,
                    uint32_t tensor_parallel, bool routed);

/* Layers with experts. */
uint32_t layer_shape_routed(const struct model_spec *model);

#endif
