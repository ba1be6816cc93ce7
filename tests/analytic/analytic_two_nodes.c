/* SPDX-License-Identifier: Apache-2.0
 *
 * The two plans of docs/validation.md for a model that fills two nodes: which is better
 * depends on the load and on what is between the nodes. Figures are far from their
 * bounds.
 */
#include "sim/sim.h"
#include "tests/published/published.h"

#define POOL          "cluster.pools.0."
#define LOW           "workload.generate.0.arrival.rate_per_s=1"
#define HIGH          "workload.generate.0.arrival.rate_per_s=20"
#define SLOW          POOL "placement.node=dgx_a100_slow_net"
#define BUDGET        POOL "engine.max_num_batched_tokens=512"
#define LAYERS_SHARED POOL "parallel={tp: 16}"

struct figures {
    double tpot_ms;
    double tokens_per_s;
};

static struct figures figures_of(const struct published_arm *arm)
{
    struct published_run run;
    struct figures figures = {0};
    published_simulate(&run, "two-nodes.yaml", arm);
    EXPECT_U64(run.summary.completed, run.summary.requests);
    uint64_t tokens = 0;
    int64_t end_ns = 0;
    for (size_t i = 0; i < run.count; i++) {
        tokens += run.rows[i].output_tokens;
        end_ns = run.rows[i].end_ns > end_ns ? run.rows[i].end_ns : end_ns;
    }
    figures.tpot_ms = published_tpot_mean_ms(&run);
    figures.tokens_per_s = (double)tokens / ((double)end_ns / 1e9);
    harness_note("TPOT %.1f ms, %.0f tokens/s", figures.tpot_ms, figures.tokens_per_s);
    published_fini(&run);
    return figures;
}

/* Each layer on all GPUs makes a token sooner: 40 against 53 ms. */
static void sixteen_gpus_for_each_layer_are_sooner(void)
{
    const struct figures shared =
        figures_of(&(struct published_arm){.sets = {LOW, LAYERS_SHARED}});
    const struct figures staged = figures_of(&(struct published_arm){.sets = {LOW}});
    EXPECT(shared.tpot_ms < 0.85 * staged.tpot_ms);
}

/* Two stages pay no sums between nodes, and full ones make more of them: 858 against
 * 616 tokens/s. */
static void stages_make_more_of_a_flood(void)
{
    const struct figures shared =
        figures_of(&(struct published_arm){.sets = {HIGH, BUDGET, LAYERS_SHARED}});
    const struct figures staged =
        figures_of(&(struct published_arm){.sets = {HIGH, BUDGET}});
    EXPECT(staged.tokens_per_s > 1.2 * shared.tokens_per_s);
}

/* Over one slow card a sum in every layer is hopeless: 1.9 s a token. Stages hardly
 * notice: 53.4 against 52.6 ms. */
static void a_slow_network_leaves_stages_alone(void)
{
    const struct figures fast = figures_of(&(struct published_arm){.sets = {LOW}});
    const struct figures slow =
        figures_of(&(struct published_arm){.sets = {LOW, SLOW}});
    const struct figures shared =
        figures_of(&(struct published_arm){.sets = {LOW, SLOW, LAYERS_SHARED}});
    EXPECT(slow.tpot_ms > fast.tpot_ms && slow.tpot_ms < 1.1 * fast.tpot_ms);
    EXPECT(shared.tpot_ms > 10 * slow.tpot_ms);
}

HARNESS_MAIN("two_nodes", TEST(sixteen_gpus_for_each_layer_are_sooner),
             TEST(stages_make_more_of_a_flood),
             TEST(a_slow_network_leaves_stages_alone))
