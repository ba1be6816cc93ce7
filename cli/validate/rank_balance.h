/* SPDX-License-Identifier: Apache-2.0
 *
 * rank_balance.h: how vLLM's own front end spreads requests over data-parallel ranks.
 *
 * Not in the policies' registry: it belongs to one engine's inside, not to a gateway,
 * and it wants metrics every RANK_BALANCE_REFRESH_NS.
 */
#ifndef STACKSIM_CLI_VALIDATE_RANK_BALANCE_H
#define STACKSIM_CLI_VALIDATE_RANK_BALANCE_H

#include "policies/policy.h"

/* As often as vLLM's coordinator publishes the ranks' counts. */
#define RANK_BALANCE_REFRESH_NS INT64_C(100000000)

extern const struct route_policy rank_balance;

#endif
