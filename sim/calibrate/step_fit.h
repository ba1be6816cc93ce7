/* SPDX-License-Identifier: Apache-2.0
 *
 * step_fit.h: the coefficients of cost model `affine`, as one YAML file holds them.
 *
 * With K = sum and kmax = largest decode context, n decodes, Q = sum of the chunks' new
 * tokens q, W = sum q (k + q/2) with k tokens before them, N = n + chunks, qmax the
 * longest chunk, attention takes per layer, in ns:
 *
 *     split    a0 + a1 n + a2 K                  while n KV heads leave SMs idle
 *     unsplit  b0 + b1 n + b2 K + b3 kmax        one SM works on one sequence and head
 *     mixed    m0 + m1 n + m2 K + m3 Q + m4 W + m5 N ceil(qmax / 64)
 *              + m6 max(0, kmax - K / n)
 *
 * and `semi_physical` replaces `unsplit` by t0 + t1 n + (x^p + y^p)^(1/p), x = K u / e,
 * y = max(0, 1 - 1/H - SMs / (n H)) K u + kmax / r, with H KV heads on the GPU and u
 * the time that one token's keys and values of one layer take at peak bandwidth.
 * docs/calibration.md describes the file.
 */
#ifndef STACKSIM_SIM_CALIBRATE_STEP_FIT_H
#define STACKSIM_SIM_CALIBRATE_STEP_FIT_H

#include "base/conf.h"
#include "sim/facts.h"
#include "sim/times/profile.h"
#include "stats/fit.h"

enum { STEP_FIT_SOURCE_BYTES = 256 };
enum step_regime { STEP_SPLIT, STEP_UNSPLIT, STEP_MIXED, STEP_REGIMES };
enum step_form { STEP_AFFINE, STEP_SEMI_PHYSICAL };
enum { STEP_TERMS_MAX = 7 };

struct semi_physical {
    bool known;
    double constant_us;      /* t0 */
    double per_decode_us;    /* t1 */
    double efficiency;       /* e: part of peak bandwidth */
    double sm_tokens_per_us; /* r: one SM's rate */
    double exponent;         /* p >= 2 */
    double mean_abs_error;   /* over the rows of `unsplit` */
};

struct step_fit {
    char gpu[FACT_NAME_BYTES];
    char model[FACT_NAME_BYTES];
    char source[STEP_FIT_SOURCE_BYTES];
    uint32_t tensor_parallel;
    uint32_t layers;
    uint32_t hidden;
    uint32_t kv_heads;         /* on one GPU */
    uint32_t kv_token_bytes;   /* of one layer on one GPU, keys and values */
    uint32_t sm_count;         /* 0 = unknown: no semi-physical form */
    double memory_bytes_per_s; /* peak; 0 = unknown */
    uint64_t l2_bytes;         /* 0 = unknown */
    double unsplit_from;       /* decodes: split below, unsplit from here */
    enum step_form form;       /* of decode batches beyond the split */
    struct fit_result regimes[STEP_REGIMES]; /* ns, terms in the order above */
    struct semi_physical semi;
    double cliff_factor;               /* of m2 when the KV of a head exceeds L2 */
    bool cliff_measured;               /* false: 2.5, for want of data */
    struct profile_curve dense_us;     /* D(T) */
    struct profile_curve rows_us;      /* S'(S) */
    struct profile_curve allreduce_us; /* by message bytes; count 0 = no table */
    uint32_t experts;                  /* of a layer; 0 = dense */
    uint32_t experts_per_token;
    struct moe_row *moe; /* experts of one layer on one GPU, as measured */
    size_t moe_count;
    double scale_decode; /* found on a run; 0 = 1 when written; as cost's own keys */
    double scale_mixed;
    char calibrated[STEP_FIT_SOURCE_BYTES]; /* on what, with intervals; "" = on nothing
                                             */
};

/* "constant", "per_decode", ...; NULL past the last term of the regime. */
const char *step_term_name(enum step_regime regime, size_t term);
size_t step_term_count(enum step_regime regime);
const char *step_regime_name(enum step_regime regime);
const char *step_form_name(enum step_form form);

/* No step's attention (all layers) is longer for an engine of `rows` slots, `tokens` in
 * a step, `length` in a sequence: a sum of everything, far above the truth. */
double step_fit_longest_us(const struct step_fit *fit, double rows, double tokens,
                           double length);

void step_fit_write(const struct step_fit *fit, struct text *out);
/* Knows every key of the file; the caller checks for others with conf_done. */
NODISCARD bool step_fit_read(struct step_fit *fit, const struct conf_node *root,
                             struct err *err);
void step_fit_fini(struct step_fit *fit);

#endif
