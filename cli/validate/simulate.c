/* SPDX-License-Identifier: Apache-2.0
 *
 * simulate.c: a scenario made from facts instead of a file; all else is what
 * `stacksim run` does.
 */
#include "cli/validate/simulate.h"

#include "base/check.h"
#include "base/mem.h"
#include "cli/validate/rank_balance.h"

#include <inttypes.h>
#include <string.h>

enum { SAMPLES_MAX = 1 << 26 };
#define SLICE_EVENTS (UINT64_C(1) << 20)

static void on_outcome(void *context, const struct request_outcome *outcome)
{
    struct simulated *out = context;
    CHECK(outcome->request_id < out->count, "request %" PRIu64 " of %zu",
          outcome->request_id, out->count);
    out->outcomes[outcome->request_id] = *outcome;
}

static void on_sample(void *context, const struct engine_sample *sample)
{
    struct simulated *out = context;
    void *memory = out->samples;
    if (mem_grow(&memory, &out->sample_capacity, out->sample_count + 1,
                 sizeof *out->samples, SAMPLES_MAX)) {
        out->samples = memory;
        out->samples[out->sample_count++] = *sample;
    }
}

/* A YAML string in single quotes; a path may hold anything. */
static void put_quoted(struct text *out, const char *key, const char *folder,
                       const char *rest)
{
    text_printf(out, "%s: '", key);
    for (const char *at = folder; *at != '\0'; at++) {
        text_add_bytes(out, at, 1);
        if (*at == '\'') {
            text_add(out, "'");
        }
    }
    text_printf(out, "%s'\n", rest);
}

/* `cost:` of the scenario that this run would be. */
static void cost_map_write(struct text *out, const struct validate_case *run,
                           const struct validate_scales *scales)
{
    text_printf(out, "model: %s\nscale_decode: %.17g\nscale_mixed: %.17g\n", run->model,
                scales->decode, scales->mixed);
    if (strcmp(run->model, "roofline") == 0) {
        return;
    }
    if (strcmp(run->model, "ops") == 0) {
        if (run->op_system != NULL) {
            put_quoted(out, "tables", run->dir, "/ops");
            put_quoted(out, "system", run->op_system, "");
        }
        return;
    }
    if (strcmp(run->model, "affine") == 0) {
        text_printf(out, "graph_tokens_max: %" PRIu32 "\ncollectives: %s\n",
                    run->facts.graph_tokens_max, run->ring ? "ring" : "measured");
        if (run->facts.experts > 0) {
            text_printf(out, "expert_ranks: %" PRIu32 "\n", run->facts.data_parallel);
        }
    } else {
        put_quoted(out, "profile", run->dir, "/profile");
    }
}

static bool cost_make(struct cost **out, const struct validate_case *run,
                      const struct validate_scales *scales, struct err *err)
{
    struct text yaml = {0};
    struct conf *map = NULL;
    cost_map_write(&yaml, run, scales);
    bool ok = conf_parse(&map, "cost model", text_str(&yaml), yaml.length, err);
    if (ok) {
        const struct cost_setup setup = {
            .gpu = &run->gpu,
            .model = &run->facts.model,
            .engine = &run->facts.engine,
            .map = conf_root(map),
            .fit = run->fit == NULL ? NULL : conf_root(run->fit),
        };
        ok = cost_new(out, &setup, err);
    }
    conf_delete(map);
    text_fini(&yaml);
    return ok;
}

static bool scenario_make(struct scenario **out, const struct validate_case *run,
                          const struct validate_scales *scales, struct err *err)
{
    struct scenario *scenario = mem_alloc(1, sizeof *scenario);
    struct scenario_pool *pool = &scenario->pools[0];
    memcpy(scenario->name, run->facts.name, sizeof scenario->name);
    scenario->seed = 1;
    scenario->policy = &rank_balance;
    scenario->compat = COMPAT_HEAD;
    scenario->scrape_interval_ns = RANK_BALANCE_REFRESH_NS;
    scenario->chars_per_token = 4;
    scenario->router_replicas = 1;
    scenario->sample_interval_ns = run->series.count > 0 ? SIMULATED_SAMPLE_NS : 0;
    scenario->pool_count = 1;
    memcpy(pool->name, "engine", sizeof "engine");
    pool->replicas = run->facts.data_parallel;
    pool->engines = pool->replicas;
    /* Without experts vLLM's ranks never meet. */
    pool->lockstep = run->facts.data_parallel > 1 && run->facts.experts > 0;
    pool->gpu = run->gpu;
    pool->model = run->facts.model;
    pool->engine = run->facts.engine;
    pool->kv_blocks = run->facts.kv_blocks;
    if (!cost_make(&pool->cost, run, scales, err)) {
        scenario_delete(scenario);
        return false;
    }
    *out = scenario;
    return true;
}

static bool all_completed(const struct simulated *out, const struct validate_case *run,
                          struct err *err)
{
    for (size_t i = 0; i < out->count; i++) {
        if (out->outcomes[i].status != OUTCOME_COMPLETED ||
            out->outcomes[i].output_tokens != run->measured.requests[i].output_tokens) {
            return err_set(err, ERR_RUN, "%s: simulated request %zu ended as %s",
                           run->dir, i, outcome_status_name(out->outcomes[i].status));
        }
    }
    return true;
}

bool simulate_case(struct simulated *out, const struct validate_case *run,
                   const struct simulate_options *options, struct err *err)
{
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct sim *sim = NULL;
    const struct observer observer = {
        .context = out, .on_outcome = on_outcome, .on_sample = on_sample};
    const struct sim_options sim_options = {.step_by_step = options->step_by_step};
    *out = (struct simulated){
        .count = run->measured.count,
        .engines = run->facts.data_parallel,
    };
    out->outcomes = mem_alloc(out->count, sizeof *out->outcomes);
    bool ok = scenario_make(&scenario, run, &options->scales, err) &&
              validate_case_workload(run, &workload, err) &&
              sim_new(&sim, scenario, workload, &observer, &sim_options, err);
    if (ok) {
        enum sim_state state = SIM_RUNNING;
        while (state == SIM_RUNNING) {
            state = sim_run(sim, SLICE_EVENTS, err);
        }
        sim_summarise(sim, &out->summary);
        text_add(&out->cost, cost_description(scenario->pools[0].cost));
        ok = state == SIM_DONE && all_completed(out, run, err);
    }
    sim_delete(sim);
    workload_close(workload);
    scenario_delete(scenario);
    if (!ok) {
        simulated_fini(out);
    }
    return ok;
}

void simulated_fini(struct simulated *simulated)
{
    mem_free(simulated->outcomes);
    mem_free(simulated->samples);
    text_fini(&simulated->cost);
    *simulated = (struct simulated){0};
}
