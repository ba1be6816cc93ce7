/* SPDX-License-Identifier: Apache-2.0
 *
 * op_table.h: tables of kernel times as aiconfigurator's perf database has them, one
 * file each, plain, gzip or zstd:
 *
 *     SYSTEM.BACKEND-VERSION.gemm_perf.csv
 *     SYSTEM.BACKEND-VERSION.context_attention_perf.csv
 *     SYSTEM.BACKEND-VERSION.generation_attention_perf.csv
 *     SYSTEM.BACKEND-VERSION.custom_allreduce_perf.csv      (optional)
 *
 * Columns are found by name; `latency` is milliseconds of one call. Products are m x k
 * times k x n, of dtype bfloat16 (16 bits), fp8 or int8_wo (8) and nvfp4 or int4_wo
 * (4); others are left out, as are attention in 8 bits, heads that are not 128 wide,
 * prompts behind a cached prefix, and all-reduces outside of a CUDA graph.
 */
#ifndef STACKSIM_SIM_TIMES_OP_TABLE_H
#define STACKSIM_SIM_TIMES_OP_TABLE_H

#include "base/err.h"
#include "sim/times/op_times.h"

enum { OP_NAME_BYTES = 64 };

struct op_gemm {
    uint32_t bits;
    uint32_t m;
    uint32_t n;
    uint32_t k;
    double us;
};

struct op_attention {
    uint32_t kv_bits;
    uint32_t batch;
    uint32_t tokens; /* of a prompt; of a decode's context, the new token included */
    uint32_t heads;
    uint32_t kv_heads;
    double us;
};

struct op_allreduce {
    uint32_t gpus;
    double bytes;
    double us;
};

struct op_table {
    char system[OP_NAME_BYTES];
    char backend[OP_NAME_BYTES]; /* with its version: "vllm-0.24.0" */
    struct op_gemm *gemm;
    struct op_attention *prompt;
    struct op_attention *decode;
    struct op_allreduce *allreduce;
    size_t gemm_count;
    size_t prompt_count;
    size_t decode_count;
    size_t allreduce_count;
    uint64_t left_out; /* rows of a kind that is not read */
};

/* The folder holds a table of products by its name. */
bool op_table_fits(const char *dir);
/* The first system by name that it has tables of; the caller's. NULL: none. */
char *op_table_system(const char *dir);

/* `backend` with or without its version; with several versions the last by name. */
NODISCARD bool op_table_load(struct op_table **out, const char *dir, const char *system,
                             const char *backend, struct err *err);
void op_table_delete(struct op_table *table);

/* Curves for one engine. All fail with a message when no row answers; the caller gives
 * back what they fill.
 *
 * Of a product that was not measured: the nearest one (in log n and log k), its times
 * multiplied by the ratio of the weights. */
NODISCARD bool op_table_gemm(const struct op_table *table,
                             const struct layer_product *product,
                             struct profile_curve *out, struct err *err);
/* Of heads that were not measured: the nearest ones, times multiplied by the ratio of
 * KV heads (decodes) or query heads (prompts). */
NODISCARD bool op_table_decode(const struct op_table *table,
                               const struct op_heads *heads, struct op_grid *out,
                               struct err *err);
NODISCARD bool op_table_prompt(const struct op_table *table,
                               const struct op_heads *heads, struct op_lines *out,
                               struct err *err);
/* By message bytes; count 0 when groups of that size were not measured. */
void op_table_allreduce(const struct op_table *table, uint32_t gpus,
                        struct profile_curve *out);

#endif
