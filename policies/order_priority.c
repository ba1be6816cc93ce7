/* SPDX-License-Identifier: Apache-2.0
 *
 * order_priority.c: by priority, then arrival, as vLLM's --scheduling-policy priority.
 * Preempted requests queue like the others; the least urgent running one is preempted
 * first (spec/vllm-engine.md 1.3).
 */
#include "policies/registry.h"

static bool priority_before(const double *values, const struct order_view *a,
                            const struct order_view *b)
{
    (void)values;
    return a->priority != b->priority ? a->priority < b->priority
                                      : order_by_arrival(a, b);
}

const struct order_policy order_priority = {
    .name = "priority",
    .help = "By priority (lower is more urgent), then by arrival.",
    .source = "vllm-project/vllm:vllm/v1/core/sched/request_queue.py",
    .breaks =
        "a steady urgent stream starves the rest; when KV blocks run out, the less "
        "urgent are preempted and computed again and again",
    .before = priority_before,
    .preempted_in_order = true,
    .victim_by_order = true,
};
