/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.h: from the command line of a vLLM engine to the keys of a scenario's `engine`.
 */
#ifndef STACKSIM_CLI_HELM_FLAGS_H
#define STACKSIM_CLI_HELM_FLAGS_H

#include "cli/helm/deployment.h"

/* Fills engine->flags; GPU and model are used where they are known. What the simulator
 * cannot do becomes a finding. */
void helm_flags(struct stack *stack, struct helm_engine *engine);

/* Pipeline stages of an engine, at least 1. */
uint32_t helm_stages(const struct stack_engine *engine);

#endif
