/* SPDX-License-Identifier: Apache-2.0
 *
 * phases.c: closed forms of whole steps, one for prompts and one for decodes, as
 * simulators that keep the two apart fit them (DistServe; profiles of that kind are
 * published as a handful of coefficients).
 *
 * A step with both has the constant part of a decode, which reads the weights, and of
 * the prompts what grows with their tokens: such steps were not measured by whoever
 * keeps the phases apart. What a token computes with those before it is told by
 * token pairs, so that a chunk behind a cached prefix is priced like the rest of a
 * whole prompt.
 */
#include "sim/cost/fx.h"
#include "sim/cost/model.h"

#include <inttypes.h>

struct prompt_terms {
    int64_t step_ns;
    int64_t token_ns;
    int64_t square_fs; /* 10^-6 ns: a prompt's length squared times this */
};

struct decode_terms {
    int64_t step_ns;
    int64_t context_ns;
    int64_t sequence_ns;
};

struct phases {
    struct prompt_terms prompt;
    struct decode_terms small;
    struct decode_terms large; /* from `from` sequences on */
    uint32_t from;             /* UINT32_MAX: never */
};

static const double longest_step_ns = 3600e9;

static bool decode_read(struct decode_terms *terms, const struct conf_node *map,
                        struct err *err)
{
    return conf_duration_ns(map, "step", &terms->step_ns, err) &&
           conf_duration_ns(map, "per_context_token", &terms->context_ns, err) &&
           conf_duration_ns(map, "per_sequence", &terms->sequence_ns, err) &&
           (terms->step_ns > 0 || terms->sequence_ns > 0 ||
            conf_fail(map, err,
                      "cost: every decode must take time; set step or per_sequence"));
}

static bool prompt_read(struct prompt_terms *terms, const struct conf_node *map,
                        struct err *err)
{
    return conf_duration_ns(map, "step", &terms->step_ns, err) &&
           conf_duration_ns(map, "per_token", &terms->token_ns, err) &&
           conf_duration_ns(map, "per_1000_squared", &terms->square_fs, err) &&
           (terms->step_ns > 0 || terms->token_ns > 0 ||
            conf_fail(map, err,
                      "cost: every prompt must take time; set step or per_token"));
}

static bool large_read(struct phases *phases, const struct conf_node *map,
                       struct err *err)
{
    const struct conf_node *large = NULL;
    phases->from = UINT32_MAX;
    phases->large = phases->small;
    if (!conf_map(map, "decode_large", &large, err)) {
        return false;
    }
    if (large == NULL) {
        return true;
    }
    if (conf_get(large, "from") == NULL) {
        return conf_fail(large, err, "decode_large: from how many sequences on?");
    }
    phases->large = (struct decode_terms){0};
    return conf_u32(large, "from", &phases->from, 2, 65536, err) &&
           decode_read(&phases->large, large, err);
}

static double decode_longest_ns(const struct decode_terms *terms,
                                const struct engine_config *engine)
{
    const double sequences = engine->max_num_seqs;
    return (double)terms->step_ns + (double)terms->sequence_ns * sequences +
           (double)terms->context_ns * sequences * engine->max_model_len;
}

static bool lengths_check(const struct phases *phases, const struct cost_setup *setup,
                          struct err *err)
{
    const struct engine_config *engine = setup->engine;
    const double tokens = engine->max_num_batched_tokens;
    const double pairs = tokens * (2.0 * engine->max_model_len + tokens);
    const double prompt_ns = (double)phases->prompt.step_ns +
                             (double)phases->prompt.token_ns * tokens +
                             (double)phases->prompt.square_fs * 1e-6 * pairs;
    const double small_ns = decode_longest_ns(&phases->small, engine);
    const double large_ns = decode_longest_ns(&phases->large, engine);
    const double all_ns = prompt_ns + (small_ns > large_ns ? small_ns : large_ns);
    return all_ns < longest_step_ns ||
           conf_fail(setup->map, err,
                     "cost: a full step would take %.3g s; at most an hour",
                     all_ns / 1e9);
}

static bool phases_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct phases *phases = state;
    const struct conf_node *prompt = NULL;
    const struct conf_node *decode = NULL;
    if (!conf_map(setup->map, "prompt", &prompt, err) ||
        !conf_map(setup->map, "decode", &decode, err)) {
        return false;
    }
    if (prompt == NULL || decode == NULL) {
        return conf_fail(setup->map, err,
                         "cost: model phases needs the maps prompt and decode");
    }
    return prompt_read(&phases->prompt, prompt, err) &&
           decode_read(&phases->small, decode, err) &&
           large_read(phases, setup->map, err) && lengths_check(phases, setup, err);
}

static struct decode_cost phases_decode(const void *state, uint32_t decodes,
                                        uint64_t context, uint32_t context_max)
{
    const struct phases *phases = state;
    const struct decode_terms *terms =
        decodes < phases->from ? &phases->small : &phases->large;
    (void)context_max;
    return (struct decode_cost){
        .first_fx = COST_FX_PER_NS * (terms->step_ns + terms->sequence_ns * decodes +
                                      terms->context_ns * (int64_t)context),
        .grow_fx = COST_FX_PER_NS * terms->context_ns * decodes,
        .valid_steps = COST_STEPS_MAX,
    };
}

static int64_t phases_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct phases *phases = state;
    const struct prompt_terms *prompt = &phases->prompt;
    int64_t sum_fx = 0;
    if (shape->decodes > 0) {
        sum_fx =
            phases_decode(phases, shape->decodes, shape->decode_context, 0).first_fx;
    } else {
        sum_fx = COST_FX_PER_NS * prompt->step_ns;
    }
    sum_fx += COST_FX_PER_NS * prompt->token_ns * (int64_t)shape->chunk_tokens;
    return sum_fx + cost_fx_of_s((double)prompt->square_fs * 1e-15 *
                                 (double)shape->chunk_pairs_twice);
}

static void phases_describe(const void *state, struct text *out)
{
    const struct phases *phases = state;
    text_add(out, "closed forms of prompts and decodes from the scenario");
    if (phases->from < UINT32_MAX) {
        text_printf(out, ", other ones from %" PRIu32 " sequences on", phases->from);
    }
}

const struct cost_model cost_model_phases = {
    .name = "phases",
    .help = "coefficients of whole steps, of prompts and of decodes",
    .drafts = DRAFTS_UNKNOWN,
    .formats = FORMATS_MEASURED,
    .state_bytes = sizeof(struct phases),
    .init = phases_init,
    .step_fx = phases_step_fx,
    .decode = phases_decode,
    .describe = phases_describe,
};
