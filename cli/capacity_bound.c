/* SPDX-License-Identifier: Apache-2.0
 *
 * capacity_bound.c: see the header.
 */
#include "cli/capacity_bound.h"

#include "base/mem.h"
#include "traces/workload.h"

#include <math.h>
#include <stdlib.h>

enum { REQUESTS_MAX = 1 << 28 };

/* ---- the load ----------------------------------------------------------------------
 */

static bool facts_add(struct load_facts *facts, const struct trace_record *record,
                      struct err *err)
{
    void *prompts = facts->prompt_tokens;
    void *outputs = facts->output_tokens;
    size_t capacity = facts->capacity;
    if (!mem_grow(&prompts, &facts->capacity, facts->count + 1, sizeof(uint32_t),
                  REQUESTS_MAX) ||
        !mem_grow(&outputs, &capacity, facts->count + 1, sizeof(uint32_t),
                  REQUESTS_MAX)) {
        return err_set(err, ERR_INPUT,
                       "more requests than can be planned for; set "
                       "end.requests");
    }
    facts->prompt_tokens = prompts;
    facts->output_tokens = outputs;
    facts->prompt_tokens[facts->count] = record->prompt_tokens;
    facts->output_tokens[facts->count++] = record->output_tokens;
    return true;
}

static bool workload_open(struct workload **out, const struct scenario *scenario,
                          const char *trace_path, struct err *err)
{
    if (trace_path != NULL) {
        const struct trace_options options = {.seed = scenario->seed};
        return workload_open_trace(out, trace_path, &options, err);
    }
    return workload_open_conf(out, scenario->workload, scenario->seed,
                              scenario->base_dir, err);
}

bool load_facts_read(struct load_facts *facts, const struct scenario *scenario,
                     const char *trace_path, struct err *err)
{
    struct workload *workload = NULL;
    const struct trace_record *record = NULL;
    *facts = (struct load_facts){0};
    if (!workload_open(&workload, scenario, trace_path, err)) {
        return false;
    }
    int64_t first_ns = 0;
    int64_t last_ns = 0;
    enum workload_result result = WORKLOAD_RECORD;
    bool ok = true;
    while (ok &&
           (scenario->requests_max == 0 || facts->count < scenario->requests_max) &&
           (result = workload_next(workload, &record, err)) == WORKLOAD_RECORD) {
        first_ns = facts->count == 0 ? record->arrival_ns : first_ns;
        last_ns = record->arrival_ns;
        ok = facts_add(facts, record, err);
    }
    facts->span_s = (double)(last_ns - first_ns) / 1e9;
    workload_close(workload);
    return ok && result != WORKLOAD_ERROR;
}

void load_facts_fini(struct load_facts *facts)
{
    mem_free(facts->prompt_tokens);
    mem_free(facts->output_tokens);
    *facts = (struct load_facts){0};
}

/* ---- the bound ----------------------------------------------------------------------
 */

static double seconds(int64_t fx)
{
    return (double)fx / COST_FX_PER_NS / 1e9;
}

/* Of the stage that takes longest for a batch: the others work beside it on others. */
static double slowest_stage_s(const struct cost *cost, const struct batch_shape *shape)
{
    int64_t work_fx[PARALLEL_STAGES_MAX];
    int64_t send_fx[PARALLEL_STAGES_MAX];
    int64_t most_fx = 0;
    if (cost_stages(cost) == 1) {
        return seconds(cost_step_fx(cost, shape));
    }
    cost_stage_times(cost, shape, work_fx, send_fx);
    for (uint32_t i = 0; i < cost_stages(cost); i++) {
        most_fx = work_fx[i] > most_fx ? work_fx[i] : most_fx;
    }
    return seconds(most_fx);
}

/* Of one decode token, at the fullest and lightest step. */
static double decode_token_s(const struct scenario_pool *pool)
{
    const uint32_t n = pool->engine.max_num_seqs;
    const struct batch_shape shape = {
        .decodes = n, .decode_context = n, .decode_context_max = 1};
    return slowest_stage_s(pool->cost, &shape) / n;
}

