/* SPDX-License-Identifier: Apache-2.0
 *
 * The popularity sweep of docs/validation.md: sixty-four adapters on eight engines with
 * eight slots each. What is expected to collapse, collapses; what is expected to hold,
 * holds; and the time that engines stood still is that of their loads, to the
 * nanosecond. Figures are far from their bounds.
 */
#include "sim/sim.h"
#include "tests/published/published.h"

/* A rank-16 adapter of 83,886,080 bytes: cold 2 ms, 3 GB/s from disk, 2 GB/s to pinned
 * memory, 20 GB/s to the GPU; warm 1.5 ms and the last of these. */
static const uint64_t cold_ns = 2000000 + 27962027 + 41943040 + 4194304;
static const uint64_t warm_ns = 1500000 + 4194304;

static const struct row {
    struct published_arm arm;
    double ttft_min_s; /* mean TTFT */
    double ttft_max_s;
} rows[] = {
    /* Nobody is popular: a batch meets more adapters than there are slots, unless
     * requests go where theirs is. */
    {{.policy = "round_robin", .sets = {"workload.adapters.exponent=0"}}, 5, 50},
    {{.policy = "least_request", .sets = {"workload.adapters.exponent=0"}}, 5, 50},
    {{.policy = "lora_affinity", .sets = {"workload.adapters.exponent=0"}}, 0, 0.3},
    {{.policy = "round_robin"}, 3, 30}, /* Zipf 1 */
    {{.policy = "lora_affinity"}, 0, 0.05},
    /* One adapter has most of the traffic: anybody's slots are enough, and affinity
     * makes its engine the bottleneck, unless the load is bounded. */
    {{.policy = "round_robin", .sets = {"workload.adapters.exponent=2"}}, 0.04, 0.3},
    {{.policy = "lora_affinity", .sets = {"workload.adapters.exponent=2"}}, 0.04, 0.9},
    {{.policy = "lora_affinity",
      .sets = {"workload.adapters.exponent=2", "routing.params.load_ratio=1.25"}},
     0,
     0.035},
    /* A slot for everybody. */
    {{.policy = "round_robin",
      .sets = {"cluster.pools.0.engine.max_loras=64",
               "cluster.pools.0.engine.max_cpu_loras=64"}},
     0,
     0.035},
    /* One replica of each: the stack's controller piles all on the first engine. */
    {{.policy = "lora_affinity", .sets = {"adapters.replicas=1"}}, 10, 100},
    {{.policy = "lora_affinity",
      .sets = {"adapters.replicas=1", "adapters.placement=balanced"}},
     0,
     0.035},
};

static void popularity_decides_what_routing_is_worth(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct published_run run;
        published_simulate(&run, "lora-popularity.yaml", &row->arm);
        const struct adapter_stats *adapters = &run.summary.adapters;
        const double ttft_s = published_ttft_mean_s(&run, 0);
        harness_note("row %zu: %s %s: mean TTFT %.3f s, %llu loads, stalls %.1f s", i,
                     row->arm.policy, row->arm.sets[0], ttft_s,
                     (unsigned long long)adapters->loads,
                     (double)adapters->stall_ns / 1e9);
        EXPECT(ttft_s >= row->ttft_min_s && ttft_s <= row->ttft_max_s);
        EXPECT_U64(run.summary.completed, run.summary.requests);
        EXPECT_U64((uint64_t)adapters->stall_ns,
                   adapters->cold_loads * cold_ns +
                       (adapters->loads - adapters->cold_loads) * warm_ns);
        published_fini(&run);
    }
}

HARNESS_MAIN("adapters", TEST(popularity_decides_what_routing_is_worth))
