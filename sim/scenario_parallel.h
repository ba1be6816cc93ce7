/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_parallel.h: `parallel:` and `placement:` of a pool.
 */
#ifndef STACKSIM_SIM_SCENARIO_PARALLEL_H
#define STACKSIM_SIM_SCENARIO_PARALLEL_H

#include "sim/scenario.h"

/* After the pool's engine, model and placement.node are read; `node` is the pool's map.
 * Fills engine.tensor_parallel, engine.parallel and the placement, and refuses plans
 * that contradict the engine or do not fit the placement's GPUs. */
NODISCARD bool scenario_parallel_read(struct scenario_pool *pool,
                                      const struct conf_node *node, struct err *err);

#endif
