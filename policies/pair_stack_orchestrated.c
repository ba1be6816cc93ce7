/* SPDX-License-Identifier: Apache-2.0
 *
 * pair_stack_orchestrated.c: the stack's "disaggregated_prefill_orchestrated" (0.1.11):
 * engines of each role in turn, in order of url, with a counter of its own; the one
 * that decodes is chosen when the prompt has been computed
 * (spec/production-stack.md 1.5).
 */
#include "policies/registry.h"

static const char *const aliases[] = {"disaggregated-prefill-orchestrated", NULL};

const struct pair_policy pair_stack_orchestrated = {
    .name = "disaggregated_prefill_orchestrated",
    .aliases = aliases,
    .help = "Engines of each role in turn, the decoding one after the prefill.",
    .source = "vllm-project/production-stack:src/vllm_router/services/request_service/"
              "request.py",
    .breaks = "heavy-tailed prompts or outputs: equal counts are not equal work, on "
              "either side; short prompts pay for two queues",
    .route = "round_robin",
};
