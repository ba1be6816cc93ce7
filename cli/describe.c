/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.c: what would run, in the units in which people check it.
 */
#include "cli/describe.h"

#include "base/unit.h"
#include "sim/scenario.h"

#include <inttypes.h>

static void print_duration(const char *label, int64_t ns, struct text *out)
{
    if (ns > 0) {
        char time[24];
        unit_format_ns(time, sizeof time, ns);
        text_printf(out, "  %-12s%s\n", label, time);
    }
}

static void print_kv(const struct scenario_pool *pool, struct text *out)
{
    const uint64_t tokens = (uint64_t)pool->kv_blocks * pool->engine.block_tokens;
    const struct model_spec part =
        plan_largest_part(&pool->engine.parallel, &pool->model);
    const uint64_t bytes =
        tokens * model_kv_bytes_per_token(&part, pool->engine.tensor_parallel);
    char size[24];
    unit_format_bytes(size, sizeof size, bytes);
    text_printf(out,
                "  %-12s%" PRIu32 " blocks of %" PRIu32 " tokens = %" PRIu64
                " tokens, %s per GPU\n",
                "KV cache", pool->kv_blocks, pool->engine.block_tokens, tokens, size);
}

static const char *on_off(bool on)
{
    return on ? "on" : "off";
}

/* Of one GPU, in the stage where they are the most. */
static uint64_t heaviest_stage_bytes(const struct scenario_pool *pool)
{
    const struct parallel_plan *plan = &pool->engine.parallel;
    uint64_t most = 0;
    for (uint32_t i = 0; i < plan_stages(plan); i++) {
        const struct stage stage = plan_stage(plan, &pool->model, i);
        const uint64_t bytes =
            stage_weight_bytes(&stage, &pool->model, pool->engine.tensor_parallel);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* The rest of the line that names the engines, and where they are. */
static void print_stages(const struct scenario_pool *pool, struct text *out)
{
    const struct parallel_plan *plan = &pool->engine.parallel;
    const struct gpu_placement *placement = &pool->placement;
    for (uint32_t i = 0; i < plan_stages(plan) && plan_stages(plan) > 1; i++) {
        text_printf(out, "%s%" PRIu32, i == 0 ? ", pipeline stages of " : " + ",
                    plan->stage_layers[i]);
    }
    text_printf(out, "%s\n", plan_stages(plan) > 1 ? " layers" : "");
    if (placement->gpus_per_node > 0) {
        text_printf(out, "  %-12s%" PRIu32 " x %s, %" PRIu32 " GPUs of each\n", "nodes",
                    placement->nodes, placement->node.name, placement->gpus_per_node);
    }
}

static void print_pool(const struct scenario_pool *pool, struct text *out)
{
    const struct engine_config *engine = &pool->engine;
    char weights[24];
    unit_format_bytes(weights, sizeof weights, heaviest_stage_bytes(pool));
    text_printf(out, "pool %s\n", pool->name);
    text_printf(out, "  %-12s%" PRIu32 " x %s on %s, tensor parallel %" PRIu32,
                "engines", pool->replicas, pool->model.name, pool->gpu.name,
                engine->tensor_parallel);
    print_stages(pool, out);
    text_printf(out, "  %-12s%s per GPU\n", "weights", weights);
    print_kv(pool, out);
    text_printf(out,
                "  %-12sat most %" PRIu32 " sequences and %" PRIu32
                " tokens, context at most %" PRIu32 " tokens\n",
                "step", engine->max_num_seqs, engine->max_num_batched_tokens,
                engine->max_model_len);
    text_printf(out, "  %-12sprefix caching %s, chunked prefill %s%s\n", "features",
                on_off(engine->prefix_caching), on_off(engine->chunked_prefill),
                engine->prompts_first ? ", prompts first" : "");
    if (engine->order != NULL && engine->order->before != NULL) {
        text_printf(out, "  %-12s%s: %s\n", "order", engine->order->name,
                    engine->order->help);
    }
    text_printf(out, "  %-12s%s\n", "step time", cost_description(pool->cost));
}

static void print_routing(const struct scenario *scenario, struct text *out)
{
    const struct scenario_disaggregation *disagg = &scenario->disaggregation;
    text_printf(out, "routing\n  %-12s%s: %s\n", "policy", scenario->policy->name,
                scenario->policy->help);
    if (disagg->policy != NULL) {
        text_printf(out, "  %-12s%s: %s\n  %-12s%s\n", "pairs", disagg->policy->name,
                    disagg->policy->help, "prefill by", disagg->prefill->name);
    }
    for (uint32_t i = 0; i < scenario->param_count; i++) {
        text_printf(out, "  %-12s%s = %.10g\n", i == 0 ? "parameters" : "",
                    scenario->param_names[i], scenario->param_values[i]);
    }
}

static void print_admission(const struct scenario_admission *admission,
                            struct text *out)
{
    if (admission->policy == NULL) {
        return;
    }
    text_printf(out, "admission\n  %-12s%s: %s\n", "policy", admission->policy->name,
                admission->policy->help);
    for (uint32_t i = 0; i < admission->param_count; i++) {
        text_printf(out, "  %-12s%s = %.10g\n", i == 0 ? "parameters" : "",
                    admission->param_names[i], admission->param_values[i]);
    }
}

static void print_workload(const struct scenario *scenario, const char *origin,
                           uint64_t expected, struct text *out)
{
    text_printf(out, "workload\n  %-12s%s\n", "source", origin);
    if (expected > 0) {
        text_printf(out, "  %-12s%" PRIu64 "\n", "requests", expected);
    }
    if (scenario->requests_max > 0) {
        text_printf(out, "  %-12s%" PRIu64 "\n", "at most", scenario->requests_max);
    }
    print_duration("ends after", scenario->time_max_ns, out);
    text_printf(out, "  %-12s%" PRIu64 "\n", "seed", scenario->seed);
}

void describe_scenario(const struct scenario *scenario, const char *origin,
                       uint64_t expected, struct text *out)
{
    text_printf(out, "scenario %s\n", scenario->name);
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        print_pool(&scenario->pools[i], out);
    }
    print_routing(scenario, out);
    print_admission(&scenario->admission, out);
    print_workload(scenario, origin, expected, out);
    if (scenario->slo_ttft_ns > 0 || scenario->slo_tpot_ns > 0 ||
        scenario->slo_e2e_ns > 0) {
        text_add(out, "targets\n");
        print_duration("TTFT", scenario->slo_ttft_ns, out);
        print_duration("TPOT", scenario->slo_tpot_ns, out);
        print_duration("E2E", scenario->slo_e2e_ns, out);
    }
}
