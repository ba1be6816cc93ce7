/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_adapters.h: `adapters:` of a scenario. Part of sim/scenario.c.
 */
#ifndef STACKSIM_SIM_SCENARIO_ADAPTERS_H
#define STACKSIM_SIM_SCENARIO_ADAPTERS_H

#include "sim/scenario.h"

/* After the pools: which of their engines can serve which adapter, and at what cost. */
NODISCARD bool scenario_adapters_read(struct scenario *scenario,
                                      const struct conf_node *root, struct err *err);
void scenario_adapters_fini(struct scenario *scenario);

/* Whether the pool's engines may be given the adapter. */
bool scenario_pool_takes(const struct scenario_pool *pool,
                         const struct adapter *adapter);

#endif
