/* SPDX-License-Identifier: Apache-2.0
 *
 * pair_independent.c: every request goes over two engines, each chosen by its own
 * routing policy without regard to the other (SGLang's gateway: cache_aware for prefill
 * with power_of_two for decode; spec/policies.md P55).
 */
#include "policies/registry.h"

const struct pair_policy pair_independent = {
    .name = "pd_independent",
    .help = "Always over two engines, each chosen by its own routing policy.",
    .source = "sgl-project/sglang: sgl-router, PD mode",
    .breaks = "short or mostly cached prompts: the transfer and the second queue cost "
              "more than the prefill they take away",
    .decode_first = true,
};
