/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.h: declares what registry.def lists, for the policies' own files.
 */
#ifndef STACKSIM_POLICIES_REGISTRY_H
#define STACKSIM_POLICIES_REGISTRY_H

#include "policies/admit.h"
#include "policies/order.h"
#include "policies/pair.h"
#include "policies/policy.h"
#include "policies/scale.h"

#define ROUTE(name) extern const struct route_policy route_##name;
#define ADMIT(name) extern const struct admit_policy admit_##name;
#define ORDER(name) extern const struct order_policy order_##name;
#define PAIR(name)  extern const struct pair_policy pair_##name;
#define SCALE(name) extern const struct scale_policy scale_##name;
#include "policies/registry.def"

#endif
