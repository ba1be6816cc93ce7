/* SPDX-License-Identifier: Apache-2.0
 *
 * R3 of spec/policies.md 14.3: KubeAI's prefix hashing (CHWBL) against its least-load
 * and the Kubernetes service, 8 L4, 800 requests in flight. Published: mean TTFT 1320,
 * 817 and 280 ms, 45,410, 45,866 and 69,408 tokens/s (in and out) under service,
 * least-load and prefix hash. A Kubernetes service draws an endpoint at random.
 */
#include "sim/sim.h"
#include "tests/published/published.h"

enum { SERVICE, LEAST, HASH, ARMS };

static const struct published_arm arms[ARMS] = {
    [SERVICE] = {.label = "k8s service", .policy = "random"},
    [LEAST] = {.label = "least load", .policy = "least_request"},
    [HASH] = {.label = "prefix hash", .policy = "chwbl"},
};

static void prefix_hashing_wins_on_conversations_as_published(void)
{
    static const double published_ttft_ms[ARMS] = {1320, 817, 280};
    static const double published_tokens[ARMS] = {45410, 45866, 69408};
    double ttft_ms[ARMS];
    double tokens[ARMS];
    double tpot_ms[ARMS];
    for (int arm = 0; arm < ARMS; arm++) {
        struct published_run run;
        published_simulate(&run, "published/r3-kubeai-chwbl.yaml", &arms[arm]);
        const struct sim_summary *summary = &run.summary;
        const double took_s =
            (double)(summary->end_ns - summary->first_arrival_ns) / 1e9;
        ttft_ms[arm] = 1e3 * published_ttft_mean_s(&run, 0);
        tpot_ms[arm] = published_tpot_mean_ms(&run);
        tokens[arm] =
            (double)(summary->prompt_tokens + summary->output_tokens) / took_s;
        printf("%-12s TTFT mean %5.0f ms (published %4.0f), %6.0f tokens/s (%5.0f), "
               "TPOT mean %3.0f ms\n",
               arms[arm].label, ttft_ms[arm], published_ttft_ms[arm], tokens[arm],
               published_tokens[arm], tpot_ms[arm]);
        published_fini(&run);
    }
    harness_note("against the service, within a factor of 1.5");
    for (int arm = 0; arm < ARMS; arm++) {
        EXPECT(published_near(ttft_ms[arm] / ttft_ms[SERVICE],
                              published_ttft_ms[arm] / published_ttft_ms[SERVICE],
                              1.5));
        EXPECT(published_near(tokens[arm] / tokens[SERVICE],
                              published_tokens[arm] / published_tokens[SERVICE], 1.5));
    }
    harness_note("rates themselves, within 20 %%");
    for (int arm = 0; arm < ARMS; arm++) {
        EXPECT(published_near(tokens[arm], published_tokens[arm], 1.2));
    }
    harness_note("TPOT: 189 to 216 ms without, 79 to 87 ms with prefix hashing");
    EXPECT(tpot_ms[SERVICE] > 1.5 * tpot_ms[HASH]);
    EXPECT(tpot_ms[LEAST] > 1.5 * tpot_ms[HASH]);
    harness_note("least-load is no better than the service in rate");
    EXPECT(fabs(tokens[LEAST] / tokens[SERVICE] - 1) < 0.15);
}

HARNESS_MAIN("published.r3", TEST(prefix_hashing_wins_on_conversations_as_published))
