/* SPDX-License-Identifier: Apache-2.0
 *
 * qps_fallback.c: see qps_fallback.h. Counts are compared instead of rates: the window
 * is the same for all, so the order is, too.
 */
#include "policies/qps_fallback.h"

#include "policies/request_stats.h"

struct route_decision qps_fallback(const struct cluster_view *view)
{
    uint32_t best = 0;
    uint64_t fewest = UINT64_MAX;
    for (uint32_t i = 0; i < view->count; i++) {
        const uint32_t id = view->endpoints[i]->id;
        if (!request_stats_known(view->stats, id)) {
            best = i;
            fewest = 0;
            break;
        }
        const uint64_t arrivals = request_stats_arrivals(view->stats, view->now_ns, id);
        if (arrivals < fewest) {
            fewest = arrivals;
            best = i;
        }
    }
    return (struct route_decision){
        .endpoint = (int32_t)best,
        .reason = REASON_QPS_FALLBACK,
        .candidates = view->count,
        .score = (double)fewest,
    };
}
