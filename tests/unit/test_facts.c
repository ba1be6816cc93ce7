/* SPDX-License-Identifier: Apache-2.0
 *
 * test_facts.c: every file in configs/gpus and configs/models loads, its figures are
 * those of the specification, and nonsense is refused by file, line and key.
 */
#include "sim/facts.h"
#include "tests/harness.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char gpu_text[] = "name: G\n"
                               "memory_bytes: 80GiB\n"
                               "memory_bytes_per_s: 3TB\n"
                               "bf16_flops_per_s: 900T\n"
                               "gemm_memory_efficiency: 0.8\n"
                               "gemm_mfu: {128: 0.3, 512: 0.8}\n"
                               "decode_attention_efficiency: 0.8\n"
                               "attention_floor: 10us\n"
                               "prefill_attention_mfu: {512: 0.1, 1024: 0.3}\n"
                               "small_kernel: 2us\n"
                               "link_bytes_per_s: 100GB\n"
                               "link_latency: 5us\n";

static const char model_text[] = "name: M\n"
                                 "layers: 32\n"
                                 "hidden: 4096\n"
                                 "query_heads: 32\n"
                                 "kv_heads: 8\n"
                                 "head_dim: 128\n"
                                 "mlp_width: 14336\n"
                                 "vocabulary: 128256\n"
                                 "max_position_tokens: 8192\n";

/* The text with its line that starts with `key` replaced, or one added. */
static const char *file_with(const char *text, const char *key, const char *line)
{
    char changed[2048] = "";
    bool replaced = false;
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n") + 1;
        const size_t at = strlen(changed);
        if (strncmp(text, key, strlen(key)) == 0) {
            replaced = true;
            snprintf(changed + at, sizeof changed - at, "%s\n", line);
        } else {
            snprintf(changed + at, sizeof changed - at, "%.*s", (int)length, text);
        }
        text += length;
    }
    if (!replaced) {
        const size_t at = strlen(changed);
        snprintf(changed + at, sizeof changed - at, "%s\n", line);
    }
    return harness_temp_file("facts.yaml", changed, strlen(changed));
}

static void expect_gpu_refused(const char *key, const char *line, const char *part)
{
    struct gpu_spec gpu;
    struct err err = {0};
    harness_note("%s", line);
    EXPECT_FAILS(gpu_spec_load(&gpu, file_with(gpu_text, key, line), &err), &err, part);
    EXPECT_HAS(err.text, "facts.yaml:");
}

static void expect_model_refused(const char *key, const char *line, const char *part)
{
    struct model_spec model;
    struct err err = {0};
    harness_note("%s", line);
    EXPECT_FAILS(model_spec_load(&model, file_with(model_text, key, line), &err), &err,
                 part);
    EXPECT_HAS(err.text, "facts.yaml:");
}

static void nonsense_in_a_gpu_file_is_refused(void)
{
    struct gpu_spec gpu;
    struct err err = {0};
    REQUIRE_OK(gpu_spec_load(&gpu, file_with(gpu_text, "name:", "name: G"), &err),
               &err);
    expect_gpu_refused("memory_bytes:", "memory_bytes: 80", "memory_bytes");
    expect_gpu_refused("memory_bytes:", "memory_bytes: 80KB", "unit");
    expect_gpu_refused("memory_bytes_per_s:", "memory_bytes_per_s: 0B", "unit");
    expect_gpu_refused("bf16_flops_per_s:", "bf16_flops_per_s: -1", "bf16_flops");
    expect_gpu_refused("bf16_flops_per_s:", "bf16_flops_per_s: 900", "outside");
    expect_gpu_refused("attention_floor:", "attention_floor: 10s", "attention_floor");
    expect_gpu_refused("gemm_memory_eff", "gemm_memory_efficiency: 1.2", "outside");
    expect_gpu_refused("gemm_mfu:", "gemm_mfu: {512: 0.8, 128: 0.3}", "sort them");
    expect_gpu_refused("gemm_mfu:", "gemm_mfu: {nan: 0.8}", "no number");
    expect_gpu_refused("gemm_mfu:", "gemm_mfu: {128x: 0.8}", "no number");
    expect_gpu_refused("gemm_mfu:", "gemm_mfu: {}", "points");
    expect_gpu_refused("gemm_mfu:", "gemm_mfu: {128: 1.3}", "outside");
    expect_gpu_refused("gemm_mfu:", "# none", "gemm_mfu");
    expect_gpu_refused("name:", "name: ''", "1 to");
    expect_gpu_refused("power", "power_watt: 700", "power_w");
    expect_gpu_refused("allreduce", "allreduce_us: {1: {16: 4}}", "group sizes");
    expect_gpu_refused("allreduce", "allreduce_us: {-2: {16: 4}}", "group sizes");
    expect_gpu_refused("allreduce", "allreduce_us: {4: {16: 4}, 2: {16: 4}}", "ascend");
    expect_gpu_refused("fp4_gemm_mfu", "fp4_gemm_mfu: {128: 0.2}", "fp4_flops_per_s");
    expect_gpu_refused("fp8_gemm_mfu", "fp8_gemm_mfu: {128: 0.2}", "fp8_flops_per_s");
    expect_gpu_refused("price", "price_per_hour_low_usd: 3", "above");
    expect_gpu_refused("sources", "sources: {a: [1]}", "sources");
}