/* Of one prompt token, in a step that is full of prompts of one token. */
static double prompt_token_s(const struct scenario_pool *pool)
{
    const uint32_t tokens = pool->engine.max_num_batched_tokens;
    const struct batch_shape shape = {
        .chunks = pool->engine.max_num_seqs,
        .chunk_tokens_max = tokens / pool->engine.max_num_seqs + 1,
        .chunk_tokens = tokens,
        .chunk_pairs_twice = tokens,
        .chunk_squares = tokens,
    };
    return slowest_stage_s(pool->cost, &shape) / tokens;
}

static int descending(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a < b) - (a > b);
}

/* Sum without the heaviest, which may be those that miss the SLO. */
static double sum_attained(double *values, size_t count, double attain)
{
    const size_t spared = (size_t)floor((1 - attain) * (double)count);
    double sum = 0;
    qsort(values, count, sizeof *values, descending);
    for (size_t i = spared; i < count; i++) {
        sum += values[i];
    }
    return sum;
}

/* The last request may come at the end of the span and be due this much later. */
static double slack_s(const struct scenario *scenario, const struct load_facts *facts)
{
    if (scenario->slo_e2e_ns > 0) {
        return (double)scenario->slo_e2e_ns / 1e9;
    }
    if (scenario->slo_ttft_ns == 0 || scenario->slo_tpot_ns == 0) {
        return (double)INFINITY;
    }
    uint32_t longest = 0;
    for (size_t i = 0; i < facts->count; i++) {
        longest = facts->output_tokens[i] > longest ? facts->output_tokens[i] : longest;
    }
    return (double)scenario->slo_ttft_ns / 1e9 +
           (double)scenario->slo_tpot_ns / 1e9 * longest;
}

/* Requests whose TPOT target is out of reach even for one that is alone. */
static size_t hopeless_count(const struct scenario *scenario,
                             const struct load_facts *facts, double *alone_s)
{
    size_t count = 0;
    *alone_s = 0;
    for (size_t i = 0; scenario->slo_tpot_ns > 0 && i < facts->count; i++) {
        if (facts->output_tokens[i] < 2) {
            continue;
        }
        const uint32_t context =
            facts->prompt_tokens[i] > 0 ? facts->prompt_tokens[i] : 1;
        const double step_s =
            seconds(cost_decode(scenario->pools[0].cost, 1, context, context).first_fx);
        if (step_s * 1e9 > (double)scenario->slo_tpot_ns) {
            *alone_s = step_s > *alone_s ? step_s : *alone_s;
            count++;
        }
    }
    return count;
}

bool engines_bound(struct engines_bound *bound, const struct scenario *scenario,
                   const struct load_facts *facts, double attain, struct err *why)
{
    const struct scenario_pool *pool = &scenario->pools[0];
    double alone_s = 0;
    const size_t hopeless = hopeless_count(scenario, facts, &alone_s);
    if ((double)hopeless > (1 - attain) * (double)facts->count) {
        return err_set(why, ERR_INPUT,
                       "%.1f %% of the requests cannot meet the TPOT target even alone "
                       "(a step takes up to %.1f ms)",
                       100 * (double)hopeless / (double)facts->count, alone_s * 1e3);
    }
    const double due_s = facts->span_s + slack_s(scenario, facts);
    double *work_s = mem_alloc(facts->count + 1, sizeof *work_s);
    const double decode_s = decode_token_s(pool);
    for (size_t i = 0; i < facts->count; i++) {
        const uint32_t output = facts->output_tokens[i];
        work_s[i] = output > 1 ? decode_s * (output - 1) : 0;
    }
    *bound = (struct engines_bound){
        .decode = sum_attained(work_s, facts->count, attain) / due_s};
    if (!pool->engine.prefix_caching) {
        const double prompt_s = prompt_token_s(pool);
        for (size_t i = 0; i < facts->count; i++) {
            work_s[i] = prompt_s * facts->prompt_tokens[i];
        }
        bound->prompt = sum_attained(work_s, facts->count, attain) / due_s;
    }
    mem_free(work_s);
    return true;
}
