/* SPDX-License-Identifier: Apache-2.0
 *
 * op_fixture.h: small op tables whose times obey the lines of sim/calibrate/op_fit.h
 * exactly, for tests that must know the answer.
 */
#ifndef STACKSIM_TESTS_OP_FIXTURE_H
#define STACKSIM_TESTS_OP_FIXTURE_H

#include "sim/calibrate/op_fit.h"
#include "tests/harness.h"

#include <stdio.h>

/* us: of products of m rows, of n decodes, of prompts of t tokens. */
static inline double fixture_gemm_us(double m, double n, double k, double bits)
{
    return 3.0 + n * k / 1e6 * (bits / 32.0 + m / 400.0) + 0.01 * n / 1e3 * m +
           0.02 * k / 1e3 * m;
}

static inline double fixture_decode_us(double n, double heads, double kv_heads,
                                       double context)
{
    return 9.0 + 0.01 * n * heads + 0.02 * n * kv_heads +
           0.15 * n * kv_heads * context / 1e3;
}

static inline double fixture_prompt_us(double prompts, double tokens, double heads,
                                       double kv_heads)
{
    return 12.0 + prompts * heads * (tokens / 1e4 + tokens * tokens / 1e7) +
           prompts * kv_heads * tokens / 2e4;
}

static inline FILE *fixture_op_file(const char *folder, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/toy.vllm-1.2.%s.csv", folder, name);
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    return file;
}

static inline void fixture_op_products(const char *folder)
{
    static const int rows[] = {1, 8, 64, 512, 4096};
    static const int widths[] = {512, 1024, 2048, 4096, 8192, 14336};
    FILE *file = fixture_op_file(folder, "gemm_perf");
    fputs("extra,gemm_dtype,m,n,k,latency\nx,fp8_block,1,512,512,9\n", file);
    for (size_t m = 0; m < sizeof rows / sizeof rows[0]; m++) {
        for (size_t i = 0; i < 36; i++) {
            const int n = widths[i / 6];
            const int k = widths[i % 6];
            fprintf(file, "x,bfloat16,%d,%d,%d,%.9g\nx,fp8,%d,%d,%d,%.9g\n", rows[m], n,
                    k, fixture_gemm_us(rows[m], n, k, 16) / 1e3, rows[m], n, k,
                    fixture_gemm_us(rows[m], n, k, 8) / 1e3);
        }
    }
    REQUIRE(fclose(file) == 0);
}

static inline void fixture_op_attention(const char *folder)
{
    static const int batches[] = {1, 4, 16, 64, 256};
    static const int heads[] = {4, 8, 16, 32};
    static const int contexts[] = {63, 255, 1023, 4095, 16383};
    static const int lengths[] = {64, 256, 1024, 2048, 3072, 4096};
    static const char header[] =
        "batch_size,isl,num_heads,num_key_value_heads,head_dim,"
        "attn_dtype,kv_cache_dtype,step,latency\n";
    FILE *decode = fixture_op_file(folder, "generation_attention_perf");
    FILE *prompt = fixture_op_file(folder, "context_attention_perf");
    fputs(header, decode);
    fputs(header, prompt);
    for (size_t i = 0; i < 40; i++) {
        const int batch = batches[i / 8];
        const int h = heads[i / 2 % 4];
        const int g = i % 2 == 0 ? h : h / 4;
        for (size_t j = 0; j < 5; j++) {
            fprintf(decode, "%d,1,%d,%d,128,bfloat16,bfloat16,%d,%.9g\n", batch, h, g,
                    contexts[j], fixture_decode_us(batch, h, g, contexts[j] + 1) / 1e3);
        }
        for (size_t j = 0; j < 6; j++) {
            fprintf(prompt, "%d,%d,%d,%d,128,bfloat16,bfloat16,0,%.9g\n", batch,
                    lengths[j], h, g, fixture_prompt_us(batch, lengths[j], h, g) / 1e3);
        }
    }
    fputs("1,1,4,4,64,bfloat16,bfloat16,9,1\n", decode); /* other heads */
    REQUIRE(fclose(decode) == 0);
    REQUIRE(fclose(prompt) == 0);
}

static inline void fixture_op_allreduce(const char *folder)
{
    FILE *file = fixture_op_file(folder, "custom_allreduce_perf");
    fputs("num_gpus,message_size,latency,backend\n2,4096,9,vllm_eager\n", file);
    for (int elements = 128; elements <= 1 << 24; elements *= 2) {
        fprintf(file, "2,%d,%.9g,vllm_graph\n", elements, 0.004 + elements / 5e7);
    }
    REQUIRE(fclose(file) == 0);
}

/* Into this folder, which is there. */
static inline void fixture_op_tables(const char *folder)
{
    fixture_op_products(folder);
    fixture_op_attention(folder);
    fixture_op_allreduce(folder);
}

#endif
