/* SPDX-License-Identifier: Apache-2.0
 *
 * capacity.c: groups by their bound, waves of searches, and what is left of them.
 */
#include "cli/capacity.h"

#include "base/check.h"
#include "base/mem.h"
#include "cli/capacity_bound.h"
#include "cli/interrupt.h"
#include "cli/jobs.h"
#include "cli/policy_list.h"
#include "cli/progress.h"
#include "sim/scenario.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAVE = 8, OVERRIDES_MAX = 96, TEXT_BYTES = 192 };

struct search {
    const struct capacity_setup *setup;
    struct capacity_result *result;
    struct capacity_group **wave;
    size_t wave_count;
    size_t done_before; /* groups of earlier waves */
    double cost_max;    /* per hour; what is dearer is of no interest in this wave */
    struct progress *progress;
    atomic_bool stop;
    atomic_uint done;
    enum probe_end ends[WAVE];
    struct err errs[WAVE];
};

/* ---- a candidate's setup
 * ------------------------------------------------------------- */

struct candidate {
    struct runner_setup setup;
    const char *overrides[OVERRIDES_MAX];
    char gpu[TEXT_BYTES];
    char tensor_parallel[TEXT_BYTES];
    char engines[TEXT_BYTES];
};

static void candidate_set_up(struct candidate *candidate,
                             const struct capacity_setup *setup,
                             const struct capacity_group *group, uint32_t engines)
{
    size_t count = 0;
    const struct runner_setup *base = setup->base;
    CHECK(base->override_count + group->policy->override_count + 3 <= OVERRIDES_MAX,
          "%zu overrides", base->override_count);
    for (size_t i = 0; i < base->override_count; i++) {
        candidate->overrides[count++] = base->overrides[i];
    }
    for (size_t i = 0; i < group->policy->override_count; i++) {
        candidate->overrides[count++] = group->policy->overrides[i];
    }
    snprintf(candidate->gpu, TEXT_BYTES, "cluster.pools.0.gpu=%s", group->gpu);
    snprintf(candidate->tensor_parallel, TEXT_BYTES,
             "cluster.pools.0.engine.tensor_parallel=%" PRIu32, group->tensor_parallel);
    snprintf(candidate->engines, TEXT_BYTES, "cluster.pools.0.replicas=%" PRIu32,
             engines);
    candidate->overrides[count++] = candidate->gpu;
    candidate->overrides[count++] = candidate->tensor_parallel;
    candidate->overrides[count++] = candidate->engines;
    candidate->setup = *base;
    candidate->setup.policy = group->policy->policy;
    candidate->setup.overrides = candidate->overrides;
    candidate->setup.override_count = count;
}

static bool scenario_open(struct scenario **out, const struct runner_setup *setup,
                          struct err *err)
{
    const struct scenario_options options = {
        .config_dir = setup->config_dir,
        .overrides = setup->overrides,
        .override_count = setup->override_count,
        .policy = setup->policy,
        .policies = setup->policies,
    };
    return scenario_load(out, setup->scenario_path, &options, err);
}

bool capacity_scenario(struct scenario **out, const struct capacity_setup *setup,
                       struct err *err)
{
    const struct policy_choice as_written = {0};
    const struct capacity_axis *axis = &setup->axis;
    bool ok = scenario_open(out, setup->base, err);
    struct candidate *candidate = mem_alloc(1, sizeof *candidate);
    for (size_t i = 0; !ok && i < axis->gpu_count * axis->tensor_parallel_count; i++) {
        const struct capacity_group group = {
            .gpu = axis->gpus[i / axis->tensor_parallel_count],
            .tensor_parallel = axis->tensor_parallel[i % axis->tensor_parallel_count],
            .policy = &as_written,
        };
        struct err ignored = {0};
        candidate_set_up(candidate, setup, &group, 1);
        ok = scenario_open(out, &candidate->setup, &ignored);
    }
    mem_free(candidate);
    return ok;
}

/* ---- bounds
 * --------------------------------------------------------------------------- */

static double group_price(const struct capacity_group *group, uint32_t engines)
{
    return group->price_low > 0 ? group->price_low * group->tensor_parallel * engines
                                : (double)NAN;
}

/* A GPU that does not exist is the user's mistake; a model that does not fit one is a
 * reason to prune. */
