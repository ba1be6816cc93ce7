/* SPDX-License-Identifier: Apache-2.0
 *
 * scale.h: `autoscale` of a pool. Part of pools.c.
 */
#ifndef STACKSIM_CLI_HELM_SCALE_H
#define STACKSIM_CLI_HELM_SCALE_H

#include "cli/helm/deployment.h"

/* Nothing where nobody scales the engine. */
void helm_scale_put(const struct stack_engine *engine, struct text *out);

#endif
