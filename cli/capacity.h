/* SPDX-License-Identifier: Apache-2.0
 *
 * capacity.h: the cheapest fleet that holds an SLO at the scenario's load.
 *
 * A candidate is a GPU type, a tensor-parallel size, a number of pipeline stages, a
 * policy, a split and a number of engines; the rest is as the scenario's first pool
 * says. A split says how many engines compute prompts for how many that compute
 * outputs, and the number of engines is a multiple of both together. All but the number
 * make a group; within a group the SLO is taken to hold from some number of engines on,
 * which is bracketed from an analytic lower bound and bisected. A group is pruned, with
 * a reason, when it cannot hold the SLO at all or must cost more than is of interest.
 *
 * The bound: whatever the schedule, an engine needs for a request's decode tokens at
 * least their share of a step with max_num_seqs of them (without prefix caching also,
 * and apart from that, for its prompt its share of a full prefill step), and all but
 * the part that may miss the SLO must be done when the last one is due.
 */
#ifndef STACKSIM_CLI_CAPACITY_H
#define STACKSIM_CLI_CAPACITY_H

#include "base/text.h"
#include "cli/probe.h"
#include "reports/run.h"

struct policy_choice;
struct scenario;

/* Engines for prompts beside engines for outputs; 0, 0: each does both. */
struct capacity_split {
    uint32_t prefill;
    uint32_t decode;
};

struct capacity_axis {
    const char *const *gpus; /* names in configs/gpus */
    size_t gpu_count;
    const uint32_t *tensor_parallel;
    size_t tensor_parallel_count;
    const uint32_t *stages; /* of a pipeline; 1: none */
    size_t stages_count;
    const struct policy_choice *policies;
    size_t policy_count;
    const struct capacity_split *splits;
    size_t split_count;
};

struct capacity_setup {
    const struct runner_setup *base;
    struct capacity_axis axis;
    const char *pair;     /* policy of pairs of engines, for splits */
    uint32_t engines_max; /* of one fleet */
    double attain;        /* part of the requests that must meet the SLO */
    double cost_span;     /* groups whose bound costs more than this many times the
                             cheapest fleet are pruned; >= 1 */
    uint32_t threads;
    bool quiet;
};

/* One fleet that was simulated. */
struct capacity_run {
    uint32_t engines;
    double cost_low_per_hour; /* US dollars; NaN = the GPU has no price */
    double cost_high_per_hour;
    double output_tokens_per_s;
    struct metrics metrics;
    bool held;
    bool pareto; /* held, and no fleet is both cheaper and faster in p99 of TTFT */
};

enum { CAPACITY_RUNS_MAX = 32 };

struct capacity_group {
    const char *gpu; /* as given */
    uint32_t tensor_parallel;
    uint32_t stages;
    bool is_parallel; /* `parallel` of the pools tells both, else engine flags the first
                       */
    const struct policy_choice *policy;
    struct capacity_split split;
    const char *decode_pool; /* of the result */
    uint32_t candidates;     /* numbers of engines */
    double price_low;        /* of one GPU and hour; 0 = unknown */
    double price_high;
    uint32_t engines_min;                        /* the bound; 0 = pruned before it */
    struct capacity_run runs[CAPACITY_RUNS_MAX]; /* in order of simulation */
    size_t run_count;
    const struct capacity_run *best; /* fewest engines that held; NULL = none */
    char pruned[256];                /* why nothing, or nothing more, was simulated */
};

struct capacity_result {
    struct capacity_group *groups; /* in order of the axes */
    size_t count;
    char *decode_pool;   /* the scenario's pool once more, as YAML; owned */
    uint64_t candidates; /* numbers of engines, over all groups */
    uint64_t simulated;
    const struct capacity_group *cheapest; /* NULL = no fleet holds the SLO */
};

static inline bool capacity_is_split(struct capacity_split split)
{
    return split.prefill > 0;
}

/* Of one engine. */
static inline uint32_t capacity_gpus(const struct capacity_group *group)
{
    return group->tensor_parallel * group->stages;
}

/* The scenario on its own GPU, or else, when the model does not fit that one, on the
 * first of the axes that takes it. The caller deletes it. */
NODISCARD bool capacity_scenario(struct scenario **out,
                                 const struct capacity_setup *setup, struct err *err);

/* Groups are worked through in waves of fixed size by their bound's cost, so that the
 * number of threads changes no result. */
enum probe_end capacity_search(struct capacity_result *result,
                               const struct capacity_setup *setup, struct err *err);
/* Engines of the index-th candidate of a group, from 0. */
uint32_t capacity_candidate(const struct capacity_group *group, uint32_t index);
/* Why the group's fleet of so many engines was not simulated. */
void capacity_reason(const struct capacity_group *group, uint32_t engines,
                     struct text *out);
void capacity_fini(struct capacity_result *result);

#endif
