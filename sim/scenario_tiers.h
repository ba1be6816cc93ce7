/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_tiers.h: the part of a scenario's file about tiers behind the KV cache, read
 * by scenario.c.
 */
#ifndef STACKSIM_SIM_SCENARIO_TIERS_H
#define STACKSIM_SIM_SCENARIO_TIERS_H

#include "sim/scenario.h"

/* `tiers` of a pool, whose engine is known. */
NODISCARD bool scenario_tiers_read(struct scenario_pool *pool,
                                   const struct conf_node *node, struct err *err);
/* `cache_server`, and what pools have to agree on, once all are read. */
NODISCARD bool scenario_tiers_check(struct scenario *scenario,
                                    const struct conf_node *root, struct err *err);

#endif
