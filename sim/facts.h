/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.h: a GPU and a model as data (configs/gpus, configs/models), each figure with
 * its source beside it in the YAML.
 */
#ifndef STACKSIM_SIM_FACTS_H
#define STACKSIM_SIM_FACTS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct conf_node;

enum { FACT_NAME_BYTES = 64, FACT_POINTS_MAX = 16, FACT_TP_MAX = 4 };

/* Points of a measured curve, ascending in x; linear in log2(x) between, constant
 * outside. */
struct fact_curve {
    uint32_t count;
    double x[FACT_POINTS_MAX];
    double y[FACT_POINTS_MAX];
};

struct gpu_spec {
    char name[FACT_NAME_BYTES];
    uint64_t memory_bytes;             /* visible to CUDA, not the data sheet's */
    double memory_bytes_per_s;         /* data sheet peak */
    double bf16_flops_per_s;           /* dense */
    double fp8_flops_per_s;            /* dense; 0 = none */
    double gemm_memory_efficiency;     /* of peak bandwidth, small batches */
    struct fact_curve gemm_mfu;        /* tokens in the step -> part of peak FLOPS */
    double fp8_gemm_memory_efficiency; /* the same for 8-bit weights; 0 = no figure */
    double fp8_gemm_start_s;           /* quantise and launch, before any byte */
    struct fact_curve fp8_gemm_mfu;    /* of the fp8 peak; no points = no figure */
    double int8_ops_per_s;             /* dense; 0: as fp8, where the GPU has that */
    double fp4_flops_per_s;            /* dense, block-scaled 4-bit floats; 0 = none */
    double fp4_gemm_memory_efficiency; /* scales included: of 4 bits per weight */
    double fp4_gemm_start_s;
    struct fact_curve fp4_gemm_mfu;     /* of the fp4 peak; no points = no figure */
    double decode_attention_efficiency; /* of peak bandwidth */
    double attention_floor_s;           /* least time of one attention kernel */
    struct fact_curve prefill_attention_mfu; /* chunk length -> part of peak FLOPS */
    double small_kernel_s;    /* norm, rope, activation...: one, in a graph */
    uint32_t allreduce_count; /* measured tables, by group size */
    uint32_t allreduce_tp[FACT_TP_MAX];
    struct fact_curve allreduce_s[FACT_TP_MAX]; /* bytes -> seconds, linear in bytes */
    double link_bytes_per_s; /* per direction, fall-back ring formula */
    double link_latency_s;
    double power_w;            /* at work; 0 = unknown */
    double power_idle_w;       /* 0 = unknown */
    double price_per_hour_low; /* US dollars; 0 = unknown */
    double price_per_hour_high;
};

/* Dense or with experts, grouped-query or latent attention (MLA). */
struct model_spec {
    char name[FACT_NAME_BYTES];
    uint32_t layers;
    uint32_t hidden;
    uint32_t query_heads;
    uint32_t kv_heads;
    uint32_t head_dim;
    uint32_t mlp_width;
    bool mlp_gated; /* SwiGLU: three matrices instead of two */
    uint32_t vocabulary;
    bool tied_embeddings;
    uint32_t max_position;  /* tokens */
    uint32_t position_rows; /* of a learned position table; 0 = rotary */
    uint32_t weight_bits;   /* 16 unless quantised */
    uint32_t kv_bits;       /* 16 unless quantised */
    double parameters;      /* as published, for checking against the formulas */
    uint32_t experts;       /* in a layer that has some; 0 = dense model */
    uint32_t experts_per_token;
    uint32_t expert_width;  /* of one */
    uint32_t shared_width;  /* of those that every token takes, together; 0 = none */
    uint32_t dense_layers;  /* the first ones, with mlp_width and no experts */
    uint32_t expert_bits;   /* of their weights */
    uint32_t kv_lora_rank;  /* MLA: cached latent per token and layer; 0 = no MLA */
    uint32_t q_lora_rank;   /* 0 = queries are made directly */
    uint32_t rope_head_dim; /* cached beside the latent, one for all heads */
    uint32_t nope_head_dim; /* of a query or key head, without rope's part */
    uint32_t v_head_dim;
    /* Of an engine's quantization (sim/quantization.h). */
    double scale_bits;            /* per quantised weight, beside weight_bits */
    bool weight_only;             /* products are of 16 bits all the same */
    bool int8;                    /* products at the GPU's rate for whole numbers */
    char format[FACT_NAME_BYTES]; /* for people; "" = as the model's file says */
};

/* `sources:` of any file of facts: where figures come from, under any names. */
NODISCARD bool fact_sources_read(const struct conf_node *map, struct err *err);

NODISCARD bool gpu_spec_load(struct gpu_spec *gpu, const char *path, struct err *err);
NODISCARD bool model_spec_load(struct model_spec *model, const char *path,
                               struct err *err);

/* Parameters by the formulas of spec/vllm-engine.md 10.2, embeddings included; those of
 * MLA and experts as the models' config.json lays them out. */
double model_parameters(const struct model_spec *model);
/* Weights on one GPU of a tensor-parallel group. */
uint64_t model_weight_bytes(const struct model_spec *model, uint32_t tensor_parallel);
/* KV cache of one token on one GPU; KV heads are replicated when fewer than TP, and
 * every GPU of a group holds the whole latent of MLA. */
uint64_t model_kv_bytes_per_token(const struct model_spec *model,
                                  uint32_t tensor_parallel);

#endif
