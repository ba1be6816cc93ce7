/* SPDX-License-Identifier: Apache-2.0
 *
 * qps_fallback.h: what the stack's policies do when they have nothing to go by.
 *
 * The first endpoint in discovery order that never got a request, else the one with the
 * fewest arrivals in the window, ties to the first (spec/production-stack.md 1.0). It
 * balances arrivals, not work outstanding.
 */
#ifndef STACKSIM_POLICIES_QPS_FALLBACK_H
#define STACKSIM_POLICIES_QPS_FALLBACK_H

#include "policies/policy.h"

/* view->stats must be there (NEED_REQUEST_STATS). The score is the qps of the chosen
 * endpoint times the window, that is, its arrivals. */
struct route_decision qps_fallback(const struct cluster_view *view);

#endif
