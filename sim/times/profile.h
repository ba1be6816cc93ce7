/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h: kernel times of one GPU, model and tensor-parallel degree, as measured.
 *
 * A folder of CSV files, read by column names (docs/calibration.md): dense.csv,
 * per_sequence.csv, attention.csv, skew.csv; skew_fit.csv, meta.yaml and moe.csv may be
 * absent. Times are microseconds of one layer on one GPU. Nothing is fitted here.
 */
#ifndef STACKSIM_SIM_TIMES_PROFILE_H
#define STACKSIM_SIM_TIMES_PROFILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { PROFILE_NAME_BYTES = 64 };

/* Measured points, ascending in x; linear between, held below the first, extended by
 * the last piece above, never below 0. A point measured twice counts as its mean. */
struct profile_curve {
    size_t count;
    double *x;
    double *us;
};

struct profile_layer {
    char name[PROFILE_NAME_BYTES];
    struct profile_curve time; /* by tokens, or by sequences */
};

/* One chunk with `chunk_context` tokens before it, beside `decodes` of equal length;
 * chunk_tokens = 0: decodes alone. */
struct attention_row {
    uint32_t chunk_tokens;
    uint32_t chunk_context;
    uint32_t decodes;
    uint32_t decode_context; /* of each */
    double us;
};

/* The same with uneven decodes: long_decodes of them have long_context tokens, the
 * others short_context. Times of one iteration (the file has sums of three). */
struct skew_row {
    uint32_t chunk_tokens;
    uint32_t chunk_context;
    uint32_t decodes;
    uint32_t long_decodes;
    uint32_t short_context;
    uint32_t long_context;
    double us;
    double mean_us; /* even batch at the mean */
    double max_us;  /* even batch at the maximum */
};

/* A bucket of LLMServingSim's correction; labels as in the file ("n<=128"). */
struct skew_bucket {
    uint32_t chunk_tokens;
    double decodes_max; /* upper edges, inclusive; infinity in the last bucket */
    double rate_max;
    double long_context_max;
    double chunk_context_max;
    double alpha;
};

/* The experts of one layer on one GPU. */
struct moe_row {
    uint32_t tokens;
    uint32_t activated_experts;
    double us;
};

struct kernel_profile {
    char *dir;
    char *gpu; /* of meta.yaml; "" when it does not say */
    char *model;
    char *vllm_version;
    struct profile_layer *dense;
    size_t dense_count;
    struct profile_layer *rows; /* per_sequence.csv */
    size_t rows_count;
    struct attention_row *attention;
    size_t attention_count;
    struct skew_row *skew;
    size_t skew_count;
    struct skew_bucket *buckets;
    size_t bucket_count;
    bool skew_enabled;    /* meta.yaml's skew_fit.enabled; true when it is silent */
    double alpha_default; /* where no bucket fits */
    struct moe_row *moe;
    size_t moe_count;
};

/* Fails with file:line on a missing column or a bad number. */
NODISCARD bool kernel_profile_load(struct kernel_profile **out, const char *dir,
                                   struct err *err);
void kernel_profile_delete(struct kernel_profile *profile);

double profile_curve_at(const struct profile_curve *curve, double x);
void profile_curve_fini(struct profile_curve *curve);

/* Step totals over `layers` layers, one point per token (sequence) count that occurs in
 * any layer's table: D(T) has layernorm twice per layer, embedding and final_layernorm
 * once, all other layers once per layer; S'(S) has everything once. Fails when there is
 * nothing to add up. The caller gives the curve back. */
NODISCARD bool kernel_profile_dense(const struct kernel_profile *profile,
                                    uint32_t layers, struct profile_curve *out,
                                    struct err *err);
NODISCARD bool kernel_profile_rows(const struct kernel_profile *profile,
                                   struct profile_curve *out, struct err *err);

#endif
