/* SPDX-License-Identifier: Apache-2.0
 *
 * route_least_work.c: the endpoint with the fewest tokens outstanding.
 *
 * Outstanding are the prompt tokens of requests without a first token, and the output
 * tokens that a predictor expects of requests that have not ended. Both are counted by
 * this gateway, so nothing is stale. A prompt counts whole until its first token: a
 * gateway does not see how far a prefill has come, nor what the prefix cache saves.
 * An expected output counts whole until the end, for the same reason; without a
 * prediction it counts nothing (spec/policies.md P05).
 *
 * Tokens of prompt and output are not equally dear: `output_weight` says what an output
 * token costs in prompt tokens, and 0 leaves the prompts alone (splitwise token_jsq).
 */
#include "policies/attempts.h"
#include "policies/choose.h"
#include "policies/id_table.h"
#include "policies/registry.h"

enum { PARAM_OUTPUT_WEIGHT, PARAM_TIE };

struct least_work {
    struct tie_breaker breaker;
    double output_weight;
    struct id_table expected; /* uint64_t output tokens */
    struct attempts attempts;
};

static bool least_work_init(void *state, const struct policy_setup *setup,
                            struct err *err)
{
    (void)err;
    struct least_work *self = state;
    self->breaker = (struct tie_breaker){
        .rule = (enum tie_rule)setup->values[PARAM_TIE], .rng = setup->rng};
    self->output_weight = setup->values[PARAM_OUTPUT_WEIGHT];
    id_table_init(&self->expected, &setup->memory, sizeof(uint64_t));
    attempts_init(&self->attempts, &setup->memory);
    return true;
}

static void least_work_fini(void *state)
{
    struct least_work *self = state;
    id_table_fini(&self->expected);
    attempts_fini(&self->attempts);
}

static struct route_decision least_work_pick(void *state,
                                             const struct cluster_view *view,
                                             const struct request_view *request)
{
    (void)request;
    struct least_work *self = state;
    const uint64_t *expected = id_table_items(&self->expected, view->id_count);
    struct choice choice = choice_begin(&self->breaker, view);
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_view *endpoint = view->endpoints[i];
        const double work = (double)endpoint->inflight_prompt_tokens +
                            self->output_weight * (double)expected[endpoint->id];
        choice_offer(&choice, work, i);
    }
    return (struct route_decision){
        .endpoint = (int32_t)choice.index,
        .reason = REASON_LEAST_WORK,
        .candidates = view->count,
        .score = choice.cost,
    };
}

static void least_work_on_route(void *state, const struct cluster_view *view,
                                const struct request_view *request,
                                const struct route_decision *decision)
{
    struct least_work *self = state;
    if (request->output_tokens_guess == 0) {
        return;
    }
    const uint32_t id = view->endpoints[decision->endpoint]->id;
    uint64_t *expected = id_table_items(&self->expected, view->id_count);
    expected[id] += request->output_tokens_guess;
    attempts_open(&self->attempts, request->request_id, id,
                  (struct attempt_note){.decode_tokens = request->output_tokens_guess});
}

static void least_work_on_end(void *state, int64_t now_ns,
                              const struct attempt_end *end)
{
    (void)now_ns;
    struct least_work *self = state;
    uint64_t *expected = id_table_items(&self->expected, end->endpoint_id + 1);
    expected[end->endpoint_id] -=
        attempts_close(&self->attempts, end->request_id, end->endpoint_id)
            .decode_tokens;
}

static size_t least_work_memory_bytes(const void *state)
{
    const struct least_work *self = state;
    return id_table_bytes(&self->expected) + attempts_bytes(&self->attempts);
}

static const char *const aliases[] = {"token_load", "token_jsq", NULL};

static const struct policy_param params[] = {
    [PARAM_OUTPUT_WEIGHT] =
        {
            .name = "output_weight",
            .kind = PARAM_F64,
            .default_value = 1,
            .max = 1e6,
            .help = "what a predicted output token counts, in prompt tokens; 0 = only "
                    "prompts count",
        },
    [PARAM_TIE] = TIE_PARAM(TIE_RANDOM),
    {.name = NULL},
};

const struct route_policy route_least_work = {
    .name = "least_work",
    .aliases = aliases,
    .help = "The endpoint with the fewest tokens outstanding: prompts without a first "
            "token, and predicted outputs.",
    .source = "Mutinifni/splitwise-sim:scheduler.py (token_jsq), "
              "llm-d/llm-d-inference-scheduler:pkg/epp/framework/plugins/scheduling/"
              "scorer/tokenload",
    .breaks = "long outputs without predictions; shared prefixes, which it spreads; "
              "an endpoint that fails fast looks idle",
    .score_help = "tokens outstanding, the fewest win",
    .params = params,
    .state_bytes = sizeof(struct least_work),
    .init = least_work_init,
    .fini = least_work_fini,
    .pick = least_work_pick,
    .on_route = least_work_on_route,
    .on_end = least_work_on_end,
    .memory_bytes = least_work_memory_bytes,
};
