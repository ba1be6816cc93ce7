/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_metrics.h: what an engine tells Prometheus, with vLLM's names, types and buckets
 * (spec/vllm-engine.md 8.2, 8.3).
 */
#ifndef STACKSIM_CLI_LIVE_MOCK_METRICS_H
#define STACKSIM_CLI_LIVE_MOCK_METRICS_H

#include "base/text.h"
#include "cli/live/live_engine.h"

enum { METRIC_BUCKETS_MAX = 24 };

struct histogram {
    uint64_t counts[METRIC_BUCKETS_MAX + 1]; /* the last one is +Inf */
    double sum;
};

/* Times are engine time: at a time scale of 10 a second of it takes 0.1 s. */
struct mock_metrics {
    struct histogram ttft;
    struct histogram itl;
    struct histogram tpot; /* mean of a request */
    struct histogram e2e;
    struct histogram queue;
    struct histogram prefill;
    struct histogram decode;
    uint64_t prompt_tokens;
    uint64_t output_tokens;
    uint64_t finished_stop;
    uint64_t finished_length;
    uint64_t finished_abort;
};

/* New tokens of a request; gap_ns since its previous ones. */
void mock_metrics_tokens(struct mock_metrics *metrics, const struct live_tokens *tokens,
                         int64_t gap_ns);
/* A request that ended with all of its tokens. */
void mock_metrics_end(struct mock_metrics *metrics, const struct live_tokens *tokens,
                      bool by_length);

struct mock_gauges {
    const char *model;
    const struct scenario_pool *pool;
    struct engine_sample sample;
    const struct replica_stats *stats;
    const char *running_adapters; /* comma list; NULL = no LoRA */
};
void mock_metrics_print(const struct mock_metrics *metrics,
                        const struct mock_gauges *gauges, struct text *out);

#endif
