/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h: a loaded scenario in words.
 */
#ifndef STACKSIM_CLI_PLAN_H
#define STACKSIM_CLI_PLAN_H

#include "base/text.h"

struct scenario;
struct workload;

/* Engines with their KV blocks and cost models, routing, workload, limits, SLOs. */
void plan_print(const struct scenario *scenario, const struct workload *workload,
                struct text *out);

#endif
