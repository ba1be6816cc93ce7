/* SPDX-License-Identifier: Apache-2.0
 *
 * order_fcfs.c: first come, first served: vLLM's default. Preempted requests go in
 * front, and the one admitted last is preempted first.
 */
#include "policies/registry.h"

const struct order_policy order_fcfs = {
    .name = "fcfs",
    .help = "First come, first served.",
    .source = "vllm-project/vllm:vllm/v1/core/sched/request_queue.py",
    .breaks = "a long prompt at the head holds up all the short ones behind it",
};
