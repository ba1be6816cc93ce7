/* SPDX-License-Identifier: Apache-2.0
 *
 * machines.h: nodes and pods of a stack as the simulator's scheduler knows them
 * (sim/control/nodes.h): what places them for `explain`, and what a scenario is told.
 */
#ifndef STACKSIM_CLI_HELM_MACHINES_H
#define STACKSIM_CLI_HELM_MACHINES_H

#include "cli/helm/deployment.h"

/* Fills `specs` and `machines`, empty ones; nothing without --nodes. Fails on more
 * labels than a machine has room for. */
NODISCARD bool helm_machines_open(struct helm *helm, struct err *err);
void helm_machines_close(struct helm *helm);
/* Fills the engine's `request` and `head`, and fails with the line of nodeName or of
 * the selector when no machine matches; nothing without --nodes. */
NODISCARD bool helm_request_make(const struct helm *helm, struct helm_engine *engine,
                                 struct err *err);

#endif