static void nonsense_in_a_model_file_is_refused(void)
{
    struct model_spec model;
    struct err err = {0};
    REQUIRE_OK(model_spec_load(&model, file_with(model_text, "name:", "name: M"), &err),
               &err);
    expect_model_refused("layers:", "layers: 0", "layers");
    expect_model_refused("layers:", "layers: many", "layers");
    expect_model_refused("layers:", "# none", "layers");
    expect_model_refused("kv_heads:", "kv_heads: 7", "does not divide");
    expect_model_refused("weight_bits", "weight_bits: 5", "4, 8 or 16");
    expect_model_refused("kv_bits", "kv_bits: 12", "8 or 16");
    expect_model_refused("parameters", "parameters: 9G", "one of them is wrong");
    expect_model_refused("layer_count", "layer_count: 3", "layers");
}

/* Several lines at once, in place of one. */
static void half_of_experts_or_latent_attention_is_refused(void)
{
    static const char key[] = "mlp_width";
    static const struct {
        const char *lines;
        const char *part;
    } cases[] = {
        {"mlp_width: 9\nexperts: 8", "needs experts_per_token"},
        {"mlp_width: 9\nexpert_width: 8", "means nothing without experts"},
        {"mlp_width: 9\ndense_layers: 3", "means nothing without experts"},
        {"mlp_width: 9\nexperts: 8\nexperts_per_token: 9\nexpert_width: 64",
         "9 of 8 experts"},
        {"mlp_width: 9\nexperts: 8\nexperts_per_token: 2\nexpert_width: 64\n"
         "dense_layers: 32",
         "leave none"},
        {"mlp_width: 9\nexperts: 8\nexperts_per_token: 2\nexpert_width: 64\n"
         "expert_weight_bits: 6",
         "4, 8 or 16"},
        {"mlp_width: 9\nkv_lora_rank: 512", "needs qk_rope_head_dim"},
        {"mlp_width: 9\nq_lora_rank: 512", "means nothing without kv_lora_rank"},
        {"mlp_width: 9\nkv_lora_rank: 512\nqk_rope_head_dim: 64\n"
         "qk_nope_head_dim: 128\nv_head_dim: 128",
         "head_dim: 128"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_model_refused(key, cases[i].lines, cases[i].part);
    }
}

static void message_names_file_line_and_the_nearest_key(void)
{
    struct gpu_spec gpu;
    struct err err = {0};
    const char *path = file_with(gpu_text, "small_kernel:", "smal_kernel: 2us");
    EXPECT_FAILS(gpu_spec_load(&gpu, path, &err), &err, "small_kernel");
    path = file_with(gpu_text, "unknown", "gem_mfu: {1: 0.5}");
    EXPECT_FAILS(gpu_spec_load(&gpu, path, &err), &err, "facts.yaml:13");
    EXPECT_HAS(err.text, "gemm_mfu");
    EXPECT_FAILS(gpu_spec_load(&gpu, "no/such.yaml", &err), &err, "no/such.yaml");
}

static unsigned each_file(const char *folder, void (*visit)(const char *path))
{
    char path[512];
    unsigned count = 0;
    DIR *dir = opendir(harness_source(folder));
    if (!REQUIRE(dir != NULL)) {
        return 0;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL;
         entry = readdir(dir)) {
        if (strstr(entry->d_name, ".yaml") != NULL) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            harness_note("%s", path);
            visit(harness_source(path));
            count++;
        }
    }
    closedir(dir);
    return count;
}

static void gpu_loads(const char *path)
{
    struct gpu_spec gpu;
    struct err err = {0};
    EXPECT_OK(gpu_spec_load(&gpu, path, &err), &err);
}

static void model_loads_and_counts_its_parameters(const char *path)
{
    struct model_spec model;
    struct err err = {0};
    EXPECT_OK(model_spec_load(&model, path, &err), &err);
    EXPECT(model.parameters > 0);
    EXPECT_CLOSE(model_parameters(&model), model.parameters, 0.01);
}

static void every_shipped_file_loads(void)
{
    EXPECT(each_file("configs/gpus", gpu_loads) >= 8);
    EXPECT(each_file("configs/models", model_loads_and_counts_its_parameters) >= 12);
}

