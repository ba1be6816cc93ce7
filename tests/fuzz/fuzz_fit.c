/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a fit file or an error with a text; what was accepted is written as a
 * file that is accepted again and written alike, and makes steps that take time or is
 * refused for good reason.
 */
#include "base/check.h"
#include "sim/calibrate/step_fit.h"
#include "sim/cost.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_steps(const struct step_fit *fit, const struct conf *conf)
{
    struct err err = {ERR_NONE, ""};
    const struct gpu_spec gpu = {.name = "GPU"};
    const struct model_spec model = {
        .name = "model", .layers = fit->layers, .hidden = fit->hidden};
    const struct engine_config engine = {.tensor_parallel = fit->tensor_parallel,
                                         .max_num_seqs = 8,
                                         .max_num_batched_tokens = 64,
                                         .max_model_len = 4096};
    struct conf *map = NULL;
    CHECK(conf_parse(&map, "cost", "model: affine", 13, &err), "%s", err.text);
    const struct cost_setup setup = {.gpu = &gpu,
                                     .model = &model,
                                     .engine = &engine,
                                     .map = conf_root(map),
                                     .fit = conf_root(conf)};
    struct cost *cost = NULL;
    if (cost_new(&cost, &setup, &err)) {
        const struct decode_cost run = cost_decode(cost, 8, 800, 400);
        const uint32_t last = run.valid_steps < 3000 ? run.valid_steps - 1 : 3000;
        const int64_t there =
            cost_decode(cost, 8, 800 + 8 * (uint64_t)last, 400 + last).first_fx;
        CHECK(run.first_fx > 0 && run.first_fx + run.grow_fx * last == there,
              "the law of cost.h");
        const struct batch_shape shape = {.decodes = 1,
                                          .chunks = 1,
                                          .decode_context = 4000,
                                          .decode_context_max = 4000,
                                          .chunk_tokens_max = 63,
                                          .chunk_tokens = 63,
                                          .chunk_pairs_twice = UINT64_C(63) * 63};
        CHECK(cost_step_fx(cost, &shape) > 0, "a step without time");
        cost_delete(cost);
    }
    CHECK(err.kind == ERR_NONE || err.text[0] != '\0', "an error without a text");
    conf_delete(map);
}

static void check_write(const struct step_fit *fit)
{
    struct text once = {NULL, 0, 0};
    struct text twice = {NULL, 0, 0};
    struct err err = {ERR_NONE, ""};
    struct conf *conf = NULL;
    struct step_fit again;
    step_fit_write(fit, &once);
    CHECK(conf_parse(&conf, "once", once.bytes, once.length, &err) &&
              step_fit_read(&again, conf_root(conf), &err),
          "own fit refused: %s\n%s", err.text, text_str(&once));
    step_fit_write(&again, &twice);
    CHECK(strcmp(text_str(&once), text_str(&twice)) == 0, "%s\nbecame\n%s",
          text_str(&once), text_str(&twice));
    step_fit_fini(&again);
    conf_delete(conf);
    text_fini(&once);
    text_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = NULL;
    struct step_fit fit;
    struct err err = {ERR_NONE, ""};
    if (!conf_parse(&conf, "fit", (const char *)data, size, &err)) {
        return 0;
    }
    if (step_fit_read(&fit, conf_root(conf), &err)) {
        check_steps(&fit, conf);
        check_write(&fit);
        step_fit_fini(&fit);
    } else {
        CHECK(err.text[0] != '\0', "an error without a text");
    }
    conf_delete(conf);
    return 0;
}
