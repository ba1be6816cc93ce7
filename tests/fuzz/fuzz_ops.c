/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a fit of op tables or an error with a text; what was accepted is
 * written as a file that is accepted again and written alike, and makes steps that take
 * time and keep the law of cost.h, or is refused for good reason.
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/calibrate/op_fit.h"
#include "sim/cost.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const char map_text[] = "{model: ops, quantise: fused}";

static void check_decode(const struct cost *cost)
{
    for (uint32_t n = 1; n <= 8; n *= 2) {
        const struct decode_cost run = cost_decode(cost, n, 100 * (uint64_t)n, 0);
        const uint32_t last = run.valid_steps < 3000 ? run.valid_steps - 1 : 3000;
        const int64_t there =
            cost_decode(cost, n, (100 + last) * (uint64_t)n, 0).first_fx;
        CHECK(run.grow_fx >= 0 && run.first_fx > 0, "a step without time");
        CHECK(run.first_fx + run.grow_fx * last == there, "the law of cost.h");
    }
}

static void check_steps(const struct conf *conf, uint32_t bits)
{
    struct err err = {ERR_NONE, ""};
    const struct gpu_spec gpu = {.name = "GPU",
                                 .memory_bytes_per_s = 1e12,
                                 .small_kernel_s = 2e-6,
                                 .link_bytes_per_s = 1e11,
                                 .link_latency_s = 1e-6};
    const struct model_spec model = {.name = "model",
                                     .layers = 4,
                                     .hidden = 1024,
                                     .query_heads = 8,
                                     .kv_heads = 2,
                                     .head_dim = 128,
                                     .mlp_width = 2048,
                                     .vocabulary = 4096,
                                     .weight_bits = bits,
                                     .kv_bits = bits == 16 ? 16 : 8};
    const struct engine_config engine = {.tensor_parallel = 2,
                                         .max_num_seqs = 8,
                                         .max_num_batched_tokens = 64,
                                         .max_model_len = 8192};
    struct conf *map = NULL;
    CHECK(conf_parse(&map, "cost", map_text, strlen(map_text), &err), "%s", err.text);
    const struct cost_setup setup = {.gpu = &gpu,
                                     .model = &model,
                                     .engine = &engine,
                                     .map = conf_root(map),
                                     .fit = conf_root(conf)};
    struct cost *cost = NULL;
    if (cost_new(&cost, &setup, &err)) {
        const struct batch_shape shape = {.decodes = 1,
                                          .chunks = 2,
                                          .decode_context = 4000,
                                          .chunk_tokens = 63,
                                          .chunk_pairs_twice = UINT64_C(63) * 63};
        CHECK(cost_step_fx(cost, &shape) > 0, "a step without time");
        check_decode(cost);
        cost_delete(cost);
    }
    CHECK(err.kind == ERR_NONE || err.text[0] != '\0', "an error without a text");
    conf_delete(map);
}

static void check_write(const struct op_fit *fit)
{
    struct text once = {NULL, 0, 0};
    struct text twice = {NULL, 0, 0};
    struct err err = {ERR_NONE, ""};
    struct conf *conf = NULL;
    struct op_fit *again = mem_alloc(1, sizeof *again);
    op_fit_write(fit, &once);
    CHECK(conf_parse(&conf, "once", once.bytes, once.length, &err) &&
              op_fit_read(again, conf_root(conf), &err),
          "own fit refused: %s\n%s", err.text, text_str(&once));
    op_fit_write(again, &twice);
    CHECK(strcmp(text_str(&once), text_str(&twice)) == 0, "%s\nbecame\n%s",
          text_str(&once), text_str(&twice));
    mem_free(again);
    conf_delete(conf);
    text_fini(&once);
    text_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = NULL;
    struct err err = {ERR_NONE, ""};
    if (!conf_parse(&conf, "fit", (const char *)data, size, &err)) {
        return 0;
    }
    struct op_fit *fit = mem_alloc(1, sizeof *fit);
    if (op_fit_read(fit, conf_root(conf), &err)) {
        check_write(fit);
        check_steps(conf, 16);
        check_steps(conf, 8);
    } else {
        CHECK(err.text[0] != '\0', "an error without a text");
    }
    mem_free(fit);
    conf_delete(conf);
    return 0;
}
