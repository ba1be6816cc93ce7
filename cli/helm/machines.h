/* SPDX-License-Identifier: Apache-2.0
 *
 * machines.h: with --nodes a scenario has machines, and its pools pods that are placed
 * on them, start, are probed and are replaced (docs/fleet.md). Part of scenario.c.
 */
#ifndef STACKSIM_CLI_HELM_MACHINES_H
#define STACKSIM_CLI_HELM_MACHINES_H

#include "cli/helm/deployment.h"

/* `deployment` of a pool; nothing without nodes. */
void helm_pod_put(struct helm *helm, const struct stack_engine *engine,
                  struct text *out);
/* `nodes` and `discovery`; nothing without nodes. */
void helm_machines_put(struct helm *helm, struct text *out);

#endif
