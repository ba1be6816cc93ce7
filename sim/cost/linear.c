/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.c: a step costs so much, and so much for everything in it. No GPU works like
 * this; queueing theory does, and a test can be worked out by hand.
 */
#include "sim/cost/fx.h"
#include "sim/cost/model.h"

struct linear {
    int64_t step_ns;
    int64_t decode_ns;
    int64_t context_ns;
    int64_t chunk_ns;
    int64_t chunk_token_ns;
};

/* An hour a step is far beyond any test and far from overflow. */
static const double longest_step_ns = 3600e9;

static double longest_ns(const struct linear *linear,
                         const struct engine_config *engine)
{
    const double sequences = engine->max_num_seqs;
    const double context = sequences * engine->max_model_len;
    return (double)linear->step_ns + (double)linear->decode_ns * sequences +
           (double)linear->context_ns * context + (double)linear->chunk_ns * sequences +
           (double)linear->chunk_token_ns * engine->max_num_batched_tokens;
}

static bool linear_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct linear *linear = state;
    const struct conf_node *map = setup->map;
    if (!conf_duration_ns(map, "step", &linear->step_ns, err) ||
        !conf_duration_ns(map, "per_decode", &linear->decode_ns, err) ||
        !conf_duration_ns(map, "per_context_token", &linear->context_ns, err) ||
        !conf_duration_ns(map, "per_chunk", &linear->chunk_ns, err) ||
        !conf_duration_ns(map, "per_chunk_token", &linear->chunk_token_ns, err)) {
        return false;
    }
    if (linear->step_ns == 0 &&
        (linear->decode_ns == 0 ||
         (linear->chunk_ns == 0 && linear->chunk_token_ns == 0))) {
        return conf_fail(map, err,
                         "cost: every step must take time; set step, or per_decode and "
                         "per_chunk or per_chunk_token");
    }
    if (longest_ns(linear, setup->engine) >= longest_step_ns) {
        return conf_fail(map, err,
                         "cost: a full step would take %.3g s; at most an hour",
                         longest_ns(linear, setup->engine) / 1e9);
    }
    return true;
}

static struct decode_cost linear_decode(const void *state, uint32_t decodes,
                                        uint64_t context, uint32_t context_max)
{
    const struct linear *linear = state;
    (void)context_max;
    return (struct decode_cost){
        .first_fx = COST_FX_PER_NS * (linear->step_ns + linear->decode_ns * decodes +
                                      linear->context_ns * (int64_t)context),
        .grow_fx = COST_FX_PER_NS * linear->context_ns * decodes,
        .valid_steps = COST_STEPS_MAX,
    };
}

static int64_t linear_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct linear *linear = state;
    return COST_FX_PER_NS * (linear->step_ns + linear->decode_ns * shape->decodes +
                             linear->context_ns * (int64_t)(shape->decode_context +
                                                            shape->chunk_context) +
                             linear->chunk_ns * shape->chunks +
                             linear->chunk_token_ns * (int64_t)shape->chunk_tokens);
}

static void linear_describe(const void *state, struct text *out)
{
    (void)state;
    text_add(out, "coefficients from the scenario, for tests");
}

const struct cost_model cost_model_linear = {
    .name = "linear",
    .help = "constant times per step, sequence and token, for known-answer tests",
    .drafts = DRAFTS_AS_CHUNKS,
    .formats = FORMATS_ALL,
    .state_bytes = sizeof(struct linear),
    .init = linear_init,
    .step_fx = linear_step_fx,
    .decode = linear_decode,
    .describe = linear_describe,
};
