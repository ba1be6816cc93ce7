/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet.h: with --nodes a scenario has machines, and its pools pods that are placed
 * on them, start, are probed and are replaced (docs/fleet.md). Part of scenario.c.
 */
#ifndef STACKSIM_CLI_HELM_FLEET_H
#define STACKSIM_CLI_HELM_FLEET_H

#include "cli/helm/deployment.h"

/* `deployment` of a pool; nothing without nodes. */
void helm_pod_put(const struct helm *helm, const struct helm_engine *engine,
                  struct text *out);
/* `discovery`, of a router that asks its backends and of all with nodes. */
void helm_discovery_put(struct helm *helm, struct text *out);
/* `static_route`, at release 0.1.3. */
void helm_route_put(struct helm *helm, struct text *out);
/* `nodes`; nothing without nodes. */
void helm_machines_put(struct helm *helm, struct text *out);

#endif