static bool group_bound(struct capacity_group *group,
                        const struct capacity_setup *setup,
                        const struct load_facts *facts, struct err *err)
{
    struct candidate *candidate = mem_alloc(1, sizeof *candidate);
    struct scenario *scenario = NULL;
    struct err why = {0};
    candidate_set_up(candidate, setup, group, 1);
    const bool loaded = scenario_open(&scenario, &candidate->setup, &why);
    mem_free(candidate);
    if (!loaded) {
        if (strstr(why.text, "GPU") == NULL &&
            strstr(why.text, "tensor_parallel") == NULL) {
            *err = why;
            return false;
        }
        snprintf(group->pruned, sizeof group->pruned, "%.250s", why.text);
        return true;
    }
    group->price_low = scenario->pools[0].gpu.price_per_hour_low;
    group->price_high = scenario->pools[0].gpu.price_per_hour_high;
    group->engines_min = engines_bound(scenario, facts, setup->attain, group->pruned,
                                       sizeof group->pruned);
    if (group->engines_min > setup->engines_max) {
        snprintf(group->pruned, sizeof group->pruned,
                 "needs %" PRIu32 " engines or more by arithmetic, %" PRIu32
                 " are allowed",
                 group->engines_min, setup->engines_max);
    }
    scenario_delete(scenario);
    return true;
}

/* ---- runs
 * ------------------------------------------------------------------------------ */

static enum probe_end group_probe(struct search *search, struct capacity_group *group,
                                  uint32_t engines, struct err *err)
{
    struct candidate *candidate = mem_alloc(1, sizeof *candidate);
    struct run_record *run = NULL;
    candidate_set_up(candidate, search->setup, group, engines);
    const enum probe_end end = probe_run(&run, &candidate->setup, &search->stop, err);
    mem_free(candidate);
    if (end != PROBE_DONE) {
        return end;
    }
    CHECK(group->run_count < CAPACITY_RUNS_MAX, "%zu runs of a group",
          group->run_count);
    const double gpus = (double)group->tensor_parallel * engines;
    const double met = run->metrics.value[METRIC_SLO_RATIO];
    group->runs[group->run_count++] = (struct capacity_run){
        .engines = engines,
        .cost_low_per_hour =
            group->price_low > 0 ? group->price_low * gpus : (double)NAN,
        .cost_high_per_hour =
            group->price_high > 0 ? group->price_high * gpus : (double)NAN,
        .output_tokens_per_s = run->metrics.value[METRIC_OUTPUT_TOKENS_PER_S],
        .metrics = run->metrics,
        .held = met >= search->setup->attain,
    };
    run_record_delete(run);
    return PROBE_DONE;
}

static bool last_held(const struct capacity_group *group)
{
    return group->runs[group->run_count - 1].held;
}

static bool too_dear(const struct search *search, const struct capacity_group *group,
                     uint32_t engines)
{
    const double cost = group_price(group, engines);
    return !isnan(cost) && cost > search->cost_max;
}

/* From the bound upwards in doubling steps until the SLO holds; *failed is the most
 * engines that did not do. Returns 0 when none did. */
static uint32_t group_bracket(struct search *search, struct capacity_group *group,
                              uint32_t *failed, enum probe_end *end, struct err *err)
{
    uint32_t engines = group->engines_min;
    const uint32_t most = search->setup->engines_max;
    *failed = engines - 1;
    for (;;) {
        if (too_dear(search, group, engines)) {
            snprintf(group->pruned, sizeof group->pruned,
                     "%" PRIu32 " engines do not do, and %" PRIu32
                     " cost more than is of interest ($%.2f/h)",
                     *failed, engines, group_price(group, engines));
            return 0;
        }
        *end = group_probe(search, group, engines, err);
        if (*end != PROBE_DONE || last_held(group)) {
            return *end == PROBE_DONE ? engines : 0;
        }
        *failed = engines;
        if (engines == most) {
            snprintf(group->pruned, sizeof group->pruned,
                     "the SLO does not hold with %" PRIu32 " engines either", most);
            return 0;
        }
        engines = engines > most / 2 ? most : 2 * engines;
    }
}

static enum probe_end group_search(struct search *search, struct capacity_group *group,
                                   struct err *err)
{
    enum probe_end end = PROBE_DONE;
    uint32_t failed = 0;
    uint32_t held = group_bracket(search, group, &failed, &end, err);
    while (end == PROBE_DONE && held > failed + 1) {
        const uint32_t middle = failed + (held - failed) / 2;
        end = group_probe(search, group, middle, err);
        if (end == PROBE_DONE && last_held(group)) {
            held = middle;
        } else {
            failed = middle;
        }
    }
    for (size_t i = 0; i < group->run_count; i++) {
        const struct capacity_run *run = &group->runs[i];
        if (run->held && (group->best == NULL || run->engines < group->best->engines)) {
            group->best = run;
        }
    }
    return end;
}