/* The KV column of spec/vllm-engine.md 10.9, KiB per token at TP 1, and weights. */
static void kv_and_weights_are_those_of_the_table(void)
{
    static const struct {
        const char *name;
        unsigned kv_kib;
        double weights_gib;
    } rows[] = {{"opt_125m", 36, 0.233},       {"llama_3_1_8b", 128, 14.96},
                {"llama_3_1_70b", 320, 131.4}, {"qwen3_8b", 144, 15.26},
                {"qwen3_32b", 256, 61.0},      {"mistral_7b", 128, 13.5}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[128];
        struct model_spec model;
        struct err err = {0};
        harness_note("%s", rows[i].name);
        snprintf(path, sizeof path, "configs/models/%s.yaml", rows[i].name);
        REQUIRE_OK(model_spec_load(&model, harness_source(path), &err), &err);
        EXPECT_U64(model_kv_bytes_per_token(&model, 1),
                   UINT64_C(1024) * rows[i].kv_kib);
        EXPECT_CLOSE((double)model_weight_bytes(&model, 1) / 1073741824.0,
                     rows[i].weights_gib, 0.005);
    }
}

static void kv_heads_are_copied_when_fewer_than_the_group(void)
{
    struct model_spec model;
    struct err err = {0};
    REQUIRE_OK(model_spec_load(
                   &model, harness_source("configs/models/llama_3_1_70b.yaml"), &err),
               &err);
    EXPECT_U64(model_kv_bytes_per_token(&model, 2), UINT64_C(160) * 1024);
    EXPECT_U64(model_kv_bytes_per_token(&model, 8), UINT64_C(40) * 1024);
    EXPECT_U64(model_kv_bytes_per_token(&model, 16), UINT64_C(40) * 1024);
    EXPECT_CLOSE((double)model_weight_bytes(&model, 2),
                 (double)model_weight_bytes(&model, 1) / 2, 1e-9);
}

static void quantised_layers_shrink_and_embeddings_do_not(void)
{
    struct model_spec model;
    struct err err = {0};
    REQUIRE_OK(model_spec_load(&model,
                               file_with(model_text, "weight_bits", "weight_bits: 8"),
                               &err),
               &err);
    const double embeddings = 2.0 * 128256 * 4096;
    const double layers = model_parameters(&model) - embeddings;
    EXPECT_CLOSE((double)model_weight_bytes(&model, 1), layers + 2 * embeddings, 1e-9);
}

/* arXiv 2412.19437: 671 G parameters; 70 KB of latents per token, on every GPU. */
static void latents_are_cached_whole_on_every_gpu(void)
{
    struct model_spec model;
    struct err err = {0};
    REQUIRE_OK(model_spec_load(&model,
                               harness_source("configs/models/deepseek_v3.yaml"), &err),
               &err);
    EXPECT_U64(model_kv_bytes_per_token(&model, 1), UINT64_C(576) * 2 * 61);
    EXPECT_U64(model_kv_bytes_per_token(&model, 8), UINT64_C(576) * 2 * 61);
}

/* Mixtral 8x7B: 46.7 G parameters, 45.1 G of them in experts. */
static void experts_have_a_precision_of_their_own(void)
{
    struct model_spec model;
    struct err err = {0};
    REQUIRE_OK(model_spec_load(
                   &model, harness_source("configs/models/mixtral_8x7b.yaml"), &err),
               &err);
    const uint64_t whole = model_weight_bytes(&model, 1);
    EXPECT_U64(model.expert_bits, 16);
    model.expert_bits = 4;
    const double experts = 32.0 * 8 * 3 * 4096 * 14336;
    EXPECT_CLOSE((double)(whole - model_weight_bytes(&model, 1)), 1.5 * experts, 1e-9);
}

static void h100_is_as_its_data_sheet(void)
{
    struct gpu_spec gpu;
    struct err err = {0};
    REQUIRE_OK(gpu_spec_load(&gpu, harness_source("configs/gpus/h100_sxm.yaml"), &err),
               &err);
    EXPECT_STR(gpu.name, "H100-SXM");
    EXPECT_CLOSE((double)gpu.memory_bytes, 79.2 * 1073741824.0, 1e-6);
    EXPECT_CLOSE(gpu.memory_bytes_per_s, 3.35e12, 1e-9);
    EXPECT_CLOSE(gpu.bf16_flops_per_s, 989e12, 1e-9);
    EXPECT_U64(gpu.allreduce_count, 3);
    EXPECT_U64(gpu.allreduce_tp[2], 8);
    EXPECT_CLOSE(gpu.allreduce_s[0].y[3], 12.4e-6, 1e-9);
    EXPECT_CLOSE(gpu.small_kernel_s, 2.5e-6, 1e-9);
    EXPECT_U64(gpu.fp8_gemm_mfu.count, 6);
}

HARNESS_MAIN("facts", TEST(nonsense_in_a_gpu_file_is_refused),
             TEST(nonsense_in_a_model_file_is_refused),
             TEST(half_of_experts_or_latent_attention_is_refused),
             TEST(latents_are_cached_whole_on_every_gpu),
             TEST(experts_have_a_precision_of_their_own),
             TEST(message_names_file_line_and_the_nearest_key),
             TEST(every_shipped_file_loads),
             TEST(kv_and_weights_are_those_of_the_table),
             TEST(kv_heads_are_copied_when_fewer_than_the_group),
             TEST(quantised_layers_shrink_and_embeddings_do_not),
             TEST(h100_is_as_its_data_sheet))
