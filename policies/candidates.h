/* SPDX-License-Identifier: Apache-2.0
 *
 * candidates.h: the accepting endpoints of one model, kept ready as a cluster_view.
 *
 * A change costs O(n); between changes a decision finds everything in place.
 */
#ifndef STACKSIM_POLICIES_CANDIDATES_H
#define STACKSIM_POLICIES_CANDIDATES_H

#include "policies/view.h"

struct candidates;

/* Ids are below endpoints_max. */
struct candidates *candidates_new(uint32_t endpoints_max);
void candidates_delete(struct candidates *set);

/* Borrows the endpoint until it is removed. Adding a member or removing a stranger is a
 * CHECK failure, as are two members of the same url. */
void candidates_add(struct candidates *set, const struct endpoint_view *endpoint);
void candidates_remove(struct candidates *set, const struct endpoint_view *endpoint);
/* The endpoint's inflight_requests changed; strangers are ignored. */
void candidates_update(struct candidates *set, const struct endpoint_view *endpoint);

/* Valid until the next call. */
const struct cluster_view *candidates_view(struct candidates *set, int64_t now_ns,
                                           const struct request_stats *stats);
uint32_t candidates_count(const struct candidates *set);

#endif
