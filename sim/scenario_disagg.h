/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_disagg.h: the part of a scenario's file about disaggregated prefill, read by
 * scenario.c.
 */
#ifndef STACKSIM_SIM_SCENARIO_DISAGG_H
#define STACKSIM_SIM_SCENARIO_DISAGG_H

#include "sim/scenario.h"

/* routing.policy may name a pair policy: fills scenario->policy and the pair. False
 * when it names none. */
bool scenario_pair_named(struct scenario *scenario, const char *name);

/* `routing.disaggregation` and `network`. After routing's own keys. */
NODISCARD bool scenario_disagg_read(struct scenario *scenario,
                                    const struct scenario_options *options,
                                    const struct conf_node *root, struct err *err);
/* Roles, once all pools are read. */
NODISCARD bool scenario_disagg_check(struct scenario *scenario,
                                     const struct conf_node *root, struct err *err);
/* What `transfer: push` excludes, once scenario->control is read. */
NODISCARD bool scenario_push_check(const struct scenario *scenario,
                                   const struct conf_node *root, struct err *err);

#endif
