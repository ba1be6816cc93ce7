/* SPDX-License-Identifier: Apache-2.0
 *
 * op_fit.h: tables of kernel times, reduced to lines, as one YAML file of configs/fits
 * holds them (docs/calibration.md). Each kind of kernel has knots, and at each knot a
 * line in sizes, in us:
 *
 *     products of m rows      constant + per_weight n k + per_column n + per_inner k
 *     decodes of n sequences  constant + per_head h + per_kv_head g + per_kv_token g c
 *     prompts of t tokens     constant + per_prompt_head b h + per_prompt_kv_head b g
 *
 * with weights in millions, columns and inner width in thousands, contexts c in
 * thousands, and b prompts. Between knots times are linear. No coefficient is negative.
 */
#ifndef STACKSIM_SIM_CALIBRATE_OP_FIT_H
#define STACKSIM_SIM_CALIBRATE_OP_FIT_H

#include "base/conf.h"
#include "base/text.h"
#include "sim/times/op_table.h"
#include "stats/fit.h"

enum { OP_KNOTS_MAX = 20, OP_TERMS_MAX = 4, OP_GROUPS_MAX = 4 };
enum { OP_MESSAGES_MAX = 32, OP_SOURCE_BYTES = 256 };

#define OP_FAMILIES(X)                                                                 \
    X(GEMM_16, "products_16_bit", "rows", "products of 16-bit weights")                \
    X(GEMM_8, "products_8_bit", "rows", "products of 8-bit weights")                   \
    X(GEMM_4, "products_4_bit", "rows", "products of 4-bit weights")                   \
    X(DECODE_16, "decode_16_bit", "sequences", "decode attention, 16-bit KV")          \
    X(DECODE_8, "decode_8_bit", "sequences", "decode attention, 8-bit KV")             \
    X(PROMPT_16, "prompt_16_bit", "tokens", "prompt attention, 16-bit KV")             \
    X(PROMPT_8, "prompt_8_bit", "tokens", "prompt attention, 8-bit KV")

enum op_family {
#define X(id, key, axis, help) OP_##id,
    OP_FAMILIES(X)
#undef X
        OP_FAMILY_COUNT,
};

const char *op_family_key(enum op_family family);
const char *op_family_axis(enum op_family family);
const char *op_family_help(enum op_family family);
/* NULL past the last one. */
const char *op_term_name(enum op_family family, size_t term);
size_t op_term_count(enum op_family family);
/* What the terms multiply: a and b are n and k; heads and kv_heads (kv_heads_tokens:
 * context); b h and b g. context is read for decodes alone. */
void op_terms(enum op_family family, double a, double b, double context,
              double out[OP_TERMS_MAX]);

struct op_knot {
    double at;
    struct fit_result fit;
};

struct op_fit_family {
    size_t count; /* 0: nothing was measured */
    struct op_knot knots[OP_KNOTS_MAX];
    size_t rows;
    double mean_abs_error; /* over all its rows */
    double worst_abs_error;
};

struct op_fit {
    char system[OP_NAME_BYTES];
    char backend[OP_NAME_BYTES];
    char source[OP_SOURCE_BYTES];
    struct op_fit_family families[OP_FAMILY_COUNT];
    uint32_t group_count; /* of all-reduces */
    uint32_t groups[OP_GROUPS_MAX];
    size_t message_count[OP_GROUPS_MAX];
    double message_bytes[OP_GROUPS_MAX][OP_MESSAGES_MAX];
    double message_us[OP_GROUPS_MAX][OP_MESSAGES_MAX];
};

void op_fit_write(const struct op_fit *fit, struct text *out);
/* Knows every key of the file; the caller checks for others with conf_done. */
NODISCARD bool op_fit_read(struct op_fit *fit, const struct conf_node *root,
                           struct err *err);

/* As those of op_table.h. Products of 8 and 4 bits were measured with quantising their
 * input; `fused`: the kernel before does so, and what does not depend on the weights
 * (constant, per_inner) is no more than of a 16-bit product at the same knot. */
NODISCARD bool op_fit_gemm(const struct op_fit *fit,
                           const struct layer_product *product, bool fused,
                           struct profile_curve *out, struct err *err);
NODISCARD bool op_fit_decode(const struct op_fit *fit, const struct op_heads *heads,
                             struct op_grid *out, struct err *err);
NODISCARD bool op_fit_prompt(const struct op_fit *fit, const struct op_heads *heads,
                             struct op_lines *out, struct err *err);
void op_fit_allreduce(const struct op_fit *fit, uint32_t gpus,
                      struct profile_curve *out);

#endif
