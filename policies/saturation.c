/* SPDX-License-Identifier: Apache-2.0
 *
 * saturation.c: the detectors of llm-d's admission, as spec/policies.md 9 gives them.
 */
#include "policies/saturation.h"

static const double ns_per_s = 1e9;

void saturation_init(struct saturation *saturation,
                     const double values[SATURATION_PARAMS])
{
    *saturation = (struct saturation){
        .detector = (enum saturation_detector)values[0],
        .queue_max = values[1],
        .kv_max = values[2],
        .stale_after_ns = (int64_t)(values[3] * ns_per_s),
        .requests_max = values[4],
        .tokens_max = values[5],
    };
}

static double engine_fullness(const struct saturation *saturation, int64_t now_ns,
                              const struct endpoint_metrics *metrics)
{
    const uint32_t needed = METRIC_WAITING | METRIC_KV_USED;
    if ((metrics->valid & needed) != needed ||
        now_ns - metrics->scraped_ns > saturation->stale_after_ns) {
        return 1.0;
    }
    const double queue = metrics->waiting_requests / saturation->queue_max;
    const double kv = metrics->kv_used_ratio / saturation->kv_max;
    return queue > kv ? queue : kv;
}

double saturation_now(const struct saturation *saturation,
                      const struct admit_view *view)
{
    const struct cluster_view *cluster = view->cluster;
    const double count = cluster->count;
    if (saturation->detector == SATURATION_REQUESTS) {
        return view->inflight_requests / (count * saturation->requests_max);
    }
    if (saturation->detector == SATURATION_TOKENS) {
        return (double)view->inflight_tokens / (count * saturation->tokens_max);
    }
    double sum = 0.0;
    for (uint32_t i = 0; i < cluster->count; i++) {
        sum +=
            engine_fullness(saturation, view->now_ns, &cluster->endpoints[i]->metrics);
    }
    return sum / count;
}
