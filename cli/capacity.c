/* SPDX-License-Identifier: Apache-2.0
 *
 * capacity.c: groups by their bound, waves of searches, and what is left of them.
 */
#include "cli/capacity.h"

#include "base/check.h"
#include "base/mem.h"
#include "cli/capacity_bound.h"
#include "cli/capacity_candidate.h"
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

enum { WAVE = 8 };

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

/* ---- bounds
 * --------------------------------------------------------------------------- */

static double group_price(const struct capacity_group *group, uint32_t engines)
{
    return group->price_low > 0 ? group->price_low * capacity_gpus(group) * engines
                                : (double)NAN;
}

/* Numbers of engines come in multiples of this. */
static uint32_t group_unit(const struct capacity_group *group)
{
    return capacity_is_split(group->split) ? group->split.prefill + group->split.decode
                                           : 1;
}

static uint32_t group_most(const struct capacity_group *group,
                           const struct capacity_setup *setup)
{
    return setup->engines_max / group_unit(group) * group_unit(group);
}

/* Of a split only engines of the one kind give tokens after the first, and all of them
 * may, under some pair policy, compute prompts. */
static uint32_t bound_of(struct capacity_group *group, const struct scenario *scenario,
                         const struct load_facts *facts, double attain)
{
    struct engines_bound bound = {0};
    const uint32_t unit = group_unit(group);
    struct err why = {0};
    if (!engines_bound(&bound, scenario, facts, attain, &why)) {
        snprintf(group->pruned, sizeof group->pruned, "%.250s", why.text);
        return 0;
    }
    const uint32_t decode = capacity_is_split(group->split) ? group->split.decode : 1;
    const double units = fmax(ceil(bound.decode / decode), ceil(bound.prompt / unit));
    return units * unit > 1e9 ? UINT32_MAX : (uint32_t)fmax(units, 1) * unit;
}

/* A GPU that does not exist is the user's mistake; a model that does not fit one is a
 * reason to prune. */
