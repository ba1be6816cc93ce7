/* SPDX-License-Identifier: Apache-2.0
 *
 * place.h: where the pods of a deployment land on given machines, by the simulator's
 * own scheduler (sim/control/nodes.h).
 */
#ifndef STACKSIM_CLI_HELM_PLACE_H
#define STACKSIM_CLI_HELM_PLACE_H

#include "cli/helm/deployment.h"

/* Places engine by engine, pod by pod, in the order of the file: fills `placed` of
 * every engine ("gpu-a: 2, gpu-b: 2"), and finds those that land nowhere. Without nodes
 * it does nothing. */
void helm_place(struct helm *helm);

#endif