/* ---- waves
 * ----------------------------------------------------------------------------- */

static void work(void *context, size_t index)
{
    struct search *search = context;
    search->ends[index] =
        group_search(search, search->wave[index], &search->errs[index]);
    if (search->ends[index] == PROBE_FAILED) {
        atomic_store(&search->stop, true);
    }
    atomic_fetch_add(&search->done, 1);
}

static void watch(void *context)
{
    struct search *search = context;
    if (interrupt_came()) {
        atomic_store(&search->stop, true);
    }
    const double groups = (double)search->result->count;
    const double done = (double)search->done_before + atomic_load(&search->done);
    char detail[64];
    snprintf(detail, sizeof detail, "%.0f of %.0f groups", done, groups);
    progress_show(search->progress, done / groups, detail);
}

static enum probe_end run_wave(struct search *search, struct err *err)
{
    const struct jobs jobs = {
        .count = search->wave_count,
        .threads_max = search->setup->threads,
        .context = search,
        .work = work,
        .watch = watch,
    };
    atomic_store(&search->done, 0);
    jobs_run(&jobs);
    for (size_t i = 0; i < search->wave_count; i++) {
        if (search->ends[i] == PROBE_FAILED) {
            *err = search->errs[i];
            return PROBE_FAILED;
        }
    }
    return atomic_load(&search->stop) ? PROBE_STOPPED : PROBE_DONE;
}

/* Cheapest fleet so far; without prices the one with the fewest GPUs. */
static double cost_of(const struct capacity_group *group)
{
    const double cost = group_price(group, group->best->engines);
    return isnan(cost) ? (double)INFINITY : cost;
}

static void find_cheapest(struct search *search)
{
    struct capacity_result *result = search->result;
    for (size_t i = 0; i < result->count; i++) {
        const struct capacity_group *group = &result->groups[i];
        if (group->best == NULL) {
            continue;
        }
        const struct capacity_group *cheapest = result->cheapest;
        const bool cheaper = cheapest == NULL || cost_of(group) < cost_of(cheapest) ||
                             (cost_of(group) <= cost_of(cheapest) &&
                              group->best->engines * group->tensor_parallel <
                                  cheapest->best->engines * cheapest->tensor_parallel);
        result->cheapest = cheaper ? group : cheapest;
    }
    if (result->cheapest != NULL) {
        search->cost_max = cost_of(result->cheapest) * search->setup->cost_span;
    }
}

static int by_bound(const void *left, const void *right)
{
    const struct capacity_group *a = *(struct capacity_group *const *)left;
    const struct capacity_group *b = *(struct capacity_group *const *)right;
    const double cost_a = group_price(a, a->engines_min);
    const double cost_b = group_price(b, b->engines_min);
    if (cost_a != cost_b && !(isnan(cost_a) && isnan(cost_b))) {
        return isnan(cost_b) || cost_a < cost_b ? -1 : 1;
    }
    return (a > b) - (a < b); /* order of the axes */
}

static enum probe_end search_groups(struct search *search,
                                    struct capacity_group **order, size_t count,
                                    struct err *err)
{
    enum probe_end end = PROBE_DONE;
    struct capacity_group *wave[WAVE];
    size_t at = 0;
    search->wave = wave;
    while (end == PROBE_DONE && at < count) {
        search->wave_count = 0;
        search->done_before = at;
        while (at < count && search->wave_count < WAVE) {
            struct capacity_group *group = order[at++];
            if (too_dear(search, group, group->engines_min)) {
                snprintf(
                    group->pruned, sizeof group->pruned,
                    "costs $%.2f/h or more by arithmetic, the cheapest fleet $%.2f/h",
                    group_price(group, group->engines_min),
                    cost_of(search->result->cheapest));
                continue;
            }
            wave[search->wave_count++] = group;
        }
        end = run_wave(search, err);
        find_cheapest(search);
    }
    return end;
}

/* ---- result
 * ----------------------------------------------------------------------------- */

