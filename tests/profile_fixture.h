/* SPDX-License-Identifier: Apache-2.0
 *
 * profile_fixture.h: a small kernel profile whose times obey the formulas of
 * sim/calibrate/step_fit.h exactly, for tests that must know the answer.
 */
#ifndef STACKSIM_TESTS_PROFILE_FIXTURE_H
#define STACKSIM_TESTS_PROFILE_FIXTURE_H

#include "base/text.h"
#include "sim/calibrate/calibrate.h"
#include "tests/harness.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ns; 100 SMs and 4 KV heads: unsplit from 40 decodes. */
static const double fixture_split[] = {10000, 300, 4};
static const double fixture_unsplit[] = {20000, 70, 3, 17};
static const double fixture_mixed[] = {15000, 900, 6, 8, 0.25, 60, 21};

static inline struct model_spec fixture_model(void)
{
    return (struct model_spec){.name = "toy",
                               .layers = 10,
                               .hidden = 1024,
                               .query_heads = 8,
                               .kv_heads = 4,
                               .head_dim = 128,
                               .mlp_width = 4096,
                               .mlp_gated = true,
                               .vocabulary = 32000,
                               .weight_bits = 16,
                               .kv_bits = 16};
}

static inline struct calibrate_gpu fixture_gpu(void)
{
    return (struct calibrate_gpu){.name = "toy GPU",
                                  .sm_count = 100,
                                  .memory_bytes_per_s = 1e12,
                                  .l2_bytes = UINT64_C(128) << 20,
                                  .tensor_parallel = 1};
}

/* us of one layer's attention. */
static inline double fixture_attention_us(double q, double k, double n, double sum,
                                          double longest)
{
    if (q > 0.0) {
        const double *m = fixture_mixed;
        const double mean = n > 0.0 ? sum / n : 0.0;
        return (m[0] + m[1] * n + m[2] * sum + m[3] * q + m[4] * q * (k + q / 2) +
                m[5] * (n + 1) * ceil(q / 64) + m[6] * (longest - mean)) /
               1e3;
    }
    if (n < 40.0) {
        return (fixture_split[0] + fixture_split[1] * n + fixture_split[2] * sum) / 1e3;
    }
    const double *b = fixture_unsplit;
    return (b[0] + b[1] * n + b[2] * sum + b[3] * longest) / 1e3;
}

static inline const char *fixture_folder(void)
{
    static const char *const optional[] = {"moe.csv", "skew_fit.csv", "meta.yaml"};
    const char *path = harness_temp("profile");
    REQUIRE(mkdir(path, 0777) == 0 || errno == EEXIST);
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        char file[512];
        snprintf(file, sizeof file, "%s/%s", path, optional[i]);
        (void)remove(file); /* of the test before */
    }
    return path;
}

static inline void fixture_file(const char *name, struct text *content)
{
    char path[128];
    snprintf(path, sizeof path, "profile/%s", name);
    harness_temp_file(path, content->bytes, content->length);
    text_fini(content);
}

/* One chunk with all numbers of decodes, each at all contexts. */
static inline void fixture_attention_chunk(struct text *out, int q, int k)
{
    if (q > 0) {
        text_printf(out, "%d,%d,0,0,%.9g\n", q, k,
                    fixture_attention_us(q, k, 0, 0.0, 0));
    }
    for (int n = 1; n <= 128; n *= 2) {
        for (int c = 128; c <= 4096; c *= 2) {
            text_printf(out, "%d,%d,%d,%d,%.9g\n", q, k, n, c,
                        fixture_attention_us(q, k, n, (double)n * c, c));
        }
    }
}

static inline void fixture_attention(void)
{
    struct text out = {0};
    text_add(&out, "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n");
    for (int q = 0; q <= 1024; q = q == 0 ? 32 : 4 * q) {
        for (int k = 0; k <= (q > 0 ? 2048 : 0); k = k == 0 ? 512 : 4 * k) {
            fixture_attention_chunk(&out, q, k);
        }
    }
    fixture_file("attention.csv", &out);
}

static inline void fixture_skew(void)
{
    struct text out = {0};
    text_add(&out, "n,nb,pc,kp,kvs,kv_big,t_mean_us,t_max_us,t_skew_us\n");
    for (int q = 0; q <= 256; q += 256) {
        for (int n = 4; n <= 128; n *= 2) {
            for (int small = 128; small <= 1024; small *= 2) {
                const double sum = (n - 1.0) * small + 4.0 * small;
                const double us = fixture_attention_us(q, 0, n, sum, 4.0 * small);
                text_printf(&out, "%d,1,%d,0,%d,%d,1,1,%.9g\n", n, q, small, 4 * small,
                            3.0 * us);
            }
        }
    }
    fixture_file("skew.csv", &out);
}

/* D(T) = 5 + 10 (2 + 3 + T) us, S'(S) = 40 + 2 S us. */
static inline void fixture_layers(void)
{
    struct text dense = {0};
    struct text rows = {0};
    text_add(&dense, "layer,tokens,time_us\n");
    text_add(&rows, "layer,sequences,time_us\n");
    for (int t = 1; t <= 4096; t *= 2) {
        text_printf(&dense,
                    "embedding,%d,3\nfinal_layernorm,%d,2\nlayernorm,%d,1\n"
                    "o_proj,%d,3\nqkv_proj,%d,%d\n",
                    t, t, t, t, t, t);
        text_printf(&rows, "lm_head,%d,%d\nsampler,%d,10\n", t, 30 + 2 * t, t);
    }
    fixture_file("dense.csv", &dense);
    fixture_file("per_sequence.csv", &rows);
}

/* Returns the folder. */
static inline const char *fixture_profile(void)
{
    const char *path = fixture_folder();
    fixture_attention();
    fixture_skew();
    fixture_layers();
    return path;
}

#endif