static bool group_bound(struct capacity_group *group,
                        const struct capacity_setup *setup,
                        const struct load_facts *facts, struct err *err)
{
    struct scenario *scenario = NULL;
    struct err why = {0};
    const bool loaded =
        candidate_scenario(&scenario, setup, group, group_unit(group), &why);
    if (!loaded) {
        if (strstr(why.text, "GPU") == NULL &&
            strstr(why.text, "tensor_parallel") == NULL &&
            strstr(why.text, ": pp: ") == NULL) { /* not of the fleet */
            *err = why;
            return false;
        }
        snprintf(group->pruned, sizeof group->pruned, "%.250s", why.text);
        return true;
    }
    group->price_low = scenario->pools[0].gpu.price_per_hour_low;
    group->price_high = scenario->pools[0].gpu.price_per_hour_high;
    group->engines_min = bound_of(group, scenario, facts, setup->attain);
    if (group->pruned[0] == '\0' && group->engines_min > setup->engines_max) {
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
    struct run_record *run = NULL;
    struct candidate *candidate = candidate_new(search->setup, group, engines);
    const enum probe_end end =
        probe_run(&run, candidate_setup(candidate), &search->stop, err);
    candidate_delete(candidate);
    if (end != PROBE_DONE) {
        return end;
    }
    CHECK(group->run_count < CAPACITY_RUNS_MAX, "%zu runs of a group",
          group->run_count);
    const double gpus = (double)capacity_gpus(group) * engines;
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

/* The most engines that are of interest. */
static uint32_t group_cap(const struct search *search,
                          const struct capacity_group *group)
{
    const uint32_t unit = group_unit(group);
    uint32_t cap = group_most(group, search->setup);
    while (cap > 0 && too_dear(search, group, cap)) {
        cap -= unit;
    }
    return cap;
}

/* From the bound upwards in doubling steps until the SLO holds; *failed is the most
 * engines that did not do. Returns 0 when none did. */
static uint32_t group_bracket(struct search *search, struct capacity_group *group,
                              uint32_t *failed, enum probe_end *end, struct err *err)
{
    uint32_t engines = group->engines_min;
    const uint32_t unit = group_unit(group);
    const uint32_t cap = group_cap(search, group);
    *failed = engines - unit;
    while (engines <= cap) {
        *end = group_probe(search, group, engines, err);
        if (*end != PROBE_DONE || last_held(group)) {
            return *end == PROBE_DONE ? engines : 0;
        }
        *failed = engines;
        const uint32_t next = engines > cap / 2 ? cap : 2 * engines;
        engines = engines == cap ? cap + unit : next;
    }
    if (cap == group_most(group, search->setup)) {
        snprintf(group->pruned, sizeof group->pruned,
                 "the SLO does not hold with %" PRIu32 " engines either", cap);
    } else {
        snprintf(group->pruned, sizeof group->pruned,
                 "%" PRIu32 " engines do not do, and %" PRIu32
                 " cost more than is of interest ($%.2f/h)",
                 *failed, *failed + unit, group_price(group, *failed + unit));
    }
    return 0;
}

static enum probe_end group_search(struct search *search, struct capacity_group *group,
                                   struct err *err)
{
    enum probe_end end = PROBE_DONE;
    uint32_t failed = 0;
    uint32_t held = group_bracket(search, group, &failed, &end, err);
    const uint32_t unit = group_unit(group);
    while (end == PROBE_DONE && held > failed + unit) {
        const uint32_t middle = failed + (held - failed) / unit / 2 * unit;
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
                              group->best->engines * capacity_gpus(group) <
                                  cheapest->best->engines * capacity_gpus(cheapest));
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

/* The index-th combination of the axes, the last of which changes fastest. */
static void group_make(struct capacity_group *group, const struct capacity_axis *axis,
                       size_t index)
{
    size_t at = index;
    group->split = axis->splits[at % axis->split_count];
    at /= axis->split_count;
    group->policy = &axis->policies[at % axis->policy_count];
    at /= axis->policy_count;
    group->stages = axis->stages[at % axis->stages_count];
    at /= axis->stages_count;
    group->tensor_parallel = axis->tensor_parallel[at % axis->tensor_parallel_count];
    group->gpu = axis->gpus[at / axis->tensor_parallel_count];
}

/* is_parallel: the scenario's pool has a `parallel` of its own. */
static void make_groups(struct capacity_result *result,
                        const struct capacity_axis *axis, bool is_parallel)
{
    result->count = axis->gpu_count * axis->tensor_parallel_count * axis->stages_count *
                    axis->policy_count * axis->split_count;
    result->groups = mem_alloc(result->count + 1, sizeof *result->groups);
    for (size_t i = 0; i < result->count; i++) {
        struct capacity_group *group = &result->groups[i];
        group_make(group, axis, i);
        group->is_parallel = is_parallel || group->stages > 1;
        group->decode_pool = result->decode_pool;
    }
}

struct load_pool {
    char *yaml;
    bool is_parallel;
};

/* The load is the same for all groups: of the scenario as it stands. */
static bool read_load(struct load_facts *facts, const struct capacity_setup *setup,
                      struct load_pool *pool, struct err *err)
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
    pool->yaml = ok ? candidate_pool(scenario, &pool->is_parallel) : NULL;
    scenario_delete(scenario);
    return ok;
}

enum probe_end capacity_search(struct capacity_result *result,
                               const struct capacity_setup *setup, struct err *err)
{
    struct load_facts facts = {0};
    *result = (struct capacity_result){0};
    struct load_pool pool = {0};
    bool ok = read_load(&facts, setup, &pool, err);
    result->decode_pool = pool.yaml;
    if (ok) {
        make_groups(result, &setup->axis, pool.is_parallel);
        for (size_t i = 0; i < result->count; i++) {
            struct capacity_group *group = &result->groups[i];
            group->candidates = setup->engines_max / group_unit(group);
            result->candidates += group->candidates;
        }
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

uint32_t capacity_candidate(const struct capacity_group *group, uint32_t index)
{
    return (index + 1) * group_unit(group);
}

void capacity_reason(const struct capacity_group *group, uint32_t engines,
                     struct text *out)
{
    uint32_t failed = 0; /* most engines that did not do */
    for (size_t i = 0; i < group->run_count; i++) {
        const struct capacity_run *run = &group->runs[i];
        failed = !run->held && run->engines > failed ? run->engines : failed;
    }
    if (group->best != NULL && engines > group->best->engines) {
        text_printf(out, "more than the %" PRIu32 " engines that hold the SLO for less",
                    group->best->engines);
    } else if (engines < failed) {
        text_printf(out, "fewer than %" PRIu32 " engines, which do not do", failed);
    } else if (group->engines_min > engines) {
        text_printf(out, "needs %" PRIu32 " engines or more by arithmetic",
                    group->engines_min);
    } else {
        text_add(out, group->pruned);
    }
}

void capacity_fini(struct capacity_result *result)
{
    mem_free(result->groups);
    mem_free(result->decode_pool);
    *result = (struct capacity_result){0};
}