static bool dominates(const struct capacity_run *a, const struct capacity_run *b)
{
    const double fast_a = a->metrics.value[METRIC_TTFT_MS_P99];
    const double fast_b = b->metrics.value[METRIC_TTFT_MS_P99];
    return a->held && a->cost_low_per_hour <= b->cost_low_per_hour &&
           fast_a <= fast_b &&
           (a->cost_low_per_hour < b->cost_low_per_hour || fast_a < fast_b);
}

static bool is_pareto(const struct capacity_result *result,
                      const struct capacity_run *run)
{
    for (size_t i = 0; run->held && i < result->count; i++) {
        for (size_t k = 0; k < result->groups[i].run_count; k++) {
            if (dominates(&result->groups[i].runs[k], run)) {
                return false;
            }
        }
    }
    return run->held && !isnan(run->cost_low_per_hour);
}

static void mark_front(struct capacity_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        struct capacity_group *group = &result->groups[i];
        result->simulated += group->run_count;
        for (size_t k = 0; k < group->run_count; k++) {
            group->runs[k].pareto = is_pareto(result, &group->runs[k]);
        }
    }
}

static void make_groups(struct capacity_result *result,
                        const struct capacity_axis *axis)
{
    result->groups =
        mem_alloc(axis->gpu_count * axis->tensor_parallel_count * axis->policy_count,
                  sizeof *result->groups);
    for (size_t gpu = 0; gpu < axis->gpu_count; gpu++) {
        for (size_t tp = 0; tp < axis->tensor_parallel_count; tp++) {
            for (size_t policy = 0; policy < axis->policy_count; policy++) {
                struct capacity_group *group = &result->groups[result->count++];
                group->gpu = axis->gpus[gpu];
                group->tensor_parallel = axis->tensor_parallel[tp];
                group->policy = &axis->policies[policy];
            }
        }
    }
}

/* The load is the same for all groups: of the scenario as it stands. */
static bool read_load(struct load_facts *facts, const struct capacity_setup *setup,
                      struct err *err)
{
    const struct runner_setup *base = setup->base;
    struct scenario *scenario = NULL;
    if (!capacity_scenario(&scenario, setup, err)) {
        return false;
    }
    bool ok = true;
    if (scenario->pool_count != 1) {
        ok = err_set(err, ERR_INPUT, "%s: plan wants one pool, this scenario has %u",
                     base->scenario_path, scenario->pool_count);
    } else if (scenario->pools[0].engine.kv_blocks_override > 0) {
        ok = err_set(err, ERR_INPUT,
                     "%s: num_gpu_blocks_override is of one GPU; remove it, so that "
                     "each candidate has the blocks that fit it",
                     base->scenario_path);
    } else if (scenario->slo_ttft_ns + scenario->slo_tpot_ns + scenario->slo_e2e_ns ==
               0) {
        ok =
            err_set(err, ERR_INPUT,
                    "%s: has no SLO; give one, for instance --set slo.ttft=500ms --set "
                    "slo.tpot=50ms",
                    base->scenario_path);
    }
    ok = ok && load_facts_read(facts, scenario, base->trace_path, err);
    scenario_delete(scenario);
    return ok;
}

enum probe_end capacity_search(struct capacity_result *result,
                               const struct capacity_setup *setup, struct err *err)
{
    struct load_facts facts = {0};
    *result = (struct capacity_result){0};
    bool ok = read_load(&facts, setup, err);
    if (ok) {
        make_groups(result, &setup->axis);
        result->candidates = (uint64_t)result->count * setup->engines_max;
    }
    struct capacity_group **order =
        mem_alloc(result->count + 1, sizeof(struct capacity_group *));
    size_t count = 0;
    for (size_t i = 0; ok && i < result->count; i++) {
        struct capacity_group *group = &result->groups[i];
        ok = group_bound(group, setup, &facts, err);
        if (ok && group->pruned[0] == '\0') {
            order[count++] = group;
        }
    }
    load_facts_fini(&facts);
    enum probe_end end = ok ? PROBE_DONE : PROBE_FAILED;
    if (ok) {
        qsort(order, count, sizeof(struct capacity_group *), by_bound);
        struct search *search = mem_alloc(1, sizeof *search);
        *search = (struct search){
            .setup = setup, .result = result, .cost_max = (double)INFINITY};
        search->progress = progress_new("plan", setup->quiet);
        end = search_groups(search, order, count, err);
        progress_delete(search->progress);
        mem_free(search);
        mark_front(result);
    }
    mem_free(order);
    return end;
}

void capacity_fini(struct capacity_result *result)
{
    mem_free(result->groups);
    *result = (struct capacity_result){0};
}
